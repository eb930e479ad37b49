import json
import math
import re
import sys

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_unlearn import ALS, EASE
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.metrics import SeedTestResult, seed_test
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder
from tests.seed_models import NoisyMeans

N_SEEDS = 12


@pytest.fixture(autouse=True)
def fresh_counts():
    NoisyMeans.start_anew()


def nothing(model, request):
    return model


@pytest.fixture(scope="module")
def X():
    return abs(make_interactions(30, 24, n_interactions=260, random_state=0))


@pytest.fixture(scope="module")
def pairs(X):
    return np.argwhere(X.toarray())[::13]


def refit(model, request):
    """Forget by the definition: fit again without the data, from another seed."""
    rest = model._interactions.to_csr().tolil()
    rest[tuple(request["interactions"].T)] = 0
    return clone(model).set_params(random_state=model.random_state + 1).fit(rest.tocsr())


EARLY = ALS(4, alpha=10.0, regularization=2.0, n_sweeps=3, max_iter=0)


# -- verdicts --------------------------------------------------------------------------------------
def test_refit_from_another_seed_is_indistinguishable(X, pairs):
    result = seed_test(EARLY, X, pairs, n_seeds=N_SEEDS, forget=refit)
    assert result.verdict == "indistinguishable"
    auc = result.groups["pairs"].measures["auc"]
    assert auc.forgotten < auc.bound < 0.75 < auc.nothing


def test_doing_nothing_is_distinguishable(X, pairs):
    result = seed_test(EARLY, X, pairs, n_seeds=N_SEEDS, forget=nothing)
    assert re.match("distinguishable by the scores of pairs", result.verdict)
    left = result.groups["pairs"].measures["effect_left"]
    assert left.forgotten == pytest.approx(1.0, abs=1e-9)
    for measure in result.groups["pairs"].measures.values():
        assert measure.forgotten == measure.nothing


def test_request_without_influence_cannot_be_seen(X, pairs):
    # Noise a thousand times the effect of an interaction.
    result = seed_test(NoisyMeans(noise=1e4), X, pairs, n_seeds=N_SEEDS)
    assert result.verdict == "this request cannot be seen"


def test_wrong_spread_is_distinguishable(X, pairs):
    # A tenth of the noise, around the right scores.
    def narrow(model, request):
        after = model.forget(**request)
        exact = after.table_.mean(axis=0) + after.table_
        after.scores_ = exact + 0.1 * (after.scores_ - exact)
        return after

    result = seed_test(NoisyMeans(), X, pairs, n_seeds=30, forget=narrow)
    assert result.verdict.startswith("distinguishable by")
    for group in result.groups.values():
        assert "spread_auc" in group.reasons()
        assert group.measures["auc"].forgotten < 0.6 < group.measures["spread_auc"].forgotten


def test_single_models_that_forgot_nothing_are_distinguishable(X, pairs):
    asked = []

    def fails_sometimes(model, request):
        asked.append(model)
        return model if len(asked) in (3, 20) else model.forget(**request)

    result = seed_test(NoisyMeans(), X, pairs, n_seeds=40, forget=fails_sometimes)
    assert result.verdict.startswith("distinguishable by single models of pairs")
    assert set(result.groups["pairs"].reasons()) == {"worst_effect_left"}
    # The AUC alone does not see them.
    group = result.groups["pairs"]
    assert group.measures["auc"].forgotten < group.measures["auc"].bound
    left = group.measures["worst_effect_left"].per_model["forgotten"]
    assert np.flatnonzero(left > 0.5).tolist() == [2, 19]
    worst = group.measures["worst_effect_left"]
    assert worst.forgotten == pytest.approx(left.max() - np.median(left))
    assert seed_test(NoisyMeans(), X, pairs, n_seeds=40).verdict == "indistinguishable"


