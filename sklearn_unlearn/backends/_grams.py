"""Gram matrices: sums over all pairs of rows, at the price of sums over the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends._base import Array, double, namespace_of

__all__ = ["gram", "gram_change", "product_norm"]

Floats = NDArray[Any]

# Rows brought to double precision at once: a copy of the table would double the memory.
_ROWS_AT_ONCE = 4096


def gram(A: Array, B: Array | None = None, *, weights: Array | None = None) -> Array:
    """Sum over rows of ``weight * outer(A[row], B[row])``, in double precision.

    Parameters
    ----------
    A : ndarray, shape (n_rows, k)
        Rows of float64 or float32; this and all others are arrays of one backend, any.

    B : ndarray, shape (n_rows, k), or None, default=None
        None is A.

    weights : ndarray, shape (n_rows,), or None, default=None
        None is 1.

    Returns
    -------
    gram : ndarray of float64, shape (k, k)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends._grams import gram
    >>> gram(np.array([[1.0, 2.0], [0.0, 3.0]]), weights=np.array([1.0, 2.0]))
    array([[ 1.,  2.],
           [ 2., 22.]])
    """
    B, xp = A if B is None else B, namespace_of(A)
    out = xp.zeros((A.shape[1], B.shape[1]), dtype=xp.float64, device=A.device)
    for start in range(0, len(A), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        left = double(A[rows])
        right = left if B is A else double(B[rows])
        if weights is not None:
            right = right * weights[rows, None]
        out += left.T @ right
    return out


def gram_change(before: Array, after: Array, weights: Array | None = None) -> Array:
    """Difference of two Gram matrices, from the rows that differ: no digits cancel.

    Parameters
    ----------
    before, after : ndarray, shape (n_rows, k)
        Rows.

    weights : ndarray, shape (n_rows,), or None, default=None
        None is 1.

    Returns
    -------
    change : ndarray of float64, shape (k, k)
        ``gram(after) - gram(before)``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends._grams import gram_change
    >>> gram_change(np.array([[1.0, 2.0], [5.0, 5.0]]), np.array([[1.0, 3.0], [5.0, 5.0]]))
    array([[0., 1.],
           [1., 5.]])
    """
    xp = namespace_of(before)
    moved = xp.nonzero(xp.any(before != after, axis=1))[0]
    old, new = double(before[moved]), double(after[moved])
    half = 0.5 * gram(new - old, new + old, weights=None if weights is None else weights[moved])
    return half + half.T


def product_norm(left: Floats, right: Floats) -> float:
    """Spectral norm of ``A B'``, from the Gram matrices of A and B.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends._grams import product_norm
    >>> product_norm(np.diag([4.0, 1.0]), np.diag([9.0, 0.0]))
    6.0
    """
    if not len(left):
        return 0.0
    values, vectors = np.linalg.eigh(left)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return float(np.sqrt(max(np.linalg.eigvalsh(root.T @ right @ root)[-1], 0.0)))
