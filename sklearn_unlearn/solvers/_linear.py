"""Linear solvers of one Newton step. A solve returns a value that can say no, with advice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, cg, minres

from sklearn_unlearn.backends import (
    Array,
    copy_of,
    like,
    namespace_of,
    norm,
    to_numpy,
)
from sklearn_unlearn.solvers._gauge import LocalModel

__all__ = [
    "PRECONDITIONERS",
    "SOLVERS",
    "Solution",
    "Status",
    "block_jacobi",
    "jacobi",
    "scipy_cg",
    "scipy_minres",
    "trust_region_cg",
]

Floats = NDArray[Any]
# Shares of the radius at which the path of a solve is kept: a quarter is what a rejected step
# leaves of it.
SHRINK = 0.25
_SHORTER = (SHRINK**2, SHRINK)
Preconditioner = Callable[[Array], Array]


class Status(Enum):
    """How a solve ended; the value says what to do about it.

    Examples
    --------
    >>> from sklearn_unlearn.solvers import Status
    >>> Status.CONVERGED.value
    'the residual met the tolerance'
    """

    CONVERGED = "the residual met the tolerance"
    BOUNDARY = "the step ended at the edge of the trust region: take it and solve again"
    MAX_ITER = "the iterations ran out: raise max_iter or loosen tol"
    NEGATIVE_CURVATURE = (
        "the Hessian is indefinite: the model is under-regularised or not converged; "
        "raise regularization, or let the trust region shrink the step"
    )
    BUDGET = "the budget of products was used up: raise max_cost, or loosen tol"
    NON_FINITE = "a number overflowed: check the scale of the data and of the regularization"


@dataclass(frozen=True)
class Solution:
    """Result of a solve of ``H x = -g``.

    Parameters
    ----------
    value : ndarray, shape (n,)
        The step x, an array like g.

    status : Status
        How the solve ended.

    n_iter : int
        Iterations.

    residual_norm : float
        ``||H x + g|| / ||g||``.

    decrease : float
        ``-(g'x + x'H x / 2)``: by how much the quadratic model says that the objective falls.

    length : float
        Norm of the step, as the trust region measures it.

    shorter : tuple of Solution, default=()
        Solutions of the same solve in smaller trust regions, the largest first: what a rejected
        step is followed by, without another product.

    Examples
    --------
    >>> from sklearn_unlearn.solvers import Solution, Status
    >>> Solution(0.0, Status.CONVERGED, n_iter=3, residual_norm=0.0, decrease=0.0).status.name
    'CONVERGED'
    """

    value: Array
    status: Status
    n_iter: int
    residual_norm: float
    decrease: float
    length: float = 0.0
    shorter: tuple[Solution, ...] = ()


def trust_region_cg(
    H: LinearOperator,
    g: Array,
    precondition: Preconditioner,
    *,
    radius: float,
    rtol: float,
    max_iter: int,
) -> Solution:
    """Minimise ``g'x + x'Hx/2`` inside a trust region by preconditioned conjugate gradients.

    Stops at the boundary, or along a direction of negative curvature at the boundary [1]_. The
    radius is measured in the norm of the preconditioner's inverse. Of an H that has one, `product`
    is called: it takes and returns arrays like g.

    References
    ----------
    .. [1] Steihaug, "The conjugate gradient method and trust regions in large scale optimization",
       SIAM Journal on Numerical Analysis 20, 1983.
    """
    multiply = getattr(H, "product", H.matvec)
    x, residual = namespace_of(g).zeros_like(g), copy_of(g)
    z = precondition(residual)
    direction, rz, g_norm = -z, float(residual @ z), norm(g)
    x_norm2 = x_dot_p = 0.0
    p_norm2 = rz
    shorter: tuple[Solution, ...] = ()
    status = Status.MAX_ITER
    if not np.isfinite(rz):
        return Solution(x, Status.NON_FINITE, 0, 1.0, 0.0)
    if not rz:  # nothing but numbers whose squares underflow
        return Solution(x, Status.CONVERGED, 0, 0.0, 0.0)
    n_iter = 0
    while n_iter < max_iter:
        n_iter += 1
        Hp = multiply(direction)
        curvature = float(direction @ Hp)
        if not np.isfinite(curvature):
            status = Status.NON_FINITE
            break
        alpha = rz / curvature if curvature > 0 else np.inf
        ahead = x_norm2 + alpha * (2 * x_dot_p + alpha * p_norm2)
        edge = Status.BOUNDARY if curvature > 0 else Status.NEGATIVE_CURVATURE
        for share in _SHORTER[len(shorter) :]:
            if ahead < (share * radius) ** 2:
                break
            alpha_there = _to_edge(share * radius, x_norm2, x_dot_p, p_norm2)
            there, left = x + alpha_there * direction, residual + alpha_there * Hp
            found = (edge, n_iter, norm(left) / g_norm, -0.5 * float(there @ (g + left)))
            shorter = (Solution(there, *found, share * radius, shorter), *shorter)
        if ahead >= radius**2:
            alpha = _to_edge(radius, x_norm2, x_dot_p, p_norm2)
            status = edge
        x += alpha * direction
        residual += alpha * Hp
        x_norm2 += alpha * (2 * x_dot_p + alpha * p_norm2)
        if status is not Status.MAX_ITER:
            break
        if norm(residual) <= rtol * g_norm:
            status = Status.CONVERGED
            break
        z = precondition(residual)
        rz, last = float(residual @ z), rz
        if not rz:
            status = Status.CONVERGED
            break
        beta = rz / last
        x_dot_p = beta * (x_dot_p + alpha * p_norm2)
        p_norm2 = rz + beta * beta * p_norm2
        direction = beta * direction - z
    # H x = residual - g, so the model's decrease costs no further product.
    decrease = -0.5 * float(x @ (g + residual))
    length = float(np.sqrt(max(x_norm2, 0.0)))
    return Solution(x, status, n_iter, norm(residual) / g_norm, decrease, length, shorter)


def _to_edge(radius: float, x_norm2: float, x_dot_p: float, p_norm2: float) -> float:
    """Multiple of the direction p that takes x to the edge of a trust region."""
    inside = x_dot_p**2 + p_norm2 * max(radius**2 - x_norm2, 0.0)
    return float((-x_dot_p + np.sqrt(inside)) / p_norm2)


def scipy_cg(
    H: LinearOperator,
    g: Array,
    precondition: Preconditioner,
    *,
    radius: float,
    rtol: float,
    max_iter: int,
) -> Solution:
    """Solve with SciPy's ``cg``, for Hessians that are positive definite."""
    return _from_scipy(cg, H, g, precondition, radius, rtol, max_iter)


