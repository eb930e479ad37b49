import dataclasses
import tracemalloc

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from threadpoolctl import threadpool_limits

from sklearn_unlearn.backends import ScipyBackend
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import WeightedObjective
from sklearn_unlearn.optimizers import solve_rows
from tests.oracles import derivative
from tests.problems import WEIGHTED, WEIGHTED_SOLVED, WeightedProblem, hessian_of, ratings

CLOSE = {"rtol": 1e-10, "atol": 1e-10}
BY_NAME = {problem.name: problem for problem in WEIGHTED}


@pytest.fixture(params=WEIGHTED, ids=lambda problem: problem.name)
def problem(request):
    return request.param


# -- value and derivatives -----------------------------------------------------------------------
def test_value_and_gradient_are_those_of_the_loop_over_all_cells(problem):
    objective, twin, theta = problem.objective(), problem.twin(), problem.theta()
    assert_allclose(objective.value(theta), twin.value(theta), **CLOSE)
    assert_allclose(objective.gradient(theta), twin.gradient(theta), **CLOSE)


def test_gradient_is_the_derivative_of_the_value(problem):
    objective, theta = problem.objective(), problem.theta()
    for seed in range(3):
        V = problem.direction(seed)
        numeric = derivative(objective.value, theta, V)
        assert_allclose(np.vdot(objective.gradient(theta), V), numeric, rtol=1e-6, atol=1e-6)


def test_hessian_product_is_the_derivative_of_the_gradient(problem):
    objective, theta, V = problem.objective(), problem.theta(), problem.direction()
    numeric = derivative(objective.gradient, theta, V)
    assert_allclose(objective.at(theta).hessian_product(V), numeric, rtol=1e-5, atol=1e-6)


def test_hessian_is_the_dense_twin_and_symmetric(problem):
    theta = problem.theta()
    matrix = hessian_of(problem.objective(), theta)
    assert_allclose(matrix, problem.twin().hessian(theta), **CLOSE)
    assert_allclose(matrix, matrix.T, **CLOSE)


def test_diagonal_and_blocks_are_those_of_the_hessian(problem):
    theta = problem.theta()
    n, width = theta.shape
    dense = problem.twin().hessian(theta)
    point = problem.objective().at(theta)
    assert_allclose(point.hessian_diagonal().ravel(), np.diag(dense), **CLOSE)
    tensor = dense.reshape(n, width, n, width)
    expected = np.array([tensor[row, :, row] for row in range(n)])
    assert_allclose(point.blocks(), expected, **CLOSE)
    assert_allclose(point.blocks(users_only=True), expected[: len(problem.matrix)], **CLOSE)


def test_blocks_are_positive_definite_even_if_an_observation_counts_less_than_none():
    problem = BY_NAME["confidence-below-one"]
    assert problem.objective().confidence.min() < 1
    for seed in range(5):
        blocks = problem.objective().at(problem.theta(seed, 3.0)).blocks()
        assert np.linalg.eigvalsh(blocks).min() >= problem.regularization * (1 - 1e-9)


def test_evaluation_writes_to_nothing(problem):
    objective, theta, V = problem.objective(), problem.theta(), problem.direction()
    for array in (theta, V, objective.confidence):
        array.setflags(write=False)
    point = objective.at(theta)
    first = [point.value, point.gradient.copy(), point.hessian_product(V), point.blocks()]
    again = [point.value, point.gradient, point.hessian_product(V), point.blocks()]
    for a, b in zip(first, again, strict=True):
        assert_array_equal(a, b)
    with pytest.raises(dataclasses.FrozenInstanceError):
        objective.alpha = 1.0


def test_single_precision_stays_single_and_agrees_with_double(problem):
    objective, theta, V = problem.objective(), problem.theta(), problem.direction()
    exact, point = objective.at(theta), objective.at(theta.astype(np.float32))
    narrow, rows = V.astype(np.float32), np.arange(0, len(theta), 2)
    for got, want in [
        (point.gradient, exact.gradient),
        (point.hessian_product(narrow), exact.hessian_product(V)),
        (point.hessian_diagonal(), exact.hessian_diagonal()),
        (point.blocks(), exact.blocks()),
        (objective.ridge_gradient(point.theta, rows), objective.ridge_gradient(theta, rows)),
    ]:
        assert got.dtype == np.float32
        assert_allclose(got, want, rtol=1e-4, atol=2e-6 * np.abs(want).max())
    assert isinstance(point.value, float)
    assert_allclose(point.value, exact.value, rtol=1e-5)


