"""DeletionCertificate: a signed statement of what was deleted, and what was checked."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from sklearn_unlearn._forget_report import GUARANTEES
from sklearn_unlearn.audit._canonical import canonical_json, parse_json
from sklearn_unlearn.audit._certificate_text import as_html, as_markdown
from sklearn_unlearn.audit._errors import StoreError
from sklearn_unlearn.audit._signing_keys import key_name, load_public_key, load_signing_key

__all__ = ["CertificateError", "DeletionCertificate", "verify"]

_FORMAT = "sklearn-unlearn deletion certificate 1"
_LONGEST = 2**20
_LONGEST_TEXT = 500
_ACTIONS = ("forget", "replay")
_NOT_IN_SCOPE = (
    "backups and snapshots of storage",
    "logs",
    "exports and copies that were not registered",
    "models, caches and indexes other than those in the declared scope",
)
_COUNTS = ("n_interactions", "n_users", "n_items")
_OPTIONAL_TEXT = (str, type(None))
_NUMBER = (int, float, type(None))
# What each part of a certificate holds.
_PARTS: dict[str, dict[str, tuple[type, ...]]] = {
    "asked": {
        "request_id": (str,),
        "action": (str,),
        "time": (str,),
        **dict.fromkeys(_COUNTS, (int,)),
    },
    "done": {
        "method": (str,),
        "status": _OPTIONAL_TEXT,
        "outcome": _OPTIONAL_TEXT,
        "model_before": _OPTIONAL_TEXT,
        "model_after": (str,),
        "versions": _OPTIONAL_TEXT,
        "seconds": _NUMBER,
    },
    "checked": {
        "guarantee": (str,),
        "meaning": (str,),
        "residual": _NUMBER,
        "residual_meaning": (str,),
    },
    "audit_head": {"sequence": (int,), "hash": (str,)},
}
_FIELDS: dict[str, tuple[type, ...]] = {
    "format": (str,),
    "issued": (str,),
    "valid_until": _OPTIONAL_TEXT,
    "verify_method": (str,),
    "residual_count": (int, type(None)),
    "declared_scope": (list,),
    "not_in_scope": (list,),
    **dict.fromkeys(_PARTS, (dict,)),
}
_RESIDUALS = {
    "exact": "the arithmetic error that was measured; none where it is 0",
    "certified": "what is left of the gradient of the retained objective, of what it was before",
    "residual-bounded": "what is left of the gradient of the retained objective, of what it was "
    "before; its tolerance was met",
    "rows-solved": "what is left of the gradient in the rows that lost something, of what it was "
    "before",
    "one-step": "what is left of the gradient of the retained objective, of what it was before; "
    "no tolerance was promised",
    "refit": "none: nothing of the model before was used",
}


class CertificateError(ValueError):
    """A certificate is malformed, was changed, or is not signed by the key.

    Examples
    --------
    >>> from sklearn_unlearn.audit import CertificateError
    >>> issubclass(CertificateError, ValueError)
    True
    """


def _refuse(problem: str, expected: str, advice: str) -> NoReturn:
    raise CertificateError(f"the certificate {problem}; expected {expected}. {advice}") from None


@dataclass(frozen=True)
class DeletionCertificate:
    """A signed statement of one deletion: what was asked, what was done, and what was checked.

    It holds counts, words and digests; no ids. It says what the software did, and what it did not
    look at; whether that satisfies a law is for others to say. Anyone with the public key can
    verify it, without the model and without a network.

    Parameters
    ----------
    body : dict
        The statement, of values that JSON has.

    key : str
        16 hexadecimal digits that name the public key.

    signature : bytes
        Ed25519 over the canonical JSON of `body`.

    See Also
    --------
    verify : Check the signature, and the ledger.

    Examples
    --------
    >>> from sklearn_unlearn.audit import DeletionCertificate, generate_signing_key, verify
    >>> entry = {
    ...     "sequence": 7, "time": "2026-03-01T09:00:00Z", "action": "forget",
    ...     "request_id": "9f0c7a52-6c1e-4d0a-8f43-0c4b3a1d7e11",
    ...     "n_interactions": 31, "n_users": 1, "n_items": 31, "method": "downdate",
    ...     "guarantee": "exact", "status": "converged", "outcome": "done", "residual": 0.0,
    ...     "model_before": "a" * 64, "model_after": "b" * 64, "versions": "sklearn-unlearn 0.1",
    ...     "seconds": 0.2, "previous": "c" * 64, "hash": "d" * 64}
    >>> key = generate_signing_key()
    >>> certificate = DeletionCertificate.from_entry(entry, key=key, scope="model and index")
    >>> certificate
    <DeletionCertificate of 31 interactions, exact, ledger entry 7>
    >>> verify(certificate.to_json(), key.public_key()) == certificate
    True
    """

    body: Mapping[str, Any]
    key: str
    signature: bytes

    def __post_init__(self) -> None:
        _check_body(self.body)

    def __repr__(self) -> str:
        count, word = self.body["asked"]["n_interactions"], self.body["checked"]["guarantee"]
        sequence = self.body["audit_head"]["sequence"]
        return f"<DeletionCertificate of {count} interactions, {word}, ledger entry {sequence}>"

    @classmethod
    def from_entry(
        cls,
        entry: Mapping[str, Any],
        *,
        key: Any,
        scope: str | Iterable[str],
        residue: Any = None,
        verified: str | None = None,
        valid_until: str | datetime.datetime | None = None,
    ) -> Self:
        """Make and sign the certificate of an entry of a ledger.

        Parameters
        ----------
        entry : mapping
            Of the action "forget" or "replay".

        key : Ed25519PrivateKey, or PEM text
            Signs it.

        scope : str or iterable of str
            What the deletion covered, in words: the model, its index, registered exports. It is
            published as it is, so name no person in it.

        residue : ResidueReport, int or None, default=None
            What `audit_residue` found afterwards, or how much. None: nobody looked.

        verified : str or None, default=None
            How the deletion was verified, in words. None: by the audit, or by the report alone.

        valid_until : str, datetime or None, default=None
            Until when the statement holds, for instance the next restore of a backup.

        Returns
        -------
        certificate : DeletionCertificate
            Signed.

        Raises
        ------
        CertificateError
            If the entry is of no deletion, or a text claims more than software can know.
        ValueError
            If the key is none.
        """
        key = load_signing_key(key)
        count = residue if residue is None else int(getattr(residue, "count", residue))
        body = _body_of(entry) | {
            "declared_scope": [scope] if isinstance(scope, str) else list(scope),
            "residual_count": count,
            "verify_method": verified or ("report" if count is None else "residue audit"),
            "valid_until": _time(valid_until),
        }
        _check_body(body)
        signature = key.sign(canonical_json(body).encode("ascii"))
        return cls(body, key_name(key), signature)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a certificate; `verify` checks it.

        Parameters
        ----------
        text : str or bytes
            Of `to_json`, to the last byte.

        Returns
        -------
        certificate : DeletionCertificate
            Not verified.

        Raises
        ------
        CertificateError
            If it is malformed.
        """
        try:
            value = parse_json(text, _LONGEST)
        except ValueError as error:
            _refuse(f"cannot be read: {error}", "the text of to_json", "Ask for another copy.")
        found = value if isinstance(value, dict) else {}
        parts = [found.get(name) for name in ("certificate", "key", "signature")]
        if found.keys() != {"certificate", "key", "signature"} or not (
            isinstance(parts[0], dict) and all(isinstance(one, str) for one in parts[1:])
        ):
            _refuse("has other parts", "certificate, key and signature", "Ask for another copy.")
        try:
            signature = base64.b64decode(found["signature"], validate=True)
        except ValueError:
            _refuse("has no signature in Base64", "64 bytes", "Ask for another copy.")
        made = cls(found["certificate"], found["key"], signature)
        if made.to_json() != (text.decode("utf-8") if isinstance(text, bytes) else text):
            _refuse("is written in another form", "the text of to_json", "Ask for another copy.")
        return made

    def to_dict(self) -> dict[str, Any]:
        """Return the certificate as values that JSON has."""
        signature = base64.b64encode(self.signature).decode("ascii")
        return {"certificate": dict(self.body), "key": self.key, "signature": signature}

    def to_json(self) -> str:
        """Return the certificate as one line of canonical JSON; this is the file to keep."""
        return canonical_json(self.to_dict()) + "\n"

    def to_markdown(self) -> str:
        """Return the certificate as Markdown, to read; what is verified is the JSON."""
        return as_markdown(self.to_dict())

    def to_html(self) -> str:
        """Return the certificate as a page of its own, light or dark, and ready to print."""
        return as_html(self.to_dict(), page=True)

    def _repr_html_(self) -> str:
        return as_html(self.to_dict(), page=False)


