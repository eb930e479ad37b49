"""Queue of deletion requests: submitting, looking up, cancelling, and deadlines."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from sklearn_unlearn.audit._keys import Key, generate_key
from sklearn_unlearn.audit._ledger import Ledger, append
from sklearn_unlearn.audit._requests import DeletionRequest, due_time, utc_seconds
from sklearn_unlearn.audit._store import Store, Transaction, open_prepared
from sklearn_unlearn.utils._html import html_card, html_table

__all__ = ["DeletionQueue", "RequestStatus"]

OPEN = ("pending", "in_progress")


@dataclass(frozen=True)
class RequestStatus:
    """Where a deletion request stands; it does not say what the request names.

    Parameters
    ----------
    request_id : str
        Reference of the request.

    status : {"pending", "in_progress", "completed", "cancelled"}
        The words are those of OpenDSR.

    outcome : str or None
        Of a completed request: "forgotten", or "not found" where the model held nothing of it.

    received, due, finished : datetime or None
        In UTC.

    overdue : bool
        Whether the request is open after its deadline.

    Examples
    --------
    >>> from sklearn_unlearn.audit import DeletionQueue
    >>> queue = DeletionQueue(":memory:")
    >>> status = queue.submit(users=[0], request_id="ticket-1")
    >>> status.status, status.overdue
    ('pending', False)
    """

    request_id: str
    status: str
    outcome: str | None
    received: datetime
    due: datetime | None
    finished: datetime | None
    overdue: bool

    def _repr_html_(self) -> str:
        return html_card(html_table("Deletion request", vars(self).items()), mark=self.status)


class DeletionQueue:
    """The part of a `DeletionService` that needs no model: for processes that take requests in.

    Parameters
    ----------
    store : Store, path or URL
        The store of the service.

    key : str
        The key of the store, from `generate_key`.

    Examples
    --------
    >>> from sklearn_unlearn.audit import DeletionQueue, generate_key
    >>> queue = DeletionQueue(":memory:", key=generate_key())
    >>> queue.submit(users=["al"], request_id="ticket-1").status
    'pending'
    >>> queue.submit(users=["al"], request_id="ticket-1").status    # delivered twice
    'pending'
    >>> queue.cancel("ticket-1").status
    'cancelled'
    """

    _now: Callable[[], float] = staticmethod(time.time)

    def __init__(
        self, store: Store | str | os.PathLike[str], *, key: str | bytes | None = None
    ) -> None:
        if key is None:
            in_memory = store == ":memory:" or (isinstance(store, Store) and store.in_memory)
            if not in_memory:
                raise TypeError(
                    "key is None; expected a key, as the store outlives this process. Make one by "
                    "generate_key, and keep it where the store is not."
                )
            key = generate_key()
        self._key = Key(key)
        self.store = open_prepared(store, self._key.mark(b"", "check"))
        self.ledger = Ledger(self.store)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.pending())} open requests>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the store."""
        self.store.close()

    def submit(self, request: DeletionRequest | None = None, **fields: Any) -> RequestStatus:
        """Take a deletion request in; it is on the disk, encrypted, when this returns.

        Parameters
        ----------
        request : DeletionRequest or None, default=None
            The request; or else its fields:
        **fields : dict
            ``users``, ``items``, ``interactions``, ``categories``, ``before``, ``request_id``,
            ``regulation``, ``received``; see `DeletionRequest`.

        Returns
        -------
        status : RequestStatus
            Of the request; where its ``request_id`` is known already, of the first one.

        Raises
        ------
        TypeError, ValueError
            If the request cannot be read, or another request is open under its ``request_id``.
            Nothing has changed.
        StoreError
            If the store could not be written.

        Notes
        -----
        Under the ``request_id`` of a request that has ended nothing is taken in, whatever it names:
        what the first one named is erased, so that nobody can compare them. The status is that of
        the first, "completed" or "cancelled".
        """
        if request is None:
            request = DeletionRequest(**fields)
        elif fields:
            raise TypeError(
                f"submit got a request and {len(fields)} fields; expected one of them. Put the "
                "fields into the request."
            )
        return self.submit_many([request])[0]

    def submit_many(self, requests: Iterable[Any]) -> list[RequestStatus]:
        """Take requests in, all in one transaction: many times as fast as one by one.

        Parameters
        ----------
        requests : iterable of DeletionRequest, or of dict of its fields
            If one is refused, none is taken in.

        Returns
        -------
        statuses : list of RequestStatus
            In the order of the requests.
        """
        read = [DeletionRequest.from_any(one, place) for place, one in enumerate(requests)]
        for one in read:
            self._check(one)
        now = self._now()
        rows = [self._row(one, now) for one in read]
        if not rows:
            return []
        with self.store.writing() as transaction:
            self._insert(transaction, rows, now)
            return self._statuses(transaction.connection, [row["request_id"] for row in rows], now)

    def status(self, request_id: str) -> RequestStatus:
        """Return where a request stands.

        Parameters
        ----------
        request_id : str
            Its reference.

        Returns
        -------
        status : RequestStatus
            Kept after the request is done; it holds no ids.

        Raises
        ------
        KeyError
            If there is no such request.
        """
        with self.store.reading() as connection:
            return self._statuses(connection, [request_id], self._now())[0]

    def pending(self, *, overdue: bool = False) -> list[RequestStatus]:
        """List the requests that are open, those in progress too, the most urgent first.

        Parameters
        ----------
        overdue : bool, default=False
            Whether to list those alone whose deadline has passed.

        Returns
        -------
        statuses : list of RequestStatus
            By deadline.
        """
        table, now = self.store.tables.requests, self._now()
        with self.store.reading() as connection:
            query = self.store.sql.select(table).where(table.c.status.in_(OPEN))
            found = [_status(row, now) for row in connection.execute(query)]
        last = datetime.max.replace(tzinfo=UTC)
        found.sort(key=lambda one: (one.due or last, one.received))
        return [one for one in found if one.overdue or not overdue]

    def cancel(self, request_id: str) -> RequestStatus:
        """Withdraw a request before it is done: nothing is masked or forgotten for it any more.

        Parameters
        ----------
        request_id : str
            Its reference.

        Returns
        -------
        status : RequestStatus
            What it names is erased from the store. To cancel it again changes nothing.

        Raises
        ------
        KeyError
            If there is no such request.
        ValueError
            If it is in progress or completed.
        """
        table, now = self.store.tables.requests, self._now()
        with self.store.writing() as transaction:
            status = self._statuses(transaction.connection, [request_id], now)[0]
            if status.status == "pending":
                update = self.store.sql.update(table).where(table.c.request_id == request_id)
                erased = {"payload": None, "fingerprint": None}
                transaction.run(update.values(status="cancelled", finished=now, **erased))
                transaction.state["epoch"] += 1
                entry = {"request_id": request_id, "action": "cancel", "outcome": "cancelled"}
                append(self.store, transaction, now, [entry])
                status = self._statuses(transaction.connection, [request_id], now)[0]
        if status.status != "cancelled":
            raise ValueError(
                f"the request is {status.status.replace('_', ' ')}; expected a pending one. What "
                "is forgotten can only be learned again."
            )
        self.store.erase()
        return status

    # -- rows --------------------------------------------------------------------------------------
    def _check(self, request: DeletionRequest) -> None:
        """Refuse what the model cannot read; without a model there is nothing to hold it to."""

    def _row(self, request: DeletionRequest, now: float) -> dict[str, Any]:
        reference = str(uuid.uuid4()) if request.request_id is None else request.request_id
        received = now if request.received is None else utc_seconds(request.received, "received")
        text = request.to_bytes()
        return {
            "request_id": reference,
            "status": "pending",
            "outcome": None,
            "received": received,
            "due": due_time(received, request.regulation),
            "finished": None,
            "fingerprint": self._key.mark(text, "fingerprint"),
            "payload": self._key.encrypt(text, "queue", reference),
        }

    def _insert(self, transaction: Transaction, rows: list[dict[str, Any]], now: float) -> None:
        """Insert the rows whose references are new."""
        table, sql = self.store.tables.requests, self.store.sql
        query = sql.select(table.c.request_id, table.c.fingerprint)
        names = {row["request_id"] for row in rows}
        found = self.store.chosen(transaction.connection, query, table.c.request_id, names)
        known: dict[str, str | None] = {row.request_id: row.fingerprint for row in found}
        fresh = []
        for row in rows:
            name, print_ = row["request_id"], row["fingerprint"]
            if name not in known:
                known[name] = print_
                transaction.state["newest"] += 1
                fresh.append(row | {"number": transaction.state["newest"]})
            elif known[name] not in (None, print_):
                raise ValueError(
                    "another request is open under this request_id; expected one reference for "
                    "each request. Take another reference, or cancel the first."
                )
        if fresh:
            transaction.run(sql.insert(table), fresh)
            entries = [{"request_id": row["request_id"], "action": "suppress"} for row in fresh]
            append(self.store, transaction, now, entries)

    def _statuses(self, connection: Any, names: list[str], now: float) -> list[RequestStatus]:
        table = self.store.tables.requests
        query, column = self.store.sql.select(table), table.c.request_id
        rows = self.store.chosen(connection, query, column, set(names))
        found = {row.request_id: _status(row, now) for row in rows}
        try:
            return [found[name] for name in names]
        except KeyError:
            raise KeyError(
                "there is no request with this request_id; expected one that submit returned. "
                "Look at pending()."
            ) from None


def _status(row: Any, now: float) -> RequestStatus:
    is_open = row.status in OPEN
    return RequestStatus(
        request_id=row.request_id,
        status=row.status,
        outcome=row.outcome,
        received=datetime.fromtimestamp(row.received, UTC),
        due=None if row.due is None else datetime.fromtimestamp(row.due, UTC),
        finished=None if row.finished is None else datetime.fromtimestamp(row.finished, UTC),
        overdue=is_open and row.due is not None and row.due < now,
    )
