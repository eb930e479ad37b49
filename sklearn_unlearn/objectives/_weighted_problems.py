"""Normal equations of rows of a weighted objective, one side while the other stays.

With g the weight of a user, c the confidence and y the rows of the other side, the gradient of a
row x is

    users  g [(Q'Q + ridge / g) x + sum (c - 1) y y' x - sum c y]
    items  (P'gP + ridge) x + sum g (c - 1) y y' x - sum g c y

so both sides are normal equations of the same form, a user's divided by its weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence.backends import Array, Backend, RowCells, namespace_of, twin
from sklearn_unlearn.utils._interactions import concatenate_ranges

if TYPE_CHECKING:
    from sklearn_unlearn.objectives._weighted import WeightedObjective

__all__ = ["RowProblem", "row_problem"]

Floats = NDArray[Any]


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
    ) -> Array:
        """Rows at which the gradient is `tilt`, or some conjugate gradient steps towards them."""
        start = theta[twin(self, "rows", theta)]
        rhs = _zeros_like(start) if tilt is None else tilt / twin(self, "scale", tilt)
        equations = self._equations(theta, sums)
        return self.backend.row_solve(*equations, rhs, start, n_steps)

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
