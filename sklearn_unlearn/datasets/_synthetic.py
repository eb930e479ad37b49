"""Interactions with a known low-rank truth and heavy-tailed degrees."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import expit
from sklearn.utils import Bunch, check_random_state

from ._events import Events

__all__ = ["make_interactions"]

# Below this many cells a user-item grid is drawn from as a whole, above by rejection.
_MAX_GRID = 2_000_000


def make_interactions(
    n_users: int = 200,
    n_items: int = 100,
    *,
    n_interactions: int | None = None,
    n_factors: int = 5,
    feedback: str = "label",
    noise: float = 1.0,
    popularity: float = 0.8,
    bias_scale: float = 0.5,
    random_state: Any = None,
    return_events: bool = False,
    return_factors: bool = False,
) -> Any:
    r"""Make interactions of users and items with a known truth.

    The true score of user u and item i is :math:`s_{ui} = p_u^\top q_i + b_u + c_i`, where the
    product has a standard deviation of 2 and each bias one of `bias_scale`. Which cells are
    observed follows Zipf's law: the k-th most active user and the k-th most popular item weigh
    :math:`k^{-a}`, a being `popularity`, and cells are drawn without replacement.

    Parameters
    ----------
    n_users, n_items : int, default=200, 100
        Shape of the matrix.
    n_interactions : int or None, default=None
        Number of observed cells, exactly. None: 20 for each user, at most half of all cells. Each
        user and each item has at least one where there are `n_users + n_items` or more.
    n_factors : int, default=5
        Rank of the truth.
    feedback : {"label", "rating", "implicit"}, default="label"
        "label": +1 with probability :math:`\sigma(s / noise)`, else -1. "rating": 3 + s / 2 plus
        normal noise of standard deviation noise / 2, rounded to half steps from 1 to 5.
        "implicit": counts from 1 on, 1 + Poisson(:math:`e^{\min(s, 3) / 2}`); here a cell is also
        the likelier to be observed the higher :math:`\sigma(s / noise)`.
    noise : float, default=1.0
        Scale of the noise; with 0 labels are the sign of s.
    popularity : float, default=0.8
        Exponent a of Zipf's law; 0 gives even degrees.
    bias_scale : float, default=0.5
        Standard deviation of user and item biases.
    random_state : int, RandomState instance or None, default=None
        An int gives the same data every time.
    return_events : bool, default=False
        Return a table of events in random order with text ids ("u007", "i42", of equal length) and
        timestamps 0, 1, 2, ... instead of the matrix.
    return_factors : bool, default=False
        Return the truth as well.

    Returns
    -------
    X : csr_array of shape (n_users, n_items), or Events
        float64, sorted, without duplicates.
    truth : Bunch
        Only if `return_factors`: `user_factors` of shape (n_users, n_factors), `item_factors` of
        shape (n_items, n_factors), `user_bias` and `item_bias`.

    Raises
    ------
    ValueError
        A parameter is out of its range, or `n_interactions` exceeds the number of cells.

    Examples
    --------
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(50, 30, n_interactions=400, random_state=0)
    >>> X.shape, X.nnz, sorted(set(X.data.tolist()))
    ((50, 30), 400, [-1.0, 1.0])
    >>> make_interactions(50, 30, n_interactions=400, random_state=0, return_events=True)
    <Events: 400 events with timestamps>
    """
    n_interactions = _check(
        n_users, n_items, n_interactions, n_factors, feedback, noise, popularity, bias_scale
    )
    rng = check_random_state(random_state)
    truth = _draw_truth(n_users, n_items, n_factors, bias_scale, rng)
    user_weights, item_weights = (_zipf(n, popularity, rng) for n in (n_users, n_items))
    liking = (truth, noise) if feedback == "implicit" else None
    cells = _draw_cells(user_weights, item_weights, n_interactions, liking, rng)
    users, items = np.divmod(np.sort(cells), n_items)
    values = _draw_values(_scores(truth, users, items), feedback, noise, rng)
    if return_events:
        data: Any = _as_events(users, items, values, (n_users, n_items), rng)
    else:
        indptr = np.concatenate(([0], np.cumsum(np.bincount(users, minlength=n_users))))
        data = sparse.csr_array((values, items, indptr), shape=(n_users, n_items))
    return (data, truth) if return_factors else data


def _check(
    n_users: Any,
    n_items: Any,
    n_interactions: Any,
    n_factors: Any,
    feedback: Any,
    noise: Any,
    popularity: Any,
    bias_scale: Any,
) -> int:
    """Refuse parameters out of range; return the number of interactions."""
    for name, count in (("n_users", n_users), ("n_items", n_items), ("n_factors", n_factors)):
        if isinstance(count, bool) or not isinstance(count, Integral) or count < 1:
            raise ValueError(f"Got {name}={count!r}; expected an integer of at least 1. Raise it.")
    for name, scale in (("noise", noise), ("popularity", popularity), ("bias_scale", bias_scale)):
        scaled: Any = scale  # numbers.Real has no reflected order
        if not isinstance(scale, Real) or not 0 <= scaled < np.inf:
            raise ValueError(f"Got {name}={scale!r}; expected a finite number >= 0. Change it.")
    if feedback not in ("label", "rating", "implicit"):
        raise ValueError(
            f"Got feedback={feedback!r}; expected 'label', 'rating' or 'implicit'. Choose one."
        )
    n_cells = n_users * n_items
    if n_interactions is None:
        return min(20 * n_users, max(n_cells // 2, 1))
    if not isinstance(n_interactions, Integral) or not (
        1 <= n_interactions <= n_cells  # type: ignore[operator]  # as above
    ):
        raise ValueError(
            f"Got n_interactions={n_interactions!r} for {n_cells} cells; expected an integer from "
            "1 to that number. Lower it, or ask for more users or items."
        )
    return int(n_interactions)


def _draw_truth(n_users: int, n_items: int, n_factors: int, bias_scale: float, rng: Any) -> Bunch:
    # Each factor of variance 2 / sqrt(k): their product has a standard deviation of 2.
    scale = np.sqrt(2 / np.sqrt(n_factors))
    return Bunch(
        user_factors=scale * rng.standard_normal((n_users, n_factors)),
        item_factors=scale * rng.standard_normal((n_items, n_factors)),
        user_bias=bias_scale * rng.standard_normal(n_users),
        item_bias=bias_scale * rng.standard_normal(n_items),
    )


def _scores(truth: Bunch, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    scores = truth.user_bias[users] + truth.item_bias[items]
    for p, q in zip(truth.user_factors.T, truth.item_factors.T, strict=True):
        scores += p[users] * q[items]  # one factor at a time: never an nnz x k temporary
    return scores


def _like_probability(scores: np.ndarray, noise: float) -> np.ndarray:
    if noise == 0:
        return (scores > 0).astype(np.float64)
    return expit(scores / noise)


def _zipf(n: int, exponent: float, rng: Any) -> np.ndarray:
    """Weights of n users or items, the ranks dealt out at random."""
    weights = (rng.permutation(n) + 1.0) ** -exponent
    return weights / weights.sum()


def _draw_cells(
    user_weights: np.ndarray,
    item_weights: np.ndarray,
    n: int,
    liking: tuple[Bunch, float] | None,
    rng: Any,
) -> np.ndarray:
    """Draw n distinct cells u * n_items + i, with probability by the product of the weights."""
    n_users, n_items = len(user_weights), len(item_weights)
    first = np.empty(0, np.int64)
    if n >= n_users + n_items:  # nobody, and nothing, is left out
        users = np.concatenate((np.arange(n_users), _pick(user_weights, n_items, rng)))
        items = np.concatenate((_pick(item_weights, n_users, rng), np.arange(n_items)))
        first = np.unique(users * np.int64(n_items) + items)
    if n_users * n_items <= max(_MAX_GRID, 4 * n):
        return _draw_from_grid(user_weights, item_weights, n, first, liking, rng)
    return _draw_by_rejection(user_weights, item_weights, n, first, liking, rng)


def _draw_from_grid(
    user_weights: np.ndarray,
    item_weights: np.ndarray,
    n: int,
    first: np.ndarray,
    liking: tuple[Bunch, float] | None,
    rng: Any,
) -> np.ndarray:
    """Weighted draw without replacement: the n largest of log weight + Gumbel noise."""
    key = rng.gumbel(size=(len(user_weights), len(item_weights)))
    key += np.log(user_weights)[:, None] + np.log(item_weights)
    if liking is not None:
        truth, noise = liking
        scores = truth.user_factors @ truth.item_factors.T + truth.user_bias[:, None]
        # The floor keeps every cell possible, so that n cells can always be found.
        key += np.log(np.maximum(_like_probability(scores + truth.item_bias, noise), 1e-12))
    key = key.ravel()
    key[first] = np.inf
    return np.argpartition(key, len(key) - n)[len(key) - n :]


def _draw_by_rejection(
    user_weights: np.ndarray,
    item_weights: np.ndarray,
    n: int,
    first: np.ndarray,
    liking: tuple[Bunch, float] | None,
    rng: Any,
) -> np.ndarray:
    """Draw with replacement and keep the first n distinct cells: the same law as the grid's."""
    cells = first
    while len(cells) < n:
        n_draws = int(1.5 * (n - len(cells))) + 1000
        users = _pick(user_weights, n_draws, rng)
        items = _pick(item_weights, n_draws, rng)
        drawn = users * np.int64(len(item_weights)) + items
        if liking is not None:
            chance = _like_probability(_scores(liking[0], users, items), liking[1])
            drawn = drawn[rng.random_sample(n_draws) < chance]
        before = len(cells)
        cells = np.concatenate((cells, drawn))
        _, place = np.unique(cells, return_index=True)
        cells = cells[np.sort(place)]
        if len(cells) - before < n_draws // 10:
            # The head is used up: flatten the weights, or the last cells would take for ever.
            user_weights, item_weights = (
                np.sqrt(w) / np.sqrt(w).sum() for w in (user_weights, item_weights)
            )
    return cells[:n]


