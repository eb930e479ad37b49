"""One flush: a batch of requests is claimed, forgotten, and recorded, with a crash in any place.

What happens, and what a crash after it leaves for the next flush:

1. Requests are claimed: they can be cancelled no more. (They become pending again.)
2. The intent is written: what is to be forgotten, as resolved against this model. (From here on the
   next flush does the same over again, whether or not the model of step 4 was kept.)
3. The model forgets. (A model in memory is lost; the one in the file is as before.)
4. The digest of the new model is noted, and its file is replaced at once.
5. One transaction appends to the ledger, completes the requests, erases what they named, and makes
   of the intent a replay record, or nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sklearn_unlearn.audit._digest import digest_of
from sklearn_unlearn.audit._errors import StoreError
from sklearn_unlearn.audit._keys import Key
from sklearn_unlearn.audit._ledger import append
from sklearn_unlearn.audit._names import Names
from sklearn_unlearn.audit._records import (
    Named,
    forget_named,
    read_request,
    register,
    release,
    seal,
    unseal,
)
from sklearn_unlearn.audit._requests import DeletionRequest, write_id
from sklearn_unlearn.audit._scopes import Covered, Scopes, union
from sklearn_unlearn.audit._store import FlushLock, Store, Transaction

__all__ = ["Batch", "Flush"]


@dataclass(frozen=True, eq=False, repr=False)
class Batch:
    """Requests of one flush.

    Parameters
    ----------
    results : list of dict
        Number, request_id, outcome, counts and mark of each request.

    named : Named
        What is to be forgotten.

    generation : int or None
        Of the model that has forgotten it; None if there is nothing to forget.

    model_before : str
        Digest.

    resumed : bool
        Whether an earlier flush began with it.
    """

    results: list[dict[str, Any]]
    named: Named
    generation: int | None
    model_before: str
    resumed: bool = False


@dataclass(frozen=True, eq=False)
class Flush:
    """The steps of a flush, for one holder of the lock.

    Parameters
    ----------
    store, key, replay_key, mark_key, keep_for, scopes, now
        Of the service.

    lock : FlushLock
        Held by the caller.
    """

    store: Store
    key: Key
    replay_key: Key
    mark_key: Key | None
    keep_for: timedelta
    scopes: Scopes
    now: Callable[[], float]
    lock: FlushLock

    # -- steps 1 and 2 -----------------------------------------------------------------------------
    def resume(self) -> Batch | None:
        """Return the batch of a flush that did not end, if its intent was written."""
        replay, sql = self.store.tables.replay, self.store.sql
        with self.store.writing() as transaction:
            intended = transaction.state["generation"] + 1
            query = sql.select(replay.c.payload).where(replay.c.generation == intended)
            intent = transaction.run(query).scalar()
            if intent is None:
                release(self.store, transaction)
                return None
        content = unseal(self.key, intent, "intent", intended)
        named = Named.from_plain(content.pop("named"))
        return Batch(named=named, generation=intended, resumed=True, **content)

    def claim(self, model: Any, max_requests: int | None) -> Batch | None:
        """Claim the oldest pending requests, and write down what they cover.

        Those that name categories or dates of which the service knows nothing stay pending.
        """
        table, sql = self.store.tables.requests, self.store.sql
        with self.store.writing() as transaction:
            query = sql.select(table).where(table.c.status == "pending").order_by(table.c.number)
            taken = self._answerable(transaction.run(query).all(), max_requests)
            if not taken:
                return None
            update = sql.update(table).where(table.c.number == sql.bindparam("at"))
            numbers = [{"at": row.number} for row, _ in taken]
            transaction.run(update.values(status="in_progress"), numbers)
            intended = transaction.state["generation"] + 1
        try:
            batch = self._resolve(taken, model, intended)
            if batch.generation is not None:
                self._write_intent(batch)
        except Exception:
            with self.store.writing() as transaction:
                release(self.store, transaction)
            raise
        return batch

    def _answerable(self, rows: list[Any], most: int | None) -> list[tuple[Any, DeletionRequest]]:
        """Return the first rows that the service can resolve, each with its request."""
        taken: list[tuple[Any, DeletionRequest]] = []
        n_left = 0
        for row in rows:
            if len(taken) == most:
                break
            request = read_request(self.key, row)
            if self.scopes.knows(request):
                taken.append((row, request))
            else:
                n_left += 1
        if n_left:
            warnings.warn(
                f"{n_left} requests name categories or a date, of which this service knows "
                "nothing; expected its arguments categories and event_times (--categories and "
                "--events of a command). They stay pending: "
                "flush by a service that has them.",
                UserWarning,
                stacklevel=4,
            )
        return taken

    def _resolve(
        self, taken: list[tuple[Any, DeletionRequest]], model: Any, generation: int
    ) -> Batch:
        rows, requests = [row for row, _ in taken], [request for _, request in taken]
        names = Names(model)
        parts = self.scopes.cover_all(requests, names)
        results = list(map(self._result, rows, requests, parts))
        users, items, pairs = union(parts)
        pair_ids = zip(names.user_ids(pairs[:, 0]), names.item_ids(pairs[:, 1]), strict=True)
        held = Named(names.user_ids(users), names.item_ids(items), list(pair_ids))
        # What this model does not hold a backup may, or an export: it is written down as well.
        named = Named.union([held, *(self.scopes.named(one, names) for one in requests)])
        changes = any(vars(named).values())
        return Batch(results, named, generation if changes else None, digest_of(model))

    def _result(self, row: Any, request: DeletionRequest, covered: Covered) -> dict[str, Any]:
        return {
            "number": row.number,
            "request_id": row.request_id,
            "outcome": "forgotten" if covered.found else "not found",
            "n_interactions": covered.n_interactions,
            "n_users": covered.n_users,
            "n_items": covered.n_items,
            "mark": None if self.mark_key is None else self.mark_key.mark(request.to_bytes(), "id"),
        }

    def _write_intent(self, batch: Batch) -> None:
        content = {
            "results": batch.results,
            "named": batch.named.to_plain(),
            "model_before": batch.model_before,
        }
        sealed = seal(self.key, content, "intent", batch.generation)
        with self.store.writing() as transaction:
            insert = self.store.sql.insert(self.store.tables.replay)
            transaction.run(insert.values(generation=batch.generation, payload=sealed))

    # -- steps 3 and 4 -----------------------------------------------------------------------------
    def forget(self, batch: Batch, model: Any) -> dict[str, Any]:
        """Let the model forget; return what the ledger says about it."""
        before = getattr(model, "forget_report_", None)
        try:
            forget_named(model, batch.named)
        except Exception:
            if digest_of(model) == batch.model_before:
                with self.store.writing() as transaction:
                    release(self.store, transaction)
            raise
        report = getattr(model, "forget_report_", None)
        if report is None or (report is before and not batch.resumed):
            return {}
        wanted = ("method", "guarantee", "status", "residual", "seconds")
        return {name: value for name, value in asdict(report).items() if name in wanted}

    def note(self, batch: Batch, model: Any) -> str:
        """Note the digest of the model that has forgotten, before its file is written."""
        assert batch.generation is not None
        with self.store.writing(self.lock) as transaction:
            self._refuse_other(transaction, batch)
            return register(self.store, transaction, model, batch.generation)

    # -- step 5 ------------------------------------------------------------------------------------
    def finish(self, batch: Batch, told: dict[str, Any], model_after: str) -> None:
        """Complete the requests in one transaction."""
        now = self.now()
        with self.store.writing(self.lock) as transaction:
            self._refuse_other(transaction, batch)
            self._complete(transaction, batch, now)
            shared = {"action": "forget", "model_before": batch.model_before}
            shared |= {"model_after": model_after}
            entries = []
            for result in batch.results:
                own = {name: value for name, value in result.items() if name != "number"}
                entries.append(own | shared | (told if own["outcome"] == "forgotten" else {}))
            append(self.store, transaction, now, entries)
            transaction.state["epoch"] += 1
            if batch.generation is not None:
                transaction.state["generation"] = batch.generation
                self._keep_record(transaction, batch, now)
                self._keep_masks(transaction, batch.named.items)

    def _complete(self, transaction: Transaction, batch: Batch, now: float) -> None:
        table, sql = self.store.tables.requests, self.store.sql
        erased = {"payload": None, "fingerprint": None}
        update = sql.update(table).where(table.c.number == sql.bindparam("at"))
        update = update.values(
            status="completed", finished=now, outcome=sql.bindparam("said"), **erased
        )
        rows = [{"at": one["number"], "said": one["outcome"]} for one in batch.results]
        transaction.run(update, rows)

    def _keep_record(self, transaction: Transaction, batch: Batch, now: float) -> None:
        table, sql, place = self.store.tables.replay, self.store.sql, batch.generation
        kept = self.keep_for > timedelta(0)
        sealed = seal(self.replay_key, batch.named.to_plain(), "replay", place) if kept else None
        row = {"finished": now, "expires": now + self.keep_for.total_seconds(), "payload": sealed}
        transaction.run(sql.update(table).where(table.c.generation == place).values(row))

    def _keep_masks(self, transaction: Transaction, items: list[Any]) -> None:
        table, sql = self.store.tables.masks, self.store.sql
        marks = {mark_of_item(self.key, one): one for one in items}
        if not marks:
            return
        query = sql.select(table.c.mark)
        known = set(transaction.run(query).scalars())
        rows = [
            {"mark": mark, "payload": seal(self.key, write_id(one), "mask", mark)}
            for mark, one in marks.items()
            if mark not in known
        ]
        if rows:
            transaction.run(sql.insert(table), rows)

    # -- shared ------------------------------------------------------------------------------------
    def _refuse_other(self, transaction: Transaction, batch: Batch) -> None:
        if batch.generation not in (None, transaction.state["generation"] + 1):
            raise StoreError(
                "another process has flushed meanwhile; expected to hold the lock of this store. "
                "Flush again: nothing is lost, and nothing is done twice."
            )

    def expire(self) -> None:
        """Erase the replay records whose time is over."""
        table, sql = self.store.tables.replay, self.store.sql
        old = (table.c.expires < self.now()) & table.c.payload.is_not(None)
        with self.store.writing() as transaction:
            transaction.run(sql.update(table).where(old).values(payload=None))


def mark_of_item(key: Key, item: Any) -> str:
    """Return what stands for an item among the masks."""
    return key.mark(repr(write_id(item)).encode(), "mask")
