"""SparseEASE: fit, scores and forget against dense arithmetic, EASE and actual refits."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_unlearn import EASE, ItemKNN, SparseEASE
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.utils.estimator_checks import parametrize_with_forget_checks

X = make_interactions(80, 60, n_interactions=1200, feedback="implicit", random_state=0)
VALUED = X.copy()
VALUED.data = np.random.default_rng(0).integers(1, 6, X.nnz).astype(float)
WEIGHTS = np.random.default_rng(0).integers(1, 4, 80) * 0.5
WEIGHTS[[20, 50]] = 0
SETTINGS = {
    "plain": {},
    "dropout": {"dropout": 0.4},
    "users": {"user_normalization": 0.5},
    "both, tfidf": {"dropout": 0.3, "user_normalization": 1.0, "similarity": "tfidf"},
    "bm25": {"similarity": "bm25"},
}
MODELS = [SparseEASE()] + [SparseEASE(5, 3.0, **setting) for setting in SETTINGS.values()]
each_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
weighted = pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])


@parametrize_with_checks(MODELS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_forget_checks(MODELS)
def test_forget_checks(check):
    check()


@pytest.mark.parametrize("estimator", MODELS)
def test_no_scikit_learn_check_is_skipped(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) > 40
    assert {result["status"] for result in results} == {"passed"}


def dense_weights(data, k, regularization, weights=None, **setting):
    """B column by column, from dense tables; the lists are those of `ItemKNN`."""
    similarity = setting.get("similarity", "cosine")
    lists = ItemKNN(k + 1, similarity=similarity).fit(data, sample_weight=weights).item_similarity_
    dense = data.toarray() * (1.0 if weights is None else (weights > 0)[:, None])
    w = np.ones(len(dense)) if weights is None else weights
    degrees = np.maximum((dense > 0).sum(axis=1), 1)
    w = w * degrees ** -setting.get("user_normalization", 0.0)
    G = dense.T @ (w[:, None] * dense)
    p = setting.get("dropout", 0.0)
    penalty = regularization + p / (1 - p) * np.diag(G)
    B = np.zeros_like(G)
    for j in range(len(G)):
        S = np.setdiff1d(lists.indices[lists.indptr[j] : lists.indptr[j + 1]], [j])
        B[S, j] = np.linalg.solve(G[np.ix_(S, S)] + np.diag(penalty[S]), G[S, j])
    return B


def require_same_state(model, refit):
    assert_array_equal(
        model._interactions.to_csr().toarray(), refit._interactions.to_csr().toarray()
    )
    for name in ("item_similarity_", "_lists"):
        for part in ("indptr", "indices", "data"):
            assert_array_equal(
                getattr(getattr(model, name), part), getattr(getattr(refit, name), part)
            )
    for name in ("_floors", "_item_scales"):
        assert_array_equal(getattr(model, name), getattr(refit, name))


def refit_of(model):
    data = model._interactions
    return copy.deepcopy(model).fit(data.to_csr(), sample_weight=data.row_weights)


# -- fit -----------------------------------------------------------------------------------------
@each_setting
@weighted
@pytest.mark.parametrize("k", [1, 7, 200])
def test_weights_and_scores_are_the_dense_ones(setting, weights, k):
    model = SparseEASE(k, 4.0, **setting).fit(VALUED, sample_weight=weights)
    B = dense_weights(VALUED, k, 4.0, weights, **setting)
    assert_allclose(model.item_similarity_.toarray(), B, rtol=1e-9, atol=1e-12)
    assert_allclose(model.decision_function(X), X.toarray() @ B, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("setting", [{}, {"dropout": 0.4, "user_normalization": 0.5}], ids=str)
def test_with_all_neighbours_it_is_ease(setting):
    """Every two items have a user in common, so that no list leaves one out."""
    everyone = np.vstack([VALUED.toarray(), np.ones((1, 60))])
    sparse_one = SparseEASE(59, 4.0, **setting).fit(everyone)
    dense_one = EASE(4.0, **setting).fit(everyone)
    assert_allclose(sparse_one.item_similarity_.toarray(), dense_one.item_similarity_, atol=1e-12)


def test_items_without_neighbours_have_no_weights():
    dense = X.toarray()
    dense[:, 7] = dense[11] = 0
    dense[:, 9], dense[11, 9] = 0, 1  # met by one user, who met nothing else
    B = SparseEASE(5, 3.0).fit(dense).item_similarity_.toarray()
    assert not B[[7, 9]].any()
    assert not B[:, [7, 9]].any()
    assert not np.diagonal(B).any()


def test_single_precision_is_that_of_what_is_kept():
    single = SparseEASE(9, 3.0).fit(VALUED.astype(np.float32))
    double = SparseEASE(9, 3.0).fit(VALUED)
    assert single.item_similarity_.dtype == np.float32
    assert_allclose(
        single.item_similarity_.toarray(), double.item_similarity_.toarray(), rtol=1e-5, atol=1e-7
    )
    require_same_state(single.forget(users=[3]), refit_of(single))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_neighbors": 0}, "n_neighbors"),
        ({"regularization": 0.0}, "regularization"),
        ({"similarity": "pearson"}, "similarity"),
        ({"dropout": 1.0}, "dropout"),
        ({"user_normalization": -0.5}, "user_normalization"),
    ],
)
def test_parameters_are_validated(params, message):
    with pytest.raises(ValueError, match=f"'{message}' parameter"):
        SparseEASE(**params).fit(X)


def test_a_fit_that_fails_leaves_the_model_as_it_was():
    model = SparseEASE(5, 3.0).fit(X)
    before = pickle.dumps(vars(model))
    with pytest.raises(ValueError, match=r"regularization is 3, .* Raise regularization"):
        model.fit(np.full((3, 60), 1e70))
    assert pickle.dumps(vars(model)) == before


# -- forget --------------------------------------------------------------------------------------
def some_request(kind, data, rng):
    """A request for something that is there."""
    position = rng.integers(data.n_interactions)
    user = int(np.searchsorted(data.indptr, position, side="right") - 1)
    item = int(data.indices[position])
    return {
        "pair": {"interactions": [[user, item]]},
        "user": {"users": user},
        "item": {"items": item},
        "all": {"interactions": [[user, item]], "users": (user + 1) % data.n_users},
    }[kind]


@each_setting
@weighted
@pytest.mark.parametrize("kind", ["pair", "user", "item", "all"])
def test_a_request_equals_the_refit_bit_for_bit(setting, weights, kind):
    rng = np.random.default_rng(2)
    model = SparseEASE(6, 3.0, **setting).fit(VALUED, sample_weight=weights)
    model.forget(**some_request(kind, model._interactions, rng), missing="ignore")
    require_same_state(model, refit_of(model))
    report = model.forget_report_
    assert (report.method, report.guarantee) == ("downdate", "exact")
    assert report.status.endswith("of 60 regressions were solved again")


@pytest.mark.slow
@each_setting
@weighted
def test_a_thousand_requests_end_at_the_refit_bit_for_bit(setting, weights):
    rng = np.random.default_rng(0)
    big = make_interactions(500, 120, n_interactions=8000, feedback="implicit", random_state=1)
    if weights is not None:
        big.data = rng.integers(1, 6, big.nnz).astype(float)
        weights = np.resize(weights, 500)
    model = SparseEASE(10, 3.0, **setting).fit(big, sample_weight=weights)
    kinds = rng.choice(["pair", "user", "item", "all"], 1000, p=[0.72, 0.24, 0.02, 0.02])
    for n, kind in enumerate(kinds):
        model.forget(**some_request(kind, model._interactions, rng), missing="ignore")
        if n % 100 == 99:
            require_same_state(model, refit_of(model))
    assert 500 < model._interactions.n_interactions < 4000


@settings(max_examples=40, deadline=None)
@given(
    cells=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 8), st.integers(1, 3)), min_size=2),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
    setting=st.sampled_from(list(SETTINGS.values())),
    k=st.integers(1, 9),
)
def test_forgetting_any_pairs_of_any_table(cells, share, seed, setting, k):
    dense = np.zeros((12, 9))
    for user, item, value in cells:
        dense[user, item] = value
    pairs = np.random.default_rng(seed).permutation(np.argwhere(dense))
    pairs = pairs[: int(share * (len(pairs) - 1))]
    model = SparseEASE(k, 0.5, **setting).fit(dense).forget(pairs)
    dense[tuple(pairs.T)] = 0
    require_same_state(model, SparseEASE(k, 0.5, **setting).fit(dense))


@each_setting
def test_learning_again_restores_the_model(setting):
    model = SparseEASE(6, 3.0, **setting).fit(VALUED)
    start, pairs = copy.copy(model), np.argwhere(VALUED.toarray())[::40]
    values = VALUED.toarray()[tuple(pairs.T)]
    model.forget(pairs).learn(pairs, values)
    require_same_state(model, start)
    model.rectify(pairs, pairs, values + 1)
    require_same_state(model, refit_of(model))


@each_setting
def test_a_user_of_weight_zero_was_never_there(setting):
    weights = np.ones(80)
    weights[[4, 9]] = 0
    dense = X.toarray()
    dense[[4, 9]] = 0
    one = SparseEASE(8, 3.0, **setting).fit(X, sample_weight=weights)
    require_same_state(one, SparseEASE(8, 3.0, **setting).fit(dense))
    require_same_state(SparseEASE(8, 3.0, **setting).fit(X).forget(users=[4, 9]), one)


@each_setting
def test_results_do_not_depend_on_threads(setting):
    big = make_interactions(900, 300, n_interactions=30000, feedback="implicit", random_state=1)
    one, two = (SparseEASE(20, 3.0, n_jobs=n, **setting).fit(big) for n in (1, 2))
    require_same_state(one, two)
    require_same_state(one.forget(users=[3]), two.forget(users=[3]))


def test_only_what_a_request_touches_is_solved_again():
    blocks = sparse.block_diag([X] * 6, format="csr")
    model = SparseEASE(10, 3.0).fit(blocks)
    solved = model.forget(users=[3]).forget_report_.n_rows_updated
    assert X[[3]].nnz <= solved <= 60
    assert model.forget_report_.status.startswith(f"{solved} of 360 ")


def test_weights_cannot_be_written_to():
    """A request trusts them."""
    model = SparseEASE(5, 3.0).fit(X)
    for one in (model, copy.deepcopy(model).forget(users=3)):
        with pytest.raises(ValueError, match="read-only"):
            one.item_similarity_.data[0] = 2


def test_a_forgotten_user_scores_zero_and_a_forgotten_item_is_unrelated():
    model = SparseEASE(9, 3.0).fit(X).forget(users=[7], items=[4])
    assert not model.predict_pairs(([7] * 60, np.arange(60))).any()
    B = model.item_similarity_.toarray()
    assert not B[4].any()
    assert not B[:, 4].any()
