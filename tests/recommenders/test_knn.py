"""ItemKNN: fit and forget against dense arithmetic, another library and actual refits."""

import copy
import warnings

import implicit.nearest_neighbours as other_library
import numpy as np
import pytest
from implicit.utils import ParameterWarning
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.recommenders._knn import SIMILARITIES, ItemKNN
from sklearn_unlearn.utils.estimator_checks import parametrize_with_forget_checks

MODELS = [ItemKNN()] + [ItemKNN(5, similarity=one) for one in SIMILARITIES]
MODELS += [
    ItemKNN(5, similarity="rp3beta", alpha=0.8, beta=0.3),
    ItemKNN(5, similarity="turbo", alpha=0.6, power=0.5),
    ItemKNN(5, similarity="asymmetric_cosine", alpha=0.2),
]
X = make_interactions(80, 50, n_interactions=900, feedback="implicit", random_state=0)
# Every value once: no similarity is met twice, so the best are the same in single precision.
VALUED = X.copy()
VALUED.data = 0.5 + np.random.default_rng(0).permutation(X.nnz) / X.nnz
OTHERS = {
    "cosine": other_library.CosineRecommender,
    "tfidf": other_library.TFIDFRecommender,
    "bm25": other_library.BM25Recommender,
}
similarities = pytest.mark.parametrize("similarity", SIMILARITIES)


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


# -- fit -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("similarity", OTHERS)
@pytest.mark.parametrize("n_neighbors", [4, 20, 500])
@pytest.mark.parametrize("values", ["ones", "values"])
def test_similarities_are_those_of_the_implicit_library(similarity, n_neighbors, values):
    data = sparse.csr_matrix(X if values == "ones" else VALUED)
    reference = OTHERS[similarity](K=n_neighbors, num_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ParameterWarning)  # about its own intermediate matrix
        reference.fit(data, show_progress=False)
    model = ItemKNN(n_neighbors, similarity=similarity).fit(data)
    ours, theirs = model.item_similarity_.toarray(), reference.similarity.toarray()
    # Whatever is listed of a tie, the values are the same.
    assert_allclose(np.sort(ours), np.sort(theirs), rtol=1e-10, atol=1e-12)
    if values == "values":
        assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)
        for user in range(5):
            items, scores = reference.recommend(user, data[[user]].astype(np.float32), N=8)
            row = model.decision_function(data[[user]])[0]
            assert_allclose(row[items[scores > 0]], scores[scores > 0], rtol=1e-5)


@similarities
def test_scores_are_sums_over_the_lists_of_the_row(similarity):
    model = ItemKNN(6, similarity=similarity).fit(VALUED)
    expected = VALUED.toarray() @ model.item_similarity_.toarray()
    assert_allclose(model.decision_function(VALUED), expected, rtol=1e-12, atol=1e-14)
    pairs = np.argwhere(np.ones(X.shape))
    assert_allclose(model.predict_pairs(pairs), expected.ravel(), rtol=1e-12, atol=1e-14)


def test_a_catalogue_smaller_than_a_list():
    model = ItemKNN(500).fit(X)
    assert model.item_similarity_.nnz == np.count_nonzero(X.T @ X.toarray())


def test_items_and_users_without_interactions():
    dense = X.toarray()
    dense[:, 7] = dense[11] = 0
    model = ItemKNN().fit(dense)
    similarity = model.item_similarity_.toarray()
    assert not similarity[7].any()
    assert not similarity[:, 7].any()
    items, scores = model.recommend(users=[11], n_items=3)
    assert_array_equal(items, [[0, 1, 2]])
    assert_array_equal(scores, [[0, 0, 0]])


@similarities
def test_float32_stays_float32_and_agrees(similarity):
    single = ItemKNN(50, similarity=similarity).fit(VALUED.astype(np.float32))
    double = ItemKNN(50, similarity=similarity).fit(VALUED)
    assert single.item_similarity_.dtype == np.float32
    assert single.decision_function(VALUED.astype(np.float32)).dtype == np.float32
    assert_allclose(single.item_similarity_.toarray(), double.item_similarity_.toarray(), rtol=1e-6)
    single.forget(users=[3])
    assert single.item_similarity_.dtype == np.float32


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_neighbors": 0}, "n_neighbors"),
        ({"similarity": "pearson"}, "similarity"),
        ({"k1": -1.0}, "k1"),
        ({"b": 1.5}, "b"),
        ({"alpha": -0.1}, "alpha"),
        ({"beta": -0.1}, "beta"),
        ({"power": 0.0}, "power"),
    ],
)
def test_parameters_are_validated(params, message):
    with pytest.raises(ValueError, match=f"'{message}' parameter"):
        ItemKNN(**params).fit(X)


