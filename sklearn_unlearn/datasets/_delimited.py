"""Delimited text to columns: pyarrow where it is installed, the csv module otherwise.

`_read_slowly` defines what a file means. `_read_fast` gives up (returns None) on anything it might
see differently, malformed rows included; the slow reader then finds the line, or reads the file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import numpy as np

from ._columns import Column, find_columns, is_header
from ._typed import parse_number, parse_timestamp, type_ids, type_timestamps

__all__ = ["parse_delimited"]

_BOM = b"\xef\xbb\xbf"
# Stands for a separator of several characters, which no reader knows.
_UNIT_SEPARATOR = "\x1f"


def parse_delimited(
    data: bytes, source: str, wanted: Mapping[str, Column], sep: str | None = None
) -> dict[str, np.ndarray]:
    """Read the columns of delimited text.

    Parameters
    ----------
    data : bytes
        UTF-8 text.
    source : str
        Name of the file, for messages.
    wanted : dict
        Column of each role, by name or position, or None to guess it.
    sep : str or None, default=None
        Separator; None to guess it from the first line.

    Returns
    -------
    columns : dict of ndarray
        user, item, value and, where there is one, timestamp.
    """
    data = data.removeprefix(_BOM)
    if not data.strip():
        raise ValueError(f"'{source}' is empty; expected events. Check where it comes from.")
    sep = sep or _guess_separator(data)
    if len(sep) > 1:
        data, sep = data.replace(sep.encode(), _UNIT_SEPARATOR.encode()), _UNIT_SEPARATOR
    _, first = next(_rows(data, sep, source))
    header = is_header(first, wanted)
    columns = find_columns(first, wanted, source, header=header)
    n_fields = len(first)
    found = _read_fast(data, sep, columns, n_fields, header)
    if found is None:
        found = _read_slowly(data, sep, source, columns, n_fields, header)
    found.setdefault("value", np.ones(len(found["user"])))
    return found


def _guess_separator(data: bytes) -> str:
    line = data.lstrip().split(b"\n", 1)[0].decode("utf-8", errors="replace")
    return next((sep for sep in ("\t", "::", ";", ",", "|") if sep in line), ",")


def _rows(data: bytes, sep: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the first line of each row that is not blank, and its fields."""
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
    reader = csv.reader(text, delimiter=sep, strict=True)
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except UnicodeDecodeError:
        _refuse_encoding(data, source)
    except csv.Error as error:
        _refuse(source, line, f"cannot be split into fields ({error})", "matching quotes")


def _refuse(source: str, line: int, given: str, expected: str) -> NoReturn:
    raise ValueError(
        f"'{source}', line {line}: {given}; expected {expected}. Correct or drop this line (if it "
        "is a header or another layout, pass user=, item=, value=, sep=)."
    )


def _refuse_encoding(data: bytes, source: str) -> NoReturn:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"'{source}', line {line}: not UTF-8 text ({error.reason}); expected UTF-8. Convert "
            "the file, for example with iconv."
        ) from error
    raise AssertionError("unreachable: the text is valid UTF-8")


def _refuse_no_events(source: str) -> NoReturn:
    raise ValueError(
        f"'{source}' has a header and no events; expected at least one. Check where it comes from."
    )


def _read_slowly(
    data: bytes, sep: str, source: str, columns: dict[str, int], n_fields: int, header: bool
) -> dict[str, np.ndarray]:
    """Read row by row with the csv module; every error has its line."""
    raw: dict[str, list[Any]] = {role: [] for role in columns}
    rows = _rows(data, sep, source)
    if header:
        next(rows)
    for line, row in rows:
        if len(row) != n_fields:
            _refuse(source, line, f"{len(row)} fields", f"{n_fields}, as in the first line")
        for role, place in columns.items():
            raw[role].append(_parse(row[place], role, line, source, raw[role]))
    if not raw["user"]:
        _refuse_no_events(source)
    found = {role: _type_ids(raw[role]) for role in ("user", "item")}
    if "value" in raw:
        found["value"] = np.array(raw["value"], np.float64)
    if "timestamp" in raw:
        found["timestamp"] = type_timestamps(raw["timestamp"])
    return found


def _parse(text: str, role: str, line: int, source: str, before: list[Any]) -> Any:
    """Read one field; `before` holds the same column of the rows above."""
    try:
        if role == "value":
            return parse_number(text)
        if role == "timestamp":
            time = parse_timestamp(text)
            if before and isinstance(time, int | float) != isinstance(before[0], int | float):
                raise ValueError(text)
            return time
    except ValueError:
        if role == "value":
            _refuse(source, line, f"the value {text!r}", "a finite number")
        expected = "a number or an ISO 8601 time, the same in every line"
        _refuse(source, line, f"the timestamp {text!r}", expected)
    if not text or text.isspace():
        _refuse(source, line, f"the {role} id is empty", "an id in every line")
    return text


def _type_ids(texts: list[str]) -> np.ndarray:
    place = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    return type_ids(list(place), np.fromiter(map(place.__getitem__, texts), np.int64, len(texts)))


def _read_fast(
    data: bytes, sep: str, columns: dict[str, int], n_fields: int, header: bool
) -> dict[str, np.ndarray] | None:
    """Read with pyarrow; None where it is not installed, or is not sure to agree."""
    if not _has_plain_quotes(data, sep):
        return None
    try:
        import pyarrow as pa
        import pyarrow.csv
    except ImportError:
        return None
    names = [str(k) for k in range(n_fields)]
    text, ids = pa.string(), pa.dictionary(pa.int32(), pa.string())
    types = {str(k): ids if role in ("user", "item") else text for role, k in columns.items()}
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(data.lstrip(b"\r\n")),
            pa.csv.ReadOptions(column_names=names, skip_rows_after_names=int(header)),
            pa.csv.ParseOptions(delimiter=sep, quote_char='"'),
            pa.csv.ConvertOptions(
                column_types=types, include_columns=list(types), strings_can_be_null=False
            ),
        )
        if not table.num_rows:
            return None
        return _type_fast({role: table.column(str(k)) for role, k in columns.items()})
    except (pa.ArrowInvalid, _Unsure):
        return None


def _has_plain_quotes(data: bytes, sep: str) -> bool:
    """Tell whether every quote opens or closes a whole field on one line.

    The readers differ on quotes in odd places, such as within a field that did not begin with one.
    """
    edge = rb"[^\r\n" + re.escape(sep.encode()) + rb"]"
    field = rb'(?<!%b)"[^"\r\n]*"(?!%b)' % (edge, edge)
    return 2 * sum(1 for _ in re.finditer(field, data)) == data.count(b'"')


class _Unsure(Exception):
    """The fast reader leaves a file to the slow one."""


def _type_fast(columns: dict[str, Any]) -> dict[str, np.ndarray]:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = {}
    for role, column in columns.items():
        if role in ("user", "item"):
            whole = column.unify_dictionaries().combine_chunks()
            distinct = whole.dictionary.to_pylist()
            if any(not text or text.isspace() for text in distinct):
                raise _Unsure
            found[role] = type_ids(distinct, whole.indices.to_numpy())
        elif role == "value":
            found[role] = pc.cast(column, pa.float64()).to_numpy()
            if not np.isfinite(found[role]).all():
                raise _Unsure
        else:
            if not pc.all(pc.match_substring_regex(column, r"^-?[0-9]+$")).as_py():
                raise _Unsure
            found[role] = pc.cast(column, pa.int64()).to_numpy()
    return found
