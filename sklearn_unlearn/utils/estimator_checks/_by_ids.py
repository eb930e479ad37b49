"""An estimator of events, held to the checks of positions: positions go in and out, ids through."""

from __future__ import annotations

import copy

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.utils._verbs import snapshot
from sklearn_unlearn.utils.estimator_checks._check_data import (
    N_ITEMS,
    N_USERS,
    known_table,
    require,
    stored_as,
)
from sklearn_unlearn.utils.estimator_checks._ids import (
    ITEM_IDS,
    USER_IDS,
    columns_of,
    events_from,
    item_places,
    user_places,
)

_N_TRIES = 20  # ids may be erased between two questions


class ByIds(BaseEstimator):
    """Translate between the positions of a check and the ids of an estimator of events.

    It adds no lock, keeps no data, fits the estimator itself and lets every error through but one:
    users and items of which a question finds that the estimator does not know them have no list and
    the score 0. Every answer is that of a single call. A position without events has no id.

    Parameters
    ----------
    estimator : estimator object
        One that takes tables of events.
    """

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y=None):
        """Fit on the events of a matrix."""
        events = events_from(columns_of(self.estimator), X)
        returned = self.estimator.fit(events)
        require(returned is self.estimator, f"{self._name}.fit must return self")
        self._n_items = len(np.unique(events[columns_of(self.estimator).item]))
        return self

    def forget(self, interactions=None, *, users=None, items=None, missing="raise"):
        """Forget positions by their ids; one stays one, a list a list, an array an array."""
        if interactions is not None:
            pairs = _as_pairs(interactions)
            interactions = columns_of(self.estimator).table(*pairs.T)
        returned = self.estimator.forget(
            interactions,
            users=_translated(USER_IDS, users),
            items=_translated(ITEM_IDS, items),
            missing=missing,
        )
        return self if returned is self.estimator else returned

    def recommend(self, X=None, *, users=None, n_items=10, exclude_seen=True):
        """Return the lists as arrays of positions and scores; users without a list have -1."""
        options = {"n_items": n_items, "exclude_seen": exclude_seen}
        if X is not None:
            rows = np.arange(X.shape[0])
            table = self.estimator.recommend(events_from(columns_of(self.estimator), X), **options)
            order = np.argsort(USER_IDS[rows])  # lists come in ascending order of ids
            items, scores = self._read_lists(table, rows[order], n_items)
            return items[np.argsort(order)], scores[np.argsort(order)]
        users = np.atleast_1d(users)
        known = users
        for _ in range(_N_TRIES):
            try:
                table = self.estimator.recommend(users=list(USER_IDS[known]), **options)
                return self._read_lists(table, users, n_items)
            except UnknownInteractionError:
                known = users[np.isin(users, self._known_users(np.unique(users)))]
        raise AssertionError(f"{self._name}.recommend must know users that it has just known")

    def decision_function(self, X):
        """Score every item for new users, as `recommend` lists them; 0 without events."""
        items, scores = self.recommend(X, n_items=self._n_items, exclude_seen=False)
        table = np.zeros((X.shape[0], N_ITEMS))
        rows, places = np.nonzero(items >= 0)
        table[rows, items[rows, places]] = scores[rows, places]
        return table

    def predict_pairs(self, pairs):
        """Score pairs; 0 for those of which an id is unknown."""
        pairs = np.asarray(pairs)
        columns = columns_of(self.estimator)
        known, asked = np.ones(len(pairs), bool), False
        for _ in range(_N_TRIES):
            scores = np.zeros(len(pairs))
            try:
                scores[known] = self.estimator.predict_pairs(columns.table(*pairs[known].T))
                if asked or not np.isnan(scores).any():  # NaN: an id that is unknown, if it is
                    return scores
            except UnknownInteractionError:
                pass
            known, asked = self.known()[tuple(pairs.T)], True
        raise AssertionError(f"{self._name}.predict_pairs must know what recommend knows")

    def known(self):
        """Mark the pairs of known users and items."""
        table = np.zeros((N_USERS, N_ITEMS), bool)
        users = self._known_users(np.arange(N_USERS))
        if len(users):
            items, _ = self.recommend(users=users[:1], n_items=self._n_items, exclude_seen=False)
            table[np.ix_(users, items[items >= 0])] = True
        return table

    def _known_users(self, users):
        """Halve a list of users until each half is known or a single unknown one."""
        try:
            table = self.estimator.recommend(
                users=list(USER_IDS[users]), n_items=1, exclude_seen=False
            )
        except UnknownInteractionError:
            half = len(users) // 2
            parts = (users[:half], users[half:]) if half else ()
            return np.concatenate([users[:0], *map(self._known_users, parts)])
        return users[np.isin(users, user_places(next(iter(table.values()))))]

    def _read_lists(self, table, users, n_items):
        """Turn a table of lists into arrays, and require that it lists the users in their order."""
        user_column, item_column, score_column, rank_column = (
            np.asarray(column) for column in table.values()
        )
        places, listed = user_places(user_column), item_places(item_column)
        items = np.full((len(users), n_items), -1)
        scores = np.full((len(users), n_items), -np.inf)
        end = 0
        for row, user in enumerate(users):
            start = end
            while end < len(places) and places[end] == user and rank_column[end] == end - start + 1:
                end += 1
            items[row, : end - start] = listed[start:end]
            scores[row, : end - start] = score_column[start:end]
        require(
            end == len(places),
            f"{self._name}.recommend must list the users asked for, in order, by rank",
        )
        return items, scores

    @property
    def _name(self):
        return type(self.estimator).__name__

    @property
    def forget_report_(self):
        """The report of the estimator."""
        return self.estimator.forget_report_

    @property
    def n_features_in_(self):
        """Number of items that the estimator can list."""
        check_is_fitted(self)
        return int(self.known().any(axis=0).sum())

    def __copy__(self):
        twin = snapshot(self)
        twin.estimator = copy.copy(self.estimator)
        return twin

    def __sklearn_is_fitted__(self):
        try:
            check_is_fitted(self.estimator)
        except Exception:
            return False
        return True

    def __sklearn_tags__(self):
        return get_tags(self.estimator)


def _as_pairs(interactions):
    """Bring every form of a request for single interactions to an array of shape (n, 2)."""
    if sparse.issparse(interactions):
        return np.column_stack(interactions.nonzero())
    if isinstance(interactions, tuple):
        return np.column_stack(interactions).astype(np.int64)
    pairs = np.asarray(interactions)
    return np.argwhere(pairs) if pairs.dtype == bool else pairs.astype(np.int64).reshape(-1, 2)


def _translated(ids, places):
    if places is None:
        return None
    if isinstance(places, list):
        return [ids[place] for place in places]
    return ids[places]


@known_table.register
def _(model: ByIds):
    return model.known()


@stored_as.register
def _(model: ByIds, cells):
    # The encoder gives positions in ascending order of the ids.
    ranks = [np.argsort(np.argsort(ids)) for ids in (USER_IDS[:N_USERS], ITEM_IDS)]
    return np.column_stack([rank[side] for rank, side in zip(ranks, cells.T, strict=True)])
