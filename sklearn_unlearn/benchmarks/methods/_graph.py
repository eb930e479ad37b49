"""What public programs do to graph models: strategies that are wrong, each in one way.

They show what forgetting through the graph is worth. Both take what remains for their losses.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from sklearn_unlearn.influence import ForgetOutcome, ForgetProblem
from sklearn_unlearn.objectives import Evaluation, TiltedObjective
from sklearn_unlearn.solvers import NewtonResult, NewtonSettings, newton

__all__ = ["OldGraph", "Unpropagated"]

_ONE_STEP = NewtonSettings(max_steps=1, forcing=1e-3)


class OldGraph(BaseEstimator):
    """Minimise the losses of what remains on the graph that still has what was to be forgotten.

    The direct influence alone. Scores are from the old graph too: `serve` sets them.

    Parameters
    ----------
    tol : float, default=1e-3
        Gradient norm to reach, as a share of what it is at the start.

    correct_residual : bool, default=False
        Whether the gradient that training left over is to stay, as of `InfluenceUnlearner`.
    """

    # The old graph still has the rows that lose everything, and its optimum moves them.
    keeps_emptied_rows = True

    def __init__(self, tol: float = 1e-3, *, correct_residual: bool = False) -> None:
        self.tol = tol
        self.correct_residual = correct_residual

    def unlearn(self, problem: ForgetProblem) -> ForgetOutcome:
        """Solve a forget problem with the propagation of the old data."""
        before: Any = problem.objective_before()
        whole: Any = problem.objective  # of LightGCN: propagated, whatever its losses
        frozen = replace(whole, propagation=before.propagation)
        objective = _tilted(frozen, problem) if self.correct_residual else frozen
        result = newton(objective, _start(problem), lambda norm: self.tol * norm)
        return _outcome(problem, result, "old graph")

    @staticmethod
    def serve(before: Any, after: Any) -> None:
        """Give a model that forgot so the factors that the old graph makes of its embeddings."""
        old = before._make_objective(before._interactions)
        table = np.concatenate([after.user_embeddings_, after.item_embeddings_])
        Z = old.propagate(table)
        after.user_factors_, after.item_factors_ = (
            Z[: len(after.user_factors_)],
            Z[len(after.user_factors_) :],
        )


class Unpropagated(BaseEstimator):
    """Take one influence step with the curvature of the losses alone, as if there were no graph.

    Gradient and scores are those of the graph of what remains.

    Parameters
    ----------
    correct_residual : bool, default=False
        As of `OldGraph`.
    """

    def __init__(self, *, correct_residual: bool = False) -> None:
        self.correct_residual = correct_residual

    def unlearn(self, problem: ForgetProblem) -> ForgetOutcome:
        """Solve a forget problem with the Hessian of the inner objective."""
        objective: Any = _WithoutGraph(problem.objective)
        if self.correct_residual:
            objective = _tilted(objective, problem)
        result = newton(objective, _start(problem), 0.0, _ONE_STEP)
        return _outcome(problem, result, "unpropagated")


class _WithoutGraph:
    """An objective whose curvature is that of its losses in the propagated rows."""

    stops_at_saddles = False

    def __init__(self, objective: Any) -> None:
        self.objective = objective
        self.layout, self.has_gauge = objective.layout, objective.has_gauge

    def at(self, theta: Any) -> _Point:
        return _Point(self.objective, self.objective.at(theta))

    def rotated(self, rotation: Any) -> _WithoutGraph:
        return self


class _Point(Evaluation):
    def __init__(self, objective: Any, point: Any) -> None:
        self.objective, self.inner = objective, point.inner
        self.point, self.theta = point, point.theta

    @property
    def value(self) -> float:
        return float(self.point.value)

    @property
    def gradient(self) -> Any:
        return self.point.gradient

    def hessian_product(self, V: Any) -> Any:
        return self.inner.hessian_product(V) + self.objective.penalty(V)

    def hessian_diagonal(self) -> Any:
        ones = self.objective.backend.xp.ones_like(self.theta)
        return self.inner.hessian_diagonal() + self.objective.penalty(ones)

    def blocks(self, *, users_only: bool = False) -> Any:
        raise NotImplementedError  # the preconditioner used here is the diagonal


def _start(problem: ForgetProblem) -> NDArray[np.float64]:
    """Old parameters, but those of rows of which nothing remains."""
    start = problem.theta.astype(np.float64)
    emptied = problem.emptied_rows()
    start[emptied] = problem.objective.layout.empty_rows(emptied)
    return start


def _tilted(objective: Any, problem: ForgetProblem) -> TiltedObjective:
    """Objective that ends at the gradient that training left in rows of which something remains."""
    c = problem.objective_before().gradient(problem.theta)
    c[problem.emptied_rows()] = 0
    return TiltedObjective(objective, c)


def _outcome(problem: ForgetProblem, result: NewtonResult, method: str) -> ForgetOutcome:
    """Say what came out, measured by the objective that should have been solved."""
    norms = [
        float(np.linalg.norm(problem.objective.gradient(theta)))
        for theta in (problem.theta.astype(np.float64), result.theta)
    ]
    return ForgetOutcome(
        theta=result.theta,
        method=method,
        guarantee="one-step",
        status=result.status.value,
        n_steps=result.n_steps,
        n_products=result.n_products,
        n_rows_updated=len(result.theta),
        gradient_norm=(norms[0], norms[1]),
        bound=norms[1],
        converged=False,
    )
