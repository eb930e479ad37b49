import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.problems import PROBLEMS, hessian_of

CLOSE = {"rtol": 1e-10, "atol": 1e-10}


@pytest.fixture(params=PROBLEMS, ids=lambda problem: problem.name)
def problem(request):
    return request.param


def flat_rows(rows, width):
    """Entries of flat theta that belong to some rows."""
    return (np.asarray(rows)[:, None] * width + np.arange(width)).ravel()


# -- restriction ---------------------------------------------------------------------------------
def row_sets(problem):
    m, n = problem.matrix.shape
    rng = np.random.default_rng(5)
    yield np.array([0])
    yield np.array([m + n - 1])
    yield np.array([m + n - 1, m - 1, 0])
    yield np.arange(m)
    yield np.arange(m, m + n)
    yield np.arange(m + n)
    yield rng.permutation(m + n)[: (m + n) // 2]
    yield np.array([], int)


def test_restriction_keeps_rows_and_walks_incident_cells_only(problem):
    objective, m = problem.objective(), len(problem.matrix)
    seen = problem.twin().matrix != 0
    for rows in row_sets(problem):
        restricted, table_rows = objective.restrict(rows)
        incident = seen & (
            np.isin(np.arange(m), rows)[:, None] | np.isin(m + np.arange(seen.shape[1]), rows)
        )
        assert restricted.n_cells == restricted.pattern.n_interactions == incident.sum()
        users, items = np.nonzero(incident)
        expected = np.unique(np.concatenate([rows, users, m + items]))
        assert_array_equal(table_rows, expected)
        assert restricted.layout.shape[0] == len(table_rows)
        assert_array_equal(table_rows[restricted.frozen_rows], np.setdiff1d(table_rows, rows))
        assert restricted.has_gauge is (len(table_rows) == len(rows))


def test_derivatives_of_a_restriction_are_those_of_the_whole(problem):
    objective, theta = problem.objective(), problem.theta()
    width = theta.shape[1]
    gradient, whole = objective.gradient(theta), problem.twin().hessian(theta)
    free_rows = problem.twin().free
    for rows in row_sets(problem):
        rows = np.unique(rows)
        restricted, table_rows = objective.restrict(rows)
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
        diagonal[inside] = np.where(free_rows, objective.at(theta).hessian_diagonal(), 1)[rows]
        assert_allclose(point.hessian_diagonal(), diagonal, **CLOSE)
        blocks = np.broadcast_to(np.eye(width), (len(table_rows), width, width)).copy()
        blocks[inside] = objective.at(theta).blocks()[rows]
        assert_allclose(point.blocks(), blocks, **CLOSE)


def test_value_of_a_restriction_falls_as_the_whole_does(problem):
    objective, theta = problem.objective(), problem.theta()
    for rows in row_sets(problem):
        restricted, table_rows = objective.restrict(rows)
        moved = theta.copy()
        moved[rows] += problem.direction()[rows]
        change = restricted.value(moved[table_rows]) - restricted.value(theta[table_rows])
        assert_allclose(change, objective.value(moved) - objective.value(theta), **CLOSE)


def test_restricting_twice_is_restricting_once(problem):
    objective, theta = problem.objective(), problem.theta()
    rows = np.arange(0, len(theta), 2)
    outer, outer_rows = objective.restrict(np.arange(len(theta)))
    twice, twice_rows = outer.restrict(np.searchsorted(outer_rows, rows))
    once, once_rows = objective.restrict(rows)
    assert_array_equal(outer_rows[twice_rows], once_rows)
    assert_array_equal(twice.gradient(theta[once_rows]), once.gradient(theta[once_rows]))


def test_thawed_restriction_is_the_objective_of_its_cells(problem):
    m = len(problem.matrix)
    theta, rows = problem.theta(), np.array([0, m])
    restricted, table_rows = problem.objective().restrict(rows)
    thawed = restricted.thaw()
    incident = np.zeros(problem.matrix.shape, bool)
    incident[0] = incident[:, 0] = True
    twin = dataclasses.replace(problem.twin(), matrix=problem.twin().matrix * incident)
    assert thawed.has_gauge
    assert thawed.n_cells == restricted.n_cells
    expected = twin.gradient(theta)[table_rows]
    assert_allclose(thawed.gradient(theta[table_rows]), expected, **CLOSE)
