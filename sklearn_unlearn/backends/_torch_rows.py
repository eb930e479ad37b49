"""Sums over the cells of compressed rows, and least squares a row, on torch tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sklearn_unlearn.utils._verbs import cached_property

__all__ = [
    "Cells",
    "NormalEquations",
    "cholesky_solve",
    "dots",
    "grams",
    "neighbour_change",
    "product",
]

Tensor = torch.Tensor

# Bytes of a temporary: on the device much at once, on the host what the cache holds.
_CHUNK_BYTES = {"cuda": 1 << 29, "cpu": 1 << 22}
_LARGEST_INT32 = 2**31 - 1


@dataclass(frozen=True)
class Cells:
    """The cells of some rows, on a device.

    Parameters
    ----------
    indptr, columns : Tensor of int32 (or int64, if the cells are too many)
        Compressed rows.

    n_columns : int
        Length of the other side.

    order : Tensor of int or None
        Where the number of each cell is in arrays of one number a cell; None is where the cell is.
    """

    indptr: Tensor
    columns: Tensor
    n_columns: int
    order: Tensor | None = None

    @classmethod
    def on(
        cls,
        device: torch.device,
        indptr: NDArray[Any],
        columns: NDArray[Any],
        order: NDArray[Any] | None = None,
        *,
        n_columns: int,
    ) -> Cells:
        """Copy index arrays to a device, in the one type that sparse products take."""
        dtype = np.int32 if max(len(columns), n_columns) <= _LARGEST_INT32 else np.int64

        def move(array: NDArray[Any]) -> Tensor:
            return torch.tensor(np.ascontiguousarray(array, dtype), device=device)

        places = None if order is None else move(order)
        return cls(move(indptr), move(columns), n_columns, places)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.indptr) - 1

    @cached_property
    def rows(self) -> Tensor:
        """Row of each cell."""
        every = torch.arange(self.n_rows, device=self.indptr.device, dtype=self.indptr.dtype)
        return torch.repeat_interleave(every, torch.diff(self.indptr))

    def own(self, values: Tensor) -> Tensor:
        """Numbers of the cells, in their order."""
        return values if self.order is None else values[self.order]

    def gather(self, table: Tensor) -> tuple[Cells, Tensor]:
        """Cells and the other side's table; where cells are few, of the rows they name alone."""
        if len(self.columns) >= self.n_columns:
            return self, table
        places = torch.arange(len(self.columns), device=table.device, dtype=self.columns.dtype)
        own = Cells(self.indptr, places, len(places), self.order)
        return own, table.index_select(0, self.columns)

    def chunks(self, bytes_a_cell: int) -> Iterator[slice]:
        """Cut the cells into runs whose temporaries fit."""
        yield from _chunks(len(self.columns), bytes_a_cell, self.columns)


