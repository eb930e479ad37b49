"""Compiled loops for ridge regressions of items on their most similar items.

What is written for a column depends on its list, on the interactions of the items in it and on the
weights alone, and is computed in one order: a column that is solved again is equal, bit for bit, to
that of a fit. No sum may be reassociated here.

A kernel with ``start`` and ``stop`` releases the GIL and writes only to its own columns.
"""

# As of other compiled code, the types are those that it is called with.
# mypy: disallow-untyped-defs=False

import numba
import numpy as np

__all__ = ["cells_by_row", "count_rows", "flag_other_lists", "put_columns", "solve_columns"]

_compile = numba.njit(nogil=True, cache=True)


@_compile
def solve_columns(
    columns, offsets, lists, by_item, weights, regularization, odds, out, solved, start, stop
):
    """Write the weights of columns ``start`` to ``stop``, in the order of their lists.

    The item itself, which its list may hold, gets zero. `solved` tells of each column whether its
    matrix was positive definite.
    """
    indptr, indices = lists
    width = 1
    for n in range(start, stop):
        width = max(width, indptr[columns[n] + 1] - indptr[columns[n]] + 1)
    table, items, solution = np.empty((width, width)), np.empty(width, np.int64), np.empty(width)
    places = np.zeros(len(weights), np.int64)
    met = np.empty(1024, np.int64)
    local, values = np.empty(1024, np.int32), np.empty(1024)
    for n in range(start, stop):
        j, m = columns[n], 0
        for p in range(indptr[j], indptr[j + 1]):
            if indices[p] != j:
                items[m] = indices[p]
                m += 1
        items[m] = j
        size = 0
        for a in range(m + 1):
            size += by_item[0][items[a] + 1] - by_item[0][items[a]]
        if size > len(local):
            met = np.empty(2 * size, np.int64)
            local, values = np.empty(2 * size, np.int32), np.empty(2 * size)
        some = met, local, values
        _gram(items[: m + 1], by_item, weights, places, some, table)
        for a in range(m):
            table[a, a] += regularization + odds * table[a, a]
        solved[n] = _factorize(table, m)
        if not solved[n]:
            continue
        _substitute(table, m, solution)
        m, cell = 0, offsets[n]
        for p in range(indptr[j], indptr[j + 1]):
            out[cell] = 0.0
            if indices[p] != j:
                out[cell] = solution[m]
                m += 1
            cell += 1


@_compile
def _gram(items, by_item, weights, places, some, table):
    """Write the upper triangle of ``X' W X`` of some items, from the rows of those who met any.

    The interactions are sorted by user first. `places` is zero, and is left so.
    """
    indptr, users, strengths = by_item
    met, local, values = some
    n_met = 0
    for a in range(len(items)):
        table[a, a : len(items)] = 0.0
        for p in range(indptr[items[a]], indptr[items[a] + 1]):
            if places[users[p]] == 0:
                met[n_met] = users[p]
                n_met += 1
            places[users[p]] += 1
    at = 0
    for n in range(n_met):
        count = places[met[n]]
        places[met[n]] = at
        at += count
    for a in range(len(items)):
        for p in range(indptr[items[a]], indptr[items[a] + 1]):
            cell = places[users[p]]
            local[cell] = a
            values[cell] = strengths[p] if len(strengths) else 1.0
            places[users[p]] = cell + 1
    first = 0
    for n in range(n_met):
        last = places[met[n]]
        places[met[n]] = 0
        _add_outer(table, local[first:last], values[first:last], weights[met[n]])
        first = last


@_compile
def _add_outer(table, local, values, weight):
    for x in range(len(local)):
        row, scale = table[local[x]], weight * values[x]
        for y in range(x, len(local)):
            row[local[y]] += scale * values[y]


@_compile
def _factorize(table, m):
    """Overwrite an upper triangle by U with ``U' U``, four rows at a time; tell if it is there.

    A column more than the m is carried along as a right-hand side.
    """
    for k in range(0, m, 4):
        until = min(k + 4, m)
        for i in range(k, until):
            if not table[i, i] > 0:
                return False
            scale, row = 1.0 / np.sqrt(table[i, i]), table[i, i : m + 1]
            for c in range(len(row)):
                row[c] *= scale
            for below in range(i + 1, until):
                _subtract(table, i, below, m)
        for i in range(until, m):
            a, b, c, d = table[k, i], table[k + 1, i], table[k + 2, i], table[k + 3, i]
            A, B = table[k, i : m + 1], table[k + 1, i : m + 1]
            C, D = table[k + 2, i : m + 1], table[k + 3, i : m + 1]
            row = table[i, i : m + 1]
            for x in range(len(row)):
                row[x] -= (a * A[x] + b * B[x]) + (c * C[x] + d * D[x])
    return True


@_compile
def _subtract(table, i, below, m):
    factor, source, row = table[i, below], table[i, below : m + 1], table[below, below : m + 1]
    for x in range(len(row)):
        row[x] -= factor * source[x]


@_compile
def _substitute(table, m, solution):
    """Solve ``U x = y``, y being the column after U."""
    for i in range(m - 1, -1, -1):
        total = table[i, m]
        for x in range(i + 1, m):
            total -= table[i, x] * solution[x]
        solution[i] = total / table[i, i]


@_compile
def flag_other_lists(old, new, flags, start, stop):
    """Flag the rows whose lists hold other items than before."""
    for n in range(start, stop):
        first, length = old[0][n], old[0][n + 1] - old[0][n]
        again = new[0][n]
        if new[0][n + 1] - again != length:
            flags[n] = True
            continue
        for p in range(length):
            if old[1][first + p] != new[1][again + p]:
                flags[n] = True
                break


@_compile
def put_columns(old, is_new, starts, columns, values, indptr, indices, data, first, last):
    """Copy the rows from first to last, with some columns replaced by new cells, both ascending.

    The new cells of row i are those from ``starts[i]`` to ``starts[i + 1]``.
    """
    old_indptr, old_indices, old_data = old
    for i in range(first, last):
        write, cell, stop = indptr[i], starts[i], starts[i + 1]
        for p in range(old_indptr[i], old_indptr[i + 1]):
            j = old_indices[p]
            if is_new[j]:
                continue
            while cell < stop and columns[cell] < j:
                indices[write], data[write] = columns[cell], values[cell]
                cell += 1
                write += 1
            indices[write], data[write] = j, old_data[p]
            write += 1
        while cell < stop:
            indices[write], data[write] = columns[cell], values[cell]
            cell += 1
            write += 1


@_compile
def cells_by_row(columns, offsets, lists, values, starts, out_columns, out_values):
    """Sort the cells of some ascending columns by row; `starts` is where each row begins."""
    indptr, indices = lists
    places = starts[:-1].copy()
    for n in range(len(columns)):
        j, cell = columns[n], offsets[n]
        for p in range(indptr[j], indptr[j + 1]):
            i = indices[p]
            if i != j:
                out_columns[places[i]] = j
                out_values[places[i]] = values[cell]
                places[i] += 1
            cell += 1


@_compile
def count_rows(columns, lists, step, counts):
    """Add `step` to the count of each row for each cell that the columns have in it."""
    indptr, indices = lists
    for j in columns:
        for p in range(indptr[j], indptr[j + 1]):
            if indices[p] != j:
                counts[indices[p]] += step
