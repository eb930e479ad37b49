"""A dominant subspace corrected when its operator has changed in few directions.

Everything starts from, and ends in, one relation: ``A W = W H + Z B`` with ``[W, Z]`` orthonormal.
Here W belongs to an operator close to A, and Z spans what A moves W out of itself by. If the
operators differ by a matrix of low rank then Z is narrow, and so are the products of the block
Lanczos steps that follow; of every next block only the directions are kept that still matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.exact._expansion import (
    Expansion,
    Product,
    Start,
    orthonormal,
    random_block,
    taken_out,
)
from sklearn_unlearn.exact._subspace import Subspace

__all__ = ["refined_subspace"]

Floats = NDArray[np.float64]

# Fresh random directions beside the block of a warm start, and room for so many of its blocks.
_N_FRESH = 2
_N_BLOCKS = 12
# Guard vectors only lend a hand: their residual may be so much larger.
_GUARD_WEIGHT = 0.03
# Share of the tolerance that all directions may have that are left out of a step.
_LEFT_OUT = 0.1
# Directions below this share of the largest are out of reach of a Gram matrix.
_GRAM_TOL = 1e-7
# Residuals to reach from which on single precision has digits to spare, as a share of the first.
_SINGLE = 1e-5
# The outlook is pessimistic: a look at the residual is worth it from so many times the goal on.
_LOOK = 4.0
_FIRST_LOOK = 3
# Changes of the operator from which on their directions are looked at in any case.
_STRONG = 0.05
_STREAM_WARM = -2


def refined_subspace(
    product: Product,
    old: Subspace,
    F: Floats,
    Y: Floats,
    strengths: Floats,
    *,
    n_components: int,
    tol: float,
    reduction: float,
    max_iter: int,
    seed: int,
) -> Subspace:
    """Correct the subspace of an operator that has changed by little, or in few directions.

    Parameters
    ----------
    product : callable
        The new operator A.

    old : Subspace
        Of the operator before.

    F : ndarray of shape (n, rank)
        Left factor of ``(A_new - A_old) W``.

    Y : ndarray of shape (rank, width)
        Right factor.

    strengths : ndarray of shape (rank,)
        How much the operator changed in the direction of each column of F, on a scale to 1.

    n_components : int
        Size of the subspace that is wanted.

    tol : float
        The residual ends at most at so much of the largest value,

    reduction : float
        or at most at so much of what it was before: the larger of the two.

    max_iter : int
        Block steps at most.

    seed : int
        Of fresh directions, through which the basis meets what it knows nothing of.

    Returns
    -------
    subspace : Subspace
        As wide as the old one.
    """
    width = old.basis.shape[1]
    importance = np.where(np.arange(width) < n_components, 1.0, _GUARD_WEIGHT)
    start, before, goal = _perturbed(old, F, Y, strengths, importance, tol, reduction, seed)
    # What the old basis lacks is small: single precision has digits enough for a share of it.
    dtype = np.float32 if goal >= _SINGLE * before else np.float64
    work = Expansion(start, _N_BLOCKS * start.block.shape[1], seed, dtype)
    value = float(np.linalg.eigvalsh(start.projected)[-n_components])
    while work.n_steps < max_iter and not work.is_complete:
        if work.is_full:
            work.restart(width)
        work.step(product)
        if not (work.is_full or work.is_complete) and (
            work.n_steps < _FIRST_LOOK or work.outlook(value, n_components) > _LOOK * goal
        ):
            continue
        work.ritz()
        if work.residual(n_components) <= goal:
            break
        value = float(work.values[n_components - 1])
    if work.n_seen != work.size:
        work.ritz()
    residual = work.residual(n_components)
    basis, projected, coupling = work.aligned(n_components, width, _LEFT_OUT * goal)
    return Subspace(
        basis,
        work.values[:width].copy(),
        projected,
        work.block.astype(np.float64, copy=False),
        coupling,
        before,
        residual,
        work.n_steps,
        work.n_products,
        residual <= goal,
    )


def _perturbed(
    old: Subspace,
    F: Floats,
    Y: Floats,
    strengths: Floats,
    importance: Floats,
    tol: float,
    reduction: float,
    seed: int,
) -> tuple[Start, float, float]:
    """Start of a refinement, the residual that it has, and the one to reach."""
    W = old.basis
    F, inside = taken_out(F, W)
    outer = np.concatenate((old.remainder, F), axis=1)
    inner = np.concatenate((old.coupling, Y))
    Q, R = _spanned(outer, _GRAM_TOL)
    left, parts, right = np.linalg.svd(R @ inner * importance, full_matrices=False)
    right = parts[:, None] * right / importance
    before = float(np.linalg.norm(right[:, importance == 1.0]))
    goal = max(tol * float(old.values[0]), reduction * before)
    keep = int(np.count_nonzero(parts > _LEFT_OUT * goal))
    block = Q @ left[:, :keep]
    # An eigenvector may come in that the old basis knows nothing of, as a part of the graph that
    # falls off brings one: look where the operator has changed much, and at random.
    norms = np.linalg.norm(F, axis=0)
    other = taken_out(F * (strengths / np.where(norms > 0, norms, 1.0)), block)[0]
    other = _spanned(other, _STRONG, largest=1.0)[0]
    fresh = random_block(len(W), _N_FRESH, seed, _STREAM_WARM)
    block = np.concatenate((block, other, fresh), axis=1)
    coupling = np.zeros((block.shape[1], W.shape[1]))
    coupling[:keep] = right[:keep]
    block, C, _ = orthonormal(taken_out(block, W)[0], 0.0)
    coupling = C @ coupling
    projected = old.projected + inside @ Y
    return Start(W, (projected + projected.T) / 2, block, coupling), before, goal


def _spanned(Y: Floats, tol: float, largest: float | None = None) -> tuple[Floats, Floats]:
    """Write ``Y = Q R`` with orthonormal Q, up to a share of the largest direction."""
    squares, V = np.linalg.eigh(Y.T @ Y)
    top = squares.max(initial=0.0) if largest is None else largest**2
    some = squares > tol**2 * top
    sizes, V = np.sqrt(squares[some]), V[:, some]
    return Y @ (V / sizes), sizes[:, None] * V.T
