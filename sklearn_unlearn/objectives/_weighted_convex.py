r"""The convex problem behind a weighted factor model: residual, primal, dual, bounds.

See `influence._certificate` for the mathematics. In the conventions of `_weighted`, a cell costs
``g c (s - p)^2 / 2``, its conjugate at the slope ``g rho`` is ``g (rho^2 / (2 c) + p rho)``, and
the residual matrix is

    g P Q' + r on the pattern,    r = g ((c - 1) s - c)

a low rank plus a sparse part: no sum below touches an unobserved cell on its own.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from sklearn_unlearn.influence.backends import (
    Array,
    Pattern,
    cast,
    inner,
    namespace_of,
    twin,
)
from sklearn_unlearn.objectives._sparse import SparseObjective, norm_bound, restrict_pattern
from sklearn_unlearn.objectives._weighted_grams import gram, gram_change, product_norm

__all__ = ["WeightedConvex"]

Floats = NDArray[Any]


class WeightedConvex(SparseObjective):
    """What follows from confidences, user weights and ridge alone, whatever the solver does."""

    values: Floats
    user_weights: Floats | None
    alpha: float

    @cached_property
    def confidence(self) -> Floats:
        """Weight of each observed cell, shape (n_interactions,): made when all are asked for."""
        return self.alpha * self.values

    def confidence_of(self, cells: NDArray[Any]) -> Floats:
        """Weights of some observed cells."""
        return self.alpha * self.values[cells]

    @property
    def cell_weights(self) -> Floats | float:
        """Weight of the user of every observed cell."""
        if self.user_weights is None:
            return 1.0
        return np.repeat(self.user_weights, np.diff(self.pattern.indptr))

    def extras(self, scores: Array) -> tuple[Array, Array]:
        """Slope and curvature of every observed cell, on top of those of an unobserved one."""
        c = cast(scores, twin(self, "confidence", scores))
        curvature = c - 1
        slope = curvature * scores
        slope -= c
        if self.user_weights is not None:
            weights = twin(self, "cell_weights", scores)
            slope *= weights
            curvature *= weights
        return slope, curvature

    def loss_sum(self, scores: Array, sums: tuple[Array, ...]) -> float:
        """Sum of the losses of all cells, from the observed scores and the Gram matrices."""
        c, xp = cast(scores, twin(self, "confidence", scores)), namespace_of(scores)
        extra = (c * (scores - 1) ** 2 - scores**2) * twin(self, "cell_weights", scores)
        return 0.5 * (inner(*sums) + float(xp.sum(extra, dtype=xp.float64)))

    def mean_loss(self, theta: Floats) -> float:
        """Mean loss of all cells, the penalty left out; 0 if there is none."""
        n_users, n_items = self.pattern.shape
        total = n_users if self.user_weights is None else float(self.user_weights.sum())
        if not total * n_items:
            return 0.0
        return self.loss_sum(self.scores(theta), self.sums(theta)) / (total * n_items)

    def residual_operator(self, theta: Floats) -> LinearOperator:
        """Sparse plus low rank, rows and columns divided by the root of their ridge."""
        theta, m = theta.astype(np.float64, copy=False), self.layout.n_users
        scaled = theta / np.sqrt(self.row_penalties)[:, None]
        left = scaled[:m] if self.user_weights is None else scaled[:m] * self.user_weights[:, None]
        sparse = self.scaled_operator(self.extras(self.scores(theta))[0])
        return sparse + aslinearoperator(left) @ aslinearoperator(scaled[m:].T)

    def residual_change(
        self,
        before: Floats,
        after: Floats,
        rows: NDArray[Any],
        sums: tuple[Floats, ...] = (),
    ) -> float:
        """Upper bound of the change of the residual operator when only some rows move.

        Parameters
        ----------
        before, after : ndarray, shape (n_users + n_items, n_factors)
            Whole tables; what differs outside `rows` is left out.

        rows : ndarray of int
            Rows that move.

        sums : tuple of ndarray, default=()
            ``sums(before)``, if they are known already.

        Returns
        -------
        bound : float
            Infinite if rows have penalties of their own: the scaling of the operator may have
            changed with the data.
        """
        if self.ridge.row_weights is not None:
            return float("inf")
        part, m = restrict_pattern(self.pattern, self.layout, rows), self.layout.n_users
        old, new = before[part.table_rows], after[part.table_rows]
        new[part.frozen_rows] = old[part.frozen_rows]
        n = part.layout.n_users
        change = self._part_scores(part.pattern, new) - self._part_scores(part.pattern, old)
        change *= self.confidence_of(part.cells) - 1
        users = np.repeat(np.arange(n), np.diff(part.pattern.indptr))
        sparse = norm_bound(change, users, part.pattern.indices)
        # P'Q'' - PQ' = (P' - P) Q'' + P (Q' - Q): two products whose Gram matrices are known.
        of_users, of_items = sums or self.sums(before)
        of_items = of_items + gram_change(old[n:], new[n:])
        moved = np.unique(rows)
        step = after[moved].astype(np.float64) - before[moved]
        low_rank = product_norm(gram(step[moved < m]), of_items)
        low_rank += product_norm(gram(step[moved >= m]), of_users)
        return (sparse + low_rank) / self.ridge.factors

    def _part_scores(self, pattern: Pattern, table: Floats) -> Floats:
        """Scores of the cells of a part of the table."""
        backend, m = self.backend, pattern.shape[0]
        table = backend.asarray(table)
        return backend.to_numpy(backend.sddmm(pattern, (table[:m], table[m:])))

    def removed_residual(
        self, theta: Floats, users: NDArray[Any], items: NDArray[Any], values: Floats
    ) -> float:
        """Upper bound of the norm of what the operator loses when cells become unobserved."""
        m, c = self.layout.n_users, self.alpha * values
        scores = np.einsum("nk,nk->n", theta[users], theta[items + m])
        slopes = (c - 1) * scores - c
        if self.user_weights is not None:
            slopes = slopes * self.user_weights[users]
        penalties = self.row_penalties
        scaled = slopes / np.sqrt(penalties[users] * penalties[items + m])
        return norm_bound(scaled, users, items)

    def convex_value(self, theta: Floats, nuclear_norm: float) -> float:
        """Losses of all cells, and the nuclear norm in place of the penalty."""
        theta = theta.astype(np.float64, copy=False)
        return self.loss_sum(self.scores(theta), self.sums(theta)) + nuclear_norm

    def dual_value(self, theta: Floats, shrink: float) -> float:
        """Dual objective at the slopes of theta times `shrink`, which must make them feasible."""
        theta = theta.astype(np.float64, copy=False)
        scores, c = self.scores(theta), self.confidence.astype(np.float64, copy=False)
        miss = scores - 1
        # rho = shrink c (s - p): what is c rho^2 / (2 c^2) + p rho on the pattern, and, for the
        # cells beside it, the sum over all less the sum over the pattern of rho^2 / 2.
        observed = shrink * c * miss * (0.5 * shrink * miss + 1) - 0.5 * (shrink * scores) ** 2
        everywhere = 0.5 * shrink**2 * float(np.vdot(*self.sums(theta)))
        return -float((observed * self.cell_weights).sum()) - everywhere

    def prediction_bound(self, theta: Floats, shrink: float, gap: float) -> float:
        r"""Bound the distance to any model whose gap is no larger, as a root mean square of scores.

        The losses are quadratic: with w the curvature of a cell, ``g c`` on the pattern and ``g``
        elsewhere, :math:`\sum w (x - x^*)^2 \le 2 G` for every x of objective at most G above the
        optimum x*. Two such models are at most twice that apart. What is returned bounds the root
        mean square over all cells, and that over the observed ones.
        """
        n_users, n_items = self.pattern.shape
        if not n_users * n_items:
            return 0.0
        if not np.isfinite(gap):
            return float("inf")
        observed = self.confidence * self.cell_weights
        lowest = 1.0 if self.user_weights is None else float(self.user_weights.min())
        # Least curvature times the number of cells. An observed cell below all others lowers that
        # of all cells too, but never under that of the observed ones.
        masses = [lowest * n_users * n_items]
        if len(observed):
            masses.append(float(observed.min()) * len(observed))
        if not min(masses) > 0:
            return float("inf")
        return 2 * float(np.sqrt(2 * gap / min(masses)))
