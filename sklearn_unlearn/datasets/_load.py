"""Reading events from a file, and what was understood of it."""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_unlearn.exceptions import DataWarning

from ._columns import Column
from ._delimited import TextOptions, read_delimited
from ._events import Events
from ._sources import Part, find_parts
from ._typed import check_events, join_columns
from ._typed_files import read_json, read_npz, read_parquet

__all__ = ["Reading", "load_interactions", "read_events"]

_TEXT = {".csv": None, ".txt": None, ".dat": None, ".data": None, ".tsv": "\t", ".inter": "\t"}
_TYPED = (".parquet", ".pq", ".npz", ".json", ".jsonl", ".ndjson")
_EXPECTED = (
    ".csv, .tsv, .txt, .dat, .data, .inter, .json, .jsonl, .parquet, .npz (each also with .gz, "
    ".bz2 or .xz), .zip, or a folder of parts"
)
_QUOTING = {
    "minimal": True, "none": False,
    csv.QUOTE_MINIMAL: True, csv.QUOTE_ALL: True, csv.QUOTE_NONNUMERIC: True, csv.QUOTE_NONE: False,
}  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """How a file was read.

    Parameters
    ----------
    columns : dict
        Name, or position in words, of the column of each role.

    words : list of str
        Layout and treatment of zeros, in words.

    left_out : list of str
        Columns that look like timestamps and cannot be read as such.

    n_dropped : int, default=0
        Events of value 0 that were left out.
    """

    columns: dict[str, str]
    words: list[str]
    left_out: list[str]
    n_dropped: int = 0

    def __str__(self) -> str:
        roles = {role: self.columns.get(role, "none") for role in ("user", "item")}
        roles["value"] = self.columns.get("value", "none (each event counts 1)")
        roles["timestamp"] = self.columns.get("timestamp", "none")
        columns = ", ".join(f"{role}={name}" for role, name in roles.items())
        unread = [f"column {name} is no timestamp that can be read" for name in self.left_out]
        return "; ".join([columns, *self.words, *unread])


