"""From a request in ids to one in positions, checked in full, in the words of the caller."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.utils._validation import first_few

__all__ = ["IdRequest", "as_ids", "read_request"]

_N_SHOWN = 3
_NO_POSITIONS = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False, repr=False)
class IdRequest:
    """Positions that a request names, all of them known to the encoder.

    Parameters
    ----------
    pairs : ndarray of int64, shape (n, 2)
        Interactions.

    users, items : ndarray of int64
        Whole users and items. Users may be without interactions: their ids are to be erased.

    named : ndarray of int64
        Users that the request names in any way, by events that were not trained on too: a step may
        have made nothing of their values.
    """

    pairs: NDArray[np.int64]
    users: NDArray[np.int64]
    items: NDArray[np.int64]
    named: NDArray[np.int64]


def as_ids(ids: Any) -> Any:
    """Wrap a single id in a list, a scalar of pyarrow as well."""
    single = isinstance(ids, str | bytes | Integral | UUID) and not isinstance(ids, bool | np.bool_)
    return [ids] if single or hasattr(ids, "as_py") else ids


def read_request(
    encoder: InteractionEncoder,
    data: Interactions,
    events: Any,
    users: Any,
    items: Any,
    missing: str,
) -> IdRequest:
    """Turn ids into positions; with ``missing="raise"`` name the ids that nothing is known of."""
    if not isinstance(missing, str) or missing not in ("raise", "ignore"):
        raise ValueError(
            f"missing is {missing!r}; expected 'raise' or 'ignore'. Pass 'ignore' for requests "
            "that may arrive twice."
        )
    if events is None and users is None and items is None:
        raise ValueError(
            "nothing was passed to forget; expected events, users or items. Name what to forget; "
            "an empty table is an empty request."
        )
    pairs = np.empty((0, 2), np.int64) if events is None else encoder.encode_pairs(events)
    user_ids, item_ids = as_ids(users), as_ids(items)
    users = _NO_POSITIONS if users is None else encoder.encode_users(user_ids)
    items = _NO_POSITIONS if items is None else encoder.encode_items(item_ids)
    located = np.full(len(pairs), -1, np.int64)
    known = (pairs >= 0).all(axis=1)
    located[known] = data.locate(*pairs[known].T)
    seen_items = items >= 0
    if seen_items.any():
        seen_items[seen_items] = data.item_degrees[items[seen_items]] > 0
    if missing == "raise":
        _refuse(
            [
                ("row", [f"{row} of the events" for row in np.flatnonzero(located < 0)]),
                ("user", _shown(user_ids, users < 0)),
                ("item", _shown(item_ids, ~seen_items)),
            ]
        )
    users = users[users >= 0]
    named = np.union1d(users, pairs[pairs[:, 0] >= 0, 0])
    return IdRequest(pairs[located >= 0], users, items[seen_items], named)


def _shown(ids: Any, unknown: NDArray[np.bool_]) -> list[str]:
    """Return the texts of the first unknown ids, which the caller has just passed."""
    if not unknown.any():
        return []
    ids = list(ids)
    return [repr(str(ids[place])) for place in np.flatnonzero(unknown)]


def _refuse(kinds: list[tuple[str, list[str]]]) -> None:
    n_unknown = sum(len(labels) for _, labels in kinds)
    if n_unknown:
        shown = [f"{kind} {label}" for kind, labels in kinds for label in labels[:_N_SHOWN]]
        shown = shown[:_N_SHOWN]
        raise UnknownInteractionError(
            "the request names what the model was never trained on, or has forgotten: "
            f"{first_few(shown, n_unknown - len(shown))}; expected known events, users and items "
            "only. Drop them (events of value 0, and those that a step makes 0, are not trained "
            "on), or pass missing='ignore'."
        )
