"""Interactions that move some scores most: the question that forgetting answers, asked of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from sklearn_unlearn.backends import namespace_of, to_numpy
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import Objective
from sklearn_unlearn.solvers import SOLVERS, GaugeFixedHessian, HorizontalProjector, Status
from sklearn_unlearn.solvers._linear import block_jacobi
from sklearn_unlearn.utils._interactions import rows_of

__all__ = ["InfluentialInteractions", "find_influential"]

Floats = NDArray[Any]
Ints = NDArray[np.int64]
# No trust region: its square must not overflow.
_NO_RADIUS = 1e100
_RTOL, _MAX_ITER = 1e-6, 2000
_MOST_LEVERAGE = 0.9
_LIKELY = 4  # times as many as are asked for, by their first-order effect, are looked at again
_AT_ONCE = 1 << 9  # interactions, each with four blocks of the Hessian


@dataclass(frozen=True)
class InfluentialInteractions:
    """Interactions, and by how much a score would change if each was forgotten alone.

    Parameters
    ----------
    pairs : ndarray of int64, shape (n, 2)
        Users and items, the largest effect first.

    effects : ndarray of float64, shape (n,)
        First-order change of the sum of the target scores if the interaction was forgotten:
        negative for one that raises them.

    user_effects : ndarray of float64, shape (n_users,)
        Sum of the effects of all interactions of each user.

    item_effects : ndarray of float64, shape (n_items,)
        Sum of the effects of all interactions with each item.

    residual : float
        Relative residual of the linear solve.

    n_products : int
        Hessian products that it took.

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.influence import find_influential
    >>> X = make_interactions(60, 40, random_state=0)
    >>> model = MatrixFactorization(8, regularization=3.0, random_state=0).fit(X)
    >>> found = find_influential(model, [[3, 7]], k=5)
    >>> found.pairs.shape, found.effects.shape, found.user_effects.shape
    ((5, 2), (5,), (60,))
    """

    pairs: Ints
    effects: Floats
    user_effects: Floats
    item_effects: Floats
    residual: float
    n_products: int

    def __repr__(self) -> str:
        return f"<InfluentialInteractions: {len(self.pairs)} of largest effect>"


def find_influential(
    model: Any,
    pairs: ArrayLike | None = None,
    k: int | None = 10,
    *,
    users: ArrayLike | None = None,
    n_items: int = 10,
) -> InfluentialInteractions:
    r"""Find the training interactions that move some scores most.

    One linear solve with the Hessian of the model's objective answers for all interactions at
    once [1]_: with :math:`s` the sum of the target scores and :math:`\ell_z` what interaction z
    adds to the objective, penalty included,

    .. math:: s(\hat\theta_{-z}) - s(\hat\theta)
        \approx \nabla s' H^{-1} \nabla \ell_z .

    Parameters
    ----------
    model : MatrixFactorization or ALS
        Fitted to its optimum.

    pairs : array-like of int, shape (n, 2), or None, default=None
        Users and items whose scores are explained, observed or not.

    k : int or None, default=10
        How many interactions to return; None is all.

    users : array-like of int, or None, default=None
        Instead of `pairs`: the items that ``recommend`` lists for these users.

    n_items : int, default=10
        Length of those lists.

    Returns
    -------
    found : InfluentialInteractions

    Raises
    ------
    TypeError
        If the model is of another kind: where the removal of one interaction changes the terms of
        others, as in graphs and draws, effects do not add up.
    ValueError
        If both or none of `pairs` and `users` are given, a position is out of range, or the model
        is not at a minimum.

    References
    ----------
    .. [1] Koh and Liang, "Understanding Black-box Predictions via Influence Functions", ICML 2017,
       equation 2.

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.influence import find_influential
    >>> X = make_interactions(60, 40, random_state=0)
    >>> model = MatrixFactorization(8, regularization=3.0, random_state=0).fit(X)
    >>> found = find_influential(model, [[3, 7]], k=5)
    >>> found.pairs.shape
    (5, 2)
    >>> before = model.predict_pairs([[3, 7]])[0]
    >>> after = model.forget(found.pairs[:1]).predict_pairs([[3, 7]])[0]
    >>> bool(abs((after - before) / found.effects[0] - 1) < 0.1)
    True
    """
    check_is_fitted(model)
    _check_kind(hasattr(model, "_make_objective"), model)
    model._check_parameters()
    targets = _targets(model, pairs, users, n_items)
    if k is not None and (not isinstance(k, int | np.integer) or k < 1):
        raise ValueError(f"k={k!r} was given; expected a positive integer, or None. Raise it.")
    with model._threads():
        return _find(model, targets, k)


def _check_kind(is_known: bool, model: Any) -> None:
    if not is_known:
        raise TypeError(
            f"got a {type(model).__name__}, in which one interaction changes the terms of others; "
            "expected MatrixFactorization or ALS. Let a copy forget the interactions in question."
        )


def _targets(model: Any, pairs: Any, users: Any, n_items: int) -> Ints:
    """Users and items whose scores are asked about, shape (n, 2)."""
    if (pairs is None) == (users is None):
        given = "both" if users is not None else "none"
        raise ValueError(
            f"{given} of pairs and users were given; expected one of them. Pass pairs=[[user, "
            "item], ...] or users=[...]."
        )
    if pairs is None:
        users = np.atleast_1d(np.asarray(users, np.int64))
        items, _ = model.recommend(users=users, n_items=n_items)
        targets = np.column_stack([np.repeat(users, items.shape[1]), items.ravel()])
        return targets[targets[:, 1] >= 0]
    targets = np.asarray(pairs)
    shaped = targets.ndim == 2 and targets.shape[1:] == (2,) and targets.dtype.kind in "iu"
    if not shaped or not len(targets):
        raise ValueError(
            f"pairs is an array of shape {targets.shape} and type {targets.dtype}; expected "
            "integers of shape (n, 2), n at least 1. Pass [[user, item], ...]."
        )
    if (targets < 0).any() or (targets >= model._interactions.shape).any():
        raise ValueError(
            f"pairs holds positions outside of the table of {model._interactions.shape}; expected "
            "0 to below that. Check the ids that they come from."
        )
    return targets.astype(np.int64)


def _find(model: Any, targets: Ints, k: int | None) -> InfluentialInteractions:
    data: Interactions = model._interactions
    objective: Objective = model._make_objective(data, offset=model._offset)
    theta = model._theta(objective.layout).astype(np.float64)
    _check_kind(objective.removal_derivatives(theta) is not None, model)
    response, residual, n_products = _solve(objective, theta, targets)
    effects = _effects(model, objective, data, theta, response, len(targets))
    users, items = data.rows, np.asarray(data.indices)
    likely = np.argsort(-np.abs(effects), kind="stable")[: None if k is None else _LIKELY * k]
    exact = effects[likely] * _gains(objective, theta, likely)
    first = np.argsort(-np.abs(exact), kind="stable")[:k]
    order = likely[first]
    return InfluentialInteractions(
        np.column_stack([users[order], items[order]]).astype(np.int64),
        exact[first],
        np.bincount(users, effects, minlength=data.n_users),
        np.bincount(items, effects, minlength=data.n_items),
        residual,
        n_products,
    )


def _solve(objective: Objective, theta: Floats, targets: Ints) -> tuple[Floats, float, int]:
    """Solve ``H x = gradient of the target scores``."""
    point: Any = objective.at(theta)
    m, layout = objective.layout.n_users, objective.layout
    g = np.zeros_like(theta)
    np.add.at(g, targets[:, 0], theta[targets[:, 1] + m])
    np.add.at(g, targets[:, 1] + m, theta[targets[:, 0]])
    layout.mask_fixed(g)
    if not g.any():
        return g, 0.0, 0
    diagonal = namespace_of(point.theta).abs(point.hessian_diagonal())
    projector = HorizontalProjector(point.theta, layout.n_factors if objective.has_gauge else 0)
    hessian = GaugeFixedHessian(point, projector, diagonal)
    start = namespace_of(point.theta).asarray(-g.ravel())
    solution = SOLVERS["trust-ncg"](
        hessian, start, block_jacobi(point, diagonal),
        radius=_NO_RADIUS, rtol=_RTOL, max_iter=_MAX_ITER,
    )  # fmt: skip
    if solution.status is not Status.CONVERGED:
        raise ValueError(
            f"the solve ended before its tolerance ({solution.status.value}); expected a model at "
            "a minimum. Fit to a smaller tol, or with a larger regularization."
        )
    found = to_numpy(solution.value).reshape(theta.shape)
    return found, solution.residual_norm, hessian.n_products


def _effects(
    model: Any, objective: Any, data: Interactions, theta: Floats, response: Floats, n_targets: int
) -> Floats:
    """Effect of each interaction: by its own loss, by the mean, and by the penalty of its rows."""
    backend, m = objective.backend, data.n_users
    V, T = (backend.asarray(one) for one in (response, theta))
    along = backend.to_numpy(backend.sddmm(objective.pattern, (V[:m], T[m:]), (T[:m], V[m:])))
    slopes, curvatures = objective.removal_derivatives(theta)
    effects = slopes * along
    if objective.offset:
        effects += _shifts_of_the_mean(objective) * (n_targets - curvatures @ along)
    if getattr(model, "frequency_scaling", 0.0):
        pulls = objective.ridge_gradient(theta, np.arange(len(theta)))
        lost = np.einsum("nk,nk->n", response, pulls) * _lost_penalties(model, data)
        effects += lost[data.rows] + lost[m + np.asarray(data.indices)]
    return effects


def _gains(objective: Any, theta: Floats, cells: Ints) -> Floats:
    r"""By how much less the Hessian resists once the curvature of an interaction is gone.

    With w its curvature, a the gradient of its score and M the Hessian of its user and item alone,
    ``1 / (1 - w a' M^{-1} a)``: leave-one-out by Sherman and Morrison, other rows held.
    """
    point, pattern, m = objective.at(theta), objective.pattern, objective.layout.n_users
    slopes, curvatures = objective.removal_derivatives(theta)
    moves = objective.layout.mask_fixed(np.ones_like(theta))
    blocks, width = to_numpy(point.blocks()), theta.shape[1]
    out = np.ones(len(cells))
    for start in range(0, len(cells), _AT_ONCE):
        part = cells[start : start + _AT_ONCE]
        rows = rows_of(pattern.indptr, part), pattern.indices[part] + m
        own, other = (theta[one] * moves[two] for one, two in (rows[::-1], rows))
        a = np.concatenate([own, other], axis=1)
        cross = curvatures[part][:, None, None] * own[:, :, None] * other[:, None, :]
        diagonal = slopes[part][:, None] * moves[rows[0]] * moves[rows[1]]
        cross[:, np.arange(width), np.arange(width)] += diagonal
        M = np.block([[blocks[rows[0]], cross], [cross.swapaxes(1, 2), blocks[rows[1]]]])
        share = curvatures[part] * np.einsum(
            "nk,nk->n", a, np.linalg.solve(M, a[:, :, None])[:, :, 0]
        )
        out[start : start + _AT_ONCE] = 1.0 / (1.0 - np.clip(share, 0.0, _MOST_LEVERAGE))
    return out


def _shifts_of_the_mean(objective: Any) -> Floats:
    """Change of the constant that all scores start from, without each interaction."""
    constant = np.full_like(objective.targets, objective.offset)
    slopes, curvatures = objective.loss.derivatives(constant, objective.targets)
    if objective.weights is not None:
        slopes, curvatures = slopes * objective.weights, curvatures * objective.weights
    left = curvatures.sum() - curvatures
    return np.divide(slopes, left, out=np.zeros_like(slopes), where=left > 0)


def _lost_penalties(model: Any, data: Interactions) -> Floats:
    """Share of its penalty that each row loses with one interaction, users first."""
    offsets = np.broadcast_to(getattr(model, "frequency_offset", 0.0), 2)
    shares = []
    for degrees, offset in zip((data.user_degrees, data.item_degrees), offsets, strict=True):
        left = np.maximum(degrees - 1.0 + offset, 1.0)  # an empty row counts as one interaction
        full = np.maximum(degrees + offset, 1.0)
        shares.append(1.0 - (left / full) ** model.frequency_scaling)
    return np.concatenate(shares)
