"""Strategies: how to get from the old parameters to those of a refit. Pure, and interchangeable."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from sklearn_unlearn.influence._certificate import certify
from sklearn_unlearn.influence._endings import REFINE, Ending
from sklearn_unlearn.influence._leftover import exceeds, is_loose, leftover
from sklearn_unlearn.influence._local import unlearn_locally
from sklearn_unlearn.influence._newton import NewtonSettings, newton
from sklearn_unlearn.influence._outcomes import (
    Spent,
    as_outcome,
    kept_rows,
    without_emptied,
)
from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem
from sklearn_unlearn.influence._pruned import solve_pruned
from sklearn_unlearn.influence._row_sweeps import sweep_everywhere
from sklearn_unlearn.influence._rows import has_row_problems, outcome_of, solve_touched
from sklearn_unlearn.influence._solvers import SOLVERS, Status
from sklearn_unlearn.objectives import FactorObjective
from sklearn_unlearn.utils._compat import HasMethods, Interval, StrOptions

__all__ = ["InfluenceUnlearner"]

Floats = NDArray[Any]

# Walking more than this share of the interactions costs more in bookkeeping than it saves.
LOCAL_SHARE = 0.25
# Share of the gradient that is left when the duality gap is worth looking at.
_CERTIFYING_TOL = 1e-6


class InfluenceUnlearner(BaseEstimator):
    r"""Newton steps on the objective of what remains.

    .. math:: \theta \leftarrow \theta - (H_R(\theta) + \delta I)^{-1} (\nabla J_R(\theta) - c)

    with :math:`J_R` the objective of the retained interactions: its gradient holds the direct
    influence of what was removed and, for graph models, the spillover. One step with ``tol=None``
    is IFRU [1]_; repeating the step until the gradient meets a tolerance makes the result checkable
    by anyone, without a refit.

    Parameters
    ----------
    pruner : HopPruner, ImportancePruner or None, default=None
        Chooses the users and items that may move. None lets the residual decide: the support starts
        at the rows that lost an interaction and grows until the whole residual meets `tol`.

    n_steps : int, default=10
        Newton steps at most.

    tol : float or None, default=1e-3
        Share of the gradient norm that may be left. None takes `n_steps` steps and promises
        nothing.

    damping : float or "auto", default="auto"
        Added to the diagonal of the Hessian. "auto" is 0: the trust region does the damping.

    solver : {"trust-ncg", "cg", "minres"}, default="trust-ncg"
        Linear solver. "trust-ncg" handles negative curvature; the others are SciPy's.

    max_iter : int, default=200
        Iterations of the linear solver a step.

    correct_residual : bool or "auto", default="auto"
        Whether to subtract the gradient :math:`c = \nabla J_D(\theta_0)` that the model had before
        the request, so that the step answers the request and does not finish the training. "auto"
        does so for models that were not fitted to their tolerance, and for those fitted to a loose
        one where training left more gradient than the request may leave.

    on_failure : {"refit", "warn", "raise"}, default="refit"
        What to do if `tol` is not met after more steps and a warm refinement: fit again, keep the
        best point and warn, or raise and leave the model as it was.

    certify : bool, default=False
        Whether to go on until the gradient is 1e-6 of its start and then check for global
        optimality: the guarantee is "certified" where the check succeeds, and a bound of the
        distance to any refit then follows from the model's ``certify()``.

    See Also
    --------
    SweepUnlearner : Solve row after row, side after side.
    RefitUnlearner : Fit again from a cold start.

    References
    ----------
    .. [1] Zhang et al., "Recommendation Unlearning via Influence Function", ACM TORS 2025,
       equation 5.

    Examples
    --------
    >>> from sklearn_unlearn.influence import InfluenceUnlearner
    >>> ifru = InfluenceUnlearner(n_steps=1, tol=None)
    >>> ifru
    InfluenceUnlearner(n_steps=1, tol=None)
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "pruner": [None, HasMethods(["fit"])],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "tol": [None, Interval(Real, 0, 1, closed="neither")],
        "damping": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "solver": [StrOptions(set(SOLVERS))],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "correct_residual": ["boolean", StrOptions({"auto"})],
        "on_failure": [StrOptions({"refit", "warn", "raise"})],
        "certify": ["boolean"],
    }

    def __init__(
        self,
        pruner: Any = None,
        *,
        n_steps: int = 10,
        tol: float | None = 1e-3,
        damping: float | str = "auto",
        solver: str = "trust-ncg",
        max_iter: int = 200,
        correct_residual: bool | str = "auto",
        on_failure: str = "refit",
        certify: bool = False,
    ) -> None:
        self.pruner = pruner
        self.n_steps = n_steps
        self.tol = tol
        self.damping = damping
        self.solver = solver
        self.max_iter = max_iter
        self.correct_residual = correct_residual
        self.on_failure = on_failure
        self.certify = certify

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
        outcome, spent, tilt = None, Spent(), None
        if self.pruner is None and self._tol is not None and has_row_problems(problem):
            outcome, theta, tilt, spent = self._unlearn_touched(problem)
            emptied_norm = 0.0
        else:
            theta, emptied_norm = without_emptied(problem)
            tilt = self._tilt(problem)
            if self.pruner is not None:
                outcome = self._unlearn_pruned(problem, theta, emptied_norm, tilt)
            elif tilt is None and problem.local and self._tol is not None:
                outcome, theta, spent = unlearn_locally(
                    problem, theta, emptied_norm, float(self._tol), self._settings, LOCAL_SHARE
                )
        if outcome is None:
            if tilt is None and self._compares and is_loose(problem):
                first = spent.before or float(np.linalg.norm(problem.objective.gradient(theta)))
                tilt = self._tilt(problem, first)
            outcome = self._unlearn_everywhere(problem, theta, emptied_norm, tilt, spent)
        finished = tilt is None and not self._tilts(problem)
        finished = finished and outcome.guarantee == "residual-bounded"
        if finished:
            outcome = self._ending(problem).complete_rank(outcome, REFINE)
        if self.certify and outcome.guarantee != "refit":
            width = outcome.theta.shape[1] - problem.objective.layout.width
            objective = cast(FactorObjective, problem.objective)
            objective = objective.with_factors(objective.layout.n_factors + width)
            if certify(objective, outcome.theta).certified:
                outcome = replace(outcome, guarantee="certified")
        return outcome

    @property
    def _tol(self) -> float | None:
        return min(self.tol or 1.0, _CERTIFYING_TOL) if self.certify else self.tol

    @property
    def _settings(self) -> NewtonSettings:
        return NewtonSettings(
            max_steps=self.n_steps,
            solver=self.solver,
            max_iter=self.max_iter,
            damping=0.0 if self.damping == "auto" else float(self.damping),
            # Without a tolerance nothing comes after the step: solve it accurately.
            forcing=1e-3 if self._tol is None else 0.1,
        )

    def _ending(self, problem: ForgetProblem) -> Ending:
        return Ending(problem, "influence", self._tol, self.on_failure)

    def _tilts(self, problem: ForgetProblem) -> bool:
        """Whether what was left over from training is to stay."""
        if self.correct_residual == "auto":
            return not problem.converged
        return bool(self.correct_residual)

    @property
    def _compares(self) -> bool:
        """Whether what training left over is looked at, though the fit has converged."""
        return self.correct_residual == "auto" and self._tol is not None and not self.certify

    def _tilt(self, problem: ForgetProblem, first: float = np.inf) -> Floats | None:
        """Gradient to end at, that of the model before; or None for zero.

        `first` is the norm of the gradient at the start of the request.
        """
        goal = problem.goal(self._tol, first)
        tilts = self._tilts(problem) or (self._compares and exceeds(problem, goal))
        return leftover(problem) if tilts else None

    def _unlearn_touched(
        self, problem: ForgetProblem
    ) -> tuple[ForgetOutcome | None, Floats, Floats | None, Spent]:
        """Solve the touched rows exactly; where that is not enough, it is the better start."""
        # Of a converged model, what is left counts as zero only where that keeps the request local.
        free = self.correct_residual == "auto" and problem.converged
        tilted = None if free else self._tilts(problem)
        limit = LOCAL_SHARE * problem.objective.n_cells
        result = solve_touched(problem, self._tol, tilted=tilted, max_cells=limit)
        if result.complete:
            return outcome_of(problem, result, "influence"), result.theta, None, Spent()
        tilt = self._tilt(problem, result.gradient_norm[0])
        result = sweep_everywhere(problem, result, tilt, self._tol)
        if result.complete:
            return outcome_of(problem, result, "influence"), result.theta, tilt, Spent()
        spent = Spent(result.gradient_norm[0], result.n_sweeps, result.n_products)
        return None, result.theta, tilt, spent

    def _unlearn_pruned(
        self,
        problem: ForgetProblem,
        theta: Floats,
        emptied_norm: float,
        tilt: Floats | None,
    ) -> ForgetOutcome:
        """Move only what the pruner keeps; go on everywhere if that misses the tolerance."""
        rows = kept_rows(self.pruner, problem)

        def goal(first: float) -> float:
            return problem.goal(self._tol, first)

        pruned = solve_pruned(
            problem.objective, theta, rows, goal, self._settings, emptied_norm, tilt
        )
        before, left = pruned.gradient_norm
        met = self._tol is not None and left <= goal(before)
        if self._tol is None or met:
            return as_outcome(
                problem, pruned.theta, pruned.result, (before, left), tilt, met, pruned.share
            )
        spent = Spent(before, pruned.result.n_steps, pruned.share * pruned.result.n_products)
        return self._unlearn_everywhere(problem, pruned.theta, emptied_norm, tilt, spent)

    def _unlearn_everywhere(
        self,
        problem: ForgetProblem,
        theta: Floats,
        emptied_norm: float,
        tilt: Floats | None,
        spent: Spent,
    ) -> ForgetOutcome:
        """Newton on the whole table, then a warm refinement, then whatever `on_failure` says."""

        def at_start(norm: float) -> float:
            return spent.before or float(np.hypot(norm, emptied_norm))

        def target(norm: float) -> float:
            return problem.goal(self._tol, at_start(norm))

        result = newton(problem.objective, theta, target, self._settings, tilt=tilt)
        first = at_start(result.gradient_norm[0])
        method, goal = "influence", problem.goal(self._tol, first)
        saddle = tilt is not None and result.status is Status.NEGATIVE_CURVATURE
        if self._tol is not None and not (result.converged or saddle):
            method = "influence+refine"
            again = newton(problem.objective, result.theta, goal, REFINE, tilt=tilt)
            result = replace(
                again,
                n_steps=result.n_steps + again.n_steps,
                n_products=result.n_products + again.n_products,
            )
        if self._tol is not None and not result.converged:
            failed = self._ending(problem).fail(
                result.gradient_norm[1], result.n_products, first, result.status.value
            )
            if failed is not None:
                return failed
        outcome = as_outcome(
            problem, result.theta, result, (first, result.gradient_norm[1]), tilt, result.converged
        )
        return replace(
            outcome,
            method=method,
            n_steps=outcome.n_steps + spent.n_steps,
            n_products=outcome.n_products + spent.n_products,
        )