def test_negative_values_are_refused():
    with pytest.raises(ValueError, match="Negative values in data"):
        ItemKNN().fit(-X)


# -- forget --------------------------------------------------------------------------------------
def request_of(kind, data, rng):
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


def refit_of(model):
    data = model._interactions
    return copy.deepcopy(model).fit(data.to_csr(), sample_weight=data.row_weights)


def require_same_state(model, refit):
    ours, theirs = model.item_similarity_, refit.item_similarity_
    for name in ("indptr", "indices", "data"):
        assert_array_equal(getattr(ours, name), getattr(theirs, name))


@similarities
@pytest.mark.parametrize("weighted", [False, True], ids=["ones", "weighted values"])
def test_a_thousand_requests_end_at_the_refit_bit_for_bit(similarity, weighted):
    """Nothing drifts: users, items and pairs, one after the other."""
    rng = np.random.default_rng(0)
    big = make_interactions(500, 120, n_interactions=8000, feedback="implicit", random_state=1)
    weights = None
    if weighted:
        big.data = rng.integers(1, 6, big.nnz).astype(float)
        weights = rng.integers(1, 4, 500).astype(float)
    model = ItemKNN(10, similarity=similarity).fit(big, sample_weight=weights)
    kinds = rng.choice(["pair", "user", "item", "all"], 1000, p=[0.72, 0.24, 0.02, 0.02])
    for n, kind in enumerate(kinds):
        model.forget(**request_of(kind, model._interactions, rng), missing="ignore")
        if n % 100 == 99:
            require_same_state(model, refit_of(model))
    assert 500 < model._interactions.n_interactions < 4000


@similarities
def test_a_user_of_weight_zero_was_never_there(similarity):
    weights = np.ones(80)
    weights[[4, 9]] = 0
    dense = X.toarray()
    dense[[4, 9]] = 0
    one = ItemKNN(8, similarity=similarity).fit(X, sample_weight=weights)
    require_same_state(one, ItemKNN(8, similarity=similarity).fit(dense))
    forgotten = ItemKNN(8, similarity=similarity).fit(X).forget(users=[4, 9])
    require_same_state(forgotten, one)


@similarities
def test_requests_do_not_depend_on_threads(similarity):
    one, two = (
        ItemKNN(8, similarity=similarity, n_jobs=n).fit(X).forget(users=[3]) for n in (1, 2)
    )
    require_same_state(one, two)


def test_the_report_tells_how_much_was_done():
    blocks = sparse.block_diag([X] * 6, format="csr")
    model = ItemKNN(10).fit(blocks).forget(users=[3])
    report = model.forget_report_
    assert (report.method, report.guarantee, report.n_users) == ("downdate", "exact", 1)
    assert report.n_items == report.n_interactions == X[[3]].nnz
    assert report.n_items <= report.n_rows_updated <= 50
    assert "touched items" in report.status
    model.forget(users=np.arange(60), missing="ignore")
    assert model.forget_report_.n_rows_updated <= 300


def test_lists_cannot_be_written_to():
    """A request trusts them."""
    model = ItemKNN().fit(X)
    with pytest.raises(ValueError, match="read-only"):
        model.item_similarity_.data[0] = 2
    with pytest.raises(ValueError, match="read-only"):
        model.forget(users=3).item_similarity_.data[0] = 2


def test_the_items_of_a_forgotten_user_are_still_recommended():
    model = ItemKNN(50).fit(X)
    model.forget(users=[3])
    assert not model.predict_pairs([[3, item] for item in range(50)]).any()
    items, scores = model.recommend(X[[3]], n_items=1, exclude_seen=False)
    assert scores[0, 0] > 0
    assert X[[3], :].toarray()[0, items[0, 0]] > 0
