import copy
import pickle
import threading

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

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
    UnlearningRecommender,
    base,
)
from sklearn_unlearn._forget_request import validate_forget_request
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils import _verbs
from sklearn_unlearn.utils._ranking import top_k
from sklearn_unlearn.utils._tags import get_forget_tags
from tests.cases import RidgeRecommender

RNG = np.random.default_rng(0)
DENSE = np.round(RNG.normal(size=(8, 6)), 2) * (RNG.random((8, 6)) < 0.5)
DENSE[7] = 0  # a user whom nobody knows
DATA = Interactions.from_matrix(DENSE)
CELLS = np.argwhere(DENSE)


def fitted(**params):
    return RidgeRecommender(random_state=0, **params).fit(DENSE)


def cells_of(request):
    gone = request.positions
    return set(zip(DATA.rows[gone].tolist(), DATA.indices[gone].tolist(), strict=True))


def mask_of(cells):
    mask = np.zeros(DENSE.shape, bool)
    for cell in cells:
        mask[tuple(cell)] = True
    return mask


@parametrize_with_checks([RidgeRecommender(random_state=0)])
def test_an_estimator_made_of_the_mixins_conforms_to_scikit_learn(estimator, check):
    check(estimator)


# -- requests: every form, against sets of cells ---------------------------------------------------
@given(
    st.sets(st.sampled_from([tuple(c) for c in CELLS.tolist()])),
    st.sets(st.integers(0, 6)),
    st.sets(st.integers(0, 5)),
)
def test_a_request_is_the_union_of_its_parts(cells, users, items):
    request = validate_forget_request(
        DATA,
        np.array(sorted(cells), int).reshape(-1, 2),
        np.array(sorted(users), int),
        np.array(sorted(items), int),
        missing="ignore",
    )
    whole = {(u, i) for u, i in CELLS.tolist() if u in users or i in items}
    assert cells_of(request) == cells | whole
    assert np.all(np.diff(request.positions) > 0) and request.positions.dtype == np.int64
    assert request.n_interactions == len(cells | whole)
    assert request.n_users == len({u for u, _ in cells | whole})
    assert request.n_items == len({i for _, i in cells | whole})
    assert request.is_empty == (not cells | whole)
    assert set(request.users) == users and set(request.items) == items


