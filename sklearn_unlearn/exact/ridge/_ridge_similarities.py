"""Weights of items on items, from the inverse of a regularised Gram matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["largest_similarities", "scores_of_rows", "similarities"]

Floats = NDArray[np.float64]

# Weights are compared in units of this: what is equal but for rounding is equal.
_UNIT = 2.0**-33


def similarities(inverse: Floats) -> Floats:
    """Return ``-P_ij / P_jj``, zero on the diagonal.

    Parameters
    ----------
    inverse : ndarray of float64, shape (n_items, n_items)
        P.

    Returns
    -------
    weights : ndarray of float64, shape (n_items, n_items)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.exact.ridge._ridge_similarities import similarities
    >>> similarities(np.array([[0.5, -0.25], [-0.25, 1.0]]))
    array([[0.  , 0.25],
           [0.5 , 0.  ]])
    """
    weights = inverse / -np.diagonal(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights


def scores_of_rows(rows: sparse.csr_array, inverse: Floats) -> Floats:
    """Multiply rows by `similarities`, without making those.

    Parameters
    ----------
    rows : csr_array of shape (n, n_items)
        Without duplicates.

    inverse : ndarray of float64, shape (n_items, n_items)
        P.

    Returns
    -------
    scores : ndarray of float64, shape (n, n_items)

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from sklearn_unlearn.exact.ridge._ridge_similarities import scores_of_rows
    >>> scores_of_rows(csr_array([[2.0, 0.0]]), np.array([[0.5, -0.25], [-0.25, 1.0]]))
    array([[0. , 0.5]])
    """
    scores = rows @ inverse
    scores /= -np.diagonal(inverse)
    # The diagonal of P was taken along: it made minus the value of the row itself.
    scores[np.repeat(np.arange(len(scores)), np.diff(rows.indptr)), rows.indices] += rows.data
    return scores


def largest_similarities(inverse: Floats, k: int) -> sparse.csr_array:
    """Keep the weights of the largest magnitude of each column of `similarities`.

    Parameters
    ----------
    inverse : ndarray of float64, shape (n_items, n_items)
        P.

    k : int
        How many in a column, at most. Weights are compared after rounding to about 1e-10: of equal
        ones those of the lowest rows stay, and those that round to zero go.

    Returns
    -------
    weights : csr_array of float64, shape (n_items, n_items)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.exact.ridge._ridge_similarities import largest_similarities
    >>> P = np.array([[1.0, -0.5, 0.25], [-0.5, 1.0, -0.5], [0.25, -0.5, 1.0]])
    >>> largest_similarities(P, 1).toarray()
    array([[0. , 0.5, 0. ],
           [0.5, 0. , 0.5],
           [0. , 0. , 0. ]])
    """
    from sklearn_unlearn.exact.ridge._ridge_kernels import largest_of_rows

    n = len(inverse)
    items, counts = np.zeros((n, min(k, n)), np.int64), np.zeros(n, np.int64)
    # Row j is column j, as P is symmetric.
    largest_of_rows(inverse, _UNIT, items, counts, 0, n)
    columns = np.repeat(np.arange(n), counts)
    rows = items[np.arange(items.shape[1]) < counts[:, None]]
    values = -inverse[columns, rows] / np.diagonal(inverse)[columns]
    indptr = np.append(0, np.cumsum(counts))
    return sparse.csc_array((values, rows, indptr), shape=(n, n)).tocsr()
