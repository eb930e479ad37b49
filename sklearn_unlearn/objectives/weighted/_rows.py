r"""Rows of a weighted objective while the other side stays: least squares, solved row by row.

Conventions
-----------
With g the weight of a user, c the confidence and y the rows of the other side, the gradient of a
row x is

    users  g [(Q'Q + ridge / g) x + sum (c - 1) y y' x - sum c y]
    items  (P'gP + ridge) x + sum g (c - 1) y y' x - sum g c y

so both sides are normal equations of the same form, a user's divided by its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import (
    Array,
    Backend,
    RowCells,
    gram,
    gram_change,
    like,
    namespace_of,
    to_numpy,
    twin,
)
from sklearn_unlearn.objectives._cells import Cells
from sklearn_unlearn.utils._interactions import concatenate_ranges

__all__ = [
    "ROW_STEPS",
    "RowProblem",
    "chunked",
    "gradient_of",
    "neighbour_change",
    "neighbours_of",
    "row_problem",
    "solve_users",
    "sweep",
]

Floats = NDArray[Any]

# Cells whose weights are written out at once: a few megabytes, whatever the data.
_CELLS_AT_ONCE = 1 << 20
# Conjugate gradient steps that a row is worth in a sweep: the next one moves its problem anyway.
ROW_STEPS = 3


class Weighted(Cells, Protocol):
    """What the normal equations are made of; see `WeightedObjective`."""

    @property
    def user_weights(self) -> Floats | None: ...
    @property
    def alpha(self) -> float: ...
    @property
    def outside(self) -> tuple[Floats, Floats] | None: ...
    @property
    def outside_weight(self) -> float: ...
    def ridge_gradient(self, theta: Floats, rows: NDArray[Any]) -> Floats: ...
    def confidence_of(self, cells: NDArray[Any]) -> Floats: ...


@dataclass(frozen=True)
class RowProblem:
    """Normal equations of some rows of one side; tables come and go as arrays of the backend.

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
        theta: Array,
        sums: tuple[Array, ...],
        tilt: Array | None = None,
        n_steps: int | None = None,
        near: bool = False,
    ) -> Array:
        """Rows at which the gradient is `tilt`, or some conjugate gradient steps towards them."""
        start = theta[twin(self, "rows", theta)]
        rhs = _zeros_like(start) if tilt is None else tilt / twin(self, "scale", tilt)
        equations = self._equations(theta, sums)
        return self.backend.row_solve(*equations, rhs, start, n_steps, near=near)

    def gradient(self, theta: Array, sums: tuple[Array, ...]) -> Array:
        """Gradient of the rows, in double precision."""
        start = theta[twin(self, "rows", theta)]
        equations = self._equations(theta, sums)
        residual = self.backend.row_residual(*equations, _zeros_like(start), start)
        return -residual * twin(self, "scale", residual)

    def _equations(
        self, theta: Array, sums: tuple[Array, ...]
    ) -> tuple[RowCells, Array, Array, Array]:
        """Cells, the other side, its Gram matrix and the ridge, as the backend takes them."""
        return self.cells, theta[self.other], sums[self.gram_of], twin(self, "ridge", theta)

    def neighbour_change(self, old: Array, theta: Array, place: NDArray[Any], n: int) -> Array:
        """Change of the gradients of n neighbours through the cells that they share with the rows.

        `old` are the rows before they moved; the neighbours did not move.
        """
        weights = self.cells.weights, self.cells.pulls
        if isinstance(self.scale, np.ndarray):
            by_cell = np.repeat(self.scale[:, 0], np.diff(self.cells.indptr))
            weights = weights[0] * by_cell, weights[1] * by_cell
        cells = RowCells(self.cells.indptr, self.cells.columns, *weights)
        new = theta[twin(self, "rows", theta)]
        return self.backend.neighbour_change(cells, old, new, theta[self.other], place, n)


def _zeros_like(start: Array) -> Array:
    """Right-hand side of rows, in double precision."""
    xp = namespace_of(start)
    return xp.zeros_like(start, dtype=xp.float64)


def row_problem(objective: Weighted, rows: NDArray[np.int64]) -> RowProblem:
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
        columns, c = pattern.items_at(cells), objective.confidence_of(cells)
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


