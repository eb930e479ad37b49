"""Draws depend on seed, user, item and slot alone; which count, on what the user has met."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.backends import ScipyBackend
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives._negatives import draw_groups, negatives_of
from tests.objectives.pairwise_twin import PROBLEMS, draw, presence

DATA = Interactions.from_matrix(presence(0, 30, 12, 0.3))


def drawn(matrix, n_negatives=4, seed=3, key=None):
    """Draws of each pair that was met, and which of them count."""
    pattern, counted = draw_groups(Interactions.from_matrix(matrix), n_negatives, seed, key=key)
    pairs = [tuple(cell) for cell in np.argwhere(matrix).tolist()]
    return dict(
        zip(pairs, zip(pattern.groups.tolist(), counted.tolist(), strict=True), strict=True)
    )


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_every_draw_is_that_of_the_loop(problem):
    objective, twin = problem.objective(), problem.twin()
    expected = [(i, slot, j, not twin.matrix[u, j]) for u, i, slot, j in twin.all_draws()]
    groups, counted = objective.pattern.groups, objective.counted
    found = [
        (int(group[0]), slot, int(group[slot + 1]), bool(counts[slot]))
        for group, counts in zip(groups, counted, strict=True)
        for slot in range(problem.n_negatives)
    ]
    assert found == expected
    assert objective.n_cells == len(groups) * (1 + problem.n_negatives)


def test_pairs_draw_alone_what_they_draw_together():
    pattern, _ = draw_groups(DATA, 5, 11)
    alone = negatives_of(DATA.rows, DATA.indices, DATA.n_items, 5, 11)
    assert_array_equal(alone, pattern.groups[:, 1:])
    assert_array_equal(negatives_of([3], [0], 1, 2, 11), [[0, 0]])


@given(st.integers(0, 2**63), st.integers(-1, 2**31), st.integers(2, 2**31 - 1), st.data())
@settings(max_examples=50, deadline=None)
def test_draws_are_items_other_than_the_own_one(seed, user, n_items, data):
    item = data.draw(st.integers(0, n_items - 1))
    found = negatives_of([user], [item], n_items, 3, seed)[0].tolist()
    assert found == [draw(seed, user, item, slot, n_items) for slot in range(3)]
    assert all(0 <= j < n_items and j != item for j in found)


@given(st.integers(0, 2**16), st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_removing_interactions_changes_no_draw_of_the_others(seed, n_gone):
    matrix = DATA.to_csr().toarray()
    before, rest = drawn(matrix), matrix.copy()
    cells = np.argwhere(matrix)
    gone = np.random.default_rng(seed).permutation(len(cells))[:n_gone]
    rest[tuple(cells[gone].T)] = 0
    for (user, item), (group, counts) in drawn(rest).items():
        assert group == before[user, item][0]
        # A draw that was met and is forgotten counts now; none stops counting.
        now_unmet = [matrix[user, j] != 0 and rest[user, j] == 0 for j in group[1:]]
        old = before[user, item][1]
        assert counts == [a or b for a, b in zip(old, now_unmet, strict=True)]


def test_more_users_change_no_draw():
    matrix = DATA.to_csr().toarray()
    more = np.vstack([matrix, presence(1, 20, 12, 0.5)])
    before, after = drawn(matrix), drawn(more)
    assert all(after[pair] == group for pair, group in before.items())


def test_seed_user_and_slot_all_matter_and_a_key_stands_for_every_user():
    matrix = np.zeros((2, 1000))
    matrix[:, :50] = 1
    one, other = drawn(matrix, seed=3), drawn(matrix, seed=4)
    groups = np.array([group for group, _ in one.values()])
    assert (groups != [group for group, _ in other.values()])[:, 1:].mean() > 0.9
    assert (groups[:50] != groups[50:])[:, 1:].mean() > 0.9
    assert (groups[:, 1] != groups[:, 2]).mean() > 0.9
    shared = np.array([group for group, _ in drawn(matrix, key=-1).values()])
    assert_array_equal(shared[:50], shared[50:])
    assert (shared[:50] != groups[:50])[:, 1:].mean() > 0.9


def test_draws_are_uniform_over_the_other_items():
    matrix = np.zeros((2000, 11))
    matrix[:, 4] = 1
    pattern, counted = draw_groups(Interactions.from_matrix(matrix), 10, seed=0)
    frequencies = np.bincount(pattern.groups[:, 1:].ravel(), minlength=11)
    expected = np.where(np.arange(11) == 4, 0, 2000)
    assert counted.all()
    # Ten standard deviations of a count of 20,000 draws of probability one tenth: 424.
    assert np.abs(frequencies - expected).max() < 200


def test_a_grouped_pattern_reads_the_same_by_rows_and_by_columns():
    pattern, _ = draw_groups(DATA, 4, 9)
    again, _ = draw_groups(DATA, 4, 9)
    items = np.array([5, 0, 11, 1])
    scanned = again.cells_of_columns(items)  # before the columns were sorted out
    rows = np.repeat(np.arange(DATA.n_users), np.diff(pattern.indptr))
    assert_array_equal(pattern.indptr_t, np.append(0, np.cumsum(np.bincount(pattern.indices))))
    assert_array_equal(rows[pattern.order_t], pattern.indices_t)
    columns = np.repeat(np.arange(DATA.n_items), np.diff(pattern.indptr_t))
    assert_array_equal(pattern.indices[pattern.order_t], columns)
    assert_array_equal(np.sort(pattern.order_t), np.arange(pattern.n_interactions))
    for a, b in zip(scanned, pattern.cells_of_columns(items), strict=True):
        assert_array_equal(a, b)
    A, B = (np.random.default_rng(0).standard_normal((n, 3)) for n in DATA.shape)
    scores = ScipyBackend().sddmm(pattern, (A, B))
    assert_allclose(scores, np.einsum("nk,nk->n", A[rows], B[pattern.indices]), rtol=1e-12)


def test_nothing_of_the_draws_can_be_written_to():
    objective = PROBLEMS[0].objective()
    for array in (objective.pattern.groups, objective.pattern.indices, objective.pattern.order_t):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


# -- what a request changes ------------------------------------------------------------------------
WITH_CELLS = [problem for problem in PROBLEMS if problem.key is None]


@pytest.mark.parametrize("problem", WITH_CELLS, ids=lambda problem: problem.name)
@pytest.mark.parametrize("seed", range(4))
def test_a_request_changes_the_gradient_in_its_rows_and_those_of_its_partners(problem, seed):
    # The scaling of penalties and the weights of users are the touched rows' own.
    problem = replace(problem, frequency_scaling=0.0, n_factors=2)
    matrix = problem.twin().matrix
    cells, m = np.argwhere(matrix), len(matrix)
    gone = cells[np.random.default_rng(seed).permutation(len(cells))[: 1 + seed]]
    rest = problem.without(gone)
    theta = problem.theta(seed)
    change = rest.twin().gradient(theta) - problem.twin().gradient(theta)
    users, items = gone.T
    partners = rest.objective().partners_of(users, items)
    allowed = set(users) | set(items + m) | set(partners + m)
    assert set(np.flatnonzero(np.abs(change).max(axis=1) > 1e-12)) <= allowed
    assert_array_equal(partners, np.unique(partners))
    # Draws of the removed pairs, and the items of those who drew a removed one: nothing else.
    twin = problem.twin()
    removed = {tuple(cell) for cell in gone.tolist()}
    expected = {j for u, i, _, j in twin.all_draws() if (u, i) in removed}
    expected |= {i for u, i, _, j in rest.twin().all_draws() if (u, j) in removed}
    assert set(partners.tolist()) == expected


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_an_item_is_drawn_if_somebody_is_compared_with_it(problem):
    items = np.arange(problem.matrix.shape[1])[::-1]
    compared = {j for _, _, j, _ in problem.twin().triples}
    assert_array_equal(problem.objective().is_drawn(items), [i in compared for i in items])
