"""Exact gaps, against all scores written out."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_unlearn.benchmarks import make_request
from sklearn_unlearn.benchmarks.measure._gaps import Gaps, score_distance
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.metrics import remaining_gap

X = make_interactions(40, 30, n_interactions=200, random_state=0)


def factors(seed, n_users=40, n_items=30, k=5, dtype=np.float64):
    rng = np.random.default_rng(seed)
    tables = (rng.normal(size=(n, k)).astype(dtype) for n in (n_users, n_items))
    return SimpleNamespace(**dict(zip(("user_factors_", "item_factors_"), tables, strict=True)))


def scores(model):
    return model.user_factors_.astype(float) @ model.item_factors_.T.astype(float)


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(0, 9)
)
def test_distance_is_that_of_all_scores(n_users, n_items, k, other_k, seed):
    a, b = factors(seed, n_users, n_items, k), factors(seed + 1, n_users, n_items, other_k)
    users = np.flatnonzero(np.random.default_rng(seed).random(n_users) < 0.5)
    difference = scores(a) - scores(b)
    np.testing.assert_allclose(score_distance(a, b), np.linalg.norm(difference))
    np.testing.assert_allclose(
        score_distance(a, b, users, [0]), np.linalg.norm(difference[users][:, [0]]), atol=1e-12
    )


def test_a_small_difference_of_large_scores_is_seen():
    a = factors(0)
    b = SimpleNamespace(user_factors_=a.user_factors_.copy(), item_factors_=a.item_factors_)
    b.user_factors_[3] += 1e-9
    expected = np.linalg.norm((b.user_factors_ - a.user_factors_) @ a.item_factors_.T)
    assert score_distance(a, b) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["pair", "median-user", "users-3", "random-1%"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gaps_are_those_of_the_metric(name, dtype):
    before, after, refit = (factors(seed, dtype=dtype) for seed in range(3))
    request = make_request(name, X)
    gaps = Gaps(before, refit, request)
    S = [scores(model) for model in (before, after, refit)]
    shared = (X[:, request.items] != 0).sum(axis=1) > 0
    shared[request.users] = False
    np.testing.assert_array_equal(gaps.others, np.flatnonzero(shared))
    others = {"users": gaps.others}
    affected = {"users": request.users, "items": request.items}
    expected = [remaining_gap(*S, **chosen) for chosen in ({}, affected, others)]
    np.testing.assert_allclose(list(gaps.of(after).values()), expected, rtol=1e-6)
    assert list(gaps.of(after)) == ["gap_all", "gap_affected", "gap_others"]
    assert set(gaps.of(before).values()) == {1.0}
    assert max(gaps.of(refit).values()) < 1e-12


def test_nothing_moved():
    model = factors(0)
    still = Gaps(model, model, make_request("pair", X))
    assert max(still._moved.values()) < 1e-12
    zero = factors(0)
    zero.user_factors_[:] = 0
    gaps = Gaps(zero, zero, make_request("pair", X))
    assert set(gaps.of(zero).values()) == {0.0}
    assert set(gaps.of(model).values()) == {np.inf}
