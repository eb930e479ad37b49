"""Deletion requests: what they may name, and how they are written and read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from numbers import Integral
from typing import Any
from uuid import UUID

import numpy as np

__all__ = [
    "REGULATIONS",
    "DeletionRequest",
    "check_id",
    "due_time",
    "encoded_identity",
    "read_id",
    "utc_seconds",
    "write_id",
]

REGULATIONS = ("gdpr", "ccpa")
_CCPA_DAYS = 45
_MAX_REFERENCE = 200
_FIRST, _LAST = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (1, 9999))

Id = int | str | UUID
Pair = tuple[Any, Any]


@dataclass(frozen=True, repr=False)
class DeletionRequest:
    """What is to be deleted, and by when.

    All parts are united. Ids are those of the model: what an encoder calls users and items, or
    positions where the model has no encoder.

    Parameters
    ----------
    users, items : id or iterable of ids, default=()
        Users and items to forget as a whole. Ids are integers, text or UUIDs.

    interactions : iterable of pairs (user, item), default=()
        Single interactions.

    categories : iterable of pairs (user, category), default=()
        Interactions of a user with all items of a category, by the service's `categories`.

    before : date, datetime or None, default=None
        Retention: all interactions whose latest event is older than this, by the service's
        `event_times`. A date begins at midnight, UTC; so is a datetime without a zone.

    request_id : str or None, default=None
        The caller's reference, of at most 200 characters. It stays in the ledger for good: take
        one that says nothing about the person. A request that is delivered twice under one
        reference is done once. None: a random one is made.

    regulation : {"gdpr", "ccpa"} or None, default="gdpr"
        Sets the deadline: one month after `received`, 45 days after it, or none.

    received : datetime or None, default=None
        When the person asked; None means now.

    Examples
    --------
    >>> from sklearn_unlearn.audit import DeletionRequest
    >>> DeletionRequest(users=[17], interactions=[(3, 5), (3, 6)], request_id="ticket-1")
    <DeletionRequest of 1 users, 0 items, 2 interactions, 0 categories>
    >>> DeletionRequest()
    Traceback (most recent call last):
    ...
    ValueError: the request names nothing; expected users, items, interactions, ...
    """

    users: Any = ()
    items: Any = ()
    interactions: Any = ()
    categories: Any = ()
    before: Any = None
    request_id: str | None = None
    regulation: str | None = "gdpr"
    received: datetime | None = None
    before_seconds: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            "users": _ids(self.users, "users"),
            "items": _ids(self.items, "items"),
            "interactions": _pairs(self.interactions, "interactions"),
            "categories": _pairs(self.categories, "categories"),
            "before_seconds": None if self.before is None else _bounded(self.before, "before"),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if not any(value for name, value in checked.items() if name != "before_seconds") and (
            self.before is None
        ):
            raise ValueError(
                "the request names nothing; expected users, items, interactions, categories or "
                "before. Name what is to be deleted."
            )
        if self.regulation not in (*REGULATIONS, None):
            raise ValueError(
                f"regulation is {_shown(self.regulation)}; expected 'gdpr', 'ccpa' or None. It "
                "sets the deadline alone."
            )
        if self.received is not None and not isinstance(self.received, datetime):
            raise TypeError(
                f"received is of type {type(self.received).__name__}; expected a datetime or None. "
                "Convert it by datetime.fromisoformat."
            )
        if self.received is not None:
            _bounded(self.received, "received")
        _check_reference(self.request_id)

    def __repr__(self) -> str:
        counts = [f"{len(getattr(self, name))} {name}" for name in _PARTS]
        retention = ", and a date" if self.before is not None else ""
        return f"<DeletionRequest of {', '.join(counts)}{retention}>"

    def to_bytes(self) -> bytes:
        """Write what the request names as canonical JSON, whatever the order it came in."""
        parts: dict[str, Any] = {
            name: sorted((write_id(one) for one in getattr(self, name)), key=json.dumps)
            for name in _PARTS
        }
        parts["before"] = self.before_seconds
        return json.dumps(parts, separators=(",", ":"), ensure_ascii=True).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> DeletionRequest:
        """Read what `to_bytes` wrote."""
        parts = json.loads(text)
        before = parts.pop("before")
        read: dict[str, Any] = {name: [read_id(one) for one in parts[name]] for name in _PARTS}
        when = None if before is None else datetime.fromtimestamp(before, UTC)
        return cls(**read, before=when)

    @classmethod
    def from_any(cls, request: Any, position: int | None = None) -> DeletionRequest:
        """Return a request, made of a mapping of its fields where it is one."""
        if isinstance(request, cls):
            return request
        where = "" if position is None else f" at place {position}"
        if not isinstance(request, Mapping):
            raise TypeError(
                f"the request{where} is of type {type(request).__name__}; expected a "
                "DeletionRequest or a mapping of its fields. Pass DeletionRequest(users=...)."
            )
        names = {one.name for one in fields(cls) if one.init}
        unknown = [one for one in request if one not in names]
        if unknown:
            raise TypeError(
                f"the request{where} has {len(unknown)} unknown fields; expected some of "
                f"{', '.join(sorted(names))}. Leave out the others."
            )
        return cls(**request)


_PARTS = ("users", "items", "interactions", "categories")


def _ids(values: Any, name: str) -> tuple[Id, ...]:
    """Check ids; a single one stands for a list of it."""
    if isinstance(values, str | Integral | UUID):
        values = [values]
    return tuple(dict.fromkeys(check_id(one, name) for one in _entries(values, name)))


def _pairs(values: Any, name: str) -> tuple[Pair, ...]:
    second = "category" if name == "categories" else "item"
    pairs = []
    for one in _entries(values, name):
        if isinstance(one, str | bytes) or not hasattr(one, "__len__") or len(one) != 2:
            raise ValueError(
                f"{name} holds something that is no pair; expected (user, {second}) each. Pass a "
                "list of tuples."
            )
        user, other = one
        pairs.append((check_id(user, name), check_id(other, name)))
    return tuple(dict.fromkeys(pairs))


def _entries(values: Any, name: str) -> list[Any]:
    if isinstance(values, np.ndarray) and values.dtype == bool:
        raise TypeError(
            f"{name} is a mask; expected ids, as a mask means another thing in another model. Pass "
            "numpy.flatnonzero of it."
        )
    if isinstance(values, bytes | Mapping) or not isinstance(values, Iterable):
        raise TypeError(
            f"{name} is of type {type(values).__name__}; expected a list of ids. Put them in a "
            "list."
        )
    return list(values)


def check_id(value: Any, name: str) -> Id:
    """Return an id in a plain type; raise for what no request can name."""
    if isinstance(value, int | np.integer) and value is not True and value is not False:
        number = int(value)
        if -(2**63) <= number < 2**64:
            return number
        raise ValueError(
            f"{name} holds an integer beyond 64 bits; expected one that an encoder can hold. "
            "Convert the ids to text in model and requests."
        )
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"{name} holds text that is no valid Unicode; expected ids as the model has them. "
                "Decode them as where the model was fitted."
            ) from None
        return str(value)
    if isinstance(value, UUID):
        return value
    raise TypeError(
        f"{name} holds something of type {type(value).__name__}; expected integers, text or UUIDs. "
        "Convert them as the model has them."
    )


def write_id(value: Any) -> Any:
    """Write an id, or a pair of them, in the types of JSON."""
    if isinstance(value, tuple | list):
        return [write_id(one) for one in value]
    return {"uuid": value.hex} if isinstance(value, UUID) else value


def read_id(value: Any) -> Any:
    """Undo `write_id`."""
    if isinstance(value, list):
        return tuple(read_id(one) for one in value)
    return UUID(hex=value["uuid"]) if isinstance(value, dict) else value


def _check_reference(reference: Any) -> None:
    if reference is None:
        return
    if not isinstance(reference, str):
        raise TypeError(
            f"request_id is of type {type(reference).__name__}; expected str or None. Convert it."
        )
    if not 0 < len(reference) <= _MAX_REFERENCE or not reference.isprintable():
        raise ValueError(
            f"request_id has {len(reference)} characters, or some that cannot be printed; expected "
            f"1 to {_MAX_REFERENCE} printable ones. Pass None for a random reference."
        )


def encoded_identity(text: str) -> bytes:
    """Write an identity in UTF-8; the error of Python's own would show it."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(
            "an identity holds half of a surrogate pair; expected text that UTF-8 can write. "
            "Repair it where it is kept, or leave it out."
        ) from None


