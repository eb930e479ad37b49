"""Statistics that compare two ensembles of models, one score of one pair at a time.

An ensemble is an array of shape (n_models, n_pairs): row by row the scores of a model, column by
column the scores of a pair.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Ensemble = NDArray[np.float64]

#: Bins of KLoM, the least probability of a bin, and where margins are clipped (Georgiev et al.).
N_BINS, LEAST_PROBABILITY, CLIP = 20, 1e-5, 100.0
#: The delta of (epsilon, delta).
DELTA = 1e-5
# Pairs at a time: what is held for them is (n_models, n_models, pairs).
_BLOCK = 256


def auc(first: Ensemble, second: Ensemble) -> Ensemble:
    """Probability that a score of `first` is above one of `second`, ties half; shape (n_pairs,)."""
    n, m = len(first), len(second)
    ranks = rankdata(np.vstack([first, second]), axis=0)[:n]
    return (ranks.sum(axis=0) - n * (n + 1) / 2) / (n * m)


def folded(values: Ensemble) -> Ensemble:
    """AUC of the better of two classifiers: of a threshold, and of the same turned round."""
    return 0.5 + np.abs(values - 0.5)


def random_halves(
    n_models: int, n_splits: int, generator: np.random.RandomState
) -> NDArray[np.bool_]:
    """Split 2n models into halves: the first n and the last n, then at random; (n_splits, 2n)."""
    halves = np.zeros((n_splits, n_models), dtype=bool)
    halves[0, : n_models // 2] = True
    for row in halves[1:]:
        row[generator.permutation(n_models)[: n_models // 2]] = True
    return halves


def auc_of_halves(models: Ensemble, halves: NDArray[np.bool_]) -> Ensemble:
    """Folded AUC of each half against the other, shape (n_splits, n_pairs)."""
    n = len(models) // 2
    sums = halves.astype(float) @ rankdata(models, axis=0)
    return folded((sums - n * (n + 1) / 2) / n**2)


def auc_against_halves(ensemble: Ensemble, models: Ensemble, halves: NDArray[np.bool_]) -> Ensemble:
    """Folded AUC of an ensemble against halves of others, averaged over them; (n_pairs,)."""
    wins = np.concatenate([block.mean(axis=0) for _, block in _wins(ensemble, models)], axis=1)
    return folded(halves.astype(float) @ wins / halves[0].sum()).mean(axis=0)


def _wins(first: Ensemble, second: Ensemble) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield who is above whom, ties half, shape (n_first, n_second, pairs), block by block."""
    for start in range(0, first.shape[1], _BLOCK):
        block = slice(start, min(start + _BLOCK, first.shape[1]))
        one, other = first[:, None, block], second[None, :, block]
        yield block, (one > other).astype(np.float32) + np.float32(0.5) * (one == other)


def bootstrap_auc(
    first: Ensemble, second: Ensemble, n_draws: int, generator: np.random.RandomState
) -> Ensemble:
    """Mean folded AUC over all pairs, of models drawn again with replacement; (n_draws,).

    Models are drawn, not pairs: scores of one model depend on each other.
    """
    n, m = len(first), len(second)
    weights = generator.multinomial(n, np.full(n, 1 / n), size=n_draws).astype(np.float32) / n
    others = generator.multinomial(m, np.full(m, 1 / m), size=n_draws).astype(np.float32) / m
    total = np.zeros(n_draws)
    for _, wins in _wins(first, second):
        of_first = (weights @ wins.reshape(n, -1)).reshape(n_draws, m, -1)
        drawn = np.einsum("bm,bmp->bp", others, of_first)
        total += folded(drawn.astype(np.float64)).sum(axis=1)
    return total / first.shape[1]


def centred_interval(draws: Ensemble, estimate: float, level: float = 0.95) -> tuple[float, float]:
    """Quantiles of bootstrap draws, moved so that their mean is the estimate.

    A folded AUC is never below .5, so that noise raises it and drawing again adds noise: the draws
    as such would lie above the estimate.
    """
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail]) - draws.mean() + estimate
    return float(max(low, 0.5)), float(min(high, 1.0))


def deviations(ensemble: Ensemble, models: Ensemble) -> tuple[Ensemble, Ensemble]:
    """Distances of the scores of both to their common median: large where an ensemble is wide."""
    centre = np.median(np.vstack([ensemble, models]), axis=0)
    return np.abs(ensemble - centre), np.abs(models - centre)


