"""Which items of whom are to be found: test events of known users, or a share of new rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.metrics._checks import check_interactions
from sklearn_unlearn.metrics._parts import Parts
from sklearn_unlearn.utils._interactions import keep_entries
from sklearn_unlearn.utils._random import hashed_bits


@dataclass(frozen=True)
class HeldOut:
    """Lists are made by `source`, and have to find `relevant`.

    Parameters
    ----------
    source : recommender or ndarray of int of shape (n_users, k)
        As `ndcg_at_k` and `recall_at_k` take it.

    relevant : csr_array of shape (n_users, n_items)
        Positive where an item is to be found.

    seen : csr_array of shape (n_users, n_items) or None
        What the lists must leave out, where `source` does not see to it itself.
    """

    source: Any
    relevant: sparse.csr_array
    seen: sparse.csr_array | None = None


@dataclass(frozen=True)
class UserCounts:
    """How many users the test data hold, and how many of them either protocol can score.

    Parameters
    ----------
    n_users : int
        Users with a positive value of an item that the model knows.

    n_known : int
        Users that the model knows, with such an item that it was not trained on: they can be scored
        by weak generalisation.

    n_new : int
        Users that the model does not know, with two such items or more: they can be scored by
        strong generalisation alone.

    any_known : bool
        Whether the model knows any user of the test data.
    """

    n_users: int
    n_known: int = 0
    n_new: int = 0
    any_known: bool = False

    @property
    def mostly_known(self) -> bool:
        """Whether at least half of those that can be scored are known."""
        if not self.n_known + self.n_new:
            return self.any_known
        return self.n_known >= self.n_new


def count_users(parts: Parts, X: Any) -> UserCounts:
    """Count the users of test data, events or rows of a matrix."""
    if parts.encoder is None:
        n_positive = np.diff(_positive(_rows(parts, X)).indptr)
        return UserCounts(int((n_positive > 0).sum()))
    encoder = parts.lenient_encoder()
    ids, X = encoder.transform_new_users(X)
    rows = _positive(_rows(parts, X))
    n_positive = np.diff(rows.indptr)
    users = encoder.encode_users(ids)
    known = users >= 0
    to_find = np.diff(_not_trained(parts, rows[known], users[known]).indptr)
    return UserCounts(
        int((n_positive > 0).sum()),
        int((to_find > 0).sum()),
        int((n_positive[~known] >= 2).sum()),
        bool(known.any()),
    )


def held_out_of_known(parts: Parts, X: Any) -> HeldOut:
    """Weak generalisation: the test events of users that the model was trained on."""
    relevant = _positive(_rows(parts, parts.lenient_encoder().transform(X)))
    relevant = _not_trained(parts, relevant, np.arange(relevant.shape[0]))
    if not relevant.nnz:
        raise ValueError(
            "the test events hold no positive value of a user and an item that the model knows and "
            "has not seen together; expected at least one. Use larger test parts, or "
            "generalization='strong' where all test users are new."
        )
    return HeldOut(parts.recommender, relevant)


def held_out_of_new(parts: Parts, X: Any, k: int, share: float, seed: int) -> HeldOut:
    """Strong generalisation: part of the rows of new users, the rest of which is folded in."""
    names = None
    if parts.encoder is None:
        names = getattr(X, "columns", None)
    else:
        X = parts.lenient_encoder().transform_new_users(X)[1]
    rows = _rows(parts, X)
    rows = rows[np.diff(_positive(rows).indptr) >= 2]
    if not rows.shape[0]:
        raise ValueError(
            "no test user has two positive values of items that the model knows; expected at least "
            "one such user, as one item is folded in and another has to be found. Use larger test "
            "parts, or test users with more interactions."
        )
    held = choose_held_out(rows, share, seed)
    given, relevant = keep_entries(rows, ~held), keep_entries(rows, held)
    if names is not None:
        _check_names(parts.recommender, names)
    if not hasattr(parts.recommender, "recommend"):
        return HeldOut(parts.recommender, relevant, given)
    with _without_names(names):
        items = parts.recommender.recommend(given, n_items=min(k, rows.shape[1]))[0]
    items = np.pad(items, ((0, 0), (0, k - items.shape[1])), constant_values=-1)
    return HeldOut(items, relevant)


def choose_held_out(rows: sparse.csr_array, share: float, seed: int) -> NDArray[np.bool_]:
    """Mark the entries to hold out: of each row, a share of the positive ones.

    The draw is a hash of the seed, the item and the row's own positive items, so that it depends
    neither on the other rows nor on where the row stands.

    Parameters
    ----------
    rows : csr_array of shape (n, n_items)
        Sorted, with two positive entries or more a row.

    share : float
        Between 0 and 1; rounded to at least one entry, and all but one at most.

    seed : int
        The stream.

    Returns
    -------
    held : ndarray of bool, shape (nnz,)
        In the order of ``rows.data``.
    """
    positive = rows.data > 0
    row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))[positive]
    columns = rows.indices[positive].astype(np.int64)
    n_positive = np.bincount(row, minlength=rows.shape[0])
    ends = np.cumsum(n_positive)
    # Sums of words modulo 2**64 do not depend on an order.
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(hashed_bits(seed, columns))])
    content = sums[ends] - sums[ends - n_positive]
    draw = hashed_bits(seed, content[row], columns, 1)
    order = np.lexsort((draw, row))
    rank = np.empty(len(row), np.int64)
    rank[order] = np.arange(len(row)) - np.repeat(ends - n_positive, n_positive)
    n_held = np.clip(np.rint(share * n_positive).astype(np.int64), 1, n_positive - 1)
    held = np.zeros(rows.nnz, bool)
    held[np.flatnonzero(positive)[rank < n_held[row]]] = True
    return held


def _rows(parts: Parts, X: Any) -> sparse.csr_array:
    """Take a matrix through the entry-wise steps; one without rows as well, which no step takes."""
    entries = parts.entries(X) if np.shape(X)[0] else X
    return check_interactions(entries, "X", ensure_min_samples=0)


def _not_trained(
    parts: Parts, rows: sparse.csr_array, users: NDArray[np.int64]
) -> sparse.csr_array:
    """Leave out the cells that the model was trained on; row k is that of ``users[k]``.

    Such cells are not recommended, so they cannot be found either: an event may repeat.
    """
    trained: Any = getattr(parts.recommender, "_interactions", None)
    if not hasattr(trained, "contains"):
        return rows
    owners = np.repeat(users, np.diff(rows.indptr))
    return keep_entries(rows, ~trained.contains(owners, rows.indices))


def _positive(rows: sparse.csr_array) -> sparse.csr_array:
    return keep_entries(rows, rows.data > 0)


def _check_names(recommender: Any, names: Any) -> None:
    """Refuse a frame whose columns are not those of the training data, in their order."""
    known = getattr(recommender, "feature_names_in_", None)
    if known is not None and list(known) != list(names):
        raise ValueError(
            "X is a frame with other columns than the model was fitted on; expected the same items "
            "in the same order. Select the columns of the training data."
        )


@contextmanager
def _without_names(names: Any) -> Iterator[None]:
    """Say nothing of a frame that became a matrix: its names have been compared."""
    if names is None:
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        yield
