"""Solve for many rows at once that do not depend on each other: fold-in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import copy_of, like, namespace_of, to_numpy
from sklearn_unlearn.objectives import FactorObjective

__all__ = ["solve_rows"]

Floats = NDArray[Any]

_MAX_STEPS = 60
_TOL = 1e-13


def solve_rows(objective: FactorObjective, theta: Floats, *, tilt: Floats | None = None) -> Floats:
    """Minimise over the users of an objective whose items are frozen.

    Each row is a strictly convex problem of its own, with an exact Hessian block. The step is
    damped by ``log(1 + d) / d``, with d the largest change of a score of the row: for losses with
    ``|l'''| <= l''`` every such step lowers the row's objective [1]_. Rows stop one by one, so a
    row's solution does not depend on its company.

    Parameters
    ----------
    objective : FactorObjective
        Restricted to its users.

    theta : ndarray
        Where to start.

    tilt : ndarray, shape (n_users, width), or None, default=None
        Gradient to end at; None is zero.

    Returns
    -------
    theta : ndarray
        With the users' rows solved.

    References
    ----------
    .. [1] Sun and Tran-Dinh, "Generalized self-concordant functions: a recipe for Newton-type
       methods", Mathematical Programming 178, 2019, section 4.
    """
    m, backend = objective.layout.n_users, objective.backend
    theta = copy_of(backend.asarray(theta))
    xp = namespace_of(theta)
    active = np.ones(m, bool)
    for _ in range(_MAX_STEPS):
        point = objective.at(theta)
        gradient = point.gradient[:m]
        if tilt is not None:
            gradient = gradient - like(theta, tilt)
        step = -backend.cho_solve(point.blocks(users_only=True), gradient)
        decrement = to_numpy(xp.sum(step * -gradient, axis=1))
        size = to_numpy(xp.sum(theta[:m] ** 2, axis=1))
        active &= decrement > _TOL**2 * np.maximum(size, 1)
        length = active * objective.damping_of(to_numpy(theta), to_numpy(step))
        theta[:m] += step * like(theta, length)[:, None]
        if not active.any():
            break
    return to_numpy(theta)
