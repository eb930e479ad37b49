"""The inverse of a regularised Gram matrix, and its correction when interactions go or come.

The matrix is ``M = X' W X + regularization I``, X of shape (n_users, n_items), W the weights of the
users; dropout adds a share of the diagonal of ``X' W X``. Its inverse P is corrected by the
identity of Woodbury, in one pass that reads P and writes a new table. A product with random signs,
made in that pass, tells how well ``M P = I`` still holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack, solve_triangular

from sklearn_unlearn.exact.ridge._ridge_changes import (
    Change,
    ChangedCells,
    Positions,
    cheapest_change,
)
from sklearn_unlearn.exact.ridge._ridge_terms import RidgeTerms
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._random import hashed_bits

__all__ = [
    "EXACT_RESIDUAL",
    "corrected_inverse",
    "grown_inverse",
    "measured_residual",
    "ridge_inverse",
]

Floats = NDArray[np.float64]
_NONE = np.empty(0, np.int64)

# A correction of a higher rank, as a share of the items, costs as much as a new inverse.
_MAX_RANK = 0.25
# Up to this rank compiled loops keep up with BLAS; at 5,000 items rank 32 took .18 s, by BLAS .09.
_MAX_KERNEL_RANK = 8
# Rows that BLAS works on at once.
_PANEL = 512
# The residual that is tolerated, the least that can be, in units of the condition number, and what
# may be called floating-point tolerance however that is.
_MAX_RESIDUAL = 1e-11
_ROUNDING = 4 * float(np.finfo(np.float64).eps)
EXACT_RESIDUAL = 1e-8


def ridge_inverse(data: Interactions, terms: RidgeTerms | float) -> Floats:
    """Invert ``X' W X`` and a diagonal.

    Parameters
    ----------
    data : Interactions
        X, and the weights of its rows.

    terms : RidgeTerms or float
        What is added to the diagonal, and how users count; or the regularization alone.

    Returns
    -------
    inverse : ndarray of float64, shape (n_items, n_items)
        Symmetric.

    Raises
    ------
    ValueError
        If the matrix is singular to working precision.

    Examples
    --------
    >>> from sklearn_unlearn.exact.ridge._ridge_inverse import ridge_inverse
    >>> from sklearn_unlearn.interactions import Interactions
    >>> ridge_inverse(Interactions.from_matrix([[1, 1], [0, 1]]), 1.0).round(3)
    array([[ 0.6, -0.2],
           [-0.2,  0.4]])
    """
    terms = RidgeTerms.of(terms)
    table = _gram(data, terms)
    places = np.diag_indices_from(table)
    table[places] += terms.penalties(table[places])
    # Transposed: the lower triangle of rows is the upper one of the columns that LAPACK wants.
    table, info = lapack.dpotrf(table.T, lower=0, clean=0, overwrite_a=1)
    if info == 0:
        table, info = lapack.dpotri(table, lower=0, overwrite_c=1)
    inverse = table.T
    diagonal = np.diagonal(inverse)
    if info or not ((diagonal > 0) & (diagonal < np.inf)).all():
        raise ValueError(
            f"regularization is {terms.regularization:g}, and with it the Gram matrix of the "
            f"{data.n_items} items is singular to working precision; expected it to be positive "
            "definite. Raise regularization, or scale the values of X down."
        )
    _mirror(inverse)
    return inverse


def _gram(data: Interactions, terms: RidgeTerms) -> Floats:
    """Return the lower triangle of ``X' W X`` in a square table."""
    from sklearn_unlearn.exact.ridge._ridge_kernels import gram_rows

    columns = data.to_csr().tocsc()
    by_item = columns.indptr, columns.indices, columns.data
    out = np.zeros((data.n_items, data.n_items))
    gram_rows(by_item, _cells(data), terms.weights(data), out, 0, data.n_items)
    return out


def _cells(data: Interactions) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    return np.asarray(data.indptr), np.asarray(data.indices), np.asarray(data.values)


def _mirror(table: Floats) -> None:
    """Copy the lower triangle to the upper one, block by block to stay in the cache."""
    n, step = len(table), 64
    for start in range(0, n, step):
        stop = min(start + step, n)
        block = table[start:stop, start:stop]
        block[:] = np.tril(block) + np.tril(block, -1).T
        for left in range(0, start, step):
            table[left : left + step, start:stop] = table[start:stop, left : left + step].T


