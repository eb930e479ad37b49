"""Compiled array routines of the lowest layer."""

import numba
import numpy as np

__all__ = ["count_columns", "drop_positions", "find_marked", "sort_by_number", "square_rows"]


@numba.njit(nogil=True, cache=True)
def drop_positions(indices, order, gone, indices_out, order_out):
    """Copy the column-major entries that stay, with positions renumbered, in one pass.

    ``order`` holds row-major positions and ``gone`` those that go, ascending. An entry moves up by
    the number of gone positions below its own, which a binary search finds: a few steps for the
    few positions of a small request.
    """
    n_gone = len(gone)
    write = 0
    for read in range(len(order)):
        position = order[read]
        low, high = 0, n_gone
        while low < high:
            middle = (low + high) >> 1
            if gone[middle] < position:
                low = middle + 1
            else:
                high = middle
        if low < n_gone and gone[low] == position:
            continue
        indices_out[write] = indices[read]
        order_out[write] = position - low
        write += 1


@numba.njit(nogil=True, cache=True)
def find_marked(columns, marked, start, positions):
    """Find the entries of the columns that are marked by a 1; return how many there are.

    Positions count from `start` on; there must be room for one more.
    """
    n = 0
    for place in range(len(columns)):
        # Written always and counted if wanted: no branch to mispredict.
        positions[n] = start + place
        n += marked[columns[place]]
    return n


@numba.njit(nogil=True, cache=True)
def sort_by_number(numbers, place, users, positions, users_out, positions_out):
    """Put entries in the order of their numbers; `place` is where each number starts."""
    for n in range(len(numbers)):
        own = numbers[n]
        users_out[place[own]] = users[n]
        positions_out[place[own]] = positions[n]
        place[own] += 1


@numba.njit(nogil=True, cache=True)
def count_columns(columns, counts):
    """Add the number of entries of each column to `counts`."""
    for position in range(len(columns)):
        counts[columns[position]] += 1


@numba.njit(nogil=True, cache=True)
def square_rows(lengths, values, squares):
    """Add the squared entries of each row, which follow each other, to `squares`."""
    position = 0
    for row in range(len(lengths)):
        for _ in range(lengths[row]):
            value = np.float64(values[position])
            squares[row] += value * value
            position += 1
