"""Requests in the form of OpenDSR: their fields, and whom they are about."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn_unlearn.audit import _opendsr_fields as fields
from sklearn_unlearn.audit._canonical import canonical_json, parse_json
from sklearn_unlearn.audit._opendsr_fields import refuse_field
from sklearn_unlearn.audit._requests import encoded_identity

__all__ = ["Identity", "Request", "matching_ids", "read_request"]

REGULATIONS = ("gdpr", "ccpa")
REQUEST_TYPES = ("erasure", "portability", "access")
_FORMATS = {"raw": None, "sha1": 40, "md5": 32, "sha256": 64}
_LONGEST = 2**20
_MOST = 1000
_IDENTITY_TYPE = re.compile("[a-z][a-z0-9_]{0,63}")
_HEX = re.compile("[0-9a-f]+")


@dataclass(frozen=True)
class Identity:
    """One identity of a data subject.

    Parameters
    ----------
    identity_type : str
        "email", "controller_customer_id", "ios_advertising_id", and others.

    identity_value : str
        The identity, or its digest in hexadecimal digits; not shown.

    identity_format : {"raw", "sha1", "md5", "sha256"}
        Which of them.

    Examples
    --------
    >>> from sklearn_unlearn.audit.opendsr import Identity
    >>> Identity("email", "al@example.org").identity_format
    'raw'
    """

    identity_type: str
    identity_value: str = field(repr=False)
    identity_format: str = "raw"


@dataclass(frozen=True, repr=False)
class Request:
    """A request of a data subject, as a controller sends it.

    Parameters
    ----------
    regulation : {"gdpr", "ccpa"}
        What it is made under.

    subject_request_id : str
        UUID of version 4, made by the controller.

    subject_request_type : {"erasure", "portability", "access"}
        What is asked for.

    submitted_time : datetime
        When the data subject asked.

    subject_identities : tuple of Identity
        Of whom; not shown.

    api_version : str or None
        The version that the sender speaks.

    status_callback_urls : tuple of str
        Where to report changes of the status.

    extensions : dict
        Fields of single processors, by their domains; not shown, as they may hold identities.

    body : bytes
        The whole request as it came, for `respond`; not shown. Never log it.

    Examples
    --------
    >>> import datetime
    >>> from sklearn_unlearn.audit.opendsr import Identity, Request
    >>> Request(
    ...     "gdpr",
    ...     "a7551968-d5d6-44b2-9831-815ac9017798",
    ...     "erasure",
    ...     datetime.datetime(2018, 10, 2, tzinfo=datetime.timezone.utc),
    ...     (Identity("email", "al@example.org"),),
    ... )
    <Request of type erasure under gdpr with 1 identities>
    """

    regulation: str
    subject_request_id: str
    subject_request_type: str
    submitted_time: datetime.datetime
    subject_identities: tuple[Identity, ...] = ()
    api_version: str | None = None
    status_callback_urls: tuple[str, ...] = ()
    extensions: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = b""

    def __repr__(self) -> str:
        return (
            f"<Request of type {self.subject_request_type} under {self.regulation} with "
            f"{len(self.subject_identities)} identities>"
        )

    def to_json(self) -> str:
        """Write the request, as a controller sends it; it holds the identities."""
        message: dict[str, Any] = {
            "regulation": self.regulation,
            "subject_request_id": self.subject_request_id,
            "subject_request_type": self.subject_request_type,
            "submitted_time": fields.rfc3339(self.submitted_time, "submitted_time"),
            "subject_identities": [vars(one) for one in self.subject_identities],
            "api_version": self.api_version or "2.0",
            "status_callback_urls": list(self.status_callback_urls),
            "extensions": dict(self.extensions),
        }
        written = canonical_json(
            {name: one for name, one in message.items() if one not in ([], {})}
        )
        read_request(written)  # what is sent is what would be accepted
        return written


def read_request(body: str | bytes) -> Request:
    """Read and check the body of a request.

    Parameters
    ----------
    body : str or bytes
        JSON. Requests of OpenGDPR 1 without a regulation are made under the GDPR.

    Returns
    -------
    request : Request
        Checked.

    Raises
    ------
    OpenDSRError
        With the field that does not fit. It shows nothing of the request.
    """
    if not isinstance(body, str | bytes):
        raise TypeError(f"body is a {type(body).__name__}; expected JSON text. Pass what was sent.")
    try:
        message = parse_json(body, _LONGEST)
    except ValueError as error:
        refuse_field("the request", f"cannot be read: {error}", "JSON")
    if not isinstance(message, dict):
        refuse_field("the request", "is no object", "a JSON object")
    version = fields.text(message, "api_version", optional=True)
    if "regulation" not in message and (version or "").startswith(("0.", "1.")):
        message = {**message, "regulation": "gdpr"}
    extensions = message.get("extensions") or {}
    if not isinstance(extensions, dict) or not all(
        isinstance(one, dict) and fields.DOMAIN.fullmatch(name) for name, one in extensions.items()
    ):
        refuse_field("extensions", "is no table of objects", "objects by the domain of a processor")
    return Request(
        regulation=fields.choice(message, "regulation", REGULATIONS),
        subject_request_id=fields.uuid4(message, "subject_request_id"),
        subject_request_type=fields.choice(message, "subject_request_type", REQUEST_TYPES),
        submitted_time=fields.moment(message, "submitted_time"),
        subject_identities=_identities(message, required=not extensions),
        api_version=version,
        status_callback_urls=_callbacks(message),
        extensions=extensions,
        body=body.encode("utf-8") if isinstance(body, str) else body,
    )


def _list_of(message: Mapping[str, Any], name: str) -> list[Any]:
    found = message.get(name, [])
    if not isinstance(found, list) or len(found) > _MOST:
        refuse_field(name, "is no list, or long", f"a list of at most {_MOST}")
    return found


def _identities(message: Mapping[str, Any], *, required: bool) -> tuple[Identity, ...]:
    found = _list_of(message, "subject_identities")
    if required and not found:
        refuse_field("subject_identities", "is missing", "at least one, or extensions")
    read = []
    for n, one in enumerate(found):
        where = f"subject_identities[{n}]."
        if not isinstance(one, dict):
            refuse_field(where[:-1], "is no object", "identity_type, identity_value and its format")
        kind = fields.text(one, "identity_type", where)
        if not _IDENTITY_TYPE.fullmatch(kind):
            refuse_field(f"{where}identity_type", "is no name", "one as controller_customer_id")
        form = fields.choice(one, "identity_format", tuple(_FORMATS), where)
        value, length = fields.text(one, "identity_value", where), _FORMATS[form]
        if length is not None:
            value = value.lower()
            if len(value) != length or not _HEX.fullmatch(value):
                expected = f"{length} hexadecimal digits"
                refuse_field(f"{where}identity_value", f"is no {form}", expected)
        read.append(Identity(kind, value, form))
    return tuple(read)


def _callbacks(message: Mapping[str, Any]) -> tuple[str, ...]:
    found = _list_of(message, "status_callback_urls")
    return tuple(fields.url(one, f"status_callback_urls[{n}]") for n, one in enumerate(found))


def matching_ids(request: Request, table: Mapping[str, Mapping[str, Hashable]]) -> list[Hashable]:
    """Find the ids of a data subject in a table of identities.

    Parameters
    ----------
    request : Request
        Of `read_request`.

    table : mapping of str to mapping of str to id
        For each type of identity, the raw identities that you know and the id of each. Digests are
        compared with those of the identities as they stand here: write them as the sender does
        (e-mail addresses in lower case).

    Returns
    -------
    ids : list
        Each once. Empty if nobody is known by these identities.
    """
    found: dict[Hashable, None] = {}
    digests: dict[tuple[str, str], dict[str, Hashable]] = {}
    for one in request.subject_identities:
        known = table.get(one.identity_type, {})
        if one.identity_format != "raw":
            key = one.identity_type, one.identity_format
            if key not in digests:
                digests[key] = {_digest(raw, one.identity_format): known[raw] for raw in known}
            known = digests[key]
        if one.identity_value in known:
            found[known[one.identity_value]] = None
    return list(found)


def _digest(raw: str, form: str) -> str:
    return hashlib.new(form, encoded_identity(raw), usedforsecurity=False).hexdigest()
