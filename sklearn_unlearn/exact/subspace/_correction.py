"""A subspace corrected beside its old basis, in the directions that its residual is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from sklearn_unlearn.exact.subspace._blocks import low_rank, orthonormal, taken_out
from sklearn_unlearn.exact.subspace._expansion import Product, Start

__all__ = ["Correction"]

Floats = NDArray[Any]

# Directions of a block smaller than so many roundings of the operator's norm are rounding.
_BLOCK_TOL = 50.0
# Rows that are changed at once: their temporaries stay in cache.
_ROWS_AT_ONCE = 4096


class Correction:
    """The relation ``A [W, P S] = [W, P S] H + P T C`` with W, P, [S, T] orthonormal.

    W is the basis that was, and P holds every direction that A is known to move it to: ``P S`` has
    been added to W, ``P T`` waits. A step adds some of what waits; the rest stays known, and
    nothing is lost. P only grows, and what is turned are its small coordinates S and T.

    Parameters
    ----------
    start : Start
        W, its H, and the first P and C; at first all of P waits.

    cast : ndarray of shape (n, width of W)
        W in the data type of the columns that are added, and of the products.

    n_components : int
        How many leading vectors are wanted.

    scouts : ndarray of shape (width of T, n_scouts)
        Directions of ``P T`` to follow whatever they add: they may lead to a vector that W knows
        nothing of.
    """

    def __init__(self, start: Start, cast: Floats, n_components: int, scouts: Floats) -> None:
        self.dtype, self.n_components, self.scouts = cast.dtype, n_components, scouts
        self.thick, self.thick_cast = start.basis, cast
        self._room, self.n_known = np.empty((len(cast), 0), cast.dtype, order="F"), 0
        self._know(start.block)
        self.added, self.waiting = np.zeros((self.n_known, 0)), np.eye(self.n_known)
        self.projected, self.coupling = start.projected, start.coupling
        values, vectors = np.linalg.eigh(start.projected)
        self.led = values[::-1][:n_components], vectors[:, ::-1][:, :n_components]
        self.scale = float(np.abs(values).max(initial=0.0))
        self.n_steps = self.n_products = 0
        self.n_seen = -1  # size of the basis at the last Ritz values
        self.values, self.vectors = np.empty(0), np.empty((0, 0))

    @property
    def size(self) -> int:
        """Columns of W and S."""
        return len(self.projected)

    @property
    def known(self) -> Floats:
        """P."""
        return self._room[:, : self.n_known]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to add."""
        return not self.waiting.shape[1]

    # -- residuals ---------------------------------------------------------------------------------
    def residual(self) -> Floats:
        """Return the residual of the leading vectors, in coordinates of ``P T``.

        To first order the vector j of W, of value v_j, gains ``x_j = (v_j - D)^-1 B_j``, with D the
        projection on ``P S``. Where D has a value among those that lead, something comes in that W
        knows nothing of: then the residual is that of the Ritz vectors, which cost far more.

        Returns
        -------
        residual : ndarray of shape (width of T, n_components)
        """
        kept = self.thick.shape[1]
        values, turn = self.led
        own, R = np.linalg.eigh(self.projected[kept:, kept:])
        if self.n_seen != self.size and len(own) and own[-1] >= values[-1]:
            self.ritz()
        if self.n_seen == self.size:
            return self.coupling @ self.vectors[:, : self.n_components]
        B = R.T @ (self.projected[kept:, :kept] @ turn)
        gained = R @ (B / (values - own[:, None]))
        return self.coupling[:, :kept] @ turn + self.coupling[:, kept:] @ gained

    def ritz(self) -> None:
        """Compute Ritz values and vectors of W and ``P S``, descending."""
        values, vectors = np.linalg.eigh(self.projected)
        self.values, self.vectors, self.n_seen = values[::-1], vectors[:, ::-1], self.size

    # -- steps -------------------------------------------------------------------------------------
    def step(self, product: Product, residual: Floats, slack: float) -> None:
        """Add the scouts, and what the residual is made of up to some slack.

        Parameters
        ----------
        product : callable
            The operator A.

        residual : ndarray of shape (width of T, n_components)
            As `residual` returned it.

        slack : float
            What may wait of it, in the Frobenius norm.
        """
        chosen = self._chosen(residual, slack)
        n_new, n_scouts = chosen.shape[1], self.scouts.shape[1]
        turn = np.linalg.qr(chosen, mode="complete")[0]
        turned, coupling = self.waiting @ turn, turn.T @ self.coupling
        Q = self.known @ turned[:, :n_new].astype(self.dtype)
        Y = product(np.ascontiguousarray(Q))
        self.n_steps += 1
        self.n_products += n_new
        new, C, R = self._left(Y)
        own = turned[:, :n_new].T @ C
        known = coupling[:n_new]
        self.projected = np.block([[self.projected, known.T], [known, (own + own.T) / 2]])
        C = np.concatenate((turned[:, n_new:].T @ C, R))
        before = np.concatenate((coupling[n_new:], np.zeros((len(R), coupling.shape[1]))))
        self.coupling = np.concatenate((before, C), axis=1)
        self._know(new)
        self.added = _extended(np.concatenate((self.added, turned[:, :n_new]), axis=1), len(R))
        self.waiting = block_diag(turned[:, n_new:], np.eye(len(R)))
        self.scale = max(self.scale, float(np.abs(own).max(initial=0.0)))
        # The scouts came first: what they were moved to is followed next.
        self.scouts = C[:, :n_scouts]

    def _left(self, Y: Floats) -> tuple[Floats, Floats, Floats]:
        """Split a block into its coordinates in P and new directions, times theirs."""
        # What lies in the span of W is known, but for rounding, which would grow with every step.
        Y = taken_out(Y, self.thick_cast)[0]
        C = np.zeros((self.n_known, Y.shape[1]))
        for _ in range(2):
            # Once is not enough where little is left.
            Y, more = taken_out(Y, self.known)
            C += more
        drop = _BLOCK_TOL * float(np.finfo(self.dtype).eps) * self.scale
        # In double precision a Gram matrix does what single precision needs a QR decomposition for.
        new, R, _ = orthonormal(Y.astype(np.float64, copy=False), drop)
        room = len(self.thick) - self.thick.shape[1] - self.n_known
        return new[:, :room], C, R[:room]

    def _know(self, new: Floats) -> None:
        """Append columns to P; room is made for as many again."""
        last = self.n_known + new.shape[1]
        if last > self._room.shape[1]:
            room = np.empty((len(new), 2 * last), self.dtype, order="F")
            room[:, : self.n_known] = self.known
            self._room = room
        self._room[:, self.n_known : last] = new
        self.n_known = last

    def _chosen(self, residual: Floats, slack: float) -> Floats:
        """Orthonormal directions of ``P T``, the scouts first."""
        scouts = np.linalg.qr(self.scouts)[0]
        parts = residual - scouts @ (scouts.T @ residual)
        left, sizes, _ = np.linalg.svd(parts, full_matrices=False)
        tails = np.sqrt(np.cumsum(sizes[::-1] ** 2))[::-1]
        keep = int(np.count_nonzero(tails > slack))
        if not keep and not scouts.shape[1]:
            keep = 1
        keep = min(keep, len(residual) - scouts.shape[1])
        # Where next to nothing is left beside the scouts, its directions are rounding.
        return np.linalg.qr(np.concatenate((scouts, left[:, :keep]), axis=1))[0]

    # -- the end -----------------------------------------------------------------------------------
    def aligned(self, width: int, slack: float, spare: float) -> tuple[Floats, ...]:
        """Turn the leading Ritz vectors, and the guards, each to where W was.

        Ritz vectors of close values rotate freely. Turned back, they differ from the columns of W
        by a matrix of low rank, which costs far less than a product with the whole basis.

        Parameters
        ----------
        width : int
            How many vectors are kept.

        slack : float
            What may be left out of the differences, and of the residual of the leading ones; ten
            times as much of the differences of the guards.

        spare : float
            What may be left out of the residual of the guards, which only lend a hand.

        Returns
        -------
        basis : ndarray of shape (n, width)
            Orthonormal columns; the leading ones span the leading Ritz vectors.

        projected : ndarray of shape (width, width)
            The operator on it.

        remainder : ndarray of shape (n, q)
            Orthonormal columns that it moves the basis to.

        coupling : ndarray of shape (q, width)
            How far.
        """
        k = self.n_components
        projected, turns = np.zeros((width, width)), []
        changes = []
        for own, allowed in ((slice(0, k), slack), (slice(k, width), 10.0 * slack)):
            U = self.vectors[:, own]
            left, _, right = np.linalg.svd(U[own])
            turn = right.T @ left.T
            change = U @ turn
            change[np.arange(own.start, own.stop), np.arange(own.stop - own.start)] -= 1.0
            changes.append(low_rank(change, allowed))
            projected[own, own] = (turn.T * self.values[own]) @ turn
            turns.append(turn)
        coupling = self.coupling @ (self.vectors[:, :width] @ block_diag(*turns))
        weights = np.where(np.arange(width) < k, 1.0, slack / spare if spare else 1.0)
        left, sizes, _ = np.linalg.svd(coupling * weights, full_matrices=False)
        left = left[:, sizes > slack]
        remainder = self.known @ (self.waiting @ left).astype(self.dtype)
        return self._changed(changes), projected, remainder, left.T @ coupling

    def _changed(self, changes: list[tuple[Floats, Floats]]) -> Floats:
        """Add to groups of columns of W what low-rank weights make of W and P."""
        basis, kept = np.empty_like(self.thick), self.thick.shape[1]
        weights = np.concatenate([left for left, _ in changes], axis=1)
        own, beside = weights[:kept].astype(self.dtype), self.added @ weights[kept:]
        beside = beside.astype(self.dtype)
        back = block_diag(*(right for _, right in changes)).astype(self.dtype)
        for first in range(0, len(basis), _ROWS_AT_ONCE):
            rows = slice(first, first + _ROWS_AT_ONCE)
            inner = self.thick_cast[rows] @ own
            inner += self.known[rows] @ beside
            np.add(self.thick[rows], inner @ back, out=basis[rows])
        return basis


def _extended(coordinates: Floats, n_more: int) -> Floats:
    """Coordinates in a basis that has grown."""
    return np.concatenate((coordinates, np.zeros((n_more, coordinates.shape[1]))))
