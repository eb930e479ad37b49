"""Tables with many empty rows: the same model as without them, at the cost of what they hold."""

import copy
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_unlearn import ALS, BPR, LightGCN, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner, SweepUnlearner
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import Layout
from sklearn_unlearn.pruning import HopPruner
from sklearn_unlearn.recommenders import _factor
from sklearn_unlearn.recommenders._factor_state import Occupied, settled

SMALL = make_interactions(24, 18, n_interactions=160, feedback="implicit", random_state=1)
LABELS = make_interactions(24, 18, n_interactions=160, random_state=1)
WEIGHTS = np.random.default_rng(2).choice([0.5, 1.0, 3.0], 24)
# The first and the last user of the large table are empty, and so is the item before the last.
N_USERS, N_ITEMS = 190, 70
USERS = np.sort(np.random.default_rng(0).permutation(np.arange(1, N_USERS - 1))[:24])
ITEMS = np.sort(np.append(np.random.default_rng(1).permutation(N_ITEMS - 2)[:17], N_ITEMS - 1))
MODELS = {
    "labels": MatrixFactorization(4, regularization=1.0, random_state=0),
    "no bias": MatrixFactorization(4, regularization=0.6, fit_bias=False, random_state=0),
    "mean": MatrixFactorization(3, loss="squared", global_mean=True, random_state=0),
    "ALS": ALS(4, regularization=4.0, alpha=5.0, random_state=0),
    "ALS, stopped early": ALS(4, regularization=4.0, alpha=5.0, max_iter=0, random_state=0),
    "ALS, scaled": ALS(4, regularization=6.0, frequency_scaling=0.5, random_state=0),
    "BPR": BPR(4, regularization=0.5, random_state=0),
    "LightGCN": LightGCN(4, regularization=0.2, n_layers=2, random_state=0),
    "LightGCN, logistic": LightGCN(
        4, loss="logistic", regularization=0.2, n_layers=1, random_state=0
    ),
    "LightGCN, weighted": LightGCN(4, loss="weighted", regularization=3.0, random_state=0),
}
DRAWN = ("BPR", "LightGCN", "LightGCN, logistic")
BOTH_SIDES = [name for name in MODELS if name not in DRAWN]
STRATEGIES = {
    "default": None,
    "refit": "refit",
    "certify": InfluenceUnlearner(certify=True),
    "pruned": InfluenceUnlearner(HopPruner(2)),
    "one step": InfluenceUnlearner(n_steps=1, tol=None),
}


def small(name):
    return LABELS if name in ("labels", "no bias") else SMALL


def spread(X, items=ITEMS):
    """The same interactions in a table with empty rows and columns between them."""
    coo = X.tocoo()
    rows, columns = coo.coords
    n_items = N_ITEMS if items is ITEMS else len(items)
    return sparse.csr_array((coo.data, (USERS[rows], items[columns])), shape=(N_USERS, n_items))


def scores(model, users, items):
    return model.predict_pairs((np.repeat(users, len(items)), np.tile(items, len(users))))


def nothing_drawn(items):
    return np.zeros(len(items), bool)


