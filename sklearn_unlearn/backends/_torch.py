"""The backend for GPUs: the same few operations on torch tensors, in chunks that fit.

Sums over observed cells are sparse matrix products, each way with rows that lie next to each other;
scores at observed cells are gathered a chunk at a time. Copies of index arrays on the device belong
to their pattern and die with it.
"""

from __future__ import annotations

import warnings
from typing import Any

import array_api_compat.torch as namespace
import numpy as np
import torch
from numpy.typing import NDArray

from sklearn_unlearn.backends import _torch_rows as rows_of
from sklearn_unlearn.backends._base import Pattern, RowCells, to_numpy
from sklearn_unlearn.backends._torch_rows import Cells, cholesky_solve

__all__ = ["TorchBackend", "has_cuda"]

Tensor = torch.Tensor

with warnings.catch_warnings():
    # Said once a process, of a layout that the products below have long supported.
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    _ONE = rows_of.Cells.on(torch.device("cpu"), np.array([0, 1]), np.array([0]), n_columns=1)
    rows_of.product(_ONE, torch.ones(1), torch.ones(1, 1))


def has_cuda() -> bool:
    """Whether torch finds a CUDA device."""
    return torch.cuda.is_available()


class TorchBackend:
    """Arithmetic on torch tensors of float64 or float32.

    Parameters
    ----------
    device : str, default="cuda"
        A torch device. "cpu" is for tests: `ScipyBackend` is faster there.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import Pattern
    >>> from sklearn_unlearn.backends._torch import TorchBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> pattern = Pattern.from_interactions(Interactions.from_matrix([[1, 0], [1, 1]]))
    >>> backend = TorchBackend("cpu")
    >>> A, B = (backend.asarray(np.array(table)) for table in ([[1.0], [2.0]], [[3.0], [4.0]]))
    >>> backend.to_numpy(backend.sddmm(pattern, (A, B)))
    array([3., 6., 8.])
    """

    name = "torch"
    xp = namespace

    def __init__(self, device: str = "cuda") -> None:
        self.device = torch.device(device)

    def sddmm(self, pattern: Pattern, *pairs: tuple[Tensor, Tensor]) -> Tensor:
        """Sum over pairs (A, B) of ``<A[u], B[i]>`` at every observed (u, i)."""
        if not pairs:
            raise ValueError("got no pair of factors; expected at least one. Pass (A, B) pairs.")
        return rows_of.dots(self._cells(pattern, False), *pairs)

    def spmm(
        self,
        pattern: Pattern,
        *terms: tuple[Tensor, Tensor],
        transpose: bool = False,
        out: Tensor | None = None,
    ) -> Tensor:
        """Sum over terms (weights, B) of the sparse matrix with these weights times B.

        Added to `out` if that is given.
        """
        cells = self._cells(pattern, transpose)
        products = (rows_of.product(cells, weights, B) for weights, B in terms)
        total = next(products) if out is None else out
        for product in products:
            total += product
        return total

    def row_grams(
        self, pattern: Pattern, weights: Tensor, B: Tensor, transpose: bool = False
    ) -> Tensor:
        """For each row the sum of ``weight * outer(B[j], B[j])`` over its observed j."""
        return rows_of.grams(self._cells(pattern, transpose), weights, B)

    def cho_solve(self, blocks: Tensor, rhs: Tensor) -> Tensor:
        """Solve one symmetric positive definite system a row: (n, k, k) and (n, k)."""
        return cholesky_solve(blocks, rhs)

    def row_solve(
        self,
        cells: RowCells,
        other: Tensor,
        gram: Tensor,
        ridge: Tensor,
        rhs: Tensor,
        start: Tensor,
        n_steps: int | None = None,
        *,
        near: bool = False,
    ) -> Tensor:
        """Solve the normal equations of each row, exactly or by some conjugate gradient steps."""
        problem = self._problem(cells, other, gram, ridge, rhs)
        x = problem.solve() if n_steps is None else problem.descend(start.double(), n_steps)
        return x.to(start.dtype)

    def row_residual(
        self,
        cells: RowCells,
        other: Tensor,
        gram: Tensor,
        ridge: Tensor,
        rhs: Tensor,
        rows: Tensor,
    ) -> Tensor:
        """Right minus left side of the normal equations of each row: minus its gradient."""
        return self._problem(cells, other, gram, ridge, rhs).residual(rows.double())

    def neighbour_change(
        self,
        cells: RowCells,
        old: Tensor,
        new: Tensor,
        other: Tensor,
        place: NDArray[Any],
        n: int,
    ) -> Tensor:
        """How the gradients of n neighbours change when rows move from `old` to `new`."""
        own, weights, pulls = self._row_cells(cells, len(other))
        places = self.asarray(place)
        return rows_of.neighbour_change(own, weights, pulls, old, new, other, places, n)

    def scatter_add(self, target: Tensor, rows: Tensor, updates: Tensor) -> Tensor:
        """Copy of `target` with `updates` added to `rows`, which may repeat."""
        return target.index_add(0, self.asarray(rows), updates)

    def topk(self, scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Columns and values of the k largest entries of each row; ties go to the lowest column."""
        # Not torch.topk, which breaks ties as it likes.
        columns = torch.sort(-scores, dim=1, stable=True)[1][:, :k]
        return columns, torch.gather(scores, 1, columns)

    def asarray(self, array: Any) -> Tensor:
        """Bring an array to the device; NumPy's are copied."""
        if isinstance(array, Tensor):
            return array.to(self.device).contiguous()
        return torch.from_numpy(np.array(array, order="C")).to(self.device)

    def to_numpy(self, array: Tensor) -> NDArray[Any]:
        """Bring an array back."""
        return to_numpy(array)

    def describe(self) -> dict[str, Any]:
        """Say what the device is: its name, its memory or threads, and versions."""
        found: dict[str, Any] = {"kind": self.device.type, "torch": torch.__version__}
        if self.device.type != "cuda":
            return {**found, "name": "CPU", "threads": torch.get_num_threads()}
        properties = torch.cuda.get_device_properties(self.device)
        return {
            **found,
            "name": properties.name,
            "memory_gib": round(properties.total_memory / 2**30, 1),
            "cuda": torch.version.cuda,
        }

    def _cells(self, pattern: Pattern, transpose: bool) -> Cells:
        """Return the pattern's cells on the device, read row by row or column by column."""
        kept = vars(pattern).setdefault("_twins", {})
        key = transpose, str(self.device)
        if key not in kept:
            p, (n_users, n_items) = pattern, pattern.shape
            kept[key] = (
                Cells.on(self.device, p.indptr_t, p.indices_t, p.order_t, n_columns=n_users)
                if transpose
                else Cells.on(self.device, p.indptr, p.indices, n_columns=n_items)
            )
        return kept[key]

    def _row_cells(self, cells: RowCells, n_columns: int) -> tuple[Cells, Tensor, Tensor]:
        own = Cells.on(self.device, cells.indptr, cells.columns, n_columns=n_columns)
        return own, self.asarray(cells.weights), self.asarray(cells.pulls)

    def _problem(
        self, cells: RowCells, other: Tensor, gram: Tensor, ridge: Tensor, rhs: Tensor
    ) -> rows_of.NormalEquations:
        own, weights, pulls = self._row_cells(cells, len(other))
        own, other = own.gather(other)
        return rows_of.NormalEquations(own, weights, pulls, other.double(), gram, ridge, rhs)
