"""Requests to models that are no optimum: answered, at no more than a refit costs."""

import copy
import warnings

import numpy as np
import pytest

from sklearn_unlearn import ALS, BPR, LightGCN, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import ForgetError, NotConvergedWarning
from sklearn_unlearn.influence import AsTrainedUnlearner, InfluenceUnlearner
from sklearn_unlearn.metrics import remaining_gap

X = make_interactions(120, 80, n_interactions=2000, feedback="implicit", random_state=0)
LABELS = make_interactions(120, 80, n_interactions=2000, random_state=0)
EARLY = {
    "sweeps alone": (ALS(16, alpha=10.0, regularization=20.0, max_iter=0, random_state=0), X),
    "weak penalty": (ALS(16, alpha=5.0, regularization=1.0, max_iter=0, random_state=0), X),
    "logistic": (MatrixFactorization(16, regularization=2.0, max_iter=4, random_state=0), LABELS),
    "BPR": (BPR(16, regularization=1.0, max_iter=5, random_state=0), X),
    "LightGCN": (LightGCN(16, regularization=0.5, max_iter=4, random_state=0), X),
}
REQUESTS = {"user": {"users": [7]}, "item": {"items": [3]}, "users": {"users": [*range(12)]}}


def fitted(name):
    model, data = EARLY[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        return copy.deepcopy(model).fit(data)


def forgotten(model, unlearner, **request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        return copy.deepcopy(model).set_params(unlearner=unlearner).forget(**request)


def passes_of_a_fit(model):
    return model._fit_work / model._interactions.n_interactions


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("name", EARLY)
def test_a_request_never_costs_more_than_a_refit_and_is_none(name, request_):
    model = fitted(name)
    report = forgotten(model, AsTrainedUnlearner(), **REQUESTS[request_]).forget_report_
    assert report.guarantee in ("residual-bounded", "one-step")
    assert report.method != "refit"
    assert report.n_solver_iter <= passes_of_a_fit(model)


@pytest.mark.parametrize("request_", REQUESTS)
def test_the_answer_is_near_the_same_training_without_the_data(request_):
    model = fitted("sweeps alone")
    after = forgotten(model, AsTrainedUnlearner(), **REQUESTS[request_])
    retained = after._interactions.to_csr()
    refit = copy.deepcopy(EARLY["sweeps alone"][0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        refit.fit(retained)
    assert after.forget_report_.residual <= 0.1
    assert remaining_gap(model, after, refit) < 0.5
    assert not after.converged_


@pytest.mark.parametrize("max_cost", [0.05, 0.3])
def test_a_budget_is_kept_and_the_last_point_with_it(max_cost):
    model = fitted("logistic")
    how = InfluenceUnlearner(tol=1e-9, correct_residual=False, on_failure="warn", max_cost=max_cost)
    with (
        pytest.warns(NotConvergedWarning, match="not fitted to its tolerance"),
        pytest.warns(NotConvergedWarning, match="budget of products"),
    ):
        after = copy.deepcopy(model).set_params(unlearner=how).forget(users=[7])
    assert after.forget_report_.guarantee == "one-step"
    assert after.forget_report_.n_solver_iter <= max_cost * passes_of_a_fit(model)


def test_a_budget_that_is_used_up_can_raise_and_leaves_the_model_alone():
    model = fitted("logistic")
    before = model.item_factors_.copy()
    how = InfluenceUnlearner(tol=1e-9, on_failure="raise", max_cost=0.05)
    with warnings.catch_warnings(), pytest.raises(ForgetError, match="budget of products"):
        warnings.simplefilter("ignore", NotConvergedWarning)
        model.set_params(unlearner=how).forget(users=[7])
    np.testing.assert_array_equal(model.item_factors_, before)


def test_a_longer_training_has_more_to_spend():
    short, long = (
        ALS(8, alpha=5.0, regularization=20.0, n_sweeps=n, max_iter=0, tol=1.0, random_state=0)
        for n in (5, 15)
    )
    assert passes_of_a_fit(long.fit(X)) == 3 * passes_of_a_fit(short.fit(X))


def test_a_budget_smaller_than_a_sweep_buys_none():
    """Rows that lost something are solved once, whatever the budget; nothing else is begun."""
    model = fitted("weak penalty")
    how = AsTrainedUnlearner(tol=1e-6, max_cost=1 / passes_of_a_fit(model))
    report = forgotten(model, how, users=[7]).forget_report_
    assert report.guarantee == "one-step" and report.n_solver_iter < 1
