"""Ledger of deletion requests: append-only entries, each with the hash of the one before."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sklearn_unlearn._version import __version__
from sklearn_unlearn.audit._canonical import canonical_json
from sklearn_unlearn.audit._errors import StoreError
from sklearn_unlearn.audit._store import Store, Transaction
from sklearn_unlearn.utils._html import counted, html_card, html_table

__all__ = ["FIELDS", "Ledger", "LedgerCheck", "append", "iso_time", "verify_ledger"]

GENESIS = "0" * 64
FIELDS = (
    "sequence",
    "time",
    "request_id",
    "action",
    "n_interactions",
    "n_users",
    "n_items",
    "method",
    "guarantee",
    "status",
    "residual",
    "model_before",
    "model_after",
    "versions",
    "seconds",
    "outcome",
    "mark",
    "previous",
)


def iso_time(seconds: float) -> str:
    """Write seconds since 1970 as a time of ISO 8601, in UTC.

    Examples
    --------
    >>> from sklearn_unlearn.audit._ledger import iso_time
    >>> iso_time(0.0)
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat()


@cache
def _versions() -> str:
    parts = [f"sklearn-unlearn {__version__}", f"python {platform.python_version()}"]
    for name in ("numpy", "scipy", "scikit-learn"):
        try:
            parts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(parts)


def append(
    store: Store, transaction: Transaction, now: float, entries: Iterable[Mapping[str, Any]]
) -> None:
    """Append entries within a transaction that holds the store."""
    state, rows = transaction.state, []
    for entry in entries:
        state["sequence"] += 1
        fields: dict[str, Any] = dict.fromkeys(FIELDS)
        fields.update(entry)
        fields.update(
            sequence=state["sequence"],
            time=iso_time(now),
            versions=_versions(),
            previous=state["head"],
        )
        text = canonical_json({name: _finite(value) for name, value in fields.items()})
        state["head"] = _hash(text)
        rows.append({"sequence": state["sequence"], "entry": text, "hash": state["head"]})
    if rows:
        transaction.run(store.sql.insert(store.tables.ledger), rows)