def _chunks(n: int, bytes_each: int, near: Tensor) -> Iterator[slice]:
    size = max(_CHUNK_BYTES[near.device.type] // max(bytes_each, 1), 1)
    yield from (slice(start, min(start + size, n)) for start in range(0, n, size))


def dots(cells: Cells, *pairs: tuple[Tensor, Tensor]) -> Tensor:
    """Sum over pairs (A, B) of ``<A[row], B[column]>`` at every cell."""
    A = pairs[0][0]
    out = A.new_zeros(len(cells.columns))
    for some in cells.chunks(2 * A.shape[1] * A.element_size()):
        rows, columns = cells.rows[some], cells.columns[some]
        for left, right in pairs:
            products = left.index_select(0, rows).mul_(right.index_select(0, columns))
            out[some] += products.sum(1)
    return out


def product(cells: Cells, weights: Tensor, B: Tensor) -> Tensor:
    """Sparse matrix with these weights times B."""
    shape = cells.n_rows, cells.n_columns
    if not (len(cells.columns) and B.shape[1]):
        return B.new_zeros((cells.n_rows, B.shape[1]))
    values = cells.own(weights).to(B.dtype)
    matrix = torch.sparse_csr_tensor(
        cells.indptr, cells.columns, values, shape, check_invariants=False
    )
    return matrix @ B


def grams(cells: Cells, weights: Tensor, B: Tensor) -> Tensor:
    """For each row the sum of ``weight * outer(B[column], B[column])`` over its cells.

    A few columns of the products of entries at a time: as sparse products with these as tables.
    """
    n, k = B.shape
    out = B.new_empty((cells.n_rows, k, k))
    for some in _chunks(k, n * k * B.element_size(), B):
        table = B[:, some, None] * B[:, None, :]
        shape = cells.n_rows, some.stop - some.start, k
        out[:, some] = product(cells, weights, table.flatten(1)).reshape(shape)
    return out


def cholesky_solve(blocks: Tensor, rhs: Tensor) -> Tensor:
    """Solve one positive definite system a row; a row without a solution becomes NaN."""
    if not rhs.numel():
        return rhs.clone()
    factors, failed = torch.linalg.cholesky_ex(blocks)
    solutions = torch.cholesky_solve(rhs[:, :, None], factors)[:, :, 0]
    return torch.where(failed[:, None] == 0, solutions, torch.nan)


@dataclass(frozen=True)
class NormalEquations:
    """``(gram + ridge_r I + sum w y y') x = sum v y + rhs_r``, a system a row; see `RowCells`.

    Parameters
    ----------
    cells : Cells
        Of these rows.

    weights, pulls : Tensor of float64, shape (n_cells,)
        w and v.

    other : Tensor of float64, shape (n_columns, k)
        Rows y.

    gram, ridge, rhs : Tensor of float64, shapes (k, k), (n_rows,) and (n_rows, k)
        As in the equation.
    """

    cells: Cells
    weights: Tensor
    pulls: Tensor
    other: Tensor
    gram: Tensor
    ridge: Tensor
    rhs: Tensor

    def solve(self) -> Tensor:
        """Exact solutions, by Cholesky decompositions of as many blocks at once as fit."""
        right = self.rhs + product(self.cells, self.pulls, self.other)
        k, out = self.other.shape[1], torch.empty_like(right)
        diagonal = torch.arange(k, device=right.device)
        for some in _chunks(len(right), 4 * k * k * right.element_size(), right):
            part, own = self._part(some)
            cells, table = part.gather(self.other)
            blocks = grams(cells, self.weights[own], table).add_(self.gram)
            blocks[:, diagonal, diagonal] += self.ridge[some, None]
            out[some] = cholesky_solve(blocks, right[some])
        return out

    def residual(self, x: Tensor) -> Tensor:
        """Right minus left side."""
        return self.rhs + product(self.cells, self.pulls, self.other) - self.times(x)

    def times(self, x: Tensor) -> Tensor:
        """Left side."""
        out = x @ self.gram.T + self.ridge[:, None] * x
        scores = dots(self.cells, (x, self.other)).mul_(self.weights)
        return out.add_(product(self.cells, scores, self.other))

    def descend(self, x: Tensor, n_steps: int) -> Tensor:
        """Conjugate gradient steps from x, with the diagonal as preconditioner."""
        diagonal = torch.diagonal(self.gram) + self.ridge[:, None]
        diagonal = diagonal + product(self.cells, self.weights, self.other**2)
        inverse = torch.where(diagonal > 0, 1 / diagonal, 1.0)
        residual = self.residual(x)
        direction = inverse * residual
        rz = (residual * direction).sum(1)
        for _ in range(n_steps):
            image = self.times(direction)
            curvature = (direction * image).sum(1)
            moves = (rz > 1e-30) & (curvature > 0)
            length = torch.where(moves, rz / curvature, 0.0)[:, None]
            # Rows that are solved, or have no minimum, stay where they are.
            x = torch.where(moves[:, None], x + length * direction, x)
            residual = residual - length * image
            rz, last = torch.where(moves, (residual * inverse * residual).sum(1), 0.0), rz
            ratio = torch.where(moves, rz / last, 0.0)[:, None]
            direction = inverse * residual + ratio * direction
        return x

    def _part(self, rows: slice) -> tuple[Cells, slice]:
        """Cells of some of the rows, and where they are."""
        indptr = self.cells.indptr[rows.start : rows.stop + 1]
        own = slice(int(indptr[0]), int(indptr[-1]))
        part = Cells(indptr - indptr[0], self.cells.columns[own], self.cells.n_columns)
        return part, own


def neighbour_change(
    cells: Cells,
    weights: Tensor,
    pulls: Tensor,
    old: Tensor,
    new: Tensor,
    other: Tensor,
    place: Tensor,
    n: int,
) -> Tensor:
    """How the gradients of n neighbours change when rows move from `old` to `new`."""
    old, new, other = old.double(), new.double(), other.double()
    out = other.new_zeros((n, other.shape[1]))
    for some in cells.chunks(4 * other.shape[1] * other.element_size()):
        target = place[cells.columns[some]]
        counts = torch.nonzero(target >= 0)[:, 0]
        rows, target = cells.rows[some][counts], target[counts]
        y = other[cells.columns[some][counts]]
        w, v = weights[some][counts], pulls[some][counts]
        for table, sign in ((new, 1.0), (old, -1.0)):
            x = table[rows]
            slopes = sign * (w * (x * y).sum(1) - v)
            out.index_add_(0, target, slopes[:, None] * x)
    return out
