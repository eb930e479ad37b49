"""UnlearningRecommender: it copies what is frozen, hands on every verb, and forgets by itself."""

import copy

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import Binarizer
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator

from sklearn_unlearn import ALS, BPR, LightGCN, MatrixFactorization, UnlearningRecommender
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.influence import InfluenceUnlearner, RefitUnlearner
from sklearn_unlearn.metrics import remaining_gap
from sklearn_unlearn.pipeline import RecommenderPipeline
from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.pruning import ImportancePruner
from sklearn_unlearn.recommenders._strategies import STRATEGIES, names_of
from sklearn_unlearn.utils._tags import get_forget_tags
from sklearn_unlearn.utils.estimator_checks import parametrize_with_forget_checks

MF = MatrixFactorization(28, regularization=2.0, random_state=0)
IMPLICIT = ALS(28, regularization=4.0, alpha=5.0, random_state=0)
WRAPPED = [
    UnlearningRecommender(MF, InfluenceUnlearner()),
    UnlearningRecommender(IMPLICIT, InfluenceUnlearner()),
    UnlearningRecommender(MF, "refit"),
    UnlearningRecommender(UnlearningRecommender(MF, "influence")),
]
DEFAULTS = [
    UnlearningRecommender(MatrixFactorization(random_state=0)),
    UnlearningRecommender(ALS(random_state=0), InfluenceUnlearner(ImportancePruner())),
]
X = make_interactions(40, 30, random_state=0)
PAIRS = np.argwhere(X.toarray())
REQUEST = PAIRS[::37]


@pytest.fixture(scope="module")
def model():
    return clone(MF).fit(X)


def all_pairs(shape=X.shape):
    return np.argwhere(np.ones(shape, bool))


def events_of(matrix):
    cells = sparse.coo_array(matrix)
    users, items = cells.coords
    return pd.DataFrame(
        {
            "user": [f"u{one:02d}" for one in users],
            "item": [f"i{one:02d}" for one in items],
            "value": cells.data,
        }
    )


def pipeline_of(recommender):
    return Pipeline([("ids", InteractionEncoder(value="value")), ("model", recommender)])


@pytest.mark.parametrize("estimator", DEFAULTS)
def test_scikit_learn_checks_pass_and_none_is_skipped(estimator):
    results = check_estimator(estimator, on_fail="raise", on_skip=None)
    assert len(results) > 50
    assert {result["status"] for result in results} == {"passed"}


@parametrize_with_forget_checks(WRAPPED)
def test_forget_checks(check):
    check()


# -- frozen ----------------------------------------------------------------------------------------
class Unreadable:
    """Data that must not be looked at."""

    def __getattr__(self, name):
        raise AssertionError(f"{name} was asked for")


def test_frozen_model_is_copied_and_never_changed(model):
    before = joblib.hash(model)
    wrapped = UnlearningRecommender(FrozenEstimator(model)).fit(Unreadable())
    assert joblib.hash(wrapped.estimator_) == before
    assert not np.shares_memory(wrapped.estimator_.user_factors_, model.user_factors_)
    twin = copy.deepcopy(model).forget(REQUEST)
    assert wrapped.forget(REQUEST) is wrapped
    np.testing.assert_array_equal(
        wrapped.predict_pairs(all_pairs()), twin.predict_pairs(all_pairs())
    )
    assert joblib.hash(model) == before
    wrapped.fit(None)  # a second fit starts from the frozen model
    assert joblib.hash(wrapped.estimator_) == before
    assert not hasattr(wrapped, "forget_report_")


def test_frozen_twice_is_frozen(model):
    frozen = FrozenEstimator(FrozenEstimator(model))
    wrapped = UnlearningRecommender(frozen, "refit").fit(None).forget(REQUEST)
    assert wrapped.forget_report_.method == "refit"
    assert not hasattr(model, "forget_report_")


def test_unfitted_frozen_model_is_refused():
    wrapped = UnlearningRecommender(FrozenEstimator(clone(MF)))
    with pytest.raises(NotFittedError, match="MatrixFactorization"):
        wrapped.fit(X)
    assert not hasattr(wrapped, "estimator_")


def test_a_step_frozen_inside_is_not_changed_either(model):
    before = joblib.hash(model)
    inside = UnlearningRecommender(FrozenEstimator(model), "refit")
    outer = UnlearningRecommender(inside).fit(X).forget(REQUEST)
    assert outer.forget_report_.method == "refit"
    pipeline = Pipeline([("model", FrozenEstimator(model))])
    UnlearningRecommender(pipeline).fit(X).estimator_[-1].forget(REQUEST)
    assert joblib.hash(model) == before