def verify(
    certificate: DeletionCertificate | str | bytes, public_key: Any, *, ledger_head: Any = None
) -> DeletionCertificate:
    """Verify a certificate: that the key signed it, and that the ledger still holds its entry.

    Parameters
    ----------
    certificate : DeletionCertificate, or its JSON
        Text is verified to the last byte.

    public_key : Ed25519PublicKey, or PEM text
        From its owner, not from where the certificate is.

    ledger_head : tuple (sequence, hash), Ledger or None, default=None
        The head of the ledger today: a ledger that ends before the entry, or at another entry of
        its number, has been changed. With a ledger the entry itself is looked up.

    Returns
    -------
    certificate : DeletionCertificate
        The one that was verified.

    Raises
    ------
    CertificateError
        If anything does not fit. What the certificate says is then worth nothing.

    Examples
    --------
    >>> from sklearn_unlearn.audit import generate_signing_key, verify
    >>> verify('{"certificate": {}}', generate_signing_key())
    Traceback (most recent call last):
    ...
    sklearn_unlearn.audit._certificate.CertificateError: the certificate has other parts; ...
    """
    if not isinstance(certificate, DeletionCertificate):
        if not isinstance(certificate, str | bytes):
            raise TypeError(
                f"certificate is of type {type(certificate).__name__}; expected a "
                "DeletionCertificate or its JSON. Read the file as text."
            )
        certificate = DeletionCertificate.from_json(certificate)
    key = load_public_key(public_key)
    if certificate.key != key_name(key):
        _refuse("names another key", "the key that signed it", "Ask its owner which key that is.")
    try:
        key.verify(certificate.signature, canonical_json(certificate.body).encode("ascii"))
    except Exception:  # InvalidSignature, of a package that is imported when it is needed
        _refuse("was changed", "what was signed", "Ask for another copy.")
    if ledger_head is not None:
        _check_ledger(certificate.body["audit_head"], ledger_head)
    return certificate


