"""Where a strategy is to end, and what happens where it does not get there."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.exceptions import ForgetError, NotConvergedWarning
from sklearn_unlearn.influence._newton import NewtonSettings
from sklearn_unlearn.influence._operators import HorizontalProjector
from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem
from sklearn_unlearn.influence._refit import RefitUnlearner
from sklearn_unlearn.objectives import FactorObjective
from sklearn_unlearn.objectives._rank import complete_rank

__all__ = ["REFINE", "Ending", "gradient_norm"]

Floats = NDArray[Any]

# The last resort before a refit: as many steps as a fit would take.
REFINE = NewtonSettings(max_steps=50, max_iter=500)
# A request that asks for more columns than this is better served by a refit.
MAX_COLUMNS = 8


def gradient_norm(problem: ForgetProblem, theta: Floats, tilt: Floats | None) -> float:
    """Norm of the gradient less the tilt; with a gauge, of the part that does not rotate."""
    gradient, objective = problem.objective.gradient(theta), problem.objective
    if tilt is not None:
        gradient = gradient - tilt
        if objective.has_gauge:
            # A sum of gradient and tilt is not zero along rotations, wherever the table is.
            gradient = HorizontalProjector(theta, objective.layout.n_factors)(gradient)
    return float(np.linalg.norm(gradient))


@dataclass(frozen=True)
class Ending:
    """What happens when the steps of a strategy are over.

    Parameters
    ----------
    problem : ForgetProblem
        The model, the data and the request.

    method : str
        Name of the strategy.

    tol : float or None
        Share of the gradient that the user allows to be left.

    on_failure : {"refit", "warn", "raise"}
        What to do if more is left.
    """

    problem: ForgetProblem
    method: str
    tol: float | None
    on_failure: str

    def fail(self, left: float, n_products: float, first: float, why: str) -> ForgetOutcome | None:
        """Refit, raise, or warn and return nothing: the best point is then kept."""
        reached = left / first if first else 0.0
        message = (
            f"forget left {reached:.1e} of the gradient; tol={self.tol} was asked for. "
            f"The last solve said: {why}."
        )
        if self.on_failure == "raise":
            raise ForgetError(message + " The model is unchanged; use on_failure='refit'.")
        if self.on_failure == "warn":
            warnings.warn(message, NotConvergedWarning, stacklevel=2)
            return None
        outcome = RefitUnlearner().unlearn(self.problem)
        return replace(
            outcome,
            status=f"refit, because {self.method} ended so: {why}",
            n_products=outcome.n_products + n_products,
        )

    def complete_rank(
        self, outcome: ForgetOutcome, settings: NewtonSettings = REFINE
    ) -> ForgetOutcome:
        """Take in columns that the retained data ask for, unless the slack rules that out."""
        problem = self.problem
        if outcome.slack > 0 or not isinstance(problem.objective, FactorObjective):
            return outcome
        first = outcome.gradient_norm[0]
        completion = complete_rank(
            problem.objective,
            outcome.theta,
            problem.n_free,
            problem.goal(self.tol, first),
            settings,
            MAX_COLUMNS,
        )
        outcome = replace(outcome, slack=completion.slack)
        if completion.results:
            last = completion.results[-1].gradient_norm[1]
            outcome = replace(
                outcome,
                theta=completion.theta,
                n_steps=outcome.n_steps + sum(r.n_steps for r in completion.results),
                n_products=outcome.n_products + sum(r.n_products for r in completion.results),
                n_rows_updated=len(completion.theta),
                gradient_norm=(first, last),
                bound=last,
                sums=(),  # those of fewer columns
            )
        if completion.complete:
            return outcome
        why = "the optimum of what remains has latent columns that the steps did not reach"
        failed = self.fail(outcome.gradient_norm[1], outcome.n_products, first, why)
        return failed or replace(outcome, guarantee="one-step", converged=False)
