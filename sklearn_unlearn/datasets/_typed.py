"""Raw columns to typed arrays: ids, values and timestamps."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

import numpy as np

__all__ = ["check_events", "parse_number", "parse_timestamp", "type_ids", "type_timestamps"]

# "007" and "+7" are text: as integers they would not be told from "7".
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")


def type_ids(distinct: list[str], codes: np.ndarray) -> np.ndarray:
    """Spread distinct ids over the events: as integers if all are written as such, else as text."""
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


def check_events(columns: dict[str, Any], source: str) -> dict[str, np.ndarray]:
    """Check the columns of a typed file; a message counts rows from 0."""
    shapes = {role: np.shape(column)[:2] for role, column in columns.items()}
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
        checked["timestamp"] = _check_timestamps(columns["timestamp"], source)
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
    return _objects(ids.tolist())


def _check_values(column: Any, source: str) -> np.ndarray:
    values = np.asarray(column)
    if values.dtype.kind == "O" and not any(isinstance(x, str | bool) for x in column):
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
    return times
