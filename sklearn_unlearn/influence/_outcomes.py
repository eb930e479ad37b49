"""From a forget problem to what a solver starts from, and from its result to an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from sklearn_unlearn.influence._newton import NewtonResult
from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem

__all__ = ["Spent", "as_outcome", "count_changed", "kept_rows", "without_emptied"]

Floats = NDArray[Any]


def without_emptied(problem: ForgetProblem) -> tuple[Floats, float]:
    """Set rows that lost everything to zero, their optimum; return the gradient settled."""
    emptied = problem.emptied_rows()
    theta = problem.theta.copy()
    settled = problem.objective.ridge_gradient(theta, emptied)
    theta[emptied] = problem.objective.layout.empty_rows(emptied)
    return theta, float(np.linalg.norm(settled))


def kept_rows(pruner: Any, problem: ForgetProblem) -> NDArray[np.int64]:
    """Rows that a pruner lets move."""
    before, positions = problem.before, problem.positions
    pairs = before.rows[positions], before.indices[positions]
    fitted = clone(pruner).fit(before.to_csr(), forget=pairs)
    kept = np.concatenate([fitted.user_support_, fitted.item_support_])
    return np.setdiff1d(np.flatnonzero(kept), problem.emptied_rows())


def count_changed(problem: ForgetProblem, new: Floats, support: NDArray[Any] | None = None) -> int:
    """Rows that differ from those of the model; only the support and emptied rows can."""
    old = problem.theta
    if support is not None:
        rows = np.concatenate([support, problem.emptied_rows()])
        old, new = old[rows], new[rows]
    return int(np.count_nonzero((old != new).any(axis=1)))


@dataclass(frozen=True)
class Spent:
    """What a first, restricted attempt measured and cost."""

    before: float = 0.0  # gradient norm at the start of the request; 0 if not measured
    n_steps: int = 0
    n_products: float = 0.0


def as_outcome(
    problem: ForgetProblem,
    theta: Floats,
    result: NewtonResult,
    norms: tuple[float, float],
    tilt: Floats | None,
    met: bool,
    share: float = 1.0,
) -> ForgetOutcome:
    return ForgetOutcome(
        theta,
        "influence",
        "residual-bounded" if met else "one-step",
        result.status.value,
        result.n_steps,
        share * result.n_products,
        count_changed(problem, theta),
        norms,
        norms[1] + (0.0 if tilt is None else float(np.linalg.norm(tilt))),
        problem.converged and met,
    )
