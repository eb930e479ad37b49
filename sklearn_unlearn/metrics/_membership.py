"""Membership inference by shadow models: who was in the training data, before and after forget."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import check_random_state
from tqdm import tqdm

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.metrics._checks import check_count, check_interactions
from sklearn_unlearn.metrics._membership_result import MembershipResult, measure_arm
from sklearn_unlearn.metrics._scores import ModelScores
from sklearn_unlearn.metrics._seed_cells import positions_of
from sklearn_unlearn.metrics._seed_ensembles import seeds_of
from sklearn_unlearn.utils._random import draw_seed, hashed_bits

__all__ = ["membership_inference"]

Floats = NDArray[np.float64]
# From this many shadow models on, each candidate has variances of its own.
_MANY_SHADOWS = 64
# Non-members that are drawn where the request is smaller.
_FEWEST = 200
_LEVELS = ("pairs", "users")


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs whose membership is asked for, members first.

    Parameters
    ----------
    pairs : ndarray of int64, shape (n, 2)
        Positions of user and item.

    values : ndarray of shape (n,)
        Of the interactions.

    is_member : ndarray of bool, shape (n,)
        Whether the request holds the pair.

    units : ndarray of int64, shape (n,)
        Number of what is in or out together: a pair, or a user.
    """

    pairs: NDArray[np.int64]
    values: Floats
    is_member: NDArray[np.bool_]
    units: NDArray[np.int64]


