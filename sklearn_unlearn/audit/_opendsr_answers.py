"""Answers to OpenDSR requests: signed bodies and their headers."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sklearn_unlearn.audit import _opendsr_fields as fields
from sklearn_unlearn.audit._canonical import canonical_json, parse_json
from sklearn_unlearn.audit._extras import import_extra
from sklearn_unlearn.audit._opendsr_fields import OpenDSRError, refuse_field
from sklearn_unlearn.audit._opendsr_request import Request

__all__ = ["Message", "cancel", "error_body", "report_status", "respond", "verify_message"]

STATUSES = ("pending", "in_progress", "completed", "cancelled")
_LONGEST = 2**21


@dataclass(frozen=True, repr=False)
class Message:
    """A signed answer to a controller: the body, and the headers to send it with.

    Parameters
    ----------
    body : bytes
        JSON; not shown, as that of a response holds the request.

    headers : dict of str to str
        The domain and the signature.

    fields : dict
        What the body says; not shown.

    Examples
    --------
    >>> from sklearn_unlearn.audit.opendsr import Message
    >>> Message(b"{}", {}, {})
    <Message of 2 bytes>
    """

    body: bytes
    headers: Mapping[str, str]
    fields: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<Message of {len(self.body)} bytes>"


def respond(
    request: Request,
    *,
    key: Any,
    domain: str,
    controller_id: str,
    received_time: datetime.datetime,
    expected_completion_time: datetime.datetime,
) -> Message:
    """Answer a request that was accepted (HTTP status 201).

    Parameters
    ----------
    request : Request
        Of `read_request`.

    key : private key of cryptography (RSA, elliptic curve or Ed25519)
        Of the certificate that the discovery endpoint names.

    domain : str
        For which the certificate was issued.

    controller_id : str
        How you call the controller.

    received_time, expected_completion_time : datetime
        With a zone.

    Returns
    -------
    message : Message
        It holds the whole request in Base64, as the specification asks: never log it.
    """
    body = {
        "controller_id": controller_id,
        "expected_completion_time": fields.rfc3339(
            expected_completion_time, "expected_completion_time"
        ),
        "received_time": fields.rfc3339(received_time, "received_time"),
        "encoded_request": base64.b64encode(request.body).decode("ascii"),
        "subject_request_id": request.subject_request_id,
    }
    return _signed(body, key, domain)


def report_status(
    request: Request,
    status: str,
    *,
    key: Any,
    domain: str,
    controller_id: str,
    expected_completion_time: datetime.datetime,
    callback_url: str | None = None,
    results_url: str | None = None,
    results_count: int | None = None,
) -> Message:
    """Report the status of a request, to whoever asks for it or to a callback.

    Parameters
    ----------
    request : Request
        Of `read_request`.

    status : {"pending", "in_progress", "completed", "cancelled"}
        How far it is.

    key, domain, controller_id, expected_completion_time
        As in `respond`.

    callback_url : str or None, default=None
        One of ``request.status_callback_urls``, if the message is for that.

    results_url : str or None, default=None
        Where the results are; of an erasure, for instance its certificate.

    results_count : int or None, default=None
        How many results there are.

    Returns
    -------
    message : Message
        The body and its headers.
    """
    body: dict[str, Any] = {
        "controller_id": controller_id,
        "expected_completion_time": fields.rfc3339(
            expected_completion_time, "expected_completion_time"
        ),
        "subject_request_id": request.subject_request_id,
        "request_status": fields.choice({"request_status": status}, "request_status", STATUSES),
        "api_version": "2.0",
    }
    if callback_url is not None:
        if callback_url not in request.status_callback_urls:
            refuse_field("status_callback_url", "is not in the request", "one of its callbacks")
        body["status_callback_url"] = callback_url
    if results_url is not None:
        body["results_url"] = fields.url(results_url, "results_url")
    if results_count is not None:
        body["results_count"] = int(results_count)
    return _signed(body, key, domain)


def cancel(
    request: Request, *, key: Any, domain: str, controller_id: str, received_time: datetime.datetime
) -> Message:
    """Answer a cancellation that was accepted (HTTP status 202); the parameters are of `respond`.

    Returns
    -------
    message : Message
        The body and its headers.
    """
    body = {
        "controller_id": controller_id,
        "subject_request_id": request.subject_request_id,
        "received_time": fields.rfc3339(received_time, "received_time"),
        "api_version": "2.0",
    }
    return _signed(body, key, domain)


def error_body(error: OpenDSRError) -> str:
    """Write the answer to a request that was refused (HTTP status 400), which shows nothing of it.

    Examples
    --------
    >>> from sklearn_unlearn.audit.opendsr import OpenDSRError, error_body, read_request
    >>> try:
    ...     read_request("{}")
    ... except OpenDSRError as error:
    ...     print(error_body(error)[:60])
    {"error":{"code":400,"errors":[{"domain":"regulation","messa
    """
    detail = {"domain": error.field, "reason": type(error).__name__, "message": str(error)}
    return canonical_json({"error": {"code": 400, "message": str(error), "errors": [detail]}})


def _signed(body: dict[str, Any], key: Any, domain: str) -> Message:
    """Sign a body: in it, over the rest of it, and in the header, over all."""
    fields.text(body, "controller_id")
    if not isinstance(domain, str) or not fields.DOMAIN.fullmatch(domain):
        refuse_field("domain", "is no name of a domain", "one as processor.example.org")
    body = body | {"processor_signature": _sign(key, canonical_json(body).encode("ascii"))}
    written = canonical_json(body).encode("ascii")
    headers = {
        "Content-Type": "application/json",
        "X-OpenDSR-Processor-Domain": domain,
        "X-OpenDSR-Signature": _sign(key, written),
    }
    return Message(written, headers, body)


def _sign(key: Any, content: bytes) -> str:
    arguments = _arguments(key)
    if arguments is None or not hasattr(key, "sign"):
        raise TypeError(
            f"key is of type {type(key).__name__}; expected a private key of cryptography (RSA, "
            "elliptic curve or Ed25519). Load it by load_pem_private_key."
        )
    return base64.b64encode(key.sign(content, *arguments)).decode("ascii")


def _arguments(key: Any) -> tuple[Any, ...] | None:
    """Return what a key of a kind is called with, beside the content; SHA-256 is taken of that."""
    purpose = "a signature"
    hashes = import_extra("cryptography.hazmat.primitives.hashes", purpose)
    kinds = import_extra("cryptography.hazmat.primitives.asymmetric", purpose).__name__
    modules = {name: import_extra(f"{kinds}.{name}", purpose) for name in ("ec", "ed25519", "rsa")}
    padding = import_extra(f"{kinds}.padding", purpose)
    rsa, curve, edwards = modules["rsa"], modules["ec"], modules["ed25519"]
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return padding.PKCS1v15(), hashes.SHA256()
    if isinstance(key, curve.EllipticCurvePrivateKey | curve.EllipticCurvePublicKey):
        return (curve.ECDSA(hashes.SHA256()),)
    if isinstance(key, edwards.Ed25519PrivateKey | edwards.Ed25519PublicKey):
        return ()
    return None


def verify_message(body: bytes, headers: Mapping[str, str], public_key: Any) -> dict[str, Any]:
    """Verify an answer, as a controller does before it reads it.

    Parameters
    ----------
    body : bytes
        As it came.

    headers : mapping
        Of the answer; names in any case, those of OpenGDPR too.

    public_key : public key of cryptography
        Of the certificate for the domain that the headers name.

    Returns
    -------
    fields : dict
        What the body says.

    Raises
    ------
    OpenDSRError
        If the signature does not fit.
    """
    named = {name.lower(): value for name, value in headers.items()}
    signature = named.get("x-opendsr-signature", named.get("x-opengdpr-signature", ""))
    arguments = _arguments(public_key)
    if arguments is None:
        raise TypeError(
            f"public_key is of type {type(public_key).__name__}; expected a public key of "
            "cryptography. Take it from the certificate of the processor."
        )
    try:
        public_key.verify(base64.b64decode(signature, validate=True), body, *arguments)
    except Exception:  # InvalidSignature, and what Base64 raises
        refuse_field("X-OpenDSR-Signature", "does not fit the body", "the signature of the sender")
    try:
        found = parse_json(body, _LONGEST)
    except ValueError as error:
        refuse_field("the message", f"cannot be read: {error}", "JSON")
    return dict(found)
