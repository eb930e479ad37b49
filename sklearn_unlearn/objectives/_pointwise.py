"""Pointwise objective: a loss on every observed cell, and an L2 penalty on every row.

Conventions
-----------
``P = theta[:n_users]``, ``Q = theta[n_users:]``; ``s = <P_u, Q_i> + offset`` on the observed cells,
``r = c l'(s)`` and ``w = c l''(s)``, with ``c`` the weight of the cell. As sparse matrices on the
pattern, R and W:

    J    = sum c l(s, y) + sum ridge * theta^2 / 2
    grad = [R Q ; R' P] + ridge * theta
    H V  = [W(V) Q + R V_Q ; W(V)' P + R' V_P] + ridge * V,   W(V) = w * (<V_P, Q> + <P, V_Q>)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import (
    Array,
    Backend,
    Pattern,
    inner,
    twin,
)
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives._base import Layout
from sklearn_unlearn.objectives._block_steps import BlockSteps
from sklearn_unlearn.objectives._cells import (
    LossEvaluation,
    LossObjective,
    Ridge,
    restrict_pattern,
    row_multiples,
)
from sklearn_unlearn.objectives._losses import LOSSES, Loss, step_length
from sklearn_unlearn.utils._verbs import cached_property

__all__ = ["PointwiseObjective"]

Floats = NDArray[Any]


@dataclass(frozen=True)
class PointwiseObjective(LossObjective):
    """Sum of losses over observed cells plus a ridge; pure and immutable.

    Parameters
    ----------
    pattern : Pattern
        The observed cells.

    targets : ndarray, shape (n_interactions,)
        What the loss compares each score with.

    loss : Loss
        Loss of one score.

    layout : Layout
        Shape of theta.

    ridge : Ridge
        Weight of each squared parameter.

    backend : Backend
        Arithmetic.

    offset : float, default=0.0
        Constant added to every score.

    weights : ndarray, shape (n_interactions,), or None, default=None
        Weight of each cell; None is 1.

    frozen_rows : ndarray of int, or None, default=None
        Rows that do not move: derivatives are zero there.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.objectives import PointwiseObjective
    >>> data = Interactions.from_matrix([[1, 0, -1], [0, 1, 0]])
    >>> objective = PointwiseObjective.from_interactions(
    ...     data, loss="logistic", n_factors=1, regularization=0.5, bias_regularization=1.0,
    ...     fit_bias=False, global_mean=False, backend=ScipyBackend(),
    ... )
    >>> round(float(objective.value(np.zeros((5, 1)))), 4)    # three cells of log(2)
    2.0794
    """

    pattern: Pattern
    targets: Floats
    loss: Loss
    layout: Layout
    ridge: Ridge
    backend: Backend
    offset: float = 0.0
    weights: Floats | None = None
    frozen_rows: NDArray[Any] | None = None

    @classmethod
    def from_interactions(
        cls,
        data: Interactions,
        *,
        loss: str,
        n_factors: int,
        regularization: float,
        bias_regularization: float | tuple[float, float],
        fit_bias: bool,
        global_mean: bool,
        backend: Backend,
        frequency_scaling: float = 0.0,
        offset: float | None = None,
    ) -> PointwiseObjective:
        """State the objective of a matrix factorisation.

        A user of weight ``c`` counts like ``c`` users with the same row: its losses and its penalty
        are both multiplied. `offset` stands for the global mean of other data.
        """
        layout = Layout(data.n_users, data.n_items, n_factors, fit_bias)
        pair = np.broadcast_to(bias_regularization, 2)
        row_weights = row_multiples(data, frequency_scaling)
        ridge = Ridge(float(regularization), (float(pair[0]), float(pair[1])), row_weights)
        weights = None if data.row_weights is None else data.row_weights[data.rows]
        targets = LOSSES[loss].targets(data.values)
        if offset is None:
            offset = LOSSES[loss].offset(targets, weights) if global_mean else 0.0
        return cls(
            Pattern.from_interactions(data),
            targets,
            LOSSES[loss],
            layout,
            ridge,
            backend,
            offset,
            weights,
        )

    def at(self, theta: Array) -> PointwiseEvaluation:
        """Evaluate at a point, in the arrays of the backend."""
        return PointwiseEvaluation(self, self.backend.asarray(theta))

    def cell_scores(self, theta: Array) -> Array:
        """Scores of the observed cells, shape (n_interactions,), in arrays of the backend."""
        return super().cell_scores(theta) + self.offset

    @property
    def gradient_scale(self) -> float:
        """Norm of the slopes at score zero: the unit of gradient tolerances."""
        slopes = self.loss.derivatives(np.full_like(self.targets, self.offset), self.targets)[0]
        weights = 1.0 if self.weights is None else self.weights
        # Where nothing is observed, the penalty is all there is, and has no unit.
        return max(float(np.linalg.norm(slopes * weights)), self._least_slope) or 1.0

    @property
    def value_unit(self) -> float:
        """Loss of scores that match all targets to six digits."""
        return 0.5 * self._least_slope**2

    @property
    def _least_slope(self) -> float:
        """Norm of slopes that have no unit: ratings that equal their mean leave rounding alone."""
        weights = 1.0 if self.weights is None else self.weights
        return 1e-6 * float(np.linalg.norm(self.targets * weights))

    def row_solver(self) -> BlockSteps:
        """Solver of single rows: damped Newton steps."""
        return BlockSteps(self)

    def removed_slopes(
        self, theta: Floats, users: NDArray[Any], items: NDArray[Any], values: Floats
    ) -> tuple[Floats, NDArray[Any], NDArray[Any]]:
        """Slopes that removed cells had, with their users and items."""
        scores = np.einsum("nk,nk->n", theta[users], theta[items + self.layout.n_users])
        slopes = self.loss.derivatives(scores + self.offset, self.loss.targets(values))[0]
        return slopes, users, items

    def removal_derivatives(self, theta: Floats) -> tuple[Floats, Floats] | None:
        """Weighted slope and curvature of each interaction."""
        slopes, curvatures = self.at(theta).derivatives
        return self.backend.to_numpy(slopes), self.backend.to_numpy(curvatures)

    def damping_of(self, theta: Floats, step: Floats) -> Floats:
        """Length at which each user may take its Newton step: see `solve_rows`."""
        if not self.loss.is_curved:
            return np.ones(len(step))
        m, b = self.layout.n_users, self.backend
        pair = b.asarray(step), b.asarray(theta[m:])
        change = np.abs(b.to_numpy(b.sddmm(self.pattern, pair)))
        largest = np.zeros(m)
        np.maximum.at(largest, np.repeat(np.arange(m), np.diff(self.pattern.indptr)), change)
        return step_length(largest)

    def restrict(
        self, rows: NDArray[Any], theta: Floats | None = None, sums: tuple[Floats, ...] = ()
    ) -> tuple[PointwiseObjective, NDArray[Any]]:
        """Keep only some rows free: walk only the interactions incident to them."""
        part = restrict_pattern(self.pattern, self.layout, rows)
        restricted = replace(
            self,
            pattern=part.pattern,
            targets=self.targets[part.cells],
            layout=part.layout,
            ridge=self.ridge.for_rows(part.table_rows),
            weights=None if self.weights is None else self.weights[part.cells],
            frozen_rows=part.frozen_rows,
        )
        return restricted, part.table_rows


class PointwiseEvaluation(LossEvaluation):
    """A pointwise objective at one point."""

    def __init__(self, objective: PointwiseObjective, theta: Array) -> None:
        self.objective = objective
        self.theta = theta
        self.scores = objective.cell_scores(theta)
        self.targets = twin(objective, "targets", theta)
        self.weights = twin(objective, "weights", theta)

    @cached_property
    def value(self) -> float:
        """Value of the objective."""
        o = self.objective
        losses = o.loss.value(self.scores, self.targets)
        total = losses.sum() if self.weights is None else self.weights @ losses
        penalty = o.layout.mask_fixed(o.ridge.times(self.theta, o.layout))
        return float(total) + 0.5 * inner(self.theta, penalty)

    @cached_property
    def derivatives(self) -> tuple[Array, Array]:
        """Weighted slope r and curvature w of every observed cell."""
        slope, curvature = self.objective.loss.derivatives(self.scores, self.targets)
        if self.weights is not None:
            slope, curvature = slope * self.weights, curvature * self.weights
        return slope, curvature

    def hessian_product(self, V: Array) -> Array:
        """Hessian times a table of directions that is zero where nothing moves."""
        o, theta, m = self.objective, self.theta, self.objective.layout.n_users
        r, w = self.derivatives
        change = o.backend.sddmm(o.pattern, (V[:m], theta[m:]), (theta[:m], V[m:]))
        change *= w
        return o.mask(o.both_ways(o.ridge.times(V, o.layout), (change, theta), (r, V)))
