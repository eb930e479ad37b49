"""Which column of a file holds the users, items, values and timestamps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["Column", "find_columns", "is_known", "listed", "names_a_pair"]

Column = str | int | None

# Names as they read without case, "_", "-" and blanks, by preference: ids before names of things,
# so that two people called Ann stay two users. Names in one group are equally good: a file with
# two of them does not say which is meant.
_NAMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "user": (
        ("userid", "uid", "userindex", "useridx"),
        ("reviewerid", "visitorid", "customerid", "memberid"),
        ("user", "reviewer", "visitor", "customer", "member", "username"),
    ),
    "item": (
        ("itemid", "iid", "itemindex", "itemidx"),
        ("parentasin",),
        (
            *("movieid", "productid", "articleid", "bookid", "isbn", "asin", "sku"),
            *("trackid", "songid", "artistid", "businessid", "locationid", "venueid"),
            *("gameid", "appid", "animeid", "recipeid", "beerid", "newsid"),
        ),
        (
            *("item", "movie", "product", "article", "book", "track", "song", "artist"),
            *("business", "location", "venue", "game"),
        ),
    ),
    "value": tuple(
        (name,)
        for name in (
            *("rating", "bookrating", "stars", "overall", "value", "label", "count", "score"),
            *("weight", "plays", "playcount"),
        )
    ),
    "timestamp": tuple(
        (name,)
        for name in (
            *("timestamp", "unixreviewtime", "unixtime", "time", "ts", "datetime", "checkintime"),
            "date",
        )
    ),
}
_KNOWN = {role: {name for group in groups for name in group} for role, groups in _NAMES.items()}
# RecBole's atomic files say the type of a column in its name: "user_id:token".
_ATOMIC = re.compile(r":(token|float)(_seq)?$")


def _base(name: str) -> str:
    return _ATOMIC.sub("", name)


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]", "", _base(name)).lower()


def is_known(name: str, role: str | None = None) -> bool:
    """Tell whether a name is usual for a column of this role, or of any."""
    roles = _KNOWN if role is None else (role,)
    return any(_plain(name) in _KNOWN[one] for one in roles)


def names_a_pair(names: Sequence[str]) -> bool:
    """Tell whether there is a usual name of users, and one of items."""
    return all(any(is_known(name, role) for name in names) for role in ("user", "item"))


def find_columns(
    names: Sequence[str],
    wanted: Mapping[str, Column],
    source: str,
    *,
    shown: Sequence[str] | None = None,
) -> dict[str, int]:
    """Return the index of the column of each role that is there; user and item must be.

    Once a position is given, roles without a column are not guessed; once any column is named, a
    timestamp is not. Messages list `shown` in place of the names, where names may be data.
    """
    there = listed(names if shown is None else shown)
    given = {role: column for role, column in wanted.items() if column is not None}
    found: dict[str, int] = {}
    for role, column in wanted.items():
        if isinstance(column, str):
            found[role] = _by_name(names, column, role, source, there)
        elif column is not None:
            found[role] = _by_position(names, column, role, source)
        elif not any(isinstance(one, int) for one in given.values()):
            place = _by_usual_name(names, role, source)
            if place is not None and not (role == "timestamp" and given):
                found[role] = place
    absent = [role for role in ("user", "item") if role not in found]
    if absent:
        raise ValueError(
            f"'{source}' has {there}, none of them known as {' or '.join(absent)}; "
            "expected user and item ids. Say which columns they are (user=..., item=...), and "
            "check sep=..."
        )
    if len(set(found.values())) < len(found):
        raise ValueError(
            f"In '{source}' one column would serve twice: {found}; expected different columns. "
            "Name each of them (user=..., item=...)."
        )
    return found


def listed(names: Sequence[str]) -> str:
    """Say which columns there are; those without a name are counted."""
    if not any(names):
        return f"{len(names)} columns"
    return f"columns {[name or f'(column {place})' for place, name in enumerate(names)]}"


def _by_usual_name(names: Sequence[str], role: str, source: str) -> int | None:
    plain = [_plain(name) for name in names]
    for group in _NAMES[role]:
        places = [place for place, name in enumerate(plain) if name in group]
        if len(places) > 1:
            several = [names[place] for place in places]
            raise ValueError(
                f"'{source}' has columns {several}, each of which may be the {role}; expected one. "
                f"Say which it is ({role}=...)."
            )
        if places:
            return places[0]
    return None


def _by_name(names: Sequence[str], column: str, role: str, source: str, there: str) -> int:
    places = [place for place, name in enumerate(names) if name == column]
    places = places or [place for place, name in enumerate(names) if _base(name) == column]
    if len(places) > 1:
        raise ValueError(
            f"'{source}' has {len(places)} columns {column!r}; expected one for {role}. Give its "
            f"position ({role}=..., from 0), or rename the columns."
        )
    if not places:
        raise ValueError(
            f"'{source}' has no column {column!r} for {role}; it has {there}. Pass "
            "one of these names, or positions where there are no names, and check sep=..."
        )
    return places[0]


def _by_position(names: Sequence[str], column: int, role: str, source: str) -> int:
    if not 0 <= column < len(names):
        raise ValueError(
            f"Got {role}={column}, but '{source}' has {len(names)} columns; expected a position "
            f"from 0 to {len(names) - 1}. Correct it, and check sep=..."
        )
    return int(column)
