"""Damped Newton steps of single rows, one side while the other stays: block coordinate descent.

Rows of one side do not share a cell, so their steps do not depend on each other, and the Hessian of
each is one (width, width) block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import Array, like, namespace_of, to_numpy
from sklearn_unlearn.objectives._cells import Cells
from sklearn_unlearn.objectives._losses import Loss, step_length

__all__ = ["BlockSteps"]

Floats = NDArray[Any]
Ints = NDArray[np.int64]

# Rows whose blocks are in memory at once.
_ROWS_AT_ONCE = 2048


class Pointwise(Cells, Protocol):
    """What the steps are made of; see `PointwiseObjective`."""

    @property
    def loss(self) -> Loss: ...
    def restrict(self, rows: Ints, theta: Floats) -> tuple[Any, Ints]: ...


class BlockSteps:
    """The row solver of a pointwise objective: a damped Newton step a row.

    The step is damped by ``log(1 + d) / d``, with d the largest change of a score of the row: for
    losses with ``|l'''| <= l''`` every such step lowers the row's objective [1]_.

    Parameters
    ----------
    objective : PointwiseObjective
        J.

    c_of : callable or None, default=None
        Gradient that some rows end at, given the rows; None is zero.

    References
    ----------
    .. [1] Sun and Tran-Dinh, "Generalized self-concordant functions: a recipe for Newton-type
       methods", Mathematical Programming 178, 2019, section 4.
    """

    steps_of_a_sweep: ClassVar[int | None] = None

    def __init__(self, objective: Pointwise, c_of: Callable[[Ints], Floats] | None = None) -> None:
        self.objective, self.c_of = objective, c_of

    def tilted(self, c_of: Callable[[Ints], Floats]) -> BlockSteps:
        """Return the same solver with a gradient to end at."""
        return BlockSteps(self.objective, c_of)

    def sweep(
        self, theta: Floats, sums: tuple[Floats, ...], *sides: Ints, n_steps: int | None = None
    ) -> tuple[Floats, ...]:
        """Step once with the rows of one side after the other, in place.

        Parameters
        ----------
        theta : ndarray
            The whole table: written to.

        sums : tuple of ndarray
            Not used: no row feels sums over others.

        *sides : ndarray of int64
            Rows of theta, each all users or all items, in the order in which they move.

        n_steps : int or None, default=None
            Not used: a row takes one step.

        Returns
        -------
        sums : tuple of ndarray
            Those given.
        """
        for rows in sides:
            for first in range(0, len(rows), _ROWS_AT_ONCE):
                some = rows[first : first + _ROWS_AT_ONCE]
                c = None if self.c_of is None else self.c_of(some)
                theta[some] += _steps(self.objective, theta, some, c)
        return sums


def _steps(objective: Pointwise, theta: Floats, rows: Ints, c: Floats | None) -> Floats:
    """Damped Newton steps of some rows of one side."""
    of_items = bool(rows[0] >= objective.layout.n_users)
    restricted, table_rows = objective.restrict(rows, theta)
    point = restricted.at(theta[table_rows])
    # No cell of a user belongs to another: the rows are all of their side in the smaller table.
    m = restricted.layout.n_users
    side = slice(m, None) if of_items else slice(0, m)
    slopes = point.gradient[side]
    if c is not None:
        slopes = slopes - like(slopes, c)
    blocks = _item_blocks(point) if of_items else point.blocks(users_only=True)
    moves = -restricted.backend.cho_solve(blocks, slopes)
    steps = to_numpy(moves)
    if restricted.loss.is_curved:
        steps = steps * _damping(point, side, moves)[:, None]
    return steps


def _item_blocks(point: Any) -> Array:
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


def _damping(point: Any, side: slice, steps: Array) -> Floats:
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
    return step_length(largest)