def effect_left(
    ensemble: Ensemble, nothing: Ensemble, refits: Ensemble, others: Ensemble
) -> Ensemble:
    r"""Share of a request's effect that is in the scores of each model; shape (n_models,).

    .. math:: \langle s_m - \bar r', \, \bar n_{-m} - \bar r \rangle \; / \;
        \tfrac1M \sum_m \langle n_m - \bar r', \, \bar n_{-m} - \bar r \rangle

    with :math:`s_m` the scores of a model after a request and :math:`n_m` those of the same one
    before; :math:`\bar n_{-m}` is the mean of the other models, and the last two arguments give two
    independent means of refits. No noise meets itself in a product, so that none counts as effect.
    Models that forgot nothing have 1 on average, refits 0. NaN where no effect is found.
    """
    n = len(nothing)
    effect = (nothing.sum(axis=0) - nothing) / (n - 1) - refits.mean(axis=0)
    centre = others.mean(axis=0)
    size = np.einsum("mp,mp->", nothing - centre, effect) / n
    if size <= 0:
        return np.full(n, np.nan)
    return np.einsum("mp,mp->m", ensemble - centre, effect) / size


def klom(first: Ensemble, second: Ensemble) -> Ensemble:
    r"""KL divergence of margins: of `first` from `second`, the refits; shape (n_pairs,).

    .. math:: \sum_{b:\, p_b > 0} p_b \log \frac{p_b}{\max(q_b, 10^{-5})}

    with p and q the histograms of both over 20 bins from the least to the largest margin of either,
    after clipping to [-100, 100]. It is at most log(1e5), 11.5.

    References
    ----------
    Georgiev et al., "Attribute-to-Delete: Machine Unlearning via Datamodel Matching",
    arXiv:2410.23232, 2024.
    """
    first, second = (np.clip(one, -CLIP, CLIP) for one in (first, second))
    low = np.minimum(first.min(axis=0), second.min(axis=0))
    width = np.maximum(first.max(axis=0), second.max(axis=0)) - low
    width[width == 0] = 1.0
    p, q = (_histogram(one, low, width) for one in (first, second))
    logs = np.log(np.where(p > 0, p, 1.0) / np.maximum(q, LEAST_PROBABILITY))
    return np.where(p > 0, p * logs, 0.0).sum(axis=0)


def _histogram(values: Ensemble, low: Ensemble, width: Ensemble) -> Ensemble:
    """Shares of the values in each bin, shape (N_BINS, n_pairs); the last bin has both its ends."""
    bins = np.minimum(((values - low) / width * N_BINS).astype(np.int64), N_BINS - 1)
    shares = np.zeros((N_BINS, values.shape[1]))
    columns = np.arange(values.shape[1])
    for row in bins:
        shares[row, columns] += 1.0
    return shares / len(values)


def empirical_epsilon(first: Ensemble, second: Ensemble, delta: float = DELTA) -> Ensemble:
    r"""Empirical epsilon of telling `first` from `second` by one threshold; shape (n_pairs,).

    .. math:: \max\left(\log \frac{1 - \delta - FPR}{FNR}, \log \frac{1 - \delta - FNR}{FPR}\right)

    over all thresholds and both sides, without those where one of the two rates is 0; infinite
    where both are, and 0 where nothing else is larger.

    References
    ----------
    Triantafillou et al., "Are we making progress in unlearning? Findings from the first NeurIPS
    unlearning competition", arXiv:2406.09073, 2024.
    """
    n, m = len(first), len(second)
    both = np.vstack([first, second])
    order = np.argsort(both, axis=0, kind="stable")
    values = np.take_along_axis(both, order, axis=0)
    # Shares of each at or below a threshold, for thresholds between different values only.
    below_first = np.cumsum(order < n, axis=0)[:-1] / n
    below_second = np.cumsum(order >= n, axis=0)[:-1] / m
    usable = values[1:] > values[:-1]
    best = np.zeros(first.shape[1])
    for missed, alarm in (
        (below_first, 1 - below_second),
        (1 - below_first, below_second),
    ):
        best = np.maximum(best, _best_epsilon(missed, alarm, usable, delta))
    return best


def _best_epsilon(
    missed: Ensemble, alarm: Ensemble, usable: NDArray[np.bool_], delta: float
) -> Ensemble:
    # Sums of 1/n that should be 0 can be 1e-17.
    missed, alarm = np.round(missed, 12), np.round(alarm, 12)
    both = usable & (missed > 0) & (alarm > 0)
    best = np.zeros(missed.shape[1])
    for one, other in ((missed, alarm), (alarm, missed)):
        numerator = np.maximum(1 - delta - one, 0.0)
        ratio = np.divide(numerator, other, out=np.ones_like(one), where=both & (numerator > 0))
        best = np.maximum(best, np.log(ratio).max(axis=0, initial=0.0))
    separated = (usable & (missed == 0) & (alarm == 0)).any(axis=0)
    return np.where(separated, np.inf, best)


def rank_logit(scores: Ensemble, tables: Ensemble) -> Ensemble:
    """Log odds of the place of a score among others, ties half; shape (n_pairs,).

    `tables` has the other scores of each pair, shape (n_pairs, n_items). Half a place is added at
    both ends, so that the first and the last have finite odds.
    """
    below = (tables < scores[:, None]).sum(axis=1) + 0.5 * (tables == scores[:, None]).sum(axis=1)
    share = (below + 0.5) / (tables.shape[1] + 1)
    return np.log(share / (1 - share))
