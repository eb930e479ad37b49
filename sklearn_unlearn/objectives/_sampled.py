"""Pointwise objective of implicit feedback: interactions are positives, drawn items negatives.

With positives alone any loss of labels is least where all scores are large. Each interaction is
joined by items drawn for its user, as in `_pairwise`, that carry the label 0; together they weigh
as much as the interaction, so that their number sets how well they stand for all others, and not
how much they count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import Backend
from sklearn_unlearn.interactions import Interactions, Origin
from sklearn_unlearn.objectives._base import Layout
from sklearn_unlearn.objectives._cells import Ridge, pattern_of_cells, row_multiples
from sklearn_unlearn.objectives._losses import LOSSES
from sklearn_unlearn.objectives._negatives import draw_groups, negatives_of
from sklearn_unlearn.objectives._pointwise import PointwiseObjective

__all__ = ["SampledObjective"]

Floats = NDArray[Any]


@dataclass(frozen=True)
class SampledObjective(PointwiseObjective):
    """A pointwise objective whose cells are interactions and the negatives drawn for them.

    Parameters
    ----------
    n_negatives : int, default=1
        Draws an interaction.

    seed : int, default=0
        Seed of the draws.

    origin : Origin or None, default=None
        Where the table was taken from: what is drawn depends on positions there.

    Examples
    --------
    >>> from sklearn_unlearn.backends import ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.objectives._sampled import SampledObjective
    >>> objective = SampledObjective.from_positives(
    ...     Interactions.from_matrix([[1, 0, 0], [0, 2, 0]]),
    ...     n_factors=1, n_negatives=2, regularization=0.5, seed=0, backend=ScipyBackend(),
    ... )
    >>> objective.targets
    array([1., 0., 0., 1., 0., 0.])
    >>> objective.weights
    array([1. , 0.5, 0.5, 2. , 1. , 1. ])
    """

    n_negatives: int = 1
    seed: int = 0
    origin: Origin | None = None

    @property
    def draws_items(self) -> bool:
        """Negatives are drawn."""
        return True

    @classmethod
    def from_positives(
        cls,
        data: Interactions,
        *,
        n_factors: int,
        n_negatives: int,
        regularization: float,
        seed: int,
        backend: Backend,
        frequency_scaling: float = 0.0,
        key: int | None = None,
    ) -> Self:
        """State the logistic objective of implicit feedback, without biases.

        The value of an interaction is its weight. `key` stands for every user in the draws, see
        `draw_groups`.
        """
        drawn, counted = draw_groups(data, n_negatives, seed, key=key)
        kept = np.insert(counted, 0, True, axis=1)
        weights = np.where(np.arange(1 + n_negatives) > 0, 1 / n_negatives, 1.0) * (
            data.values[:, None].astype(np.float64)
        )
        if data.row_weights is not None:
            weights *= data.row_weights[data.rows][:, None]
        targets = np.broadcast_to(np.arange(1 + n_negatives) == 0, kept.shape)
        users = np.broadcast_to(data.rows[:, None], kept.shape)
        return cls(
            pattern_of_cells(users[kept], drawn.groups[kept], data.shape),
            targets[kept].astype(np.float64),
            LOSSES["logistic"],
            Layout(data.n_users, data.n_items, n_factors, fit_bias=False),
            Ridge(float(regularization), (1.0, 1.0), row_multiples(data, frequency_scaling)),
            backend,
            0.0,
            weights[kept],
            n_negatives=n_negatives,
            seed=seed,
            origin=data.origin,
        )

    def removal_derivatives(self, theta: Floats) -> None:
        """Nothing: with an interaction go its negatives, and it becomes one itself."""

    def partners_of(self, users: NDArray[Any], items: NDArray[Any]) -> NDArray[np.int64]:
        """Items drawn for some pairs; an item that its user gives up becomes a negative itself."""
        drawn = negatives_of(
            users, items, self.layout.n_items, self.n_negatives, self.seed, self.origin
        )
        return np.unique(drawn)

    def is_drawn(self, items: NDArray[Any]) -> NDArray[np.bool_]:
        """Which items have a cell."""
        return np.bincount(self.pattern.indices, minlength=self.layout.n_items)[items] > 0
