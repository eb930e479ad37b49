"""Columns of an event table, whatever holds it: frames, dicts of arrays, two-dimensional arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["EventTable", "make_events", "read_column", "read_events", "read_values"]

_KINDS = "a pandas, polars or pyarrow frame, a dict of columns, or an array of 2 or 3 columns"


@dataclass(frozen=True, eq=False, repr=False)
class EventTable:
    """The raw columns of a table of events, before anything is checked but their presence.

    ``kind`` is what `make_events` needs to give the caller the same kind of table back.
    """

    kind: str
    user: Any
    item: Any
    value: Any
    value_name: str
    text_values: bool = False  # a str array has no other way to hold a number


def read_events(events: Any, user: str, item: str, value: str | None) -> EventTable:
    """Find the columns of user ids, item ids and (where `value` is a name) values."""
    if isinstance(events, np.ndarray):
        return _from_array(events, value)
    wanted = [name for name in (user, item, value) if name is not None]
    if _is_column_mapping(events):
        kind, names, column = "dict", list(events.keys()), events.__getitem__
    else:
        frame = _as_frame(events)
        kind, names, column = frame.implementation.value, frame.columns, frame.get_column
    absent = [name for name in wanted if name not in names]
    if absent:
        raise ValueError(
            f"The events have no column {', '.join(map(repr, absent))}; expected the columns "
            f"{wanted}, got {list(names)}. Rename the columns, or say how they are called: "
            "InteractionEncoder(user=..., item=..., value=...)."
        )
    columns = [column(name) for name in wanted]
    if kind == "dict":
        columns = [_as_column(data, name) for data, name in zip(columns, wanted, strict=True)]
        _check_lengths(columns, wanted)
    return EventTable(
        kind, columns[0], columns[1], columns[2] if value is not None else None, value or "value"
    )


def _is_column_mapping(events: Any) -> bool:
    """Tell a dict of columns, or what behaves as one, from a pandas object with ``keys``."""
    looks_so = hasattr(events, "keys") and hasattr(events, "__getitem__")
    return looks_so and not (hasattr(events, "columns") or hasattr(events, "dtype"))


def _as_frame(events: Any) -> Any:
    """Wrap a frame of any supported library, or say what was expected."""
    import narwhals as nw

    try:
        return nw.from_native(events, eager_only=True)
    except (TypeError, ValueError, nw.exceptions.NarwhalsError) as error:
        advice = "Pass one of these."
        if hasattr(events, "collect"):
            advice = "Call .collect() on a lazy frame first."
        elif isinstance(error, nw.exceptions.DuplicateError):
            advice = "Give each column a name of its own."
        elif isinstance(events, list | tuple):
            advice = "Make it np.array(events, dtype=object): a list of rows would not keep types."
        raise TypeError(
            f"Got events of type {type(events).__name__}; expected {_KINDS}. {advice}"
        ) from error


def _from_array(events: np.ndarray, value: str | None) -> EventTable:
    """Read columns by their position: user, item and, where there is a third one, value."""
    if events.ndim != 2 or events.shape[1] not in (2, 3):
        raise ValueError(
            f"Got an array of events of shape {events.shape}; expected (n_events, 2) for user and "
            "item or (n_events, 3) for user, item and value. Select the columns first."
        )
    if value is not None and events.shape[1] == 2:
        raise ValueError(
            f"Got an array of events of 2 columns with value={value!r}; expected a third column "
            "with the values. Add it, or use value=None to count events."
        )
    values = events[:, 2] if events.shape[1] == 3 else None
    return EventTable(
        "array", events[:, 0], events[:, 1], values, value or "value", text_values=True
    )


def _as_column(data: Any, name: str) -> Any:
    """Make one column of a dict something with a length: an array, a list or a wrapped series."""
    column = read_column(data, f"column {name!r}")
    if isinstance(column, np.ndarray) and column.ndim != 1:
        raise ValueError(
            f"The column {name!r} has shape {column.shape}; expected one dimension. Pass one id or "
            "value for each event."
        )
    return column


def read_column(data: Any, name: str) -> Any:
    """Accept an array, a list or a series of a frame library; refuse scalars and text."""
    import narwhals as nw

    if isinstance(data, np.ndarray):
        if data.ndim == 1:
            return data
    elif isinstance(data, list | tuple | set | frozenset | range):
        return list(data)
    else:
        series = nw.from_native(data, series_only=True, pass_through=True)
        if isinstance(series, nw.Series):
            return series
    shape = f" of shape {data.shape}" if isinstance(data, np.ndarray) else ""
    raise TypeError(
        f"Got {type(data).__name__}{shape} for the {name}; expected a one-dimensional list, array "
        "or series. Wrap a single id in a list."
    )


def _check_lengths(columns: list[Any], names: list[str]) -> None:
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"The columns {names} have lengths {lengths}; expected equal lengths. Pass one entry "
            "in each column for each event."
        )


def read_values(column: Any, name: str, *, text: bool = False) -> np.ndarray:
    """Turn a column of values into finite float64, or say in which row the first bad one is."""
    import narwhals as nw

    if isinstance(column, nw.Series):
        _refuse_missing_values(int(column.null_count()), len(column), name)
        column = column.to_numpy() if column.dtype.is_numeric() else np.array(column.to_list(), "O")
    if isinstance(column, list):
        holder = np.empty(len(column), object)
        holder[:] = column
        column = holder
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
        return column.astype(np.float64)
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


def make_events(kind: str, columns: dict[str, np.ndarray]) -> Any:
    """Build a table of the kind that `read_events` saw."""
    if kind == "dict":
        return columns
    if kind == "array":
        table = np.empty((len(next(iter(columns.values()))), len(columns)), object)
        for position, column in enumerate(columns.values()):
            table[:, position] = column.tolist() if column.dtype != object else column
        return table
    import narwhals as nw

    return nw.from_dict(columns, backend=kind).to_native()