def membership_inference(
    estimator: Any,
    X: Any,
    X_test: Any,
    interactions: Any = None,
    *,
    users: Any = None,
    items: Any = None,
    level: str = "pairs",
    n_shadows: int = 32,
    forget: Callable[[Any, dict[str, Any]], Any] | None = None,
    n_bootstrap: int = 1000,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> MembershipResult:
    r"""Ask an attacker who was in the training data: of a model, after a request, and of a refit.

    The likelihood-ratio attack (LiRA [1]_): shadow models are fitted to what remains and to half of
    the candidates each, drawn anew. So each candidate has scores of models that knew it and of
    models that did not; two normal distributions are fitted to them, and the score that a model
    under attack gives is judged by the logarithm of their ratio. Candidates are the forgotten
    interactions (members) and interactions that nobody trained on (non-members).

    Parameters
    ----------
    estimator : recommender
        With `fit`, `predict_pairs`, and `forget` unless that is passed. It is cloned and never
        fitted itself.

    X : {array, sparse} of shape (n_users, n_items)
        Interactions to train on.

    X_test : {array, sparse} of shape (n_users, n_items)
        Held-out interactions, none of which is in X. As many as the request has are drawn as
        non-members, or 200 if it has fewer.

    interactions, users, items : default=None
        The request, in every form that `forget` takes.

    level : {"pairs", "users"}, default="pairs"
        "pairs": each candidate is in or out on its own, and judged alone. "users": all candidates
        of a user are in or out together, and their logarithms are added up.

    n_shadows : int, default=32
        Shadow models, an even number of at least 4. From 64 on, each candidate has variances of its
        own; below, all share two.

    forget : callable, default=None
        ``forget(model, request)``, which returns the model after the request: another way to
        forget than the estimator's own, as in `seed_test`.

    n_bootstrap : int, default=1000
        Resamples of users for the intervals.

    random_state : int, RandomState, Generator or None, default=0
        Seed of all draws. The models under attack have the seed of the estimator.

    n_jobs : int or None, default=None
        Shadow models that are trained at once, as in joblib.

    verbose : int, default=0
        Show a progress bar if positive.

    Returns
    -------
    result : MembershipResult
        Print it for a table. What forgetting has to reach is the *refit's* row, neither an AUC of
        .5 nor a rate of 0: members and non-members may differ in more than membership.

    Raises
    ------
    TypeError, ValueError
        For an estimator without the verbs, a request that holds nothing or everything, test data
        that overlap X or are too few, and other wrong arguments.
    UnknownInteractionError
        If the request names what X does not hold.

    See Also
    --------
    seed_test : Compares distributions of scores, with no attacker in between.

    References
    ----------
    .. [1] Carlini et al., "Membership Inference Attacks From First Principles", IEEE S&P 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.metrics import membership_inference
    >>> from sklearn_unlearn.model_selection import split_interactions
    >>> X = make_interactions(60, 40, n_interactions=800, feedback="implicit", random_state=0)
    >>> train, test = split_interactions(X, 0.2, random_state=0)
    >>> pairs = np.argwhere(train.toarray())[::8]
    >>> model = ALS(8, alpha=10.0, regularization=5.0, random_state=0)
    >>> result = membership_inference(model, train, test, pairs, n_shadows=8, n_bootstrap=100)
    >>> result.arms["nothing"].auc > 0.8
    True
    >>> result.verdict
    'as a refit'
    """
    _check_estimator(estimator, forget)
    _check_options(level, n_shadows)
    n_bootstrap = check_count(n_bootstrap, "n_bootstrap")
    X, X_test = check_interactions(X, "X"), check_interactions(X_test, "X_test")
    data = Interactions.from_matrix(X)
    given = {"interactions": interactions, "users": users, "items": items}
    request = {name: value for name, value in given.items() if value is not None}
    positions = positions_of(data, request)
    seed = draw_seed(random_state)
    generator = check_random_state(seed % 2**32)
    candidates = _candidates(data, positions, X_test, level, generator)
    retained = data.remove(positions).to_csr().copy()
    shadows, known = _shadow_scores(
        estimator, retained, candidates, n_shadows, seed, n_jobs, verbose
    )
    groups = np.where(candidates.is_member, 0, data.n_users) + candidates.pairs[:, 0]
    first = np.unique(candidates.units, return_index=True)[1]
    arms, members = {}, candidates.is_member[first]
    for name, model in _targets(estimator, X, retained, request, forget):
        ratios = _log_ratios(_scores(model, candidates.pairs), shadows, known)
        values = np.bincount(candidates.units, ratios).astype(np.float64)
        arms[name] = measure_arm(values, members, groups[first], n_bootstrap, generator)
    return MembershipResult(arms, level, int(members.sum()), int((~members).sum()), int(n_shadows))


def _candidates(
    data: Interactions,
    positions: NDArray[np.int64],
    X_test: sparse.csr_array,
    level: str,
    generator: np.random.RandomState,
) -> Candidates:
    if X_test.shape != data.shape:
        raise ValueError(
            f"X_test has shape {X_test.shape} and X {data.shape}; expected the same. Pass held-out "
            "interactions of the same users and items."
        )
    rows = np.repeat(np.arange(X_test.shape[0]), np.diff(X_test.indptr))
    others = np.column_stack([rows, X_test.indices]).astype(np.int64)
    n_known = int((data.locate(others[:, 0], others[:, 1]) >= 0).sum())
    if n_known:
        raise ValueError(
            f"{n_known} pairs are in X and in X_test; expected none, as non-members must not be "
            "trained on. Pass the test part of a split."
        )
    wanted = max(len(positions), _FEWEST)
    drawn = np.sort(generator.permutation(len(others))[:wanted])
    if len(drawn) < 2:
        raise ValueError(
            f"X_test holds {len(drawn)} interactions; expected at least 2, and 100 or more for a "
            "rate of 1 %. Hold out more."
        )
    members = np.column_stack([data.rows[positions], data.indices[positions]]).astype(np.int64)
    pairs = np.concatenate([members, others[drawn]])
    values = np.concatenate([data.values[positions], X_test.data[drawn]]).astype(np.float64)
    is_member = np.arange(len(pairs)) < len(members)
    units = np.arange(len(pairs), dtype=np.int64)
    if level == "users":
        keys = np.where(is_member, 0, data.n_users) + pairs[:, 0]
        units = np.unique(keys, return_inverse=True)[1].astype(np.int64)
    return Candidates(pairs, values, is_member, units)


def _shadow_scores(
    estimator: Any,
    retained: sparse.csr_array,
    candidates: Candidates,
    n_shadows: int,
    seed: int,
    n_jobs: int | None,
    verbose: int,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return scores of all candidates by all shadow models, and whether each was known."""
    n_units = int(candidates.units.max()) + 1
    draws = hashed_bits(seed, np.arange(n_units)[:, None], np.arange(n_shadows), 1)
    # Each unit is known to exactly half of the models, drawn for it alone.
    half = np.argsort(np.argsort(draws, axis=1), axis=1) < n_shadows // 2
    known = half[candidates.units].T
    seeds = (hashed_bits(seed, np.arange(n_shadows), 0, 2) >> np.uint64(33)).tolist()
    calls = (
        joblib.delayed(_shadow)(estimator, retained, candidates, inside, one)
        for inside, one in zip(known, seeds, strict=True)
    )
    results = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(calls)
    bar = tqdm(results, total=n_shadows, disable=verbose <= 0, desc="shadow models", unit="fit")
    return np.stack(list(bar)), known


def _shadow(
    estimator: Any,
    retained: sparse.csr_array,
    candidates: Candidates,
    inside: NDArray[np.bool_],
    seed: int,
) -> Floats:
    """Fit what remains and some candidates, and score all of them."""
    added = sparse.csr_array(
        (candidates.values[inside], tuple(candidates.pairs[inside].T)), shape=retained.shape
    )
    model = clone(estimator).set_params(**dict.fromkeys(seeds_of(estimator), seed))
    return _scores(model.fit(sparse.csr_array(retained + added)), candidates.pairs)


def _targets(
    estimator: Any,
    X: sparse.csr_array,
    retained: sparse.csr_array,
    request: dict[str, Any],
    forget: Callable[[Any, dict[str, Any]], Any] | None,
) -> Any:
    """Yield the models under attack, by name."""
    before = clone(estimator).fit(X)
    yield "nothing", before
    after, asked = copy.deepcopy(before), copy.deepcopy(request)
    yield "forgotten", after.forget(**asked) if forget is None else forget(after, asked)
    yield "refit", clone(estimator).fit(retained)


def _scores(model: Any, pairs: NDArray[np.int64]) -> Floats:
    return ModelScores(model, type(model).__name__).at(pairs[:, 0], pairs[:, 1])


def _log_ratios(scores: Floats, shadows: Floats, known: NDArray[np.bool_]) -> Floats:
    """Return the log of the density of scores among models that knew, over that of the others."""
    logs = []
    for inside in (known, ~known):
        count = inside.sum(axis=0)
        mean = np.where(inside, shadows, 0.0).sum(axis=0) / count
        square = np.where(inside, (shadows - mean) ** 2, 0.0).sum(axis=0)
        if len(shadows) < _MANY_SHADOWS:
            variance = np.full_like(mean, square.sum() / (count - 1).sum())
        else:
            variance = square / (count - 1)
        # Models without a seed may agree to the last bit.
        variance = np.maximum(variance, 1e-12 * (1e-12 + np.mean(shadows**2)))
        logs.append(-0.5 * np.log(variance) - 0.5 * (scores - mean) ** 2 / variance)
    return logs[0] - logs[1]


# -- checks ----------------------------------------------------------------------------------------
def _check_estimator(estimator: Any, forget: Any) -> None:
    name = type(estimator).__name__
    verbs = ["fit", "get_params", "predict_pairs", *(["forget"] if forget is None else [])]
    lacking = [verb for verb in verbs if not hasattr(estimator, verb)]
    if isinstance(estimator, type) or hasattr(estimator, "steps") or lacking:
        raise TypeError(
            f"the estimator is a {name} and has no {', no '.join(lacking) or 'positions'}; "
            "expected a recommender that fits, scores pairs and forgets by position. Pass one, or "
            "the last step of a pipeline."
        )
    if forget is not None and not callable(forget):
        raise TypeError(
            f"forget is a {type(forget).__name__}; expected a function of a model and a request. "
            "Pass a strategy as the estimator's unlearner."
        )


def _check_options(level: Any, n_shadows: Any) -> None:
    if level not in _LEVELS:
        raise ValueError(
            f"level={level!r}; expected one of {', '.join(map(repr, _LEVELS))}. Choose one of "
            "these."
        )
    if isinstance(n_shadows, bool | np.bool_) or not isinstance(n_shadows, Integral):
        raise TypeError(f"n_shadows={n_shadows!r}; expected an even integer. Pass 32.")
    if n_shadows < 4 or n_shadows % 2:
        raise ValueError(
            f"n_shadows={n_shadows}; expected an even number of at least 4, as each candidate is "
            "known to half of the models. Pass 32."
        )
