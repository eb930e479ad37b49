"""Which items of the catalogue the recommended lists show, and how popular these are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.metrics._checks import IndexArray, check_count, check_interactions
from sklearn_unlearn.metrics._hits import known_items, lists_of_shape
from sklearn_unlearn.metrics._lists import user_chunks


def coverage_at_k(
    recommender: Any, X: Any, k: int = 20, X_train: Any = None, *, users: Any = None
) -> float:
    """Share of the catalogue that at least one list shows.

    Parameters
    ----------
    recommender : recommender, or array of shape (n_users, n_items) or (n_users, >= k)
        As in :func:`recall_at_k`.
    X : {array, sparse} of shape (n_users, n_items)
        Interactions that the recommender knows: their columns are the catalogue. The lists of users
        without any interaction count as well, unless `users` leaves them out.
    k : int, default=20
        Length of the lists.
    X_train : {array, sparse} of shape (n_users, n_items), default=None
        Interactions to leave out of the lists, as in :func:`recall_at_k`.
    users : array of int or boolean mask, default=None
        Lists of these users only.

    Returns
    -------
    coverage : float
        Between 0 and 1.

    Raises
    ------
    TypeError
        If `recommender` is none of the above, or `k` or positions are not integers.
    ValueError
        If shapes do not fit, an item is listed twice, or no user is selected.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import coverage_at_k
    >>> coverage_at_k(np.array([[0, 1], [1, 0]]), np.ones((2, 4)), k=2)
    0.5
    """
    X = check_interactions(X, "X")
    return float(np.mean(_shown(recommender, X, k, X_train, users) > 0))


def gini_at_k(
    recommender: Any, X: Any, k: int = 20, X_train: Any = None, *, users: Any = None
) -> float:
    r"""Gini coefficient of how often each item of the catalogue is shown.

    With :math:`c_1 \leq \dots \leq c_n` the numbers of lists that show each of the n items,

    .. math:: G = \frac{\sum_i (2 i - n - 1) \, c_i}{n \sum_i c_i}

    0 where all are shown equally often; 1 - 1/n where a single item is shown.

    Parameters
    ----------
    recommender : recommender, or array of shape (n_users, n_items) or (n_users, >= k)
        As in :func:`recall_at_k`.
    X : {array, sparse} of shape (n_users, n_items)
        Interactions that the recommender knows: their columns are the catalogue.
    k : int, default=20
        Length of the lists.
    X_train : {array, sparse} of shape (n_users, n_items), default=None
        Interactions to leave out of the lists, as in :func:`recall_at_k`.
    users : array of int or boolean mask, default=None
        Lists of these users only.

    Returns
    -------
    gini : float
        Between 0 and 1. 0 where no list shows any item.

    Raises
    ------
    TypeError, ValueError
        As :func:`coverage_at_k`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import gini_at_k
    >>> gini_at_k(np.array([[0, 1], [1, 0]]), np.ones((2, 4)), k=2)
    0.5
    """
    counts = np.sort(_shown(recommender, check_interactions(X, "X"), k, X_train, users))
    n, total = len(counts), int(counts.sum())
    if not total:
        return 0.0
    return float(((2 * np.arange(1, n + 1) - n - 1) * counts).sum() / (n * total))


def popularity_at_k(
    recommender: Any, X: Any, k: int = 20, X_train: Any = None, *, users: Any = None
) -> float:
    """Average recommendation popularity: how many interactions the recommended items have.

    The mean over the users of the mean over the items in their list [1]_. Users whose list is
    empty are left out.

    Parameters
    ----------
    recommender : recommender, or array of shape (n_users, n_items) or (n_users, >= k)
        As in :func:`recall_at_k`.
    X : {array, sparse} of shape (n_users, n_items)
        Interactions to count: every stored value that is not zero is one.
    k : int, default=20
        Length of the lists.
    X_train : {array, sparse} of shape (n_users, n_items), default=None
        Interactions to leave out of the lists, as in :func:`recall_at_k`.
    users : array of int or boolean mask, default=None
        Lists of these users only.

    Returns
    -------
    popularity : float
        In interactions per item; 0.0 where all lists are empty.

    Raises
    ------
    TypeError, ValueError
        As :func:`coverage_at_k`.

    References
    ----------
    .. [1] Yin et al., "Challenging the long tail recommendation", PVLDB 5(9), 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import popularity_at_k
    >>> X = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1]])
    >>> popularity_at_k(np.array([[2], [1], [0]]), X, k=1, users=[0, 2])
    2.0
    """
    X = check_interactions(X, "X")
    popularity = np.bincount(X.indices, minlength=X.shape[1]).astype(np.float64)
    return _mean_of_items(popularity, recommender, X, k, X_train, users)


def novelty_at_k(
    recommender: Any, X: Any, k: int = 20, X_train: Any = None, *, users: Any = None
) -> float:
    r"""Mean self-information of the recommended items, in bits.

    .. math:: -\log_2 (n_i / n)

    of an item that :math:`n_i` of n users met, averaged over a list and over the users [1]_:
    0 for what everybody knows. An item that nobody met counts as if one user had. Users without
    interactions are not among the n, and users whose list is empty are left out of the mean.

    Parameters
    ----------
    recommender : recommender, or array of shape (n_users, n_items) or (n_users, >= k)
        As in :func:`recall_at_k`.
    X : {array, sparse} of shape (n_users, n_items)
        Interactions that say who met what.
    k : int, default=20
        Length of the lists.
    X_train : {array, sparse} of shape (n_users, n_items), default=None
        Interactions to leave out of the lists, as in :func:`recall_at_k`.
    users : array of int or boolean mask, default=None
        Lists of these users only.

    Returns
    -------
    novelty : float
        In bits, from 0 to the logarithm of the number of users; 0.0 where all lists are empty.

    Raises
    ------
    TypeError, ValueError
        As :func:`coverage_at_k`.

    References
    ----------
    .. [1] Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems",
       PNAS 107(10), 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import novelty_at_k
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 1, 0]])
    >>> novelty_at_k(np.array([[0, 1, 2, 3]] * 4), X, k=4)  # 0, 1, 2 and 2 bits
    1.25
    """
    X = check_interactions(X, "X")
    n_met = np.maximum(np.bincount(X.indices, minlength=X.shape[1]), 1)
    n_users = max(int(np.count_nonzero(np.diff(X.indptr))), 1)
    return _mean_of_items(np.log2(n_users / n_met), recommender, X, k, X_train, users)


def _lists(
    recommender: Any, X: sparse.csr_array, k: int, X_train: Any, users: Any
) -> Iterator[IndexArray]:
    k = check_count(k, "k")
    source = lists_of_shape(recommender, X_train, X.shape, "X")
    for chunk in user_chunks(users, X.shape[0], "X"):
        yield known_items(source, chunk, k, X.shape[1], "X")


def _shown(
    recommender: Any, X: sparse.csr_array, k: int, X_train: Any, users: Any
) -> NDArray[np.int64]:
    """Count the lists that show each item."""
    counts = np.zeros(X.shape[1], np.int64)
    for items in _lists(recommender, X, k, X_train, users):
        counts += np.bincount(items[items >= 0], minlength=X.shape[1])
    return counts


def _mean_of_items(
    values: NDArray[np.float64],
    recommender: Any,
    X: sparse.csr_array,
    k: int,
    X_train: Any,
    users: Any,
) -> float:
    """Average a value of items over each list, and over the lists that are not empty."""
    total, n_users = 0.0, 0
    for items in _lists(recommender, X, k, X_train, users):
        length = (items >= 0).sum(axis=1)
        filled = length > 0
        sums = np.where(items >= 0, values[items], 0.0).sum(axis=1)
        total += float((sums[filled] / length[filled]).sum())
        n_users += int(filled.sum())
    return total / n_users if n_users else 0.0
