"""The strategy for models that are no optimum: the same training, without what is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from numbers import Real
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from sklearn_unlearn.influence._influence import InfluenceUnlearner
from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem
from sklearn_unlearn.influence._progress import Progress
from sklearn_unlearn.influence._stages import (
    SWEEP,
    Rules,
    at_saddle_of_new_rows,
    budget_of,
    empty_rows,
    fall_back,
    with_leftover,
)
from sklearn_unlearn.influence._sweep import SweepUnlearner
from sklearn_unlearn.influence._touched import solve_touched
from sklearn_unlearn.objectives._base import ExactRowSolver
from sklearn_unlearn.utils._compat import Interval, StrOptions
from sklearn_unlearn.utils._doc_links import DocLinkMixin

__all__ = ["AsTrainedUnlearner"]

# A training that left less than these shares of the request's gradient, and of the unit of
# gradients, has all but ended.
_ENDED, _ENDED_OF_UNIT = 1e-2, 1e-3
# Share of its gradient that a request aims to leave: if training had ended; if it was cut short,
# where rows are solved exactly (tighter, Newton steps end beyond the same training); and elsewhere.
_ENDED_TOL, _LOOSE, _USUAL = 1e-3, 1e-1, 1e-2
# Sweeps of a request, as a share of those of the training.
_SWEPT = 0.4
# Share of the interactions up to which whole users or items are few, and up to which one is.
_FEW, _FEW_OF_ONE = 0.02, 0.03


class AsTrainedUnlearner(DocLinkMixin, BaseEstimator):
    """Answer a request, and leave the training where it was, in no more passes than a refit takes.

    A model that was stopped early, or taken over from another program, has a gradient left. A
    request that removed it would finish the training, and end in another model. Here the gradient
    that training left is subtracted, and nothing is fitted again unless `on_failure` asks for it.
    How far a request goes depends on what it takes away (see *Notes*).

    Parameters
    ----------
    scope : {"auto", "touched", "all"}, default="auto"
        Rows that move, where rows are solved exactly (`ALS`). "touched": those that lost an
        interaction, which is the fastest answer there is. "all": those, and then all. "auto": see
        *Notes*.

    tol : float or "auto", default="auto"
        Share of the gradient of the request that may be left. "auto" makes a number of sweeps
        where rows are solved exactly (see *Notes*), and elsewhere, or where training left less than
        a hundredth of that gradient, aims at 0.01 or 0.001 and accepts 0.1 when the budget ends.

    max_cost : float or None, default=1.0
        Share of what a refit costs that a request may take, counted in passes over the
        interactions. Of a model that was taken over, the refit is taken to be `n_sweeps` sweeps, or
        100 passes where it has none. None is no limit.

    max_seconds : float or None, default=None
        Seconds that a request may take, about: a pass over the interactions is timed first, and no
        more are made than fit. None is no limit.

    on_failure : {"refit", "warn", "raise"}, default="warn"
        What to do if `tol` is not met, or the sweeps not made, at that cost: fit again, keep the
        best point and warn, or raise and leave the model as it was.

    refit : callable, default=None
        Trains where `on_failure` asks for a refit, as in `RefitUnlearner`.

    See Also
    --------
    InfluenceUnlearner : For models that were fitted to an optimum.
    SweepUnlearner : The touched rows alone, or all, sweep after sweep.

    Notes
    -----
    With ``scope="auto"`` the touched rows alone move where a request takes whole users or items
    away, and with them at most 2 % of the interactions (3 % with a single one): no score of theirs
    is left, and those of others can then not be told from a training with another seed. Where
    single pairs go, their own scores stay behind. Then sweeps follow, two fifths as many as the
    training took and each as cheap as one of its own. Where the touched rows and those that share
    an interaction with them hold at most a quarter of all interactions, the touched ones are solved
    before, and the first third of the sweeps stays among these rows; all others go over all. Fewer
    sweeps can be told from a training without the pairs, by their scores; more, and Newton steps,
    answer what such a training would not have reached either. The guarantee is "residual-bounded"
    where this leaves a tenth of the gradient or less, otherwise "rows-solved"; after one or two
    sweeps of training it can leave more than there was, which counts as a failure. Measured with
    `seed_test`; see the decision records.

    Models whose rows are not solved exactly take the steps of `InfluenceUnlearner`.

    Examples
    --------
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.influence import AsTrainedUnlearner
    >>> X = abs(make_interactions(80, 60, n_interactions=700, random_state=0))
    >>> model = ALS(8, alpha=10.0, unlearner=AsTrainedUnlearner(scope="touched"), random_state=0)
    >>> report = model.fit(X).forget(users=[7]).forget_report_
    >>> report.guarantee, report.answered > 0.5
    ('rows-solved', True)
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "scope": [StrOptions({"auto", "touched", "all"})],
        "tol": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="neither")],
        "max_cost": [None, Interval(Real, 0, None, closed="neither")],
        "max_seconds": [None, Interval(Real, 0, None, closed="neither")],
        "on_failure": [StrOptions({"refit", "warn", "raise"})],
        "refit": [None, callable],
    }

    def __init__(
        self,
        scope: str = "auto",
        *,
        tol: float | str = "auto",
        max_cost: float | None = 1.0,
        max_seconds: float | None = None,
        on_failure: str = "warn",
        refit: Callable[[Any], Any] | None = None,
    ) -> None:
        self.scope = scope
        self.tol = tol
        self.max_cost = max_cost
        self.max_seconds = max_seconds
        self.on_failure = on_failure
        self.refit = refit

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
            With ``on_failure="raise"``, if the tolerance was not met.
        """
        self._validate_params()
        if self.refit is not None:
            problem = replace(problem, refit=partial(problem.refit, self.refit))
        by_itself = isinstance(self.tol, str)
        aim, accept = (_aim_of(problem), _LOOSE) if isinstance(self.tol, str) else (self.tol,) * 2
        if self.moves_touched_rows_alone(problem):
            touched = SweepUnlearner("touched", n_sweeps=1, tol=aim, correct_residual=True)
            return touched.unlearn(problem)
        if by_itself and problem.has_exact_rows and not _has_ended(problem):
            return self._sweep_on(problem)
        steps = InfluenceUnlearner(
            tol=aim,
            correct_residual=True,
            on_failure=self.on_failure,
            max_cost=self.max_cost,
            max_seconds=self.max_seconds,
        )
        return steps.answer(problem, accept)

    def _sweep_on(self, problem: ForgetProblem) -> ForgetOutcome:
        """Sweep on from where the training ended; touched rows first, where they are few."""
        budget = budget_of(problem, self.max_cost, self.max_seconds)
        rules = Rules("sweep", _LOOSE, True, self.on_failure, budget=budget)
        progress = Progress(problem.objective, problem.theta, problem.sums)
        near, share = _neighbourhood(problem)
        n_sweeps = max(1, round(_SWEPT * problem.refit_cost / SWEEP))
        n_near = n_sweeps // 3 if share <= rules.max_share else 0
        if share <= rules.max_share:
            progress = solve_touched(
                problem, progress, None, tilted=True, max_cells=np.inf, max_rounds=1
            )
        else:
            progress = replace(empty_rows(problem, progress, rules), first=problem.request_norm)
        everything = np.arange(len(problem.theta))
        planned = [(near, share)] * n_near + [(everything, 1.0)] * (n_sweeps - n_near)
        progress = _sweep_as_fit(problem, progress, rules, planned)
        if progress.why or at_saddle_of_new_rows(problem, progress.theta):
            progress = fall_back(problem, progress, rules)
        return progress.outcome(problem, rules.method)

    def moves_touched_rows_alone(self, problem: ForgetProblem) -> bool:
        """Tell whether a request moves the rows that lose an interaction, and no others.

        Parameters
        ----------
        problem : ForgetProblem
            The model, the data and the request.

        Returns
        -------
        alone : bool
        """
        if not problem.has_exact_rows or self.scope != "auto":
            return problem.has_exact_rows and self.scope == "touched"
        # The interactions of the objective are all, also where the problem holds some rows alone.
        limit = _FEW_OF_ONE if problem.takes_one_row() else _FEW
        few = problem.n_changed <= limit * problem.objective.n_cells
        return few and problem.takes_whole_rows() and not _has_ended(problem)


def _has_ended(problem: ForgetProblem) -> bool:
    """Tell whether the training had all but reached an optimum."""
    unit = problem.objective.unit
    little = unit is None or problem.gradient_norm <= _ENDED_OF_UNIT * unit
    return little and problem.gradient_norm <= _ENDED * problem.request_norm


def _sweep_as_fit(
    problem: ForgetProblem,
    progress: Progress,
    rules: Rules,
    planned: list[tuple[NDArray[np.int64], float]],
) -> Progress:
    """Sweep over some rows after the other, each time as cheaply as a fit, and see what is left.

    `planned` are the rows of each sweep and their share of the interactions. In the precision of
    the model: to it the outcome is rounded anyway.
    """
    objective = with_leftover(problem)
    solver: Any = objective.row_solver()
    theta, m = progress.theta.copy(), problem.before.n_users
    sums = progress.sums or cast(Any, problem.objective).sums(theta)
    passes, n_products, n_sweeps, why = progress.n_passes, progress.n_products, 0, ""
    for rows, share in planned:
        if passes + SWEEP * share > rules.budget:
            why = "the budget of passes over the interactions was used up"
            break
        sides = rows[rows < m], rows[rows >= m]
        sums = solver.sweep(theta, sums, *sides, n_steps=solver.steps_of_a_sweep)
        passes, n_products, n_sweeps = passes + SWEEP * share, n_products + 2 * share, n_sweeps + 1
        if problem.on_step is not None:
            problem.on_step(n_sweeps, np.nan, np.nan, n_products)
    left = objective.gradient_norm(theta)
    if left > progress.first and not why:
        why = "the sweeps led away from a model that was stopped so early"
    met = left <= problem.goal(rules.tol, progress.first)
    return replace(
        progress,
        objective=objective,
        theta=theta,
        sums=sums,
        left=left,
        unseen=objective.tilt_norm,
        n_steps=progress.n_steps + n_sweeps,
        n_products=n_products,
        n_passes=passes,
        support=None,
        n_rows_updated=None,
        status=f"swept {n_sweeps} times; {left / (progress.first or 1.0):.1e} of the gradient is "
        "left; the gradient that training left counts as zero",
        why=why,
        guarantee=None if met or why else "rows-solved",
        met=met,
    )


def _neighbourhood(problem: ForgetProblem) -> tuple[NDArray[np.int64], float]:
    """Touched rows and those that share an interaction with them, and what these share of all."""
    touched, solver = problem.touched_rows(), cast(ExactRowSolver, problem.objective.row_solver())
    near = np.union1d(touched, solver.neighbours(touched))
    n_cells = problem.objective.count_incident(problem.retained, near)
    return near, n_cells / max(problem.objective.n_cells, 1)


def _aim_of(problem: ForgetProblem) -> float:
    """Share of the gradient of a request to aim at."""
    if _has_ended(problem):
        return _ENDED_TOL
    return _LOOSE if problem.has_exact_rows else _USUAL