# -- the unlearner ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("unlearner", "guarantee"),
    [
        (None, "residual-bounded"),
        ("influence", "residual-bounded"),
        ("sweep", "residual-bounded"),
        ("refit", "refit"),
        (RefitUnlearner(), "refit"),
        (InfluenceUnlearner(n_steps=1, tol=None), "one-step"),
    ],
)
@pytest.mark.parametrize("frozen", [True, False])
def test_unlearner_decides_and_is_left_alone(model, unlearner, guarantee, frozen):
    wrapped = UnlearningRecommender(FrozenEstimator(model) if frozen else clone(MF), unlearner)
    wrapped.fit(X).forget(REQUEST)
    assert wrapped.forget_report_.guarantee == guarantee
    assert wrapped.unlearner is unlearner
    if unlearner is not None and not isinstance(unlearner, str):
        assert wrapped.estimator_.unlearner is not unlearner


def test_none_keeps_the_setting_of_the_estimator():
    wrapped = UnlearningRecommender(clone(MF).set_params(unlearner="refit"))
    assert wrapped.fit(X).forget(REQUEST).forget_report_.guarantee == "refit"


def test_nested_parameters(model):
    wrapped = UnlearningRecommender(
        FrozenEstimator(model), InfluenceUnlearner(ImportancePruner(), n_steps=1, tol=None)
    )
    left = []
    for ratio in (0.0, 0.5, 1.0):
        wrapped.set_params(unlearner__pruner__keep_ratio=ratio)
        left.append(clone(wrapped).fit(X).forget(REQUEST[:1]).forget_report_.residual)
    assert left[0] > 1.5 * left[1] > 2 * left[2]
    wrapped.set_params(unlearner__tol=0.5, unlearner__pruner=None)
    assert wrapped.fit(X).estimator_.unlearner.tol == 0.5
    wrapped = UnlearningRecommender(clone(MF)).set_params(estimator__n_factors=3)
    assert wrapped.fit(X).user_factors_.shape == (40, 3)


def test_known_names_are_those_of_the_models():
    assert names_of(MatrixFactorization) == names_of(ALS) == list(STRATEGIES)
    assert names_of(BPR) == names_of(LightGCN) == ["influence", "refit"]


@pytest.mark.parametrize(
    ("unlearner", "error", "message"),
    [
        ("newton", ValueError, "unlearner is 'newton'; expected one of 'influence', 'sweep'"),
        (3, TypeError, "unlearner is 3; expected None, one of"),
        (InfluenceUnlearner, TypeError, r"or an object with `unlearn`. Call it: unlearner="),
    ],
)
def test_bad_unlearner_is_refused_before_training(unlearner, error, message):
    wrapped = UnlearningRecommender(clone(MF), unlearner)
    with pytest.raises(error, match=message):
        wrapped.fit(Unreadable())


def test_estimator_without_the_parameter_is_refused():
    wrapped = UnlearningRecommender(LogisticRegression(), "refit")
    message = "LogisticRegression has no such parameter; expected a recommender .* Leave unlearner"
    with pytest.raises(ValueError, match=message):
        wrapped.fit(Unreadable())
    with pytest.raises(ValueError, match="has no such parameter"):
        UnlearningRecommender(Pipeline([("last", "passthrough")]), "refit").fit(X)


# -- verbs and attributes --------------------------------------------------------------------------
def test_verbs_are_those_of_the_estimator(model):
    wrapped = UnlearningRecommender(FrozenEstimator(model)).fit(X)
    folded = model.transform(X[:5])
    for verb, arguments in {
        "decision_function": (X[:5],),
        "predict_pairs": (PAIRS,),
        "transform": (X[:5],),
        "inverse_transform": (folded,),
        "score": (X,),
    }.items():
        expected = getattr(model, verb)(*arguments)
        np.testing.assert_array_equal(getattr(wrapped, verb)(*arguments), expected)
    for options in ({"users": [3, 1], "n_items": 4}, {"X": X[:2], "exclude_seen": False}):
        for one, other in zip(wrapped.recommend(**options), model.recommend(**options), strict=1):
            np.testing.assert_array_equal(one, other)
    assert wrapped.certify() == model.certify()
    for name in ("user_factors_", "item_factors_", "converged_", "n_features_in_"):
        np.testing.assert_array_equal(getattr(wrapped, name), getattr(model, name))
    wrapped.forget(users=[3], items=[2], missing="ignore")
    assert wrapped.forget_report_.n_users > 1


def test_only_what_the_estimator_can_do_is_there():
    wrapped = UnlearningRecommender(LogisticRegression())
    assert hasattr(wrapped, "decision_function") and hasattr(wrapped, "score")
    for verb in ("forget", "recommend", "transform", "certify", "predict_pairs"):
        assert not hasattr(wrapped, verb)
    unfitted = UnlearningRecommender(clone(MF))
    assert hasattr(unfitted, "forget")
    for name in ("user_factors_", "n_features_in_", "converged_", "forget_report_"):
        assert not hasattr(unfitted, name)
    with pytest.raises(NotFittedError):
        unfitted.recommend(users=[0])


def test_sample_weight_is_handed_on():
    weights = np.where(np.arange(40) < 5, 0.0, 1.0)
    wrapped = UnlearningRecommender(clone(MF)).fit(X, sample_weight=weights)
    expected = clone(MF).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(wrapped.user_factors_, expected.user_factors_)
    assert not wrapped.user_factors_[:5].any()


