from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.certificates import certify
from sklearn_unlearn.certificates._rank import missing_direction
from sklearn_unlearn.optimizers import minimize_newton_cg
from sklearn_unlearn.solvers._extremal import spectral_norm_bound
from sklearn_unlearn.solvers._newton import NewtonSettings, newton
from tests.problems import WEIGHTED, WEIGHTED_SOLVED, WeightedProblem, all_scores, ratings

CLOSE = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture(params=WEIGHTED + WEIGHTED_SOLVED, ids=lambda problem: problem.name)
def problem(request):
    return request.param


@pytest.fixture(params=WEIGHTED_SOLVED, ids=lambda problem: problem.name)
def solved(request):
    return request.param


def fitted(problem, seed=0, tol=1e-11, max_iter=100):
    objective = problem.objective()
    result = minimize_newton_cg(objective, seed=seed, tol=tol, max_iter=max_iter)
    return objective, result.theta


def dense_residual(problem, theta):
    """Slopes of all cells, divided by the roots of the penalties."""
    twin, m = problem.twin(), len(problem.matrix)
    penalties = problem.regularization * twin.row_multiples
    return twin.slopes(theta) / np.sqrt(penalties[:m, None] * penalties[m:])


def feasible_shrink(objective, theta):
    residual = objective.certificate().residual_operator(theta) @ np.eye(objective.layout.n_items)
    return min(1.0, 1 / max(np.linalg.norm(residual, 2), 1e-300))


def nuclear_norm(objective, theta):
    return float(objective.certificate().score_spectrum(theta).sum())


# -- residual operator ---------------------------------------------------------------------------
def test_residual_operator_is_the_scaled_matrix_of_all_slopes(problem):
    objective, theta = problem.objective(), problem.theta()
    m, n = problem.matrix.shape
    expected = dense_residual(problem, theta)
    operator = objective.certificate().residual_operator(theta)
    assert operator.shape == (m, n)
    assert_allclose(operator @ np.eye(n), expected, **CLOSE)
    assert_allclose(operator.T @ np.eye(m), expected.T, **CLOSE)
    assert_allclose(operator.matvec(np.arange(n)), expected @ np.arange(n), **CLOSE)
    assert_allclose(operator.rmatvec(np.arange(m)), np.arange(m) @ expected, **CLOSE)
    assert_allclose(spectral_norm_bound(operator), np.linalg.norm(expected, 2), **CLOSE)


def test_residual_operator_of_no_factors_is_that_of_scores_zero(problem):
    objective, theta = problem.objective(), problem.theta()
    n = problem.matrix.shape[1]
    operator = objective.with_factors(0).certificate().residual_operator(theta[:, :0])
    assert_allclose(operator @ np.eye(n), dense_residual(problem, 0 * theta), **CLOSE)


def test_large_residual_operator_agrees_with_its_dense_singular_values():
    problem = WeightedProblem("large", ratings(0, 90, 80, 0.2), n_factors=3)
    objective, theta = problem.objective(), problem.theta()
    dense = dense_residual(problem, theta)
    assert_allclose(
        spectral_norm_bound(objective.certificate().residual_operator(theta)),
        np.linalg.norm(dense, 2),
    )


def test_residual_operator_of_single_precision_factors_is_computed_in_double(problem):
    objective, theta = problem.objective(), problem.theta().astype(np.float32)
    identity = np.eye(problem.matrix.shape[1])
    single = objective.certificate().residual_operator(theta) @ identity
    assert single.dtype == np.float64
    wide = objective.certificate().residual_operator(theta.astype(np.float64)) @ identity
    assert_array_equal(single, wide)


def test_spectrum_and_factors_belong_to_the_same_scaling(problem):
    objective, theta, m = problem.objective(), problem.theta(), len(problem.matrix)
    penalties = problem.regularization * problem.twin().row_multiples
    Z = theta * np.sqrt(penalties)[:, None]
    left, values, right = np.linalg.svd(Z[:m] @ Z[m:].T, full_matrices=False)
    got = objective.certificate().score_spectrum(theta)
    assert_allclose(np.sum(got), np.sum(values), **CLOSE)
    assert_allclose(got[: len(values)], values[: len(got)], **CLOSE)
    made = objective.certificate().factors_of(left, np.sqrt(values), right.T)
    assert_allclose(made[:m] @ made[m:].T, all_scores(problem, theta), **CLOSE)


# -- changes of the residual ---------------------------------------------------------------------
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), alpha=st.floats(0.1, 9), size=st.integers(1, 8))
def test_residual_change_bounds_the_norm_of_the_change(seed, alpha, size):
    problem = WeightedProblem("", ratings(seed, 9, 8, 0.3), alpha=alpha)
    objective, before = problem.objective(), problem.theta(seed)
    rows = np.unique(np.random.default_rng(seed).integers(0, len(before), size))
    after = before.copy()
    after[rows] += 0.1 * problem.direction(seed)[rows]
    dense = dense_residual(problem, after) - dense_residual(problem, before)
    norm = np.linalg.norm(dense, 2)
    bound = objective.certificate().residual_change(before, after, rows)
    assert norm <= bound * (1 + 1e-9)
    assert bound <= 20 * norm
    known = objective.certificate().residual_change(before, after, rows, objective.sums(before))
    assert_allclose(known, bound, rtol=1e-12)
    assert objective.certificate().residual_change(before, before, rows) == 0


