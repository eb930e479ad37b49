"""The end of a fit: Newton's method, and the latent columns that its stationary point lacks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from sklearn_unlearn.influence._newton import NewtonResult, NewtonSettings, newton
from sklearn_unlearn.objectives import FactorObjective
from sklearn_unlearn.objectives._rank import EXCESS, OnStep, complete_rank

__all__ = ["FitResult", "OnStep", "leave_saddles", "minimize_from"]

Floats = NDArray[Any]

# In units of the tolerance: a column that a looser fit lacks by less is not worth having.
_EXCESS = 3.0


@dataclass(frozen=True)
class FitResult(NewtonResult):
    """Where a fit ended.

    Parameters
    ----------
    slack : float, default=0.0
        How far the end is from asking for another column: see `objectives._rank`. 0 where the
        gradient did not meet its tolerance, so that nobody has looked.

    saddle : bool, default=False
        Whether the gradient met its tolerance where a column is missing; `converged` is then false.
    """

    slack: float = 0.0
    saddle: bool = False


def minimize_from(
    objective: FactorObjective,
    theta: Floats,
    tol: float,
    settings: NewtonSettings,
    on_step: OnStep | None = None,
) -> FitResult:
    """Minimise from a start, and go on from every saddle.

    Parameters
    ----------
    objective : FactorObjective
        J.

    theta : ndarray
        The start.

    tol : float
        Gradient norm to reach, as a share of `objective.gradient_scale`.

    settings : NewtonSettings
        How to iterate; `max_steps` is that of the whole fit.

    on_step : callable, default=None
        Called as ``on_step(step, value, gradient_norm, n_products)``, after each Newton step.

    Returns
    -------
    result : FitResult
    """
    gtol = tol * objective.gradient_scale
    result = newton(objective, theta, gtol, settings, on_step=on_step)
    return leave_saddles(objective, result, tol, settings, on_step)


def leave_saddles(
    objective: FactorObjective,
    result: NewtonResult,
    tol: float,
    settings: NewtonSettings,
    on_step: OnStep | None = None,
) -> FitResult:
    """Take in the columns that a stationary point lacks.

    Parameters
    ----------
    objective, tol, settings, on_step
        As for `minimize_from`.

    result : NewtonResult
        Where Newton's method ended.
    """
    found = FitResult(**vars(result))
    if not found.converged:
        return found
    settings = replace(settings, max_steps=settings.max_steps - found.n_steps)

    def later(step: int, value: float, gradient_norm: float, n_products: int) -> None:
        if on_step is not None:
            on_step(found.n_steps + step, value, gradient_norm, found.n_products + n_products)

    k, gtol = objective.layout.n_factors, tol * objective.gradient_scale
    excess = max(_EXCESS * tol, EXCESS)
    completion = complete_rank(objective, found.theta, 0, gtol, settings, k, later, excess)
    if not completion.results:
        return replace(
            found,
            slack=completion.slack,
            saddle=not completion.complete,
            converged=completion.complete,
        )
    last = completion.results[-1]
    return FitResult(
        completion.theta,
        last.value,
        (found.gradient_norm[0], last.gradient_norm[1]),
        found.n_steps + sum(one.n_steps for one in completion.results),
        found.n_products + sum(one.n_products for one in completion.results),
        last.status,
        completion.complete,
        completion.slack,
        saddle=not completion.complete and last.gradient_norm[1] <= gtol,
    )
