r"""Fit of a factor model whose penalty chooses the number of its columns.

Conventions
-----------
The objective is convex in the scores, so a stationary point lacks columns if and only if singular
values of its residual matrix exceed 1 (or, where it is symmetric, eigenvalues lie below -1): see
`certificates._rank`. Columns are added along their vectors, a block at a time, each from where the
last one ended, as in the path algorithm of Dudik, Harchaoui and Malick, "Lifted coordinate descent
for learning with trace-norm regularization", AISTATS 2012. While blocks are added, little is
solved: some sweeps where rows are least-squares problems, some Newton steps elsewhere. Then
Newton's method ends the fit, and blocks that it still lacks are taken in by the same rule.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sklearn_unlearn.backends import to_numpy
from sklearn_unlearn.certificates._rank import EXCESS, complete_rank, lowest_along
from sklearn_unlearn.objectives import FactorObjective
from sklearn_unlearn.objectives.weighted._rows import ROW_STEPS, sweep
from sklearn_unlearn.optimizers._fit import OnStep
from sklearn_unlearn.optimizers._start import without_factors
from sklearn_unlearn.solvers._extremal import Attempt, lowest_eigenpairs, top_singular
from sklearn_unlearn.solvers._linear import Status
from sklearn_unlearn.solvers._newton import NewtonResult, NewtonSettings, newton
from sklearn_unlearn.utils._random import hashed_normal

__all__ = ["minimize_growing"]

Floats = NDArray[Any]

# Columns of a block at most; by how much a value exceeds 1 that is worth a column before Newton's
# method, and in units of the tolerance after it.
_BLOCK, _ROUGH_EXCESS, _FINE_EXCESS = 32, 0.02, 3.0
# Lanczos for a block: its vectors are a start, and need few digits.
_LANCZOS: tuple[Attempt, ...] = ((1e-2, None), (1e-1, None))
# Sweeps, or Newton steps and products of each, between two blocks.
_SWEEPS, _STEPS, _PRODUCTS = 6, 3, 15
# Passes over the interactions of a sweep.
_SWEEP = 3.0
# Gradient of the biases alone, and of Newton's method between two blocks, as a share of the first.
_BIASES, _BETWEEN = 1e-3, 0.05
# Share of the largest column below which one is left out: between two blocks, and at the end, where
# it does not count in the rank either.
_EMPTY, _UNUSED = 1e-3, 1e-4
# Share of noise: a block that data make symmetric would keep that symmetry.
_NOISE = 0.02


def minimize_growing(
    objective: FactorObjective,
    *,
    seed: int,
    tol: float,
    max_iter: int,
    max_factors: int,
    n_sweeps: int = 0,
    dtype: DTypeLike = np.float64,
    rows: NDArray[np.int64] | None = None,
    on_step: OnStep | None = None,
) -> NewtonResult:
    """Minimise an objective over tables of as many columns as its minimum needs.

    Parameters
    ----------
    objective : FactorObjective
        J, of any number of columns.

    seed : int
        Seed of a little noise; row r and factor f get the same number whatever the data.

    tol : float
        The gradient norm to reach, as a share of `objective.gradient_scale`.

    max_iter : int
        Newton steps at most, once no more blocks are added roughly.

    max_factors : int
        Columns at most.

    n_sweeps : int, default=0
        Sweeps before Newton's method, where the rows are least-squares problems.

    dtype : dtype, default=float64
        Of the sweeps.

    rows : ndarray of int64, shape (n_users + n_items,), or None, default=None
        Row of each row of theta in the table that this is a part of; None is its own.

    on_step : callable, default=None
        Called as ``on_step(step, value, gradient_norm, n_products)``.

    Returns
    -------
    result : NewtonResult
        Its table has the columns that were needed, at least one.
    """
    rows = np.arange(objective.layout.shape[0]) if rows is None else rows
    base, theta = without_factors(objective, _BIASES)
    point, passes = (base, theta), 0.0
    while True:
        wider = _with_block(*point, _ROUGH_EXCESS, max_factors, seed, rows)
        if wider is None:
            break
        point, spent = _polished(*wider, _SWEEPS, dtype)
        point, passes = _pruned(*point), passes + spent
    if not point[0].layout.n_factors:
        point = _with_column(*point)
    point, spent = _polished(*point, n_sweeps, dtype) if n_sweeps else (point, 0.0)
    result = _finished(*_pruned(*point), tol, max_iter, max_factors, (seed, rows), on_step)
    return replace(result, n_passes=result.n_passes + passes + spent)


def _finished(
    objective: FactorObjective,
    theta: Floats,
    tol: float,
    max_iter: int,
    max_factors: int,
    noise: tuple[int, NDArray[np.int64]],
    on_step: OnStep | None,
) -> NewtonResult:
    """Newton's method, and blocks that its end lacks, until it lacks none."""
    gtol = tol * objective.gradient_scale
    excess = max(_FINE_EXCESS * tol, EXCESS)
    settings = NewtonSettings(max_steps=max_iter, max_iter=500, forcing=0.5, aim=0.3)
    total = NewtonResult(theta, np.nan, (np.nan, np.nan), 0, 0, Status.CONVERGED, False)
    while True:
        left = replace(settings, max_steps=max_iter - total.n_steps)
        result = newton(objective, theta, gtol, left, on_step=on_step)
        total, wider = _joined(total, result), None
        if result.converged:
            slim = _pruned(objective, result.theta, _UNUSED)
            if slim[0].layout.n_factors < objective.layout.n_factors:
                objective = slim[0]
                left = replace(settings, max_steps=max(max_iter - total.n_steps, 1))
                result = newton(*slim, gtol, left, on_step=on_step)
                total = _joined(total, result)
            wider = _with_block(objective, result.theta, excess, max_factors, *noise)
        if wider is None:
            break
        if total.n_steps >= max_iter:
            return replace(total, converged=False, saddle=True)
        objective, theta = wider
    if not total.converged:
        return total
    left = replace(settings, max_steps=max(max_iter, total.n_steps))
    free = max_factors - objective.layout.n_factors
    return complete_rank(objective, total, free, gtol, left, _BLOCK, on_step, excess)


