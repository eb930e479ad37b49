"""Newton's method with a trust region: one text for fitting and for forgetting.

setup       rotate theta into the canonical basis; value, gradient
inner solve (H + gauge + damping I) x = -(g - tilt), to a forcing tolerance
accept      only if the objective falls; else shrink the trust region and solve again
converged   when ||g - tilt|| <= gtol
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence._operators import (
    GaugeFixedHessian,
    HorizontalProjector,
    LocalModel,
    canonical_rotation,
)
from sklearn_unlearn.influence._preconditioners import PRECONDITIONERS
from sklearn_unlearn.influence._solvers import SOLVERS, Solution, Status
from sklearn_unlearn.influence.backends import (
    Array,
    cast,
    copy_of,
    double,
    inner,
    like,
    namespace_of,
    norm,
    to_numpy,
)

__all__ = ["NewtonResult", "NewtonSettings", "newton"]

Floats = NDArray[Any]

# Rejected steps in a row before giving up: the radius has then shrunk by 4^12.
_MAX_REJECTED = 12


class _Layout(Protocol):
    n_users: int
    n_factors: int


class _Objective(Protocol):
    @property
    def layout(self) -> Any: ...
    @property
    def has_gauge(self) -> bool: ...
    def at(self, theta: Array) -> LocalModel: ...


@dataclass(frozen=True)
class NewtonSettings:
    """How to iterate.

    Parameters
    ----------
    max_steps : int, default=100
        Newton steps; solves whose step was rejected do not count.

    solver : {"trust-ncg", "cg", "minres"}, default="trust-ncg"
        Linear solver of a step.

    preconditioner : {"jacobi", "block-jacobi"}, default="jacobi"
        Approximate inverse of the Hessian.

    max_iter : int, default=200
        Iterations of the linear solver a step.

    damping : float, default=0.0
        Added to the diagonal of the Hessian.

    forcing : float, default=0.1
        Largest relative residual at which a linear solve may stop.

    aim : float, default=0.7
        Share of the tolerance that the last solve aims at.
    """

    max_steps: int = 100
    solver: str = "trust-ncg"
    preconditioner: str = "jacobi"
    max_iter: int = 200
    damping: float = 0.0
    forcing: float = 0.1
    aim: float = 0.7


@dataclass(frozen=True)
class NewtonResult:
    """Where Newton's method ended.

    Parameters
    ----------
    theta : ndarray
        Table of parameters, in the basis of the start.

    value : float
        Objective, tilt included.

    gradient_norm : tuple of float
        ``||g - tilt||`` before and after; with a tilt, of its part that does not rotate.

    n_steps : int
        Steps taken.

    n_products : int
        Hessian-vector products.

    status : Status
        How the last linear solve ended.

    converged : bool
        Whether the gradient met its tolerance.
    """

    theta: Floats
    value: float
    gradient_norm: tuple[float, float]
    n_steps: int
    n_products: int
    status: Status
    converged: bool


class _Point:
    """An evaluation, with the tilt taken off, in the arrays of the objective's backend."""

    def __init__(self, objective: _Objective, theta: Array, tilt: Array | None) -> None:
        self.objective = objective
        self.local = objective.at(theta)
        self.theta = self.local.theta
        self.tilt = None if tilt is None else cast(self.theta, like(self.theta, tilt))
        self.value = self.local.value
        if tilt is not None:
            self.value -= inner(self.tilt, self.theta)

    @cached_property
    def gradient(self) -> Array:
        if self.tilt is None:
            return self.local.gradient
        # A tilt breaks the symmetry: the part along the orbit is none that a step may reduce.
        gradient = self.local.gradient - self.tilt
        if not self.objective.has_gauge:
            return gradient
        return HorizontalProjector(self.theta, self.objective.layout.n_factors)(gradient)


