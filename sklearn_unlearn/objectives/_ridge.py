"""The L2 penalty: a weight for factors, two for biases, and a multiple for each row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence.backends import Array, twin
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives._base import Layout

__all__ = ["Ridge", "row_multiples"]

Floats = NDArray[Any]


@dataclass(frozen=True)
class Ridge:
    """Weight of each squared parameter, kept as the few numbers it is made of.

    Parameters
    ----------
    factors : float
        Weight of latent columns.

    biases : tuple of two floats
        Weights of user and of item biases.

    row_weights : ndarray, shape (n_users + n_items,), or None, default=None
        Multiple of each row; None is 1.
    """

    factors: float
    biases: tuple[float, float]
    row_weights: Floats | None = None

    def times(self, table: Array, layout: Layout) -> Array:
        """Ridge times a table like theta, of any backend."""
        out = table * self.factors
        if layout.fit_bias:
            for column, weight in enumerate(self.biases, layout.n_factors):
                out[:, column] = table[:, column] * weight
        if self.row_weights is not None:
            out *= twin(self, "row_weights", table)[:, None]
        return out

    def of_factors(self, layout: Layout) -> Floats:
        """Weight of the latent columns of each row, shape (n_users + n_items,)."""
        weights = np.ones(layout.shape[0]) if self.row_weights is None else self.row_weights
        return self.factors * weights

    def of_biases(self, layout: Layout) -> tuple[Floats, Floats]:
        """Weights of the biases, of users and of items."""
        weights = np.ones(layout.shape[0]) if self.row_weights is None else self.row_weights
        users, items = np.split(weights, [layout.n_users])
        return self.biases[0] * users, self.biases[1] * items

    def for_rows(self, rows: NDArray[Any]) -> Ridge:
        """Ridge of a part of the table."""
        if self.row_weights is None:
            return self
        return replace(self, row_weights=self.row_weights[rows])


def row_multiples(data: Interactions, exponent: float) -> Floats | None:
    """Multiple of the penalty of each row: its weight times its degree to some power.

    A user of weight c counts like c users with the same row, in its own penalty and in the degrees
    of its items. Rows without interactions count as one interaction, so that their optimum is zero.

    Returns
    -------
    multiples : ndarray, shape (n_users + n_items,), or None if all are 1
    """
    weights = data.row_weights
    if not exponent and weights is None:
        return None
    multiples = np.ones(sum(data.shape))
    if exponent:
        cells = None if weights is None else weights[data.rows]
        item_degrees = np.bincount(data.indices, cells, minlength=data.n_items)
        degrees = np.concatenate([data.user_degrees, item_degrees])
        multiples = np.where(degrees > 0, degrees, 1.0) ** exponent
    if weights is not None:
        multiples[: data.n_users] *= weights
    return multiples