def chunked(objective: Weighted, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
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
    objective: Weighted,
    theta: Floats,
    sums: tuple[Floats, ...],
    *sides: NDArray[np.int64],
) -> Floats:
    """Gradient of some rows, each of `sides` all users or all items, in double precision."""
    table, sums = _on_device(objective, theta, sums)
    parts = [part for rows in sides for part in chunked(objective, rows)]
    gradients = [row_problem(objective, part).gradient(table, sums) for part in parts]
    return np.concatenate([np.empty((0, theta.shape[1])), *map(to_numpy, gradients)])


def _on_device(
    objective: Weighted, theta: Array, sums: tuple[Array, ...]
) -> tuple[Array, tuple[Array, ...]]:
    """Table and sums as arrays of the backend: themselves, if they are."""
    table = objective.backend.asarray(theta)
    return table, tuple(like(table, one) for one in sums)


def neighbours_of(objective: Weighted, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of theta that share a cell with rows of one side, ascending."""
    m, pattern = objective.layout.n_users, objective.pattern
    of_users = bool(len(rows) and rows[0] < m)
    seen = np.zeros(objective.layout.n_items if of_users else m, bool)
    for part in chunked(objective, rows):
        if of_users:
            seen[pattern.items_at(concatenate_ranges(pattern.indptr, part))] = True
        else:
            seen[pattern.cells_of_columns(part - m)[1]] = True
    return np.flatnonzero(seen) + (m if of_users else 0)


def neighbour_change(
    objective: Weighted,
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
    out, table = np.zeros((n, theta.shape[1])), objective.backend.asarray(theta)
    for part in chunked(objective, rows):
        old = like(table, before[part])
        out += to_numpy(row_problem(objective, part).neighbour_change(old, table, place, n))
    return out


def sweep(
    objective: Weighted,
    theta: Array,
    sums: tuple[Array, ...],
    *sides: NDArray[np.int64],
    tilt: Callable[[NDArray[np.int64]], Floats] | None = None,
    n_steps: int | None = None,
    near: bool = False,
) -> tuple[Array, ...]:
    """Solve rows of one side after the other, in place.

    NumPy's arrays are brought to the backend and back; its own stay where they are.

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

    near : bool, default=False
        Whether the rows move little: in single precision, five digits of the change will do.

    Returns
    -------
    sums : tuple of ndarray
        ``objective.sums`` of the new table.
    """
    m, g = objective.layout.n_users, objective.user_weights
    table, own_sums = _on_device(objective, theta, sums)
    if table is not theta:
        own_sums = sweep(objective, table, own_sums, *sides, tilt=tilt, n_steps=n_steps, near=near)
        moved = np.concatenate([np.empty(0, np.int64), *sides])
        theta[moved] = to_numpy(table[like(table, moved)])
        return tuple(to_numpy(one) for one in own_sums)
    for rows in sides:
        if not len(rows):
            continue
        of_items = bool(rows[0] >= m)
        # Of a table that leaves rows out, not even all rows are all that the sums are over.
        whole = objective.outside is None and len(rows) == (
            objective.layout.n_items if of_items else m
        )
        change = namespace_of(theta).zeros_like(sums[of_items])
        for part in chunked(objective, rows):
            own = None if tilt is None else like(theta, tilt(part))
            problem, places = row_problem(objective, part), like(theta, part)
            new = problem.solve(theta, sums, own, n_steps, near)
            if not whole:
                weights = None if g is None or of_items else like(theta, g[part])
                change += gram_change(theta[places], new, weights)
            theta[places] = new
        if whole:
            side = slice(m, None) if of_items else slice(0, m)
            weights = None if of_items else twin(objective, "user_weights", theta)
            change = gram(theta[side], weights=weights) - sums[of_items]
        pair = [sums[0], sums[1]]
        pair[of_items] = sums[of_items] + change
        sums = tuple(pair)
    return sums


def solve_users(objective: Weighted, items: Floats, gram_of_items: Floats) -> Floats:
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
    arrays = items, gram_of_items, own.ridge, np.zeros(zeros.shape), zeros
    backend = objective.backend
    return backend.to_numpy(backend.row_solve(own.cells, *map(backend.asarray, arrays)))
