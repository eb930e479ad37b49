"""The strategy that fits again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator

from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem
from sklearn_unlearn.influence._progress import Progress
from sklearn_unlearn.solvers import NewtonResult
from sklearn_unlearn.utils._doc_links import DocLinkMixin
from sklearn_unlearn.utils._random import draw_seed

__all__ = ["RefitUnlearner", "refit"]


class RefitUnlearner(DocLinkMixin, BaseEstimator):
    """Fit again, from a cold start, on what remains: the slow answer that is always right.

    Parameters
    ----------
    refit : callable, default=None
        Trains instead of the model's own `fit`, for models that were taken over:
        ``refit(X)`` is given what remains, a CSR array, and returns the trained model of the other
        library (anything with ``user_factors`` and ``item_factors``), or both factors as a tuple.

    start_seed : int or None, default=None
        Seed of the start alone: what else the model draws, such as the negatives of pairwise
        losses, stays as it was drawn at `fit`. Two such refits minimise the same objective, so that
        their distance, `metrics.noise_floor`, is what the start makes of it. None is the seed of
        the model. Not together with `refit`.

    Raises
    ------
    ValueError
        By a request, if both `refit` and `start_seed` are given, or `start_seed` is negative.

    See Also
    --------
    InfluenceUnlearner : Newton steps from the old parameters.

    Examples
    --------
    >>> from sklearn_unlearn.influence import RefitUnlearner
    >>> RefitUnlearner()
    RefitUnlearner()
    """

    def __init__(
        self, refit: Callable[[Any], Any] | None = None, start_seed: int | None = None
    ) -> None:
        self.refit = refit
        self.start_seed = start_seed

    def unlearn(self, problem: ForgetProblem) -> ForgetOutcome:
        """Solve a forget problem by ``problem.refit``.

        Parameters
        ----------
        problem : ForgetProblem
            The model, the data and the request.

        Returns
        -------
        outcome : ForgetOutcome
        """
        if self.start_seed is None:
            return refit(problem, self.refit).outcome(problem, "refit")
        if self.refit is not None:
            raise ValueError(
                "both refit and start_seed were given; expected one, as a training elsewhere has "
                "a start of its own. Pass the seed to that training."
            )
        fitted = problem.refit(seed=draw_seed(self.start_seed))
        return _progress(problem, fitted).outcome(problem, "refit")


def refit(problem: ForgetProblem, train: Callable[[Any], Any] | None = None) -> Progress:
    """State after a cold fit of what remains, by `train` if it is given."""
    return _progress(problem, problem.refit() if train is None else problem.refit(train))


def _progress(problem: ForgetProblem, fitted: NewtonResult) -> Progress:
    """State after a cold fit."""
    return Progress(
        objective=problem.objective,
        theta=fitted.theta,
        first=problem.objective.gradient_norm(problem.theta),
        left=fitted.gradient_norm[1],
        n_steps=fitted.n_steps,
        n_products=fitted.n_products,
        n_rows_updated=len(fitted.theta),
        status="fitted again",
        method="refit",
        guarantee="refit",
        met=fitted.converged,
        done=True,
        converged=fitted.converged,
        slack=fitted.slack,
    )
