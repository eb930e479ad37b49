"""Lines, separators and quotes of delimited text: what splits every line alike."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator

from ._columns import names_a_pair

__all__ = [
    "BLANKS", "decode", "find_separator", "has_plain_quotes", "in_one_character", "preamble",
    "quotes_enclose_fields", "rows", "shown_separator",
]  # fmt: skip

BLANKS = r"\s+"
# Stands for a separator of several characters, which no reader knows.
_UNIT_SEPARATOR = "\x1f"
# Text seldom holds the first three; the others are in titles and decimals too.
_STRONG, _WEAK = ("\t", "\x01", "::"), (";", ",", "|")
_SHOWN = {"\t": "tab", "\x01": r"\x01", BLANKS: "blanks"}
_SAMPLE_BYTES, _SAMPLE_ROWS = 1 << 18, 200
_LINE_END = re.compile(rb"\r\n|\r|\n")
_COMMENT = re.compile(rb"[#%]([ \t]|$)")
_EXCEL = re.compile(rb'"?sep=(.)"?$', re.IGNORECASE)


def decode(data: bytes, encoding: str | None, source: str) -> bytes:
    """Return text as UTF-8 without a byte order mark; None: UTF-8, or what the mark says."""
    if encoding is None:
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        encoding = "utf-16" if wide else "utf-8"
    plain = codecs.lookup(encoding).name == "utf-8"
    try:
        text = data if plain and data.isascii() else _transcode(data, encoding)
    except UnicodeError as error:
        line = data.count(b"\n", 0, getattr(error, "start", 0)) + 1
        text = None
        reason = getattr(error, "reason", "not decodable")
    if text is None:
        raise ValueError(
            f"'{source}', line {line}: not {encoding} text ({reason}); expected {encoding}. Pass "
            "encoding=..., such as 'latin-1' or 'cp1252'."
        )
    text = text.removeprefix(codecs.BOM_UTF8)
    if b"\0" in text:
        line = text.count(b"\n", 0, text.index(b"\0")) + 1
        raise ValueError(
            f"'{source}', line {line}: a zero byte; expected text. If it is UTF-16, pass "
            "encoding='utf-16'; otherwise convert the file."
        )
    return text


def _transcode(data: bytes, encoding: str) -> bytes:
    return data.decode(encoding).encode("utf-8")


def preamble(data: bytes) -> tuple[int, int, str | None]:
    """Return the bytes and lines before the first row, and the separator that Excel wrote there.

    Comments begin with ``# `` or ``% `` (SNAP, KONECT); an id may begin with ``#``.
    """
    start, lines, sep = 0, 0, None
    while start < len(data):
        end = _LINE_END.search(data, start)
        line = data[start : end.start() if end else len(data)]
        excel = _EXCEL.match(line) if sep is None else None
        if excel:
            sep = excel[1].decode("latin-1")
        elif line.strip() and not _COMMENT.match(line):
            break
        start, lines = end.end() if end else len(data), lines + 1
    return start, lines, sep


def in_one_character(data: bytes, sep: str) -> tuple[bytes, str]:
    """Return the text with a separator that is one character, and that character."""
    if sep == BLANKS:
        return _single_blanks(data).replace(b" ", _UNIT_SEPARATOR.encode()), _UNIT_SEPARATOR
    if len(sep.encode()) > 1:
        return data.replace(sep.encode(), _UNIT_SEPARATOR.encode()), _UNIT_SEPARATOR
    return data, sep


def _single_blanks(data: bytes) -> bytes:
    """Make one blank of each run of them, and none at the ends of lines."""
    data = data.replace(b"\t", b" ").strip(b" ")
    while b"  " in data:
        data = data.replace(b"  ", b" ")
    for end in (b"\n", b"\r"):
        data = data.replace(b" " + end, end).replace(end + b" ", end)
    return data


def rows(data: bytes, sep: str, quoted: bool) -> Iterator[tuple[int, int, list[str]]]:
    """Yield the first and last line of each row that is not blank, and its fields, stripped.

    Raises csv.Error where quotes do not match; the lines yielded before say where.
    """
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
    reader = csv.reader(
        text,
        delimiter=sep,
        strict=True,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        skipinitialspace=sep != " ",
    )
    last = 0
    for row in reader:
        first, last = last + 1, reader.line_num
        fields = [field.strip() for field in row]
        if len(fields) > 1 or (fields and fields[0]):
            yield first, last, fields


def has_plain_quotes(data: bytes, sep: str) -> bool:
    """Tell whether every quote opens or closes a whole field on one line.

    The readers differ on quotes in odd places, such as within a field that did not begin with one.
    """
    edge = rb"[^\r\n" + re.escape(sep.encode()) + rb"]"
    field = rb'(?<!%b)"[^"\r\n]*"(?!%b)' % (edge, edge)
    return 2 * sum(1 for _ in re.finditer(field, data)) == data.count(b'"')


def quotes_enclose_fields(data: bytes, sep: str) -> bool:
    """Tell whether every field that begins with a quote ends with its match in the same line."""
    edge = rb"[^\r\n" + re.escape(sep.encode()) + rb"]"
    whole = rb'(?<!%b) *"(?:[^"\r\n]|"")*"(?!%b)' % (edge, edge)
    begun = rb'(?<!%b) *"' % edge
    return all(m[1] is not None for m in re.finditer(rb"(%b)|%b" % (whole, begun), data))


def find_separator(data: bytes, quoted: bool | None, source: str) -> str:
    """Return the separator that splits the first lines alike."""
    splits = {sep: _sample(data, sep, quoted) for sep in (*_STRONG, *_WEAK)}
    alike = {sep: share for sep, (share, _) in splits.items()}
    for sep in _STRONG:
        if alike[sep] == 1:
            return sep
    weak = [sep for sep in _WEAK if alike[sep] == 1]
    if len(weak) > 1:
        named = [sep for sep in weak if names_a_pair(splits[sep][1])]
        weak = named or weak
    if len(weak) > 1:
        raise ValueError(
            f"'{source}' can be split at each of {' '.join(weak)} into as many fields in every "
            "line; expected one separator. Say which it is (sep=...)."
        )
    if weak:
        return weak[0]
    # A line that differs is found, and named, by the reader.
    likeliest = max(alike, key=lambda sep: alike[sep])
    if alike[likeliest] > 0.5:
        return likeliest
    return BLANKS if _sample(data, BLANKS, quoted)[0] > alike[likeliest] else likeliest


def _sample(data: bytes, sep: str, quoted: bool | None) -> tuple[float, list[str]]:
    """Share of the first rows with the usual number of fields (at least 2), and the first row."""
    part = data[:_SAMPLE_BYTES]
    cut = len(part) < len(data)
    if cut:
        part = part[: part.rfind(b"\n") + 1] or part
    text, char = in_one_character(part.decode("utf-8", "ignore").encode(), sep)
    if quoted is None:
        quoted = sep in _WEAK or quotes_enclose_fields(text, char)
    found: list[list[str]] = []
    try:
        for _, _, fields in rows(text, char, quoted):
            found.append(fields)
            if len(found) == _SAMPLE_ROWS:
                break
    except csv.Error:
        return (0.0, []) if not quoted else _sample(data, sep, False)
    if cut and len(found) > 1 and len(found) < _SAMPLE_ROWS:
        found.pop()  # it may go on
    counts = Counter(map(len, found))
    usual, n = counts.most_common(1)[0] if counts else (0, 0)
    return (n / len(found) if usual > 1 else 0.0), found[0] if found else []


def shown_separator(sep: str) -> str:
    """Name a separator for a reader of the screen."""
    return _SHOWN.get(sep, repr(sep))
