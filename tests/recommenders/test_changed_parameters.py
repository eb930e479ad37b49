"""Parameters that are changed after a fit: refused where the fitted state rests on them."""

import copy
import pickle
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose
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
    ShardedRecommender,
    SparseEASE,
    UnlearningRecommender,
)
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import ChangedParameterError
from sklearn_unlearn.influence import find_influential

# How a request is answered is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.NotConvergedWarning")

SHAPE = {"n_users": 40, "n_items": 30, "n_interactions": 300, "random_state": 0}
IMPLICIT = make_interactions(**SHAPE, feedback="implicit").toarray()
LABELS = make_interactions(**SHAPE, feedback="label").toarray()
SEED = {"random_state": 0}
MODELS = {
    "logistic": (MatrixFactorization(12, regularization=2.0, **SEED), LABELS),
    "auto": (MatrixFactorization("auto", regularization=2.0, **SEED), LABELS),
    "als": (ALS(6, regularization=20.0, **SEED), IMPLICIT),
    "als, early": (ALS(6, regularization=2.0, max_iter=0, n_sweeps=2, **SEED), IMPLICIT),
    "bpr": (BPR(12, regularization=2.0, **SEED), IMPLICIT),
    "graph": (LightGCN(12, n_layers=1, regularization=1.0, **SEED), IMPLICIT),
    "ease": (EASE(10.0), IMPLICIT),
    "ease, lists": (EASE(10.0, top_k=5, keep_inverse=False), IMPLICIT),
    "local": (SparseEASE(5, 10.0), IMPLICIT),
    "knn": (ItemKNN(5), IMPLICIT),
    "filter": (GraphFilter(4, **SEED), IMPLICIT),
    "filter, no components": (GraphFilter(0, **SEED), IMPLICIT),
    "polynomial": (PolynomialFilter(), IMPLICIT),
    "sessions": (SessionKNN(5, 20), IMPLICIT),
    "baskets": (TIFUKNN(5), IMPLICIT),
}
REFUSED = {
    **{
        f"{name}, {n}": (name, {"n_factors": n})
        for name in ("logistic", "auto", "als", "als, early", "bpr", "graph")
        for n in (0, 3, 40)
    },
    "local, neighbours": ("local", {"n_neighbors": 3}),
    "local, similarity": ("local", {"similarity": "bm25"}),
    "local, penalty": ("local", {"regularization": 20.0}),
    "local, dropout": ("local", {"dropout": 0.3}),
    "local, normalization": ("local", {"user_normalization": 0.5}),
    "knn, neighbours": ("knn", {"n_neighbors": 8}),
    "knn, similarity": ("knn", {"similarity": "rp3beta"}),
    "knn, k1": ("knn", {"k1": 2.0}),
    "polynomial, order": ("polynomial", {"order": 4}),
    "polynomial, flatness": ("polynomial", {"flatness": 2.0}),
    "polynomial, filter": ("polynomial", {"filter": "linear"}),
    "baskets, groups": ("baskets", {"n_groups": 2}),
    "baskets, within": ("baskets", {"within_decay": 0.5}),
    "baskets, across": ("baskets", {"group_decay": 0.5}),
    "polynomial, powers": ("polynomial", {"filter": [1.0, 0.5]}),
}
# What requests answer with the parameters as they are now.
ANSWERED = {
    "ease, penalty": ("ease", {"regularization": 20.0}),
    "ease, dropout": ("ease", {"dropout": 0.3}),
    "ease, normalization": ("ease", {"user_normalization": 0.5}),
    "ease, top": ("ease", {"top_k": 3}),
    "ease, inverse": ("ease", {"keep_inverse": False}),
    "lists, all": ("ease, lists", {"top_k": None}),
    "lists, top": ("ease, lists", {"top_k": 3}),
    "lists, inverse": ("ease, lists", {"keep_inverse": True}),
    "filter, fewer": ("filter", {"n_components": 3}),
    "filter, more": ("filter", {"n_components": 6}),
    "filter, none": ("filter", {"n_components": 0}),
    "filter, some": ("filter, no components", {"n_components": 4}),
    "filter, alpha": ("filter", {"alpha": 0.1}),
    "polynomial, beta": ("polynomial", {"beta": 0.1}),
    "sessions, neighbours": ("sessions", {"n_neighbors": 3}),
    "sessions, recent": ("sessions", {"n_recent": 7}),
    "sessions, decay": ("sessions", {"decay": "none", "match_decay": "window"}),
    "sessions, last": ("sessions", {"n_last": 2}),
    "sessions, idf": ("sessions", {"idf": False}),
    "baskets, neighbours": ("baskets", {"n_neighbors": 2}),
    "baskets, alpha": ("baskets", {"alpha": 0.3}),
    "auto, cap": ("auto", {"max_factors": 64}),
}
NEW = np.argwhere(IMPLICIT + LABELS == 0)[:2]
PAIRS = np.argwhere(np.ones_like(IMPLICIT))
REQUESTS = {
    "forget": lambda model: model.forget(users=[3]),
    "learn": lambda model: model.learn(NEW),
    "learn, larger": lambda model: model.learn([[41, 31]]),
    "rectify": lambda model: model.rectify(None, NEW, users=[3]),
    "empty": lambda model: model.forget(users=[]),
}
requests = pytest.mark.parametrize("request_", REQUESTS)


