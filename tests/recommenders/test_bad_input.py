"""What is wrong with the input is said in three parts, and nothing has changed."""

import copy
import pickle
import re
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError

from sklearn_unlearn import MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import DataWarning
from sklearn_unlearn.influence import InfluenceUnlearner
from tests.recommenders.oracles import DenseModel, distance, scores_of

X = make_interactions(30, 20, n_interactions=250, random_state=0).toarray()
BEYOND = 2**31 + 5
PER_ROW = ["transform", "decision_function", "recommend", "score"]


def model_of(**params):
    defaults = {"n_factors": 24, "regularization": 2.0, "random_state": 0}
    return MatrixFactorization(**{**defaults, **params})


def with_value(value):
    out = X.copy()
    out[3, 4] = value
    return out


def refuses(error, message, call):
    """The call raises, with one line of text that a pattern describes."""
    with pytest.raises(error, match=re.compile(message, re.DOTALL)) as caught:
        call()
    return caught.value


@pytest.fixture(scope="module")
def _fitted():
    return model_of().fit(X)


@pytest.fixture
def model(_fitted):
    """A fitted model; whatever a test does to it must leave every byte as it was."""
    before = pickle.dumps(vars(_fitted))
    yield _fitted
    assert pickle.dumps(vars(_fitted)) == before


# -- values --------------------------------------------------------------------------------------
WRONG_MATRICES = {
    "nan": (with_value(np.nan), "Input X contains NaN"),
    "inf": (with_value(np.inf), "Input X contains infinity"),
    "sparse nan": (sparse.csr_array(with_value(np.nan)), "Input X contains NaN"),
    "zeros": (np.zeros((4, 3)), r"shape \(4, 3\) holds no interaction.*expected.*Check that"),
    "no cells": (sparse.csr_array((4, 3)), r"shape \(4, 3\) holds no interaction"),
    "stored zeros": (sparse.csr_array(([0.0], ([0], [1])), shape=(4, 3)), "holds no interaction"),
    "no users": (np.zeros((0, 3)), r"0 sample\(s\) .* minimum of 1"),
    "no items": (np.zeros((3, 0)), r"0 feature\(s\) .* minimum of 1"),
    "one dimension": (np.ones(3), "has 1 dimension; expected a matrix"),
    "three dimensions": (np.ones((3, 2, 2)), "dim 3, while dim <= 2 is required"),
    "complex": (X + 1j, "Complex data not supported"),
    "sparse complex": (sparse.csr_array(X).astype(complex), "Complex data not supported"),
    "text": (np.array([["a", "b"]], dtype=object), "X holds text; expected a matrix"),
    "frame of ids": (
        pd.DataFrame({"user": ["ann"], "item": ["tea"]}),
        "with InteractionEncoder, first",
    ),
    "wide": (
        sparse.coo_array(([1.0, 1.0], ([0, 1], [1, BEYOND - 1])), shape=(3, BEYOND)),
        r"X has shape \(3, 2147483653\); expected at most .* Turn ids into positions",
    ),
    "tall": (
        sparse.coo_array(([1.0], ([BEYOND - 1], [0])), shape=(BEYOND, 3)),
        r"X has shape \(2147483653, 3\); expected at most .* Turn ids into positions",
    ),
}


@pytest.mark.parametrize("name", WRONG_MATRICES)
def test_fit_refuses_what_it_cannot_read_and_keeps_the_old_fit(model, name):
    matrix, message = WRONG_MATRICES[name]
    refuses(ValueError, message, lambda: model.fit(matrix))


@pytest.mark.parametrize("verb", PER_ROW)
@pytest.mark.parametrize(
    "rows, message",
    [
        (X[:, :-1], "X has 19 features, but MatrixFactorization is expecting 20"),
        (with_value(np.nan), "Input X contains NaN"),
        (with_value(-np.inf), "Input X contains infinity"),
        (X[0], "has 1 dimension; expected a matrix"),
        (X + 1j, "Complex data not supported"),
    ],
)
def test_rows_to_fold_in_are_checked(model, verb, rows, message):
    refuses(ValueError, message, lambda: getattr(model, verb)(rows))


@pytest.mark.parametrize("weights, message", [
    (np.r_[-1.0, np.ones(29)], "Negative values in data passed to `sample_weight`"),
    (np.zeros(30), "at least one non-zero number"),
    (np.ones(29), r"\(29,\), expected \(30,\)"),
    (np.full(30, np.nan), "sample_weight contains NaN"),
    (np.full(30, np.inf), "sample_weight contains infinity"),
    (np.ones((30, 1)), "must be 1D"),
])  # fmt: skip
def test_weights_are_checked(model, weights, message):
    refuses(ValueError, message, lambda: model.fit(X, sample_weight=weights))


