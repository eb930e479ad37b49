"""Scorers of forgetting against score tables of refits, and how many trainings a search costs."""

import copy
import pickle
import threading
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, ShuffleSplit

from sklearn_unlearn import ALS, MatrixFactorization, UnlearningRecommender
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.influence import InfluenceUnlearner, SweepUnlearner
from sklearn_unlearn.metrics import make_forget_scorer, remaining_gap
from sklearn_unlearn.pipeline import RecommenderPipeline
from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.pruning import ImportancePruner

X = make_interactions(60, 40, random_state=0)
PAIRS = np.argwhere(X.toarray())
SPLIT = ShuffleSplit(n_splits=1, test_size=0.01, random_state=0)
REQUEST = PAIRS[next(SPLIT.split(PAIRS))[1]]
RATIOS = [0.2, 0.35, 0.5, 0.65, 0.8, 1.0]
GRID = {"unlearner__pruner__keep_ratio": RATIOS}
ONE_STEP = InfluenceUnlearner(ImportancePruner(), n_steps=1, tol=None)
CAREFUL = InfluenceUnlearner(ImportancePruner())


class Counted(MatrixFactorization):
    """Counts how often it is trained."""

    n_trainings = 0

    def _minimize(self, data, seed):
        type(self).n_trainings += 1
        return super()._minimize(data, seed)


@pytest.fixture(scope="module")
def model():
    return Counted(16, regularization=5.0, random_state=0).fit(X)


@pytest.fixture
def trainings(model, monkeypatch):
    """Count from zero."""
    monkeypatch.setattr(Counted, "n_trainings", 0)
    return lambda: Counted.n_trainings


def wrapped(model, unlearner=ONE_STEP):
    return UnlearningRecommender(FrozenEstimator(model), clone(unlearner))


def grid_of(model, scoring, unlearner=ONE_STEP, **options):
    options = {"cv": SPLIT, "error_score": "raise", **options}
    return GridSearchCV(wrapped(model, unlearner), GRID, scoring=scoring, **options)


def without(matrix, pairs):
    rest = matrix.toarray()
    rest[tuple(np.transpose(pairs))] = 0
    return sparse.csr_array(rest)


def table(model):
    shape = model._interactions.shape
    return model.predict_pairs(np.argwhere(np.ones(shape, bool))).reshape(shape)


def gap_by_hand(before, after, refit, where):
    return np.linalg.norm((after - refit)[where]) / np.linalg.norm((before - refit)[where])


def affected(pairs, shape=X.shape):
    where = np.zeros(shape, bool)
    where[pairs[:, 0]] = True
    where[:, pairs[:, 1]] = True
    return where


# -- what is measured ------------------------------------------------------------------------------
def test_gap_is_that_to_a_refit_by_hand(model):
    before = joblib.hash(model)
    estimator = wrapped(model).fit(PAIRS)
    fitted = joblib.hash(estimator)
    after = clone(model).set_params(unlearner=ONE_STEP).fit(X).forget(REQUEST)
    refit = clone(model).fit(without(X, REQUEST))
    tables = table(model), table(after), table(refit)
    for pairs, where in (("affected", affected(REQUEST)), ("all", np.ones(X.shape, bool))):
        found = make_forget_scorer("gap", pairs=pairs)(estimator, REQUEST)
        assert found == pytest.approx(-gap_by_hand(*tables, where), rel=1e-6)
        assert isinstance(found, float) and -1 < found < 0
    assert joblib.hash(model) == before
    assert joblib.hash(estimator) == fitted


def test_other_measures_are_those_of_the_report(model):
    estimator = wrapped(model).fit(PAIRS)
    report = copy.deepcopy(estimator).forget(REQUEST).forget_report_
    scorer = make_forget_scorer(("residual", "rows", "seconds", "gap"))
    found = scorer(estimator, REQUEST)
    assert list(found) == ["neg_residual", "neg_rows", "neg_seconds", "neg_gap"]
    assert found["neg_residual"] == -report.residual
    assert found["neg_rows"] == -report.n_rows_updated
    assert -60 < found["neg_seconds"] < 0
    assert found["neg_gap"] == make_forget_scorer("gap")(estimator, REQUEST)
    assert make_forget_scorer("rows")(estimator, REQUEST) == -report.n_rows_updated
    assert list(make_forget_scorer(["residual"])(estimator, REQUEST)) == ["neg_residual"]


