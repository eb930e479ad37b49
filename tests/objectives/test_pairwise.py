import dataclasses
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.objectives import _pairwise
from tests.objectives.pairwise_twin import PROBLEMS, PairwiseProblem, presence
from tests.oracles import derivative
from tests.problems import hessian_of

CLOSE = {"rtol": 1e-10, "atol": 1e-10}
BY_NAME = {problem.name: problem for problem in PROBLEMS}


@pytest.fixture(params=PROBLEMS, ids=lambda problem: problem.name)
def problem(request):
    return request.param


# -- value and derivatives -----------------------------------------------------------------------
def test_value_and_gradient_are_those_of_the_loop(problem):
    objective, twin, theta = problem.objective(), problem.twin(), problem.theta()
    assert_allclose(objective.value(theta), twin.value(theta), **CLOSE)
    assert_allclose(objective.gradient(theta), twin.gradient(theta), **CLOSE)


def test_derivatives_are_those_of_the_value(problem):
    objective, theta, V = problem.objective(), problem.theta(), problem.direction()
    point = objective.at(theta)
    slope = derivative(objective.value, theta, V)
    assert_allclose(np.vdot(point.gradient, V), slope, rtol=1e-6, atol=1e-7)
    change = derivative(objective.gradient, theta, V)
    assert_allclose(point.hessian_product(V), change, rtol=1e-5, atol=1e-6)


def test_hessian_is_the_dense_twin_and_symmetric(problem):
    theta = problem.theta()
    matrix = hessian_of(problem.objective(), theta)
    assert_allclose(matrix, problem.twin().hessian(theta), **CLOSE)
    assert_allclose(matrix, matrix.T, **CLOSE)


@pytest.mark.parametrize("groups_at_once", [2, 1 << 16])
def test_diagonal_and_blocks_are_those_of_the_hessian(problem, groups_at_once, monkeypatch):
    monkeypatch.setattr(_pairwise, "_GROUPS_AT_ONCE", groups_at_once)
    theta, twin = problem.theta(), problem.twin()
    n, width = theta.shape
    dense = twin.hessian(theta) + np.diag(1.0 - twin.free.ravel())
    point = problem.objective().at(theta)
    assert_allclose(point.hessian_diagonal().ravel(), np.diag(dense), **CLOSE)
    tensor = dense.reshape(n, width, n, width)
    expected = np.array([tensor[row, :, row] for row in range(n)]).reshape(n, width, width)
    assert_allclose(point.blocks(), expected, **CLOSE)
    assert_allclose(point.blocks(users_only=True), expected[: len(problem.matrix)], **CLOSE)


def test_a_model_without_a_penalty_is_the_losses_alone(problem):
    objective, theta, V = problem.objective(), problem.theta(), problem.direction()
    bare = dataclasses.replace(
        objective, ridge=dataclasses.replace(objective.ridge, factors=0.0, biases=(0.0, 0.0))
    )
    twin = problem.twin()
    losses = dataclasses.replace(twin, ridge=0 * twin.ridge)
    assert_allclose(bare.value(theta), losses.value(theta), **CLOSE)
    assert_allclose(bare.gradient(theta), losses.gradient(theta), **CLOSE)
    expected = (losses.hessian(theta) @ V.ravel()).reshape(V.shape)
    assert_allclose(bare.at(theta).hessian_product(V), expected, **CLOSE)
    assert np.isfinite(bare.at(theta).hessian_diagonal()).all()
    assert np.isfinite(bare.certificate().convex_value(theta, 0.0))


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
        objective.seed = 1


@pytest.mark.parametrize("name", ["bias", "plain", "counts"])
def test_extreme_scores_keep_everything_finite(name):
    problem = BY_NAME[name]
    point = problem.objective().at(problem.theta(scale=100.0))
    assert abs(point.differences).max() > 800
    assert np.isfinite(point.value)
    for table in (point.gradient, point.hessian_diagonal(), point.blocks()):
        assert np.isfinite(table).all()


def test_threads_do_not_change_a_bit(problem, monkeypatch):
    monkeypatch.setattr("sklearn_unlearn.backends._scipy._MIN_WORK", 0)
    theta, V = problem.theta(), problem.direction()
    one, two = (problem.objective(n).at(theta) for n in (1, 2))
    assert one.value == two.value
    assert_array_equal(one.gradient, two.gradient)
    assert_array_equal(one.hessian_product(V), two.hessian_product(V))
    assert_array_equal(one.hessian_diagonal(), two.hessian_diagonal())
    assert_array_equal(one.blocks(), two.blocks())


