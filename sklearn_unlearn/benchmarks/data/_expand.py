"""More of the same data: k times the interactions, at the same degrees or as unequal ones."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["expand", "fractal"]

# No share of a block is so small that a larger multiple of it would be needed.
_LARGEST = 2.0**60


def expand(
    X: Any, factor: int, random_state: int = 0, *, item_factor: int | None = None
) -> sparse.csr_array:
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

    item_factor : int or None, default=None
        Number of copies of the items; None is `factor`. With 1 all copies of a user share the old
        items, so the density stays as it was.

    Returns
    -------
    X_large : csr_array of shape (factor * n_users, item_factor * n_items)
        Row ``c * n_users + u`` is copy c of user u, column ``c * n_items + i`` copy c of item i.

    Raises
    ------
    ValueError
        If a factor is no integer of at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sklearn_unlearn.benchmarks import expand
    >>> X = sparse.csr_array([[1.0, -1.0], [0.0, 1.0]])
    >>> np.diff(expand(X, 3).indptr)
    array([2, 1, 2, 1, 2, 1])
    """
    item_factor = factor if item_factor is None else item_factor
    _check_factor("factor", factor)
    _check_factor("item_factor", item_factor)
    X = sparse.csr_array(X).tocoo()
    n_users, n_items = X.shape
    copies = np.arange(factor)[:, None]
    users = (copies * n_users + X.row).ravel()
    # Distinct items of a user stay distinct, whichever copies they go to: no two entries collide.
    drawn = np.random.default_rng(random_state).integers(item_factor, size=(factor, X.nnz))
    items = (drawn * n_items + X.col).ravel()
    values = np.tile(X.data, factor)
    shape = (factor * n_users, item_factor * n_items)
    return sparse.csr_array((values, (users, items)), shape=shape)


def fractal(X: Any, factor: int, random_state: int = 0) -> sparse.csr_array:
    r"""Expand a matrix by a small picture of itself, so that its shape repeats at a larger scale.

    A randomised Kronecker product, in the manner of Belletti et al. [1]_. With
    :math:`n = \lceil 2 \sqrt{factor} \rceil`, users and items are cut into n groups by degree, and
    the shares of the interactions in the :math:`n \times n` blocks make the picture. The result has
    a thinned copy of the whole of `X` for each block, the share that stays growing with that of the
    block. So degrees stay as unequal as they were, where `expand` keeps each of them.

    Parameters
    ----------
    X : sparse container of shape (n_users, n_items)
        Interactions.

    factor : int
        How many times the interactions, in expectation; 1 returns a copy of `X`.

    random_state : int, default=0
        Seed of the draws.

    Returns
    -------
    X_large : csr_array of shape (n * n_users, n * n_items)

    Raises
    ------
    ValueError
        If `factor` is no integer of at least 1.

    References
    ----------
    .. [1] Belletti et al., "Scalable Realistic Recommendation Datasets through Fractal
       Expansions", 2019.

    Examples
    --------
    >>> from sklearn_unlearn.benchmarks import fractal
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(300, 200, random_state=0)
    >>> large = fractal(X, 4)
    >>> large.shape, round(large.nnz / X.nnz, 1)
    ((1200, 800), 4.0)
    """
    _check_factor("factor", factor)
    X = sparse.csr_array(X)
    if factor == 1:
        return X.copy()
    X = X.tocoo()
    n = int(np.ceil(2 * np.sqrt(factor)))
    kept = _kept_shares(X, n, factor)
    rng = np.random.default_rng(random_state)
    parts = []
    for row, column in np.ndindex(n, n):
        stays = np.flatnonzero(rng.random(X.nnz) < kept[row, column])
        users, items = row * X.shape[0] + X.row[stays], column * X.shape[1] + X.col[stays]
        parts.append((users.astype(np.int32), items.astype(np.int32), X.data[stays]))
    users, items, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sparse.csr_array((values, (users, items)), shape=(n * X.shape[0], n * X.shape[1]))


def _kept_shares(X: sparse.coo_array, n: int, factor: int) -> NDArray[np.float64]:
    """Share of the interactions that each block keeps; they add up to `factor`."""
    groups = []
    for of, size in zip((X.row, X.col), X.shape, strict=True):
        order = np.argsort(-np.bincount(of, minlength=size), kind="stable")
        group = np.empty(size, np.int64)
        group[order] = np.arange(size) * n // size
        groups.append(group[of])
    picture = np.bincount(groups[0] * n + groups[1], minlength=n * n).reshape(n, n) / X.nnz
    # A block cannot keep more than everything: what the largest cannot take, the others do.
    low, high = 0.0, 1.0
    while np.minimum(high * picture, 1).sum() < factor and high < _LARGEST:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        enough = np.minimum(middle * picture, 1).sum() >= factor
        low, high = (low, middle) if enough else (middle, high)
    return np.minimum(high * picture, 1)


def _check_factor(name: str, factor: Any) -> None:
    if isinstance(factor, bool) or not isinstance(factor, Integral) or factor < 1:
        raise ValueError(f"Got {name}={factor!r}; expected an integer of at least 1. Raise it.")
