"""The certificate of losses of single scores, and of differences of two scores.

See `certificates._optimality` and `certificates._rank` for the mathematics; here are the sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from sklearn_unlearn.certificates._base import PlainFactors, norm_bound, scaled_pattern

__all__ = ["LossCertificate"]

Floats = NDArray[Any]


@dataclass(frozen=True)
class LossCertificate(PlainFactors):
    """Of an objective with targets, a loss and a ridge, one term a score or difference.

    Parameters
    ----------
    objective : PointwiseObjective or PairwiseObjective
        J.

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(60, 40, random_state=0)
    >>> model = MatrixFactorization(8, random_state=0).fit(X)
    >>> model.certify().certified
    True
    """

    objective: Any

    def residual_operator(self, theta: Floats) -> LinearOperator:
        """Slopes on the pattern, rows and columns divided by the root of their ridge."""
        o = self.objective
        return scaled_pattern(o.pattern, o.slopes(theta), o.row_penalties)

    def residual_change(self, before: Floats, after: Floats, rows: NDArray[Any]) -> float:
        """Upper bound of the change of the residual operator when only some rows move."""
        ridge = self.objective.ridge
        if ridge.row_weights is not None:
            return float("inf")  # the scaling of the operator may have changed with the data
        part, table_rows = self.objective.restrict(rows)
        slopes = (part.slopes(theta[table_rows]) for theta in (after, before))
        change = next(slopes) - next(slopes)
        users = np.repeat(np.arange(part.layout.n_users), np.diff(part.pattern.indptr))
        return float(norm_bound(change, users, part.pattern.indices) / ridge.factors)

    def removed_residual(
        self, theta: Floats, users: NDArray[Any], items: NDArray[Any], values: Floats
    ) -> float:
        """Upper bound of the norm of the part of the residual operator that removed cells held."""
        ridge = self.objective.ridge
        if ridge.row_weights is not None:
            return float("inf")  # as for its change; slopes would have weights of their own too
        cells = self.objective.removed_slopes(theta, users, items, values)
        return float(norm_bound(*cells) / ridge.factors)

    def convex_value(self, theta: Floats, nuclear_norm: float) -> float:
        """Losses, the nuclear norm in place of the penalty on factors, and that on biases."""
        o = self.objective
        losses = o.loss.value(o.margins(theta), o.targets)
        total = float(losses.sum() if o.weights is None else o.weights @ losses) + nuclear_norm
        if not o.layout.fit_bias:
            return total
        biases, ridges = o.layout.biases(theta), o.ridge.of_biases(o.layout)
        return total + 0.5 * sum(float(r @ (b * b)) for r, b in zip(ridges, biases, strict=True))

    def dual_value(self, theta: Floats, shrink: float) -> float:
        """Dual objective at the slopes of theta times `shrink`, which must make them feasible."""
        o = self.objective
        slopes = shrink * o.loss.derivatives(o.margins(theta), o.targets)[0]
        terms = o.loss.conjugate(slopes, o.targets) - slopes * o.offset
        total = -float(terms.sum() if o.weights is None else o.weights @ terms)
        if o.layout.fit_bias:
            weighted = o.on_cells(slopes if o.weights is None else slopes * o.weights)
            n_users, n_items = o.pattern.shape
            rows = np.repeat(np.arange(n_users), np.diff(o.pattern.indptr))
            by_user = np.bincount(rows, weighted, n_users)
            by_item = np.bincount(o.pattern.indices, weighted, n_items)
            user_ridge, item_ridge = o.ridge.of_biases(o.layout)
            total -= 0.5 * float((by_user**2 / user_ridge).sum() + (by_item**2 / item_ridge).sum())
        return total

    def prediction_bound(self, theta: Floats, shrink: float, gap: float) -> float:
        r"""Bound the distance to any model whose gap is no larger, as a root mean square of scores.

        Let x* be the optimum, G the gap, and rho the dual point, feasible by construction. Fenchel
        and Young give :math:`\sum B(x^*, \tilde x) \le G` with B the Bregman divergence of the
        losses and :math:`\tilde x` the scores whose slope is rho: it bounds every single
        :math:`|x^*_e - \tilde x_e|`, and with it the curvature at x*. For any x of objective at
        most G above the optimum, :math:`\sum B(x, x^*) \le G`, so the sum of
        :math:`(x - x^*)^2` is bounded by G over the smallest such curvature. Two such models are
        at most twice that apart.
        """
        o = self.objective
        if not len(o.targets):
            return 0.0
        slopes = shrink * o.loss.derivatives(o.margins(theta), o.targets)[0]
        curvature = o.loss.curvature_at_slope(slopes, o.targets)
        lowest = float((curvature if o.weights is None else curvature * o.weights).min())
        if not (lowest > 0 and np.isfinite(gap)):
            return float("inf")
        lowest *= o.loss.curvature_kept(o.loss.max_shift(gap / lowest))
        if not lowest > 0:
            return float("inf")
        # max_shift bounds one score by the gap; together the squares are bounded likewise.
        return 2 * o.loss.max_shift(gap / lowest) / float(np.sqrt(len(o.targets)))
