"""Columns of an event table, whatever holds it: frames, dicts of arrays, two-dimensional arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set, ValuesView
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from scipy import sparse

from ..utils._validation import refuse_masked

__all__ = ["EventTable", "make_events", "read_column", "read_events", "table_kind"]

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
    time: Any = None
    text_values: bool = False  # a str array has no other way to hold a number


def read_events(
    events: Any,
    user: str,
    item: str,
    value: str | None = None,
    time: str | None = None,
    *,
    pairs: bool = False,
) -> EventTable:
    """Find the columns of user ids, item ids and (where they have a name) values and times.

    With `pairs` an array may have columns beyond the first two, which are not read.
    """
    if isinstance(events, np.ndarray):
        refuse_masked(events, "the array of events")
        return _from_array(events, value, time, pairs)
    wanted = [name for name in (user, item, value, time) if name is not None]
    kind, names, column = _open(events)
    absent = [name for name in wanted if name not in names]
    if absent:
        raise ValueError(
            f"The events have no column {', '.join(map(repr, absent))}; expected the columns "
            f"{wanted}, got {list(names)}. Rename the columns, or say how they are called: "
            "InteractionEncoder(user=..., item=..., value=..., timestamp=...)."
        )
    columns = {name: column(name) for name in wanted}
    if kind == "dict":
        columns = {name: _as_column(data, name) for name, data in columns.items()}
        _check_lengths(list(columns.values()), wanted)
    return EventTable(
        kind,
        columns[user],
        columns[item],
        None if value is None else columns[value],
        value or "value",
        None if time is None else columns[time],
    )


def table_kind(events: Any) -> str:
    """Return the kind of a table of events, for `make_events`: "array", "dict" or a library."""
    return "array" if isinstance(events, np.ndarray) else _open(events)[0]


def _open(events: Any) -> tuple[str, list[str], Callable[[str], Any]]:
    """Return the kind of a table with named columns, their names, and how to get one."""
    if _is_column_mapping(events):
        return "dict", list(events.keys()), events.__getitem__
    frame = _as_frame(events)
    return frame.implementation.value, frame.columns, frame.get_column


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
        elif sparse.issparse(events):
            advice = "A matrix of positions goes to a recommender itself, without an encoder."
        elif isinstance(events, list | tuple) and any(_is_row(one) for one in events):
            advice = "Make it np.array(events, dtype=object): a list of rows would not keep types."
        elif isinstance(events, list | tuple | str | int):
            advice = "Ids alone are passed as users= or items=; a file is read first."
        raise TypeError(
            f"Got events of type {type(events).__name__}; expected {_KINDS}. {advice}"
        ) from error


def _is_row(event: Any) -> bool:
    """Tell a user and an item in one from an id."""
    return isinstance(event, list | tuple | np.ndarray) and len(event) > 1


def _from_array(events: np.ndarray, value: str | None, time: str | None, pairs: bool) -> EventTable:
    """Read columns by their position: user, item and, where there are more, value and time."""
    _check_width(events, time, pairs)
    n_columns = events.shape[1]
    if value is not None and n_columns == 2:
        raise ValueError(
            f"Got an array of events of 2 columns with value={value!r}; expected a third column "
            "with the values. Add it, or use value=None to count events."
        )
    return EventTable(
        "array",
        events[:, 0],
        events[:, 1],
        events[:, 2] if n_columns > 2 else None,
        value or "value",
        events[:, 3] if n_columns > 3 else None,
        text_values=True,
    )


def _check_width(events: np.ndarray, time: str | None, pairs: bool) -> None:
    plain = "(n_events, 2) for user and item or (n_events, 3) for user, item and value"
    widths: tuple[int, ...] = (2, 3)
    expected, advice = plain, "Select the columns first."
    if pairs:
        widths = (2, 3, 4)
    elif time is not None:
        widths = (4,)
        expected = f"(n_events, 4) for user, item, value and time, because of timestamp={time!r}"
        advice = "Add the columns, or pass a frame or a dict, where columns have names."
    if events.ndim != 2 or events.shape[1] not in widths:
        raise ValueError(
            f"Got an array of events of shape {events.shape}; expected {expected}. {advice}"
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
    """Accept whatever Python, NumPy or a frame library holds one column in; refuse scalars.

    Sequences and sets become lists (keys and values of a dict among them), series, indexes and
    arrays of frame libraries a wrapped series. Text is a scalar.
    """
    import narwhals as nw

    refuse_masked(data, f"the {name}")
    if isinstance(data, np.ndarray):
        if data.ndim == 1:
            return data
    elif isinstance(data, Sequence | Set | ValuesView):
        if not isinstance(data, str | bytes | bytearray | memoryview):
            return [one.as_py() if hasattr(one, "as_py") else one for one in data]
    else:
        series = nw.from_native(_as_series(data), series_only=True, pass_through=True)
        if isinstance(series, nw.Series):
            return series
    shape = f" of shape {data.shape}" if isinstance(data, np.ndarray) else ""
    raise TypeError(
        f"Got {type(data).__name__}{shape} for the {name}; expected a one-dimensional list, array "
        "or series. Wrap a single id in a list."
    )


def _as_series(data: Any) -> Any:
    """Turn the indexes and arrays of pandas and pyarrow, which narwhals does not wrap, into series.

    Results of ``unique()`` and ``value_counts().index`` are such.
    """
    import narwhals as nw

    pd, pa = nw.dependencies.get_pandas(), nw.dependencies.get_pyarrow()
    if pd is not None and isinstance(data, pd.Index | pd.api.extensions.ExtensionArray):
        return pd.Series(data)
    if pa is not None and isinstance(data, pa.Array):
        return pa.chunked_array([data])
    return data


def _check_lengths(columns: list[Any], names: list[str]) -> None:
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"The columns {names} have lengths {lengths}; expected equal lengths. Pass one entry "
            "in each column for each event."
        )


def make_events(kind: str, columns: dict[str, np.ndarray]) -> Any:
    """Build a table of a kind that `table_kind` names.

    An array has a column for each of `columns`, in their order, and holds objects.
    """
    if kind == "dict":
        return columns
    if kind == "array":
        table = np.empty((len(next(iter(columns.values()))), len(columns)), object)
        for position, column in enumerate(columns.values()):
            table[:, position] = column.tolist() if column.dtype != object else column
        return table
    import narwhals as nw

    return nw.from_dict(columns, backend=cast(Any, kind)).to_native()
