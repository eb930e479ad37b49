"""The linear operator of one Newton step: the exact Hessian, with the gauge fixed.

``J(P O, Q O) = J(P, Q)`` for every rotation O, so the Hessian is singular along the orbit
``{Z Omega : Omega skew}`` at a stationary point, and *slightly indefinite* there when the data have
just changed. Conjugate gradients would divide by about zero. No step needs to move along the orbit:
`GaugeFixedHessian` gives it positive curvature, which leaves all other directions alone.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from sklearn_unlearn.backends import (
    Array,
    copy_of,
    double,
    inner,
    like,
    namespace_of,
    to_numpy,
)

__all__ = [
    "GaugeFixedHessian",
    "HorizontalProjector",
    "LocalModel",
    "canonical_rotation",
    "rotate_columns",
]

Floats = NDArray[Any]


class LocalModel(Protocol):
    """What a Newton step needs of an objective at one point, in the arrays of its backend.

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
    >>> point = objective.at(np.ones((5, 1)))
    >>> point.hessian_product(np.ones((5, 1))).shape
    (5, 1)
    """

    theta: Array

    @property
    def value(self) -> float:
        """Value of the objective."""

    @property
    def gradient(self) -> Array:
        """Gradient, a table like theta."""

    def hessian_product(self, V: Array) -> Array:
        """Hessian times a table of directions."""

    def hessian_diagonal(self) -> Array:
        """Diagonal of the Hessian, a table like theta."""

    def blocks(self) -> Array:
        """Diagonal (width, width) blocks of the Hessian."""


class HorizontalProjector:
    """Orthogonal projector onto the directions that do not rotate the latent columns.

    The vertical part of W is ``Z Om``, Om skew, with ``(Z'Z) Om + Om (Z'Z) = Z'W - W'Z``: a
    Sylvester equation, solved by one eigendecomposition of Z'Z. O(n_rows k^2) a projection.

    Parameters
    ----------
    theta : ndarray, shape (n_rows, width)
        Table of parameters.

    n_factors : int
        Latent columns; the others do not rotate.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.solvers import HorizontalProjector
    >>> theta = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    >>> rotation = theta @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    >>> bool(np.allclose(HorizontalProjector(theta, 2)(rotation), 0))
    True
    """

    def __init__(self, theta: Array, n_factors: int) -> None:
        self.Z = copy_of(theta[:, :n_factors])
        self.n_factors = n_factors
        # Small matrices are decomposed on the host, whatever the device.
        values, vectors = np.linalg.eigh(to_numpy(self.Z.T @ self.Z))
        values = np.maximum(values, 0)
        sums = values[:, None] + values[None, :]
        floor = 1e-12 * values[-1] if n_factors else 0.0
        inverse_sums = np.divide(1.0, sums, out=np.zeros_like(sums), where=sums > floor)
        self.vectors, self.inverse_sums = like(theta, vectors), like(theta, inverse_sums)

    def vertical(self, W: Array) -> Array:
        """Part of the latent columns of W along the orbit, shape (n_rows, n_factors)."""
        skew = self.Z.T @ W[:, : self.n_factors]
        skew = skew - skew.T
        V = self.vectors
        return self.Z @ (V @ ((V.T @ skew @ V) * self.inverse_sums) @ V.T)

    def __call__(self, W: Array) -> Array:
        """Horizontal part of a table."""
        out = copy_of(W)
        out[:, : self.n_factors] -= self.vertical(W)
        return out


class GaugeFixedHessian(LinearOperator):
    """``H V + shift * V_vertical + damping * V`` on flat vectors.

    `product` speaks the arrays of the point; as a SciPy operator it speaks NumPy.

    Parameters
    ----------
    point : LocalModel
        The objective at theta.

    projector : HorizontalProjector
        Splits a direction into what rotates and what does not.

    diagonal : ndarray, shape of theta
        Diagonal of the Hessian; it sets the scale of the vertical curvature.

    damping : float, default=0.0
        Added to the diagonal.

    Attributes
    ----------
    n_products : int
        Hessian-vector products so far: the unit in which solves are compared.

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
    >>> from sklearn_unlearn.solvers import GaugeFixedHessian, HorizontalProjector
    >>> theta = np.ones((5, 1))
    >>> point = objective.at(theta)
    >>> hessian = GaugeFixedHessian(point, HorizontalProjector(theta, 1), point.hessian_diagonal())
    >>> hessian.shape
    (5, 5)
    """

    def __init__(
        self,
        point: LocalModel,
        projector: HorizontalProjector,
        diagonal: Array,
        damping: float = 0.0,
    ) -> None:
        size = math.prod(point.theta.shape)
        super().__init__(dtype=to_numpy(point.theta[:0]).dtype, shape=(size, size))
        self.point = point
        self.projector = projector
        self.damping = damping
        self.n_products = 0
        energy = projector.Z**2
        total = float(energy.sum())
        # Mean curvature along the orbit, so that the preconditioner sees nothing unusual there.
        latent = diagonal[:, : projector.n_factors]
        self.vertical_shift = inner(energy, latent) / total if total > 0 else 0.0

    def product(self, x: Array) -> Array:
        """Operator times a flat vector."""
        V = x.reshape(self.point.theta.shape)
        self.n_products += 1
        out = self.point.hessian_product(V)
        if self.vertical_shift:
            out[:, : self.projector.n_factors] += self.vertical_shift * self.projector.vertical(V)
        if self.damping:
            out += self.damping * V
        return out.reshape(-1)

    def _matvec(self, x: Floats) -> Floats:
        return to_numpy(self.product(like(self.point.theta, x)))

    def _adjoint(self) -> GaugeFixedHessian:
        return self


def canonical_rotation(Z: Array) -> Array:
    """Rotation that makes the Gram matrix of the rows of Z diagonal, in descending order.

    Each new column's sign makes its largest entry positive, so the result depends on ``Z Z'``
    alone: factors rotated by it carry no history.

    Parameters
    ----------
    Z : ndarray, shape (n_rows, n_factors)
        Latent rows, an array of any backend.

    Returns
    -------
    rotation : ndarray, shape (n_factors, n_factors)
        Orthogonal; ``Z @ rotation`` is canonical.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.solvers._gauge import canonical_rotation
    >>> Z = np.array([[1.0, 1.0], [1.0, -1.0], [2.0, 2.0]])
    >>> rotated = Z @ canonical_rotation(Z)
    >>> np.round(rotated.T @ rotated, 6) + 0.0
    array([[10.,  0.],
           [ 0.,  2.]])
    """
    if not Z.shape[1]:
        return Z.T @ Z
    xp = namespace_of(Z)
    rotation = like(Z, np.linalg.eigh(to_numpy(Z.T @ Z))[1][:, ::-1])
    rotated = Z @ rotation
    places = to_numpy(xp.argmax(xp.abs(rotated), axis=0))
    peaks = to_numpy(rotated[places, np.arange(Z.shape[1])])
    return rotation * like(Z, np.where(peaks < 0, -1.0, 1.0))


def rotate_columns(table: Array, rotation: Array) -> Array:
    """Rotate the latent columns of a table, the first ``len(rotation)``."""
    k = len(rotation)
    out = copy_of(table)
    out[:, :k] = double(table[:, :k]) @ double(rotation)
    return out
