import dataclasses
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.backends import ScipyBackend
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import LOSSES, Layout, PointwiseObjective
from tests.oracles import derivative
from tests.problems import PROBLEMS, Problem, hessian_of, labels

CLOSE = {"rtol": 1e-10, "atol": 1e-10}
WITH_CELLS = [problem for problem in PROBLEMS if problem.matrix.any()]
BY_NAME = {problem.name: problem for problem in PROBLEMS}


@pytest.fixture(params=PROBLEMS, ids=lambda problem: problem.name)
def problem(request):
    return request.param


# -- value and derivatives -----------------------------------------------------------------------
def test_value_and_gradient_are_those_of_the_loop(problem):
    objective, twin, theta = problem.objective(), problem.twin(), problem.theta()
    assert_allclose(objective.value(theta), twin.value(theta), **CLOSE)
    assert_allclose(objective.gradient(theta), twin.gradient(theta), **CLOSE)


def test_gradient_is_the_derivative_of_the_value(problem):
    objective, theta = problem.objective(), problem.theta()
    for seed in range(3):
        V = problem.direction(seed)
        numeric = derivative(objective.value, theta, V)
        assert_allclose(np.vdot(objective.gradient(theta), V), numeric, rtol=1e-6, atol=1e-7)


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
    theta, twin = problem.theta(), problem.twin()
    n, width = theta.shape
    dense = twin.hessian(theta) + np.diag(1.0 - twin.free.ravel())
    point = problem.objective().at(theta)
    assert_allclose(point.hessian_diagonal().ravel(), np.diag(dense), **CLOSE)
    tensor = dense.reshape(n, width, n, width)
    expected = np.array([tensor[row, :, row] for row in range(n)])
    assert_allclose(point.blocks(), expected, **CLOSE)
    m = len(problem.matrix)
    assert_allclose(point.blocks(users_only=True), expected[:m], **CLOSE)


def test_columns_of_ones_never_move(problem):
    objective, theta, free = problem.objective(), problem.theta(), problem.twin().free
    point = objective.at(theta)
    assert not point.gradient[~free].any()
    assert not point.hessian_product(problem.direction())[~free].any()
    assert np.all(theta[~free] == 1)


def test_evaluation_writes_to_nothing(problem):
    objective, theta, V = problem.objective(), problem.theta(), problem.direction()
    theta.setflags(write=False)
    V.setflags(write=False)
    point = objective.at(theta)
    first = [point.value, point.gradient.copy(), point.hessian_product(V), point.blocks()]
    again = [point.value, point.gradient, point.hessian_product(V), point.blocks()]
    for a, b in zip(first, again, strict=True):
        assert_array_equal(a, b)
    with pytest.raises(dataclasses.FrozenInstanceError):
        objective.offset = 1.0


@pytest.mark.parametrize("scale", [30.0, 1e3])
@pytest.mark.parametrize("name", ["logistic-plain", "logistic-bias"])
def test_extreme_scores_keep_everything_finite(name, scale):
    problem = BY_NAME[name]
    point = problem.objective().at(problem.theta(scale=scale))
    assert abs(point.scores).max() > 800
    assert np.isfinite(point.value)
    for table in (point.gradient, point.hessian_diagonal(), point.blocks()):
        assert np.isfinite(table).all()
    assert np.isfinite(point.hessian_product(problem.direction())).all()


def test_threads_do_not_change_a_bit(problem, monkeypatch):
    monkeypatch.setattr("sklearn_unlearn.backends._scipy._MIN_WORK", 0)
    theta, V = problem.theta(), problem.direction()
    one, two = (problem.objective(n).at(theta) for n in (1, 2))
    assert one.value == two.value
    assert_array_equal(one.gradient, two.gradient)
    assert_array_equal(one.hessian_product(V), two.hessian_product(V))
    assert_array_equal(one.blocks(), two.blocks())


def test_hessian_product_makes_no_array_of_interactions_by_factors():
    problem = Problem("large", labels(0, 300, 400, 0.5), n_factors=32, fit_bias=False)
    theta = problem.theta()
    objective = problem.objective()
    point = objective.at(theta)
    V = np.ones_like(theta)
    point.hessian_product(V)
    tracemalloc.start()
    point.hessian_product(V)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Three tables and one number a cell; a gather would take n_cells * n_factors * 8 bytes.
    assert peak < 8 * (3 * theta.size + 2 * objective.n_cells)


# -- rotation, weights, offset -------------------------------------------------------------------
@pytest.mark.parametrize("problem", WITH_CELLS, ids=lambda problem: problem.name)
def test_rotating_the_latent_columns_leaves_the_value_alone(problem):
    objective, theta, k = problem.objective(), problem.theta(), problem.n_factors
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((k, k)))[0]
    turned = theta.copy()
    turned[:, :k] = theta[:, :k] @ turn
    assert objective.has_gauge
    assert_allclose(objective.value(turned), objective.value(theta), rtol=1e-12)


