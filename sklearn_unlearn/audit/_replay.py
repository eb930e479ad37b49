"""Replay: a restored snapshot forgets what was forgotten after it was stored."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sklearn_unlearn.audit._digest import digest_of
from sklearn_unlearn.audit._errors import StaleModelError, StoreError
from sklearn_unlearn.audit._keys import Key
from sklearn_unlearn.audit._ledger import append
from sklearn_unlearn.audit._records import (
    Named,
    forget_named,
    generation_of,
    is_known,
    register,
    release,
    seal,
    unseal,
)
from sklearn_unlearn.audit._requests import utc_seconds
from sklearn_unlearn.audit._snapshots import save
from sklearn_unlearn.audit._store import Store, Transaction, open_store
from sklearn_unlearn.utils._html import html_card, html_table

__all__ = ["ReplayReport", "replay", "replay_held"]


@dataclass(frozen=True)
class ReplayReport:
    """What a replay did.

    Parameters
    ----------
    n_records : int
        Flushes that the model had not seen.

    n_interactions : int
        Interactions that it held, and has forgotten.

    generation : int
        Number of the flush up to which it has forgotten.

    seconds : float
        Wall-clock time.

    Examples
    --------
    >>> import copy
    >>> from sklearn_unlearn import ItemKNN
    >>> from sklearn_unlearn.audit import DeletionService, generate_key, replay
    >>> model = ItemKNN(2).fit([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    >>> backup, key = copy.deepcopy(model), generate_key()
    >>> service = DeletionService(model, ":memory:", key=key)
    >>> _ = service.submit(users=[0]), service.flush()
    >>> report = replay(backup, service.store, key=key)
    >>> report.n_records, report.n_interactions
    (1, 2)
    """

    n_records: int
    n_interactions: int
    generation: int
    seconds: float

    def _repr_html_(self) -> str:
        caption = f"Replay of {self.n_records} flush{'es' * (self.n_records != 1)}"
        return html_card(html_table(caption, vars(self).items()))


def replay(
    model: Any,
    store: Store | str | os.PathLike[str],
    *,
    key: str | bytes,
    path: str | os.PathLike[str] | None = None,
    since: datetime | None = None,
    format: str = "skops",
    take_over: bool = False,
) -> ReplayReport:
    """Bring a restored model up to date with a store of deletion requests.

    The store knows the digests of the models that its service made, and so up to which flush a
    snapshot has forgotten. What was forgotten after that is forgotten again, in one batch. What the
    model does not hold is passed over, so a replay does no harm, and may be repeated.

    Parameters
    ----------
    model : estimator or pipeline
        Changed in place. One that the store has never seen forgets all that is recorded.

    store : Store, path or URL
        The store of the service.

    key : str
        The key of the replay records: the service's `replay_key`, or else its key.

    path : path-like or None, default=None
        Where to save the model.

    since : datetime or None, default=None
        A promise of yours: the model was fitted on data from which everything was gone that was
        forgotten before this moment. For models that were fitted anew, or have learned since.

    format : {"skops", "joblib"}, default="skops"
        Of the file, as in `save`.

    take_over : bool, default=False
        Whether `path` is that of the services, and they are to load this model from it. False is
        for copies elsewhere.

    Returns
    -------
    report : ReplayReport
        In the ledger, it is an entry "replay".

    Raises
    ------
    StaleModelError
        If a record that is needed has expired: the snapshot is older than `keep_for`.
    StoreError
        If a flush is running.
    ValueError
        If the key is not that of the records, or the model is of another shape.

    Examples
    --------
    >>> import copy
    >>> from sklearn_unlearn import ItemKNN
    >>> from sklearn_unlearn.audit import DeletionService, generate_key, replay
    >>> model = ItemKNN(2).fit([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    >>> backup, key = copy.deepcopy(model), generate_key()
    >>> service = DeletionService(model, ":memory:", key=key)
    >>> request = service.submit(users=[0])
    >>> _ = service.flush()
    >>> replay(backup, service.store, key=key).n_interactions
    2
    >>> replay(backup, service.store, key=key).n_records
    0
    """
    if take_over and path is None:
        raise ValueError(
            "take_over is True and path is None; expected the path from which the services load "
            "their model. Pass it."
        )
    opened = open_store(store)
    try:
        with opened.flush_lock() as lock:
            if lock is None:
                raise StoreError(
                    "a flush is running; expected that none is, as it changes what is to be "
                    "replayed. Try again when it is done."
                )
            options = (path, since, format, None, take_over)
            return replay_held(model, opened, Key(key), *options)
    finally:
        if opened is not store:
            opened.close()


def replay_held(
    model: Any,
    store: Store,
    key: Key,
    path: str | os.PathLike[str] | None,
    since: datetime | None,
    format: Any,
    now: float | None = None,
    take_over: bool | None = False,
) -> ReplayReport:
    """Replay, by the holder of the lock; with None, only what is not the newest takes over."""
    started, before = time.perf_counter(), digest_of(model)
    now = time.time() if now is None else now
    records, generation, is_newest = _missing_records(store, key, before, since)
    n_before = model._interactions.n_interactions
    if records:
        forget_named(model, Named.union(records))
    n_gone = n_before - model._interactions.n_interactions
    if path is not None:
        save(model, path, format=format)
    seconds = time.perf_counter() - started
    with store.writing() as transaction:
        if take_over or (take_over is None and not is_newest):
            generation = _add_generation(store, transaction, key, now)
        after = register(store, transaction, model, generation)
        entry = {
            "request_id": str(uuid.uuid4()),
            "action": "replay",
            "n_interactions": n_gone,
            "model_before": before,
            "model_after": after,
            "seconds": seconds,
            "outcome": "forgotten" if n_gone else "nothing to forget",
        }
        append(store, transaction, now, [entry])
    return ReplayReport(len(records), n_gone, generation, seconds)


def _add_generation(store: Store, transaction: Transaction, key: Key, now: float) -> int:
    """Count a generation that forgot nothing, so that all who serve an older one load this."""
    release(store, transaction)  # the intent of a flush that did not end has this number
    number = transaction.state["generation"] + 1
    payload = seal(key, Named().to_plain(), "replay", number)
    row = {"generation": number, "finished": now, "expires": None, "payload": payload}
    transaction.run(store.sql.insert(store.tables.replay).values(row))
    transaction.state["generation"] = number
    transaction.state["epoch"] += 1
    return int(number)


def _missing_records(
    store: Store, key: Key, digest: str, since: datetime | None
) -> tuple[list[Named], int, bool]:
    """Return the records that a model has not seen, the newest generation, and if it is of that."""
    table, sql = store.tables.replay, store.sql
    with store.reading() as connection:
        newest = connection.execute(sql.select(store.tables.state.c.generation)).scalar_one()
        reached = generation_of(store, connection, digest)
        is_newest = reached == newest and is_known(store, connection, digest)
        done = sql.select(table).where(table.c.finished.is_not(None)).order_by(table.c.generation)
        rows = connection.execute(done).all()
    if since is not None:
        moment = utc_seconds(since, "since")
        reached = max([reached, *(row.generation for row in rows if row.finished < moment)])
    rows = [row for row in rows if row.generation > reached]
    n_lost = sum(row.payload is None for row in rows)
    if n_lost:
        raise StaleModelError(
            f"{n_lost} of the {len(rows)} records that the model has not seen are gone; expected a "
            "snapshot no older than keep_for. Delete it, and fit a model on the data of today; "
            "replay that with since=."
        )
    named = [Named.from_plain(unseal(key, row.payload, "replay", row.generation)) for row in rows]
    return named, newest, is_newest