def test_tags_are_those_of_the_estimator(model):
    for recommender in (MF, IMPLICIT, FrozenEstimator(model)):
        tags = get_tags(UnlearningRecommender(recommender))
        inner = get_tags(recommender)
        assert tags.estimator_type == "recommender" and tags.input_tags.sparse
        assert tags.input_tags.positive_only == inner.input_tags.positive_only
        assert not tags._skip_test
        assert get_forget_tags(UnlearningRecommender(recommender)) == inner.forget_tags
    assert get_tags(FrozenEstimator(model))._skip_test


def test_metrics_understand_the_wrapper(model):
    one_step = InfluenceUnlearner(n_steps=1, tol=None)
    wrapped = UnlearningRecommender(FrozenEstimator(model), one_step).fit(X).forget(REQUEST)
    refit = UnlearningRecommender(FrozenEstimator(model), "refit").fit(X).forget(REQUEST)
    users, items = np.unique(REQUEST[:, 0]), np.unique(REQUEST[:, 1])
    gap = remaining_gap(model, wrapped, refit, users=users, items=items)
    bare = model, wrapped.estimator_, refit.estimator_
    assert 0 < gap == remaining_gap(*bare, users=users, items=items)


# -- pipelines -------------------------------------------------------------------------------------
@pytest.mark.parametrize("frozen", [True, False])
def test_last_step_of_a_pipeline_takes_the_unlearner(frozen):
    events = events_of(X)
    pipeline = pipeline_of(clone(MF))
    inside = FrozenEstimator(clone(pipeline).fit(events)) if frozen else pipeline
    before = joblib.hash(inside)
    wrapped = UnlearningRecommender(inside, "refit").fit(events)
    assert wrapped.estimator_[-1].unlearner == "refit"
    wrapped.estimator_[-1].forget(REQUEST)
    assert wrapped.forget_report_.method == "refit" and wrapped.converged_
    assert joblib.hash(inside) == before


def test_shallow_copy_of_a_wrapped_pipeline_is_isolated():
    wrapped = UnlearningRecommender(pipeline_of(clone(MF))).fit(events_of(X))
    before = joblib.hash(wrapped)
    twin = copy.copy(wrapped)
    twin.estimator_[-1].forget(REQUEST)
    assert joblib.hash(wrapped) == before
    assert twin.estimator is wrapped.estimator
    assert not hasattr(copy.copy(UnlearningRecommender(clone(MF))), "estimator_")


def test_a_wrapped_pipeline_does_not_tell_positions(model):
    """It scores ids; positions taken for ids would be compared in silence."""
    pipeline = RecommenderPipeline(pipeline_of(clone(MF)).steps)
    wrapped = UnlearningRecommender(pipeline).fit(events_of(X))
    with pytest.raises(ValueError, match="no model tells its number of users and items"):
        remaining_gap(wrapped, wrapped, wrapped)
    bare = [UnlearningRecommender(UnlearningRecommender(clone(MF))).fit(X)] * 3
    assert remaining_gap(*bare) == 0.0


@pytest.mark.parametrize("place", ["around", "inside"])
def test_pipeline_over_ids_forgets_like_the_model(model, place):
    twin = copy.deepcopy(model).forget(REQUEST).forget(users=[7], missing="ignore")
    pipeline = RecommenderPipeline(pipeline_of(clone(MF)).steps)
    events = events_of(X)
    if place == "around":
        wrapped = UnlearningRecommender(FrozenEstimator(pipeline.fit(events)), "influence")
    else:
        wrapped = pipeline.set_params(model=UnlearningRecommender(clone(MF), "influence"))
    wrapped.fit(events)
    stale = copy.copy(wrapped)
    wrapped.forget(events.iloc[::37]).forget(users=["u07"])
    pairs = all_pairs()[all_pairs()[:, 0] != 7]
    asked = {"user": [f"u{one:02d}" for one in pairs[:, 0]]}
    asked["item"] = [f"i{one:02d}" for one in pairs[:, 1]]
    found, expected = wrapped.predict_pairs(asked), twin.predict_pairs(pairs)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert wrapped.forget_report_.n_interactions == twin.forget_report_.n_interactions
    assert wrapped.recommend(users=["u03"], n_items=3)["user"].tolist() == ["u03"] * 3
    with pytest.raises(UnknownInteractionError):
        wrapped.recommend(users=["u07"])
    assert len(stale.recommend(users=["u07"], n_items=3)) == 3
    if place == "around":
        assert len(pipeline.recommend(users=["u07"], n_items=3)) == 3


def test_wrapper_is_a_step_of_a_pipeline():
    steps = [("likes", Binarizer()), ("model", UnlearningRecommender(clone(IMPLICIT), "refit"))]
    pipeline = Pipeline(steps).fit(abs(X))
    pipeline.set_params(model__estimator__n_factors=2).fit(abs(X))
    assert pipeline[-1].user_factors_.shape == (40, 2)
    assert pipeline.decision_function(abs(X)[:3]).shape == (3, 30)
