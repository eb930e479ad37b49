"""The strategy for models that are no optimum: the same training, without what is forgotten."""

from __future__ import annotations

from numbers import Real

from sklearn.base import BaseEstimator

from sklearn_unlearn.influence._influence import InfluenceUnlearner
from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem
from sklearn_unlearn.utils._compat import Interval, StrOptions

__all__ = ["AsTrainedUnlearner"]


class AsTrainedUnlearner(BaseEstimator):
    """Answer a request, and leave the training where it was, in no more passes than a refit takes.

    A model that was stopped early, or taken over from another program, has a gradient left. A
    request that removed it would finish the training, and end in another model. Here the gradient
    that training left is subtracted, and most of what the request changed is answered: first in
    the rows that lost something, then in others as far as it takes. Nothing is fitted again unless
    `on_failure` asks for it.

    Parameters
    ----------
    tol : float, default=0.1
        Share of the gradient of the request that may be left.

    max_cost : float or None, default=1.0
        Share of what a refit costs that a request may take, counted in passes over the
        interactions. Of a model that was taken over, the refit is taken to be `n_sweeps` sweeps, or
        100 passes where it has none. None is no limit.

    on_failure : {"refit", "warn", "raise"}, default="warn"
        What to do if `tol` is not met at that cost: fit again, keep the last point and warn, or
        raise and leave the model as it was.

    See Also
    --------
    InfluenceUnlearner : For models that were fitted to an optimum.
    SweepUnlearner : The touched rows alone, or all, sweep after sweep.

    Examples
    --------
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.influence import AsTrainedUnlearner
    >>> X = abs(make_interactions(80, 60, n_interactions=700, random_state=0))
    >>> model = ALS(8, alpha=10.0, regularization=20.0, unlearner=AsTrainedUnlearner())
    >>> report = model.fit(X).forget(users=[7]).forget_report_
    >>> report.guarantee, report.residual < 0.1
    ('residual-bounded', True)
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "tol": [Interval(Real, 0, 1, closed="neither")],
        "max_cost": [None, Interval(Real, 0, None, closed="neither")],
        "on_failure": [StrOptions({"refit", "warn", "raise"})],
    }

    def __init__(
        self,
        *,
        tol: float = 0.1,
        max_cost: float | None = 1.0,
        on_failure: str = "warn",
    ) -> None:
        self.tol = tol
        self.max_cost = max_cost
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
            With ``on_failure="raise"``, if the tolerance was not met.
        """
        self._validate_params()
        influence = InfluenceUnlearner(
            tol=self.tol,
            correct_residual=True,
            on_failure=self.on_failure,
            max_cost=self.max_cost,
        )
        return influence.unlearn(problem)