def test_sums_over_many_single_precision_rows_lose_no_digits():
    # One at a time in single precision, a hundred thousand equal terms would be off by 1e-3.
    n = 100_000
    data = Interactions.from_matrix(sparse.csr_array((n, 1)))
    objective = WeightedObjective.from_interactions(
        data, n_factors=1, regularization=1.0, alpha=1.0, backend=ScipyBackend()
    )
    theta = np.full((n + 1, 1), 0.1, np.float32)
    entry = float(np.float32(0.1)) ** 2
    assert_allclose(objective.sums(theta)[0], n * entry, rtol=1e-12)
    assert_allclose(objective.value(theta), 0.5 * (n * entry**2 + (n + 1) * entry), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_hessian_product_makes_no_array_of_all_pairs_or_of_interactions_by_factors(dtype):
    problem = WeightedProblem("large", ratings(0, 600, 800, 0.1), n_factors=32)
    theta, objective = problem.theta().astype(dtype), problem.objective()
    point, V = objective.at(theta), np.ones_like(theta)
    point.hessian_product(V)
    tracemalloc.start()
    point.hessian_product(V)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A few tables and a few numbers a cell.
    limit = 8 * (4 * theta.size + 2 * objective.n_cells)
    assert peak < limit < 8 * 600 * 800 < 8 * 32 * objective.n_cells


def test_threads_do_not_change_a_bit(problem, monkeypatch):
    monkeypatch.setattr("sklearn_unlearn.backends._scipy._MIN_WORK", 0)
    theta, V = problem.theta(), problem.direction()
    one, two = (problem.objective(n).at(theta) for n in (1, 2))
    assert one.value == two.value
    assert_array_equal(one.gradient, two.gradient)
    assert_array_equal(one.hessian_product(V), two.hessian_product(V))
    assert_array_equal(one.blocks(), two.blocks())


# -- confidence, rotation, weights ---------------------------------------------------------------
def implicit_factors(matrix, alpha, regularization):
    # It warns, once made, of a BLAS that would run threads inside its own.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=4,
            regularization=regularization,
            alpha=alpha,
            iterations=200,
            use_cg=False,
            dtype=np.float64,
            random_state=0,
            num_threads=1,
        )
        model.fit(sparse.csr_matrix(matrix), show_progress=False)
    return np.concatenate([model.user_factors, model.item_factors])


@pytest.mark.parametrize(("alpha", "regularization"), [(2.0, 6.0), (0.25, 1.5), (20.0, 90.0)])
def test_converged_factors_of_implicit_are_stationary(alpha, regularization):
    matrix = ratings(40, 25, 18, 0.3)
    theta = implicit_factors(matrix, alpha, regularization)
    assert np.abs(theta).max() > 0.1

    def left(alpha, regularization):
        problem = WeightedProblem("", matrix, n_factors=4, alpha=alpha)
        problem = dataclasses.replace(problem, regularization=regularization)
        objective = problem.objective()
        return np.linalg.norm(objective.gradient(theta)) / objective.gradient_scale

    assert left(alpha, regularization) < 1e-7
    # The test would notice another confidence or penalty.
    assert left(alpha, 1.01 * regularization) > 1e-4
    assert left(1.01 * alpha, regularization) > 1e-4


def test_confidence_is_alpha_times_the_value():
    problem = WeightedProblem("", np.array([[0.5, 0.0], [3.0, 1.0]]), alpha=4.0)
    objective = problem.objective()
    assert_array_equal(objective.confidence, [2.0, 12.0, 4.0])
    assert objective.alpha == 4.0
    assert objective.offset == 0.0


def test_rotating_the_latent_columns_leaves_the_value_alone(problem):
    objective, theta, k = problem.objective(), problem.theta(), problem.n_factors
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((k, k)))[0]
    assert objective.has_gauge
    assert_allclose(objective.value(theta @ turn), objective.value(theta), rtol=1e-12)