@pytest.mark.parametrize("exponent", [0.0, 0.5])
@pytest.mark.parametrize("name", ["logistic-bias", "squared-bias", "squared-plain"])
def test_a_weight_counts_like_repeated_users(name, exponent):
    plain = dataclasses.replace(BY_NAME[name], frequency_scaling=exponent)
    m = len(plain.matrix)
    counts = np.array([1, 3, 2, 1, 4, 2])[:m]
    copies = np.repeat(np.arange(m), counts)
    weighted = dataclasses.replace(plain, weights=counts.astype(float))
    repeated = dataclasses.replace(plain, matrix=plain.matrix[copies])
    theta = plain.theta()
    rows = np.concatenate([copies, np.arange(m, len(theta))])
    a, b = weighted.objective(), repeated.objective()
    assert_allclose(a.offset, b.offset, rtol=1e-12)
    assert_allclose(a.value(theta), b.value(theta[rows]), rtol=1e-12)
    one_copy = b.gradient(theta[rows])
    first = np.append(0, np.cumsum(counts))[:-1]
    assert_allclose(a.gradient(theta)[:m], counts[:, None] * one_copy[first], **CLOSE)
    assert_allclose(a.gradient(theta)[m:], one_copy[len(copies) :], **CLOSE)


def test_user_of_weight_zero_is_a_user_without_interactions():
    weighted = BY_NAME["logistic-weighted"]
    matrix = weighted.matrix * (weighted.weights > 0)[:, None]
    weights = np.where(weighted.weights > 0, weighted.weights, 1.0)
    without = dataclasses.replace(weighted, matrix=matrix, weights=weights)
    theta = weighted.theta()
    assert weighted.objective().value(theta) == without.objective().value(theta)
    assert_array_equal(weighted.objective().gradient(theta), without.objective().gradient(theta))


@pytest.mark.parametrize("name", ["logistic-bias", "squared-bias", "one-label"])
def test_offset_is_added_to_every_score(name):
    problem = BY_NAME[name]
    objective, theta, m = problem.objective(), problem.theta(), len(problem.matrix)
    values = problem.matrix[problem.matrix != 0]
    loss = LOSSES[problem.loss]
    assert objective.offset == loss.offset(loss.targets(values), None) != 0
    scores = (theta[:m] @ theta[m:].T)[problem.matrix != 0] + objective.offset
    assert_allclose(objective.scores(theta), scores, **CLOSE)
    assert dataclasses.replace(problem, global_mean=False).objective().offset == 0


@pytest.mark.parametrize("global_mean", [False, True])
def test_offset_of_other_data_may_be_given(global_mean):
    data = Interactions.from_matrix([[1.0, -1.0, 1.0]])
    settings = {"loss": "logistic", "n_factors": 1, "regularization": 1.0, "fit_bias": False}
    settings |= {"bias_regularization": 1.0, "backend": ScipyBackend(), "global_mean": global_mean}
    objective = PointwiseObjective.from_interactions(data, offset=-3.0, **settings)
    assert_allclose(objective.scores(np.zeros((4, 1))), -3.0)


def test_nothing_observed_leaves_the_penalty():
    problem = BY_NAME["nothing-observed"]
    objective, theta = problem.objective(), problem.theta()
    assert objective.n_cells == objective.offset == 0
    moving = np.where(problem.twin().free, theta, 0)
    assert_allclose(objective.gradient(theta), problem.twin().ridge * moving, **CLOSE)
    assert objective.gradient_scale == 1


# -- what a fit and a certificate ask beside -----------------------------------------------------
def test_ridge_gradient_is_the_gradient_of_the_penalty(problem):
    theta, twin = problem.theta(), problem.twin()
    rows = np.arange(len(theta))[::-2]
    expected = np.where(twin.free, twin.ridge * theta, 0)[rows]
    assert_allclose(problem.objective().ridge_gradient(theta, rows), expected, **CLOSE)


@pytest.mark.parametrize("n_factors", [0, 4])
def test_other_number_of_factors_is_another_problem_with_the_same_penalties(problem, n_factors):
    other = dataclasses.replace(problem, n_factors=n_factors)
    changed, theta = problem.objective().with_factors(n_factors), other.theta()
    assert changed.layout == other.objective().layout
    assert_allclose(changed.value(theta), other.twin().value(theta), **CLOSE)
    assert_allclose(changed.gradient(theta), other.twin().gradient(theta), **CLOSE)


def test_frozen_items_leave_the_derivatives_of_users_alone(problem):
    objective, theta, m = problem.objective(), problem.theta(), len(problem.matrix)
    frozen = objective.freeze_items()
    assert not frozen.has_gauge
    assert frozen.value(theta) == objective.value(theta)
    assert_array_equal(frozen.gradient(theta)[:m], objective.gradient(theta)[:m])
    assert not frozen.gradient(theta)[m:].any()
    V = np.where(np.arange(len(theta))[:, None] < m, problem.direction(), 0)
    product = frozen.at(theta).hessian_product(V)
    assert_array_equal(product[:m], objective.at(theta).hessian_product(V)[:m])
    assert not product[m:].any()


