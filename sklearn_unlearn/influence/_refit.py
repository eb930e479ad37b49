"""The strategy that fits again."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem

__all__ = ["RefitUnlearner"]


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
        refitted = problem.refit()
        before = float(np.linalg.norm(problem.objective.gradient(problem.theta)))
        return ForgetOutcome(
            refitted.theta,
            "refit",
            "refit",
            "fitted again",
            refitted.n_steps,
            refitted.n_products,
            len(refitted.theta),
            (before, refitted.gradient_norm[1]),
            refitted.gradient_norm[1],
            refitted.converged,
            refitted.slack,
        )
