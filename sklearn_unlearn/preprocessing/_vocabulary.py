"""Ids of one kind and their positions: canonical columns of ids, and the sorted vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import Any, NoReturn

import numpy as np

__all__ = ["IdColumn", "Vocabulary", "read_ids"]

_INT64_MAX = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False, repr=False)
class IdColumn:
    """Ids of one kind: an int64 or uint64 array, or a list of objects of one type.

    ``kind`` is ``"int"``, the name of that type, or None for an empty column.
    """

    data: Any
    kind: str | None

    def __len__(self) -> int:
        return len(self.data)


def read_ids(column: Any, role: str) -> IdColumn:
    """Bring a column (array, list or wrapped series) into canonical form.

    Integers of any width become int64, or uint64 where they need it; whole floats become integers,
    as a frame writes integers that once stood beside a gap; text becomes ``str``.
    """
    import narwhals as nw

    if isinstance(column, nw.Series):
        n_missing = int(column.null_count())
        if n_missing:
            _refuse_missing(n_missing, len(column), role)
        plain = column.dtype.is_integer() or column.dtype.is_float() or column.dtype == nw.Boolean
        wide = column.dtype in (nw.Int128, nw.UInt128)
        column = column.to_numpy() if plain and not wide else column.to_list()
    if isinstance(column, np.ndarray) and column.dtype.kind in "iufb":
        return _from_numbers(column, role)
    return _from_objects(column.tolist() if isinstance(column, np.ndarray) else column, role)


def _from_numbers(array: np.ndarray, role: str) -> IdColumn:
    if array.dtype.kind == "b":
        _refuse_bool(role)
    if not len(array):
        return IdColumn([], None)  # np.array([]) is float64 whatever it would have held
    if array.dtype.kind == "f":
        missing = int(np.isnan(array).sum())
        if missing:
            _refuse_missing(missing, len(array), role)
        if not (np.abs(array) <= 2**53).all() or (array != np.floor(array)).any():
            raise TypeError(
                f"The {role} ids are fractional or too large floats; expected integers, text or "
                "other exact ids. Convert them to int or str where they are read."
            )
        return IdColumn(array.astype(np.int64), "int")
    if array.dtype.kind == "u" and int(array.max()) > _INT64_MAX:
        return IdColumn(array.astype(np.uint64), "int")
    return IdColumn(array.astype(np.int64), "int")


def _from_objects(values: list[Any], role: str) -> IdColumn:
    types = set(map(type, values))
    if not types:
        return IdColumn([], None)
    gaps = {kind for kind in types if kind.__name__ in ("NoneType", "NAType", "NaTType")}
    if gaps or (float in types and any(type(x) is float and x != x for x in values)):
        n_missing = sum(type(x) in gaps or (type(x) is float and x != x) for x in values)
        _refuse_missing(n_missing, len(values), role)
    if any(issubclass(kind, bool | np.bool_) for kind in types):
        _refuse_bool(role)
    if all(issubclass(kind, str) for kind in types):
        return IdColumn(values if types == {str} else list(map(str, values)), "str")
    if all(issubclass(kind, int | np.integer) for kind in types):
        return IdColumn(_to_integers(values, role), "int")
    if all(issubclass(kind, float | np.floating) for kind in types):
        return _from_numbers(np.array(values, np.float64), role)
    if len(types) > 1:
        names = ", ".join(sorted(kind.__name__ for kind in types))
        raise TypeError(
            f"The {role} ids are of mixed types ({names}); expected one type. Convert the column, "
            "for example with astype(str)."
        )
    return IdColumn(values, types.pop().__name__)


def _to_integers(values: list[Any], role: str) -> np.ndarray:
    smallest, largest = min(values), max(values)
    if largest <= _INT64_MAX and smallest >= -_INT64_MAX - 1:
        return np.array(values, np.int64)
    if smallest >= 0 and largest <= np.iinfo(np.uint64).max:
        return np.array(values, np.uint64)
    raise ValueError(
        f"The {role} ids hold integers that no 64-bit type can hold together; expected int64 or "
        "uint64. Convert the ids to str."
    )


def _refuse_missing(n_missing: int, n: int, role: str) -> NoReturn:
    raise ValueError(
        f"{n_missing} of {n} {role} ids are missing (None or NaN); expected an id in every row. "
        "Drop these rows, or give them an id."
    )


def _refuse_bool(role: str) -> NoReturn:
    raise TypeError(
        f"The {role} ids are boolean; expected integers, text or other ids. Check that the column "
        "is the right one."
    )


@dataclass(frozen=True, eq=False, repr=False)
class Vocabulary:
    """Sorted distinct ids and the position of each.

    Immutable. An id that is taken out leaves its position unused, so that positions never move.

    Attributes
    ----------
    ids : ndarray of shape (n_known,)
        int64, uint64 or object, ascending.
    positions : ndarray of shape (n_known,)
        int64, ascending as well, since positions are given in the order of the ids.
    size : int
        Number of positions ever given.
    kind : str
        Kind of the ids, as in `IdColumn`.
    """

    ids: np.ndarray
    positions: np.ndarray
    size: int
    kind: str

    def __repr__(self) -> str:
        return f"<Vocabulary of {len(self.ids)} ids at {self.size} positions>"

    @classmethod
    def learn(cls, column: IdColumn, role: str) -> tuple[Vocabulary, np.ndarray]:
        """Give each distinct id a position; return the position of each entry of `column` too."""
        if isinstance(column.data, np.ndarray):
            ids, codes = np.unique(column.data, return_inverse=True)
        else:
            try:
                distinct = sorted(set(column.data))
            except TypeError as error:
                raise TypeError(
                    f"The {role} ids are of type {column.kind}, which cannot be hashed and sorted; "
                    "expected integers, text or UUIDs. Convert them to str."
                ) from error
            # From an empty array: np.array(list of tuples) would become two-dimensional.
            ids = np.empty(len(distinct), object)
            ids[:] = distinct
            table = dict(zip(distinct, range(len(distinct)), strict=True))
            codes = np.fromiter(map(table.__getitem__, column.data), np.int64, len(column))
        vocabulary = cls(ids, np.arange(len(ids)), len(ids), str(column.kind))
        return vocabulary, codes.astype(np.int64, copy=False)

    def lookup(self, column: IdColumn, role: str) -> np.ndarray:
        """Return the position of each id, int64, -1 where it is unknown."""
        if column.kind is None or not len(self.ids):
            return np.full(len(column), -1, np.int64)
        if column.kind != self.kind:
            raise TypeError(
                f"The {role} ids are of type {column.kind}; expected {self.kind}, as in fit. "
                f"Convert them to {self.kind}."
            )
        if isinstance(column.data, np.ndarray):
            return self._lookup_integers(column.data)
        if len(column) * 8 < len(self.ids):  # a table of the whole vocabulary would cost more
            query = np.empty(len(column), object)
            query[:] = column.data
            return self._match(query)
        table = dict(zip(self.ids, self.positions.tolist(), strict=True))
        return np.fromiter(map(table.get, column.data, repeat(-1)), np.int64, len(column))

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
        place = np.searchsorted(self.positions, positions)
        known = place < len(self.positions)
        known[known] = self.positions[place[known]] == positions[known]
        if not known.all():
            raise KeyError(int((~known).sum()))
        return self.ids[place]

    def without(self, positions: np.ndarray) -> Vocabulary:
        """Take out the ids at some positions; the result shares no memory with this one."""
        keep = ~np.isin(self.positions, positions)
        return Vocabulary(self.ids[keep], self.positions[keep], self.size, self.kind)
