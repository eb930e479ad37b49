r"""Latent columns that a point lacks at a saddle, and the descent that takes them in.

Conventions
-----------
Let P and Q be the factors, and R the residual matrix, in the scaling of ``residual_operator``. A
point is stationary in its factors if and only if ``R Q = -P`` and ``R' P = -Q``. Turn the columns
so that they are orthogonal. Column j is *settled* if it is not next to nothing, and its share of
the gradient is small beside it,

.. math:: |e_j| \le \eta\, |z_j|, \quad e = (RQ + P, R'P + Q), \quad z = (P, Q).

A settled column is close to a pair of singular vectors of R of value 1. All others (those that the
penalty has emptied, and small ones that still shrink or grow) say nothing of R, whatever their
gradient: it is small because they are. With r settled columns deflated, the norm of what is left
of R bounds its singular value r + 1, whatever was deflated. A stationary point is a minimum if that
norm is at most 1; otherwise the objective falls along the top singular vectors.

Where R is symmetric, so that theta is certified by its lowest eigenvalue, minus that eigenvalue
takes the place of the norm, and its vector that of the pair.

    slack   1 minus the norm, the error of its computation taken off; 0 if nothing is known;
            infinite where all columns are settled and none is free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from sklearn_unlearn.certificates._base import Certifiable
from sklearn_unlearn.solvers._extremal import Attempt, lowest_eigenpairs, top_singular
from sklearn_unlearn.solvers._newton import NewtonResult, NewtonSettings, newton
from sklearn_unlearn.utils._verbs import cached_property

__all__ = [
    "EXCESS",
    "Missing",
    "OnStep",
    "complete_rank",
    "missing_direction",
    "slack_of",
    "widen",
]

Floats = NDArray[Any]
OnStep = Callable[[int, float, float, int], None]

# Tolerances and numbers of Lanczos vectors: no exact value is needed unless it is close to 1.
_ROUGH, _FINE = ((3e-2, 20), (1e-1, 60)), ((1e-4, 40), (1e-3, 60), (1e-1, 60))
# Gradient of a column beside the column, in units of the penalty, up to which it is settled.
_SETTLED = 1e-2
# Share of the largest column below which a column may still be growing, slowly as it is small:
# there it is settled where its value exceeds 1 by no more than what counts as missing.
_SMALL = 1e-2
# Share of the largest column below which a column is as good as empty: in the rank of a certificate
# it does not count either.
_EMPTY = 1e-4
# A direction whose value exceeds 1 by less moves scores by less than tolerances can see.
EXCESS = 1e-4
# Lengths of a step along singular vectors, in the order in which they are tried. The best one falls
# with the square of the penalty, as the curvature of the losses grows in the scaling of R.
_LONGER, _SHORTER = 4.0 ** np.arange(-1, 4), 4.0 ** np.arange(-2, -17, -1)
# What looks missing may be what a loose solve left of a used column: each round solves it finer.
_SHARPEN, _SHARPEST = 0.1, 1e-3


@dataclass(frozen=True)
class Missing:
    """The direction in which a point is closest to lacking a column.

    Parameters
    ----------
    value : float
        Lower bound of the norm of what is left of R: the objective falls along the direction if it
        exceeds 1.

    error : float
        Residual of the singular vectors: the norm is at most the value plus that.

    left : ndarray, shape (n_users, 1)
        Singular vector of the users.

    right : ndarray, shape (n_items, 1)
        Signed so that the objective falls along ``(-left, right)``.

    weakest : ndarray, shape (n_factors,), or None
        Combination of latent columns that is the smallest of those that are not settled.
    """

    value: float
    error: float
    left: Floats
    right: Floats
    weakest: Floats | None

    @property
    def is_clear(self) -> bool:
        """Whether the error leaves no doubt of which side of 1 the norm is on."""
        return self.value > 1 + EXCESS or self.value + self.error <= 1

    @property
    def slack(self) -> float:
        """1 minus the norm, at least: negative only if a column is missing, or nothing is known."""
        if not np.isfinite(self.error):
            return -np.inf
        if self.value > 1 + EXCESS:
            return 1 - self.value
        return max(1 - self.value - self.error, 0.0)


def missing_direction(objective: Certifiable, theta: Floats, n_free: int = 0) -> Missing | None:
    """Look for a column that is missing.

    Parameters
    ----------
    objective : Certifiable
        J.

    theta : ndarray
        The point.

    n_free : int, default=0
        Columns that may be added.

    Returns
    -------
    missing : Missing or None
        None where every column of theta is settled and none may be added.
    """
    m = objective.layout.n_users
    theta = theta.astype(np.float64, copy=False)
    Z, combinations, settled = _settled_columns(objective, theta)
    if settled.all() and not n_free:
        return None
    weakest = None if settled.all() else combinations[:, ~settled][:, 0]
    certificate = objective.certificate()
    residual = certificate.residual_operator(theta)
    used = Z @ combinations[:, settled]
    missing = None
    for attempts in (_ROUGH, _FINE):
        if certificate.is_symmetric:
            value, error, vector = _lowest(residual, np.linalg.qr(used)[0], attempts)
            missing = Missing(value, error, -vector[:m], vector[m:], weakest)
        else:
            missing = Missing(*_largest(residual, used[:m], used[m:], attempts), weakest)
        if missing.is_clear:
            break
    return missing


def slack_of(objective: Certifiable, theta: Floats) -> float:
    """Slack of a stationary point whose table holds every column there may be."""
    missing = missing_direction(objective, theta)
    return np.inf if missing is None else missing.slack


def _settled_columns(
    objective: Certifiable, theta: Floats
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Scaled factors; their orthogonal combinations, the smallest first; which are settled."""
    k = objective.layout.n_factors
    roots = np.sqrt(objective.row_penalties)[:, None]
    Z, E = theta[:, :k] * roots, objective.gradient(theta)[:, :k] / roots
    combinations = np.linalg.eigh(Z.T @ Z)[1] if k else np.zeros((0, 0))
    sizes = np.linalg.norm(Z @ combinations, axis=0)
    errors = np.linalg.norm(E @ combinations, axis=0)
    largest = sizes.max(initial=0.0)
    limits = np.where(sizes > _SMALL * largest, _SETTLED, EXCESS)
    return Z, combinations, (sizes > _EMPTY * largest) & (errors <= limits * sizes)


