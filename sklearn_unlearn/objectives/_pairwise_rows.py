r"""What positives and negatives share in the Hessian of a user: the cross terms.

The block of a user is ``sum w (Q_i - Q_j)(Q_i - Q_j)'`` over its comparisons. The squares are Gram
matrices of the pattern; with m the sum of w Q_j over its draws a group adds ``-(Q_i m' + m Q_i')``.
Groups are taken in chunks: a table of all of them would be many times the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_unlearn.influence.backends import Array, Pattern
from sklearn_unlearn.objectives._negatives import GroupedPattern

if TYPE_CHECKING:
    from sklearn_unlearn.objectives._pairwise import PairwiseObjective

__all__ = ["user_crosses", "user_diagonal"]

# Groups at once: their rows stay in some tens of megabytes.
_GROUPS_AT_ONCE = 1 << 16


def user_diagonal(objective: PairwiseObjective, theta: Array, curvatures: Array) -> Array:
    """Diagonals of the cross terms, shape (n_users, width)."""
    backend, m = objective.backend, objective.layout.n_users
    out = backend.xp.zeros_like(theta[:m])
    for users, ones, own, drawn in _chunks(objective, theta, curvatures):
        backend.spmm(users, (-2 * ones, own * drawn), out=out)
    return out


def user_crosses(objective: PairwiseObjective, theta: Array, curvatures: Array) -> Array:
    """Cross terms, shape (n_users, width, width)."""
    backend = objective.backend
    total: Any = 0.0
    for users, ones, own, drawn in _chunks(objective, theta, curvatures):
        # Products of two rows as squares of their sum and difference: Gram matrices again.
        total = total - backend.row_grams(users, 0.5 * ones, own + drawn)
        total = total + backend.row_grams(users, 0.5 * ones, own - drawn)
    return total


def _chunks(
    objective: PairwiseObjective, theta: Array, curvatures: Array
) -> Iterator[tuple[Pattern, Array, Array, Array]]:
    """Yield groups by user, a one for each, the row of each group's item, its weighted draws."""
    backend, m = objective.backend, objective.layout.n_users
    xp, Q, pattern = backend.xp, theta[m:], objective.pattern
    bounds = pattern.indptr // pattern.width
    for start in range(0, max(len(pattern.groups), 1), _GROUPS_AT_ONCE):
        groups = np.array(pattern.groups[start : start + _GROUPS_AT_ONCE])
        n = len(groups)
        users = _rows_of(np.clip(bounds - start, 0, n), np.arange(n, dtype=np.int32)[:, None], n)
        every, shape = np.arange(n + 1), (n, objective.layout.n_items)
        ones = xp.ones_like(xp.sum(curvatures[start : start + n], axis=1))
        own = backend.spmm(_rows_of(every, groups[:, :1], shape[1]), (ones, Q))
        weights = curvatures[start : start + n].reshape(-1)
        drawn = _rows_of(every * groups[:, 1:].shape[1], groups[:, 1:], shape[1])
        yield users, ones, own, backend.spmm(drawn, (weights, Q))


def _rows_of(indptr: Any, groups: Any, n_columns: int) -> GroupedPattern:
    return GroupedPattern(indptr, np.ascontiguousarray(groups), (len(indptr) - 1, n_columns))
