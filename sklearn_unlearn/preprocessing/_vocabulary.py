"""The sorted vocabulary: ids of one kind and the position of each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Any, NoReturn

import numpy as np

from ..utils._state import check_table, refuse_loaded
from ._ids import IdColumn, refuse_unsortable

__all__ = ["Vocabulary"]

_INT64_MAX = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False, repr=False)
class Vocabulary:
    """Sorted distinct ids and the position of each.

    Immutable. An id that is taken out leaves its position unused, so that positions never move.

    Attributes
    ----------
    ids : ndarray of shape (n_known,)
        int64, uint64 or object, ascending.
    positions : ndarray of shape (n_known,)
        int64. `learn` gives them in the order of the ids, `extended` behind all that were given.
    size : int
        Number of positions ever given.
    kind : str
        Kind of the ids, as in `IdColumn`.
    n_first : int or None, default=None
        Positions below ascend with the ids: those that `learn` gave. None is all.
    """

    ids: np.ndarray
    positions: np.ndarray
    size: int
    kind: str
    n_first: int | None = None

    def __repr__(self) -> str:
        return f"<Vocabulary of {len(self.ids)} ids at {self.size} positions>"

    def __getstate__(self) -> dict[str, Any]:
        # Text in one piece: as an object of its own, each id would take some formats a page.
        state = dict(vars(self))
        if self.kind == "str" and all(type(one) is str for one in self.ids):
            state["ids"] = _pack(self.ids)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        packed = state.get("ids")
        if isinstance(packed, dict):
            state = {**state, "ids": _unpack(self, packed)}
        vars(self).update(state)

    @classmethod
    def learn(cls, column: IdColumn, role: str) -> tuple[Vocabulary, np.ndarray]:
        """Give each distinct id a position; return the position of each row of `column` too."""
        if isinstance(column.distinct, np.ndarray):
            ids, codes = column.distinct, column.codes
        else:
            ids, rank = _sort(column, role)
            codes = rank[column.codes]
        return cls(ids, np.arange(len(ids)), len(ids), str(column.kind)), codes

    def lookup(self, column: IdColumn, role: str) -> np.ndarray:
        """Return the position of each row's id, -1 where it is unknown."""
        if column.kind is None or not len(self.ids):
            return np.full(len(column), -1, column.codes.dtype)
        if column.kind != self.kind:
            self._refuse_kind(column.kind, role)
        if isinstance(column.distinct, np.ndarray):
            found = self._lookup_integers(column.distinct)
        else:
            found = self._lookup_objects(column.distinct)
        narrow = np.int32 if self.size <= np.iinfo(np.int32).max else np.int64
        return found.astype(narrow)[column.codes]

    def _lookup_objects(self, query: list[Any]) -> np.ndarray:
        if len(query) * 8 < len(self.ids):  # a table of the whole vocabulary would cost more
            return self._match(_as_objects(query))
        table = dict(zip(self.ids, self.positions.tolist(), strict=True))
        return np.fromiter(map(table.get, query, repeat(-1)), np.int64, len(query))

    def _lookup_integers(self, query: np.ndarray) -> np.ndarray:
        if query.dtype == self.ids.dtype:
            return self._match(query)
        # Compared in one integer type: NumPy would take int64 and uint64 to float64, where
        # neighbours beyond 2**53 are the same number.
        fits = query >= 0 if self.ids.dtype == np.uint64 else query <= np.uint64(_INT64_MAX)
        return np.where(fits, self._match(np.where(fits, query, 0).astype(self.ids.dtype)), -1)

    def _match(self, query: np.ndarray) -> np.ndarray:
        place = np.minimum(np.searchsorted(self.ids, query), len(self.ids) - 1)
        return np.where(self.ids[place] == query, self.positions[place], -1).astype(np.int64)

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Return the ids at some positions; raise KeyError with the number of those without one."""
        own, order = self.positions, None
        if self.n_first is not None:
            order = np.argsort(own)
            own = own[order]
        place = np.searchsorted(own, positions)
        known = place < len(own)
        known[known] = own[place[known]] == positions[known]
        if not known.all():
            raise KeyError(int((~known).sum()))
        return self.ids[place if order is None else order[place]]

    def extended(self, column: IdColumn, role: str) -> tuple[Vocabulary, np.ndarray]:
        """Give each id that is not known a position behind all; return that of each row too."""
        if column.kind is not None and column.kind != self.kind:
            self._refuse_kind(column.kind, role)
        places = self.lookup(column, role)
        rows = np.flatnonzero(places < 0)
        if not len(rows):
            return self, places
        new, codes = Vocabulary.learn(column.spread(rows).distinct_only(), role)
        positions = np.append(self.positions, self.size + new.positions)
        ids = _joined(self.ids, new.ids, role)
        order = np.argsort(ids, kind="stable")
        size = self.size + new.size
        places = places.astype(np.int32 if size <= np.iinfo(np.int32).max else np.int64)
        places[rows] = self.size + codes
        first = self.size if self.n_first is None else self.n_first
        return Vocabulary(ids[order], positions[order], size, self.kind, first), places

    def _refuse_kind(self, kind: str, role: str) -> NoReturn:
        raise TypeError(
            f"The {role} ids are of type {kind}; expected {self.kind}, as in fit. "
            f"Convert them to {self.kind}."
        )

    def without(self, positions: np.ndarray) -> Vocabulary:
        """Take out the ids at some positions; if there are any, no memory is shared with this."""
        keep = ~np.isin(self.positions, positions)
        if keep.all():
            return self
        return Vocabulary(self.ids[keep], self.positions[keep], self.size, self.kind, self.n_first)


def _sort(column: IdColumn, role: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct ids in Python's order, and the rank of each where it stood.

    Sorted here, whatever library found them: one order, that of code points for text.
    """
    distinct = column.distinct
    try:
        order = sorted(range(len(distinct)), key=distinct.__getitem__)
    except TypeError as error:
        refuse_unsortable(column.kind, role, error)
    ids = _as_objects(distinct)[order]
    if column.kind != "str" and not (ids[:-1] < ids[1:]).all():
        refuse_unsortable(column.kind, role)  # a partial order, as that of sets
    rank = np.empty(len(order), column.codes.dtype)
    rank[order] = np.arange(len(order))
    return ids, rank


