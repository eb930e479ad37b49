"""The strategy that a name stands for: its tolerance follows that of the fit."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

from sklearn_unlearn import ALS, BPR, LightGCN, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner

X = make_interactions(60, 40, n_interactions=900, random_state=0)
POSITIVE = make_interactions(60, 40, n_interactions=900, feedback="implicit", random_state=0)
MODELS = [
    (MatrixFactorization(8, regularization=2.0, random_state=0), X),
    (ALS(8, regularization=4.0, alpha=5.0, random_state=0), POSITIVE),
    (BPR(8, random_state=0), POSITIVE),
    (LightGCN(8, n_layers=2, random_state=0), POSITIVE),
]


@pytest.mark.parametrize("named", [None, "influence"])
@pytest.mark.parametrize(
    ("tol", "expected"), [(1e-9, 1e-3), (1e-5, 1e-3), (1e-4, 1e-2), (1e-3, 1e-1), (1e-1, 1e-1)]
)
def test_a_request_is_as_loose_as_the_fit_within_limits(named, tol, expected):
    assert LightGCN(tol=tol, unlearner=named)._strategy().tol == pytest.approx(expected)


def test_a_strategy_that_is_given_is_taken_as_it_is():
    given = InfluenceUnlearner(tol=1e-5)
    assert LightGCN(tol=1e-2, unlearner=given)._strategy() is given
    assert given.tol == 1e-5


@pytest.mark.parametrize(("estimator", "data"), MODELS, ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("tol", [1e-4, 1e-3])
def test_a_loosely_fitted_model_meets_the_tolerance_of_its_name(estimator, data, tol):
    model = copy.deepcopy(estimator).set_params(tol=tol).fit(data)
    assert model.converged_
    report = model.forget(users=[3]).forget_report_
    assert report.guarantee == "residual-bounded"
    assert report.residual <= 100 * tol
    assert model.converged_


@pytest.mark.parametrize(("estimator", "data"), MODELS, ids=lambda v: type(v).__name__)
@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.ForgetFallbackWarning")
def test_a_large_request_leaves_no_more_than_a_hundred_times_what_a_fit_may(estimator, data):
    """Half of all data moves the gradient by its own unit: a thousandth of that is a loose fit."""
    start = copy.deepcopy(estimator).set_params(tol=1e-7).fit(data)
    half = np.random.default_rng(0).random(data.shape) < 0.5
    model = copy.deepcopy(start).forget(half, missing="ignore")
    unit = model._make_objective(model._interactions).gradient_scale
    assert model.forget_report_.gradient_norm[1] <= 1e-5 * unit
    given = copy.deepcopy(start).set_params(unlearner=InfluenceUnlearner())
    assert given.forget(half, missing="ignore").forget_report_.gradient_norm[1] > 1e-5 * unit


@pytest.mark.parametrize(("estimator", "data"), MODELS, ids=lambda v: type(v).__name__)
def test_what_a_request_leaves_is_no_training_that_was_not_finished(estimator, data):
    """The second request goes on from the first, and is not tilted by what that one left."""
    model = copy.deepcopy(estimator).set_params(tol=1e-6).fit(data)
    half = np.random.default_rng(0).random(data.shape) < 0.5
    model.set_params(unlearner=InfluenceUnlearner()).forget(half, missing="ignore")
    unit = model._make_objective(model._interactions).gradient_scale
    left = model.gradient_norm_
    assert left > 1e-5 * unit  # a fit that left as much would count as loose
    model.set_params(unlearner=None).forget(users=[3], missing="ignore")
    report = model.forget_report_
    assert "training left" not in report.status
    objective = model._make_objective(model._interactions)
    theta = model._theta(objective.layout).astype(float)
    assert np.linalg.norm(objective.gradient(theta)) <= 1.001 * report.gradient_norm[1]


class Rival:
    """A strategy of somebody's own, which changes what an outcome says."""

    def __init__(self, change):
        self.change = change

    def unlearn(self, problem):
        return self.change(InfluenceUnlearner().unlearn(problem))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda outcome: None, r"an object of type NoneType; expected a Forget.*\. Ret"),
        (lambda outcome: outcome.theta, r"an object of type ndarray; expected a Forget"),
        (lambda outcome: replace(outcome, theta=outcome.theta[1:]), r"shape \(99, .*; expected \("),
        (lambda outcome: replace(outcome, guarantee="best"), r"guarantee 'best'; expected one of"),
    ],
    ids=["nothing", "table", "rows", "guarantee"],
)
@pytest.mark.parametrize(("estimator", "data"), MODELS, ids=lambda v: type(v).__name__)
def test_answers_that_are_none_are_refused_and_change_nothing(estimator, data, change, message):
    model = copy.deepcopy(estimator).fit(data)
    before = pickle.dumps(vars(model))
    model.set_params(unlearner=Rival(change))
    with pytest.raises((TypeError, ValueError), match=f"unlearn of Rival returned.*{message}"):
        model.forget(users=[3])
    assert pickle.dumps(vars(model.set_params(unlearner=None))) == before
    model.set_params(unlearner=Rival(lambda outcome: outcome)).forget(users=[3])
