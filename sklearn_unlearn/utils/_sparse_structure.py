"""Checks of sparse containers before compiled code reads them.

SciPy's own routines trust the index arrays of a sparse container: an index out of range is a read
or a write outside an array, which ends the interpreter. So every matrix of a caller, and every
table of a file, comes by here before anything else looks at it. The check reads the index arrays
once and allocates a byte for each row.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_sparse_structure", "problem_of_compressed"]


def check_sparse_structure(X: Any, name: str) -> None:
    """Check in full that the arrays of a sparse container fit each other and its shape.

    Parameters
    ----------
    X : sparse container
        Any of SciPy's formats. Not written to.

    name : str
        Name of the argument, for messages.

    Raises
    ------
    ValueError
        If anything is out of range, of a wrong length or of a wrong type.

    Examples
    --------
    >>> from scipy import sparse
    >>> from sklearn_unlearn.utils._sparse_structure import check_sparse_structure
    >>> X = sparse.csr_array([[1.0, 0.0], [0.0, 2.0]])
    >>> check_sparse_structure(X, "X")
    >>> X.indices[0] = 7
    >>> check_sparse_structure(X, "X")
    Traceback (most recent call last):
    ...
    ValueError: X is a malformed CSR matrix: its column indices reach from 1 to 7, ...
    """
    shape = tuple(X.shape)
    if len(shape) != 2 or not all(isinstance(n, int | np.integer) and n >= 0 for n in shape):
        raise ValueError(
            f"{name} is a sparse container of shape {shape}; expected two dimensions, "
            "(n_users, n_items). Reshape it, or pass rows of a matrix."
        )
    find = _PROBLEMS.get(X.format)
    try:
        problem = "its format is not known" if find is None else find(X)
    except (AttributeError, TypeError, ValueError, OverflowError):
        problem = "its arrays are absent or of a wrong type"
    if problem:
        raise ValueError(
            f"{name} is a malformed {str(X.format).upper()} matrix: {problem}; expected arrays "
            "that fit each other and the shape. Build it anew from rows, columns and values."
        )


def problem_of_compressed(
    indptr: Any, indices: Any, n_stored: int, n_major: int, n_minor: int, minor: str = "column"
) -> str | None:
    """Say what is wrong with compressed rows, or columns; None if nothing is.

    Parameters
    ----------
    indptr, indices : ndarray of int32 or int64
        Where each row starts, and the column of each entry. What is stored behind the end of the
        last row does not count.

    n_stored : int
        Number of values.

    n_major, n_minor : int
        Number of rows and of columns.

    minor : str, default="column"
        What the indices are, for the message.
    """
    if not (_is_index(indptr) and _is_index(indices)):
        return "its index arrays are not one-dimensional arrays of int32 or int64"
    if len(indptr) != n_major + 1:
        return f"its indptr has length {len(indptr)} and not {n_major + 1}"
    if indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any():
        return "its indptr does not ascend from 0"
    end = int(indptr[-1])
    if end > min(len(indices), n_stored):
        return f"its indptr ends at {end}, with {len(indices)} indices and {n_stored} values"
    return _out_of_range(indices[:end], n_minor, minor)


def _is_index(array: Any) -> bool:
    plain = isinstance(array, np.ndarray) and not isinstance(array, np.ma.MaskedArray)
    return plain and array.ndim == 1 and array.dtype in (np.int32, np.int64)


def _is_data(array: Any, ndim: int) -> bool:
    plain = isinstance(array, np.ndarray) and not isinstance(array, np.ma.MaskedArray)
    return plain and array.ndim == ndim


def _out_of_range(indices: NDArray[Any], n: int, axis: str) -> str | None:
    if not len(indices):
        return None
    low, high = int(indices.min()), int(indices.max())
    if low < 0 or high >= n:
        return f"its {axis} indices reach from {low} to {high}, with {n} {axis}s"
    return None


def _csr(X: Any) -> str | None:
    return _compressed(X, X.shape[0], X.shape[1], "column")


def _csc(X: Any) -> str | None:
    return _compressed(X, X.shape[1], X.shape[0], "row")


def _compressed(X: Any, n_major: int, n_minor: int, minor: str) -> str | None:
    if not _is_data(X.data, 1):
        return "its data are not a one-dimensional array"
    return problem_of_compressed(X.indptr, X.indices, len(X.data), n_major, n_minor, minor)


def _bsr(X: Any) -> str | None:
    if not _is_data(X.data, 3):
        return "its data are not a three-dimensional array of blocks"
    height, width = X.data.shape[1:]
    if not height or not width or X.shape[0] % height or X.shape[1] % width:
        return f"blocks of shape {(height, width)} do not tile it"
    n_major, n_minor = X.shape[0] // height, X.shape[1] // width
    return problem_of_compressed(X.indptr, X.indices, len(X.data), n_major, n_minor, "block")


def _coo(X: Any) -> str | None:
    coords = X.coords if hasattr(X, "coords") else (X.row, X.col)
    if not _is_data(X.data, 1) or len(coords) != 2 or not all(map(_is_index, coords)):
        return "its coordinates are not vectors of int32 or int64, or its values no vector"
    lengths = [len(one) for one in coords]
    if lengths != [len(X.data)] * 2:
        return f"it has {lengths[0]} rows, {lengths[1]} columns and {len(X.data)} values"
    rows, columns = coords
    return _out_of_range(rows, X.shape[0], "row") or _out_of_range(columns, X.shape[1], "column")


def _dia(X: Any) -> str | None:
    if not _is_data(X.data, 2) or not _is_index(X.offsets):
        return "its diagonals are not a two-dimensional array with offsets of int32 or int64"
    if len(X.offsets) != len(X.data):
        return f"it has {len(X.offsets)} offsets and {len(X.data)} diagonals"
    if len(np.unique(X.offsets)) < len(X.offsets):
        return "an offset occurs twice"
    # Offsets beyond the shape are empty diagonals. Kept away from where int32 wraps around.
    return _out_of_range(np.abs(X.offsets.astype(np.int64)), 2**30, "diagonal")


def _lil(X: Any) -> str | None:
    rows, values = X.rows, X.data
    if not all(_is_data(one, 1) and one.shape == (X.shape[0],) for one in (rows, values)):
        return f"it has not {X.shape[0]} lists of indices and of values"
    if not all(type(one) is list for one in chain(rows, values)):
        return "its rows are not lists"
    if any(len(a) != len(b) for a, b in zip(rows, values, strict=True)):
        return "a row has more indices than values, or fewer"
    flat = list(chain.from_iterable(rows))
    if not all(isinstance(one, int | np.integer) for one in flat):
        return "its indices are not integers"
    return _out_of_range(np.array(flat, np.int64), X.shape[1], "column")


def _dok(X: Any) -> str | None:
    cells = list(X.keys())
    if not all(isinstance(one, tuple) and len(one) == 2 for one in cells):
        return "its keys are not pairs"
    if not all(isinstance(one, int | np.integer) for one in chain.from_iterable(cells)):
        return "its indices are not integers"
    flat = np.array(cells, np.int64).reshape(-1, 2)
    rows, columns = flat.T
    return _out_of_range(rows, X.shape[0], "row") or _out_of_range(columns, X.shape[1], "column")


_PROBLEMS: dict[str, Callable[[Any], str | None]] = {
    "bsr": _bsr,
    "coo": _coo,
    "csc": _csc,
    "csr": _csr,
    "dia": _dia,
    "dok": _dok,
    "lil": _lil,
}
