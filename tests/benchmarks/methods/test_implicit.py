"""The rival is run as its own users run it."""

import numpy as np
import pytest

from sklearn_unlearn import ALS
from sklearn_unlearn.benchmarks.methods._implicit import (
    Factors,
    Rival,
    factors_of,
    matrix_for_implicit,
)
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.metrics import top_k_overlap

X = abs(make_interactions(80, 40, random_state=0))
ESTIMATOR = ALS(6, regularization=3.0, alpha=4.0, random_state=5)


def test_hyper_parameters_are_those_of_the_estimator():
    made = Rival.of(ESTIMATOR, n_threads=2).make()
    told = (made.factors, made.regularization, made.alpha, made.iterations, made.num_threads)
    assert told == (6, 3.0, 4.0, 15, 2)
    assert (made.random_state, made.dtype) == (5, np.float32)
    assert Rival.of(ESTIMATOR, 1, n_sweeps=7).make(9).iterations == 7
    assert Rival.of(ESTIMATOR, 1).make(9).random_state == 9


def test_each_timed_fit_is_from_scratch_and_reproducible():
    rival = Rival.of(ESTIMATOR, 1)
    once, twice = rival.time_fit(X), rival.time_fit(X, 3)
    assert (len(once.seconds), len(twice.seconds)) == (1, 3)
    np.testing.assert_array_equal(once.result.item_factors, twice.result.item_factors)
    other = rival.time_fit(X, seed=6).result
    assert not np.array_equal(other.item_factors, once.result.item_factors)


def test_the_rival_minimises_what_als_does():
    long = Rival.of(ESTIMATOR, 1, n_sweeps=2000).time_fit(X).result
    own = ALS(6, regularization=3.0, alpha=4.0, random_state=5).fit(X)
    objective = own._make_objective(own._interactions)
    theta = np.concatenate([long.user_factors, long.item_factors]).astype(float)
    norm = np.linalg.norm(objective.gradient(theta))
    assert norm <= 1e-4 * objective.gradient_scale


def test_the_matrix_is_a_copy_in_single_precision():
    made = matrix_for_implicit(X)
    assert made.format == "csr" and made.dtype == np.float32
    assert not np.shares_memory(made.data, matrix_for_implicit(made).data)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_factors_recommend_what_the_model_does(exclude_seen):
    model = Rival.of(ESTIMATOR, 1).time_fit(X).result
    users = np.arange(0, 80, 7)
    items, scores = factors_of(model, X).recommend(
        users=users, n_items=5, exclude_seen=exclude_seen
    )
    rows = matrix_for_implicit(X)[users]
    expected = model.recommend(users, rows, N=5, filter_already_liked_items=exclude_seen)
    # Where nothing is left to recommend, the other library fills up with what was seen.
    left = items >= 0
    assert left.sum() > 50 and (~left).sum() == (expected[1] < -1e30).sum()
    np.testing.assert_array_equal(items[left], expected[0][left])
    np.testing.assert_allclose(scores[left], expected[1][left], rtol=1e-5)


def test_factors_serve_the_metrics():
    rng = np.random.default_rng(0)
    wrapped = Factors(rng.random((80, 3)), rng.random((40, 3)), X)
    dense = wrapped.user_factors_ @ wrapped.item_factors_.T
    assert top_k_overlap(wrapped, dense, 10, exclude=X) == 1.0
