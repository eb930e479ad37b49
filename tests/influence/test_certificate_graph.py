"""The certificate of propagated factors never flatters: a semidefinite programme, checked."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_unlearn import LightGCN
from sklearn_unlearn.certificates import certify
from sklearn_unlearn.certificates._rank import missing_direction, widen
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner, _influence
from sklearn_unlearn.optimizers import spectral_start
from sklearn_unlearn.solvers import _extremal
from sklearn_unlearn.solvers._newton import NewtonSettings, newton
from tests.objectives.graph_problems import HEAVY, PROBLEMS, GraphProblem
from tests.problems import labels, ratings

COUNTS = ratings(60, 9, 8, 0.4)
WELL_POSED = [
    GraphProblem("weighted", COUNTS, n_factors=9, regularization=3.0),
    GraphProblem("deep", COUNTS, n_factors=9, regularization=2.0, n_layers=3),
    GraphProblem("bpr", COUNTS, loss="bpr", n_factors=9, regularization=0.3, n_layers=1),
    GraphProblem("sampled", COUNTS, loss="sampled", n_factors=12, regularization=0.5, n_layers=1),
    GraphProblem("labels", labels(61, 9, 8), loss="logistic", n_factors=9, regularization=0.25),
    GraphProblem(
        "users",
        ratings(62, 7, 8, 0.6),
        n_factors=8,
        regularization=2.0,
        frequency_scaling=0.5,
        weights=HEAVY,
    ),
]
posed = pytest.mark.parametrize("problem", WELL_POSED, ids=lambda problem: problem.name)


def fitted(problem, seed=0, gtol=1e-9, **options):
    objective = problem.objective()
    options = NewtonSettings(max_iter=500, **options)
    return objective, newton(objective, problem.theta(seed, 0.5), gtol, options).theta


def margins(problem, objective, theta):
    """What the losses look at: scores of the cells, or their differences; all pairs if weighted."""
    Z = objective.propagate(theta)
    if problem.loss == "weighted":
        m = problem.matrix.shape[0]
        return (Z[:m] @ Z[m:].T).ravel()
    return objective.inner.margins(Z)


def distance(problem, objective, one, other):
    difference = margins(problem, objective, one) - margins(problem, objective, other)
    return float(np.sqrt(np.mean(difference**2)))


# -- the operator ----------------------------------------------------------------------------------
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_residual_operator_is_the_gradient_in_the_matrix_of_the_programme(problem):
    """``J = f(M) + trace(Lam M) / 2``: its derivative along E is ``<C + I, L^1/2 E L^1/2> / 2``."""
    objective, theta = problem.objective(), problem.theta(scale=0.5)
    n = len(theta)
    C = objective.certificate().residual_operator(theta).matmat(np.eye(n))
    assert_allclose(C, C.T, atol=1e-10)
    scale = np.sqrt(objective.row_penalties)[:, None]
    V = problem.theta(1)
    # Along theta -> theta + h V the matrix moves by V theta' + theta V'.
    step = scale * V @ (scale * theta).T
    slope = np.vdot(objective.gradient(theta), V)
    assert_allclose(np.vdot(C + np.eye(n), step), slope, rtol=1e-8, atol=1e-8)
    x = np.random.default_rng(0).standard_normal(n)
    operator = objective.certificate().residual_operator(theta)
    assert_allclose(operator.matvec(x), C @ x, atol=1e-10)
    assert_allclose(operator.rmatvec(x), C @ x, atol=1e-10)


def test_without_layers_the_certificate_is_that_of_plain_factors():
    problem = GraphProblem("flat", COUNTS, n_layers=0, n_factors=4, regularization=3.0)
    objective, theta = fitted(problem, gtol=1e-10)
    graph, plain = certify(objective, theta), certify(problem.losses(), theta)
    assert plain.rank == graph.rank
    for name in ("spectral_ratio", "prediction_bound"):
        assert getattr(graph, name) == pytest.approx(getattr(plain, name), rel=1e-5, abs=1e-9)
    assert graph.relative_gap == pytest.approx(plain.relative_gap, rel=1e-4, abs=1e-12)


# -- the verdict -----------------------------------------------------------------------------------
@posed
def test_the_optimum_certifies(problem):
    certificate = certify(*fitted(problem))
    assert certificate.certified
    assert certificate.spectral_ratio == pytest.approx(1, abs=1e-6)
    assert 0 < certificate.rank < certificate.n_factors


@posed
def test_primal_is_the_objective_and_the_dual_stays_below_its_minimum(problem):
    objective, optimum = fitted(problem)
    lowest = objective.value(optimum)
    for seed in range(8):
        theta = problem.theta(seed, 0.3)
        spectrum = objective.certificate().score_spectrum(theta)
        value = objective.certificate().convex_value(theta, float(spectrum.sum()))
        assert value == pytest.approx(objective.value(theta), rel=1e-12)
        ratio = certify(objective, theta).spectral_ratio
        dual = objective.certificate().dual_value(theta, min(1.0, 1 / ratio))
        assert dual <= lowest * (1 + 1e-9)
        assert objective.value(theta) - lowest <= certify(objective, theta).relative_gap * value


@posed
@pytest.mark.parametrize("gtol", [1e-8, 1e-2])
def test_prediction_bound_covers_refits_from_other_seeds(problem, gtol):
    objective, theta = fitted(problem, gtol=gtol)
    certificate = certify(objective, theta)
    for seed in range(1, 7):
        other = fitted(problem, seed=seed, gtol=1e-9)[1]
        # A local stationary point is no refit to compare with.
        if certify(objective, other).relative_gap <= 1e-7:
            assert distance(problem, objective, theta, other) <= certificate.prediction_bound


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    loss=st.sampled_from(["weighted", "bpr", "sampled", "logistic"]),
    regularization=st.floats(0.2, 3),
    n_layers=st.integers(0, 3),
    steps=st.integers(0, 4),
)
def test_bounds_are_honest_wherever_training_stopped(seed, loss, regularization, n_layers, steps):
    matrix = labels(seed, 7, 6) if loss == "logistic" else ratings(seed, 7, 6, 0.5)
    problem = GraphProblem("random", matrix, loss, n_layers, 6, regularization)
    theta = problem.theta(seed)
    if steps:
        theta = fitted(problem, seed, gtol=0.0, max_steps=steps)[1]
    objective, optimum = fitted(problem, seed + 1, gtol=1e-9)
    certificate, best = certify(objective, theta), certify(objective, optimum)
    assume(best.relative_gap <= 1e-8)
    value, lowest = objective.value(theta), objective.value(optimum)
    assert value - lowest <= certificate.relative_gap * value + 1e-8
    assert distance(problem, objective, theta, optimum) <= certificate.prediction_bound + 1e-9


def test_an_under_trained_model_does_not_certify():
    for problem in WELL_POSED:
        assert not certify(*fitted(problem, gtol=0.0, max_steps=1)).certified


@pytest.mark.parametrize("loss", ["weighted", "bpr", "sampled"])
def test_a_model_whose_rank_is_used_up_does_not_certify(loss):
    problem = GraphProblem(
        "saturated", ratings(63, 12, 10, 0.3), loss, 1, n_factors=1, regularization=0.05
    )
    certificate = certify(*fitted(problem))
    assert certificate.rank == certificate.n_factors == 1
    assert certificate.spectral_ratio > 1.05
    assert not certificate.certified


@pytest.mark.parametrize(("regularization", "expected"), [(1000.0, True), (0.2, False)])
def test_zero_certifies_if_the_penalty_is_large_and_not_otherwise(regularization, expected):
    for problem in WELL_POSED[:4]:
        problem = replace(problem, regularization=regularization)
        theta = 0 * problem.theta()
        assert certify(problem.objective(), theta).certified is expected


def test_rotating_the_factors_changes_no_certificate():
    problem = WELL_POSED[1]
    objective, theta = fitted(problem)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(problem.n_factors,) * 2))[0]
    first, second = certify(objective, theta), certify(objective, theta @ rotation)
    assert first.rank == second.rank
    assert_allclose(first.spectral_ratio, second.spectral_ratio, rtol=1e-8)


# -- columns that are missing, and where to start --------------------------------------------------
@posed
def test_slack_is_the_next_eigenvalue(problem):
    objective, theta = fitted(problem, gtol=1e-10)
    C = objective.certificate().residual_operator(theta).matmat(np.eye(len(theta)))
    values = np.linalg.eigvalsh(C)
    rank = certify(objective, theta).rank
    used = theta @ np.linalg.svd(theta)[2].T[:, :rank]
    missing = missing_direction(objective.with_factors(rank), used, 1)
    value, left, right = missing.value, missing.left, missing.right
    assert_allclose(values[:rank], -1, atol=1e-5)
    assert value == pytest.approx(-values[rank], abs=1e-4)
    vector = np.concatenate([-left, right])
    assert_allclose(C @ vector, -value * vector, atol=1e-3)


def test_lanczos_finds_the_same_directions(monkeypatch):
    problem = GraphProblem("large", ratings(65, 60, 50, 0.1), n_factors=4, regularization=4.0)
    objective, theta = fitted(problem, gtol=1e-6)
    by_lanczos = missing_direction(objective, theta, 1).value
    monkeypatch.setattr(_extremal, "_DENSE_SIDE", 10_000)
    dense = missing_direction(objective, theta, 1).value
    assert by_lanczos == pytest.approx(dense, rel=1e-3)


@posed
def test_a_missing_column_lowers_the_objective(problem):
    objective = problem.objective().with_factors(0)
    theta = np.zeros(objective.layout.shape)
    for n_columns in (1, 2):
        missing = missing_direction(objective, theta, 1)
        if n_columns > 1 and missing.slack >= 0:
            return
        assert missing.slack < 0
        wider, started = widen(objective, theta, missing, 1)
        assert started.shape[1] == n_columns
        assert wider.value(started) < objective.value(theta)
        assert_allclose(started[:, :-1], theta)
        objective = wider
        theta = newton(wider, started, 1e-8, NewtonSettings(max_iter=500)).theta


@posed
def test_spectral_start_is_on_the_way_to_the_optimum(problem):
    objective, optimum = fitted(problem)
    flat, start = objective.value(0 * optimum), spectral_start(objective, 0)
    lowest = objective.value(optimum)
    assert start.shape == optimum.shape
    assert lowest <= objective.value(start) < lowest + 0.7 * (flat - lowest)
    assert (start != 0).any(axis=0).all()  # a column that is exactly zero could never leave zero


@pytest.mark.parametrize("n_factors", [0, 1, 40, 150])
def test_spectral_start_of_any_number_of_factors(n_factors):
    matrix = ratings(66, 70, 50, 0.1)
    problem = GraphProblem("wide", matrix, n_factors=n_factors, regularization=1.0)
    start = spectral_start(problem.objective(), 0)
    assert start.shape == (120, n_factors)
    assert np.isfinite(start).all()


# -- forgetting ------------------------------------------------------------------------------------
X = abs(make_interactions(40, 30, random_state=0))


def scores(model):
    return model._score_users(np.arange(40))


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "weighted", "alpha": 5.0, "regularization": 2.0, "n_layers": 1},
        {"loss": "bpr", "regularization": 0.5, "n_layers": 1},
        {"loss": "logistic", "regularization": 0.6, "n_layers": 2},
    ],
    ids=lambda options: options["loss"],
)
def test_forgetting_can_end_certified(options):
    model = LightGCN(24, **options, random_state=0).fit(X)
    assert model.certify().certified
    model.set_params(unlearner=InfluenceUnlearner(certify=True)).forget(users=[3])
    assert model.forget_report_.guarantee == "certified"
    certificate = model.certify()
    assert certificate.certified
    assert 0 < certificate.rank < 24


def test_a_saturated_model_never_ends_certified():
    unlearner = InfluenceUnlearner(certify=True)
    model = LightGCN(
        1, loss="weighted", regularization=0.2, unlearner=unlearner, random_state=0
    ).fit(X)
    assert model.forget(users=[3]).forget_report_.guarantee == "residual-bounded"


def test_a_request_that_raises_the_rank_is_followed(monkeypatch):
    options = {"loss": "weighted", "alpha": 5.0, "regularization": 4.0, "n_layers": 1}
    start = LightGCN(24, **options, random_state=0).fit(X)
    request = {"items": [19]}
    after = copy.deepcopy(start).forget(**request)
    refit = copy.deepcopy(start).fit(after._interactions.to_csr())
    assert after.certify().rank == refit.certify().rank > start.certify().rank
    monkeypatch.setattr(_influence, "complete_rank", lambda problem, progress, rules: progress)
    stuck = copy.deepcopy(start).forget(**request)
    gaps = [
        np.linalg.norm(scores(one) - scores(refit)) / np.linalg.norm(scores(start) - scores(refit))
        for one in (after, stuck)
    ]
    assert gaps[0] <= 0.01 < gaps[1]
