"""How well ranked lists find held-out items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.metrics._checks import IndexArray, check_count, check_interactions, member
from sklearn_unlearn.metrics._lists import as_lists, user_chunks


def recall_at_k(
    recommender: Any, X_test: Any, k: int = 20, X_train: Any = None, *, users: Any = None
) -> float:
    """Mean share of a user's held-out items that are among the first k recommended.

    The protocol of NGCF and LightGCN: hits divided by the number of the user's test items (also
    where that is above k), averaged over the users with test items. Items seen in training are not
    recommended.

    Parameters
    ----------
    recommender : recommender, or array of shape (n_users, n_items) or (n_users, >= k)
        One of

        - an object with ``recommend(users=, n_items=, exclude_seen=)`` that returns
          ``(items, scores)`` for training users; or, lacking that, with ``decision_function(X)``,
          which is called on rows of `X_train`;
        - a **float** array: scores, of which the k largest are taken (-inf: never);
        - an **integer** array: lists of items, best first, -1 where a list ends early.
    X_test : {array, sparse} of shape (n_users, n_items)
        Held-out interactions: whatever is not zero is relevant. Row u is user u of the recommender.
    k : int, default=20
        Length of the lists.
    X_train : {array, sparse} of shape (n_users, n_items), default=None
        Interactions to leave out of the lists. By default a recommender leaves out what it was
        fitted on, scores and lists are taken as they are. Not with lists, which are finished.
    users : array of int or boolean mask, default=None
        Average over these users only.

    Returns
    -------
    recall : float
        Between 0 and 1.

    Raises
    ------
    TypeError
        If `recommender` is none of the above, or `k` or positions are not integers.
    ValueError
        If shapes do not fit, values are negative or NaN, an item is listed twice, or no selected
        user has test items.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import recall_at_k
    >>> X_test = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    >>> recall_at_k(np.array([[0, 1], [3, 2], [0, 1]]), X_test, k=2)
    0.75
    """
    total, n_users = 0.0, 0
    for hits, n_relevant in _hits(recommender, X_test, k, X_train, users):
        total += float((hits.sum(axis=1) / n_relevant).sum())
        n_users += len(hits)
    return total / n_users


def ndcg_at_k(
    recommender: Any, X_test: Any, k: int = 20, X_train: Any = None, *, users: Any = None
) -> float:
    r"""Normalised discounted cumulative gain of the first k recommended items.

    The protocol of NGCF and LightGCN: relevance is 0 or 1, a hit at rank r gains
    :math:`1 / \log_2(r + 1)`, and the ideal list holds min(k, number of the user's test items)
    hits. Averaged over the users with test items.

    Parameters
    ----------
    recommender : recommender, or array of shape (n_users, n_items) or (n_users, >= k)
        As in :func:`recall_at_k`.
    X_test : {array, sparse} of shape (n_users, n_items)
        Held-out interactions: whatever is not zero is relevant.
    k : int, default=20
        Length of the lists.
    X_train : {array, sparse} of shape (n_users, n_items), default=None
        Interactions to leave out of the lists, as in :func:`recall_at_k`.
    users : array of int or boolean mask, default=None
        Average over these users only.

    Returns
    -------
    ndcg : float
        Between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        As :func:`recall_at_k`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import ndcg_at_k
    >>> X_test = np.array([[0, 0, 1, 0]])
    >>> scores = np.array([[0.9, 0.1, 0.5, 0.2]])
    >>> round(ndcg_at_k(scores, X_test, k=2), 4)
    0.6309
    >>> ndcg_at_k(scores, X_test, k=2, X_train=np.array([[1, 0, 0, 0]]))
    1.0
    """
    total, n_users = 0.0, 0
    for hits, n_relevant in _hits(recommender, X_test, k, X_train, users):
        discount = 1.0 / np.log2(np.arange(2, hits.shape[1] + 2))
        ideal = np.cumsum(discount)[np.minimum(n_relevant, hits.shape[1]) - 1]
        # A product and a sum along rows: a matrix product would depend on the size of the chunk.
        total += float(((hits * discount).sum(axis=1) / ideal).sum())
        n_users += len(hits)
    return total / n_users


def _hits(
    recommender: Any, X_test: Any, k: int, X_train: Any, users: Any
) -> Iterator[tuple[NDArray[np.bool_], IndexArray]]:
    """Yield hits (n, k) and numbers of relevant items (n,) of users that have some."""
    k = check_count(k, "k")
    X_test = check_interactions(X_test, "X_test")
    if X_test.data.min(initial=0.0) < 0:
        raise ValueError(
            f"Negative values in data: X_test holds {X_test.data.min():g}; expected relevant items "
            f"only. Pass the liked ones, for instance X_test.maximum(0)."
        )
    if X_train is not None:
        X_train = check_interactions(X_train, "X_train")
        _same_shape("X_train", X_train.shape, X_test.shape)
    source = as_lists(recommender, "recommender", X_train)
    if source.n_users is None:
        source.n_users = X_test.shape[0]
    if source.n_items is None:
        source.n_items = X_test.shape[1]
    _same_shape("recommender", (source.n_users, source.n_items), X_test.shape)
    n_relevant = np.diff(X_test.indptr)
    any_user = False
    for chunk in user_chunks(users, X_test.shape[0], "X_test"):
        chunk = chunk[n_relevant[chunk] > 0]
        if chunk.size == 0:
            continue
        any_user = True
        items = source.top(chunk, k)
        if items.max(initial=-1) >= X_test.shape[1]:
            raise ValueError(
                f"recommender lists item {items.max()}; expected positions below "
                f"{X_test.shape[1]}, the columns of X_test. Pass matching data."
            )
        yield member(items, X_test[chunk]), n_relevant[chunk]
    if not any_user:
        raise ValueError(
            "no selected user has an item in X_test; expected at least one. "
            "Pass held-out interactions of these users."
        )


def _same_shape(name: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        raise ValueError(
            f"{name} has {shape[0]} users and {shape[1]} items; expected those of X_test, "
            f"{expected[0]} and {expected[1]}. Pass matrices of one shape."
        )
