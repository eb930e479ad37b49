"""Models and scores are finite, or there is an error and nothing changes."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse

from sklearn_unlearn import (
    ALS,
    BPR,
    EASE,
    TIFUKNN,
    GraphFilter,
    ItemKNN,
    LightGCN,
    MatrixFactorization,
    PolynomialFilter,
    SessionKNN,
    ShardedRecommender,
    SparseEASE,
)
from sklearn_unlearn.exceptions import DataWarning, NotFiniteError
from sklearn_unlearn.utils._verbs import finite_scores, is_finite, refuse_not_finite

rng = np.random.default_rng(0)
VALUES = (rng.random((20, 12)) < 0.4) * rng.integers(1, 6, (20, 12)) * 1.0
VALUES[0, 0] = 1
FAMILIES = [
    MatrixFactorization(2, random_state=0),
    MatrixFactorization(2, loss="squared", random_state=0),
    ALS(2, random_state=0),
    BPR(2, random_state=0),
    LightGCN(2, random_state=0),
    LightGCN(2, loss="logistic", random_state=0),
    LightGCN(2, loss="weighted", random_state=0),
    EASE(),
    EASE(1e-12),
    EASE(top_k=3),
    EASE(dropout=0.3, user_normalization=0.5),
    SparseEASE(3),
    SparseEASE(3, dropout=0.3, user_normalization=0.5),
    ItemKNN(3),
    ItemKNN(3, similarity="tfidf"),
    ItemKNN(3, similarity="bm25"),
    ItemKNN(3, similarity="asymmetric_cosine", alpha=0.2),
    ItemKNN(3, similarity="rp3beta"),
    ItemKNN(3, similarity="turbo", power=0.7),
    ItemKNN(3, similarity="jaccard"),
    GraphFilter(2, random_state=0),
    GraphFilter(0),
    PolynomialFilter(3),
    SessionKNN(3),
    TIFUKNN(3),
    ShardedRecommender(ALS(2, random_state=0), 2, random_state=0),
]


def fitted_to_values(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # of counts as labels
        return pickle.loads(pickle.dumps(model)).fit(VALUES)


def name_of(model):
    return repr(model).replace(" ", "")


@pytest.mark.parametrize("factor", [1e300, 1e-300, 5e-324])
@pytest.mark.parametrize("model", FAMILIES, ids=name_of)
def test_values_that_cannot_be_squared_are_an_error(model, factor):
    fitted = fitted_to_values(model)
    before = pickle.dumps(vars(fitted))
    X = sparse.csr_array(VALUES * factor)
    for call in (fitted.fit, fitted.decision_function, fitted.recommend, fitted.score):
        with pytest.raises(ValueError, match=r"has size .*; expected .* Rescale X"):
            call(X, **({"n_items": 2} if call == fitted.recommend else {}))
    one = VALUES.copy()
    one[0, 0] = factor
    with pytest.raises(ValueError, match=r"size .*; expected .*, as float64 cannot tell"):
        fitted.fit(one)
    assert pickle.dumps(vars(fitted)) == before


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("model", FAMILIES, ids=name_of)
def test_a_model_is_finite_or_there_is_an_error(model, dtype):
    """Over all scales that are let in: finite scores, or NotFiniteError and the old model."""
    exponents = (-74, -40, -20, -10, 10, 20, 40, 74) if dtype == np.float64 else (-17, -9, 9, 17)
    for exponent in exponents:
        X = (VALUES * 10.0**exponent).astype(dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                fitted = pickle.loads(pickle.dumps(model)).fit(X)
            except ValueError:
                continue
            before = pickle.dumps(vars(fitted))
            try:
                fitted.forget(users=[1], items=[2])
            except NotFiniteError:
                assert pickle.dumps(vars(fitted)) == before
            for call in (
                lambda m=fitted: m.decision_function(VALUES),
                lambda m=fitted: m.recommend(users=[0, 1], n_items=1, exclude_seen=False)[1],
                lambda m=fitted: m.predict_pairs([[0, 1], [3, 4]]),
            ):
                try:
                    scores = call()
                except NotFiniteError:
                    continue
                assert np.isfinite(scores).all()


def test_numbers_of_everything_that_a_model_holds_count():
    bad = np.array([1.0, np.nan])
    for value in (
        bad,
        (bad,),
        {"a": [bad]},
        np.inf,
        np.float64("nan"),
        sparse.csr_array([[np.inf]]),
    ):
        assert not is_finite(value)
    huge = np.full(3, 1.7e308)
    for value in (
        huge,
        None,
        "text",
        np.array(["a"], object),
        1,
        True,
        (),
        sparse.csr_array([[1]]),
    ):
        assert is_finite(value)


def test_a_state_that_is_not_finite_names_the_attribute():
    with pytest.raises(NotFiniteError, match=r"b_ of EASE came out as .*; expected .* Rescale X"):
        refuse_not_finite(EASE(), {"a_": 1.0, "b_": np.array([np.nan])})


def test_minus_infinity_is_a_score_for_lists_alone():
    scores = np.array([[0.0, -np.inf]])
    assert finite_scores(scores, for_lists=True) is scores
    for bad in (scores, np.array([np.nan]), np.array([np.inf])):
        with pytest.raises(NotFiniteError, match="not a number, or infinite; expected"):
            finite_scores(bad)


@pytest.mark.parametrize("model", [ALS(2, random_state=0), ItemKNN(2), EASE()], ids=name_of)
def test_a_request_that_ends_in_nan_changes_nothing(model, monkeypatch):
    fitted = fitted_to_values(model)
    before = fitted.__dict__.copy()
    forget = type(model)._forget

    def spoilt(self, *args):
        state = forget(self, *args)
        name = "_sums" if "_sums" in state else "forget_report_"
        if name == "_sums":
            return {**state, name: tuple(one * np.nan for one in state[name])}
        return {**state, "scale_": np.array([np.nan])}

    monkeypatch.setattr(type(model), "_forget", spoilt)
    with pytest.raises(NotFiniteError, match="expected finite"):
        fitted.forget(users=[1])
    assert fitted.__dict__ == before
