"""Compiled array routines of the lowest layer."""

import numba

__all__ = ["drop_positions", "find_columns"]


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
def find_columns(indices, wanted, out):
    """Write the positions whose column is wanted, ascending; return how many there are."""
    n = 0
    for position in range(len(indices)):
        # Written always and counted if wanted: no branch to mispredict.
        out[n] = position
        n += wanted[indices[position]]
    return n
