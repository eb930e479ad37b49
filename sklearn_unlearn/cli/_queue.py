"""Commands on a store of deletion requests: submit, status, cancel, flush, replay."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from sklearn_unlearn.audit import (
    DeletionQueue,
    DeletionService,
    RequestStatus,
    replay,
)
from sklearn_unlearn.cli._certificates import Scope, SigningKey, certify_entries, signer_of
from sklearn_unlearn.cli._options import (
    Before,
    Categories,
    IdType,
    Items,
    Json,
    KeyFile,
    Model,
    Pairs,
    StoreUrl,
    Users,
    existing_store,
    key_of,
    load_model,
    read_requests,
    reader_of,
    request_fields,
)
from sklearn_unlearn.cli._show import say, show, show_rows
from sklearn_unlearn.cli._side_tables import CategoryFile, EventFile, side_tables
from sklearn_unlearn.utils._command import NOT_VERIFIED, VERIFIED

__all__ = ["COMMANDS"]

_STATUS = ("request_id", "status", "outcome", "received", "due", "finished", "overdue")


def submit(
    store: StoreUrl,
    user: Users = None,
    item: Items = None,
    pair: Pairs = None,
    category: Categories = None,
    before: Before = None,
    received: Annotated[
        datetime | None, typer.Option(help="When the person asked, in UTC; now without.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="JSON lines, a request each, instead of the options above.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Snapshot by which the request is checked.")
    ] = None,
    id_type: Annotated[
        IdType | None, typer.Option(help="What ids are, without --model; in a file, what text is.")
    ] = None,
    request_id: Annotated[
        str | None, typer.Option(help="Your reference; it stays in the ledger.")
    ] = None,
    regulation: Annotated[str, typer.Option(help="gdpr, ccpa or none: the deadline.")] = "gdpr",
    categories: CategoryFile = None,
    events: EventFile = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Take deletion requests in: they are masked at once, and forgotten by the next flush."""
    served = None if model is None else load_model(model)
    named = user, item, pair, category, before
    if file is None:
        fields = request_fields(reader_of(served, id_type), *named)
        fields |= {"request_id": request_id, "regulation": _regulation(regulation)}
        requests: list[Any] = [fields | {"received": received}]
    else:
        _refuse_both(named, request_id, received)
        known = served is not None or id_type is not None
        requests = list(read_requests(file, reader_of(served, id_type) if known else None))
    tables = side_tables(served, categories, events)
    with _queue(store, served, model, key_file, tables) as queue:
        taken = queue.submit_many(requests)
    show_rows(_listed(taken), _STATUS, as_json)
    n_ended = sum(one.finished is not None for one in taken)
    if n_ended:
        say(
            f"{n_ended} of {len(taken)} have the reference of a request that has ended: nothing "
            "was taken in for them. Submit what is new under another reference"
        )


def status(
    store: StoreUrl,
    request_id: Annotated[str | None, typer.Argument(help="Its reference; all without.")] = None,
    overdue: Annotated[
        bool, typer.Option("--overdue", help="List those past their deadline; exit code 1 if any.")
    ] = False,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> int:
    """Tell where requests stand: one of them, or all that are open."""
    with DeletionQueue(existing_store(store), key=key_of(key_file)) as queue:
        if request_id is not None:
            found = [queue.status(request_id)]
        else:
            found = queue.pending(overdue=overdue)
    show_rows(_listed(found), _STATUS, as_json)
    return NOT_VERIFIED if overdue and any(one.overdue for one in found) else VERIFIED


def cancel(
    store: StoreUrl,
    request_id: Annotated[str, typer.Argument(help="Its reference.")],
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Withdraw a request that has not been flushed."""
    with DeletionQueue(existing_store(store), key=key_of(key_file)) as queue:
        show_rows(_listed([queue.cancel(request_id)]), _STATUS, as_json)


def flush(
    store: StoreUrl,
    model: Model,
    max_requests: Annotated[int | None, typer.Option(min=1, help="The oldest so many.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go; change nothing.")
    ] = False,
    certificates: Annotated[
        Path | None, typer.Option(help="Folder for a signed certificate of each request.")
    ] = None,
    signing_key: SigningKey = None,
    scope: Scope = "the model",
    categories: CategoryFile = None,
    events: EventFile = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> int:
    """Forget all that is pending in one batch, and replace the snapshot.

    Exit code 1 if requests are left that name categories or a date, and no file was given for them.
    """
    signer, found = signer_of(certificates, signing_key), load_model(model)
    tables = side_tables(found, categories, events)
    key = key_of(key_file)
    with DeletionService(found, existing_store(store), model, key=key, **tables) as service:
        if dry_run:
            overdue = len(service.pending(overdue=True))
            preview = service.preview()
            show({**asdict(preview), "n_overdue": overdue}, as_json)
            return NOT_VERIFIED if preview.n_left else VERIFIED
        first = service.ledger.head()[0]
        report = service.flush(max_requests)
        entries = [one for one in service.ledger.entries() if one["sequence"] > first]
    fields = asdict(report) | {"report": None if report.report is None else report.report.to_dict()}
    if not as_json:
        told = fields.pop("report") or {}
        fields |= {name: told.get(name) for name in ("guarantee", "residual", "status")}
    if signer is not None and certificates is not None:
        fields["certificates"] = certify_entries(entries, signer, scope, certificates)
    show(fields, as_json)
    if report.busy:
        say("another process is flushing; nothing was done here")
    return NOT_VERIFIED if report.n_left else VERIFIED


def replay_(
    store: StoreUrl,
    model: Annotated[Path, typer.Argument(help="Restored snapshot; it is replaced.")],
    since: Annotated[
        datetime | None,
        typer.Option(help="The model was fitted without what was deleted before, in UTC."),
    ] = None,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="Services load this snapshot in place of their model."),
    ] = False,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Forget in a restored snapshot what was forgotten since it was taken."""
    found, key = load_model(model), key_of(key_file)
    report = replay(
        found, existing_store(store), key=key, path=model, since=since, take_over=take_over
    )
    show(asdict(report), as_json)


def _refuse_both(named: tuple[Any, ...], *more: Any) -> None:
    """Refuse a request in options beside a file of them."""
    if any((*named, *more)):
        raise ValueError(
            "--file was given together with a request in options; expected one of them. Put "
            "all requests into the file."
        )


def _regulation(text: str) -> str | None:
    return None if text == "none" else text


def _queue(
    store: str, model: Any, path: Path | None, key_file: Path | None, tables: dict[str, Any]
) -> DeletionQueue:
    """Return the queue; with a model, that which checks requests by it."""
    if model is None:
        return DeletionQueue(store, key=key_of(key_file))
    return DeletionService(model, store, path, key=key_of(key_file), **tables)


def _listed(statuses: list[RequestStatus]) -> list[dict[str, Any]]:
    rows = [asdict(one) for one in statuses]
    for row in rows:
        for name in ("received", "due", "finished"):
            row[name] = None if row[name] is None else f"{row[name]:%Y-%m-%dT%H:%M:%SZ}"
    return rows


COMMANDS = (submit, status, cancel, flush, replay_)
