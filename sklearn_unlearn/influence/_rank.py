"""Whether the optimum needs a latent column that the model does not use: the way out of a saddle.

Columns that the penalty has emptied have gradient zero, so no Newton step can bring one back, yet
a request can make one worth having. With the used factors deflated, the scaled residual matrix has
norm at most 1 if and only if no column is missing; otherwise its top singular vectors are the
missing columns, and the objective falls along them. Where that matrix is symmetric, so that theta
is certified by its lowest eigenvalue, the lowest eigenvector takes their place.

    slack   1 minus that norm, or 1 plus that eigenvalue; known after a fit and after every check.
    local   a request that changes the residual matrix by less than the slack needs no check (Weyl),
            and removing whole rows or columns lowers singular values, never raises them (Cauchy).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from sklearn_unlearn.influence._newton import NewtonResult, NewtonSettings, newton
from sklearn_unlearn.influence._problem import ForgetProblem
from sklearn_unlearn.objectives import FactorObjective
from sklearn_unlearn.objectives._extremal import lowest_eigenpairs, top_singular

__all__ = ["Completion", "change_bound", "complete_rank", "missing_directions", "widen"]

Floats = NDArray[Any]

# Tolerances and numbers of Lanczos vectors: a missing column needs no exact value.
_ATTEMPTS = ((3e-2, 20), (1e-1, 60))
# A request that asks for more columns than this is better served by a refit.
MAX_COLUMNS = 8
# A direction whose value exceeds 1 by less moves scores by less than tolerances can see.
_EXCESS = 1e-4


def missing_directions(objective: FactorObjective, theta: Floats) -> tuple[float, Floats, Floats]:
    """Return the top singular triplet of the residual matrix, the used factors deflated.

    Returns
    -------
    value : float
        At most 1 if no column is missing; infinite if the residual matrix is not finite.

    left : ndarray, shape (n_users, 1)

    right : ndarray, shape (n_items, 1)
    """
    residual = objective.residual_operator(theta)
    k, m = objective.layout.n_factors, objective.layout.n_users
    scaled = theta[:, :k] * np.sqrt(objective.row_penalties)[:, None]
    if objective.is_symmetric:
        value, vector = _lowest(residual, np.linalg.qr(scaled)[0])
        return value, -vector[:m], vector[m:]
    # At a stationary point the residual matrix maps the used factors of one side to those of the
    # other, so deflating the smaller side deflates both.
    flip = residual.shape[0] > residual.shape[1]
    used = np.linalg.qr(scaled[m:] if flip else scaled[:m])[0]

    def deflate(x: Floats) -> Floats:
        return x - used @ (used.T @ x)

    def forward(x: Floats) -> Floats:
        return residual.matvec(deflate(x)) if flip else deflate(residual.matvec(x))

    def backward(y: Floats) -> Floats:
        return deflate(residual.rmatvec(y)) if flip else residual.rmatvec(deflate(y))

    deflated = LinearOperator(residual.shape, matvec=forward, rmatvec=backward, dtype=float)
    left, values, right, error = top_singular(deflated, 1, *_ATTEMPTS)
    return float(values[0]) if np.isfinite(error) else np.inf, left, right


def _lowest(residual: LinearOperator, used: Floats) -> tuple[float, Floats]:
    """Minus the lowest eigenvalue and its vector, the used factors, an orthonormal basis, left out.

    At a stationary point they are eigenvectors of -1: without them the others stay as they are.
    """

    def deflated(x: Floats) -> Floats:
        x = residual @ (x - used @ (used.T @ x))
        return x - used @ (used.T @ x)

    matrix = LinearOperator(residual.shape, matvec=deflated, matmat=deflated, dtype=float)
    values, vectors, error = lowest_eigenpairs(matrix, 1, *_ATTEMPTS)
    return -float(values[0]) if np.isfinite(error) else np.inf, vectors


def widen(objective: FactorObjective, theta: Floats) -> tuple[float, FactorObjective, Floats]:
    """Add the missing column, if there is one.

    Returns
    -------
    slack : float
        1 minus the norm of the deflated residual matrix; negative if a column was missing.

    objective : FactorObjective
        With a column more in that case, else the same.

    theta : ndarray
        Started along the missing direction, at a lower value; else the same.
    """
    value, left, right = missing_directions(objective, theta)
    if value <= 1 + _EXCESS:
        return max(1 - value, 0.0), objective, theta
    if not np.isfinite(value):
        return 1 - value, objective, theta
    k = objective.layout.n_factors
    wider = objective.with_factors(k + 1)
    biases = None
    if objective.layout.fit_bias:
        biases = np.concatenate(objective.layout.biases(theta))
    best_value, best = objective.value(theta), None
    # The top singular vectors are signed so that the objective falls along (-left, right).
    for scale in 4.0 ** np.arange(-6, 4):
        column = wider.factors_of(-left, np.sqrt([scale * (value - 1)]), right)
        trial = wider.layout.pack(np.hstack([theta[:, :k], column]), biases)
        trial_value = wider.value(trial)
        if trial_value >= best_value:
            break
        best_value, best = trial_value, trial
    if best is None:
        return 1 - value, objective, theta
    return 1 - value, wider, best


@dataclass(frozen=True)
class Completion:
    """Where taking in missing columns ended.

    Parameters
    ----------
    theta : ndarray
        Table, with new columns after the old ones.

    slack : float
        As in `ForgetProblem`.

    results : tuple of NewtonResult
        One a column taken in.

    complete : bool
        False if a column is still missing though places are free.
    """

    theta: Floats
    slack: float
    results: tuple[NewtonResult, ...]
    complete: bool


def complete_rank(
    objective: FactorObjective,
    theta: Floats,
    n_free: int,
    gtol: float,
    settings: NewtonSettings,
) -> Completion:
    """Take in columns that the data ask for, one by one, until none is missing or free."""
    results: list[NewtonResult] = []
    while len(results) < n_free:
        slack, objective, wider = widen(objective, theta)
        if slack >= 0 or wider is theta or len(results) == MAX_COLUMNS:
            return Completion(theta, slack, tuple(results), complete=slack >= 0)
        results.append(newton(objective, wider, gtol, settings))
        theta = results[-1].theta
        if not results[-1].converged:
            return Completion(theta, slack, tuple(results), complete=False)
    return Completion(theta, 0.0, tuple(results), complete=True)


def change_bound(problem: ForgetProblem, theta: Floats, support: NDArray[np.int64]) -> float:
    """Upper bound of the change of the scaled residual matrix that raises singular values.

    Cells of users or items that lost everything are left out: removing whole rows or columns raises
    no singular value. Where items are compared, a cell is no longer its item's alone: only users
    are.
    """
    objective, m = problem.objective, problem.before.n_users
    if not isinstance(objective, FactorObjective):
        return np.inf
    users, items = problem.removed_pairs()
    gone = problem.emptied_rows()
    partial = ~np.isin(users, gone)
    if not len(objective.partners_of(users, items)):
        partial &= ~np.isin(items + m, gone)
    values = problem.before.values[problem.positions[partial]]
    removed = objective.removed_residual(problem.theta, users[partial], items[partial], values)
    return removed + objective.residual_change(problem.theta, theta, support)
