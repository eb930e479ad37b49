"""RecommenderPipeline: scikit-learn's pipeline with recommend and forget, in ids."""

from __future__ import annotations

import copy
from typing import Any, Self

from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

from sklearn_unlearn.pipeline._learning import LearningVerbs
from sklearn_unlearn.pipeline._steps import check_memory, check_steps, is_recommender, is_skipped
from sklearn_unlearn.pipeline._verbs import RecommenderVerbs, last_has
from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.utils._doc_links import DocLinkMixin
from sklearn_unlearn.utils._state import refuse_loaded
from sklearn_unlearn.utils._tags import Tags, get_forget_tags, with_forget_tags
from sklearn_unlearn.utils._verbs import restored_on_failure, snapshot

__all__ = ["RecommenderPipeline", "make_recommender_pipeline"]


class RecommenderPipeline(DocLinkMixin, LearningVerbs, RecommenderVerbs, Pipeline):
    """A pipeline that speaks ids: encoder, entry-wise steps, recommender.

    A `sklearn.pipeline.Pipeline` whose last step is a recommender, with that step's verbs. Where
    the first step is an `InteractionEncoder`, everything goes in and out in ids: `fit` takes a
    table of events, `recommend` answers with a table of the same kind, `forget` takes events or ids
    and erases the ids of users that nothing is left of. Without an encoder it speaks positions, as
    the recommender does.

    Between them only steps are accepted that treat each value by itself: forgetting then equals
    refitting the pipeline without the data. A row-wise ``Normalizer``, for instance, would leave a
    trace of a forgotten value in the others of its row.

    Parameters
    ----------
    steps : list of (str, estimator) tuples
        Names and estimators in order: an `InteractionEncoder` or none; any number of
        `EntrywiseTransformer`, ``Binarizer``, ``FunctionTransformer`` of an element-wise function,
        or ``"passthrough"``; a recommender.
    transform_input : list of str or None, default=None
        As in `sklearn.pipeline.Pipeline`.
    memory : None, default=None
        Refused: `forget` cannot reach what a cache on disk keeps.
    verbose : bool, default=False
        Whether `fit` prints the time that each step takes.

    Attributes
    ----------
    forget_report_, learn_report_ : ForgetReport
        What the last request to forget, and the last to learn or rectify, did; there is none before
        the first.

    See Also
    --------
    make_recommender_pipeline : Gives the steps names.

    Notes
    -----
    As in scikit-learn, `fit` fits the steps themselves, not copies of them; and `forget` changes
    them, so that whoever holds a step holds one that has forgotten. A shallow copy of a pipeline
    has steps of its own. Readers take a snapshot: `recommend` during `forget` sees ids and model as
    they were before the request or as they are after it.

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.pipeline import make_recommender_pipeline
    >>> from sklearn_unlearn.preprocessing import InteractionEncoder, RatingBinarizer
    >>> events = {
    ...     "user": ["al", "al", "bo", "bo", "cy", "cy"],
    ...     "item": ["tea", "jam", "tea", "rum", "jam", "rum"],
    ...     "stars": [5.0, 4.0, 4.5, 1.0, 5.0, 2.0],
    ... }
    >>> model = make_recommender_pipeline(
    ...     InteractionEncoder(value="stars"),
    ...     RatingBinarizer(threshold=4),
    ...     MatrixFactorization(n_factors=4, random_state=0),
    ... ).fit(events)
    >>> model.recommend(users=["bo"], n_items=1)["item"]
    array(['jam'], dtype=object)
    >>> model.forget(users=["al"]).forget_report_.n_interactions
    2
    >>> model.recommend(users=["al"])
    Traceback (most recent call last):
    ...
    sklearn_unlearn.exceptions.UnknownInteractionError: 1 of 1 user ids are unknown ('al'); ...
    """

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit all steps, one after the other.

        Parameters
        ----------
        X : table of events, or whatever the first step takes
            With an encoder: a frame of pandas, polars or pyarrow, a dict of columns, or an array;
            see `InteractionEncoder`.
        y : None
            Ignored.
        **params : dict
            Parameters of the steps' ``fit``, as in `sklearn.pipeline.Pipeline`.

        Returns
        -------
        self : object
            The pipeline. If a step fails, all of them are as they were before.

        Raises
        ------
        TypeError
            If a step is not allowed in a pipeline that forgets.
        ValueError
            If `memory` is set; and what the steps raise.
        """
        check_memory(self.memory)
        self._check_steps()
        steps = [step for _, step in self.steps if not is_skipped(step)]
        with restored_on_failure(*steps):
            for step in steps[:-1]:
                if hasattr(step, "set_output"):
                    step.set_output(transform="default")  # no frame can hold the sparse matrix
            return super().fit(X, y, **params)

    @last_has("transform")
    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit all steps and transform the same data.

        Parameters
        ----------
        X, y, **params
            As in `fit`.

        Returns
        -------
        Xt : ndarray or frame
            What `transform` of the last step gives.
        """
        return self.fit(X, y, **params).transform(X)

    def set_output(self, *, transform: Any = None) -> Self:
        """Set the container that `transform` of the last step gives.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            None leaves it as it is. The steps before hand a sparse matrix on, which no frame can
            hold; they are left alone.

        Returns
        -------
        self : object
            The pipeline.
        """
        if hasattr(self._final_estimator, "set_output"):
            self._final_estimator.set_output(transform=transform)
        return self

    @available_if(lambda self: not is_recommender(self._final_estimator))
    def inverse_transform(self, X: Any, **params: Any) -> Any:
        """Apply `inverse_transform` of each step in reverse order.

        There is none where the last step is a recommender: scores are no events.

        Parameters
        ----------
        X : matrix
            What the last step gives.
        **params : dict
            As in `sklearn.pipeline.Pipeline`.

        Returns
        -------
        events : table
            What the first step takes.
        """
        return super().inverse_transform(X, **params)

    def _check_steps(self) -> None:
        try:
            steps = [(name, step) for name, step in self.steps]
        except (TypeError, ValueError):
            return  # scikit-learn says what is wrong with it
        check_steps(steps)

    def __copy__(self) -> Self:
        # What shares steps with the original would forget whenever that does.
        twin = snapshot(self)
        twin.steps = [
            (name, step if is_skipped(step) else copy.copy(step)) for name, step in self.steps
        ]
        return twin

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        try:
            encoder, model = self._encoder, self._final_estimator
        except (AttributeError, IndexError, TypeError, ValueError):
            return  # steps that `fit` will refuse
        table = getattr(model, "_interactions", None)
        if encoder is None or table is None or not encoder.__sklearn_is_fitted__():
            return
        if table.shape != (encoder.n_users_, encoder.n_items_):
            refuse_loaded(self, "its encoder and its recommender differ in their shapes")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        try:
            first, last = self.steps[0][1], self._final_estimator
            tags.input_tags.two_d_array = not isinstance(first, InteractionEncoder)
            if len(self.steps) == 1:  # a step before may make any value positive
                tags.input_tags.positive_only = get_tags(last).input_tags.positive_only
            return with_forget_tags(tags, get_forget_tags(last))
        except (AttributeError, IndexError, TypeError, ValueError):
            return with_forget_tags(tags)  # steps that `fit` will refuse


def make_recommender_pipeline(
    *steps: Any, transform_input: Any = None, memory: Any = None, verbose: bool = False
) -> RecommenderPipeline:
    """Make a `RecommenderPipeline` whose steps are named after their types, in lower case.

    Parameters
    ----------
    *steps : estimators
        See `RecommenderPipeline`.
    transform_input, memory, verbose
        See `RecommenderPipeline`.

    Returns
    -------
    pipeline : RecommenderPipeline
        Not fitted.

    Examples
    --------
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.pipeline import make_recommender_pipeline
    >>> from sklearn_unlearn.preprocessing import InteractionEncoder
    >>> [name for name, _ in make_recommender_pipeline(InteractionEncoder(), ALS()).steps]
    ['interactionencoder', 'als']
    """
    named = make_pipeline(*steps).steps
    return RecommenderPipeline(
        named, transform_input=transform_input, memory=memory, verbose=verbose
    )
