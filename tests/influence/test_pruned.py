"""Requests on the rows that a pruner keeps: their cost, and their residual."""

import copy
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_unlearn import ALS, BPR, LightGCN, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import NotConvergedWarning
from sklearn_unlearn.influence import InfluenceUnlearner, _pruned
from sklearn_unlearn.pruning import HopPruner
from sklearn_unlearn.solvers import HorizontalProjector, newton

EVERYTHING = HopPruner(8)  # in small problems all that is connected
MODELS = {
    "logistic": MatrixFactorization(16, regularization=2.0, random_state=0),
    "stopped early": MatrixFactorization(16, regularization=1.0, max_iter=8, random_state=0),
    "squared": MatrixFactorization(8, loss="squared", regularization=2.0, random_state=0),
    "ALS": ALS(8, regularization=20.0, random_state=0),
    "ALS, stopped early": ALS(8, regularization=50.0, max_iter=3, random_state=0),
    "BPR": BPR(8, regularization=2.0, random_state=0),
    "LightGCN": LightGCN(8, regularization=0.5, random_state=0),
    "LightGCN, weighted": LightGCN(8, loss="weighted", regularization=4.0, random_state=0),
}
DRAWN = "BPR", "LightGCN"
FEEDBACK = {"logistic": "label", "stopped early": "label", "squared": "rating"}


def fitted(name):
    X = make_interactions(90, 60, feedback=FEEDBACK.get(name, "implicit"), random_state=0)
    model = copy.deepcopy(MODELS[name])
    if "early" in name:
        with pytest.warns(NotConvergedWarning):
            return model.fit(X)
    return model.fit(X)


def forgotten(model, pruner, users=(7,), items=None, **settings):
    unlearner = InfluenceUnlearner(pruner, tol=1e-6, n_steps=50, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)  # said of models stopped early
        return (
            copy.deepcopy(model).set_params(unlearner=unlearner).forget(users=[*users], items=items)
        )


@pytest.mark.parametrize("name", MODELS)
def test_rows_that_are_all_free_keep_the_gauge(name):
    model = fitted(name)
    objective = model._make_objective(model._interactions)
    theta = model._theta(objective.layout)
    everything = np.arange(len(theta))
    assert objective.restrict(everything, theta)[0].has_gauge
    assert not objective.restrict(everything[1:], theta)[0].has_gauge


@pytest.mark.parametrize("name", MODELS)
def test_rows_that_hold_nothing_take_no_gauge(name, monkeypatch):
    """Those that earlier requests have emptied; an item that is still drawn holds something."""
    model, seen = forgotten(fitted(name), None), []
    model = forgotten(model, None, users=[11], items=None if name in DRAWN else [3])

    def newton_seen(objective, *arguments, **keywords):
        seen.append(objective.has_gauge)
        return newton(objective, *arguments, **keywords)

    monkeypatch.setattr(_pruned, "newton", newton_seen)
    forgotten(model, EVERYTHING, users=[20])
    assert seen == [True]


@pytest.mark.parametrize("name", MODELS)
def test_a_pruner_that_keeps_everything_costs_no_more_than_none(name):
    """Without its gauge an early-stopped fit took up to 60 times the products."""
    model = fitted(name)
    kept = forgotten(model, EVERYTHING).forget_report_
    free = forgotten(model, None).forget_report_
    assert kept.method == free.method == "influence"
    assert kept.n_solver_iter <= 1.5 * free.n_solver_iter + 20


@pytest.mark.parametrize("name", [*MODELS][:6])
def test_residual_of_a_pruned_tilt_is_measured_off_the_gauge(name):
    model = fitted(name)
    before = model._make_objective(model._interactions)
    c = before.gradient(model._theta(before.layout))
    after = forgotten(model, EVERYTHING, correct_residual=True)
    report = after.forget_report_
    objective = after._make_objective(after._interactions)
    assert objective.layout.shape == c.shape
    theta = after._theta(objective.layout)
    c[7] = 0
    left = HorizontalProjector(theta, objective.layout.n_factors)(objective.gradient(theta) - c)
    assert_allclose(report.gradient_norm[1], np.linalg.norm(left), rtol=1e-3, atol=1e-12)
