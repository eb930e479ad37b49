"""Error-controlled growth: solve on the rows that matter, and let the residual say which those are.

    support   the rows that lost an interaction
    solve     Newton on the objective restricted to the support: only incident cells are walked
    look      how the gradient changed in the rows beside the support, from the same cells
    grow      take in the largest of those until the rest is within the budget; solve again

No step reads a cell that no moved row is part of, so the cost follows the request and not the data.
The residual is complete all the same: the gradient of a row changes only if the row or one of its
neighbours moves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence._newton import NewtonSettings, newton
from sklearn_unlearn.influence._outcomes import Spent, count_changed
from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem
from sklearn_unlearn.influence._slack import slack_after
from sklearn_unlearn.influence._solvers import Status
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import Objective
from sklearn_unlearn.utils._interactions import sorted_union

__all__ = ["LocalResult", "largest", "solve_locally", "unlearn_locally"]

Floats = NDArray[Any]

_MAX_ROUNDS = 12


@dataclass(frozen=True)
class LocalResult:
    """Where local solving ended.

    Parameters
    ----------
    theta : ndarray
        Whole table, moved in the support.

    support : ndarray of int
        Rows that moved.

    gradient_norm : tuple of float
        Change of the gradient before, and what is left of it.

    n_steps : int
        Newton steps.

    n_products : float
        Products, each counted by its share of all interactions.

    status : Status
        How the last linear solve ended.

    complete : bool
        False if the support outgrew its limit before the target was met.
    """

    theta: Floats
    support: NDArray[np.int64]
    gradient_norm: tuple[float, float]
    n_steps: int
    n_products: float
    status: Status
    complete: bool


def solve_locally(
    objective: Objective,
    data: Interactions,
    theta: Floats,
    support: NDArray[np.int64],
    target: Callable[[float], float],
    settings: NewtonSettings,
    max_cells: float,
) -> LocalResult:
    """Minimise on a growing support, from a point where the gradient is small outside it.

    Parameters
    ----------
    objective : Objective
        J_R.

    data : Interactions
        Those of the objective.

    theta : ndarray
        Where to start; the gradient outside `support` counts as zero.

    support : ndarray of int
        Rows to begin with.

    target : callable
        Norm of the gradient to reach, given the norm at the start.

    settings : NewtonSettings
        How to iterate on each support.

    max_cells : float
        Give up when more interactions than this would be walked.
    """
    start, theta = theta, theta.copy()
    before, left, goal = np.nan, np.nan, 0.0
    n_steps, n_products, status = 0, 0.0, Status.CONVERGED
    for _ in range(_MAX_ROUNDS):
        if objective.count_incident(data, support) > max_cells:
            break
        restricted, rows = objective.restrict(support, theta)
        if np.isnan(before):
            before = left = float(np.linalg.norm(restricted.gradient(theta[rows])))
            goal = target(before)
            if goal <= 0:
                break
        # A support that will grow is not worth an accurate solve.
        result = newton(restricted, theta[rows], max(0.5 * goal, 0.1 * left), settings)
        share = restricted.n_cells / max(objective.n_cells, 1)
        n_steps, status = n_steps + result.n_steps, result.status
        n_products += share * result.n_products
        beside = np.ones(len(rows), bool)
        beside[np.searchsorted(rows, support)] = False
        theta[rows[~beside]] = result.theta[~beside]  # rounding may touch the others
        # Frozen rows see the support move through the cells that they share with it.
        whole = restricted.thaw()
        change = whole.gradient(theta[rows]) - whole.gradient(start[rows])
        norms = np.linalg.norm(change[beside], axis=1)
        left = float(np.hypot(np.linalg.norm(norms), result.gradient_norm[1]))
        left = float(np.hypot(left, whole.drift(start[rows], theta[rows])))
        if left <= goal or not (result.converged and np.isfinite(left)):
            break
        support = sorted_union(support, rows[beside][largest(norms, 0.4 * goal)])
    complete = bool(left <= goal)
    return LocalResult(theta, support, (before, left), n_steps, n_products, status, complete)


def largest(norms: Floats, budget: float) -> NDArray[np.int64]:
    """Fewest entries without which the norm of the rest is within a budget."""
    order = np.argsort(norms)
    rest = np.sqrt(np.cumsum(norms[order] ** 2))
    return order[np.searchsorted(rest, budget, side="right") :]


def unlearn_locally(
    problem: ForgetProblem,
    theta: Floats,
    emptied_norm: float,
    tol: float,
    settings: NewtonSettings,
    max_share: float,
) -> tuple[ForgetOutcome | None, Floats, Spent]:
    """Let the support grow from the touched rows.

    Where the whole table turns out to be the better way, no outcome but a better start.
    """
    objective = problem.objective
    max_cells = max_share * objective.n_cells
    support = np.setdiff1d(problem.touched_rows(), problem.emptied_rows())

    def target(norm: float) -> float:
        # What the model's gradient was before, nobody has looked at: it counts in full.
        goal = problem.goal(tol, float(np.hypot(norm, emptied_norm))) - problem.gradient_norm
        return goal if goal > problem.gradient_norm else 0.0

    local = solve_locally(objective, problem.retained, theta, support, target, settings, max_cells)
    if not np.isfinite(local.gradient_norm[0]):
        return None, theta, Spent()
    before = float(np.hypot(local.gradient_norm[0], emptied_norm))
    if not local.complete:
        return None, local.theta, Spent(before, local.n_steps, local.n_products)
    left = local.gradient_norm[1] + problem.gradient_norm
    slack = slack_after(problem, local.theta, local.support)
    outcome = ForgetOutcome(
        local.theta,
        "influence",
        "residual-bounded",
        local.status.value,
        local.n_steps,
        local.n_products,
        count_changed(problem, local.theta, local.support),
        (before, left),
        left,
        problem.converged,
        slack,
    )
    return outcome, local.theta, Spent()
