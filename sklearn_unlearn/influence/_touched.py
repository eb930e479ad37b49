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

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence._local import largest
from sklearn_unlearn.influence._problem import ForgetProblem
from sklearn_unlearn.influence._progress import Progress
from sklearn_unlearn.influence._slack import slack_after
from sklearn_unlearn.influence._stages import Rules
from sklearn_unlearn.objectives._base import ExactRowSolver
from sklearn_unlearn.utils._interactions import sorted_union

__all__ = ["say_what_is_left", "solve_touched", "touched_rows"]

Floats = NDArray[Any]
Ints = NDArray[np.int64]

_MAX_ROUNDS = 8
# Passes that a sweep over some rows takes, and the changes of the gradient after it.
_PASSES = 2


def touched_rows(problem: ForgetProblem, progress: Progress, rules: Rules) -> Progress:
    """Solve the touched rows, and more of them until the tolerance is met."""
    # Of a converged model, what is left counts as zero only where that keeps the request local.
    free = rules.correct_residual == "auto" and problem.converged
    tilted = None if free else rules.keeps_leftover(problem)
    max_cells = rules.max_share * problem.objective.n_cells
    return solve_touched(
        problem, progress, rules.tol, tilted=tilted, max_cells=max_cells, max_passes=rules.budget
    )


def solve_touched(
    problem: ForgetProblem,
    progress: Progress,
    tol: float | None,
    *,
    tilted: bool | None,
    max_cells: float,
    max_rounds: int = _MAX_ROUNDS,
    max_passes: float = np.inf,
) -> Progress:
    """Sweep over the touched rows, and those that they move most.

    Parameters
    ----------
    problem : ForgetProblem
        With rows that are solved exactly.

    progress : Progress
        At the start.

    tol : float or None
        Share of the gradient that may be left; None for `max_rounds` sweeps of the touched rows.

    tilted : bool or None
        Whether the gradient that training left counts as zero. None does so where it is not small
        beside what may be left.

    max_cells : float
        Stop growing when more interactions than this would be walked.

    max_rounds : int
        Sweeps at most.

    max_passes : float, default=inf
        Begin no further sweep that would take the passes over the interactions beyond this.
    """
    objective: Any = problem.objective
    solver: ExactRowSolver = objective.row_solver()
    request = solver.changes(problem)
    theta, sums = request.start()
    before = left = request.first_norm(theta, sums)
    # Columns may be missing only where training had ended: elsewhere nobody asks for the slack.
    ended = not tilted
    goal, tilted = _goal(problem, tol, before, tilted)
    support = np.setdiff1d(request.touched, request.emptied, assume_unique=True)
    wanted = request.leftover(support) if tilted else None
    products, rounds = 0.0, 0
    while rounds < max_rounds:
        sums = _sweep(request, solver, theta, sums, support, wanted)
        rounds += 1
        products += request.count_incident(support) / max(objective.n_cells, 1)
        if tol is None and rounds < max_rounds:
            continue
        beside, norms, left, beyond = request.residual(theta, sums, support, wanted)
        if tol is None or left <= goal or not np.isfinite(left) or beyond > 0.5 * goal:
            break
        grown = sorted_union(support, beside[largest(norms, 0.4 * goal)])
        cells = request.count_incident(grown)
        next_products = products + cells / max(objective.n_cells, 1)
        if rounds == max_rounds or cells > max_cells or _PASSES * next_products > max_passes:
            break
        wanted = None if wanted is None else request.extend(wanted, support, grown)
        support = grown
    met = tol is not None and left <= goal
    return replace(
        progress,
        theta=theta,
        sums=sums,
        first=before,
        left=left if tilted else left + problem.gradient_norm,
        unseen=problem.gradient_norm if tilted else 0.0,
        n_steps=rounds,
        n_products=products,
        n_passes=progress.n_passes + _PASSES * products,
        support=support,
        n_rows_updated=len(support) + len(request.emptied),
        slack=slack_after(problem, theta, support) if met and ended else 0.0,
        status=_status(rounds, tilted),
        met=met,
        done=met,
    )


def _goal(
    problem: ForgetProblem, tol: float | None, first: float, tilted: bool | None
) -> tuple[float, bool]:
    """Gradient norm to reach, and whether what training left counts as zero."""
    goal = problem.goal(tol, first)
    if tilted is None:
        tilted = problem.gradient_norm > 0.1 * goal
    return (goal if tilted else goal - problem.gradient_norm), tilted


def _sweep(
    request: Any,
    solver: Any,
    theta: Floats,
    sums: tuple[Floats, ...],
    support: Ints,
    wanted: Floats | None,
) -> tuple[Floats, ...]:
    """Solve the rows of the support, twice where both sides move."""
    users, items = request.sides(support)
    if wanted is not None:
        solver = solver.tilted(lambda rows: wanted[np.searchsorted(support, rows)])
    sides = (users, items, users, items) if len(users) and len(items) else (users, items)
    return solver.sweep(theta, sums, *sides, near=True)


def _status(rounds: int, tilted: bool) -> str:
    status = "solved the rows that the request touches"
    if rounds > 1:
        status += " and those that they move most"
    if tilted:
        status += "; the gradient that training left counts as zero"
    return status


def say_what_is_left(problem: ForgetProblem, progress: Progress) -> Progress:
    """Say what moving the touched rows alone has left: a choice, and no failure."""
    share = progress.left / progress.first if progress.first else 0.0
    status = f"solved the rows that the request touches; {share:.1e} of the gradient is left"
    if progress.unseen and not progress.is_tilted:
        status += ", beside what training left"
    solved = None if progress.met or not problem.has_exact_rows else "rows-solved"
    return replace(progress, status=status, guarantee=solved)
