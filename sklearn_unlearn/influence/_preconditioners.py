"""Approximate inverses of the Hessian, rebuilt from the data at every Newton step.

Nothing is kept between requests: a stored preconditioner would be a trace of what was forgotten,
and the default one costs less than one Hessian product to build.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sklearn_unlearn.influence._operators import LocalModel
from sklearn_unlearn.influence.backends import Array, namespace_of

__all__ = ["PRECONDITIONERS", "block_jacobi", "jacobi"]

Preconditioner = Callable[[Array], Array]


def jacobi(point: LocalModel, diagonal: Array, damping: float = 0.0) -> Preconditioner:
    """Divide by the diagonal of the Hessian.

    In the canonical basis, where the Gram matrices of the factors are diagonal, this is nearly as
    good as `block_jacobi` (0 to 30 % more products) and k times cheaper.
    """
    inverse = 1.0 / (diagonal + damping).reshape(-1)
    return lambda r: inverse * r


def block_jacobi(point: LocalModel, diagonal: Array, damping: float = 0.0) -> Preconditioner:
    """Solve with the (width, width) diagonal block of each row.

    A block that is not positive definite is shifted until it is.
    """
    blocks = point.blocks()
    xp, shape = namespace_of(blocks), point.theta.shape
    values, vectors = xp.linalg.eigh(blocks)
    values = values + damping
    floor = xp.clip(1e-3 * values[:, -1:], np.finfo(float).tiny, None)
    sizes = xp.abs(values)
    inverse = 1.0 / xp.where(sizes < floor, floor, sizes)

    def solve(r: Array) -> Array:
        rotated = (r.reshape(shape)[:, None, :] @ vectors)[:, 0, :]
        return (vectors @ (inverse * rotated)[:, :, None]).reshape(-1)

    return solve


PRECONDITIONERS: dict[str, Callable[..., Preconditioner]] = {
    "jacobi": jacobi,
    "block-jacobi": block_jacobi,
}
