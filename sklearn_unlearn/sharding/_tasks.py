"""What workers do: functions that any backend of joblib can send to another process."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed, parallel_config
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone

from sklearn_unlearn._forget_request import ForgetRequest
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.sharding._partitions import Partition
from sklearn_unlearn.utils._data_warnings import training_on_a_part
from sklearn_unlearn.utils._interactions import rows_of
from sklearn_unlearn.utils._random import hashed_bits

__all__ = ["ShardData", "change_shard", "fit_shard", "fit_shards", "grow_shards", "in_shards"]


class ShardData(NamedTuple):
    """The interactions of one shard, as they travel.

    A tuple on purpose. What can be weakly referenced, joblib's Dask backend places on one worker
    before the task and passes by reference, and it is gone when that worker dies. A tuple travels
    inside its task: once, and once more for each time that the scheduler has to start it again.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[Any]
    values: NDArray[Any]
    shape: tuple[int, int]
    weights: NDArray[np.float64] | None

    @classmethod
    def of(cls, data: Interactions, mask: NDArray[np.bool_]) -> ShardData:
        """Take some interactions out of all; the shape stays, so that positions never move."""
        starts = np.concatenate([[0], np.cumsum(mask)])
        return cls(
            starts[data.indptr],
            data.indices[mask],
            data.values[mask],
            data.shape,
            data.row_weights,
        )


def shard_estimator(estimator: Any, shard: int, seed: int) -> Any:
    """Clone an estimator for one shard; what it would draw at random, the seed and shard decide.

    Integers stay as they are.
    """
    twin = clone(estimator)
    drawn = int(hashed_bits(seed, shard, 1)[()] >> np.uint64(33))
    states = {
        key: drawn
        for key, value in sorted(twin.get_params(deep=True).items())
        if (key == "random_state" or key.endswith("__random_state"))
        and not isinstance(value, int | np.integer)
    }
    return twin.set_params(**states)


def fit_shard(estimator: Any, shard: ShardData) -> Any:
    """Fit an unfitted estimator to one shard, and return it."""
    X = sparse.csr_array((shard.values, shard.indices, shard.indptr), shape=shard.shape)
    weights = {} if shard.weights is None else {"sample_weight": shard.weights}
    with training_on_a_part():  # a small shard may hold likes alone where the data do not
        return estimator.fit(X, **weights)


class ShardChange(NamedTuple):
    """What a request changes of one shard; a tuple for the same reason."""

    gone: tuple[NDArray[np.int64], NDArray[np.int64]]
    new: tuple[NDArray[np.int64], NDArray[np.int64]]
    values: NDArray[Any]
    weights: NDArray[np.float64] | None


def change_shard(model: Any, change: ShardChange) -> tuple[Any, Any]:
    """Return a copy of a fitted model that has forgotten and learned some pairs, and its report."""
    model = copy.copy(model)
    if not len(change.values):
        return model, model.forget(change.gone).forget_report_
    model.rectify(change.gone, change.new, change.values, sample_weight=change.weights)
    return model, model.learn_report_


def grow_shards(models: list[Any], shape: tuple[int, int]) -> list[Any]:
    """Return copies of the models of shards for a larger table, in which nothing is new."""
    none = np.empty((0, 2), np.int64)
    sides = {"n_users": shape[0], "n_items": shape[1]}
    return [None if one is None else copy.copy(one).learn(none, **sides) for one in models]


def run(function: Any, tasks: Iterable[tuple[Any, ...]], n_tasks: int, n_jobs: int | None) -> Any:
    """Call a function on each task, wherever joblib is told to.

    One task runs here: to send it elsewhere would only move data.
    """
    if n_tasks <= 1:
        return [alone(function, *task) for task in tasks]
    return Parallel(n_jobs=n_jobs)(delayed(alone)(function, *task) for task in tasks)


def alone(function: Any, *task: Any) -> Any:
    """Call a function in which ``n_jobs=None`` means one job.

    Inside a task of its Dask backend, joblib would take the size of the cluster, and every worker
    would start as many threads.
    """
    with parallel_config(backend="threading", n_jobs=1):
        return function(*task)


def fit_shards(
    estimator: Any,
    data: Interactions,
    partition: Partition,
    shards: NDArray[np.int64],
    n_jobs: int | None,
) -> dict[int, Any]:
    """Fit clones of an estimator to some shards.

    Parameters
    ----------
    estimator : recommender
        What to clone.

    data : Interactions
        All interactions.

    partition : Partition
        Where they are.

    shards : ndarray of int64
        The shards to fit, none of them empty.

    n_jobs : int or None
        As in joblib.

    Returns
    -------
    models : dict of int to recommender
        The fitted clones by shard.
    """
    labels = partition.of(data)
    tasks = (
        (
            shard_estimator(estimator, int(shard), partition.seed),
            ShardData.of(data, labels == shard),
        )
        for shard in shards
    )
    return dict(zip(shards.tolist(), run(fit_shard, tasks, len(shards), n_jobs), strict=True))


def in_shards(
    models: list[Any],
    data: Interactions,
    after: Interactions,
    request: ForgetRequest,
    labels: tuple[NDArray[np.int32], NDArray[np.int32]],
    shards: NDArray[np.int64],
    n_jobs: int | None,
) -> dict[int, tuple[Any, Any]]:
    """Let copies of the models of some shards forget and learn their part of a request.

    Parameters
    ----------
    models : list of recommender, one a shard
        Left as they are.

    data, after : Interactions
        All interactions before and after the request, of one shape.

    request : ForgetRequest
        What goes and what is added.

    labels : tuple of ndarray of int32
        Shards of what goes, and of what is added.

    shards : ndarray of int64
        The shards to change, all of which have a model.

    n_jobs : int or None
        As in joblib.

    Returns
    -------
    changed : dict of int to (recommender, ForgetReport)
        The changed copies, and what they did, by shard.
    """
    gone, new = (
        (rows_of(table.indptr, cells), table.indices[cells].astype(np.int64))
        for table, cells in ((data, request.positions), (after, request.added))
    )
    values = after.values[request.added]

    def part(shard: int) -> ShardChange:
        goes, comes = (side == shard for side in labels)
        pairs = (gone[0][goes], gone[1][goes]), (new[0][comes], new[1][comes])
        return ShardChange(*pairs, values[comes], after.row_weights)

    tasks = ((models[shard], part(shard)) for shard in shards.tolist())
    done = run(change_shard, tasks, len(shards), n_jobs)
    return dict(zip(shards.tolist(), done, strict=True))
