"""The strategy that solves row after row, one side while the other stays."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem
from sklearn_unlearn.influence._progress import Progress
from sklearn_unlearn.influence._slack import slack_after
from sklearn_unlearn.influence._stages import (
    SWEEP,
    Rules,
    Stage,
    budget_of,
    complete_rank,
    empty_rows,
    fall_back,
    sweeps,
    with_leftover,
)
from sklearn_unlearn.influence._touched import say_what_is_left, solve_touched
from sklearn_unlearn.objectives import Objective
from sklearn_unlearn.utils._compat import Interval, StrOptions
from sklearn_unlearn.utils._doc_links import DocLinkMixin

__all__ = ["SweepUnlearner"]

# A residual that grows by more has left for another model.
_MAX_RISE = 2.0


class SweepUnlearner(DocLinkMixin, BaseEstimator):
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
        What to do if ``scope="all"`` does not meet `tol`: fit again, keep the best point and warn,
        or raise and leave the model as it was.

    max_cost : float or None, default=None
        Share of what a refit costs that ``scope="all"`` may take, counted in passes over the
        interactions. Where it is used up, `on_failure` decides. None is no limit.

    max_seconds : float or None, default=None
        Seconds that ``scope="all"`` may take, about: a pass over the interactions is timed first,
        and no more are made than fit. None is no limit.

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
    ('rows-solved', True)
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "scope": [StrOptions({"all", "touched"})],
        "n_sweeps": [Interval(Integral, 1, None, closed="left")],
        "tol": [None, Interval(Real, 0, 1, closed="neither")],
        "correct_residual": ["boolean", StrOptions({"auto"})],
        "on_failure": [StrOptions({"refit", "warn", "raise"})],
        "max_cost": [None, Interval(Real, 0, None, closed="neither")],
        "max_seconds": [None, Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        scope: str = "all",
        *,
        n_sweeps: int = 100,
        tol: float | None = 1e-3,
        correct_residual: bool | str = "auto",
        on_failure: str = "refit",
        max_cost: float | None = None,
        max_seconds: float | None = None,
    ) -> None:
        self.scope = scope
        self.n_sweeps = n_sweeps
        self.tol = tol
        self.correct_residual = correct_residual
        self.on_failure = on_failure
        self.max_cost = max_cost
        self.max_seconds = max_seconds

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
        if problem.objective.row_solver() is None:
            raise TypeError(
                f"SweepUnlearner was given a {type(problem.objective).__name__}; expected an "
                "objective whose rows are problems of their own, as those of ALS and "
                "MatrixFactorization are. Use InfluenceUnlearner."
            )
        everywhere = self.scope == "all" and self.tol is not None
        budget = budget_of(problem, self.max_cost, self.max_seconds) if everywhere else np.inf
        rules = Rules("sweep", self.tol, self.correct_residual, self.on_failure, budget=budget)
        progress = Progress(problem.objective, problem.theta, problem.sums)
        for stage in self._solves(problem):
            progress = stage(problem, progress, rules)
            if progress.done:
                break
        if self.scope == "touched":
            return say_what_is_left(problem, progress).outcome(problem, rules.method)
        for end in (fall_back, complete_rank):
            progress = end(problem, progress, rules)
        return progress.outcome(problem, rules.method)

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
                problem,
                progress,
                self.tol,
                tilted=tilted,
                max_cells=limit,
                max_passes=rules.budget,
                **rounds,
            )
        progress = solve_touched(
            problem, progress, None, tilted=tilted, max_cells=np.inf, max_rounds=self.n_sweeps
        )
        met = self.tol is not None and progress.left <= problem.goal(self.tol, progress.first)
        assert progress.support is not None  # the touched rows
        asked_for = met and not tilted
        slack = slack_after(problem, progress.theta, progress.support) if asked_for else 0.0
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
        theta = progress.theta.astype(np.float64, copy=False)
        goal = -np.inf if self.tol is None else problem.goal(self.tol, progress.first)
        most = min(self.n_sweeps, rules.afford(progress).max_products // SWEEP)
        best = last = theta, progress.sums, objective.gradient_norm(theta)
        swept = sweeps(objective, theta, progress.sums, n_steps=_inner_steps(objective))
        n_sweeps, why = 0, f"{self.n_sweeps} sweeps were not enough"
        if most < self.n_sweeps:
            why = "the budget of passes over the interactions was used up"
        while n_sweeps < most and last[2] > goal:
            new = next(swept)
            # Sweeps only fall. Far from an optimum a tilted objective may have no minimum nearby.
            lost = goal > 0 and objective.stops_at_saddles and new[2] > _MAX_RISE * best[2]
            if lost or not np.isfinite(new[2]):
                why = "the sweeps led away from a model that was stopped so early"
                break
            n_sweeps, last = n_sweeps + 1, new
            best = new if new[2] < best[2] or self.tol is None else best
            if problem.on_step is not None:
                problem.on_step(n_sweeps, np.nan, new[2], 2.0 * n_sweeps)
        theta, sums, left = best
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
            n_passes=progress.n_passes + SWEEP * n_sweeps,
            support=None,
            n_rows_updated=None,
            slack=0.0,
            status=f"{n_steps} sweeps",
            why=why,
            met=left <= goal,
            done=True,
        )


def _inner_steps(objective: Objective) -> int | None:
    """Return the steps that a row is worth in a sweep over all: the next moves it anyway."""
    solver = objective.row_solver()
    assert solver is not None  # looked at before
    return solver.steps_of_a_sweep
