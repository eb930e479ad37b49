"""The convex problem behind a pointwise factor model: spectrum, primal, dual, bound.

See `influence._certificate` for the mathematics; here are the sums.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence.backends import Pattern
from sklearn_unlearn.objectives._base import Layout
from sklearn_unlearn.objectives._losses import Loss
from sklearn_unlearn.objectives._ridge import Ridge

__all__ = ["convex_value", "dual_value", "norm_bound", "prediction_bound", "score_spectrum"]

Floats = NDArray[Any]


class Pointwise(Protocol):
    """What these sums ask of a pointwise objective."""

    @property
    def layout(self) -> Layout: ...
    @property
    def ridge(self) -> Ridge: ...
    @property
    def loss(self) -> Loss: ...
    @property
    def pattern(self) -> Pattern: ...
    @property
    def targets(self) -> Floats: ...
    @property
    def weights(self) -> Floats | None: ...
    @property
    def offset(self) -> float: ...
    def scores(self, theta: Floats) -> Floats: ...


def score_spectrum(objective: Pointwise, theta: Floats) -> Floats:
    """Singular values of ``L_u^1/2 P Q' L_i^1/2``, from two QR decompositions."""
    k, m = objective.layout.n_factors, objective.layout.n_users
    scaled = theta[:, :k] * np.sqrt(objective.ridge.of_factors(objective.layout))[:, None]
    left = np.linalg.qr(scaled[:m], mode="r")
    right = np.linalg.qr(scaled[m:], mode="r")
    return np.linalg.svd(np.asarray(left) @ np.asarray(right).T, full_matrices=False)[1]


def convex_value(objective: Pointwise, theta: Floats, nuclear_norm: float) -> float:
    """Losses, plus the nuclear norm in place of the penalty on the factors, plus that on biases."""
    losses = objective.loss.value(objective.scores(theta), objective.targets)
    total = losses.sum() if objective.weights is None else objective.weights @ losses
    return float(total + nuclear_norm + 0.5 * _bias_penalty(objective, theta))


def _bias_penalty(objective: Pointwise, theta: Floats) -> float:
    if not objective.layout.fit_bias:
        return 0.0
    biases = objective.layout.biases(theta)
    ridges = objective.ridge.of_biases(objective.layout)
    return sum(float(r @ (b * b)) for r, b in zip(ridges, biases, strict=True))


def dual_value(objective: Pointwise, theta: Floats, shrink: float) -> float:
    """Dual objective at the slopes of theta times `shrink`, which must make them feasible."""
    o = objective
    slopes = shrink * o.loss.derivatives(o.scores(theta), o.targets)[0]
    terms = o.loss.conjugate(slopes, o.targets) - slopes * o.offset
    total = -float(terms.sum() if o.weights is None else o.weights @ terms)
    if o.layout.fit_bias:
        weighted = slopes if o.weights is None else slopes * o.weights
        n_users, n_items = o.pattern.shape
        rows = np.repeat(np.arange(n_users), np.diff(o.pattern.indptr))
        by_user = np.bincount(rows, weighted, n_users)
        by_item = np.bincount(o.pattern.indices, weighted, n_items)
        user_ridge, item_ridge = o.ridge.of_biases(o.layout)
        total -= 0.5 * float((by_user**2 / user_ridge).sum() + (by_item**2 / item_ridge).sum())
    return total


def prediction_bound(objective: Pointwise, theta: Floats, shrink: float, gap: float) -> float:
    r"""Bound the distance to any model whose gap is no larger, as a root mean square of scores.

    Let x* be the optimum, G the gap, and rho the dual point, feasible by construction. Fenchel and
    Young give :math:`\sum B(x^*, \tilde x) \le G` with B the Bregman divergence of the losses and
    :math:`\tilde x` the scores whose slope is rho: it bounds every single :math:`|x^*_e - \tilde
    x_e|`, and with it the curvature at x*. For any x of objective at most G above the optimum,
    :math:`\sum B(x, x^*) \le G`, so the sum of :math:`(x - x^*)^2` is bounded by G over the
    smallest such curvature. Two such models are at most twice that apart.
    """
    o = objective
    if not len(o.targets):
        return 0.0
    slopes = shrink * o.loss.derivatives(o.scores(theta), o.targets)[0]
    curvature = o.loss.curvature_at_slope(slopes, o.targets)
    lowest = float((curvature if o.weights is None else curvature * o.weights).min())
    if not (lowest > 0 and np.isfinite(gap)):
        return float("inf")
    lowest *= o.loss.curvature_kept(o.loss.max_shift(gap / lowest))
    if not lowest > 0:
        return float("inf")
    # max_shift bounds one score by the gap; together the squares are bounded likewise.
    return 2 * o.loss.max_shift(gap / lowest) / float(np.sqrt(len(o.targets)))


def norm_bound(values: Floats, rows: NDArray[Any], columns: NDArray[Any]) -> float:
    """Bound the spectral norm of a sparse matrix: the root of its 1-norm times its inf-norm."""
    sizes = np.abs(values)
    by_row, by_column = np.bincount(rows, sizes), np.bincount(columns, sizes)
    return float(np.sqrt(by_row.max(initial=0.0) * by_column.max(initial=0.0)))
