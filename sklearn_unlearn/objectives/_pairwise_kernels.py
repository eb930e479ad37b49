"""Compiled draws of negatives: what `hashed_bits` says, without an array a coordinate."""

import numba
import numpy as np

__all__ = ["draw"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_DEPTHS = (np.arange(5, dtype=np.uint64) * _GOLDEN).astype(np.uint64)


@numba.njit(nogil=True, cache=True, inline="always")
def _mix(bits):
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


@numba.njit(nogil=True, cache=True, inline="always")
def _word(value, depth):
    return _mix(np.uint64(np.int64(value)) * _GOLDEN + _DEPTHS[depth])


@numba.njit(nogil=True, cache=True)
def draw(seed, keys, indptr, items, n_items, indices, counted):
    """Write the group of each interaction: its item, then the items drawn beside it.

    A draw depends on the key of its row, the item and the slot alone. It counts unless the row
    holds it too.
    """
    n_slots = counted.shape[1]
    start = _mix(np.uint64(seed) + _GOLDEN)
    slots = np.empty(n_slots, np.uint64)
    for slot in range(n_slots):
        slots[slot] = _word(slot, 4)
    last = np.full(n_items, -1, np.int64)  # the last row that each item was seen in
    others = np.uint64(max(n_items - 1, 1))
    for row in range(len(indptr) - 1):
        for j in range(indptr[row], indptr[row + 1]):
            last[items[j]] = row
        of_row = _mix(start ^ _word(keys[row], 2))
        for j in range(indptr[row], indptr[row + 1]):
            item = items[j]
            indices[j, 0] = item
            of_item = _mix(of_row ^ _word(item, 3))
            for slot in range(n_slots):
                drawn = np.int64(_mix(of_item ^ slots[slot]) % others)
                # The item itself is passed over; alone in its catalogue it is all there is.
                drawn += drawn >= item and n_items > 1
                indices[j, slot + 1] = drawn
                counted[j, slot] = last[drawn] != row
