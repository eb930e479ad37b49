"""PolynomialFilter against a dense eigendecomposition, and requests against refits."""

import numpy as np
import pytest
from numpy.polynomial import chebyshev
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_unlearn import GraphFilter, PolynomialFilter
from sklearn_unlearn.backends import _scipy
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exact.polynomial import _polynomial_kernels
from sklearn_unlearn.utils._tags import get_forget_tags
from sklearn_unlearn.utils.estimator_checks import parametrize_with_forget_checks

MODELS = [
    PolynomialFilter(),
    PolynomialFilter(3, 2.0, 0.3),
    PolynomialFilter(filter="linear"),
    PolynomialFilter(filter="cubic", beta=0.0),
    PolynomialFilter(filter=(1.0, 0.5), beta=-0.2),
]
X = make_interactions(80, 50, feedback="implicit", random_state=0)
COUNTS = X.copy()
COUNTS.data = np.random.default_rng(0).integers(1, 5, X.nnz).astype(float)
WEIGHTS = np.random.default_rng(1).integers(1, 4, 80).astype(float)
POLYNOMIALS = {
    "linear": lambda A: A,
    "quadratic": lambda A: 2 * A - A @ A,
    "cubic": lambda A: A + 0.01 * (-A @ A @ A + 10 * A @ A - 29 * A),
    (0.5, 0.0, 2.0): lambda A: 0.5 * A + 2 * A @ A @ A,
}


