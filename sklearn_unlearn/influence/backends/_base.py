"""What a backend can do: the few operations that every objective and solver is written in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.interactions import Interactions

__all__ = ["Array", "Backend", "Pattern"]

Array = Any  # an array of the backend: numpy.ndarray, or torch.Tensor


@dataclass(frozen=True)
class Pattern:
    """Where the observed cells are, row by row and column by column.

    Parameters
    ----------
    indptr, indices : ndarray
        Compressed rows: the items of user ``u`` are ``indices[indptr[u]:indptr[u + 1]]``.

    indptr_t, indices_t : ndarray
        Compressed columns: the users of each item.

    order_t : ndarray of int, shape (n_interactions,)
        Place of each column-major entry in row-major order.

    shape : tuple of int
        ``(n_users, n_items)``.
    """

    indptr: NDArray[Any]
    indices: NDArray[Any]
    indptr_t: NDArray[Any]
    indices_t: NDArray[Any]
    order_t: NDArray[Any]
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        # Read-only arrays are a type of their own to the compiler: one type, one compilation.
        for array in (self.indptr, self.indices, self.indptr_t, self.indices_t, self.order_t):
            array.setflags(write=False)

    @classmethod
    def from_interactions(cls, data: Interactions) -> Pattern:
        """Take the pattern of a table of interactions, without copying it."""
        return cls(data.indptr, data.indices, *data.transpose_pattern(), shape=data.shape)

    @property
    def n_interactions(self) -> int:
        """Number of observed cells."""
        return len(self.indices)

    @cached_property
    def order(self) -> NDArray[Any]:
        """Place of each row-major entry in row-major order: what `order_t` is for columns."""
        order = np.arange(self.n_interactions, dtype=self.order_t.dtype)
        order.setflags(write=False)
        return order


class Backend(Protocol):
    """Arithmetic on sparsity patterns, in the words of the problem.

    ``weights`` and other per-interaction arrays are in row-major order of the pattern. With
    ``transpose=True`` the pattern is read item by item: the result has one row an item.
    """

    name: str

    def sddmm(self, pattern: Pattern, *pairs: tuple[Array, Array]) -> Array:
        """Sum over pairs (A, B) of ``<A[u], B[i]>`` at every observed (u, i)."""

    def spmm(
        self,
        pattern: Pattern,
        *terms: tuple[Array, Array],
        transpose: bool = False,
        out: Array | None = None,
    ) -> Array:
        """Sum over terms (weights, B) of the sparse matrix with these weights times B.

        Added to `out` if that is given.
        """

    def row_grams(
        self, pattern: Pattern, weights: Array, B: Array, transpose: bool = False
    ) -> Array:
        """For each row the sum of ``weight * outer(B[j], B[j])`` over its observed j."""

    def cho_solve(self, blocks: Array, rhs: Array) -> Array:
        """Solve one symmetric positive definite system a row: (n, k, k) and (n, k)."""

    def scatter_add(self, target: Array, rows: Array, updates: Array) -> Array:
        """Copy of `target` with `updates` added to `rows`, which may repeat."""

    def topk(self, scores: Array, k: int) -> tuple[Array, Array]:
        """Columns and values of the k largest entries of each row; ties go to the lowest column."""

    def asarray(self, array: Any) -> Array:
        """Bring an array to the device."""

    def to_numpy(self, array: Array) -> NDArray[Any]:
        """Bring an array back."""
