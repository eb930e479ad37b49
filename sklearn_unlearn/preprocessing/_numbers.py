"""Columns of values and of times: finite numbers, and the order of events in time."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, NoReturn

import numpy as np

__all__ = ["read_values", "time_order"]


def read_values(column: Any, name: str, *, text: bool = False) -> np.ndarray:
    """Turn a column of values into finite float64, or say in which row the first bad one is."""
    import narwhals as nw

    if isinstance(column, nw.Series):
        _refuse_missing_values(int(column.null_count()), len(column), name)
        column = column.to_numpy() if column.dtype.is_numeric() else np.array(column.to_list(), "O")
    column = _as_array(column)
    if column.dtype.kind == "b" or (
        column.dtype.kind == "O"
        and any(issubclass(kind, bool | np.bool_) for kind in set(map(type, column)))
    ):
        _refuse_bool(name)
    values = _to_float(column, name, text)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(
            f"The value column {name!r} holds NaN or inf in {len(bad)} of {len(values)} events "
            f"(first in row {bad[0]}); expected finite numbers. Drop or fill these rows."
        )
    return values


def _to_float(column: np.ndarray, name: str, text: bool) -> np.ndarray:
    """Convert to float64; text only where the container could hold nothing else."""
    allowed = "iufOU" if text else "iufO"
    try:
        if column.dtype.kind not in allowed:
            raise TypeError(column.dtype.name)
        if column.dtype.kind == "O":
            if not text and any(issubclass(kind, str) for kind in set(map(type, column))):
                raise TypeError("str")
            # None is missing, not a wrong type: NaN is reported with its row.
            column = np.array([np.nan if x is None else float(x) for x in column], np.float64)
        return column.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"The value column {name!r} is not numeric; expected real numbers without gaps. "
            "Convert it to float first."
        ) from error


def _refuse_missing_values(n_missing: int, n: int, name: str) -> None:
    if n_missing:
        raise ValueError(
            f"The value column {name!r} is missing in {n_missing} of {n} events; expected finite "
            "numbers. Drop or fill these rows."
        )


def _refuse_bool(name: str) -> None:
    raise TypeError(
        f"The value column {name!r} is boolean; expected numbers, because False would become 0, "
        "which means 'not observed'. Map it to +1 / -1 for labels, or keep the true rows and use "
        "value=None."
    )


def time_order(column: Any, name: str, *, text: bool = False) -> np.ndarray | None:
    """Return the rows in the order of their times, None if that is the order of the table.

    Rows of one time keep their order. Times are numbers or moments of any library.
    """
    import narwhals as nw

    if isinstance(column, nw.Series):
        missing = column.is_null().to_numpy()
        if missing.any():
            _refuse_missing_times(missing, name)
        kind = column.dtype
        plain = kind.is_numeric() or isinstance(kind, nw.Datetime | nw.Date | nw.Duration)
        column = column.to_numpy() if plain or kind == nw.Boolean else column.to_list()
    times = _as_times(_as_array(column), name, text)
    if len(times) < 2 or (times[1:] >= times[:-1]).all():
        return None
    return np.argsort(times, kind="stable")


def _as_times(times: np.ndarray, name: str, text: bool) -> np.ndarray:
    """Bring times into an array that can be sorted."""
    if text and times.dtype.kind == "U":
        times = _parse(times, name)
    if times.dtype.kind in "fmM":
        missing = np.isnan(times) if times.dtype.kind == "f" else np.isnat(times)
    elif times.dtype.kind == "O":
        missing = np.fromiter(map(_is_missing, times), bool, len(times))
    else:
        missing = np.zeros(len(times), bool)
    if missing.any():
        _refuse_missing_times(missing, name)
    if times.dtype.kind == "O":
        return _as_ranks(times, name)
    if times.dtype.kind not in "iufmM":
        _refuse_times(name, times.dtype.name)
    return times


def _is_missing(time: Any) -> bool:
    """Tell None, NA, and NaN and NaT, which differ from themselves."""
    return time is None or type(time).__name__ == "NAType" or bool(time != time)


def _parse(times: np.ndarray, name: str) -> np.ndarray:
    """Read numbers in an array of text; integers exactly."""
    for kind in (np.int64, np.float64):
        try:
            return times.astype(kind)
        except ValueError:
            continue
    _refuse_times(name, "text")


def _as_ranks(times: np.ndarray, name: str) -> np.ndarray:
    """Replace Python's own numbers or moments by their ranks; of equal ones the later is later."""
    types = set(map(type, times))
    allowed = (int, float, np.integer, np.floating, np.datetime64, date, timedelta)
    for kind in types:
        if not issubclass(kind, allowed) or issubclass(kind, bool):
            _refuse_times(name, kind.__name__)
    try:
        order = np.argsort(times, kind="stable")
    except TypeError as error:
        _refuse_times(name, ", ".join(sorted(kind.__name__ for kind in types)), error)
    ranks = np.empty(len(times), np.int64)
    ranks[order] = np.arange(len(times))
    return ranks


def _refuse_missing_times(missing: np.ndarray, name: str) -> NoReturn:
    raise ValueError(
        f"The timestamp column {name!r} is missing, NaN or NaT in {missing.sum()} of "
        f"{len(missing)} events (first in row {missing.argmax()}); expected a time in every row. "
        "Drop these rows, or use timestamp=None to take the order of the table."
    )


def _refuse_times(name: str, what: str, error: Exception | None = None) -> NoReturn:
    raise TypeError(
        f"The timestamp column {name!r} holds {what}; expected numbers or datetimes of one kind. "
        "Convert it first, for example with to_datetime."
    ) from error


def _as_array(column: Any) -> np.ndarray:
    """Put a list into an array of objects: NumPy would make one type of several."""
    if isinstance(column, np.ndarray):
        return column
    array = np.empty(len(column), object)
    array[:] = column
    return array
