"""Compiled loops for the inverse of a regularised Gram matrix.

Each kernel releases the GIL. Those with `start` and `stop` write to these rows alone.
"""

import numba
import numpy as np

__all__ = ["add_low_rank", "count_items", "gram_products", "gram_rows", "largest_of_rows"]

# Keys of 63 bits: a square table of more items than these count would fill terabytes.
_ITEM_BITS = 20
_LAST_ITEM = 2**_ITEM_BITS - 1
_MAX_SIZE = 2.0**42

_compile = numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz", "arcp"})


@_compile
def gram_rows(by_item, by_user, weights, out, start, stop):
    """Add ``sum_u weights[u] x_ui x_uj`` to ``out[i, j]`` for j up to i.

    Row by row: what is added to is in the fastest cache, and what is read comes in order.
    """
    indptr_T, users, values_T = by_item
    indptr, items, values = by_user
    for i in range(start, stop):
        row = out[i]
        for cell in range(indptr_T[i], indptr_T[i + 1]):
            user = users[cell]
            scale = weights[user] * values_T[cell]
            for j in range(indptr[user], indptr[user + 1]):
                item = items[j]
                if item > i:
                    break
                row[item] += scale * values[j]


@_compile
def add_low_rank(table, left, right, probe, out, product, start, stop):
    """Write ``table + left.T @ right`` to `out` and its product with `probe`, in one pass.

    `left` and `right` have one row, or a multiple of four: then the table is read and written a
    quarter as often as there are rows.
    """
    n = table.shape[1]
    for i in range(start, stop):
        old, row = table[i], out[i]
        if len(left) == 1:
            scale, factor = left[0, i], right[0]
            for j in range(n):
                row[j] = old[j] + scale * factor[j]
        for k in range(0, len(left) - 3, 4):
            a, b, c, d = left[k, i], left[k + 1, i], left[k + 2, i], left[k + 3, i]
            A, B, C, D = right[k], right[k + 1], right[k + 2], right[k + 3]
            for j in range(n):
                row[j] = old[j] + (a * A[j] + b * B[j]) + (c * C[j] + d * D[j])
            old = row
        total = 0.0
        for j in range(n):
            total += row[j] * probe[j]
        product[i] = total


@_compile
def count_items(items, counts):
    """Add to the count of each item how often it occurs."""
    for item in items:
        counts[item] += 1


@_compile
def gram_products(indptr, items, values, weights, vector, product, row_sums):
    """Add ``X' W X vector`` to `product`, and ``X' W X 1`` to `row_sums`, in one pass over X."""
    for user in range(len(indptr) - 1):
        by_vector, by_ones = 0.0, 0.0
        for cell in range(indptr[user], indptr[user + 1]):
            by_vector += values[cell] * vector[items[cell]]
            by_ones += values[cell]
        by_vector, by_ones = weights[user] * by_vector, weights[user] * by_ones
        for cell in range(indptr[user], indptr[user + 1]):
            product[items[cell]] += values[cell] * by_vector
            row_sums[items[cell]] += values[cell] * by_ones


@_compile
def largest_of_rows(table, unit, items, counts, start, stop):
    """List the items of the largest magnitude of each row, the diagonal apart, in no order.

    Magnitudes are counted in units of `unit` of the diagonal; what rounds to zero is not listed,
    and of equal ones the first are. Magnitude and item make one key, the larger the better. Keys
    above the worst that can stay are collected, and the best kept whenever there is no more room.
    """
    k = items.shape[1]
    keys = np.empty(2 * k, np.int64)
    for i in range(start, stop):
        row, scale = table[i], 1.0 / (unit * table[i, i])
        n, floor = 0, 0.5
        for j in range(len(row)):
            size = abs(row[j]) * scale
            if size <= floor or j == i:
                continue
            keys[n] = (np.int64(np.rint(min(size, _MAX_SIZE))) << _ITEM_BITS) + (_LAST_ITEM - j)
            n += 1
            if n == 2 * k:
                _best_first(keys, 2 * k, k)
                n, floor = k, (keys[:k].min() >> _ITEM_BITS) + 0.5
        if n > k:
            _best_first(keys, n, k)
        counts[i] = min(n, k)
        for place in range(counts[i]):
            items[i, place] = _LAST_ITEM - (keys[place] & _LAST_ITEM)


@_compile
def _best_first(keys, n, k):
    """Put the k largest of the first n keys in front (Hoare's selection)."""
    low, high = 0, n - 1
    while low < high:
        pivot = keys[(low + high) >> 1]
        i, j = low, high
        while i <= j:
            while keys[i] > pivot:
                i += 1
            while keys[j] < pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break
