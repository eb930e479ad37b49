"""Keep everything that is near enough."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.pruning._base import BasePruner, hop_distances
from sklearn_unlearn.utils._compat import Interval

__all__ = ["HopPruner"]


class HopPruner(BasePruner):
    """Keep the users and items within a few hops of what is forgotten.

    Users and items are the nodes of a graph, interactions its edges. The users and items of the
    forgotten interactions are at distance 0, those who share an interaction with them at distance
    1, and so on.

    Parameters
    ----------
    n_hops : int, default=1
        The largest distance kept. 0 keeps only the users and items of the request.

    Attributes
    ----------
    user_support_ : ndarray of bool, shape (n_users,)
        Which users are kept.

    item_support_ : ndarray of bool, shape (n_items,)
        Which items are kept.

    user_importances_ : ndarray of float64, shape (n_users,)
        1 / (1 + distance), and 0 for what is out of reach. All 1 if no request was given.

    item_importances_ : ndarray of float64, shape (n_items,)
        The same for items.

    n_features_in_ : int
        Number of items.

    feature_names_in_ : ndarray of str, shape (n_items,)
        Names of the items, if ``X`` is a frame whose columns all have string names.

    See Also
    --------
    ImportancePruner : Keep only the most important part of it.

    Notes
    -----
    The time is that of one pass over the interactions of `X`, and of the interactions of the users
    and items within ``n_hops - 1``.

    A fitted pruner shows whom a request named; the unlearners therefore fit a clone and drop it.

    ``transform`` keeps the columns of the items in the support; it never drops a row.

    Examples
    --------
    >>> from sklearn_unlearn.pruning import HopPruner
    >>> X = [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    >>> pruner = HopPruner(n_hops=1).fit(X, forget=[[0, 0]])
    >>> pruner.get_support(axis=0)
    array([ True, False, False])
    >>> pruner.get_support(axis=1, indices=True)
    array([0, 1])
    >>> pruner.set_params(n_hops=2).fit(X, forget=[[0, 0]]).user_importances_.round(2)
    array([1.  , 0.33, 0.  ])
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's convention
        "n_hops": [Interval(Integral, 0, None, closed="left")]
    }

    def __init__(self, n_hops: int = 1) -> None:
        self.n_hops = n_hops

    def _select(
        self, data: Interactions, shares: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        distances = hop_distances(data, shares > 0, self.n_hops)
        reached = distances >= 0
        return np.where(reached, 1.0 / (1 + np.abs(distances)), 0.0), reached
