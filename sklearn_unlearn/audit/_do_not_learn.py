"""Do-not-learn list: keyed digests of what was forgotten, against exports that bring it back."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.audit._errors import DoNotLearnError, DoNotLearnWarning, StoreError
from sklearn_unlearn.audit._keys import Key
from sklearn_unlearn.audit._requests import DeletionRequest, check_id, write_id
from sklearn_unlearn.audit._store import Store, open_prepared

__all__ = ["DoNotLearnList", "read_events"]


class DoNotLearnList:
    """Remembers what was forgotten without holding it, and finds it in data about to be learned.

    A restored export, or a source that missed the request, brings forgotten data back with the next
    fit. The list holds keyed digests (HMAC-SHA256) of ids: who has the store alone can neither read
    nor guess them, and destroying the key makes the list useless. With the key they can be guessed,
    so the list is still personal data: keep it if you may, and as long as a source may bring data
    back.

    Parameters
    ----------
    store : Store, path or URL
        A store of its own, or that of the service.

    key : str
        From `generate_key`. Where the store is that of a service, the service's key.

    action : {"raise", "warn"}, default="raise"
        What `check` does about events that were forgotten.

    Notes
    -----
    As ``InteractionEncoder(guard=...)`` it is asked before each ``fit``, ``learn`` and ``rectify``
    of a pipeline. Copies and clones of the encoder share it; it cannot be pickled.

    Each event takes one HMAC: 200,000 were looked up in two seconds on one core.

    Examples
    --------
    >>> from sklearn_unlearn.audit import DoNotLearnList, generate_key
    >>> forgotten = DoNotLearnList(":memory:", key=generate_key())
    >>> forgotten.add(users=["al"], interactions=[("bo", "tea")])
    >>> users, items = ["al", "bo", "bo"], ["jam", "tea", "jam"]
    >>> forgotten.blocked(users, items)
    array([ True,  True, False])
    >>> forgotten.check(users, items)
    Traceback (most recent call last):
    ...
    sklearn_unlearn.audit._errors.DoNotLearnError: 2 of 3 events were forgotten; ...
    """

    def __init__(
        self, store: Store | str | os.PathLike[str], *, key: str | bytes, action: str = "raise"
    ) -> None:
        self._action = _check_action(action)
        self._key = Key(key)
        self._store = open_prepared(store, self._key.mark(b"", "check"))

    def __repr__(self) -> str:
        try:
            n_digests = len(self)
        except StoreError:  # of a guarded model, which can be shown all the same
            return "<DoNotLearnList whose store cannot be read>"
        return f"<DoNotLearnList of {n_digests} digest{'s' * (n_digests != 1)}>"

    def __len__(self) -> int:
        table = self._store.tables.do_not_learn
        with self._store.reading() as connection:
            query = self._store.sql.select(self._store.sql.func.count()).select_from(table)
            return int(connection.execute(query).scalar_one())

    def add(self, *, users: Any = (), items: Any = (), interactions: Any = ()) -> None:
        """Put ids on the list; those that are there already change nothing.

        Parameters
        ----------
        users, items : list of ids, default=()
            Whole users and items.
        interactions : list of pairs, default=()
            Single interactions.
        """
        table, sql = self._store.tables.do_not_learn, self._store.sql
        marks = sorted(set(self._marks(users, items, interactions)))
        with self._store.writing() as transaction:
            query = sql.select(table.c.mark)
            found = self._store.chosen(transaction.connection, query, table.c.mark, marks)
            known = {row.mark for row in found}
            rows = [{"mark": mark} for mark in marks if mark not in known]
            if rows:
                transaction.run(sql.insert(table), rows)

    def discard(self, *, users: Any = (), items: Any = (), interactions: Any = ()) -> None:
        """Take ids off the list, such as those of somebody who has come back.

        Parameters
        ----------
        users, items, interactions
            As in `add`.
        """
        table, sql = self._store.tables.do_not_learn, self._store.sql
        with self._store.writing() as transaction:
            marks = [{"gone": mark} for mark in self._marks(users, items, interactions)]
            if marks:
                delete = sql.delete(table).where(table.c.mark == sql.bindparam("gone"))
                transaction.run(delete, marks)

    def blocked(self, users: Any, items: Any) -> NDArray[np.bool_]:
        """Tell which events were forgotten: by user, by item, or by themselves.

        Parameters
        ----------
        users, items : list, array or series of ids
            Of the events, of equal length.

        Returns
        -------
        blocked : ndarray of bool, shape (n_events,)
            ``~blocked`` selects what may be learned.
        """
        users, items = read_events(users, items)
        table = self._store.tables.do_not_learn
        with self._store.reading() as connection:
            known = set(connection.execute(self._store.sql.select(table.c.mark)).scalars())
        if not known:
            return np.zeros(len(users), bool)
        user_found = {one: self._mark("user", one) in known for one in dict.fromkeys(users)}
        item_found = {one: self._mark("item", one) in known for one in dict.fromkeys(items)}
        return np.array(
            [
                user_found[user]
                or item_found[item]
                or self._mark("interaction", (user, item)) in known
                for user, item in zip(users, items, strict=True)
            ],
            bool,
        )

    def check(self, users: Any, items: Any, *, action: str | None = None) -> None:
        """Refuse events that were forgotten, or warn of them; call it before ``fit``.

        Parameters
        ----------
        users, items : list, array or series of ids
            Of the events, of equal length.
        action : {"raise", "warn"} or None, default=None
            What to do if there are any; None: what the list was made with.

        Raises
        ------
        DoNotLearnError
            With "raise"; it says how many, not which.

        Warns
        -----
        DoNotLearnWarning
            With "warn".
        """
        action = self._action if action is None else _check_action(action)
        blocked = self.blocked(users, items)
        if not blocked.any():
            return
        message = (
            f"{int(blocked.sum())} of {len(blocked)} events were forgotten; expected none of them "
            "in data that a model learns from. Drop those that blocked() marks, and delete them "
            "where they come from."
        )
        if action == "raise":
            raise DoNotLearnError(message)
        warnings.warn(message, DoNotLearnWarning, stacklevel=2)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # it stands for a store: copies of an encoder share it

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a DoNotLearnList cannot be pickled; expected that its key stays where it is. Open the "
            "store again with the key."
        )

    def _marks(self, users: Any, items: Any, interactions: Any) -> Iterable[str]:
        if not (len(users) or len(items) or len(interactions)):
            return
        read = DeletionRequest(users=users, items=items, interactions=interactions)
        for kind, ids in (
            ("user", read.users),
            ("item", read.items),
            ("interaction", read.interactions),
        ):
            for one in ids:
                yield self._mark(kind, one)

    def _mark(self, kind: str, one: Any) -> str:
        return self._key.mark(json.dumps([kind, write_id(one)]).encode(), "do not learn")


def _check_action(action: Any) -> str:
    if action not in ("raise", "warn"):
        raise ValueError(
            "action is another word; expected 'raise' or 'warn'. Leave it out to refuse."
        )
    return str(action)


def read_events(users: Any, items: Any) -> tuple[list[Any], list[Any]]:
    """Return users and items of events in plain types; refuse what is no id."""
    users, items = _column(users, "users"), _column(items, "items")
    if len(users) != len(items):
        raise ValueError(
            f"there are {len(users)} users and {len(items)} items; expected as many of each. Pass "
            "two columns of the same table."
        )
    return users, items


def _column(ids: Any, name: str) -> list[Any]:
    plain = ids.tolist() if hasattr(ids, "tolist") else list(ids)
    return [check_id(one, name) for one in plain]