def test_residual_change_of_one_side_without_cells_is_the_norm_itself():
    # Without cells only the low rank is left, and of one product the norm is exact.
    problem = WeightedProblem("", np.zeros((7, 6)), n_factors=3)
    before = problem.theta()
    for rows in (np.arange(3), 7 + np.arange(3)):
        after = before.copy()
        after[rows] *= 2
        dense = dense_residual(problem, after) - dense_residual(problem, before)
        bound = problem.objective().certificate().residual_change(before, after, rows)
        assert_allclose(bound, np.linalg.norm(dense, 2), rtol=1e-9)


def test_residual_change_knows_the_items_that_users_meet_after_the_move():
    # Users start at zero, so the change is the product of their step and the moved items.
    problem = WeightedProblem("", np.zeros((7, 6)), n_factors=3)
    before, after = problem.theta(), problem.theta()
    before[:7] = 0
    after[7:9] *= 9
    rows = np.arange(9)
    norm = np.linalg.norm(dense_residual(problem, after), 2)
    bound = problem.objective().certificate().residual_change(before, after, rows)
    assert_allclose(bound, norm, rtol=1e-9)


def test_residual_change_leaves_out_what_differs_elsewhere():
    problem = WEIGHTED_SOLVED[0]
    objective, before, rows = problem.objective(), problem.theta(), np.array([2, 14])
    after = before.copy()
    after[rows] += 0.1
    bound = objective.certificate().residual_change(before, after, rows)
    after[[0, 17]] = 50.0
    assert_allclose(objective.certificate().residual_change(before, after, rows), bound, rtol=1e-12)


@pytest.mark.parametrize("name", ["scaled-penalty", "user-weights"])
def test_nothing_bounds_a_change_if_the_scaling_may_have_changed(name):
    problem = next(problem for problem in WEIGHTED if problem.name == name)
    theta = problem.theta()
    assert problem.objective().certificate().residual_change(theta, theta, np.array([0])) == np.inf


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    alpha=st.floats(0.1, 9),
    count=st.integers(1, 12),
    weighted=st.booleans(),
)
def test_removed_residual_bounds_what_cells_take_with_them(seed, alpha, count, weighted):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.3, 3, 8) if weighted else None
    problem = WeightedProblem("", ratings(seed, 8, 7, 0.5), alpha=alpha, weights=weights)
    cells = np.argwhere(problem.matrix)
    users, items = cells[rng.permutation(len(cells))[:count]].T
    matrix = problem.matrix.copy()
    matrix[users, items] = 0
    assume(matrix.any(axis=1).all())  # a user without interactions has weight 1
    rest, theta = replace(problem, matrix=matrix), problem.theta(seed)
    change = dense_residual(problem, theta) - dense_residual(rest, theta)
    bound = (
        rest.objective()
        .certificate()
        .removed_residual(theta, users, items, problem.matrix[users, items])
    )
    norm = np.linalg.norm(change, 2)
    assert norm <= bound * (1 + 1e-9)
    assert bound <= 3 * norm


# -- primal and dual -----------------------------------------------------------------------------
def test_convex_value_is_the_losses_of_all_cells_and_the_nuclear_norm(problem):
    objective, theta, twin = problem.objective(), problem.theta(), problem.twin()
    losses = twin.value(theta) - 0.5 * np.sum(twin.ridge * theta**2)
    assert_allclose(objective.certificate().convex_value(theta, 3.0), losses + 3.0, **CLOSE)
    value = objective.certificate().convex_value(theta, nuclear_norm(objective, theta))
    assert value <= objective.value(theta) * (1 + 1e-12)


def test_dual_value_is_the_sum_of_conjugates_over_all_cells(problem):
    objective, theta, twin = problem.objective(), problem.theta(), problem.twin()
    for shrink in (0.0, 0.3, 1.0):
        total = 0.0
        for u, i, target, weight in twin.cells:
            slope = shrink * weight * (theta[u] @ theta[i] - target)
            total -= slope**2 / (2 * weight) + slope * target
        assert_allclose(objective.certificate().dual_value(theta, shrink), total, **CLOSE)


