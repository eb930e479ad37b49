"""Checks of the numbers of a matrix: wide enough to be summed, and of a size to be squared."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.utils._memory import refuse_beyond_memory
from sklearn_unlearn.utils._sparse_structure import check_sparse_structure
from sklearn_unlearn.utils._validation import refuse_masked

__all__ = [
    "as_numbers",
    "check_magnitude",
    "summed_copy",
]

# What the largest value may be, so that squares of values, and products of these with weights, are
# neither zero nor infinite; and how small others may be beside it, for the same reason.
_MAGNITUDES = {
    np.dtype(np.float64): (1e-75, 1e75, 1e-150),
    np.dtype(np.float32): (1e-18, 1e18, 1e-37),
}


def as_numbers(X: Any, name: str, integers: type[np.generic] = np.float64) -> Any:
    """Check what holds a matrix; widen small integers before anybody adds duplicates of them.

    Parameters
    ----------
    X : sparse container or array-like, shape (n_rows, n_columns)
        Of any format. Never written to.

    name : str
        Name of the argument, for messages.

    integers : {numpy.float64, numpy.int64}, default=numpy.float64
        What integers become. Those of 64 bits are never made int64.

    Returns
    -------
    X : sparse container or array-like
        The same object if there is nothing to widen. A sparse container of integers comes as
        `integers`, one of half precision as float32, both with their duplicates. In one of
        booleans, duplicates are one cell: a mark that is made twice is a mark.

    Raises
    ------
    TypeError
        For masked arrays.
    ValueError
        If the arrays of a sparse container do not fit each other or its shape.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sklearn_unlearn.utils._matrices import as_numbers
    >>> cells = np.array([100, 100], np.int8), ([0, 0], [1, 1])
    >>> as_numbers(sparse.coo_array(cells, shape=(1, 2)), "X").toarray()
    array([[  0., 200.]])
    """
    refuse_masked(X, name)
    if not sparse.issparse(X):
        return X
    check_sparse_structure(X, name)
    # Any other format becomes rows, with a pointer for each, full or not.
    advice = "Leave out empty rows, or turn ids into positions with InteractionEncoder."
    refuse_beyond_memory(X.shape, 8 * X.shape[0], "a matrix of rows", advice)
    if X.dtype.kind == "b":
        marks = X.tocsr()
        # Rebuilt, as a flag that claims canonical form may be out of date.
        parts = marks.data, marks.indices, marks.indptr
        marks = sparse.csr_array(parts, shape=marks.shape, copy=True)
        marks.sum_duplicates()
        return marks.astype(integers)
    if X.dtype.kind in "iu" and (integers is np.float64 or X.dtype.itemsize < 8):
        return X.astype(integers)
    return X.astype(np.float32) if X.dtype == np.float16 else X


def summed_copy(X: Any) -> sparse.csr_array:
    """Copy a matrix into rows, in float32 or float64, with its duplicates summed.

    Parameters
    ----------
    X : sparse container or array-like, shape (n_rows, n_columns)
        Of any format. Never written to.

    Returns
    -------
    rows : csr_array of shape (n_rows, n_columns)
        Zeros that are stored stay.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sklearn_unlearn.utils._matrices import summed_copy
    >>> summed_copy(sparse.coo_array((np.array([1, 2]), ([0, 0], [1, 1])), shape=(1, 2))).data
    array([3.])
    """
    X = as_numbers(X, "X")
    X = X if sparse.issparse(X) else np.asarray(X)
    dtype = np.float32 if X.dtype.kind == "f" and X.dtype.itemsize < 8 else np.float64
    # Always a copy, and before duplicates are summed; SciPy converts no foreign byte order.
    X = X.astype(dtype)
    csr = X.tocsr() if sparse.issparse(X) else sparse.csr_array(X)
    # Rebuilt: a flag that claims canonical form may be out of date.
    csr = sparse.csr_array((csr.data, csr.indices, csr.indptr), shape=csr.shape)
    csr.sum_duplicates()
    return csr


def check_magnitude(values: NDArray[Any], name: str) -> None:
    """Refuse numbers of which squares would be infinite, or zero.

    Parameters
    ----------
    values : ndarray of float64 or float32
        Finite; zeros do not count.

    name : str
        Name of the argument, for messages.

    Raises
    ------
    ValueError
        If a value is too large or too small.
    """
    if values.dtype not in _MAGNITUDES or not values.size:
        return
    low, high, least = _MAGNITUDES[values.dtype]
    lowest, highest = float(values.min()), float(values.max())
    largest, smallest = max(highest, -lowest), lowest
    if lowest <= 0:
        sizes = np.abs(values)
        smallest = float(np.min(sizes, where=sizes > 0, initial=np.inf))
    if 0 < largest < low or largest > high:
        raise ValueError(
            f"the largest value of {name} has size {largest:.3g}; expected {low:g} to {high:g}, as "
            f"{values.dtype} cannot tell squares of others from zero or infinity. Rescale {name}, "
            "for example by its largest value."
        )
    if smallest < least:
        raise ValueError(
            f"{name} holds a value of size {smallest:.3g}; expected 0 or at least {least:g}, as "
            f"{values.dtype} cannot tell the square of a smaller one from zero. Set such values to "
            "0, or leave them out."
        )