@pytest.mark.parametrize("exponent", [0.0, 0.5])
@pytest.mark.parametrize("name", ["plain", "confidence-below-one"])
def test_a_weight_counts_like_repeated_users(name, exponent):
    plain = dataclasses.replace(BY_NAME[name], frequency_scaling=exponent)
    m = len(plain.matrix)
    counts = np.array([1, 3, 2, 1, 4, 2])
    copies = np.repeat(np.arange(m), counts)
    weighted = dataclasses.replace(plain, weights=counts.astype(float))
    repeated = dataclasses.replace(plain, matrix=plain.matrix[copies])
    theta = plain.theta()
    rows = np.concatenate([copies, np.arange(m, len(theta))])
    a, b = weighted.objective(), repeated.objective()
    assert_allclose(a.value(theta), b.value(theta[rows]), rtol=1e-12)
    assert_allclose(a.mean_loss(theta), b.mean_loss(theta[rows]), rtol=1e-12)
    one_copy = b.gradient(theta[rows])
    first = np.append(0, np.cumsum(counts))[:-1]
    assert_allclose(a.gradient(theta)[:m], counts[:, None] * one_copy[first], **CLOSE)
    assert_allclose(a.gradient(theta)[m:], one_copy[len(copies) :], **CLOSE)


def test_user_of_weight_zero_is_a_user_without_interactions():
    weighted = BY_NAME["user-weights"]
    matrix = weighted.matrix * (weighted.weights > 0)[:, None]
    weights = np.where(weighted.weights > 0, weighted.weights, 1.0)
    without = dataclasses.replace(weighted, matrix=matrix, weights=weights)
    theta = weighted.theta()
    assert weighted.objective().value(theta) == without.objective().value(theta)
    assert_array_equal(weighted.objective().gradient(theta), without.objective().gradient(theta))


# -- what a fit asks beside ----------------------------------------------------------------------
def test_mean_loss_is_the_mean_over_all_pairs(problem):
    twin, theta = problem.twin(), problem.theta()
    n_items = problem.matrix.shape[1]
    losses = twin.value(theta) - 0.5 * np.sum(twin.ridge * theta**2)
    expected = losses / (twin.cell_weights.sum() * n_items)
    assert_allclose(problem.objective().mean_loss(theta), expected, **CLOSE)


def test_ridge_gradient_is_the_gradient_of_the_penalty(problem):
    theta = problem.theta()
    rows = np.arange(len(theta))[::-2]
    expected = (problem.twin().ridge * theta)[rows]
    assert_allclose(problem.objective().ridge_gradient(theta, rows), expected, **CLOSE)


@pytest.mark.parametrize("n_factors", [0, 4])
def test_other_number_of_factors_is_another_problem_with_the_same_penalties(problem, n_factors):
    other = dataclasses.replace(problem, n_factors=n_factors)
    changed, theta = problem.objective().with_factors(n_factors), other.theta()
    assert changed.layout == other.objective().layout
    assert_allclose(changed.value(theta), other.twin().value(theta), **CLOSE)
    assert_allclose(changed.gradient(theta), other.twin().gradient(theta), **CLOSE)


def test_gradient_scale_is_the_norm_of_the_first_slopes(problem):
    twin = problem.twin()
    expected = np.linalg.norm(twin.slopes(np.zeros_like(problem.theta())))
    # Where nothing is observed, tolerances are of the unit 1.
    assert_allclose(problem.objective().gradient_scale, expected or 1.0, **CLOSE)


@pytest.mark.parametrize("problem", WEIGHTED_SOLVED, ids=lambda problem: problem.name)
def test_rows_solve_in_one_newton_step_and_leave_items_alone(problem):
    objective, theta, m = problem.objective(), problem.theta(), len(problem.matrix)
    frozen = objective.freeze_items()
    assert not frozen.has_gauge
    assert frozen.value(theta) == objective.value(theta)
    assert not frozen.gradient(theta)[m:].any()
    point = frozen.at(theta)
    step = -np.linalg.solve(point.blocks(users_only=True), point.gradient[:m, :, None])[..., 0]
    assert_array_equal(frozen.damping_of(theta, step), np.ones(m))
    moved = theta.copy()
    moved[:m] += step
    assert_allclose(objective.gradient(moved)[:m], 0, atol=1e-9 * objective.gradient_scale)
    assert_allclose(solve_rows(frozen, theta), moved, **CLOSE)
