"""Rows as least-squares problems, against the dense objective of all cells."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.objectives.weighted import _rows as _weighted_rows
from sklearn_unlearn.objectives.weighted._rows import (
    chunked,
    gradient_of,
    neighbour_change,
    neighbours_of,
    row_problem,
    solve_users,
    sweep,
)
from tests.problems import WEIGHTED, WeightedProblem, ratings

CLOSE = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture(params=WEIGHTED, ids=lambda problem: problem.name)
def problem(request):
    return request.param


@pytest.fixture(params=[1 << 20, 3], ids=["at-once", "in-chunks"])
def chunks(request, monkeypatch):
    monkeypatch.setattr(_weighted_rows, "_CELLS_AT_ONCE", request.param)


def sides_of(problem, seed=0):
    """All users, all items, some of each, one, none."""
    m, n = problem.matrix.shape
    rng = np.random.default_rng(seed)
    yield np.arange(m)
    yield np.arange(m, m + n)
    yield np.sort(rng.permutation(m)[: (m + 1) // 2])
    yield np.sort(m + rng.permutation(n)[: (n + 1) // 2])
    yield np.array([m + n - 1])
    yield np.array([], int)


def test_gradient_of_rows_is_that_of_the_whole(problem, chunks):
    objective, theta = problem.objective(), problem.theta()
    expected, sums = problem.twin().gradient(theta), objective.sums(theta)
    for rows in sides_of(problem):
        got = row_problem(objective, rows).gradient(theta, sums)
        assert_allclose(got, expected[rows], **CLOSE)
        assert_allclose(gradient_of(objective, theta, sums, rows), expected[rows], **CLOSE)
    users, items = np.arange(len(problem.matrix)), np.arange(len(problem.matrix), len(theta))
    assert_allclose(gradient_of(objective, theta, sums, users, items), expected, **CLOSE)


def test_gradient_of_single_precision_rows_is_exact(problem):
    objective, theta = problem.objective(), problem.theta().astype(np.float32)
    expected = problem.twin().gradient(theta.astype(float))
    for rows in sides_of(problem):
        got = row_problem(objective, rows).gradient(theta, objective.sums(theta))
        assert got.dtype == np.float64
        # Confidences of single precision are products that were rounded.
        close = {"rtol": 1e-5, "atol": 1e-5} if problem.matrix.dtype == np.float32 else CLOSE
        assert_allclose(got, expected[rows], **close)


@pytest.mark.parametrize("tilted", [False, True])
def test_a_sweep_leaves_the_gradient_asked_for(problem, chunks, tilted):
    objective = problem.objective()
    tilt = 0.1 * problem.direction(3) if tilted else np.zeros(problem.theta().shape)
    for rows in sides_of(problem):
        theta = problem.theta()
        start, sums = theta.copy(), objective.sums(theta)
        sums = sweep(objective, theta, sums, rows, tilt=tilt.__getitem__ if tilted else None)
        assert_allclose(problem.twin().gradient(theta)[rows], tilt[rows], **CLOSE)
        others = np.delete(np.arange(len(theta)), rows)
        assert_array_equal(theta[others], start[others])
        for new, fresh in zip(sums, objective.sums(theta), strict=True):
            assert_allclose(new, fresh, **CLOSE)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_sums_stay_exact_over_many_partial_sweeps(chunks, dtype):
    problem = WeightedProblem("many", ratings(40, 14, 11, 0.4), weights=np.linspace(0.2, 3, 14))
    objective, theta = problem.objective(), problem.theta().astype(dtype)
    sums = objective.sums(theta)
    rng = np.random.default_rng(0)
    for _ in range(50):
        users = np.sort(rng.permutation(14)[:5])
        items = 14 + np.sort(rng.permutation(11)[:4])
        sums = sweep(objective, theta, sums, users, items)
    for kept, fresh in zip(sums, objective.sums(theta), strict=True):
        assert_allclose(kept, fresh, rtol=1e-12, atol=1e-12)


def test_the_sums_passed_in_are_not_written_to():
    problem = WEIGHTED[0]
    objective, theta = problem.objective(), problem.theta()
    sums = objective.sums(theta)
    kept = [one.copy() for one in sums]
    sweep(objective, theta, sums, np.array([0, 2]), np.array([7]))
    for one, before in zip(sums, kept, strict=True):
        assert_array_equal(one, before)


def test_sweeps_fall_and_end_at_a_stationary_point(problem):
    objective, theta, twin = problem.objective(), problem.theta(), problem.twin()
    m = len(problem.matrix)
    sums, values = objective.sums(theta), [twin.value(theta)]
    for _ in range(400):
        sums = sweep(objective, theta, sums, np.arange(m), np.arange(m, len(theta)))
        values.append(twin.value(theta))
    assert (np.diff(values) <= 1e-10 * values[0]).all()
    assert np.linalg.norm(twin.gradient(theta)) <= 1e-6 * max(objective.gradient_scale, 1)


def test_conjugate_gradient_sweeps_move_towards_the_exact_ones():
    problem = WeightedProblem("wide", ratings(41, 9, 12, 0.5), n_factors=6, alpha=9.0)
    objective, start = problem.objective(), problem.theta()
    rows, distances = np.arange(9), []
    exact = start.copy()
    sweep(objective, exact, objective.sums(start), rows)
    for n_steps in (0, 1, 2, 6):
        theta = start.copy()
        sweep(objective, theta, objective.sums(theta), rows, n_steps=n_steps)
        distances.append(np.linalg.norm(theta - exact))
    assert distances[0] == np.linalg.norm(start - exact)
    assert distances[0] > distances[1] > distances[2]
    assert distances[3] < 1e-8 * distances[0]


def test_chunks_hold_every_row_once_in_order_and_few_cells(monkeypatch):
    problem = WeightedProblem("many", ratings(42, 30, 20, 0.3))
    objective = problem.objective()
    monkeypatch.setattr(_weighted_rows, "_CELLS_AT_ONCE", 12)
    degrees = np.concatenate([(problem.matrix != 0).sum(axis) for axis in (1, 0)])
    for rows in sides_of(problem):
        parts = list(chunked(objective, rows))
        assert_array_equal(np.concatenate([rows[:0], *parts]), rows)
        assert all(len(part) for part in parts)
        assert all(degrees[part].sum() <= 12 + degrees.max() for part in parts)
    assert len(list(chunked(objective, np.arange(30)))) > 5


# -- neighbours --------------------------------------------------------------------------------
@given(seed=st.integers(0, 10**6), weighted=st.booleans(), items_move=st.booleans())
def test_neighbours_and_sums_are_all_that_feels_a_move(seed, weighted, items_move):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.2, 3, 12) if weighted else None
    problem = WeightedProblem("few", ratings(seed, 12, 10, 0.15), weights=weights)
    objective, before, m = problem.objective(), problem.theta(seed), 12
    rows = m + np.sort(rng.permutation(10)[:2]) if items_move else np.sort(rng.permutation(12)[:3])
    theta = before.copy()
    theta[rows] += rng.standard_normal((len(rows), 2))
    seen = problem.matrix != 0
    touched = seen[:, rows - m].any(axis=1) if items_move else seen[rows].any(axis=0)
    beside = neighbours_of(objective, rows)
    assert_array_equal(beside, np.flatnonzero(touched) + (0 if items_move else m))

    other = np.arange(m) if items_move else np.arange(m, 22)
    place = np.full(len(other), -1)
    place[beside - other[0]] = np.arange(len(beside))
    cells = neighbour_change(objective, before, theta, rows, place, len(beside))
    scale = problem.twin().cell_weights[:, None] if items_move else 1.0
    of = int(items_move)
    change = before[other] @ (objective.sums(theta)[of] - objective.sums(before)[of]) * scale
    change[beside - other[0]] += cells
    twin = problem.twin()
    expected = (twin.gradient(theta) - twin.gradient(before))[other]
    assert_allclose(change, expected, **CLOSE)


def test_neighbour_change_in_chunks_is_that_at_once(monkeypatch):
    problem = WeightedProblem("many", ratings(43, 20, 15, 0.4), weights=np.linspace(0.5, 2, 20))
    objective, before, after = problem.objective(), problem.theta(0), problem.theta(1)
    for rows, n in ((np.arange(3, 20), 15), (np.arange(20, 35), 20)):
        results = []
        for size in (1 << 20, 5):
            monkeypatch.setattr(_weighted_rows, "_CELLS_AT_ONCE", size)
            places = np.arange(n)
            results.append(neighbour_change(objective, before, after, rows, places, n))
            assert len(neighbours_of(objective, rows)) == n
        assert_allclose(results[1], results[0], **CLOSE)


# -- fold-in -----------------------------------------------------------------------------------
def test_folded_in_users_are_at_their_optimum(problem):
    objective, theta = problem.objective(), problem.theta()
    m = len(problem.matrix)
    users = solve_users(objective, theta[m:], theta[m:].T @ theta[m:])
    table = np.concatenate([users, theta[m:]])
    assert_allclose(problem.twin().gradient(table)[:m], 0, atol=1e-9)
    assert_array_equal(users[~problem.twin().matrix.any(axis=1)], 0)


def test_weight_of_a_user_does_not_move_its_own_row():
    one = WeightedProblem("one", ratings(44, 6, 8, 0.5))
    heavy = replace(one, weights=np.array([1.0, 7, 1, 1, 0.1, 1]))
    items = one.theta()[6:]
    rows = [solve_users(p.objective(), items, items.T @ items) for p in (one, heavy)]
    assert_allclose(rows[1], rows[0], **CLOSE)
