"""Membership inference against naive statistics, on estimators whose answer is known, and ours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.base import BaseEstimator
from sklearn.metrics import roc_auc_score

from sklearn_unlearn import ALS, BPR, EASE, LightGCN, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.metrics import _membership as membership
from sklearn_unlearn.metrics import membership_inference
from sklearn_unlearn.metrics._membership_result import auc_of, measure_arm, tpr_at
from sklearn_unlearn.model_selection import split_interactions
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder

IMPLICIT = split_interactions(
    make_interactions(100, 70, n_interactions=1800, feedback="implicit", random_state=0),
    0.2,
    random_state=0,
)
LABELS = split_interactions(
    make_interactions(100, 70, n_interactions=1800, random_state=0), 0.2, random_state=0
)
PAIRS = np.argwhere(IMPLICIT[0].toarray())[::9]


def ignore(model, request):
    return model


class Remembers(BaseEstimator):
    """Scores are noise, and `signal` more for pairs that were trained on."""

    def __init__(self, signal=1.0, random_state=0):
        self.signal = signal
        self.random_state = random_state

    def fit(self, X, y=None):
        self.X_ = X.toarray() != 0
        self.noise_ = np.random.default_rng(self.random_state).normal(size=self.X_.shape)
        return self

    def predict_pairs(self, pairs):
        users, items = np.asarray(pairs).T
        return self.signal * self.X_[users, items] + self.noise_[users, items]

    def forget(self, interactions):
        self.X_[tuple(interactions.T)] = False
        return self


values = st.lists(st.integers(0, 5), min_size=1, max_size=30)


@given(values, values)
def test_rates_are_their_definitions(members, others):
    members, others = np.array(members) * 1.0, np.array(others) * 1.0
    truth = np.r_[np.ones(len(members)), np.zeros(len(others))]
    expected = roc_auc_score(truth, np.r_[members, others])
    assert auc_of(members, others) == pytest.approx(expected, abs=1e-12)
    for rate in (0.01, 0.2, 0.5):
        best = max(
            np.mean(members > border)
            for border in np.r_[others, np.inf]
            if np.mean(others > border) <= rate
        )
        assert tpr_at(members, others, rate) == best


@pytest.mark.parametrize("many", [False, True], ids=["shared variance", "own variances"])
def test_log_ratio_is_that_of_two_normal_densities(many, monkeypatch):
    if many:
        monkeypatch.setattr(membership, "_MANY_SHADOWS", 4)
    rng = np.random.default_rng(0)
    shadows, scores = rng.normal(size=(10, 6)), rng.normal(size=6)
    known = np.argsort(np.argsort(rng.random((10, 6)), axis=0), axis=0) < 5
    shadows[known] += 2.0
    found = membership._log_ratios(scores, shadows, known)
    sides = []
    for inside in (known, ~known):
        columns = [shadows[inside[:, j], j] for j in range(6)]
        spreads = [column.var(ddof=1) for column in columns]
        spreads = spreads if many else [np.mean(spreads)] * 6
        sides.append(
            [
                norm.logpdf(score, column.mean(), np.sqrt(spread))
                for score, column, spread in zip(scores, columns, spreads, strict=True)
            ]
        )
    np.testing.assert_allclose(found, np.subtract(*sides), rtol=1e-9)


def test_each_candidate_is_known_to_half_of_the_shadows():
    seen = []

    class Watched(Remembers):
        def fit(self, X, y=None):
            seen.append(X.toarray() != 0)
            return super().fit(X)

    train, test = IMPLICIT
    membership_inference(Watched(), train, test, PAIRS, n_shadows=6, n_bootstrap=5)
    shadows, (whole, refit) = np.array(seen[:6]), seen[6:]
    rest = train.toarray() != 0
    np.testing.assert_array_equal(whole, rest)
    rest[tuple(PAIRS.T)] = False
    np.testing.assert_array_equal(refit, rest)
    counts = shadows.sum(axis=0)
    assert np.all(counts[rest] == 6)
    members = np.zeros_like(rest)
    members[tuple(PAIRS.T)] = True
    held_out = test.toarray() != 0
    assert np.all(counts[members] == 3)
    assert set(counts[held_out]) == {0, 3}
    assert np.sum(counts[held_out] == 3) == max(200, len(PAIRS))
    assert not counts[~(rest | members | held_out)].any()


def test_candidates_of_a_user_are_in_or_out_together():
    seen = []

    class Watched(Remembers):
        def fit(self, X, y=None):
            seen.append(X.toarray() != 0)
            return super().fit(X)

    train, test = IMPLICIT
    result = membership_inference(
        Watched(), train, test, PAIRS, level="users", n_shadows=4, n_bootstrap=5
    )
    users = np.unique(PAIRS[:, 0])
    for user in users:
        mine = PAIRS[PAIRS[:, 0] == user]
        inside = np.array(seen[:4])[:, mine[:, 0], mine[:, 1]]
        assert np.all(inside == inside[:, :1]) and inside[:, 0].sum() == 2
    assert result.n_members == len(users) and result.level == "users"


@pytest.mark.parametrize("level", ["pairs", "users"])
def test_what_is_remembered_is_found(level):
    options = {"n_shadows": 16, "n_bootstrap": 200, "level": level}
    found = membership_inference(Remembers(3.0), *IMPLICIT, PAIRS, **options)
    assert found.verdict == "as a refit"
    if level == "pairs":
        # The attack is as good as knowing both densities: normal, 3 apart.
        assert found.arms["nothing"].auc == pytest.approx(norm.cdf(3 / np.sqrt(2)), abs=0.02)
        expected = norm.sf(norm.isf(0.01), 3)
        low, high = found.arms["nothing"].tpr_interval
        assert low < expected < high
        low, high = found.arms["refit"].auc_interval
        assert low < 0.5 < high
    kept = membership_inference(Remembers(3.0), *IMPLICIT, PAIRS, forget=ignore, **options)
    assert kept.verdict == "told from a refit"
    assert kept.arms["forgotten"].auc == kept.arms["nothing"].auc


def test_attack_that_sees_nothing_says_so():
    found = membership_inference(Remembers(0.0), *IMPLICIT, PAIRS, n_shadows=8, n_bootstrap=200)
    assert found.verdict == "this attack sees nothing"


def test_interval_holds_the_truth():
    # 200 samples of two normals .5 apart: 95 % intervals miss the AUC in 10 +- 9 of them.
    rng = np.random.default_rng(0)
    truth, missed = norm.cdf(0.5 / np.sqrt(2)), 0
    is_member, groups = np.arange(200) < 100, np.arange(200)
    for seed in range(200):
        drawn = rng.normal(size=200) + 0.5 * is_member
        arm = measure_arm(drawn, is_member, groups, 200, np.random.RandomState(seed))
        missed += not arm.auc_interval[0] <= truth <= arm.auc_interval[1]
    assert missed <= 19
    # Pairs of one user are no independent evidence.
    few = measure_arm(drawn, is_member, groups // 10, 200, np.random.RandomState(0))
    same = np.repeat(drawn[::10], 10)
    clustered = measure_arm(same, is_member, groups // 10, 200, np.random.RandomState(0))
    assert np.ptp(clustered.auc_interval) > 1.5 * np.ptp(few.auc_interval)


MODELS = {
    "ALS": (ALS(8, alpha=10.0, regularization=5.0, random_state=0), IMPLICIT),
    "MatrixFactorization": (MatrixFactorization(8, regularization=1.0, random_state=0), LABELS),
    "EASE": (EASE(regularization=10.0), IMPLICIT),
    "BPR": (BPR(8, regularization=1.0, random_state=0), IMPLICIT),
    "LightGCN": (
        # The request is a tenth of the data: more than the default budget, one refit, allows.
        LightGCN(
            8,
            n_layers=2,
            regularization=0.2,
            random_state=0,
            unlearner=InfluenceUnlearner(tol=1e-3, max_cost=None),
        ),
        IMPLICIT,
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        "ALS",
        "MatrixFactorization",
        "EASE",
        pytest.param("BPR", marks=pytest.mark.slow),
        pytest.param("LightGCN", marks=pytest.mark.slow),
    ],
)
def test_own_models_forget_as_a_refit_does(name):
    model, (train, test) = MODELS[name]
    pairs = np.argwhere(train.toarray())[::9]
    found = membership_inference(model, train, test, pairs, n_shadows=16, n_bootstrap=300)
    assert found.verdict == "as a refit"
    assert found.arms["nothing"].auc > found.arms["refit"].auc_interval[1] + 0.1
    assert found.arms["forgotten"].auc == pytest.approx(found.arms["refit"].auc, abs=0.05)


def test_result_repeats_and_is_shown():
    train, test = IMPLICIT
    model = EASE(regularization=10.0)
    options = {"n_shadows": 4, "n_bootstrap": 20}
    first, again, other = (
        membership_inference(model, train, test, PAIRS, random_state=seed, **options)
        for seed in (0, 0, 1)
    )
    assert first.to_dict() == again.to_dict() != other.to_dict()
    text = str(first)
    assert f"{first.arms['nothing'].auc:.3f}" in text and f"verdict: {first.verdict}" in text
    assert "<table>" in first._repr_html_() and "n_shadows=4" in repr(first)


TRAIN, TEST = IMPLICIT
STRATEGY = InfluenceUnlearner()
PIPELINE = make_recommender_pipeline(InteractionEncoder(), ALS(4))


@pytest.mark.parametrize(
    ("estimator", "options", "error", "message"),
    [
        (EASE, {}, TypeError, "expected a recommender that fits"),
        (PIPELINE, {}, TypeError, "the last step of a pipeline"),
        (object(), {}, TypeError, "has no fit, no get_params, no predict_pairs, no forget"),
        (EASE(), {"forget": STRATEGY}, TypeError, "forget is a InfluenceUnlearner; expected"),
        (EASE(), {"level": "items"}, ValueError, "level='items'; expected one of 'pairs', 'users'"),
        (EASE(), {"n_shadows": 5}, ValueError, "n_shadows=5; expected an even number"),
        (EASE(), {"n_shadows": 2}, ValueError, "n_shadows=2; expected an even number of at least"),
        (EASE(), {"n_shadows": 8.0}, TypeError, r"n_shadows=8.0; expected an even integer"),
        (EASE(), {"n_bootstrap": 0}, ValueError, "n_bootstrap=0"),
        (EASE(), {"interactions": None}, ValueError, "no request was passed"),
        (EASE(), {"X_test": TRAIN}, ValueError, "pairs are in X and in X_test"),
        (EASE(), {"X_test": TEST[:50]}, ValueError, r"X_test has shape \(50, 70\) and X"),
        (EASE(), {"X_test": TEST * 0}, ValueError, "X_test holds 0 interactions; expected"),
        (EASE(), {"interactions": [np.argwhere(TEST.toarray())[0]]}, UnknownInteractionError, "no"),
    ],
)
def test_bad_arguments_are_refused(estimator, options, error, message):
    given = {"X": TRAIN, "X_test": TEST, "interactions": PAIRS, **options}
    with pytest.raises(error, match=message):
        membership_inference(estimator, **given)
