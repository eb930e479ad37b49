"""Ensembles that learn: against ensembles fitted to all interactions."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator

from sklearn_unlearn import EASE
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.sharding import ShardedRecommender
from sklearn_unlearn.sharding._partitions import dealt_labels, hashed_labels

X = abs(make_interactions(60, 40, n_interactions=700, random_state=0).toarray())
RNG = np.random.default_rng(0)
NEW = (X != 0) & ((RNG.random(X.shape) < 0.03) | (np.arange(60)[:, None] >= 58))
NEW |= (X != 0) & (np.arange(40) >= 38)
KEPT = np.where(NEW, 0, X)
PAIRS, VALUES = np.argwhere(NEW), X[NEW]
every_method = pytest.mark.parametrize("method", ["forget", "refit"])


def model_of(**params):
    return ShardedRecommender(EASE(5.0), 3, random_state=0, **params)


@every_method
@pytest.mark.parametrize("partition", ["hash", "random"])
@pytest.mark.parametrize("aggregation", ["mean", "attention"])
@pytest.mark.parametrize("weighted", [False, True])
def test_learning_equals_fitting_all(method, partition, aggregation, weighted):
    weights = 0.5 + np.random.default_rng(1).random(60) if weighted else None
    params = {"method": method, "partition": partition, "aggregation": aggregation}
    model = model_of(**params)
    own = {} if weights is None else {"sample_weight": weights}
    model.fit(KEPT[:58, :38], **({} if weights is None else {"sample_weight": weights[:58]}))
    refit = model_of(**params).fit(X, **own)
    model.learn(PAIRS, VALUES, n_users=60, n_items=40, **own)
    assert_allclose(model.decision_function(X), refit.decision_function(X), atol=1e-10)
    assert_array_equal(model.shard_sizes_, refit.shard_sizes_)
    assert_array_equal(model._partition.labels, refit._partition.labels)
    report = model.learn_report_
    assert report.n_learned == len(VALUES)
    assert report.guarantee == ("exact" if aggregation == "mean" else "refit")


@every_method
@pytest.mark.parametrize("partition", ["user", "item", "interaction"])
def test_what_is_learned_of_a_learned_partition_can_be_forgotten(method, partition):
    model = model_of(method=method, partition=partition).fit(KEPT)
    before = copy.copy(model)
    model.learn(PAIRS, VALUES)
    assert model.learn_report_.guarantee == "refit"
    assert len(model._partition.of(model._interactions)) == np.count_nonzero(X)
    for shard, one in enumerate(model.estimators_):
        own = model._partition.of(model._interactions) == shard
        assert one._interactions.n_interactions == model.shard_sizes_[shard] == own.sum()
    model.forget(PAIRS)
    assert_allclose(model.decision_function(X), before.decision_function(X), atol=1e-10)
    assert_array_equal(model.shard_sizes_, before.shard_sizes_)


@every_method
def test_an_empty_shard_gets_a_model(method):
    empty = hashed_labels(0, 60, 3) == 1
    model = model_of(method=method).fit(np.where(empty[:, None], 0, X))
    assert model.estimators_[1] is None
    cells = np.argwhere((X != 0) & empty[:, None])
    model.learn(cells, X[tuple(cells.T)])
    refit = model_of(method=method).fit(X)
    assert_allclose(model.decision_function(X), refit.decision_function(X), atol=1e-10)


@every_method
def test_a_value_is_rectified_in_its_shard(method):
    wrong = X.copy()
    cell = tuple(np.argwhere(X)[20])
    wrong[cell] += 4
    model = model_of(method=method).fit(wrong).rectify([cell], [cell], X[cell])
    refit = model_of(method=method).fit(X)
    assert_allclose(model.decision_function(X), refit.decision_function(X), atol=1e-10)
    assert model.learn_report_.status.startswith("1 of 3 shards changed")
    assert (model.learn_report_.n_interactions, model.learn_report_.n_learned) == (1, 1)


def test_shards_learn_in_processes_too():
    one, other = model_of().fit(KEPT), model_of().fit(KEPT)
    one.learn(PAIRS, VALUES)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        other.learn(PAIRS, VALUES)
    assert_array_equal(one.decision_function(X), other.decision_function(X))


def test_an_estimator_that_does_not_learn_is_refused():
    class Fixed(BaseEstimator):
        def fit(self, X):
            return self

        def forget(self, *_):
            return self

        def decision_function(self, X):
            return np.zeros(X.shape)

    model = ShardedRecommender(Fixed(), 2, random_state=0).fit(X)
    before = pickle.dumps(model._interactions)
    with pytest.raises(TypeError, match="the estimator is a Fixed"):
        model.learn([[60, 0]])
    assert pickle.dumps(model._interactions) == before


@pytest.mark.parametrize("n_shards", [1, 2, 7])
def test_users_are_dealt_evenly_and_keep_their_shard(n_shards):
    longest = dealt_labels(3, 100, n_shards)
    for n in range(0, 100, 9):
        labels = dealt_labels(3, n, n_shards)
        assert_array_equal(labels, longest[:n])
        assert np.ptp(np.bincount(labels, minlength=n_shards)) <= 1
    assert len({tuple(dealt_labels(seed, 14, 7)) for seed in range(9)}) == 9
