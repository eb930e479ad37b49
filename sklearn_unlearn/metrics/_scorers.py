"""Scorers of ranking, for scikit-learn's searches and cross-validation."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

import numpy as np

from sklearn_unlearn.exceptions import DataWarning
from sklearn_unlearn.metrics._checks import check_count
from sklearn_unlearn.metrics._held_out import count_users, held_out_of_known, held_out_of_new
from sklearn_unlearn.metrics._parts import parts_of
from sklearn_unlearn.metrics._ranking import (
    hit_rate_at_k,
    map_at_k,
    mrr_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
)

__all__ = ["get_ranking_scorer", "get_ranking_scorer_names", "make_ranking_scorer"]

_METRICS: dict[str, Callable[..., float]] = {
    "ndcg": ndcg_at_k,
    "recall": recall_at_k,
    "precision": precision_at_k,
    "map": map_at_k,
    "mrr": mrr_at_k,
    "hit_rate": hit_rate_at_k,
}
_USUAL_K = (5, 10, 20, 50, 100)
_GENERALIZATIONS = ("auto", "weak", "strong")


@dataclass(frozen=True)
class RankingScorer:
    """What `make_ranking_scorer` returns: call it as ``scorer(estimator, X)``."""

    metric: str
    k: int
    generalization: str = "auto"
    holdout: float = 0.2
    random_state: int = 0

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """Score a fitted estimator on test data; higher is better, `y` is ignored."""
        parts = parts_of(estimator)
        generalization = self.generalization
        if generalization == "weak" and parts.encoder is None:
            raise ValueError(
                "generalization='weak' was given and the estimator speaks positions; expected a "
                "pipeline with an encoder, as rows of a test matrix do not tell whose they are. "
                "Put an InteractionEncoder first and split events, or use split_interactions and "
                f"{self.metric}_at_k."
            )
        counts = count_users(parts, X)
        if generalization == "auto":
            generalization = "weak" if counts.mostly_known else "strong"
        if generalization == "weak":
            held = held_out_of_known(parts, X)
        else:
            held = held_out_of_new(parts, X, self.k, self.holdout, self.random_state)
        n_scored = int(np.count_nonzero(np.diff(held.relevant.indptr)))
        if 2 * n_scored < counts.n_users:
            _warn_of_few(n_scored, counts.n_users, generalization)
        return float(_METRICS[self.metric](held.source, held.relevant, self.k, held.seen))

    def __repr__(self) -> str:
        options = [
            f", {one.name}={getattr(self, one.name)!r}"
            for one in fields(self)[2:]
            if getattr(self, one.name) != one.default
        ]
        return f"make_ranking_scorer({self.metric!r}, k={self.k}{''.join(options)})"


def make_ranking_scorer(
    metric: str = "ndcg",
    k: int = 20,
    *,
    generalization: str = "auto",
    holdout: float = 0.2,
    random_state: int = 0,
) -> RankingScorer:
    """Make a scorer of recommendation lists, for ``scoring=`` of searches and cross-validation.

    What the test data are depends on how they were split, and on the estimator:

    - **weak generalisation**: a pipeline over events, of which some are held out. The lists of
      users that the model knows, without what it was trained on, have to find the items of their
      test events.
    - **strong generalisation**: test users are new, whether as rows of a matrix or as events. Of
      each user's relevant items a share is held out; the rest is folded in, and the list has to
      find those held out.

    Relevant is what has a positive value, after the steps between encoder and recommender.

    The splitter decides which of them it can be. Events for weak generalisation have to be
    *shuffled*: ``cv=KFold(5, shuffle=True, random_state=0)``. The default, ``cv=5``, cuts the table
    into five blocks; where it is sorted by user, as files of ratings often are, a block holds all
    events of its users, who are new to the model but for the two at the edges. Strong
    generalisation takes ``GroupKFold(5)`` with ``groups=events["user"]``, or any splitter of the
    rows of a matrix.

    Parameters
    ----------
    metric : {"ndcg", "recall", "precision", "map", "mrr", "hit_rate"}, default="ndcg"
        See `ndcg_at_k`, `recall_at_k` and so on.

    k : int, default=20
        Length of the lists.

    generalization : {"auto", "weak", "strong"}, default="auto"
        "auto": strong for matrices; for pipelines over events, whichever suits most of the test
        users that can be scored at all: weak if at least as many are known, with an item to be
        found, as are new, with an item to be folded in and another to be found. "strong" folds in
        known users as well, as if they were new.

    holdout : float, default=0.2
        Strong generalisation: share of each user's relevant items to hold out, rounded. At least
        one is held out and at least one folded in; users with fewer than two are left out.

    random_state : int, default=0
        Seed of that draw. The draw for a user depends on the seed and the user's own items, not on
        the other users: all candidates of a search have to find the same items.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None) -> float``, between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        If a parameter is none of the above. The scorer raises ValueError if no relevant item is
        left to find, or if weak generalisation is asked of a matrix.

    Warns
    -----
    DataWarning
        By the scorer, if it is the mean over less than half of the test users that have a positive
        value.

    See Also
    --------
    get_ranking_scorer : The same, by a name such as "ndcg@20".

    Notes
    -----
    Test events of unknown items are left out, as those of unknown users in weak generalisation: a
    copy of the encoder reads them with ``unknown="ignore"``, whatever its own setting. So are test
    events that repeat what the model was trained on, which is never recommended.

    Examples
    --------
    >>> from sklearn.model_selection import KFold, cross_val_score
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.metrics import make_ranking_scorer
    >>> X = make_interactions(60, 40, feedback="implicit", random_state=0)
    >>> scorer = make_ranking_scorer("recall", k=10)
    >>> scorer
    make_ranking_scorer('recall', k=10)
    >>> scores = cross_val_score(ALS(4, random_state=0), X, cv=KFold(3), scoring=scorer)
    >>> bool((scores > 10 / 40).all())  # better than chance
    True
    """
    _check_choice("metric", metric, tuple(_METRICS))
    _check_choice("generalization", generalization, _GENERALIZATIONS)
    _check_split(holdout, random_state)
    return RankingScorer(
        metric, check_count(k, "k"), generalization, float(holdout), int(random_state)
    )


def get_ranking_scorer(name: str) -> RankingScorer:
    """Return the ranking scorer of a name.

    Parameters
    ----------
    name : str
        A metric, "@" and the length of the lists: "ndcg@20", "recall@10".

    Returns
    -------
    scorer : callable
        ``make_ranking_scorer(metric, k)``; its page says which splitters it needs.

    Raises
    ------
    ValueError
        If the name is not of this form, or the metric is unknown.

    Examples
    --------
    >>> from sklearn_unlearn.metrics import get_ranking_scorer
    >>> get_ranking_scorer("ndcg@20")
    make_ranking_scorer('ndcg', k=20)
    """
    found = re.fullmatch(r"([a-z_]+)@([1-9][0-9]*)", name) if isinstance(name, str) else None
    if found is None or found[1] not in _METRICS:
        known = ", ".join(f"'{metric}@k'" for metric in _METRICS)
        raise ValueError(
            f"name={name!r}; expected one of {known}, with k a number of at least 1. Pass for "
            "instance 'ndcg@20', or see get_ranking_scorer_names()."
        )
    return make_ranking_scorer(found[1], int(found[2]))


def get_ranking_scorer_names() -> list[str]:
    """List the usual names for `get_ranking_scorer`, which takes any other k as well.

    Returns
    -------
    names : list of str
        By metric and length of the list.

    Examples
    --------
    >>> from sklearn_unlearn.metrics import get_ranking_scorer_names
    >>> get_ranking_scorer_names()[:3]
    ['ndcg@5', 'ndcg@10', 'ndcg@20']
    """
    return [f"{metric}@{k}" for metric in _METRICS for k in _USUAL_K]


_WHO_IS_SCORED = {
    "weak": (
        "users that the model knows, with items that it was not trained on",
        "Shuffle the events (cv=KFold(5, shuffle=True)), or score users as new ones "
        "(generalization='strong')",
    ),
    "strong": (
        "users with two or more such items, of which some are folded in and the others are to be "
        "found",
        "Leave out users with fewer, and keep all events of a user in one part (cv=GroupKFold(5), "
        "groups=...)",
    ),
}


def _warn_of_few(n_scored: int, n_users: int, generalization: str) -> None:
    who, advice = _WHO_IS_SCORED[generalization]
    warnings.warn(
        f"the score is the mean over {n_scored} of {n_users} test users with positive values of "
        f"items that the model knows; expected most of them, but {generalization} generalisation "
        f"scores {who}. {advice}.",
        DataWarning,
        stacklevel=3,
    )


def _check_choice(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(
            f"{name}={value!r}; expected one of {', '.join(map(repr, known))}. Choose one of these."
        )


def _check_split(holdout: Any, random_state: Any) -> None:
    """Refuse what does not say which items of a user are held out."""
    if isinstance(holdout, bool) or not isinstance(holdout, Real):
        raise TypeError(f"holdout={holdout!r}; expected a number. Pass 0.2 for a fifth.")
    if not 0 < holdout < 1:  # type: ignore[operator]  # numbers.Real has no reflected order
        raise ValueError(
            f"holdout={holdout}; expected a share between 0 and 1, both excluded. Pass 0.2 for a "
            "fifth."
        )
    if isinstance(random_state, bool) or not isinstance(random_state, Integral):
        raise TypeError(
            f"random_state={random_state!r}; expected an integer, so that every candidate has to "
            "find the same items. Pass a fixed seed."
        )