def _largest(
    residual: LinearOperator, users: Floats, items: Floats, attempts: tuple[Attempt, ...]
) -> tuple[float, float, Floats, Floats]:
    """Top singular triplet, some columns deflated, and the residual of its vectors.

    R maps settled columns of one side to those of the other, so deflating the smaller side deflates
    both.
    """
    flip = residual.shape[0] > residual.shape[1]
    used = np.linalg.qr(items if flip else users)[0]

    transposed = residual.T

    def deflate(x: Floats) -> Floats:
        return x - used @ (used.T @ x)

    def forward(x: Floats) -> Floats:
        return residual @ deflate(x) if flip else deflate(residual @ x)

    def backward(y: Floats) -> Floats:
        return deflate(transposed @ y) if flip else transposed @ deflate(y)

    deflated = LinearOperator(
        residual.shape,
        matvec=forward,
        matmat=forward,
        rmatvec=backward,
        rmatmat=backward,
        dtype=np.float64,
    )
    left, values, right, error = top_singular(deflated, 1, *attempts)
    return float(values[0]), error, left, right


def _lowest(
    residual: LinearOperator, used: Floats, attempts: tuple[Attempt, ...]
) -> tuple[float, float, Floats]:
    """Minus the lowest eigenvalue, its residual and its vector, some columns deflated."""

    def deflated(x: Floats) -> Floats:
        x = residual @ (x - used @ (used.T @ x))
        return x - used @ (used.T @ x)

    matrix = LinearOperator(residual.shape, matvec=deflated, matmat=deflated, dtype=np.float64)
    values, vectors, error = lowest_eigenpairs(matrix, 1, *attempts)
    return -float(values[0]), error, vectors


def widen(
    objective: Certifiable,
    theta: Floats,
    missing: Missing,
    n_free: int = 0,
) -> tuple[Certifiable, Floats] | None:
    """Start a missing column, at a lower value.

    It takes the place of the smallest column that is not settled, for that one is next to nothing
    or still has to grow; or else that of a new one.

    Parameters
    ----------
    objective, theta, n_free
        As for `missing_direction`.

    missing : Missing
        With a value above 1.

    Returns
    -------
    found : tuple of an objective and its table, or None
        The objective has a column more, if a new one was started; None where no start lowers the
        value.
    """
    if not np.isfinite(missing.error):
        return None
    lowest = objective.value(theta)
    for wider, table, place in _places(objective, theta, missing, n_free):
        trial = _Trial(wider, table, place, missing)
        best = lowest_along(wider, lowest, trial)
        if best is not None:
            return wider, best
    return None


@dataclass(frozen=True)
class _Trial:
    """Tables with a missing column added to a combination of columns."""

    objective: Certifiable
    table: Floats
    place: Floats
    missing: Missing

    @cached_property
    def column(self) -> Floats:
        """Column of length 1, of the sign along which the gradient falls."""
        k, missing = len(self.place), self.missing
        size = np.sqrt([missing.value - 1])
        column = self.objective.certificate().factors_of(-missing.left, size, missing.right)
        slope = self.objective.gradient(self.table)[:, :k] @ self.place @ column
        return -column if slope > 0 else column

    def __call__(self, length: float) -> Floats:
        trial = self.table.copy()
        trial[:, : len(self.place)] += np.sqrt(length) * self.column * self.place
        return trial


