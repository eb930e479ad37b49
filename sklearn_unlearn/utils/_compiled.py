"""Compiled array routines of the lowest layer."""

import numba

__all__ = ["drop_positions", "find_columns", "sort_by_column"]


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
def find_columns(indptr, indices, number, counts, users, positions):
    """Find the entries of the columns with ``number >= 0``, row by row; return how many there are.

    `counts` grows by one at the number of each; `users` and `positions` need one place more.
    """
    n = 0
    for row in range(len(indptr) - 1):
        for position in range(indptr[row], indptr[row + 1]):
            own = number[indices[position]]
            # Written always and counted if wanted: no branch to mispredict.
            users[n] = row
            positions[n] = position
            n += own >= 0
            counts[own] += 1
    return n


@numba.njit(nogil=True, cache=True)
def sort_by_column(indices, number, place, users, positions, users_out, positions_out):
    """Put entries in the order of their columns' numbers; `place` is where each number starts."""
    for n in range(len(positions)):
        own = number[indices[positions[n]]]
        users_out[place[own]] = users[n]
        positions_out[place[own]] = positions[n]
        place[own] += 1
