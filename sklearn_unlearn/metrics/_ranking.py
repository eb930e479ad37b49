"""How well ranked lists find held-out items."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.metrics._checks import IndexArray
from sklearn_unlearn.metrics._hits import Hits, mean_over_users

Floats = NDArray[np.float64]


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
    return mean_over_users(_recall, recommender, X_test, k, X_train, users)


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
    return mean_over_users(_ndcg, recommender, X_test, k, X_train, users)


def precision_at_k(
    recommender: Any, X_test: Any, k: int = 20, X_train: Any = None, *, users: Any = None
) -> float:
    r"""Mean share of the first k recommended items that are held-out items of the user.

    Hits divided by k, also where a list ends early, averaged over the users with test items.

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
    precision : float
        Between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        As :func:`recall_at_k`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import precision_at_k
    >>> X_test = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    >>> precision_at_k(np.array([[0, 1], [2, 3], [0, 1]]), X_test, k=2)
    0.5
    """
    return mean_over_users(_precision, recommender, X_test, k, X_train, users)


def map_at_k(
    recommender: Any, X_test: Any, k: int = 20, X_train: Any = None, *, users: Any = None
) -> float:
    r"""Mean average precision of the first k recommended items.

    With :math:`P_r` the share of hits among the first r items, a user's average precision is the
    sum of :math:`P_r` over the ranks r up to k that are hits, divided by the number of the user's
    test items, also where that is above k: what trec_eval calls map_cut. Averaged over the users
    with test items. Some competitions divide by min(k, number of test items), which is more for
    users with more than k.

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
    average_precision : float
        Between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        As :func:`recall_at_k`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import map_at_k
    >>> X_test = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    >>> map_at_k(np.array([[0, 1], [2, 3], [0, 1]]), X_test, k=2)
    0.5
    """
    return mean_over_users(_map, recommender, X_test, k, X_train, users)


def mrr_at_k(
    recommender: Any, X_test: Any, k: int = 20, X_train: Any = None, *, users: Any = None
) -> float:
    r"""Mean reciprocal rank of the first held-out item in the list.

    1 for a hit at the top, 1/2 at the second place, 0 where none of the first k is a hit. Averaged
    over the users with test items.

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
    reciprocal_rank : float
        Between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        As :func:`recall_at_k`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import mrr_at_k
    >>> X_test = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    >>> mrr_at_k(np.array([[0, 1], [2, 3], [0, 1]]), X_test, k=2)
    0.75
    """
    return mean_over_users(_mrr, recommender, X_test, k, X_train, users)


def hit_rate_at_k(
    recommender: Any, X_test: Any, k: int = 20, X_train: Any = None, *, users: Any = None
) -> float:
    r"""Share of users with a held-out item among the first k recommended.

    1 for a user with one hit or more, 0 for one without, averaged over the users with test items.

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
    hit_rate : float
        Between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        As :func:`recall_at_k`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import hit_rate_at_k
    >>> X_test = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    >>> hit_rate_at_k(np.array([[0, 1], [2, 3], [0, 1]]), X_test, k=2)
    1.0
    """
    return mean_over_users(_hit_rate, recommender, X_test, k, X_train, users)


def _recall(hits: Hits, n_relevant: IndexArray) -> Floats:
    return hits.sum(axis=1) / n_relevant


def _ndcg(hits: Hits, n_relevant: IndexArray) -> Floats:
    discount = 1.0 / np.log2(np.arange(2, hits.shape[1] + 2))
    ideal = np.cumsum(discount)[np.minimum(n_relevant, hits.shape[1]) - 1]
    return (hits * discount).sum(axis=1) / ideal


def _precision(hits: Hits, n_relevant: IndexArray) -> Floats:
    return hits.mean(axis=1)


def _map(hits: Hits, n_relevant: IndexArray) -> Floats:
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return (hits * precision).sum(axis=1) / n_relevant


def _mrr(hits: Hits, n_relevant: IndexArray) -> Floats:
    return np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1.0), 0.0)


def _hit_rate(hits: Hits, n_relevant: IndexArray) -> Floats:
    return np.asarray(hits.any(axis=1), dtype=np.float64)