def test_a_model_by_itself_will_do(model):
    one_step = copy.deepcopy(model).set_params(unlearner=clone(ONE_STEP))
    expected = make_forget_scorer()(wrapped(model).fit(PAIRS), REQUEST)
    for one in (one_step, FrozenEstimator(one_step)):
        assert make_forget_scorer()(one, REQUEST) == expected
    als = ALS(28, regularization=4.0, alpha=5.0, random_state=0).fit(abs(X))
    assert -0.01 < make_forget_scorer()(als, REQUEST) < 0


def test_requests_are_told_apart(model, trainings):
    estimator, scorer = wrapped(model).fit(PAIRS), make_forget_scorer()
    first = scorer(estimator, REQUEST)
    assert scorer(estimator, REQUEST[::-1]) == first and trainings() == 1
    other = scorer(estimator, REQUEST[:3])
    assert other != first and trainings() == 2
    assert other == make_forget_scorer()(estimator, REQUEST[:3])
    assert scorer(estimator, REQUEST) == first and trainings() == 3


def test_models_are_told_apart(model):
    scorer = make_forget_scorer()
    scorer(wrapped(model).fit(PAIRS), REQUEST)
    other = copy.deepcopy(model).forget(users=[3])
    request = REQUEST[REQUEST[:, 0] != 3]
    assert len(request) >= 2
    expected = make_forget_scorer()(wrapped(other).fit(PAIRS), request)
    assert scorer(wrapped(model).fit(PAIRS), request) != expected
    assert scorer(wrapped(other).fit(PAIRS), request) == expected


# -- searches --------------------------------------------------------------------------------------
def test_grid_of_six_costs_one_training(model, trainings):
    before = joblib.hash(model)
    search = grid_of(model, make_forget_scorer("gap")).fit(PAIRS)
    assert trainings() == 1
    assert joblib.hash(model) == before
    assert len(search.cv_results_["params"]) == 6
    # The more a single step may move, the nearer it comes to the refit.
    gaps = -search.cv_results_["mean_test_score"]
    assert (np.diff(gaps) < 0).all() and gaps[0] > 2 * gaps[-1]
    assert search.best_params_ == {"unlearner__pruner__keep_ratio": 1.0}
    assert search.best_estimator_.forget(REQUEST).forget_report_.guarantee == "one-step"


@pytest.mark.parametrize("unlearner", [ONE_STEP, CAREFUL])
def test_residual_costs_no_training(model, trainings, unlearner):
    search = grid_of(model, make_forget_scorer("residual"), unlearner).fit(PAIRS)
    assert trainings() == 0
    scores = search.cv_results_["mean_test_score"]
    if unlearner is CAREFUL:
        assert (-scores <= unlearner.tol).all()
    else:
        assert (np.diff(scores) > 0).all()


def test_reference_spares_the_training(model, trainings):
    refit = MatrixFactorization(16, regularization=5.0, random_state=0).fit(without(X, REQUEST))
    expected = grid_of(model, make_forget_scorer()).fit(PAIRS).cv_results_["mean_test_score"]
    assert trainings() == 1
    for reference in (refit, table(refit), FrozenEstimator(refit), wrapped(refit).fit(None)):
        scorer = make_forget_scorer("gap", reference=reference)
        found = grid_of(model, scorer).fit(PAIRS).cv_results_["mean_test_score"]
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert trainings() == 1


def test_each_split_costs_one_training(model, trainings):
    splits = ShuffleSplit(n_splits=4, test_size=5, random_state=0)
    search = grid_of(model, make_forget_scorer(), cv=splits).fit(PAIRS)
    assert trainings() == 4
    assert len({search.cv_results_[f"split{one}_test_score"][0] for one in range(4)}) == 4


