"""Models whose penalty chooses the number of their columns, against fits with columns to spare."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_unlearn import ALS, BPR, LightGCN, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner

SHAPE = 60, 45
ALL = np.argwhere(np.ones(SHAPE, bool))


def data_of(feedback):
    return make_interactions(*SHAPE, n_interactions=700, feedback=feedback, random_state=1)


LABELS, CLICKS, RATINGS = map(data_of, ("label", "implicit", "rating"))
MODELS = {
    "logistic": (MatrixFactorization(regularization_share=0.35), LABELS),
    "logistic, no bias": (MatrixFactorization(fit_bias=False, regularization_share=0.3), LABELS),
    "squared": (MatrixFactorization(loss="squared", regularization_share=0.3), RATINGS),
    "scaled": (MatrixFactorization(frequency_scaling=0.5, regularization_share=0.4), LABELS),
    "als": (ALS(alpha=5.0, regularization_share=0.07), CLICKS),
    "als, scaled": (ALS(alpha=5.0, frequency_scaling=0.5, regularization_share=0.1), CLICKS),
    "bpr": (BPR(regularization_share=0.3), CLICKS),
    "lightgcn": (LightGCN(n_layers=1, regularization_share=0.15), CLICKS),
    "lightgcn, logistic": (
        LightGCN(loss="logistic", n_layers=2, regularization_share=0.05),
        CLICKS,
    ),
    "lightgcn, weighted": (
        LightGCN(loss="weighted", n_layers=2, regularization_share=0.01),
        CLICKS,
    ),
}
EVERY = pytest.mark.parametrize("name", MODELS)


def fitted(name, **params):
    model, X = MODELS[name]
    settings = {"regularization": "auto", "n_factors": "auto", "random_state": 0, **params}
    model = copy.deepcopy(model).set_params(**settings)
    return model.fit(X), X


def scores(model):
    return model.predict_pairs(ALL)


@EVERY
def test_the_fit_is_that_of_a_model_with_columns_to_spare(name):
    model, _ = fitted(name)
    wide, _ = fitted(name, n_factors=45)
    certificate = model.certify()
    assert model.converged_
    assert certificate.certified
    assert certificate.rank == wide.certify().rank > 2
    assert certificate.rank <= model.n_factors_ <= certificate.rank + 16 < 45
    assert model.user_factors_.shape == (60, model.n_factors_)
    assert_allclose(scores(model), scores(wide), atol=2e-3 * np.abs(scores(wide)).max())


@EVERY
def test_a_request_ends_at_the_refit(name):
    model, X = fitted(name, unlearner=InfluenceUnlearner(tol=1e-6))
    before, cells = scores(model), np.argwhere(X.toarray())[::29]
    rest = X.tolil()
    rest[tuple(cells.T)] = 0
    refit, _ = fitted(name)
    refit = copy.deepcopy(refit).set_params(regularization=model.regularization_).fit(rest.tocsr())
    model.forget(cells)
    assert np.linalg.norm(scores(model) - scores(refit)) < 0.02 * np.linalg.norm(
        before - scores(refit)
    )
    assert model.certify().relative_gap < 1e-5


def test_requests_may_raise_the_rank_beyond_the_columns_of_the_fit():
    """Learning in steps, from ten users of sixty, what a fit of all needs more columns for."""
    X = CLICKS.tocsr()
    few = X.tolil()
    few[10:] = 0
    settings = {"regularization": 10.0, "alpha": 10.0, "random_state": 0}
    steps = InfluenceUnlearner(tol=1e-5, on_failure="raise")
    model = ALS("auto", **settings, unlearner=steps).fit(few.tocsr())
    first = model.n_factors_
    for start in range(10, 60, 5):
        step = X.tolil()
        step[:start] = 0
        step[start + 5 :] = 0
        model.learn(step.tocsr())
        assert model.learn_report_.method != "refit"
    whole = ALS("auto", **settings).fit(X)
    assert model.certify().rank == whole.certify().rank > first
    assert_allclose(scores(model), scores(whole), atol=1e-2)


def test_forgetting_lowers_the_rank():
    model, _ = fitted("als", regularization=10.0)
    rank = model.certify().rank
    model.forget(users=np.arange(45))
    assert model.certify().rank < rank
    assert model.certify().relative_gap < 1e-5


def test_a_refit_in_a_request_has_columns_of_its_own():
    model, _ = fitted("als", unlearner="refit")
    width = model.n_factors_
    model.forget(users=np.arange(45))
    assert model.forget_report_.method == "refit"
    assert model.n_factors_ < width
    assert model.item_factors_.shape[1] == model.n_factors_
    again = pickle.loads(pickle.dumps(model)).forget(users=[50])
    assert (again.user_factors_[50] == 0).all()


def test_max_factors_is_a_cap():
    model, _ = fitted("als", max_factors=3)
    assert model.n_factors_ == model.certify().rank == 3
    assert not model.certify().certified
    report = model.forget(users=[4]).forget_report_
    assert "all n_factors are in use" in report.status


def test_a_penalty_above_the_largest_leaves_empty_columns():
    model, _X = fitted("als", regularization=1e6)
    assert model.certify().rank == 0
    assert not model.item_factors_.any()
    assert model.n_factors_ >= 1


def test_a_number_stays_a_cap():
    model, _ = fitted("als", n_factors=20)
    assert model.n_factors_ == 20


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_factors_have_the_data_type_of_x(dtype):
    model = ALS("auto", alpha=5.0, regularization=10.0, random_state=0).fit(CLICKS.astype(dtype))
    assert model.user_factors_.dtype == dtype
    assert model.certify().relative_gap < 1e-5


def test_sweeps_alone_choose_columns_too():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, _ = fitted("als", max_iter=0)
    assert 4 <= model.n_factors_ < 30
    assert not model.converged_


def test_users_and_items_without_interactions_stay_zero():
    wide = np.zeros((400, 300))
    wide[5:65, 20:65] = CLICKS.toarray()
    model = ALS("auto", alpha=5.0, regularization=10.0, random_state=0).fit(wide)
    twin = ALS("auto", alpha=5.0, regularization=10.0, random_state=0).fit(CLICKS)
    assert model.certify().rank == twin.certify().rank
    assert not model.user_factors_[:5].any()
    assert not model.user_factors_[65:].any()
    got = model.user_factors_[5:65] @ model.item_factors_[20:65].T
    assert_allclose(got, twin.user_factors_ @ twin.item_factors_.T, atol=1e-4)


@pytest.mark.parametrize("value", ["many", -1, 2.5])
def test_other_values_are_refused(value):
    with pytest.raises(ValueError, match="n_factors"):
        ALS(value).fit(CLICKS)
