"""Weights of users and penalties of items in a ridge regression of items on items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.interactions import Interactions

__all__ = ["RidgeTerms"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RidgeTerms:
    r"""What is added to the Gram matrix, and how users count in it.

    With G = X' W X the matrix is G plus a diagonal: ``regularization + odds * G_ii`` for item i.

    Parameters
    ----------
    regularization : float
        Positive.

    dropout : float, default=0.0
        Probability p, below 1, that an input is dropped; ``odds`` are :math:`p / (1 - p)`.

    user_normalization : float, default=0.0
        A user with d interactions has ``d ** -user_normalization`` times its weight.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.exact.ridge._ridge_terms import RidgeTerms
    >>> from sklearn_unlearn.interactions import Interactions
    >>> terms = RidgeTerms(1.0, dropout=0.5, user_normalization=1.0)
    >>> terms.odds
    1.0
    >>> terms.weights(Interactions.from_matrix([[1, 1], [0, 1], [0, 0]]))
    array([0.5, 1. , 1. ])
    """

    regularization: float
    dropout: float = 0.0
    user_normalization: float = 0.0

    @classmethod
    def of(cls, terms: RidgeTerms | float) -> RidgeTerms:
        """Take a number for a regularization alone."""
        return terms if isinstance(terms, RidgeTerms) else cls(float(terms))

    @property
    def odds(self) -> float:
        """Share of the diagonal of the Gram matrix that is added to it."""
        return self.dropout / (1.0 - self.dropout)

    @property
    def weighs_users(self) -> bool:
        """Whether the weight of a user depends on its row."""
        return self.user_normalization != 0.0

    def penalties(self, diagonal: Floats) -> Floats | float:
        """Return what is added to the diagonal of the Gram matrix; without dropout one number."""
        return self.regularization + self.odds * diagonal if self.dropout else self.regularization

    def diagonal(self, data: Interactions) -> Floats:
        """Diagonal of the Gram matrix, float64, shape (n_items,)."""
        values = np.asarray(data.values).astype(np.float64, copy=False)
        terms = np.repeat(self.weights(data), data.user_degrees) * values * values
        return np.bincount(data.indices, terms, data.n_items).astype(np.float64, copy=False)

    def weights(self, data: Interactions) -> Floats:
        """Weights of all users, float64, shape (n_users,); 1 for those without interactions."""
        given = data.row_weights
        weights = np.ones(data.n_users) if given is None else np.array(given)
        return weights * self.scales(data.user_degrees) if self.weighs_users else weights

    def scales(self, degrees: NDArray[np.int64]) -> Floats:
        """Factors of the weights of users with so many interactions; 1 for none."""
        scales: Floats = np.maximum(degrees, 1).astype(np.float64) ** -self.user_normalization
        return scales