def newton(
    objective: _Objective,
    theta: Floats,
    gtol: float | Callable[[float], float],
    settings: NewtonSettings | None = None,
    *,
    tilt: Floats | None = None,
    on_step: Callable[[int, float, float, int], None] | None = None,
) -> NewtonResult:
    """Minimise ``J(theta) - <tilt, theta>`` from `theta`.

    Parameters
    ----------
    objective : Objective
        J.

    theta : ndarray, shape (n_users + n_items, width)
        Where to start; not written to.

    gtol : float, or callable of the first gradient norm
        Gradient norm to reach; with 0, ends after `settings.max_steps` steps.

    settings : NewtonSettings, default=None
        How to iterate.

    tilt : ndarray, shape of theta, default=None
        Gradient to end at, instead of zero.

    on_step : callable, default=None
        Called as ``on_step(step, value, gradient_norm, n_products)``.

    Returns
    -------
    result : NewtonResult
    """
    settings = settings or NewtonSettings()
    k = objective.layout.n_factors
    point = _Point(objective, theta, tilt)
    rotation = like(point.theta, np.eye(k))
    left = first_norm = norm(point.gradient)
    gtol = gtol(first_norm) if callable(gtol) else gtol
    n_steps = n_products = rejected = 0
    status, radius = Status.CONVERGED, np.inf
    while n_steps < settings.max_steps and rejected <= _MAX_REJECTED:
        if left <= gtol or not np.isfinite(left):
            break
        if not rejected:
            point, rotation = _in_canonical_basis(objective, point, rotation)
        solution, products, radius = _solve(
            objective, point, radius, _forcing(left, first_norm, gtol, settings), settings
        )
        n_products += products
        status = solution.status
        if point.tilt is not None and status is Status.NEGATIVE_CURVATURE:
            # Tilted, the model of before is stationary whatever it is. Where it is a saddle, going
            # down from it is training of another kind, and no answer to a request.
            break
        point, radius, accepted = _judge(objective, point, solution, radius)
        rejected = 0 if accepted else rejected + 1
        n_steps += accepted
        left = norm(point.gradient)
        if on_step is not None:
            on_step(n_steps, point.value, left, n_products)
    converged = bool(left <= gtol)
    return NewtonResult(
        to_numpy(_rotate(point.theta, rotation.T)),
        point.value,
        (first_norm, left),
        n_steps,
        n_products,
        status if np.isfinite(left) else Status.NON_FINITE,
        converged,
    )


def _in_canonical_basis(
    objective: _Objective, point: _Point, rotation: Array
) -> tuple[_Point, Array]:
    """Turn a point whose basis is far from the canonical one; add the turn to the rotation."""
    turn = _turn(point.theta, objective)
    if turn is None:
        return point, rotation
    tilt = None if point.tilt is None else _rotate(point.tilt, turn)
    return _Point(objective, _rotate(point.theta, turn), tilt), rotation @ turn


def _forcing(left: float, first_norm: float, gtol: float, settings: NewtonSettings) -> float:
    """Relative residual of the next solve: loose far away, and never beyond what gtol needs."""
    loose = settings.forcing * min(1.0, np.sqrt(left / first_norm))
    return max(loose, settings.aim * gtol / left) if gtol else loose


def _solve(
    objective: _Objective,
    point: _Point,
    radius: float,
    rtol: float,
    settings: NewtonSettings,
) -> tuple[Solution, int, float]:
    """Solve for one step; the first radius is ten times the preconditioned gradient."""
    diagonal = namespace_of(point.theta).abs(point.local.hessian_diagonal())
    projector = HorizontalProjector(
        point.theta, objective.layout.n_factors if objective.has_gauge else 0
    )
    H = GaugeFixedHessian(point.local, projector, diagonal, settings.damping)
    precondition = PRECONDITIONERS[settings.preconditioner](point.local, diagonal, settings.damping)
    g = point.gradient.reshape(-1)
    if not np.isfinite(radius):
        radius = 10 * float(np.sqrt(inner(g, precondition(g))))
    solution = SOLVERS[settings.solver](
        H, g, precondition, radius=radius, rtol=rtol, max_iter=settings.max_iter
    )
    return solution, H.n_products, radius


def _judge(
    objective: _Objective, point: _Point, solution: Solution, radius: float
) -> tuple[_Point, float, bool]:
    """Accept a step only if the objective falls; set the next radius by the model's success."""
    trial = _Point(objective, point.theta + solution.value.reshape(point.theta.shape), point.tilt)
    # Sums of many losses carry rounding errors; below them the gradient decides.
    noise = 1e-13 * (abs(point.value) + 1)
    fall = point.value - trial.value
    ratio = fall / solution.decrease if solution.decrease > 0 else -1.0
    accepted = bool(ratio > 1e-4 and fall > noise)
    if not accepted and abs(fall) <= 10 * noise:
        accepted = norm(trial.gradient) < norm(point.gradient)
        ratio = 1.0 if accepted else ratio
    if not np.isfinite(ratio) or ratio < 0.25:
        radius = 0.25 * min(radius, solution.length)
    elif ratio > 0.75 and solution.status in (Status.BOUNDARY, Status.NEGATIVE_CURVATURE):
        radius = 2.5 * radius
    return (trial if accepted else point), radius, accepted


def _turn(theta: Array, objective: _Objective) -> Array | None:
    """Rotation into the canonical basis, where a diagonal preconditioner works; None if near it."""
    Z = theta[objective.layout.n_users :, : objective.layout.n_factors]
    gram = to_numpy(Z.T @ Z)
    off = np.abs(gram - np.diag(np.diag(gram))).max(initial=0.0)
    if off <= 0.02 * np.abs(np.diag(gram)).max(initial=0.0):
        return None
    return canonical_rotation(Z)


def _rotate(table: Array, rotation: Array) -> Array:
    """Rotate the latent columns."""
    k = len(rotation)
    out = copy_of(table)
    out[:, :k] = double(table[:, :k]) @ double(rotation)
    return out
