"""A weighted objective at one point: see `_weighted` for the conventions."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sklearn_unlearn.influence.backends import Array, cast, double, like, namespace_of, twin
from sklearn_unlearn.objectives._base import Evaluation
from sklearn_unlearn.objectives._weighted_grams import gram

if TYPE_CHECKING:
    from sklearn_unlearn.objectives._weighted import WeightedObjective

__all__ = ["WeightedEvaluation"]


class WeightedEvaluation(Evaluation):
    """A weighted objective at one point."""

    def __init__(self, objective: WeightedObjective, theta: Array) -> None:
        self.objective = objective
        self.theta = theta
        self.scores = objective.cell_scores(theta)
        self.sums = objective.sums(theta)
        self.user_weights = twin(objective, "user_weights", theta)

    @cached_property
    def value(self) -> float:
        """Value of the objective."""
        o = self.objective
        squares = namespace_of(self.theta).sum(double(self.theta) ** 2, axis=1)
        penalty = float(twin(o, "row_penalties", squares) @ squares)
        return o.loss_sum(self.scores, self.sums) + 0.5 * penalty

    @cached_property
    def derivatives(self) -> tuple[Array, Array]:
        """Slope r and curvature w that every observed cell has on top of an unobserved one."""
        return self.objective.extras(self.scores)

    @cached_property
    def gradient(self) -> Array:
        """Gradient, a table like theta."""
        o = self.objective
        out = o.spread(o.penalty(self.theta), self.theta, self.sums)
        return o.mask(o.both_ways(out, (self.derivatives[0], self.theta)))

    def hessian_product(self, V: Array) -> Array:
        """Hessian times a table of directions that is zero where nothing moves."""
        o, theta, m = self.objective, self.theta, self.objective.layout.n_users
        r, w = self.derivatives
        users, items = gram(V[:m], theta[:m], weights=self.user_weights), gram(V[m:], theta[m:])
        out = o.spread(o.penalty(V), V, self.sums)
        o.spread(out, theta, (users + users.T, items + items.T))
        change = o.backend.sddmm(o.pattern, (V[:m], theta[m:]), (theta[:m], V[m:]))
        change *= w
        return o.mask(o.both_ways(out, (change, theta), (r, V)))

    def hessian_diagonal(self) -> Array:
        """Diagonal of the Hessian, a table like theta; 1 where nothing moves."""
        o, m, xp = self.objective, self.objective.layout.n_users, namespace_of(self.theta)
        of_users, of_items = self.sums
        diagonal = o.penalty(xp.ones_like(self.theta))
        weights = 1.0 if self.user_weights is None else self.user_weights[:, None]
        diagonal[:m] += weights * xp.linalg.diagonal(of_items)
        diagonal[m:] += xp.linalg.diagonal(of_users)
        o.both_ways(diagonal, (self.derivatives[1], self.theta**2))
        if o.frozen_rows is not None:
            diagonal[twin(o, "frozen_rows", diagonal)] = 1
        return diagonal

    def blocks(self, *, users_only: bool = False) -> Array:
        """Diagonal blocks of the Hessian; identity where nothing moves."""
        xp = namespace_of(self.theta)
        o, theta, m = self.objective, self.theta, self.objective.layout.n_users
        w, (of_users, of_items) = self.derivatives[1], self.sums
        blocks = o.backend.row_grams(o.pattern, w, theta[m:])
        weights = 1.0 if self.user_weights is None else self.user_weights[:, None, None]
        blocks += weights * of_items
        if not users_only:
            items = o.backend.row_grams(o.pattern, w, theta[:m], transpose=True)
            items += of_users
            blocks = xp.concat([blocks, items])
        index = like(theta, np.arange(theta.shape[1]))
        penalties = cast(blocks, twin(o, "row_penalties", theta))
        blocks[:, index, index] += penalties[: len(blocks), None]
        if o.frozen_rows is not None:
            frozen = twin(o, "frozen_rows", theta)
            blocks[frozen[frozen < len(blocks)]] = cast(blocks, like(theta, np.eye(theta.shape[1])))
        return blocks