@parametrize_with_checks(MODELS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_forget_checks(MODELS)
def test_forget_checks(check):
    check()


@pytest.mark.parametrize("estimator", MODELS)
def test_no_scikit_learn_check_is_skipped(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) >= 50
    assert {result["status"] for result in results} == {"passed"}


# -- scores --------------------------------------------------------------------------------------
def graph_of(R, weights):
    """The normalised item-item graph, dense, and the sums of the items."""
    users, items = R.sum(axis=1), weights @ R
    of_users, of_items = (
        np.divide(1, np.sqrt(d), out=np.zeros(len(d)), where=d > 0) for d in (users, items)
    )
    normalised = np.sqrt(weights)[:, None] * of_users[:, None] * R * of_items
    return normalised.T @ normalised, items


def scaled(rows, filtered, items, beta):
    """Rows times a filter between two powers of the sums of the items."""
    known = items > 0
    before, after = (
        np.where(known, np.where(known, items, 1) ** power, 0) for power in (-beta, beta)
    )
    return (rows * before) @ filtered * after


def twin(R, order, flatness, beta, weights=None):
    """Interpolation of the plateau by a linear system, applied to all eigenvalues."""
    A, items = graph_of(R, np.ones(len(R)) if weights is None else weights)
    nodes = np.cos(np.pi * (np.arange(order + 1) + 0.5) / (order + 1))
    target = (1 - np.sign(nodes) * np.abs(nodes) ** flatness) / 2
    series = np.linalg.solve(chebyshev.chebvander(nodes, order), target)
    values, vectors = np.linalg.eigh(np.eye(len(A)) - 2 * A)
    filtered = (vectors * chebyshev.chebval(values, series)) @ vectors.T
    return scaled(R, filtered, items, beta)


@pytest.mark.parametrize("order", [1, 2, 5, 8, 13])
@pytest.mark.parametrize(("flatness", "beta"), [(1.0, 0.0), (3.0, 0.5), (20.0, -0.3)])
@pytest.mark.parametrize("data", [X, COUNTS], ids=["ones", "counts"])
def test_scores_are_those_of_the_interpolated_plateau(data, order, flatness, beta):
    model = PolynomialFilter(order, flatness, beta).fit(data, sample_weight=WEIGHTS)
    expected = twin(data.toarray(), order, flatness, beta, WEIGHTS)
    assert_allclose(model.decision_function(data), expected, rtol=0, atol=1e-11)
    assert_allclose(model._score_users(np.array([7, 3])), expected[[7, 3]], rtol=0, atol=1e-11)


@pytest.mark.parametrize("kind", POLYNOMIALS)
def test_scores_are_those_of_the_polynomial(kind):
    A, items = graph_of(COUNTS.toarray(), np.ones(80))
    model = PolynomialFilter(filter=kind, beta=0.3).fit(COUNTS)
    expected = scaled(COUNTS.toarray(), POLYNOMIALS[kind](A), items, 0.3)
    assert_allclose(model.decision_function(COUNTS), expected, rtol=0, atol=1e-12)


def test_the_linear_filter_is_that_of_graph_filter():
    linear = PolynomialFilter(filter="linear", beta=0.0).fit(COUNTS, sample_weight=WEIGHTS)
    expected = GraphFilter(0).fit(COUNTS, sample_weight=WEIGHTS).decision_function(X)
    assert_allclose(linear.decision_function(X), expected, rtol=0, atol=1e-12)


def test_a_plateau_of_flatness_one_is_linear():
    line = PolynomialFilter(7, 1.0).fit(X).decision_function(X)
    linear = PolynomialFilter(filter="linear").fit(X).decision_function(X)
    assert_allclose(line, linear, rtol=0, atol=1e-12)


def test_a_user_of_weight_two_is_two_users():
    weights = np.ones(80)
    weights[:20] = 2
    weighted = PolynomialFilter().fit(COUNTS, sample_weight=weights)
    doubled = PolynomialFilter().fit(np.concatenate((COUNTS.toarray(), COUNTS.toarray()[:20])))
    scores = weighted.decision_function(X)
    assert_allclose(scores, doubled.decision_function(X), rtol=0, atol=1e-12)
    weighted.forget(users=[3])
    doubled.forget(users=[3, 83])
    scores = weighted.decision_function(X)
    assert_allclose(scores, doubled.decision_function(X), rtol=0, atol=1e-12)


def test_items_and_users_without_interactions():
    dense = X.toarray()
    dense[:, 7] = dense[11] = 0
    model = PolynomialFilter().fit(dense)
    scores = model.decision_function(X)
    assert not scores[:, 7].any()
    assert_allclose(scores, scored_without_seven(model, X.toarray()), rtol=0, atol=1e-12)
    assert_array_equal(model.recommend(users=[11], n_items=3)[0], [[0, 1, 2]])


def scored_without_seven(model, rows):
    rows[:, 7] = 0
    return model.decision_function(rows)


def test_scores_do_not_depend_on_threads_nor_on_the_rows_beside(monkeypatch):
    one = PolynomialFilter().fit(COUNTS)
    expected = one.decision_function(COUNTS)
    for row in range(0, 80, 9):
        assert_array_equal(one.decision_function(COUNTS[[row]])[0], expected[row])
    monkeypatch.setattr(_scipy, "_MIN_WORK", 1)
    two = PolynomialFilter(n_jobs=2).fit(COUNTS)
    assert_array_equal(two.decision_function(COUNTS), expected)


def test_float32_stays_float32_and_agrees():
    single = PolynomialFilter().fit(COUNTS.astype(np.float32))
    scores = single.decision_function(COUNTS.astype(np.float32))
    assert scores.dtype == np.float32
    expected = PolynomialFilter().fit(COUNTS).decision_function(COUNTS)
    assert_allclose(scores, expected, rtol=0, atol=1e-5)
    assert single.forget(users=[3]).decision_function(X).dtype == np.float32


# -- requests ------------------------------------------------------------------------------------
def require_same_state(model, data, weights=None):
    refit = PolynomialFilter(*parameters(model)).fit(data, sample_weight=weights)
    for name in ("_user_sums", "_item_sums", "coefficients_"):
        assert_array_equal(getattr(model, name), getattr(refit, name))
    assert_array_equal(model.decision_function(X), refit.decision_function(X))


def parameters(model):
    return model.order, model.flatness, model.beta


@pytest.mark.parametrize("data", ["ones", "counts", "fractions"])
def test_a_thousand_requests_end_at_the_refit_bit_for_bit(data):
    rng = np.random.default_rng(0)
    big = make_interactions(500, 90, n_interactions=8000, feedback="implicit", random_state=1)
    weights = None
    if data != "ones":
        weights = rng.integers(1, 4, 500) / (1 if data == "counts" else 7)
        big.data = rng.integers(1, 5, big.nnz) / (1.0 if data == "counts" else 3.0)
    model, rest = PolynomialFilter(5).fit(big, sample_weight=weights), big.toarray()
    for step in range(1000):
        users, items = np.nonzero(rest)
        one = rng.integers(len(users))
        if step % 5 == 0 and step < 900:
            model.forget(users=users[one])
            rest[users[one]] = 0
        elif step % 97 == 0 and step < 600:
            model.forget(items=items[one])
            rest[:, items[one]] = 0
        else:
            model.forget([[users[one], items[one]]])
            rest[users[one], items[one]] = 0
        if step % 250 == 249:
            refit = PolynomialFilter(5).fit(rest, sample_weight=weights)
            for name in ("_user_sums", "_item_sums"):
                assert_array_equal(getattr(model, name), getattr(refit, name))
            assert_array_equal(model.decision_function(big), refit.decision_function(big))
    expected = twin(rest, *parameters(model), weights)
    assert_allclose(model._score_users(np.arange(500)), expected, rtol=0, atol=1e-12)
    assert model.forget_report_.guarantee == "exact"
    assert rest.any()


def test_learning_and_rectifying_end_at_the_refit_bit_for_bit():
    dense = COUNTS.toarray() / 3
    model = PolynomialFilter().fit(dense)
    cell = tuple(np.argwhere(dense == 0)[5])
    model.learn([cell], 0.7)
    dense[cell] = 0.7
    require_same_state(model, dense)
    assert model.learn_report_.guarantee == "exact"


def test_the_report_tells_how_much_was_done():
    model = PolynomialFilter().fit(X).forget(users=[3])
    report = model.forget_report_
    assert (report.method, report.guarantee, report.n_users) == ("downdate", "exact", 1)
    assert report.n_rows_updated == report.n_items == report.n_interactions == X[[3]].nnz


def test_a_request_computes_no_scores(monkeypatch):
    """It costs what it touches: the rows and columns of the request are added up again."""
    model = PolynomialFilter().fit(X)
    monkeypatch.setattr(_polynomial_kernels, "filter_rows", lambda *_: pytest.fail("scored"))
    model.forget(users=[3]).forget(items=[2]).learn([[3, 2]])


def test_exactness_is_tagged():
    assert get_forget_tags(PolynomialFilter()).exact


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"order": 0}, "'order' parameter"),
        ({"flatness": 0.0}, "'flatness' parameter"),
        ({"filter": "ideal"}, "'filter' parameter"),
        ({"filter": ()}, "at least one finite number"),
        ({"filter": (1.0, np.nan)}, "at least one finite number"),
        ({"filter": ((1.0,),)}, "at least one finite number"),
    ],
)
def test_parameters_are_validated(params, message):
    with pytest.raises(ValueError, match=message):
        PolynomialFilter(**params).fit(X)
