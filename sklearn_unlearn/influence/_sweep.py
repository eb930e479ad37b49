"""The strategy that solves row after row, one side while the other stays."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem, Progress, Rules
from sklearn_unlearn.influence._slack import slack_after
from sklearn_unlearn.influence._stages import (
    Stage,
    complete_rank,
    empty_rows,
    fall_back,
    sweeps,
    with_leftover,
)
from sklearn_unlearn.influence._touched import solve_touched
from sklearn_unlearn.utils._compat import Interval, StrOptions

__all__ = ["SweepUnlearner"]

# A residual that grows by more has left for another model.
_MAX_RISE = 2.0


class SweepUnlearner(BaseEstimator):
    """Sweeps over the rows: each is solved while the other side stays.

    A row of one side, given the other side, is a small problem whose Hessian is one block, so no
    linear solver is needed: alternating block-wise second-order steps, as in AltEraser [1]_. Where
    rows are least-squares problems (`ALS`) a step solves its row exactly; elsewhere it is a damped
    Newton step.

    Parameters
    ----------
    scope : {"all", "touched"}, default="all"
        Rows that move. "all": those that lost an interaction first, then every user and every item
        until `tol` is met. "touched": only the former, which is the fastest answer there is; the
        report says how much of the gradient that leaves.

    n_sweeps : int, default=100
        Sweeps over these rows at most; for "all", after those over the touched ones.

    tol : float or None, default=1e-3
        Share of the gradient norm that may be left. None makes `n_sweeps` sweeps and promises
        nothing. With ``scope="touched"`` nothing is done to reach it: it decides what the report
        may promise.

    correct_residual : bool or "auto", default="auto"
        Whether to subtract the gradient that the model had before the request, so that the sweeps
        answer the request and do not finish the training. "auto" does so for models that were not
        fitted to their tolerance.

    on_failure : {"refit", "warn", "raise"}, default="refit"
        What to do if ``scope="all"`` does not meet `tol`: fit again, keep the last point and warn,
        or raise and leave the model as it was.

    See Also
    --------
    InfluenceUnlearner : Newton steps on all rows at once: fewer, and each costs a linear solve.
    RefitUnlearner : Fit again from a cold start.

    References
    ----------
    .. [1] Liu et al., "Forgetting Fast in Recommender Systems", arXiv:2208.06875, 2022.

    Examples
    --------
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.influence import SweepUnlearner
    >>> X = abs(make_interactions(60, 40, random_state=0))
    >>> touched = SweepUnlearner(scope="touched", n_sweeps=1)
    >>> model = ALS(8, alpha=10.0, unlearner=touched, random_state=0).fit(X)
    >>> report = model.forget(users=[7]).forget_report_
    >>> report.guarantee, bool(report.residual < 0.2)
    ('one-step', True)
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "scope": [StrOptions({"all", "touched"})],
        "n_sweeps": [Interval(Integral, 1, None, closed="left")],
        "tol": [None, Interval(Real, 0, 1, closed="neither")],
        "correct_residual": ["boolean", StrOptions({"auto"})],
        "on_failure": [StrOptions({"refit", "warn", "raise"})],
    }

    def __init__(
        self,
        scope: str = "all",
        *,
        n_sweeps: int = 100,
        tol: float | None = 1e-3,
        correct_residual: bool | str = "auto",
        on_failure: str = "refit",
    ) -> None:
        self.scope = scope
        self.n_sweeps = n_sweeps
        self.tol = tol
        self.correct_residual = correct_residual
        self.on_failure = on_failure

    def unlearn(self, problem: ForgetProblem) -> ForgetOutcome:
        """Solve a forget problem.

        Parameters
        ----------
        problem : ForgetProblem
            The model, the data and the request.

        Returns
        -------
        outcome : ForgetOutcome

        Raises
        ------
        ForgetError
            With ``on_failure="raise"``, if ``scope="all"`` did not meet the tolerance.
        """
        self._validate_params()
        rules = Rules("sweep", self.tol, self.correct_residual, self.on_failure)
        if problem.objective.row_solver() is None:
            raise TypeError(
                f"SweepUnlearner was given a {type(problem.objective).__name__}; expected an "
                "objective whose rows are problems of their own, as those of ALS and "
                "MatrixFactorization are. Use InfluenceUnlearner."
            )
        progress = Progress(problem.objective, problem.theta, problem.sums)
        for stage in self._solves(problem):
            progress = stage(problem, progress, rules)
            if progress.done:
                break
        if self.scope == "touched":
            return _say_what_is_left(progress).outcome(problem, rules)
        for end in (fall_back, complete_rank):
            progress = end(problem, progress, rules)
        return progress.outcome(problem, rules)

    def _solves(self, problem: ForgetProblem) -> tuple[Stage, ...]:
        """Stages that solve: the touched rows, then all."""
        touched = self._solve_touched if problem.has_exact_rows else self._step_touched
        return (touched,) if self.scope == "touched" else (touched, self._sweep)

    def _solve_touched(self, problem: ForgetProblem, progress: Progress, rules: Rules) -> Progress:
        """Least squares: the gradient is known from the rows that moved."""
        tilted = rules.keeps_leftover(problem)
        if self.scope == "all":
            limit = rules.max_share * problem.objective.n_cells
            rounds = {} if self.tol else {"max_rounds": 1}
            return solve_touched(
                problem, progress, self.tol, tilted=tilted, max_cells=limit, **rounds
            )
        progress = solve_touched(
            problem, progress, None, tilted=tilted, max_cells=np.inf, max_rounds=self.n_sweeps
        )
        met = self.tol is not None and progress.left <= problem.goal(self.tol, progress.first)
        assert progress.support is not None  # the touched rows
        slack = slack_after(problem, progress.theta, progress.support) if met else 0.0
        return replace(progress, met=met, slack=slack)

    def _step_touched(self, problem: ForgetProblem, progress: Progress, rules: Rules) -> Progress:
        """Damped Newton steps of the touched rows; the gradient takes a pass over the data."""
        progress = empty_rows(problem, progress, rules)
        rows, m = problem.touched_rows(), problem.before.n_users
        rows = np.setdiff1d(rows, problem.emptied_rows(), assume_unique=True)
        n_cells = problem.objective.count_incident(problem.retained, rows)
        share = n_cells / max(problem.objective.n_cells, 1)
        first = progress.at_start(progress.objective.gradient_norm(progress.theta))
        n_sweeps = self.n_sweeps if self.scope == "touched" else 1
        theta, solver = progress.theta.copy(), progress.objective.row_solver()
        assert solver is not None
        for _ in range(n_sweeps):
            solver.sweep(theta, (), rows[rows < m], rows[rows >= m])
        left = progress.objective.gradient_norm(theta)
        return replace(
            progress,
            theta=theta,
            sums=(),
            first=first,
            left=left,
            unseen=progress.objective.tilt_norm,
            n_steps=n_sweeps,
            n_products=n_sweeps * share,
            met=self.tol is not None and left <= problem.goal(self.tol, first),
        )

    def _sweep(self, problem: ForgetProblem, progress: Progress, rules: Rules) -> Progress:
        """Sweep over all rows until the gradient is small enough, or the sweeps are over."""
        objective = with_leftover(problem) if rules.keeps_leftover(problem) else problem.objective
        theta, sums = progress.theta.astype(np.float64, copy=False), progress.sums
        swept = sweeps(objective, theta, sums)
        goal = problem.goal(self.tol, progress.first)
        left = lowest = objective.gradient_norm(theta)
        n_sweeps, why = 0, f"{self.n_sweeps} sweeps were not enough"
        while n_sweeps < self.n_sweeps and not (self.tol is not None and left <= goal):
            new, new_sums, norm = next(swept)
            # Sweeps only fall. Far from an optimum a tilted objective may have no minimum nearby.
            lost = self.tol is not None and objective.stops_at_saddles and norm > _MAX_RISE * lowest
            if lost or not np.isfinite(norm):
                why = "the sweeps led away from a model that was stopped so early"
                break
            lowest = min(lowest, norm)
            theta, sums, left, n_sweeps = new, new_sums, norm, n_sweeps + 1
        met = self.tol is not None and left <= goal
        n_steps = progress.n_steps + n_sweeps
        return replace(
            progress,
            objective=objective,
            theta=theta,
            sums=sums,
            left=left,
            unseen=objective.tilt_norm,
            n_steps=n_steps,
            # Users and items once each: as many cells as two products restricted to a side.
            n_products=progress.n_products + 2.0 * n_sweeps,
            support=None,
            n_rows_updated=None,
            slack=0.0,
            status=f"{n_steps} sweeps",
            why=why,
            met=met,
            done=True,
        )


def _say_what_is_left(progress: Progress) -> Progress:
    """Say what moving the touched rows alone has left: a choice, and no failure."""
    share = progress.left / progress.first if progress.first else 0.0
    status = f"solved the rows that the request touches; {share:.1e} of the gradient is left"
    if progress.unseen and not progress.is_tilted:
        status += ", beside what training left"
    return replace(progress, status=status)
