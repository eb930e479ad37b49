"""Where the top-k lists of users come from: lists, score matrices or fitted models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.metrics._checks import IndexArray, member
from sklearn_unlearn.metrics._scores import catalogue_shape
from sklearn_unlearn.utils._ranking import top_k
from sklearn_unlearn.utils._validation import as_positions, refuse_masked

#: Users and scores handled at a time: bounds the memory of a ranking.
CHUNK_USERS = 1024
CHUNK_SCORES = 1 << 22


class ListSource(Protocol):
    """Something that gives the top-k items of users, best first, padded with -1."""

    name: str
    n_users: int | None
    n_items: int | None

    def top(self, users: IndexArray, k: int) -> IndexArray:
        """Return item positions of shape (n, k)."""
        ...


class GivenLists:
    """Lists made elsewhere: integer items of shape (n_users, at least k)."""

    n_items: int | None = None

    def __init__(self, items: NDArray[Any], name: str) -> None:
        self.items, self.name = items, name
        self.n_users: int | None = items.shape[0]

    def top(self, users: IndexArray, k: int) -> IndexArray:
        """Return the first k items of the users' lists."""
        if self.items.shape[1] < k:
            raise ValueError(
                f"{self.name} has lists of {self.items.shape[1]} items; expected at least k={k}. "
                f"Pass longer lists (pad with -1 where a user has no more items) or a smaller k."
            )
        return check_lists(self.items[users, :k], self.name)


