"""Approximate inverses of the Hessian, rebuilt from the data at every Newton step.

Nothing is kept between requests: a stored preconditioner would be a trace of what was forgotten,
and the default one costs less than one Hessian product to build.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence._operators import LocalModel

__all__ = ["PRECONDITIONERS", "block_jacobi", "jacobi"]

Floats = NDArray[Any]
Preconditioner = Callable[[Floats], Floats]


def jacobi(point: LocalModel, diagonal: Floats, damping: float = 0.0) -> Preconditioner:
    """Divide by the diagonal of the Hessian.

    In the canonical basis, where the Gram matrices of the factors are diagonal, this is nearly as
    good as `block_jacobi` (0 to 30 % more products) and k times cheaper.
    """
    inverse = 1.0 / (diagonal + damping).ravel()
    return lambda r: inverse * r


def block_jacobi(point: LocalModel, diagonal: Floats, damping: float = 0.0) -> Preconditioner:
    """Solve with the (width, width) diagonal block of each row.

    A block that is not positive definite is shifted until it is.
    """
    blocks = point.blocks()
    shape = point.theta.shape
    values, vectors = np.linalg.eigh(blocks)
    values += damping
    floor = np.maximum(1e-3 * values[:, -1:], np.finfo(float).tiny)
    inverse = 1.0 / np.maximum(np.abs(values), floor)

    def solve(r: Floats) -> Floats:
        rotated = np.einsum("nji,nj->ni", vectors, r.reshape(shape))
        return np.einsum("nij,nj->ni", vectors, inverse * rotated).ravel()

    return solve


PRECONDITIONERS: dict[str, Callable[..., Preconditioner]] = {
    "jacobi": jacobi,
    "block-jacobi": block_jacobi,
}
