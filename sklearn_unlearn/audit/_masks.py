"""Masks: users, items and pairs that are kept out of lists, and lists without them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.audit._names import Names
from sklearn_unlearn.audit._records import Named
from sklearn_unlearn.audit._scopes import Covered
from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.pipeline._tables import make_table
from sklearn_unlearn.preprocessing._columns import table_kind
from sklearn_unlearn.utils._validation import as_positions, check_n_items

__all__ = ["Masks", "recommend"]

Positions = NDArray[np.int64]
_KINDS = ("user", "item", "pair")  # in the order of Named
Lists = tuple[Positions, NDArray[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class Masks:
    """What is masked; never changed in place, so that readers keep the one that they took.

    Parameters
    ----------
    users, items : ndarray of bool
        One entry a position.

    pairs : dict of int to ndarray of int64
        Items that are masked for single users.

    named : frozenset
        What requests name, as ids, also those that the model does not know: ("user", id),
        ("item", id) and ("pair", (user, item)).
    """

    users: NDArray[np.bool_]
    items: NDArray[np.bool_]
    pairs: dict[int, Positions] = field(default_factory=dict)
    named: frozenset[tuple[str, Any]] = frozenset()

    @classmethod
    def none(cls, shape: tuple[int, int]) -> Masks:
        """Return the masks of a model of which nothing is masked."""
        return cls(np.zeros(shape[0], bool), np.zeros(shape[1], bool))

    @property
    def shape(self) -> tuple[int, int]:
        """Users and items of the model."""
        return len(self.users), len(self.items)

    def plus(self, covered: Iterable[Covered], named: Iterable[Named] = ()) -> Masks:
        """Return the masks with those of more requests."""
        users, items, pairs = self.users.copy(), self.items.copy(), dict(self.pairs)
        for one in covered:
            users[one.users], items[one.items] = True, True
            for user in set(one.masked[:, 0].tolist()):
                more = one.masked[one.masked[:, 0] == user, 1]
                pairs[user] = np.union1d(pairs.get(user, more), more)
        more_named = (
            (kind, one)
            for part in named
            for kind, ids in zip(_KINDS, vars(part).values(), strict=True)
            for one in ids
        )
        return Masks(users, items, pairs, self.named.union(more_named))

    def allows(self, users: list[Any], items: list[Any]) -> NDArray[np.bool_]:
        """Tell for each event, by its ids, whether no request names it."""
        named = self.named
        if not named:
            return np.ones(len(users), bool)
        events = (
            {("user", user), ("item", item), ("pair", (user, item))}
            for user, item in zip(users, items, strict=True)
        )
        return np.array([named.isdisjoint(one) for one in events], bool)

    def allowed(self, pairs: Positions) -> NDArray[np.bool_]:
        """Tell for each pair of positions whether nothing masks it; -1 is not masked."""
        users, items = pairs.T
        free = ~(self.users[users] & (users >= 0)) & ~(self.items[items] & (items >= 0))
        for place in np.flatnonzero(np.isin(users, list(self.pairs))):
            free[place] &= items[place] not in self.pairs[int(users[place])]
        return free


def recommend(
    names: Names,
    masks: Masks,
    X: Any,
    users: Any,
    n_items: int,
    exclude_seen: bool,
    candidates: Any,
    on_suppressed: str,
) -> Any:
    """List the best items that are not masked, in the form of the model's own `recommend`."""
    if (X is None) == (users is None):
        raise ValueError(
            f"recommend got {'none' if X is None else 'both'} of X and users; expected exactly "
            "one. Pass users that the model knows, or X for others."
        )
    maker = _Lists(names, masks, n_items, exclude_seen, candidates)
    if names.encoder is None:
        if users is None:
            return maker.of_rows(maker.entries(X), None)
        known = as_positions(users, names.data.n_users, "users", "users")
        present = maker.present(known)
        _refuse_absent(present, on_suppressed)
        return maker.of_users(known, present)
    encoder = names.encoder
    if users is None:
        kind, (ids, rows) = table_kind(X), encoder.transform_new_users(X)
        positions = names.users(ids.tolist())
        unnamed = np.array([("user", one) not in masks.named for one in _as_list(ids)], bool)
        present = unnamed & ~(masks.users[positions] & (positions >= 0))
        _refuse_absent(present, on_suppressed)
        ids, positions = ids[present], positions[present]
        items, scores = maker.of_rows(maker.entries(rows[present]), positions)
    else:
        asked = names.users(_as_list(users))
        known = asked[asked >= 0]
        present = np.zeros(len(asked), bool)
        present[asked >= 0] = maker.present(known)
        _refuse_absent(present, on_suppressed)
        known = asked[present]
        kind, ids = encoder._kind, encoder.decode_users(known)
        items, scores = maker.of_users(known, np.ones(len(known), bool))
    return make_table(encoder, kind, ids, items, scores)


