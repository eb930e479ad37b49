from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sklearn_unlearn.metrics._seed_statistics import (
    auc,
    auc_against_halves,
    auc_of_halves,
    bootstrap_auc,
    centred_interval,
    deviations,
    effect_left,
    empirical_epsilon,
    folded,
    klom,
    random_halves,
    rank_logit,
)


def ensembles(seed, n=8, m=8, n_pairs=5, shift=0.0, ties=False):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(n, n_pairs)) + shift, rng.normal(size=(m, n_pairs))
    return (np.round(first), np.round(second)) if ties else (first, second)


@given(st.integers(0, 1000), st.booleans(), st.integers(2, 9))
def test_auc_is_that_of_the_rank_sum_test(seed, ties, m):
    first, second = ensembles(seed, m=m, ties=ties)
    expected = [
        stats.mannwhitneyu(a, b).statistic / (len(a) * len(b))
        for a, b in zip(first.T, second.T, strict=True)
    ]
    assert auc(first, second) == pytest.approx(np.array(expected), abs=1e-12)


@given(st.integers(0, 1000), st.booleans())
def test_halves_are_compared_as_ensembles(seed, ties):
    values, models = ensembles(seed, n=6, m=8, ties=ties)
    halves = random_halves(8, 5, np.random.RandomState(seed))
    assert (halves.sum(axis=1) == 4).all()
    assert halves[0].tolist() == [True] * 4 + [False] * 4
    split = [folded(auc(models[half], models[~half])) for half in halves]
    assert auc_of_halves(models, halves) == pytest.approx(np.array(split), abs=1e-12)
    against = [folded(auc(values, models[half])) for half in halves]
    expected = np.mean(against, axis=0)
    assert auc_against_halves(values, models, halves) == pytest.approx(expected, abs=1e-6)


def test_folded_auc_of_equal_ensembles_has_the_documented_floor():
    first, second = ensembles(0, n=40, m=40, n_pairs=20_000)
    expected = 0.5 + np.sqrt(81 / (6 * np.pi)) / 40
    assert expected == pytest.approx(0.552, abs=5e-4)
    assert folded(auc(first, second)).mean() == pytest.approx(expected, abs=1e-3)


