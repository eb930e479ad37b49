"""Every family learns and rectifies: against refits, in every order, in every data type."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone

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
    SparseEASE,
    UnlearningRecommender,
)
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import ForgetFallbackWarning, NotConvergedWarning
from sklearn_unlearn.influence import InfluenceUnlearner, SweepUnlearner
from sklearn_unlearn.pruning import HopPruner
from sklearn_unlearn.recommenders import _paged
from sklearn_unlearn.utils import _derived_tables

N_USERS, N_ITEMS = 60, 40
DATA = {
    feedback: make_interactions(
        N_USERS, N_ITEMS, n_interactions=700, feedback=feedback, random_state=0
    ).toarray()
    for feedback in ("label", "rating", "implicit")
}
# Well-posed: more factors than the rank of the optimum. The last is the share of the change that
# may be left; that of exact models is rounding.
CLOSE, EXACT = 0.02, 1e-10
FAMILIES = {
    "logistic": (MatrixFactorization(28, regularization=2.0), "label", CLOSE),
    "squared": (MatrixFactorization(28, loss="squared", regularization=4.0), "rating", CLOSE),
    "scaled": (
        MatrixFactorization(28, regularization=0.5, frequency_scaling=0.5, global_mean=True),
        "label",
        CLOSE,
    ),
    "als": (ALS(28, regularization=20.0, alpha=5.0), "implicit", CLOSE),
    "als scaled": (
        ALS(28, regularization=4.0, alpha=5.0, frequency_scaling=0.5, frequency_offset=2.0),
        "implicit",
        CLOSE,
    ),
    "bpr": (BPR(28, regularization=4.0), "implicit", CLOSE),
    "graph, bpr": (LightGCN(28, n_layers=2, regularization=2.0), "implicit", CLOSE),
    "graph, logistic": (
        LightGCN(28, n_layers=2, loss="logistic", regularization=2.0),
        "implicit",
        CLOSE,
    ),
    "graph, weighted": (
        LightGCN(28, n_layers=1, loss="weighted", regularization=10.0),
        "implicit",
        CLOSE,
    ),
    "ease": (EASE(5.0), "implicit", EXACT),
    "ease, few": (EASE(5.0, top_k=6), "implicit", EXACT),
    "ease, bare": (EASE(5.0, top_k=6, keep_inverse=False), "implicit", EXACT),
    "ease, dropout": (EASE(5.0, dropout=0.3, user_normalization=0.5), "implicit", EXACT),
    "ease, sparse": (SparseEASE(6, 5.0), "implicit", 0.0),
    "ease, sparse, dropout": (
        SparseEASE(6, 5.0, dropout=0.3, user_normalization=0.5),
        "implicit",
        0.0,
    ),
    "ease, sparse, tfidf": (SparseEASE(6, 5.0, similarity="tfidf"), "implicit", 0.0),
    "knn": (ItemKNN(6), "implicit", 0.0),
    "knn, tfidf": (ItemKNN(6, similarity="tfidf"), "implicit", 0.0),
    "knn, bm25": (ItemKNN(6, similarity="bm25"), "implicit", 0.0),
    "knn, asymmetric": (
        ItemKNN(6, similarity="asymmetric_cosine", alpha=0.2),
        "implicit",
        0.0,
    ),
    "knn, rp3beta": (ItemKNN(6, similarity="rp3beta"), "implicit", 0.0),
    "knn, turbo": (ItemKNN(6, similarity="turbo", power=0.7), "implicit", 0.0),
    "knn, jaccard": (ItemKNN(6, similarity="jaccard"), "implicit", 0.0),
    "knn, dice": (ItemKNN(6, similarity="dice"), "implicit", 0.0),
    "filter": (GraphFilter(0), "implicit", EXACT),
    "filter, low": (GraphFilter(4), "implicit", CLOSE),
    "filter, polynomial": (PolynomialFilter(5), "implicit", EXACT),
    "sessions": (SessionKNN(6, 20), "implicit", 0.0),
    "baskets": (TIFUKNN(6), "implicit", 0.0),
}
FACTORS = [name for name in FAMILIES if FAMILIES[name][2] == CLOSE and name != "filter, low"]
SHUFFLED = np.random.default_rng(1).permutation(N_USERS * N_ITEMS)
fallbacks = pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.ForgetFallbackWarning")
families = pytest.mark.parametrize("name", FAMILIES)


def model_of(name):
    model = clone(FAMILIES[name][0])
    return model.set_params(random_state=0) if "random_state" in model.get_params() else model


def data_of(name):
    return DATA[FAMILIES[name][1]]


def scores_of(model, shape=(N_USERS, N_ITEMS)):
    """Scores of all training pairs; zero for pairs that the model has no room for."""
    scores = np.zeros(shape)
    own = model._score_users(np.arange(model._interactions.n_users))
    scores[: own.shape[0], : own.shape[1]] = own
    return scores


def require_close(model, refit, start, name, share=None):
    target = scores_of(refit)
    change = np.linalg.norm(scores_of(start) - target)
    left = np.linalg.norm(scores_of(model) - target)
    allowed = FAMILIES[name][2] if share is None else share
    assert left <= allowed * change + 1e-12 * np.linalg.norm(target), (left, change)


def some_cells(X, n, seed=0):
    """Mark n of the interactions."""
    cells = np.random.default_rng(seed).permutation(np.argwhere(X))[:n]
    marks = np.zeros(X.shape, bool)
    marks[tuple(cells.T)] = True
    return marks


NEW = {
    "one": lambda X: some_cells(X, 1),
    "some": lambda X: some_cells(X, 12),
    "a user": lambda X: np.arange(N_USERS)[:, None] * np.ones(N_ITEMS) == 7,
    "an item": lambda X: np.ones((N_USERS, 1)) * np.arange(N_ITEMS) == 4,
    "the last": lambda X: (np.arange(N_USERS)[:, None] >= 58) | (np.arange(N_ITEMS) >= 38),
}


@fallbacks
@families
@pytest.mark.parametrize("what", NEW)
def test_learning_equals_fitting_all(name, what):
    X = data_of(name)
    new = NEW[what](X) & (X != 0)
    kept = np.where(new, 0, X)
    if what == "the last":
        kept = kept[:58, :38]
    model = model_of(name).fit(kept)
    start, refit = copy.copy(model), model_of(name).fit(X)
    pairs = np.argwhere(new)
    assert model.learn(pairs, X[new], n_users=N_USERS, n_items=N_ITEMS) is model
    require_close(model, refit, start, name)
    assert_array_equal(model._interactions.to_csr().toarray(), X)
    report = model.learn_report_
    assert (report.n_interactions, report.n_learned) == (0, len(pairs))
    assert (report.guarantee == "exact") == (FAMILIES[name][2] != CLOSE)
    assert not hasattr(model, "forget_report_")
    lists, _ = model.recommend(users=[7, 59], n_items=3)
    assert (X[[7, 59]][np.arange(2)[:, None], lists] == 0).all()


@fallbacks
@families
def test_forgetting_what_was_learned_is_the_model_before(name):
    X = data_of(name)
    new = some_cells(X, 9) | (NEW["a user"](X) & (X != 0))
    before = model_of(name).fit(np.where(new, 0, X))
    model, pairs = copy.copy(before), np.argwhere(new)
    model.learn(pairs, X[new])
    learned = copy.copy(model)
    model.forget(pairs)
    require_close(model, before, learned, name)
    assert (model._score_users(np.array([7])) == before._score_users(np.array([7]))).all() or (
        FAMILIES[name][2] == CLOSE
    )


@fallbacks
@families
def test_rectifying_equals_fitting_what_is_right(name):
    X = data_of(name)
    wrong, right = X.copy(), X
    marks = some_cells(X, 5, seed=3)
    if name.startswith("logistic") or name == "scaled":
        wrong[marks] = -X[marks]
    else:
        wrong[marks] = X[marks] + 3
    moved = tuple(np.argwhere(X == 0)[11])
    wrong[moved] = 1.0  # an interaction that never was
    model = model_of(name).fit(wrong)
    start = copy.copy(model)
    old = np.argwhere(marks | (wrong != 0) & (X == 0))
    model.rectify(old, np.argwhere(marks), right[marks])
    require_close(model, model_of(name).fit(right), start, name)
    assert (model.learn_report_.n_interactions, model.learn_report_.n_learned) == (6, 5)


@fallbacks
@families
def test_any_order_of_requests_ends_where_a_fit_does(name):
    X = data_of(name)
    first = X.copy()
    first[50:], first[:, 35:] = 0, 0
    first[some_cells(X, 30, seed=5)] = 0
    now = np.zeros(X.shape)
    now[:55, :38] = first[:55, :38]
    model = model_of(name).fit(now[:55, :38])
    start = copy.copy(model)
    rng = np.random.default_rng(2)
    for turn in range(6):
        if turn % 3 == 0:
            cells = rng.permutation(np.argwhere((X != 0) & (now == 0)))[:25]
            model.learn(cells, X[tuple(cells.T)])
            now[tuple(cells.T)] = X[tuple(cells.T)]
        elif turn % 3 == 1:
            cells = rng.permutation(np.argwhere(now))[:10]
            model.forget(cells, users=turn)
            now[tuple(cells.T)], now[turn] = 0, 0
        else:
            old = rng.permutation(np.argwhere(now))[:5]
            new = rng.permutation(np.argwhere((X != 0) & (now == 0)))[:5]
            now[tuple(old.T)] = 0
            now[tuple(new.T)] = X[tuple(new.T)]
            model.rectify(old, new, X[tuple(new.T)], existing="replace")
    model.learn(np.empty((0, 2), int), n_users=N_USERS, n_items=N_ITEMS)
    model.learn([[59, 39]], X[X != 0][0], existing="replace")
    now[59, 39] = X[X != 0][0]
    assert_array_equal(model._interactions.to_csr().toarray(), now)
    require_close(model, model_of(name).fit(now), start, name)


@pytest.mark.parametrize("name", ["als", "ease", "knn", "filter", "squared", "bpr"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_and_data_types_are_those_of_a_fit(name, dtype):
    X = data_of(name).astype(dtype)
    weights = 0.5 + np.random.default_rng(0).random(N_USERS)
    new = (some_cells(X, 6) | NEW["the last"](X)) & (X != 0)
    kept = np.where(new, 0, X)[:58, :38]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForgetFallbackWarning)
        model = model_of(name).fit(kept, sample_weight=weights[:58])
        start, refit = copy.copy(model), model_of(name).fit(X, sample_weight=weights)
        model.learn(np.argwhere(new), X[new], n_users=60, n_items=40, sample_weight=weights)
    require_close(
        model, refit, start, name, 1e-5 if dtype == np.float32 and name == "filter" else None
    )
    assert model._interactions.dtype == dtype
    assert_array_equal(model._interactions.row_weights, refit._interactions.row_weights)


@pytest.mark.parametrize("name", ["als", "squared", "knn, tfidf", "ease", "filter, low"])
@fallbacks
def test_growth_alone_changes_no_score(name):
    X = data_of(name)
    model = model_of(name).fit(X)
    before, refit = scores_of(model), model_of(name).fit(np.pad(X, ((0, 3), (0, 2))))
    model.learn(sparse.csr_array((N_USERS + 3, N_ITEMS + 2)))
    grown = scores_of(model, (63, 42))
    if name != "knn, tfidf":  # which counts all items
        assert_allclose(grown[:60, :40], before, atol=1e-12)
    assert_allclose(grown, scores_of(refit, (63, 42)), atol=1e-4)
    assert model.n_features_in_ == 42 and not hasattr(model, "learn_report_")
    assert model.recommend(users=[62], n_items=2)[0].shape == (1, 2)
    assert model.decision_function(np.ones((1, 42))).shape == (1, 42)
    twin = pickle.loads(pickle.dumps(model))
    assert_array_equal(scores_of(twin, (63, 42)), grown)


@pytest.mark.parametrize("name", ["bpr", "graph, bpr", "graph, logistic"])
@fallbacks
def test_draws_from_more_items_are_answered_by_the_next_request(name):
    X = data_of(name)
    model = model_of(name).fit(X[:, :38])
    model.learn(np.empty((0, 2), int), n_items=N_ITEMS)
    assert model.gradient_norm_ > 0
    new = np.argwhere((X != 0) & (np.arange(N_ITEMS) >= 38))
    start = copy.copy(model)
    model.learn(new, X[tuple(new.T)])
    require_close(model, model_of(name).fit(X), start, name)


# -- models that are no optimum -------------------------------------------------------------------
@pytest.mark.parametrize("name", ["als", "logistic", "bpr"])
def test_a_model_that_was_stopped_early_stays_where_its_training_was(name):
    X = data_of(name)
    new = NEW["a user"](X) & (X != 0)
    params = {"max_iter": 0, "n_sweeps": 4} if name == "als" else {"max_iter": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        model = model_of(name).set_params(**params).fit(np.where(new, 0, X))
        before = scores_of(model)
        refit = model_of(name).set_params(**params).fit(X)
        best = model_of(name).fit(X)
        model.learn(np.argwhere(new), X[new])
    assert model.learn_report_.answered > 0.75
    assert not model.converged_
    gap = np.linalg.norm(scores_of(model)[7] - scores_of(refit)[7])
    assert gap < 0.35 * np.linalg.norm(scores_of(refit)[7] - before[7])
    # It is the same training, and not one to the end.
    target = scores_of(refit)
    left = np.linalg.norm(scores_of(model) - target)
    assert left < 0.7 * np.linalg.norm(scores_of(best) - target)


def test_a_new_user_of_an_unfinished_model_is_its_fold_in():
    X = data_of("als")
    model = model_of("als").set_params(max_iter=0, n_sweeps=3, unlearner=SweepUnlearner("touched"))
    model.fit(np.where(NEW["a user"](X), 0, X))
    with pytest.warns(NotConvergedWarning, match="not fitted to its tolerance"):
        model.learn((np.full(np.count_nonzero(X[7]), 7), np.flatnonzero(X[7])), X[7][X[7] != 0])
    assert model.learn_report_.guarantee in ("rows-solved", "residual-bounded")
    # The items moved after the users did: what is left is of second order.
    fold = model.transform(X[[7]])[0]
    assert np.linalg.norm(model.user_factors_[7] - fold) < 0.1 * np.linalg.norm(fold)


@pytest.mark.parametrize("unlearner", ["sweep", "refit", InfluenceUnlearner(HopPruner(1)),
                                       InfluenceUnlearner(certify=True)])  # fmt: skip
@pytest.mark.parametrize("name", ["als", "squared"])
@fallbacks
def test_every_strategy_learns(name, unlearner):
    X = data_of(name)
    new = (some_cells(X, 8) | NEW["the last"](X)) & (X != 0)
    model = model_of(name).set_params(unlearner=unlearner).fit(np.where(new, 0, X)[:58, :38])
    start = copy.copy(model)
    model.learn(np.argwhere(new), X[new])
    require_close(model, model_of(name).fit(X), start, name)


@pytest.mark.parametrize("name", FACTORS)
@fallbacks
def test_a_model_that_has_forgotten_everything_learns_as_a_fit_does(name):
    X = data_of(name)
    model = model_of(name).fit(X).forget(users=np.arange(N_USERS))
    start = copy.copy(model)
    model.learn(sparse.csr_array(X))
    assert model.learn_report_.guarantee == "refit"
    require_close(model, model_of(name).fit(X), start, name)


# -- pages ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("max_iter", [0, 100])
def test_models_in_pages_learn_the_same(max_iter, monkeypatch):
    X = data_of("als")
    new = (some_cells(X, 3) | NEW["the last"](X)) & (X != 0)

    def learned():
        model = model_of("als").set_params(max_iter=max_iter, n_factors=6)
        model.fit(np.where(new, 0, X)[:58, :38])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotConvergedWarning)
            for user in np.unique(np.argwhere(new)[:, 0]):
                own = np.flatnonzero(new[user])
                model.learn((np.full(len(own), user), own), X[user, own], n_items=N_ITEMS)
            model.rectify([[0, np.flatnonzero(X[0])[0]]], [[0, np.flatnonzero(X[0])[0]]], 9.0)
        return model

    plain = learned()
    for module, name, value in (
        (_derived_tables, "_PAGE_USERS", 7),
        (_derived_tables, "_WORTH_PAGES", 0),
        (_paged, "_PAGE_ROWS", 5),
        (_paged, "_WORTH_PAGES", 0),
        (_paged, "_MAX_SHARE", 0.9),
    ):
        monkeypatch.setattr(module, name, value)
    paged = learned()
    assert paged._interactions.is_large
    assert type(paged.__dict__["user_factors_"]).__name__ == "Pages"
    assert_allclose(scores_of(paged), scores_of(plain), rtol=1e-6, atol=1e-7)
    assert_array_equal(
        paged._interactions.to_csr().toarray(), plain._interactions.to_csr().toarray()
    )


# -- others ---------------------------------------------------------------------------------------
def test_a_wrapped_model_learns_and_the_one_inside_does_not():
    X = data_of("als")
    model = UnlearningRecommender(model_of("als"), "sweep").fit(X)
    inside = model.estimator_
    assert model.learn([[60, 3]]) is model
    assert model.learn_report_.n_learned == 1 and model.n_features_in_ == 40
    model.rectify([[60, 3]], [[60, 4]])
    assert model.learn_report_.n_interactions == 1 and model.estimator_ is inside


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(["ease", "knn", "knn, tfidf", "filter", "als"]))
def test_on_random_data_every_change_is_a_refit(seed, name):
    rng = np.random.default_rng(seed)
    shape = rng.integers(2, 14), rng.integers(2, 12)
    larger = shape[0] + rng.integers(0, 3), shape[1] + rng.integers(0, 3)
    after = np.where(rng.random(larger) < 0.4, rng.integers(1, 4, larger), 0).astype(float)
    before = after[: shape[0], : shape[1]].copy()
    before[rng.random(shape) < 0.15] = 0
    changed = rng.random(shape) < 0.1
    before[changed] = rng.integers(1, 4, shape)[changed]
    before[0, 0] = 1.0
    after[-1, -1] = 2.0
    weights = None if seed % 2 else rng.integers(1, 4, larger[0]).astype(float)
    padded = np.pad(before, [(0, b - a) for a, b in zip(shape, larger, strict=True)])
    old = np.argwhere((padded != 0) & (padded != after))
    new = np.argwhere((after != 0) & (padded != after))
    model = model_of(name)
    if name == "als":
        model.set_params(n_factors=14, regularization=3.0, tol=1e-10)
    refit = clone(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForgetFallbackWarning)
        model.fit(before, sample_weight=None if weights is None else weights[: shape[0]])
        model.rectify(
            old,
            new,
            after[tuple(new.T)],
            sample_weight=weights,
            n_users=larger[0],
            n_items=larger[1],
        )
        refit.fit(after, sample_weight=weights)
    assert_array_equal(model._interactions.to_csr().toarray(), after)
    tolerance = {"als": 2e-2}.get(name, 1e-9)
    assert_allclose(scores_of(model, larger), scores_of(refit, larger), atol=tolerance)


# -- by correction, and not by falling back on a fit -----------------------------------------------
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("what", ["a new user", "a new item", "two users of an item"])
def test_a_ridge_is_corrected_by_a_term_of_low_rank(what, weighted):
    X = data_of("ease")
    strangers = np.flatnonzero(X[:, 1] == 0)[:2]
    cells, rank = {
        "a new user": ([[60, 2], [60, 5], [60, 9]], 1),
        "a new item": ([[7, 40]], 2),
        "two users of an item": ([[user, 1] for user in strangers], 2),
    }[what]
    weights = 0.5 + np.random.default_rng(0).random(61)
    model = EASE(5.0).fit(X, sample_weight=weights[:60] if weighted else None)
    n_users = 61 if what == "a new user" else 60
    own = {"sample_weight": weights[:n_users]} if weighted else {}
    report = model.learn(cells, 2.0, **own).learn_report_
    assert report.status.startswith(f"downdate of rank {rank},") and report.method == "update"
    assert report.guarantee == "exact" and report.residual == 0


def test_values_that_are_not_one_come_to_those_that_are():
    X = (data_of("knn") != 0).astype(float)
    big = np.kron(np.eye(4), X)  # so that few lists are touched
    cell = tuple(np.argwhere(big == 0)[5])
    model = ItemKNN(6).fit(big).learn([cell], 3.0)
    big[cell] = 3.0
    refit = ItemKNN(6).fit(big)
    assert model.learn_report_.n_rows_updated < 160
    assert (model.item_similarity_ != refit.item_similarity_).nnz == 0


def test_lists_that_held_every_item_have_room_for_those_that_come():
    X = data_of("knn")[:8, :4]
    model = ItemKNN(n_neighbors=6).fit(X).learn([[0, 5], [1, 4], [1, 5]])
    Y = np.pad(X, ((0, 0), (0, 2)))
    Y[[0, 1, 1], [5, 4, 5]] = 1
    refit = ItemKNN(n_neighbors=6).fit(Y)
    assert_array_equal(model.item_similarity_.toarray(), refit.item_similarity_.toarray())
    for cell in np.argwhere(Y):  # and every later request finds it so
        left = Y.copy()
        left[tuple(cell)] = 0
        after = copy.copy(model).forget([cell]).item_similarity_.toarray()
        refit = ItemKNN(n_neighbors=6).fit(left)
        assert_array_equal(after, refit.item_similarity_.toarray())


def test_a_subspace_is_corrected():
    X = make_interactions(400, 200, feedback="implicit", random_state=0).toarray()
    cell = tuple(np.argwhere(X == 0)[500])
    model = GraphFilter(8, random_state=0).fit(X)
    start = copy.copy(model)
    model.learn([cell, (400, 3)])
    assert model.learn_report_.guarantee == "residual-bounded"
    assert model.learn_report_.method == "update"
    Y = np.pad(X, ((0, 1), (0, 0)))
    Y[cell] = Y[400, 3] = 1
    refit = GraphFilter(8, random_state=0).fit(Y)
    scores = [one.decision_function(X[:50]) for one in (model, refit, start)]
    left, change = (np.linalg.norm(one - scores[1]) for one in scores[::2])
    assert left <= CLOSE * change


@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.NotConvergedWarning")
def test_an_unfinished_model_that_knew_nothing_is_fitted():
    X = data_of("als")
    model = model_of("als").set_params(max_iter=0, n_sweeps=5)
    refit = clone(model).fit(X)
    model.fit(X).forget(users=np.arange(N_USERS))
    assert not model.user_factors_.any()
    model.learn(sparse.csr_array(X))
    assert_allclose(scores_of(model), scores_of(refit), atol=1e-6)


@pytest.mark.parametrize("in_pages", [False, True])
@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.NotConvergedWarning")
def test_a_model_that_knew_nothing_still_knows_what_a_fit_costs(in_pages, monkeypatch):
    X = data_of("als")
    if in_pages:
        monkeypatch.setattr(_derived_tables, "_PAGE_USERS", 7)
        monkeypatch.setattr(_derived_tables, "_WORTH_PAGES", 0)
        monkeypatch.setattr(_paged, "_PAGE_ROWS", 9)
        monkeypatch.setattr(_paged, "_WORTH_PAGES", 0)
    model = model_of("als").set_params(max_iter=0, n_sweeps=5).fit(X)
    twin = copy.deepcopy(model)
    model.forget(users=np.arange(N_USERS)).learn(sparse.csr_array(X))
    cell = np.argwhere(X)[:1]
    reports = [one.forget(cell).forget_report_ for one in (model, twin)]
    assert reports[0].n_steps == reports[1].n_steps > 1
    assert reports[0].guarantee != "one-step"


@pytest.mark.parametrize("name", ["bpr", "graph, bpr"])
def test_a_table_that_grew_says_what_its_gradient_is(name):
    model = model_of(name).fit(data_of(name))
    before = model.gradient_norm_
    model.learn(np.empty((0, 2), int), n_items=N_ITEMS + 2)
    objective = model._make_objective(model._interactions)
    assert model.gradient_norm_ == objective.gradient_norm(model._theta(objective.layout))
    assert model.gradient_norm_ > 100 * before


def test_a_new_user_of_an_unfinished_model_moves_its_own_rows_alone():
    X = make_interactions(400, 120, feedback="implicit", random_state=0).toarray()
    model = ALS(8, max_iter=0, n_sweeps=3, random_state=0).fit(X)
    users, items = model.user_factors_.copy(), model.item_factors_.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        model.learn([[400, 5], [400, 9]])
    assert_array_equal(model.user_factors_[:400], users)
    assert set(np.flatnonzero((model.item_factors_ != items).any(axis=1))) == {5, 9}
    assert model.user_factors_[400].any()
