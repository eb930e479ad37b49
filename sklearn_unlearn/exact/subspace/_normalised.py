"""The normalised interaction graph: a sparse operator, never formed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.backends import Backend, Pattern
from sklearn_unlearn.interactions import Interactions

__all__ = ["NormalisedGraph"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NormalisedGraph:
    r"""The operator :math:`\tilde R^\top \tilde R` of interactions, never formed.

    With R the interactions, W the weights of the users, :math:`D_U = \mathrm{diag}(R 1)` and
    :math:`D_I = \mathrm{diag}(R^\top W 1)`,

    .. math:: \tilde R = W^{1/2} D_U^{-1/2} R D_I^{-1/2} .

    A user of weight 2 counts like two users. The largest eigenvalue is 1, whatever the data.

    Parameters
    ----------
    data : Interactions
        R and W.

    user_scales : ndarray of shape (n_users,)
        Diagonal of :math:`W D_U^{-1}`; 0 for users without interactions.

    item_scales : ndarray of shape (n_items,)
        Diagonal of :math:`D_I^{-1/2}`; 0 for items without interactions.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.exact.subspace._normalised import NormalisedGraph
    >>> from sklearn_unlearn.backends import ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> graph = NormalisedGraph.from_interactions(Interactions.from_matrix([[1, 1], [0, 1]]))
    >>> graph.product(np.eye(2), ScipyBackend())
    array([[0.5       , 0.35355339],
           [0.35355339, 0.75      ]])
    """

    data: Interactions
    user_scales: Floats
    item_scales: Floats

    @classmethod
    def from_interactions(cls, data: Interactions) -> NormalisedGraph:
        """Compute the scales: two passes over the interactions.

        Parameters
        ----------
        data : Interactions
            Non-negative values; a value of 2 counts like two interactions.

        Returns
        -------
        graph : NormalisedGraph
        """
        R = data.to_csr()
        weights = np.ones(data.n_users) if data.row_weights is None else data.row_weights
        user_degrees = R @ np.ones(data.n_items)
        item_degrees = R.T @ weights
        user_scales = np.divide(
            weights, user_degrees, out=np.zeros(data.n_users), where=user_degrees > 0
        )
        item_scales = np.zeros(data.n_items)
        np.power(item_degrees, -0.5, out=item_scales, where=item_degrees > 0)
        return cls(data, user_scales, item_scales)

    @property
    def n_items(self) -> int:
        """Number of items, the order of the operator."""
        return self.data.n_items

    def product(self, B: Floats, backend: Backend) -> Floats:
        """Multiply a block of vectors.

        Parameters
        ----------
        B : ndarray of float64 or float32, shape (n_items, width)
            Vectors side by side.

        backend : Backend
            Does the arithmetic.

        Returns
        -------
        AB : ndarray of shape (n_items, width)
        """
        scales = self.item_scales[:, None].astype(B.dtype, copy=False)
        inner = self.co_counts(B * scales, backend)
        inner *= scales
        return inner

    def co_counts(self, B: Floats, backend: Backend) -> Floats:
        """Multiply a block by ``R' W D_U^-1 R``: the operator without the scales of the items.

        Parameters
        ----------
        B : ndarray of float64 or float32, shape (n_items, width)
            Vectors side by side.

        backend : Backend
            Does the arithmetic.

        Returns
        -------
        CB : ndarray of shape (n_items, width)
        """
        pattern = Pattern.from_interactions(self.data)
        values = self.data.values.astype(B.dtype, copy=False)
        by_user = backend.spmm(pattern, (values, np.ascontiguousarray(B)))
        by_user *= self.user_scales[:, None].astype(B.dtype, copy=False)
        product: Floats = backend.spmm(pattern, (values, by_user), transpose=True)
        return product

    def filtered(self, rows: sparse.csr_array, backend: Backend) -> Floats:
        """Apply the linear filter: ``rows R~' R~``, by two sparse products.

        Parameters
        ----------
        rows : csr_array of shape (n, n_items)
            Interactions to score.

        backend : Backend
            Does the arithmetic.

        Returns
        -------
        scores : ndarray of shape (n, n_items)
        """
        return np.ascontiguousarray(self.product(rows.toarray().T.astype(np.float64), backend).T)

    def low_passed(self, rows: sparse.csr_array, basis: Floats, n_components: int) -> Floats:
        """Apply the ideal low-pass filter: ``rows D_I^-1/2 V V' D_I^1/2``.

        Parameters
        ----------
        rows : csr_array of shape (n, n_items)
            Interactions to score.

        basis : ndarray of shape (n_items, width)
            V and more columns.

        n_components : int
            Columns of V.

        Returns
        -------
        scores : ndarray of shape (n, n_items)
        """
        s = self.item_scales
        scaled = rows.astype(np.float64).multiply(s).tocsr()
        scores: Floats = (scaled @ basis)[:, :n_components] @ basis[:, :n_components].T
        scores *= np.divide(1.0, s, out=np.zeros_like(s), where=s > 0)
        return scores

    def dense(self) -> Floats:
        """Return the operator as an array, for catalogues so small that a basis is as large.

        Returns
        -------
        A : ndarray of shape (n_items, n_items)
        """
        R = self.data.to_csr()
        scaled = R.astype(np.float64).multiply(self.user_scales[:, None]).tocsr()
        counts = (R.T @ scaled).toarray()
        return counts * self.item_scales[:, None] * self.item_scales