def corrected_inverse(
    inverse: Floats,
    before: Interactions,
    after: Interactions,
    positions: Positions,
    terms: RidgeTerms | float,
    added: Positions = _NONE,
) -> tuple[Floats, int, str]:
    """Correct an inverse for interactions that change; nothing that is passed in is written to.

    Parameters
    ----------
    inverse : ndarray of float64, shape (n_items, n_items)
        ``ridge_inverse(before, terms)``.

    before, after : Interactions
        Of one shape.

    positions : ndarray of int64
        Where those that go are in `before`, ascending.

    terms : RidgeTerms or float
        As in `ridge_inverse`.

    added : ndarray of int64, default=()
        Where those that come are in `after`, ascending. An interaction whose value changes goes and
        comes.

    Returns
    -------
    inverse : ndarray of float64, shape (n_items, n_items)
        ``ridge_inverse(after, terms)``, to rounding.

    n_changed : int
        How many rows of it changed.

    status : str
        How it was made: a downdate has a residual of `EXACT_RESIDUAL` at most. Of an inverse that
        was made again, `measured_residual` tells whether the matrix allowed a better one.

    Raises
    ------
    ValueError
        If the matrix is singular to working precision.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.exact.ridge._ridge_inverse import corrected_inverse, ridge_inverse
    >>> from sklearn_unlearn.interactions import Interactions
    >>> before = Interactions.from_matrix(np.tri(8))
    >>> positions = np.array([0])
    >>> after = before.remove(positions)
    >>> P, n_changed, status = corrected_inverse(
    ...     ridge_inverse(before, 1.0), before, after, positions, 1.0)
    >>> bool(np.allclose(P, ridge_inverse(after, 1.0))), status.split(",")[0]
    (True, 'downdate of rank 1')
    """
    inverse, terms = np.asarray(inverse), RidgeTerms.of(terms)  # a memory map passes its type on
    loss = ChangedCells(before, after, positions, added, terms)
    change = cheapest_change(loss, int(_MAX_RANK * len(inverse)))
    if change is None:
        reason = "the request is large"
    else:
        try:
            new, n_changed, residual, most = _downdate(inverse, loss, change)
        except np.linalg.LinAlgError:
            reason = "a correction would be singular"
        else:
            if residual <= min(most, EXACT_RESIDUAL):
                status = f"downdate of rank {change.rank}, residual {residual:.1e}"
                return new, n_changed, status
            reason = f"rounding had left a residual of {residual:.1e}"
            del new  # or there would be three tables at once
    return ridge_inverse(after, terms), len(inverse), f"inverted again: {reason}"


def grown_inverse(inverse: Floats, n_items: int, regularization: float) -> Floats:
    """Inverse of the matrix with more items, which have no interactions.

    Parameters
    ----------
    inverse : ndarray of float64, shape (n, n)
        P.

    n_items : int
        At least n.

    regularization : float
        Positive.

    Returns
    -------
    inverse : ndarray of float64, shape (n_items, n_items)
        Items without interactions are on their own.

    Examples
    --------
    >>> from sklearn_unlearn.exact.ridge._ridge_inverse import grown_inverse
    >>> grown_inverse(np.array([[3.0]]), 2, 2.0)
    array([[3. , 0. ],
           [0. , 0.5]])
    """
    n = len(inverse)
    table = np.zeros((n_items, n_items))
    table[:n, :n] = inverse
    table[np.arange(n, n_items), np.arange(n, n_items)] = 1.0 / regularization
    return table


def measured_residual(inverse: Floats, data: Interactions, terms: RidgeTerms | float) -> float:
    """Measure how well ``M P = I`` holds, by a product with random signs.

    Parameters
    ----------
    inverse : ndarray of float64, shape (n_items, n_items)
        P.

    data : Interactions
        What M is made of.

    terms : RidgeTerms or float
        As in `ridge_inverse`.

    Returns
    -------
    residual : float
        Root mean square of the elements of ``M P s - s``, for signs s.

    Examples
    --------
    >>> from sklearn_unlearn.exact.ridge._ridge_inverse import measured_residual, ridge_inverse
    >>> from sklearn_unlearn.interactions import Interactions
    >>> data = Interactions.from_matrix([[1, 1], [0, 1]])
    >>> measured_residual(ridge_inverse(data, 1.0), data, 1.0) < 1e-14
    True
    """
    probe = _signs(data, len(inverse))
    return _residual(data, RidgeTerms.of(terms), np.diagonal(inverse), probe, inverse @ probe)[0]


