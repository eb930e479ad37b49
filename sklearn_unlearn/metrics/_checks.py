"""Argument checks that the metrics share."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import check_array

from sklearn_unlearn.utils._interactions import search_in_rows
from sklearn_unlearn.utils._matrices import as_numbers

IndexArray = NDArray[np.int64]


def check_count(value: Any, name: str) -> int:
    """Return `value` as an int of at least 1."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise TypeError(
            f"{name}={value!r} is a {type(value).__name__}; expected an integer of at least 1. "
            f"Pass a whole number."
        )
    if value < 1:
        raise ValueError(f"{name}={value}; expected at least 1. Pass a positive whole number.")
    return int(value)


def check_interactions(X: Any, name: str, ensure_min_samples: int = 1) -> sparse.csr_array:
    """Return a copy of X as a CSR array, sorted, without duplicates and stored zeros."""
    checked = check_array(
        as_numbers(X, name),
        accept_sparse="csr",
        dtype=np.float64,
        input_name=name,
        ensure_min_samples=ensure_min_samples,
    )
    X = sparse.csr_array(checked, copy=True)
    X.sum_duplicates()
    X.eliminate_zeros()
    return X


def member(items: IndexArray, rows: sparse.csr_array) -> NDArray[np.bool_]:
    """Tell for each entry of `items` (n, k) whether `rows` (n, n_items) stores that column.

    The indices of `rows` must be sorted. A negative item is never a member.
    """
    row = np.repeat(np.arange(len(items)), items.shape[1])
    found = search_in_rows(rows.indptr, rows.indices, row, items.ravel()) >= 0
    return found.reshape(items.shape)
