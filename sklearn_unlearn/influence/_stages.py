"""Stages on the whole table, and those that end a request.

The rules that they follow; Newton steps, a warm refinement and sweeps; what training left over;
missing columns, fallbacks and the certificate.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

from sklearn_unlearn.backends import like, to_numpy
from sklearn_unlearn.certificates import certify
from sklearn_unlearn.certificates._rank import complete_rank as fill_rank
from sklearn_unlearn.exceptions import ForgetError, ForgetFallbackWarning, NotConvergedWarning
from sklearn_unlearn.influence._problem import ForgetProblem
from sklearn_unlearn.influence._progress import Progress
from sklearn_unlearn.influence._refit import refit
from sklearn_unlearn.objectives import FactorObjective, Objective, TiltedObjective
from sklearn_unlearn.solvers import NewtonSettings, newton

__all__ = [
    "SWEEP",
    "Rules",
    "Stage",
    "at_saddle_of_new_rows",
    "budget_of",
    "certify_globally",
    "complete_rank",
    "empty_rows",
    "fall_back",
    "refine",
    "solve_everywhere",
    "sweep_everywhere",
    "sweeps",
    "weigh_leftover",
    "with_leftover",
]

Floats = NDArray[Any]
Stage = Callable[[ForgetProblem, Progress, "Rules"], Progress]

# The last resort before a refit: as many steps as a fit would take.
REFINE = NewtonSettings(max_steps=50, max_iter=500)
_MAX_SWEEPS = 20
# Passes over the interactions that a sweep takes: users and items once each, and the gradient.
SWEEP = 3.0
# Share of the unit of gradients up to which what training left over counts as none.
_LOOSE_FIT = 1e-5
# A request that asks for more columns than this is better served by a refit.
MAX_COLUMNS = 8
# A sweep that leaves more than this share of the gradient is not worth another.
_WORTH = 0.85
# Parameters up to which a Hessian is made as a matrix.
_DENSE = 256


@dataclass(frozen=True)
class Rules:
    """What the parameters of a strategy say to its stages.

    Parameters
    ----------
    method : str
        Name of the strategy in reports.

    tol : float or None
        Share of the gradient that may be left; None promises nothing.

    correct_residual : bool or "auto"
        Whether what training left over is to stay.

    on_failure : {"refit", "warn", "raise"}
        What to do if `tol` is not met.

    settings : NewtonSettings
        How Newton's method iterates.

    certify : bool, default=False
        Whether the outcome is checked for global optimality.

    max_share : float, default=0.25
        Share of the interactions beyond which a local solve costs more than it saves.

    budget : float, default=inf
        Passes over the interactions at most.

    accept : float, default=0.0
        Share of the gradient that is good enough where `tol` is out of reach.
    """

    method: str
    tol: float | None
    correct_residual: bool | str
    on_failure: str
    settings: NewtonSettings = field(default_factory=NewtonSettings)
    certify: bool = False
    max_share: float = 0.25
    budget: float = np.inf
    accept: float = 0.0

    def afford(self, progress: Progress, settings: NewtonSettings | None = None) -> NewtonSettings:
        """How Newton's method iterates on what is left of the budget."""
        return replace(settings or self.settings, max_products=self.budget - progress.n_passes)

    def keeps_leftover(self, problem: ForgetProblem) -> bool:
        """Whether what was left over from training is to stay, whatever the request."""
        if self.correct_residual == "auto":
            return not problem.converged
        return bool(self.correct_residual)


def sweeps(
    objective: Objective,
    theta: Floats,
    sums: tuple[Floats, ...],
    n_steps: int | None = None,
) -> Iterator[tuple[Floats, tuple[Floats, ...], float]]:
    """Sweep over all users and all items, without end: table, sums and gradient norm after each.

    In double precision: rounding every row to single precision is more than a request leaves.
    """
    solver, m = objective.row_solver(), objective.layout.n_users
    assert solver is not None
    users, items = np.arange(m), np.arange(m, len(theta))
    theta = theta.astype(np.float64, copy=False)
    while True:
        theta = theta.copy()
        sums = solver.sweep(theta, sums, users, items, n_steps=n_steps)
        yield theta, sums, objective.gradient_norm(theta)


