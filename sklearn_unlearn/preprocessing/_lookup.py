"""Between ids and positions, once an encoder is fitted."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from ..utils._matrices import as_numbers
from ._columns import make_events, read_column, read_events
from ._guards import (
    refuse_forgotten_rows,
    refuse_in_diagram,
    refuse_unknown,
    refuse_without_id,
)
from ._ids import read_ids
from ._vocabulary import Vocabulary

__all__ = ["IdLookupMixin"]


class IdLookupMixin:
    """Methods of `InteractionEncoder` that tell ids and positions of each other."""

    user: str
    item: str
    unknown: str
    n_users_: int
    n_items_: int
    _users: Vocabulary
    _items: Vocabulary
    _kind: str
    _value_name: str

    def encode_pairs(self, events: Any) -> np.ndarray:
        """Return the positions of the user and the item of each event.

        Columns of values and times are not looked at, and need not be there.

        Parameters
        ----------
        events : table of n_events rows
            See Notes of the class.

        Returns
        -------
        pairs : ndarray of shape (n_events, 2)
            int64; -1 for an unknown id where ``unknown="ignore"``.

        Raises
        ------
        UnknownInteractionError
            An id is not known and ``unknown="error"``.
        """
        check_is_fitted(self)
        table = read_events(events, self.user, self.item, pairs=True)
        pairs = np.empty((len(table.user), 2), np.int64)
        pairs[:, 0] = self._encode(table.user, "user")
        pairs[:, 1] = self._encode(table.item, "item")
        return pairs

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
        return self._encode(read_column(ids, "user ids"), "user").astype(np.int64)

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
        return self._encode(read_column(ids, "item ids"), "item").astype(np.int64)

    def decode_users(self, positions: Any) -> np.ndarray:
        """Return the ids of users.

        Parameters
        ----------
        positions : array-like of int
            Positions, in an array of any shape.

        Returns
        -------
        ids : ndarray of the same shape
            int64 or uint64 where ids are integers, else object.

        Raises
        ------
        TypeError
            Positions are no integers, or a single number.
        ValueError
            A position is out of range, or its user is forgotten.
        """
        return self._decode(positions, "user")

    def decode_items(self, positions: Any) -> np.ndarray:
        """Return the ids of items.

        Parameters
        ----------
        positions : array-like of int
            Positions, in an array of any shape: the items that ``recommend`` returns, too.

        Returns
        -------
        ids : ndarray of the same shape
            int64 or uint64 where ids are integers, else object. `get_feature_names_out` gives the
            ids of all items, always as objects.

        Raises
        ------
        TypeError
            Positions are no integers, or a single number.
        ValueError
            A position is out of range.
        """
        return self._decode(positions, "item")

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
            nonzero cells, by row and column. Times are not part of a matrix.

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
        matrix = sparse.csr_array(as_numbers(X, "X"), dtype=np.float64, copy=True)
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        users, items = matrix.tocoo().coords
        try:
            user_ids = self._users.at(users)
        except KeyError as error:
            refuse_forgotten_rows(error.args[0])
        columns = {self.user: user_ids, self.item: self._items.at(items)}
        columns[self._value_name] = matrix.data
        return make_events(self._kind, columns)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the item ids, by position.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of shape (n_items,)
            dtype object.
        """
        check_is_fitted(self)
        refuse_in_diagram()
        ids = self._items.at(np.arange(self.n_items_))
        names = np.empty(len(ids), object)
        names[:] = ids.tolist()
        return names

    def forget_users(self, ids: Any, *, missing: str = "raise") -> Self:
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
        self._erase_users(positions)
        return self

    def _erase_users(self, positions: np.ndarray) -> None:
        """Leave positions without an id; those that have none, or -1, do nothing.

        One assignment of a new object: a reader sees the ids before or after, never between.
        """
        self._users = self._users.without(positions)

    def _encode(self, column: Any, role: str) -> np.ndarray:
        vocabulary = self._users if role == "user" else self._items
        ids = read_ids(column, role)
        positions = vocabulary.lookup(ids, role)
        if self.unknown == "error":
            refuse_unknown(positions, ids, role)
        return positions

    def _decode(self, positions: Any, role: str) -> np.ndarray:
        check_is_fitted(self)
        vocabulary = self._users if role == "user" else self._items
        array = np.asarray(positions)
        if not array.size and array.ndim:
            array = array.astype(np.int64)  # an empty list is float64
        if array.dtype.kind not in "iu" or not array.ndim:
            raise TypeError(
                f"Got {type(positions).__name__} of dtype {array.dtype} for {role} positions; "
                "expected an array-like of integers. Wrap a single position in a list; ids are "
                f"what this returns, and encode_{role}s takes."
            )
        try:
            return vocabulary.at(array)
        except KeyError:
            refuse_without_id(array, vocabulary.size, role)