def test_weight_on_empty_rows_alone_is_no_training_data(model):
    rows = np.vstack([X, np.zeros(20)])
    only_last = np.append(np.zeros(30), 1.0)
    refuses(ValueError, "positive weight", lambda: model_of().fit(rows, sample_weight=only_last))


def test_factors_to_turn_into_scores_are_checked(model):
    refuses(
        ValueError,
        "U has 3 columns; expected 24.* Pass what transform returns",
        lambda: model.inverse_transform(np.ones((2, 3))),
    )
    refuses(ValueError, "NaN", lambda: model.inverse_transform(np.full((2, 24), np.nan)))


# -- positions -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "error, message, request_",
    [
        (ValueError, "out of range: 30; expected 0 <= position < 30", {"users": [30]}),
        (ValueError, "out of range: -1; expected 0 <=", {"items": [2, -1]}),
        # As 32-bit integers these would be user 0 and item 1.
        (ValueError, "out of range: 4294967296", {"users": [2**32]}),
        (ValueError, "out of range: 4294967297", {"interactions": [[0, 2**32 + 1]]}),
        (ValueError, "out of range: 18446744073709551617", {"users": [2**64 + 1]}),
        (TypeError, "is a DataFrame; expected integer positions. Turn ids", {
            "interactions": pd.DataFrame({"user": [0], "item": [1]})
        }),
        (TypeError, "expected integer positions. Cast", {"interactions": [[0.0, 1.0]]}),
        (TypeError, "expected integer positions", {"users": ["ann"]}),
    ],
)  # fmt: skip
def test_requests_are_checked(model, error, message, request_):
    refuses(error, message, lambda: model.forget(**request_))


@pytest.mark.parametrize("pair", [[30, 0], [0, 20], [-1, 0], [2**31, 0], [2**64, 0]])
def test_pairs_to_score_are_checked(model, pair):
    refuses(
        ValueError,
        "out of range: .*expected 0 <= position <.*Use the positions",
        lambda: model.predict_pairs([pair]),
    )


@pytest.mark.parametrize("verb", [*PER_ROW, "inverse_transform", "predict_pairs", "forget"])
def test_unfitted_model_says_so(verb):
    refuses(NotFittedError, "not fitted yet. Call 'fit'", lambda: getattr(model_of(), verb)(X))


@pytest.mark.parametrize("verb", ["certify", "canonical_factors", "get_feature_names_out"])
def test_unfitted_model_without_arguments_says_so(verb):
    refuses(NotFittedError, "not fitted yet. Call 'fit'", getattr(model_of(), verb))


# -- hyper-parameters ------------------------------------------------------------------------------
PAIR = "bias_regularization=.* was given; expected a positive number, or a tuple of two. Pass"
WRONG_PARAMETERS = [
    *[
        ({"bias_regularization": value}, ValueError, PAIR)
        for value in [(1,), (), (1, 2, 3), (1, -1), (1, 0), (1, "a"), (1, np.nan), (np.inf, 1)]
    ],
    ({"bias_regularization": "a"}, ValueError, "'bias_regularization' parameter.* Got 'a'"),
    ({"bias_regularization": -1.0}, ValueError, "'bias_regularization' parameter.* Got -1.0"),
    ({"device": "gpu"}, ValueError, "'device' parameter.* Got 'gpu'"),
    ({"n_factors": -1}, ValueError, "'n_factors' parameter.* Got -1"),
    ({"n_factors": 2.5}, ValueError, "'n_factors' parameter.* Got 2.5"),
    ({"regularization": 0}, ValueError, "'regularization' parameter.* Got 0"),
    ({"regularization": np.nan}, ValueError, "'regularization' parameter.* Got nan"),
    ({"loss": "hinge"}, ValueError, "'loss' parameter.* Got 'hinge'"),
    ({"frequency_scaling": 2}, ValueError, "'frequency_scaling' parameter.* Got 2"),
    ({"global_mean": "no"}, ValueError, "'global_mean' parameter.* Got 'no'"),
    ({"tol": 0}, ValueError, "'tol' parameter.* Got 0"),
    ({"max_iter": 0}, ValueError, "'max_iter' parameter.* Got 0"),
    ({"unlearner": "forgetful"}, ValueError, "'unlearner' parameter.* Got 'forgetful'"),
    ({"unlearner": 3}, ValueError, "'unlearner' parameter.* Got 3"),
    ({"random_state": "abc"}, TypeError, "random_state is a str; expected None, an int.* Pass"),
    ({"random_state": -1}, ValueError, "random_state is -1; expected an integer >= 0"),
    ({"n_jobs": "all"}, ValueError, "'n_jobs' parameter.* Got 'all'"),
    ({"verbose": -1}, ValueError, "'verbose' parameter.* Got -1"),
]