def _check_ledger(head: Mapping[str, Any], ledger: Any) -> None:
    advice = "Verify the ledger."
    looked_up = hasattr(ledger, "entry")
    try:
        sequence, digest = ledger.head() if looked_up else ledger
    except StoreError:
        _refuse("was not found: the ledger cannot be read", "a ledger that is whole", advice)
    if sequence < head["sequence"]:
        _refuse("is of an entry after the end of the ledger", "a ledger that holds it", advice)
    if looked_up:
        sequence = head["sequence"]
        try:
            digest = ledger.entry(sequence)["hash"]
        except (LookupError, ValueError, TypeError, StoreError):  # deleted, or no entry any more
            _refuse("is of an entry that is not in the ledger", "a ledger that holds it", advice)
    if sequence == head["sequence"] and digest != head["hash"]:
        _refuse("is of another entry of that number", "the entry of the ledger", advice)


def _body_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a ledger says of a deletion."""
    action, word = entry.get("action"), entry.get("guarantee")
    if action not in _ACTIONS or word not in GUARANTEES:
        _refuse(
            "cannot be made of this entry, which is of no finished deletion, or of one that found "
            "nothing",
            "an entry with the action forget or replay and a guarantee",
            "Choose the entry of the flush.",
        )
    body: dict[str, Any] = {"format": _FORMAT, "issued": _time(datetime.datetime.now(datetime.UTC))}
    for part in ("asked", "done", "audit_head"):
        body[part] = {name: entry.get(name) for name in _PARTS[part]}
    body["checked"] = {
        "guarantee": word,
        "meaning": GUARANTEES[str(word)],
        "residual": entry.get("residual"),
        "residual_meaning": _RESIDUALS[str(word)],
    }
    body["not_in_scope"] = list(_NOT_IN_SCOPE)
    return body


def _time(moment: str | datetime.datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC."""
    if isinstance(moment, datetime.datetime):
        if moment.tzinfo is None:
            _refuse("has a time without a zone", "one with a zone", "Add tzinfo=datetime.UTC.")
        moment = moment.astimezone(datetime.UTC).isoformat(timespec="seconds")
        return moment.replace("+00:00", "Z")
    return moment


