"""Largest singular values and lowest eigenvalues of linear operators, with their residuals.

A small operator is decomposed densely, a larger one by Lanczos (ARPACK). ARPACK refuses operators
that are zero, and may fail where few vectors span the range: those are left to a block of random
vectors, which is exact for them and says by its residual how far off it is for others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh, svds

from sklearn_unlearn.utils._random import hashed_normal

__all__ = ["lowest_eigenpairs", "lowest_eigenvalue_bound", "spectral_norm_bound", "top_singular"]

Floats = NDArray[Any]
# Tolerance and number of Lanczos vectors (None: ARPACK's default).
Attempt = tuple[float, int | None]

# An operator with no larger side is decomposed densely: Lanczos needs fewer vectors than rows.
_DENSE_SIDE = 64
# Of the random block: vectors beyond those wanted, and powers of the operator.
_N_GUARDS, _N_POWERS = 4, 8
# Lanczos for a bound: the cluster at the top is as large as the rank of the model, so its value
# converges long before any one vector does.
_FOR_BOUNDS: tuple[Attempt, ...] = ((1e-10, 60), (1e-7, 60), (1e-4, 60))
# A value with a larger residual, in units of the value and of 1, bounds nothing.
_CLOSE = 1e-3


# What is not finite is returned as unknown: no warning is needed.
@np.errstate(over="ignore", invalid="ignore")
def top_singular(
    matrix: LinearOperator, n: int, *attempts: Attempt
) -> tuple[Floats, Floats, Floats, float]:
    """Decompose an operator at the upper end of its singular values.

    Parameters
    ----------
    matrix : LinearOperator, shape (n_rows, n_columns)
        Any side may be 0 or 1.

    n : int
        Triplets wanted.

    *attempts : tuple of float and int or None
        Tolerance and number of Lanczos vectors, one after the other until one converges.

    Returns
    -------
    left : ndarray, shape (n_rows, n)
        Orthonormal columns; zeros beyond the smaller side.

    values : ndarray, shape (n,)
        Descending; zeros beyond the smaller side.

    right : ndarray, shape (n_columns, n)
        Like `left`.

    residual : float
        The first value is at most so far from a singular value: the larger norm of
        ``matrix @ v - s * u`` and ``matrix.T @ u - s * v``. Infinite, and all else zero, if the
        operator yields numbers that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from sklearn_unlearn.solvers._extremal import top_singular
    >>> left, values, right, residual = top_singular(aslinearoperator(np.diag([3.0, -4.0])), 1)
    >>> values
    array([4.])
    >>> top_singular(aslinearoperator(np.zeros((5, 0))), 1)[1]
    array([0.])
    """
    rows, columns = matrix.shape
    side = min(rows, columns)
    if not n or not side:
        return np.zeros((rows, n)), np.zeros(n), np.zeros((columns, n)), 0.0
    if side <= max(_DENSE_SIDE, 3 * n):
        found = _dense_svd(matrix)
    else:

        def lanczos(start: Floats, tol: float, size: int | None) -> tuple[Floats, Floats, Floats]:
            U, s, Vt = svds(matrix, k=n, tol=tol, v0=start, ncv=size)
            return U, s, Vt.T

        def gram(X: Floats) -> Floats:
            one, other = matrix.matmat, matrix.rmatmat
            return one(other(X)) if rows < columns else other(one(X))

        found = _by_attempts(lanczos, gram, side, n, attempts)
        if found is None:
            found = _block_svd(matrix, gram, n)
    if found is None:
        return np.zeros((rows, n)), np.zeros(n), np.zeros((columns, n)), np.inf
    U, s, V = found
    order = np.argsort(-s)[:n]
    U, s, V = _padded(U[:, order], n), _padded(s[order], n), _padded(V[:, order], n)
    u, v = U[:, 0], V[:, 0]
    forward, backward = matrix.matvec(v) - s[0] * u, matrix.rmatvec(u) - s[0] * v
    return U, s, V, float(max(np.linalg.norm(forward), np.linalg.norm(backward)))


@np.errstate(over="ignore", invalid="ignore")
def lowest_eigenpairs(
    matrix: LinearOperator, n: int, *attempts: Attempt
) -> tuple[Floats, Floats, float]:
    """Decompose a symmetric operator at the lower end of its spectrum.

    Parameters
    ----------
    matrix : LinearOperator, shape (side, side)
        Symmetric.

    n : int
        Eigenvalues wanted.

    *attempts : tuple of float and int or None
        As for `top_singular`.

    Returns
    -------
    values : ndarray, shape (n,)
        Ascending; zeros beyond `side`.

    vectors : ndarray, shape (side, n)
        Orthonormal columns; zeros beyond `side`.

    residual : float
        The first value is at most so far from an eigenvalue: the norm of
        ``matrix @ x - value * x``. Infinite, and all else zero, if the operator yields numbers that
        are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from sklearn_unlearn.solvers._extremal import lowest_eigenpairs
    >>> lowest_eigenpairs(aslinearoperator(np.diag([3.0, -1.0, 2.0])), 2)[0]
    array([-1.,  2.])
    """
    side = matrix.shape[0]
    if not n or not side:
        return np.zeros(n), np.zeros((side, n)), 0.0
    if side <= max(_DENSE_SIDE, 3 * n):
        found = _eigh(matrix.matmat(np.eye(side)))
    else:

        def lanczos(start: Floats, tol: float, size: int | None) -> tuple[Floats, ...]:
            values, vectors = eigsh(matrix, k=n, which="SA", tol=tol, v0=start, ncv=size)
            return values, vectors

        found = _by_attempts(lanczos, matrix.matmat, side, n, attempts)
        if found is None:
            found = _block_eigh(matrix, n)
    if found is None:
        return np.zeros(n), np.zeros((side, n)), np.inf
    values, vectors = found
    order = np.argsort(values)[:n]
    values, vectors = _padded(values[order], n), _padded(vectors[:, order], n)
    left = matrix.matvec(vectors[:, 0]) - values[0] * vectors[:, 0]
    return values, vectors, float(np.linalg.norm(left))


def spectral_norm_bound(matrix: LinearOperator) -> float:
    """Return the largest singular value plus its residual: never to flatter.

    Returns
    -------
    bound : float
        Infinity if nothing is known, so that nothing is certified.
    """
    _, values, _, residual = top_singular(matrix, 1, *_FOR_BOUNDS)
    return _raised(float(values[0]), residual)


def lowest_eigenvalue_bound(matrix: LinearOperator) -> float:
    """Return the lowest eigenvalue of a symmetric operator less its residual: never to flatter.

    Returns
    -------
    bound : float
        Minus infinity if nothing is known, so that nothing is certified.
    """
    values, _, residual = lowest_eigenpairs(matrix, 1, *_FOR_BOUNDS)
    return -_raised(-float(values[0]), residual)


def _raised(value: float, residual: float) -> float:
    return value + residual if residual <= _CLOSE * max(1.0, abs(value)) else np.inf


def _by_attempts(
    lanczos: Callable[..., Any],
    product: Callable[[Floats], Floats],
    side: int,
    n: int,
    attempts: tuple[Attempt, ...],
) -> Any:
    """Return what the first attempt that converges finds; None if none does."""
    for seed, (tol, size) in enumerate(attempts):
        start = hashed_normal(seed, np.arange(side))
        first = product(start[:, None])
        # ARPACK takes a product of zero for a bad start, and never ends on one that is not finite.
        if not first.any() or not np.isfinite(first).all():
            return None
        try:
            return lanczos(start, tol, None if size is None else min(size, side - 1))
        except ArpackError:  # among them ArpackNoConvergence
            continue
    return None


def _krylov_basis(product: Callable[[Floats], Floats], side: int, n: int) -> Floats:
    """Orthonormal basis of a random block and its images under powers of a symmetric product.

    It holds the range of a product of low rank, and vectors that the product takes to zero.
    """
    places = np.arange(side)[:, None], np.arange(n + _N_GUARDS)
    blocks = [np.linalg.qr(hashed_normal(0, *places))[0]]
    for _ in range(_N_POWERS):
        blocks.append(np.linalg.qr(product(blocks[-1]))[0])
    return np.linalg.qr(np.hstack(blocks))[0]


def _dense_svd(matrix: LinearOperator) -> tuple[Floats, Floats, Floats] | None:
    rows, columns = matrix.shape
    # By the smaller side: the identity of the larger one need not fit.
    wide = rows < columns
    return _svd(matrix.rmatmat(np.eye(rows)).T if wide else matrix.matmat(np.eye(columns)))


def _block_svd(
    matrix: LinearOperator, gram: Callable[[Floats], Floats], n: int
) -> tuple[Floats, Floats, Floats] | None:
    rows, columns = matrix.shape
    wide = rows < columns
    basis = _krylov_basis(gram, min(rows, columns), n)
    found = _svd(matrix.rmatmat(basis).T if wide else matrix.matmat(basis))
    if found is None:
        return None
    U, s, V = found
    return (basis @ U, s, V) if wide else (U, s, basis @ V)


def _svd(dense: Floats) -> tuple[Floats, Floats, Floats] | None:
    if not np.isfinite(dense).all():
        return None
    U, s, Vt = np.linalg.svd(dense.astype(np.float64, copy=False), full_matrices=False)
    return U, s, Vt.T


def _block_eigh(matrix: LinearOperator, n: int) -> tuple[Floats, Floats] | None:
    basis = _krylov_basis(matrix.matmat, matrix.shape[0], n)
    found = _eigh(basis.T @ matrix.matmat(basis))
    return None if found is None else (found[0], basis @ found[1])


def _eigh(dense: Floats) -> tuple[Floats, Floats] | None:
    if not np.isfinite(dense).all():
        return None
    values, vectors = np.linalg.eigh(dense.astype(np.float64, copy=False))
    return values, vectors


def _padded(array: Floats, n: int) -> Floats:
    """Zeros after the last axis, up to n."""
    missing = n - array.shape[-1]
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)])
