"""One score from those of the shards: their mean, or a mean that attention weighs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["affinities", "combine", "familiarity", "gates_of", "shard_scores"]


def shard_scores(model: Any, X: Any, items: NDArray[np.bool_] | None = None) -> NDArray[Any]:
    """Score rows with the model of one shard, as rows of new users.

    Parameters
    ----------
    model : recommender
        Fitted to the shard.

    X : csr_array of shape (n, n_items)
        Rows.

    items : ndarray of bool, shape (n_items,), or None, default=None
        The items that belong to the shard; the model learned from rows that hold no others.

    Returns
    -------
    scores : ndarray of shape (n, n_items)
    """
    if items is not None:
        kept = items[X.indices]
        starts = np.concatenate([[0], np.cumsum(kept)])[X.indptr]
        X = sparse.csr_array((X.data[kept], X.indices[kept], starts), shape=X.shape)
    return np.asarray(model.decision_function(X))


def combine(
    models: list[Any],
    X: Any,
    *,
    item_labels: NDArray[Any] | None = None,
    gates: tuple[NDArray[Any], NDArray[Any]] | None = None,
) -> NDArray[Any]:
    r"""Score rows with all shards.

    .. math:: s_{ui} = \sum_s a_{s,ui} f_s(u, i), \quad
        a_{s,ui} = \frac{g_{us} h_{si}}{\sum_t g_{ut} h_{ti}}

    over the shards that have a model. Where every item belongs to one shard, its score is that
    shard's.

    Parameters
    ----------
    models : list of recommender or None, one a shard
        None for a shard without interactions.

    X : csr_array of shape (n, n_items)
        Rows, scored by every shard as if they were new.

    item_labels : ndarray of int, shape (n_items,), or None, default=None
        The shard of each item, where items are what was divided.

    gates : tuple of ndarray of shapes (n, n_shards) and (n_shards, n_items), or None, default=None
        g and h, positive; None means that all shards count alike.

    Returns
    -------
    scores : ndarray of shape (n, n_items)
        Zero where there is no model to ask.
    """
    known = [shard for shard, model in enumerate(models) if model is not None]
    total = np.zeros(X.shape)
    for shard in known:
        if item_labels is not None:
            own = item_labels == shard
            total[:, own] = shard_scores(models[shard], X, own)[:, own]
        elif gates is None:
            total += shard_scores(models[shard], X) / len(known)
        else:
            scores = shard_scores(models[shard], X)
            scores = scores * gates[0][:, shard, None]
            scores *= gates[1][shard]
            total += scores
    if gates is not None and item_labels is None and known:
        total /= gates[0][:, known] @ gates[1][known]
    return total


def familiarity(counts: NDArray[Any]) -> NDArray[np.float64]:
    """How well each shard knows each item, against the other shards.

    Parameters
    ----------
    counts : ndarray of int, shape (n_shards, n_items)
        Interactions of each item in each shard.

    Returns
    -------
    table : ndarray of shape (n_shards, n_items)
        Logarithms of one plus the counts, of mean zero over the shards.
    """
    table = np.log1p(counts)
    return table - table.mean(axis=0)


def affinities(X: Any, table: NDArray[np.float64]) -> NDArray[np.float64]:
    """How well each shard knows what a row holds: the mean familiarity of its items.

    Parameters
    ----------
    X : csr_array of shape (n, n_items)
        Rows.

    table : ndarray of shape (n_shards, n_items)
        Familiarity.

    Returns
    -------
    affinities : ndarray of shape (n, n_shards)
        Zero for rows without interactions.
    """
    pattern = sparse.csr_array((np.ones(X.nnz), X.indices, X.indptr), shape=X.shape)
    sizes = np.diff(X.indptr)
    return (pattern @ table.T) / np.maximum(sizes, 1)[:, None]


def gates_of(
    X: Any, table: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Attention, in the two factors that `combine` takes.

    Parameters
    ----------
    X : csr_array of shape (n, n_items)
        Rows.

    table : ndarray of shape (n_shards, n_items)
        Familiarity.

    weights : ndarray of shape (2,)
        Of affinity and of familiarity.

    Returns
    -------
    of_rows : ndarray of shape (n, n_shards)
    of_items : ndarray of shape (n_shards, n_items)
    """
    return np.exp(weights[0] * affinities(X, table)), np.exp(weights[1] * table)
