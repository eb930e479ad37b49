"""Ids for the positions of the checks' data, tables of events made of them, and their traces."""

from __future__ import annotations

import importlib
import pickle
from typing import NamedTuple

import numpy as np
from scipy import sparse

from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.utils.estimator_checks._check_data import N_ITEMS, N_USERS, Problem, parts_of
from sklearn_unlearn.utils.estimator_checks._walk import memory_of


def _scrambled(n, step):
    # A multiplier that is coprime to the modulus: distinct, and in no order.
    return (np.arange(n) * step + 12_345) % 65_521


# Nothing but themselves looks like these, and their order is not that of the positions. A few more
# users than the data have: for strangers.
USER_IDS = np.array([f"reader-{one:05d}-qx" for one in _scrambled(N_USERS + 5, 40_503)], object)
ITEM_IDS = 10**12 + 1_000_003 * _scrambled(N_ITEMS, 30_011)
INTEGER_USER_IDS = 2**45 + 999_983 * _scrambled(N_USERS + 5, 50_021)
STRANGER = N_USERS

_USER_PLACE = {user: place for place, user in enumerate(USER_IDS)}
_ITEM_PLACE = {item: place for place, item in enumerate(ITEM_IDS.tolist())}


def user_places(ids):
    """Return the positions of users; KeyError for what is none of their ids."""
    return np.array([_USER_PLACE[one] for one in ids], np.int64)


def item_places(ids):
    """Return the positions of items; KeyError for what is none of their ids."""
    return np.array([_ITEM_PLACE[int(one)] for one in ids], np.int64)


class Columns(NamedTuple):
    """How an estimator calls the columns of its events; it may want no values and no times."""

    user: str
    item: str
    value: str | None
    timestamp: str | None

    def table(self, users, items, values=None, user_ids=USER_IDS):
        """Make a table of events, a dict of columns; of ids alone if no values are given."""
        table = {self.user: user_ids[users], self.item: ITEM_IDS[items]}
        if values is not None and self.value is not None:
            table[self.value] = values
        if values is not None and self.timestamp is not None:
            table[self.timestamp] = np.arange(len(users))
        return table


def columns_of(estimator) -> Columns:
    """Read the names of the columns off the encoder among the parts of an estimator."""
    parts = (part for _, part in parts_of(estimator))
    encoder = next((part for part in parts if hasattr(part, "encode_pairs")), estimator)
    return Columns(
        getattr(encoder, "user", "user"),
        getattr(encoder, "item", "item"),
        getattr(encoder, "value", None),
        getattr(encoder, "timestamp", None),
    )


class EventProblem(Problem):
    """The data of the checks as events with ids.

    Parameters
    ----------
    estimator : estimator object
        One that takes tables of events.

    Attributes
    ----------
    columns : Columns
        How it calls them.

    events : dict of ndarray
        All events, ordered by user.
    """

    def __init__(self, estimator):
        super().__init__(estimator)
        self.columns = columns_of(estimator)
        self.events = self.table(self.cells)

    def table(self, cells, user_ids=USER_IDS):
        """Make the table of some cells, with their values."""
        users, items = np.asarray(cells, np.int64).reshape(-1, 2).T
        return self.columns.table(users, items, self.dense[users, items], user_ids)

    def of_user(self, user):
        """Make the table of the events of a user."""
        return self.table(self.cells[self.cells[:, 0] == user])

    def of_item(self, item):
        """Make the table of the events of an item."""
        return self.table(self.cells[self.cells[:, 1] == item])

    def with_stranger(self, item):
        """Make the table of all events, and of one more of a user who has no other."""
        one = self.columns.table([STRANGER], [item], [1.25])
        return {key: np.append(self.events[key], one[key]) for key in self.events}


def rows_of(table, places):
    """Select rows of a dict of columns."""
    return {key: column[places] for key, column in table.items()}


def events_from(columns, X):
    """Turn a matrix of positions into a table of events, in the order in which it lists them."""
    X = sparse.coo_array(X)
    if len(np.unique(X.row * X.shape[1] + X.col)) < X.nnz:
        X = X.copy()
        X.sum_duplicates()
    return columns.table(X.row, X.col, X.data)


def table_kinds():
    """Yield each kind of table that can be made here: its name, and a maker from a dict."""
    yield "dict", dict
    yield "array", lambda events: np.column_stack([c.astype(object) for c in events.values()])
    for library, maker in (("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "table")):
        try:
            yield library, getattr(importlib.import_module(library), maker)
        except ImportError:
            continue


def places_of_id(one, model) -> list[str]:
    """Say where an id can be found: in memory that a model keeps alive, or in its pickle."""
    places = ["memory"] if _occurs(_forms(one), memory_of(model)) else []
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        forms = _forms(one)
        forms |= {form.decode("latin-1").encode() for form in forms}  # how protocol 2 writes bytes
        if _occurs(forms, pickle.dumps(model, protocol=protocol)):
            places.append(f"pickle of protocol {protocol}")
    return places


def _forms(one) -> set[bytes]:
    if isinstance(one, str):
        return {one.encode(), one.encode("utf-16-le"), one.encode("utf-32-le")}
    number = int(one)
    width = number.bit_length() // 8 + 1
    return {number.to_bytes(width, "little"), number.to_bytes(8, "big"), str(number).encode()}


def _occurs(forms, buffer) -> bool:
    return any(form in buffer for form in forms)


def is_known(model, user) -> bool:
    """Ask a model whether it knows a user: by an error that names the id, or by leaving it out."""
    try:
        table = model.recommend(users=[user], n_items=1, exclude_seen=False)
    except UnknownInteractionError:
        return False
    return len(next(iter(table.values()))) > 0
