"""The certificate never flatters: not about optimality, and not about the distance to refits."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_unlearn import ALS, MatrixFactorization
from sklearn_unlearn.certificates import certify
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.solvers._newton import NewtonSettings, newton
from tests.objectives.pairwise_twin import PairwiseProblem
from tests.problems import Problem, WeightedProblem, labels, low_rank_labels, ratings

WELL_POSED = [
    Problem("logistic", low_rank_labels(0, 14, 11), n_factors=11, regularization=1.5),
    Problem("logistic, no bias", labels(1, 12, 9), n_factors=9, regularization=0.8, fit_bias=False),
    Problem("squared", ratings(2, 12, 10), loss="squared", n_factors=10, regularization=2.0),
    Problem(
        "weighted",
        labels(3, 10, 9),
        n_factors=9,
        regularization=0.9,
        weights=np.array([1.0, 2, 0, 1, 3, 1, 0.5, 1, 1, 2]),
    ),
]


def fitted(problem, seed=0, gtol=1e-9, **settings):
    objective = problem.objective()
    return objective, newton(
        objective, problem.theta(seed), gtol, NewtonSettings(max_iter=500, **settings)
    ).theta


def scores(objective, theta):
    return objective.scores(theta)


@pytest.mark.parametrize("problem", WELL_POSED, ids=lambda p: p.name)
def test_the_optimum_certifies(problem):
    certificate = certify(*fitted(problem))
    assert certificate.certified
    assert certificate.spectral_ratio == pytest.approx(1, abs=1e-6)
    assert 0 < certificate.rank < certificate.n_factors


@pytest.mark.parametrize("problem", WELL_POSED, ids=lambda p: p.name)
@pytest.mark.parametrize("gtol", [1e-8, 1e-2])
def test_prediction_bound_covers_refits_from_twenty_seeds(problem, gtol):
    objective, theta = fitted(problem, gtol=gtol)
    certificate = certify(objective, theta)
    for seed in range(1, 21):
        _, other = fitted(problem, seed=seed, gtol=1e-10)
        distance = np.sqrt(np.mean((scores(objective, theta) - scores(objective, other)) ** 2))
        assert distance <= certificate.prediction_bound


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    loss=st.sampled_from(["logistic", "squared"]),
    regularization=st.floats(0.3, 4),
    steps=st.integers(0, 4),
)
def test_prediction_bound_is_honest_wherever_training_stopped(seed, loss, regularization, steps):
    matrix = labels(seed, 9, 8) if loss == "logistic" else ratings(seed, 9, 8)
    problem = Problem("random", matrix, loss, 8, regularization)
    objective, start = fitted(problem, seed, gtol=0.0, max_steps=max(steps, 1))
    theta = start if steps else problem.theta(seed)
    certificate = certify(objective, theta)
    _, optimum = fitted(problem, seed + 1, gtol=1e-10)
    # A local stationary point is no refit to compare with.
    assume(certify(objective, optimum).relative_gap <= 1e-9)
    distance = np.sqrt(np.mean((scores(objective, theta) - scores(objective, optimum)) ** 2))
    assert distance <= certificate.prediction_bound + 1e-9


BALANCED = [
    *WELL_POSED,
    Problem(
        "scaled", ratings(2, 12, 10), "squared", 10, 2.0, fit_bias=False, frequency_scaling=0.5
    ),
    WeightedProblem("all pairs", abs(ratings(3, 12, 10, 0.4)), n_factors=10, regularization=5.0),
    PairwiseProblem(
        "pairs", abs(low_rank_labels(4, 14, 11, 0.3)), n_factors=11, regularization=0.3
    ),
]
balanced = pytest.mark.parametrize("problem", BALANCED, ids=lambda p: p.name)


@balanced
def test_gap_bounds_the_distance_of_the_objective_to_its_minimum(problem):
    objective, optimum = fitted(problem)
    lowest = objective.value(optimum)
    for seed in range(5):
        theta = problem.theta(seed, scale=0.3)
        certificate = certify(objective, theta)
        value = objective.value(theta)
        assert value - lowest <= certificate.relative_gap * value * (1 + 1e-9)


@balanced
@pytest.mark.parametrize("multiple", [0.01, 0.9, 3.0])
def test_factors_out_of_balance_do_not_certify(problem, multiple):
    """The same scores, and the dual value of the optimum: the gap is what the balance costs."""
    objective, optimum = fitted(problem)
    m, k = objective.layout.n_users, problem.n_factors
    theta = optimum.copy()
    theta[:m, :k] *= multiple
    theta[m:, :k] /= multiple
    assert_allclose(objective.scores(theta), objective.scores(optimum), rtol=1e-9)
    certificate, value = certify(objective, theta), objective.value(theta)
    assert not certificate.certified
    excess = value - objective.value(optimum)
    assert_allclose(certificate.relative_gap, excess / value, rtol=1e-4)


@pytest.mark.parametrize(("multiple", "expected"), [(1, True), (3, False), (100, False)])
def test_a_model_whose_fold_in_disagrees_with_its_factors_does_not_certify(multiple, expected):
    X = make_interactions(50, 40, n_interactions=500, feedback="implicit", random_state=0)
    settings = {"regularization": 40.0, "alpha": 20.0}
    refit = ALS(16, random_state=0, **settings).fit(X)
    factors = refit.user_factors_ * multiple, refit.item_factors_ / multiple
    model = ALS.from_factors(*factors, X, **settings)
    own = model.user_factors_ @ model.item_factors_.T
    off = np.linalg.norm(model.decision_function(X) - own) / np.linalg.norm(own)
    assert model.certify().certified is expected is bool(off < 1e-3)


def test_an_under_trained_model_does_not_certify():
    problem = WELL_POSED[0]
    objective, theta = fitted(problem, gtol=0.0, max_steps=2)
    assert not certify(objective, theta).certified


def test_a_model_whose_rank_is_used_up_does_not_certify():
    problem = Problem("saturated", low_rank_labels(0, 14, 11), n_factors=1, regularization=0.3)
    certificate = certify(*fitted(problem))
    assert certificate.rank == certificate.n_factors == 1
    assert certificate.spectral_ratio > 1.05
    assert not certificate.certified


def test_zero_factors_certify_if_the_penalty_is_large_and_not_otherwise():
    for regularization, expected in [(60.0, True), (0.2, False)]:
        problem = Problem("bias", labels(4, 9, 7), n_factors=3, regularization=regularization)
        objective, _ = fitted(problem, max_steps=1)
        flat = newton(
            objective.with_factors(0), problem.theta()[:, 3:], 1e-10, NewtonSettings()
        ).theta
        theta = np.concatenate([np.zeros((len(flat), 3)), flat], axis=1)
        assert certify(objective, theta).certified is expected


def test_rotating_the_factors_changes_no_certificate():
    problem = WELL_POSED[0]
    objective, theta = fitted(problem)
    k = problem.n_factors
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(k, k)))[0]
    turned = theta.copy()
    turned[:, :k] = theta[:, :k] @ rotation
    first, second = certify(objective, theta), certify(objective, turned)
    assert first.rank == second.rank
    assert_allclose(first.spectral_ratio, second.spectral_ratio, rtol=1e-10)


def test_forgetting_can_end_certified():
    X = labels(5, 30, 20)
    model = MatrixFactorization(20, regularization=1.5, random_state=0).fit(X)
    assert model.certify().certified
    model.set_params(unlearner=InfluenceUnlearner(certify=True)).forget(users=[3])
    assert model.forget_report_.guarantee == "certified"
    certificate = model.certify()
    assert certificate.certified
    assert certificate.to_dict()["certified"] is True


def test_a_saturated_model_never_ends_certified():
    X = low_rank_labels(0, 14, 11)
    unlearner = InfluenceUnlearner(certify=True)
    model = MatrixFactorization(1, regularization=0.3, unlearner=unlearner, random_state=0).fit(X)
    assert model.forget(users=[3]).forget_report_.guarantee == "residual-bounded"


def test_the_gap_of_ratings_that_are_met_exactly_has_a_unit():
    """What is left of the objective is rounding and what the tolerance of the fit allows."""
    for matrix in (np.diag([3.0, 0, 0]), np.full((4, 3), 2.5)):
        fitted = MatrixFactorization(2, loss="squared", random_state=0).fit(matrix)
        assert fitted.certify().certified
        assert fitted.certify().relative_gap < 1e-9


def test_the_unit_of_the_gap_hides_no_error_that_six_digits_show():
    matrix = np.full((4, 3), 2.5)
    fitted = MatrixFactorization(2, loss="squared", random_state=0).fit(matrix)
    fitted.user_biases_ = fitted.user_biases_ + 2.5e-5
    assert not fitted.certify().certified
