"""Balanced clusters of embeddings: k-means whose clusters have a capacity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._random import hashed_bits

__all__ = ["assign_with_capacity", "balanced_clusters", "embed"]

_N_COMPONENTS = 16
_MAX_ROUNDS = 20


def embed(data: Interactions, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Embed users and items by the leading singular vectors of the normalised matrix.

    Parameters
    ----------
    data : Interactions
        Only which cells are observed, and the sign of their values, count.

    seed : int
        Of the randomised method.

    Returns
    -------
    users : ndarray of shape (n_users, n_components)
    items : ndarray of shape (n_items, n_components)
        Rows of length 1, or 0 where there is nothing to embed, so that activity does not decide.
    """
    left = 1 / np.sqrt(np.maximum(data.user_degrees, 1))
    right = 1 / np.sqrt(np.maximum(data.item_degrees, 1))
    values = np.sign(data.values) * np.repeat(left, data.user_degrees) * right[data.indices]
    matrix = sparse.csr_array((values, data.indices, data.indptr), shape=data.shape)
    width = min(_N_COMPONENTS, *data.shape)
    U, sigma, Vt = randomized_svd(matrix, width, random_state=seed % 2**32)
    return _unit(U * sigma), _unit(Vt.T * sigma)


def _unit(table: NDArray[Any]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    return table / np.where(lengths > 1e-9, lengths, 1.0)


def balanced_clusters(
    tables: list[NDArray[np.float64]], rows: list[NDArray[Any]], n_clusters: int, seed: int
) -> NDArray[np.int32]:
    """Cluster points so that no cluster holds more than its share.

    A point is a row of each table side by side, but distances are taken table by table, so that
    interactions, a user and an item each, are never gathered. Assignments with a capacity and means
    alternate until neither changes (Chen et al., "Recommendation unlearning", WWW 2022).

    Parameters
    ----------
    tables : list of ndarray of shape (n_rows, width)
        Embeddings.

    rows : list of ndarray of int, each of shape (n_points,)
        The row of each point in each table.

    n_clusters : int
        How many clusters.

    seed : int
        Of the points that clusters start from.

    Returns
    -------
    labels : ndarray of int32, shape (n_points,)
    """
    n = len(rows[0])
    capacity = -(-n // n_clusters)
    start = np.argsort(hashed_bits(seed, np.arange(n)), kind="stable")[:n_clusters]
    centres = [table[of[start]] for table, of in zip(tables, rows, strict=True)]
    labels = np.full(n, -1, np.int32)
    for _ in range(_MAX_ROUNDS):
        distances = sum(
            _distances(table, centre)[of]
            for table, of, centre in zip(tables, rows, centres, strict=True)
        )
        before, labels = labels, assign_with_capacity(distances, capacity)
        if np.array_equal(before, labels):
            break
        centres = [
            _means(table, of, labels, centre)
            for table, of, centre in zip(tables, rows, centres, strict=True)
        ]
    return labels


def _distances(table: NDArray[Any], centres: NDArray[Any]) -> NDArray[Any]:
    """Squared distances, shape (n_rows, n_centres)."""
    squares = np.einsum("nk,nk->n", table, table)[:, None]
    return squares - 2 * table @ centres.T + np.einsum("ck,ck->c", centres, centres)


def _means(
    table: NDArray[Any], rows: NDArray[Any], labels: NDArray[Any], centres: NDArray[Any]
) -> NDArray[Any]:
    """Mean of each cluster; a cluster without points keeps its centre."""
    shape = (len(centres), len(table))
    counts = sparse.coo_array((np.ones(len(rows)), (labels, rows)), shape=shape).tocsr()
    sizes = np.asarray(counts.sum(axis=1)).ravel()[:, None]
    return np.where(sizes > 0, (counts @ table) / np.maximum(sizes, 1), centres)


def assign_with_capacity(distances: NDArray[Any], capacity: int) -> NDArray[np.int32]:
    """Give each point to a cluster, the nearest pairs first, and none more than it can hold.

    The result is that of going through all (point, cluster) pairs by ascending distance and taking
    each whose point is free and whose cluster has room; a round for each cluster replaces the sort
    of all pairs.

    Parameters
    ----------
    distances : ndarray of shape (n_points, n_clusters)
        Any numbers.

    capacity : int
        Points that a cluster takes at most; all together must hold all.

    Returns
    -------
    labels : ndarray of int32, shape (n_points,)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.sharding._clusters import assign_with_capacity
    >>> assign_with_capacity(np.array([[0.0, 9.0], [1.0, 2.0], [3.0, 7.0]]), capacity=2)
    array([0, 0, 1], dtype=int32)
    """
    n, n_clusters = distances.shape
    labels = np.full(n, -1, np.int32)
    room, open_ones = np.full(n_clusters, capacity), np.arange(n_clusters)
    free = np.arange(n)
    while len(free):
        offers = distances[np.ix_(free, open_ones)]
        wish = open_ones[np.argmin(offers, axis=1)]
        order = np.argsort(offers.min(axis=1), kind="stable")
        # Until the first cluster is full, everyone gets what they wish for.
        rank = np.empty(len(free), np.int64)
        for cluster in open_ones:
            mine = order[wish[order] == cluster]
            rank[mine] = np.arange(len(mine))
        full = np.flatnonzero(rank[order] == room[wish[order]] - 1)
        taken = order if not len(full) else order[: full[0] + 1]
        labels[free[taken]] = wish[taken]
        room -= np.bincount(wish[taken], minlength=n_clusters)
        open_ones = np.flatnonzero(room)
        free = np.delete(free, taken)
    return labels
