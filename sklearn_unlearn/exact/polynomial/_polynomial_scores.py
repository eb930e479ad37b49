"""Sums over users and items, their exact correction, and scores by a polynomial of the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.backends import ScipyBackend
from sklearn_unlearn.exact.polynomial import _polynomial_kernels as _kernels
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._interactions import rows_of, sorted_union

__all__ = ["GraphSums", "polynomial_scores"]

Floats = NDArray[Any]
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class GraphSums:
    """Diagonals of the degree matrices: all that normalises an interaction graph.

    Parameters
    ----------
    users : ndarray of float64, shape (n_users,)
        Sums of the rows.

    items : ndarray of float64, shape (n_items,)
        Sums of the columns, each row times the weight of its user.

    Examples
    --------
    >>> from sklearn_unlearn.exact.polynomial._polynomial_scores import GraphSums
    >>> from sklearn_unlearn.interactions import Interactions
    >>> GraphSums.of(Interactions.from_matrix([[1, 1], [0, 1]])).items
    array([1., 2.])
    """

    users: NDArray[np.float64]
    items: NDArray[np.float64]

    @classmethod
    def of(cls, data: Interactions) -> GraphSums:
        """Sum up all interactions: two passes.

        Parameters
        ----------
        data : Interactions
            Non-negative values; a value of 2 counts like two interactions.

        Returns
        -------
        sums : GraphSums
        """
        R = data.to_csr()
        weights = np.ones(data.n_users) if data.row_weights is None else data.row_weights
        # A transposed matrix adds up user by user, as `again` does.
        return cls(R @ np.ones(data.n_items), R.T @ weights)

    def again(
        self,
        before: Interactions,
        retained: Interactions,
        positions: NDArray[np.int64],
        added: NDArray[np.int64] = _NONE,
    ) -> tuple[GraphSums, int]:
        """Add up again the rows and columns that a request touches.

        Nothing is subtracted, so that no rounding is left of what went.

        Parameters
        ----------
        before, retained : Interactions
            The data before and after, of one shape.

        positions : ndarray of int64
            What goes, as positions before.

        added : ndarray of int64, default=()
            What comes, as positions after.

        Returns
        -------
        sums : GraphSums
            Equal to that of `of` on the data after, bit for bit.

        n_items : int
            How many items are touched.
        """
        users = sorted_union(rows_of(before.indptr, positions), rows_of(retained.indptr, added))
        items = sorted_union(before.items_at(positions), retained.items_at(added))
        of_users, of_items = self.users.copy(), self.items.copy()
        of_users[users] = retained.rows_of_users(users) @ np.ones(retained.n_items)
        indptr, owners, cells = retained.item_cells(items)
        terms = retained.values_at(cells).astype(np.float64)
        if retained.row_weights is not None:
            terms *= retained.row_weights[owners]
        numbers = np.repeat(np.arange(len(items)), np.diff(indptr))
        of_items[items] = np.bincount(numbers, terms, len(items))
        return GraphSums(of_users, of_items), len(items)

    def grown(self, shape: tuple[int, int]) -> GraphSums:
        """Return the same sums in a larger table."""
        sides = zip((self.users, self.items), shape, strict=True)
        return GraphSums(*(np.append(one, np.zeros(n - len(one))) for one, n in sides))


def polynomial_scores(
    rows: sparse.csr_array,
    data: Interactions,
    sums: GraphSums,
    coefficients: NDArray[np.float64],
    beta: float,
    backend: ScipyBackend,
) -> Floats:
    r"""Filter rows by :math:`D_I^\beta \sum_k c_k T_k(L) D_I^{-\beta}`.

    Parameters
    ----------
    rows : csr_array of shape (n, n_items)
        Interactions to score.

    data : Interactions
        R and the weights W of the users, which make :math:`L = I - 2 \tilde R^\top \tilde R`
        with :math:`\tilde R = W^{1/2} D_U^{-1/2} R D_I^{-1/2}`.

    sums : GraphSums
        Of these interactions.

    coefficients : ndarray of shape (order + 1,)
        c, of the Chebyshev series.

    beta : float
        Power of the sums of the items.

    backend : ScipyBackend
        Whose threads share the rows. The result does not depend on it.

    Returns
    -------
    scores : ndarray of shape (n, n_items)
        In the data type of `data`. Zero for items without interactions.
    """
    dtype = data.dtype
    out = np.empty((rows.shape[0], data.n_items), dtype)
    values = np.asarray(data.values)
    if np.all(values == 1):
        values = np.empty(0, dtype)
    weights = np.ones(data.n_users) if data.row_weights is None else data.row_weights
    scales = (
        _powers(sums.users, -1.0) * weights,
        _powers(sums.items, -1.0),
        _powers(sums.items, -beta - 0.5),
        _powers(sums.items, beta + 0.5),
    )
    cells = rows.indptr, rows.indices, rows.data.astype(dtype, copy=False)
    bounds = np.arange(len(out) + 1)
    work = 2 * len(coefficients) * data.n_interactions
    backend._run(
        _kernels.filter_rows,
        bounds,
        work,
        _frozen(cells),
        _frozen((data.indptr, data.indices, values)),
        _frozen(scales, dtype),
        *_frozen((coefficients,), dtype),
        out,
    )
    return out


def _powers(sums: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    return np.power(sums, power, out=np.zeros_like(sums), where=sums > 0)


def _frozen(arrays: Any, dtype: Any = None) -> tuple[Floats, ...]:
    # One type, whatever keeps the array: kernels are compiled for each type.
    views = tuple(np.asarray(one, dtype).view() for one in arrays)
    for view in views:
        view.setflags(write=False)
    return views