def utc_seconds(moment: Any, name: str) -> float:
    """Return a date or a datetime in seconds since 1970; without a zone it is in UTC."""
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    if not isinstance(moment, datetime):
        raise TypeError(
            f"{name} is of type {type(moment).__name__}; expected a date or a datetime. Convert it "
            "by datetime.fromisoformat."
        )
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if math.isnan(seconds):  # NaT
        raise ValueError(f"{name} is no time; expected a date or a datetime. Leave it out.")
    return seconds


def _bounded(moment: Any, name: str) -> float:
    """Return a moment in seconds since 1970; it and its deadline are dates in UTC."""
    seconds = utc_seconds(moment, name)
    if not _FIRST <= seconds < _LAST:
        raise ValueError(
            f"{name} is outside of the years 1 to 9998 in UTC; expected a moment in them. Check "
            "the year."
        )
    return seconds


def due_time(received: float, regulation: str | None) -> float | None:
    """Return the deadline of a request, in seconds since 1970.

    One month is to the same day of the next month, or to its last day where there is none.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from sklearn_unlearn.audit._requests import due_time
    >>> due = due_time(datetime(2024, 1, 31, tzinfo=UTC).timestamp(), "gdpr")
    >>> datetime.fromtimestamp(due, UTC).date().isoformat()
    '2024-02-29'
    """
    if regulation is None:
        return None
    start = datetime.fromtimestamp(received, UTC)
    if regulation == "ccpa":
        return (start + timedelta(days=_CCPA_DAYS)).timestamp()
    first_of_next = (start.replace(day=1) + timedelta(days=32)).replace(day=1)
    last_of_next = (first_of_next + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return last_of_next.replace(day=min(start.day, last_of_next.day)).timestamp()


def _shown(value: Any) -> str:
    return f"of type {type(value).__name__}" if not isinstance(value, str) else "another word"
