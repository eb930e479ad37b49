"""Sweeps after the touched rows: they say truly what is left, and know when to stop."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_unlearn.influence import _stages
from sklearn_unlearn.influence._progress import Progress
from sklearn_unlearn.influence._stages import Rules, sweep_everywhere
from sklearn_unlearn.influence._touched import solve_touched
from sklearn_unlearn.objectives import WeightedObjective
from sklearn_unlearn.objectives.weighted._row_solver import WeightedRows
from tests.influence.test_touched import FITTED, cells_of, forget_problem, true_norm
from tests.problems import optimum

REQUESTS = ["user", "item", "pairs"]


def stated(problem, request, theta=None):
    theta = optimum(problem, 0) if theta is None else theta
    return forget_problem(problem, cells_of(problem, request), theta)


def touched(request_problem, tilted=False):
    start = Progress(request_problem.objective, request_problem.theta, request_problem.sums)
    return solve_touched(
        request_problem, start, None, tilted=tilted, max_cells=np.inf, max_rounds=1
    )


def rules(tol, correct_residual=False):
    return Rules("influence", tol, correct_residual, "raise")


@pytest.mark.parametrize("problem", FITTED, ids=lambda problem: problem.name)
@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("tol", [0.3, 0.05])
def test_what_is_left_is_the_dense_gradient(problem, request_, tol):
    asked, twin = stated(problem, request_)
    first = touched(asked)
    result = sweep_everywhere(asked, first, rules(tol))
    before, left = result.first, result.left
    assert left == pytest.approx(true_norm(problem, asked, twin, result.theta, False), rel=1e-9)
    assert result.met == (left <= tol * before)
    assert left <= first.left * (1 + 1e-9)
    for kept, true in zip(result.sums, asked.objective.sums(result.theta), strict=True):
        assert_allclose(kept, true, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_tight_tolerance_ends_at_the_optimum_if_sweeps_may_be_slow(monkeypatch, request_):
    monkeypatch.setattr(_stages, "_WORTH", 1.0)
    monkeypatch.setattr(_stages, "_MAX_SWEEPS", 5000)
    problem = FITTED[0]
    asked, twin = stated(problem, request_)
    result = sweep_everywhere(asked, touched(asked), rules(1e-7))
    assert result.met
    assert np.linalg.norm(twin.gradient(result.theta)) <= 1e-7 * result.first


def test_sweeps_that_leave_most_of_it_are_given_up(monkeypatch):
    monkeypatch.setattr(_stages, "_WORTH", 0.0)
    asked, _ = stated(FITTED[0], "user")
    result = sweep_everywhere(asked, touched(asked), rules(1e-9))
    assert result.n_steps == 2  # the touched rows, and one sweep that was slower than asked for
    assert not result.met


def test_a_sweep_that_makes_it_worse_is_not_kept(monkeypatch):
    asked, _ = stated(FITTED[0], "user")
    first = touched(asked)

    def spoil(solver, theta, sums, *sides, **options):
        theta *= 1.5
        return asked.objective.sums(theta)

    monkeypatch.setattr(WeightedRows, "sweep", spoil)
    result = sweep_everywhere(asked, first, rules(1e-9))
    assert_allclose(result.theta, first.theta)
    assert not result.met


def test_with_a_tilt_the_training_is_left_where_it_was():
    """At a model stopped early, the gradient of before the request counts as zero."""
    problem = FITTED[0]
    theta = optimum(problem, 0) + 0.01 * problem.direction()
    theta[~np.concatenate([problem.matrix.any(1), problem.matrix.any(0)])] = 0
    asked, twin = stated(problem, "user", theta)
    asked = replace(asked, converged=False, gradient_norm=1.0)
    result = sweep_everywhere(asked, touched(asked, tilted=True), rules(0.1, "auto"))
    assert result.is_tilted
    assert result.met
    untilted = true_norm(problem, asked, twin, result.theta, False)
    assert untilted > 2 * result.left
    # The part along rotations is none that a model could lose.
    whole = true_norm(problem, asked, twin, result.theta, True)
    assert result.left <= whole * (1 + 1e-9)
    outcome = result.outcome(asked, "influence")
    assert "counts as zero" in outcome.status
    assert outcome.bound == pytest.approx(result.left + 1.0)


def test_single_precision_is_left_behind():
    problem = FITTED[0]
    asked, _ = stated(problem, "user", optimum(problem, 0).astype(np.float32))
    result = sweep_everywhere(asked, touched(asked), rules(1e-3))
    assert result.theta.dtype == np.float64
    assert isinstance(asked.objective, WeightedObjective)
