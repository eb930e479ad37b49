"""DeletionService: a fitted model that honours deletion requests while it is served."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn._forget_report import ForgetReport
from sklearn_unlearn.audit._do_not_learn import DoNotLearnList, read_events
from sklearn_unlearn.audit._errors import StaleModelError, StoreError
from sklearn_unlearn.audit._flush import Batch, Flush, mark_of_item
from sklearn_unlearn.audit._flush_reports import FlushPreview, FlushReport
from sklearn_unlearn.audit._keys import Key
from sklearn_unlearn.audit._ledger import append
from sklearn_unlearn.audit._masks import recommend
from sklearn_unlearn.audit._names import Names
from sklearn_unlearn.audit._queue import DeletionQueue
from sklearn_unlearn.audit._replay import ReplayReport, replay_held
from sklearn_unlearn.audit._requests import DeletionRequest
from sklearn_unlearn.audit._scopes import Scopes, together
from sklearn_unlearn.audit._served import ServedModel
from sklearn_unlearn.audit._snapshots import load, save
from sklearn_unlearn.audit._store import FlushLock, Store

__all__ = ["DeletionService"]


class DeletionService(DeletionQueue):
    """A fitted model that is served while deletion requests come in.

    A request is masked at once and forgotten with the next `flush`, together with all others.
    Requests, ledger and replay records are in one store, which several processes may share: one of
    them flushes at a time, and the others load the new model from `path`.

    Parameters
    ----------
    model : estimator, RecommenderPipeline or None
        Fitted; a flush changes it in place. None: it is loaded from `path`.

    store : Store, path or URL
        Path of an SQLite file, ":memory:", or a URL of SQLAlchemy; see `Store`.

    path : path-like or None, default=None
        The snapshot to keep up to date; written here if it is not there.

    key : str or None, default=None
        From `generate_key`; it encrypts what the requests name. None only for ":memory:".

    replay_key : str or None, default=None
        Encrypts the records that re-forget restored snapshots. A key of its own can be destroyed by
        itself. None: `key`.

    mark_key : str or None, default=None
        If given, entries of the ledger hold a keyed digest (HMAC) of what the request named, by
        which it can be found again, until this key is destroyed.

    keep_for : timedelta, default=30 days
        How long replay records are kept: the age of the oldest backup that may be restored. Zero
        keeps none.

    categories : mapping or None, default=None
        Category of each item, by its id.

    event_times : tuple (users, items, times), callable that returns one, or None, default=None
        When each event took place, for requests by age; a callable is called at each of them.
        Numbers are seconds since 1970. An interaction is as old as the latest of its events.

    do_not_learn : DoNotLearnList or None, default=None
        Where to put what was forgotten.

    on_suppressed : {"empty", "raise"}, default="empty"
        What users get who asked to be forgotten, and all others of whom nothing is held: an empty
        list, or an error.

    format : {"skops", "joblib"}, default="skops"
        Of the snapshot; see `save`.

    trusted : None, True or collection of str or type, default=None
        See `load`.

    Attributes
    ----------
    store : Store
        The store.

    ledger : Ledger
        What was done.

    See Also
    --------
    DeletionQueue : The part that needs no model.

    Notes
    -----
    The answers do not tell whether somebody is in the queue or has been forgotten: such users get
    the same answer as those who were never known.

    An item that was forgotten as a whole stays masked after the flush, until `lift`. A pair is
    masked until the flush: afterwards the item is unknown to the user, and may be recommended anew.

    Examples
    --------
    >>> from sklearn_unlearn import ItemKNN
    >>> from sklearn_unlearn.audit import DeletionService
    >>> model = ItemKNN(2).fit([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    >>> service = DeletionService(model, ":memory:")
    >>> service.recommend(users=[0], n_items=1)[0]
    array([[2]])
    >>> service.submit(users=[0], request_id="ticket-1").status
    'pending'
    >>> service.recommend(users=[0], n_items=1)[0]
    array([[-1]])
    >>> service.flush().n_requests
    1
    >>> service.status("ticket-1").outcome
    'forgotten'
    """

    def __init__(
        self,
        model: Any,
        store: Store | str | os.PathLike[str],
        path: str | os.PathLike[str] | None = None,
        *,
        key: str | bytes | None = None,
        replay_key: str | bytes | None = None,
        mark_key: str | bytes | None = None,
        keep_for: timedelta = timedelta(days=30),
        categories: Mapping[Any, Any] | None = None,
        event_times: Callable[[], Any] | Any = None,
        do_not_learn: DoNotLearnList | None = None,
        on_suppressed: str = "empty",
        format: Literal["skops", "joblib"] = "skops",
        trusted: Any = None,
    ) -> None:
        _check_options(keep_for, on_suppressed, do_not_learn)
        self._scopes = Scopes(categories, event_times)
        self._path, self._format = path, format
        if model is None and path is None:
            raise TypeError(
                "model and path are None; expected one of them. Pass a fitted model, or the path "
                "of a snapshot."
            )
        if model is None and path is not None:
            model = load(path, trusted=trusted)
        Names(model).check_kinds()
        super().__init__(store, key=key)
        self._replay_key = self._key if replay_key is None else Key(replay_key)
        self._mark_key = None if mark_key is None else Key(mark_key)
        self._keep_for, self._do_not_learn = keep_for, do_not_learn
        self._on_suppressed = on_suppressed
        self._served = ServedModel(model, self.store, self._key, self._scopes, path, trusted)
        if path is not None and not os.path.exists(path):
            save(model, path, format=format)

    @property
    def _model(self) -> Any:
        return self._served.model

    @property
    def is_current(self) -> bool:
        """Whether the model has forgotten all that was flushed; else it is not served."""
        try:
            self._served.current()
        except StaleModelError:
            return False
        return True

    def recommend(
        self,
        X: Any = None,
        *,
        users: Any = None,
        n_items: int = 10,
        exclude_seen: bool = True,
        candidates: Any = None,
    ) -> Any:
        """List the best items for each user, without what is to be deleted.

        Parameters
        ----------
        X, users, n_items, exclude_seen, candidates
            As in `recommend` of the model. Rows of `X` are folded in without the items and pairs
            that are masked; where they have ids, users who asked to be forgotten are left out.

        Returns
        -------
        recommendations : table, or tuple (items, scores)
            As the model gives them. Users who asked to be forgotten, or are not known, get empty
            lists: rows of -1, or no row of a table.

        Raises
        ------
        StaleModelError
            If the model holds what was deleted, and there is no file with a newer one.
        UnknownInteractionError
            With ``on_suppressed="raise"``, for users who would get an empty list.
        TypeError, ValueError
            As the model does.
        """
        names, masks = self._served.at_one_moment()
        return recommend(
            names,
            masks,
            X,
            users,
            n_items,
            exclude_seen,
            candidates,
            self._on_suppressed,
        )

    def allowed(self, users: Any, items: Any) -> NDArray[np.bool_]:
        """Tell which events may be exported: those of nobody and nothing that is to be deleted.

        Parameters
        ----------
        users, items : list, array or series of ids
            Of the events, of equal length.

        Returns
        -------
        allowed : ndarray of bool, shape (n_events,)
            False where user, item or pair is masked. After the flush it is True again for users and
            pairs: what is exported then comes from elsewhere; see `DoNotLearnList`.

        Raises
        ------
        TypeError, ValueError
            If there are other things than ids, which no request can name, or not as many of each.
        """
        users, items = read_events(users, items)
        names, masks = self._served.at_one_moment()
        pairs = np.column_stack((names.users(users), names.items(items)))
        return masks.allowed(pairs) & masks.allows(users, items)

    def preview(self) -> FlushPreview:
        """Say what a flush would forget; change nothing.

        Returns
        -------
        preview : FlushPreview
            Counts; no ids.

        Raises
        ------
        StaleModelError
            If the model is not up to date.

        Examples
        --------
        >>> from sklearn_unlearn import ItemKNN
        >>> from sklearn_unlearn.audit import DeletionService
        >>> model = ItemKNN(2).fit([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
        >>> service = DeletionService(model, ":memory:")
        >>> _ = service.submit(users=[0]), service.submit(interactions=[(0, 0), (1, 1)])
        >>> service.preview().n_interactions
        3
        """
        parts, names, n_left = self._served.coverage()
        all_of_them = together(parts, names)
        n = all_of_them.n_interactions
        return FlushPreview(
            n_requests=len(parts),
            n_not_found=sum(not one.found for one in parts),
            n_left=n_left,
            n_interactions=n,
            n_users=all_of_them.n_users,
            n_items=all_of_them.n_items,
            share=n / max(names.data.n_interactions, 1),
        )

    def flush(self, max_requests: int | None = None) -> FlushReport:
        """Forget what is pending, in one batch, and complete the requests.

        Whatever ends the process meanwhile, the next flush of any process goes on: each request is
        done, and entered in the ledger, once.

        Parameters
        ----------
        max_requests : int or None, default=None
            How many requests to take, the oldest first. What a batch may cost is the `max_cost` of
            the model's strategy.

        Returns
        -------
        report : FlushReport
            With `busy` if another flush is running.

        Raises
        ------
        StaleModelError
            If the model is not up to date; `replay` it.
        StoreError
            If the store cannot be written.
        Exception
            What the model's ``forget`` raises; the requests are pending then.
        """
        number = max_requests if isinstance(max_requests, int) else 0
        if max_requests is not None and (max_requests is True or number < 1):
            raise ValueError(
                "max_requests is no positive integer; expected one, or None. Leave it out to take "
                "all."
            )
        started, done = time.perf_counter(), []
        with self.store.flush_lock() as lock:
            if lock is None:
                return FlushReport(busy=True, generation=self._served.reached)
            self._served.current()
            steps = self._steps(lock)
            steps.expire()
            for take in (steps.resume, lambda: steps.claim(self._model, max_requests)):
                batch = take()  # what was interrupted is done before anything else is claimed
                if batch is not None:
                    done.append((batch, self._run(steps, batch)))
            generation, n_left = self._served.current().counters[2], self._served.n_left()
        results = [one for batch, _ in done for one in batch.results]
        return FlushReport(
            n_requests=len(results),
            n_not_found=sum(one["outcome"] == "not found" for one in results),
            n_left=n_left,
            generation=generation,
            report=next((report for _, report in reversed(done) if report is not None), None),
            erased=self.store.erase(),
            seconds=time.perf_counter() - started,
        )

    def replay(self, *, since: datetime | None = None) -> ReplayReport:
        """Bring the model of this service up to date, and save it; see `replay`.

        If the store did not know it as its newest, the other processes load it from `path`, as they
        do after a flush. So a model that was fitted anew takes the place of theirs.

        Parameters
        ----------
        since : datetime or None, default=None
            As there.

        Returns
        -------
        report : ReplayReport
            What was done.
        """
        with self.store.flush_lock() as lock:
            if lock is None:
                raise StoreError(
                    "a flush is running; expected that none is. Try again when it is done."
                )
            take_over = False if self._path is None else None
            options = (self._path, since, self._format, self._now(), take_over)
            report = replay_held(self._model, self.store, self._replay_key, *options)
            self._served.reached, self._served.is_new = report.generation, False
        return report

    def lift(self, items: Any) -> int:
        """Let items be recommended again that were taken down.

        Parameters
        ----------
        items : list of ids
            Items that were forgotten as a whole.

        Returns
        -------
        n_lifted : int
            How many of them were masked.
        """
        wanted = DeletionRequest(items=items).items
        table, sql, now = self.store.tables.masks, self.store.sql, self._now()
        marks = [mark_of_item(self._key, one) for one in wanted]
        with self.store.writing() as transaction:
            n_lifted = transaction.run(sql.delete(table).where(table.c.mark.in_(marks))).rowcount
            if n_lifted:
                transaction.state["epoch"] += 1
                entry = {"action": "lift", "n_items": n_lifted, "outcome": "lifted"}
                append(self.store, transaction, now, [entry])
        return int(n_lifted)

    def _check(self, request: DeletionRequest) -> None:
        self._scopes.check(request, Names(self._model))

    # -- flush -------------------------------------------------------------------------------------
    def _steps(self, lock: FlushLock) -> Flush:
        return Flush(
            store=self.store,
            key=self._key,
            replay_key=self._replay_key,
            mark_key=self._mark_key,
            keep_for=self._keep_for,
            scopes=self._scopes,
            now=self._now,
            lock=lock,
        )

    def _run(self, steps: Flush, batch: Batch) -> ForgetReport | None:
        """Forget a batch, save the model, and complete the requests, in this order."""
        if batch.generation is None:
            steps.finish(batch, {}, batch.model_before)
            return None
        told = steps.forget(batch, self._model)
        digest = steps.note(batch, self._model)
        if self._path is not None:
            save(self._model, self._path, format=self._format)
        if self._do_not_learn is not None:
            named = vars(batch.named)
            self._do_not_learn.add(**named)
        self._served.reached = batch.generation
        steps.finish(batch, told, digest)
        return getattr(self._model, "forget_report_", None)


def _check_options(keep_for: Any, on_suppressed: Any, do_not_learn: Any) -> None:
    if not isinstance(keep_for, timedelta) or keep_for < timedelta(0):
        raise TypeError(
            "keep_for is no timedelta of zero or more; expected the age of the oldest backup. Pass "
            "timedelta(days=30)."
        )
    if on_suppressed not in ("empty", "raise"):
        raise ValueError(
            "on_suppressed is another word; expected 'empty' or 'raise'. Leave it out for empty "
            "lists."
        )
    if do_not_learn is not None and not isinstance(do_not_learn, DoNotLearnList):
        raise TypeError(
            f"do_not_learn is of type {type(do_not_learn).__name__}; expected a DoNotLearnList or "
            "None. Make one."
        )
