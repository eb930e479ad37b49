"""Compiled loops that count which items occur together and keep the best of each row.

Every row is made by one function, `_count`, which adds the users of an item in ascending order, and
every similarity by the same product. So a row that is made again is equal, bit for bit, to the row
of a fit to the same data. No sum may be reassociated here.

A kernel with ``start`` and ``stop`` releases the GIL and writes only to its own rows, so that a
caller may run disjoint ranges in threads.
"""

import numba
import numpy as np

from sklearn_unlearn.utils._best import is_worse, offer

__all__ = ["find_cells", "merge_rows", "rank_rows", "rank_touched", "replace_rows"]

_compile = numba.njit(nogil=True, cache=True)

# The least number above zero.
_SMALLEST = 5e-324
# More than the rounding of a similarity in single precision.
_ROUNDING = 1e-6


@_compile
def find_cells(indices, is_wanted, positions):
    """Write the positions of the wanted columns, ascending; return how many there are."""
    n = 0
    for p in range(len(indices)):
        # Written always and counted if wanted: no branch to mispredict.
        positions[n] = p
        n += is_wanted[indices[p]]
    return n


@_compile
def rank_rows(
    rows,
    starts,
    users,
    own,
    table,
    weights,
    scales,
    form,
    out_items,
    out_values,
    lengths,
    start,
    stop,
):
    """Write the best items of rows ``start`` to ``stop``, ascending by item, and how many."""
    of_rows, of_columns = scales
    sums, found, heap = _workspace(len(of_rows), out_values)
    heap_values, heap_items, keys = heap
    width = len(keys)
    for n in range(start, stop):
        some = slice(starts[n], starts[n + 1])
        n_found = _count(users[some], own[some], table, weights, sums, found)
        scale, size, floor = of_rows[rows[n]], 0, _SMALLEST
        for j in found[:n_found]:
            value = heap_values.dtype.type(_similarity(sums[j], scale, of_columns[j], form))
            sums[j] = -1
            # Most are below the last place of a full list. Not a number is not similar.
            if value >= floor:
                size = offer(heap_values, heap_items, size, value, j)
                floor = max(heap_values[0], _SMALLEST) if size == width else _SMALLEST
        lengths[n] = size
        _write_sorted(heap, size, out_items[n], out_values[n])


@_compile
def rank_touched(
    rows,
    starts,
    users,
    own,
    table,
    weights,
    scales,
    form,
    old_columns,
    floors,
    is_touched,
    flags,
    out_items,
    out_values,
    lengths,
):
    """Rank rows, and find what their new similarities mean to the rows that are not made again.

    Such a row is flagged if it may list one of these items, or might list it now; in the second
    case the new similarity is returned. The flags of rows that lost something in common with one of
    these are set before.
    """
    of_rows, of_columns = scales
    sums, found, heap = _workspace(len(of_rows), out_values)
    heap_values, heap_items, keys = heap
    width = len(keys)
    room = 1024
    hosts, guests = np.empty(room, np.int64), np.empty(room, np.int64)
    offers = np.empty(room, out_values.dtype)
    n_offers = 0
    for n in range(len(rows)):
        some = slice(starts[n], starts[n + 1])
        n_found = _count(users[some], own[some], table, weights, sums, found)
        if n_offers + n_found > room:
            room = 2 * (n_offers + n_found)
            hosts, guests = _grown(hosts, room), _grown(guests, room)
            offers = _grown(offers, room)
        scale, column, size, floor = of_rows[rows[n]], of_columns[rows[n]], 0, _SMALLEST
        # An unflagged row has as much in common with the item as before: if it lists the item, the
        # similarity was at least the floor, and now is at least this share of it, up to rounding.
        share = _least_share(old_columns[rows[n]], column, form)
        for j in found[:n_found]:
            count = sums[j]
            value = heap_values.dtype.type(_similarity(count, scale, of_columns[j], form))
            sums[j] = -1
            if value >= floor:
                size = offer(heap_values, heap_items, size, value, j)
                floor = max(heap_values[0], _SMALLEST) if size == width else _SMALLEST
            if is_touched[j]:
                continue
            value = heap_values.dtype.type(_similarity(count, of_rows[j], column, form))
            if value >= share * floors[j]:
                flags[j] = True
                hosts[n_offers], guests[n_offers], offers[n_offers] = j, rows[n], value
                n_offers += value >= floors[j] and value > 0
        lengths[n] = size
        _write_sorted(heap, size, out_items[n], out_values[n])
    return hosts[:n_offers], guests[:n_offers], offers[:n_offers]


