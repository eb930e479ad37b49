"""Rows that a restricted weighted objective leaves out: they come in by their Gram matrices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import gram_change
from sklearn_unlearn.objectives._cells import restrict_pattern

__all__ = ["drift_outside", "restricted"]

Floats = NDArray[Any]


def restricted(
    objective: Any, rows: NDArray[Any], theta: Floats, sums: tuple[Floats, ...] = ()
) -> tuple[Any, NDArray[Any]]:
    """Weighted objective of some free rows, and what rows its table has; see its `restrict`."""
    part, m = restrict_pattern(objective.pattern, objective.layout, rows), objective.layout.n_users
    g, users = objective.user_weights, part.table_rows[part.table_rows < m]
    own = replace(
        objective,
        pattern=part.pattern,
        values=objective.values[part.cells],
        layout=part.layout,
        ridge=objective.ridge.for_rows(part.table_rows),
        user_weights=None if g is None else g[users],
        outside=None,
        frozen_rows=part.frozen_rows,
        squares=None,
    )
    if len(part.table_rows) == objective.layout.shape[0]:
        return replace(own, outside=objective.outside), part.table_rows
    whole, inside = sums or objective.sums(theta), own.sums(theta[part.table_rows])
    largest = objective.outside_weight
    if g is not None:
        beside = np.delete(g, users).max(initial=0.0)
        largest = float(beside if objective.outside is None else max(beside, largest))
    outside = whole[0] - inside[0], whole[1] - inside[1]
    return replace(own, outside=outside, outside_weight=largest), part.table_rows


def drift_outside(objective: Any, before: Floats, after: Floats) -> float:
    """Norm of the gradient's change in the rows left out; an upper bound with user weights."""
    if objective.outside is None:
        return 0.0
    m, (out_users, out_items) = objective.layout.n_users, objective.outside
    users = gram_change(before[:m], after[:m], objective.user_weights)
    items = gram_change(before[m:], after[m:])
    square = objective.outside_weight * np.vdot(items, out_users @ items)
    square += np.vdot(users, out_items @ users)
    return float(np.sqrt(max(square, 0.0)))
