r"""Pairwise objective: every interaction's item should score above items drawn for it (BPR).

Conventions
-----------
Each interaction (u, i) has drawn items j_1 .. j_S: see `_negatives`. With ``x = s_ui - s_uj`` and
``c`` the weight of the interaction over S, or 0 where the draw does not count,

    J = sum over interactions and draws of c log(1 + exp(-x)) + sum ridge * theta^2 / 2

The scores s of all cells, (1 + S) an interaction, are one product with the pattern; differences are
a matter of reshaping. Write T for the map from scores to differences, ``g = c l'(x)`` and
``w = c l''(x)``; as sparse matrices on the pattern, R of ``T'g`` and W(V) of ``T'(w T ds)``:

    grad = [R Q ; R' P] + ridge * theta
    H V  = [W(V) Q + R V_Q ; W(V)' P + R' V_P] + ridge * V,   ds = <V_P, Q> + <P, V_Q>
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import Array, Backend, Pattern, inner
from sklearn_unlearn.interactions import Interactions, Origin
from sklearn_unlearn.objectives._base import Layout
from sklearn_unlearn.objectives._cells import LossEvaluation, LossObjective, Ridge, row_multiples
from sklearn_unlearn.objectives._losses import LOSSES, Loss, step_length
from sklearn_unlearn.objectives._negatives import (
    GroupedPattern,
    draw_groups,
    negatives_of,
    restrict_groups,
)
from sklearn_unlearn.utils._interactions import concatenate_ranges
from sklearn_unlearn.utils._verbs import cached_property

__all__ = ["PairwiseEvaluation", "PairwiseObjective"]

Floats = NDArray[Any]

# Groups at once: their rows stay in some tens of megabytes.
_GROUPS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class PairwiseObjective(LossObjective):
    """Sum of losses over (user, positive, negative) plus a ridge; pure and immutable.

    Parameters
    ----------
    pattern : GroupedPattern
        The item of each interaction and those drawn for it.

    counted : ndarray of bool, shape (n_interactions, n_negatives)
        Which draws are negatives.

    layout : Layout
        Shape of theta.

    ridge : Ridge
        Weight of each squared parameter.

    backend : Backend
        Arithmetic.

    seed : int
        Seed of the draws.

    group_weights : ndarray, shape (n_interactions,), or None, default=None
        Weight of each interaction; None is 1.

    frozen_rows : ndarray of int, or None, default=None
        Rows that do not move: derivatives are zero there.

    origin : Origin or None, default=None
        Where the table was taken from: what is drawn depends on positions there.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.objectives import PairwiseObjective
    >>> objective = PairwiseObjective.from_interactions(
    ...     Interactions.from_matrix([[1, 0, 1], [0, 1, 0]]), n_factors=1, n_negatives=2,
    ...     regularization=0.5, bias_regularization=1.0, fit_bias=False, seed=0,
    ...     backend=ScipyBackend(),
    ... )
    >>> objective.gradient(np.zeros((5, 1))).shape
    (5, 1)
    """

    pattern: GroupedPattern
    counted: NDArray[np.bool_]
    layout: Layout
    ridge: Ridge
    backend: Backend
    seed: int
    group_weights: Floats | None = None
    frozen_rows: NDArray[Any] | None = None
    origin: Origin | None = None

    # A difference is a score whose label is 1: log(1 + exp(-x)).
    loss: Loss = field(init=False, default=LOSSES["logistic"])
    offset: float = field(init=False, default=0.0)

    @classmethod
    def from_interactions(
        cls,
        data: Interactions,
        *,
        n_factors: int,
        n_negatives: int,
        regularization: float,
        bias_regularization: float,
        fit_bias: bool,
        seed: int,
        backend: Backend,
        frequency_scaling: float = 0.0,
        key: int | None = None,
    ) -> PairwiseObjective:
        """State the objective of a pairwise factor model.

        The value of an interaction is its weight: 2 counts like two interactions. `key` stands for
        every user in the draws, see `draw_groups`.
        """
        layout = Layout(data.n_users, data.n_items, n_factors, fit_bias)
        ridge = Ridge(
            float(regularization),
            (float(bias_regularization), float(bias_regularization)),
            row_multiples(data, frequency_scaling),
        )
        weights = None if (data.values == 1).all() else data.values.astype(np.float64)
        if data.row_weights is not None:
            of_users = data.row_weights[data.rows]
            weights = of_users if weights is None else weights * of_users
        pattern, counted = draw_groups(data, n_negatives, seed, key=key)
        return cls(pattern, counted, layout, ridge, backend, seed, weights, origin=data.origin)

    @property
    def draws_items(self) -> bool:
        """Negatives are drawn."""
        return True

    def at(self, theta: Array) -> PairwiseEvaluation:
        """Evaluate at a point, in the arrays of the backend."""
        return PairwiseEvaluation(self, self.backend.asarray(theta))

    def cell_scores(self, theta: Array) -> Array:
        """Scores of the cells, (n_interactions * (1 + n_negatives),), in arrays of the backend."""
        m = self.layout.n_users
        return self.backend.sddmm(self.pattern, (theta[:m], theta[m:]))

    @cached_property
    def pair_weights(self) -> Array:
        """Weight of every draw, shape (n_interactions, n_negatives)."""
        share = 1.0 / max(self.counted.shape[1], 1)
        weights = 1.0 if self.group_weights is None else self.group_weights[:, None]
        return self.backend.asarray(np.where(self.counted, share * weights, 0.0))

    def differences(self, scores: Array) -> Array:
        """Score of each interaction less those of its draws: T."""
        grouped = scores.reshape(self.pattern.groups.shape)
        return grouped[:, :1] - grouped[:, 1:]

    def spread(self, slopes: Array) -> Array:
        """Slopes of differences as slopes of cells: T', from (n, n_negatives) to one axis."""
        xp = self.backend.xp
        own = xp.sum(slopes, axis=1, keepdims=True)
        return xp.concat([own, -slopes], axis=1).reshape(-1)

    # -- terms of the convex problem, see `LossObjective`: NumPy, of the draws that count --------
    # Fields elsewhere, computed here: mypy has no word for what may be either.
    @cached_property
    def weights(self) -> Floats:
        """Weight of each negative, shape (n_negatives_that_count,)."""
        return self.backend.to_numpy(self.pair_weights)[self.counted]

    @property
    def targets(self) -> Floats:  # type: ignore[override]  # a field of other objectives
        """Label of each difference: 1."""
        return np.ones(np.count_nonzero(self.counted))

    def margins(self, theta: Floats) -> Floats:
        """Differences that the loss looks at, shape (n_negatives_that_count,)."""
        return self.differences(self.scores(theta))[self.counted]

    def on_cells(self, slopes: Floats) -> Floats:
        """Slopes of the cells, given those of the differences that count."""
        out = np.zeros(self.pattern.groups.shape)
        out[:, 1:][self.counted] = -slopes
        out[:, 0] = -out[:, 1:].sum(axis=1)
        return out.ravel()

    @property
    def gradient_scale(self) -> float:
        """Norm of the slopes at score zero: the unit of gradient tolerances."""
        norm = float(np.linalg.norm(self.on_cells(-0.5 * self.weights)))
        # Everybody has met everything: the penalty is all there is, and has no unit.
        return norm or 1.0

    def damping_of(self, theta: Floats, step: Floats) -> Floats:
        """Length at which each user may take its Newton step: see `solve_rows`."""
        m = self.layout.n_users
        tables = self.backend.asarray(step), self.backend.asarray(theta)[m:]
        change = self.differences(self.backend.sddmm(self.pattern, tables))
        change = np.abs(self.backend.to_numpy(change)).max(axis=1, initial=0.0)
        largest = np.zeros(m)
        np.maximum.at(largest, self.pattern.users_of(np.arange(len(change))), change)
        return step_length(largest)

    def restrict(
        self, rows: NDArray[Any], theta: Floats | None = None, sums: tuple[Floats, ...] = ()
    ) -> tuple[PairwiseObjective, NDArray[Any]]:
        """Keep only some rows free: walk only the groups that they are part of."""
        part = restrict_groups(self.pattern, self.layout, rows)
        groups = part.cells[:: self.pattern.width] // self.pattern.width
        weights = self.group_weights
        restricted = replace(
            self,
            pattern=cast(GroupedPattern, part.pattern),
            counted=self.counted[groups],
            layout=part.layout,
            ridge=self.ridge.for_rows(part.table_rows),
            group_weights=None if weights is None else weights[groups],
            frozen_rows=part.frozen_rows,
        )
        return restricted, part.table_rows

    # -- what a request changes beside the rows of its interactions --------------------------------
    def count_incident(self, data: Interactions, rows: NDArray[np.int64]) -> int:
        """Upper bound of the cells that a product walks if only some rows move."""
        m, width = self.layout.n_users, self.pattern.width
        users, items = rows[rows < m], rows[rows >= m] - m
        own = data.user_degrees[users].sum() + self._item_counts[items].sum()
        return int(width * own)

    @cached_property
    def _item_counts(self) -> NDArray[np.int64]:
        """Count the groups that each item is part of, as often as it is in one."""
        return np.bincount(self.pattern.indices, minlength=self.layout.n_items)

    def partners_of(self, users: NDArray[Any], items: NDArray[Any]) -> NDArray[np.int64]:
        """Items that feel the removal of some pairs: drawn for them, or met by who drew them."""
        drawn = self._draws_of(users, items)
        groups, _ = self._drew(users, items)
        return np.unique(np.concatenate([drawn.ravel(), self.pattern.groups[groups, 0]]))

    def is_drawn(self, items: NDArray[Any]) -> NDArray[np.bool_]:
        """Which items somebody is compared with."""
        drawn = np.zeros(self.layout.n_items, bool)
        drawn[self.pattern.groups[:, 1:][self.counted]] = True
        return drawn[items]

    def removed_slopes(
        self, theta: Floats, users: NDArray[Any], items: NDArray[Any], values: Floats
    ) -> tuple[Floats, NDArray[Any], NDArray[Any]]:
        """Slopes that removed cells had, with their users and items.

        With a cell go its comparisons; those that it kept from counting come in.
        """
        m, share = self.layout.n_users, 1.0 / max(self.counted.shape[1], 1)
        drawn = self._draws_of(users, items)
        groups, slots = self._drew(users, items)
        own, n_slots = np.asarray(items)[:, None], drawn.shape[1]
        triples = np.concatenate(
            [
                np.stack([np.repeat(users, n_slots), np.repeat(own, n_slots), drawn.ravel()]),
                np.stack(
                    [
                        self.pattern.users_of(groups),
                        self.pattern.groups[groups, 0],
                        self.pattern.groups[groups, slots + 1],
                    ]
                ),
            ],
            axis=1,
        ).astype(np.int64)
        kept = np.ones(len(groups)) if self.group_weights is None else self.group_weights[groups]
        weights = share * np.concatenate([np.repeat(values, n_slots), kept])
        u, i, j = triples
        x = np.einsum("nk,nk->n", theta[u], theta[i + m] - theta[j + m])
        slopes = weights * self.loss.derivatives(x, np.ones(len(x)))[0]
        return np.tile(slopes, 2), np.tile(u, 2), np.concatenate([i, j])

    def _draws_of(self, users: NDArray[Any], items: NDArray[Any]) -> NDArray[np.int64]:
        n_items, n_negatives = self.layout.n_items, self.counted.shape[1]
        return negatives_of(users, items, n_items, n_negatives, self.seed, self.origin)

    def _drew(self, users: NDArray[Any], items: NDArray[Any]) -> tuple[NDArray[np.int64], ...]:
        """Find the groups and slots in which a user drew one of its own items among these."""
        pattern, n = self.pattern, self.layout.n_items
        groups = concatenate_ranges(pattern.indptr // pattern.width, np.unique(users))
        keys = pattern.users_of(groups)[:, None] * n + pattern.groups[groups, 1:]
        where, slots = np.nonzero(np.isin(keys, np.asarray(users, np.int64) * n + items))
        return groups[where], slots


class PairwiseEvaluation(LossEvaluation):
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

    def hessian_product(self, V: Array) -> Array:
        """Hessian times a table of directions that is zero where nothing moves."""
        o, theta, m = self.objective, self.theta, self.objective.layout.n_users
        r, w = self.derivatives
        change = o.backend.sddmm(o.pattern, (V[:m], theta[m:]), (theta[:m], V[m:]))
        change = o.spread(w * o.differences(change))
        return o.mask(o.both_ways(o.ridge.times(V, o.layout), (change, theta), (r, V)))

    @cached_property
    def cell_curvatures(self) -> Array:
        """Curvature of every cell alone: what `spread` makes of w, but for the sign."""
        xp, w = self.objective.backend.xp, self.derivatives[1]
        return xp.concat([xp.sum(w, axis=1, keepdims=True), w], axis=1).reshape(-1)

    def cross_diagonal(self) -> Array:
        """Diagonals of the cross terms of users, shape (n_users, width)."""
        return user_diagonal(self.objective, self.theta, self.derivatives[1])

    def cross_blocks(self) -> Array:
        """Cross terms of users, shape (n_users, width, width)."""
        return user_crosses(self.objective, self.theta, self.derivatives[1])


# -- cross terms of users -------------------------------------------------------------------------
# The block of a user is ``sum w (Q_i - Q_j)(Q_i - Q_j)'`` over its comparisons. The squares are
# Gram matrices of the pattern; with m the sum of w Q_j over its draws a group adds
# ``-(Q_i m' + m Q_i')``. Groups are taken in chunks: a table of all of them would be many times the
# model.
def user_diagonal(objective: PairwiseObjective, theta: Array, curvatures: Array) -> Array:
    """Diagonals of the cross terms, shape (n_users, width)."""
    backend, m = objective.backend, objective.layout.n_users
    out = backend.xp.zeros_like(theta[:m])
    for users, ones, own, drawn in _chunks(objective, theta, curvatures):
        backend.spmm(users, (-2 * ones, own * drawn), out=out)
    return out


def user_crosses(objective: PairwiseObjective, theta: Array, curvatures: Array) -> Array:
    """Cross terms, shape (n_users, width, width)."""
    backend = objective.backend
    total: Any = 0.0
    for users, ones, own, drawn in _chunks(objective, theta, curvatures):
        # Products of two rows as squares of their sum and difference: Gram matrices again.
        total = total - backend.row_grams(users, 0.5 * ones, own + drawn)
        total = total + backend.row_grams(users, 0.5 * ones, own - drawn)
    return total


def _chunks(
    objective: PairwiseObjective, theta: Array, curvatures: Array
) -> Iterator[tuple[Pattern, Array, Array, Array]]:
    """Yield groups by user, a one for each, the row of each group's item, its weighted draws."""
    backend, m = objective.backend, objective.layout.n_users
    xp, Q, pattern = backend.xp, theta[m:], objective.pattern
    bounds = pattern.indptr // pattern.width
    for start in range(0, max(len(pattern.groups), 1), _GROUPS_AT_ONCE):
        groups = np.array(pattern.groups[start : start + _GROUPS_AT_ONCE])
        n = len(groups)
        users = _rows_of(np.clip(bounds - start, 0, n), np.arange(n, dtype=np.int32)[:, None], n)
        every, shape = np.arange(n + 1), (n, objective.layout.n_items)
        ones = xp.ones_like(xp.sum(curvatures[start : start + n], axis=1))
        own = backend.spmm(_rows_of(every, groups[:, :1], shape[1]), (ones, Q))
        weights = curvatures[start : start + n].reshape(-1)
        drawn = _rows_of(every * groups[:, 1:].shape[1], groups[:, 1:], shape[1])
        yield users, ones, own, backend.spmm(drawn, (weights, Q))


def _rows_of(indptr: Any, groups: Any, n_columns: int) -> GroupedPattern:
    return GroupedPattern(indptr, np.ascontiguousarray(groups), (len(indptr) - 1, n_columns))
