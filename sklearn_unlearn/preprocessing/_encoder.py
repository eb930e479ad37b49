"""InteractionEncoder: tables of events with ids to the sparse matrix of positions, and back."""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..utils._compat import HasMethods, StrOptions, align_sparse
from ..utils._doc_links import DocLinkMixin
from ..utils._verbs import snapshot
from ._assemble import assemble
from ._columns import EventTable, read_events
from ._guarded import Guard, GuardedMixin
from ._ids import read_ids
from ._loaded import check_encoder
from ._lookup import IdLookupMixin
from ._numbers import read_values, time_order
from ._vocabulary import Vocabulary

__all__ = ["InteractionEncoder"]

SparseMatrix: TypeAlias = sparse.csr_matrix | sparse.csr_array


class InteractionEncoder(  # type: ignore[call-arg]  # an argument of scikit-learn's, untyped
    DocLinkMixin,
    GuardedMixin,
    IdLookupMixin,
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,
):
    """Turn events with ids into the sparse user-item matrix that recommenders learn from.

    Estimators speak positions: row u of X is a user, column i an item. The encoder knows which id
    has which position. It learns the ids in `fit`, in ascending order, and keeps them private:
    neither its text nor its HTML representation ever shows one.

    Parameters
    ----------
    user, item : str, default="user", "item"
        Names of the columns that hold the ids. Ids may be integers of up to 64 bits, text, UUIDs
        or objects of any one type that can be hashed and sorted. A category is its value.
    value : str or None, default=None
        Name of the column of values (ratings, labels of +1 / -1, counts). None: an event counts
        as 1. In an array of events the third column, where there is one, holds the values.
    duplicates : {"sum", "last", "max", "error"}, default="sum"
        What becomes of several events of one user and one item: their values are added, the last
        counts, the largest counts, or an error is raised.
    unknown : {"error", "ignore"}, default="error"
        What becomes of ids that `fit` did not see or `forget_users` erased. "ignore": `transform`
        leaves their events out; the other methods give the position -1.
    timestamp : str or None, default=None
        Name of the column of times: numbers or datetimes, none of them missing. With
        ``duplicates="last"`` the last event in time counts, of several at one time the one
        furthest down the table; None takes the order of the table. Other rules do not read the
        column, which must be there all the same.
    guard : object with a method ``check(users, items)`` or None, default=None
        Asked with the ids of all events before `fit` learns them, and before `learn` and `rectify`
        of a pipeline do; what it raises leaves everything as it was. It is meant for a
        `sklearn_unlearn.audit.DoNotLearnList`. Copies and clones share it or copy it, as it wants;
        it is never stored: an encoder that was loaded learns nothing until it is set again, or to
        None.

    Attributes
    ----------
    n_users_, n_items_ : int
        Number of positions, those of forgotten users included.

    See Also
    --------
    sklearn_unlearn.datasets.load_interactions : Read events from a file.

    Notes
    -----
    Tables of events may be frames of pandas, polars or pyarrow (through narwhals), dicts of columns
    (`sklearn_unlearn.datasets.Events` too), or arrays of shape (n_events, 2) or (n_events, 3); with
    `timestamp`, which no array can name, of shape (n_events, 4), the last column being the time.
    A cell that comes out as 0 means "not observed" to the recommenders; `transform` drops it with a
    warning. Matrices are what scikit-learn is configured to give out: `csr_matrix`, or `csr_array`
    after ``sklearn.set_config(sparse_interface="sparray")``.

    `encode_users`, `encode_items` and `encode_pairs` turn ids into positions, `decode_users` and
    `decode_items` positions into ids. Ids are taken in whatever holds one column of them: lists and
    other sequences, sets, keys of a dict, NumPy arrays, and the series, indexes and arrays of
    pandas, polars and pyarrow. `transform_new_users` makes rows of users whom the model has
    never seen, to recommend to them.

    Examples
    --------
    >>> from sklearn_unlearn.preprocessing import InteractionEncoder
    >>> events = {"user": ["bo", "al", "bo"], "item": [30, 10, 10], "stars": [4.0, 2.5, 5.0]}
    >>> encoder = InteractionEncoder(value="stars")
    >>> encoder.fit_transform(events).toarray()
    array([[2.5, 0. ],
           [5. , 4. ]])
    >>> encoder.encode_users(["bo"]), encoder.decode_items([0, 1])
    (array([1]), array([10, 30]))
    >>> users, X = encoder.transform_new_users({"user": ["di"], "item": [30], "stars": [1.0]})
    >>> users, X.toarray()
    (array(['di'], dtype=object), array([[0., 1.]]))
    >>> encoder.forget_users(["al"])
    <InteractionEncoder(value='stars') of 2 users (1 forgotten) and 2 items>
    """

    _parameter_constraints: ClassVar[dict] = {
        "user": [str],
        "item": [str],
        "value": [str, None],
        "duplicates": [StrOptions({"sum", "last", "max", "error"})],
        "unknown": [StrOptions({"error", "ignore"})],
        "timestamp": [str, None],
        "guard": [HasMethods(["check"]), None],
    }

    def __init__(
        self,
        user: str = "user",
        item: str = "item",
        value: str | None = None,
        *,
        duplicates: str = "sum",
        unknown: str = "error",
        timestamp: str | None = None,
        guard: Guard | None = None,
    ) -> None:
        self.user = user
        self.item = item
        self.value = value
        self.duplicates = duplicates
        self.unknown = unknown
        self.timestamp = timestamp
        self.guard = guard

    def fit(self, X: Any, y: Any = None) -> InteractionEncoder:
        """Learn the ids of users and items.

        Parameters
        ----------
        X : table of n_events rows
            See Notes of the class.
        y : None
            Ignored.

        Returns
        -------
        self : InteractionEncoder
            The encoder.

        Raises
        ------
        TypeError
            `X` is no table, ids are of mixed types, boolean or fractional, or values or times
            are of a wrong type.
        ValueError
            There are no events, a column is absent, an id is missing, or a value or a time is
            missing, NaN or (values) infinite.
        """
        self._learn(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> SparseMatrix:
        """Learn the ids and return the matrix of the same events.

        Parameters
        ----------
        X : table of n_events rows
            See Notes of the class.
        y : None
            Ignored.

        Returns
        -------
        Xt : csr_matrix or csr_array of shape (n_users, n_items)
            float64, sorted, without duplicates.
        """
        return self._matrix(*self._learn(X), self.n_users_)

    def transform(self, X: Any) -> SparseMatrix:
        """Return the matrix of events of known ids.

        Parameters
        ----------
        X : table of n_events rows
            See Notes of the class; it may be empty.

        Returns
        -------
        Xt : csr_matrix or csr_array of shape (n_users, n_items)
            float64, sorted, without duplicates.

        Raises
        ------
        UnknownInteractionError
            An id is not known and ``unknown="error"``.
        ValueError
            A pair occurs twice and ``duplicates="error"``; and as in `fit`.
        """
        check_is_fitted(self)
        table = self._read(X)
        users, items = self._encode(table.user, "user"), self._encode(table.item, "item")
        return self._matrix(users, items, *self._numbers(table), self.n_users_)

    def transform_new_users(self, events: Any) -> tuple[np.ndarray, SparseMatrix]:
        """Return the users of some events and their matrix, whether or not `fit` saw the users.

        Such rows are for ``recommend(X)``. The ids of `fit`'s users play no part and stay as they
        are.

        Parameters
        ----------
        events : table of n_events rows
            See Notes of the class; it may be empty.

        Returns
        -------
        ids : ndarray of shape (n_new_users,)
            The distinct users, ascending: int64 or uint64 where ids are integers, else object.
        X : csr_matrix or csr_array of shape (n_new_users, n_items)
            Row k is the user ``ids[k]``, columns are the items that `fit` saw. A user with none but
            unknown items has an empty row where ``unknown="ignore"``.

        Raises
        ------
        UnknownInteractionError
            An item is not known and ``unknown="error"``.
        ValueError
            A pair occurs twice and ``duplicates="error"``; and as in `fit`.
        """
        check_is_fitted(self)
        table = self._read(events)
        users, rows = Vocabulary.learn(read_ids(table.user, "user"), "user")
        items = self._encode(table.item, "item")
        return users.ids, self._matrix(rows, items, *self._numbers(table), users.size)

    def _learn(self, events: Any) -> tuple[Any, Any, Any, Any]:
        """Fit, and return positions, values and order of the events."""
        self._validate_params()
        names = [self.user, self.item, self.value, self.timestamp]
        names = [name for name in names if name is not None]
        if len(set(names)) < len(names):
            raise ValueError(
                f"Got user={self.user!r}, item={self.item!r}, value={self.value!r}, timestamp="
                f"{self.timestamp!r}; expected different columns. Name each column once."
            )
        table = self._read(events)
        if not len(table.user):
            raise ValueError(
                "Got a table of 0 events; expected at least one. Check how the events are read."
            )
        values, order = self._numbers(table)
        user_ids, item_ids = read_ids(table.user, "user"), read_ids(table.item, "item")
        self._ask_guard(user_ids, item_ids)
        users, user_codes = Vocabulary.learn(user_ids, "user")
        items, item_codes = Vocabulary.learn(item_ids, "item")
        name = table.value_name
        while name in (self.user, self.item):
            name += "_"
        self.__dict__.update(
            _users=users,
            _items=items,
            _kind=table.kind,
            _value_name=name,
            n_users_=users.size,
            n_items_=items.size,
        )
        return user_codes, item_codes, values, order

    def _extended(self, events: Any) -> tuple[InteractionEncoder, SparseMatrix]:
        """Return an encoder that knows the ids of more events as well, and the matrix of these."""
        table = self._read(events)
        user_ids, item_ids = read_ids(table.user, "user"), read_ids(table.item, "item")
        self._ask_guard(user_ids, item_ids)
        twin = snapshot(self)
        twin._users, users = self._users.extended(user_ids, "user")
        twin._items, items = self._items.extended(item_ids, "item")
        twin.n_users_, twin.n_items_ = twin._users.size, twin._items.size
        return twin, twin._matrix(users, items, *self._numbers(table), twin.n_users_)

    def _read(self, events: Any) -> EventTable:
        return read_events(events, self.user, self.item, self.value, self.timestamp)

    def _numbers(self, table: EventTable) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the values, None for ones, and the order of rows, None for that of the table."""
        values, order, text = None, None, table.text_values
        if table.value is not None:
            values = read_values(table.value, table.value_name, text=text)
        if self.timestamp is not None and self.duplicates == "last":
            order = time_order(table.time, self.timestamp, text=text)
        return values, order

    def _matrix(
        self,
        users: np.ndarray,
        items: np.ndarray,
        values: np.ndarray | None,
        order: np.ndarray | None,
        n_users: int,
    ) -> SparseMatrix:
        shape = (n_users, self.n_items_)
        return align_sparse(assemble(users, items, values, shape, self.duplicates, order))

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        if self.__sklearn_is_fitted__():
            check_encoder(self, self.__dict__)

    def __copy__(self) -> InteractionEncoder:
        return snapshot(self)

    def __sklearn_is_fitted__(self) -> bool:
        return "_users" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.dict = True
        tags.input_tags.two_d_array = False
        return tags

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        text = super().__repr__(N_CHAR_MAX)
        if not self.__sklearn_is_fitted__():
            return text
        users = self._users
        n_forgotten = users.size - len(users.ids)
        forgotten = f" ({n_forgotten} forgotten)" if n_forgotten else ""
        return f"<{text} of {self.n_users_} users{forgotten} and {self.n_items_} items>"