def _signs(data: Interactions, n: int) -> Floats:
    """Random signs: others each time, so that no error can hide from all of them."""
    bits = hashed_bits(data.n_interactions, np.arange(n))
    return np.where(bits >> np.uint64(63), 1.0, -1.0)


def _downdate(
    inverse: Floats, loss: ChangedCells, change: Change
) -> tuple[Floats, int, float, float]:
    """Correct an inverse; return it with the rows that changed, its residual, and a bound of it."""
    left, right = _corrections(inverse, change)
    probe = _signs(loss.after, len(inverse))
    new, product = _add(inverse, left, right, probe)
    # An item without interactions is on its own: without the rounding of what it was.
    items = np.flatnonzero(loss.emptied)
    new[items] = new[:, items] = 0.0
    regularization = loss.terms.regularization
    new[items, items] = 1.0 / regularization
    product[items] = probe[items] / regularization
    residual, most = _residual(loss.after, loss.terms, np.diagonal(new), probe, product)
    return new, int(np.count_nonzero(left.any(axis=0))), residual, most


def _corrections(inverse: Floats, change: Change) -> tuple[Floats, Floats]:
    """Return tables of shape (rank, n_items): add the product ``left.T @ right`` to the inverse.

    Cutting items J out subtracts ``P_J' inv(P_JJ) P_J``. Adding ``U inv(core) U'`` to M then
    subtracts ``K' inv(core + U' P U) K`` with K = U' P, P being without the items. At the items K
    is rounding, and what comes of it there is not used.
    """
    items, vectors = change.items, change.vectors
    rows = inverse[items]
    factor = np.linalg.cholesky(rows[:, items])
    rows = solve_triangular(factor, rows, lower=True) if len(items) else rows
    products = _times(vectors, inverse)
    if len(items):
        products -= (vectors @ rows.T) @ rows
    inner = change.core + vectors @ products.T
    solved = np.linalg.solve((inner + inner.T) / 2, products)
    return np.concatenate((rows, products)), -np.concatenate((rows, solved))


def _times(vectors: sparse.csr_array, table: Floats) -> Floats:
    """Multiply a few sparse rows and a table: row by row, or by BLAS where they are many."""
    n_rows, n = vectors.shape
    if vectors.nnz > max(n, n_rows * n // 16):
        return vectors.toarray() @ table
    return vectors @ table


def _add(inverse: Floats, left: Floats, right: Floats, probe: Floats) -> tuple[Floats, Floats]:
    """Return ``inverse + left.T @ right`` and its product with a vector, in one pass."""
    rank, n = left.shape
    new, product = np.empty_like(inverse), np.empty(n)
    if rank <= _MAX_KERNEL_RANK:
        from sklearn_unlearn.exact.ridge._ridge_kernels import add_low_rank

        if rank > 1:
            left, right = (np.pad(part, ((0, -rank % 4), (0, 0))) for part in (left, right))
        add_low_rank(inverse, left, right, probe, new, product, 0, n)
        return new, product
    for start in range(0, n, _PANEL):
        rows = slice(start, start + _PANEL)
        np.matmul(left[:, rows].T, right, out=new[rows])
        new[rows] += inverse[rows]
        product[rows] = new[rows] @ probe
    return new, product


def _residual(
    data: Interactions, terms: RidgeTerms, diagonal: Floats, probe: Floats, product: Floats
) -> tuple[float, float]:
    """Return the root mean square of ``M product - probe``, and what is tolerated.

    For random signs, the product being P times them, its expectation is that of ``M P - I``. The
    condition number is estimated by the largest row sum of M, a bound of its largest eigenvalue as
    values are positive, and the largest diagonal element of P. Items on their own do not count.
    """
    from sklearn_unlearn.exact.ridge._ridge_kernels import gram_products

    penalties = terms.penalties(terms.diagonal(data)) if terms.dropout else terms.regularization
    misfit, row_sums = penalties * product - probe, np.zeros(len(probe))
    gram_products(*_cells(data), terms.weights(data), product, misfit, row_sums)
    known = row_sums > 0
    largest = (penalties + row_sums)[known].max(initial=terms.regularization)
    condition = float(largest)
    condition *= float(diagonal[known].max(initial=0.0))
    return float(np.sqrt(np.mean(misfit**2))), max(_MAX_RESIDUAL, _ROUNDING * condition)
