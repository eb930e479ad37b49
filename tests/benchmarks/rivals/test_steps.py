"""Rivals from papers, against dense arithmetic that knows the formula of ALS and nothing else."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn import ALS, BPR, LightGCN, MatrixFactorization
from sklearn_unlearn.benchmarks.methods._settings import make_settings
from sklearn_unlearn.benchmarks.rivals import (
    FineTuning,
    GradientAscent,
    LiSSA,
    NoisyFineTuning,
    TouchedInfluence,
)
from sklearn_unlearn.benchmarks.rivals._common import largest_curvature
from sklearn_unlearn.benchmarks.rivals._second_order import conjugate_gradients
from sklearn_unlearn.datasets import make_interactions

M, N, ALPHA, REG = 14, 10, 4.0, 1.5
X = make_interactions(M, N, feedback="implicit", random_state=0)
PAIRS = np.argwhere(X.toarray())[[0, 9, 30]]
REQUESTS = {"pairs": {"interactions": PAIRS}, "users": {"users": [3]}}
KINDS = pytest.mark.parametrize("kind", REQUESTS)


class Recorder:
    """A strategy that keeps its problem and does nothing."""

    def unlearn(self, problem):
        self.problem = problem
        return FineTuning(1, 1e-9).unlearn(problem)


def problem_of(kind):
    model = ALS(3, alpha=ALPHA, regularization=REG, random_state=0, tol=1e-10).fit(X)
    recorder = Recorder()
    model.set_params(unlearner=recorder).forget(**REQUESTS[kind])
    return recorder.problem


class Dense:
    """The formula in the docstring of `ALS`, over every cell."""

    def __init__(self, kind):
        before, after = X.toarray(), X.toarray()
        if kind == "pairs":
            after[tuple(PAIRS.T)] = 0
        else:
            after[3] = 0
        self.before, self.after = before, after
        self.emptied = np.append(~after.any(axis=1), ~after.any(axis=0))
        self.touched = np.append((before != after).any(axis=1), (before != after).any(axis=0))

    @staticmethod
    def gradient(theta, data):
        P, Q = theta[:M], theta[M:]
        weights = np.where(data > 0, ALPHA * data, 1.0)
        slopes = weights * (P @ Q.T - (data > 0))
        return np.concatenate([slopes @ Q, slopes.T @ P]) + REG * theta

    def hessian(self, theta):
        size, h = theta.size, 1e-5
        H = np.empty((size, size))
        for j in range(size):
            e = np.zeros(size)
            e[j] = h
            e = e.reshape(theta.shape)
            ends = [self.gradient(theta + sign * e, self.after) for sign in (1, -1)]
            H[:, j] = (ends[0] - ends[1]).ravel() / (2 * h)
        return (H + H.T) / 2

    def settled(self, theta):
        theta = theta.copy()
        theta[self.emptied] = 0
        return theta

    def change(self, theta):
        """The gradient that the request brings in, emptied rows at zero."""
        g = self.gradient(self.settled(theta), self.after) - self.gradient(theta, self.before)
        g[self.emptied] = 0
        return g


@KINDS
def test_the_longest_curvature(kind):
    problem, dense = problem_of(kind), Dense(kind)
    exact = np.linalg.eigvalsh(dense.hessian(problem.theta))[-1]
    assert 0.9 * exact < largest_curvature(problem, problem.theta) <= exact * (1 + 1e-6)


@KINDS
def test_ascent_and_fine_tuning(kind):
    problem, dense = problem_of(kind), Dense(kind)
    up = problem.theta.copy()
    rate = 0.5 / largest_curvature(problem, up)
    for _ in range(3):
        up -= rate * (dense.gradient(up, dense.after) - dense.gradient(up, dense.before))
    assert_allclose(GradientAscent(3, 0.5).unlearn(problem).theta, dense.settled(up), atol=1e-9)

    down = dense.settled(problem.theta)
    rate = 0.8 / largest_curvature(problem, down)
    for _ in range(4):
        down -= rate * dense.gradient(down, dense.after)
    assert_allclose(FineTuning(4, 0.8).unlearn(problem).theta, down, atol=1e-9)


@KINDS
def test_ascent_raises_the_loss_of_what_is_forgotten_and_has_no_end(kind):
    problem = problem_of(kind)
    losses = []
    for n_steps in (1, 5, 25):
        theta = GradientAscent(n_steps, 0.2).unlearn(problem).theta
        before, after = problem.objective_before(), problem.objective
        losses.append(before.value(theta) - after.value(theta))
    start = problem.objective_before().value(problem.theta) - problem.objective.value(problem.theta)
    if kind == "pairs":  # of whole users the last move, to zero, is no ascent
        assert start < losses[0] < losses[1] < losses[2]
    assert GradientAscent(25, 0.2).unlearn(problem).gradient_norm[1] > 0


def test_noise_has_the_size_that_the_formula_says():
    problem = problem_of("pairs")
    quiet = FineTuning(1).unlearn(problem).theta
    rate = 1 / largest_curvature(problem, problem.theta)
    draws = [
        NoisyFineTuning(1, noise=0.3, random_state=seed).unlearn(problem).theta - quiet
        for seed in range(60)
    ]
    assert np.std(draws) == pytest.approx(np.sqrt(2 * rate) * 0.3, rel=0.05)
    assert abs(np.mean(draws)) < 0.01
    without = NoisyFineTuning(5, noise=0.0).unlearn(problem).theta
    assert_array_equal(without, FineTuning(5).unlearn(problem).theta)


@KINDS
@pytest.mark.parametrize("scope", ["touched", "users"])
def test_a_step_in_the_touched_rows_is_the_dense_solution(kind, scope):
    problem, dense = problem_of(kind), Dense(kind)
    theta = dense.settled(problem.theta)
    free = dense.touched & ~dense.emptied
    if scope == "users":
        free[M:] = False
    expected = theta.copy()
    cells = np.repeat(free, theta.shape[1])
    H = dense.hessian(theta)[np.ix_(cells, cells)] + 0.1 * np.eye(cells.sum())
    expected[free] -= np.linalg.solve(H, dense.change(problem.theta).ravel()[cells]).reshape(
        -1, theta.shape[1]
    )
    found = TouchedInfluence(scope, damping=0.1, tol=1e-10).unlearn(problem)
    assert_allclose(found.theta, expected, atol=1e-7)
    assert_array_equal(found.theta[~dense.touched], problem.theta[~dense.touched])


@KINDS
@pytest.mark.parametrize("n_terms", [1, 5, 40])
def test_the_series_is_that_of_the_dense_matrix(kind, n_terms):
    problem, dense = problem_of(kind), Dense(kind)
    theta = dense.settled(problem.theta)
    H, g = dense.hessian(theta), dense.change(problem.theta)
    scale = 1.2 * np.linalg.eigvalsh(H)[-1]
    A = np.eye(len(H)) - (H + 0.1 * np.eye(len(H))) / scale
    total = sum(np.linalg.matrix_power(A, t) for t in range(n_terms + 1)) @ g.ravel() / scale
    expected = dense.settled(theta - total.reshape(theta.shape))
    found = LiSSA(n_terms, scale=scale, damping=0.1).unlearn(problem)
    assert_allclose(found.theta, expected, atol=1e-7)


@KINDS
def test_a_long_series_is_the_influence_step(kind):
    problem, dense = problem_of(kind), Dense(kind)
    theta = dense.settled(problem.theta)
    H = dense.hessian(theta)
    damping = 1.0 - np.linalg.eigvalsh(H)[0]
    H += damping * np.eye(theta.size)
    step = np.linalg.solve(H, dense.change(problem.theta).ravel()).reshape(theta.shape)
    found = LiSSA(3000, damping=damping).unlearn(problem).theta
    assert_allclose(found, dense.settled(theta - step), atol=1e-6)


def test_conjugate_gradients_say_how_they_ended():
    A = np.diag([1.0, 2.0, 5.0])
    b = np.array([1.0, -2.0, 3.0])
    x, n_iter, status = conjugate_gradients(lambda v: A @ v, b, 1e-12, 10)
    assert_allclose(x, np.linalg.solve(A, b))
    assert n_iter <= 4 and status == "solved"
    assert conjugate_gradients(lambda v: A @ v, b, 1e-12, 1)[2] == "too few iterations"
    assert conjugate_gradients(lambda v: -v, b, 1e-12, 9)[2] == "no positive curvature"


NAMES = ["gradient-ascent", "fine-tuning", "noisy-fine-tuning", "scif", "lissa", "gif"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "estimator",
    [
        ALS(3, alpha=ALPHA, regularization=REG, random_state=0),
        BPR(3, regularization=1.0, random_state=0),
        LightGCN(3, n_layers=1, regularization=0.4, random_state=0),
        MatrixFactorization(3, regularization=2.0, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_every_factor_model_takes_them_and_they_promise_nothing(name, estimator):
    if isinstance(estimator, MatrixFactorization):
        data = make_interactions(M, N, random_state=0)
    else:
        data = X
    model = copy.deepcopy(estimator).fit(data)
    (strategy,) = make_settings([name]).values()
    model.set_params(unlearner=strategy).forget(users=[3])
    report = model.forget_report_
    assert report.guarantee == "one-step"
    assert np.isfinite(report.residual)
    assert not np.any(model.user_factors_[3])


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (GradientAscent(0), "n_steps.* must be an int in the range"),
        (FineTuning(learning_rate=-1.0), "learning_rate.* must be a float in the range"),
        (NoisyFineTuning(noise=-1), "noise.* must be a float in the range"),
        (LiSSA(scale=0), "scale.* must be None or a float in the range"),
        (TouchedInfluence("items"), "scope.* must be a str among"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_wrong_settings_are_refused_before_anything_changes(strategy, message):
    with pytest.raises(ValueError, match=message):
        strategy.unlearn(problem_of("pairs"))
