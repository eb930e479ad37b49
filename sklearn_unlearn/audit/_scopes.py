"""What a deletion request covers in a model: whole users and items, pairs, categories, old data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn._forget_request import validate_forget_request
from sklearn_unlearn.audit._names import Names
from sklearn_unlearn.audit._records import Named
from sklearn_unlearn.audit._requests import DeletionRequest, check_id, utc_seconds
from sklearn_unlearn.interactions import Interactions

__all__ = ["Covered", "Scopes", "together", "union", "unite"]

Positions = NDArray[np.int64]
_NONE = np.empty(0, np.int64)
_NO_PAIRS = np.empty((0, 2), np.int64)


@dataclass(frozen=True, eq=False, repr=False)
class Covered:
    """Positions that a request covers; all are those of the model.

    Parameters
    ----------
    users, items : ndarray of int64
        As a whole.

    pairs : ndarray of int64, shape (n, 2)
        To forget: the model holds an interaction of each.

    masked : ndarray of int64, shape (n, 2)
        To keep out of lists until then: more than `pairs` where a category is named.

    n_interactions, n_users, n_items : int
        What the model loses by this request alone.
    """

    users: Positions = field(default_factory=lambda: _NONE)
    items: Positions = field(default_factory=lambda: _NONE)
    pairs: Positions = field(default_factory=lambda: _NO_PAIRS)
    masked: Positions = field(default_factory=lambda: _NO_PAIRS)
    n_interactions: int = 0
    n_users: int = 0
    n_items: int = 0

    @property
    def found(self) -> bool:
        """Whether the model holds anything of it; an id of an encoder is something."""
        return bool(self.n_interactions or len(self.users))


class Scopes:
    """Turns requests into positions, with what the caller knows beside the model.

    Parameters
    ----------
    categories : mapping or None
        Category of each item, by its id.

    event_times : tuple (users, items, times), callable that returns one, or None
        Columns of equal length, by ids: when each event took place.
    """

    def __init__(
        self, categories: Mapping[Any, Any] | None, event_times: Callable[[], Any] | Any
    ) -> None:
        if categories is not None and not isinstance(categories, Mapping):
            raise TypeError(
                f"categories is of type {type(categories).__name__}; expected a mapping from items "
                "to categories, or None. Pass a dict."
            )
        self._categories, self._event_times = categories, event_times

    def check(self, request: DeletionRequest, names: Names) -> None:
        """Refuse ids of other types than the model's, and scopes that nothing is known for.

        What is known is read here, so that it is not found to be unusable when lists are made.
        """
        names.users(request.users, strict=True)
        names.items(request.items, strict=True)
        names.pairs(request.interactions, strict=True)
        names.users([user for user, _ in request.categories], strict=True)
        if request.categories and self._categories is None:
            raise ValueError(
                "the request names categories, and the service knows no categories; expected its "
                "argument categories (--categories of a command). Pass the category of each item."
            )
        if request.before is not None and self._event_times is None:
            raise ValueError(
                "the request names a date, and the service knows no times; expected its argument "
                "event_times (--events of a command). Pass users, items and times of the events."
            )
        self._of_categories(request.categories, names)
        self._of_age(request.before_seconds, names)

    def knows(self, request: DeletionRequest) -> bool:
        """Tell whether all that a request names can be resolved: categories and dates need more."""
        lacks_categories = bool(request.categories) and self._categories is None
        return not lacks_categories and (request.before is None or self._event_times is not None)

    def withheld_users(self, request: DeletionRequest) -> list[Any]:
        """Return users to mask as a whole: nobody here can tell which of their items it names."""
        return [] if self._categories is not None else [user for user, _ in request.categories]

    def named(self, request: DeletionRequest, names: Names) -> Named:
        """Return the ids that a request names, known to the model or not; not those of old events.

        Without an encoder ids are positions, and those of the model are all there are.
        """
        members = self._members(request.categories)
        pairs = [
            (user, item)
            for user, category in request.categories
            for item in members.get(category, ())
        ]
        named = Named(list(request.users), list(request.items), [*request.interactions, *pairs])
        return named if names.encoder is not None else named.known_to(names)

    def mask_all(self, requests: Sequence[DeletionRequest], names: Names) -> list[Covered]:
        """Return what is to be masked for each request, without counting what the model loses."""
        known = _with_known(requests, names)
        return [self._mask(one, known) for one in requests]

    def cover_all(self, requests: Sequence[DeletionRequest], names: Names) -> list[Covered]:
        """Return what each request covers in the model; what it does not know is left out."""
        data, parts = names.data, self.mask_all(requests, names)
        masked = np.concatenate([_NO_PAIRS, *(part.masked for part in parts)])
        held = data.locate(*masked.T) >= 0
        ends = np.cumsum([len(part.masked) for part in parts[:-1]], dtype=np.int64)
        return [
            _covered(part, part.masked[own], names)
            for part, own in zip(parts, np.split(held, ends)[: len(parts)], strict=True)
        ]

    def _mask(self, request: DeletionRequest, names: Names) -> Covered:
        named = names.pairs(request.interactions)
        masked = [
            named[(named >= 0).all(axis=1)],
            self._of_categories(request.categories, names),
            self._of_age(request.before_seconds, names),
        ]
        users, items = names.users(request.users), names.items(request.items)
        return Covered(
            unite([users[users >= 0]]), unite([items[items >= 0]]), _NO_PAIRS, unite(masked)
        )

    def _of_categories(self, pairs: Any, names: Names) -> Positions:
        if not pairs or self._categories is None:
            return _NO_PAIRS
        members, parts = self._members(pairs), [_NO_PAIRS]
        users = names.users([user for user, _ in pairs])
        for user, (_, category) in zip(users, pairs, strict=True):
            if user >= 0 and category in members:
                items = names.items(members[category])
                items = items[items >= 0]
                parts.append(np.column_stack((np.full(len(items), user), items)))
        return np.concatenate(parts)

    def _members(self, pairs: Any) -> dict[Any, list[Any]]:
        """Return the items of each category, if some are asked for."""
        members: dict[Any, list[Any]] = {}
        for item, category in (self._categories or {}).items() if pairs else ():
            members.setdefault(check_id(category, "categories"), []).append(
                check_id(item, "categories")
            )
        return members

    def _of_age(self, before: float | None, names: Names) -> Positions:
        """Pairs whose latest event is older than a moment."""
        if before is None or self._event_times is None:
            return _NO_PAIRS
        given = self._event_times() if callable(self._event_times) else self._event_times
        users, items, times = _columns(given)
        pairs = np.column_stack((names.users(users), names.items(items)))
        known = (pairs >= 0).all(axis=1)
        pairs, times = pairs[known], times[known]
        distinct, place = np.unique(pairs, axis=0, return_inverse=True)
        latest = np.full(len(distinct), -np.inf)
        np.maximum.at(latest, place.reshape(-1), times)
        return distinct[latest < before]


def _with_known(requests: Sequence[DeletionRequest], names: Names) -> Names:
    """Look up what requests name by one question, as each has its price."""
    users: dict[Any, None] = {}
    items: dict[Any, None] = {}
    for one in requests:
        users |= dict.fromkeys(one.users)
        items |= dict.fromkeys(one.items)
        users |= dict.fromkeys(user for user, _ in (*one.interactions, *one.categories))
        items |= dict.fromkeys(item for _, item in one.interactions)
    return names.with_known(list(users), list(items))


def _covered(part: Covered, held: Positions, names: Names) -> Covered:
    """Add to what is masked which pairs are held, and what the model loses."""
    data, users = names.data, part.users
    counts = _counts(data, users, part.items, held)
    if names.encoder is None:  # a position without interactions stands for nothing
        users = users[data.user_degrees[users] > 0]
    return Covered(users, part.items, held, part.masked, *counts)


def _counts(
    data: Interactions, users: Positions, items: Positions, held: Positions
) -> tuple[int, int, int]:
    """Count interactions that go, and users and items that lose some."""
    if len(items):  # whose interactions are found by a pass over all
        found = validate_forget_request(data, held, users, items, "ignore")
        return found.n_interactions, found.n_users, found.n_items
    users = users[data.user_degrees[users] > 0]
    alone = held[~np.isin(held[:, 0], users)]
    rows = [data.items_at(np.arange(*data.indptr[user : user + 2])) for user in users.tolist()]
    met = np.concatenate((alone[:, 1], *rows))
    n_users = len(users) + len(np.unique(alone[:, 0]))
    return len(met), n_users, len(np.unique(met))


def unite(parts: list[Positions]) -> Positions:
    """Unite arrays of positions, or of pairs, each once and ascending."""
    filled = [part for part in parts if len(part)]
    if sum(map(len, filled)) <= 1:
        return filled[0] if filled else parts[0]
    return np.unique(np.concatenate(filled), axis=0)


def _columns(given: Any) -> tuple[list[Any], list[Any], NDArray[np.float64]]:
    columns = given if isinstance(given, tuple | list) else ()
    sized = len(columns) == 3 and all(hasattr(one, "__len__") for one in columns)
    if not sized or len({len(one) for one in columns}) != 1:
        raise ValueError(
            "event_times is no three columns of equal length; expected (users, items, times). Pass "
            "them as a tuple."
        )
    users, items = ([check_id(one, "event_times") for one in column] for column in columns[:2])
    return users, items, _seconds(columns[2])


def _seconds(times: Any) -> NDArray[np.float64]:
    """Return times in seconds since 1970: numbers are such already."""
    array = np.asarray(times)
    if array.dtype.kind == "M":
        seconds = array.astype("datetime64[us]").astype(np.int64) / 1e6
        seconds[np.isnat(array)] = np.nan
    elif array.dtype.kind in "iuf":
        seconds = array.astype(np.float64)
    else:
        seconds = np.array([utc_seconds(one, "event_times") for one in times], np.float64)
    if np.isnan(seconds).any():
        raise ValueError(
            f"event_times has {int(np.isnan(seconds).sum())} missing times; expected one for each "
            "event. Leave events without a time out: they are never old."
        )
    return seconds


def together(parts: list[Covered], names: Names) -> Covered:
    """Return what some requests cover together, and what the model loses by all of them."""
    users, items, pairs = union(parts)
    return Covered(users, items, pairs, pairs, *_counts(names.data, users, items, pairs))


def union(parts: list[Covered]) -> tuple[Positions, Positions, Positions]:
    """Return users, items and pairs that some requests cover together."""
    users = unite([_NONE, *(one.users for one in parts)])
    items = unite([_NONE, *(one.items for one in parts)])
    return users, items, unite([_NO_PAIRS, *(one.pairs for one in parts)])
