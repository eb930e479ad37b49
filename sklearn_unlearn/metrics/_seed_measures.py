"""Groups of pairs, and what is measured on the scores of each by four ensembles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.metrics._seed_result import Measure, SeedGroup
from sklearn_unlearn.metrics._seed_statistics import (
    auc_against_halves,
    auc_of_halves,
    bootstrap_auc,
    centred_interval,
    deviations,
    effect_left,
    empirical_epsilon,
    klom,
    random_halves,
)

N_SPLITS = N_DRAWS = 200
#: Of the AUC over halvings of the refits, the quantile that still counts as a refit's. High, as a
#: verdict asks of up to eight.
FLOOR_QUANTILE = 0.99

#: A model that kept this much more of a request's effect than others has not answered it, unless
#: refits, or models before the request, differ by as much. The largest of n draws itself varies,
#: hence the factor.
MOST_LEFT, FLOOR_FACTOR = 0.5, 1.5

Ensembles = dict[str, NDArray[np.float64]]


def compare_groups(
    groups: dict[str, NDArray[np.int64]],
    ensembles: Ensembles,
    margin: float,
    generator: np.random.RandomState,
) -> dict[str, SeedGroup]:
    """Compare four ensembles, shape (n_seeds, 2, n_pairs), group by group in the order of `groups`.

    Parameters
    ----------
    groups : dict of str to ndarray of shape (n, 2)
        Pairs by group. An empty one is left out.

    ensembles : dict of str to ndarray
        "refit", "again", "nothing", "forgotten": scores and log odds of ranks.

    margin : float
        How far above the floor an AUC may be.

    generator : RandomState
        Draws halvings and bootstrap samples.
    """
    compared, start = {}, 0
    halves = random_halves(2 * len(ensembles["refit"]), N_SPLITS, generator)
    for name, pairs in groups.items():
        part = {key: value[:, :, start : start + len(pairs)] for key, value in ensembles.items()}
        start += len(pairs)
        if len(pairs):
            measures = _measures(part, halves, margin, generator)
            compared[name] = SeedGroup(name=name, pairs=pairs, measures=measures)
    return compared


def _measures(
    ensembles: Ensembles,
    halves: NDArray[np.bool_],
    margin: float,
    generator: np.random.RandomState,
) -> dict[str, Measure]:
    scores = {name: values[:, 0] for name, values in ensembles.items()}
    ranks = {name: values[:, 1] for name, values in ensembles.items()}
    refits = np.vstack([scores["refit"], scores["again"]])
    arms = ("forgotten", "nothing")
    wide = {name: deviations(scores[name], refits) for name in arms}
    spread = deviations(scores["refit"], scores["again"])
    return {
        "auc": _tested(
            refits, {name: (scores[name], refits) for name in arms}, halves, margin, generator
        ),
        "spread_auc": _tested(np.vstack(spread), wide, halves, margin, generator),
        **_shares(scores),
        "klom": _reported(klom, scores, np.mean),
        "rank_klom": _reported(klom, ranks, np.mean),
        "epsilon": _reported(empirical_epsilon, scores, np.median),
    }


def _tested(
    refits: NDArray[np.float64],
    against: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    halves: NDArray[np.bool_],
    margin: float,
    generator: np.random.RandomState,
) -> Measure:
    floors = auc_of_halves(refits, halves)
    per_pair = {name: auc_against_halves(*both, halves) for name, both in against.items()}
    forgotten = float(per_pair["forgotten"].mean())
    draws = bootstrap_auc(*against["forgotten"], N_DRAWS, generator)
    floor, highest = floors.mean(), np.quantile(floors.mean(axis=1), FLOOR_QUANTILE)
    return Measure(
        floor=float(floor),
        forgotten=forgotten,
        nothing=float(per_pair["nothing"].mean()),
        per_pair={"floor": floors.mean(axis=0), **per_pair},
        bound=float(max(floor + margin, highest)),
        interval=centred_interval(draws, forgotten),
    )


def _shares(scores: Ensembles) -> dict[str, Measure]:
    """Measure what single models kept: the mean AUC hardly moves where a few of them failed."""
    arms = {"floor": "again", "forgotten": "forgotten", "nothing": "nothing"}
    left = {
        name: effect_left(scores[arm], scores["nothing"], scores["refit"], scores["again"])
        for name, arm in arms.items()
    }
    mean = float(left["forgotten"].mean())
    error = np.sqrt((left["forgotten"].var() + left["floor"].var()) / len(left["floor"]))
    interval = float(mean - 1.96 * error), float(mean + 1.96 * error)
    worst = {name: float(values.max() - np.median(values)) for name, values in left.items()}
    return {
        "effect_left": Measure(
            float(left["floor"].mean()),
            mean,
            float(left["nothing"].mean()),
            per_model=left,
            interval=interval,
        ),
        "worst_effect_left": Measure(
            worst["floor"],
            worst["forgotten"],
            worst["nothing"],
            per_model=left,
            bound=max(FLOOR_FACTOR * max(worst["floor"], worst["nothing"]), MOST_LEFT),
        ),
    }


def _reported(statistic: Callable[..., Any], ensembles: Ensembles, average: Any) -> Measure:
    arms = {"floor": "again", "forgotten": "forgotten", "nothing": "nothing"}
    per_pair = {name: statistic(ensembles[arm], ensembles["refit"]) for name, arm in arms.items()}
    floor, forgotten, nothing = (float(average(per_pair[name])) for name in arms)
    return Measure(floor, forgotten, nothing, per_pair=per_pair)
