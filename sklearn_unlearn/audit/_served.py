"""The model that a service serves: with masks, and as new as its store says."""

from __future__ import annotations

import os
import threading
import warnings
from dataclasses import dataclass
from typing import Any

from sklearn_unlearn.audit._digest import digest_of
from sklearn_unlearn.audit._errors import StaleModelError
from sklearn_unlearn.audit._keys import Key
from sklearn_unlearn.audit._masks import Masks
from sklearn_unlearn.audit._names import Names
from sklearn_unlearn.audit._queue import OPEN
from sklearn_unlearn.audit._records import (
    Named,
    generation_of,
    is_known,
    read_request,
    register,
    unseal,
)
from sklearn_unlearn.audit._requests import DeletionRequest, read_id
from sklearn_unlearn.audit._scopes import Covered, Scopes
from sklearn_unlearn.audit._snapshots import load
from sklearn_unlearn.audit._store import Store

__all__ = ["ServedModel"]


@dataclass(frozen=True, eq=False, repr=False)
class _View:
    """What is served: a model, and the masks of the requests that it has not forgotten yet."""

    model: Any
    masks: Masks
    counters: tuple[int, int, int]


class ServedModel:
    """A model, and the masks of what is to be deleted; both follow the store.

    Parameters
    ----------
    model : estimator or RecommenderPipeline
        Fitted.

    store, key, scopes, path, trusted
        Of the service.

    Attributes
    ----------
    model : estimator or RecommenderPipeline
        The one that is served now: another process may have put a newer one into the file.

    reached : int
        Number of the flush up to which it has forgotten.

    is_new : bool
        Whether the store has never seen it, and had others before.
    """

    def __init__(
        self,
        model: Any,
        store: Store,
        key: Key,
        scopes: Scopes,
        path: str | os.PathLike[str] | None,
        trusted: Any,
    ) -> None:
        self.model = model
        self._store, self._key, self._scopes = store, key, scopes
        self._path, self._trusted = path, trusted
        self._lock = threading.RLock()
        self.reached, self.is_new = self._register()
        self._view = _View(model, Masks.none(Names(model).data.shape), (-1, 0, -1))

    def at_one_moment(self) -> tuple[Names, Masks]:
        """Return a model as it is at one moment, and the masks of its positions."""
        while True:
            view = self.current()  # masks first: whoever sees them lifted sees the new model
            names = Names(view.model)
            if names.data.shape == view.masks.shape:  # else it has just learned
                return names, view.masks

    def current(self) -> _View:
        """Return masks and model that are those of the store."""
        view = self._view
        if view.counters == self._store.counters() and self._is_of_now(view):
            return view
        with self._lock:
            self._view = self._refreshed(self._view)
            return self._view

    def _is_of_now(self, view: _View) -> bool:
        """Whether masks are for the model as it is: what it learns it adds behind all else."""
        return view.model is self.model and view.masks.shape == self.model._interactions.shape

    def _refreshed(self, view: _View) -> _View:
        table, sql = self._store.tables.requests, self._store.sql
        names, known = Names(self.model), view.model is self.model
        known = known and view.masks.shape == names.data.shape
        with self._store.reading() as connection:
            state = connection.execute(sql.select(self._store.tables.state)).one()
            # New requests only add to the masks; whatever takes away changes the epoch.
            same = known and view.counters[0] == state.epoch
            query = sql.select(table).where(table.c.status.in_(OPEN))
            rows = connection.execute(
                query.where(table.c.number > (view.counters[1] if same else 0))
            ).all()
            taken = [] if same else connection.execute(sql.select(self._store.tables.masks)).all()
        if state.generation > self.reached:
            self._reload(state.generation)
            names = Names(self.model)
        masks = view.masks if same else Masks.none(names.data.shape)
        requests = [self._request(row) for row in rows]
        covered = self._scopes.mask_all(requests, names)
        named = [self._scopes.named(one, names) for one in requests]
        n_unmasked = sum(one.before is not None and not self._scopes.knows(one) for one in requests)
        if n_unmasked:
            warnings.warn(
                f"{n_unmasked} requests name a date, and this service knows no times of events: it "
                "masks nothing of them; expected event_times (--events of a command). Give them to "
                "every process that serves.",
                UserWarning,
                stacklevel=2,
            )
        withheld = [user for one in requests for user in self._scopes.withheld_users(one)]
        positions = names.users(withheld)
        covered.append(Covered(users=positions[positions >= 0]))
        named.append(Named(users=withheld))
        items = [read_id(unseal(self._key, row.payload, "mask", row.mark)) for row in taken]
        found = names.items(items)
        covered.append(Covered(items=found[found >= 0]))
        named.append(Named(items=items))
        counters = (state.epoch, state.newest, state.generation)
        return _View(self.model, masks.plus(covered, named), counters)

    def coverage(self) -> tuple[list[Covered], Names, int]:
        """Return what each open request that a flush would take covers, the oldest first.

        The number is that of the requests that it would leave, as it cannot resolve them.
        """
        names = Names(self.current().model)
        found = self._open()
        requests = [one for one in found if self._scopes.knows(one)]
        return self._scopes.cover_all(requests, names), names, len(found) - len(requests)

    def n_left(self) -> int:
        """Count open requests that a flush leaves, as it cannot resolve them."""
        return sum(not self._scopes.knows(one) for one in self._open())

    def _open(self) -> list[DeletionRequest]:
        table, sql = self._store.tables.requests, self._store.sql
        with self._store.reading() as connection:
            query = sql.select(table).where(table.c.status.in_(OPEN)).order_by(table.c.number)
            return [self._request(row) for row in connection.execute(query).all()]

    def _request(self, row: Any) -> DeletionRequest:
        return read_request(self._key, row)

    def _reload(self, generation: int) -> None:
        """Load the model that another process has saved."""
        # A model that the store has never seen may be the next one: replay decides, not the file.
        if not self.is_new and self._path is not None and os.path.exists(self._path):
            model = load(self._path, trusted=self._trusted)
            with self._store.reading() as connection:
                reached = generation_of(self._store, connection, digest_of(model))
            if reached >= generation:
                self.model, self.reached = model, reached
                return
        raise StaleModelError(
            f"the model has forgotten what was flushed up to number {self.reached}; expected "
            f"{generation}, as the store says. Bring it up to date by replay()."
        )

    def _register(self) -> tuple[int, bool]:
        """Return up to which flush the model has forgotten, and whether the store has no idea.

        A new store takes the model as it is.
        """
        digest = digest_of(self.model)
        with self._store.writing() as transaction:
            known = is_known(self._store, transaction.connection, digest)
            if not known and not transaction.state["generation"]:
                register(self._store, transaction, self.model, 0)
                known = True
            return generation_of(self._store, transaction.connection, digest), not known
