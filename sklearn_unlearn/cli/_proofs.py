"""Commands that check: verify certificates and ledgers, search for what was forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sklearn_unlearn.audit import (
    CertificateError,
    Ledger,
    audit_residue,
    load_public_key,
    make_probe,
    verify,
    verify_ledger,
)
from sklearn_unlearn.cli._certificates import Scope, SigningKey, certify_entries, signer_of
from sklearn_unlearn.cli._options import (
    Items,
    Json,
    Pairs,
    StoreUrl,
    Users,
    existing_store,
    load_model,
    reader_of,
    request_fields,
    request_of,
)
from sklearn_unlearn.cli._show import say, show, show_rows
from sklearn_unlearn.utils._command import NOT_VERIFIED, VERIFIED

__all__ = ["COMMANDS"]

_ENTRY = ("sequence", "time", "action", "request_id", "guarantee", "outcome", "n_interactions")


def verify_(
    certificate: Annotated[Path, typer.Argument(help="Certificate, as JSON.")],
    public_key: Annotated[Path, typer.Option(help="Public key of whoever signed it.")],
    store: Annotated[
        str | None, typer.Option(help="Store whose ledger has to hold the entry.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Verify a certificate, offline: exit code 1 if anything does not fit."""
    text, key = certificate.read_bytes(), load_public_key(public_key.read_text(encoding="ascii"))
    try:
        ledger = None if store is None else Ledger(existing_store(store))
        body = verify(text, key, ledger_head=ledger).body
    except CertificateError as error:
        show({"verified": False, "problem": str(error)}, as_json)
        return NOT_VERIFIED
    shown = {"verified": True} | {name: body["checked"][name] for name in ("guarantee", "meaning")}
    for name in ("declared_scope", "not_in_scope"):
        shown[name] = body[name] if as_json else "; ".join(body[name])
    names = ("residual_count", "verify_method", "valid_until")
    show(shown | {name: body[name] for name in names}, as_json)
    return VERIFIED


def ledger(
    store: StoreUrl,
    check: Annotated[
        bool, typer.Option("--verify", help="Look for edits; exit code 1 if there are any.")
    ] = False,
    head: Annotated[
        str | None, typer.Option(help="A head kept elsewhere, NUMBER:HASH; implies --verify.")
    ] = None,
    as_json: Json = False,
) -> int:
    """List the entries of the ledger, or verify it."""
    existing_store(store)
    if not check and head is None:
        show_rows(Ledger(store).entries(), _ENTRY, as_json)
        return VERIFIED
    result = verify_ledger(store, head=None if head is None else _head(head))
    number, digest = result.head
    fields = {"valid": result.valid, "n_entries": result.n_entries, "problem": result.problem}
    show({**fields, "head": f"{number}:{digest}"}, as_json)
    return VERIFIED if result.valid else NOT_VERIFIED


def certify(
    store: StoreUrl,
    folder: Annotated[Path, typer.Argument(help="Where the certificates go.")],
    signing_key: SigningKey = None,
    scope: Scope = "the model",
    sequence: Annotated[
        int | None, typer.Option(help="Number of an entry of the ledger; all without.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write certificates of deletions that are in the ledger: later, or again."""
    if signing_key is None:
        raise ValueError(
            "--signing-key was not given; expected the file of a key. Make one by "
            "`sklearn-unlearn key --signing FILE`."
        )
    key, found = signer_of(folder, signing_key), Ledger(existing_store(store))
    entries = found.entries() if sequence is None else [found.entry(sequence)]
    show({"certificates": certify_entries(entries, key, scope, folder)}, as_json)


def residue(
    before: Annotated[Path, typer.Argument(help="Snapshot from before the request.")],
    artefacts: Annotated[list[Path], typer.Argument(help="Files and folders to search.")],
    user: Users = None,
    item: Items = None,
    pair: Pairs = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Do not fail for what could not be searched for.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Search files for what a request should have left no trace of.

    Exit code 1 if it did, or if not all of it could be searched for, such as short ids: anything
    holds a 42.
    """
    model = load_model(before)
    request = request_fields(reader_of(model, None), user, item, pair)
    if not request:
        raise ValueError("nothing is named; expected --user, --item or --pair. Pass one.")
    report = audit_residue(None, make_probe(model, request_of(model, request)), artefacts)
    show(report.to_dict(), as_json)
    if not report.complete:
        say("not all of the request could be searched for, or not all files read: see above")
    searched = report.n_patterns and (report.complete or partial)
    return VERIFIED if searched and not report.count else NOT_VERIFIED


def _head(text: str) -> tuple[int, str]:
    number, _, digest = text.partition(":")
    if not number.isdecimal() or not digest:
        raise ValueError(
            "--head is no number and hash with a colon between; expected what `ledger --verify` "
            "printed. Copy it."
        )
    return int(number), digest


COMMANDS = (verify_, ledger, certify, residue)
