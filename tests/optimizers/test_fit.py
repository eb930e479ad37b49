"""A fit that meets its tolerance at a saddle goes on, or says so."""

from dataclasses import replace

import numpy as np
import pytest

from sklearn_unlearn import ALS, MatrixFactorization
from sklearn_unlearn.certificates import _rank, certify
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import NotConvergedWarning
from sklearn_unlearn.optimizers import _alternating, _newton_cg, minimize_alternating
from sklearn_unlearn.optimizers._fit import minimize_from
from sklearn_unlearn.solvers._newton import NewtonSettings
from tests.certificates.test_rank import FAMILIES

families = pytest.mark.parametrize("problem", FAMILIES, ids=lambda problem: problem.name)
SETTINGS = NewtonSettings(max_steps=100, max_iter=500)


def zero(objective):
    return objective.layout.pack(np.zeros((objective.layout.shape[0], objective.layout.n_factors)))


@families
def test_a_fit_from_zero_factors_ends_at_the_optimum(problem):
    """Zero is stationary in the factors: no Newton step leaves it."""
    objective, seen = problem.objective(), []
    result = minimize_from(
        objective, zero(objective), 1e-9, SETTINGS, lambda *step: seen.append(step)
    )
    assert result.converged and not result.saddle
    assert result.gradient_norm[1] <= 1e-9 * objective.gradient_scale
    certificate = certify(objective, result.theta)
    assert certificate.certified and certificate.rank > 1
    assert 0 < result.slack < 1
    assert seen[-1][0] == result.n_steps and seen[-1][3] == result.n_products


@families
def test_a_fit_without_steps_to_leave_a_saddle_has_not_converged(problem):
    problem = replace(problem, regularization=0.5 * problem.regularization)
    objective = problem.objective()
    flat = minimize_from(objective.with_factors(0), zero(objective.with_factors(0)), 1e-9, SETTINGS)
    k = objective.layout.n_factors
    start = np.hstack([np.zeros((len(flat.theta), k)), flat.theta])
    result = minimize_from(objective, start, 1e-8, replace(SETTINGS, max_steps=0))
    assert result.gradient_norm[1] <= 1e-8 * objective.gradient_scale
    assert result.saddle and not result.converged and result.slack < 0


def test_sweeps_alone_that_end_at_a_saddle_have_not_converged(monkeypatch):
    """Zero items leave all users at zero, and those the items."""
    objective = FAMILIES[3].objective()
    settings = {"seed": 0, "tol": 1e-8, "n_sweeps": 500}
    result = minimize_alternating(objective, max_iter=0, **settings)
    assert result.converged and result.slack > 0
    monkeypatch.setattr(_alternating, "hashed_normal", lambda *key: np.zeros((9, 8)))
    result = minimize_alternating(objective, max_iter=0, **settings)
    assert result.saddle and not result.converged
    assert result.gradient_norm[1] == 0
    result = minimize_alternating(objective, max_iter=100, **settings)
    assert result.converged and certify(objective, result.theta).certified


def test_the_warning_says_why(monkeypatch):
    monkeypatch.setattr(_newton_cg, "spectral_start", lambda objective, seed, rows: zero(objective))
    X = make_interactions(30, 20, random_state=0)
    model = MatrixFactorization(4, regularization=1.0, fit_bias=False)
    assert model.fit(X).converged_ and model.certify().rank > 0
    monkeypatch.setattr(_rank, "widen", lambda *arguments: None)
    with pytest.warns(NotConvergedWarning, match=r"MatrixFactorization .* a saddle point"):
        model.fit(X)
    assert not model.converged_ and model.certify().rank == 0


def test_a_model_from_elsewhere_at_a_saddle_has_not_converged():
    X = abs(make_interactions(30, 20, random_state=0))
    factors = np.zeros((30, 4)), np.zeros((20, 4))
    model = ALS.from_factors(*factors, X, regularization=1.0, alpha=5.0)
    assert model.gradient_norm_ == 0 and not model.converged_
