"""Fit a weighted factor model: alternating sweeps over the rows, then Newton's method."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sklearn_unlearn.backends import norm, to_numpy
from sklearn_unlearn.objectives import WeightedObjective
from sklearn_unlearn.objectives.weighted._rows import ROW_STEPS, sweep
from sklearn_unlearn.optimizers._fit import OnStep, leave_saddles, minimize_from
from sklearn_unlearn.solvers._linear import Status
from sklearn_unlearn.solvers._newton import NewtonResult, NewtonSettings
from sklearn_unlearn.utils._random import hashed_normal

__all__ = ["minimize_alternating"]

Floats = NDArray[Any]

_START_SCALE = 0.1


def minimize_alternating(
    objective: WeightedObjective,
    *,
    seed: int,
    tol: float,
    max_iter: int,
    n_sweeps: int,
    dtype: DTypeLike = np.float64,
    items: NDArray[np.int64] | None = None,
    on_step: OnStep | None = None,
) -> NewtonResult:
    """Minimise a weighted objective to a gradient tolerance.

    Parameters
    ----------
    objective : WeightedObjective
        J.

    seed : int
        Seed of the start; item i and factor f get the same number whatever the data.

    tol : float
        The gradient norm to reach, as a share of `objective.gradient_scale`.

    max_iter : int
        Newton steps after the sweeps at most; 0 leaves the model as the sweeps made it.

    n_sweeps : int
        Sweeps over all users and all items.

    dtype : dtype, default=float64
        Of the sweeps; Newton's method works in float64.

    items : ndarray of int64, shape (n_items,), or None, default=None
        Position of each item in the table that this is a part of; None is its own.

    on_step : callable, default=None
        Called as ``on_step(step, value, gradient_norm, n_products)``.

    Returns
    -------
    result : NewtonResult
    """
    m, k = objective.layout.n_users, objective.layout.n_factors
    theta = np.zeros(objective.layout.shape, dtype)
    positions = np.arange(len(theta) - m) if items is None else items
    # An item's numbers do not depend on how many users there are.
    noise = hashed_normal(seed, positions[:, None], np.arange(k))
    theta[m:] = _START_SCALE * noise / np.sqrt(max(k, 1))
    theta = objective.backend.asarray(theta)
    sums = objective.sums(theta)
    for _ in range(n_sweeps):
        sides = np.arange(m), np.arange(m, len(theta))
        sums = sweep(objective, theta, sums, *sides, n_steps=ROW_STEPS)
    settings = NewtonSettings(max_steps=max_iter, max_iter=500, forcing=0.5, aim=0.3)
    if not max_iter:
        point = objective.at(theta)
        left = norm(point.gradient)
        ends = to_numpy(theta), point.value, (left, left)
        met = bool(left <= tol * objective.gradient_scale)
        result = NewtonResult(*ends, 0, 0, Status.CONVERGED, met)
        return _with_sweeps(leave_saddles(objective, result, tol, settings), n_sweeps)
    start = to_numpy(theta).astype(np.float64)
    return _with_sweeps(minimize_from(objective, start, tol, settings, on_step), n_sweeps)


def _with_sweeps(result: NewtonResult, n_sweeps: int) -> NewtonResult:
    """Count the passes of the sweeps: users and items once each, and the sums over all."""
    return replace(result, n_passes=result.n_passes + 3.0 * n_sweeps)
