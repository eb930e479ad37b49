"""Raw columns to typed arrays: ids, values and timestamps."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NoReturn
from uuid import UUID

import numpy as np

__all__ = [
    "check_events", "join_columns", "parse_number", "parse_timestamp", "type_ids",
    "type_timestamps",
]  # fmt: skip

# "007" and "+7" are text: as integers they would not be told from "7".
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")

# bool is an int, but is refused: a boolean cannot say "disliked".
_NUMBERS = (int, float, Decimal, type(None))


def type_ids(distinct: list[str], codes: np.ndarray) -> np.ndarray:
    """Spread distinct ids over the events: as integers if all are written as such, else as text."""
    if not distinct:
        return np.empty(0, np.int64)
    if all(map(_INTEGER.fullmatch, distinct)):
        numbers = list(map(int, distinct))
        for dtype in (np.int64, np.uint64):
            limits = np.iinfo(dtype)
            if limits.min <= min(numbers) and max(numbers) <= limits.max:
                return np.array(numbers, dtype)[codes]
    ids = np.empty(len(distinct), object)
    ids[:] = distinct
    return ids[codes]


def parse_number(text: str) -> float:
    """Read a finite number; raise ValueError otherwise."""
    number = float(text)
    if "_" in text or not math.isfinite(number):
        raise ValueError(text)
    return number


def parse_timestamp(text: str) -> int | float | datetime:
    """Read an integer, a finite number or an ISO 8601 time (to UTC, if it has a zone)."""
    if re.fullmatch(r"-?[0-9]+", text):
        if abs(int(text)) > np.iinfo(np.int64).max:
            raise ValueError(text)
        return int(text)
    try:
        return parse_number(text)
    except ValueError:
        moment = datetime.fromisoformat(text.strip())
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def type_timestamps(times: list[Any]) -> np.ndarray:
    """Make an array of what `parse_timestamp` read: int64, float64 or datetime64[us]."""
    dtype = "datetime64[us]" if isinstance(times[0], datetime) else None
    return np.array(times, dtype)


def join_columns(
    tables: Sequence[dict[str, np.ndarray]], source: str, *, text: bool
) -> dict[str, np.ndarray]:
    """Join the columns of the parts of a table; `text`: integers were read from text."""
    if len(tables) == 1:
        return tables[0]
    return {
        role: _join([table[role] for table in tables], role, source, text) for role in tables[0]
    }


def _join(columns: list[np.ndarray], role: str, source: str, text: bool) -> np.ndarray:
    kinds = {column.dtype.kind for column in columns}
    if role not in ("user", "item"):
        if "M" in kinds and len(kinds) > 1:
            raise ValueError(
                f"'{source}' has times in some parts and numbers in others; expected one of them. "
                "Write the parts alike, or name the other columns only (user=..., item=...)."
            )
        return np.concatenate(columns)
    if "u" in kinds and "O" not in kinds and not any((c < 0).any() for c in columns):
        return np.concatenate([column.astype(np.uint64) for column in columns])
    if len(kinds) == 1:
        return np.concatenate(columns)
    if not text:
        raise ValueError(
            f"'{source}' has {role} ids of other types in some parts than in others; expected "
            "integers or text in all. Write the parts alike."
        )
    # Text became integers only where it is written as they are, so that this gives it back.
    return np.concatenate([_objects(list(map(str, column.tolist()))) for column in columns])


def check_events(
    columns: dict[str, Any], source: str, *, optional: bool = False
) -> dict[str, np.ndarray]:
    """Check the columns of a typed file; a message counts rows from 0.

    `optional` leaves out timestamps that cannot be used.
    """
    shapes = {
        role: column.shape[:2] if isinstance(column, np.ndarray) else (len(column),)
        for role, column in columns.items()
    }
    if len(set(shapes.values())) > 1 or len(shapes["user"]) != 1:
        raise ValueError(
            f"'{source}' has columns of shapes {shapes}; expected one dimension and one length. "
            "Check which columns are read (user=..., item=...)."
        )
    if shapes["user"] == (0,):
        raise ValueError(f"'{source}' holds no events; expected at least one. Check its source.")
    checked = {role: _check_ids(columns[role], role, source) for role in ("user", "item")}
    checked["value"] = np.ones(shapes["user"])
    if "value" in columns:
        checked["value"] = _check_values(columns["value"], source)
    if "timestamp" in columns:
        try:
            checked["timestamp"] = _check_timestamps(columns["timestamp"], source)
        except ValueError:
            if not optional:
                raise
    return checked


def _bad_rows(bad: np.ndarray, source: str, what: str, expected: str, remedy: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        raise ValueError(
            f"'{source}' has {len(rows)} rows with {what} (first row {rows[0]}, counted from 0); "
            f"expected {expected}. {remedy}"
        )


def _objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _is_gap(column: np.ndarray) -> np.ndarray:
    if column.dtype.kind in "fmM":
        return np.isnan(column) if column.dtype.kind == "f" else np.isnat(column)
    if column.dtype.kind in "OSU":
        gaps = [x is None or x == "" or x == b"" or x != x for x in column.tolist()]
        return np.array(gaps, bool)
    return np.zeros(len(column), bool)


def _check_ids(column: Any, role: str, source: str) -> np.ndarray:
    ids = column if isinstance(column, np.ndarray) else _objects(column)
    remedy = "Drop these rows, or give them an id."
    _bad_rows(_is_gap(ids), source, f"no {role} id", "an id in every row", remedy)
    if ids.dtype.kind == "f":
        whole = (ids == np.floor(ids)) & (np.abs(ids) <= 2**53)
        remedy = "Store ids as integers or text."
        _bad_rows(~whole, source, f"a {role} id that is no integer", "exact ids", remedy)
    if ids.dtype.kind in "fi":
        return ids.astype(np.int64)
    if ids.dtype.kind == "u":
        fits = int(ids.max()) <= np.iinfo(np.int64).max
        return ids.astype(np.int64 if fits else np.uint64)
    if ids.dtype.kind not in "OSU":
        _refuse_ids(role, f"of type {ids.dtype.name}", source)
    return _check_objects(ids.tolist(), role, source)


def _refuse_ids(role: str, given: str, source: str) -> NoReturn:
    raise ValueError(
        f"'{source}' has {role} ids {given}; expected integers or text. Store them as one of the "
        f"two (lists: one row for each element), or name another column ({role}=...)."
    )


def _check_objects(ids: list[Any], role: str, source: str) -> np.ndarray:
    """Return ids from a list of objects: integers, or one kind of what can be looked up."""
    kinds = {type(one) for one in ids}
    if len(kinds) > 1:
        _refuse_ids(role, f"of the types {sorted(kind.__name__ for kind in kinds)}", source)
    kind = kinds.pop()
    if kind is Decimal and all(one == one.to_integral_value() for one in ids):
        kind, ids = int, list(map(int, ids))
    if kind is int:
        low, high = min(ids), max(ids)
        for dtype in (np.int64, np.uint64):
            if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
                return np.array(ids, dtype)
        _refuse_ids(role, "beyond 64 bits", source)
    if kind not in (str, bytes, UUID):
        _refuse_ids(role, f"of type {kind.__name__}", source)
    return _objects(ids)


def _check_values(column: Any, source: str) -> np.ndarray:
    values = np.asarray(column)
    if values.dtype.kind == "O" and all(
        isinstance(x, _NUMBERS) and not isinstance(x, bool) for x in column
    ):
        values = np.array([np.nan if x is None else float(x) for x in column])
    if values.dtype.kind not in "iuf":
        raise ValueError(
            f"'{source}' has values of type {values.dtype.name}; expected numbers (a boolean "
            "cannot say 'disliked': 0 means 'not observed'). Store numbers, or name another column."
        )
    values = values.astype(np.float64)
    remedy = "Drop or fill these rows."
    _bad_rows(~np.isfinite(values), source, "a missing or infinite value", "numbers", remedy)
    return values


def _check_timestamps(column: Any, source: str) -> np.ndarray:
    times = column if isinstance(column, np.ndarray) else _objects(column)
    remedy = "Drop or fill these rows, or read no timestamps."
    _bad_rows(_is_gap(times), source, "no timestamp", "one in every row", remedy)
    if times.dtype.kind not in "OSU":
        return times
    read = [_read_time(time) for time in times.tolist()]
    bad = np.array([time is None for time in read])
    expected = "numbers or ISO 8601 times"
    _bad_rows(bad, source, "a timestamp that cannot be read", expected, remedy)
    numeric = np.array([isinstance(time, int | float) for time in read])
    other = "another kind of timestamp than the first row"
    _bad_rows(numeric != numeric[0], source, other, expected, remedy)
    return type_timestamps(read)


def _read_time(time: Any) -> Any:
    if isinstance(time, date):  # datetime too
        return parse_timestamp(time.isoformat())
    try:
        return parse_timestamp(str(time)) if isinstance(time, str | int | float) else None
    except ValueError:
        return None
