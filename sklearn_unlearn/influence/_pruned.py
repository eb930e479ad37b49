"""Newton steps on the rows that a pruner keeps, and the residual of the whole table after them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from sklearn_unlearn.influence._problem import ForgetProblem
from sklearn_unlearn.influence._progress import Progress
from sklearn_unlearn.influence._stages import Rules
from sklearn_unlearn.solvers import newton

__all__ = ["kept_rows", "solve_pruned"]


def kept_rows(pruner: Any, problem: ForgetProblem) -> NDArray[np.int64]:
    """Rows that a pruner lets move."""
    data, pairs = problem.before, problem.changed_pairs()
    users, items = problem.added_pairs()
    new = ~data.contains(users, items)
    data = data.insert(users[new], items[new], np.ones(np.count_nonzero(new)))
    fitted = clone(pruner).fit(data.to_csr(), forget=pairs)
    kept = np.concatenate([fitted.user_support_, fitted.item_support_])
    return np.setdiff1d(np.flatnonzero(kept), problem.emptied_rows())


def solve_pruned(problem: ForgetProblem, progress: Progress, rules: Rules, pruner: Any) -> Progress:
    """Minimise over some rows, to half the tolerance: the rest is for the rows left out."""
    objective, theta, rows = progress.objective, progress.theta, kept_rows(pruner, problem)
    # Rows that hold nothing are zero: free, they stay so, and a table without a fixed row keeps its
    # gauge.
    whole = np.union1d(rows, problem.empty_rows())
    rows = whole if len(whole) == len(theta) else rows
    restricted, table_rows = objective.restrict(rows, theta)
    kept = np.isin(table_rows, rows)
    first = progress.at_start(objective.gradient_norm(theta))
    goal = problem.goal(rules.tol, first)
    result = newton(restricted, theta[table_rows], 0.5 * goal, rules.afford(progress))
    moved = theta.copy()
    # Their neighbours are in the table of the restriction too, and rounding may touch them.
    moved[table_rows[kept]] = result.theta[kept]
    left = objective.gradient_norm(moved)
    met = rules.tol is not None and left <= goal
    return progress.solved(
        result,
        share=restricted.n_cells / max(objective.n_cells, 1),
        theta=moved,
        first=first,
        left=left,
        met=met,
        done=met or rules.tol is None,
        at_saddle=False,
    )
