r"""The certificate of weighted squared losses of all pairs.

See `certificates._optimality` for the mathematics. In the conventions of `objectives.weighted`, a
cell costs ``g c (s - p)^2 / 2``, its conjugate at the slope ``g rho`` is
``g (rho^2 / (2 c) + p rho)``, and the residual matrix is

    g P Q' + r on the pattern,    r = g ((c - 1) s - c)

a low rank plus a sparse part: no sum below touches an unobserved cell on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from sklearn_unlearn.backends import gram, gram_change, product_norm
from sklearn_unlearn.certificates._base import PlainFactors, norm_bound, scaled_pattern

__all__ = ["WeightedCertificate"]

Floats = NDArray[Any]


@dataclass(frozen=True)
class WeightedCertificate(PlainFactors):
    """Of an objective with confidences, user weights and a ridge.

    Parameters
    ----------
    objective : WeightedObjective
        J.

    Examples
    --------
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(60, 40, feedback="implicit", random_state=0)
    >>> ALS(16, regularization=20.0, alpha=5.0, random_state=0).fit(X).certify().certified
    True
    """

    objective: Any

    def residual_operator(self, theta: Floats) -> LinearOperator:
        """Sparse plus low rank, rows and columns divided by the root of their ridge."""
        o = self.objective
        theta, m = theta.astype(np.float64, copy=False), o.layout.n_users
        scaled = theta / np.sqrt(self.objective.row_penalties)[:, None]
        left = scaled[:m] if o.user_weights is None else scaled[:m] * o.user_weights[:, None]
        sparse = scaled_pattern(
            o.pattern, o.extras(o.scores(theta))[0], self.objective.row_penalties
        )
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
        o = self.objective
        if o.ridge.row_weights is not None:
            return float("inf")
        sums = sums or o.sums(before)
        part, table_rows = o.restrict(rows, before, sums)
        old, new = before[table_rows], after[table_rows]
        new[part.frozen_rows] = old[part.frozen_rows]
        m, n = o.layout.n_users, part.layout.n_users
        change = (part.scores(new) - part.scores(old)) * (part.confidence - 1)
        users = np.repeat(np.arange(n), np.diff(part.pattern.indptr))
        sparse = norm_bound(change, users, part.pattern.indices)
        # P'Q'' - PQ' = (P' - P) Q'' + P (Q' - Q): two products whose Gram matrices are known.
        of_users, of_items = sums[0], sums[1] + gram_change(old[n:], new[n:])
        moved = np.unique(rows)
        step = after[moved].astype(np.float64) - before[moved]
        low_rank = product_norm(gram(step[moved < m]), of_items)
        low_rank += product_norm(gram(step[moved >= m]), of_users)
        return float((sparse + low_rank) / o.ridge.factors)

    def removed_residual(
        self, theta: Floats, users: NDArray[Any], items: NDArray[Any], values: Floats
    ) -> float:
        """Upper bound of the norm of what the operator loses when cells become unobserved."""
        o = self.objective
        m, c = o.layout.n_users, o.alpha * values
        scores = np.einsum("nk,nk->n", theta[users], theta[items + m])
        slopes = (c - 1) * scores - c
        if o.user_weights is not None:
            slopes = slopes * o.user_weights[users]
        penalties = self.objective.row_penalties
        scaled = slopes / np.sqrt(penalties[users] * penalties[items + m])
        return norm_bound(scaled, users, items)

    def convex_value(self, theta: Floats, nuclear_norm: float) -> float:
        """Losses of all cells, and the nuclear norm in place of the penalty."""
        theta = theta.astype(np.float64, copy=False)
        o = self.objective
        return float(o.loss_sum(o.scores(theta), o.sums(theta)) + nuclear_norm)

    def dual_value(self, theta: Floats, shrink: float) -> float:
        """Dual objective at the slopes of theta times `shrink`, which must make them feasible."""
        o, theta = self.objective, theta.astype(np.float64, copy=False)
        scores, c = o.scores(theta), o.confidence.astype(np.float64, copy=False)
        miss = scores - 1
        # rho = shrink c (s - p): what is c rho^2 / (2 c^2) + p rho on the pattern, and, for the
        # cells beside it, the sum over all less the sum over the pattern of rho^2 / 2.
        observed = shrink * c * miss * (0.5 * shrink * miss + 1) - 0.5 * (shrink * scores) ** 2
        everywhere = 0.5 * shrink**2 * float(np.vdot(*o.sums(theta)))
        return -float((observed * o.cell_weights).sum()) - everywhere

    def prediction_bound(self, theta: Floats, shrink: float, gap: float) -> float:
        r"""Bound the distance to any model whose gap is no larger, as a root mean square of scores.

        The losses are quadratic: with w the curvature of a cell, ``g c`` on the pattern and ``g``
        elsewhere, :math:`\sum w (x - x^*)^2 \le 2 G` for every x of objective at most G above the
        optimum x*. Two such models are at most twice that apart. What is returned bounds the root
        mean square over all cells, and that over the observed ones.
        """
        o = self.objective
        n_users, n_items = o.pattern.shape
        if not n_users * n_items:
            return 0.0
        if not np.isfinite(gap):
            return float("inf")
        observed = o.confidence * o.cell_weights
        lowest = 1.0 if o.user_weights is None else float(o.user_weights.min())
        # Least curvature times the number of cells. An observed cell below all others lowers that
        # of all cells too, but never under that of the observed ones.
        masses = [lowest * n_users * n_items]
        if len(observed):
            masses.append(float(observed.min()) * len(observed))
        if not min(masses) > 0:
            return float("inf")
        return 2 * float(np.sqrt(2 * gap / min(masses)))
