"""What the pruners share: the protocol of a selector, and walks on the bipartite graph.

*Conventions.* Users and items are the nodes of one graph with an edge for each interaction. A
vector over nodes has the shape (n_users + n_items,), users first, as in ``theta``.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_unlearn._forget_request import ForgetRequest, validate_forget_request
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._compat import _fit_context
from sklearn_unlearn.utils._doc_links import DocLinkMixin
from sklearn_unlearn.utils._interactions import concatenate_ranges, rows_of
from sklearn_unlearn.utils._matrices import as_numbers

__all__ = ["BasePruner", "hop_distances", "lost_shares", "spread"]

# So many edges are gathered at a time, so that walking a large graph needs no large temporaries.
_EDGES_AT_ONCE = 2**22


def _push(
    indptr: NDArray[Any], indices: NDArray[Any], mass: NDArray[np.float64], n_targets: int
) -> NDArray[np.float64]:
    """Add the mass of each row to all of its columns, reading only the rows that have any."""
    rows = np.flatnonzero(mass)
    lengths = indptr[rows + 1] - indptr[rows]
    received = np.zeros(n_targets)
    for part in np.array_split(np.arange(len(rows)), lengths.sum() // _EDGES_AT_ONCE + 1):
        columns = indices[concatenate_ranges(indptr, rows[part])]
        weights = np.repeat(mass[rows[part]], lengths[part])
        received += np.bincount(columns, weights=weights, minlength=n_targets)
    return received


def spread(data: Interactions, mass: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multiply by the adjacency matrix of the graph, at the cost of the edges that carry mass.

    Parameters
    ----------
    data : Interactions
        The edges.

    mass : ndarray of float64, shape (n_users + n_items,)
        The vector.

    Returns
    -------
    received : ndarray of float64, shape (n_users + n_items,)
        For each node, the sum over its neighbours.
    """
    users, items = np.split(mass, [data.n_users])
    to_items = _push(data.indptr, data.indices, users, data.n_items)
    indptr_T, indices_T, _ = data.transpose_pattern()
    return np.concatenate((_push(indptr_T, indices_T, items, data.n_users), to_items))


def hop_distances(data: Interactions, start: NDArray[np.bool_], n_hops: int) -> NDArray[np.int64]:
    """Count the edges from a set of nodes to every node near it.

    Parameters
    ----------
    data : Interactions
        The edges.

    start : ndarray of bool, shape (n_users + n_items,)
        The set.

    n_hops : int
        Where to stop.

    Returns
    -------
    distances : ndarray of int64, shape (n_users + n_items,)
        0 within the set, -1 for nodes more than `n_hops` away.
    """
    distances = np.where(start, 0, -1)
    front = start
    for hop in range(1, n_hops + 1):
        # Sums of ones are whole numbers, so reach is exact however far the walk goes.
        front = (spread(data, front.astype(np.float64)) > 0) & (distances < 0)
        if not front.any():
            break
        distances[front] = hop
    return distances


def lost_shares(data: Interactions, positions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Tell which share of its interactions each node loses.

    Parameters
    ----------
    data : Interactions
        The interactions before the request.

    positions : ndarray of int64
        The positions that go, each once.

    Returns
    -------
    shares : ndarray of float64, shape (n_users + n_items,)
        Between 0 and 1; above 0 exactly for the users and items of the request.
    """
    users = rows_of(data.indptr, positions)
    user_losses = np.bincount(users, minlength=data.n_users)
    item_losses = np.bincount(data.indices[positions], minlength=data.n_items)
    return np.concatenate((user_losses, item_losses)) / np.maximum(node_degrees(data), 1)


def node_degrees(data: Interactions) -> NDArray[np.int64]:
    """Return the number of interactions of every user, then of every item."""
    return np.concatenate((data.user_degrees, data.item_degrees))


class BasePruner(DocLinkMixin, SelectorMixin, BaseEstimator):
    """A selector of rows and columns; a pruner supplies ``_select(data, shares)``."""

    _parameter_constraints: dict[str, list[Any]] = {}  # noqa: RUF012 - scikit-learn's convention

    @abstractmethod
    def _select(
        self, data: Interactions, shares: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return importances and support of all nodes, given the share that each one loses."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, forget: Any = None) -> Self:
        """Find the users and items that a request calls to update.

        Parameters
        ----------
        X : sparse container or array-like, shape (n_users, n_items)
            The interactions *before* the request. Only where they are counts, not their values.

        y : None
            Ignored.

        forget : None, array-like, tuple or mask, default=None
            What is to be forgotten: an int array of shape (n, 2) of (user, item) positions, a tuple
            ``(users, items)``, or a sparse or boolean mask of the shape of `X`, nonzero means
            forget. Pairs that are not in `X` are ignored. With None no request is known, so all
            users and items are kept.

        Returns
        -------
        self : object
            The fitted pruner.

        Raises
        ------
        TypeError
            If `forget` is a frame, or does not hold integers.
        ValueError
            If a parameter, the shape of `forget` or one of its positions is out of range, or if `X`
            holds NaN or infinity.
        """
        X = validate_data(
            self, as_numbers(X, "X"), accept_sparse="csr", dtype=(np.float64, np.float32)
        )
        data = Interactions.from_matrix(X)
        request = None
        if forget is not None:
            request = validate_forget_request(data, forget, missing="ignore")
        return self._fit_interactions(data, request)

    @_fit_context(prefer_skip_nested_validation=True)
    def _fit_interactions(self, data: Interactions, request: ForgetRequest | None) -> Self:
        """Fit without copying: `data` before the request, and the request, already validated."""
        if request is None:
            n_nodes = data.n_users + data.n_items
            importances, support = np.ones(n_nodes), np.ones(n_nodes, bool)
        else:
            importances, support = self._select(data, lost_shares(data, request.positions))
        # Copies: a view of one side would keep the other one alive.
        self.user_importances_ = importances[: data.n_users].copy()
        self.item_importances_ = importances[data.n_users :].copy()
        self.user_support_ = support[: data.n_users].copy()
        self.item_support_ = support[data.n_users :].copy()
        self.n_features_in_ = data.n_items
        return self

    def _get_support_mask(self) -> NDArray[np.bool_]:
        check_is_fitted(self)
        return self.item_support_

    def get_support(self, indices: bool = False, *, axis: int = 1) -> NDArray[Any]:
        """Tell which users or which items are kept.

        Parameters
        ----------
        indices : bool, default=False
            Whether to return positions instead of a mask.

        axis : {0, 1}, default=1
            0 for the users (rows), 1 for the items (columns).

        Returns
        -------
        support : ndarray of bool, shape (n_users,) or (n_items,), or ndarray of int64
            The mask, or the ascending positions of what is kept.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the pruner is not fitted.
        ValueError
            If there is no such axis.
        """
        check_is_fitted(self)
        if axis not in (0, 1):
            raise ValueError(
                f"axis is {axis!r}; expected 0 or 1. Pass axis=0 for users, axis=1 for items."
            )
        support = self._get_support_mask() if axis == 1 else self.user_support_
        return np.flatnonzero(support) if indices else support.copy()
