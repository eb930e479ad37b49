"""Requests: what they name is what they remove."""

import numpy as np
import pytest

from sklearn_unlearn import MatrixFactorization
from sklearn_unlearn.benchmarks import make_request
from sklearn_unlearn.benchmarks.data._forget_sets import REQUESTS, user_at
from sklearn_unlearn.datasets import make_interactions

X = make_interactions(150, 60, random_state=0)


@pytest.mark.parametrize(
    "name", [*REQUESTS, "users-3", "users-2%", "random-0.5%", "pairs-4", "user-0%", "item-90%"]
)
def test_positions_are_what_forget_removes(name):
    request = make_request(name, X, 1)
    model = MatrixFactorization(4, random_state=0).fit(X).forget(**request.arguments)
    left = model._interactions.to_csr()
    assert (left != request.retained).nnz == 0
    assert left.nnz == X.nnz - len(request.positions)
    gone = (X - request.retained).tocoo()
    gone.eliminate_zeros()
    np.testing.assert_array_equal(request.users, np.unique(gone.row))
    np.testing.assert_array_equal(request.items, np.unique(gone.col))
    assert model.forget_report_.n_users == len(request.users)
    assert model.forget_report_.n_items == len(request.items)


def test_sizes():
    assert len(make_request("pair", X).positions) == 1
    assert len(make_request("random-1%", X).positions) == round(X.nnz / 100)
    assert len(make_request("users-7", X).users) == 7
    assert len(make_request("users-2%", X).users) == 3
    assert len(make_request("users-0.1%", X).users) == 1


def test_median_and_heavy_user():
    degrees = np.diff(X.indptr)
    for name, quantile in (("median-user", 0.5), ("heavy-user", 0.99)):
        request = make_request(name, X)
        assert len(request.users) == 1
        # Rank 74 of 149, rank 147 of 149.
        expected = np.sort(degrees)[int(quantile * 149)]
        assert degrees[request.users[0]] == expected == len(request.positions)


def test_users_and_items_at_percentiles():
    degrees = {"user": np.diff(X.indptr), "item": np.bincount(X.indices, minlength=X.shape[1])}
    for side, of_side in degrees.items():
        for percent in (0, 30, 100):
            request = make_request(f"{side}-{percent}%", X)
            (row,) = request.arguments[f"{side}s"]
            active = np.sort(of_side[of_side > 0])
            assert of_side[row] == active[int(percent / 100 * (len(active) - 1))]
            assert len(request.positions) == of_side[row]
    assert len(make_request("pairs-5", X).positions) == 5


def test_users_without_interactions_do_not_count():
    empty = X.toarray()
    empty[:100] = 0
    active = type(X)(empty)
    active.eliminate_zeros()
    assert user_at(active, 0.0) >= 100
    assert len(make_request("users-20%", active).users) == 10
    with pytest.raises(ValueError, match="50 users of data with 50"):
        make_request("users-50", active)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "pairs",
        "users-0",
        "users-",
        "users-100%",
        "random-0%",
        "random-100%",
        "user-101%",
        "item-%",
        "pairs-0",
    ],
)
def test_unknown_name(name):
    with pytest.raises(ValueError, match=r"Got the request .*expected 'pair'.*Choose from"):
        make_request(name, X)


def test_draws_depend_on_the_seed():
    a, b, c = (make_request("random-1%", X, seed).positions for seed in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
