"""A pairwise objective at one point: see `_pairwise` for the formulas."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sklearn_unlearn.influence.backends import Array, inner, like
from sklearn_unlearn.objectives._base import Evaluation
from sklearn_unlearn.objectives._pairwise_rows import user_crosses, user_diagonal

if TYPE_CHECKING:
    from sklearn_unlearn.objectives._pairwise import PairwiseObjective

__all__ = ["PairwiseEvaluation"]


class PairwiseEvaluation(Evaluation):
    """A pairwise objective at one point, in the backend's arrays."""

    def __init__(self, objective: PairwiseObjective, theta: Array) -> None:
        self.objective = objective
        self.theta = theta
        self.differences = objective.differences(objective.cell_scores(theta))
        # A draw takes the label of a positive: the same for all.
        self._label = objective.backend.xp.ones_like(self.differences[:1, :1])

    @cached_property
    def value(self) -> float:
        """Value of the objective."""
        o = self.objective
        xp = o.backend.xp
        losses = o.loss.value(self.differences, self._label)
        penalty = o.layout.mask_fixed(o.ridge.times(self.theta, o.layout))
        return float(xp.sum(o.pair_weights * losses)) + 0.5 * inner(self.theta, penalty)

    @cached_property
    def derivatives(self) -> tuple[Array, Array]:
        """Slope of every cell, and curvature of every difference, both weighted."""
        o = self.objective
        slopes, curvatures = o.loss.derivatives(self.differences, self._label)
        return o.spread(slopes * o.pair_weights), curvatures * o.pair_weights

    @cached_property
    def gradient(self) -> Array:
        """Gradient, a table like theta."""
        o = self.objective
        penalty = o.ridge.times(self.theta, o.layout)
        return o.mask(o.both_ways(penalty, (self.derivatives[0], self.theta)))

    def hessian_product(self, V: Array) -> Array:
        """Hessian times a table of directions that is zero where nothing moves."""
        o, theta, m = self.objective, self.theta, self.objective.layout.n_users
        r, w = self.derivatives
        change = o.backend.sddmm(o.pattern, (V[:m], theta[m:]), (theta[:m], V[m:]))
        change = o.spread(w * o.differences(change))
        return o.mask(o.both_ways(o.ridge.times(V, o.layout), (change, theta), (r, V)))

    @cached_property
    def _cell_curvatures(self) -> Array:
        """Curvature of every cell alone: what `spread` makes of w, but for the sign."""
        xp, w = self.objective.backend.xp, self.derivatives[1]
        return xp.concat([xp.sum(w, axis=1, keepdims=True), w], axis=1).reshape(-1)

    def hessian_diagonal(self) -> Array:
        """Diagonal of the Hessian, a table like theta; 1 where nothing moves."""
        o, xp = self.objective, self.objective.backend.xp
        ones = xp.ones_like(self.theta)
        diagonal = o.ridge.times(ones, o.layout)
        diagonal = o.both_ways(diagonal, (self._cell_curvatures, self.theta**2))
        diagonal[: o.layout.n_users] += user_diagonal(o, self.theta, self.derivatives[1])
        return xp.where(o.mask(ones) > 0, diagonal, 1.0)

    def blocks(self, *, users_only: bool = False) -> Array:
        """Diagonal blocks of the Hessian; identity where nothing moves."""
        o, theta, m = self.objective, self.theta, self.objective.layout.n_users
        xp, w = o.backend.xp, self._cell_curvatures
        blocks = o.backend.row_grams(o.pattern, w, theta[m:])
        blocks += user_crosses(o, theta, self.derivatives[1])
        if not users_only:
            items = o.backend.row_grams(o.pattern, w, theta[:m], transpose=True)
            blocks = xp.concat([blocks, items])
        rows = slice(0, len(blocks))
        moves = o.mask(xp.ones_like(theta))[rows]
        blocks *= moves[:, :, None] * moves[:, None, :]
        index = like(theta, np.arange(theta.shape[1]))
        ridge = o.ridge.times(xp.ones_like(theta), o.layout)[rows]
        blocks[:, index, index] += xp.where(moves > 0, ridge, 1.0)
        return blocks