def _pick(weights: np.ndarray, n: int, rng: Any) -> np.ndarray:
    edges = np.cumsum(weights)
    return np.searchsorted(edges[:-1], rng.random_sample(n), side="right")


def _draw_values(scores: np.ndarray, feedback: str, noise: float, rng: Any) -> np.ndarray:
    if feedback == "label":
        liked = rng.random_sample(len(scores)) < _like_probability(scores, noise)
        return np.where(liked, 1.0, -1.0)
    if feedback == "rating":
        ratings = 3 + (scores + noise * rng.standard_normal(len(scores))) / 2
        return np.clip(np.round(2 * ratings) / 2, 1.0, 5.0)
    return 1.0 + rng.poisson(np.exp(np.minimum(scores, 3.0) / 2))


def _as_events(
    users: np.ndarray, items: np.ndarray, values: np.ndarray, shape: tuple[int, int], rng: Any
) -> Events:
    """Write positions as text ids, in random order."""
    order = rng.permutation(len(users))
    ids = []
    for letter, n, positions in zip("ui", shape, (users, items), strict=True):
        width = len(str(n - 1))
        names = np.array([f"{letter}{k:0{width}d}" for k in range(n)], object)
        ids.append(names[positions[order]])
    return Events(ids[0], ids[1], values[order], np.arange(len(order)))
