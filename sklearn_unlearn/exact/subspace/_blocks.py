"""Tall blocks of vectors: orthonormal factors, projections, low ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.utils._random import hashed_normal

__all__ = ["low_rank", "orthonormal", "random_block", "spanned", "taken_out"]

Floats = NDArray[Any]

# Gram matrices square what they measure: ratios of less than so many roots of the rounding are for
# a QR decomposition.
_GRAM_SAFETY = 500.0


def random_block(n: int, width: int, seed: int, stream: int) -> Floats:
    """Hashed normal numbers: what they are depends on seed and stream alone.

    Parameters
    ----------
    n, width : int
        Shape.

    seed, stream : int
        Seed of the model, and which draw of it this is.

    Returns
    -------
    block : ndarray of shape (n, width)
    """
    return hashed_normal(seed, np.arange(n)[:, None], np.arange(width), stream)


def taken_out(Y: Floats, basis: Floats) -> tuple[Floats, Floats]:
    """Take an orthonormal basis out of a block; return what is left, and the coefficients.

    Products are made in the data type of the basis: a change of type would copy all of it.
    """
    C = basis.T @ Y.astype(basis.dtype, copy=False)
    return Y - basis @ C, C


def orthonormal(Y: Floats, drop: float) -> tuple[Floats, Floats, float]:
    """Write ``Y = Q C`` with orthonormal Q, without directions of size up to `drop`.

    Returns
    -------
    Q, C : ndarray
        The factors.

    smallest : float
        Size of the smallest direction that was kept.
    """
    squares, V = np.linalg.eigh((Y.T @ Y).astype(np.float64))
    ratio = _GRAM_SAFETY * np.finfo(Y.dtype).eps ** 0.5
    if len(squares) and squares[0] > max(ratio**2 * squares[-1], drop**2):
        sizes = np.sqrt(squares)
        Q = Y @ (V / sizes).astype(Y.dtype)
        # Once more: the first pass is accurate to rounding over the ratio of the sizes.
        L = np.linalg.cholesky((Q.T @ Q).astype(np.float64))
        Q = Q @ np.linalg.inv(L).T.astype(Y.dtype)
        return Q, L.T @ (sizes[:, None] * V.T), float(sizes[0])
    Q, S = np.linalg.qr(Y)
    left, sizes, right = np.linalg.svd(S)
    keep = int(np.count_nonzero(sizes > drop))
    smallest = float(sizes[keep - 1]) if keep else 0.0
    return Q @ left[:, :keep], (sizes[:keep, None] * right[:keep]).astype(np.float64), smallest


def spanned(Y: Floats, tol: float, largest: float | None = None) -> tuple[Floats, Floats]:
    """Write ``Y = Q R`` with orthonormal Q, up to a share of the largest direction."""
    squares, V = np.linalg.eigh(Y.T @ Y)
    top = squares.max(initial=0.0) if largest is None else largest**2
    some = squares > tol**2 * top
    sizes, V = np.sqrt(squares[some]), V[:, some]
    return Y @ (V / sizes), sizes[:, None] * V.T


def low_rank(weights: Floats, slack: float) -> tuple[Floats, Floats]:
    """Factors of a matrix, up to some slack in the Frobenius norm."""
    left, sizes, right = np.linalg.svd(weights, full_matrices=False)
    keep = int(np.count_nonzero(np.cumsum(sizes[::-1] ** 2)[::-1] > slack**2))
    return left[:, :keep] * sizes[:keep], right[:keep]
