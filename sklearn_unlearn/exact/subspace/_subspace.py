"""The dominant subspace of a symmetric operator, by block Lanczos with thick restarts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.exact.subspace._blocks import orthonormal, random_block
from sklearn_unlearn.exact.subspace._expansion import Expansion, Product, Start

__all__ = ["Subspace", "cold_subspace", "dense_subspace", "measured_residual"]

Floats = NDArray[np.float64]

# Eigenvalues below this share of the largest are zero: rounding makes them.
_RANK_TOL = 1e-12
# Vectors in a block of a cold start.
_BLOCK = 16
# A look at the residual costs as much as a step or two.
_LOOK_EVERY = 4
# Steps from fresh random directions that must show that nothing was missed.
_N_CHECKS = 3
# Random vectors that measure a residual.
_N_PROBES = 4
_STREAM_COLD, _STREAM_PROBE = -1, -3


@dataclass(frozen=True)
class Subspace:
    """Dominant subspace of an operator A, with ``A W = W projected + remainder coupling``.

    Parameters
    ----------
    basis : ndarray of shape (n, width)
        Orthonormal columns W; those that lead span the leading Ritz vectors.

    values : ndarray of shape (width,)
        Ritz values, descending.

    projected : ndarray of shape (width, width)
        A on the basis.

    remainder : ndarray of shape (n, q)
        Orthonormal columns, orthogonal to the basis.

    coupling : ndarray of shape (q, width)
        What A adds of the remainder.

    before : float, default=0.0
        Residual of the leading vectors before they were refined.

    residual : float, default=0.0
        The same after.

    n_steps : int, default=0
        Block steps that were taken.

    n_products : int, default=0
        Vectors that the operator was applied to.

    converged : bool, default=True
        Whether the residual met its tolerance.

    unknown : float, default=0.0
        How far the relation may be off: what refinements left out of it, and rounding, which add up
        like errors that are independent.
    """

    basis: Floats
    values: Floats
    projected: Floats
    remainder: Floats
    coupling: Floats
    before: float = 0.0
    residual: float = 0.0
    n_steps: int = 0
    n_products: int = 0
    converged: bool = True
    unknown: float = 0.0

    def rank(self, n_components: int) -> int:
        """How many of the leading values are not zero."""
        lowest = _RANK_TOL * max(self.values.max(initial=0.0), 0.0)
        return int(np.count_nonzero(self.values[:n_components] > lowest))

    def gap(self, n_components: int) -> float:
        """Distance of the last of the leading values that are not zero to the next."""
        rank = self.rank(n_components)
        following = self.values[rank] if rank < len(self.values) else 0.0
        return float(self.values[rank - 1] - max(following, 0.0)) if rank else 0.0

    def grown(self, n: int) -> Subspace:
        """Return the same subspace among more coordinates, on which A is zero."""
        more = n - len(self.basis)
        basis, remainder = (
            np.concatenate([one, np.zeros((more, one.shape[1]))])
            for one in (self.basis, self.remainder)
        )
        return replace(self, basis=basis, remainder=remainder)

    def image(self, rows: NDArray[np.int64]) -> Floats:
        """Rows of ``A W``."""
        return self.basis[rows] @ self.projected + self.remainder[rows] @ self.coupling


def dense_subspace(A: Floats, width: int) -> Subspace:
    """Eigenvectors of a small matrix.

    Parameters
    ----------
    A : ndarray of shape (n, n)
        Symmetric.

    width : int
        How many; at most n are returned.

    Returns
    -------
    subspace : Subspace
    """
    values, vectors = np.linalg.eigh(A)
    width = min(width, len(A))
    basis = np.ascontiguousarray(vectors[:, ::-1][:, :width])
    values = values[::-1][:width].copy()
    none = np.zeros((len(A), 0))
    return Subspace(basis, values, np.diag(values), none, np.zeros((0, width)))


def cold_subspace(
    product: Product, n: int, *, n_components: int, width: int, tol: float, max_iter: int, seed: int
) -> Subspace:
    """Find the dominant subspace from random vectors.

    Parameters
    ----------
    product : callable
        The operator A, symmetric positive semidefinite, on blocks of shape (n, any).

    n : int
        Order of the operator.

    n_components : int
        Size of the subspace that is wanted.

    width : int
        Size of the subspace that is kept, more than `n_components`: with guard vectors beyond,
        convergence does not depend on how close the values at the cut are.

    tol : float
        The Frobenius norm of ``A V - V (V' A V)`` ends at most at so much of the largest value.

    max_iter : int
        Block steps at most.

    seed : int
        Of the random vectors, which are hashed: equal seeds give equal vectors.

    Returns
    -------
    subspace : Subspace
        Of min(width, n) columns.
    """
    width = min(width, n)
    block = orthonormal(random_block(n, min(_BLOCK, n), seed, _STREAM_COLD), 0.0)[0]
    none = np.zeros((0, 0))
    start = Start(np.zeros((n, 0)), none, block, np.zeros((block.shape[1], 0)))
    work = Expansion(start, 2 * width + 4 * _BLOCK, seed)
    seen, next_look = -1.0, max_iter
    while work.n_steps < max_iter:
        if work.is_full:
            work.restart(width)
        work.step(product)
        if not (work.is_full or work.is_complete or work.n_steps == next_look):
            if work.n_steps % _LOOK_EVERY or work.size - work.n_added < width:
                continue
            value = float(work.values[n_components - 1])
            if work.outlook(value, n_components) > tol * work.values[0]:
                continue
        work.ritz()
        if work.size < width or work.residual(n_components) > tol * work.values[0]:
            continue
        total = float(work.values[:n_components].sum())
        if work.is_complete or total <= seen * (1 + tol):
            return _finished(work, n_components, width, True)
        # A value of many copies, as each component of the graph has one, may exceed the block: look
        # for more of them from fresh directions.
        seen, next_look = total, work.n_steps + _N_CHECKS
        work.restart(width)
        work.add_fresh(_BLOCK)
    return _finished(work, n_components, width, False)


def measured_residual(product: Product, subspace: Subspace, n_components: int, seed: int) -> float:
    """Measure the residual of the leading vectors on the operator itself, from random combinations.

    Parameters
    ----------
    product : callable
        The operator A.

    subspace : Subspace
        What is measured.

    n_components : int
        How many vectors V count.

    seed : int
        Of the combinations.

    Returns
    -------
    residual : float
        An unbiased estimate, before the square root, of the Frobenius norm of
        ``A V - V projected``.
    """
    V = subspace.basis[:, :n_components]
    mix = random_block(V.shape[1], _N_PROBES, seed, _STREAM_PROBE)
    # Both in one pass over the basis.
    images = V @ np.hstack((mix, subspace.projected[:n_components, :n_components] @ mix))
    left = product(np.ascontiguousarray(images[:, :_N_PROBES])) - images[:, _N_PROBES:]
    return float(np.linalg.norm(left)) / _N_PROBES**0.5


def _finished(work: Expansion, n_components: int, width: int, converged: bool) -> Subspace:
    work.restart(width)
    values = work.values[:width].copy()
    return Subspace(
        work.thick,
        values,
        np.diag(values),
        work.block,
        work.coupling,
        0.0,
        float(np.linalg.norm(work.coupling[:, :n_components])),
        work.n_steps,
        work.n_products,
        converged,
    )
