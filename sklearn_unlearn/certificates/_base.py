"""What certifies a point of an objective: the convex problem of which its factors are a solution.

Conventions
-----------
The residual operator is the matrix of the slopes of the losses in the scores, scaled by the roots
of the penalties: of a globally optimal point no singular value, or, where it is symmetric, no
eigenvalue beside the positive ones, is larger than 1. See `certificates._optimality`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator

__all__ = ["Certifiable", "Certificate", "norm_bound", "scaled_pattern"]

Floats = NDArray[Any]


class Certificate(ABC):
    """The convex problem behind an objective of factors.

    Examples
    --------
    >>> from sklearn_unlearn.certificates import Certificate, LossCertificate, WeightedCertificate
    >>> all(issubclass(one, Certificate) for one in (LossCertificate, WeightedCertificate))
    True
    """

    # Whether the residual operator is symmetric, and theta certified by its lowest eigenvalue.
    is_symmetric: ClassVar[bool] = False

    @abstractmethod
    def residual_operator(self, theta: Floats) -> LinearOperator:
        """Residual matrix dloss/dscores, scaled so that a norm of at most 1 certifies theta."""

    @abstractmethod
    def residual_change(self, before: Floats, after: Floats, rows: NDArray[Any]) -> float:
        """Upper bound of the change of the residual operator when only some rows move."""

    @abstractmethod
    def removed_residual(
        self, theta: Floats, users: NDArray[Any], items: NDArray[Any], values: Floats
    ) -> float:
        """Upper bound of the norm of the part of the residual operator that removed cells held."""

    @abstractmethod
    def factors_of(self, left: Floats, values: Floats, right: Floats) -> Floats:
        """Latent rows whose scores are ``left diag(values^2) right'`` in the operator's scaling."""

    @abstractmethod
    def score_spectrum(self, theta: Floats) -> Floats:
        """Singular values of the scaled latent scores."""

    @abstractmethod
    def convex_value(self, theta: Floats, nuclear_norm: float) -> float:
        """Value of the convex problem in the scores."""

    @abstractmethod
    def dual_value(self, theta: Floats, shrink: float) -> float:
        """Dual value at the slopes of theta times `shrink`."""

    @abstractmethod
    def prediction_bound(self, theta: Floats, shrink: float, gap: float) -> float:
        """Bound of the distance to any model with no larger gap."""


class PlainFactors(Certificate):
    """A certificate of factors that are multiplied as they are: scores are P Q'."""

    objective: Any

    def factors_of(self, left: Floats, values: Floats, right: Floats) -> Floats:
        """Latent rows whose scores are ``left diag(values^2) right'`` in the operator's scaling."""
        scale = 1 / np.sqrt(self.objective.row_penalties)
        return np.concatenate([left, right]) * values * scale[:, None]

    def score_spectrum(self, theta: Floats) -> Floats:
        """Singular values of ``L_u^1/2 P Q' L_i^1/2``, from two QR decompositions."""
        layout = self.objective.layout
        k, m = layout.n_factors, layout.n_users
        scaled = theta[:, :k] * np.sqrt(self.objective.row_penalties)[:, None]
        left = np.linalg.qr(scaled[:m], mode="r")
        right = np.linalg.qr(scaled[m:], mode="r")
        return np.linalg.svd(np.asarray(left) @ np.asarray(right).T, full_matrices=False)[1]


class Certifiable(Protocol):
    """An objective of factors, as far as its certificate is concerned.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.objectives import WeightedObjective
    >>> objective = WeightedObjective.from_interactions(
    ...     Interactions.from_matrix([[1, 0, 3], [0, 2, 0]]),
    ...     n_factors=1, regularization=0.5, alpha=2.0, backend=ScipyBackend(),
    ... )
    >>> objective.has_gauge, objective.row_penalties
    (True, array([0.5, 0.5, 0.5, 0.5, 0.5]))
    """

    stops_at_saddles: ClassVar[bool]

    @property
    def layout(self) -> Any: ...
    @property
    def has_gauge(self) -> bool: ...
    @property
    def row_penalties(self) -> Floats: ...
    @property
    def value_unit(self) -> float: ...
    def at(self, theta: Any) -> Any: ...
    def value(self, theta: Floats) -> float: ...
    def gradient(self, theta: Floats) -> Floats: ...
    def rotated(self, rotation: Any) -> Any: ...
    def with_factors(self, n_factors: int) -> Self: ...
    def certificate(self) -> Certificate: ...


def scaled_pattern(pattern: Any, values: Floats, row_penalties: Floats) -> LinearOperator:
    """Values on a pattern, rows and columns divided by the root of their penalty."""
    users, items = np.split(1 / np.sqrt(row_penalties), [pattern.shape[0]])
    values = values * np.repeat(users, np.diff(pattern.indptr))
    values *= items[pattern.indices]
    return aslinearoperator(csr_array((values, pattern.indices, pattern.indptr), pattern.shape))


def norm_bound(values: Floats, rows: NDArray[Any], columns: NDArray[Any]) -> float:
    """Bound the spectral norm of a sparse matrix: the root of its 1-norm times its inf-norm.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.certificates._base import norm_bound
    >>> norm_bound(np.array([3.0, -4.0]), np.array([0, 1]), np.array([0, 1]))
    4.0
    """
    sizes = np.abs(values)
    by_row, by_column = np.bincount(rows, sizes), np.bincount(columns, sizes)
    return float(np.sqrt(by_row.max(initial=0.0) * by_column.max(initial=0.0)))