def test_single_models_are_named_only_where_the_ensemble_does_not_tell(X, pairs):
    asked = []

    def often_fails(model, request):
        asked.append(model)
        return model if len(asked) % 3 == 0 else model.forget(**request)

    group = seed_test(NoisyMeans(), X, pairs, n_seeds=20, forget=often_fails).groups["pairs"]
    worst = group.measures["worst_effect_left"]
    assert worst.forgotten > worst.bound
    assert set(group.reasons()) == {"auc", "spread_auc"}


def test_single_models_count_only_where_the_request_is_seen(X, pairs):
    def one_goes_its_way(model, request):
        after = model.forget(**request)
        if len(asked) == 3:
            after.scores_ = after.scores_ + 1e3
        asked.append(model)
        return after

    asked = []
    result = seed_test(NoisyMeans(noise=10.0), X, pairs, n_seeds=40, forget=one_goes_its_way)
    worst = result.groups["pairs"].measures["worst_effect_left"]
    assert worst.forgotten > worst.bound
    assert result.verdict == "this request cannot be seen"


def test_users_and_items_that_are_gone_are_not_scored(X):
    result = seed_test(NoisyMeans(), X, users=[2, 5], items=[7], n_seeds=4)
    pairs = np.concatenate([group.pairs for group in result.groups.values()])
    assert not np.isin(pairs[:, 0], [2, 5]).any()
    assert not (pairs[:, 1] == 7).any()
    assert "pairs" not in result.groups


def test_groups_are_what_they_say(X, pairs):
    result = seed_test(NoisyMeans(), X, pairs, n_seeds=2)
    retained = X.toarray() != 0
    retained[tuple(pairs.T)] = False
    known = set(np.flatnonzero(retained.any(axis=1))), set(np.flatnonzero(retained.any(axis=0)))
    cells = [(u, i) for u in sorted(known[0]) for i in sorted(known[1])]
    gone = set(map(tuple, pairs.tolist()))
    users, items = {u for u, _ in gone}, {i for _, i in gone}
    expected = {
        "pairs": [c for c in cells if c in gone],
        "users": [c for c in cells if c not in gone and c[0] in users],
        "items": [c for c in cells if c[0] not in users and c[1] in items],
        "others": [c for c in cells if c[0] not in users and c[1] not in items],
    }
    assert {name: list(map(tuple, g.pairs.tolist())) for name, g in result.groups.items()} == {
        name: group for name, group in expected.items() if group
    }


def test_samples_are_of_their_groups(X, pairs):
    whole = seed_test(NoisyMeans(), X, pairs, n_seeds=2)
    part = seed_test(NoisyMeans(), X, pairs, n_seeds=2, n_pairs=7)
    for name, group in part.groups.items():
        sampled, full = (set(map(tuple, g.pairs.tolist())) for g in (group, whole.groups[name]))
        assert len(sampled) == 7
        assert sampled < full
    other = seed_test(NoisyMeans(), X, pairs, n_seeds=2, n_pairs=7, random_state=1)
    for name, group in part.groups.items():
        assert not np.array_equal(group.pairs, other.groups[name].pairs)


def test_ranks_are_compared_too(X, pairs):
    def lifts_users(model, request):
        after = model.forget(**request)
        after.scores_ = after.scores_ + 9.0
        return after

    def mixes_items(model, request):
        after = model.forget(**request)
        after.scores_ = after.scores_[:, ::-1].copy()
        return after

    lifted, mixed, plain = (
        seed_test(NoisyMeans(), X, pairs, n_seeds=20, forget=forget).groups["others"].measures
        for forget in (lifts_users, mixes_items, None)
    )
    assert lifted["klom"].forgotten > 2 * plain["klom"].forgotten
    assert lifted["rank_klom"].forgotten == plain["rank_klom"].forgotten
    assert mixed["rank_klom"].forgotten > 2 * plain["rank_klom"].forgotten


