"""Lists of the sessions that hold each item, most recent first, and their exact correction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.backends import ScipyBackend
from sklearn_unlearn.exact.sequences import _session_kernels as _kernels
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._interactions import (
    concatenate_ranges,
    index_dtype,
    owned,
    rows_of,
    sorted_union,
    with_entries,
    without,
)

__all__ = ["DECAYS", "SessionIndex", "session_scores", "session_times"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Requests of a larger share of all events are answered by making every list again, which is faster.
_CORRECTED = 0.03

DECAYS = {
    "none": _kernels.NONE,
    "linear": _kernels.LINEAR,
    "harmonic": _kernels.HARMONIC,
    "window": _kernels.WINDOW,
}


def session_times(data: Interactions, rows: Ints) -> Floats:
    """Return the time of the last event of each of some sessions, 0 where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.exact.sequences._session_index import session_times
    >>> from sklearn_unlearn.interactions import Interactions
    >>> session_times(Interactions.from_matrix([[3, 5], [0, 0], [4, 0]]), np.arange(3))
    array([5., 0., 4.])
    """
    lengths = data.degrees_of(rows)
    times = np.zeros(len(rows))
    full = lengths > 0
    if full.any():
        values = data.values_at(concatenate_ranges(data.indptr, rows)).astype(np.float64)
        starts = np.append(0, np.cumsum(lengths[full])[:-1])
        times[full] = np.maximum.reduceat(values, starts)
    return times


@dataclass(frozen=True)
class SessionIndex:
    """Inverted lists of sessions.

    Parameters
    ----------
    starts : ndarray of int64, shape (n_items + 1,)
        Where the list of each item starts.

    sessions : ndarray of int32 or int64, shape (n_interactions,)
        The sessions that hold an item, from the last to the first; of one time, the row further
        down comes first.

    times : ndarray of float64, shape (n_sessions,)
        Time of the last event of each session, 0 without one.

    Examples
    --------
    >>> from sklearn_unlearn.exact.sequences._session_index import SessionIndex
    >>> from sklearn_unlearn.interactions import Interactions
    >>> index = SessionIndex.of(Interactions.from_matrix([[9, 8], [7, 0], [0, 9]]))
    >>> index.starts, index.sessions
    (array([0, 2, 4]), array([0, 1, 2, 0], dtype=int32))
    """

    starts: Ints
    sessions: NDArray[Any]
    times: Floats

    @classmethod
    def of(cls, data: Interactions) -> SessionIndex:
        """Make the lists of all items: one sort of the sessions, and one transposition."""
        n = data.n_users
        times = session_times(data, np.arange(n))
        order = np.lexsort((np.arange(n), times))[::-1]
        lengths = data.user_degrees[order]
        starts = np.append(0, np.cumsum(lengths))
        indices = data.indices[concatenate_ranges(data.indptr, order)]
        marks = np.empty(len(indices), np.int8)
        lists = sparse.csr_array((marks, indices, starts), shape=data.shape).tocsc()
        sessions = order[lists.indices].astype(index_dtype(n))
        return cls(lists.indptr.astype(np.int64), owned(sessions), times)

    def corrected(
        self, before: Interactions, retained: Interactions, positions: Ints, added: Ints
    ) -> tuple[SessionIndex, int]:
        """Return the lists of the data after a request.

        A session whose last event changes moves in the lists of all its items; others leave the
        lists of what went, and join those of what came.

        Parameters
        ----------
        before, retained : Interactions
            The data before and after, of one shape.

        positions, added : ndarray of int64
            What goes, as positions before, and what comes, as positions after.

        Returns
        -------
        index : SessionIndex
            Equal to that of `of` on the data after.

        n_items : int
            How many lists changed.
        """
        if len(positions) + len(added) > _CORRECTED * before.n_interactions:
            return self.of(retained), before.n_items
        touched = sorted_union(rows_of(before.indptr, positions), rows_of(retained.indptr, added))
        times = self.times.copy()
        times[touched] = session_times(retained, touched)
        moved = touched[times[touched] != self.times[touched]]
        gone = sorted_union(positions, concatenate_ranges(before.indptr, moved))
        come = sorted_union(added, concatenate_ranges(retained.indptr, moved))
        (old_items, old_rows), (new_items, new_rows) = _cells(before, gone), _cells(retained, come)
        places = self._find(old_items, old_rows, self.times)
        sessions = without(self.sessions, np.sort(places))
        starts = self.starts - _before(old_items, len(self.starts))
        if len(come):
            rest = SessionIndex(starts, sessions, times)
            order = np.lexsort((-new_rows, -times[new_rows], new_items))
            new_items, new_rows = new_items[order], new_rows[order]
            places = rest._find(new_items, new_rows, times)
            sessions = with_entries(sessions, places, new_rows.astype(sessions.dtype), places)
            starts = starts + _before(new_items, len(starts))
        return SessionIndex(starts, sessions, times), len(sorted_union(old_items, new_items))

    def grown(self, shape: tuple[int, int]) -> SessionIndex:
        """Return the same lists in a larger table."""
        more = shape[1] + 1 - len(self.starts)
        starts = np.append(self.starts, np.full(more, self.starts[-1]))
        times = np.append(self.times, np.zeros(shape[0] - len(self.times)))
        return SessionIndex(starts, self.sessions.astype(index_dtype(shape[0])), times)

    def _find(self, items: Ints, rows: Ints, times: Floats) -> Ints:
        places = np.empty(len(items), np.int64)
        starts, sessions, held = _frozen((self.starts, self.sessions, self.times))
        items, rows, sought = _frozen((items, rows, times[rows]))
        _kernels.find_places(starts, sessions, held, items, rows, sought, places)
        return places


def _cells(data: Interactions, positions: Ints) -> tuple[Ints, Ints]:
    """Return the items and sessions of some positions."""
    return data.items_at(positions).astype(np.int64), rows_of(data.indptr, positions)


def _before(items: Ints, length: int) -> Ints:
    """Count the entries of lower items, for each item."""
    return np.append(0, np.cumsum(np.bincount(items, minlength=length - 1)))


def session_scores(
    rows: sparse.csr_array,
    own: Ints,
    data: Interactions,
    index: SessionIndex,
    settings: tuple[int, int, int, int, int],
    idf: bool,
    backend: ScipyBackend,
) -> Floats:
    """Score every item for some sessions.

    Parameters
    ----------
    rows : csr_array of shape (n, n_items)
        Times of the items of each session.

    own : ndarray of int64, shape (n,)
        The training session that each is, -1 for none.

    data : Interactions
        The training sessions.

    index : SessionIndex
        Of these.

    settings : tuple of int
        As in the kernel: most recent sessions, neighbours, last items, and the two decays.

    idf : bool
        Whether items are weighted by the logarithm of their rarity.

    backend : ScipyBackend
        Whose threads share the rows. The result does not depend on it.

    Returns
    -------
    scores : ndarray of float64, shape (n, n_items)
    """
    out = np.zeros((rows.shape[0], data.n_items))
    factors = np.ones(data.n_items)
    if idf:
        counts, n_sessions = np.diff(index.starts), np.count_nonzero(data.user_degrees)
        factors = np.log(max(n_sessions, 1) / np.maximum(counts, 1)) * (counts > 0)
    n_recent = min(settings[0], max(1, data.n_users))
    settings = (n_recent, *settings[1:])
    work = n_recent + data.n_items
    queries = rows.indptr.astype(np.int64), rows.indices.astype(np.int64), rows.data.astype(float)
    backend._run(
        _kernels.score_sessions,
        np.arange(len(out) + 1),
        work,
        _frozen(queries),
        *_frozen((own,)),
        _frozen((index.starts, index.sessions, index.times)),
        _frozen((data.indptr, data.indices)),
        settings,
        *_frozen((factors,)),
        out,
    )
    return out


def _frozen(arrays: Any) -> tuple[NDArray[Any], ...]:
    # One type, whatever keeps the array: kernels are compiled for each type.
    views = tuple(np.ascontiguousarray(one).view() for one in arrays)
    for view in views:
        view.setflags(write=False)
    return views
