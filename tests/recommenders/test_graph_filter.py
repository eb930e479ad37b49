import copy

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_unlearn.metrics import remaining_gap
from sklearn_unlearn.recommenders import _graph_filter
from sklearn_unlearn.recommenders._graph_filter import GraphFilter
from sklearn_unlearn.utils._tags import get_forget_tags
from sklearn_unlearn.utils.estimator_checks import parametrize_with_forget_checks

MODELS = [GraphFilter(), GraphFilter(0), GraphFilter(2)]
# Three go through a refined subspace on the checks' small data, 10 through a dense one.
SMALL = [GraphFilter(0), GraphFilter(2), GraphFilter(3, alpha=2.0), GraphFilter(10)]


@parametrize_with_checks(MODELS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_forget_checks(SMALL)
def test_forget_checks(check):
    check()


@pytest.mark.parametrize("estimator", MODELS)
def test_no_scikit_learn_check_is_skipped(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) >= 50
    assert {result["status"] for result in results} == {"passed"}


def make_counts(seed=0, shape=(160, 110), density=0.1):
    rng = np.random.default_rng(seed)
    X = sparse.random_array(shape, density=density, rng=rng, format="csr")
    X.data[:] = rng.integers(1, 4, len(X.data))
    return X.toarray()


def twin(X, n_components, alpha=0.3, weights=None):
    """Scores of the rows of X by the formula, with a full singular value decomposition."""
    weights = np.ones(len(X)) if weights is None else weights
    users, items = (np.where(d > 0, d, 1.0) for d in (X.sum(axis=1), weights @ X))
    R = np.sqrt(weights / users)[:, None] * X / np.sqrt(items)
    V = np.linalg.svd(R)[2][:n_components].T
    linear = R.T @ R
    return X @ linear + alpha * (X / np.sqrt(items)) @ V @ V.T * np.sqrt(weights @ X)


def without(X, users=(), items=(), interactions=()):
    rest = X.copy()
    rest[list(users)], rest[:, list(items)] = 0, 0
    for user, item in interactions:
        rest[user, item] = 0
    return rest


REQUESTS = {
    "pair": {"interactions": [[4, 0]]},
    "pairs": {"interactions": [[4, 0], [4, 1], [7, 2]]},
    "user": {"users": [3]},
    "item": {"items": [9]},
    "both": {"users": [3, 5], "items": [9]},
}


def known(X, request):
    """The same request, of pairs that are there."""
    pairs = [(u, int(np.flatnonzero(X[u])[i])) for u, i in request.get("interactions", ())]
    return {**request, "interactions": pairs} if pairs else request


@pytest.mark.parametrize("n_components", [0, 5, 60])
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_scores_are_the_formula_before_and_after_a_request(n_components, request_):
    X = make_counts()
    model = GraphFilter(n_components, random_state=0, tol=1e-11, forget_tol=0.0).fit(X)
    np.testing.assert_allclose(model.decision_function(X), twin(X, n_components), atol=1e-8)
    request_ = known(X, request_)
    rest = without(X, **request_)
    model.forget(**request_)
    np.testing.assert_allclose(model.decision_function(rest), twin(rest, n_components), atol=1e-8)


@pytest.mark.parametrize("n_components", [0, 5])
def test_a_user_of_weight_two_is_two_users(n_components):
    X = make_counts()
    weights = np.ones(len(X))
    weights[:20] = 2
    settings = {"random_state": 0, "tol": 1e-11, "forget_tol": 0.0}
    weighted = GraphFilter(n_components, **settings).fit(X, sample_weight=weights)
    doubled = GraphFilter(n_components, **settings).fit(np.concatenate((X, X[:20])))
    scores = weighted.decision_function(X)
    np.testing.assert_allclose(scores, doubled.decision_function(X), atol=1e-8)
    np.testing.assert_allclose(scores, twin(X, n_components, weights=weights), atol=1e-8)
    weighted.forget(users=[3])
    doubled.forget(users=[3, len(X) + 3])
    scores = weighted.decision_function(X)
    np.testing.assert_allclose(scores, doubled.decision_function(X), atol=1e-8)


def test_linear_filter_is_exact_after_a_thousand_requests():
    rng = np.random.default_rng(0)
    X = make_counts(shape=(400, 90))
    model = GraphFilter(0).fit(X)
    for step in range(1000):
        users, items = np.nonzero(X)
        one = rng.integers(len(users))
        if step % 10 == 0 and step < 900:
            request = {"users": [users[one]]}
        elif step % 97 == 0 and step < 600:
            request = {"items": [items[one]]}
        else:
            request = {"interactions": [(users[one], items[one])]}
        model.forget(**request)
        X = without(X, **request)
    assert X.any()
    np.testing.assert_allclose(model._score_users(np.arange(400)), twin(X, 0), rtol=0, atol=1e-12)
    assert model.forget_report_.guarantee == "exact"


def test_requests_one_after_the_other_stay_close_to_a_refit():
    rng = np.random.default_rng(0)
    X = rest = make_counts(shape=(300, 150))
    model = GraphFilter(6, random_state=0).fit(X)
    start, seen = copy.deepcopy(model), set()
    for step in range(30):
        users, items = np.nonzero(rest)
        one = rng.integers(len(users))
        pair = step % 3
        request = {"interactions": [(users[one], items[one])]} if pair else {"users": [users[one]]}
        model.forget(**request)
        rest = without(rest, **request)
        seen.add(model.forget_report_.guarantee)
    assert "residual-bounded" in seen
    refit = GraphFilter(6, random_state=0).fit(rest)
    assert remaining_gap(start, model, refit) < 1e-3
    assert model.residual_ < 1e-4


def test_report_says_how_far_a_request_got():
    X = make_counts(shape=(300, 150))
    model = GraphFilter(6, random_state=0).fit(X)
    n_fit = model._subspace.n_products
    model.forget([(0, int(np.flatnonzero(X[0])[0]))])
    report = model.forget_report_
    before, after = report.gradient_norm
    assert (report.method, report.guarantee) == ("downdate", "residual-bounded")
    assert 0 < after <= 1e-3 * before and report.residual == pytest.approx(after / before)
    assert after == model.residual_
    assert 0 < report.n_solver_iter < n_fit and report.n_steps > 0
    assert report.n_rows_updated == 150


def test_the_reported_residual_is_the_true_one():
    X = make_counts(shape=(300, 150))
    model = GraphFilter(6, random_state=0).fit(X)
    pair = (0, int(np.flatnonzero(X[0])[0]))
    model.forget([pair])
    rest = without(X, interactions=[pair])
    R = rest / np.sqrt(rest.sum(axis=1))[:, None] / np.sqrt(rest.sum(axis=0))
    V = model.item_components_
    true = np.linalg.norm(R.T @ (R @ V) - V @ (V.T @ (R.T @ (R @ V))))
    assert model.residual_ == pytest.approx(true, rel=0.1)
    np.testing.assert_allclose(V.T @ V, np.eye(6), atol=1e-6)
    sizes = np.linalg.svd(R, compute_uv=False)
    np.testing.assert_allclose(model.singular_values_, sizes[:6], atol=1e-8)
    assert model.spectral_gap_ == pytest.approx(sizes[5] ** 2 - sizes[6] ** 2, rel=1e-3)


def test_a_request_that_is_too_large_is_answered_by_a_refit():
    X = make_counts(shape=(300, 150))
    model = GraphFilter(6, random_state=0).fit(X).forget(users=np.arange(150))
    assert (model.forget_report_.method, model.forget_report_.guarantee) == ("refit", "refit")
    refit = GraphFilter(6, random_state=0).fit(without(X, users=np.arange(150)))
    assert np.array_equal(model.item_components_, refit.item_components_)


@pytest.mark.parametrize(("times", "guarantee"), [(2.0, "residual-bounded"), (4.0, "refit")])
def test_the_measured_residual_decides(monkeypatch, times, guarantee):
    X = make_counts(shape=(300, 150))
    model = GraphFilter(6, random_state=0).fit(X)

    def measured(product, subspace, n_components, seed):
        return times * (1e-3 * subspace.before + subspace.unknown)

    monkeypatch.setattr(_graph_filter, "measured_residual", measured)
    model.forget([(0, int(np.flatnonzero(X[0])[0]))])
    assert model.forget_report_.guarantee == guarantee
    assert model.residual_ <= (1e-8 if guarantee == "refit" else 1e-3)


def test_a_request_that_lowers_the_rank_is_answered_by_a_refit():
    X = np.kron(np.eye(4), np.ones((3, 10)))
    X[-3:, :] = 0
    X[-1, 30] = 1
    model = GraphFilter(4, random_state=0).fit(X)
    assert model.item_components_.shape == (40, 4)
    model.forget([(11, 30)])
    assert model.item_components_.shape == (40, 3)
    assert model.forget_report_.guarantee == "refit"


def test_a_part_of_the_graph_that_falls_off_is_seen():
    # Without the pair (0, 1), user 0 and item 0 are a graph of their own, with a value of 1.
    X = make_counts(shape=(300, 150))
    X[:, 0], X[0] = 0, 0
    X[0, :2] = 1
    model = GraphFilter(6, random_state=0).fit(X).forget([(0, 1)])
    rest = without(X, interactions=[(0, 1)])
    np.testing.assert_allclose(model.singular_values_[:2], 1.0, atol=1e-8)
    np.testing.assert_allclose(model.decision_function(rest), twin(rest, 6), atol=1e-3)
    assert model.decision_function(rest)[0, 0] == pytest.approx(twin(rest, 6)[0, 0], abs=1e-6)


def test_exactness_is_a_property_of_the_instance():
    assert get_forget_tags(GraphFilter(0)).exact
    assert not get_forget_tags(GraphFilter(1)).exact


def test_fit_is_repeatable_and_does_not_depend_on_threads():
    X = make_counts(shape=(300, 150))
    one, two, other = (
        GraphFilter(6, random_state=seed, n_jobs=n_jobs).fit(X)
        for seed, n_jobs in ((0, 1), (0, 2), (1, 1))
    )
    assert np.array_equal(one.item_components_, two.item_components_)
    assert not np.array_equal(one.item_components_, other.item_components_)
    scores = [model.decision_function(X) for model in (one, other)]
    np.testing.assert_allclose(*scores, atol=1e-5)


def test_components_beyond_the_rank_are_left_out():
    X = np.kron(np.eye(3), np.ones((20, 40)))
    model = GraphFilter(8, random_state=0).fit(X)
    assert model.item_components_.shape == (120, 3)
    np.testing.assert_allclose(model.singular_values_, 1.0, atol=1e-10)
    np.testing.assert_allclose(model.decision_function(X), twin(X, 3), atol=1e-8)


def test_a_fit_cut_short_warns_and_says_so():
    X = make_counts(shape=(300, 150))
    with pytest.warns(ConvergenceWarning, match="Increase max_iter"):
        model = GraphFilter(6, max_iter=2, random_state=0).fit(X)
    assert not model.converged_ and model.residual_ > 1e-8
