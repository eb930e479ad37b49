"""What models of sessions and baskets share: values are times, and rows have owners."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.recommenders._closed_form import ClosedFormModel
from sklearn_unlearn.recommenders._types import Floats, State
from sklearn_unlearn.utils._compat import _fit_context
from sklearn_unlearn.utils._state import check_table, refuse_loaded
from sklearn_unlearn.utils._validation import as_positions
from sklearn_unlearn.utils._verbs import lock_of, restored_on_failure, snapshot

__all__ = ["SequenceModel"]

Ints = NDArray[np.int64]
# Owners are numbers of positions in tables, so none may be far above the number of rows.
_OWNERS_PER_ROW = 16


class SequenceModel(ClosedFormModel):
    """Base of models whose rows are sessions or baskets: a value is the time of its event.

    A row belongs to an *owner*, a person or a device, by default to one of its own.
    ``_score_sessions(X, own)`` scores rows, given which training row each of them is, or -1.
    """

    _owners: Ints

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, *, owners: ArrayLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : sparse container or array-like, shape (n_sessions, n_items)
            The positive time of each event, of the last one where an item is met several times; 1
            everywhere where only the order of the rows is known. Zero, stored or not, means not
            observed.

        y : None
            Ignored.

        owners : array-like of int, shape (n_sessions,), or None, default=None
            Position of the owner of each row. None: each row has its own.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError
            If `owners` are no integers.
        ValueError
            If X holds NaN, infinity or negative values, or no event at all; or `owners` are not one
            for each row.
        """
        with restored_on_failure(self):
            data = self._check_training_data(X)
            view = snapshot(self)
            view._owners = _read_owners(owners, data.n_users, 0)
            self._fit_to(data, view, {"_owners": view._owners})
        return self

    def forget(
        self,
        interactions: Any = None,
        *,
        users: Any = None,
        items: Any = None,
        owners: Any = None,
        missing: str = "raise",
    ) -> Self:
        """Make the model what it would be had it never seen some of its training data.

        All parts of the request are united. They are validated in full before anything changes, and
        the new state is put in place at once: an error leaves the model as it was, bit for bit.
        Positions never move: a forgotten session is an empty row, a forgotten item keeps its
        column.

        Parameters
        ----------
        interactions : None, array-like, tuple or mask, default=None
            Events: integer array of shape (n, 2) of (row, item) positions; tuple ``(rows, items)``;
            sparse container of the shape of the training matrix, nonzero means forget; boolean
            array of that shape.

        users : None, int, array-like of int, or boolean mask of shape (n_sessions,), default=None
            Rows, which are sessions or baskets, to forget as a whole.

        items : None, int, array-like of int, or boolean mask of shape (n_items,), default=None
            Items to forget as a whole.

        owners : None, int or array-like of int, default=None
            Owners to forget: all rows of each.

        missing : {"raise", "ignore"}, default="raise"
            What to do about events, rows, items and owners that the model does not know or has
            already forgotten. With "ignore", a repeated request changes nothing.

        Returns
        -------
        self : object
            The same estimator. An empty request changes no attribute.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model is not fitted.
        TypeError
            For frames, strings and floats where positions are expected.
        ValueError
            For a wrong shape, a position out of range, or if nothing was passed.
        UnknownInteractionError
            With ``missing="raise"``, if the model was never trained on part of the request.
        ChangedParameterError
            If a parameter that the fitted state rests on was changed after `fit`.
        """
        self._check_fitted()
        with lock_of(self):
            if owners is not None:
                users = self._rows_to_forget(users, owners, missing)
            return super().forget(interactions, users=users, items=items, missing=missing)

    def _rows_to_forget(self, users: Any, owners: Any, missing: str) -> Ints:
        n_rows, full = self._interactions.n_users, self._interactions.user_degrees > 0
        asked = np.unique(as_positions(owners, int(self._owners.max()) + 1, "owners", "owners"))
        rows = np.flatnonzero(full & np.isin(self._owners, asked))
        n_unknown = len(np.setdiff1d(asked, self._owners[rows]))
        if n_unknown and missing == "raise":
            raise UnknownInteractionError(
                f"{n_unknown} of {len(asked)} owners have no events; expected owners that the "
                "model knows. Drop them, or pass missing='ignore'."
            )
        known = as_positions([] if users is None else users, n_rows, "users", "users")
        return np.union1d(rows, known)

    def learn(
        self,
        interactions: Any,
        values: Any = None,
        *,
        n_users: int | None = None,
        n_items: int | None = None,
        existing: str = "raise",
        sample_weight: ArrayLike | None = None,
        owners: ArrayLike | None = None,
    ) -> Self:
        """Make the model what it would be had some more events been in its training data.

        Parameters
        ----------
        interactions : array-like, tuple, sparse container or boolean array
            Integer array of shape (n, 2) of (row, item) positions; tuple ``(rows, items)``; or a
            matrix of at least the shape of the training matrix, whose nonzeros are new events.
            Positions beyond the training matrix are new sessions and items.

        values : None, float or array-like of shape (n,), default=None
            Times of the events, as in X; None is 1.

        n_users, n_items : int or None, default=None
            Shape of the table afterwards. None is as large as it has to be.

        existing : {"raise", "ignore", "replace", "add"}, default="raise"
            What to do about pairs that the model has learned already: refuse the request, leave
            them as they are, take the new time, or add it to the old one, which is hardly meant.

        sample_weight : None
            Refused if given: sessions have no weights.

        owners : array-like of int, shape (n_new_sessions,), or None, default=None
            Owners of the rows beyond the training matrix, in their order; old ones or new ones.
            None: each has a new one.

        Returns
        -------
        self : object
            The same estimator, with ``learn_report_``. A request that holds nothing new, nor a
            larger shape, changes no attribute.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model is not fitted.
        TypeError
            For frames, strings and floats where positions are expected.
        ValueError
            For a wrong shape, for values that the model could not be fitted to, and for weights.
        KnownInteractionError
            With ``existing="raise"``, for pairs that the model has learned already.
        TooLargeError
            If there is no room for a table of the new shape.
        ChangedParameterError
            If a parameter that the fitted state rests on was changed after `fit`.
        """
        self._check_fitted()
        new = {"values": values, "n_users": n_users, "n_items": n_items}
        with lock_of(self):
            # On a copy, which alone knows the owners of what is to come.
            view = snapshot(self)
            view.__dict__["_owners_to_come"] = owners
            view._change(interactions, new, None, existing, sample_weight)
            del view.__dict__["_owners_to_come"]
            self.__dict__.update(view.__dict__)
        return self

    def _change(self, *request: Any) -> Self:
        if request[-1] is not None:
            raise ValueError(
                "sample_weight was given; expected None, as sessions have no weights. Leave it out."
            )
        return super()._change(*request)

    def _grown(self, data: Interactions) -> dict[str, Any]:
        to_come = self.__dict__.get("_owners_to_come")
        more = _read_owners(to_come, data.n_users - len(self._owners), int(self._owners.max()) + 1)
        return {"_owners": _frozen(np.append(self._owners, more))}

    def _state_after(self, change: Any) -> dict[str, Any]:
        to_come = self.__dict__.get("_owners_to_come")
        if to_come is not None and change.before is self._interactions:
            _read_owners(to_come, 0, 0)
        return super()._state_after(change)

    def _check_owners(self, state: State) -> None:
        n_rows = state["_interactions"].n_users
        owners = check_table(self, state, "_owners", (n_rows,), (np.dtype(np.int64),))
        if len(owners) and (owners.min() < 0 or owners.max() >= _n_most(n_rows)):
            refuse_loaded(self, "an owner is out of range")

    # -- scores ------------------------------------------------------------------------------------
    def _score_rows(self, X: Any) -> Floats:
        return self._score_sessions(X, np.full(X.shape[0], -1))

    def _score_users(self, users: Ints) -> Floats:
        return self._score_sessions(self._interactions.rows_of_users(users), np.asarray(users))

    def _score_sessions(self, X: Any, own: Ints) -> Floats:
        raise NotImplementedError(f"{type(self).__name__} must define _score_sessions(X, own)")


def _n_most(n_rows: int) -> int:
    return 1024 + _OWNERS_PER_ROW * n_rows


def _read_owners(owners: Any, n: int, first: int) -> Ints:
    """Check the owners of n rows; those that are not given are numbered from `first` on."""
    if owners is None:
        return _frozen(np.arange(first, first + n))
    array = np.asarray(owners)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(
            f"owners are of type {array.dtype}; expected integers, the positions of owners. Turn "
            "ids into positions, as with numpy.unique(ids, return_inverse=True)[1]."
        )
    if array.shape != (n,):
        raise ValueError(
            f"owners have shape {array.shape}; expected {(n,)}, one for each row that is new. Pass "
            "the owner of each row, in the order of the rows."
        )
    most = _n_most(first + n)
    if n and (array.min() < 0 or array.max() >= most):
        raise ValueError(
            f"owners go from {array.min()} to {array.max()}; expected positions from 0 to "
            f"{most - 1}. Number the owners from 0 on."
        )
    return _frozen(array.astype(np.int64))


def _frozen(owners: Ints) -> Ints:
    owners.setflags(write=False)
    return owners
