"""Checks of the fields of OpenDSR messages; errors name a field and show nothing of it."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

__all__ = [
    "DOMAIN",
    "OpenDSRError",
    "choice",
    "moment",
    "refuse_field",
    "rfc3339",
    "text",
    "url",
    "uuid4",
]

DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_LONGEST = 2048
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]+")


class OpenDSRError(ValueError):
    """A message is no OpenDSR message.

    Attributes
    ----------
    field : str
        Where, for instance ``"subject_identities[0].identity_type"``.

    Examples
    --------
    >>> from sklearn_unlearn.audit.opendsr import OpenDSRError, read_request
    >>> try:
    ...     read_request('{"regulation": "gdpr"}')
    ... except OpenDSRError as error:
    ...     print(error.field)
    subject_request_id
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def refuse_field(field: str, problem: str, expected: str) -> NoReturn:
    """Raise OpenDSRError in three parts."""
    raise OpenDSRError(
        field, f"{field} {problem}; expected {expected}. Ask the sender for another message."
    ) from None


def text(message: Mapping[str, Any], name: str, where: str = "", *, optional: bool = False) -> Any:
    """Return a text of a message; None for one that is optional and absent."""
    field, value = where + name, message.get(name)
    if value is None and optional:
        return None
    if value is None:
        refuse_field(field, "is missing", "a text")
    if not isinstance(value, str) or not _PRINTABLE.fullmatch(value) or len(value) > _LONGEST:
        refuse_field(field, "is no text, or long, or not printable", f"up to {_LONGEST} characters")
    return value


def choice(message: Mapping[str, Any], name: str, choices: tuple[str, ...], where: str = "") -> str:
    """Return a text that is one of some."""
    value = text(message, name, where)
    if value not in choices:
        refuse_field(where + name, "is another word", f"one of {', '.join(choices)}")
    return str(value)


def uuid4(message: Mapping[str, Any], name: str) -> str:
    """Return a UUID of version 4 in lower case."""
    value = text(message, name)
    try:
        found = uuid.UUID(value)
    except ValueError:
        found = None
    if found is None or str(found) != value or found.version != 4:
        refuse_field(name, "is no UUID of version 4", "32 digits in lower case, with hyphens")
    return str(value)


def moment(message: Mapping[str, Any], name: str) -> datetime.datetime:
    """Return a time of RFC 3339, with a zone."""
    value = text(message, name)
    try:
        found = datetime.datetime.fromisoformat(value)
        if found.tzinfo is not None:
            found.astimezone(datetime.UTC)  # which the year 1 or 9999 may not have
    except (ValueError, OverflowError):
        found = None
    if found is None or found.tzinfo is None or "T" not in value.upper():
        refuse_field(name, "is no time", "one as 2018-10-02T15:00:00Z (RFC 3339)")
    return found


def rfc3339(time: datetime.datetime, name: str) -> str:
    """Write a time."""
    if not isinstance(time, datetime.datetime) or time.tzinfo is None:
        refuse_field(name, "has no zone", "a datetime with tzinfo")
    written = time.astimezone(datetime.UTC).isoformat(timespec="seconds")
    return written.replace("+00:00", "Z")


def url(value: Any, field: str) -> str:
    """Return an address that is called over TLS, without a user or a password in it."""
    problem = "is no address"
    if isinstance(value, str) and len(value) <= _LONGEST and _PRINTABLE.fullmatch(value):
        try:
            parts = urlsplit(value)
            if parts.scheme == "https" and parts.hostname and "@" not in parts.netloc:
                return value
        except ValueError:
            pass
    refuse_field(field, problem, "https:// and a host, without a user")