def test_strategies_share_the_refit(model, trainings):
    unlearners = [None, "influence", InfluenceUnlearner(tol=0.1), SweepUnlearner(), ONE_STEP]
    search = GridSearchCV(
        wrapped(model),
        {"unlearner": unlearners},
        scoring=make_forget_scorer(),
        cv=SPLIT,
        error_score="raise",
    ).fit(PAIRS)
    assert trainings() == 1
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] == scores[1] > scores[2]


def test_several_measures_at_once(model, trainings):
    measures = make_forget_scorer(("gap", "rows"))
    by_name = grid_of(model, measures, refit="neg_gap").fit(PAIRS)
    assert by_name.best_params_["unlearner__pruner__keep_ratio"] == 1.0
    rows = -by_name.cv_results_["mean_test_neg_rows"]

    def fewest_rows_with_a_small_gap(results):
        good = results["mean_test_neg_gap"] > -0.05
        return int(np.argmax(np.where(good, results["mean_test_neg_rows"], -np.inf)))

    search = grid_of(model, measures, refit=fewest_rows_with_a_small_gap).fit(PAIRS)
    small = np.flatnonzero(search.cv_results_["mean_test_neg_gap"] > -0.05)
    assert search.best_index_ == small[rows[small].argmin()]
    assert trainings() == 1


def test_two_processes_find_the_same(model):
    plain = MatrixFactorization(**model.get_params(deep=False)).fit(X)
    scorer = make_forget_scorer(("gap", "residual"))
    one, two = (grid_of(plain, scorer, refit=False, n_jobs=n).fit(PAIRS) for n in (None, 2))
    for key in ("mean_test_neg_gap", "mean_test_neg_residual"):
        np.testing.assert_allclose(two.cv_results_[key], one.cv_results_[key], rtol=1e-9)


def test_threads_wait_for_one_refit(model, trainings):
    scorer, scores = make_forget_scorer(), []
    estimators = [wrapped(model).fit(PAIRS) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda one=one: scores.append(scorer(one, REQUEST)))
        for one in estimators
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trainings() == 1 and len(scores) == 4 and len(set(scores)) == 1


def test_what_is_kept_is_bounded_and_never_copied(model):
    scorer = make_forget_scorer()
    bare = len(pickle.dumps(scorer))
    estimator = wrapped(model).fit(PAIRS)
    for start in range(12):
        scorer(estimator, PAIRS[start : start + 1])
    assert len(scorer._refits) == 8
    for twin in (copy.deepcopy(scorer), copy.copy(scorer), pickle.loads(pickle.dumps(scorer))):
        assert not twin._refits
        assert twin(estimator, REQUEST) == scorer(estimator, REQUEST)
    assert len(pickle.dumps(scorer)) == bare
    # What the scorer keeps was fitted without the request.
    kept = make_forget_scorer()
    kept(estimator, REQUEST)
    (refit,) = kept._refits.values()
    assert not refit._interactions.contains(*REQUEST.T).any()


# -- pipelines over ids ----------------------------------------------------------------------------
EVENTS = pd.DataFrame(
    {
        "user": [f"u{one:03d}" for one in PAIRS[:, 0]],
        "item": [f"i{one:03d}" for one in PAIRS[:, 1]],
        "label": X.toarray()[tuple(PAIRS.T)],
    }
)


def pipeline_of(recommender):
    encoder = InteractionEncoder(value="label")
    return RecommenderPipeline([("ids", encoder), ("model", recommender)])


@pytest.mark.parametrize("place", ["around", "inside"])
def test_pipelines_are_compared_by_their_recommenders(model, trainings, place):
    expected = make_forget_scorer(("gap", "residual"))(wrapped(model).fit(PAIRS), REQUEST)
    last = clone(model) if place == "around" else UnlearningRecommender(clone(model), ONE_STEP)
    pipeline = pipeline_of(last)
    estimator = pipeline.fit(EVENTS)
    if place == "around":
        estimator = wrapped(estimator).fit(None)
    before = joblib.hash(estimator)
    request = EVENTS.iloc[next(SPLIT.split(EVENTS))[1]]
    found = make_forget_scorer(("gap", "residual"))(estimator, request)
    assert found == pytest.approx(expected, rel=1e-9)
    assert joblib.hash(estimator) == before
    refit = clone(pipeline[-1]).fit(without(X, REQUEST))
    reference = RecommenderPipeline([("ids", pipeline[0]), ("model", refit)])
    scorer = make_forget_scorer("gap", reference=reference)
    assert scorer(estimator, request) == pytest.approx(expected["neg_gap"], rel=1e-6)