def lowest_along(
    objective: Certifiable, lowest: float, trial: Callable[[float], Floats]
) -> Floats | None:
    """Choose the length of a step: longer, or else shorter, while that lowers the objective.

    Parameters
    ----------
    objective : Certifiable
        J.

    lowest : float
        Value that a step has to fall below.

    trial : callable
        Point of a length.

    Returns
    -------
    theta : ndarray or None
        None where no length leads below `lowest`.
    """
    best = None
    for lengths in (_LONGER, _SHORTER):
        for length in lengths:
            theta = trial(float(length))
            value = objective.value(theta)
            if value < lowest:
                lowest, best = value, theta
            elif best is not None:
                return best
            elif lengths is _LONGER:
                break
    return best


def _places(
    objective: Certifiable, theta: Floats, missing: Missing, n_free: int
) -> Iterator[tuple[Certifiable, Floats, Floats]]:
    """Objectives, tables and combinations of columns that a missing one may be added to."""
    k = objective.layout.n_factors
    if missing.weakest is not None:
        yield objective, theta, missing.weakest
    if n_free:
        table = np.insert(theta, k, 0.0, axis=1)
        yield objective.with_factors(k + 1), table, np.eye(k + 1)[k]


def complete_rank(
    objective: Certifiable,
    start: NewtonResult,
    n_free: int,
    gtol: float,
    settings: NewtonSettings,
    max_columns: int,
    on_step: OnStep | None = None,
    excess: float = EXCESS,
) -> NewtonResult:
    """Take in columns that the data ask for, one by one, until none is missing or free.

    Parameters
    ----------
    objective : FactorObjective
        J.

    start : NewtonResult
        A point where the gradient is small.

    n_free : int
        Columns that may be added to those of the start.

    gtol : float
        Gradient norm to reach after each.

    settings : NewtonSettings
        How to iterate; `max_steps` is that of the start and all columns together.

    max_columns : int
        Give up at one more.

    on_step : callable, default=None
        Called as ``on_step(step, value, gradient_norm, n_products)``, both counts those of all.

    excess : float, default=1e-4
        By how much the norm may exceed 1. At a point of small gradient, the duality gap is about
        that share of the objective.

    Returns
    -------
    result : NewtonResult
        With new columns after the old ones and all steps counted; the start itself, its slack
        beside, where nothing is missing. Not converged where a column is missing though there is a
        place for it.
    """
    result, goal, n_taken = start, gtol, 0
    while True:
        missing = missing_direction(objective, result.theta, n_free)
        if missing is None:
            return replace(result, slack=np.inf)
        is_missing = missing.slack < 0 and not missing.value <= 1 + excess
        result = replace(result, slack=missing.slack)
        left = settings.max_steps - result.n_steps
        found = None
        if is_missing and n_taken < max_columns and left > 0:
            found = widen(objective, result.theta, missing, n_free)
            if found is None and missing.weakest is not None and goal > _SHARPEST * gtol:
                found = objective, result.theta  # a used column that is not settled: solve finer
                goal *= _SHARPEN
        if found is None:
            return replace(result, converged=not is_missing, saddle=is_missing)
        n_free -= found[0].layout.n_factors - objective.layout.n_factors
        objective, table = found
        told = None if on_step is None else _after(result, on_step)
        spent = result.n_passes - start.n_passes
        limited = replace(settings, max_steps=left, max_products=settings.max_products - spent)
        result = _joined(result, newton(objective, table, goal, limited, on_step=told))
        n_taken += 1
        if not result.gradient_norm[1] <= gtol:
            return replace(result, converged=False)
        goal = max(_SHARPEN * goal, _SHARPEST * gtol)


def _joined(before: NewtonResult, after: NewtonResult) -> NewtonResult:
    """Join the results of two solves, one after the other."""
    return replace(
        after,
        gradient_norm=(before.gradient_norm[0], after.gradient_norm[1]),
        n_steps=before.n_steps + after.n_steps,
        n_products=before.n_products + after.n_products,
        n_passes=before.n_passes + after.n_passes,
        slack=before.slack,
    )


def _after(before: NewtonResult, on_step: OnStep) -> OnStep:
    """Count the steps and products of an earlier result too."""
    steps, products = before.n_steps, before.n_products
    return lambda n, value, norm, m: on_step(steps + n, value, norm, products + m)