def _joined(before: NewtonResult, after: NewtonResult) -> NewtonResult:
    """Count the work of two solves, one after the other."""
    return replace(
        after,
        n_steps=before.n_steps + after.n_steps,
        n_products=before.n_products + after.n_products,
        n_passes=before.n_passes + after.n_passes,
    )


def _with_block(
    objective: FactorObjective,
    theta: Floats,
    excess: float,
    max_factors: int,
    seed: int,
    rows: NDArray[np.int64],
) -> tuple[FactorObjective, Floats] | None:
    """Add the columns that a point lacks most; None where it lacks none, or none is allowed."""
    layout = objective.layout
    k, m = layout.n_factors, layout.n_users
    n = min(_BLOCK, max_factors - k, min(m, layout.n_items))
    if n < 1:
        return None
    certificate = objective.certificate()
    residual = certificate.residual_operator(theta)
    if certificate.is_symmetric:
        values, vectors, _ = lowest_eigenpairs(residual, n, *_LANCZOS)
        left, values, right = -vectors[:m], -values, vectors[m:]
    else:
        left, values, right, _ = top_singular(residual, n, *_LANCZOS)
    asked = values > 1 + excess
    if not asked.any():
        return None
    sizes = np.sqrt(values[asked] - 1)
    block = certificate.factors_of(-left[:, asked], sizes, right[:, asked])
    columns = k + np.arange(block.shape[1])
    noise = hashed_normal(seed, rows[:, None], columns)
    block = block + _NOISE * np.sqrt(np.mean(block**2)) * noise
    wider = objective.with_factors(k + block.shape[1])
    table = np.insert(theta, [k] * block.shape[1], 0.0, axis=1)

    def trial(length: float) -> Floats:
        out = table.copy()
        out[:, columns] = np.sqrt(length) * block
        return out

    best = lowest_along(wider, objective.value(theta), trial)
    return None if best is None else (wider, best)


def _with_column(objective: FactorObjective, theta: Floats) -> tuple[FactorObjective, Floats]:
    """Add an empty column."""
    k = objective.layout.n_factors
    return objective.with_factors(k + 1), np.insert(theta, k, 0.0, axis=1)


def _pruned(
    objective: FactorObjective, theta: Floats, empty: float = _EMPTY
) -> tuple[FactorObjective, Floats]:
    """Turn the columns until they are orthogonal, and leave out those that are next to nothing."""
    k = objective.layout.n_factors
    sizes, combinations = np.linalg.eigh(theta[:, :k].T @ theta[:, :k])
    kept = sizes > empty**2 * sizes.max(initial=0.0)
    kept[-1:] = True
    Z = theta[:, :k] @ combinations[:, kept]
    return objective.with_factors(Z.shape[1]), np.hstack([Z, theta[:, k:]])


def _polished(
    objective: Any, theta: Floats, n_sweeps: int, dtype: DTypeLike
) -> tuple[tuple[Any, Floats], float]:
    """Bring a point nearer to a minimum, cheaply; return it and the passes that it took."""
    if objective.has_exact_rows:
        m, table = objective.layout.n_users, objective.backend.asarray(theta.astype(dtype))
        sums, sides = objective.sums(table), (np.arange(m), np.arange(m, len(theta)))
        for _ in range(n_sweeps):
            sums = sweep(objective, table, sums, *sides, n_steps=ROW_STEPS)
        return (objective, to_numpy(table).astype(np.float64)), _SWEEP * n_sweeps
    settings = NewtonSettings(max_steps=_STEPS, max_iter=_PRODUCTS, forcing=0.5)
    result = newton(objective, theta, lambda norm: _BETWEEN * norm, settings)
    return (objective, result.theta), result.n_passes
