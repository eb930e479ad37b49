"""Ids of a model: positions for a recommender, an encoder's ids for a pipeline that has one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.pipeline import RecommenderPipeline
from sklearn_unlearn.utils._verbs import snapshot

__all__ = ["Names"]

Positions = NDArray[np.int64]
_KINDS = ("int", "str", "UUID")


class Names:
    """A model as it is at one moment, and what its ids stand for.

    Parameters
    ----------
    model : estimator or RecommenderPipeline
        Fitted. Later changes of it are not seen.

    Attributes
    ----------
    view : estimator or RecommenderPipeline
        A copy that shares the arrays.

    recommender : estimator
        The model, or the last step of the pipeline.

    encoder : InteractionEncoder or None
        The first step of the pipeline, lenient about unknown ids.

    data : Interactions
        What the recommender holds.
    """

    def __init__(self, model: Any) -> None:
        self.view: Any
        self.encoder: Any = None
        if isinstance(model, RecommenderPipeline):
            self.view = model._snapshot()
            self.recommender = self.view.steps[-1][1]
            if self.view._encoder is not None:
                self.encoder = snapshot(self.view._encoder).set_params(unknown="ignore")
        else:
            self.view = self.recommender = copy.copy(model)
        self.data: Interactions = self.recommender._interactions
        self._known: dict[str, dict[Any, int]] = {}

    def with_known(self, users: Sequence[Any], items: Sequence[Any]) -> Names:
        """Return these names with the positions of some ids looked up already, all at once."""
        found = copy.copy(self)
        found._known = {
            "user": dict(zip(users, self.users(users).tolist(), strict=True)),
            "item": dict(zip(items, self.items(items).tolist(), strict=True)),
        }
        return found

    def check_kinds(self) -> None:
        """Refuse ids of types that a request cannot name."""
        if self.encoder is None:
            return
        for role, words in (("user", self.encoder._users), ("item", self.encoder._items)):
            if words.kind not in _KINDS:
                raise TypeError(
                    f"the {role} ids of the model are of type {words.kind}; expected int, str or "
                    "UUID. Convert them to text before the model is fitted."
                )

    def users(self, ids: Sequence[Any], *, strict: bool = False) -> Positions:
        """Return positions of users, -1 for unknown ones; if `strict`, refuse other types."""
        return self._encode(ids, "user", strict)

    def items(self, ids: Sequence[Any], *, strict: bool = False) -> Positions:
        """Return positions of items, as `users` does."""
        return self._encode(ids, "item", strict)

    def pairs(self, pairs: Sequence[Any], *, strict: bool = False) -> Positions:
        """Return positions of pairs, shape (n, 2)."""
        users = self.users([user for user, _ in pairs], strict=strict)
        items = self.items([item for _, item in pairs], strict=strict)
        return np.column_stack((users, items))

    def as_events(self, pairs: Sequence[Any]) -> dict[str, list[Any]] | None:
        """Return pairs of ids as the table of events that `forget` of a pipeline takes."""
        if not len(pairs):
            return None
        users, items = zip(*pairs, strict=True)
        return {self.encoder.user: list(users), self.encoder.item: list(items)}

    def user_ids(self, positions: Positions) -> list[Any]:
        """Return the ids of users at some positions."""
        plain = self.encoder is None or not len(positions)
        return (positions if plain else self.encoder.decode_users(positions)).tolist()

    def item_ids(self, positions: Positions) -> list[Any]:
        """Return the ids of items at some positions."""
        plain = self.encoder is None or not len(positions)
        return (positions if plain else self.encoder.decode_items(positions)).tolist()

    def _encode(self, ids: Sequence[Any], role: str, strict: bool) -> Positions:
        found = np.full(len(ids), -1, np.int64)
        if not len(ids):
            return found
        known = self._known.get(role, {})
        if not strict and all(one in known for one in ids):
            return np.array([known[one] for one in ids], np.int64)
        for kind in (int, str, UUID):
            places = [place for place, one in enumerate(ids) if isinstance(one, kind)]
            if places:
                chosen = [ids[place] for place in places]
                encode = self._positions if self.encoder is None else self._lookup
                found[places] = encode(chosen, kind, role, strict)
        return found

    def _lookup(self, ids: list[Any], kind: type, role: str, strict: bool) -> Any:
        encode = self.encoder.encode_users if role == "user" else self.encoder.encode_items
        try:
            return encode(ids)
        except (TypeError, ValueError):  # ids of another type, or integers beyond 64 bits together
            if strict:
                raise
        return [self._lookup([one], kind, role, strict)[0] for one in ids] if len(ids) > 1 else [-1]

    def _positions(self, ids: list[Any], kind: type, role: str, strict: bool) -> Any:
        size = self.data.n_users if role == "user" else self.data.n_items
        if kind is not int:
            if strict:
                raise TypeError(
                    f"the request names {role}s by {kind.__name__}; expected integer positions, as "
                    "the model has no encoder. Turn ids into positions, or use a pipeline."
                )
            return -1
        inside = [0 <= one < size for one in ids]
        if strict and not all(inside):
            raise ValueError(
                f"the request names {inside.count(False)} {role}s out of range; expected positions "
                f"from 0 to {size - 1}. Use those of the X that the model was fitted on."
            )
        return [one if good else -1 for one, good in zip(ids, inside, strict=True)]
