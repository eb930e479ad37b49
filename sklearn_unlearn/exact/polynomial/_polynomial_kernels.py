"""Compiled loops that pass rows of interactions through a polynomial of the interaction graph.

Rows are filtered side by side, a few at a time. No sum may be reassociated here: each row's scores
are the same, bit for bit, whatever other rows it is filtered with, and on however many threads.

A kernel with ``start`` and ``stop`` releases the GIL and writes only to its own rows, so that a
caller may run disjoint ranges in threads.
"""

from typing import Any

import numba
import numpy as np

__all__ = ["filter_rows"]

_compile = numba.njit(nogil=True, cache=True)

# Rows that are filtered together: one or two cache lines of each item.
_WIDTH = 16


@_compile
def filter_rows(
    rows: Any, table: Any, scales: Any, coefficients: Any, out: Any, start: int, stop: int
) -> None:
    r"""Write ``sum_k coefficients[k] T_k(L)`` of rows ``start`` to ``stop``, scaled on both sides.

    With C the weighted co-counts ``R' W R``, S the roots of `squares` and ``L = I - 2 S C S``, the
    columns ``t_k = S T_k(L) S^-1 t_0`` follow from ``t_1 = t_0 - 2 S^2 C t_0`` and
    ``t_{k+1} = 2 t_k - 4 S^2 C t_k - t_{k-1}``.
    """
    users, squares, before, after = scales
    n_items, dtype = len(squares), out.dtype
    n_blocks = max(1, (stop - start + _WIDTH - 1) // _WIDTH)
    width = max(1, (stop - start + n_blocks - 1) // n_blocks)
    last, current = np.zeros((n_items, width), dtype), np.zeros((n_items, width), dtype)
    product, total = np.zeros((n_items, width), dtype), np.zeros((n_items, width), dtype)
    for first in range(start, stop, width):
        n = min(width, stop - first)
        _spread(rows, before, first, n, current)
        for i in range(n_items):
            for c in range(n):
                total[i, c] = coefficients[0] * current[i, c]
        for k in range(1, len(coefficients)):
            product[:] = 0
            _co_count(table, users, current, product, n)
            _next(current, last, product, squares, k == 1, coefficients[k], total, n)
            last, current = current, last
        for i in range(n_items):
            for c in range(n):
                out[first + c, i] = after[i] * total[i, c]


@_compile
def _spread(rows: Any, before: Any, first: int, n: int, current: Any) -> None:
    """Write some sparse rows, scaled, as columns."""
    indptr, indices, data = rows
    current[:] = 0
    for c in range(n):
        for p in range(indptr[first + c], indptr[first + c + 1]):
            current[indices[p], c] = data[p] * before[indices[p]]


@_compile
def _co_count(table: Any, scales: Any, vectors: Any, product: Any, n: int) -> None:
    """Add ``R' diag(scales) R vectors``, user by user: the items of one are in the cache."""
    indptr, indices, values = table
    of_user = np.empty(vectors.shape[1], vectors.dtype)
    for u in range(len(scales)):
        first, last, scale = indptr[u], indptr[u + 1], scales[u]
        of_user[:] = 0
        if len(values):
            for p in range(first, last):
                vector, value = vectors[indices[p]], values[p]
                for c in range(n):
                    of_user[c] += value * vector[c]
            for p in range(first, last):
                target, value = product[indices[p]], scale * values[p]
                for c in range(n):
                    target[c] += value * of_user[c]
        else:
            for p in range(first, last):
                vector = vectors[indices[p]]
                for c in range(n):
                    of_user[c] += vector[c]
            for c in range(n):
                of_user[c] *= scale
            for p in range(first, last):
                target = product[indices[p]]
                for c in range(n):
                    target[c] += of_user[c]


@_compile
def _next(
    current: Any,
    last: Any,
    product: Any,
    squares: Any,
    is_first: bool,
    coefficient: Any,
    total: Any,
    n: int,
) -> None:
    """Write the next term of the recurrence over the last but one, and add it."""
    for i in range(len(squares)):
        square = squares[i]
        for c in range(n):
            moved = current[i, c] - (square * product[i, c]) - (square * product[i, c])
            term = moved if is_first else (moved + moved) - last[i, c]
            last[i, c] = term
            total[i, c] += coefficient * term