@pytest.fixture(scope="module")
def fitted():
    return {name: clone(model).fit(X) for name, (model, X) in MODELS.items()}


@requests
@pytest.mark.parametrize("case", REFUSED)
def test_a_request_is_refused_and_nothing_changes(fitted, case, request_):
    name, params = REFUSED[case]
    model = copy.deepcopy(fitted[name]).set_params(**params)
    before = pickle.dumps(vars(model))
    (parameter, given), kind = *params.items(), type(model).__name__
    message = rf"{parameter}\b.* of {kind} .*expected .*[Ss]et .* back, or fit again\."
    with pytest.raises(ChangedParameterError, match=re.compile(message)) as caught:
        REQUESTS[request_](model)
    assert repr(given) in str(caught.value) or name == "polynomial"
    assert pickle.dumps(vars(model)) == before


@pytest.mark.parametrize("case", REFUSED)
def test_a_parameter_that_is_set_back_or_fitted_again_is_fine(fitted, case):
    name, params = REFUSED[case]
    (start,) = (fitted[name].get_params()[one] for one in params)
    model = copy.deepcopy(fitted[name]).set_params(**params)
    model.set_params(**dict.fromkeys(params, start)).forget(users=[3])
    straight = copy.deepcopy(fitted[name]).forget(users=[3])
    assert_allclose(model.predict_pairs(PAIRS), straight.predict_pairs(PAIRS), rtol=1e-12)
    model.set_params(**params).fit(MODELS[name][1]).forget(users=[3])


@pytest.mark.parametrize("name", ["logistic", "auto", "als", "bpr", "graph"])
def test_what_folds_rows_in_refuses_other_factors(fitted, name):
    model, rows = copy.deepcopy(fitted[name]).set_params(n_factors=7), MODELS[name][1][:2]
    verbs = [model.transform, model.score, model.recommend, model.decision_function]
    for verb in [lambda: model.certify(), *(lambda one=one: one(rows) for one in verbs)]:
        with pytest.raises(ChangedParameterError, match=r"n_factors of .* is 7; expected"):
            verb()
    # What is read off the tables is there.
    assert_allclose(model.predict_pairs(PAIRS), fitted[name].predict_pairs(PAIRS))
    assert model.recommend(users=[0], n_items=3)[0].shape == (1, 3)


def test_influential_interactions_refuse_other_factors(fitted):
    model = copy.deepcopy(fitted["logistic"]).set_params(n_factors=7)
    with pytest.raises(ChangedParameterError, match="n_factors of MatrixFactorization is 7"):
        find_influential(model, [[3, 7]], k=5)


@pytest.mark.parametrize("name", ["logistic", "als", "bpr", "graph"])
def test_a_number_of_factors_may_become_open(fitted, name):
    model = copy.deepcopy(fitted[name]).set_params(n_factors="auto").forget(users=[3])
    assert model.item_factors_.shape[1] >= fitted[name].item_factors_.shape[1]


@pytest.mark.parametrize("request_", [one for one in REQUESTS if one != "empty"])
@pytest.mark.parametrize("case", ANSWERED)
def test_other_parameters_count_from_the_next_request(fitted, case, request_):
    name, params = ANSWERED[case]
    model = REQUESTS[request_](copy.deepcopy(fitted[name]).set_params(**params))
    refit = clone(model).fit(model._interactions.to_csr())
    scores = refit.predict_pairs(PAIRS)
    close = 1e-2 if name == "auto" else 1e-5
    assert_allclose(model.predict_pairs(PAIRS), scores, atol=close * np.abs(scores).max())


@pytest.mark.parametrize("name", ["knn", "local"])
def test_a_model_of_a_file_without_its_parameters_is_not_refused(fitted, name):
    model = copy.deepcopy(fitted[name])
    del model._fitted_with
    model.forget(users=[3])


def test_models_inside_others_keep_their_own_parameters(fitted):
    sharded = ShardedRecommender(ALS(3, regularization=5.0, **SEED), n_shards=2, **SEED)
    sharded.fit(IMPLICIT).set_params(estimator__n_factors=5, n_shards=3)
    straight = clone(sharded).set_params(estimator__n_factors=3, n_shards=2).fit(IMPLICIT)
    asked = [model.forget(users=[3]).predict_pairs(PAIRS) for model in (sharded, straight)]
    assert_allclose(*asked)
    wrapped = UnlearningRecommender(ALS(3, **SEED)).fit(IMPLICIT)
    wrapped.set_params(estimator__n_factors=5).forget(users=[3])
    with pytest.raises(ChangedParameterError, match="n_factors of ALS is 5; expected 3"):
        wrapped.estimator_.set_params(n_factors=5)
        wrapped.forget(users=[4])
