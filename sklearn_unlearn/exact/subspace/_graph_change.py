"""What a request changes of the normalised interaction graph: a matrix of low rank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.exact.subspace._normalised import NormalisedGraph
from sklearn_unlearn.utils._interactions import rows_of, sorted_union

__all__ = ["GraphChange"]

Floats = NDArray[np.float64]
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class GraphChange:
    """What a request changes of the operator: a matrix of low rank.

    Parameters
    ----------
    old, new : NormalisedGraph
        Before and after.

    items, users : ndarray of int64
        Whose degrees changed.
    """

    old: NormalisedGraph
    new: NormalisedGraph
    items: NDArray[np.int64]
    users: NDArray[np.int64]

    @classmethod
    def from_positions(
        cls,
        old: NormalisedGraph,
        new: NormalisedGraph,
        positions: NDArray[np.int64],
        added: NDArray[np.int64] = _NONE,
    ) -> GraphChange:
        """Find whom the change of some interactions touches.

        Parameters
        ----------
        old, new : NormalisedGraph
            Before and after, of one shape.

        positions : ndarray of int64
            Positions in the old interactions of those that went.

        added : ndarray of int64, default=()
            Positions in the new interactions of those that came.

        Returns
        -------
        change : GraphChange
        """
        users = sorted_union(rows_of(old.data.indptr, positions), rows_of(new.data.indptr, added))
        items = sorted_union(old.data.indices[positions], new.data.indices[added])
        return cls(old, new, items, users)

    @property
    def rank(self) -> int:
        """Columns of the factors: the rank of the change is at most this."""
        return 2 * len(self.items) + 2 * len(self.users)

    def factors(
        self, basis: Floats, image: Callable[[NDArray[np.int64]], Floats]
    ) -> tuple[Floats, Floats, Floats]:
        r"""Factors of the change applied to a basis: ``A_new W - A_old W = F Y``.

        With s the scales of the items and C the operator without them, primes for what is new, T
        the touched items and E_T the unit vectors of these,

        .. math:: A' W - A W = E_T (s'/s - 1)_T (A W)_T
            + s' C'_{:T} (s' - s)_T W_T + s' (C' - C) s W

        and :math:`C' - C` is made of the rows of the touched users. Only cells of T and of these
        users are read, and those of the users next to T.

        Parameters
        ----------
        basis : ndarray of shape (n_items, width)
            W.

        image : callable
            Gives rows of ``A_old W``: ``image(rows)`` has shape (len(rows), width).

        Returns
        -------
        F : ndarray of shape (n_items, rank)
            Left factor.

        Y : ndarray of shape (rank, width)
            Right factor.

        strengths : ndarray of shape (rank,)
            Relative changes of the scales that made each column of F, at most 1.
        """
        old, new, T, U = self.old, self.new, self.items, self.users
        s, s_new, t = old.item_scales, new.item_scales, len(self.items)
        F = np.zeros((new.n_items, self.rank))
        F[T, np.arange(t)] = 1.0
        F[:, t : 2 * t] = _columns_of_counts(new, T)
        rows, rows_new = (graph.data.to_csr()[U].astype(np.float64) for graph in (old, new))
        F[:, 2 * t : 2 * t + len(U)] = rows_new.toarray().T
        F[:, 2 * t + len(U) :] = rows.toarray().T
        F[:, t:] *= s_new[:, None]
        Y = np.concatenate(
            (
                # An item that had no interactions has no row of A.
                _relative(s[T], s_new[T])[:, None] * image(T),
                (s_new[T] - s[T])[:, None] * basis[T],
                new.user_scales[U, None] * _times(rows_new, s, basis),
                -old.user_scales[U, None] * _times(rows, s, basis),
            )
        )
        return F, Y, self._strengths()

    def _strengths(self) -> Floats:
        changes = (
            (self.old.item_scales[self.items], self.new.item_scales[self.items]),
            (self.old.user_scales[self.users], self.new.user_scales[self.users]),
        )
        parts = [
            np.where(old > 0, np.minimum(np.abs(_relative(old, new)), 1.0), 1.0)
            for old, new in changes
        ]
        return np.concatenate([part for part in parts for _ in range(2)])


def _relative(old: Floats, new: Floats) -> Floats:
    """Relative change; 0 where there was nothing."""
    return np.divide(new - old, old, out=np.zeros(len(old)), where=old > 0)


def _columns_of_counts(graph: NormalisedGraph, items: NDArray[np.int64]) -> Floats:
    """Columns of ``R' W D_U^-1 R``: a walk from the items to their users and on to their items."""
    R = graph.data.to_csr()
    indptr, users, positions = graph.data.item_cells(items)
    values = R.data[positions].astype(np.float64) * graph.user_scales[users]
    near, rows = np.unique(users, return_inverse=True)
    by_item = sparse.csr_array((values, rows, indptr), shape=(len(items), len(near)))
    columns: Floats = (by_item @ R[near].astype(np.float64)).toarray().T
    return columns


def _times(rows: Any, scales: Floats, basis: Floats) -> Floats:
    """Rows of interactions, scaled, times a basis: only the rows of the basis that they name."""
    items = np.unique(rows.indices)
    product: Floats = rows[:, items] @ (basis[items] * scales[items, None])
    return product
