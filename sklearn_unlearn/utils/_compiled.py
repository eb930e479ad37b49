"""Compiled array routines of the lowest layer."""

import numba
import numpy as np

__all__ = ["count_columns", "drop_positions", "find_marked", "sort_by_number", "square_rows"]


# Up to so many runs it is faster to compare with all of them than to search: nothing to mispredict.
_FEW_RUNS = 4


@numba.njit(nogil=True, cache=True)
def drop_positions(indices, order, starts, stops, lost, indices_out, order_out):
    """Copy the column-major entries that stay, with positions renumbered, in one pass.

    ``order`` holds row-major positions; those that go are some runs of them, ascending, each from
    its start to its stop. After n runs, ``lost[n]`` positions are gone, and ``stops[n]`` is where
    the last of them ended; ``stops[0]`` is 0.
    """
    n_runs = len(starts)
    write = 0
    for read in range(len(order)):
        position = order[read]
        low = 0
        if n_runs <= _FEW_RUNS:
            for run in range(n_runs):
                low += starts[run] <= position
        else:
            high = n_runs
            while low < high:
                middle = (low + high) >> 1
                if starts[middle] <= position:
                    low = middle + 1
                else:
                    high = middle
        if position < stops[low]:
            continue
        indices_out[write] = indices[read]
        order_out[write] = position - lost[low]
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
