"""Delimited text to columns: pyarrow where it is installed, the csv module otherwise.

`_read_slowly` defines what a file means. `_read_fast` gives up (returns None) on anything it might
see differently, malformed rows included; the slow reader then finds the line, or reads the file.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NoReturn

import numpy as np

from ._columns import Column
from ._layout import Layout, find_layout
from ._separators import (
    decode,
    find_separator,
    has_plain_quotes,
    in_one_character,
    preamble,
    quotes_enclose_fields,
    rows,
    shown_separator,
)
from ._typed import parse_number, parse_timestamp, type_ids, type_timestamps

__all__ = ["TextOptions", "Texts", "read_delimited"]

_SAMPLE_ROWS = 200


@dataclass(frozen=True)
class TextOptions:
    """What the caller said of a text; None is guessed."""

    sep: str | None = None
    header: bool | None = None
    quoted: bool | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class Texts:
    """Columns of each text, and how they were read, in words."""

    tables: list[dict[str, np.ndarray]]
    names: dict[str, str]
    words: list[str]
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Text:
    source: str
    data: bytes
    first_line: int
    constants: Mapping[str, str]


def read_delimited(
    parts: Sequence[tuple[str, bytes, Mapping[str, str]]],
    wanted: Mapping[str, Column],
    options: TextOptions,
    source: str,
) -> Texts:
    """Read the columns of texts that are parts of one table.

    Parameters
    ----------
    parts : sequence of (str, bytes, dict)
        Name for messages, content, and columns that have one value in the whole part.
    wanted : dict
        Column of each role, by name or position, or None to guess it.
    options : TextOptions
        What is known of the text.
    source : str
        Name of the whole, for messages.

    Returns
    -------
    texts : Texts
        user, item, value and, where there is one, timestamp of each part that holds events.
    """
    texts, sep = _prepare(parts, options, source)
    texts, char = _in_one_character(texts, sep)
    quoted = options.quoted
    if quoted is None:
        weak = sep in (",", ";", "|")
        quoted = weak or all(quotes_enclose_fields(text.data, char) for text in texts)
    reader = _Reader(char, quoted, sep in (",", ";", "|") and options.quoted is None)
    sample = reader.sample(texts[0])
    layout = find_layout(sample, texts[0].constants, wanted, options.header, texts[0].source)
    reader.layout, reader.n_fields = layout, len(sample[0])
    if not any(column is not None for column in wanted.values()) and layout.header:
        reader.optional = {"timestamp"}
    tables = [table for table in map(reader.read, texts) if len(table["user"])]
    if not tables:
        raise ValueError(
            f"'{source}' has a header and no events; expected at least one. Check where it comes "
            "from."
        )
    names = {
        role: layout.names[place] or f"column {place}" for role, place in layout.columns.items()
    }
    quotes = any(b'"' in text.data for text in texts)
    words = [
        f"separator {shown_separator(sep)}",
        "with header" if layout.header else "no header",
        *(["quotes around fields" if quoted else "quotes are text"] if quotes else []),
    ]
    left_out = []
    if reader.refused:
        for table in tables:
            table.pop("timestamp", None)
        left_out = [names.pop("timestamp")]
    return Texts(tables, names, words, left_out)


def _prepare(
    parts: Sequence[tuple[str, bytes, Mapping[str, str]]], options: TextOptions, source: str
) -> tuple[list[_Text], str]:
    """Decode the parts, drop what comes before the first row, and find the separator."""
    texts, excel = [], None
    for name, raw, constants in parts:
        data = decode(raw, options.encoding, name)
        start, lines, found = preamble(data)
        excel = excel or found
        if data[start:].strip():
            texts.append(_Text(name, data[start:], lines, constants))
    if not texts:
        raise ValueError(f"'{source}' is empty; expected events. Check where it comes from.")
    sep = options.sep or excel or find_separator(texts[0].data, options.quoted, texts[0].source)
    return texts, sep


def _in_one_character(texts: list[_Text], sep: str) -> tuple[list[_Text], str]:
    pairs = [in_one_character(text.data, sep) for text in texts]
    kept = [
        _Text(text.source, data, text.first_line, text.constants)
        for text, (data, _) in zip(texts, pairs, strict=True)
    ]
    return kept, pairs[0][1]


def _refuse(source: str, line: int, given: str, expected: str) -> NoReturn:
    raise ValueError(
        f"'{source}', line {line}: {given}; expected {expected}. Correct or drop this line (if it "
        "is a header or another layout, pass header=..., user=..., item=..., sep=..., quoting=...)."
    ) from None


class _Reader:
    """Reads parts of one layout."""

    layout: Layout
    n_fields: int

    def __init__(self, sep: str, quoted: bool, quotes_guessed: bool) -> None:
        self.sep, self.quoted, self.quotes_guessed = sep, quoted, quotes_guessed
        self.optional: set[str] = set()
        self.refused = False

    def sample(self, text: _Text) -> list[list[str]]:
        """Return the first rows; the first of them has the usual number of fields."""
        found = list(islice(self._rows(text), _SAMPLE_ROWS))
        if not found:
            raise ValueError(
                f"'{text.source}' has no fields; expected events. Check where it comes from."
            )
        lengths = [len(fields) for _, fields in found]
        usual = max(set(lengths), key=lengths.count)
        line, first = found[0]
        if len(first) != usual and lengths.count(usual) > 2:
            expected = f"{usual}, as in most lines"
            _refuse(text.source, line, f"{len(first)} fields", expected)
        return [fields for _, fields in found]

    def read(self, text: _Text) -> dict[str, np.ndarray]:
        """Read one part; its columns may be empty."""
        skip = int(self.layout.header)
        if skip:
            self._check_names(text)
        inside = {r: k for r, k in self.layout.columns.items() if k < self.n_fields}
        if self.refused:
            inside.pop("timestamp", None)
        found = None
        if inside:
            found = _read_fast(text.data, self.sep, self.quoted, inside, self.n_fields, skip)
        if found is None:
            found = self._read_slowly(text, inside, skip)
        n_rows = (
            len(next(iter(found.values()))) if found else -skip + sum(1 for _ in self._rows(text))
        )
        for role, k in self.layout.columns.items():
            if k >= self.n_fields:
                found[role] = self._constant(text, role, k - self.n_fields, n_rows)
        found.setdefault("value", np.ones(n_rows))
        return found

    def _check_names(self, text: _Text) -> None:
        line, names = next(self._rows(text))
        if names != self.layout.names[: self.n_fields]:
            expected = "the same in every part"
            _refuse(text.source, line, "other names than in the first part", expected)

    def _constant(self, text: _Text, role: str, place: int, n_rows: int) -> np.ndarray:
        """Return a column that holds one value in this part."""
        constant = list(text.constants.values())[place]
        if role in ("user", "item"):
            return type_ids([self._parse(constant, role, 0, text.source)], np.zeros(n_rows, int))
        value = self._parse(constant, role, 0, text.source)
        return type_timestamps([value] * n_rows) if role == "timestamp" else np.full(n_rows, value)

    def _rows(self, text: _Text) -> Iterator[tuple[int, list[str]]]:
        """Yield the line and the fields of each row."""
        last = text.first_line
        try:
            for first, end, fields in rows(text.data, self.sep, self.quoted):
                yield text.first_line + first, fields
                if end > first and self.quotes_guessed:
                    self._check_quotes(text)
                last = text.first_line + end
        except csv.Error as error:
            given = f"cannot be split into fields ({error})"
            expected = (
                "matching quotes, and two for one inside them (or pass quoting='none', which makes "
                "quotes part of ids)"
            )
        else:
            return
        _refuse(text.source, last + 1, given, expected)

    def _check_quotes(self, text: _Text) -> None:
        """Refuse quotes across lines where the lines would split alike without quotes, too."""
        self.quotes_guessed = False
        n_fields = {len(fields) for _, _, fields in rows(text.data, self.sep, False)}
        if len(n_fields) == 1:
            raise ValueError(
                f"'{text.source}' has quotes that enclose the ends of lines, and every line has "
                "as many fields without them; expected quotes that match in their line. Pass "
                "quoting='none' if quotes are part of the text, or quoting='minimal'."
            )

    def _read_slowly(
        self, text: _Text, columns: Mapping[str, int], skip: int
    ) -> dict[str, np.ndarray]:
        """Read row by row with the csv module; every error has its line."""
        raw: dict[str, list[Any]] = {role: [] for role in columns}
        for line, row in islice(self._rows(text), skip, None):
            if len(row) != self.n_fields:
                expected = f"{self.n_fields}, as in the first line"
                _refuse(text.source, line, f"{len(row)} fields", expected)
            for role, place in columns.items():
                if role in raw:
                    before = raw[role][0] if raw[role] else None
                    raw[role].append(self._parse(row[place], role, line, text.source, before))
            if self.refused:
                raw.pop("timestamp", None)
        found: dict[str, np.ndarray] = {
            role: _type_ids(raw[role]) for role in ("user", "item") if role in raw
        }
        if "value" in raw:
            found["value"] = np.array(raw["value"], np.float64)
        if raw.get("timestamp"):
            found["timestamp"] = type_timestamps(raw["timestamp"])
        return found

    def _parse(self, text: str, role: str, line: int, source: str, before: Any = None) -> Any:
        """Read one field; `before` is the same column of the first row."""
        if role in ("user", "item"):
            if not text:
                _refuse(source, line, f"the {role} id is empty", "an id in every line")
            return text
        try:
            found = parse_number(text) if role == "value" else parse_timestamp(text)
        except ValueError:
            found = None
        if found is not None and (
            before is None or isinstance(found, int | float) == isinstance(before, int | float)
        ):
            return found
        if role in self.optional:
            self.refused = True
            return None
        if role == "value":
            expected = "a finite number, with a point before decimals"
        else:
            expected = "a number or an ISO 8601 time, the same in every line"
        _refuse(source, line, f"the {role} cannot be read", expected)


def _type_ids(texts: list[str]) -> np.ndarray:
    place = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    return type_ids(list(place), np.fromiter(map(place.__getitem__, texts), np.int64, len(texts)))


def _read_fast(
    data: bytes, sep: str, quoted: bool, columns: dict[str, int], n_fields: int, skip: int
) -> dict[str, np.ndarray] | None:
    """Read with pyarrow; None where it is not installed, or is not sure to agree."""
    if quoted and b'"' in data and not has_plain_quotes(data, sep):
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
            pa.csv.ReadOptions(column_names=names, skip_rows_after_names=skip),
            pa.csv.ParseOptions(delimiter=sep, quote_char='"' if quoted else False),
            pa.csv.ConvertOptions(
                column_types=types, include_columns=list(types), strings_can_be_null=False
            ),
        )
        if not table.num_rows:
            return None
        return _type_fast({role: table.column(str(k)) for role, k in columns.items()})
    except (pa.ArrowInvalid, _Unsure):
        return None


class _Unsure(Exception):
    """The fast reader leaves a file to the slow one."""


def _type_fast(columns: dict[str, Any]) -> dict[str, np.ndarray]:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = {}
    for role, column in columns.items():
        if role in ("user", "item"):
            whole = column.unify_dictionaries().combine_chunks()
            distinct = [text.strip() for text in whole.dictionary.to_pylist()]
            if not all(distinct):
                raise _Unsure
            found[role] = type_ids(distinct, whole.indices.to_numpy())
        elif role == "value":
            found[role] = pc.cast(pc.utf8_trim_whitespace(column), pa.float64()).to_numpy()
            if not np.isfinite(found[role]).all():
                raise _Unsure
        else:
            trimmed = pc.utf8_trim_whitespace(column)
            if not pc.all(pc.match_substring_regex(trimmed, r"^-?[0-9]+$")).as_py():
                raise _Unsure
            found[role] = pc.cast(trimmed, pa.int64()).to_numpy()
    return found
