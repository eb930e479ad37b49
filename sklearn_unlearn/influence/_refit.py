"""The strategy that fits again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator

from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem, Progress
from sklearn_unlearn.utils._doc_links import DocLinkMixin

__all__ = ["RefitUnlearner", "refit"]


class RefitUnlearner(DocLinkMixin, BaseEstimator):
    """Fit again, from a cold start, on what remains: the slow answer that is always right.

    Parameters
    ----------
    refit : callable, default=None
        Trains instead of the model's own `fit`, for models that were taken over:
        ``refit(X)`` is given what remains, a CSR array, and returns the trained model of the other
        library (anything with ``user_factors`` and ``item_factors``), or both factors as a tuple.

    See Also
    --------
    InfluenceUnlearner : Newton steps from the old parameters.

    Examples
    --------
    >>> from sklearn_unlearn.influence import RefitUnlearner
    >>> RefitUnlearner()
    RefitUnlearner()
    """

    def __init__(self, refit: Callable[[Any], Any] | None = None) -> None:
        self.refit = refit

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
        return refit(problem, self.refit).outcome(problem, "refit")


def refit(problem: ForgetProblem, train: Callable[[Any], Any] | None = None) -> Progress:
    """State after a cold fit of what remains, by `train` if it is given."""
    fitted = problem.refit() if train is None else problem.refit(train)
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
