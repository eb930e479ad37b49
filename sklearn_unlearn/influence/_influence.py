"""The strategy of Newton steps on the objective of what remains."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any

from sklearn.base import BaseEstimator

from sklearn_unlearn.influence._local import solve_locally
from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem
from sklearn_unlearn.influence._progress import Progress
from sklearn_unlearn.influence._pruned import solve_pruned
from sklearn_unlearn.influence._stages import (
    Rules,
    Stage,
    budget_of,
    certify_globally,
    complete_rank,
    empty_rows,
    fall_back,
    refine,
    solve_everywhere,
    sweep_everywhere,
    weigh_leftover,
)
from sklearn_unlearn.influence._touched import touched_rows
from sklearn_unlearn.solvers import SOLVERS, NewtonSettings
from sklearn_unlearn.utils._compat import HasMethods, Interval, StrOptions
from sklearn_unlearn.utils._doc_links import DocLinkMixin

__all__ = ["InfluenceUnlearner"]

# Share of the gradient that is left when the duality gap is worth looking at.
_CERTIFYING_TOL = 1e-6


class InfluenceUnlearner(DocLinkMixin, BaseEstimator):
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

    max_cost : float or None, default=None
        Share of what a refit costs that a request may take, counted in passes over the
        interactions. Where it is used up, `on_failure` decides. None is no limit, and none holds
        with ``certify=True``, which may have to go farther than the fit went.

    max_seconds : float or None, default=None
        Seconds that a request may take, about: a pass over the interactions is timed first, and no
        more are made than fit. None is no limit.

    See Also
    --------
    AsTrainedUnlearner : For models that are no optimum.
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
        "max_cost": [None, Interval(Real, 0, None, closed="neither")],
        "max_seconds": [None, Interval(Real, 0, None, closed="neither")],
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
        max_cost: float | None = None,
        max_seconds: float | None = None,
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
            With ``on_failure="raise"``, if the tolerance was not met.
        """
        self._validate_params()
        return self.answer(problem)

    def answer(self, problem: ForgetProblem, accept: float = 0.0) -> ForgetOutcome:
        """Solve a problem; a share `accept` of the gradient, beyond `tol`, is no failure."""
        rules = replace(self._rules(problem), accept=accept)
        progress = best = Progress(problem.objective, problem.theta, problem.sums)
        for stage in self._solves(problem):
            progress = stage(problem, progress, rules)
            best = progress.better_of(best)
            if progress.done:
                break
        if rules.on_failure == "warn" and rules.tol is not None:
            progress = progress.at_point_of(best)
        for stage in (fall_back, complete_rank, certify_globally):
            progress = stage(problem, progress, rules)
        return progress.outcome(problem, rules.method)

    def _solves(self, problem: ForgetProblem) -> tuple[Stage, ...]:
        """Stages that solve: each starts where the one before it ended."""
        everywhere: tuple[Stage, ...] = (solve_everywhere,)
        if self.tol is not None or self.certify:
            everywhere = (solve_everywhere, refine)
        if self.pruner is not None:
            return empty_rows, partial(solve_pruned, pruner=self.pruner), *everywhere
        if problem.has_exact_rows and len(everywhere) > 1:
            return touched_rows, sweep_everywhere, weigh_leftover, *everywhere
        return empty_rows, solve_locally, weigh_leftover, *everywhere

    def _rules(self, problem: ForgetProblem) -> Rules:
        tol = min(self.tol or 1.0, _CERTIFYING_TOL) if self.certify else self.tol
        settings = NewtonSettings(
            max_steps=self.n_steps,
            solver=self.solver,
            max_iter=self.max_iter,
            damping=0.0 if self.damping == "auto" else float(self.damping),
            # Without a tolerance nothing comes after the step: solve it accurately.
            forcing=1e-3 if tol is None else 0.1,
        )
        return Rules(
            method="influence",
            tol=tol,
            correct_residual=self.correct_residual,
            on_failure=self.on_failure,
            settings=settings,
            certify=self.certify,
            budget=budget_of(problem, None if self.certify else self.max_cost, self.max_seconds),
        )
