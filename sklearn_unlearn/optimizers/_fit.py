"""The end of a fit: Newton's method, and the latent columns that its stationary point lacks."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from sklearn_unlearn.certificates._rank import EXCESS, OnStep, complete_rank
from sklearn_unlearn.objectives import FactorObjective
from sklearn_unlearn.solvers._newton import NewtonResult, NewtonSettings, newton

__all__ = ["OnStep", "leave_saddles", "minimize_from"]

Floats = NDArray[Any]

# In units of the tolerance: a column that a looser fit lacks by less is not worth having.
_EXCESS = 3.0


def minimize_from(
    objective: FactorObjective,
    theta: Floats,
    tol: float,
    settings: NewtonSettings,
    on_step: OnStep | None = None,
) -> NewtonResult:
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
    result : NewtonResult
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
) -> NewtonResult:
    """Take in the columns that a stationary point lacks.

    Parameters
    ----------
    objective, tol, settings, on_step
        As for `minimize_from`.

    result : NewtonResult
        Where Newton's method ended.
    """
    if not result.converged:
        return result
    k, gtol = objective.layout.n_factors, tol * objective.gradient_scale
    excess = max(_EXCESS * tol, EXCESS)
    return complete_rank(objective, result, 0, gtol, settings, k, on_step, excess)
