"""Compiled loops over the baskets of owners, whose vectors are weighted sums of baskets.

A kernel with ``start`` and ``stop`` releases the GIL and writes only to its own rows, so that a
caller may run disjoint ranges in threads.
"""

from typing import Any

import numba
import numpy as np

__all__ = ["score_baskets", "square_norms"]

_compile = numba.njit(nogil=True, cache=True)


@_compile
def square_norms(
    starts: Any, rows: Any, indptr: Any, indices: Any, weights: Any, n_items: int, out: Any
) -> None:
    """Write the squared norm of the vector of each owner, whose baskets are a range of `rows`."""
    vector = np.zeros(n_items)
    for o in range(len(out)):
        for n in range(starts[o], starts[o + 1]):
            for p in range(indptr[rows[n]], indptr[rows[n] + 1]):
                vector[indices[p]] += weights[rows[n]]
        total = 0.0
        for n in range(starts[o], starts[o + 1]):
            for p in range(indptr[rows[n]], indptr[rows[n] + 1]):
                total += vector[indices[p]] * vector[indices[p]]
                vector[indices[p]] = 0.0  # an item of several baskets counts once
        out[o] = total


@_compile
def _nearest(distances: Any, squares: Any, own: int, n_neighbors: int, chosen: Any) -> int:
    """Mark the owners of the least distances, of equal ones the first; return how many."""
    some, numbers = np.empty(len(squares)), np.empty(len(squares), np.int64)
    n = 0
    for o in range(len(squares)):
        chosen[o] = False
        if squares[o] > 0 and o != own:
            some[n], numbers[n] = distances[o], o
            n += 1
    n_chosen = min(n, n_neighbors)
    if n_chosen == 0:
        return 0
    limit = np.partition(some[:n], n_chosen - 1)[n_chosen - 1]
    room = n_chosen
    for c in range(n):
        if some[c] < limit:
            chosen[numbers[c]] = True
            room -= 1
    for c in range(n):
        if some[c] == limit and room:
            chosen[numbers[c]] = True
            room -= 1
    return n_chosen


@_compile
def score_baskets(
    queries: Any,
    own: Any,
    table: Any,
    weights: Any,
    owners: Any,
    squares: Any,
    n_neighbors: int,
    alpha: float,
    out: Any,
    start: int,
    stop: int,
) -> None:
    """Write ``alpha v + (1 - alpha) mean(v_n)`` of the vectors ``start`` to ``stop``.

    Parameters
    ----------
    queries : tuple of ndarray
        ``indptr``, ``indices`` and values of the vectors v.

    own : ndarray of int64
        The owner that each of them is of, -1 for none: it is no neighbour of itself.

    table : tuple of ndarray
        ``indptr`` and ``indices`` of the baskets.

    weights, owners : ndarray of shape (n_baskets,)
        The weight of each basket in the vector of its owner, and which that is.

    squares : ndarray of float64, shape (n_owners,)
        Squared norms of the vectors, 0 for owners without a basket.
    """
    indptr, indices, values = queries
    row_starts, row_items = table
    vector, distances = np.zeros(out.shape[1]), np.empty(len(squares))
    chosen = np.zeros(len(squares), np.bool_)
    for s in range(start, stop):
        if indptr[s] == indptr[s + 1]:
            continue
        for p in range(indptr[s], indptr[s + 1]):
            vector[indices[p]] = values[p]
        distances[:] = squares  # up to the norm of v, which is the same for all
        for r in range(len(weights)):
            product = 0.0
            for p in range(row_starts[r], row_starts[r + 1]):
                product += vector[row_items[p]]
            distances[owners[r]] -= 2.0 * weights[r] * product
        n_chosen = _nearest(distances, squares, own[s], n_neighbors, chosen)
        for r in range(len(weights)):
            if chosen[owners[r]]:
                for p in range(row_starts[r], row_starts[r + 1]):
                    out[s, row_items[p]] += weights[r]
        share = (1.0 - alpha) / max(n_chosen, 1)
        for i in range(out.shape[1]):
            out[s, i] = alpha * vector[i] + share * out[s, i]
        for p in range(indptr[s], indptr[s + 1]):
            vector[indices[p]] = 0.0
