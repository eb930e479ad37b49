"""What objectives that walk the observed cells share: restriction, products, scaling."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from sklearn_unlearn.influence.backends import Array, Backend, Pattern, twin
from sklearn_unlearn.objectives._base import FactorObjective, Layout
from sklearn_unlearn.objectives._ridge import Ridge
from sklearn_unlearn.utils._interactions import concatenate_ranges, index_dtype, sorted_union

__all__ = ["Restriction", "SparseObjective", "norm_bound", "pattern_of_cells", "restrict_pattern"]

Floats = NDArray[Any]


class SparseObjective(FactorObjective):
    """What follows from pattern, layout and ridge alone, whatever a cell costs."""

    pattern: Pattern
    layout: Layout
    ridge: Ridge
    backend: Backend
    frozen_rows: NDArray[Any] | None

    def cell_scores(self, theta: Array) -> Array:
        """Scores of the observed cells, shape (n_interactions,), in arrays of the backend."""
        m = self.layout.n_users
        return self.backend.sddmm(self.pattern, (theta[:m], theta[m:]))

    def scores(self, theta: Floats) -> Floats:
        """Scores of the observed cells, shape (n_interactions,)."""
        return self.backend.to_numpy(self.cell_scores(self.backend.asarray(theta)))

    @abstractmethod
    def mean_loss(self, theta: Floats) -> float:
        """Mean loss of the cells that the objective sums over, the penalty left out."""

    @property
    def has_gauge(self) -> bool:
        """Whether rotating the latent columns of theta leaves the value alone."""
        return self.frozen_rows is None

    @property
    def n_cells(self) -> int:
        """Number of cells that one product walks."""
        return self.pattern.n_interactions

    def thaw(self) -> Self:
        """Let every row of a restricted table move; cells that it leaves out stay out."""
        return self._changed(frozen_rows=None)

    def freeze_items(self) -> Self:
        """Let only users move."""
        return self._changed(frozen_rows=np.arange(self.layout.n_users, self.layout.shape[0]))

    def with_factors(self, n_factors: int) -> Self:
        """Return the same objective for another number of latent columns."""
        return self._changed(layout=replace(self.layout, n_factors=n_factors))

    def _changed(self, **fields: Any) -> Self:
        return cast(Self, replace(cast(Any, self), **fields))

    def both_ways(self, start: Array, *terms: tuple[Array, Array]) -> Array:
        """Add the sum over terms (weights, table) of ``[M Q ; M' P]`` to `start`, in place."""
        m = self.layout.n_users
        users, items = [(w, T[m:]) for w, T in terms], [(w, T[:m]) for w, T in terms]
        self.backend.spmm(self.pattern, *users, out=start[:m])
        self.backend.spmm(self.pattern, *items, transpose=True, out=start[m:])
        return start

    def mask(self, table: Array) -> Array:
        """Set to zero what does not move, in place."""
        if self.frozen_rows is not None:
            table[twin(self, "frozen_rows", table)] = 0
        return self.layout.mask_fixed(table)

    @property
    def row_penalties(self) -> Floats:
        """Weight of the latent columns of each row in the penalty."""
        return self.ridge.of_factors(self.layout)

    def scaled_operator(self, values: Floats) -> LinearOperator:
        """Values on the pattern, rows and columns divided by the root of their ridge."""
        users, items = np.split(1 / np.sqrt(self.row_penalties), [self.layout.n_users])
        values = values * np.repeat(users, np.diff(self.pattern.indptr))
        values *= items[self.pattern.indices]
        return aslinearoperator(
            csr_array((values, self.pattern.indices, self.pattern.indptr), self.pattern.shape)
        )

    def factors_of(self, left: Floats, values: Floats, right: Floats) -> Floats:
        """Latent rows whose scores are ``left diag(values^2) right'`` in the operator's scaling."""
        scale = 1 / np.sqrt(self.row_penalties)
        return np.concatenate([left, right]) * values * scale[:, None]

    def score_spectrum(self, theta: Floats) -> Floats:
        """Singular values of ``L_u^1/2 P Q' L_i^1/2``, from two QR decompositions."""
        k, m = self.layout.n_factors, self.layout.n_users
        scaled = theta[:, :k] * np.sqrt(self.row_penalties)[:, None]
        left = np.linalg.qr(scaled[:m], mode="r")
        right = np.linalg.qr(scaled[m:], mode="r")
        return np.linalg.svd(np.asarray(left) @ np.asarray(right).T, full_matrices=False)[1]


@dataclass(frozen=True)
class Restriction:
    """The part of a pattern that some rows are incident to.

    Parameters
    ----------
    pattern : Pattern
        The incident cells, in a table of their rows alone.

    cells : ndarray of int
        Their places in the whole pattern.

    layout : Layout
        Shape of the smaller table.

    table_rows : ndarray of int
        Rows of theta that make up the smaller table.

    frozen_rows : ndarray of int
        Rows of the smaller table that do not move.
    """

    pattern: Pattern
    cells: NDArray[Any]
    layout: Layout
    table_rows: NDArray[Any]
    frozen_rows: NDArray[Any]


def restrict_pattern(pattern: Pattern, layout: Layout, rows: NDArray[Any]) -> Restriction:
    """Keep the cells that are incident to some rows, and renumber users and items."""
    m = layout.n_users
    free = np.zeros(layout.shape[0], bool)
    free[rows] = True
    cells, users, items = _incident(pattern, free)
    user_ids = sorted_union(users, rows[rows < m])
    item_ids = sorted_union(items, rows[rows >= m] - m)
    table_rows = np.concatenate([user_ids, item_ids + m])
    part = pattern_of_cells(
        np.searchsorted(user_ids, users),
        np.searchsorted(item_ids, items),
        (len(user_ids), len(item_ids)),
    )
    smaller = layout.for_rows(len(user_ids), len(item_ids))
    return Restriction(part, cells, smaller, table_rows, np.flatnonzero(~free[table_rows]))


def norm_bound(values: Floats, rows: NDArray[Any], columns: NDArray[Any]) -> float:
    """Bound the spectral norm of a sparse matrix: the root of its 1-norm times its inf-norm.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.objectives._sparse import norm_bound
    >>> norm_bound(np.array([3.0, -4.0]), np.array([0, 1]), np.array([0, 1]))
    4.0
    """
    sizes = np.abs(values)
    by_row, by_column = np.bincount(rows, sizes), np.bincount(columns, sizes)
    return float(np.sqrt(by_row.max(initial=0.0) * by_column.max(initial=0.0)))


def _incident(pattern: Pattern, free: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Cells whose user or item is free, in row-major order, with their users and items."""
    m = pattern.shape[0]
    by_user = concatenate_ranges(pattern.indptr, np.flatnonzero(free[:m]))
    by_item = concatenate_ranges(pattern.indptr_t, np.flatnonzero(free[m:]))
    cells = sorted_union(by_user, pattern.order_t[by_item])
    users = np.searchsorted(pattern.indptr, cells, side="right") - 1
    return cells, users, pattern.indices[cells]


def pattern_of_cells(users: NDArray[Any], items: NDArray[Any], shape: tuple[int, int]) -> Pattern:
    """Pattern of cells that are in row-major order already."""
    n_users, n_items = shape
    order = np.argsort(items, kind="stable").astype(index_dtype(len(items)))
    return Pattern(
        np.append(0, np.cumsum(np.bincount(users, minlength=n_users))),
        items.astype(index_dtype(n_items)),
        np.append(0, np.cumsum(np.bincount(items, minlength=n_items))),
        users[order].astype(index_dtype(n_users)),
        order,
        shape,
    )