def test_every_form_of_a_request_is_the_same(X):
    user = np.flatnonzero(np.diff(X.indptr) > 0)[3]
    cells = [[user, item] for item in X[[user]].indices]
    mask = np.zeros(X.shape, bool)
    mask[tuple(np.transpose(cells))] = True

    def by_pairs(model, request):
        return model.forget(cells)

    results = [
        seed_test(NoisyMeans(), X, *form, **whole, n_seeds=3, forget=by_pairs).to_dict()
        for form, whole in [([cells], {}), ([mask], {}), ([], {"users": int(user)})]
    ]
    assert results[0] == results[1] == results[2]


def test_known_scores_give_known_measures(X, pairs):
    shift = 0.05
    seen = {}

    def moved(model, request):
        seen.update(request)
        after = model.forget(**request)
        after.scores_ = after.scores_ + shift
        return after

    result = seed_test(NoisyMeans(), X, pairs, n_seeds=60, forget=moved)
    assert list(seen) == ["interactions"]
    # N(0, .1) against N(.05, .1), and the floor of equal ensembles.
    expected = 0.5 * (1 + math.erf(shift / 0.1 / 2))
    auc = result.groups["others"].measures["auc"]
    assert auc.forgotten == pytest.approx(expected, abs=0.02)
    assert auc.floor == pytest.approx(0.5 + np.sqrt(121 / (6 * np.pi)) / 60, abs=0.01)
    assert auc.interval[0] < auc.forgotten < auc.interval[1]
    # An interaction of value 1 or more, beside noise of .1.
    assert result.groups["pairs"].measures["auc"].nothing == 1.0
    assert result.groups["others"].measures["auc"].nothing < 0.6
    assert len(set(NoisyMeans.seeds)) == len(NoisyMeans.seeds) == 180
    users = result.groups["users"].per_user()
    assert users["users"].tolist() == np.unique(result.groups["users"].pairs[:, 0]).tolist()
    first = result.groups["users"].pairs[:, 0] == users["users"][0]
    per_pair = result.groups["users"].measures["auc"].per_pair
    for arm in ("floor", "forgotten", "nothing"):
        assert users[arm][0] == pytest.approx(per_pair[arm][first].mean())
    with pytest.raises(ValueError, match="effect_left has one value a model; expected"):
        result.groups["users"].per_user("effect_left")


def test_weights_reach_the_fit(X):
    weights = np.ones(X.shape[0])
    weights[4] = 0.0
    fitted = []

    def watch(model, request):
        fitted.append(model)
        return model

    result = seed_test(NoisyMeans(), X, users=3, sample_weight=weights, n_seeds=2, forget=watch)
    assert all(np.array_equal(model.weights_[:4], weights[:4]) for model in fitted)
    assert not any((group.pairs[:, 0] == 4).any() for group in result.groups.values())
    with pytest.raises(UnknownInteractionError, match="have no interaction in X"):
        seed_test(NoisyMeans(), X, users=4, sample_weight=weights, n_seeds=2)


# -- what is printed -------------------------------------------------------------------------------
def test_numbers_are_plain(X, pairs):
    # Noise alone: in some group the effect has the wrong sign, so that no share of it is left.
    result = seed_test(NoisyMeans(noise=1e6), X, pairs, n_seeds=5, random_state=1)
    numbers = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert numbers["groups"]["pairs"]["n_pairs"] == 20
    auc = result.groups["pairs"].measures["auc"]
    assert numbers["groups"]["pairs"]["auc"]["forgotten"] == auc.forgotten
    left = {name: group.measures["effect_left"].nothing for name, group in result.groups.items()}
    without = [name for name, value in left.items() if np.isnan(value)]
    assert 0 < len(without) < 4
    for name in without:
        found = numbers["groups"][name]["effect_left"]
        assert found == {"floor": None, "forgotten": None, "nothing": None}