def budget_of(problem: ForgetProblem, max_cost: float | None, max_seconds: float | None) -> float:
    """Return how many passes over the interactions a request may make, given its limits.

    One is timed, of the gradient, where the limit is in seconds.
    """
    passes = np.inf if max_cost is None else max_cost * problem.refit_cost
    if max_seconds is not None:
        start = time.perf_counter()
        problem.objective.gradient(problem.theta)
        passes = min(passes, max_seconds / max(time.perf_counter() - start, 1e-9) - 1)
    return passes


def empty_rows(problem: ForgetProblem, progress: Progress, rules: Rules) -> Progress:
    """Set rows that lost everything to zero, their optimum; state what is minimised.

    Rows that had nothing are solved, given all others: no training has left a gradient in them, and
    at zero they are a saddle of each other.
    """
    emptied = problem.emptied_rows()
    theta = progress.theta.copy()
    settled = float(np.linalg.norm(problem.objective.ridge_gradient(theta, emptied)))
    theta[emptied] = problem.objective.layout.empty_rows(emptied)
    progress = replace(progress, objective=minimized(problem, rules), theta=theta, settled=settled)
    woken = problem.woken_rows()
    if len(woken):
        progress = _solve_woken(problem, progress, rules, woken)
    # Rows that moved are in the sums as they were.
    return replace(progress, sums=()) if len(emptied) or len(woken) else progress


def _solve_woken(
    problem: ForgetProblem, progress: Progress, rules: Rules, woken: NDArray[np.int64]
) -> Progress:
    theta, objective = progress.theta.copy(), problem.objective
    restricted, rows = objective.restrict(woken, theta)
    share = restricted.n_cells / max(objective.n_cells, 1)
    settings = rules.afford(progress)
    result = newton(restricted, theta[rows], lambda norm: (rules.tol or 1e-3) * norm, settings)
    own = np.isin(rows, woken)
    theta[rows[own]] = result.theta[own]  # rounding may touch the others
    return replace(
        progress,
        theta=theta,
        settled=float(np.hypot(progress.settled, result.gradient_norm[0])),
        n_products=progress.n_products + share * result.n_products,
        n_passes=progress.n_passes + share * result.n_passes,
    )


def weigh_leftover(problem: ForgetProblem, progress: Progress, rules: Rules) -> Progress:
    """State what is minimised again, now that the gradient of the request can be compared."""
    if progress.is_tilted or not _compares(rules) or not is_loose(problem):
        return progress
    first = progress.first or problem.objective.gradient_norm(progress.theta)
    return replace(progress, objective=minimized(problem, rules, first))


def solve_everywhere(problem: ForgetProblem, progress: Progress, rules: Rules) -> Progress:
    """Newton's method on the whole table."""

    def goal(norm: float) -> float:
        return problem.goal(rules.tol, progress.at_start(norm))

    settings = rules.afford(progress)
    result = newton(progress.objective, progress.theta, goal, settings, on_step=problem.on_step)
    return progress.solved(result, done=result.converged or rules.tol is None)


def refine(problem: ForgetProblem, progress: Progress, rules: Rules) -> Progress:
    """Newton's method again, with as many steps as a fit would take."""
    if progress.at_saddle:
        return progress
    goal = problem.goal(rules.tol, progress.first)
    settings = rules.afford(progress, REFINE)
    result = newton(progress.objective, progress.theta, goal, settings, on_step=problem.on_step)
    method = f"{rules.method}+refine"
    return progress.solved(result, method=method, done=result.converged)