class ScoredItems:
    """Lists from scores: a matrix, or the decision function of a model on users' profiles."""

    def __init__(self, scores: Any, name: str, exclude: sparse.csr_array | None) -> None:
        self.scores, self.name, self.exclude = scores, name, exclude
        shape = exclude.shape if exclude is not None else scores.shape
        self.n_users: int | None = shape[0]
        self.n_items: int | None = shape[1]

    def top(self, users: IndexArray, k: int) -> IndexArray:
        """Return the k items of highest score; of equal scores, the lower position comes first."""
        assert self.n_items is not None
        step = max(1, CHUNK_SCORES // max(1, self.n_items))
        chunks = [users[start : start + step] for start in range(0, len(users), step)]
        return np.concatenate([self._top_chunk(chunk, k) for chunk in chunks])

    def _top_chunk(self, users: IndexArray, k: int) -> IndexArray:
        assert self.n_items is not None
        if hasattr(self.scores, "decision_function"):
            assert self.exclude is not None
            scores = np.array(self.scores.decision_function(self.exclude[users]), dtype=np.float64)
        else:
            scores = np.array(self.scores[users], dtype=np.float64)
        expected = (len(users), self.n_items)
        if scores.shape != expected:
            raise ValueError(
                f"{self.name} gave scores of shape {scores.shape}; expected {expected}. "
                f"Score every item for every user."
            )
        if np.isnan(scores).any():
            raise ValueError(
                f"{self.name} holds NaN scores; expected numbers. Check that the model converged; "
                f"use -inf for items that must not be recommended."
            )
        if self.exclude is not None:
            rows = self.exclude[users]
            scores[np.repeat(np.arange(len(users)), np.diff(rows.indptr)), rows.indices] = -np.inf
        items = top_k(scores, min(k, self.n_items))[0]
        return np.pad(items, ((0, 0), (0, k - items.shape[1])), constant_values=-1)


class RecommendedItems:
    """Lists that a fitted recommender makes for its training users."""

    def __init__(self, model: Any, name: str, exclude: sparse.csr_array | None) -> None:
        self.model, self.name, self.exclude = model, name, exclude
        told = catalogue_shape(model)
        if exclude is not None:
            if any(n not in (None, size) for n, size in zip(told, exclude.shape, strict=True)):
                raise ValueError(
                    f"{name} has (n_users, n_items) = {told} and the interactions to exclude "
                    f"{exclude.shape}; expected the same. Pass interactions of every user and item."
                )
            told = exclude.shape
        self.n_users: int | None = told[0]
        self.n_items: int | None = told[1]

    def top(self, users: IndexArray, k: int) -> IndexArray:
        """Return the model's k items; `exclude`, where given, replaces what it has seen."""
        if self.exclude is None:
            return self._recommend(users, k, exclude_seen=True)[:, :k]
        rows = self.exclude[users]
        # A list this much longer still holds k items when all excluded ones are struck from it.
        spare = int(np.diff(rows.indptr).max(initial=0))
        items = self._recommend(users, k + spare, exclude_seen=False)
        dropped = (items < 0) | member(items, rows)
        order = np.argsort(dropped, axis=1, kind="stable")[:, :k]
        items = np.where(dropped, -1, items)
        return np.take_along_axis(items, order, axis=1)

    def _recommend(self, users: IndexArray, k: int, exclude_seen: bool) -> IndexArray:
        n_asked = k if self.n_items is None else min(k, self.n_items)
        answer = self.model.recommend(users=users, n_items=n_asked, exclude_seen=exclude_seen)
        items = np.asarray(answer[0])
        if items.ndim != 2 or len(items) != len(users):
            raise ValueError(
                f"{self.name}.recommend returned items of shape {items.shape} for {len(users)} "
                f"users; expected one row a user. Return (items, scores) of shape (n, n_items)."
            )
        items = check_lists(items, f"{self.name}.recommend")
        missing = max(0, k - items.shape[1])
        return np.pad(items, ((0, 0), (0, missing)), constant_values=-1)


def check_lists(items: NDArray[Any], name: str) -> IndexArray:
    """Return item lists as int64; refuse values below -1 and an item twice in a list."""
    if not np.issubdtype(items.dtype, np.integer):
        raise TypeError(
            f"{name} has items of dtype {items.dtype}; expected integer positions. "
            f"Translate ids to positions first."
        )
    items = items.astype(np.int64)
    if items.min(initial=0) < -1:
        raise ValueError(
            f"{name} holds item {items.min()}; expected positions, or -1 for no item. "
            f"Pass positions of items."
        )
    ordered = np.sort(items, axis=1)
    repeated = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if repeated.any():
        raise ValueError(
            f"{name} lists an item twice for one user (first in row "
            f"{int(repeated.any(axis=1).argmax())}); expected each item once. Remove repetitions."
        )
    return items


def as_lists(value: Any, name: str, exclude: sparse.csr_array | None = None) -> ListSource:
    """Wrap item lists, a score matrix or a fitted recommender."""
    if hasattr(value, "recommend"):
        return RecommendedItems(value, name, exclude)
    if hasattr(value, "decision_function"):
        if exclude is None:
            raise ValueError(
                f"{name} has decision_function and no recommend, and no training interactions "
                f"were passed; expected the rows to score. Pass them with the call."
            )
        return ScoredItems(value, name, exclude)
    refuse_masked(value, name)
    given = np.asarray(value) if not sparse.issparse(value) else np.empty(0, dtype=object)
    if given.ndim != 2 or given.dtype.kind not in "fiu" or given.shape[1] == 0:
        raise TypeError(
            f"{name} is a {type(value).__name__} of shape {np.shape(given)}; expected item lists "
            f"(integers, (n_users, k)), scores (floats, (n_users, n_items)) or a fitted "
            f"recommender. Of what `recommend` returns, pass the first part."
        )
    if given.dtype.kind == "f":
        if exclude is not None and exclude.shape != given.shape:
            raise ValueError(
                f"{name} has shape {given.shape} and the interactions to exclude {exclude.shape}; "
                f"expected one shape. Pass a score for every user and item."
            )
        return ScoredItems(given, name, exclude)
    if exclude is not None:
        raise ValueError(
            f"{name} holds finished item lists and interactions to exclude were passed; expected "
            f"one of both. Exclude them when making the lists, or pass scores."
        )
    return GivenLists(given, name)


def user_chunks(users: Any, n_users: int | None, name: str) -> Iterator[IndexArray]:
    """Yield positions of users in chunks; all of them where `users` is None."""
    if users is not None:
        bound = np.iinfo(np.int64).max if n_users is None else n_users
        selected = as_positions(users, bound, "users", "users")
    elif n_users is not None:
        selected = np.arange(n_users)
    else:
        raise ValueError(
            f"{name} does not tell its number of users (`user_factors_`); expected the users to "
            f"compare. Pass users=, their positions."
        )
    if selected.size == 0:
        raise ValueError("no user is selected; expected at least one. Pass users that exist.")
    for start in range(0, selected.size, CHUNK_USERS):
        yield selected[start : start + CHUNK_USERS]