class _Lists:
    """Lists of one question, made by the recommender of positions."""

    def __init__(
        self, names: Names, masks: Masks, n_items: int, exclude_seen: bool, candidates: Any
    ) -> None:
        n_all = names.data.n_items
        self.names, self.masks = names, masks
        self.n_items, self.exclude_seen = check_n_items(n_items, n_all), exclude_seen
        self.candidates = None
        if candidates is not None and names.encoder is None:
            self.candidates = np.unique(as_positions(candidates, n_all, "candidates", "items"))
        elif candidates is not None:
            found = names.items(_as_list(candidates))
            self.candidates = np.unique(found[found >= 0])
        if masks.items.any():
            chosen = np.arange(n_all) if self.candidates is None else self.candidates
            self.candidates = chosen[~masks.items[chosen]]

    def entries(self, X: Any) -> Any:
        """Pass rows to fold in through the steps of a pipeline, without what is masked."""
        view, recommender = self.names.view, self.names.recommender
        if view is not recommender:
            X = view._entries(X, start=0 if self.names.encoder is None else 1)
        if not self.masks.items.any() and not self.masks.pairs:
            return X
        rows = recommender._check_rows(X, ensure_min_samples=0)
        return _without(rows, self.masks.items[rows.indices])

    def present(self, users: Positions) -> NDArray[np.bool_]:
        """Tell which users are served: those who are not masked, and of whom something is held."""
        return ~self.masks.users[users] & (self.names.data.user_degrees[users] > 0)

    def of_users(self, users: Positions, present: NDArray[np.bool_]) -> Lists:
        """List items for users of the model; nothing for those who are not present."""
        items = np.full((len(users), self.n_items), -1, np.int64)
        found = self._ask({"users": users[present]}, users[present])
        scores = np.full(items.shape, -np.inf, found[1].dtype)
        items[present], scores[present] = found
        return items, scores

    def of_rows(self, X: Any, users: Positions | None) -> Lists:
        """List items for rows to fold in; the rows' users are known where they are named."""
        if users is not None and self.masks.pairs:
            rows = X.tocoo()
            pairs = np.column_stack((users[rows.row], rows.col))
            X = _without(X, ~self.masks.allowed(pairs))
        return self._ask({"X": X}, users)

    def _ask(self, question: dict[str, Any], users: Positions | None) -> Lists:
        """Ask for lists so long that enough is left once the masked pairs are taken out."""
        hidden = {}
        if users is not None and self.masks.pairs:
            hidden = {
                place: self.masks.pairs[user]
                for place, user in enumerate(users.tolist())
                if user in self.masks.pairs
            }
        longest = max((len(one) for one in hidden.values()), default=0)
        items, scores = self.names.recommender.recommend(
            **question,
            n_items=min(self.n_items + longest, self.names.data.n_items),
            exclude_seen=self.exclude_seen,
            candidates=self.candidates,
        )
        for place, masked in hidden.items():
            gone = np.isin(items[place], masked)
            order = np.argsort(gone, kind="stable")
            items[place], scores[place] = items[place, order], scores[place, order]
            n_gone = int(gone.sum())
            if n_gone:
                items[place, -n_gone:], scores[place, -n_gone:] = -1, -np.inf
        return items[:, : self.n_items], scores[:, : self.n_items]


def _without(rows: Any, gone: NDArray[np.bool_]) -> Any:
    rows = rows.copy()
    rows.data[gone] = 0
    rows.eliminate_zeros()
    return rows


def _as_list(ids: Any) -> list[Any]:
    from sklearn_unlearn.pipeline._translation import as_ids

    ids = as_ids(ids)
    return ids.tolist() if hasattr(ids, "tolist") else list(ids)


def _refuse_absent(present: NDArray[np.bool_], on_suppressed: str) -> None:
    if on_suppressed == "raise" and not present.all():
        raise UnknownInteractionError(
            f"{int((~present).sum())} of {len(present)} users are not served: nothing is held of "
            "them, or they asked to be forgotten; expected others. Leave these users out."
        )
