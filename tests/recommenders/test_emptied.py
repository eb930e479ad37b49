"""Models of whom nothing, or next to nothing, is left: every family, strategy and request."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from sklearn_unlearn import (
    ALS,
    BPR,
    TIFUKNN,
    LightGCN,
    MatrixFactorization,
    SessionKNN,
    SparseEASE,
)
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import NotConvergedWarning
from sklearn_unlearn.influence import InfluenceUnlearner, RefitUnlearner, SweepUnlearner
from sklearn_unlearn.pruning import HopPruner, ImportancePruner
from sklearn_unlearn.recommenders._ease import EASE
from sklearn_unlearn.recommenders._graph_filter import GraphFilter
from sklearn_unlearn.recommenders._knn import SIMILARITIES, ItemKNN
from sklearn_unlearn.recommenders._polynomial_filter import PolynomialFilter
from sklearn_unlearn.sharding import ShardedRecommender
from sklearn_unlearn.sharding._partitions import KINDS

# Of few data, a refit is often cheaper than Newton steps to an optimum far away.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.ForgetFallbackWarning")

MF = MatrixFactorization

# Both sides are larger than what is decomposed densely; of the other, both are smaller.
SHAPES = [(80, 70), (9, 7)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)
unfinished = pytest.mark.filterwarnings(f"ignore::{NotConvergedWarning.__module__}."
                                        f"{NotConvergedWarning.__name__}")  # fmt: skip

FACTOR_MODELS = {
    "logistic": MF(6),
    "logistic, no bias": MF(6, fit_bias=False),
    "squared": MF(6, loss="squared"),
    "squared, no bias": MF(6, loss="squared", fit_bias=False),
    "global mean": MF(6, global_mean=True),
    "scaled": MF(6, loss="squared", frequency_scaling=0.5),
    "no factor used": MF(6, loss="squared", regularization=30.0),
    "als": ALS(6),
    "als, scaled": ALS(6, frequency_scaling=0.5),
    "als, no factor used": ALS(6, regularization=200.0),
    "bpr": BPR(6),
    "gcn of bpr": LightGCN(6, n_layers=2),
    "gcn of logistic": LightGCN(6, loss="logistic"),
    "gcn of weighted": LightGCN(6, loss="weighted", regularization=2.0),
}
UNFINISHED = {
    "mf, stopped early": MF(6, max_iter=1),
    "als, sweeps alone": ALS(6, max_iter=0),
    "als, stopped early": ALS(6, max_iter=1, n_sweeps=1),
}
CLOSED_FORMS = {
    "ease": EASE(),
    "ease, dropout": EASE(dropout=0.3, user_normalization=0.5),
    "sparse ease": SparseEASE(5, 3.0, dropout=0.3, user_normalization=0.5),
    "filter": GraphFilter(8),
    "linear filter": GraphFilter(0),
    "polynomial filter": PolynomialFilter(),
    "sessions": SessionKNN(),
    "baskets": TIFUKNN(),
    **{f"knn {kind}": ItemKNN(similarity=kind) for kind in SIMILARITIES},
    **{f"{kind} shards": ShardedRecommender(ItemKNN(), 3, partition=kind) for kind in KINDS},
    "attended shards": ShardedRecommender(MF(6), 3, aggregation="attention"),
    "shards fitted again": ShardedRecommender(ALS(6, regularization=5.0), 3, method="refit"),
}
STRATEGIES = {
    "influence": "influence",
    "refit": "refit",
    "refit object": RefitUnlearner(),
    "certifying": InfluenceUnlearner(certify=True),
    "one step": InfluenceUnlearner(n_steps=1, tol=None),
    "leftover kept": InfluenceUnlearner(correct_residual=True),
    "leftover solved": InfluenceUnlearner(correct_residual=False),
    "hops": InfluenceUnlearner(HopPruner(1)),
    "importance": InfluenceUnlearner(ImportancePruner(keep_ratio=0.5)),
    "one pruned step": InfluenceUnlearner(ImportancePruner(keep_ratio=0.5), n_steps=1, tol=None),
    "cg": InfluenceUnlearner(solver="cg"),
    "minres": InfluenceUnlearner(solver="minres"),
    "strict": InfluenceUnlearner(on_failure="raise"),
}
TABLES = ("factors_", "biases_", "embeddings_")


def data_of(model, shape, seed=0):
    X = make_interactions(*shape, n_interactions=shape[0] * shape[1] // 8, random_state=seed)
    inner = getattr(model, "estimator", model)
    return abs(X) if inner.__sklearn_tags__().input_tags.positive_only else X


def requests_of(X):
    """Ways to nothing: at once by each form, and one after another at the end."""
    users, items = np.flatnonzero(np.diff(X.indptr)), np.unique(X.indices)
    pairs = np.column_stack(X.nonzero())
    return {
        "users": [{"users": users}],
        "items": [{"items": items}],
        "pairs": [{"interactions": X}],
        "users in the end": [{"users": users[:-3]}, *({"users": [u]} for u in users[-3:])],
        "items in the end": [{"items": items[:-2]}, *({"items": [i]} for i in items[-2:])],
        "the last pair": [{"interactions": pairs[:-1]}, {"interactions": pairs[-1:]}],
    }


def check_emptied(model, shape):
    """A model of no data: no parameter, no score, nothing to forget, certified."""
    tables = [value for name, value in vars(model).items() if name.endswith(TABLES)]
    assert not any(table.any() for table in tables)
    every_pair = np.argwhere(np.ones(shape, bool))
    assert not model.predict_pairs(every_pair).any()
    items, scores = model.recommend(users=[0, shape[0] - 1], n_items=shape[1])
    assert np.array_equal(items, np.tile(np.arange(shape[1]), (2, 1)))
    assert not scores.any()
    if hasattr(model, "certify"):
        certificate = model.certify()
        assert certificate.certified and certificate.rank == 0
        assert certificate.spectral_ratio == 0 and certificate.prediction_bound < 1e-6
    loaded = pickle.loads(pickle.dumps(model))
    before = joblib.hash(vars(loaded))
    loaded.forget(users=np.arange(shape[0]), items=np.arange(shape[1]), missing="ignore")
    assert joblib.hash(vars(loaded)) == before


def empty(model, shape, only=None, dtype=np.float64):
    X = data_of(model, shape).astype(dtype)
    model = clone(model).set_params(**({"random_state": 0} if has_seed(model) else {})).fit(X)
    for name, requests in requests_of(X).items():
        if only is None or name in only:
            after = copy.deepcopy(model)
            for request in requests:
                after.forget(**request)
            check_emptied(after, shape)


def has_seed(model):
    return "random_state" in model.get_params(deep=False)


@shapes
@pytest.mark.parametrize("name", FACTOR_MODELS)
def test_factor_models_forget_to_the_last(name, shape):
    empty(FACTOR_MODELS[name], shape)


@pytest.mark.parametrize("name", FACTOR_MODELS)
def test_models_of_single_precision_forget_to_the_last(name):
    empty(FACTOR_MODELS[name], SHAPES[0], only=["items in the end"], dtype=np.float32)


@shapes
@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_forms_and_shards_forget_to_the_last(name, shape):
    empty(CLOSED_FORMS[name], shape)


@unfinished
@shapes
@pytest.mark.parametrize("name", UNFINISHED)
def test_models_that_were_not_trained_to_the_end_forget_to_the_last(name, shape):
    empty(UNFINISHED[name], shape)


@pytest.mark.parametrize("name", ["squared", "als", "bpr", "gcn of logistic"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_forgets_to_the_last(strategy, name):
    model = clone(FACTOR_MODELS[name]).set_params(unlearner=STRATEGIES[strategy])
    empty(model, SHAPES[0], only=["users", "the last pair"])


@pytest.mark.parametrize("name", ["logistic", "als"])
@pytest.mark.parametrize("strategy", ["sweep", SweepUnlearner()], ids=str)
def test_sweeps_forget_to_the_last(strategy, name):
    empty(clone(FACTOR_MODELS[name]).set_params(unlearner=strategy), SHAPES[0])


@pytest.mark.slow
@unfinished
@shapes
@pytest.mark.parametrize("name", [*FACTOR_MODELS, *UNFINISHED])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_of_every_factor_model_forgets_to_the_last(strategy, name, shape):
    model = {**FACTOR_MODELS, **UNFINISHED}[name]
    # Of a model that is no optimum, a request that leaves something may fail, and then says so.
    only = ["users", "items", "pairs"] if strategy == "strict" and name in UNFINISHED else None
    empty(clone(model).set_params(unlearner=STRATEGIES[strategy]), shape, only)


@pytest.mark.slow
def test_a_subspace_wider_than_what_is_left_of_many_items():
    empty(GraphFilter(256), (120, 700), only=["users in the end", "the last pair"])


@pytest.mark.parametrize("max_iter", [0, 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@unfinished
def test_models_taken_over_forget_to_the_last(dtype, max_iter):
    X = data_of(ALS(), SHAPES[0]).astype(dtype)
    trained = ALS(6, max_iter=max_iter, random_state=0).fit(X)
    model = ALS.from_factors(
        trained.user_factors_, trained.item_factors_, X, regularization=0.1, alpha=40.0
    )
    for request in requests_of(X)["users in the end"]:
        model.forget(**request)
    assert model.user_factors_.dtype == dtype
    check_emptied(model, SHAPES[0])


@shapes
@pytest.mark.parametrize("name", [*FACTOR_MODELS, *CLOSED_FORMS])
def test_a_single_interaction_can_be_fitted_and_forgotten(name, shape):
    model = clone({**FACTOR_MODELS, **CLOSED_FORMS}[name])
    X = np.zeros(shape)
    X[3, 4] = 3.0
    model.fit(X)
    assert np.isfinite(model.predict_pairs(np.argwhere(np.ones(shape, bool)))).all()
    if hasattr(model, "certify"):
        certificate = model.certify()
        assert certificate.certified and certificate.rank <= 1
    check_emptied(model.forget([[3, 4]]), shape)


@shapes
@pytest.mark.parametrize("name", FACTOR_MODELS)
def test_what_is_left_of_a_single_user_is_its_own_optimum(name, shape):
    unlearner = InfluenceUnlearner(certify=True)
    model = clone(FACTOR_MODELS[name]).set_params(random_state=0, unlearner=unlearner)
    X = data_of(model, shape)
    users = np.flatnonzero(np.diff(X.indptr))
    assert model.fit(X).forget(users=users[1:]).certify(tol=1e-5).certified
