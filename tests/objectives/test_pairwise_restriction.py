"""A restricted objective is the whole one with the other rows frozen, and walks whole groups."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.interactions import Interactions
from tests.objectives.pairwise_twin import PROBLEMS
from tests.problems import hessian_of

CLOSE = {"rtol": 1e-10, "atol": 1e-10}


@pytest.fixture(params=PROBLEMS, ids=lambda problem: problem.name)
def problem(request):
    return request.param


def row_sets(problem):
    m, n = problem.matrix.shape
    return [np.array([m - 1]), np.array([m]), np.array([0, m - 1, m + n - 1]), np.arange(m + n)]


def test_restriction_is_the_whole_with_the_other_rows_frozen(problem):
    objective, theta, twin = problem.objective(), problem.theta(), problem.twin()
    width = theta.shape[1]
    for rows in row_sets(problem):
        restricted, table_rows = objective.restrict(rows, theta)
        table = theta[table_rows]
        assert set(rows) <= set(table_rows.tolist())
        assert_array_equal(table_rows, np.unique(table_rows))
        free = np.isin(table_rows, rows)
        expected = np.where(free[:, None], twin.gradient(theta)[table_rows], 0)
        assert_allclose(restricted.gradient(table), expected, **CLOSE)
        flat = (table_rows[:, None] * width + np.arange(width)).ravel()
        moves = np.repeat(free, width)
        dense = twin.hessian(theta)[np.ix_(flat, flat)] * np.outer(moves, moves)
        assert_allclose(hessian_of(restricted, table), dense, **CLOSE)
        diagonal = np.where(twin.free.ravel()[flat] & moves, np.diag(dense), 1.0)
        assert_allclose(restricted.at(table).hessian_diagonal().ravel(), diagonal, **CLOSE)


def test_moving_the_free_rows_changes_both_values_alike(problem):
    objective, theta = problem.objective(), problem.theta()
    for rows in row_sets(problem):
        restricted, table_rows = objective.restrict(rows, theta)
        moved = theta.copy()
        moved[rows] += problem.direction()[rows]
        whole = objective.value(moved) - objective.value(theta)
        part = restricted.value(moved[table_rows]) - restricted.value(theta[table_rows])
        assert_allclose(part, whole, rtol=1e-9, atol=1e-10)


def test_frozen_neighbours_see_the_move_through_the_cells_of_the_part(problem):
    objective, theta = problem.objective(), problem.theta()
    for rows in row_sets(problem):
        restricted, table_rows = objective.restrict(rows, theta)
        moved = theta.copy()
        moved[rows] += problem.direction()[rows]
        whole = objective.gradient(moved) - objective.gradient(theta)
        thawed = restricted.thaw()
        part = thawed.gradient(moved[table_rows]) - thawed.gradient(theta[table_rows])
        assert_allclose(part, whole[table_rows], **CLOSE)
        outside = np.setdiff1d(np.arange(len(theta)), table_rows)
        assert_allclose(whole[outside], 0, atol=1e-12)


def test_only_groups_of_the_rows_are_walked(problem):
    objective, m = problem.objective(), len(problem.matrix)
    for rows in row_sets(problem):
        restricted = objective.restrict(rows)[0]
        met = problem.twin().matrix
        users = [u for u, _ in np.argwhere(met)]
        expected = sum(
            u in rows or bool(np.isin(group + m, rows).any())
            for u, group in zip(users, objective.pattern.groups, strict=True)
        )
        assert restricted.n_cells == expected * (1 + problem.n_negatives)
        data = Interactions.from_matrix(problem.matrix, problem.weights)
        assert restricted.n_cells <= objective.count_incident(data, rows)
