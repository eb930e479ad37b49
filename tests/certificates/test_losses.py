from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.problems import PROBLEMS, SOLVED, Problem, labels, optimum, ratings

CLOSE = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture(params=PROBLEMS + SOLVED, ids=lambda problem: problem.name)
def problem(request):
    return request.param


def feasible_shrink(objective, theta):
    """Largest multiple, at most 1, of the residual matrix whose norm is at most 1."""
    residual = objective.certificate().residual_operator(theta) @ np.eye(objective.layout.n_items)
    return min(1.0, 1 / max(np.linalg.norm(residual, 2), 1e-300))


def test_spectrum_is_that_of_the_dense_scaled_scores(problem):
    theta, m, k = problem.theta(), len(problem.matrix), problem.n_factors
    Z = theta[:, :k] * np.sqrt(problem.regularization * problem.twin().row_multiples)[:, None]
    expected = np.linalg.svd(Z[:m] @ Z[m:].T, compute_uv=False)
    got = problem.objective().certificate().score_spectrum(theta)
    assert_allclose(np.sum(got), np.sum(expected), **CLOSE)
    assert_allclose(got, expected[: len(got)], **CLOSE)


def test_nuclear_norm_never_costs_more_than_the_factors(problem):
    objective = problem.objective()
    for seed in range(3):
        theta = problem.theta(seed)
        value = objective.certificate().convex_value(
            theta, objective.certificate().score_spectrum(theta).sum()
        )
        assert value <= objective.value(theta) * (1 + 1e-12)


def test_no_dual_value_is_above_any_primal_value(problem):
    objective = problem.objective()
    points = [problem.theta(seed, scale) for seed in range(4) for scale in (0.1, 1.0)]
    lowest = min(
        objective.certificate().convex_value(
            theta, objective.certificate().score_spectrum(theta).sum()
        )
        for theta in points
    )
    for theta in points:
        shrink = feasible_shrink(objective, theta)
        for share in (1.0, 0.5, 0.0):
            assert objective.certificate().dual_value(theta, share * shrink) <= lowest + 1e-9 * abs(
                lowest
            )


@pytest.mark.parametrize("problem", SOLVED, ids=lambda problem: problem.name)
def test_duality_has_no_gap_at_an_optimum_of_low_rank(problem):
    # With more factors than the optimum has rank, a local minimum is the global one.
    problem = replace(problem, n_factors=8)
    wide, theta = problem.objective(), optimum(problem)
    value = wide.value(theta)
    assert_allclose(
        wide.certificate().convex_value(theta, wide.certificate().score_spectrum(theta).sum()),
        value,
        rtol=1e-9,
    )
    assert_allclose(
        wide.certificate().dual_value(theta, feasible_shrink(wide, theta)), value, rtol=1e-6
    )


@pytest.mark.parametrize("problem", SOLVED, ids=lambda problem: problem.name)
def test_no_two_models_within_the_gap_are_further_apart_than_the_bound(problem):
    objective, m = problem.objective(), len(problem.matrix)
    best = optimum(problem)
    rng, seen = np.random.default_rng(0), problem.twin().matrix != 0
    for size in (1e-4, 1e-2, 0.2):
        theta = best + size * objective.layout.mask_fixed(rng.standard_normal(best.shape))
        shrink = feasible_shrink(objective, theta)
        primal = objective.certificate().convex_value(
            theta, objective.certificate().score_spectrum(theta).sum()
        )
        gap = primal - objective.certificate().dual_value(theta, shrink)
        bound = objective.certificate().prediction_bound(theta, shrink, gap)
        difference = (theta[:m] @ theta[m:].T - best[:m] @ best[m:].T)[seen]
        assert np.sqrt(np.mean(difference**2)) <= bound


@pytest.mark.parametrize("problem", SOLVED, ids=lambda problem: problem.name)
def test_bound_does_not_depend_on_the_unit_of_the_objective(problem):
    objective, theta = problem.objective(), problem.theta(scale=0.1)
    ones = np.ones(objective.n_cells) if objective.weights is None else objective.weights
    bound = objective.certificate().prediction_bound(theta, 0.9, 0.02)
    smaller = replace(objective, weights=0.01 * ones)
    assert 0 < bound < np.inf
    assert_allclose(
        smaller.certificate().prediction_bound(theta, 0.9, 0.01 * 0.02), bound, rtol=1e-10
    )
    assert smaller.certificate().prediction_bound(theta, 0.9, 0.02) > bound


@pytest.mark.parametrize("loss", ["logistic", "squared"])
@pytest.mark.parametrize("weights", [None, np.linspace(1, 40, 9)], ids=["plain", "weighted"])
def test_the_bound_of_what_removed_cells_held_knows_the_weights_of_users(loss, weights):
    matrix = labels(5, 9, 8) if loss == "logistic" else ratings(5, 9, 8)
    problem = Problem("", matrix, loss, fit_bias=False, global_mean=False, weights=weights)
    objective, theta = problem.objective(), problem.theta()
    gone = np.argwhere(matrix)[[0, 4, 9, 17]]
    held = np.zeros(matrix.shape)
    dense = objective.certificate().residual_operator(theta) @ np.eye(8)
    held[tuple(gone.T)] = dense[tuple(gone.T)]
    rest = np.where(held != 0, 0.0, matrix)
    bound = (
        problem.objective(matrix=rest)
        .certificate()
        .removed_residual(theta, *gone.T, matrix[tuple(gone.T)])
    )
    assert 0 < np.linalg.norm(held, 2) <= bound
    assert weights is not None or bound < np.inf