def test_gradient_scale_is_the_norm_of_the_first_slopes(problem):
    twin = problem.twin()
    slopes = np.zeros(twin.matrix.shape)
    for u, i, target, weight in twin.cells:
        s, y = np.array([twin.offset]), np.array([target])
        slopes[u, i - len(slopes)] = weight * LOSSES[problem.loss].derivatives(s, y)[0][0]
    # Where nothing is observed, tolerances are of the unit 1.
    expected = np.linalg.norm(slopes) or 1.0
    assert_allclose(problem.objective().gradient_scale, expected, **CLOSE)


def test_residual_operator_is_the_scaled_matrix_of_slopes(problem):
    objective, theta, twin = problem.objective(), problem.theta(), problem.twin()
    m, n = problem.matrix.shape
    slopes = np.zeros((m, n))
    scores = theta[:m] @ theta[m:].T + twin.offset
    for u, i, target, weight in twin.cells:
        s, y = scores[u, i - m, None], np.array([target])
        slopes[u, i - m] = weight * LOSSES[problem.loss].derivatives(s, y)[0][0]
    ridge = problem.regularization * twin.row_multiples
    expected = slopes / np.sqrt(ridge[:m, None] * ridge[m:])
    operator = objective.certificate().residual_operator(theta)
    assert_allclose(operator @ np.eye(n), expected, **CLOSE)
    assert_allclose(operator.T @ np.eye(m), expected.T, **CLOSE)
    # At an optimum ||Z||^2 is the nuclear norm of what these factors stand for.
    left, values, right = np.linalg.svd(expected, full_matrices=False)
    Z = objective.certificate().factors_of(left, values, right.T)
    unscaled = np.sqrt(ridge)[:, None] * Z
    assert_allclose(unscaled[:m] @ unscaled[m:].T, left @ np.diag(values**2) @ right, **CLOSE)


@pytest.mark.parametrize("problem", WITH_CELLS, ids=lambda problem: problem.name)
def test_damped_steps_of_all_users_never_raise_the_value(problem):
    objective, m = problem.objective(), len(problem.matrix)
    for seed in range(5):
        theta = problem.theta(seed, scale=4.0)
        point = objective.at(theta)
        step = -np.linalg.solve(point.blocks(users_only=True), point.gradient[:m, :, None])[..., 0]
        lengths = objective.damping_of(theta, step)
        moved = theta.copy()
        moved[:m] += lengths[:, None] * step
        assert lengths.shape == (m,)
        assert np.all((lengths > 0) & (lengths <= 1))
        assert objective.value(moved) <= point.value
        if problem.loss == "squared":
            assert_allclose(objective.gradient(moved)[:m], 0, atol=1e-8)


# -- layout --------------------------------------------------------------------------------------
def test_packed_scores_are_factors_plus_biases():
    layout, rng = Layout(3, 2, 2, True), np.random.default_rng(0)
    Z, biases = rng.standard_normal((5, 2)), rng.standard_normal(5)
    theta = layout.pack(Z, biases)
    expected = Z[:3] @ Z[3:].T + biases[:3, None] + biases[3:]
    assert_allclose(theta[:3] @ theta[3:].T, expected, **CLOSE)
    users, items = layout.biases(theta)
    assert_array_equal(np.concatenate([users, items]), biases)
    assert_array_equal(layout.pack(Z)[:, :2], Z)
    assert not np.concatenate(layout.biases(layout.pack(Z))).any()


@pytest.mark.parametrize("fit_bias", [False, True])
def test_empty_rows_are_the_optimum_of_rows_without_interactions(fit_bias):
    layout = Layout(3, 4, 2, fit_bias)
    rows = np.array([6, 0, 3])
    theta = layout.pack(np.zeros((7, 2)))
    assert_array_equal(layout.empty_rows(rows), theta[rows])


def test_pack_copies():
    Z = np.ones((2, 1))
    Layout(1, 1, 1, False).pack(Z)[:] = 5
    assert_array_equal(Z, 1)


def test_bias_regularization_may_differ_between_users_and_items():
    objective = PointwiseObjective.from_interactions(
        Interactions.from_matrix([[1.0, -1.0]]),
        loss="logistic",
        n_factors=1,
        regularization=2.0,
        bias_regularization=(3.0, 5.0),
        fit_bias=True,
        global_mean=False,
        backend=ScipyBackend(),
    )
    theta = objective.layout.pack(np.zeros((3, 1)), np.array([1.0, 10.0, 100.0]))
    penalty = 0.5 * (3 * 1 + 5 * (10**2 + 100**2))
    losses = LOSSES["logistic"].value(objective.scores(theta), np.array([1.0, 0.0])).sum()
    assert_allclose(objective.value(theta), penalty + losses, rtol=1e-12)