def test_products_and_diagonals_make_no_array_of_cells_by_factors(monkeypatch):
    monkeypatch.setattr(_pairwise, "_GROUPS_AT_ONCE", 256)
    matrix = presence(0, 300, 400, 0.3)
    problem = PairwiseProblem("large", matrix, n_factors=32, n_negatives=4, fit_bias=False)
    theta, objective = problem.theta(), problem.objective()
    point, V = objective.at(theta), np.ones_like(theta)
    for call in (lambda: point.hessian_product(V), point.hessian_diagonal):
        call()
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # Some tables and some numbers a cell; a gather would take n_cells * n_factors * 8 bytes.
        assert peak < 8 * (6 * theta.size + 5 * objective.n_cells)


# -- symmetries ----------------------------------------------------------------------------------
def test_rotation_and_shift_of_a_user_leave_the_value_alone(problem):
    objective, theta, k = problem.objective(), problem.theta(), problem.n_factors
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((k, k)))[0]
    turned = theta.copy()
    turned[:, :k] = theta[:, :k] @ turn
    assert objective.has_gauge
    assert_allclose(objective.value(turned), objective.value(theta), rtol=1e-12)


def test_user_biases_cancel():
    problem = BY_NAME["bias"]
    objective, theta, m = problem.objective(), problem.theta(), 7
    point = objective.at(theta)
    assert_allclose(point.gradient[:m, 2], 0.4 * theta[:m, 2], **CLOSE)
    assert_allclose(point.hessian_diagonal()[:m, 2], 0.4, **CLOSE)


def test_a_value_counts_like_repeated_interactions():
    problem = BY_NAME["bias"]
    twice = dataclasses.replace(problem, matrix=2 * problem.matrix)
    theta, m = problem.theta(), len(problem.matrix)
    seen = (problem.matrix != 0).any(axis=1)
    one, two = problem.objective(), twice.objective()
    losses, doubled = (o.slopes(theta) for o in (one, two))
    assert_allclose(doubled, 2 * losses, **CLOSE)
    # So does the weight of a user, whose penalty counts twice as well.
    weighted = dataclasses.replace(problem, weights=np.where(seen, 2.0, 1.0))
    assert_allclose(
        weighted.objective().gradient(theta)[:m][seen], 2 * one.gradient(theta)[:m][seen], **CLOSE
    )


# -- what a fit and a certificate ask beside -----------------------------------------------------
def test_ridge_gradient_is_the_gradient_of_the_penalty(problem):
    theta, twin = problem.theta(), problem.twin()
    rows = np.arange(len(theta))[::-2]
    expected = np.where(twin.free, twin.ridge * theta, 0)[rows]
    assert_allclose(problem.objective().ridge_gradient(theta, rows), expected, **CLOSE)


@pytest.mark.parametrize("n_factors", [0, 4])
def test_other_number_of_factors_is_another_problem_with_the_same_draws(problem, n_factors):
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
    assert_array_equal(frozen.at(theta).blocks()[:m], objective.at(theta).blocks()[:m])


def test_gradient_scale_is_the_norm_of_the_slopes_at_score_zero(problem):
    squares, of_positives = 0.0, {}
    for u, i, _, weight in problem.twin().triples:
        squares += (weight / 2) ** 2
        of_positives[u, i] = of_positives.get((u, i), 0.0) + weight / 2
    squares += sum(slope**2 for slope in of_positives.values())
    # Where nothing counts there is no unit.
    assert problem.objective().gradient_scale == pytest.approx(np.sqrt(squares) or 1.0)


def test_damped_steps_of_all_users_never_raise_the_value(problem):
    objective, m = problem.objective(), len(problem.matrix)
    for seed in range(3):
        theta = problem.theta(seed, scale=4.0)
        point = objective.at(theta)
        step = -np.linalg.solve(point.blocks(users_only=True), point.gradient[:m, :, None])[..., 0]
        lengths = objective.damping_of(theta, step)
        moved = theta.copy()
        moved[:m] += lengths[:, None] * step
        assert lengths.shape == (m,)
        assert np.all((lengths > 0) & (lengths <= 1))
        assert objective.value(moved) <= point.value + 1e-12


def test_mean_loss_is_that_of_the_negatives(problem):
    twin, theta, m = problem.twin(), problem.theta(), len(problem.matrix)
    losses = [
        (np.logaddexp(0, -theta[u] @ (theta[m + i] - theta[m + j])), w)
        for u, i, j, w in twin.triples
    ]
    expected = 0.0
    if losses:
        values, weights = np.transpose(losses)
        expected = np.average(values, weights=weights)
    assert problem.objective().mean_loss(theta) == pytest.approx(expected, rel=1e-12)
