"""Columns of ids in canonical form: distinct ids of one kind, and which of them each row holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from ._factorize import (
    blocks,
    decategorize,
    factorize_integers,
    factorize_objects,
    factorize_series,
)

__all__ = ["IdColumn", "read_ids", "refuse_unsortable"]

_INT64_MAX = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False, repr=False)
class IdColumn:
    """Ids of one kind.

    Attributes
    ----------
    distinct : ndarray of int64 or uint64, or list
        Different ids; integers ascend, objects are in no particular order.
    codes : ndarray of shape (n_rows,)
        Index into `distinct` of each row.
    kind : str or None
        ``"int"``, the name of the type of the objects, or None for an empty column.
    """

    distinct: Any
    codes: np.ndarray
    kind: str | None

    def __len__(self) -> int:
        return len(self.codes)

    def id_of(self, row: int) -> Any:
        """Return the id in a row."""
        return self.distinct[self.codes[row]]

    def distinct_only(self) -> IdColumn:
        """Return the same column without ids that no row holds."""
        held, codes = np.unique(self.codes, return_inverse=True)
        distinct = self.distinct
        if not isinstance(distinct, np.ndarray):
            return IdColumn([distinct[one] for one in held], codes, self.kind)
        return IdColumn(distinct[held], codes, self.kind)

    def spread(self, codes: np.ndarray | None) -> IdColumn:
        """Return the column whose row k is row ``codes[k]`` of this one; itself for None."""
        if codes is None:
            return self
        return IdColumn(self.distinct, self.codes[codes], self.kind)


def read_ids(column: Any, role: str) -> IdColumn:
    """Bring a column (array, list or wrapped series) into canonical form.

    Integers of any width become int64, or uint64 where they need it; whole floats become integers,
    as a frame writes integers that once stood beside a gap; text becomes ``str``; a category is the
    value that it stands for.
    """
    import narwhals as nw

    if isinstance(column, nw.Series):
        column = decategorize(column)
        n_missing = int(column.null_count())
        if n_missing:
            _refuse_missing(n_missing, len(column), role)
        plain = column.dtype.is_integer() or column.dtype.is_float() or column.dtype == nw.Boolean
        wide = column.dtype in (nw.Int128, nw.UInt128)
        found = factorize_series(column) if len(column) else None
        if found is not None:
            return _from_objects(*found, role)
        column = column.to_numpy() if plain and not wide else column.to_list()
    if isinstance(column, np.ndarray) and column.dtype.kind in "iufb":
        return _from_numbers(column, role)
    return _from_objects(column, None, role)


def _no_ids() -> IdColumn:
    return IdColumn([], np.empty(0, np.int32), None)


def _from_numbers(array: np.ndarray, role: str) -> IdColumn:
    if array.dtype.kind == "b":
        _refuse_bool(role)
    if not len(array):
        return _no_ids()  # np.array([]) is float64 whatever it would have held
    if array.dtype.kind == "f":
        missing = int(np.isnan(array).sum())
        if missing:
            _refuse_missing(missing, len(array), role)
        exact = 2.0 ** min(np.finfo(array.dtype).nmant + 1, 53)
        if not (np.abs(array) <= exact).all() or (array != np.floor(array)).any():
            raise TypeError(
                f"The {role} ids are fractional or too large floats; expected integers, text or "
                "other exact ids. Convert them to int or str where they are read."
            )
    unsigned = array.dtype.kind == "u" and int(array.max()) > _INT64_MAX
    integers = array.astype(np.uint64 if unsigned else np.int64, copy=False)
    return IdColumn(*factorize_integers(integers), "int")


def _from_objects(values: Any, codes: np.ndarray | None, role: str) -> IdColumn:
    """Read objects of one type: those of each row, or different ones and which each row holds."""
    types = {kind for block in blocks(values) for kind in set(map(type, block))}
    if not types:
        return _no_ids()
    _refuse_gaps(values, types, role)
    if any(issubclass(kind, bool | np.bool_) for kind in types):
        _refuse_bool(role)
    if all(issubclass(kind, int | np.integer) for kind in types):
        return _from_numbers(_to_integers(values, role), role).spread(codes)
    if all(issubclass(kind, float | np.floating) for kind in types):
        return _from_numbers(np.array(values, np.float64), role).spread(codes)
    text = all(issubclass(kind, str) for kind in types)
    if len(types) > 1 and not text:
        names = ", ".join(sorted(kind.__name__ for kind in types))
        raise TypeError(
            f"The {role} ids are of mixed types ({names}); expected one type. Convert the column, "
            "for example with astype(str)."
        )
    kind = "str" if text else types.pop().__name__
    if codes is None:
        try:
            values, codes = factorize_objects(values)
        except TypeError as error:
            refuse_unsortable(kind, role, error)
    return IdColumn(values if types <= {str} or not text else list(map(str, values)), codes, kind)


def _refuse_gaps(values: Any, types: set[type], role: str) -> None:
    """Raise if there is a None, NaN, NA or NaT."""
    gaps = {kind for kind in types if kind.__name__ in ("NoneType", "NAType", "NaTType")}
    if gaps or float in types:
        entries = (entry for block in blocks(values) for entry in block)
        n_missing = sum(type(x) in gaps or (type(x) is float and x != x) for x in entries)
        if n_missing:
            _refuse_missing(n_missing, len(values), role)


def _to_integers(values: Any, role: str) -> np.ndarray:
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


def refuse_unsortable(kind: str | None, role: str, error: Exception | None = None) -> NoReturn:
    """Raise for ids without a hash or an order."""
    raise TypeError(
        f"The {role} ids are of type {kind}, which cannot be hashed and sorted; expected integers, "
        "text or UUIDs. Convert them to str."
    ) from error
