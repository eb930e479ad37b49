r"""Propagation of embeddings through the graph of interactions: linear, and its own adjoint.

Conventions
-----------
Users and items are the nodes of a bipartite graph; an interaction is an edge, whatever its value.
With d the degrees and X the pattern,

    A  = D^-1/2 [0 X ; X' 0] D^-1/2
    Pi = (I + A + A^2 + ... + A^L) / (L + 1)

are symmetric. A user of weight c counts like c users with the same row: items gather c times from
it and have c edges more. Pi then maps the one row that stands for c to itself, and is symmetric in
the inner product that counts c times too; `adjoint` is its transpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import Array, Backend, Pattern, cast, copy_of
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._verbs import cached_property

__all__ = ["Propagation"]

Floats = NDArray[Any]


@dataclass(frozen=True)
class Propagation:
    r"""Mean of the layers of light graph convolution [1]_, as an operator on tables.

    .. math:: \Pi = \frac{1}{L + 1} \sum_{l=0}^{L} A^l,
        \quad A = D^{-1/2} \begin{pmatrix} 0 & X \\ X' & 0 \end{pmatrix} D^{-1/2}

    A row without edges is zero in A. Tables are never larger than the one that is propagated:
    nothing is densified.

    Parameters
    ----------
    pattern : Pattern
        The edges; none twice.

    n_layers : int
        L.

    backend : Backend
        Arithmetic.

    user_weights : ndarray, shape (n_users,), or None, default=None
        How many users each user stands for; None is 1.

    References
    ----------
    .. [1] He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for
       Recommendation", SIGIR 2020, equations 3 and 4.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.objectives import Propagation
    >>> data = Interactions.from_matrix([[1, 0], [1, 0]])
    >>> propagate = Propagation.from_interactions(data, 1, ScipyBackend())
    >>> np.round(propagate(np.array([[2.0], [0.0], [2.0], [4.0]])), 3)
    array([[1.707], [0.707], [1.707], [2. ]])
    """

    pattern: Pattern
    n_layers: int
    backend: Backend
    user_weights: Floats | None = None

    @classmethod
    def from_interactions(cls, data: Interactions, n_layers: int, backend: Backend) -> Propagation:
        """Take every interaction as an edge."""
        return cls(Pattern.from_interactions(data), n_layers, backend, data.row_weights)

    def __call__(self, table: Array) -> Array:
        """Propagate a table, shape (n_users + n_items, width); a new one of the same shape."""
        return self._mean(table, adjoint=False)

    def adjoint(self, table: Array) -> Array:
        """Apply the transpose, which is the same where no user has a weight."""
        return self._mean(table, adjoint=True)

    def sum_of_layers(self, table: Array, n_layers: int, *, adjoint: bool = False) -> Array:
        """Sum ``(I + A + ... + A^n_layers) table``, or with the transpose of A."""
        total = table
        for _ in range(n_layers):  # Horner: T + A (T + A (T + ...))
            total = self._add_neighbours(copy_of(table), total, adjoint)
        return copy_of(table) if total is table else total

    @cached_property
    def inverse_roots(self) -> tuple[Floats, Floats]:
        """``d^-1/2`` of users and of items, zero where there is no edge."""
        counts = self._weights_of_edges
        by_user = np.diff(self.pattern.indptr)
        by_item = np.bincount(self.pattern.indices, counts, self.pattern.shape[1])
        return _inverse_root(by_user), _inverse_root(by_item)

    @cached_property
    def diagonal(self) -> Array:
        """Diagonal of Pi, shape (n_users + n_items,); what comes after the third layer is left out.

        A bipartite graph has no way of odd length from a row to itself.
        """
        edges, m = self._edges, self.pattern.shape[0]
        ones = self.backend.asarray(np.ones((sum(self.pattern.shape), 1)))
        own = copy_of(ones)
        if self.n_layers > 1:
            product = edges[0] * edges[1]
            self.backend.spmm(self.pattern, (product, ones[m:]), out=own[:m])
            self.backend.spmm(self.pattern, (product, ones[:m]), transpose=True, out=own[m:])
        return own[:, 0] / (self.n_layers + 1)

    # -- the graph ---------------------------------------------------------------------------------
    @property
    def _weights_of_edges(self) -> Floats | None:
        if self.user_weights is None:
            return None
        return np.repeat(self.user_weights, np.diff(self.pattern.indptr))

    @cached_property
    def _edges(self) -> tuple[Array, Array]:
        """Entries of A in the rows of users, and in those of items."""
        users, items = self.inverse_roots
        entries = np.repeat(users, np.diff(self.pattern.indptr)) * items[self.pattern.indices]
        counts = self._weights_of_edges
        to_users = self.backend.asarray(entries)
        to_items = to_users if counts is None else self.backend.asarray(entries * counts)
        return to_users, to_items

    def _mean(self, table: Array, adjoint: bool) -> Array:
        total = self.sum_of_layers(table, self.n_layers, adjoint=adjoint)
        total /= self.n_layers + 1
        return total

    def _add_neighbours(self, start: Array, table: Array, adjoint: bool) -> Array:
        """Add A, or its transpose, times a table to `start`, in place."""
        m = self.pattern.shape[0]
        to_users, to_items = (cast(table, edges) for edges in self._edges)
        if adjoint:
            to_users, to_items = to_items, to_users
        self.backend.spmm(self.pattern, (to_users, table[m:]), out=start[:m])
        self.backend.spmm(self.pattern, (to_items, table[:m]), transpose=True, out=start[m:])
        return start


def _inverse_root(degrees: Floats) -> Floats:
    return np.divide(1.0, np.sqrt(degrees), out=np.zeros(len(degrees)), where=degrees > 0)