def test_table_reads_as_the_numbers(X, pairs):
    result = seed_test(NoisyMeans(), X, pairs, n_seeds=4)
    assert isinstance(result, SeedTestResult)
    text = str(result)
    assert f"forgotten pairs ({len(result.groups['pairs'].pairs)})" in text
    row = re.search(r"AUC +(\S+) +(\S+) +(\S+) +(\S+) - (\S+) +(\S+)\n", text).groups()
    one = result.groups["pairs"].measures["auc"]
    known = (one.floor, one.bound, one.forgotten, *one.interval, one.nothing)
    assert row == tuple(f"{value:.3f}" for value in known)
    assert f"\nverdict: {result.verdict} (decided by AUC" in text
    assert repr(result) == f"SeedTestResult(verdict={result.verdict!r}, n_seeds=4)"
    assert "array" not in repr(result.groups)


class RecordingAxes:
    """Stands for the Axes of matplotlib: keeps the calls."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *args, **kwargs: self.calls.append((name, args, kwargs))


def test_picture_shows_the_auc_of_each_group(X, pairs):
    result = seed_test(NoisyMeans(), X, pairs, n_seeds=4)
    axes = RecordingAxes()
    assert result.plot(axes) is axes
    drawn = [args for name, args, _ in axes.calls if name == "errorbar"]
    found = [group.measures["auc"].forgotten for group in result.groups.values()]
    assert [(args[0], args[1]) for args in drawn] == [([x], [y]) for y, x in enumerate(found)]
    [label] = [args for name, args, _ in axes.calls if name == "set_xlabel"]
    assert " ".join(label[0].split()).endswith(f"verdict: {result.verdict}")


def test_picture_without_matplotlib_says_what_to_do(X, pairs, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    result = seed_test(NoisyMeans(), X, pairs, n_seeds=2)
    with pytest.raises(ImportError, match=r"not installed; expected .* Install the extra 'plot'"):
        result.plot()


# -- bad input -------------------------------------------------------------------------------------
PIPELINE = make_recommender_pipeline(InteractionEncoder(), EARLY)


@pytest.mark.parametrize(
    ("estimator", "options", "error", "message"),
    [
        (EASE(), {}, ValueError, "no parameter random_state.*remaining_gap"),
        (PIPELINE, {}, TypeError, "speaks ids. Pass its last step"),
        (NoisyMeans, {}, TypeError, "is a class; expected"),
        (object(), {}, TypeError, "has no fit, no get_params, no set_params, no forget; expected"),
        (NoisyMeans(), {"forget": "sweep"}, TypeError, "forget is a str; expected a function"),
        (NoisyMeans(), {"forget": lambda model, request: None}, TypeError, "returned a NoneType"),
        (NoisyMeans(), {"n_seeds": 1}, ValueError, "n_seeds=1; expected at least 2"),
        (NoisyMeans(), {"n_seeds": 2.0}, TypeError, "n_seeds=2.0 is a float; expected"),
        (NoisyMeans(), {"n_pairs": 0}, ValueError, "n_pairs=0; expected"),
        (NoisyMeans(), {"margin": 0.6}, ValueError, "margin=0.6; expected"),
        (NoisyMeans(), {"margin": "small"}, TypeError, "margin is a str; expected"),
        (NoisyMeans(), {"interactions": None}, ValueError, "no request was passed; expected"),
        (NoisyMeans(), {"interactions": []}, ValueError, "holds no interaction of X; expected"),
        (NoisyMeans(), {"users": list(range(30))}, ValueError, "all interactions of X; expected"),
        (NoisyMeans(), {"users": 99}, ValueError, "users has positions out of range"),
        (NoisyMeans(), {"sample_weight": [1.0]}, ValueError, "sample_weight has shape"),
        (NoisyMeans(noise=0.0), {}, ValueError, "same scores, whatever their seed.*remaining_gap"),
    ],
)
def test_bad_input_is_explained(X, pairs, estimator, options, error, message):
    with pytest.raises(error, match=message):
        seed_test(estimator, X, **{"interactions": pairs, "n_seeds": 2, **options})


def test_unknown_interactions_are_refused(X):
    empty = np.argwhere(X.toarray() == 0)[:2]
    with pytest.raises(UnknownInteractionError, match="2 of the pairs"):
        seed_test(NoisyMeans(), X, empty, n_seeds=2)
