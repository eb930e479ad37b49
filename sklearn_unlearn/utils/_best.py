"""Compiled selection of the best entries: by value, and of equal ones the lowest number."""

from typing import Any

import numba
import numpy as np

__all__ = ["is_worse", "offer", "select_best"]

_compile = numba.njit(nogil=True, cache=True)


@_compile
def is_worse(value: Any, item: Any, other_value: Any, other_item: Any) -> Any:
    """Rank by value; ties go to the lowest item."""
    return value < other_value or (value == other_value and item > other_item)


@_compile
def offer(values: Any, items: Any, size: Any, value: Any, item: Any) -> Any:
    """Put an entry into a heap with the worst one on top; return the new size."""
    if size < len(values):
        at = size
        while at > 0:
            up = (at - 1) >> 1
            if not is_worse(value, item, values[up], items[up]):
                break
            values[at], items[at] = values[up], items[up]
            at = up
        values[at], items[at] = value, item
        return size + 1
    if is_worse(value, item, values[0], items[0]):
        return size
    at = 0
    while 2 * at + 1 < size:
        down = 2 * at + 1
        if down + 1 < size and is_worse(
            values[down + 1], items[down + 1], values[down], items[down]
        ):
            down += 1
        if not is_worse(values[down], items[down], value, item):
            break
        values[at], items[at] = values[down], items[down]
        at = down
    values[at], items[at] = value, item
    return size


@_compile
def select_best(scores: Any, columns: Any, values: Any) -> None:
    """Write the best columns of each row and their scores, the best first: one pass over each row.

    How many is the width of `columns`, at least 1 and at most the number of scores in a row.
    """
    k = columns.shape[1]
    heap_values, heap_items = np.empty(k, scores.dtype), np.empty(k, np.int64)
    for r in range(len(scores)):
        row, size = scores[r], 0
        for c in range(k):
            size = offer(heap_values, heap_items, size, row[c], c)
        worst = heap_values[0]
        for c in range(k, len(row)):
            if row[c] > worst:  # an equal one further right is worse
                offer(heap_values, heap_items, size, row[c], c)
                worst = heap_values[0]
        for place in range(k - 1, -1, -1):
            columns[r, place], values[r, place] = heap_items[0], heap_values[0]
            if place:  # what was last in the heap takes the place of the worst
                offer(heap_values[:place], heap_items[:place], place, heap_values[place],
                      heap_items[place])  # fmt: skip
