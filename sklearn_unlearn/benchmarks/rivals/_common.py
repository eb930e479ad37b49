"""What the rivals share: request gradients, step lengths and outcomes."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import to_numpy
from sklearn_unlearn.influence import ForgetOutcome, ForgetProblem
from sklearn_unlearn.utils._compat import Interval

__all__ = [
    "POSITIVE",
    "STEPS",
    "ZERO_OR_MORE",
    "largest_curvature",
    "outcome",
    "request_gradient",
    "settle",
]

Floats = NDArray[np.float64]

_N_POWER_STEPS = 15

#: What parameters of rivals may be, as scikit-learn states it.
STEPS = Interval(Integral, 1, None, closed="left")
POSITIVE = Interval(Real, 0, None, closed="neither")
ZERO_OR_MORE = Interval(Real, 0, None, closed="left")


def settle(problem: ForgetProblem, theta: Any) -> Floats:
    """Copy a table, with rows of which nothing remains at their optimum."""
    table = np.array(theta, dtype=np.float64)
    emptied = problem.emptied_rows()
    table[emptied] = problem.objective.layout.empty_rows(emptied)
    return table


def request_gradient(problem: ForgetProblem, theta: Floats, before: Floats | None = None) -> Floats:
    r"""Gradient that the request brings in, :math:`\nabla J_R(\theta) - \nabla J_D(\theta_0)`.

    At one table it is minus the gradient of the losses of what is forgotten. `before` is the other
    table where rows that lost everything have been set to their optimum already.
    """
    old = theta if before is None else before
    after = problem.objective.gradient(theta)
    return np.asarray(after - problem.objective_before().gradient(old), np.float64)


def largest_curvature(problem: ForgetProblem, theta: Floats) -> float:
    """Estimate the largest eigenvalue of the Hessian of J_R, from below, by power iteration."""
    point = problem.objective.at(theta)
    V = np.random.default_rng(0).standard_normal(theta.shape)
    V = np.asarray(problem.objective.layout.mask_fixed(V))
    size = 0.0
    for _ in range(_N_POWER_STEPS):
        V = V / np.linalg.norm(V)
        V = np.asarray(to_numpy(point.hessian_product(V)), np.float64)
        size = float(np.linalg.norm(V))
        if size == 0.0:
            return 1.0
    return size


def outcome(
    problem: ForgetProblem,
    theta: Floats,
    method: str,
    *,
    n_steps: int,
    n_products: float,
    status: str = "all steps taken",
) -> ForgetOutcome:
    """Say what was done, with the gradient of J_R measured before and after."""
    first = problem.objective.gradient_norm(np.asarray(problem.theta, np.float64))
    left = problem.objective.gradient_norm(theta)
    return ForgetOutcome(
        theta=theta,
        method=method,
        guarantee="one-step",
        status=status,
        n_steps=n_steps,
        n_products=n_products,
        n_rows_updated=problem.count_changed(theta),
        gradient_norm=(first, left),
        bound=left,
        converged=False,
    )


#: Products that the estimate of a step length takes.
N_SCALE_PRODUCTS = float(_N_POWER_STEPS)