def test_values_in_single_precision_are_summed_in_double(solved):
    objective, theta = solved.objective(), solved.theta().astype(np.float32)
    wide = theta.astype(np.float64)
    assert objective.certificate().dual_value(theta, 0.5) == objective.certificate().dual_value(
        wide, 0.5
    )
    assert objective.certificate().convex_value(theta, 1.0) == objective.certificate().convex_value(
        wide, 1.0
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    alpha=st.floats(0.1, 10),
    regularization=st.floats(0.3, 20),
    weighted=st.booleans(),
    exponent=st.sampled_from([0.0, 0.5]),
)
def test_no_dual_value_is_above_the_optimum(seed, alpha, regularization, weighted, exponent):
    weights = np.random.default_rng(seed).uniform(0.3, 3, 7) if weighted else None
    problem = WeightedProblem(
        "",
        ratings(seed, 7, 6, 0.4),
        n_factors=6,
        alpha=alpha,
        regularization=regularization,
        weights=weights,
        frequency_scaling=exponent,
    )
    objective, optimum = fitted(problem)
    lowest = objective.certificate().convex_value(optimum, nuclear_norm(objective, optimum))
    for other, scale in ((0, 0.1), (1, 1.0), (2, 0.0)):
        theta = problem.theta(seed + other, scale)
        shrink = feasible_shrink(objective, theta)
        for share in (1.0, 0.5, 0.0):
            assert objective.certificate().dual_value(theta, share * shrink) <= lowest + 1e-8 * abs(
                lowest
            )


# -- certificate ---------------------------------------------------------------------------------
def test_the_optimum_certifies(solved):
    objective, theta = fitted(solved)
    certificate = certify(objective, theta)
    assert certificate.certified
    assert certificate.spectral_ratio == pytest.approx(1, abs=1e-6)
    assert certificate.relative_gap < 1e-8
    assert 0 < certificate.rank < certificate.n_factors
    assert missing_direction(objective, theta).value < 1
    # The rest of the penalty sits on the factors in equal parts: they cost the nuclear norm.
    assert_allclose(
        objective.value(theta),
        objective.certificate().convex_value(theta, nuclear_norm(objective, theta)),
        rtol=1e-9,
    )


def test_a_saturated_or_unfinished_model_does_not_certify():
    problem = replace(WEIGHTED_SOLVED[0], n_factors=1, regularization=1.0)
    certificate = certify(*fitted(problem))
    assert certificate.spectral_ratio > 1.05
    assert not certificate.certified
    assert not certify(*fitted(WEIGHTED_SOLVED[0], tol=0.0, max_iter=1)).certified


def test_score_zero_is_optimal_if_the_penalty_is_as_large_as_the_first_slopes():
    base = WEIGHTED_SOLVED[0]
    norm = np.linalg.norm(base.twin().confidences * (base.matrix != 0), 2)
    for factor, expected in ((1.001, True), (0.99, False)):
        problem = replace(base, regularization=factor * norm)
        theta = np.zeros_like(problem.theta())
        assert certify(problem.objective(), theta).certified is expected


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    alpha=st.floats(0.1, 10),
    regularization=st.floats(0.5, 20),
    weighted=st.booleans(),
    steps=st.tuples(st.integers(0, 4), st.integers(0, 4)),
)
def test_prediction_bound_covers_runs_that_stopped_elsewhere(
    seed, alpha, regularization, weighted, steps
):
    weights = np.random.default_rng(seed).uniform(0.3, 3, 7) if weighted else None
    problem = WeightedProblem(
        "", ratings(seed, 7, 6, 0.4), n_factors=6, alpha=alpha, weights=weights
    )
    problem = replace(problem, regularization=regularization)
    objective = problem.objective()
    runs = []
    for start, n in enumerate(steps):
        theta = problem.theta(seed + start, 0.5)
        if n:
            theta = newton(objective, theta, 0.0, NewtonSettings(max_steps=n)).theta
        runs.append((all_scores(problem, theta), certify(objective, theta)))
    (one, first), (other, second) = runs
    bound = max(first.prediction_bound, second.prediction_bound)
    squares, observed = (one - other) ** 2, problem.matrix != 0
    assert np.sqrt(squares.mean()) <= bound * (1 + 1e-9)
    assert np.sqrt(squares[observed].mean()) <= bound * (1 + 1e-9)


def test_prediction_bound_follows_the_least_curvature():
    plain = WeightedProblem("", np.array([[3.0, 0.0], [0.0, 2.0]]), alpha=1.0)
    theta = plain.theta()

    def bound(gap=0.5, **changes):
        return replace(plain, **changes).objective().certificate().prediction_bound(theta, 1.0, gap)

    # All cells: 2 sqrt(2 G / (1 * 4 cells)). Observed ones: least confidence 2, 2 cells.
    assert_allclose(bound(), 2 * np.sqrt(2 * 0.5 / 4))
    assert_allclose(bound(0.125), bound() / 2)
    # A confidence of 0.2 on two cells: least curvature for all, and half as many observed.
    assert_allclose(bound(alpha=0.1), 2 * np.sqrt(2 * 0.5 / (0.2 * 2)))
    # A user of weight 0.25 with an unobserved cell: confidences are too large to matter.
    light = {"weights": np.array([1.0, 0.25]), "alpha": 4.0}
    assert_allclose(bound(**light), 2 * np.sqrt(2 * 0.5 / (0.25 * 4)))
    assert_allclose(bound(matrix=np.zeros((2, 2))), 2 * np.sqrt(2 * 0.5 / 4))
    assert bound(np.inf) == np.inf