@_compile
def merge_rows(rows, starts, guests, offers, is_touched, old, out_items, out_values, lengths):
    """Merge new similarities into old lists; the length is -1 where the whole row must be made.

    What a full list left out ranks below its last place. So the merged list is right if it is full
    and its last place ranks no lower than the old one's; a list that was not full left out nothing.
    """
    indptr, indices, data = old
    width = out_items.shape[1]
    for n in range(len(rows)):
        first, last = indptr[rows[n]], indptr[rows[n] + 1]
        items, values = out_items[n], out_values[n]
        size, worst = 0, first
        for p in range(first, last):
            if is_worse(data[p], indices[p], data[worst], indices[worst]):
                worst = p
            if not is_touched[indices[p]]:
                size = offer(values, items, size, data[p], indices[p])
        for p in range(starts[n], starts[n + 1]):
            size = offer(values, items, size, offers[p], guests[p])
        if last - first == width and (
            size < width or is_worse(values[0], items[0], data[worst], indices[worst])
        ):
            lengths[n] = -1
            continue
        order = np.argsort(items[:size])
        items[:size] = items[order]
        values[:size] = values[order]
        lengths[n] = size


@_compile
def replace_rows(old, new_indptr, rows, items, values, out_indices, out_data):
    """Copy lists row by row, those of ascending `rows` from `items` and `values`."""
    indptr, indices, data = old
    done = 0
    for n in range(len(rows) + 1):
        until = rows[n] if n < len(rows) else len(indptr) - 1
        write, read, stop = new_indptr[done], indptr[done], indptr[until]
        out_indices[write : write + stop - read] = indices[read:stop]
        out_data[write : write + stop - read] = data[read:stop]
        if n < len(rows):
            write = new_indptr[until]
            size = new_indptr[until + 1] - write
            out_indices[write : write + size] = items[n, :size]
            out_data[write : write + size] = values[n, :size]
        done = until + 1


@_compile
def _workspace(n_items, out_values):
    # Sums of what is not negative: below zero means not met yet. One place more in the list than
    # there are items, because it is written before it is known whether the item is new.
    sums = np.full(n_items, -1.0)
    width = out_values.shape[1]
    heap = np.empty(width, out_values.dtype), np.empty(width, np.int64), np.empty(width, np.int64)
    return sums, np.empty(n_items + 1, np.int32), heap


@_compile
def _count(users, own, table, weights, sums, found):
    """Add up, over the users of an item, what it has in common with every item."""
    indptr, indices, strengths = table
    n = 0
    for m in range(len(users)):
        weight = weights[users[m]]
        first, last = indptr[users[m]], indptr[users[m] + 1]
        if len(own):
            for p in range(first, last):
                j = indices[p]
                found[n] = j
                n += sums[j] < 0
                # Symmetric in the two items: C[i, j] and C[j, i] are the same number.
                sums[j] = max(sums[j], 0.0) + (own[m] * strengths[p]) * weight
        else:
            for p in range(first, last):
                j = indices[p]
                found[n] = j
                n += sums[j] < 0
                sums[j] = max(sums[j], 0.0) + weight
    return n


@_compile
def _similarity(count, own, other, form):
    """Similarity of a row to another item, of what they have in common and their scales."""
    kind, power = form
    if kind == 0:
        value = count * (own * other)
        return value if power == 1.0 else value**power
    # The scales are the sizes of two sets.
    sizes = own + other
    if kind == 1:
        return count / max(sizes - count, count)
    return 2 * count / sizes


@_compile
def _least_share(old, new, form):
    """Bound how much of a similarity is left when the scale of the item listed changes."""
    kind, power = form
    if kind == 0 and old > new:
        return (1 - _ROUNDING) * (new / old) ** power
    if kind > 0 and new > old:
        # With a count c of sizes m and n: (m + n - c) / (m' + n - c) is at least m / m', as n >= c.
        return (1 - _ROUNDING) * old / new
    return 1.0


@_compile
def _write_sorted(heap, size, items, values):
    """Write a heap in the order of its items, by sorting items and places as one number."""
    heap_values, heap_items, keys = heap
    width = len(keys)
    for n in range(size):
        keys[n] = heap_items[n] * width + n
    keys[:size].sort()
    for n in range(size):
        items[n] = keys[n] // width
        values[n] = heap_values[keys[n] % width]


@_compile
def _grown(array, room):
    out = np.empty(room, array.dtype)
    out[: len(array)] = array
    return out
