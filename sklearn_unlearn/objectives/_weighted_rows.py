"""Rows of a weighted objective while the other side stays: least squares, solved row by row.

With g the weight of a user, c the confidence and y the rows of the other side, the gradient of a
row x is

    users  g [(Q'Q + ridge / g) x + sum (c - 1) y y' x - sum c y]
    items  (P'gP + ridge) x + sum g (c - 1) y y' x - sum g c y

so both sides are normal equations of the same form, a user's divided by its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence.backends import Backend, RowCells
from sklearn_unlearn.objectives._weighted_grams import gram, gram_change
from sklearn_unlearn.utils._interactions import concatenate_ranges

if TYPE_CHECKING:
    from sklearn_unlearn.objectives._weighted import WeightedObjective

__all__ = ["ROW_STEPS", "RowProblem", "row_problem", "solve_users", "sweep"]

Floats = NDArray[Any]

# Cells whose weights are written out at once: a few megabytes, whatever the data.
_CELLS_AT_ONCE = 1 << 20
# Conjugate gradient steps that a row is worth in a sweep: the next one moves its problem anyway.
ROW_STEPS = 3


@dataclass(frozen=True)
class RowProblem:
    """Normal equations of some rows of one side.

    Parameters
    ----------
    rows : ndarray of int64
        Rows of theta, all users or all items.

    other : slice
        The other side in theta.

    gram_of : int
        Place of the other side's Gram matrix in the sums of the objective.

    cells : RowCells
        Their observed cells.

    ridge : ndarray, shape (n_rows,)
        Penalty of each row, divided by its weight.

    scale : ndarray, shape (n_rows, 1), or float
        Weight of each row.

    backend : Backend
        Arithmetic.
    """

    rows: NDArray[np.int64]
    other: slice
    gram_of: int
    cells: RowCells
    ridge: Floats
    scale: Floats | float
    backend: Backend

    def solve(
        self,
        theta: Floats,
        sums: tuple[Floats, ...],
        tilt: Floats | None = None,
        n_steps: int | None = None,
    ) -> Floats:
        """Rows at which the gradient is `tilt`, or some conjugate gradient steps towards them."""
        start = theta[self.rows]
        rhs = np.zeros(start.shape) if tilt is None else tilt / self.scale
        matrix, other = sums[self.gram_of], theta[self.other]
        return self.backend.row_solve(
            self.cells, other, matrix, self.ridge, rhs, start, n_steps=n_steps
        )

    def gradient(self, theta: Floats, sums: tuple[Floats, ...]) -> Floats:
        """Gradient of the rows, in double precision."""
        start = theta[self.rows]
        rhs = np.zeros(start.shape)
        matrix, other = sums[self.gram_of], theta[self.other]
        residual = self.backend.row_residual(self.cells, other, matrix, self.ridge, rhs, start)
        return -residual * self.scale

    def neighbour_change(self, old: Floats, theta: Floats, place: NDArray[Any], n: int) -> Floats:
        """Change of the gradients of n neighbours through the cells that they share with the rows.

        `old` are the rows before they moved; the neighbours did not move.
        """
        weights = self.cells.weights, self.cells.pulls
        if isinstance(self.scale, np.ndarray):
            by_cell = np.repeat(self.scale[:, 0], np.diff(self.cells.indptr))
            weights = weights[0] * by_cell, weights[1] * by_cell
        cells = RowCells(self.cells.indptr, self.cells.columns, *weights)
        return self.backend.neighbour_change(
            cells, old, theta[self.rows], theta[self.other], place, n
        )


def row_problem(objective: WeightedObjective, rows: NDArray[np.int64]) -> RowProblem:
    """State the normal equations of some rows of one side.

    Parameters
    ----------
    objective : WeightedObjective
        Of the whole table.

    rows : ndarray of int64
        Rows of theta, all users or all items.
    """
    m, g, pattern = objective.layout.n_users, objective.user_weights, objective.pattern
    ridge = objective.ridge.for_rows(rows).of_factors(objective.layout.for_rows(len(rows), 0))
    of_users = bool(len(rows) and rows[0] < m)
    scale: Floats | float = 1.0
    if of_users:
        cells = concatenate_ranges(pattern.indptr, rows)
        compact = np.append(0, np.cumsum(pattern.indptr[rows + 1] - pattern.indptr[rows]))
        columns, c = pattern.indices[cells], objective.confidence_of(cells)
        weights, pulls = c - 1, c
        if g is not None:
            # A user that counts for nothing has no cells; its row is zero for any positive ridge.
            counts = g[rows] > 0
            scale = np.where(counts, g[rows], 1.0)[:, None]
            ridge = np.where(counts, ridge, 1.0) / scale[:, 0]
    else:
        compact, columns, cells = pattern.cells_of_columns(rows - m)
        c = objective.confidence_of(cells)
        weights, pulls = c - 1, c
        if g is not None:
            by_cell = g[columns]
            weights, pulls = weights * by_cell, pulls * by_cell
    own_cells = RowCells(
        compact,
        columns,
        weights.astype(np.float64, copy=False),
        pulls.astype(np.float64, copy=False),
    )
    other = slice(m, None) if of_users else slice(0, m)
    return RowProblem(rows, other, int(of_users), own_cells, ridge, scale, objective.backend)


def chunked(objective: WeightedObjective, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cut rows of one side into runs of about equally many cells."""
    m, pattern = objective.layout.n_users, objective.pattern
    of_users = bool(len(rows) and rows[0] < m)
    if of_users:
        walked = np.cumsum(pattern.indptr[rows + 1] - pattern.indptr[rows])
    elif len(rows) == objective.layout.n_items:
        walked = pattern.indptr_t[1:]
    else:
        walked = pattern.cells_of_columns(rows - m)[0][1:]
    n_chunks = int(walked[-1] // _CELLS_AT_ONCE) + 1 if len(rows) else 0
    targets = np.linspace(0, walked[-1] if len(rows) else 0, n_chunks + 1)[1:-1]
    yield from (part for part in np.split(rows, np.searchsorted(walked, targets)) if len(part))


def gradient_of(
    objective: WeightedObjective,
    theta: Floats,
    sums: tuple[Floats, ...],
    *sides: NDArray[np.int64],
) -> Floats:
    """Gradient of some rows, each of `sides` all users or all items, in double precision."""
    parts = [part for rows in sides for part in chunked(objective, rows)]
    gradients = [row_problem(objective, part).gradient(theta, sums) for part in parts]
    return np.concatenate([np.empty((0, theta.shape[1])), *gradients])


def neighbours_of(objective: WeightedObjective, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of theta that share a cell with rows of one side, ascending."""
    m, pattern = objective.layout.n_users, objective.pattern
    of_users = bool(len(rows) and rows[0] < m)
    seen = np.zeros(objective.layout.n_items if of_users else m, bool)
    for part in chunked(objective, rows):
        if of_users:
            seen[pattern.indices[concatenate_ranges(pattern.indptr, part)]] = True
        else:
            seen[pattern.cells_of_columns(part - m)[1]] = True
    return np.flatnonzero(seen) + (m if of_users else 0)


def neighbour_change(
    objective: WeightedObjective,
    before: Floats,
    theta: Floats,
    rows: NDArray[np.int64],
    place: NDArray[Any],
    n: int,
) -> Floats:
    """Change of the gradients of n neighbours when rows of one side move from `before` to `theta`.

    Through shared cells alone; ``place[column]`` is the neighbour's row of the result, negative
    where it does not count.
    """
    out = np.zeros((n, theta.shape[1]))
    for part in chunked(objective, rows):
        out += row_problem(objective, part).neighbour_change(before[part], theta, place, n)
    return out


def sweep(
    objective: WeightedObjective,
    theta: Floats,
    sums: tuple[Floats, ...],
    *sides: NDArray[np.int64],
    tilt: Callable[[NDArray[np.int64]], Floats] | None = None,
    n_steps: int | None = None,
) -> tuple[Floats, ...]:
    """Solve rows of one side after the other, in place.

    Parameters
    ----------
    objective : WeightedObjective
        J.

    theta : ndarray
        The whole table: written to.

    sums : tuple of ndarray
        ``objective.sums(theta)``.

    *sides : ndarray of int64
        Rows of theta, each all users or all items, in the order in which they move.

    tilt : callable or None, default=None
        Gradient that some rows end at, given the rows; None is zero.

    n_steps : int or None, default=None
        Conjugate gradient steps a row; None solves exactly.

    Returns
    -------
    sums : tuple of ndarray
        ``objective.sums`` of the new table.
    """
    m, g = objective.layout.n_users, objective.user_weights
    for rows in sides:
        if not len(rows):
            continue
        of_items = bool(rows[0] >= m)
        whole = len(rows) == (objective.layout.n_items if of_items else m)
        change = np.zeros_like(sums[of_items])
        for part in chunked(objective, rows):
            own = None if tilt is None else tilt(part)
            new = row_problem(objective, part).solve(theta, sums, own, n_steps)
            if not whole:
                weights = None if g is None or of_items else g[part]
                change += gram_change(theta[part], new, weights)
            theta[part] = new
        if whole:
            side = slice(m, None) if of_items else slice(0, m)
            change = gram(theta[side], weights=None if of_items else g) - sums[of_items]
        pair = [sums[0], sums[1]]
        pair[of_items] = sums[of_items] + change
        sums = tuple(pair)
    return sums


def solve_users(objective: WeightedObjective, items: Floats, gram_of_items: Floats) -> Floats:
    """Exact rows of all users of an objective, given the items: fold-in.

    Parameters
    ----------
    objective : WeightedObjective
        Of the users to fold in.

    items : ndarray, shape (n_items, n_factors)
        Rows of the items.

    gram_of_items : ndarray, shape (n_factors, n_factors)
        Their Gram matrix.

    Returns
    -------
    users : ndarray, shape (n_users, n_factors)
    """
    own = row_problem(objective, np.arange(objective.layout.n_users))
    zeros = np.zeros((objective.layout.n_users, items.shape[1]), items.dtype)
    return objective.backend.row_solve(
        own.cells, items, gram_of_items, own.ridge, np.zeros(zeros.shape), zeros
    )