def _check_body(body: Any) -> None:
    """Refuse a statement with other fields, or of other types."""
    _check_fields(body, _FIELDS, "")
    for part, fields in _PARTS.items():
        _check_fields(body[part], fields, f"{part}.")
    if body["format"] != _FORMAT:
        _refuse("has another format", repr(_FORMAT), "Read it by the version that wrote it.")
    if body["checked"]["guarantee"] not in GUARANTEES:
        _refuse("has an unknown guarantee", "a word of GUARANTEES", "Ask for another copy.")
    for name in ("issued", "valid_until"):
        _check_time(body[name], name)
    texts = [*body["declared_scope"], *body["not_in_scope"]]
    if not body["declared_scope"] or not all(isinstance(one, str) and one for one in texts):
        _refuse("has no declared_scope", "texts that name what was covered", "Say what was.")
    for name, one in [("a scope", text) for text in texts] + [
        ("verify_method", body["verify_method"])
    ]:
        if len(one) > _LONGEST_TEXT or "complian" in one.casefold() or not one.isprintable():
            _refuse(
                f"has a text in {name} that is long, unprintable, or claims to satisfy a law",
                f"at most {_LONGEST_TEXT} characters that say what was done",
                "Say what was checked instead.",
            )


def _check_fields(found: Any, fields: Mapping[str, tuple[type, ...]], where: str) -> None:
    if not isinstance(found, Mapping) or found.keys() != fields.keys():
        _refuse(
            f"has other fields{f' in {where[:-1]}' if where else ''}",
            "those of its format",
            "Ask for another copy.",
        )
    for name, kinds in fields.items():
        value = found[name]
        if not isinstance(value, kinds) or isinstance(value, bool):
            _refuse(
                f"has a wrong type in {where}{name}",
                " or ".join(k.__name__ for k in kinds),
                "Ask for another copy.",
            )
        if isinstance(value, int | float) and value < 0:
            _refuse(f"has a negative number in {where}{name}", "a count", "Ask for another copy.")
        if isinstance(value, str) and len(value) > _LONGEST_TEXT:
            _refuse(
                f"has a long text in {where}{name}",
                f"at most {_LONGEST_TEXT} characters",
                "Shorten it.",
            )


def _check_time(text: str | None, name: str) -> None:
    try:
        if text is not None:
            datetime.datetime.fromisoformat(text)
    except ValueError:
        _refuse(f"has no time in {name}", "ISO 8601", "Write it as 2026-03-01T09:00:00Z.")