def load_interactions(
    path: str | os.PathLike[str],
    *,
    user: Column = None,
    item: Column = None,
    value: Column = None,
    timestamp: Column = None,
    sep: str | None = None,
    header: bool | None = None,
    quoting: str | int | None = None,
    encoding: str | None = None,
    zeros: str | None = None,
    member: str | None = None,
    verbose: bool = False,
) -> Events:
    r"""Read events from a file.

    What is named is taken. What is not is guessed, and refused where it is ambiguous.

    Parameters
    ----------
    path : str or path-like
        Delimited text (``.csv``, ``.tsv``, ``.txt``, ``.dat``, ``.data``, RecBole's ``.inter``,
        or any other extension if `sep` is given), JSON lines or one JSON array (``.json``,
        ``.jsonl``, ``.ndjson``), Parquet (needs pyarrow), ``.npz`` with one array a column; each
        also compressed (``.gz``, ``.bz2``, ``.xz``) or in a zip archive. A folder is read as the
        parts of one table, as Spark and Hive write them: files and folders whose names begin with
        ``_`` or ``.`` are skipped, and folders named ``column=value`` make a column.
    user, item, value, timestamp : str, int or None, default=None
        Column by its name or by its position from 0. None: found by its usual names (user_id,
        uid, reviewerID, visitorid, user; item_id, movieId, book_id, asin, business_id, item;
        rating, stars, overall, value, count; timestamp, unixReviewTime, time, date; upper case,
        ``_``, ``-``, blanks and RecBole's ``:token`` do not matter). Ids are preferred to names
        (movieId to movie). Once a column is given by its position, no other is guessed; once any
        is given, a timestamp is read only where it is given too. Text without names has user,
        item, value and timestamp in this order, or the first two or three of them. Without a
        value an event counts 1.
    sep : str or None, default=None
        Separator of delimited text, such as ``";"`` or ``"::"``; ``r"\s+"`` is any run of blanks.
        None: tab for ``.tsv`` and ``.inter``, otherwise what splits the first lines alike (tab,
        ``::``, ``;``, ``,``, ``|`` or blanks), outside quotes.
    header : bool or None, default=None
        Whether the first line of delimited text holds names. None: yes where a column is given by
        its name, or where usual names of a user and an item are there; no where columns are given
        by position, or where the line holds a number.
    quoting : {"minimal", "none"}, constant of `csv`, or None, default=None
        Whether quotes may enclose fields (``"minimal"``) or are part of the text (``"none"``).
        None: they enclose fields; in text separated by tabs, ``::`` or blanks only if every quote
        at the start of a field has its match at the end of that field.
    encoding : str or None, default=None
        Encoding of text, such as ``"latin-1"``. None: UTF-8, or UTF-16 with a byte order mark.
    zeros : {"drop", "keep"} or None, default=None
        What a value of 0 means: no rating, so that the event is left out (``"drop"``), or a value
        like others (``"keep"``). None: dropped; refused where at most one other value is there,
        as in labels of 0 and 1.
    member : str or None, default=None
        Name of the file in a zip archive; None if it holds just one.
    verbose : bool, default=False
        Whether to print how the file was read: columns, separator, names, zeros.

    Returns
    -------
    events : Events
        Ids are integers where every one is written as a plain integer (no leading zero), else text,
        without blanks around it; values are float64.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    TypeError
        An argument is of another type.
    ValueError
        The extension is unknown, the file holds no events, a column is not there, the layout is
        ambiguous, or a row is malformed: wrong number of fields, empty id, or a value that is no
        finite number. The message has the line, and the argument that helps.
    ImportError
        The file is Parquet and pyarrow is not installed.

    Warns
    -----
    DataWarning
        Events of value 0 were left out, though `zeros` did not say so.
    UserWarning
        A column named like a timestamp, which nobody asked for, cannot be read as one; it is left
        out.

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
    wanted = {"user": user, "item": item, "value": value, "timestamp": timestamp}
    events, reading = read_events(
        path,
        wanted,
        sep=sep,
        header=header,
        quoting=quoting,
        encoding=encoding,
        zeros=zeros,
        member=member,
    )
    if verbose:
        print(f"[load_interactions] {reading}")
    if reading.n_dropped and zeros is None:
        warnings.warn(
            f"{reading.n_dropped:,} events of '{Path(path).name}' have the value 0 and were left "
            "out, as no ratings; expected to be told what 0 means. Pass zeros='drop', or "
            "zeros='keep' if it is a value like others.",
            DataWarning,
            stacklevel=2,
        )
    for name in reading.left_out:
        warnings.warn(
            f"Column {name!r} of '{Path(path).name}' is named like a timestamp but holds others "
            "than numbers or ISO 8601 times in every row; it was left out. Name the columns to "
            "read (user=..., item=..., value=...) if that is as it should be.",
            UserWarning,
            stacklevel=2,
        )
    return events


def read_events(
    path: str | os.PathLike[str],
    wanted: Mapping[str, Column],
    *,
    sep: str | None = None,
    header: bool | None = None,
    quoting: str | int | None = None,
    encoding: str | None = None,
    zeros: str | None = None,
    member: str | None = None,
) -> tuple[Events, Reading]:
    """Read events as `load_interactions` does, and say how; `wanted` has a column for each role."""
    wanted = {role: _check_column(role, column) for role, column in wanted.items()}
    options = _text_options(sep, header, quoting, encoding)
    if zeros not in (None, "drop", "keep"):
        raise ValueError(f"Got zeros={zeros!r}; expected 'drop', 'keep' or None. Choose one.")
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"Got the path '{path}', which does not exist; expected a file of events. Check the "
            f"path (the current folder is '{Path.cwd()}')."
        )
    parts = find_parts(path, member)
    source = parts[0].name if len(parts) == 1 else path.name
    if _is_text(parts[0], options, many=path.is_dir()):
        columns, names, words, left_out = _read_text(parts, wanted, options, source)
    elif parts[0].suffix in _TYPED:
        columns, names, words, left_out = _read_typed(parts, wanted, options, source)
    else:
        raise ValueError(
            f"Got the file '{parts[0].name}' with the extension {parts[0].suffix!r}; expected "
            f"{_EXPECTED}. Rename it after what it holds, convert it, or, for delimited text, say "
            "what separates its fields (sep=...)."
        )
    columns, n_zeros = _drop_zeros(columns, zeros, source)
    if n_zeros:
        words.append(
            f"{n_zeros:,} events of value 0 {'kept' if zeros == 'keep' else 'left out (no rating)'}"
        )
    if len(parts) > 1:
        words.append(f"{len(parts)} parts")
    return Events(**columns), Reading(names, words, left_out, 0 if zeros == "keep" else n_zeros)


def _check_column(role: str, column: Any) -> Column:
    if isinstance(column, np.integer):
        column = int(column)
    if column is None or (isinstance(column, str | int) and not isinstance(column, bool)):
        return column
    raise TypeError(
        f"Got {role} of type {type(column).__name__}; expected the name of a column, its position "
        "or None. Pass one of these."
    )


def _text_options(sep: Any, header: Any, quoting: Any, encoding: Any) -> TextOptions:
    for name, given, kind in (("sep", sep, str), ("header", header, bool | np.bool_),
                              ("encoding", encoding, str)):  # fmt: skip
        if given is not None and not isinstance(given, kind):
            raise TypeError(
                f"Got {name} of type {type(given).__name__}; expected "
                f"{'True or False' if name == 'header' else 'text'}, or None. Pass one of these."
            )
    if sep is not None and (not sep or any(sign in sep for sign in '"\r\n\0')):
        raise ValueError(
            f"Got sep={sep!r}; expected one or more characters, none of them a quote or the end "
            "of a line. Change it."
        )
    if quoting is not None and (isinstance(quoting, bool) or quoting not in _QUOTING):
        raise ValueError(
            f"Got quoting={quoting!r}; expected 'minimal', 'none', a constant of csv or None. "
            "Choose one."
        )
    if encoding is not None:
        try:
            "a".encode(encoding)
        except (LookupError, ValueError) as error:
            raise ValueError(
                f"Got encoding={encoding!r} ({error}); expected the name of an encoding that "
                "Python knows, such as 'latin-1'. Change it."
            ) from error
    quoted = None if quoting is None else _QUOTING[quoting]
    return TextOptions(sep, None if header is None else bool(header), quoted, encoding)


def _is_text(part: Part, options: TextOptions, *, many: bool) -> bool:
    """Tell delimited text; the parts that Hive writes have no extension."""
    if part.suffix in _TEXT or (many and not part.suffix):
        return True
    return options.sep is not None and part.suffix not in _TYPED


def _read_text(
    parts: list[Part], wanted: Mapping[str, Column], options: TextOptions, source: str
) -> tuple[dict[str, np.ndarray], dict[str, str], list[str], list[str]]:
    named = _TEXT.get(parts[0].suffix)
    if options.sep is None and named is not None:
        options = TextOptions(named, options.header, options.quoted, options.encoding)
    raw = [(part.name, part.read(), part.constants) for part in parts]
    texts = read_delimited(raw, wanted, options, source)
    return join_columns(texts.tables, source, text=True), texts.names, texts.words, texts.left_out


def _read_typed(
    parts: list[Part], wanted: Mapping[str, Column], options: TextOptions, source: str
) -> tuple[dict[str, np.ndarray], dict[str, str], list[str], list[str]]:
    tables: list[dict[str, np.ndarray]] = []
    guessed = all(column is None for column in wanted.values())
    names: dict[str, str] = {}
    for part in parts:
        found, of_part = _read_part(part, wanted, options)
        if len(parts) > 1 and not len(found["user"]):
            continue
        if names and of_part != names:
            raise ValueError(
                f"'{part.name}' has other columns than the parts before it; expected the same in "
                "every part. Write them alike, or give the path of one file."
            )
        names = of_part
        tables.append(check_events(found, part.name, optional=guessed))
    if not tables:
        raise ValueError(f"'{source}' holds no events; expected at least one. Check its source.")
    left_out = []
    if "timestamp" in names and not all("timestamp" in table for table in tables):
        for table in tables:
            table.pop("timestamp", None)
        left_out = [names.pop("timestamp")]
    return join_columns(tables, source, text=False), names, [], left_out


def _read_part(
    part: Part, wanted: Mapping[str, Column], options: TextOptions
) -> tuple[dict[str, Any], dict[str, str]]:
    if part.suffix in (".parquet", ".pq"):
        plain = not (part.packed or part.member)
        return read_parquet(part.path if plain else part.read(), part.name, wanted, part.constants)
    if part.suffix == ".npz":
        return read_npz(part.read(), part.name, wanted)
    return read_json(part.read(), part.name, wanted, part.constants, options.encoding)


def _drop_zeros(
    columns: dict[str, np.ndarray], zeros: str | None, source: str
) -> tuple[dict[str, np.ndarray], int]:
    """Leave events of value 0 out, as no ratings, unless they are to be kept."""
    rated = columns["value"] != 0
    n_zeros = int(np.count_nonzero(~rated))
    if not n_zeros or zeros == "keep":
        return columns, n_zeros
    others = columns["value"][rated]
    if zeros is None and (not len(others) or (others == others[0]).all()):
        raise ValueError(
            f"'{source}' has {n_zeros:,} events of value 0 and {len(others):,} others, which are "
            "all alike; expected to be told whether 0 means no rating or is a value. Pass "
            "zeros='drop' or zeros='keep'."
        )
    if not len(others):
        raise ValueError(
            f"'{source}' holds events of value 0 alone, which zeros='drop' leaves out; expected "
            "others. Pass zeros='keep', or name another column of values (value=...)."
        )
    return {role: column[rated] for role, column in columns.items()}, n_zeros