def sweep_everywhere(problem: ForgetProblem, progress: Progress, rules: Rules) -> Progress:
    """Sweep over all rows, for as long as each takes a good share of what the request left.

    After the touched rows, what is left is spread thinly over the table, and a sweep takes most of
    it at once; what then decays slowly is left to Newton's method. A sweep costs about two Hessian
    products, a Newton step tens of them.
    """
    objective = minimized(problem, rules, progress.first)
    solver = objective.row_solver()
    if solver is None:
        return progress
    theta, sums = progress.theta.astype(np.float64, copy=False), progress.sums
    goal = problem.goal(rules.tol, progress.first)
    left, n_sweeps = objective.gradient_norm(theta), 0
    swept = sweeps(objective, theta, sums, n_steps=solver.steps_of_a_sweep)
    most = min(_MAX_SWEEPS, rules.afford(progress).max_products // SWEEP)
    while n_sweeps < most and left > goal:
        new, new_sums, norm = next(swept)
        n_sweeps += 1
        if not norm < left:
            break
        slow = norm > _WORTH * left
        theta, sums, left = new, new_sums, norm
        if slow:
            break
    progress = replace(
        progress,
        objective=objective,
        theta=theta,
        sums=sums,
        left=left,
        n_steps=progress.n_steps + n_sweeps,
        n_products=progress.n_products + 2.0 * n_sweeps,
        n_passes=progress.n_passes + SWEEP * n_sweeps,
        support=None,
        n_rows_updated=len(theta),
        slack=0.0,
        met=left <= goal,
        done=left <= goal,
    )
    status = "solved the rows that the request touches, then swept over all"
    if progress.is_tilted:
        status += "; the gradient that training left counts as zero"
    return replace(
        progress, status=status, unseen=problem.gradient_norm if progress.is_tilted else 0.0
    )


def minimized(problem: ForgetProblem, rules: Rules, first: float = np.inf) -> Objective:
    """Objective that answers a request: tilted where the training is not to be finished.

    That is so where the rules say it, and, left to themselves, where a loose fit left more gradient
    than the request may leave: to answer it would be to finish the training first.

    Parameters
    ----------
    problem : ForgetProblem
        The model, the data and the request.

    rules : Rules
        What the user allows.

    first : float, default=inf
        Norm of the gradient at the start of the request.
    """
    tilts = rules.keeps_leftover(problem)
    if not tilts and _compares(rules):
        tilts = problem.gradient_norm > problem.goal(rules.tol, first) and is_loose(problem)
    return with_leftover(problem) if tilts else problem.objective


def _compares(rules: Rules) -> bool:
    """Whether what training left over is looked at, though the fit has converged."""
    return rules.correct_residual == "auto" and rules.tol is not None and not rules.certify


def with_leftover(problem: ForgetProblem) -> TiltedObjective:
    """Objective whose optimum has the gradient that the model had before."""
    c = problem.leftover.copy()
    c[problem.emptied_rows()] = 0
    return TiltedObjective(problem.objective, c)


def is_loose(problem: ForgetProblem) -> bool:
    """Whether training left so much that a request has to be compared with it."""
    unit = problem.objective.unit
    left = min(problem.gradient_norm, problem.trained_norm)
    return unit is not None and left > _LOOSE_FIT * unit


def fall_back(problem: ForgetProblem, progress: Progress, rules: Rules) -> Progress:
    """Refit, raise, or warn and keep the best point, where the tolerance was not met."""
    if rules.tol is None:
        return progress
    if at_saddle_of_new_rows(problem, progress.theta):
        why = "new users and items that have only each other are left at zero, which is a saddle"
        failed = _fail(problem, progress, rules, why)
        return failed if failed.guarantee == "refit" else replace(failed, met=False, why=why)
    if progress.met:
        return progress
    if progress.left <= rules.accept * progress.first:
        return replace(progress, met=True)
    return _fail(problem, progress, rules, progress.why or progress.status)


def at_saddle_of_new_rows(problem: ForgetProblem, theta: Floats) -> bool:
    """Whether rows that were woken are zero still, though the objective falls from there.

    Between two rows at zero there is no gradient, however much they pull on each other.
    """
    woken = problem.woken_rows()
    stuck = woken[~theta[woken, : problem.objective.layout.n_factors].any(axis=1)]
    if len(stuck) < 2 or not problem.objective.layout.n_factors:
        return False
    restricted, rows = problem.objective.restrict(stuck, theta)
    point: Any = restricted.at(theta[rows])
    shape, n = theta[rows].shape, theta[rows].size

    def product(x: Floats) -> Floats:
        return to_numpy(point.hessian_product(like(point.theta, x.reshape(shape)))).reshape(-1)

    if n <= _DENSE:
        values = np.linalg.eigvalsh(np.array([product(x) for x in np.eye(n)]))
    else:
        hessian = LinearOperator((n, n), matvec=product, dtype=np.float64)
        start = np.random.default_rng(0).normal(size=n)
        values = eigsh(hessian, 1, which="SA", v0=start, tol=1e-3, return_eigenvectors=False)
    return bool(values.min() < 0)


def _fail(problem: ForgetProblem, progress: Progress, rules: Rules, why: str) -> Progress:
    if progress.met:
        found = f"the request met tol={rules.tol}, but {why}."
    else:
        unit = progress.first or 1.0
        asked = f"tol={rules.tol}"
        if problem.gtol < (rules.tol or 0.0) * unit:
            asked = f"{problem.gtol / unit:.1e}, a hundred times what the fit may leave,"
        found = (
            f"the request left {progress.left / unit:.1e} of its gradient; {asked} was asked for. "
            f"The last solve said: {why}."
        )
    if rules.on_failure == "raise":
        raise ForgetError(found + " The model is unchanged; use on_failure='refit'.")
    if rules.on_failure == "warn":
        warnings.warn(found + " The best point is kept.", NotConvergedWarning, stacklevel=2)
        return progress
    warnings.warn(
        f"{found} The model was fitted again on the data after the request, which took as long as "
        "a fit. Pass an unlearner with on_failure='warn' to keep the best point instead.",
        ForgetFallbackWarning,
        stacklevel=2,
    )
    again = refit(problem)
    status = f"refit, because {rules.method} ended so: {why}"
    return replace(again, status=status, n_products=again.n_products + progress.n_products)


def complete_rank(problem: ForgetProblem, progress: Progress, rules: Rules) -> Progress:
    """Take in columns that the retained data ask for, unless the slack rules that out."""
    finished = progress.met and progress.guarantee is None and not progress.is_tilted
    if not finished or rules.keeps_leftover(problem) or progress.slack > 0:
        return progress
    if problem.objective.certificate() is None:
        return progress
    objective = cast(FactorObjective, problem.objective)
    start = progress.result()
    goal = problem.goal(rules.tol, progress.first)
    result = fill_rank(
        objective, start, problem.n_free, goal, rules.afford(progress, REFINE), MAX_COLUMNS
    )
    if result.theta is not start.theta:
        progress = replace(
            progress,
            theta=result.theta,
            sums=(),  # those of fewer columns
            left=result.gradient_norm[1],
            unseen=0.0,
            n_steps=progress.n_steps + result.n_steps,
            n_products=progress.n_products + result.n_products,
            n_rows_updated=len(result.theta),
        )
    progress = replace(progress, slack=result.slack)
    if result.converged:
        return progress
    why = "the optimum of the data after it has latent columns that the steps did not reach"
    failed = _fail(problem, progress, rules, why)
    if failed.guarantee == "refit":
        return failed
    return replace(failed, met=False)


def certify_globally(problem: ForgetProblem, progress: Progress, rules: Rules) -> Progress:
    """Look whether the outcome is a global optimum."""
    if not rules.certify or progress.guarantee == "refit" or not problem.objective.certificate():
        return progress
    objective = cast(FactorObjective, problem.objective)
    width = progress.theta.shape[1] - objective.layout.width
    wider = objective.with_factors(objective.layout.n_factors + width)
    if certify(wider, progress.theta).certified:
        return replace(progress, guarantee="certified")
    return progress