def _finite(value: Any) -> Any:
    """Leave out what JSON has no number for, such as the residual of a method that has none."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _as_read(text: str) -> dict[str, Any]:
    """Return an entry with the hash of its text, which is not that beside it if it was edited."""
    return json.loads(text) | {"hash": _hash(text)}


class Ledger:
    """What was done about deletion requests: entries of scalars, which hold no id.

    Each entry holds the hash of the entry before it, so `verify_ledger` finds edits, deletions and
    changes of order. What is cut off at the end can only be found by a `head` that is kept
    elsewhere, such as in the certificates, or in a mail to the auditor.

    Parameters
    ----------
    store : Store, path or URL
        Where the `DeletionService` writes it. No key is needed.

    Examples
    --------
    >>> from sklearn_unlearn.audit import DeletionQueue
    >>> queue = DeletionQueue(":memory:")
    >>> request = queue.submit(users=[0], request_id="ticket-1")
    >>> request = queue.cancel("ticket-1")
    >>> [(one["action"], one["request_id"]) for one in queue.ledger.entries()]
    [('suppress', 'ticket-1'), ('cancel', 'ticket-1')]
    """

    def __init__(self, store: Store | str | os.PathLike[str]) -> None:
        self._store = store if isinstance(store, Store) else _open_for_reading(store)

    def __repr__(self) -> str:
        return f"<Ledger of {self.head()[0]} entries>"

    def entries(self, request_id: str | None = None) -> list[dict[str, Any]]:
        """Return all entries, or those of one request, the oldest first, each with its ``hash``."""
        found = (_as_read(text) for _, text, _ in _rows(self._store))
        return [one for one in found if request_id in (None, one["request_id"])]

    def entry(self, sequence: int) -> dict[str, Any]:
        """Return one entry by its number, from 1, with its ``hash``: that of what is there now."""
        table = self._store.tables.ledger
        with self._store.reading() as connection:
            query = self._store.sql.select(table).where(table.c.sequence == sequence)
            row = connection.execute(query).one_or_none()
        if row is None:
            raise KeyError(
                f"the ledger has no entry {sequence}; expected a number from 1 to "
                f"{self.head()[0]}. Look at entries()."
            )
        return _as_read(row.entry)

    def head(self) -> tuple[int, str]:
        """Return number and hash of the last entry; 0 and zeros where there is none."""
        table = self._store.tables.ledger
        with self._store.reading() as connection:
            query = self._store.sql.select(table.c.sequence, table.c.hash)
            row = connection.execute(query.order_by(table.c.sequence.desc()).limit(1)).first()
        return (0, GENESIS) if row is None else (row.sequence, row.hash)


@dataclass(frozen=True)
class LedgerCheck:
    """Result of `verify_ledger`; true if the ledger is whole.

    Parameters
    ----------
    valid : bool
        Whether nothing was found.

    n_entries : int
        Entries that were read.

    head : tuple of (int, str)
        Number and hash of the last entry that is as it was written. Keep it elsewhere.

    problem : str or None
        What is wrong, at the first place where something is.

    Examples
    --------
    >>> from sklearn_unlearn.audit import DeletionQueue, verify_ledger
    >>> queue = DeletionQueue(":memory:")
    >>> _ = queue.submit(users=[0])
    >>> check = verify_ledger(queue.store)
    >>> check.valid, check.n_entries
    (True, 1)
    """

    valid: bool
    n_entries: int
    head: tuple[int, str]
    problem: str | None = None

    def __bool__(self) -> bool:
        return self.valid

    def _repr_html_(self) -> str:
        rows = [("n_entries", self.n_entries), ("head", self.head[0]), ("its hash", self.head[1])]
        caption = f"Ledger of {counted(self.n_entries, 'entry')}"
        mark = "valid" if self.valid else "not valid"
        return html_card(html_table(caption, rows), mark=mark, note=self.problem or "")


def verify_ledger(
    store: Store | str | os.PathLike[str], head: tuple[int, str] | None = None
) -> LedgerCheck:
    """Check that no entry of a ledger was edited, deleted, moved or cut off.

    Parameters
    ----------
    store : Store, path or URL
        The store; a file is opened for reading alone.

    head : tuple of (int, str) or None, default=None
        Number and hash of an entry, kept elsewhere: `Ledger.head()` of an earlier day. Whoever can
        write the whole store can write another ledger, or cut the end off; only this tells.

    Returns
    -------
    check : LedgerCheck
        True if the ledger is whole; else it says what is wrong, and where.

    Examples
    --------
    >>> from sklearn_unlearn.audit import DeletionQueue, verify_ledger
    >>> queue = DeletionQueue(":memory:")
    >>> request = queue.submit(users=[0])
    >>> bool(verify_ledger(queue.store, head=queue.ledger.head()))
    True
    >>> verify_ledger(queue.store, head=(9, "0" * 64)).problem
    'the ledger ends at entry 1; expected at least 9, as the head that was kept says'
    """
    if head is not None:
        _check_head(head)
    opened = store if isinstance(store, Store) else _open_for_reading(store)
    try:
        state = opened.tables.state.c
        with opened.reading() as connection:
            query = opened.sql.select(state.sequence, state.head)
            kept = [tuple(connection.execute(query).one())]
        kept += [] if head is None else [(int(head[0]), str(head[1]))]
        return check_entries(_rows(opened), kept)
    except (StoreError, ValueError, TypeError, LookupError, OverflowError) as error:
        problem = f"the ledger cannot be read ({type(error).__name__})"
        return LedgerCheck(False, 0, (0, GENESIS), problem)
    finally:
        if opened is not store:
            opened.close()


def check_entries(
    rows: Iterable[tuple[Any, Any, Any]], heads: Iterable[tuple[int, str]] = ()
) -> LedgerCheck:
    """Check rows (number, text, hash) in order, and that the entries of some heads are there."""
    previous, place, hashes = GENESIS, 0, {0: GENESIS}
    for sequence, text, own in rows:
        problem = _problem(sequence, text, own, place + 1, previous)
        if problem is not None:
            return LedgerCheck(False, place, (place, previous), problem)
        place, previous = place + 1, own
        hashes[place] = own
    for number, own in heads:
        if number > place:
            problem = (
                f"the ledger ends at entry {place}; expected at least {number}, as the head that "
                "was kept says"
            )
            return LedgerCheck(False, place, (place, previous), problem)
        if hashes.get(number) != own:
            problem = f"entry {number} is another one than the head that was kept says"
            return LedgerCheck(False, place, (place, previous), problem)
    return LedgerCheck(True, place, (place, previous))


def _problem(sequence: Any, text: Any, own: Any, expected: int, previous: str) -> str | None:
    where = f"entry {expected}"
    if sequence != expected:
        return f"{where} is not there"
    if not isinstance(text, str) or _hash(text) != own:
        return f"{where} was edited: its hash is another"
    try:
        entry = json.loads(text)
        plain = isinstance(entry, dict) and canonical_json(entry) == text
    except (ValueError, RecursionError):
        plain = False
    if not plain or entry.get("sequence") != expected:
        return f"{where} was edited: it is not as entries are written"
    if entry.get("previous") != previous:
        return f"{where} does not follow the entry before it"
    return None


def _check_head(head: Any) -> None:
    good = isinstance(head, tuple | list) and len(head) == 2
    if not good or not isinstance(head[0], int) or not isinstance(head[1], str):
        raise TypeError(
            "head is no pair of a number and a hash; expected what Ledger.head returned. Pass it, "
            "or None."
        )


def _open_for_reading(store: Any) -> Store:
    text = os.fspath(store)
    return Store(text, create="://" in text)


def _rows(store: Store) -> Iterator[tuple[Any, Any, Any]]:
    table = store.tables.ledger
    with store.reading() as connection:
        query = store.sql.select(table.c.sequence, table.c.entry, table.c.hash)
        for row in connection.execute(query.order_by(table.c.sequence)):
            yield row.sequence, row.entry, row.hash
