"""A dominant subspace corrected when its operator has changed in few directions.

Everything starts from, and ends in, one relation: ``A W = W H + Z B`` with ``[W, Z]`` orthonormal.
Here W belongs to an operator close to A, and Z spans what A moves W out of itself by. If the
operators differ by a matrix of low rank then Z is narrow. Each step adds to the basis those
directions of Z that the residual is largest in, so later steps need few products.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.exact.subspace._blocks import orthonormal, random_block, spanned, taken_out
from sklearn_unlearn.exact.subspace._correction import Correction
from sklearn_unlearn.exact.subspace._expansion import Product, Start
from sklearn_unlearn.exact.subspace._subspace import Subspace

__all__ = ["refined_subspace"]

Floats = NDArray[np.float64]

# Fresh random directions beside those of a change.
_N_FRESH = 2
# Share of the tolerance that is not worth a direction,
_LEFT_OUT = 0.1
# and share of the residual that may wait for the next step.
_WAITING = 0.3
# Share of the tolerance that a new basis may lack: the next request does not know of it.
_UNKNOWN = 0.03
# Directions below this share of the largest are out of reach of a Gram matrix.
_GRAM_TOL = 1e-7
# Residuals to reach from which on single precision has digits to spare, as a share of the first.
_SINGLE = 1e-5
# Changes of the operator from which on their directions are looked at in any case, and for how
# many steps.
_STRONG = 0.05
_N_SCOUTING = 2
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
    # What the old basis lacks is small: single precision has digits enough for a share of it.
    dtype = np.float32 if reduction >= _SINGLE else np.float64
    W = old.basis.astype(dtype, copy=False)
    start, scouts, before = _perturbed(old, W, F, Y, strengths, n_components, seed)
    goal = max(tol * float(old.values[0]), reduction * before)
    work = Correction(start, W, n_components, scouts)
    _iterate(work, product, goal, max_iter)
    reached = float(np.linalg.norm(work.residual()))
    converged = reached <= goal
    slack = _UNKNOWN * goal
    unknown = math.hypot(old.unknown, slack, float(np.finfo(dtype).eps) * before)
    basis, projected, remainder, coupling = work.aligned(old.basis.shape[1], slack, goal)
    return Subspace(
        basis,
        work.values[: old.basis.shape[1]].copy(),
        projected,
        remainder.astype(np.float64, copy=False),
        coupling,
        before,
        math.hypot(reached, unknown),
        work.n_steps,
        work.n_products,
        converged,
        unknown,
    )


def _iterate(work: Correction, product: Product, goal: float, max_iter: int) -> None:
    """Take steps until the residual meets the goal, and end with Ritz values of all directions."""
    while work.n_steps < max_iter and not work.is_complete:
        residual = work.residual()
        size = float(np.linalg.norm(residual))
        if size <= goal and work.n_steps >= _N_SCOUTING:
            if work.n_seen == work.size:
                break
            work.ritz()
            continue
        if work.n_steps == _N_SCOUTING:
            work.scouts = work.scouts[:, :0]
        work.step(product, residual, max(_WAITING * size, _LEFT_OUT * goal))
    if work.n_seen != work.size:
        work.ritz()


def _perturbed(
    old: Subspace,
    W: NDArray[Any],
    F: Floats,
    Y: Floats,
    strengths: Floats,
    n_components: int,
    seed: int,
) -> tuple[Start, Floats, float]:
    """Start of a refinement, directions of its block to follow in any case, and its residual."""
    rank = F.shape[1]
    F, inside = taken_out(F, W)
    Q, R = spanned(np.concatenate((old.remainder, F), axis=1), _GRAM_TOL)
    coupling = R @ np.concatenate((old.coupling, Y))
    before = float(np.linalg.norm(coupling[:, :n_components]))
    # An eigenvector may come in that the old basis knows nothing of, as a part of the graph that
    # falls off brings one: look where the operator has changed much, and at random.
    norms = np.linalg.norm(F, axis=0)
    strong = R[:, R.shape[1] - rank :] * (strengths / np.where(norms > 0, norms, 1.0))
    left, sizes, _ = np.linalg.svd(strong, full_matrices=False)
    fresh = taken_out(random_block(len(W), _N_FRESH, seed, _STREAM_WARM), W)[0]
    block, C, _ = orthonormal(np.concatenate((Q, fresh), axis=1), 0.0)
    scouts = np.concatenate(
        (C[:, : Q.shape[1]] @ left[:, sizes > _STRONG], C[:, Q.shape[1] :]), axis=1
    )
    projected = old.projected + inside @ Y
    start = Start(old.basis, (projected + projected.T) / 2, block, C[:, : Q.shape[1]] @ coupling)
    return start, scouts, before
