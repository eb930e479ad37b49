"""UnlearningRecommender: a fitted model and the way it forgets, as one estimator to tune."""

from __future__ import annotations

import copy
from typing import Any, Self

from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_unlearn.influence import Unlearner
from sklearn_unlearn.recommenders._strategies import check_unlearner
from sklearn_unlearn.utils._doc_links import DocLinkMixin

__all__ = ["UnlearningRecommender"]


def _delegate(name: str) -> Any:
    """Make a verb available where the recommender inside has it."""

    def check(self: Any) -> bool:
        # AttributeError, with the name of the missing attribute, is what available_if expects.
        getattr(self.__dict__.get("estimator_", self.estimator), name)
        return True

    return available_if(check)


def _reads(name: str, *, last_step: bool = False) -> property:
    """Make a read-only attribute that is the fitted recommender's."""

    def read(self: Any) -> Any:
        return getattr(_last_step(self.estimator_) if last_step else self.estimator_, name)

    return property(read, doc=f"`{name}` of the fitted recommender.")


class UnlearningRecommender(DocLinkMixin, MetaEstimatorMixin, BaseEstimator):
    """A recommender together with the way it forgets, so that the latter can be tuned by itself.

    Around a `sklearn.frozen.FrozenEstimator`, `fit` trains nothing: it copies the fitted model, so
    that a search over the parameters of `unlearner` costs no training, and the model inside never
    forgets what the copy is asked to forget. Around any other estimator, `fit` fits a clone of it.

    Parameters
    ----------
    estimator : recommender, pipeline, or FrozenEstimator of one
        What recommends. Of a pipeline, the last step forgets.

    unlearner : None, "influence", "sweep", "refit" or a strategy, default=None
        How to forget; set on a copy of `estimator`. None leaves its own setting.

    Attributes
    ----------
    estimator_ : recommender or pipeline
        The fitted one, that answers and forgets.

    forget_report_, learn_report_ : ForgetReport
        What the last request to forget, and the last to learn or rectify, did; only there after
        such.

    converged_ : bool
        Whether fit and later requests met their tolerances.

    n_features_in_ : int
        Number of items.

    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items; only there if `estimator_` has them.

    user_factors_, item_factors_ : ndarray
        Of factor models.

    See Also
    --------
    sklearn_unlearn.metrics.make_forget_scorer : What a search over forget settings maximises.

    Notes
    -----
    `estimator_` is replaced as a whole by `fit` and changes at once by `forget`, so what reads it
    meanwhile is never torn. A shallow copy has an `estimator_` of its own.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn_unlearn import MatrixFactorization, UnlearningRecommender
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.influence import InfluenceUnlearner
    >>> X = make_interactions(60, 40, random_state=0)
    >>> model = MatrixFactorization(8, regularization=3.0, random_state=0).fit(X)
    >>> ifru = InfluenceUnlearner(n_steps=1, tol=None)
    >>> wrapped = UnlearningRecommender(FrozenEstimator(model), ifru).fit(X)
    >>> wrapped.forget(users=[7]).forget_report_.guarantee
    'one-step'
    >>> hasattr(model, "forget_report_")
    False
    """

    def __init__(self, estimator: Any, unlearner: str | Unlearner | None = None) -> None:
        self.estimator = estimator
        self.unlearner = unlearner

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Copy the frozen model, or fit a clone of `estimator`.

        Parameters
        ----------
        X : what `estimator` takes
            Not looked at if `estimator` is frozen.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_users,), default=None
            Handed to `estimator`, unless it is frozen.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the frozen model is not fitted.
        TypeError, ValueError
            If `unlearner` is none of the above, or `estimator` has no parameter ``unlearner``.
        """
        check_unlearner(self.unlearner)
        frozen = isinstance(self.estimator, FrozenEstimator)
        model = self.estimator
        while isinstance(model, FrozenEstimator):
            model = model.estimator
        if frozen:
            check_is_fitted(model)
        # A clone keeps frozen parts as they are; what forgets must share nothing with them.
        model = copy.deepcopy(model if frozen else clone(model))
        if self.unlearner is not None:
            _check_takes_unlearner(_last_step(model))
            _last_step(model).set_params(unlearner=clone(self.unlearner, safe=False))
        if not frozen:
            weights = {} if sample_weight is None else {"sample_weight": sample_weight}
            model = model.fit(X, y, **weights)
        self.estimator_ = model
        return self

    @_delegate("transform")
    def fit_transform(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fit, then transform the same data; the parameters are those of `fit`."""
        return self.fit(X, y, sample_weight).transform(X)

    @_delegate("forget")
    def forget(self, interactions: Any = None, **request: Any) -> Self:
        """Forget as `estimator_` does, and leave the model inside `estimator` alone.

        Parameters
        ----------
        interactions : request of `estimator_`, default=None
            Positions for recommenders, events for pipelines.

        **request : dict
            ``users``, ``items`` and ``missing``.

        Returns
        -------
        self : object
            The same estimator; an error leaves it as it was.
        """
        check_is_fitted(self)
        self.estimator_.forget(interactions, **request)
        return self

    @_delegate("learn")
    def learn(self, interactions: Any, *args: Any, **request: Any) -> Self:
        """Learn as `estimator_` does, and leave the model inside `estimator` alone.

        Parameters
        ----------
        interactions : request of `estimator_`
            Positions for recommenders, events for pipelines.

        *args, **request
            What else its `learn` takes.

        Returns
        -------
        self : object
            The same estimator; an error leaves it as it was.
        """
        check_is_fitted(self)
        self.estimator_.learn(interactions, *args, **request)
        return self

    @_delegate("rectify")
    def rectify(self, old: Any, new: Any, *args: Any, **request: Any) -> Self:
        """Rectify as `estimator_` does, and leave the model inside `estimator` alone.

        Parameters
        ----------
        old, new : requests of `estimator_`
            What to forget and what to learn.

        *args, **request
            What else its `rectify` takes.

        Returns
        -------
        self : object
            The same estimator; an error leaves it as it was.
        """
        check_is_fitted(self)
        self.estimator_.rectify(old, new, *args, **request)
        return self

    @_delegate("recommend")
    def recommend(self, X: Any = None, **options: Any) -> Any:
        """Recommend as `estimator_` does.

        Parameters
        ----------
        X : rows or events to fold in, default=None
            Either this or the option ``users``.

        **options : dict
            ``users``, ``n_items``, ``exclude_seen`` and ``candidates``.

        Returns
        -------
        recommendations : what `estimator_` returns
            ``(items, scores)`` of a recommender, a table of a pipeline.
        """
        check_is_fitted(self)
        return self.estimator_.recommend(X, **options)

    @_delegate("decision_function")
    def decision_function(self, X: Any) -> Any:
        """Score every item for each row of `X`, as `estimator_` does."""
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    @_delegate("predict_pairs")
    def predict_pairs(self, pairs: Any) -> Any:
        """Score (user, item) pairs, or events, of training users, as `estimator_` does."""
        check_is_fitted(self)
        return self.estimator_.predict_pairs(pairs)

    @_delegate("transform")
    def transform(self, X: Any) -> Any:
        """Fold the rows of `X` in, as `estimator_` does."""
        check_is_fitted(self)
        return self.estimator_.transform(X)

    @_delegate("inverse_transform")
    def inverse_transform(self, U: Any) -> Any:
        """Turn what `transform` returns into scores, as `estimator_` does."""
        check_is_fitted(self)
        return self.estimator_.inverse_transform(U)

    @_delegate("score")
    def score(self, X: Any, y: Any = None) -> float:
        """Score the rows of `X`, as `estimator_` does; higher is better."""
        check_is_fitted(self)
        return self.estimator_.score(X, y)

    @_delegate("certify")
    def certify(self, tol: float = 1e-6) -> Any:
        """Check for global optimality, as `estimator_` does."""
        check_is_fitted(self)
        return self.estimator_.certify(tol)

    n_features_in_ = _reads("n_features_in_")
    feature_names_in_ = _reads("feature_names_in_")
    user_factors_ = _reads("user_factors_")
    item_factors_ = _reads("item_factors_")
    converged_ = _reads("converged_", last_step=True)
    forget_report_ = _reads("forget_report_", last_step=True)
    learn_report_ = _reads("learn_report_", last_step=True)
    _interactions = _reads("_interactions", last_step=True)

    def __copy__(self) -> Self:
        twin = object.__new__(type(self))
        twin.__dict__ = self.__dict__.copy()
        if "estimator_" in twin.__dict__:
            twin.estimator_ = _shallow_copy(twin.estimator_)
        return twin

    def __sklearn_is_fitted__(self) -> bool:
        return "estimator_" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        if not hasattr(self.estimator, "__sklearn_tags__"):
            return super().__sklearn_tags__()
        tags = copy.deepcopy(get_tags(self.estimator))
        # A frozen model asks to be left out of the checks, as it cannot be fitted; this one can.
        tags._skip_test = False
        return tags


def _last_step(model: Any) -> Any:
    """Return the last step of a pipeline, or the model itself."""
    while isinstance(model, Pipeline):
        model = model.steps[-1][1]
    return model


def _shallow_copy(model: Any) -> Any:
    """Copy a model so that forgetting does not reach the original; a pipeline shares its steps."""
    twin = copy.copy(model)
    if isinstance(model, Pipeline):
        twin.steps = [(name, _shallow_copy(step)) for name, step in model.steps]
    return twin


def _check_takes_unlearner(model: Any) -> None:
    if "unlearner" not in (model.get_params(deep=False) if hasattr(model, "get_params") else ()):
        raise ValueError(
            f"unlearner was given and {type(model).__name__} has no such parameter; expected a "
            "recommender that can forget in several ways. Leave unlearner out, or wrap another "
            "recommender."
        )
