"""Trust-region Newton-CG, for fitting and for forgetting.

setup       rotate theta into the canonical basis; value, gradient
inner solve (H + gauge + damping I) x = -g, to a forcing tolerance
accept      only if the objective falls; else shrink the trust region and solve again
converged   when ||g|| <= gtol
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import (
    Array,
    inner,
    like,
    namespace_of,
    norm,
    to_numpy,
)
from sklearn_unlearn.solvers._gauge import (
    GaugeFixedHessian,
    HorizontalProjector,
    LocalModel,
    canonical_rotation,
    rotate_columns,
)
from sklearn_unlearn.solvers._linear import PRECONDITIONERS, SHRINK, SOLVERS, Solution, Status

__all__ = ["NewtonResult", "NewtonSettings", "newton"]

Floats = NDArray[Any]

# Rejected steps in a row before giving up: the radius has then shrunk by 4^12.
_MAX_REJECTED = 12
# Passes over the interactions that a trial takes: its scores and its gradient.
_TRIAL = 2


class _Objective(Protocol):
    stops_at_saddles: ClassVar[bool]

    @property
    def layout(self) -> Any: ...
    @property
    def has_gauge(self) -> bool: ...
    def at(self, theta: Array) -> LocalModel: ...
    def rotated(self, rotation: Array) -> _Objective: ...


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

    max_products : float, default=inf
        Passes over the interactions at most: a Hessian product is one, the value and gradient of
        a trial are two.

    Examples
    --------
    >>> from sklearn_unlearn.solvers import NewtonSettings
    >>> NewtonSettings(max_steps=10).solver
    'trust-ncg'
    """

    max_steps: int = 100
    solver: str = "trust-ncg"
    preconditioner: str = "jacobi"
    max_iter: int = 200
    damping: float = 0.0
    forcing: float = 0.1
    aim: float = 0.7
    max_products: float = np.inf


@dataclass(frozen=True)
class NewtonResult:
    """Where Newton's method ended.

    Parameters
    ----------
    theta : ndarray
        Table of parameters, in the basis of the start.

    value : float
        Objective.

    gradient_norm : tuple of float
        Norm of the gradient before and after.

    n_steps : int
        Steps taken.

    n_products : int
        Hessian-vector products.

    status : Status
        How the last linear solve ended.

    converged : bool
        Whether the gradient met its tolerance, at no saddle that is known.

    slack : float, default=0.0
        How far the end is from asking for another column: see `certificates._rank`. 0 where nobody
        has looked.

    saddle : bool, default=False
        Whether the gradient met its tolerance where a column is missing.

    n_passes : float, default=0.0
        Passes over the interactions, as `NewtonSettings.max_products` counts.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.objectives import WeightedObjective
    >>> objective = WeightedObjective.from_interactions(
    ...     Interactions.from_matrix([[1, 0, 3], [0, 2, 0]]),
    ...     n_factors=1, regularization=0.5, alpha=2.0, backend=ScipyBackend(),
    ... )
    >>> from sklearn_unlearn.solvers import newton
    >>> result = newton(objective, np.ones((5, 1)), gtol=1e-6)
    >>> result.converged, result.gradient_norm[1] <= 1e-6
    (True, True)
    """

    theta: Floats
    value: float
    gradient_norm: tuple[float, float]
    n_steps: int
    n_products: int
    status: Status
    converged: bool
    slack: float = 0.0
    saddle: bool = False
    n_passes: float = 0.0


