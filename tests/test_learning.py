"""Requests to learn and rectify: their forms, and what is refused without a change."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from sklearn_unlearn import ALS, EASE, ItemKNN, MatrixFactorization
from sklearn_unlearn._learn_request import change_of, nothing_to_forget, read_new
from sklearn_unlearn.base import ForgetMixin, LearnMixin
from sklearn_unlearn.exceptions import (
    KnownInteractionError,
    TooLargeError,
    UnknownInteractionError,
)
from sklearn_unlearn.interactions import Interactions

X = np.array([[1.0, 0, 3, 0], [0, 2, 0, 0], [4, 0, 0, 5]])
LARGER = np.array([[1.0, 7, 3, 0, 0], [0, 2, 0, 0, 6], [4, 0, 0, 5, 0], [0, 0, 0, 0, 8]])
CELLS = np.argwhere(np.pad(X, ((0, 1), (0, 1))) != LARGER)
VALUES = LARGER[tuple(CELLS.T)]
NEW = LARGER - np.pad(X, ((0, 1), (0, 1)))

FORMS = {
    "pairs": (CELLS, VALUES),
    "list": (CELLS.tolist(), VALUES.tolist()),
    "shuffled": (CELLS[::-1], VALUES[::-1]),
    "tuple": (tuple(CELLS.T), VALUES),
    "unsigned": (CELLS.astype(np.uint8), VALUES.astype(np.float32)),
    "integers": (CELLS, VALUES.astype(np.int8)),
    "in parts": (np.repeat(CELLS, 2, axis=0), np.repeat(VALUES / 2, 2)),
    "csr": (sparse.csr_array(NEW), None),
    "matrix": (sparse.csr_matrix(NEW), None),
    "coo of parts": (
        sparse.coo_array(
            (np.repeat(VALUES / 2, 2), tuple(np.repeat(CELLS, 2, axis=0).T)), shape=NEW.shape
        ),
        None,
    ),
    "csc of integers": (sparse.csc_array(NEW.astype(np.int16)), None),
}


class Kept(LearnMixin, ForgetMixin, BaseEstimator):
    """Knows its interactions and nothing else."""

    def fit(self, X, y=None, sample_weight=None):
        self._interactions = Interactions.from_matrix(X, sample_weight)
        return self

    def _forget(self, retained, request):
        return {"request": request}

    def _grown(self, data):
        return {}

    @property
    def dense(self):
        return self._interactions.to_csr().toarray()


def ease(data=X, **params):
    return EASE(2.0).fit(data, **params)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_request(form):
    interactions, values = FORMS[form]
    model = Kept().fit(X)
    assert model.learn(interactions, values) is model
    assert_array_equal(model.dense, LARGER)
    added = model._interactions.values_at(model.request.added)
    assert_array_equal(added, VALUES)
    counts = model.request.n_interactions, model.request.n_users, model.request.n_items
    assert counts == (0, 3, 2)


@pytest.mark.parametrize("as_sparse", [False, True])
def test_marks_are_ones(as_sparse):
    marks = NEW != 0
    model = Kept().fit(X).learn(sparse.csr_array(marks) if as_sparse else marks)
    assert_array_equal(model.dense, np.pad(X, ((0, 1), (0, 1))) + marks)
    assert_array_equal(Kept().fit(X).learn(CELLS).dense, model.dense)
    assert_array_equal(Kept().fit(X).learn(CELLS, 3).dense[NEW != 0], 3)


def test_the_table_grows_as_far_as_it_is_told():
    model = Kept().fit(X)
    assert model.learn([[0, 1]], n_users=7, n_items=9).dense.shape == (7, 9)
    assert model.learn(np.empty((0, 2), int), n_users=8).dense.shape == (8, 9)
    assert model.learn(sparse.csr_array((10, 11))).dense.shape == (10, 11)


def test_names_of_items_are_counted_on():
    model = ease(pd.DataFrame(X, columns=list("abcd"))).learn([[0, 5]])
    assert_array_equal(model.feature_names_in_, ["a", "b", "c", "d", "x4", "x5"])
    assert model.n_features_in_ == 6


# -- what is known ------------------------------------------------------------------------------
def test_known_pairs_are_refused_by_default():
    model = Kept().fit(X)
    with pytest.raises(KnownInteractionError, match=r"pair \(0, 0\), pair \(1, 1\); expected new"):
        model.learn([[0, 0], [0, 1], [1, 1]])
    assert_array_equal(model.dense, X)


@pytest.mark.parametrize(("existing", "left"), [("ignore", 1.0), ("replace", 9.0), ("add", 10.0)])
def test_known_pairs_may_stay_be_replaced_or_be_added_to(existing, left):
    model = Kept().fit(X).learn([[0, 0], [0, 1]], [9.0, 7.0], existing=existing)
    want = X.copy()
    want[0, 0], want[0, 1] = left, 7.0
    assert_array_equal(model.dense, want)
    changed = existing != "ignore"
    assert model.request.n_interactions == changed
    assert len(model.request.added) == 1 + changed


@pytest.mark.parametrize("existing", ["ignore", "replace"])
def test_a_request_that_arrives_twice_changes_nothing_the_second_time(existing):
    model = ease().learn(CELLS, VALUES)
    before = pickle.dumps(model)
    model.learn(CELLS, VALUES, existing=existing)
    assert pickle.dumps(model) == before


def test_sums_of_zero_are_no_interactions():
    model = Kept().fit(X)
    model.learn([[0, 1], [0, 1], [1, 0]], [2.0, -2.0, 1.0])
    assert model.dense[0, 1] == 0 and model.dense[1, 0] == 1
    model.learn([[0, 0]], -1.0, existing="add")
    assert model.dense[0, 0] == 0 and model._interactions.n_interactions == 5


# -- rectify --------------------------------------------------------------------------------------
def test_a_value_is_corrected_in_one_request():
    model = Kept().fit(X).rectify([[0, 2]], [[0, 2]], 5.0)
    assert model.dense[0, 2] == 5 and model.request.n_interactions == 1
    assert len(model.request.added) == 1


def test_what_goes_and_comes_alike_stays():
    model = Kept().fit(X).rectify([[0, 2], [0, 0]], [[0, 2], [1, 3]], [3.0, 1.0])
    assert model.request.n_interactions == 1 and len(model.request.added) == 1
    assert model.dense[0, 2] == 3 and model.dense[0, 0] == 0


def test_rows_and_columns_are_replaced():
    model = Kept().fit(X).rectify(None, [[0, 1], [4, 3]], [2.0, 6.0], users=0, items=[3])
    want = np.zeros((5, 4))
    want[:3] = X
    want[0], want[:, 3] = 0, 0
    want[0, 1], want[4, 3] = 2, 6
    assert_array_equal(model.dense, want)


def test_only_what_goes_may_be_learned_again():
    model = Kept().fit(X)
    with pytest.raises(KnownInteractionError, match=r"pair \(1, 1\)"):
        model.rectify([[0, 0]], [[0, 0], [1, 1]])
    with pytest.raises(UnknownInteractionError, match=r"pair \(0, 1\)"):
        model.rectify([[0, 1]], [[0, 1]])
    with pytest.raises(ValueError, match="nothing was passed"):
        model.rectify(None, [[0, 1]])
    assert_array_equal(model.dense, X)
    model.rectify([[0, 1]], [[0, 1]], missing="ignore")
    assert model.dense[0, 1] == 1


# -- weights --------------------------------------------------------------------------------------
@pytest.mark.parametrize("known", [None, [2.0, 1.0, 3.0]])
@pytest.mark.parametrize("given", [None, [9.0, 9.0, 9.0, 4.0]])
def test_weights_are_those_of_a_fit(known, given):
    model = Kept().fit(X, sample_weight=known).learn(CELLS, VALUES, sample_weight=given)
    want = np.array([*(known or [1.0, 1.0, 1.0]), 1.0 if given is None else 4.0])
    weights = model._interactions.row_weights
    assert_array_equal(np.ones(4) if weights is None else weights, want)
    assert (weights is None) == (known is None and given is None)


def test_a_user_whose_row_is_replaced_keeps_its_weight():
    model = Kept().fit(X, sample_weight=[2.0, 1.0, 3.0]).rectify([[1, 1]], [[1, 3]])
    assert_array_equal(model._interactions.row_weights, [2, 1, 3])
    model.forget(users=1)
    assert_array_equal(model._interactions.row_weights, [2, 1, 3])
    model.forget(users=0).learn([[0, 1]])
    assert_array_equal(model._interactions.row_weights, [1, 1, 3])


# -- what is refused ------------------------------------------------------------------------------
BAD = {
    "float positions": ({"interactions": [[0.0, 1.0]]}, TypeError, "integer positions"),
    "text": ({"interactions": [["a", "b"]]}, TypeError, "integer positions"),
    "negative position": ({"interactions": [[-1, 0]]}, ValueError, "out of range"),
    "three columns": ({"interactions": [[0, 1, 2]]}, ValueError, r"shape \(1, 3\)"),
    "ragged": ({"interactions": [[0, 1], [2]]}, ValueError, "different lengths"),
    "nothing": ({"interactions": None}, (TypeError, ValueError), "expected"),
    "masked": ({"interactions": np.ma.masked_array([[0, 1]], [[0, 0]])}, TypeError, "masked"),
    "small matrix": ({"interactions": sparse.csr_array((2, 2))}, ValueError, "at least the shape"),
    "small marks": ({"interactions": np.ones((3, 3), bool)}, ValueError, "at least the shape"),
    "values of a matrix": (
        {"interactions": sparse.csr_array((3, 4)), "values": 1.0},
        ValueError,
        "beside a matrix",
    ),
    "number of values": ({"interactions": [[0, 1]], "values": [1, 2]}, ValueError, "one for each"),
    "text values": ({"interactions": [[0, 1]], "values": ["a"]}, TypeError, "expected numbers"),
    "marked values": ({"interactions": [[0, 1]], "values": [True]}, TypeError, "expected numbers"),
    "zero": ({"interactions": [[0, 1]], "values": 0}, ValueError, "not observed"),
    "NaN": ({"interactions": [[0, 1]], "values": np.nan}, ValueError, "NaN or infinity"),
    "infinite": (
        {"interactions": sparse.csr_array(np.where(NEW, np.inf, 0))},
        ValueError,
        "NaN or infinity",
    ),
    "huge": ({"interactions": [[0, 1]], "values": 1e200}, ValueError, "largest value of values"),
    "negative": ({"interactions": [[0, 1]], "values": -1.0}, ValueError, "are negative"),
    "few users": ({"interactions": [[0, 1]], "n_users": 2}, ValueError, "at least 3"),
    "few items": ({"interactions": [[0, 6]], "n_items": 5}, ValueError, "out of range"),
    "fractional sides": ({"interactions": [[0, 1]], "n_users": 4.5}, TypeError, "integer or None"),
    "narrow matrix": (
        {"interactions": sparse.csr_array(NEW), "n_items": 4},
        ValueError,
        "of a table of 5",
    ),
    "known": ({"interactions": [[0, 0]]}, KnownInteractionError, "already"),
    "unknown word": ({"interactions": [[0, 1]], "existing": "sum"}, ValueError, "'replace'"),
    "weights of others": (
        {"interactions": [[3, 1]], "sample_weight": [1.0, 1.0]},
        ValueError,
        r"expected \(4,\)",
    ),
    "weight zero": (
        {"interactions": [[3, 1]], "sample_weight": [1.0, 1.0, 1.0, 0.0]},
        ValueError,
        "positive and finite",
    ),
    "ids as items": ({"interactions": [[0, 2_000_000_000]]}, TooLargeError, "memory of this"),
    "ids as users": ({"interactions": [[2**40, 0]]}, ValueError, "out of range"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_changes_nothing(name):
    request, error, match = BAD[name]
    model = ease()
    before = pickle.dumps(model)
    with pytest.raises(error, match=match):
        model.learn(**request)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("name", [name for name in BAD if name not in ("known",)])
def test_bad_input_of_rectify_changes_nothing(name):
    request, error, match = BAD[name]
    request = dict(request)
    model = ease()
    before = pickle.dumps(model)
    with pytest.raises(error, match=match):
        model.rectify([[0, 0]], request.pop("interactions"), **request)
    assert pickle.dumps(model) == before


def test_signs_are_labels_of_the_logistic_loss_alone():
    signs = np.where(X > 2, -1.0, X > 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MatrixFactorization(2, random_state=0).fit(signs)
    model.learn([[0, 1], [1, 3]], [-1.0, 1.0])
    data = model._interactions
    assert_array_equal(data.values_at(data.locate([0, 1], [1, 3])), [-1, 1])


def test_a_model_has_to_be_fitted():
    with pytest.raises(NotFittedError):
        EASE().learn([[0, 1]])
    with pytest.raises(NotFittedError):
        EASE().rectify([[0, 1]], [[0, 1]])


@pytest.mark.parametrize("verb", ["learn", "rectify"])
def test_an_error_in_the_middle_leaves_the_model_as_it_was(verb, monkeypatch):
    model = ease()
    before = pickle.dumps(model)
    monkeypatch.setattr(EASE, "_downdate", lambda *_: 1 / 0)
    with pytest.raises(ValueError, match="arithmetic of EASE failed"):
        model.learn([[5, 7]]) if verb == "learn" else model.rectify([[0, 0]], [[5, 7]])
    assert pickle.dumps(model) == before


def test_an_empty_request_changes_no_attribute():
    model = ease()
    before = pickle.dumps(model)
    for empty in ([], np.empty((0, 2), int), sparse.csr_array(X.shape), np.zeros(X.shape, bool)):
        model.learn(empty)
        model.rectify([], empty)
    assert pickle.dumps(model) == before


def test_a_family_without_the_hook_does_not_grow():
    class Narrow(Kept):
        _grown = LearnMixin._grown

    model = Narrow().fit(X).learn([[0, 1]])
    with pytest.raises(NotImplementedError, match=r"Narrow must define _grown\(data\)"):
        model.learn([[0, 4]])


def test_readers_hold_the_model_of_one_moment():
    model = ItemKNN().fit(X)
    reader, before = copy.copy(model), model.item_similarity_.toarray()
    model.learn(CELLS, VALUES)
    assert_array_equal(reader.item_similarity_.toarray(), before)
    assert model.item_similarity_.shape == (5, 5)


def test_reports_count_what_is_learned():
    model = ease().rectify([[0, 0], [1, 1]], [[0, 1], [0, 0], [4, 2]], [1.0, 6.0, 2.0])
    report = model.learn_report_
    assert (report.n_interactions, report.n_learned) == (2, 3)
    assert (report.n_users, report.n_items) == (3, 3)
    assert not hasattr(model, "forget_report_")
    assert "Forgot 2 interactions and learned 3 interactions" in report._repr_html_()
    assert "<caption>Learned 1 interaction<" in model.learn([[0, 3]]).learn_report_._repr_html_()
    assert not hasattr(model.fit(X), "learn_report_")


def test_what_is_learned_is_of_the_data_type_of_the_model():
    model = ALS(2, random_state=0).fit(X.astype(np.float32)).learn(CELLS, VALUES)
    assert model._interactions.dtype == model.user_factors_.dtype == np.float32


def test_a_change_is_told_by_what_differs():
    data = Interactions.from_matrix(X)
    new = read_new(data, [[0, 0], [2, 3], [0, 1]], [1.0, 6.0, 2.0])
    change = change_of(data, nothing_to_forget(), new, existing="replace")
    assert change.before is data
    assert_array_equal(data.items_at(change.request.positions), [3])
    assert_allclose(change.after.values_at(change.request.added), [2.0, 6.0])
