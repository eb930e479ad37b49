"""Error-controlled growth of a support: Newton steps on the rows that the residual singles out.

    support   the rows that lost an interaction
    solve     Newton on the objective restricted to the support: only incident cells are walked
    look      how the gradient changed in the rows beside the support, from the same cells
    grow      take in the largest of those until the rest is within the budget; solve again

No step reads a cell that no moved row is part of, so the cost follows the request and not the data.
The residual is complete all the same: the gradient of a row changes only if the row or one of its
neighbours moves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence._problem import ForgetProblem
from sklearn_unlearn.influence._progress import Progress
from sklearn_unlearn.influence._slack import slack_after
from sklearn_unlearn.influence._stages import Rules
from sklearn_unlearn.objectives import Objective
from sklearn_unlearn.solvers import NewtonResult, Status, newton
from sklearn_unlearn.utils._interactions import sorted_union

__all__ = ["largest", "solve_locally"]

Floats = NDArray[Any]

_MAX_ROUNDS = 12


def solve_locally(problem: ForgetProblem, progress: Progress, rules: Rules) -> Progress:
    """Minimise on a support that grows from the touched rows.

    The gradient outside the support counts as zero at the start. Where the whole table turns out to
    be the better way, the state is a better start.
    """
    if progress.is_tilted or not problem.local or rules.tol is None:
        return progress
    objective, data = progress.objective, problem.retained
    support = np.setdiff1d(problem.touched_rows(), problem.emptied_rows())
    start, theta = progress.theta, progress.theta.copy()
    first, left, goal = np.nan, np.nan, 0.0
    for _ in range(_MAX_ROUNDS):
        if objective.count_incident(data, support) > rules.max_share * objective.n_cells:
            break
        restricted, rows = objective.restrict(support, theta)
        if np.isnan(first):
            first = left = restricted.gradient_norm(theta[rows])
            goal = _goal(problem, rules, progress.at_start(first))
            if goal <= 0:
                break
        # A support that will grow is not worth an accurate solve.
        share = restricted.n_cells / max(objective.n_cells, 1)
        afford = rules.afford(progress)
        settings = replace(afford, max_products=afford.max_products / max(share, 1e-9))
        result = newton(restricted, theta[rows], max(0.5 * goal, 0.1 * left), settings)
        progress = progress.solved(result, share=share, theta=theta, first=0.0, met=False)
        beside = np.ones(len(rows), bool)
        beside[np.searchsorted(rows, support)] = False
        theta[rows[~beside]] = result.theta[~beside]  # rounding may touch the others
        norms, left = _changes_beside(restricted, start[rows], theta[rows], beside, result)
        if left <= goal or not (result.converged and np.isfinite(left)):
            break
        support = sorted_union(support, rows[beside][largest(norms, 0.4 * goal)])
    if np.isnan(first):
        return progress
    progress = replace(progress, theta=theta, first=progress.at_start(first))
    # Where training left as much as may be left, nothing has been shown.
    if not left <= goal or goal <= 0 < problem.gradient_norm:
        return progress
    return replace(
        progress,
        left=left + problem.gradient_norm,
        status=progress.status or Status.CONVERGED.value,
        support=support,
        slack=slack_after(problem, theta, support),
        met=True,
        done=True,
    )


def _goal(problem: ForgetProblem, rules: Rules, first: float) -> float:
    """Norm of the gradient to reach beside what training left; 0 if that is as much."""
    # The gradient before the request is not evaluated: the bound of its norm counts in full.
    goal = problem.goal(rules.tol, first) - problem.gradient_norm
    return goal if goal > problem.gradient_norm else 0.0


def _changes_beside(
    restricted: Objective,
    before: Floats,
    after: Floats,
    beside: NDArray[np.bool_],
    result: NewtonResult,
) -> tuple[Floats, float]:
    """Change of the gradient of each row beside the support, and norm of what is left in all."""
    # Frozen rows see the support move through the cells that they share with it.
    whole = restricted.thaw()
    change = whole.gradient(after) - whole.gradient(before)
    norms = np.linalg.norm(change[beside], axis=1)
    left = float(np.hypot(np.linalg.norm(norms), result.gradient_norm[1]))
    return norms, float(np.hypot(left, whole.drift(before, after)))


def largest(norms: Floats, budget: float) -> NDArray[np.int64]:
    """Fewest entries without which the norm of the rest is within a budget."""
    order = np.argsort(norms)
    rest = np.sqrt(np.cumsum(norms[order] ** 2))
    return order[np.searchsorted(rest, budget, side="right") :]
