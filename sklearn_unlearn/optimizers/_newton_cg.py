"""Fit a factor model by trust-region Newton-CG, from the spectral start."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.objectives import FactorObjective
from sklearn_unlearn.optimizers._fit import OnStep, minimize_from
from sklearn_unlearn.optimizers._start import spectral_start
from sklearn_unlearn.solvers._newton import NewtonResult, NewtonSettings

__all__ = ["minimize_newton_cg"]


def minimize_newton_cg(
    objective: FactorObjective,
    *,
    seed: int,
    tol: float,
    max_iter: int,
    rows: NDArray[np.int64] | None = None,
    on_step: OnStep | None = None,
) -> NewtonResult:
    """Minimise an objective to a gradient tolerance.

    Parameters
    ----------
    objective : FactorObjective
        J.

    seed : int
        Seed of the start.

    tol : float
        The gradient norm to reach, as a share of `objective.gradient_scale`.

    max_iter : int
        Newton steps at most.

    rows : ndarray of int64, shape (n_users + n_items,), or None, default=None
        Row of each row of theta in the table that this is a part of; None is its own.

    on_step : callable, default=None
        Called as ``on_step(step, value, gradient_norm, n_products)``.

    Returns
    -------
    result : NewtonResult
    """
    settings = NewtonSettings(max_steps=max_iter, max_iter=500, forcing=0.5, aim=0.3)
    start = spectral_start(objective, seed, rows)
    return minimize_from(objective, start, tol, settings, on_step)
