"""Which column of a file holds the users, items, values and timestamps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["Column", "find_columns", "is_header"]

Column = str | int | None

# In the order of preference, as they read without case, "_", "-" and blanks.
_NAMES: dict[str, tuple[str, ...]] = {
    "user": ("user", "userid", "uid", "userindex", "useridx", "customer", "customerid"),
    "item": (
        *("item", "itemid", "iid", "itemindex", "itemidx", "movie", "movieid", "product"),
        *("productid", "article", "articleid", "book", "bookid", "isbn", "asin", "track"),
        *("trackid", "song", "songid"),
    ),
    "value": ("rating", "value", "label", "count", "score", "bookrating", "weight", "plays"),
    "timestamp": ("timestamp", "time", "ts", "datetime", "date", "unixtime"),
}
_USUAL = {name for names in _NAMES.values() for name in names}


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]", "", name).lower()


def is_header(row: Sequence[str], wanted: Mapping[str, Column]) -> bool:
    """Tell a line of column names from a line of data."""
    if any(isinstance(column, str) for column in wanted.values()):
        return True
    return any(_plain(field) in _USUAL for field in row)


def find_columns(
    names: Sequence[str], wanted: Mapping[str, Column], source: str, *, header: bool = True
) -> dict[str, int]:
    """Return the index of the column of each role that is there; user and item must be.

    Once a position is given, roles without a column are not guessed.
    """
    by_position = any(isinstance(column, int) for column in wanted.values())
    found: dict[str, int] = {}
    for place, (role, column) in enumerate(wanted.items()):
        if isinstance(column, str):
            found[role] = _by_name(names, column, role, source)
        elif column is not None:
            found[role] = _by_position(names, column, role, source)
        elif header and not by_position:
            plain = [_plain(name) for name in names]
            usual = [name for name in _NAMES[role] if name in plain]
            if usual:
                found[role] = plain.index(usual[0])
        elif not by_position and place < len(names):
            found[role] = place
    absent = [role for role in ("user", "item") if role not in found]
    if absent:
        there = f"columns {list(names)}" if header else f"{len(names)} column(s) and no header"
        raise ValueError(
            f"'{source}' has {there}, none of them known as {' or '.join(absent)}; expected user "
            "and item ids. Say which columns they are (user=..., item=...), and check sep=."
        )
    if len(set(found.values())) < len(found):
        raise ValueError(
            f"In '{source}' one column would serve twice: {found}; expected different columns. "
            "Name each of them."
        )
    return found


def _by_name(names: Sequence[str], column: str, role: str, source: str) -> int:
    if column not in names:
        raise ValueError(
            f"'{source}' has no column {column!r} for {role}; it has {list(names)}. Pass one of "
            "these names, and check sep=."
        )
    return list(names).index(column)


def _by_position(names: Sequence[str], column: int, role: str, source: str) -> int:
    if not 0 <= column < len(names):
        raise ValueError(
            f"Got {role}={column}, but '{source}' has {len(names)} columns; expected a position "
            f"from 0 to {len(names) - 1}. Correct it, and check sep=."
        )
    return int(column)
