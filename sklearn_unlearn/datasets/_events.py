"""Events: a small table of interactions with ids, and reading it from a file."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ._columns import Column, find_columns
from ._delimited import parse_delimited
from ._typed import check_events

__all__ = ["Events", "load_interactions"]

_SEPARATORS = {".csv": None, ".txt": None, ".dat": None, ".data": None, ".tsv": "\t"}
_EXPECTED = ".csv, .tsv, .txt, .dat, .data (each also with .gz), .parquet or .npz"


@dataclass(frozen=True, eq=False, repr=False)
class Events:
    """A table of events: who, what, how much and when.

    It behaves like a dict of columns (``events["user"]``, ``dict(events)``), so that
    `InteractionEncoder` and the constructors of frames accept it; and like a table of rows
    (``events[:100]``, ``events[[0, 4]]``, ``events[events.value > 3]``), so that scikit-learn's
    splitters do. Its representation shows no id.

    Parameters
    ----------
    user, item : ndarray of shape (n_events,)
        Ids: integers, or objects (text).
    value : ndarray of shape (n_events,)
        float64; ones where events have no value.
    timestamp : ndarray of shape (n_events,) or None, default=None
        Integers, floats or datetime64, or None where not known.

    Raises
    ------
    ValueError
        The columns differ in length or are not one-dimensional.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.datasets import Events
    >>> events = Events(np.array([7, 8]), np.array(["a", "b"], object), np.array([4.0, 2.5]))
    >>> events
    <Events: 2 events>
    >>> list(events.keys()), len(events)
    (['user', 'item', 'value'], 2)
    >>> events[[1]]["item"]
    array(['b'], dtype=object)
    """

    user: np.ndarray
    item: np.ndarray
    value: np.ndarray
    timestamp: np.ndarray | None = None

    def __post_init__(self) -> None:
        shapes = {name: np.shape(column) for name, column in self.to_dict().items()}
        if len(set(shapes.values())) > 1 or len(shapes["user"]) != 1:
            raise ValueError(
                f"Got columns of shapes {shapes}; expected one-dimensional arrays of one length. "
                "Pass one entry in each column for each event."
            )

    def keys(self) -> list[str]:
        """Return the names of the columns that are there."""
        return list(self.to_dict())

    @property
    def shape(self) -> tuple[int, int]:
        """Number of events and of columns: what has a shape, scikit-learn takes for rows."""
        return len(self.user), len(self.to_dict())

    def __getitem__(self, key: Any) -> Any:
        """Return a column by its name, or the events in some rows: a slice, positions or a mask."""
        columns = self.to_dict()
        if isinstance(key, str):
            if key not in columns:
                raise KeyError(f"there is no column {key!r}; expected one of {list(columns)}")
            return columns[key]
        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
            key = key[0]  # scikit-learn asks for rows of all columns
        rows = key if isinstance(key, slice) else _as_rows(key)
        return Events(**{name: column[rows] for name, column in columns.items()})

    def __len__(self) -> int:
        return len(self.user)

    def to_dict(self) -> dict[str, np.ndarray]:
        """Return the columns that are there, not copied."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: column for name, column in columns.items() if column is not None}

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame with columns user, item, value and, if known, timestamp."""
        import pandas as pd

        return pd.DataFrame(self.to_dict())

    def __repr__(self) -> str:
        suffix = "" if self.timestamp is None else " with timestamps"
        return f"<Events: {len(self)} events{suffix}>"


def _as_rows(key: Any) -> np.ndarray:
    """Return positions of rows, or a mask of them."""
    rows = np.asarray(key)
    if not rows.size:
        rows = rows.astype(np.int64)  # an empty list is float64
    if isinstance(key, tuple) or rows.ndim != 1 or rows.dtype.kind not in "iub":
        raise TypeError(
            f"Got {type(key).__name__} as an index of events; expected the name of a column, a "
            "slice, or a one-dimensional array of positions or booleans. Wrap the position of a "
            "single event in a list."
        )
    return rows


def load_interactions(
    path: str | os.PathLike[str],
    *,
    user: Column = None,
    item: Column = None,
    value: Column = None,
    timestamp: Column = None,
    sep: str | None = None,
) -> Events:
    r"""Read events from a file.

    Parameters
    ----------
    path : str or path-like
        CSV or other delimited text (``.csv``, ``.tsv``, ``.txt``, ``.dat``, ``.data``, each also
        with ``.gz``; UTF-8), Parquet (needs pyarrow) or ``.npz`` with one array a column.
    user, item, value, timestamp : str, int or None, default=None
        Column by its name or, in delimited text, by its position from 0. None: found by its usual
        names (user, userId, uid; item, movieId, iid; rating, value, label, count; timestamp, time;
        upper case, ``_`` and ``-`` do not matter). Text whose first line holds none of these names
        has no header: its first columns are user, item, value and timestamp. Without a value an
        event counts 1.
    sep : str or None, default=None
        Separator of delimited text, such as ``";"`` or ``"::"``. None: tab for ``.tsv``, otherwise
        the likeliest of tab, ``::``, ``;``, ``,`` and ``|`` by the first line.

    Returns
    -------
    events : Events
        Ids are integers where every one is written as a plain integer (no leading zero), else text;
        values are float64.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The extension is unknown, the file holds no events, a column is not there, or a row is
        malformed: wrong number of fields, empty id, or a value that is no finite number. The
        message has the line.
    ImportError
        The file is Parquet and pyarrow is not installed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_unlearn.datasets import load_interactions
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "ratings.csv")
    ...     _ = path.write_text("userId,movieId,rating\n7,a,4\n7,b,3.5\n")
    ...     events = load_interactions(path)
    >>> events
    <Events: 2 events>
    >>> events.user, events.item, events.value
    (array([7, 7]), array(['a', 'b'], dtype=object), array([4. , 3.5]))
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(
            f"Got the path '{path}', which {what}; expected a file of events. Check the path (the "
            f"current folder is '{Path.cwd()}')."
        )
    wanted = {"user": user, "item": item, "value": value, "timestamp": timestamp}
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    suffix = suffixes[-2] if packed and len(suffixes) > 1 else (suffixes or [""])[-1]
    if suffix in _SEPARATORS:
        data = _unpack(path) if packed else path.read_bytes()
        columns = parse_delimited(data, path.name, wanted, sep or _SEPARATORS[suffix])
        return Events(**columns)
    if suffix in (".parquet", ".pq") and not packed:
        return Events(**check_events(_read_parquet(path, wanted), path.name))
    if suffix == ".npz" and not packed:
        return Events(**check_events(_read_npz(path, wanted), path.name))
    raise ValueError(
        f"Got the file '{path.name}' with the extension {suffix!r}; expected {_EXPECTED}. Rename "
        "it after what it holds, or convert it."
    )


