"""Which of the first k recommended items are among a user's held-out items."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.metrics._checks import IndexArray, check_count, check_interactions, member
from sklearn_unlearn.metrics._lists import ListSource, as_lists, user_chunks

Hits = NDArray[np.bool_]
#: Value of each user, shape (n,), from hits (n, k) and numbers of relevant items (n,).
PerUser = Callable[[Hits, IndexArray], NDArray[np.float64]]


def mean_over_users(
    value: PerUser, recommender: Any, X_test: Any, k: int, X_train: Any, users: Any
) -> float:
    """Average a value of hits over the users that have test items."""
    total, n_users = 0.0, 0
    for hits, n_relevant in hits_of(recommender, X_test, k, X_train, users):
        # Sums along rows: a matrix product would depend on the size of the chunk.
        total += float(value(hits, n_relevant).sum())
        n_users += len(hits)
    return total / n_users


def hits_of(
    recommender: Any, X_test: Any, k: int, X_train: Any, users: Any
) -> Iterator[tuple[Hits, IndexArray]]:
    """Yield hits (n, k) and numbers of relevant items (n,) of users that have some."""
    k = check_count(k, "k")
    X_test = check_interactions(X_test, "X_test")
    if X_test.data.min(initial=0.0) < 0:
        raise ValueError(
            f"Negative values in data: X_test holds {X_test.data.min():g}; expected relevant items "
            f"only. Pass the liked ones, for instance X_test.maximum(0)."
        )
    source = lists_of_shape(recommender, X_train, X_test.shape, "X_test")
    n_relevant = np.diff(X_test.indptr)
    any_user = False
    for chunk in user_chunks(users, X_test.shape[0], "X_test"):
        chunk = chunk[n_relevant[chunk] > 0]
        if chunk.size == 0:
            continue
        any_user = True
        items = known_items(source, chunk, k, X_test.shape[1], "X_test")
        yield member(items, X_test[chunk]), n_relevant[chunk]
    if not any_user:
        raise ValueError(
            "no selected user has an item in X_test; expected at least one. "
            "Pass held-out interactions of these users."
        )


def lists_of_shape(recommender: Any, X_train: Any, shape: tuple[int, ...], like: str) -> ListSource:
    """Wrap a source of lists of which the numbers of users and items are those of `like`."""
    if X_train is not None:
        X_train = check_interactions(X_train, "X_train")
        _same_shape("X_train", X_train.shape, shape, like)
    source = as_lists(recommender, "recommender", X_train)
    if source.n_users is None:
        source.n_users = shape[0]
    if source.n_items is None:
        source.n_items = shape[1]
    _same_shape("recommender", (source.n_users, source.n_items), shape, like)
    return source


def known_items(
    source: ListSource, users: IndexArray, k: int, n_items: int, like: str
) -> IndexArray:
    """Return the lists (n, k) of some users, whose items have to be columns of `like`."""
    items = source.top(users, k)
    if items.max(initial=-1) >= n_items:
        raise ValueError(
            f"recommender lists item {items.max()}; expected positions below {n_items}, the "
            f"columns of {like}. Pass matching data."
        )
    return items


def _same_shape(name: str, shape: tuple[int, ...], expected: tuple[int, ...], like: str) -> None:
    if shape != expected:
        raise ValueError(
            f"{name} has {shape[0]} users and {shape[1]} items; expected those of {like}, "
            f"{expected[0]} and {expected[1]}. Pass matrices of one shape."
        )