def quietly(verb, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return verb(*args, **kwargs)


def test_the_large_table_has_a_table_of_its_own_and_others_do_not():
    data = Interactions.from_matrix(spread(SMALL))
    occupied = Occupied.of(data, nothing_drawn)
    assert_array_equal(occupied.users, USERS)
    assert_array_equal(occupied.items, ITEMS)
    assert_array_equal(occupied.rows, np.concatenate([USERS, ITEMS + N_USERS]))
    part = occupied.take(data)
    assert_array_equal(part.to_csr().toarray(), SMALL.toarray())
    assert_array_equal(part.origin.users, USERS)
    drawn = Occupied.of(data, lambda items: items < 3).items
    assert_array_equal(drawn, np.union1d(ITEMS, [0, 1, 2]))
    assert Occupied.of(data, lambda items: items >= 0) is not None
    assert Occupied.of(Interactions.from_matrix(SMALL), nothing_drawn) is None


@pytest.mark.parametrize("fit_bias", [False, True])
def test_rows_are_put_back_beside_empty_ones(fit_bias):
    occupied = Occupied(np.array([1]), np.array([0, 2]), 3)
    layout = Layout(3, 3, 5, fit_bias)
    theta = np.arange(3.0 * (2 + 2 * fit_bias)).reshape(3, -1)
    table = occupied.put(theta, layout)
    assert table.shape == (6, 2 + 2 * fit_bias)
    assert_array_equal(table[[1, 3, 5]], theta)
    assert_array_equal(table[[0, 2, 4], :2], 0)
    if fit_bias:
        assert_array_equal(table[[0, 2, 4], 2:], [[0, 1], [0, 1], [1, 0]])


def test_rounding_in_empty_rows_is_taken_out():
    layout, empty = Layout(2, 1, 2, False), np.array([True, False, True])
    theta = np.array([[1e-20, 0.0], [1.0, 2.0], [0.0, 0.0]])
    assert_array_equal(settled(theta, layout, empty), [[0, 0], [1, 2], [0, 0]])
    clean = np.array([[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]])
    assert settled(clean, layout, empty) is clean


@pytest.mark.parametrize("name", [name for name in MODELS if "stopped" not in name])
def test_empty_rows_change_neither_fit_nor_request(name, monkeypatch):
    """Against the same table solved whole, where empty rows are rows like others."""
    X, estimator = spread(small(name)), MODELS[name]
    weights = np.ones(N_USERS)
    weights[USERS] = WEIGHTS
    part = quietly(copy.deepcopy(estimator).fit, X, sample_weight=weights)
    cells = np.column_stack(X.tocoo().coords)
    requests = [{"users": USERS[3]}, {"interactions": cells[::15], "missing": "ignore"}]
    states = [copy.deepcopy(quietly(part.forget, **request)) for request in requests]
    monkeypatch.setattr(_factor.Occupied, "of", lambda *data: None)
    whole = quietly(copy.deepcopy(estimator).fit, X, sample_weight=weights)
    everyone, everything = np.arange(N_USERS), np.arange(N_ITEMS)
    for request, state in zip(requests, states, strict=True):
        quietly(whole.forget, **request)
        expected = scores(whole, everyone, everything)
        got = scores(state, everyone, everything)
        assert_allclose(got, expected, atol=2e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["ALS", "ALS, stopped early", "ALS, scaled"])
def test_empty_users_change_no_bit(name):
    """A start of numbers for items alone does not depend on users."""
    large = copy.deepcopy(MODELS[name]).fit(spread(SMALL, np.arange(18)))
    tight = copy.deepcopy(MODELS[name]).fit(SMALL)
    assert_array_equal(large.item_factors_, tight.item_factors_)
    assert_array_equal(large.user_factors_[USERS], tight.user_factors_)


@pytest.mark.parametrize("name", BOTH_SIDES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_request_ends_where_that_to_the_small_table_ends(name, strategy):
    """What is drawn for a row depends on its place, which only starts feel here: loosely."""
    estimator = copy.deepcopy(MODELS[name]).set_params(unlearner=STRATEGIES[strategy])
    large = quietly(copy.deepcopy(estimator).fit, spread(small(name)))
    tight = quietly(copy.deepcopy(estimator).fit, small(name))
    before = scores(tight, np.arange(24), np.arange(18))
    quietly(large.forget, users=[USERS[5]], items=[ITEMS[2]])
    quietly(tight.forget, users=[5], items=[2])
    expected = scores(tight, np.arange(24), np.arange(18))
    got = scores(large, USERS, ITEMS)
    if "stopped" not in name:  # whose models depend on their starts
        limit = 0.05 if strategy == "one step" else 0.02
        assert np.linalg.norm(got - expected) <= limit * np.linalg.norm(before - expected)
    assert large.forget_report_.guarantee == tight.forget_report_.guarantee
    rest = np.setdiff1d(np.arange(N_USERS), USERS)
    assert not large.user_factors_[rest].any()
    assert not large.user_factors_[USERS[5]].any()


@pytest.mark.parametrize("name", MODELS)
def test_certificates_look_at_rows_that_hold_something(name, monkeypatch):
    sides = []
    certify = _factor.certify
    monkeypatch.setattr(
        _factor,
        "certify",
        lambda objective, *rest: (
            sides.append(objective.layout.shape[0]) or certify(objective, *rest)
        ),
    )
    model = quietly(copy.deepcopy(MODELS[name]).fit, spread(small(name)))
    part = model.certify()
    felt = model._make_objective(model._interactions).is_drawn(np.arange(N_ITEMS))
    assert sides == [24 + np.count_nonzero(felt | np.isin(np.arange(N_ITEMS), ITEMS))]
    monkeypatch.setattr(_factor.Occupied, "of", lambda *data: None)
    whole = model.certify()
    assert_allclose(part.relative_gap, whole.relative_gap, atol=1e-9)
    assert_allclose(part.spectral_ratio, whole.spectral_ratio, rtol=1e-6)
    assert part.rank == whole.rank


@pytest.mark.parametrize("name", MODELS)
def test_solvers_see_rows_that_hold_something(name, monkeypatch):
    """However many users there are: the rows of every solve are counted."""
    seen = []
    make = type(MODELS[name])._make_objective

    def count(self, data, *args, **kwargs):
        objective = make(self, data, *args, **kwargs)
        seen.append(objective)
        return objective

    X = small(name).tocoo()
    tall = sparse.csr_array((X.data, (X.coords[0] * 4000, X.coords[1])), shape=(100_000, 18))
    model = quietly(copy.deepcopy(MODELS[name]).fit, tall)
    monkeypatch.setattr(type(model), "_make_objective", count)
    problems = []
    problem = _factor.ForgetProblem
    monkeypatch.setattr(
        _factor,
        "ForgetProblem",
        lambda **fields: problems.append(problem(**fields)) or problems[-1],
    )
    quietly(model.forget, users=[4000])
    assert len(problems[0].theta) <= 24 + 18
    assert problems[0].objective.layout.shape[0] <= 24 + 18


@pytest.mark.parametrize("name", ["labels", "ALS"])
def test_sweeps_work_on_them_too(name):
    estimator = copy.deepcopy(MODELS[name]).set_params(unlearner=SweepUnlearner())
    large = estimator.fit(spread(small(name)))
    large.forget(users=[USERS[5]])
    refit = copy.deepcopy(MODELS[name]).fit(large._interactions.to_csr())
    expected = scores(refit, USERS, ITEMS)
    assert_allclose(scores(large, USERS, ITEMS), expected, atol=5e-3 * np.abs(expected).max())
