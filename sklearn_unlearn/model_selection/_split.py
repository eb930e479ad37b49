"""Splits of a matrix that keep every row and column in both parts."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array, check_random_state

from sklearn_unlearn.datasets._events import Events
from sklearn_unlearn.utils._interactions import keep_entries
from sklearn_unlearn.utils._matrices import as_numbers


def split_interactions(
    X: Any, test_size: float | int = 0.2, random_state: Any = None, *, cv: Any = None
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Split the interactions at random into a training and a test matrix.

    Single interactions are drawn, or what `cv` says. Both parts keep the shape of `X`, so positions
    mean the same in both, and a user or an item may be left with nothing in one of them.

    Parameters
    ----------
    X : {array, sparse} of shape (n_users, n_items)
        Interactions. Duplicates are summed and stored zeros dropped. Never written to. Integers
        stay of their type, or become int64 where a sum does not fit in.
    test_size : float or int, default=0.2
        A float between 0 and 1 is the share of interactions that go to the test part, rounded; an
        int is their number. Both parts get at least one.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw. Pass an int for the same split at every call.
    cv : splitter, default=None
        Splits the interactions instead, as events with the columns user and item: its first split
        is taken, and `test_size` and `random_state` are not used. ``LeaveKOut(1)`` holds out one
        interaction of every user, ``LeaveUsersOut(5)`` all those of a fifth of the users.

    Returns
    -------
    X_train, X_test : csr_array of shape (n_users, n_items)
        Parts without a common entry; their sum is `X`.

    Raises
    ------
    TypeError
        If `test_size` is not a number, or `X` is a masked array.
    ValueError
        If a part would be empty, or `X` is not a finite matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.model_selection import split_interactions
    >>> X = np.arange(12.0).reshape(3, 4)
    >>> X_train, X_test = split_interactions(X, test_size=0.25, random_state=0)
    >>> X_train.nnz, X_test.nnz
    (8, 3)
    >>> bool((X_train.toarray() + X_test.toarray() == X).all())
    True
    >>> from sklearn_unlearn.model_selection import LeaveKOut
    >>> X_train, X_test = split_interactions(X, cv=LeaveKOut(1, random_state=0))
    >>> np.diff(X_test.indptr)
    array([1, 1, 1])
    """
    numbers = as_numbers(X, "X", np.int64)
    checked = check_array(numbers, accept_sparse="csr", dtype="numeric", input_name="X")
    narrow = X.dtype if numbers is not X else checked.dtype
    X = sparse.csr_array(checked, copy=True)
    X.sum_duplicates()
    X.eliminate_zeros()
    if (X.data.astype(narrow) == X.data).all():
        X = X.astype(narrow, copy=False)
    in_test = np.zeros(X.nnz, dtype=bool)
    if cv is None:
        n_test = _n_test(test_size, X.nnz)
        in_test[check_random_state(random_state).permutation(X.nnz)[:n_test]] = True
    else:
        in_test[_first_test_part(cv, X)] = True
    return keep_entries(X, ~in_test), keep_entries(X, in_test)


def _first_test_part(cv: Any, X: sparse.csr_array) -> Any:
    """Return which stored entries of X the first split of a splitter holds out."""
    if not hasattr(cv, "split"):
        raise TypeError(
            f"cv is a {type(cv).__name__}; expected a splitter of events. Pass LeaveKOut(1) or one "
            "of scikit-learn, such as KFold(5, shuffle=True)."
        )
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    events = Events(rows, X.indices.astype(np.int64), X.data.astype(np.float64))
    return next(iter(cv.split(events)))[1]


def _n_test(test_size: Any, n_interactions: int) -> int:
    """Turn a share or a number into a number that leaves both parts something."""
    if isinstance(test_size, bool | np.bool_) or not isinstance(test_size, Real):
        raise TypeError(
            f"test_size={test_size!r}; expected a float between 0 and 1 or an int. "
            f"Pass 0.2 for a fifth."
        )
    if isinstance(test_size, Integral):
        n_test = int(test_size)
    elif 0 < float(test_size) < 1:
        n_test = round(float(test_size) * n_interactions)
    else:
        raise ValueError(
            f"test_size={test_size}; expected a float between 0 and 1, both excluded, or an int. "
            f"Pass an int for a number of interactions."
        )
    if not 0 < n_test < n_interactions:
        raise ValueError(
            f"test_size={test_size} puts {n_test} of {n_interactions} interactions into the test "
            f"part; expected at least one in each part. Pass another test_size or more data."
        )
    return n_test
