"""Files that know the types of their columns: Parquet, npz and JSON lines."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ._columns import Column, find_columns
from ._separators import decode
from ._typed import parse_number, type_ids

__all__ = ["Found", "read_json", "read_npz", "read_parquet"]

# The column of each role, and the name of each column.
Found = tuple[dict[str, Any], dict[str, str]]


def read_parquet(
    data: Path | bytes, source: str, wanted: Mapping[str, Column], constants: Mapping[str, str]
) -> Found:
    """Read columns of a Parquet file with pyarrow."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError(
            f"Got the Parquet file '{source}', but pyarrow is not installed; expected it for "
            "this format. Run `pip install pyarrow`, or convert the file to CSV."
        ) from error
    try:
        with pq.ParquetFile(data if isinstance(data, Path) else pa.BufferReader(data)) as file:
            schema = file.schema_arrow
            names = [*schema.names, *constants]
            columns = find_columns(names, wanted, source)
            inside = {role: k for role, k in columns.items() if k < len(schema.names)}
            for role, k in inside.items():
                _check_flat(schema.types[k], role, names[k], source)
            # By name, and in the order of the file: names that are read are there once.
            kept = sorted(inside.values())
            table = file.read(columns=[names[k] for k in kept])
            n_rows = file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"Got '{source}', which is not a Parquet file that can be read ({type(error).__name__})"
            "; expected Parquet data. Write it again, or rename it after what it holds."
        ) from error
    found = {role: _from_arrow(table.column(names[k])) for role, k in inside.items()}
    values = list(constants.values())
    for role, k in columns.items():
        if role not in inside:
            found[role] = _constant(values[k - len(schema.names)], role, n_rows)
    return found, {role: names[k] for role, k in columns.items()}


def _check_flat(kind: Any, role: str, name: str, source: str) -> None:
    import pyarrow as pa

    if pa.types.is_nested(kind) or (pa.types.is_boolean(kind) and role in ("user", "item")):
        raise ValueError(
            f"'{source}' has the column '{name}' of type {kind} for {role}; expected one value in "
            "each row. Write one row for each element, or name another column "
            f"({role}=...)."
        )


def _constant(value: str, role: str, n_rows: int) -> Any:
    """Return a column of one value, typed as it would be in text."""
    if role == "value":
        with suppress(ValueError):
            return np.full(n_rows, parse_number(value))
    if role == "timestamp":
        return [value] * n_rows
    return type_ids([value], np.zeros(n_rows, np.int64))


def _from_arrow(column: Any) -> Any:
    """Numbers and times as arrays, a gap as NaN or NaT; anything else as a list of objects."""
    import pyarrow as pa

    kind = column.type
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_timestamp(kind)
    if plain and not (pa.types.is_integer(kind) and column.null_count):
        return column.to_numpy()
    return column.to_pylist()


def read_npz(data: bytes, source: str, wanted: Mapping[str, Column]) -> Found:
    """Read arrays of an npz file."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        _refuse_npz(source)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            names = list(archive.keys())
            columns = find_columns(names, wanted, source)
            found = {role: archive[names[k]] for role, k in columns.items()}
    except (zipfile.BadZipFile, OSError, EOFError):
        found = None
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise ValueError(
            f"'{source}' holds object arrays, which may run code when loaded; expected arrays "
            "of numbers or of fixed-width text. Save ids with .astype(str)."
        ) from error
    if found is None:
        _refuse_npz(source)
    return found, {role: names[k] for role, k in columns.items()}


def _refuse_npz(source: str) -> NoReturn:
    raise ValueError(
        f"Got '{source}', which is not an npz file; expected one made by numpy.savez. Save "
        "it again, or rename it after what it holds."
    )


def read_json(
    data: bytes,
    source: str,
    wanted: Mapping[str, Column],
    constants: Mapping[str, str],
    encoding: str | None,
) -> Found:
    """Read JSON lines, or one array, of objects; the first object says which columns there are."""
    text = decode(data, encoding, source)
    columns: dict[str, int] | None = None
    names: list[str] = []
    raw: dict[str, Any] = {}
    for line, row in _objects_of(text, source):
        if columns is None:
            names = [*row, *constants]
            columns = find_columns(names, wanted, source)
            raw = {role: [] for role in columns}
        for role, k in columns.items():
            if names[k] in row:
                raw[role].append(row[names[k]])
            elif names[k] not in constants:
                raise ValueError(
                    f"'{source}', line {line}: no '{names[k]}' for {role}; expected it in every "
                    "object, as in the first. Drop or fill this line, or name another column "
                    f"({role}=...)."
                )
    if columns is None:
        raise ValueError(f"'{source}' is empty; expected events. Check where it comes from.")
    n_rows = max(map(len, raw.values()))
    for role, k in columns.items():
        if not raw[role]:
            raw[role] = _constant(constants[names[k]], role, n_rows)
    return raw, {role: names[k] for role, k in columns.items()}


def _objects_of(text: bytes, source: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the line and the content of each object."""
    read: Callable[..., Any] = json.JSONDecoder(object_pairs_hook=_unique).decode
    whole = text.lstrip()[:1] == b"["
    pieces = [text] if whole else text.split(b"\n")
    for line, piece in enumerate(pieces, 1):
        if not piece.strip():
            continue
        found = None
        try:
            found = read(piece.decode("utf-8").strip())
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "not plain data"
        else:
            reason = "no object"
        rows = found if whole and isinstance(found, list) else [found]
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError(
                f"'{source}', line {line}: not JSON of an event ({reason}); expected one object "
                "a line, with each name once. Write it with json.dumps, or correct this line."
            )
        for place, row in enumerate(rows, 1):
            yield place if whole else line, row


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found
