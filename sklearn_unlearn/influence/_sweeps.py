"""The strategy that solves row after row, one side while the other stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from sklearn_unlearn.influence._blocks import newton_sweep
from sklearn_unlearn.influence._endings import Ending, gradient_norm
from sklearn_unlearn.influence._leftover import leftover
from sklearn_unlearn.influence._outcomes import count_changed, without_emptied
from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem
from sklearn_unlearn.influence._rows import has_row_problems, outcome_of, solve_touched
from sklearn_unlearn.objectives import PointwiseObjective, WeightedObjective
from sklearn_unlearn.objectives._weighted_rows import sweep
from sklearn_unlearn.utils._compat import Interval, StrOptions

__all__ = ["SweepUnlearner"]

Floats = NDArray[Any]
Ints = NDArray[np.int64]
State = tuple[Floats, tuple[Floats, ...]]

# A support beyond this share of the interactions is not worth growing: all rows come next.
_LOCAL_SHARE = 0.25
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
        tilted = self.correct_residual
        if tilted == "auto":
            tilted = not problem.converged
        if has_row_problems(problem):
            return self._solve_rows(problem, bool(tilted))
        return self._step_blocks(problem, bool(tilted))

    def _solve_rows(self, problem: ForgetProblem, tilted: bool) -> ForgetOutcome:
        """Least squares: the gradient is known from the rows that moved."""
        if self.scope == "touched":
            result = solve_touched(
                problem, None, tilted=tilted, max_cells=np.inf, max_rounds=self.n_sweeps
            )
            before, left = result.gradient_norm
            met = self.tol is not None and left <= problem.goal(self.tol, before)
            result = replace(result, complete=met)
            return _touched(outcome_of(problem, result, "sweep"))
        limit = _LOCAL_SHARE * problem.objective.n_cells
        rounds = {} if self.tol else {"max_rounds": 1}
        result = solve_touched(problem, self.tol, tilted=tilted, max_cells=limit, **rounds)
        if result.complete:
            outcome = outcome_of(problem, result, "sweep")
            return outcome if tilted else self._complete_rank(problem, outcome)
        objective, m = problem.objective, problem.before.n_users
        assert isinstance(objective, WeightedObjective)
        users, items = np.arange(m), np.arange(m, len(result.theta))
        tilt = leftover(problem) if tilted else None

        def step(theta: Floats, sums: tuple[Floats, ...]) -> State:
            theta = theta.copy()
            rows_tilt = None if tilt is None else tilt.__getitem__
            return theta, sweep(objective, theta, sums, users, items, tilt=rows_tilt)

        # Single precision rounds every row that a sweep solves: more than a request may leave.
        state = result.theta.astype(np.float64, copy=False), result.sums
        spent = result.n_sweeps, result.n_products
        return self._sweep(problem, step, state, tilt, result.gradient_norm[0], spent)

    def _step_blocks(self, problem: ForgetProblem, tilted: bool) -> ForgetOutcome:
        """Damped Newton steps; the gradient takes a pass over the data."""
        objective = problem.objective
        if not isinstance(objective, PointwiseObjective):
            raise TypeError(
                f"SweepUnlearner was given a {type(objective).__name__}; expected an objective "
                "whose rows are problems of their own, as those of ALS and MatrixFactorization "
                "are. Use InfluenceUnlearner."
            )
        theta, emptied_norm = without_emptied(problem)
        tilt = leftover(problem) if tilted else None
        first = float(np.hypot(gradient_norm(problem, theta, tilt), emptied_norm))
        touched, m = problem.touched_rows(), problem.before.n_users
        touched = np.setdiff1d(touched, problem.emptied_rows(), assume_unique=True)

        def over(rows: Ints) -> Callable[[Floats, tuple[Floats, ...]], State]:
            sides = rows[rows < m], rows[rows >= m]

            def step(theta: Floats, sums: tuple[Floats, ...]) -> State:
                return newton_sweep(objective, theta, *sides, tilt=tilt), sums

            return step

        n_cells = max(objective.n_cells, 1)
        share = objective.count_incident(problem.retained, touched) / n_cells
        state: State = (theta, ())
        if self.scope == "touched":
            for _ in range(self.n_sweeps):
                state = over(touched)(*state)
            spent = self.n_sweeps, self.n_sweeps * share
            left = gradient_norm(problem, state[0], tilt)
            return _touched(self._outcome(problem, state, (first, left), tilt, spent))
        state = over(touched)(*state)
        everything = np.arange(len(theta))
        return self._sweep(problem, over(everything), state, tilt, first, (1, share))

    def _sweep(
        self,
        problem: ForgetProblem,
        step: Callable[[Floats, tuple[Floats, ...]], State],
        state: State,
        tilt: Floats | None,
        first: float,
        spent: tuple[int, float],
    ) -> ForgetOutcome:
        """Sweep over all rows until the gradient is small enough, or the sweeps are over."""
        goal = problem.goal(self.tol, first)
        left = lowest = gradient_norm(problem, state[0], tilt)
        why = f"{self.n_sweeps} sweeps were not enough"
        for _ in range(self.n_sweeps):
            if self.tol is not None and left <= goal:
                break
            new = step(*state)
            norm = gradient_norm(problem, new[0], tilt)
            # Sweeps only fall. Far from an optimum the tilted objective may have no minimum nearby.
            lost = self.tol is not None and tilt is not None and norm > _MAX_RISE * lowest
            if lost or not np.isfinite(norm):
                why = "the sweeps led away from a model that was stopped so early"
                break
            lowest = min(lowest, norm)
            # Users and items once each: as many cells as two products restricted to a side.
            state, left, spent = new, norm, (spent[0] + 1, spent[1] + 2.0)
        outcome = self._outcome(problem, state, (first, left), tilt, spent)
        if self.tol is not None and outcome.guarantee == "one-step":
            failed = self._ending(problem).fail(left, outcome.n_products, first, why)
            return failed or outcome
        return outcome if tilt is not None else self._complete_rank(problem, outcome)

    def _outcome(
        self,
        problem: ForgetProblem,
        state: State,
        norms: tuple[float, float],
        tilt: Floats | None,
        spent: tuple[int, float],
    ) -> ForgetOutcome:
        met = self.tol is not None and norms[1] <= problem.goal(self.tol, norms[0])
        theta, sums = state
        return ForgetOutcome(
            theta,
            "sweep",
            "residual-bounded" if met else "one-step",
            f"{spent[0]} sweeps",
            *spent,
            count_changed(problem, theta),
            norms,
            norms[1] + (0.0 if tilt is None else float(np.linalg.norm(tilt))),
            problem.converged and met,
            sums=sums,
        )

    def _complete_rank(self, problem: ForgetProblem, outcome: ForgetOutcome) -> ForgetOutcome:
        """Rows cannot bring a column back that all of them lack."""
        if self.tol is None:
            return outcome
        return self._ending(problem).complete_rank(outcome)

    def _ending(self, problem: ForgetProblem) -> Ending:
        return Ending(problem, "sweep", self.tol, self.on_failure)


def _touched(outcome: ForgetOutcome) -> ForgetOutcome:
    """Say what moving the touched rows alone has left: a choice, and no failure."""
    before, left = outcome.gradient_norm
    share = left / before if before else 0.0
    met = outcome.guarantee == "residual-bounded"
    tilted = "; the gradient that training left counts as zero" in outcome.status
    status = f"solved the rows that the request touches; {share:.1e} of the gradient is left"
    status += ", beside what training left" if tilted else ""
    return replace(outcome, status=status, converged=outcome.converged and met)
