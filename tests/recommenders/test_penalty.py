"""The largest penalty that leaves a factor, and the penalty as a share of it."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_unlearn import ALS, BPR, LightGCN, MatrixFactorization, UnlearningRecommender
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import SlowFitWarning
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.recommenders import _penalty
from sklearn_unlearn.recommenders._penalty import _rounded

LABELS = make_interactions(50, 40, n_interactions=500, feedback="label", random_state=0)
CLICKS = make_interactions(50, 40, n_interactions=500, feedback="implicit", random_state=0)
RATINGS = make_interactions(50, 40, n_interactions=500, feedback="rating", random_state=0)
MODELS = {
    "logistic": (MatrixFactorization(4), LABELS),
    "logistic, no bias": (MatrixFactorization(4, fit_bias=False), LABELS),
    "squared": (MatrixFactorization(4, loss="squared"), RATINGS),
    "scaled": (MatrixFactorization(4, frequency_scaling=0.5), LABELS),
    "als": (ALS(4), CLICKS),
    "als, scaled": (ALS(4, frequency_scaling=0.5, frequency_offset=3.0), CLICKS),
    "bpr": (BPR(4), CLICKS),
    "bpr, no bias": (BPR(4, fit_bias=False), CLICKS),
    "lightgcn": (LightGCN(4, n_layers=2), CLICKS),
    "lightgcn, logistic": (LightGCN(4, loss="logistic"), CLICKS),
    "lightgcn, weighted": (LightGCN(4, loss="weighted", n_layers=1), CLICKS),
    "no layers": (LightGCN(4, loss="weighted", n_layers=0), CLICKS),
}
# Rows that are repeated have negatives of their own.
DRAWN = ("bpr", "bpr, no bias", "lightgcn", "lightgcn, logistic")
EVERY = pytest.mark.parametrize("name", MODELS)


def model_of(name, **params):
    model, X = MODELS[name]
    return copy.deepcopy(model).set_params(random_state=0, **params), X


@EVERY
def test_above_the_largest_penalty_no_factor_is_left_and_below_it_one_is(name):
    model, X = model_of(name)
    largest = model.regularization_max(X)
    assert largest > 0
    above = model_of(name, regularization=1.002 * largest)[0].fit(X)
    assert above.certify().rank == 0
    assert above.certify().certified
    below = model_of(name, regularization=0.99 * largest)[0].fit(X)
    assert below.certify().rank == 1
    assert_allclose(below.certify().spectral_ratio, 1.0, atol=1e-3)


def test_the_largest_penalty_of_als_is_a_singular_value():
    X = CLICKS.toarray()
    assert_allclose(ALS(alpha=7.0).regularization_max(X), 7 * np.linalg.norm(X, 2), rtol=1e-7)
    scaled = X / np.sqrt(np.outer((X > 0).sum(1), np.maximum((X > 0).sum(0), 1)))
    found = ALS(alpha=7.0, frequency_scaling=1.0).regularization_max(X)
    assert_allclose(found, 7 * np.linalg.norm(scaled, 2), rtol=1e-7)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in DRAWN])
def test_a_user_of_weight_two_counts_like_two_users(name):
    model, X = model_of(name)
    weights = np.where(np.arange(50) < 10, 2.0, 1.0)
    rows = np.concatenate([np.arange(50), np.arange(10)])
    assert_allclose(
        model.regularization_max(X, weights), model.regularization_max(X.tocsr()[rows]), rtol=1e-6
    )


def test_asking_changes_nothing_and_needs_no_fit():
    model = ALS(4, random_state=np.random.RandomState(0))
    first = model.regularization_max(CLICKS)
    assert not hasattr(model, "n_features_in_")
    assert not hasattr(model, "regularization_")
    assert model.regularization_max(CLICKS) == first
    fitted = ALS(4, regularization=30.0, random_state=0).fit(CLICKS)
    before = copy.deepcopy(vars(fitted))
    fitted.regularization_max(CLICKS[:, :20])
    assert vars(fitted).keys() == before.keys()
    assert fitted.n_features_in_ == 40


def test_rows_that_hold_nothing_are_left_out():
    wide = np.zeros((500, 300))
    wide[3:53, 40:80] = CLICKS.toarray()
    for model in (ALS(4), MatrixFactorization(4), LightGCN(4, loss="weighted")):
        X = LABELS.toarray() if isinstance(model, MatrixFactorization) else CLICKS.toarray()
        wide[3:53, 40:80] = X
        assert_allclose(model.regularization_max(wide), model.regularization_max(X), rtol=1e-6)


@EVERY
def test_a_share_of_it_is_the_penalty_to_within_six_percent(name):
    model, X = model_of(name, regularization="auto", regularization_share=0.4)
    largest = model.regularization_max(X)
    fitted = model.fit(X)
    assert abs(fitted.regularization_ / (0.4 * largest) - 1) < 0.062
    number = model_of(name, regularization=fitted.regularization_)[0].fit(X)
    assert number.regularization_ == fitted.regularization_
    assert_array_equal(number.user_factors_, fitted.user_factors_)


def test_penalties_are_twenty_numbers_a_decade():
    found = {_rounded(value) for value in np.geomspace(1.0, 9.4, 1000)}
    assert len(found) == 20
    assert {1.0, 3.16, 8.91} <= found
    assert _rounded(_rounded(0.0123)) == _rounded(0.0123)
    assert _rounded(0.0) == _rounded(np.inf) == 0.0


@EVERY
def test_requests_keep_the_penalty_and_end_at_the_refit_with_it(name):
    """Which penalty a new choice would have found on what remains does not matter."""
    settings = {"n_factors": 30, "unlearner": InfluenceUnlearner(tol=1e-4)}
    model, X = model_of(name, regularization="auto", regularization_share=0.5, **settings)
    model.fit(X)
    penalty = model.regularization_
    rest = X.tolil()
    rest[:25] = 0
    rest = rest.tocsr()
    before = model.predict_pairs(np.argwhere(np.ones((50, 40), bool)))
    model.forget(users=np.arange(25))
    assert model.regularization_ == penalty
    again = model_of(name, regularization="auto", regularization_share=0.5)[0].fit(rest)
    assert again.regularization_ <= penalty
    refit = model_of(name, regularization=penalty, n_factors=30)[0].fit(rest)
    pairs = np.argwhere(np.ones((50, 40), bool))
    after, right = model.predict_pairs(pairs), refit.predict_pairs(pairs)
    assert np.linalg.norm(after - right) < 0.02 * np.linalg.norm(before - right)


def test_a_number_that_is_set_later_counts_from_the_next_request():
    model = ALS(4, regularization="auto", random_state=0, unlearner="refit").fit(CLICKS)
    model.set_params(regularization=50.0).forget(users=[3])
    assert model.regularization_ == 50.0
    model.set_params(regularization="auto").forget(users=[4])
    assert model.regularization_ == 50.0


def test_the_share_is_a_number_that_a_search_varies():
    search = GridSearchCV(
        ALS(8, regularization="auto", random_state=0),
        {"regularization_share": [0.9, 0.3]},
        scoring=lambda model, X: float(model.regularization_),
        cv=2,
    )
    search.fit(CLICKS)
    assert search.best_params_ == {"regularization_share": 0.9}


def test_biases_that_explain_all_leave_any_penalty():
    with pytest.warns(UserWarning, match="nothing to tell apart"):
        model = MatrixFactorization(4, loss="squared", regularization="auto", random_state=0).fit(
            np.where(CLICKS.toarray() > 0, 3.0, 0.0)
        )
    assert model.regularization_ == 1.0
    assert model.certify().rank == 0


@pytest.mark.parametrize("share", [0.0, 1.5, "big"])
def test_a_share_is_between_0_and_1(share):
    with pytest.raises(ValueError, match="regularization_share"):
        ALS(regularization_share=share).fit(CLICKS)


def test_a_model_that_is_taken_over_takes_a_share_of_its_data():
    P, Q = np.random.default_rng(0).random((50, 4)), np.random.default_rng(1).random((40, 4))
    model = LightGCN.from_embeddings(P, Q, CLICKS, regularization="auto", random_state=0)
    fitted = LightGCN(4, regularization="auto", random_state=0).fit(CLICKS)
    assert model.regularization_ == fitted.regularization_


def test_what_wraps_a_model_keeps_its_penalty():
    model = UnlearningRecommender(ALS(4, regularization="auto", random_state=0)).fit(CLICKS)
    penalty = model.estimator_.regularization_
    model.forget(users=np.arange(25))
    assert model.estimator_.regularization_ == penalty


def test_verbose_says_how_strong_a_penalty_is_and_that_a_weak_one_is_slow(capsys):
    largest = ALS(alpha=5.0).regularization_max(CLICKS)
    for share, slow in ((0.02, True), (0.4, False)):
        settings = {"regularization": share * largest, "alpha": 5.0, "verbose": 1}
        ALS(2, **settings, max_iter=0, random_state=0).fit(CLICKS)
        first = capsys.readouterr().out.splitlines()[0]
        assert first.startswith(f"[ALS] penalty {share * largest:g}: {share} of the largest")
        assert ("many columns" in first) == slow
    ALS(2, regularization="auto", regularization_share=0.3, verbose=1).fit(CLICKS)
    assert " of the largest" in capsys.readouterr().out
    ALS(2, regularization=50.0, random_state=0).fit(CLICKS)
    assert not capsys.readouterr().out


def test_a_long_fit_by_a_far_too_small_penalty_is_warned_of(monkeypatch):
    monkeypatch.setattr(_penalty, "_LARGE", CLICKS.nnz * 2)
    largest = ALS().regularization_max(CLICKS)
    small = ALS(2, regularization=0.009 * largest, random_state=0)
    with pytest.warns(SlowFitWarning, match=r"0\.009 of the largest .* expected 0\.01") as caught:
        small.fit(CLICKS)
    assert caught[0].filename == __file__
    for fine in (
        clone(small).set_params(n_factors=1),  # a short fit
        clone(small).set_params(regularization=0.011 * largest),
        clone(small).set_params(regularization="auto"),
        clone(small).set_params(max_iter=0),
    ):
        fine.fit(CLICKS)
