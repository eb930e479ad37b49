"""Compiled loops over the sessions that hold an item, most recent first.

A kernel with ``start`` and ``stop`` releases the GIL and writes only to its own rows, so that a
caller may run disjoint ranges in threads.
"""

from typing import Any

import numba
import numpy as np

__all__ = ["HARMONIC", "LINEAR", "NONE", "WINDOW", "find_places", "score_sessions"]

_compile = numba.njit(nogil=True, cache=True)

# Kinds of decay, by number.
NONE, LINEAR, HARMONIC, WINDOW = 0, 1, 2, 3
# Items from the end of a session from which on a window gives no weight.
_WINDOW = 10


@_compile
def _decay(kind: int, later: int, length: int) -> float:
    """Weight of an item that `later` of `length` items follow, times the `_unit` of its kind.

    Linear ones are whole numbers, so that sums of them are equal where they should be.
    """
    if kind == LINEAR:
        return float(length - later)
    if kind == WINDOW:
        return max(0.0, _WINDOW - 1.0 - later)
    if kind == HARMONIC:
        return 1.0 / (later + 1)
    return 1.0


@_compile
def _unit(kind: int, length: int) -> float:
    if kind == LINEAR:
        return float(length)
    if kind == WINDOW:
        return float(_WINDOW)
    return 1.0


@_compile
def find_places(
    starts: Any, sessions: Any, times: Any, items: Any, rows: Any, row_times: Any, out: Any
) -> None:
    """Find where sessions stand, or would stand, in the lists of items.

    A list goes from the last session to the first, by time and then by row. Entry e is the session
    ``rows[e]`` of time ``row_times[e]`` in the list of ``items[e]``.
    """
    for e in range(len(items)):
        low, high = starts[items[e]], starts[items[e] + 1]
        row, time = rows[e], row_times[e]
        while low < high:
            middle = (low + high) >> 1
            other = sessions[middle]
            if times[other] > time or (times[other] == time and other > row):
                low = middle + 1
            else:
                high = middle
        out[e] = low


@_compile
def _before(heads: Any, a: int, b: int) -> bool:
    """Whether the head of list a is to be taken before that of list b: later session, then list."""
    times, rows = heads
    if times[a] != times[b]:
        return times[a] > times[b]
    if rows[a] != rows[b]:
        return rows[a] > rows[b]
    return a < b


@_compile
def _sift(heap: Any, size: int, place: int, heads: Any) -> None:
    """Let the entry at a place of a heap sink to where it belongs."""
    moved = heap[place]
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and _before(heads, heap[child + 1], heap[child]):
            child += 1
        if not _before(heads, heap[child], moved):
            break
        heap[place] = heap[child]
        place = child
    heap[place] = moved


@_compile
def _recent_items(items: Any, times: Any, n_last: int) -> Any:
    """Return the last items of a session, in the order given, and how many of them are later."""
    n = len(items)
    order = np.argsort(times, kind="mergesort")
    later = np.empty(n, np.int64)
    strictly, place = 0, n - 1
    while place >= 0:
        first = place
        while first > 0 and times[order[first - 1]] == times[order[place]]:
            first -= 1
        for p in range(first, place + 1):
            later[order[p]] = strictly
        strictly += place - first + 1
        place = first - 1
    kept = np.flatnonzero(later < n_last)
    return items[kept], later[kept]


@_compile
def _candidates(items: Any, weights: Any, later: Any, own: int, lists: Any, found: Any) -> int:
    """Merge the lists of some items, from the last session on, until enough are found.

    All lists that hold a session give it in a row, so that its similarity is a sum in the order of
    the items, and complete when the next session comes.
    """
    starts, sessions, session_times = lists
    rows, similarities, nearest = found
    n_lists = len(items)
    places, ends = starts[items], starts[items + 1]
    head_times, head_rows = np.zeros(n_lists), np.zeros(n_lists, np.int64)
    heads = (head_times, head_rows)
    heap, size = np.empty(n_lists, np.int64), 0
    for n in range(n_lists):
        if places[n] < ends[n]:
            head_rows[n] = sessions[places[n]]
            head_times[n] = session_times[head_rows[n]]
            heap[size] = n
            size += 1
    for place in range(size // 2 - 1, -1, -1):
        _sift(heap, size, place, heads)
    n_found, last = 0, -1
    while size:
        n = heap[0]
        row = head_rows[n]
        if row != own:
            if row != last:
                if n_found == len(rows):
                    break
                rows[n_found], similarities[n_found], nearest[n_found] = row, 0.0, later[n]
                n_found += 1
                last = row
            similarities[n_found - 1] += weights[n]
            nearest[n_found - 1] = min(nearest[n_found - 1], later[n])
        places[n] += 1
        if places[n] < ends[n]:
            head_rows[n] = sessions[places[n]]
            head_times[n] = session_times[head_rows[n]]
        else:
            size -= 1
            heap[0] = heap[size]
        _sift(heap, size, 0, heads)
    return n_found


@_compile
def score_sessions(
    queries: Any,
    own: Any,
    lists: Any,
    table: Any,
    settings: Any,
    idf: Any,
    out: Any,
    start: int,
    stop: int,
) -> None:
    """Add up the neighbours of the sessions ``start`` to ``stop``, each in its row of `out`.

    Parameters
    ----------
    queries : tuple of ndarray
        ``indptr``, ``indices`` and times of the sessions to score.

    own : ndarray of int64
        The training session that each of them is, -1 for none: it is no neighbour of itself.

    lists : tuple of ndarray
        Where the list of each item starts, its sessions, and the time of each session.

    table : tuple of ndarray
        ``indptr`` and ``indices`` of the training sessions.

    settings : tuple of int
        How many sessions are looked at, how many are neighbours, how many last items count, and
        the kinds of decay of similarities and of matches.

    idf : ndarray of float64, shape (n_items,)
        Factor of the score of each item.
    """
    indptr, indices, times = queries
    row_starts, row_items = table
    n_recent, n_neighbors, n_last, decay, match = settings
    rows, nearest = np.empty(n_recent, np.int64), np.empty(n_recent, np.int64)
    similarities = np.empty(n_recent)
    for s in range(start, stop):
        first, end = indptr[s], indptr[s + 1]
        items, later = _recent_items(indices[first:end], times[first:end], n_last)
        length = len(items)
        unit = _unit(decay, length) * _unit(match, length)
        weights = np.empty(length)
        for n in range(length):
            weights[n] = _decay(decay, later[n], length)
        n_found = _candidates(items, weights, later, own[s], lists, (rows, similarities, nearest))
        # Of equal similarities the later session comes first, as a stable sort leaves it.
        order = np.argsort(-similarities[:n_found], kind="mergesort")
        for c in order[:n_neighbors]:
            score = similarities[c] * _decay(match, nearest[c], length) / unit
            for p in range(row_starts[rows[c]], row_starts[rows[c] + 1]):
                out[s, row_items[p]] += score
        for i in range(len(idf)):
            out[s, i] *= idf[i]
