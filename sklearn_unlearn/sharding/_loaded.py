"""Checks of what a sharded ensemble is made of, once it is loaded from a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sklearn_unlearn.sharding._partitions import Partition
from sklearn_unlearn.utils._state import check_table, refuse_loaded

__all__ = ["check_ensemble"]

_AXES = ("user", "item", "interaction")


def check_ensemble(ensemble: Any, state: Mapping[str, Any]) -> None:
    """Check the partition, and that each shard has a model of the whole shape or none.

    Parameters
    ----------
    ensemble : ShardedRecommender
        Whose state it is.

    state : dict
        Its attributes.
    """
    data, partition = state["_interactions"], state.get("_partition")
    if not isinstance(partition, Partition) or vars(partition).get("axis") not in _AXES:
        refuse_loaded(ensemble, "it has no partition")
    lengths = dict(zip(_AXES, (data.n_users, data.n_items, data.n_interactions), strict=True))
    labels = check_table(
        ensemble, vars(partition), "labels", (lengths[partition.axis],), (np.int32, np.int64)
    )
    n_shards = vars(partition).get("n_shards")
    if not isinstance(n_shards, int | np.integer) or n_shards < 1:
        refuse_loaded(ensemble, "its number of shards is no positive integer")
    if labels.size and not 0 <= labels.min() <= labels.max() < n_shards:
        refuse_loaded(ensemble, "the partition names shards that are not there")
    check_table(ensemble, state, "shard_sizes_", (int(n_shards),), (np.int64,))
    models = state.get("estimators_")
    if not isinstance(models, list) or len(models) != n_shards:
        refuse_loaded(ensemble, f"it has not a model, or None, for each of {n_shards} shards")
    for model in models:
        own = getattr(model, "_interactions", None)
        if own is not None and own.shape != data.shape:
            refuse_loaded(ensemble, "the model of a shard has another shape")
    if "_familiarity" in state:
        check_table(ensemble, state, "_familiarity", (int(n_shards), data.n_items))
        check_table(ensemble, state, "attention_", (2,))
