"""Who goes to which shard: by a hash that nothing can change, or by clusters learned from data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn._forget_request import ForgetRequest
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.sharding._clusters import balanced_clusters, embed
from sklearn_unlearn.utils._interactions import rows_of
from sklearn_unlearn.utils._random import hashed_bits

__all__ = ["KINDS", "Partition", "make_partition"]

KINDS = ("user", "item", "interaction", "random", "hash")

_AXES = {"item": "item", "interaction": "interaction"}


@dataclass(frozen=True, eq=False)
class Partition:
    """The shard of every user, item or interaction.

    Parameters
    ----------
    n_shards : int
        How many shards there are, empty ones included.

    axis : {"user", "item", "interaction"}
        What is kept together.

    labels : ndarray of int32, shape (n_users,), (n_items,) or (n_interactions,)
        The shard of each.

    learned : bool
        Whether the data decided.

    seed : int
        Of the hash that places what the data say nothing about.

    dealt : bool, default=False
        Whether users are dealt in turn instead of hashed.

    Examples
    --------
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.sharding._partitions import make_partition
    >>> data = Interactions.from_matrix([[1, 0], [1, 1], [0, 1], [1, 0]])
    >>> parts = make_partition("random", data, n_shards=2, seed=0)
    >>> sorted(parts.labels.tolist())
    [0, 0, 1, 1]
    >>> bool((parts.of(data) == parts.labels[data.rows]).all())
    True
    """

    n_shards: int
    axis: str
    labels: NDArray[np.int32]
    learned: bool
    seed: int
    dealt: bool = False

    def of(
        self, data: Interactions, positions: NDArray[np.int64] | None = None
    ) -> NDArray[np.int32]:
        """Return the shard of interactions: of those at some positions, or of all.

        Parameters
        ----------
        data : Interactions
            Those that the partition was made for.

        positions : ndarray of int64, shape (n,), or None, default=None
            Which of them; None means all.

        Returns
        -------
        shards : ndarray of int32, shape (n,)
        """
        if self.axis == "interaction":
            return self.labels if positions is None else self.labels[positions]
        if self.axis == "item":
            return self.labels[data.indices if positions is None else data.indices[positions]]
        if positions is None:
            return np.repeat(self.labels, data.user_degrees)
        return self.labels[rows_of(data.indptr, positions)]

    def item_counts(self, data: Interactions) -> NDArray[np.int64]:
        """Count the interactions of each item in each shard, shape (n_shards, n_items)."""
        return self._count(data, data.indices, data.n_items)

    def count_rows(self, data: Interactions) -> NDArray[np.int64]:
        """Count the users and items with interactions in each shard, shape (n_shards,)."""
        users = self._count(data, data.rows, data.n_users)
        return np.count_nonzero(users, axis=1) + np.count_nonzero(self.item_counts(data), axis=1)

    def _count(self, data: Interactions, of: NDArray[Any], n: int) -> NDArray[np.int64]:
        counts = np.bincount(self.of(data) * np.int64(n) + of, minlength=self.n_shards * n)
        return counts.reshape(self.n_shards, n)

    def grown(self, shape: tuple[int, int]) -> Partition:
        """Return the partition with labels for more users or items, of which nothing is known."""
        if self.axis == "interaction":
            return self
        labels_of = dealt_labels if self.dealt else hashed_labels
        labels = labels_of(self.seed, shape[self.axis == "item"], self.n_shards)
        return replace(self, labels=np.append(self.labels, labels[len(self.labels) :]))

    def of_new(self, after: Interactions, request: ForgetRequest) -> NDArray[np.int32]:
        """Return the shard of each interaction that a request adds.

        Parameters
        ----------
        after : Interactions
            Those after the request, in a table of this partition's shape.

        request : ForgetRequest
            What is added.

        Returns
        -------
        shards : ndarray of int32, shape (n_added,)
            That of its user or item; of interactions that have shards of their own, that of a hash.
        """
        if self.axis != "interaction":
            return self.of(after, request.added)
        users = rows_of(after.indptr, request.added)
        bits = hashed_bits(self.seed, users, after.indices[request.added])
        return (bits % np.uint64(self.n_shards)).astype(np.int32)

    def after(self, after: Interactions, request: ForgetRequest) -> Partition:
        """Return the partition of the interactions after a request.

        Parameters
        ----------
        after : Interactions
            Those after the request, in a table of this partition's shape.

        request : ForgetRequest
            What goes and what is added.

        Returns
        -------
        partition : Partition
            This one, if nothing about it changes.
        """
        partition = self.without(after, request.positions)
        if self.axis != "interaction" or not len(request.added):
            return partition
        places = request.added - np.arange(len(request.added))
        labels = np.insert(partition.labels, places, self.of_new(after, request))
        return replace(partition, labels=labels)

    def without(self, retained: Interactions, positions: NDArray[np.int64]) -> Partition:
        """Return the partition of what remains.

        What lost its last interaction goes where the hash puts it: the label that its interactions
        gave it would be a trace of them.

        Parameters
        ----------
        retained : Interactions
            What remains.

        positions : ndarray of int64
            What goes.

        Returns
        -------
        partition : Partition
            This one, if nothing about it changes.
        """
        if self.axis == "interaction":
            return replace(self, labels=np.delete(self.labels, positions))
        if not self.learned:
            return self
        return replace(self, labels=_hash_empty(self.labels, retained, self))


def make_partition(kind: str, data: Interactions, n_shards: int, seed: int) -> Partition:
    """Divide interactions into shards.

    Parameters
    ----------
    kind : {"user", "item", "interaction", "random", "hash"}
        "hash": each user goes where a hash of its position says. "random": of as many users in a
        row as there are shards, one goes to each, in an order that the seed gives, so that shards
        differ by one user at most, those without interactions counted. Neither looks at the data,
        nor at how many users there are. The others put similar users, items or
        interactions together, by balanced clusters of their embeddings.

    data : Interactions
        What to divide.

    n_shards : int
        Into how many.

    seed : int
        Of hashes and embeddings.

    Returns
    -------
    partition : Partition
    """
    n_users = data.n_users
    if kind == "hash":
        return Partition(n_shards, "user", hashed_labels(seed, n_users, n_shards), False, seed)
    if kind == "random":
        labels = dealt_labels(seed, n_users, n_shards)
        return Partition(n_shards, "user", labels, False, seed, dealt=True)
    users, items = embed(data, seed)
    axis = _AXES.get(kind, "user")
    if axis == "interaction":
        labels = balanced_clusters([users, items], [data.rows, data.indices], n_shards, seed)
        return Partition(n_shards, axis, labels, True, seed)
    table, degrees = (users, data.user_degrees) if axis == "user" else (items, data.item_degrees)
    active = np.flatnonzero(degrees)
    labels = np.zeros(len(table), np.int32)
    labels[active] = balanced_clusters([table], [active], n_shards, seed)
    partition = Partition(n_shards, axis, labels, True, seed)
    return replace(partition, labels=_hash_empty(labels, data, partition))


def hashed_labels(seed: int, n: int, n_shards: int) -> NDArray[np.int32]:
    """Return the shard of each of n rows by a hash of (seed, row)."""
    return (hashed_bits(seed, np.arange(n)) % np.uint64(n_shards)).astype(np.int32)


def dealt_labels(seed: int, n: int, n_shards: int) -> NDArray[np.int32]:
    """Return the shard of each of n rows: every `n_shards` rows in turn have all of them once."""
    rows = np.arange(-(-n // n_shards) * n_shards).reshape(-1, n_shards)
    order = np.argsort(hashed_bits(seed, rows), axis=1, kind="stable")
    return np.argsort(order, axis=1).astype(np.int32).ravel()[:n]


def _hash_empty(labels: NDArray[Any], data: Interactions, of: Partition) -> NDArray[np.int32]:
    degrees = data.user_degrees if of.axis == "user" else data.item_degrees
    hashed = hashed_labels(of.seed, len(labels), of.n_shards)
    return np.where(degrees > 0, labels, hashed).astype(np.int32)
