"""Layout of delimited text: whether the first line holds names, and which column is what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ._columns import Column, find_columns, is_known, names_a_pair
from ._typed import parse_number, parse_timestamp

__all__ = ["Layout", "find_layout"]

_ROLES = ("user", "item", "value", "timestamp")
# Whole numbers from here on that stand for a value are more likely seconds (from 1973 on).
_EPOCH = 10**8


@dataclass(frozen=True)
class Layout:
    """How the rows of a text are read.

    Parameters
    ----------
    header : bool
        Whether the first row holds names.

    names : list of str
        Names of the columns, or empty text where there are none.

    columns : dict
        Index of the column of each role.
    """

    header: bool
    names: list[str]
    columns: dict[str, int]


def find_layout(
    sample: Sequence[list[str]],
    constants: Mapping[str, str],
    wanted: Mapping[str, Column],
    header: bool | None,
    source: str,
) -> Layout:
    """Decide from the first rows; `constants` are columns that the path names (partitions)."""
    first, rest = sample[0], sample[1:]
    told = header
    header = _is_header(first, rest, list(constants), wanted, header, source)
    names = [*(first if header else [""] * len(first)), *constants]
    if header:
        shown = names if told else [*_evident_names(first, rest), *constants]
        return Layout(True, names, find_columns(names, wanted, source, shown=shown))
    if any(column is not None for column in wanted.values()):
        columns = find_columns(names, wanted, source)
    else:
        columns = _by_place(sample, source)
        columns |= {
            role: len(first) + place
            for role, place in _constant_roles(list(constants)).items()
            if role not in columns
        }
    return Layout(False, names, columns)


def _constant_roles(names: list[str]) -> dict[str, int]:
    return {
        role: place
        for role in ("value", "timestamp")
        for place, name in enumerate(names)
        if is_known(name, role)
    }


def _is_header(
    first: list[str],
    rest: Sequence[list[str]],
    constants: list[str],
    wanted: Mapping[str, Column],
    header: bool | None,
    source: str,
) -> bool:
    """Tell a line of column names from a line of data, or refuse where it may be either."""
    if header is not None:
        return header
    if any(isinstance(column, str) for column in wanted.values()):
        return True
    if any(column is not None for column in wanted.values()):
        return _names_positions(first, rest, wanted, source)
    if names_a_pair([*first, *constants]) and any(map(is_known, first)):
        return True
    if len(first) < 2:
        return False  # refused, as it is too few
    if any(_kind(field) != "text" for field in first if field):
        return False  # names are no numbers
    evident = _evident_names(first, rest)
    if any(evident):
        names = [*first, *constants]  # a pair is not among them, which raises
        find_columns(names, wanted, source, shown=[*evident, *constants])
    raise ValueError(
        f"'{source}' begins with a line of {len(first)} fields, none of them a number or a usual "
        "name of a column; expected to be told whether it holds names. Pass header=False, or "
        "header=True and which columns they are (user=..., item=...), and check sep=..."
    )


def _names_positions(
    first: list[str], rest: Sequence[list[str]], wanted: Mapping[str, Column], source: str
) -> bool:
    """Tell whether a first line can only be names, where positions were given."""
    places = {
        role: place
        for role, place in wanted.items()
        if isinstance(place, int) and 0 <= place < len(first)
    }
    fields = {role: first[place] for role, place in places.items()}
    words_above_numbers = [
        role
        for role, field in fields.items()
        if field and _kind(field) == "text" and not _kinds(rest, places[role]) & {"text", "empty"}
    ]
    if not all(is_known(fields.get(role, ""), role) for role in ("user", "item")):
        if not rest or not words_above_numbers:
            return False
        raise ValueError(
            f"'{source}' begins with a word above numbers alone in the column of "
            f"{' and '.join(words_above_numbers)}; expected to be told whether the line holds "
            "names, as positions were given. Pass header=True or header=False."
        )
    if is_known(fields.get("value", ""), "value"):
        return True  # an event would have a number there
    raise ValueError(
        f"'{source}' begins with a line that reads like names of these columns; expected to be "
        "told, as positions were given. Pass header=True or header=False."
    )


def _evident_names(first: list[str], rest: Sequence[list[str]]) -> list[str]:
    """Return what must be names in a first line, and empty text for what may be data.

    Usual names of two roles make a line of names; else a word is a name above numbers alone.
    """
    if sum(any(is_known(name, role) for name in first) for role in _ROLES) > 1:
        return first
    below = [_kinds(rest, place) - {"empty"} for place in range(len(first))]
    return [
        name if is_known(name) or (kinds and "text" not in kinds and _kind(name) == "text") else ""
        for name, kinds in zip(first, below, strict=True)
    ]


def _kind(field: str) -> str:
    if not field:
        return "empty"
    if re.fullmatch(r"[+-]?[0-9]+", field):
        return "times or large integers" if int(field) >= _EPOCH else "integers"
    for parse, kind in ((parse_number, "numbers"), (parse_timestamp, "times")):
        try:
            parse(field)
        except ValueError:
            continue
        return kind
    return "text"


def _kinds(sample: Sequence[list[str]], place: int) -> set[str]:
    return {_kind(row[place]) for row in sample if place < len(row)}


def _by_place(sample: Sequence[list[str]], source: str) -> dict[str, int]:
    """Take the first columns for user, item, value and timestamp, if that is what they hold."""
    n_columns = len(sample[0])
    kinds = [_kinds(sample, place) for place in range(n_columns)]
    if n_columns < 2:
        raise ValueError(
            f"'{source}' has {n_columns} column(s) and no header, none of them known as item; "
            "expected user and item ids. Check sep=..., and say which columns they are (user=..., "
            "item=...)."
        )
    fit = n_columns <= len(_ROLES)
    fit &= n_columns < 3 or bool(kinds[2] & {"integers", "numbers"})
    fit &= n_columns < 4 or bool(kinds[3] - {"text", "empty"})
    if not fit:
        held = "; ".join(f"{place}: {', '.join(sorted(k))}" for place, k in enumerate(kinds))
        raise ValueError(
            f"'{source}' has {n_columns} columns and no names that are known ({held}); "
            "expected user, item, value and timestamp, or the first two or three of them. Say "
            "which columns they are, as positions from 0 (user=..., item=...), and header=True if "
            "the first line holds names."
        )
    return dict(zip(_ROLES, range(n_columns), strict=False))