def scipy_minres(
    H: LinearOperator,
    g: Array,
    precondition: Preconditioner,
    *,
    radius: float,
    rtol: float,
    max_iter: int,
) -> Solution:
    """Solve with SciPy's ``minres``, which takes indefinite Hessians."""
    return _from_scipy(minres, H, g, precondition, radius, rtol, max_iter)


def _from_scipy(
    solve: Callable[..., tuple[Floats, int]],
    H: LinearOperator,
    start: Array,
    precondition_start: Preconditioner,
    radius: float,
    rtol: float,
    max_iter: int,
) -> Solution:
    g = to_numpy(start)

    def precondition(r: Floats) -> Floats:
        return to_numpy(precondition_start(like(start, r)))

    M = LinearOperator(H.shape, matvec=precondition, dtype=H.dtype)
    counter = [0]

    def count(_: Floats) -> None:
        counter[0] += 1

    x, info = solve(H, -g, rtol=rtol, maxiter=max_iter, M=M, callback=count)
    Hx = H.matvec(x)
    residual = float(np.linalg.norm(Hx + g) / np.linalg.norm(g))
    status = Status.CONVERGED if info == 0 else Status.MAX_ITER
    if not np.isfinite(residual):
        return Solution(like(start, np.zeros_like(g)), Status.NON_FINITE, counter[0], 1.0, 0.0)
    if float(x @ Hx) <= 0:
        status = Status.NEGATIVE_CURVATURE
    # Neither solver knows of a trust region: a long step is cut back to it.
    length = float(np.sqrt(x @ (x / _scale(precondition, g))))
    if length > radius:
        x, Hx, status = x * (radius / length), Hx * (radius / length), Status.BOUNDARY
        residual = float(np.linalg.norm(Hx + g) / np.linalg.norm(g))
    decrease = -float(g @ x + 0.5 * x @ Hx)
    return Solution(like(start, x), status, counter[0], residual, decrease, min(length, radius))


def _scale(precondition: Preconditioner, g: Floats) -> Floats:
    """Diagonal of the preconditioner, read off a vector of ones."""
    return np.maximum(np.abs(precondition(np.ones_like(g))), np.finfo(float).tiny)


SOLVERS: dict[str, Callable[..., Solution]] = {
    "trust-ncg": trust_region_cg,
    "cg": scipy_cg,
    "minres": scipy_minres,
}


def jacobi(point: LocalModel, diagonal: Array, damping: float = 0.0) -> Preconditioner:
    """Divide by the diagonal of the Hessian.

    In the canonical basis, where the Gram matrices of the factors are diagonal, this is nearly as
    good as `block_jacobi` (0 to 30 % more products) and k times cheaper.
    """
    inverse = 1.0 / (diagonal + damping).reshape(-1)
    return lambda r: inverse * r


def block_jacobi(point: LocalModel, diagonal: Array, damping: float = 0.0) -> Preconditioner:
    """Solve with the (width, width) diagonal block of each row.

    A block that is not positive definite is shifted until it is.
    """
    blocks = point.blocks()
    xp, shape = namespace_of(blocks), point.theta.shape
    values, vectors = xp.linalg.eigh(blocks)
    values = values + damping
    floor = xp.clip(1e-3 * values[:, -1:], np.finfo(float).tiny, None)
    sizes = xp.abs(values)
    inverse = 1.0 / xp.where(sizes < floor, floor, sizes)

    def solve(r: Array) -> Array:
        rotated = (r.reshape(shape)[:, None, :] @ vectors)[:, 0, :]
        return (vectors @ (inverse * rotated)[:, :, None]).reshape(-1)

    return solve


PRECONDITIONERS: dict[str, Callable[..., Preconditioner]] = {
    "jacobi": jacobi,
    "block-jacobi": block_jacobi,
}
