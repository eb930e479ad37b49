"""Block Lanczos steps from a basis that is kept, and thick restarts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sklearn_unlearn.exact.subspace._blocks import orthonormal, random_block, taken_out

__all__ = ["Expansion", "Product", "Start"]

Floats = NDArray[Any]
Product = Callable[[Floats], Floats]

# Directions of a block smaller than so many roundings of the operator's norm are rounding.
_BLOCK_TOL = 50.0
# Every so many steps a block is made orthogonal to all that came before, and whenever less than
# this share of the operator's norm is left of it.
_PERIOD = 3
_LITTLE = 1e-2


@dataclass(frozen=True)
class Start:
    """The relation ``A W = W H + Z B`` that an expansion starts from.

    Parameters
    ----------
    basis : ndarray of shape (n, width)
        W, orthonormal.

    projected : ndarray of shape (width, width)
        H.

    block : ndarray of shape (n, q)
        Z, orthonormal and orthogonal to W.

    coupling : ndarray of shape (q, width)
        B.
    """

    basis: Floats
    projected: Floats
    block: Floats
    coupling: Floats


class Expansion:
    """A growing orthonormal basis, the operator projected on it, and its Ritz values.

    Parameters
    ----------
    start : Start
        Where to begin.

    room : int
        Columns that may be added before a restart.

    seed : int
        Of fresh directions.

    dtype : data type, default=numpy.float64
        Of the columns that are added and of the products.
    """

    def __init__(self, start: Start, room: int, seed: int, dtype: DTypeLike = np.float64) -> None:
        n, kept = start.basis.shape
        room = min(room, n)
        self.thick, self.dtype = start.basis, np.dtype(dtype)
        self.thick_cast = start.basis.astype(dtype, copy=False)
        self.added = np.empty((n, room), dtype, order="F")
        self.n_added = 0
        self.projected = np.zeros((min(n, kept + room),) * 2)
        self.projected[:kept, :kept] = start.projected
        self.block, self.coupling = start.block.astype(dtype, copy=False), start.coupling
        self.tail = slice(0, kept)
        self.scale = float(np.abs(start.projected).max(initial=0.0))
        self.seed, self.n_fresh = seed, 0
        self.n_steps = self.n_products = self.n_loose = 0
        self.n_seen = 0  # size of the basis at the last Ritz values
        self.values, self.vectors = np.empty(0), np.empty((0, 0))

    # -- size --------------------------------------------------------------------------------------
    @property
    def n(self) -> int:
        """Order of the operator."""
        return len(self.thick)

    @property
    def size(self) -> int:
        """Columns of the basis."""
        return self.thick.shape[1] + self.n_added

    @property
    def is_complete(self) -> bool:
        """Whether the basis spans everything."""
        return self.size >= self.n

    @property
    def is_full(self) -> bool:
        """Whether the next block does not fit."""
        return self.n_added + self.block.shape[1] > self.added.shape[1]

    # -- steps -------------------------------------------------------------------------------------
    def step(self, product: Product) -> None:
        """Take the block into the basis, and find the next one."""
        Q, first, last = self.block, self.size, self.size + self.block.shape[1]
        H = self.projected
        H[first:last, self.tail] = self.coupling
        H[self.tail, first:last] = self.coupling.T
        before = max(0, self.n_added - (self.tail.stop - self.tail.start))
        self.added[:, self.n_added : self.n_added + Q.shape[1]] = Q
        self.n_added += Q.shape[1]
        Y = product(Q)
        self.n_steps += 1
        self.n_products += Q.shape[1]
        if self.tail.stop <= self.thick.shape[1]:
            # What the start knows: A Q has the part W B' in the span of W.
            Y -= self.thick_cast @ self.coupling.T.astype(self.dtype)
        own = np.zeros((Q.shape[1],) * 2)
        for _ in range(2):
            # Once is not enough where little is left.
            Y, C = taken_out(Y, self.added[:, before : self.n_added])
            own += C[-Q.shape[1] :]
        H[first:last, first:last] = (own + own.T) / 2
        self.scale = max(self.scale, float(np.abs(own).max(initial=0.0)))
        self.tail = slice(first, last)
        self.block, self.coupling = self._next_block(Y)

    def _next_block(self, Y: Floats) -> tuple[Floats, Floats]:
        """Orthonormal directions of a block, without those that rounding made."""
        left_over = self.n - self.size
        drop = _BLOCK_TOL * float(np.finfo(self.dtype).eps) * self.scale
        Q, coupling, smallest = orthonormal(Y, drop)
        # The exact next block is orthogonal to all but the last two. The rounding that is not grows
        # with every step, and faster where little is left of a block. Two blocks in turn are
        # cleaned: the next one is made of both.
        self.n_loose = max(self.n_loose + 1, _PERIOD if smallest < _LITTLE * self.scale else 0)
        if self.n_loose >= _PERIOD:
            Q, R, _ = orthonormal(self._outside(Q), 0.0)
            coupling = R @ coupling
        if self.n_loose > _PERIOD:
            self.n_loose = 0
        if Q.shape[1] and left_over:
            return Q[:, :left_over], coupling[:left_over]
        width = min(Y.shape[1], left_over)
        return self._fresh(width), np.zeros((width, Y.shape[1]))

    def _outside(self, Y: Floats) -> Floats:
        return taken_out(taken_out(Y, self.thick_cast)[0], self.added[:, : self.n_added])[0]

    def _fresh(self, width: int, beside: Floats | None = None) -> Floats:
        """Random orthonormal directions outside the basis, and beside a block."""
        self.n_fresh += 1
        Y = random_block(self.n, width, self.seed, self.n_fresh).astype(self.dtype)
        for _ in range(2):
            Y = self._outside(Y)
            if beside is not None:
                Y -= beside @ (beside.T @ Y)
            Y = np.linalg.qr(Y)[0]
        return Y

    def add_fresh(self, width: int) -> None:
        """Put random directions beside the block: they see what the basis knows nothing of."""
        width = min(width, self.n - self.size - self.block.shape[1])
        if width > 0:
            fresh = self._fresh(width, self.block)
            self.block = np.concatenate((self.block, fresh), axis=1)
            none = np.zeros((width, self.coupling.shape[1]))
            self.coupling = np.concatenate((self.coupling, none))

    # -- Ritz vectors ------------------------------------------------------------------------------
    def ritz(self) -> None:
        """Compute Ritz values and vectors of the basis, descending."""
        j = self.size
        values, vectors = np.linalg.eigh(self.projected[:j, :j])
        self.values, self.vectors = values[::-1], vectors[:, ::-1]
        self.n_seen = j

    def residual(self, n_components: int) -> float:
        """Frobenius norm of ``A V - V (V' A V)`` for the leading Ritz vectors V."""
        return float(np.linalg.norm(self.coupling @ self.vectors[self.tail, :n_components]))

    def outlook(self, value: float, n_components: int) -> float:
        """Estimate the residual of the leading vectors without computing any: a small solve.

        To first order the vector j of the start gains ``x_j = (value_j - T)^-1 B_j``, with T the
        projection on what was added. All take the value at the cut, where the change is slowest.

        Parameters
        ----------
        value : float
            Ritz value at the cut.

        n_components : int
            How many vectors count.

        Returns
        -------
        estimate : float
            Zero where the value is one of T to the last bit, as it is where the rank is below the
            cut: then only Ritz vectors tell.
        """
        kept, j = self.thick.shape[1], self.size
        T, B = self.projected[kept:j, kept:j], self.projected[kept:j, :n_components]
        try:
            gained = np.linalg.solve(value * np.eye(j - kept) - T, B)
        except np.linalg.LinAlgError:
            return 0.0
        last = gained[self.tail.start - kept : self.tail.stop - kept]
        return float(np.linalg.norm(self.coupling @ last))

    def restart(self, width: int) -> None:
        """Keep the leading Ritz vectors; the relation of the start holds again."""
        if self.n_seen != self.size:
            self.ritz()
        kept, U = self.thick.shape[1], self.vectors[:, :width]
        self.coupling = self.coupling @ U[self.tail]
        thick = self.thick @ U[:kept]
        thick += self.added[:, : self.n_added] @ U[kept:].astype(self.dtype)
        self.thick, self.n_added = thick, 0
        self.thick_cast = thick.astype(self.dtype, copy=False)
        width = thick.shape[1]
        order = min(self.n, width + self.added.shape[1])
        self.projected = np.zeros((order, order))
        self.projected[:width, :width] = np.diag(self.values[:width])
        self.tail, self.n_seen = slice(0, width), -1
