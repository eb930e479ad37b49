"""The verbs of a recommender that add interactions, in ids: learn and rectify."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from sklearn_unlearn._learn_request import read_new
from sklearn_unlearn.exceptions import KnownInteractionError
from sklearn_unlearn.pipeline._steps import is_skipped
from sklearn_unlearn.pipeline._translation import read_request
from sklearn_unlearn.pipeline._verbs import changes_of, emptied_users, last_has
from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.utils._verbs import lock_of, snapshot

__all__ = ["LearningVerbs"]


class LearningVerbs:
    """What a pipeline adds to `RecommenderVerbs` where the last step learns."""

    steps: list[tuple[str, Any]]
    _encoder: InteractionEncoder | None

    @last_has("learn")
    def learn(
        self, interactions: Any, values: Any = None, *, existing: str = "raise", **options: Any
    ) -> Self:
        """Make the pipeline what it would be had some more events been in its training data.

        Everything is checked before anything changes. New ids get positions behind the known ones;
        that of a user who was forgotten is new as well.

        Parameters
        ----------
        interactions : table of events
            As in `fit`; repeated pairs are taken together by the encoder's rule for duplicates.
            Without an encoder: what the recommender's `learn` takes.
        values : None, float or array-like, default=None
            Without an encoder, values of pairs; those of events are in the table.
        existing : {"raise", "ignore", "replace", "add"}, default="raise"
            What to do about pairs that the model has learned already: refuse the request, leave
            them as they are, take the new value, or add it to the old one. "add" needs a pipeline
            whose steps leave values alone.
        **options : dict
            Without an encoder, what else the recommender's `learn` takes.

        Returns
        -------
        self : object
            The pipeline, with ``learn_report_``.

        Raises
        ------
        KnownInteractionError
            With ``existing="raise"``, for pairs that the model has learned already.
        TypeError, ValueError
            If the events could not be fitted to, or their ids are of another type than those of
            `fit`.
        """
        return self._learn(interactions, None, existing, {"values": values, **options})

    @last_has("rectify")
    def rectify(
        self,
        old: Any,
        new: Any,
        values: Any = None,
        *,
        users: Any = None,
        items: Any = None,
        missing: str = "raise",
        existing: str = "raise",
        **options: Any,
    ) -> Self:
        """Forget some events and learn others in one request, as when a value was wrong.

        Parameters
        ----------
        old : table of events or None
            What to forget, as in `forget`.
        new : table of events
            What to learn, as in `learn`. Pairs of `old` may be among them.
        values : None, float or array-like, default=None
            As in `learn`.
        users, items : id, or list, array or series of ids, default=None
            Users and items to forget as a whole beside `old`: their events are replaced.
        missing : {"raise", "ignore"}, default="raise"
            As in `forget`, of `old`, `users` and `items`.
        existing, **options
            As in `learn`. A pair of `new` counts as known if it is not forgotten.

        Returns
        -------
        self : object
            The pipeline, with ``learn_report_``.

        Raises
        ------
        UnknownInteractionError, KnownInteractionError, TypeError, ValueError
            As in `forget` and `learn`.
        """
        gone = {"users": users, "items": items, "missing": missing}
        options = {"values": values, **options}
        return self._learn(new, {"interactions": old, **gone}, existing, options)

    @property
    def learn_report_(self) -> Any:
        """Report of the last request to learn or rectify, of the recommender."""
        return self.steps[-1][1].learn_report_

    def _learn(
        self, new: Any, old: dict[str, Any] | None, existing: str, options: dict[str, Any]
    ) -> Self:
        check_is_fitted(self)
        model = self.steps[-1][1]
        with lock_of(model):
            encoder, data = self._encoder, model._interactions
            if existing == "add":
                self._refuse_sums()
            named, ids = np.empty(0, np.int64), None
            if encoder is None:
                X, options = _as_matrix(data, new, options)
            else:
                options = _refused(options)
                ids, X = encoder._extended(new)
                if old is not None:
                    lenient = snapshot(encoder).set_params(unknown="ignore")
                    request = read_request(
                        lenient,
                        data,
                        old["interactions"],
                        old["users"],
                        old["items"],
                        old["missing"],
                    )
                    named = request.named
                    old = {"interactions": request.pairs, "missing": "ignore"}
                    old |= {"users": request.users, "items": request.items}
            steps = self._wider(X.shape[1])
            for _, twin in steps:
                X = twin.transform(X)
            after = _learned(copy.copy(model), X, old, existing, options, encoder is not None)
            changes = [(model, changes_of(model, after))]
            changes += [(step, changes_of(step, twin)) for step, twin in steps]
            if encoder is not None and ids is not None:
                before = data.grown(after._interactions.shape)
                ids._erase_users(emptied_users(before, after._interactions, named))
                changes.append((encoder, changes_of(encoder, ids)))
            with lock_of(self):
                for step, attributes in changes:
                    step.__dict__.update(attributes)
        return self

    def _wider(self, n_items: int) -> list[tuple[Any, Any]]:
        """List the steps between encoder and recommender, each with a twin for so many items."""
        found = []
        for _, step in self.steps[:-1]:
            if is_skipped(step) or step is self._encoder:
                continue
            twin = copy.copy(step)
            if "n_features_in_" in twin.__dict__:
                twin.n_features_in_ = n_items
            found.append((step, twin))
        return found

    def _refuse_sums(self) -> None:
        if self._wider(0):
            raise ValueError(
                "existing is 'add' and the pipeline has steps that change values; expected none, "
                "as what they make of a sum is no sum of what they make. Pass existing='replace' "
                "with the whole value."
            )


def _as_matrix(data: Any, new: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Interactions in positions as a matrix, and the options that are left."""
    rest = dict(options)
    sides = {name: rest.pop(name, None) for name in ("values", "n_users", "n_items")}
    read = read_new(data, new, **sides)
    cells = read.values, (read.users, read.items)
    return sparse.csr_array(cells, shape=read.shape), rest


def _learned(
    model: Any,
    X: Any,
    old: dict[str, Any] | None,
    existing: str,
    options: dict[str, Any],
    in_ids: bool,
) -> Any:
    """Let a copy of the recommender learn; speak of ids where the caller does."""
    try:
        if old is None:
            return model.learn(X, existing=existing, **options)
        gone = dict(old)
        return model.rectify(gone.pop("interactions"), X, **gone, existing=existing, **options)
    except KnownInteractionError:
        if not in_ids:
            raise
    raise KnownInteractionError(
        f"some of the {X.nnz} pairs of the events are learned already; expected new pairs only. "
        "Drop their events, or pass existing='replace' or 'ignore'."
    )


def _refused(options: dict[str, Any]) -> dict[str, Any]:
    """Refuse options that events leave no room for; none are left."""
    given = sorted(name for name, value in options.items() if value is not None)
    if given:
        raise TypeError(
            f"{', '.join(given)} was given beside events; expected none, as ids and "
            "values are in the table. Leave it out."
        )
    return {}
