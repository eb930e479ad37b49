"""Which steps a pipeline takes, and what it says about the others."""

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import Binarizer, FunctionTransformer, MaxAbsScaler, Normalizer
from sklearn.utils.estimator_checks import check_estimator

from sklearn_unlearn import ALS, MatrixFactorization
from sklearn_unlearn.pipeline import RecommenderPipeline, make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder, RatingBinarizer
from tests.pipeline.events import MODELS, encoder, make_events

EVENTS = make_events()


class Normalising(Binarizer):
    """A subclass may do anything."""


REFUSED = {
    "rows": (Normalizer(), "is Normalizer; expected an InteractionEncoder as first step"),
    "columns": (MaxAbsScaler(), "is MaxAbsScaler"),
    "counts": (TfidfTransformer(), "is TfidfTransformer"),
    "subclass": (Normalising(), "is Normalising"),
    "a function": (FunctionTransformer(lambda X: X), "FunctionTransformer of <lambda>"),
    "a matrix product": (FunctionTransformer(np.square), "FunctionTransformer of square"),
    "not zero at zero": (FunctionTransformer(np.exp), "FunctionTransformer of exp"),
    "arguments": (FunctionTransformer(np.log1p, kw_args={"where": 0}), "log1p with kw_args"),
    "nested": (Pipeline([("binary", Binarizer())]), "is Pipeline"),
    "union": (FeatureUnion([("binary", Binarizer())]), "is FeatureUnion"),
    "encoder": (InteractionEncoder("who", "what"), "Put the encoder first"),
    "frozen": (FrozenEstimator(Normalizer()), "is FrozenEstimator"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_steps_that_leave_a_trace_are_refused(name):
    step, match = REFUSED[name]
    pipeline = make_recommender_pipeline(encoder(), step, MODELS["als"][0])
    for verb in (pipeline.fit, pipeline.fit_transform):
        with pytest.raises(TypeError, match=match):
            verb(EVENTS)
    assert not hasattr(pipeline[0], "n_users_")


def test_a_row_wise_step_would_break_the_promise():
    """The reason for the list: by how much a Normalizer makes forgetting differ from refitting."""
    X = encoder().fit_transform(EVENTS).toarray()
    rest = X.copy()
    rest[3, np.flatnonzero(X[3])[0]] = 0
    gone = np.where(rest == 0, 0, Normalizer().fit_transform(X))
    assert abs(gone - Normalizer().fit_transform(rest)).max() > 1e-3
    gone = np.where(rest == 0, 0, RatingBinarizer().fit_transform(X))
    np.testing.assert_array_equal(gone, RatingBinarizer().fit_transform(rest))


@pytest.mark.parametrize(
    "step, match",
    [
        (LogisticRegression(), "is LogisticRegression; expected a recommender with forget"),
        (TruncatedSVD(), "is TruncatedSVD; expected a recommender"),
        (FrozenEstimator(ALS()), "UnlearningRecommender"),
    ],
)
def test_the_last_step_forgets(step, match):
    with pytest.raises(TypeError, match=match):
        RecommenderPipeline([("encoder", encoder()), ("last", step)]).fit(EVENTS)


def test_memory_is_refused(tmp_path):
    pipeline = make_recommender_pipeline(encoder(), MODELS["als"][0], memory=str(tmp_path))
    with pytest.raises(ValueError, match="forget cannot reach"):
        pipeline.fit(EVENTS)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "steps", [[], [("a", Binarizer()), ("a", ALS())], [ALS()], [("a__b", ALS())]]
)
def test_broken_lists_of_steps_get_scikit_learns_error(steps):
    with pytest.raises((ValueError, TypeError)) as ours:
        RecommenderPipeline(steps).fit(np.eye(3))
    with pytest.raises((ValueError, TypeError)) as theirs:
        Pipeline(steps).fit(np.eye(3))
    assert type(ours.value) is type(theirs.value)


# The threshold makes both labels of the checks' data: of likes alone the model would warn.
CONFORMING = [
    [MatrixFactorization(random_state=0)],
    [RatingBinarizer(threshold=0.9), MatrixFactorization(loss="squared")],
    ["passthrough", Binarizer(), ALS(4, random_state=0)],
    [FunctionTransformer(np.log1p, validate=True, accept_sparse=True), ALS(4, random_state=0)],
]


@pytest.mark.parametrize("steps", CONFORMING)
def test_scikit_learn_checks_that_its_own_pipeline_passes(steps):
    """Two checks fail for every scikit-learn pipeline, because fitting fits the steps."""
    named = make_recommender_pipeline(*steps).steps
    ours, theirs = (
        {
            result["check_name"]: result["status"]
            for result in check_estimator(kind(named), on_fail=None, on_skip=None)
        }
        for kind in (RecommenderPipeline, Pipeline)
    )
    assert len(ours) >= 45
    failed = {name for name, status in ours.items() if status != "passed"}
    if len(steps) == 1 or isinstance(steps[0], RatingBinarizer):
        assert failed == {"check_dont_overwrite_parameters", "check_estimators_overwrite_params"}
    assert failed <= {name for name, status in theirs.items() if status != "passed"}
