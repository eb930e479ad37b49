"""More of the same data: k times the interactions at the same degrees."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from scipy import sparse

__all__ = ["expand"]


def expand(X: Any, factor: int, random_state: int = 0) -> sparse.csr_array:
    """Copy users and items `factor` times, and mix the copies into one connected graph.

    Copy c of user u has the interactions of u, but each of them goes to a copy of its item drawn at
    random. So every user keeps its degree exactly, the copies of an item share `factor` times its
    degree, and what grows is the number of rows, columns and interactions alone.

    Parameters
    ----------
    X : sparse container of shape (n_users, n_items)
        Interactions.

    factor : int
        Number of copies; 1 returns a copy of `X`.

    random_state : int, default=0
        Seed of the draw.

    Returns
    -------
    X_large : csr_array of shape (factor * n_users, factor * n_items)
        Row ``c * n_users + u`` is copy c of user u, column ``c * n_items + i`` copy c of item i.

    Raises
    ------
    ValueError
        If `factor` is no integer of at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sklearn_unlearn.benchmarks import expand
    >>> X = sparse.csr_array([[1.0, -1.0], [0.0, 1.0]])
    >>> np.diff(expand(X, 3).indptr)
    array([2, 1, 2, 1, 2, 1])
    """
    if not isinstance(factor, Integral) or isinstance(factor, bool) or factor < 1:
        raise ValueError(f"Got factor={factor!r}; expected an integer of at least 1. Raise it.")
    X = sparse.csr_array(X).tocoo()
    n_users, n_items = X.shape
    copies = np.arange(factor)[:, None]
    users = (copies * n_users + X.row).ravel()
    # Distinct items of a user stay distinct, whichever copies they go to: no two entries collide.
    drawn = np.random.default_rng(random_state).integers(factor, size=(factor, X.nnz))
    items = (drawn * n_items + X.col).ravel()
    values = np.tile(X.data, factor)
    return sparse.csr_array((values, (users, items)), shape=(factor * n_users, factor * n_items))
