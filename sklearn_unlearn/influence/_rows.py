"""Touched rows solved exactly, and the gradient that this leaves everywhere, without a full pass.

Where each row is a least-squares problem of its own (implicit ALS), a request is answered so:

    support   the rows that lost an interaction; rows that lost all of them are zero
    sweep     solve the users of the support, then its items, each exactly; their Gram matrices
              change by what moved, they are not summed again
    look      the gradient changes in the support, in the neighbours of what moved (through shared
              cells and the Gram matrices), and in all rows beyond them through the Gram matrices
              alone, where its norm is a k x k trace: no row beyond the neighbours is read
    grow      take in the largest neighbours until the rest is within the budget; sweep again
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence._local import largest
from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem
from sklearn_unlearn.influence._row_request import RowRequest
from sklearn_unlearn.influence._slack import slack_after
from sklearn_unlearn.objectives import WeightedObjective
from sklearn_unlearn.objectives._weighted_rows import gradient_of, sweep
from sklearn_unlearn.utils._interactions import sorted_union

__all__ = ["RowsResult", "has_row_problems", "outcome_of", "solve_touched"]

Floats = NDArray[Any]
Ints = NDArray[np.int64]

_MAX_ROUNDS = 8


@dataclass(frozen=True)
class RowsResult:
    """Where solving the touched rows ended.

    Parameters
    ----------
    theta : ndarray
        Whole table, moved in the support and in emptied rows.

    sums : tuple of ndarray
        ``objective.sums(theta)``.

    support : ndarray of int
        Rows that were solved.

    gradient_norm : tuple of float
        Change of the gradient by the request, and what is left of it anywhere.

    n_rows_updated : int
        Rows of the support, and those that were emptied.

    n_sweeps : int
        Sweeps over the support.

    n_products : float
        Their cost, as shares of all interactions.

    tilted : bool
        Whether what was left over from training counts as zero.

    complete : bool
        Whether the goal was met.
    """

    theta: Floats
    sums: tuple[Floats, ...]
    support: Ints
    gradient_norm: tuple[float, float]
    n_rows_updated: int
    n_sweeps: int
    n_products: float
    tilted: bool
    complete: bool


def has_row_problems(problem: ForgetProblem) -> bool:
    """Whether every row is a least-squares problem of its own, given the other side."""
    return isinstance(problem.objective, WeightedObjective) and problem.local


def outcome_of(problem: ForgetProblem, result: RowsResult, method: str) -> ForgetOutcome:
    """Outcome of what was solved, in the touched rows or everywhere."""
    before, left = result.gradient_norm
    status = "solved the rows that the request touches"
    everywhere = len(result.support) == len(result.theta)
    if everywhere:
        status += ", then swept over all"
    elif result.n_sweeps > 1:
        status += " and those that they move most"
    if result.tilted:
        status += "; the gradient that training left counts as zero"
    slack = 0.0
    if result.complete and not everywhere:
        slack = slack_after(problem, result.theta, result.support)
    return ForgetOutcome(
        result.theta,
        method,
        "residual-bounded" if result.complete else "one-step",
        status,
        result.n_sweeps,
        result.n_products,
        result.n_rows_updated,
        (before, left),
        left + problem.gradient_norm if result.tilted else left,
        problem.converged,
        slack,
        result.sums,
    )


def solve_touched(
    problem: ForgetProblem,
    tol: float | None,
    *,
    tilted: bool | None,
    max_cells: float,
    max_rounds: int = _MAX_ROUNDS,
) -> RowsResult:
    """Solve the touched rows, and more of them until the tolerance is met.

    Parameters
    ----------
    problem : ForgetProblem
        With a `WeightedObjective`.

    tol : float or None
        Share of the gradient that may be left; None for `max_rounds` sweeps of the touched rows.

    tilted : bool or None
        Whether the gradient that training left counts as zero. None does so where it is not small
        beside what may be left.

    max_cells : float
        Stop growing when more interactions than this would be walked.

    max_rounds : int
        Sweeps at most.
    """
    objective = problem.objective
    assert isinstance(objective, WeightedObjective)
    request = RowRequest(problem, objective)
    theta, sums = request.start()
    before = left = float(np.linalg.norm(request.removed))
    goal = problem.goal(tol, before)
    if tilted is None:
        tilted = problem.gradient_norm > 0.1 * goal
    if not tilted:
        goal -= problem.gradient_norm
    support = np.setdiff1d(request.touched, request.emptied, assume_unique=True)
    wanted = request.leftover(support) if tilted else None
    products, rounds = 0.0, 0
    while rounds < max_rounds:
        sums = _sweep(request, theta, sums, support, wanted)
        rounds += 1
        products += request.count_incident(support) / max(objective.n_cells, 1)
        if tol is None and rounds < max_rounds:
            continue
        beside, norms, beyond = request.look(theta, sums, support)
        own = _own_norm(request, theta, sums, support, wanted)
        left = float(np.sqrt(own**2 + beyond**2 + np.vdot(norms, norms)))
        if tol is None or left <= goal or not np.isfinite(left) or beyond > 0.5 * goal:
            break
        grown = sorted_union(support, beside[largest(norms, 0.4 * goal)])
        if rounds == max_rounds or request.count_incident(grown) > max_cells:
            break
        wanted = None if wanted is None else request.extend(wanted, support, grown)
        support = grown
    complete = tol is not None and left <= goal
    norm = (before, left if tilted else left + problem.gradient_norm)
    n_rows = len(support) + len(request.emptied)
    return RowsResult(theta, sums, support, norm, n_rows, rounds, products, tilted, complete)


def _sweep(
    request: RowRequest,
    theta: Floats,
    sums: tuple[Floats, ...],
    support: Ints,
    wanted: Floats | None,
) -> tuple[Floats, ...]:
    """Solve the rows of the support, twice where both sides move."""
    users, items = request.sides(support)

    def tilt(rows: Ints) -> Floats:
        assert wanted is not None
        return wanted[np.searchsorted(support, rows)]

    sides = (users, items, users, items) if len(users) and len(items) else (users, items)
    return sweep(request.objective, theta, sums, *sides, tilt=None if wanted is None else tilt)


def _own_norm(
    request: RowRequest,
    theta: Floats,
    sums: tuple[Floats, ...],
    support: Ints,
    wanted: Floats | None,
) -> float:
    """Norm of the gradient in the support, less what it is to end at."""
    users, items = request.sides(support)
    if not (len(users) and len(items)):
        return 0.0  # rows of one side do not feel each other: each was just solved exactly
    own = gradient_of(request.objective, theta, sums, users)
    if wanted is not None:
        own -= wanted[: len(users)]
    return float(np.linalg.norm(own))