def _unpack(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"Got '{path.name}', which is not a whole gzip file ({error}); expected gzip data. "
            "Fetch or pack it again."
        ) from error


def _read_parquet(path: Path, wanted: dict[str, Column]) -> dict[str, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError(
            f"Got the Parquet file '{path.name}', but pyarrow is not installed; expected it for "
            "this format. Run `pip install pyarrow`, or convert the file to CSV."
        ) from error
    try:
        names = list(pq.read_schema(path).names)
        columns = find_columns(names, wanted, path.name)
        table = pq.read_table(path, columns=[names[k] for k in columns.values()])
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(
            f"Got '{path.name}', which is not a Parquet file ({error}); expected Parquet data. "
            "Write it again, or rename it after what it holds."
        ) from error
    return {role: _from_arrow(table.column(names[k])) for role, k in columns.items()}


def _from_arrow(column: Any) -> Any:
    """Numbers and times as arrays, a gap as NaN or NaT; anything else as a list of objects."""
    import pyarrow as pa

    kind = column.type
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_timestamp(kind)
    return column.to_numpy() if plain else column.to_pylist()


def _read_npz(path: Path, wanted: dict[str, Column]) -> dict[str, Any]:
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"Got '{path.name}', which is not an npz file; expected one made by numpy.savez. Save "
            "it again, or rename it after what it holds."
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = list(archive.keys())
            columns = find_columns(names, wanted, path.name)
            return {role: archive[names[k]] for role, k in columns.items()}
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise ValueError(
            f"'{path.name}' holds object arrays, which may run code when loaded; expected arrays "
            "of numbers or of fixed-width text. Save ids with .astype(str)."
        ) from error