def naive_klom(first, second):
    low, high = min(first.min(), second.min()), max(first.max(), second.max())
    edges = np.linspace(low, high, 21)
    p = np.histogram(first, edges)[0] / len(first)
    q = np.maximum(np.histogram(second, edges)[0] / len(second), 1e-5)
    return sum(a * np.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


@given(st.integers(0, 1000), st.sampled_from([0.0, 1.0, 30.0]))
def test_klom_is_the_divergence_of_its_histograms(seed, shift):
    first, second = ensembles(seed, n=12, m=15, shift=shift)
    expected = [naive_klom(a, b) for a, b in zip(first.T, second.T, strict=True)]
    assert klom(first, second) == pytest.approx(np.array(expected), rel=1e-9)


def test_klom_of_many_shifted_gaussians_is_the_closed_form():
    # KL of N(mu, 1) from N(0, 1) is mu^2 / 2; 20 bins can only lose some of it.
    first, second = ensembles(0, n=20_000, m=20_000, n_pairs=8, shift=1.0)
    assert klom(first, second).mean() == pytest.approx(0.5, abs=0.02)
    assert klom(second[:, ::-1], second).mean() < 0.005
    assert (klom(second, second) == 0.0).all()


def test_klom_at_its_ends():
    near, far = np.zeros((5, 1)), np.full((5, 1), 3.0)
    assert klom(near, near)[0] == 0.0
    assert klom(near, far)[0] == pytest.approx(np.log(1e5))
    # Beyond the clipping, margins are all the same.
    assert klom(near + 200, far + 900)[0] == 0.0


def naive_epsilon(first, second, delta=1e-5):
    best = 0.0
    values = sorted({*first, *second})
    for low, high in pairwise(values):
        threshold = (low + high) / 2
        for sign in (1, -1):
            missed = np.mean(sign * first <= sign * threshold)
            alarm = np.mean(sign * second > sign * threshold)
            if missed == 0 and alarm == 0:
                return np.inf
            for a, b in ((missed, alarm), (alarm, missed)):
                if a > 0 and b > 0 and 1 - delta - a > 0:
                    best = max(best, np.log((1 - delta - a) / b))
    return best


@given(st.integers(0, 1000), st.booleans(), st.sampled_from([0.0, 1.0, 9.0]))
def test_epsilon_is_the_best_of_all_thresholds(seed, ties, shift):
    first, second = ensembles(seed, n=6, m=7, shift=shift, ties=ties)
    expected = [naive_epsilon(a, b) for a, b in zip(first.T, second.T, strict=True)]
    assert empirical_epsilon(first, second) == pytest.approx(np.array(expected), rel=1e-9)


def test_epsilon_at_its_ends():
    near, far = np.arange(8.0)[:, None], np.arange(8.0)[:, None] + 20
    assert empirical_epsilon(near, far)[0] == np.inf
    assert empirical_epsilon(far, near)[0] == np.inf
    assert empirical_epsilon(near * 0, near * 0)[0] == 0.0


def test_bootstrap_draws_are_aucs_of_drawn_models():
    first, second = ensembles(3, n=5, m=7, n_pairs=300, shift=0.5)
    draws = bootstrap_auc(first, second, 4, np.random.RandomState(1))
    generator = np.random.RandomState(1)
    counts = generator.multinomial(5, np.full(5, 1 / 5), size=4)
    others = generator.multinomial(7, np.full(7, 1 / 7), size=4)
    for draw, a, b in zip(draws, counts, others, strict=True):
        drawn = np.repeat(first, a, axis=0), np.repeat(second, b, axis=0)
        assert draw == pytest.approx(folded(auc(*drawn)).mean(), abs=1e-5)


def test_interval_covers_the_expected_auc():
    # Models move all their scores together, so that pairs are no independent witnesses.
    rng, covered = np.random.default_rng(0), 0
    expected = stats.norm.cdf(0.8 / np.sqrt(2))
    for _ in range(100):
        first = rng.normal(size=(30, 1)) + 0.8 + np.zeros((1, 3))
        second = rng.normal(size=(60, 1)) + np.zeros((1, 3))
        estimate = folded(auc(first, second)).mean()
        draws = bootstrap_auc(first, second, 100, np.random.RandomState(0))
        low, high = centred_interval(draws, estimate)
        covered += low <= expected <= high
    assert 88 <= covered <= 99


def test_interval_is_about_the_estimate_where_drawing_again_adds_noise():
    first, second = ensembles(0, n=20, m=20, n_pairs=400)
    estimate = folded(auc(first, second)).mean()
    draws = bootstrap_auc(first, second, 200, np.random.RandomState(0))
    assert draws.min() > estimate  # as the docstring says
    low, high = centred_interval(draws, estimate)
    assert low < estimate < high
    assert high - low == pytest.approx(np.diff(np.quantile(draws, [0.025, 0.975]))[0])
    assert centred_interval(draws, 0.5)[0] == 0.5


def test_effect_left_is_the_part_of_the_way_to_doing_nothing():
    rng = np.random.default_rng(0)
    refits, others, more, nothing = rng.normal(size=(4, 500, 80)) * 0.3
    shift = rng.normal(size=80)
    nothing += shift
    halfway = rng.normal(size=(500, 80)) * 0.3 + 0.4 * shift
    arms = {"more": more, "nothing": nothing, "halfway": halfway}
    left = {name: effect_left(one, nothing, refits, others) for name, one in arms.items()}
    assert left["more"].mean() == pytest.approx(0.0, abs=0.01)
    assert left["nothing"].mean() == pytest.approx(1.0, abs=1e-12)
    assert left["halfway"].mean() == pytest.approx(0.4, abs=0.01)
    # A rotation of all scores changes nothing.
    turn = np.linalg.qr(rng.normal(size=(80, 80)))[0]
    turned = effect_left(halfway @ turn, nothing @ turn, refits @ turn, others @ turn)
    assert turned == pytest.approx(left["halfway"], abs=1e-9)


def test_noise_is_no_effect():
    # Models keep their noise when they forget; the mean share is 0 nevertheless.
    rng = np.random.default_rng(0)
    left, found = [], 0
    for _ in range(200):
        refits, others, forgotten = rng.normal(size=(3, 6, 30))
        nothing = forgotten + 1.0
        left.append(effect_left(forgotten, nothing, refits, others).mean())
        found += np.isfinite(effect_left(forgotten, forgotten, refits, others)).all()
    assert np.mean(left) == pytest.approx(0.0, abs=3 * np.std(left) / np.sqrt(200))
    assert 70 < found < 130  # the sign of no effect is that of a coin


def test_spread_tells_wide_from_narrow_where_the_mean_does_not():
    first, second = ensembles(0, n=200, m=200, n_pairs=50)
    wide, narrow = 7 + 3 * first, 7 + second
    assert np.abs(auc(wide, narrow) - 0.5).mean() < 0.05
    # The AUC of |N(0, 3)| over |N(0, 1)| is 2 atan(3) / pi.
    found = auc(*deviations(wide, narrow)).mean()
    assert found == pytest.approx(2 * np.arctan(3) / np.pi, abs=0.02)


@given(st.integers(0, 1000))
def test_rank_logit_is_the_logit_of_the_place(seed):
    rng = np.random.default_rng(seed)
    scores, tables = rng.integers(0, 4, 6) * 1.0, rng.integers(0, 4, (6, 9)) * 1.0
    for one, table, found in zip(scores, tables, rank_logit(scores, tables), strict=True):
        share = (stats.percentileofscore(table, one, kind="mean") / 100 * 9 + 0.5) / 10
        assert found == pytest.approx(np.log(share / (1 - share)), abs=1e-9)
