"""A weighted objective at one point: see `_weighted` for the conventions."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.objectives._base import Evaluation
from sklearn_unlearn.objectives._weighted_grams import gram

if TYPE_CHECKING:
    from sklearn_unlearn.objectives._weighted import WeightedObjective

__all__ = ["WeightedEvaluation"]

Floats = NDArray[Any]


class WeightedEvaluation(Evaluation):
    """A weighted objective at one point."""

    def __init__(self, objective: WeightedObjective, theta: Floats) -> None:
        self.objective = objective
        self.theta = theta
        self.scores = objective.scores(theta)
        self.sums = objective.sums(theta)

    @cached_property
    def value(self) -> float:
        """Value of the objective."""
        o = self.objective
        squares = np.einsum("nk,nk->n", self.theta, self.theta, dtype=np.float64)
        return o.loss_sum(self.scores, self.sums) + 0.5 * float(o.row_penalties @ squares)

    @cached_property
    def derivatives(self) -> tuple[Floats, Floats]:
        """Slope r and curvature w that every observed cell has on top of an unobserved one."""
        return self.objective.extras(self.scores)

    @cached_property
    def gradient(self) -> Floats:
        """Gradient, a table like theta."""
        o = self.objective
        out = o.spread(o.penalty(self.theta), self.theta, self.sums)
        return o.mask(o.both_ways(out, (self.derivatives[0], self.theta)))

    def hessian_product(self, V: Floats) -> Floats:
        """Hessian times a table of directions that is zero where nothing moves."""
        o, theta, m = self.objective, self.theta, self.objective.layout.n_users
        r, w = self.derivatives
        users, items = gram(V[:m], theta[:m], weights=o.user_weights), gram(V[m:], theta[m:])
        out = o.spread(o.penalty(V), V, self.sums)
        o.spread(out, theta, (users + users.T, items + items.T))
        change = o.backend.sddmm(o.pattern, (V[:m], theta[m:]), (theta[:m], V[m:]))
        change *= w
        return o.mask(o.both_ways(out, (change, theta), (r, V)))

    def hessian_diagonal(self) -> Floats:
        """Diagonal of the Hessian, a table like theta; 1 where nothing moves."""
        o, m = self.objective, self.objective.layout.n_users
        of_users, of_items = self.sums
        diagonal = o.penalty(np.ones_like(self.theta))
        weights = 1.0 if o.user_weights is None else o.user_weights[:, None]
        diagonal[:m] += weights * np.diag(of_items)
        diagonal[m:] += np.diag(of_users)
        o.both_ways(diagonal, (self.derivatives[1], self.theta**2))
        if o.frozen_rows is not None:
            diagonal[o.frozen_rows] = 1
        return diagonal

    def blocks(self, *, users_only: bool = False) -> Floats:
        """Diagonal blocks of the Hessian; identity where nothing moves."""
        o, theta, m = self.objective, self.theta, self.objective.layout.n_users
        w, (of_users, of_items) = self.derivatives[1], self.sums
        blocks = o.backend.row_grams(o.pattern, w, theta[m:])
        weights = 1.0 if o.user_weights is None else o.user_weights[:, None, None]
        blocks += weights * of_items
        if not users_only:
            items = o.backend.row_grams(o.pattern, w, theta[:m], transpose=True)
            items += of_users
            blocks = np.concatenate([blocks, items])
        index = np.arange(theta.shape[1])
        blocks[:, index, index] += o.row_penalties[: len(blocks), None]
        if o.frozen_rows is not None:
            blocks[o.frozen_rows[o.frozen_rows < len(blocks)]] = np.eye(theta.shape[1])
        return blocks