def _joined(known: np.ndarray, new: np.ndarray, role: str) -> np.ndarray:
    """Put ids one behind the other: NumPy would take int64 and uint64 to float64."""
    if known.dtype == new.dtype or known.dtype == object:
        return np.append(known, new)
    smallest = min(int(known.min(initial=0)), int(new.min(initial=0)))
    if smallest < 0:
        raise ValueError(
            f"The {role} ids hold integers that no 64-bit type can hold together with those of "
            "fit; expected int64 or uint64. Convert the ids to str."
        )
    return np.append(known.astype(np.uint64), new.astype(np.uint64))


def _pack(texts: np.ndarray) -> dict[str, np.ndarray]:
    """Put texts into one array of UTF-8, and where each ends, in characters, into another.

    A line end stands between them, so that whoever searches the file finds whole ids.
    """
    text = "\n".join(texts).encode("utf-8", "surrogatepass")
    ends = np.cumsum([len(one) + 1 for one in texts], dtype=np.int64) - 1
    return {"text": np.frombuffer(text, np.uint8), "ends": ends}


def _unpack(owner: Vocabulary, packed: dict[str, Any]) -> np.ndarray:
    """Return the texts that `_pack` put together; refuse what it did not."""
    encoded = check_table(owner, packed, "text", (None,), (np.uint8,))
    stops = check_table(owner, packed, "ends", (None,), (np.int64,))
    try:
        text = encoded.tobytes().decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        refuse_loaded(owner, "its text is no UTF-8")
    ends = [-1, *stops.tolist()]
    last = len(text) if text or len(stops) else -1
    if ends[-1] != last or any(a >= b for a, b in pairwise(ends)):
        refuse_loaded(owner, "its text does not end where the last id does")
    return _as_objects([text[a + 1 : b] for a, b in pairwise(ends)])


def _as_objects(values: list[Any]) -> np.ndarray:
    """Make a one-dimensional array, of tuples too."""
    array = np.empty(len(values), object)
    array[:] = values
    return array
