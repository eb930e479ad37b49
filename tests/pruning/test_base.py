"""What holds for every pruner: the protocol, the request, the walk on the graph."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_unlearn._forget_request import validate_forget_request
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.pruning import HopPruner, ImportancePruner, _base
from tests.pruning.oracles import importances_of, problems, support_of

PRUNERS = [HopPruner(), ImportancePruner(keep_ratio=0.5)]
each_pruner = pytest.mark.parametrize("pruner", PRUNERS, ids=["hops", "importance"])

#     i0 i1 i2 i3 i4
X = np.array(
    [
        [1, 1, 0, 0, 0],
        [0, -2, 3, 0, 0],
        [0, 0, 4, 1, 0],
        [0, 0, 0, 5, 0],
        [0, 0, 0, 0, 0],
    ],
    dtype=float,
)


@parametrize_with_checks([*PRUNERS, HopPruner(0), ImportancePruner(3, 1.0)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@each_pruner
def test_no_scikit_learn_check_is_skipped(pruner):
    results = check_estimator(pruner, on_skip=None)
    assert {result["status"] for result in results} == {"passed"}


@each_pruner
@pytest.mark.parametrize("pairs", [[[0, 1]], [[0, 0], [2, 3]]])
def test_every_form_of_data_and_request_gives_one_answer(pruner, pairs):
    users, items = np.array(pairs).T
    mask = np.zeros(X.shape, bool)
    mask[users, items] = True
    expected = importances_of(clone(pruner).fit(X, forget=pairs))
    kept = support_of(clone(pruner).fit(X, forget=pairs))
    assert 0 < kept.sum() < len(kept)
    frame = pd.DataFrame(X, columns=list("abcde"))
    requests = [np.array(pairs), (users, items), mask, sparse.csr_array(mask), pairs + pairs]
    for data in (X, X.astype(np.float32), sparse.csr_matrix(X), sparse.coo_array(X), frame):
        for request in requests:
            fitted = clone(pruner).fit(data, forget=request)
            np.testing.assert_array_equal(importances_of(fitted), expected)
            np.testing.assert_array_equal(support_of(fitted), kept)
    data = Interactions.from_matrix(X)
    fast = clone(pruner)._fit_interactions(data, validate_forget_request(data, pairs))
    np.testing.assert_array_equal(importances_of(fast), expected)
    np.testing.assert_array_equal(support_of(fast), kept)
    assert fast.n_features_in_ == X.shape[1]


@each_pruner
def test_whole_users_and_items_are_end_points_of_what_they_lose(pruner):
    data = Interactions.from_matrix(X)
    request = validate_forget_request(data, users=[1], items=[3])
    fast = clone(pruner)._fit_interactions(data, request)
    pairs = [[1, 1], [1, 2], [2, 3], [3, 3]]
    np.testing.assert_array_equal(
        importances_of(fast), importances_of(clone(pruner).fit(X, forget=pairs))
    )
    assert fast.user_support_[[1, 2, 3]].all() and fast.item_support_[[1, 2, 3]].all()


@each_pruner
@given(problem=problems())
@settings(max_examples=25)
def test_the_end_points_are_kept_and_unknown_pairs_do_nothing(pruner, problem):
    X, pairs = problem
    stored = X[pairs[:, 0], pairs[:, 1]] != 0
    fitted = clone(pruner).fit(X, forget=pairs) if X.any() else None
    if fitted is None:
        return
    assert fitted.user_support_[pairs[stored, 0]].all()
    assert fitted.item_support_[pairs[stored, 1]].all()
    again = clone(pruner).fit(X, forget=pairs[stored])
    np.testing.assert_array_equal(importances_of(fitted), importances_of(again))
    np.testing.assert_array_equal(support_of(fitted), support_of(again))


@each_pruner
def test_no_request_keeps_all_and_an_empty_one_nothing(pruner):
    fitted = clone(pruner).fit(X)
    assert support_of(fitted).all() and (importances_of(fitted) == 1).all()
    np.testing.assert_array_equal(fitted.transform(X), X)
    for nothing in ([], np.empty((0, 2), int), [[4, 4]], np.zeros(X.shape, bool)):
        fitted.fit(X, forget=nothing)
        assert not support_of(fitted).any() and not importances_of(fitted).any()


@each_pruner
def test_data_and_request_are_left_alone(pruner):
    data, pairs = sparse.csr_array(X), np.array([[1, 2]])
    data.data.setflags(write=False)
    pairs.setflags(write=False)
    fitted = clone(pruner).fit(data, forget=pairs)
    np.testing.assert_array_equal(data.toarray(), X)
    answer = fitted.get_support(axis=0)
    answer[:] = False
    assert fitted.user_support_[1]
    for name in ("user_support_", "item_support_", "user_importances_", "item_importances_"):
        assert getattr(fitted, name).base is None


@each_pruner
def test_selecting_columns_as_a_scikit_learn_selector(pruner):
    frame = pd.DataFrame(X, columns=list("abcde"))
    fitted = clone(pruner).fit(frame, forget=[[0, 0]])
    kept = fitted.get_support(indices=True)
    assert list(kept) == list(np.flatnonzero(fitted.item_support_))
    assert list(fitted.get_support(True, axis=0)) == list(np.flatnonzero(fitted.user_support_))
    np.testing.assert_array_equal(fitted.get_support(), fitted.get_support(axis=1))
    selected = fitted.transform(frame)
    np.testing.assert_array_equal(selected, X[:, kept])
    assert list(fitted.get_feature_names_out()) == [list("abcde")[i] for i in kept]
    back = fitted.inverse_transform(sparse.csr_array(selected)).toarray()
    np.testing.assert_array_equal(back, np.where(fitted.item_support_, X, 0))
    new_rows = pd.DataFrame(np.ones((2, 5)), columns=list("abcde"))
    assert fitted.transform(new_rows).shape == (2, len(kept))
    named = clone(pruner).set_output(transform="pandas").fit_transform(frame, forget=[[0, 0]])
    assert list(named.columns) == list(fitted.get_feature_names_out())


@each_pruner
def test_clone_pickle_parameters_and_pipelines(pruner):
    fitted = clone(pruner).fit(X, forget=[[0, 0]])
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(support_of(copy), support_of(fitted))
    fresh = clone(fitted)
    assert fresh.get_params() == pruner.get_params()
    with pytest.raises(NotFittedError):
        fresh.get_support(axis=0)
    with pytest.raises(NotFittedError):
        fresh.transform(X)
    near = support_of(fresh.set_params(n_hops=0).fit(X, forget=[[0, 0]]))
    assert list(np.flatnonzero(near)) == [0, len(X)]
    name = type(pruner).__name__.lower()
    pipeline = make_pipeline(Binarizer(), clone(pruner))
    pipeline.fit(X, **{f"{name}__forget": [[0, 0]]})
    positive = clone(pruner).fit(X > 0, forget=[[0, 0]])
    np.testing.assert_array_equal(support_of(pipeline[-1]), support_of(positive))


@each_pruner
@pytest.mark.parametrize(
    "forget, error, parts",
    [
        ([[0.0, 1.0]], TypeError, ["interactions has dtype float64", "expected", "Cast"]),
        ([[0, 9]], ValueError, ["out of range: 9", "expected 0 <= position < 5", "Use the"]),
        ([[-1, 0]], ValueError, ["out of range: -1", "expected", "Use the"]),
        ([[0, 1, 2]], ValueError, ["shape (1, 3)", "expected", "One pair is"]),
        (np.ones((2, 2), bool), ValueError, ["shape (2, 2)", "expected", "Mark cells"]),
        (([0], [1, 2]), ValueError, ["1 users and 2 items", "expected", "Pass the user"]),
        (pd.DataFrame([[0, 1]]), TypeError, ["DataFrame", "expected", "InteractionEncoder"]),
        ("u0", TypeError, ["str", "expected", "Pass an integer"]),
    ],
)
def test_a_bad_request_is_refused(pruner, forget, error, parts):
    with pytest.raises(error) as caught:
        clone(pruner).fit(X, forget=forget)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


@each_pruner
@pytest.mark.parametrize("axis", [2, -1, "users", None])
def test_an_unknown_axis_is_refused(pruner, axis):
    with pytest.raises(ValueError) as caught:
        clone(pruner).fit(X).get_support(axis=axis)
    message = str(caught.value)
    assert f"axis is {axis!r}" in message and "expected 0 or 1" in message and "Pass" in message


@each_pruner
@pytest.mark.parametrize("n_hops", [-1, 1.5, "1", None])
def test_a_bad_number_of_hops_is_refused_on_both_paths(pruner, n_hops):
    broken = clone(pruner).set_params(n_hops=n_hops)
    with pytest.raises(ValueError, match="'n_hops' parameter"):
        broken.fit(X, forget=[[0, 0]])
    data = Interactions.from_matrix(X)
    with pytest.raises(ValueError, match="'n_hops' parameter"):
        broken._fit_interactions(data, validate_forget_request(data, [[0, 0]]))
    with config_context(skip_parameter_validation=True):
        broken.fit(X)  # nothing is walked without a request


@given(problem=problems(), at_once=st.sampled_from([1, 2, 5]), seed=st.integers(0, 9))
@settings(max_examples=40)
def test_spread_is_the_adjacency_matrix_however_it_is_cut(problem, at_once, seed):
    X, _ = problem
    A = np.block([[np.zeros((len(X),) * 2), X != 0], [(X != 0).T, np.zeros((X.shape[1],) * 2)]])
    mass = np.random.default_rng(seed).integers(-1, 3, len(A)).astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_base, "_EDGES_AT_ONCE", at_once)
        received = _base.spread(Interactions.from_matrix(X), mass)
    np.testing.assert_array_equal(received, A @ mass)


def test_the_walk_reads_only_the_rows_within_reach(monkeypatch):
    read = []
    gather = _base.concatenate_ranges

    def counted(indptr, rows):
        positions = gather(indptr, rows)
        read.append(len(positions))
        return positions

    monkeypatch.setattr(_base, "concatenate_ranges", counted)
    blocks = sparse.csr_array(sparse.kron(sparse.eye_array(200), np.ones((3, 4))))
    HopPruner(n_hops=50).fit(blocks, forget=[[0, 0]])
    assert sum(read) <= 2 * 12
    read.clear()
    ImportancePruner(n_hops=3, keep_ratio=0.5).fit(blocks, forget=[[0, 0]])
    assert sum(read) <= (3 + 1) * 2 * 12
