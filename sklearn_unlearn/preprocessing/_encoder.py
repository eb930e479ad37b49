"""InteractionEncoder: tables of events with ids to the sparse matrix of positions, and back."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..utils._compat import StrOptions
from ._assemble import assemble
from ._columns import EventTable, make_events, read_column, read_events, read_values
from ._guards import refuse_in_diagram, refuse_unknown
from ._vocabulary import Vocabulary, read_ids

__all__ = ["InteractionEncoder"]


class InteractionEncoder(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Turn events with ids into the sparse user-item matrix that recommenders learn from.

    Estimators speak positions: row u of X is a user, column i an item. The encoder knows which id
    has which position. It learns the ids in `fit`, in ascending order, and keeps them private:
    neither its text nor its HTML representation ever shows one.

    Parameters
    ----------
    user, item : str, default="user", "item"
        Names of the columns that hold the ids. Ids may be integers of up to 64 bits, text, UUIDs
        or objects of any one type that can be hashed and sorted.
    value : str or None, default=None
        Name of the column of values (ratings, labels of +1 / -1, counts). None: an event counts
        as 1. In an array of events the third column, where there is one, holds the values.
    duplicates : {"sum", "last", "max", "error"}, default="sum"
        What becomes of several events of one user and one item: their values are added, the last
        in the order of the table counts, the largest counts, or an error is raised.
    unknown : {"error", "ignore"}, default="error"
        What becomes of ids that `fit` did not see or `forget_users` erased. "ignore": `transform`
        leaves their events out; the other methods give the position -1.

    Attributes
    ----------
    n_users_, n_items_ : int
        Number of positions, those of forgotten users included.

    Notes
    -----
    Tables of events may be frames of pandas, polars or pyarrow (through narwhals), dicts of columns
    (`sklearn_unlearn.datasets.Events` too), or arrays of shape (n_events, 2) or (n_events, 3).
    A cell that comes out as 0 means "not observed" to the recommenders; `transform` drops it with a
    warning.

    Examples
    --------
    >>> from sklearn_unlearn.preprocessing import InteractionEncoder
    >>> events = {"user": ["bo", "al", "bo"], "item": [30, 10, 10], "stars": [4.0, 2.5, 5.0]}
    >>> encoder = InteractionEncoder(value="stars")
    >>> encoder.fit_transform(events).toarray()
    array([[2.5, 0. ],
           [5. , 4. ]])
    >>> encoder.get_feature_names_out()
    array([10, 30], dtype=object)
    >>> encoder.encode_users(["bo"])
    array([1])
    >>> encoder.forget_users(["al"])
    <InteractionEncoder(value='stars') of 2 users (1 forgotten) and 2 items>
    """

    _parameter_constraints: ClassVar[dict] = {
        "user": [str],
        "item": [str],
        "value": [str, None],
        "duplicates": [StrOptions({"sum", "last", "max", "error"})],
        "unknown": [StrOptions({"error", "ignore"})],
    }

    def __init__(
        self,
        user: str = "user",
        item: str = "item",
        value: str | None = None,
        *,
        duplicates: str = "sum",
        unknown: str = "error",
    ):
        self.user = user
        self.item = item
        self.value = value
        self.duplicates = duplicates
        self.unknown = unknown

    def fit(self, events: Any, y: Any = None) -> InteractionEncoder:
        """Learn the ids of users and items.

        Parameters
        ----------
        events : table of n_events rows
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
            `events` is no table, or ids are of mixed types, boolean or fractional.
        ValueError
            There are no events, a column is absent, an id is missing, or a value is missing, NaN
            or infinite.
        """
        self._learn(events)
        return self

    def fit_transform(self, events: Any, y: Any = None) -> sparse.csr_array:
        """Learn the ids and return the matrix of the same events.

        Parameters
        ----------
        events : table of n_events rows
            See Notes of the class.
        y : None
            Ignored.

        Returns
        -------
        X : csr_array of shape (n_users, n_items)
            float64, sorted, without duplicates.
        """
        return self._matrix(*self._learn(events))

    def transform(self, events: Any) -> sparse.csr_array:
        """Return the matrix of events of known ids.

        Parameters
        ----------
        events : table of n_events rows
            See Notes of the class; it may be empty.

        Returns
        -------
        X : csr_array of shape (n_users, n_items)
            float64, sorted, without duplicates.

        Raises
        ------
        UnknownInteractionError
            An id is not known and ``unknown="error"``.
        ValueError
            A pair occurs twice and ``duplicates="error"``; and as in `fit`.
        """
        check_is_fitted(self)
        table = read_events(events, self.user, self.item, self.value)
        users, items = self._positions(table)
        values = self._values(table)
        known = (users >= 0) & (items >= 0)
        return self._matrix(users[known], items[known], values[known])

    def encode_pairs(self, events: Any) -> np.ndarray:
        """Return the positions of the user and the item of each event; values are not looked at.

        Parameters
        ----------
        events : table of n_events rows
            See Notes of the class.

        Returns
        -------
        pairs : ndarray of shape (n_events, 2)
            int64; -1 for an unknown id where ``unknown="ignore"``.
        """
        check_is_fitted(self)
        table = read_events(events, self.user, self.item, None)
        return np.column_stack(self._positions(table))

    def encode_users(self, ids: Any) -> np.ndarray:
        """Return the positions of users.

        Parameters
        ----------
        ids : list, array or series of n_ids ids
            A single id must be wrapped in a list.

        Returns
        -------
        users : ndarray of shape (n_ids,)
            int64; -1 for an unknown id where ``unknown="ignore"``.
        """
        check_is_fitted(self)
        return self._encode(read_column(ids, "user ids"), "user")

    def encode_items(self, ids: Any) -> np.ndarray:
        """Return the positions of items.

        Parameters
        ----------
        ids : list, array or series of n_ids ids
            A single id must be wrapped in a list.

        Returns
        -------
        items : ndarray of shape (n_ids,)
            int64; -1 for an unknown id where ``unknown="ignore"``.
        """
        check_is_fitted(self)
        return self._encode(read_column(ids, "item ids"), "item")

    def inverse_transform(self, X: Any) -> Any:
        """Return a matrix as a table of events, of the kind that `fit` was given.

        Parameters
        ----------
        X : {sparse, dense} of shape (n_users, n_items)
            Matrix of values; zeros are not observed.

        Returns
        -------
        events : frame, dict or array
            User ids, item ids and values (float64, in a column called `value` or "value") of the
            nonzero cells, by row and column.

        Raises
        ------
        ValueError
            X has another shape, or values in the row of a forgotten user, whose id is gone.
        """
        check_is_fitted(self)
        shape = (self.n_users_, self.n_items_)
        if np.shape(X) != shape:
            raise ValueError(
                f"Got X of shape {np.shape(X)}; expected (n_users, n_items) = {shape}. Pass a "
                "matrix of the users and items that fit saw."
            )
        matrix = sparse.csr_array(X, dtype=np.float64, copy=True)
        matrix.sum_duplicates()
        cells = matrix.tocoo()
        kept = cells.data != 0
        users, items = (index[kept] for index in cells.coords)
        try:
            user_ids = self._users.at(users)
        except KeyError as error:
            raise ValueError(
                f"X has {error.args[0]} values in rows of forgotten users; expected these rows to "
                "be empty, since their ids are erased. Forget the users in the matrix as well."
            ) from None
        columns = {self.user: user_ids, self.item: self._items.at(items)}
        columns[self._value_name] = cells.data[kept]
        return make_events(self._kind, columns)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the item ids, by position.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ids : ndarray of shape (n_items,)
            dtype object.
        """
        check_is_fitted(self)
        refuse_in_diagram()
        names = np.empty(self.n_items_, object)
        names[:] = self._items.ids.tolist()
        return names

    def forget_users(self, ids: Any, *, missing: str = "raise") -> InteractionEncoder:
        """Erase the ids of users; their positions stay, without an id.

        An erased id is unknown from then on. No position moves, so a fitted model still matches.

        Parameters
        ----------
        ids : list, array or series
            Ids of users to erase.
        missing : {"raise", "ignore"}, default="raise"
            Whether an id that is not known is an error. Nothing changes in that case.

        Returns
        -------
        self : InteractionEncoder
            The encoder.

        Raises
        ------
        UnknownInteractionError
            An id is not known and ``missing="raise"``.
        """
        check_is_fitted(self)
        if missing not in ("raise", "ignore"):
            raise ValueError(
                f"Got missing={missing!r}; expected 'raise' or 'ignore'. Choose one of these."
            )
        column = read_ids(read_column(ids, "user ids"), "user")
        positions = self._users.lookup(column, "user")
        if missing == "raise":
            refuse_unknown(positions, column, "user")
        # One assignment of a new object: a reader sees the ids before or after, never between.
        self._users = self._users.without(positions)
        return self

    def _learn(self, events: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fit, and return positions and values of the events."""
        self._validate_params()
        if len({self.user, self.item, self.value}) < 3:
            raise ValueError(
                f"Got user={self.user!r}, item={self.item!r}, value={self.value!r}; expected three "
                "different columns. Name each column once."
            )
        table = read_events(events, self.user, self.item, self.value)
        if not len(table.user):
            raise ValueError(
                "Got a table of 0 events; expected at least one. Check how the events are read."
            )
        values = self._values(table)
        users, user_codes = Vocabulary.learn(read_ids(table.user, "user"), "user")
        items, item_codes = Vocabulary.learn(read_ids(table.item, "item"), "item")
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
        return user_codes, item_codes, values

    def _values(self, table: EventTable) -> np.ndarray:
        if table.value is None:
            return np.ones(len(table.user))
        return read_values(table.value, table.value_name, text=table.text_values)

    def _positions(self, table: EventTable) -> tuple[np.ndarray, np.ndarray]:
        return self._encode(table.user, "user"), self._encode(table.item, "item")

    def _encode(self, column: Any, role: str) -> np.ndarray:
        vocabulary = self._users if role == "user" else self._items
        ids = read_ids(column, role)
        positions = vocabulary.lookup(ids, role)
        if self.unknown == "error":
            refuse_unknown(positions, ids, role)
        return positions

    def _matrix(self, users: np.ndarray, items: np.ndarray, values: np.ndarray) -> sparse.csr_array:
        shape = (self.n_users_, self.n_items_)
        return assemble(users, items, values, shape, self.duplicates)

    def __sklearn_is_fitted__(self) -> bool:
        return "_users" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.dict = True
        tags.no_validation = True
        return tags

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        text = super().__repr__(N_CHAR_MAX)
        if not self.__sklearn_is_fitted__():
            return text
        n_forgotten = self._users.size - len(self._users.ids)
        forgotten = f" ({n_forgotten} forgotten)" if n_forgotten else ""
        return f"<{text} of {self.n_users_} users{forgotten} and {self.n_items_} items>"
