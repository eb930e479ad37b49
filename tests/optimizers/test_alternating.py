"""Alternating sweeps, then Newton, against the dense objective and against other starts."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.optimizers import minimize_alternating
from sklearn_unlearn.utils._random import hashed_normal
from tests.problems import WEIGHTED, WEIGHTED_SOLVED, all_scores, gap, optimum


def fit(problem, **settings):
    for name, value in {"seed": 0, "tol": 1e-9, "max_iter": 100, "n_sweeps": 5}.items():
        settings.setdefault(name, value)
    return minimize_alternating(problem.objective(), **settings)


@pytest.mark.parametrize("problem", WEIGHTED, ids=lambda problem: problem.name)
def test_the_tolerance_is_met_in_the_dense_gradient(problem):
    objective = problem.objective()
    result = fit(problem)
    norm = np.linalg.norm(problem.twin().gradient(result.theta))
    assert result.converged
    assert norm <= 1.01e-9 * objective.gradient_scale
    assert result.gradient_norm[1] <= 1e-9 * objective.gradient_scale
    assert_allclose(result.value, problem.twin().value(result.theta), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("problem", WEIGHTED_SOLVED, ids=lambda problem: problem.name)
def test_every_seed_and_every_number_of_sweeps_ends_at_the_same_scores(problem):
    expected = optimum(problem)
    for settings in ({"seed": 0}, {"seed": 7}, {"n_sweeps": 0}, {"n_sweeps": 30}):
        assert gap(problem, fit(problem, **settings).theta, expected) < 1e-4


def textbook(problem, seed, n_sweeps):
    """Exact alternating least squares on dense matrices, from the same start."""
    twin, (m, n), k = problem.twin(), problem.matrix.shape, problem.n_factors
    weights = twin.cell_weights[:, None] * twin.confidences
    seen = (twin.matrix != 0) * 1.0
    P, Q = np.zeros((m, k)), 0.1 * hashed_normal(seed, np.arange(n)[:, None], np.arange(k))
    Q /= np.sqrt(k)
    for _ in range(n_sweeps):
        for rows, other, c, p, ridge in (
            (P, Q, weights, seen, twin.ridge[:m, 0]),
            (Q, P, weights.T, seen.T, twin.ridge[m:, 0]),
        ):
            for r in range(len(rows)):
                A = other.T @ (c[r][:, None] * other) + ridge[r] * np.eye(k)
                rows[r] = np.linalg.solve(A, other.T @ (c[r] * p[r]))
    return np.concatenate([P, Q])


@pytest.mark.parametrize("problem", WEIGHTED[:6], ids=lambda problem: problem.name)
@pytest.mark.parametrize("n_sweeps", [1, 4])
def test_sweeps_alone_are_alternating_least_squares(problem, n_sweeps):
    # Two factors: three conjugate gradient steps solve every row exactly.
    result = fit(problem, n_sweeps=n_sweeps, max_iter=0, tol=1e-12, seed=3)
    assert_allclose(result.theta, textbook(problem, 3, n_sweeps), rtol=1e-6, atol=1e-8)
    norm = np.linalg.norm(problem.twin().gradient(result.theta))
    assert_allclose(result.gradient_norm, norm, rtol=1e-6)
    assert (result.n_steps, result.n_products, result.converged) == (0, 0, False)


def test_sweeps_alone_can_converge_and_say_so():
    problem = WEIGHTED_SOLVED[0]
    assert fit(problem, max_iter=0, n_sweeps=400, tol=1e-4).converged
    assert not fit(problem, max_iter=0, n_sweeps=1, tol=1e-4).converged


def test_more_sweeps_leave_less_to_newton():
    problem = WEIGHTED_SOLVED[0]
    norms = [fit(problem, n_sweeps=n).gradient_norm[0] for n in (1, 5, 40)]
    assert norms[0] > norms[1] > 10 * norms[2]


def test_newton_stops_at_its_limit_and_says_so():
    result = fit(WEIGHTED_SOLVED[0], n_sweeps=1, max_iter=1, tol=1e-12)
    assert (result.n_steps, result.converged) == (1, False)


@pytest.mark.parametrize("max_iter", [0, 50])
def test_single_precision_sweeps_are_polished_in_double(max_iter):
    problem = WEIGHTED_SOLVED[0]
    result = fit(problem, dtype=np.float32, max_iter=max_iter, n_sweeps=50)
    assert result.theta.dtype == (np.float64 if max_iter else np.float32)
    assert gap(problem, result.theta, optimum(problem)) < (1e-6 if max_iter else 0.05)


def test_the_start_of_an_item_depends_on_seed_and_place_alone():
    problem = WEIGHTED[0]
    emptier, fewer = problem.matrix.copy(), problem.matrix[:4]
    emptier[2:] = 0
    start, *others = (
        fit(replace(problem, matrix=matrix), n_sweeps=0, max_iter=0).theta
        for matrix in (problem.matrix, emptier, fewer)
    )
    assert_array_equal(start[:6], 0)
    assert_array_equal(others[0], start)
    assert_array_equal(others[1][4:], start[6:])
    assert (fit(problem, n_sweeps=0, max_iter=0, seed=1).theta[6:] != start[6:]).all()


def test_rows_without_interactions_end_at_zero():
    problem = next(p for p in WEIGHTED if p.name == "scaled-penalty")
    theta = fit(problem).theta
    empty = ~np.concatenate([problem.matrix.any(axis=1), problem.matrix.any(axis=0)])
    assert empty.sum() == 6
    assert np.abs(theta[empty]).max() < 1e-9 * np.abs(theta).max()
    assert np.abs(all_scores(problem, theta)).max() > 0.1


def test_every_newton_step_is_told():
    told = []
    result = fit(WEIGHTED_SOLVED[0], n_sweeps=1, on_step=lambda *step: told.append(step))
    assert told[-1][0] == result.n_steps > 0
    assert told[-1][1] == result.value
    assert told[-1][2] == result.gradient_norm[1]
    assert told[-1][3] == result.n_products