def test_grid_over_a_frozen_pipeline_costs_one_training(model, trainings):
    expected = grid_of(model, make_forget_scorer()).fit(PAIRS).cv_results_["mean_test_score"]
    pipeline = pipeline_of(clone(model)).fit(EVENTS)
    done = trainings()
    search = grid_of(pipeline, make_forget_scorer()).fit(EVENTS)
    assert trainings() == done + 1
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected, rtol=1e-9)


# -- models from elsewhere, and errors -------------------------------------------------------------
class Popularity(BaseEstimator):
    """Counts; forgets at once and exactly, and knows no factors."""

    def fit(self, X, y=None):
        self._interactions = sparse.csr_array(X)
        return self

    def recommend(self, X=None, *, users=None, n_items=10):
        raise NotImplementedError

    def predict_pairs(self, pairs):
        return np.asarray(abs(self._interactions).sum(axis=0))[np.asarray(pairs)[:, 1]]

    def forget(self, pairs):
        if len(pairs):
            self._interactions = without(self._interactions, pairs)
            self.forget_report_ = SimpleNamespace(n_rows_updated=len(pairs), residual=None)
        return self


def test_models_without_factors_are_compared_with_a_reference():
    model = Popularity().fit(X)
    reference = Popularity().fit(without(X, REQUEST))
    assert remaining_gap(model, model, reference) == 1.0
    assert make_forget_scorer("gap", reference=reference)(model, REQUEST) == 0.0
    half = Popularity().fit(without(X, REQUEST[:5]))
    found = make_forget_scorer("gap", reference=half, pairs="all")(model, REQUEST)
    tables = table(model), table(reference), table(half)
    assert found == pytest.approx(-gap_by_hand(*tables, np.ones(X.shape, bool)))
    assert make_forget_scorer("rows")(model, REQUEST) == -len(REQUEST)
    with pytest.raises(ValueError, match=r"Popularity has no parameter unlearner.*Pass reference="):
        make_forget_scorer("gap")(model, REQUEST)
    for measure in ("residual", "seconds"):
        with pytest.raises(ValueError, match=f"report of the request has no {measure}"):
            make_forget_scorer(measure)(model, REQUEST)


def test_bad_requests_are_refused(model):
    estimator, scorer = wrapped(model).fit(PAIRS), make_forget_scorer("rows")
    for nothing in (PAIRS[:0], []):
        with pytest.raises(ValueError, match=r"the request holds nothing to forget; .* Use larger"):
            scorer(estimator, nothing)
    asked = copy.deepcopy(estimator).forget(PAIRS[:1])
    with pytest.raises(ValueError, match="the request holds nothing to forget"):
        scorer(asked, PAIRS[:0])
    with pytest.raises(UnknownInteractionError):
        scorer(asked, PAIRS[:2])
    with pytest.raises(TypeError, match="InteractionEncoder"):
        scorer(estimator, EVENTS)
    with pytest.raises(ValueError, match="expected an integer array of shape"):
        make_forget_scorer("gap")(estimator, without(X, PAIRS[9:]))
    with pytest.raises(TypeError, match="Ridge has no forget; expected a recommender that forgets"):
        scorer(Ridge(), PAIRS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measures": "time"}, "measures='time'; expected one or several of 'gap', 'residual'"),
        ({"measures": ()}, r"measures=\(\); expected one or several"),
        ({"measures": ("gap", "loss")}, "expected one or several of"),
        ({"measures": None}, "measures=None; expected one or several"),
        ({"pairs": "some"}, "pairs='some'; expected one of 'affected', 'all'"),
    ],
)
def test_bad_parameters_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_forget_scorer(**options)


def test_repr_shows_no_model(model):
    assert repr(make_forget_scorer()) == "make_forget_scorer('gap')"
    scorer = make_forget_scorer(("gap", "rows"), reference=model, pairs="all")
    assert repr(scorer) == "make_forget_scorer(('gap', 'rows'), reference=..., pairs='all')"
