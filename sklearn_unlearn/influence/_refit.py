"""The strategy that fits again."""

from __future__ import annotations

from sklearn.base import BaseEstimator

from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem, Progress, Rules

__all__ = ["RefitUnlearner", "refit"]


class RefitUnlearner(BaseEstimator):
    """Fit again, from a cold start, on what remains: the slow answer that is always right.

    See Also
    --------
    InfluenceUnlearner : Newton steps from the old parameters.

    Examples
    --------
    >>> from sklearn_unlearn.influence import RefitUnlearner
    >>> RefitUnlearner()
    RefitUnlearner()
    """

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
        return refit(problem).outcome(problem, Rules("refit", None, False, "raise"))


def refit(problem: ForgetProblem) -> Progress:
    """State after a cold fit of what remains."""
    fitted = problem.refit()
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
