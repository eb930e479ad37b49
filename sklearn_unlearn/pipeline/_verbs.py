"""The verbs of a recommender, in ids: recommend, predict_pairs, forget, certify."""

from __future__ import annotations

import copy
import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_unlearn.exceptions import DataWarning
from sklearn_unlearn.pipeline._steps import is_skipped
from sklearn_unlearn.pipeline._tables import make_table
from sklearn_unlearn.pipeline._translation import IdRequest, as_ids, read_request
from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.preprocessing._columns import table_kind
from sklearn_unlearn.utils._verbs import lock_of, snapshot

__all__ = ["RecommenderVerbs", "changes_of", "emptied_users", "last_has"]


def last_has(name: str) -> Any:
    """Make a verb available where the last step has it."""

    def check(self: Any) -> bool:
        # AttributeError, with the name of the missing attribute, is what available_if expects.
        getattr(self._final_estimator, name)
        return True

    return available_if(check)


class RecommenderVerbs:
    """What a pipeline adds to scikit-learn's: each verb is there where the last step has it."""

    steps: list[tuple[str, Any]]
    _final_estimator: Any

    @last_has("recommend")
    def recommend(
        self,
        X: Any = None,
        *,
        users: Any = None,
        n_items: int = 10,
        exclude_seen: bool = True,
        candidates: Any = None,
    ) -> Any:
        """List the best items for each user.

        Pass either `users`, ids that `fit` saw, or `X`, events of users to fold in.

        Parameters
        ----------
        X : table of events or None, default=None
            Users of these events are folded in, known or not; the model does not change. The lists
            are in ascending order of their ids. Without events there are no lists.
        users : id, or list, array or series of ids, default=None
            Known users, in any order.
        n_items : int, default=10
            Length of each list, at most the number of items.
        exclude_seen : bool, default=True
            Whether to leave out the items of the user's own events.
        candidates : id, or list, array or series of ids, default=None
            Items to choose from; None means all.

        Returns
        -------
        recommendations : table of at most (n_users * n_items) rows
            Columns: user and item, called as in the events, ``score`` and ``rank`` (from 1), best
            first. The kind of `X` where that is given, else of the events of `fit`. Without an
            encoder: ``(items, scores)``, as the recommender gives them.

        Raises
        ------
        UnknownInteractionError
            An id is not known and the encoder has ``unknown="error"``; with "ignore", unknown users
            are left out.
        ValueError
            If both or none of `X` and `users` are passed, or an argument is out of range.

        Warns
        -----
        DataWarning
            If a user of `X` has no event of an item that the encoder knows, which only happens with
            ``unknown="ignore"``: the list of such a user follows from nothing.
        """
        check_is_fitted(self)
        view = self._snapshot()
        options: dict[str, Any] = {"n_items": n_items, "exclude_seen": exclude_seen}
        encoder, model = view._encoder, view.steps[-1][1]
        if encoder is None:
            rows = None if X is None else view._entries(X)
            return model.recommend(rows, users=users, candidates=candidates, **options)
        if (X is None) == (users is None):
            raise ValueError(
                f"recommend got {'none' if X is None else 'both'} of X and users; expected exactly "
                "one. Pass users for ids that fit saw, X for events of users to fold in."
            )
        if candidates is not None:
            positions = encoder.encode_items(as_ids(candidates))
            options["candidates"] = positions[positions >= 0]
        if X is None:
            known = encoder.encode_users(as_ids(users))
            known = known[known >= 0]
            kind, ids = encoder._kind, encoder.decode_users(known)
            items, scores = model.recommend(users=known, **options)
        else:
            kind, (ids, rows) = table_kind(X), encoder.transform_new_users(X)
            _warn_of_empty(rows)
            items, scores = model.recommend(view._entries(rows, start=1), **options)
        return make_table(encoder, kind, ids, items, scores)

    @last_has("predict_pairs")
    def predict_pairs(self, events: Any) -> NDArray[Any]:
        """Score pairs of known users and items.

        Parameters
        ----------
        events : table of n_events rows
            Values are not looked at; the pairs need not have been observed.

        Returns
        -------
        scores : ndarray of float, shape (n_events,)
            In the order of the events; NaN for ids that are unknown, where the encoder has
            ``unknown="ignore"``.

        Raises
        ------
        UnknownInteractionError
            An id is not known and the encoder has ``unknown="error"``.
        """
        check_is_fitted(self)
        view = self._snapshot()
        encoder, model = view._encoder, view.steps[-1][1]
        if encoder is None:
            return model.predict_pairs(events)
        pairs = encoder.encode_pairs(events)
        known = (pairs >= 0).all(axis=1)
        scores = np.full(len(pairs), np.nan)
        scores[known] = model.predict_pairs(pairs[known])
        return scores

    @last_has("forget")
    def forget(
        self,
        interactions: Any = None,
        *,
        users: Any = None,
        items: Any = None,
        missing: str = "raise",
    ) -> Self:
        """Make the pipeline what it would be had it never seen some of its training data.

        All parts of the request are united, and checked in full before anything changes. The ids of
        users that have no interactions afterwards are erased: they are unknown from then on. Items
        keep their ids, and may be recommended again.

        Parameters
        ----------
        interactions : table of events or None, default=None
            Each event names the interaction of a user with an item, with all events that it was
            made of; values are not looked at.
        users, items : id, or list, array or series of ids, default=None
            Users and items to forget as a whole.
        missing : {"raise", "ignore"}, default="raise"
            What to do about ids and pairs that are not known, or forgotten already. With "ignore",
            a repeated request changes nothing.

        Returns
        -------
        self : object
            The pipeline.

        Raises
        ------
        UnknownInteractionError
            With ``missing="raise"``, if the model was never trained on part of the request.
        TypeError, ValueError
            If the request is no table or list of ids, or nothing was passed.
        """
        check_is_fitted(self)
        model = self.steps[-1][1]
        with lock_of(model):
            encoder = self._encoder
            if encoder is None:
                model.forget(interactions, users=users, items=items, missing=missing)
                return self
            request = self._read(interactions, users, items, missing)
            after = copy.copy(model).forget(
                request.pairs, users=request.users, items=request.items, missing="ignore"
            )
            ids = snapshot(encoder)
            ids._erase_users(emptied_users(model._interactions, after._interactions, request.named))
            changes = [(model, changes_of(model, after)), (encoder, changes_of(encoder, ids))]
            with lock_of(self):
                for step, attributes in changes:
                    step.__dict__.update(attributes)
        return self

    @last_has("certify")
    def certify(self, tol: float = 1e-6) -> Any:
        """Check the recommender for global optimality.

        Parameters
        ----------
        tol : float, default=1e-6
            Relative duality gap that counts as certified.

        Returns
        -------
        certificate : OptimalityCertificate
            See the recommender's method.
        """
        check_is_fitted(self)
        return self.steps[-1][1].certify(tol)

    @property
    def forget_report_(self) -> Any:
        """Report of the last request, of the recommender."""
        return self._final_estimator.forget_report_

    @property
    def _interactions(self) -> Any:
        return self._final_estimator._interactions

    @property
    def _encoder(self) -> InteractionEncoder | None:
        first = self.steps[0][1]
        return first if isinstance(first, InteractionEncoder) else None

    def _to_positions(self, request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the recommender and a request of ids as one of positions, for what compares them.

        The keys of `request` are the arguments of `forget`.
        """
        check_is_fitted(self)
        model, encoder = self.steps[-1][1], self._encoder
        if encoder is None:
            return model, request
        get = request.get
        found = self._read(get("interactions"), get("users"), get("items"), "raise")
        positions = {"interactions": found.pairs, "users": found.users, "items": found.items}
        return model, {name: positions[name] for name in request}

    def _read(self, interactions: Any, users: Any, items: Any, missing: str) -> IdRequest:
        """Read a request of ids; the encoder is lenient, and `missing` decides."""
        lenient = snapshot(self._encoder).set_params(unknown="ignore")
        data = self.steps[-1][1]._interactions
        return read_request(lenient, data, interactions, users, items, missing)

    def _entries(self, X: Any, start: int = 0) -> Any:
        """Pass a matrix through the steps before the last, from `start` on."""
        if not np.shape(X)[0]:
            return X  # transformers refuse a matrix without rows, which has no value to change
        for _, step in self.steps[start:-1]:
            X = X if is_skipped(step) else step.transform(X)
        return X

    def _snapshot(self) -> Self:
        """Return a pipeline of steps that belong to one moment."""
        with lock_of(self):
            return copy.copy(self)


def _warn_of_empty(rows: Any) -> None:
    """Say of how many users to fold in nothing is known."""
    n_empty = int(np.count_nonzero(np.diff(rows.indptr) == 0))
    if n_empty:
        warnings.warn(
            f"{n_empty} of {rows.shape[0]} users have no event of an item that the model knows; "
            "expected at least one each, as their lists otherwise follow from nothing. Leave these "
            "users out, or recommend what is popular.",
            DataWarning,
            stacklevel=3,
        )


def emptied_users(before: Any, after: Any, named: NDArray[np.int64]) -> NDArray[np.int64]:
    """Users that have no interactions, but had some or are named by the request."""
    concerned = before.user_degrees > 0
    concerned[named] = True
    return np.flatnonzero(concerned & (after.user_degrees == 0))


def changes_of(before: Any, after: Any) -> dict[str, Any]:
    """Attributes of one object that are not those of the other."""
    old = before.__dict__
    return {name: value for name, value in after.__dict__.items() if old.get(name) is not value}
