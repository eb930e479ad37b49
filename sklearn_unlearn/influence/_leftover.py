"""What training left over: where a request ends at it, so that it does not finish the training."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from sklearn_unlearn.influence._problem import ForgetProblem
from sklearn_unlearn.objectives import FactorObjective

__all__ = ["exceeds", "is_loose", "leftover"]

Floats = NDArray[Any]

# Share of the unit of gradients up to which what training left over counts as none.
_LOOSE_FIT = 1e-5


def leftover(problem: ForgetProblem) -> Floats:
    """Gradient to end at where the request is answered and the training is not finished."""
    tilt = problem.objective_before().gradient(problem.theta)
    tilt[problem.emptied_rows()] = 0
    return tilt


def is_loose(problem: ForgetProblem) -> bool:
    """Whether training left so much that a request has to be compared with it."""
    if not isinstance(problem.objective, FactorObjective):
        return False  # nobody knows the unit of its gradients
    left = min(problem.gradient_norm, problem.trained_norm)
    return left > _LOOSE_FIT * problem.objective.gradient_scale


def exceeds(problem: ForgetProblem, goal: float) -> bool:
    """Whether training left more than a request may leave: then it would finish the training."""
    return problem.gradient_norm > goal and is_loose(problem)
