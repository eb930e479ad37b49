"""Differences between groups of users, and the place that forgotten pairs have in the lists."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.metrics._checks import check_count, check_interactions
from sklearn_unlearn.metrics._hits import known_items
from sklearn_unlearn.metrics._lists import CHUNK_USERS, as_lists
from sklearn_unlearn.metrics._ranking import ndcg_at_k
from sklearn_unlearn.utils._validation import as_pairs


def fairness_gap(
    recommender: Any,
    X_test: Any,
    X: Any,
    k: int = 20,
    X_train: Any = None,
    *,
    share: float = 0.05,
) -> float:
    r"""By how much active users are served better than the others.

    .. math:: NDCG@k(\text{active}) - NDCG@k(\text{others})

    the group fairness (A-IGF) of CURE4Rec [1]_: the most active 5 % of the users against the rest.
    Compare with the gap of a refit: forgetting is unfair where it changes this difference.

    Parameters
    ----------
    recommender : recommender, or array of shape (n_users, n_items) or (n_users, >= k)
        As in :func:`recall_at_k`.
    X_test : {array, sparse} of shape (n_users, n_items)
        Held-out interactions: whatever is not zero is relevant.
    X : {array, sparse} of shape (n_users, n_items)
        Interactions that say how active each user is: their number. Users without any belong to
        neither group. Pass the same for all models that are compared.
    k : int, default=20
        Length of the lists.
    X_train : {array, sparse} of shape (n_users, n_items), default=None
        Interactions to leave out of the lists, as in :func:`recall_at_k`.
    share : float, default=0.05
        Share of the users that count as active, between 0 and 1, rounded up to whole users. Of
        users who are equally active, those of lower position are taken.

    Returns
    -------
    gap : float
        Between -1 and 1: positive where active users are served better.

    Raises
    ------
    TypeError, ValueError
        As :func:`recall_at_k`, if `share` is not between 0 and 1, and if either group is empty or
        has nothing in `X_test`.

    References
    ----------
    .. [1] Chen et al., "CURE4Rec: A Benchmark for Recommendation Unlearning with Deeper Influence",
       arXiv:2408.14393, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import fairness_gap
    >>> X = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]])
    >>> X_test = np.array([[0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    >>> fairness_gap(np.array([[2], [2], [2]]), X_test, X, k=1)
    0.5
    """
    if isinstance(share, bool | np.bool_) or not isinstance(share, int | float | np.number):
        raise TypeError(f"share={share!r}; expected a number between 0 and 1. Pass 0.05 for 5 %.")
    if not 0 < share < 1:
        raise ValueError(
            f"share={share}; expected a number between 0 and 1, both excluded. Pass 0.05 for 5 %."
        )
    X_test, X = check_interactions(X_test, "X_test"), check_interactions(X, "X")
    if X.shape != X_test.shape:
        raise ValueError(
            f"X has shape {X.shape} and X_test {X_test.shape}; expected the same. Pass "
            "interactions of the same users and items."
        )
    degrees = np.diff(X.indptr)
    order = np.argsort(-degrees, kind="stable")[: int(np.count_nonzero(degrees))]
    n_active = int(np.ceil(share * len(order)))
    tested = np.diff(X_test.indptr) > 0
    values = []
    for name, group in (("active", order[:n_active]), ("other", order[n_active:])):
        if not tested[group].any():
            raise ValueError(
                f"none of the {len(group)} {name} users has an item in X_test; expected at least "
                "one. Pass more test data, or another share."
            )
        values.append(ndcg_at_k(recommender, X_test, k, X_train, users=group))
    return values[0] - values[1]


def exposure_at_k(recommender: Any, interactions: Any, k: int = 20, X_train: Any = None) -> float:
    r"""How visible some pairs are: the place of each item in the list of its user.

    .. math:: \frac{1}{|F|} \sum_{(u, i) \in F} \frac{[r_{ui} \leq k]}{\log_2 (r_{ui} + 1)}

    with :math:`r_{ui}` the rank of item i in the list of user u: the exposure of Singh and
    Joachims [1]_. A forgotten pair may be recommended again, and a refit does so where the rest of
    the data suggests it: what forgetting has to reach is the *refit's* exposure, not 0.

    Parameters
    ----------
    recommender : recommender, or array of shape (n_users, n_items) or (n_users, >= k)
        As in :func:`recall_at_k`.
    interactions : array of int of shape (n_pairs, 2) or tuple (users, items)
        The pairs, by position.
    k : int, default=20
        Length of the lists.
    X_train : {array, sparse} of shape (n_users, n_items), default=None
        Interactions to leave out of the lists, as in :func:`recall_at_k`. Pass the retained ones
        to see what a model that forgot nothing would show if it were allowed to.

    Returns
    -------
    exposure : float
        Between 0, no pair is shown, and 1, each leads its list.

    Raises
    ------
    TypeError, ValueError
        As :func:`recall_at_k`, and if there is no pair.

    References
    ----------
    .. [1] Singh and Joachims, "Fairness of Exposure in Rankings", KDD 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import exposure_at_k
    >>> lists = np.array([[0, 1], [2, 3]])
    >>> exposure_at_k(lists, [[0, 0], [1, 0]], k=2)
    0.5
    """
    k = check_count(k, "k")
    if X_train is not None:
        X_train = check_interactions(X_train, "X_train")
    source = as_lists(recommender, "recommender", X_train)
    largest = np.iinfo(np.int64).max
    bounds = [largest if n is None else n for n in (source.n_users, source.n_items)]
    users, items = as_pairs(interactions, (bounds[0], bounds[1]), "interactions")
    if not users.size:
        raise ValueError("no pair was passed; expected at least one. Pass the forgotten pairs.")
    wanted, row = np.unique(users, return_inverse=True)
    weights = 1.0 / np.log2(np.arange(2, k + 2))
    exposure: NDArray[np.float64] = np.zeros(len(users))
    for start in range(0, len(wanted), CHUNK_USERS):
        lists = known_items(source, wanted[start : start + CHUNK_USERS], k, bounds[1], "the pairs")
        here = np.flatnonzero((row >= start) & (row < start + CHUNK_USERS))
        is_shown = lists[row[here] - start] == items[here, None]
        exposure[here] = (is_shown * weights).sum(axis=1)
    return float(exposure.mean())
