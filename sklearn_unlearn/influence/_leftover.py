"""What training left over: where a request ends at it, so that it does not finish the training."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from sklearn_unlearn.influence._problem import ForgetProblem
from sklearn_unlearn.objectives import FactorObjective

__all__ = ["drowns", "is_loose", "leftover"]

Floats = NDArray[Any]

# What training left over counts as none up to these shares: of the unit of gradients, and of the
# gradient that a request makes.
_LOOSE_FIT, _IGNORED = 1e-5, 0.1


def leftover(problem: ForgetProblem) -> Floats:
    """Gradient to end at where the request is answered and the training is not finished."""
    tilt = problem.objective_before().gradient(problem.theta)
    tilt[problem.emptied_rows()] = 0
    return tilt


def is_loose(problem: ForgetProblem) -> bool:
    """Whether training left so much that a request has to be compared with it."""
    if not isinstance(problem.objective, FactorObjective):
        return False  # nobody knows the unit of its gradients
    return problem.gradient_norm > _LOOSE_FIT * problem.objective.gradient_scale


def drowns(problem: ForgetProblem, first: float) -> bool:
    """Whether a request of a gradient of norm `first` is drowned in what training left over."""
    return problem.gradient_norm > _IGNORED * first and is_loose(problem)