FORMS = {
    "array": lambda c: np.array(c),
    "list": lambda c: [tuple(one) for one in c],
    "small ints": lambda c: np.array(c, np.uint8),
    "repeats": lambda c: np.repeat(np.array(c), 2, axis=0)[::-1],
    "tuple": lambda c: tuple(np.array(c).T),
    "tuple of lists": lambda c: tuple(np.array(c).T.tolist()),
    "boolean": mask_of,
    "boolean list": lambda c: mask_of(c).tolist(),
    "csr": lambda c: sparse.csr_array(mask_of(c).astype(float)),
    "coo bool": lambda c: sparse.coo_matrix(mask_of(c)),
    "csc negative": lambda c: sparse.csc_matrix(-2 * mask_of(c).astype(np.int8)),
    "stored zeros": lambda c: sparse.csr_array(
        (mask_of(c).ravel() * 1.0, np.tile(np.arange(6), 8), np.arange(0, 49, 6)), shape=(8, 6)
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_one_request_means_the_same(form):
    cells = CELLS[[0, 3, 5]].tolist()
    request = validate_forget_request(DATA, FORMS[form](cells))
    assert cells_of(request) == {tuple(c) for c in cells}


@pytest.mark.parametrize(
    "users",
    [3, np.int32(3), [3], np.array([3, 3]), np.arange(8) == 3, (np.arange(8) == 3).tolist()],
)
def test_every_form_of_one_user_means_the_same(users):
    request = validate_forget_request(DATA, users=users)
    assert cells_of(request) == {(u, i) for u, i in CELLS.tolist() if u == 3}
    assert_array_equal(request.users, [3])


def test_whole_rows_that_are_unknown_are_left_out_when_missing_is_ignored():
    request = validate_forget_request(DATA, users=[7, 2, 7, 0], missing="ignore")
    assert_array_equal(request.users, [0, 2])
    emptied = Interactions.from_matrix(np.where(np.arange(6) == 3, 0, DENSE))
    request = validate_forget_request(emptied, items=[3, 1], missing="ignore")
    assert_array_equal(request.items, [1])


def test_a_two_column_integer_matrix_is_pairs_and_a_boolean_one_is_a_mask():
    data = Interactions.from_matrix(np.ones((2, 2)))
    as_pairs = validate_forget_request(data, np.array([[1, 0], [1, 0]]))
    as_mask = validate_forget_request(data, np.array([[1, 0], [1, 0]], bool))
    assert_array_equal(as_pairs.positions, [2])
    assert_array_equal(as_mask.positions, [0, 2])


def test_scalars_in_a_tuple_are_one_pair():
    user, item = CELLS[2].tolist()
    assert cells_of(validate_forget_request(DATA, (user, item))) == {(user, item)}


@pytest.mark.parametrize(
    "request_", [[], np.empty((0, 2)), ([], []), np.zeros((8, 6), bool), sparse.csr_array((8, 6))]
)
def test_empty_requests_are_empty(request_):
    assert validate_forget_request(DATA, request_).is_empty
    assert validate_forget_request(DATA, users=[], items=[]).is_empty


INVALID = {
    "nothing": ({}, ValueError, "nothing was passed"),
    "missing": ({"users": 0, "missing": "drop"}, ValueError, "missing is 'drop'"),
    "missing kind": ({"users": 0, "missing": ["raise"]}, ValueError, "missing is"),
    "float pairs": ({"interactions": [[0.0, 1.0]]}, TypeError, "dtype float64"),
    "float matrix": ({"interactions": np.ones((8, 6))}, TypeError, "dtype float64"),
    "string pairs": ({"interactions": [["a", "b"]]}, TypeError, "InteractionEncoder"),
    "string": ({"interactions": "ab"}, TypeError, "is a str"),
    "string users": ({"users": ["ann"]}, TypeError, "InteractionEncoder"),
    "float users": ({"users": 1.0}, TypeError, "dtype float64"),
    "boolean user": ({"users": True}, TypeError, "dtype bool"),
    "none in users": ({"users": [None]}, TypeError, "dtype object"),
    "set": ({"users": {1}}, TypeError, "is a set"),
    "pandas": ({"interactions": pd.DataFrame({"u": [0], "i": [0]})}, TypeError, "InteractionEnc"),
    "series": ({"users": pd.Series([0])}, TypeError, "InteractionEncoder"),
    "polars": ({"interactions": pl.DataFrame({"u": [0], "i": [0]})}, TypeError, "InteractionEnc"),
    "three columns": ({"interactions": [[0, 1, 2]]}, ValueError, r"shape \(1, 3\)"),
    "flat": ({"interactions": [0, 1]}, ValueError, r"shape \(2,\)"),
    "scalar": ({"interactions": 3}, ValueError, r"shape \(\)"),
    "ragged": ({"interactions": [[0, 1], [2]]}, ValueError, "different lengths"),
    "triple": ({"interactions": ([0], [1], [2])}, ValueError, "tuple of length 3"),
    "uneven": ({"interactions": ([0, 1], [1])}, ValueError, "2 users and 1 items"),
    "nested tuple": ({"interactions": ([[0]], [1])}, ValueError, "one dimension"),
    "negative": ({"interactions": [[0, -1]]}, ValueError, "out of range: -1"),
    "user too high": ({"interactions": [[8, 0]]}, ValueError, "out of range: 8"),
    "item too high": ({"items": [6, 7, 8, 9, 10]}, ValueError, "6, 7, 8 and 2 more"),
    "overflow": ({"interactions": [[2**64, 0]]}, ValueError, "out of range"),
    "unsigned": ({"users": np.array([2**64 - 1], np.uint64)}, ValueError, "out of range"),
    "mask shape": ({"interactions": np.ones((6, 8), bool)}, ValueError, r"mask of shape \(6, 8\)"),
    "sparse shape": ({"interactions": sparse.csr_array((2, 2))}, ValueError, "shape of X"),
    "user mask": ({"users": np.ones(6, bool)}, ValueError, r"expected \(8,\)"),
    "deep users": ({"users": [[0, 1]]}, ValueError, r"shape \(1, 2\)"),
    "one part bad": ({"users": 0, "items": 99}, ValueError, "out of range: 99"),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_requests_raise_and_change_nothing(name):
    arguments, error, message = INVALID[name]
    model = fitted()
    before = joblib.hash(model)
    with pytest.raises(error, match=message) as caught:
        model.forget(**arguments)
    assert not isinstance(caught.value, UnknownInteractionError)
    assert joblib.hash(model) == before


@pytest.mark.parametrize(
    "arguments, named",
    [
        ({"interactions": [[7, 0]]}, r"pair \(7, 0\)"),
        ({"interactions": mask_of([(7, 0), (7, 1), (7, 2), (7, 5)])}, r"\(7, 2\) and 1 more"),
        ({"users": [0, 7]}, "user 7"),
        ({"users": 0, "interactions": [[7, 4]]}, r"pair \(7, 4\)"),
    ],
)
def test_what_was_never_trained_on_is_named(arguments, named):
    model = fitted()
    before = joblib.hash(model)
    with pytest.raises(UnknownInteractionError, match=named) as caught:
        model.forget(**arguments)
    assert isinstance(caught.value, KeyError) and not str(caught.value).startswith(("'", '"'))
    assert joblib.hash(model) == before
    known = validate_forget_request(DATA, **{**arguments, "missing": "ignore"})
    assert cells_of(known) == {(u, i) for u, i in CELLS.tolist() if u == 0 and "users" in arguments}


# -- the commit ------------------------------------------------------------------------------------
def test_forget_is_the_refit_and_the_interactions_are_what_remains():
    model = fitted()
    assert model.forget(CELLS[:3], items=4) is model
    rest = np.where(mask_of(CELLS[:3]), 0, DENSE)
    rest[:, 4] = 0
    twin = RidgeRecommender(random_state=0).fit(rest)
    assert_array_equal(model._interactions.to_csr().toarray(), rest)
    assert_array_equal(model.item_similarity_, twin.item_similarity_)
    assert model.forget_report_.n_interactions == np.count_nonzero(DENSE) - np.count_nonzero(rest)


def test_an_empty_or_repeated_request_changes_no_attribute():
    model = fitted()
    model.forget([])
    assert not hasattr(model, "forget_report_")
    model.forget(users=2)
    state, before = dict(model.__dict__), pickle.dumps(model)
    model.forget(users=2, missing="ignore").forget(users=[])
    assert pickle.dumps(model) == before
    assert all(model.__dict__[name] is value for name, value in state.items())
    with pytest.raises(UnknownInteractionError, match="has forgotten"):
        model.forget(users=2)


class Failing(RidgeRecommender):
    def _forget(self, retained, request):
        self.item_similarity_ = None  # even a hook that breaks the rules
        raise RuntimeError("half way")


def test_a_failing_hook_leaves_the_model_as_it_was():
    model = Failing(random_state=0).fit(DENSE)
    before = joblib.hash(model)
    with pytest.raises(RuntimeError, match="half way"):
        model.forget(users=0)
    assert joblib.hash(model) == before


class Slow(RidgeRecommender):
    inside = 0
    most = 0

    def _forget(self, retained, request):
        Slow.inside += 1
        Slow.most = max(Slow.most, Slow.inside)
        threading.Event().wait(0.01)
        Slow.inside -= 1
        return super()._forget(retained, request)


def test_requests_on_one_model_wait_for_each_other():
    model = Slow(random_state=0).fit(DENSE)
    threads = [threading.Thread(target=model.forget, kwargs={"users": u}) for u in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Slow.most == 1
    assert_array_equal(model._interactions.user_degrees[:6], 0)
    assert model._interactions.n_interactions == np.count_nonzero(DENSE[6:])


def test_locks_are_neither_copied_nor_pickled_and_die_with_the_model():
    model = fitted().forget(users=0)
    assert pickle.loads(pickle.dumps(model)).forget(users=1)._interactions.n_interactions
    assert copy.deepcopy(model) not in _verbs._LOCKS and model in _verbs._LOCKS
    n_locks = len(_verbs._LOCKS)
    del model
    assert len(_verbs._LOCKS) < n_locks


def test_unfitted_models_and_missing_hooks_say_so():
    for call in (
        lambda m: m.forget(users=0),
        lambda m: m.recommend(users=0),
        lambda m: m.decision_function(DENSE),
        lambda m: m.predict_pairs([[0, 0]]),
    ):
        with pytest.raises(NotFittedError):
            call(clone(fitted()))


def test_tags():
    tags = get_tags(RidgeRecommender())
    assert tags.estimator_type == "recommender" and tags.input_tags.sparse
    assert tags.forget_tags.exact and get_forget_tags(RidgeRecommender()) == tags.forget_tags
    assert RidgeRecommender()._estimator_type == "recommender"


# -- recommend, decision_function, predict_pairs --------------------------------------------------
def naive_list(scores, allowed, k):
    order = sorted((i for i in range(len(scores)) if allowed[i]), key=lambda i: (-scores[i], i))
    return (order + [-1] * k)[:k]


@given(
    st.lists(st.integers(0, 7), max_size=5),
    st.integers(1, 6),
    st.booleans(),
    st.none() | st.sets(st.integers(0, 5)),
    st.booleans(),
)
def test_recommend_equals_sorting_by_hand(users, k, exclude_seen, candidates, fold_in):
    model = fitted()
    users = np.array(users, int)
    who = {"X": DENSE[users]} if fold_in and len(users) else {"users": users}
    pool = None if candidates is None else np.array([*candidates, *sorted(candidates)[::-1]], int)
    items, scores = model.recommend(**who, n_items=k, exclude_seen=exclude_seen, candidates=pool)
    table = np.round(model.decision_function(DENSE), 12)
    allowed = (DENSE == 0) | (not exclude_seen)
    if candidates is not None:
        allowed &= np.isin(np.arange(6), pool)
    assert items.shape == scores.shape == (len(users), k) and items.dtype == np.int64
    for user, row, values in zip(users, items, scores, strict=True):
        assert_array_equal(row, naive_list(table[user], allowed[user], k))
        assert_allclose(values[row >= 0], table[user, row[row >= 0]])
        assert np.all(np.isneginf(values[row < 0]))


@given(st.integers(0, 2**32), st.integers(1, 7))
def test_ties_go_to_the_lowest_item(seed, k):
    scores = np.random.default_rng(seed).choice([0.0, 1.0, 2.0, -np.inf], size=(3, 7))
    for row, listed in zip(scores, top_k(scores, k)[0], strict=True):
        assert_array_equal(listed, naive_list(row, row > -np.inf, k))


def test_lists_do_not_depend_on_the_size_of_the_chunks(monkeypatch):
    model = fitted()
    whole = model.recommend(users=np.arange(8), n_items=4), model.recommend(DENSE, n_items=4)
    monkeypatch.setattr(base, "CELLS_AT_ONCE", 13)
    chunks = model.recommend(users=np.arange(8), n_items=4), model.recommend(DENSE, n_items=4)
    for one, other in zip(whole, chunks, strict=True):
        assert_array_equal(one[0], other[0])
        assert_allclose(one[1], other[1], rtol=1e-12)


def test_scores_of_a_hook_are_never_written_to():
    table = np.arange(48.0).reshape(8, 6)
    table.setflags(write=False)

    class Table(RidgeRecommender):
        def _score_users(self, users):
            return table

    items, scores = Table().fit(DENSE).recommend(users=np.arange(8), n_items=1)
    assert_array_equal(items.ravel(), [max(np.flatnonzero(row == 0)) for row in DENSE])
    assert scores[7, 0] == 47


def test_scores_that_are_not_a_number_are_an_error():
    model = fitted()
    model.mean_ = np.nan
    with pytest.raises(FloatingPointError, match="not a number"):
        model.recommend(users=0, n_items=2)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({}, ValueError, "none of X and users"),
        ({"X": DENSE, "users": 0}, ValueError, "both of X and users"),
        ({"users": 8}, ValueError, "out of range: 8"),
        ({"users": -1}, ValueError, "out of range: -1"),
        ({"users": 0.0}, TypeError, "dtype float64"),
        ({"users": ["ann"]}, TypeError, "InteractionEncoder"),
        ({"users": 0, "n_items": 7}, ValueError, "n_items is 7"),
        ({"users": 0, "n_items": 0}, ValueError, "n_items is 0"),
        ({"users": 0, "n_items": 2.0}, TypeError, "n_items is a float"),
        ({"users": 0, "n_items": True}, TypeError, "n_items is a bool"),
        ({"users": 0, "candidates": [6]}, ValueError, "candidates has positions out of range: 6"),
        ({"users": 0, "candidates": ["x"]}, TypeError, "InteractionEncoder"),
        ({"X": DENSE[:, :3]}, ValueError, "features"),
    ],
)
def test_recommend_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        fitted().recommend(**{"n_items": 2, **arguments})


def test_predict_pairs_scores_any_cell_of_training_users():
    model = fitted()
    pairs = np.argwhere(np.ones_like(DENSE))
    expected = model.decision_function(DENSE).ravel()
    assert_allclose(model.predict_pairs(pairs), expected)
    assert_allclose(model.predict_pairs(tuple(pairs.T)), expected)
    with pytest.raises(ValueError, match="out of range: 6"):
        model.predict_pairs([[0, 6]])


def test_non_negative_data_are_checked_where_the_tag_asks_for_it():
    class Implicit(RidgeRecommender):
        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.input_tags.positive_only = True
            return tags

    with pytest.raises(ValueError, match="Negative values in data"):
        Implicit().fit(DENSE)
    model = Implicit().fit(abs(DENSE))
    with pytest.raises(ValueError, match="Negative values in data"):
        model.decision_function(DENSE)


def test_weights_reach_the_interactions_and_must_not_be_negative():
    weights = np.array([0, 2, 1, 1, 1, 1, 1, 1.0])
    model = RidgeRecommender(random_state=0).fit(DENSE, sample_weight=weights)
    assert model._interactions.user_degrees[0] == 0
    with pytest.raises(UnknownInteractionError, match="user 0"):
        model.forget(users=0)
    with pytest.raises(ValueError, match="Negative values"):
        RidgeRecommender().fit(DENSE, sample_weight=-weights)


class Watching(RidgeRecommender):
    def _score_rows(self, X):
        if not hasattr(self, "_paused"):
            return super()._score_rows(X)
        self._paused.forget(users=1)  # a request that lands in the middle of a reader
        return super()._score_rows(X)


def test_a_reader_finishes_on_the_state_that_it_began_with():
    model = Watching(random_state=0).fit(DENSE)
    expected = model.recommend(users=[1, 2], n_items=3)
    model._paused = model
    items, scores = model.recommend(users=[1, 2], n_items=3)
    assert model._interactions.user_degrees[1] == 0
    assert_array_equal(items, expected[0])
    assert_array_equal(scores, expected[1])


POSITIVE = [
    ALS(3, random_state=0),
    BPR(3, random_state=0),
    LightGCN(3, random_state=0),
    EASE(),
    ItemKNN(),
    GraphFilter(3, random_state=0),
    PolynomialFilter(),
    SparseEASE(),
    SessionKNN(),
    TIFUKNN(),
    ShardedRecommender(ALS(3, random_state=0), n_shards=3, random_state=0),
    ShardedRecommender(EASE(), n_shards=3, partition="item", random_state=0),
    UnlearningRecommender(ALS(3, random_state=0)),
]
SIGNED = [MatrixFactorization(3, random_state=0), RidgeRecommender(random_state=0)]


@pytest.mark.parametrize("estimator", POSITIVE + SIGNED, ids=lambda one: type(one).__name__)
def test_nobody_to_recommend_to_is_no_error(estimator):
    X = make_interactions(30, 20, random_state=0)
    model = clone(estimator).fit(X if any(estimator is one for one in SIGNED) else abs(X))
    nobody = [X[:0], X[:0].toarray(), X[:0].tocoo(), np.empty((0, 20), int)]
    for arguments in ({"users": []}, *({"X": rows} for rows in nobody)):
        items, scores = model.recommend(**arguments, n_items=3)
        assert items.shape == scores.shape == (0, 3)
        assert items.dtype == np.int64 and scores.dtype.kind == "f"
    with pytest.raises(ValueError, match="features"):
        model.recommend(np.empty((0, 19)))
    # As any transformer or classifier of scikit-learn.
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        model.decision_function(X[:0])
