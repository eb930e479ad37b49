"""Slack of the rank after a local request: a lower bound, from the slack before.

A request that changes the residual matrix by less than the slack needs no check (Weyl), as long as
every column that was settled still is one; removing whole rows or columns lowers singular values,
never raises them (Cauchy). See `certificates._rank`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence._problem import ForgetProblem
from sklearn_unlearn.objectives import Layout

__all__ = ["change_bound", "slack_after"]

Floats = NDArray[Any]

# A combination of columns counts as one while it keeps this share of its squared size.
_KEPT = 0.25
# Combinations smaller than this share of the largest, squared, were none before.
_NONE = 1e-8


def slack_after(problem: ForgetProblem, theta: Floats, support: NDArray[np.int64]) -> float:
    """Lower bound of the slack at a point that a local solve has reached; 0 if nothing is known."""
    if problem.objective.certificate() is None:
        return 0.0
    slack = problem.slack
    if np.isfinite(slack):
        slack -= change_bound(problem, theta, support)
    if slack > 0 and _loses_columns(problem.objective.layout, problem.theta, theta):
        return 0.0
    return slack


def _loses_columns(layout: Layout, before: Floats, after: Floats) -> bool:
    """Whether some combination of columns has shrunk, of which Weyl's inequality knows nothing."""
    k, m = layout.n_factors, layout.n_users
    if not k:
        return False
    before, after = (table[m:, :k].astype(np.float64) for table in (before, after))
    squares, combinations = np.linalg.eigh(before.T @ before)
    used = squares > _NONE * squares[-1]
    scaled = after @ (combinations[:, used] / np.sqrt(squares[used]))
    kept = np.linalg.eigvalsh(scaled.T @ scaled)
    return bool(len(kept) and kept[0] < _KEPT)


def change_bound(problem: ForgetProblem, theta: Floats, support: NDArray[np.int64]) -> float:
    """Upper bound of the change of the scaled residual matrix that raises singular values.

    Cells of users or items that lost everything are left out: removing whole rows or columns raises
    no singular value. Where items are compared, a cell is no longer its item's alone: only users
    are. New cells count in full.
    """
    objective, m = problem.objective, problem.before.n_users
    certificate = objective.certificate()
    if certificate is None:
        return np.inf
    users, items = problem.removed_pairs()
    gone = problem.emptied_rows()
    partial = ~np.isin(users, gone)
    if not len(objective.partners_of(users, items)):
        partial &= ~np.isin(items + m, gone)
    values = problem.before.values_at(problem.positions[partial])
    changed = certificate.removed_residual(problem.theta, users[partial], items[partial], values)
    if len(problem.added):
        new = problem.retained.values_at(problem.added)
        changed += certificate.removed_residual(problem.theta, *problem.added_pairs(), new)
    return changed + certificate.residual_change(problem.theta, theta, support)
