"""What the closed-form models share: a row is scored by what it holds, and forgetting is exact."""

from __future__ import annotations

import time
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sklearn_unlearn._forget_request import ForgetRequest
from sklearn_unlearn.base import CELLS_AT_ONCE, ForgetMixin, LearnMixin, RecommenderMixin
from sklearn_unlearn.influence import ForgetReport
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._compat import _fit_context
from sklearn_unlearn.utils._state import refuse_changed
from sklearn_unlearn.utils._verbs import refuse_not_finite, refusing_overflow, restored_on_failure

__all__ = ["ClosedFormModel"]


class ClosedFormModel(RecommenderMixin, LearnMixin, ForgetMixin, BaseEstimator):
    """Base of models in closed form: `_learn` states the form, `_downdate` corrects it.

    ``_learn(data)`` returns the attributes of a fit to some interactions. ``_downdate(retained,
    request)`` returns those of the interactions after a request, how many items they changed for,
    and a few words on how; a fourth value, a dict, replaces fields of the report. It may write to
    nothing that it reads. ``_grown(data)`` returns the attributes in a larger table.
    ``_score_rows(X)`` scores rows. Parameters that `_downdate` takes to be those of the fit are
    named in ``_fixed_by_fit``.
    """

    _fixed_by_fit: tuple[str, ...] = ()

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : sparse container or array-like, shape (n_users, n_items)
            Non-negative interactions. Zero, stored or not, means not observed.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_users,), default=None
            How many users each row stands for. Weight 0 means never trained on.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X holds NaN, infinity or negative values, or no interaction at all.
        """
        with restored_on_failure(self):
            self._fit_to(self._check_training_data(X, sample_weight), self, {})
        return self

    def _fit_to(self, data: Interactions, view: Any, state: dict[str, Any]) -> None:
        """Put what a view of the model learns in place, and some state beside it."""
        with refusing_overflow(self), self._threads():
            state = {**state, **view._learn(data)}
        refuse_not_finite(self, state)
        for name in ("forget_report_", "learn_report_"):
            self.__dict__.pop(name, None)
        if self._fixed_by_fit:
            state["_fitted_with"] = tuple(getattr(self, name) for name in self._fixed_by_fit)
        self.__dict__.update(state, _interactions=data)

    def score(self, X: Any, y: Any = None) -> float:
        """Return how well the scores tell what is observed from what is not.

        Parameters
        ----------
        X : sparse container or array-like, shape (n, n_items)
            Interactions of the rows.

        y : None
            Ignored.

        Returns
        -------
        score : float
            The mean over rows of the probability that an observed item has a higher score than one
            that is not, ties counting half; rows without either are left out. The rows are scored
            on what they hold: rank held-out items with `sklearn_unlearn.metrics` to judge
            recommendations.
        """
        check_is_fitted(self)
        rows = self._check_rows(X)
        step = max(1, CELLS_AT_ONCE // rows.shape[1])
        with self._threads():
            chances = [
                _chances(self._score_rows(rows[start : start + step]), rows[start : start + step])
                for start in range(0, rows.shape[0], step)
            ]
        return float(np.mean(np.concatenate(chances)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.forget_tags.exact = True
        return tags

    # -- hooks of the family -----------------------------------------------------------------------
    def _learn(self, data: Interactions) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} must define _learn(data)")

    def _downdate(self, retained: Interactions, request: ForgetRequest) -> tuple[Any, ...]:
        raise NotImplementedError(f"{type(self).__name__} must define _downdate(retained, request)")

    # -- hooks of the mixins -----------------------------------------------------------------------
    def _check_parameters(self) -> None:
        fitted = vars(self).get("_fitted_with", ())  # models of older files do not have them
        for name, value in zip(self._fixed_by_fit, fitted, strict=False):
            refuse_changed(self, name, value)

    def _forget(self, retained: Interactions, request: ForgetRequest) -> dict[str, Any]:
        state, n_updated, status, *more = self._downdate(retained, request)
        fields: dict[str, Any] = {
            "method": "update" if len(request.added) else "downdate",
            "guarantee": "exact",
            "n_steps": 0,
            "n_solver_iter": 0,
            "gradient_norm": (0.0, 0.0),
            "residual": 0.0,
        }
        report = ForgetReport(
            status=status,
            n_interactions=request.n_interactions,
            n_users=request.n_users,
            n_items=request.n_items,
            n_rows_updated=n_updated,
            **{**fields, **(more[0] if more else {})},
            seconds=time.perf_counter() - request.started,
            n_learned=len(request.added),
        )
        return {**state, "forget_report_": report}


def _chances(scores: NDArray[Any], rows: Any) -> NDArray[np.float64]:
    """Probability, for each row, that an observed item is scored above one that is not."""
    from scipy.stats import rankdata

    ranks = rankdata(scores, axis=1)
    n_seen = np.diff(rows.indptr)
    sums = np.bincount(
        np.repeat(np.arange(len(n_seen)), n_seen),
        ranks[np.repeat(np.arange(len(n_seen)), n_seen), rows.indices],
        minlength=len(n_seen),
    )
    pairs = n_seen * (scores.shape[1] - n_seen)
    told = pairs > 0
    return (sums[told] - n_seen[told] * (n_seen[told] + 1) / 2) / pairs[told]
