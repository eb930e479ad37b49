"""The public verbs that add interactions to a fitted model: `learn` and `rectify`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklearn_unlearn._forget_request import ForgetRequest, validate_forget_request
from sklearn_unlearn._learn_request import (
    Change,
    NewInteractions,
    change_of,
    nothing_to_forget,
    read_new,
)
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._verbs import (
    lock_of,
    refuse_not_finite,
    refusing_overflow,
    snapshot,
)

__all__ = ["LearnMixin"]


class LearnMixin:
    """Mixin that adds ``learn`` and ``rectify`` to an estimator that has `ForgetMixin`.

    The hook is that of `ForgetMixin`: ``_forget(retained, request)`` is given the interactions
    after the request, and finds in ``request.added`` the positions of those that are new there. It
    runs on a model of which ``_grown(data)`` has made one of the larger table, where new users and
    items are there and hold nothing: it returns the attributes that a fit to the same interactions
    in that table would have.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator
    >>> from sklearn_unlearn.base import ForgetMixin, LearnMixin
    >>> from sklearn_unlearn.interactions import Interactions
    >>> class Popularity(LearnMixin, ForgetMixin, BaseEstimator):
    ...     def fit(self, X, y=None):
    ...         self._interactions = Interactions.from_matrix(X)
    ...         self.counts_ = self._interactions.item_degrees
    ...         return self
    ...
    ...     def _forget(self, retained, request):
    ...         return {"counts_": retained.item_degrees}
    ...
    ...     def _grown(self, data):
    ...         return {"counts_": data.item_degrees}
    >>> model = Popularity().fit([[1, 1, 0], [0, 1, 1]])
    >>> model.learn([[0, 2], [2, 3]]).counts_
    array([1, 2, 2, 1])
    >>> model.rectify([[0, 2]], [[0, 3]]).counts_
    array([1, 2, 1, 2])
    """

    _interactions: Interactions
    _forget: Callable[[Interactions, ForgetRequest], dict[str, Any]]
    _computed: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    _check_fitted: Callable[[], None]
    _check_parameters: Callable[[], None]
    _threads: Callable[[], AbstractContextManager[None]]

    def learn(
        self,
        interactions: Any,
        values: Any = None,
        *,
        n_users: int | None = None,
        n_items: int | None = None,
        existing: str = "raise",
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Make the model what it would be had some more interactions been in its training data.

        The counterpart of `forget`: the same checks before anything changes, the same ways to the
        new state, the same guarantees. Positions beyond the training matrix are new users and
        items: the table grows, and no position moves.

        Parameters
        ----------
        interactions : array-like, tuple, sparse container or boolean array
            Integer array of shape (n, 2) of (user, item) positions; tuple ``(users, items)``; or a
            matrix of at least the shape of the training matrix: a sparse container, whose nonzeros
            are new interactions with their values, or a boolean array. Duplicates are summed, as
            `fit` does.

        values : None, float or array-like of shape (n,), default=None
            Values of the pairs, as in X; None is 1. Where signs are labels, as in
            `MatrixFactorization` with the logistic loss, 1 is a like, and a dislike is -1.

        n_users, n_items : int or None, default=None
            Shape of the table afterwards. None is as large as it has to be.

        existing : {"raise", "ignore", "replace", "add"}, default="raise"
            What to do about pairs that the model has learned already: refuse the request, leave
            them as they are, take the new value, or add it to the old one, as to counts. With
            "ignore" or "replace", a repeated request changes nothing.

        sample_weight : array-like of shape (n_users,) or None, default=None
            Weights of the users of the table afterwards, as in `fit`. Looked at for users who had
            no interactions before; others keep theirs. None is 1.

        Returns
        -------
        self : object
            The same estimator, with ``learn_report_``. A request that holds nothing new, nor a
            larger shape, changes no attribute.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model is not fitted.
        TypeError
            For frames, strings and floats where positions are expected.
        ValueError
            For a wrong shape, and for values that the model could not be fitted to.
        KnownInteractionError
            With ``existing="raise"``, for pairs that the model has learned already.
        TooLargeError
            If there is no room for a table of the new shape.
        ChangedParameterError
            If a parameter that the fitted state rests on was changed after `fit`.

        Examples
        --------
        >>> from sklearn_unlearn import EASE
        >>> model = EASE(1.0).fit([[1, 1, 0], [0, 1, 1], [1, 1, 0]])
        >>> model.learn([[2, 2], [3, 0], [3, 3]]).learn_report_.guarantee
        'exact'
        >>> model.recommend(users=[3], n_items=1)[0]
        array([[1]])
        """
        self._check_fitted()
        new = {"values": values, "n_users": n_users, "n_items": n_items}
        return self._change(interactions, new, None, existing, sample_weight)

    def rectify(
        self,
        old: Any,
        new: Any,
        values: Any = None,
        *,
        users: Any = None,
        items: Any = None,
        missing: str = "raise",
        n_users: int | None = None,
        n_items: int | None = None,
        existing: str = "raise",
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Forget some interactions and learn others in one request, as when a value was wrong.

        Parameters
        ----------
        old : None, array-like, tuple or mask
            What to forget, in any form that `forget` takes.

        new : array-like, tuple, sparse container or boolean array
            What to learn, in any form that `learn` takes. Pairs of `old` may be among them.

        values : None, float or array-like of shape (n,), default=None
            Values of pairs in `new`; None is 1.

        users, items : None, int, array-like of int or of bool, default=None
            Users and items to forget as a whole beside `old`: their rows and columns are replaced.

        missing : {"raise", "ignore"}, default="raise"
            As in `forget`, of `old`, `users` and `items`.

        n_users, n_items, existing, sample_weight
            As in `learn`. A pair of `new` counts as known if it is not forgotten.

        Returns
        -------
        self : object
            The same estimator, with ``learn_report_``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            As in `forget` and `learn`.
        UnknownInteractionError
            With ``missing="raise"``, if the model was never trained on part of what is to go.
        KnownInteractionError
            With ``existing="raise"``, for other pairs that the model has learned already.
        ChangedParameterError
            If a parameter that the fitted state rests on was changed after `fit`.

        Examples
        --------
        >>> from sklearn_unlearn import EASE
        >>> model = EASE(1.0).fit([[1, 1, 0], [0, 1, 1], [1, 1, 0]])
        >>> report = model.rectify([[0, 1]], [[0, 1], [0, 2]], [3, 1]).learn_report_
        >>> report.n_interactions, report.n_learned
        (1, 2)
        """
        self._check_fitted()
        gone = {"interactions": old, "users": users, "items": items, "missing": missing}
        kept = {"values": values, "n_users": n_users, "n_items": n_items}
        return self._change(new, kept, gone, existing, sample_weight)

    def _change(
        self,
        interactions: Any,
        rest: dict[str, Any],
        gone: dict[str, Any] | None,
        existing: str,
        sample_weight: ArrayLike | None,
    ) -> Self:
        with lock_of(self), self._threads():
            before = snapshot(self)
            before._check_parameters()
            data = before._interactions
            old = nothing_to_forget()
            new = read_new(data, interactions, **rest)
            before._check_new(new)
            if gone is not None:
                old = validate_forget_request(data, **gone)
            change = change_of(data, old, new, existing, sample_weight)
            state = before._state_after(change)
            # `before` keeps the old values alive, so no destructor can run in the middle of this
            # update.
            self.__dict__.update(state)
        return self

    def _check_new(self, new: NewInteractions) -> None:
        """Refuse new interactions that the model could not be fitted to."""
        refuse_shape = getattr(self, "_refuse_shape", None)
        if refuse_shape is not None and new.shape != self._interactions.shape:
            refuse_shape(new.shape, self._interactions.n_interactions + len(new.values), True)
        tags: Any = self.__sklearn_tags__()  # type: ignore[attr-defined]  # of BaseEstimator
        if tags.input_tags.positive_only and np.any(new.values < 0):
            raise ValueError(
                f"{np.count_nonzero(new.values < 0)} of {len(new.values)} values are negative; "
                f"expected positive ones, as {type(self).__name__} was fitted to such. Leave these "
                "interactions out, or forget them."
            )

    def _state_after(self, change: Change) -> dict[str, Any]:
        """Attributes that a request changes, computed on a snapshot."""
        model, state = snapshot(self), {}
        if change.before is not self._interactions:
            state = {"_interactions": change.before, **self._sides(change.before)}
            state.update(self._grown(change.before))
            model.__dict__.update(state)
        if change.request.is_empty:
            return state
        with refusing_overflow(self):
            answer = model._forget(change.after, change.request)
        refuse_not_finite(self, model._computed(answer))
        answer = {**answer, "_interactions": change.after}
        if "forget_report_" in answer:
            answer["learn_report_"] = answer.pop("forget_report_")
        return {**state, **answer}

    def _sides(self, data: Interactions) -> dict[str, Any]:
        """Attributes of scikit-learn's that say how many items there are."""
        state: dict[str, Any] = {}
        if "n_features_in_" in self.__dict__:
            state["n_features_in_"] = data.n_items
        if "feature_names_in_" in self.__dict__:
            names = self.__dict__["feature_names_in_"]
            # As scikit-learn names columns without a name.
            more = [f"x{item}" for item in range(len(names), data.n_items)]
            state["feature_names_in_"] = np.append(names, np.array(more, dtype=object))
        return state

    def _grown(self, data: Interactions) -> dict[str, Any]:
        raise NotImplementedError(
            f"{type(self).__name__} must define _grown(data) to learn of new users and items"
        )
