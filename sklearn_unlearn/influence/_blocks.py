"""One damped Newton step for every row, one side while the other stays: block coordinate descent.

Rows of one side do not share a cell, so their steps do not depend on each other, and the Hessian of
each is one (width, width) block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence.backends import Array, like, namespace_of, to_numpy
from sklearn_unlearn.objectives import PointwiseObjective
from sklearn_unlearn.objectives._pointwise import PointwiseEvaluation

__all__ = ["newton_sweep"]

Floats = NDArray[Any]
Ints = NDArray[np.int64]

# Rows whose blocks are in memory at once.
_ROWS_AT_ONCE = 2048


def newton_sweep(
    objective: PointwiseObjective, theta: Floats, *sides: Ints, tilt: Floats | None = None
) -> Floats:
    """Step once with every row of one side after the other.

    The step is damped by ``log(1 + d) / d``, with d the largest change of a score of the row: for
    losses with ``|l'''| <= l''`` every such step lowers the row's objective [1]_.

    Parameters
    ----------
    objective : PointwiseObjective
        J.

    theta : ndarray
        Where to start; not written to.

    *sides : ndarray of int64
        Rows of theta, each all users or all items, in the order in which they move.

    tilt : ndarray or None, default=None
        Gradient to end at, a table like theta; None is zero.

    Returns
    -------
    theta : ndarray

    References
    ----------
    .. [1] Sun and Tran-Dinh, "Generalized self-concordant functions: a recipe for Newton-type
       methods", Mathematical Programming 178, 2019, section 4.
    """
    theta = theta.copy()
    for rows in sides:
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[first : first + _ROWS_AT_ONCE]
            theta[some] += _steps(objective, theta, some, None if tilt is None else tilt[some])
    return theta


def _steps(objective: PointwiseObjective, theta: Floats, rows: Ints, tilt: Floats | None) -> Floats:
    """Damped Newton steps of some rows of one side."""
    of_items = bool(rows[0] >= objective.layout.n_users)
    restricted, table_rows = objective.restrict(rows, theta)
    point = restricted.at(theta[table_rows])
    # No cell of a user belongs to another: the rows are all of their side in the smaller table.
    m = restricted.layout.n_users
    side = slice(m, None) if of_items else slice(0, m)
    slopes = point.gradient[side]
    if tilt is not None:
        slopes = slopes - like(slopes, tilt)
    blocks = _item_blocks(point) if of_items else point.blocks(users_only=True)
    moves = -restricted.backend.cho_solve(blocks, slopes)
    steps = to_numpy(moves)
    if restricted.loss.is_curved:
        steps = steps * _damping(point, side, moves)[:, None]
    return steps


def _item_blocks(point: PointwiseEvaluation) -> Array:
    """Blocks of the items alone: those of the users beside them may not fit in memory."""
    o, m = point.objective, point.objective.layout.n_users
    users, items = point.theta[:m], point.theta[m:]
    blocks = o.backend.row_grams(o.pattern, point.derivatives[1], users, transpose=True)
    rows = np.arange(m, m + len(items))
    xp, fixed = namespace_of(items), like(items, o.layout.empty_rows(rows) != 0)
    blocks[fixed[:, :, None] | fixed[:, None, :]] = 0
    index = like(items, np.arange(items.shape[1]))
    ridge = o.ridge.for_rows(rows).times(xp.ones_like(items), o.layout)
    blocks[:, index, index] += xp.where(fixed, 1.0, ridge)
    return blocks


def _damping(point: PointwiseEvaluation, side: slice, steps: Array) -> Floats:
    """Length at which each row may take its step."""
    o, m = point.objective, point.objective.layout.n_users
    moves = namespace_of(point.theta).zeros_like(point.theta)
    moves[side] = steps
    pairs = (moves[:m], point.theta[m:]), (point.theta[:m], moves[m:])
    change = np.abs(to_numpy(o.backend.sddmm(o.pattern, *pairs)))
    of_items = bool(side.start)
    rows = o.pattern.indices if of_items else np.repeat(np.arange(m), np.diff(o.pattern.indptr))
    largest = np.zeros(len(steps))
    np.maximum.at(largest, rows, change)
    return np.where(largest > 0, np.log1p(largest) / np.where(largest > 0, largest, 1), 1.0)
