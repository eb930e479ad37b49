"""Newton steps on the rows that a pruner keeps, and the residual of the whole table after them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence._newton import NewtonResult, NewtonSettings, newton
from sklearn_unlearn.objectives import Objective

__all__ = ["PrunedResult", "solve_pruned"]

Floats = NDArray[Any]


@dataclass(frozen=True)
class PrunedResult:
    """Where a pruned solve ended.

    Parameters
    ----------
    theta : ndarray
        Whole table, moved in the rows that were kept.

    result : NewtonResult
        Of the restricted problem.

    gradient_norm : tuple of float
        Of the whole table, before and after.

    share : float
        Share of the interactions that a product walked.
    """

    theta: Floats
    result: NewtonResult
    gradient_norm: tuple[float, float]
    share: float


def solve_pruned(
    objective: Objective,
    theta: Floats,
    rows: NDArray[np.int64],
    goal: Callable[[float], float],
    settings: NewtonSettings,
    emptied_norm: float,
    tilt: Floats | None,
) -> PrunedResult:
    """Minimise over some rows, to half the tolerance: the rest is for the rows left out."""
    restricted, table_rows = objective.restrict(rows, theta)
    kept = np.isin(table_rows, rows)
    own = None if tilt is None else np.where(kept[:, None], tilt[table_rows], 0.0)

    def norm(table: Floats) -> float:
        gradient = objective.gradient(table)
        return float(np.linalg.norm(gradient if tilt is None else gradient - tilt))

    before = float(np.hypot(norm(theta), emptied_norm))
    result = newton(restricted, theta[table_rows], 0.5 * goal(before), settings, tilt=own)
    moved = theta.copy()
    # Their neighbours are in the table of the restriction too, and rounding may touch them.
    moved[table_rows[kept]] = result.theta[kept]
    share = restricted.n_cells / max(objective.n_cells, 1)
    return PrunedResult(moved, result, (before, norm(moved)), share)
