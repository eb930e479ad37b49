"""Columns that a point lacks: found where they are missing, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_unlearn import ALS, BPR, LightGCN, MatrixFactorization
from sklearn_unlearn.certificates._rank import complete_rank, missing_direction, slack_of, widen
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.solvers import NewtonResult, NewtonSettings, Status, _extremal, newton
from tests.objectives.graph_problems import GraphProblem
from tests.objectives.pairwise_twin import PairwiseProblem
from tests.problems import Problem, WeightedProblem, low_rank_labels, ratings

X = make_interactions(60, 40, n_interactions=700, random_state=0)
LARGE = make_interactions(150, 120, n_interactions=3000, random_state=1)
ACCURATE = NewtonSettings(max_iter=500)

# Each has an optimum of rank 2 or more.
FAMILIES = [
    Problem("labels", low_rank_labels(0, 14, 11), n_factors=8, regularization=0.8),
    Problem("ratings", ratings(2, 12, 10), "squared", 8, regularization=2.0, fit_bias=False),
    Problem(
        "user weights",
        low_rank_labels(3, 12, 11),
        n_factors=8,
        regularization=0.6,
        weights=np.linspace(0.3, 3, 12),
        frequency_scaling=0.3,
    ),
    WeightedProblem("all pairs", ratings(30, 12, 9, 0.3), n_factors=8, regularization=5.0),
    PairwiseProblem(
        "pairs", np.maximum(low_rank_labels(4, 14, 11), 0), n_factors=8, regularization=0.4
    ),
    GraphProblem("graph", ratings(60, 12, 10, 0.4), n_factors=8, regularization=2.0, n_layers=1),
    GraphProblem(
        "graph of pairs", ratings(60, 12, 10, 0.4), "bpr", 1, n_factors=8, regularization=0.15
    ),
]
families = pytest.mark.parametrize("problem", FAMILIES, ids=lambda problem: problem.name)


def model(**settings):
    return MatrixFactorization(
        **{"n_factors": 28, "regularization": 2.0, "random_state": 0, **settings}
    )


def at_rest(objective, theta):
    """Result of a solve that had nothing to do."""
    norm = float(np.linalg.norm(objective.gradient(theta)))
    value = objective.value(theta)
    return NewtonResult(theta, value, (norm, norm), 0, 0, Status.CONVERGED, converged=True)


def saddle(problem):
    """Objective of two columns, and the best table that leaves the second one empty."""
    problem = replace(problem, n_factors=2)
    objective, theta = problem.objective(), problem.theta(0, 0.5)
    narrow = objective.with_factors(1)
    found = newton(narrow, np.delete(theta, 1, axis=1), 1e-10, ACCURATE).theta
    return objective, np.insert(found, 1, 0.0, axis=1)


@families
@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-3, 1e-2])
def test_a_column_that_is_next_to_nothing_hides_no_missing_one(problem, size):
    """It lies along the missing direction, and its gradient is small because it is."""
    objective, theta = saddle(problem)
    found = missing_direction(objective, theta)
    rng = np.random.default_rng(0)
    column = objective.certificate().factors_of(-found.left, np.ones(1), found.right)[:, 0]
    noise = rng.standard_normal(len(column))
    column += 0.3 * np.linalg.norm(column) / np.linalg.norm(noise) * noise
    theta[:, 1] = size * np.linalg.norm(theta[:, 0]) * column / np.linalg.norm(column)
    missing = missing_direction(objective, theta)
    assert missing.value == pytest.approx(found.value, rel=1e-2)
    assert missing.slack < 0
    wider, started = widen(objective, theta, missing)
    assert wider is objective
    assert objective.value(started) < objective.value(theta)


@families
def test_completion_ends_at_the_optimum_without_more_columns_than_it_has(problem):
    objective, theta = saddle(problem)
    whole = problem.objective()
    best = newton(whole, problem.theta(1, 0.5), 1e-10, ACCURATE).value
    done = complete_rank(objective, at_rest(objective, theta), 6, 1e-9, ACCURATE, max_columns=8)
    assert done.converged and 0 < done.slack < 1
    wide = whole.with_factors(done.theta.shape[1] - 2 * whole.layout.fit_bias)
    assert wide.value(done.theta) == pytest.approx(best, rel=1e-9)
    assert done.theta.shape[1] <= problem.theta().shape[1]
    again = complete_rank(wide, at_rest(wide, done.theta), 6, 1e-9, ACCURATE, max_columns=8)
    assert again.n_steps == again.n_products == 0 and again.theta is done.theta


@families
def test_more_columns_than_may_be_taken_in_are_no_completion(problem):
    objective, theta = saddle(problem)
    done = complete_rank(objective, at_rest(objective, theta), 0, 1e-9, ACCURATE, max_columns=0)
    assert done.saddle and not done.converged and done.slack < 0 and done.theta is theta
    start, one_step = at_rest(objective, theta), NewtonSettings(max_steps=1)
    steps = complete_rank(objective, start, 0, 1e-9, one_step, max_columns=8)
    assert not steps.converged and steps.n_steps == 1


@families
def test_a_table_whose_columns_are_all_in_use_has_room_for_none(problem):
    narrow = replace(problem, n_factors=1)
    objective = narrow.objective()
    theta = newton(objective, narrow.theta(0, 0.5), 1e-10, ACCURATE).theta
    assert missing_direction(objective, theta) is None
    assert slack_of(objective, theta) == np.inf
    assert missing_direction(objective, theta, n_free=1).value > 1


def test_a_loose_solve_is_made_finer_before_a_column_counts_as_missing():
    """What a loose tolerance leaves of a used column looks like a missing one."""
    problem = FAMILIES[0]
    objective = problem.objective()
    start = newton(objective, problem.theta(1, 0.5), 1e-10, ACCURATE).theta
    rng = np.random.default_rng(0)
    step = objective.layout.mask_fixed(0.05 * rng.standard_normal(start.shape))
    gtol = float(np.linalg.norm(objective.gradient(start + step)))
    done = complete_rank(
        objective, at_rest(objective, start + step), 0, gtol, ACCURATE, max_columns=8
    )
    assert done.converged and done.slack > 0
    assert objective.value(done.theta) == pytest.approx(objective.value(start), rel=1e-3)


def test_steps_are_counted_over_all_columns():
    objective, theta = saddle(FAMILIES[3])
    start, seen = at_rest(objective, theta), []
    done = complete_rank(
        objective, start, 6, 1e-9, ACCURATE, 8, on_step=lambda *step: seen.append(step)
    )
    assert done.theta.shape[1] > theta.shape[1]
    assert (seen[-1][0], seen[-1][3]) == (done.n_steps, done.n_products)
    # Counts of what went before are those that it starts from.
    before = replace(start, n_steps=7, n_products=11)
    later = complete_rank(
        objective, before, 6, 1e-9, ACCURATE, 8, on_step=lambda *step: seen.append(step)
    )
    assert (later.n_steps, later.n_products) == (done.n_steps + 7, done.n_products + 11)
    assert (seen[-1][0], seen[-1][3]) == (later.n_steps, later.n_products)


@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_slack_is_the_next_singular_value_of_the_residual_matrix(loss):
    fitted = model(loss=loss).fit(X)
    objective = fitted._make_objective(fitted._interactions)
    operator = objective.certificate().residual_operator(fitted._theta(objective.layout))
    values = np.linalg.svd(operator.matmat(np.eye(40)), compute_uv=False)
    rank = fitted.certify().rank
    assert_allclose(values[:rank], 1, rtol=1e-4)
    assert_allclose(1 - fitted._slack, values[rank], rtol=1e-3)


@pytest.mark.parametrize(
    "estimator",
    [
        model(n_factors=40, regularization=3.0),
        ALS(40, alpha=5.0, regularization=30.0, random_state=0),
        BPR(40, regularization=2.0, random_state=0),
        LightGCN(40, loss="bpr", n_layers=1, regularization=0.8, random_state=0),
        LightGCN(40, loss="weighted", n_layers=2, regularization=5.0, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_slack_of_a_lanczos_run_is_a_lower_bound(estimator):
    fitted = estimator.fit(LARGE if isinstance(estimator, MatrixFactorization) else abs(LARGE))
    rank = fitted.certify().rank
    assert 0 < rank < 40
    objective = fitted._make_objective(fitted._interactions)
    dense = objective.certificate().residual_operator(fitted._theta(objective.layout))
    dense = dense @ np.eye(dense.shape[1])
    if objective.certificate().is_symmetric:
        norm = -np.linalg.eigvalsh(dense)[rank]
    else:
        norm = np.linalg.svd(dense, compute_uv=False)[rank]
    assert 0.2 * (1 - norm) < fitted._slack <= 1 - norm + 1e-6


def test_lanczos_agrees_with_a_dense_decomposition(monkeypatch):
    fitted = model(regularization=3.0).fit(LARGE)
    objective = fitted._make_objective(fitted._interactions)
    used = np.flatnonzero(fitted.item_factors_.any(axis=0))
    narrow = objective.with_factors(len(used))
    theta = fitted._theta(narrow.layout, used)
    by_lanczos = missing_direction(narrow, theta, 1).value
    monkeypatch.setattr(_extremal, "_DENSE_SIDE", 10_000)
    assert_allclose(by_lanczos, missing_direction(narrow, theta, 1).value, rtol=1e-4)


@pytest.mark.parametrize(("excess", "is_missing"), [(3.5e-3, True), (-3.5e-3, False)])
def test_a_small_column_that_still_grows_counts_as_missing(excess, is_missing):
    """Its gradient is small because it is; the matrix is full, so its singular values tell."""
    rng, regularization = np.random.default_rng(0), 2.0
    U, V = (np.linalg.qr(rng.standard_normal((n, 2)))[0] for n in (9, 7))
    values = np.array([400.0, regularization * (1 + excess)])
    problem = Problem(
        "two columns", U * values @ V.T, "squared", 2, regularization, fit_bias=False,
        global_mean=False,
    )  # fmt: skip
    # The first column is at its optimum, the second at a few ten-thousandths of its size.
    sizes = np.sqrt([values[0] - regularization, 2e-5])
    theta = np.concatenate([U, V]) * sizes
    missing = missing_direction(problem.objective(), theta)
    assert (missing.value > 1) == is_missing
    assert missing.value == pytest.approx(1 + excess, abs=2e-5)
