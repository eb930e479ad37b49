"""Sweeps over all rows, for as long as each takes a good share of what the request left.

After the touched rows, what is left is spread thinly over the table, and a sweep takes most of it
at once; what then decays slowly is left to Newton's method. A sweep costs about two Hessian
products, a Newton step tens of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence._endings import gradient_norm
from sklearn_unlearn.influence._problem import ForgetProblem
from sklearn_unlearn.influence._rows import RowsResult
from sklearn_unlearn.objectives import WeightedObjective
from sklearn_unlearn.objectives._weighted_rows import ROW_STEPS, sweep

__all__ = ["sweep_everywhere"]

Floats = NDArray[Any]

_MAX_SWEEPS = 20
# A sweep that leaves more than this share of the gradient is not worth another.
_WORTH = 0.85


def sweep_everywhere(
    problem: ForgetProblem, result: RowsResult, tilt: Floats | None, tol: float | None
) -> RowsResult:
    """Sweep over all users and all items.

    Parameters
    ----------
    problem : ForgetProblem
        With a `WeightedObjective`.

    result : RowsResult
        Of the touched rows.

    tilt : ndarray or None
        Gradient to end at; None is zero.

    tol : float or None
        Share of the gradient that may be left.

    Returns
    -------
    result : RowsResult
        In double precision: rounding every row to single precision is more than a request leaves.
    """
    objective, m = problem.objective, problem.before.n_users
    assert isinstance(objective, WeightedObjective)
    theta, sums = result.theta.astype(np.float64), result.sums
    users, items = np.arange(m), np.arange(m, len(theta))
    rows_tilt = None if tilt is None else tilt.__getitem__
    before = result.gradient_norm[0]
    left, n_sweeps = gradient_norm(problem, theta, tilt), 0
    goal = problem.goal(tol, before)
    while n_sweeps < _MAX_SWEEPS and left > goal:
        new = theta.copy()
        new_sums = sweep(objective, new, sums, users, items, tilt=rows_tilt, n_steps=ROW_STEPS)
        norm, n_sweeps = gradient_norm(problem, new, tilt), n_sweeps + 1
        if not norm < left:
            break
        slow = norm > _WORTH * left
        theta, sums, left = new, new_sums, norm
        if slow:
            break
    return replace(
        result,
        theta=theta,
        sums=sums,
        support=np.arange(len(theta)),
        gradient_norm=(before, left),
        n_rows_updated=len(theta),
        n_sweeps=result.n_sweeps + n_sweeps,
        n_products=result.n_products + 2.0 * n_sweeps,
        tilted=tilt is not None,
        complete=left <= goal,
    )
