"""The public verbs of every recommender: validation, snapshots, and one atomic commit.

A model family supplies a few hooks and never writes a public verb itself::

    class Family(LearnMixin, ForgetMixin, RecommenderMixin, BaseEstimator):
        def fit(self, X, y=None, sample_weight=None): ...   # sets self._interactions
        def _forget(self, retained, request) -> dict        # the new attributes
        def _grown(self, data) -> dict                      # those of a larger table
        def _score_users(self, users) -> (n, n_items)       # rows seen in training
        def _score_rows(self, X) -> (n, n_items)            # rows that are new: fold-in
        def _score_pairs(self, users, items) -> (n,)        # cells of training rows

Every hook runs on a *snapshot* of the estimator: its attributes as they were together at one
moment. So a reader never sees half of a forget request, whatever other threads do. Arrays in the
snapshot are those of the estimator, and no hook may write to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_unlearn._forget_request import ForgetRequest, validate_forget_request
from sklearn_unlearn._learning import LearnMixin
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._compat import _check_sample_weight
from sklearn_unlearn.utils._data_warnings import warn_of_events
from sklearn_unlearn.utils._doc_links import DocLinkMixin
from sklearn_unlearn.utils._matrices import as_numbers, check_magnitude
from sklearn_unlearn.utils._matrix_mistakes import mended_message, refuse_no_matrix
from sklearn_unlearn.utils._memory import refuse_beyond_memory, refuse_long_sides, stored_entries
from sklearn_unlearn.utils._ranking import best_items, scores_of_pairs
from sklearn_unlearn.utils._state import refuse_loaded
from sklearn_unlearn.utils._tags import Tags, with_forget_tags
from sklearn_unlearn.utils._validation import as_pairs, as_positions, check_n_items, refuse_masked
from sklearn_unlearn.utils._verbs import (
    blas_threads,
    finite_scores,
    lock_of,
    refuse_not_finite,
    refusing_overflow,
    snapshot,
)

__all__ = [
    "CELLS_AT_ONCE",
    "ForgetMixin",
    "ForgetRequest",
    "LearnMixin",
    "RecommenderMixin",
    "validate_forget_request",
]


# Scores are made for so many cells at a time: 32 MiB in float64.
CELLS_AT_ONCE = 2**22


class _InteractionsMixin(DocLinkMixin):
    """What forgetting and recommending have in common: a model that owns its interactions."""

    _interactions: Interactions

    def __sklearn_is_fitted__(self) -> bool:
        return "_interactions" in self.__dict__

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[misc]  # of BaseEstimator, further on
        if "_interactions" in self.__dict__:
            # Without its own __setstate__, as in some crafted files, it has no shape.
            if getattr(self._interactions, "shape", None) is None:
                refuse_loaded(self, "it has no interactions")
            if self.__dict__.get("n_features_in_", self._interactions.n_items) != (
                self._interactions.n_items
            ):
                refuse_loaded(self, "n_features_in_ is not the number of items")
            self._check_loaded(self.__dict__)

    def __copy__(self) -> Self:
        return snapshot(self)  # as ever, and without the checks of what comes from a file

    def _check_loaded(self, state: Mapping[str, Any]) -> None:
        """Refuse a state, read from a file, that compiled code could not index (`utils._state`)."""

    def _check_parameters(self) -> None:
        """Refuse parameters that were changed after `fit` and that the fitted state rests on."""

    def _computed(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what has to be finite of a state that a request computed."""
        return state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()  # type: ignore[misc]  # of BaseEstimator, further on
        return with_forget_tags(tags)

    def _check_fitted(self) -> None:
        """Raise NotFittedError before `fit`; scikit-learn's check makes all tags."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)

    def _threads(self) -> AbstractContextManager[None]:
        """Context of every verb: `n_jobs` governs BLAS too, where an estimator has it."""
        return blas_threads(self.n_jobs) if hasattr(self, "n_jobs") else nullcontext()


class ForgetMixin(_InteractionsMixin):
    """Mixin that adds ``forget`` to an estimator.

    The estimator supplies ``_forget(retained, request)``, which returns a dict of the attributes
    that change, ``forget_report_`` among them. It must not write to the arrays that it reads.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator
    >>> from sklearn_unlearn.base import ForgetMixin
    >>> from sklearn_unlearn.interactions import Interactions
    >>> class Popularity(ForgetMixin, BaseEstimator):
    ...     def fit(self, X, y=None):
    ...         self._interactions = Interactions.from_matrix(X)
    ...         self.counts_ = self._interactions.item_degrees
    ...         return self
    ...
    ...     def _forget(self, retained, request):
    ...         return {"counts_": retained.item_degrees}
    >>> model = Popularity().fit([[1, 1, 0], [0, 1, 1]])
    >>> model.forget([[0, 1]]).counts_
    array([1, 1, 1])
    >>> model.forget(users=1).counts_
    array([1, 0, 0])
    """

    def forget(
        self,
        interactions: Any = None,
        *,
        users: Any = None,
        items: Any = None,
        missing: str = "raise",
    ) -> Self:
        """Make the model what it would be had it never seen some of its training data.

        All parts of the request are united. They are validated in full before anything changes, and
        the new state is put in place at once: an error leaves the model as it was, bit for bit.
        Positions never move: a forgotten user is an empty row, a forgotten item keeps its column.

        Parameters
        ----------
        interactions : None, array-like, tuple or mask, default=None
            Integer array of shape (n, 2) of (user, item) positions; tuple ``(users, items)``;
            sparse container of the shape of the training matrix, nonzero means forget; boolean
            array of that shape. The dtype decides between pairs and mask.

        users : None, int, array-like of int, or boolean mask of shape (n_users,), default=None
            Users to forget as a whole.

        items : None, int, array-like of int, or boolean mask of shape (n_items,), default=None
            Items to forget as a whole.

        missing : {"raise", "ignore"}, default="raise"
            What to do about interactions, users and items that the model does not know or has
            already forgotten. With "ignore", a repeated request changes nothing.

        Returns
        -------
        self : object
            The same estimator. An empty request changes no attribute.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model is not fitted.
        TypeError
            For frames, strings and floats where positions are expected.
        ValueError
            For a wrong shape, a position out of range, or if nothing was passed.
        UnknownInteractionError
            With ``missing="raise"``, if the model was never trained on part of the request.
        ChangedParameterError
            If a parameter that the fitted state rests on was changed after `fit`.
        """
        self._check_fitted()
        with lock_of(self), self._threads():
            before = snapshot(self)
            before._check_parameters()
            request = validate_forget_request(
                before._interactions, interactions, users, items, missing
            )
            if request.is_empty:
                return self
            retained = before._interactions.remove(request.positions)
            with refusing_overflow(self):
                state = before._forget(retained, request)
            refuse_not_finite(self, self._computed(state))
            # `before` keeps the old values alive, so no destructor can run in the middle of this
            # update.
            self.__dict__.update({**state, "_interactions": retained})
        return self

    def _forget(self, retained: Interactions, request: ForgetRequest) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} must define _forget(retained, request)")


class RecommenderMixin(_InteractionsMixin):
    """Mixin that adds ``recommend``, ``decision_function`` and ``predict_pairs`` to an estimator.

    The estimator supplies the hook ``_score_rows``; ``_score_users`` and ``_score_pairs`` follow
    from it, unless there is a shorter way.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator
    >>> from sklearn_unlearn.base import RecommenderMixin
    >>> class Popularity(RecommenderMixin, BaseEstimator):
    ...     def fit(self, X, y=None):
    ...         self._interactions = self._check_training_data(X)
    ...         return self
    ...
    ...     def _score_users(self, users):
    ...         return np.tile(self._interactions.item_degrees, (len(users), 1))
    >>> items, scores = Popularity().fit([[1, 1, 0], [0, 1, 1]]).recommend(users=[0], n_items=2)
    >>> items
    array([[ 2, -1]])
    >>> scores
    array([[  1., -inf]])
    """

    _estimator_type = "recommender"

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "recommender"
        tags.input_tags.sparse = True
        return tags

    def recommend(
        self,
        X: Any = None,
        *,
        users: Any = None,
        n_items: int = 10,
        exclude_seen: bool = True,
        candidates: Any = None,
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """List the best items for each user.

        Pass either `users`, rows of the training matrix, or `X`, rows of new users.

        Parameters
        ----------
        X : sparse container or array-like, shape (n, n_items), or None, default=None
            Interactions of users to fold in, of none too. The model does not change.

        users : None, int, array-like of int, or boolean mask of shape (n_users,), default=None
            Positions of training users, in any order.

        n_items : int, default=10
            Length of each list, at most the number of items.

        exclude_seen : bool, default=True
            Whether to leave out the items of the user's own row. What was forgotten is no longer
            seen.

        candidates : None, array-like of int, or boolean mask of shape (n_items,), default=None
            Items to choose from; None means all.

        Returns
        -------
        items : ndarray of int64, shape (n, n_items)
            Positions of items by descending score; ties go to the lowest position. Where fewer
            items are left to choose from, the list ends with -1.

        scores : ndarray of float, shape (n, n_items)
            Their scores, minus infinity beside each -1.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model is not fitted.
        TypeError
            For ids where positions are expected.
        ValueError
            If both or none of `X` and `users` are passed, or an argument is out of range.
        """
        self._check_fitted()
        view = snapshot(self)
        shape = view._interactions.shape
        if (X is None) == (users is None):
            raise ValueError(
                f"recommend got {'none' if X is None else 'both'} of X and users; expected exactly "
                "one. Pass users for rows of the training matrix, X for the rows of new users."
            )
        n_items = check_n_items(n_items, shape[1])
        if candidates is not None:
            candidates = np.unique(as_positions(candidates, shape[1], "candidates", "items"))
        if X is None:
            rows = as_positions(users, shape[0], "users", "users")
            seen, score = view._seen_by, view._score_users
        else:
            own = view._check_rows(X, ensure_min_samples=0)
            rows, seen = np.arange(own.shape[0]), own.__getitem__
            score = lambda chunk: view._score_rows(own[chunk])  # noqa: E731 - one type for the name
        if not len(rows):
            return np.empty((0, n_items), np.int64), np.empty((0, n_items))
        step = max(1, CELLS_AT_ONCE // shape[1])
        with self._threads():
            lists = [
                best_items(score(chunk), seen(chunk) if exclude_seen else None, n_items, candidates)
                for chunk in (rows[i : i + step] for i in range(0, len(rows), step))
            ]
        chosen, scores = (np.concatenate(parts) for parts in zip(*lists, strict=True))
        return chosen, scores

    def decision_function(self, X: Any) -> NDArray[Any]:
        """Score every item for each row of `X`, as if the rows were new users.

        Parameters
        ----------
        X : sparse container or array-like, shape (n, n_items)
            Interactions to fold in.

        Returns
        -------
        scores : ndarray of float, shape (n, n_items)
            Higher is better.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model is not fitted.
        """
        self._check_fitted()
        view = snapshot(self)
        with self._threads():
            return finite_scores(view._score_rows(view._check_rows(X)))

    def predict_pairs(self, pairs: Any) -> NDArray[Any]:
        """Score (user, item) pairs of training users.

        Parameters
        ----------
        pairs : array-like of int, shape (n_pairs, 2), or tuple ``(users, items)``
            Positions in the training matrix; the pairs need not have been observed.

        Returns
        -------
        scores : ndarray of float, shape (n_pairs,)
            In the order given.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model is not fitted.
        TypeError
            If the positions are not integers.
        ValueError
            If the shape is wrong or a position is out of range.
        """
        self._check_fitted()
        view = snapshot(self)
        users, items = as_pairs(pairs, view._interactions.shape, "pairs")
        with self._threads():
            return finite_scores(view._score_pairs(users, items))

    # -- hooks -------------------------------------------------------------------------------------
    def _score_rows(self, X: Any) -> NDArray[Any]:
        raise NotImplementedError(f"{type(self).__name__} must define _score_rows(X)")

    def _seen_by(self, users: NDArray[np.int64]) -> Any:
        return self._interactions.rows_of_users(users)

    def _score_users(self, users: NDArray[np.int64]) -> NDArray[Any]:
        return self._score_rows(self._interactions.rows_of_users(users))

    def _score_pairs(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        step = max(1, CELLS_AT_ONCE // self._interactions.n_items)
        return scores_of_pairs(self._score_users, users, items, step)

    # -- validation --------------------------------------------------------------------------------
    def _check_training_data(self, X: Any, sample_weight: ArrayLike | None = None) -> Interactions:
        """Validate the arguments of ``fit``, set ``n_features_in_``, return a private copy."""
        X = self._validate_matrix(X, reset=True)
        warn_of_events(X, getattr(self, "feature_names_in_", None))
        refuse_masked(sample_weight, "sample_weight")
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
        data = Interactions.from_matrix(X, sample_weight)
        if not data.n_interactions:
            raise ValueError(
                f"X of shape {data.shape} holds no interaction (of a user with positive weight); "
                "expected at least one. Check that values are not all zero."
            )
        check_magnitude(data.values, "X")
        if data.row_weights is not None:
            check_magnitude(data.row_weights, "sample_weight")
        return data

    def _check_rows(self, X: Any, ensure_min_samples: int = 1) -> Any:
        """Validate rows to fold in; return them as a canonical CSR array."""
        X = self._validate_matrix(X, reset=False, ensure_min_samples=ensure_min_samples)
        rows = Interactions.from_matrix(X).to_csr()
        check_magnitude(rows.data, "X")
        return rows

    def _validate_matrix(self, X: Any, reset: bool, ensure_min_samples: int = 1) -> Any:
        self._check_memory(X, reset)
        # Without rows there is no smallest value, which the check of the signs asks for.
        empty = ensure_min_samples == 0 and getattr(X, "shape", None) and X.shape[0] == 0
        refuse_no_matrix(X, fitting=reset)
        try:
            return validate_data(
                self,
                as_numbers(X, "X"),
                reset=reset,
                accept_sparse="csr",
                dtype=(np.float64, np.float32),
                ensure_min_samples=ensure_min_samples,
                ensure_non_negative=not empty and self.__sklearn_tags__().input_tags.positive_only,
            )
        except ValueError as error:
            message = mended_message(error)
            if message is None:
                raise
        raise ValueError(message)  # outside the handler, so that it does not lead to an id

    def _check_memory(self, X: Any, fitting: bool) -> None:
        """Refuse a shape for which there is no room: of training data, or of rows to fold in."""
        sides: Any = getattr(X, "shape", ())
        if len(sides) != 2 or not all(isinstance(side, Integral) for side in sides):
            return  # for others to refuse
        self._refuse_shape((int(sides[0]), int(sides[1])), stored_entries(X), fitting)

    def _refuse_shape(self, shape: tuple[int, int], n_stored: int, fitting: bool) -> None:
        """Refuse a shape for which there is no room, given how many interactions it holds."""
        name, needed = type(self).__name__, 8 * shape[0] + 12 * n_stored
        if fitting:
            needed += self._memory_needed(*shape, n_stored)
        refuse_long_sides(shape, needed, name)
        refuse_beyond_memory(shape, needed, name, self._smaller)

    # What to use where a model is too large.
    _smaller = "Leave out users and items with few interactions."

    def _memory_needed(self, n_users: int, n_items: int, n_stored: int) -> int:
        """Return the bytes of tables that a fit allocates at least."""
        return 0