@pytest.mark.parametrize("params, error, message", WRONG_PARAMETERS)
def test_wrong_parameters_are_refused_and_the_old_fit_kept(_fitted, params, error, message):
    model = copy.deepcopy(_fitted)
    before = {**vars(model), **params}
    refuses(error, message, lambda: model.set_params(**params).fit(X))
    assert vars(model) == before


def test_wrong_parameter_of_the_strategy_is_refused_before_anything_changes():
    model = model_of(unlearner=InfluenceUnlearner(n_steps=0)).fit(X)
    before = pickle.dumps(vars(model))
    refuses(ValueError, "'n_steps' parameter.* Got 0", lambda: model.forget(users=[0]))
    assert pickle.dumps(vars(model)) == before


# -- odd, and right --------------------------------------------------------------------------------
@pytest.mark.parametrize("loss", ["logistic", "squared"])
@pytest.mark.parametrize("global_mean", [True, False])
@pytest.mark.parametrize("value", [1.0, -1.0, 0.1])
@pytest.mark.parametrize("matrix", [X, X[:1], [[1.0]]], ids=["all", "user", "1"])
@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.ForgetFallbackWarning")
def test_values_that_are_all_alike(loss, global_mean, value, matrix):
    alike = (np.asarray(matrix) != 0) * value
    # Of a handful of values nobody can tell whether they are meant to be alike.
    many = np.count_nonzero(alike) >= 20
    warned = pytest.warns(DataWarning, match="nothing to tell apart") if many else nullcontext()
    with warned:
        model = model_of(loss=loss, global_mean=global_mean).fit(alike)
    if loss == "squared" or not global_mean:
        # The twin's mean of labels that are all alike is infinite.
        assert distance(scores_of(model), DenseModel.of(model).fit(alike)[0]) < 1e-4
    assert model.converged_ and np.isfinite(scores_of(model)).all()
    assert (np.sign(scores_of(model)[alike != 0]) == np.sign(value)).all()
    pair = np.argwhere(alike)[0]
    model.forget([pair])
    refit = model_of(loss=loss, global_mean=global_mean)
    alike[tuple(pair)] = 0
    if alike.any():
        with warned:
            refit.fit(alike)
        assert distance(scores_of(model), scores_of(refit)) < 1e-3
    else:
        assert_array_equal(scores_of(model), 0.0)


@pytest.mark.parametrize("loss", ["logistic", "squared"])
@pytest.mark.parametrize("matrix", [X[:1], X[:, [5]]], ids=["one user", "one item"])
def test_one_user_and_one_item(loss, matrix):
    model = model_of(loss=loss).fit(matrix)
    assert distance(scores_of(model), DenseModel.of(model).fit(matrix)[0]) < 1e-5
    assert (model.recommend(matrix, n_items=1, exclude_seen=False)[0] >= 0).all()


@pytest.mark.parametrize("fit_bias", [True, False])
def test_users_and_items_with_nothing_are_exactly_zero(fit_bias):
    gaps = X.copy()
    gaps[[0, 7, 29]], gaps[:, [0, 11, 19]] = 0, 0
    model = model_of(fit_bias=fit_bias).fit(gaps)
    assert distance(scores_of(model), DenseModel.of(model).fit(gaps)[0]) < 1e-4
    assert not model.user_factors_[[0, 7, 29]].any() and not model.user_biases_[[0, 7, 29]].any()
    assert not model.item_factors_[[0, 11, 19]].any() and not model.item_biases_[[0, 11, 19]].any()
    items, scores = model.recommend(users=[0, 7], n_items=20)
    assert (np.sort(items) == np.arange(20)).all() and np.isfinite(scores).all()


def test_duplicates_are_summed_and_other_types_read():
    users, items = np.nonzero(X)
    halves = np.tile(X[users, items] / 2, 2)
    twice = sparse.coo_array((halves, (np.tile(users, 2), np.tile(items, 2))), shape=X.shape)
    expected = scores_of(model_of(loss="squared").fit(X))
    csr = sparse.csr_array(X)
    wide = sparse.csr_array(
        (csr.data, csr.indices.astype(np.int64), csr.indptr.astype(np.int64)), shape=X.shape
    )
    frame = pd.DataFrame(X, columns=[f"item {i}" for i in range(20)])
    for same in (twice, wide, X.astype(object), X.astype(int), frame, X.tolist()):
        assert_array_equal(scores_of(model_of(loss="squared").fit(same)), expected)
    # What cancels was never observed.
    gone = sparse.coo_array(([1.0, -1.0, 1.0], ([0, 0, 1], [0, 0, 1])), shape=(2, 2))
    assert not model_of().fit(gone).user_biases_[0]
    with pytest.warns(DataWarning):
        assert model_of().fit(X > 0)._interactions.n_interactions == (X > 0).sum()
