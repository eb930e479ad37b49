from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tests.problems import WEIGHTED, WeightedProblem, hessian_of, ratings

CLOSE = {"rtol": 1e-10, "atol": 1e-10}


@pytest.fixture(params=WEIGHTED, ids=lambda problem: problem.name)
def problem(request):
    return request.param


def flat_rows(rows, width):
    """Entries of flat theta that belong to some rows."""
    return (np.asarray(rows)[:, None] * width + np.arange(width)).ravel()


def row_sets(problem):
    m, n = problem.matrix.shape
    rng = np.random.default_rng(5)
    yield np.array([0])
    yield np.array([m + n - 1])
    yield np.array([m + n - 1, m - 1, 0])
    yield np.arange(m)
    yield np.arange(m + n)
    yield rng.permutation(m + n)[: (m + n) // 3]
    yield np.array([], int)


def sparse_problem(seed, weighted=False):
    """So few interactions that restricted tables leave rows out."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.2, 3, 12) if weighted else None
    return WeightedProblem("few", ratings(seed, 12, 10, 0.12), weights=weights)


def beside(problem, table_rows):
    return np.setdiff1d(np.arange(sum(problem.matrix.shape)), table_rows)


def test_restriction_keeps_rows_and_walks_incident_cells_only(problem):
    objective, theta, m = problem.objective(), problem.theta(), len(problem.matrix)
    seen = problem.twin().matrix != 0
    for rows in row_sets(problem):
        restricted, table_rows = objective.restrict(rows, theta)
        incident = seen & (
            np.isin(np.arange(m), rows)[:, None] | np.isin(m + np.arange(seen.shape[1]), rows)
        )
        assert restricted.n_cells == restricted.pattern.n_interactions == incident.sum()
        users, items = np.nonzero(incident)
        assert_array_equal(table_rows, np.unique(np.concatenate([rows, users, m + items])))
        assert restricted.layout.shape[0] == len(table_rows)
        assert_array_equal(table_rows[restricted.frozen_rows], np.setdiff1d(table_rows, rows))
        assert restricted.has_gauge is (len(rows) == len(theta))


@pytest.mark.parametrize("known", [False, True])
def test_derivatives_of_a_restriction_are_those_of_the_whole(problem, known):
    objective, theta = problem.objective(), problem.theta()
    width = theta.shape[1]
    gradient, whole = objective.gradient(theta), problem.twin().hessian(theta)
    sums = objective.sums(theta) if known else ()
    for rows in map(np.unique, row_sets(problem)):
        restricted, table_rows = objective.restrict(rows, theta, sums)
        point = restricted.at(theta[table_rows])
        inside = np.searchsorted(table_rows, rows)
        expected = np.zeros((len(table_rows), width))
        expected[inside] = gradient[rows]
        assert_allclose(point.gradient, expected, **CLOSE)
        part = hessian_of(restricted, theta[table_rows])
        a, b = flat_rows(inside, width), flat_rows(rows, width)
        assert_allclose(part[np.ix_(a, a)], whole[np.ix_(b, b)], **CLOSE)
        assert_allclose(np.delete(part, a, axis=0), 0)
        diagonal = np.ones(expected.shape)
        diagonal[inside] = objective.at(theta).hessian_diagonal()[rows]
        assert_allclose(point.hessian_diagonal(), diagonal, **CLOSE)
        blocks = np.broadcast_to(np.eye(width), (len(table_rows), width, width)).copy()
        blocks[inside] = objective.at(theta).blocks()[rows]
        assert_allclose(point.blocks(), blocks, **CLOSE)


def test_value_of_a_restriction_falls_as_the_whole_does(problem):
    objective, theta = problem.objective(), problem.theta()
    for rows in row_sets(problem):
        restricted, table_rows = objective.restrict(rows, theta)
        moved = theta.copy()
        moved[rows] += problem.direction()[rows]
        change = restricted.value(moved[table_rows]) - restricted.value(theta[table_rows])
        assert_allclose(change, objective.value(moved) - objective.value(theta), **CLOSE)


def test_sums_are_those_of_the_whole_table(problem):
    objective, theta, twin = problem.objective(), problem.theta(), problem.twin()
    m = len(problem.matrix)
    expected = theta[:m].T @ np.diag(twin.cell_weights) @ theta[:m], theta[m:].T @ theta[m:]
    for rows in row_sets(problem):
        restricted, table_rows = objective.restrict(rows, theta)
        for part in (restricted, restricted.thaw()):
            for got, want in zip(part.sums(theta[table_rows]), expected, strict=True):
                assert_allclose(got, want, **CLOSE)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), weighted=st.booleans(), size=st.integers(1, 8))
def test_thawed_change_and_drift_are_the_change_of_the_whole_gradient(seed, weighted, size):
    problem = sparse_problem(seed, weighted)
    objective, theta = problem.objective(), problem.theta(seed)
    rows = np.unique(np.random.default_rng(seed).integers(0, len(theta), size))
    restricted, table_rows = objective.restrict(rows, theta)
    moved = theta.copy()
    moved[rows] += problem.direction(seed)[rows]
    before, after = theta[table_rows], moved[table_rows]
    change = objective.gradient(moved) - objective.gradient(theta)
    thawed = restricted.thaw()
    assert_allclose(thawed.gradient(after) - thawed.gradient(before), change[table_rows], **CLOSE)
    outside = np.linalg.norm(change[beside(problem, table_rows)])
    for part in (restricted, thawed):
        drift = part.drift(before, after)
        if weighted:
            assert outside <= drift * (1 + 1e-6) + 1e-6
            assert drift <= outside * np.sqrt(3 / 0.2) + 1e-6
        else:
            assert_allclose(drift, outside, rtol=1e-6, atol=1e-6)


def test_drift_is_not_negligible_and_none_without_a_move_or_without_rows_left_out():
    problem = sparse_problem(3)
    objective, theta = problem.objective(), problem.theta()
    restricted, table_rows = objective.restrict(np.array([0]), theta)
    before = theta[table_rows]
    assert len(beside(problem, table_rows)) > 5
    assert restricted.drift(before, before) == 0
    assert restricted.drift(before, 1.1 * before) > 0.1
    assert objective.drift(theta, 2 * theta) == 0
    everything = objective.restrict(np.arange(len(theta)), theta)[0]
    assert everything.drift(theta, 2 * theta) == 0


def test_largest_weight_of_the_users_left_out_bounds_the_drift():
    problem = sparse_problem(5, weighted=True)
    objective, theta = problem.objective(), problem.theta()
    m, weights = len(problem.matrix), problem.twin().cell_weights
    for rows in ([0], [m], [1, m + 2]):
        restricted, table_rows = objective.restrict(np.array(rows), theta)
        left_out = beside(problem, table_rows)
        assert restricted.outside_weight == weights[left_out[left_out < m]].max()


@pytest.mark.parametrize("heavy", [None, "left out", "kept"])
def test_restricting_twice_is_restricting_once(heavy):
    problem = sparse_problem(8)
    theta, m = problem.theta(), len(problem.matrix)
    some = np.arange(0, len(theta), 2)
    kept = problem.objective().restrict(some, theta)[1]
    if heavy:
        # Users without interactions count once, whatever their weight.
        users = np.intersect1d(
            np.flatnonzero(problem.matrix.any(axis=1)),
            beside(problem, kept) if heavy == "left out" else kept,
        )
        weights = np.linspace(0.5, 1, m)
        weights[users[-1]] = 9
        problem = replace(problem, weights=weights)
    objective = problem.objective()
    outer, outer_rows = objective.restrict(some, theta)
    rows = outer_rows[np.setdiff1d(np.arange(len(outer_rows)), outer.frozen_rows)][:2]
    twice, twice_rows = outer.restrict(np.searchsorted(outer_rows, rows), theta[outer_rows])
    once, once_rows = objective.restrict(rows, theta)
    assert beside(problem, outer_rows)[0] < m
    assert len(outer_rows) > len(once_rows)
    assert_array_equal(outer_rows[twice_rows], once_rows)
    table = theta[once_rows]
    assert_allclose(twice.gradient(table), once.gradient(table), **CLOSE)
    assert_allclose(twice.drift(table, 2 * table), once.drift(table, 2 * table), rtol=1e-9)
    assert twice.outside_weight == once.outside_weight
    assert once.outside_weight == (9 if heavy else 1)


def test_thawed_part_with_rows_left_out_has_no_gauge():
    problem = sparse_problem(3)
    theta = problem.theta()
    thawed, table_rows = problem.objective().restrict(np.array([0]), theta)
    thawed = thawed.thaw()
    table = theta[table_rows]
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert not thawed.has_gauge
    assert abs(thawed.value(table @ turn) - thawed.value(table)) > 1e-3
    assert problem.objective().restrict(np.arange(len(theta)), theta)[0].thaw().has_gauge


def test_single_precision_restriction_agrees_with_double():
    problem = sparse_problem(4)
    objective, theta = problem.objective(), problem.theta()
    narrow = theta.astype(np.float32)
    rows = np.array([0, 13])
    exact, table_rows = objective.restrict(rows, theta)
    restricted, _ = objective.restrict(rows, narrow)
    got, want = restricted.gradient(narrow[table_rows]), exact.gradient(theta[table_rows])
    assert got.dtype == np.float32
    assert_allclose(got, want, rtol=1e-4, atol=1e-5 * np.abs(want).max())


def test_restriction_without_the_table_says_what_to_do():
    with pytest.raises(ValueError, match=r"theta=None was given; expected .*\. Pass restrict"):
        sparse_problem(0).objective().restrict(np.array([0]))


def test_factors_of_a_restricted_table_cannot_change():
    problem = sparse_problem(3)
    restricted, _ = problem.objective().restrict(np.array([0]), problem.theta())
    with pytest.raises(ValueError, match=r"n_factors=3 was given .*; expected .*\. Change"):
        restricted.with_factors(3)
