"""Keep what feels the request most."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.pruning._base import BasePruner, hop_distances, node_degrees, spread
from sklearn_unlearn.utils._compat import Interval

__all__ = ["ImportancePruner"]


class ImportancePruner(BasePruner):
    r"""Keep the users and items that matter most to a request, among those near it.

    With A the adjacency matrix of the graph of users and items and D its degrees, the importances
    are

    .. math:: \sum_{t=0}^{n\_hops} (D^{-1/2} A D^{-1/2})^t s

    where s holds, for each user and item, the share of its interactions that goes: 1 for a user
    forgotten as a whole, next to nothing for a popular item that loses one of its many.

    Parameters
    ----------
    n_hops : int, default=1
        How far the importance spreads. What is farther away is dropped.

    keep_ratio : float, default=1.0
        Share, between 0 and 1, of the users and items within `n_hops` to keep, counted together and
        rounded up; the most important ones stay, and ties go to users before items, then to the
        lowest position. The users and items of the request count, but are kept in any case.

    Attributes
    ----------
    user_support_ : ndarray of bool, shape (n_users,)
        Which users are kept.

    item_support_ : ndarray of bool, shape (n_items,)
        Which items are kept.

    user_importances_ : ndarray of float64, shape (n_users,)
        Importances of users, pruned or not; 0 for what is out of reach. All 1 if no request was
        given.

    item_importances_ : ndarray of float64, shape (n_items,)
        The same for items.

    n_features_in_ : int
        Number of items.

    feature_names_in_ : ndarray of str, shape (n_items,)
        Names of the items, if ``X`` is a frame whose columns all have string names.

    See Also
    --------
    HopPruner : Keep all that is near; the same support as with ``keep_ratio=1``.

    Notes
    -----
    The time is that of one pass over the interactions of `X`, and of `n_hops` passes over the
    interactions of the users and items within ``n_hops - 1``.

    A fitted pruner shows whom a request named; the unlearners therefore fit a clone and drop it.

    ``transform`` keeps the columns of the items in the support; it never drops a row.

    References
    ----------
    Y. Zhang et al., "Recommendation Unlearning via Influence Function", ACM Transactions on
    Recommender Systems, 2025, propose importance by degree-normalised spreading.

    Examples
    --------
    >>> from sklearn_unlearn.pruning import ImportancePruner
    >>> X = [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    >>> pruner = ImportancePruner(n_hops=2, keep_ratio=0.75).fit(X, forget=[[0, 0]])
    >>> pruner.item_importances_.round(2)
    array([1.85, 0.6 , 0.  , 0.  ])
    >>> pruner.get_support(axis=0, indices=True), pruner.get_support(axis=1, indices=True)
    (array([0]), array([0, 1]))
    >>> pruner.transform(X)
    array([[1, 1],
           [0, 1],
           [0, 0]])
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's convention
        "n_hops": [Interval(Integral, 0, None, closed="left")],
        "keep_ratio": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(self, n_hops: int = 1, keep_ratio: float = 1.0) -> None:
        self.n_hops = n_hops
        self.keep_ratio = keep_ratio

    def _select(
        self, data: Interactions, shares: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        importances = self._spread_importance(data, shares)
        incident = shares > 0
        # Not importances > 0: far away these may underflow.
        reached = hop_distances(data, incident, self.n_hops) >= 0
        # Rounded first: in floating point 0.14 of 50 rows is a little more than 7.
        n_kept = math.ceil(round(self.keep_ratio * int(reached.sum()), 6))
        candidates = np.flatnonzero(reached & ~incident)
        # In single precision, so that the order of summation does not decide between equals.
        ranked = candidates[np.argsort(-importances[candidates].astype(np.float32), kind="stable")]
        support = incident.copy()
        support[ranked[: max(0, n_kept - int(incident.sum()))]] = True
        return importances, support

    def _spread_importance(
        self, data: Interactions, shares: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        scale = 1 / np.sqrt(np.maximum(node_degrees(data), 1))
        total, mass = shares.copy(), shares
        for _ in range(self.n_hops):
            mass = scale * spread(data, scale * mass)
            total += mass
        return total
