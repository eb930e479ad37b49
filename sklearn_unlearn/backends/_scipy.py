"""The CPU backend: compiled loops over NumPy arrays, shared out among threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import _kernels
from sklearn_unlearn.backends._base import Pattern, RowCells

__all__ = ["ScipyBackend"]

Floats = NDArray[Any]

# Below this many multiplications a kernel ends before a second thread has started.
_MIN_WORK = 300_000
_POOLS: dict[int, ThreadPoolExecutor] = {}


def _pool(n_threads: int) -> ThreadPoolExecutor:
    if n_threads not in _POOLS:
        _POOLS[n_threads] = ThreadPoolExecutor(n_threads, thread_name_prefix="sklearn-unlearn")
    return _POOLS[n_threads]


# Threads do not survive a fork: a child that inherited the pool would wait for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOLS.clear)


class ScipyBackend:
    """Arithmetic on NumPy arrays of float64 or float32.

    Parameters
    ----------
    n_threads : int, default=1
        Threads that share the rows of a large operation. Results do not depend on it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import Pattern, ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> pattern = Pattern.from_interactions(Interactions.from_matrix([[1, 0], [1, 1]]))
    >>> A, B = np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]])
    >>> ScipyBackend().sddmm(pattern, (A, B))
    array([3., 6., 8.])
    """

    name = "scipy"
    xp = np

    def __init__(self, n_threads: int = 1) -> None:
        self.n_threads = n_threads

    def sddmm(self, pattern: Pattern, *pairs: tuple[Floats, Floats]) -> Floats:
        """Sum over pairs (A, B) of ``<A[u], B[i]>`` at every observed (u, i)."""
        total = None
        for first in range(0, len(pairs), 2):
            some = [array for pair in pairs[first : first + 2] for array in pair]
            kernel = _kernels.sddmm_two if len(some) == 4 else _kernels.sddmm_one
            out = np.empty(pattern.n_interactions, some[0].dtype)
            work = some[0].shape[1] * len(some)
            self._run(kernel, pattern.indptr, work, pattern.indptr, pattern.indices, *some, out)
            total = out if total is None else np.add(total, out, out=total)
        if total is None:
            raise ValueError("got no pair of factors; expected at least one. Pass (A, B) pairs.")
        return total

    def spmm(
        self,
        pattern: Pattern,
        *terms: tuple[Floats, Floats],
        transpose: bool = False,
        out: Floats | None = None,
    ) -> Floats:
        """Sum over terms (weights, B) of the sparse matrix with these weights times B.

        Added to `out` if that is given.
        """
        indptr, indices, order = _oriented(pattern, transpose)
        if out is None:
            out = np.zeros((len(indptr) - 1, terms[0][1].shape[1]), terms[0][1].dtype)
        for first in range(0, len(terms), 2):
            some = [array for term in terms[first : first + 2] for array in term]
            kernel = _kernels.spmm_two if len(some) == 4 else _kernels.spmm_one
            work = out.shape[1] * len(some)
            self._run(kernel, indptr, work, indptr, indices, order, *some, out)
        return out

    def row_grams(
        self, pattern: Pattern, weights: Floats, B: Floats, transpose: bool = False
    ) -> Floats:
        """For each row the sum of ``weight * outer(B[j], B[j])`` over its observed j."""
        indptr, indices, order = _oriented(pattern, transpose)
        width = B.shape[1]
        out = np.zeros((len(indptr) - 1, width, width), B.dtype)
        work = width * width
        self._run(_kernels.row_grams, indptr, work, indptr, indices, order, weights, B, out)
        return out

    def cho_solve(self, blocks: Floats, rhs: Floats) -> Floats:
        """Solve one symmetric positive definite system a row: (n, k, k) and (n, k)."""
        out = np.array(rhs, order="C")
        n_rows, width = out.shape
        bounds = np.arange(n_rows + 1)
        self._run(_kernels.cho_solve, bounds, width**3, np.array(blocks, order="C"), out)
        return out

    def row_solve(
        self,
        cells: RowCells,
        other: Floats,
        gram: Floats,
        ridge: Floats,
        rhs: Floats,
        start: Floats,
        n_steps: int | None = None,
        *,
        near: bool = False,
    ) -> Floats:
        """Solve the normal equations of each row, exactly or by some conjugate gradient steps."""
        k = other.shape[1]
        some: Callable[..., None]
        arguments: tuple[Any, ...]
        if n_steps is None and near and start.dtype == np.float32:
            out, some, work = start.copy(), _kernels.row_update, 40 * k
            arguments = (other, gram, ridge, rhs, out)
        elif n_steps is None:
            out, some, work = np.empty_like(start), _kernels.row_cholesky, k * k
            arguments = (other, gram, ridge, rhs, out)
        else:
            out, some, work = start.copy(), _kernels.row_cg, 4 * k * n_steps
            arguments = (other, gram, ridge, rhs, n_steps, out)
        self._run(some, cells.indptr, work, *cells.arrays, *arguments)
        return out

    def row_residual(
        self,
        cells: RowCells,
        other: Floats,
        gram: Floats,
        ridge: Floats,
        rhs: Floats,
        rows: Floats,
    ) -> Floats:
        """Right minus left side of the normal equations of each row: minus its gradient."""
        out, work = np.empty(rows.shape), 4 * other.shape[1]
        arguments = (*cells.arrays, other, gram, ridge, rhs, rows, out)
        self._run(_kernels.row_residual, cells.indptr, work, *arguments)
        return out

    def neighbour_change(
        self,
        cells: RowCells,
        old: Floats,
        new: Floats,
        other: Floats,
        place: NDArray[Any],
        n: int,
    ) -> Floats:
        """How the gradients of n neighbours change when rows move from `old` to `new`."""
        out = np.zeros((n, other.shape[1]))
        kernel: Callable[..., None] = _kernels.neighbour_change
        kernel(*cells.arrays, old, new, other, place, out)
        return out

    def scatter_add(self, target: Floats, rows: NDArray[Any], updates: Floats) -> Floats:
        """Copy of `target` with `updates` added to `rows`, which may repeat."""
        out = target.copy()
        np.add.at(out, rows, updates)
        return out

    def topk(self, scores: Floats, k: int) -> tuple[NDArray[Any], Floats]:
        """Columns and values of the k largest entries of each row; ties go to the lowest column."""
        k = min(k, scores.shape[1])
        columns = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return columns, np.take_along_axis(scores, columns, axis=1)

    def asarray(self, array: Any) -> Floats:
        """Make an array C-contiguous."""
        return np.ascontiguousarray(array)

    def to_numpy(self, array: Floats) -> Floats:
        """Return the array: it is NumPy's already."""
        return array

    def _run(
        self, kernel: Callable[..., None], indptr: NDArray[Any], work: int, *arguments: Any
    ) -> None:
        """Call a kernel on ranges of rows that hold about equally many entries."""
        n_rows, n_entries = len(indptr) - 1, int(indptr[-1])
        if self.n_threads == 1 or n_entries * work < _MIN_WORK:
            kernel(*arguments, 0, n_rows)
            return
        targets = np.linspace(0, n_entries, self.n_threads + 1)[1:-1]
        bounds = [0, *np.searchsorted(indptr, targets).tolist(), n_rows]
        pool = _pool(self.n_threads)
        waiting = [
            pool.submit(kernel, *arguments, start, stop) for start, stop in pairwise(bounds[1:])
        ]
        kernel(*arguments, bounds[0], bounds[1])
        for future in waiting:
            future.result()


def _oriented(pattern: Pattern, transpose: bool) -> tuple[NDArray[Any], ...]:
    if transpose:
        return pattern.indptr_t, pattern.indices_t, pattern.order_t
    return pattern.indptr, pattern.indices, pattern.order
