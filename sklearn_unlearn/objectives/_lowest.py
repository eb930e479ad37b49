"""Lowest eigenvalues of a symmetric operator: of the residual of propagated rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

__all__ = ["lowest_eigenpairs"]

Floats = NDArray[Any]

# A smaller matrix is decomposed densely: Lanczos needs fewer vectors than rows.
_DENSE_SIDE = 64


def lowest_eigenpairs(
    matrix: LinearOperator, n: int, *attempts: tuple[float, int | None], start: Floats
) -> tuple[Floats, Floats]:
    """Decompose a symmetric matrix at the lower end of its spectrum, by Lanczos.

    Parameters
    ----------
    matrix : LinearOperator, shape (side, side)
        Symmetric.

    n : int
        Eigenvalues wanted.

    *attempts : tuple of float and int or None
        Tolerance and number of Lanczos vectors, one after the other until one converges.

    start : ndarray, shape (side,)
        Where Lanczos starts.

    Returns
    -------
    values : ndarray, shape (min(n, side),)
        Ascending.

    vectors : ndarray, shape (side, min(n, side))

    Raises
    ------
    ArpackNoConvergence
        If no attempt converged.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from sklearn_unlearn.objectives._lowest import lowest_eigenpairs
    >>> matrix = aslinearoperator(np.diag([3.0, -1.0, 2.0]))
    >>> lowest_eigenpairs(matrix, 2, (1e-8, None), start=np.ones(3))[0]
    array([-1.,  2.])
    """
    side = matrix.shape[0]
    if side <= max(_DENSE_SIDE, 3 * n):
        values, vectors = np.linalg.eigh(matrix.matmat(np.eye(side)))
        return values[:n], vectors[:, :n]
    if not n or not matrix.matvec(start).any():  # zero: ARPACK takes it for a bad start
        return np.zeros(n), np.linalg.qr(start[:, None] * np.eye(side, n))[0]
    for attempt, (tol, n_vectors) in enumerate(attempts, start=1):
        size = None if n_vectors is None else min(n_vectors, side - 1)
        try:
            values, vectors = eigsh(matrix, k=n, which="SA", tol=tol, v0=start, ncv=size)
        except ArpackNoConvergence:
            if attempt == len(attempts):
                raise
        else:
            break
    order = np.argsort(values)
    return values[order], vectors[:, order]
