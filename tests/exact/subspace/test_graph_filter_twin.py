"""GraphFilter against a dense twin, and requests against refits."""

import numpy as np
import pytest

from sklearn_unlearn import GraphFilter
from sklearn_unlearn.datasets import make_interactions

X = make_interactions(80, 50, feedback="implicit", random_state=0)
USERS = np.arange(80)


def twin(R, n_components, alpha):
    """Scores by the formula, with a full singular value decomposition."""
    sums = R.sum(axis=1), R.sum(axis=0)
    of_users, of_items = (np.where(s > 0, 1 / np.sqrt(np.where(s > 0, s, 1)), 0) for s in sums)
    graph = of_users[:, None] * R * of_items
    V = np.linalg.svd(graph)[2][:n_components].T
    back = np.where(of_items > 0, 1 / np.where(of_items > 0, of_items, 1), 0)
    return R @ (graph.T @ graph + alpha * of_items[:, None] * (V @ V.T) * back)


def without(users=(), items=(), pairs=()):
    R = X.toarray()
    R[list(users)], R[:, list(items)] = 0, 0
    for user, item in pairs:
        R[user, item] = 0
    return R


@pytest.mark.parametrize("n_components", [0, 3, 10])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 2.0])
def test_scores_are_those_of_the_formula(n_components, alpha):
    model = GraphFilter(n_components, alpha, random_state=0).fit(X)
    expected = twin(X.toarray(), n_components, alpha)
    np.testing.assert_allclose(model._score_users(USERS), expected, atol=1e-9)


def test_an_exact_filter_is_exact_after_hundreds_of_requests():
    model = GraphFilter(0).fit(X)
    rng = np.random.default_rng(0)
    for number in range(300):
        data = model._interactions
        if number % 10 == 0:
            model.forget(users=rng.choice(np.flatnonzero(data.user_degrees)))
        elif number % 10 == 5:
            model.forget(items=rng.choice(np.flatnonzero(data.item_degrees)))
        else:
            at = rng.integers(data.n_interactions)
            model.forget([[data.rows[at], data.indices[at]]])
        if model._interactions.n_interactions < 100:
            break
    expected = twin(model._interactions.to_csr().toarray(), 0, 0.3)
    assert np.abs(model._score_users(USERS) - expected).max() <= 1e-10
    assert number > 100


@pytest.mark.parametrize(
    "request_", [{"users": [3, 9]}, {"items": [4]}, {"pairs": [(5, int(X[[5]].indices[0]))]}]
)
def test_a_request_ends_where_a_refit_does(request_):
    model = GraphFilter(6, random_state=0).fit(X)
    start = model._score_users(USERS)
    arguments = {k: v for k, v in request_.items() if k != "pairs"}
    model.forget(request_.get("pairs"), **arguments)
    expected = twin(without(**request_), 6, 0.3)
    left = np.linalg.norm(model._score_users(USERS) - expected)
    assert left <= 1e-3 * np.linalg.norm(start - expected)
    assert model.forget_report_.guarantee in ("residual-bounded", "refit")