def newton(
    objective: _Objective,
    theta: Floats,
    gtol: float | Callable[[float], float],
    settings: NewtonSettings | None = None,
    *,
    on_step: Callable[[int, float, float, int], None] | None = None,
) -> NewtonResult:
    """Minimise an objective from `theta`.

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

    on_step : callable, default=None
        Called as ``on_step(step, value, gradient_norm, n_products)``.

    Returns
    -------
    result : NewtonResult
    """
    settings = settings or NewtonSettings()
    k = objective.layout.n_factors
    point = objective.at(theta)
    rotation = like(point.theta, np.eye(k))
    left = first_norm = norm(point.gradient)
    gtol = gtol(first_norm) if callable(gtol) else gtol
    n_steps = n_products = n_solves = rejected = 0
    status, radius = Status.CONVERGED, np.inf
    solution: Solution | None = None
    while n_steps < settings.max_steps and rejected <= _MAX_REJECTED:
        if left <= gtol or not np.isfinite(left):
            break
        n_solves += 1
        # What is left for the solve after the trial of its step.
        afford = settings.max_products - n_products - _TRIAL * n_solves
        if afford < 1:
            status, n_solves = Status.BUDGET, n_solves - 1
            break
        if not rejected:
            objective, point, rotation = _in_canonical_basis(objective, point, rotation)
        rtol = _forcing(left, first_norm, gtol, settings)
        limited = replace(settings, max_iter=int(min(settings.max_iter, afford)))
        solution = _shorter(solution, radius) if rejected else None
        if solution is None:
            solution, products, radius = _solve(objective, point, radius, rtol, limited)
            n_products += products
        status = solution.status
        if objective.stops_at_saddles and status is Status.NEGATIVE_CURVATURE:
            break
        point, radius, accepted = _judge(objective, point, solution, radius)
        rejected = 0 if accepted else rejected + 1
        n_steps += accepted
        left = norm(point.gradient)
        if on_step is not None:
            on_step(n_steps, point.value, left, n_products)
    converged = bool(left <= gtol)
    return NewtonResult(
        to_numpy(rotate_columns(point.theta, rotation.T)),
        point.value,
        (first_norm, left),
        n_steps,
        n_products,
        status if np.isfinite(left) else Status.NON_FINITE,
        converged,
        n_passes=n_products + _TRIAL * (n_solves + 1.0),
    )


def _in_canonical_basis(
    objective: _Objective, point: LocalModel, rotation: Array
) -> tuple[_Objective, LocalModel, Array]:
    """Turn a point whose basis is far from the canonical one; add the turn to the rotation."""
    turn = _turn(point.theta, objective)
    if turn is None:
        return objective, point, rotation
    turned = objective.rotated(turn)
    return turned, turned.at(rotate_columns(point.theta, turn)), rotation @ turn


def _forcing(left: float, first_norm: float, gtol: float, settings: NewtonSettings) -> float:
    """Relative residual of the next solve: loose far away, and never beyond what gtol needs."""
    loose = settings.forcing * min(1.0, np.sqrt(left / first_norm))
    return max(loose, settings.aim * gtol / left) if gtol else loose


def _solve(
    objective: _Objective,
    point: LocalModel,
    radius: float,
    rtol: float,
    settings: NewtonSettings,
) -> tuple[Solution, int, float]:
    """Solve for one step; the first radius is ten times the preconditioned gradient."""
    diagonal = namespace_of(point.theta).abs(point.hessian_diagonal())
    projector = HorizontalProjector(
        point.theta, objective.layout.n_factors if objective.has_gauge else 0
    )
    H = GaugeFixedHessian(point, projector, diagonal, settings.damping)
    precondition = PRECONDITIONERS[settings.preconditioner](point, diagonal, settings.damping)
    g = point.gradient.reshape(-1)
    if not np.isfinite(radius):
        radius = 10 * float(np.sqrt(inner(g, precondition(g))))
    solution = SOLVERS[settings.solver](
        H, g, precondition, radius=radius, rtol=rtol, max_iter=settings.max_iter
    )
    return solution, H.n_products, radius


def _shorter(rejected: Solution | None, radius: float) -> Solution | None:
    """Solution within a smaller trust region that the rejected solve has passed, if it has."""
    if rejected is None or not rejected.shorter:
        return None
    shorter = rejected.shorter[0]
    return shorter if np.isclose(shorter.length, radius, rtol=1e-9, atol=0.0) else None


def _judge(
    objective: _Objective, point: LocalModel, solution: Solution, radius: float
) -> tuple[LocalModel, float, bool]:
    """Accept a step only if the objective falls; set the next radius by the model's success."""
    trial = objective.at(point.theta + solution.value.reshape(point.theta.shape))
    # Sums of many losses carry rounding errors; below them the gradient decides.
    noise = 1e-13 * (abs(point.value) + 1)
    fall = point.value - trial.value
    ratio = fall / solution.decrease if solution.decrease > 0 else -1.0
    accepted = bool(ratio > 1e-4 and fall > noise)
    if not accepted and abs(fall) <= 10 * noise:
        accepted = norm(trial.gradient) < norm(point.gradient)
        ratio = 1.0 if accepted else ratio
    if not np.isfinite(ratio) or ratio < 0.25:
        radius = SHRINK * min(radius, solution.length)
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
