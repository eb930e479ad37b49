"""Which scores a comparison of ensembles looks at: those near to a request, and others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.metrics._scores import PairSet
from sklearn_unlearn.utils._validation import as_mask_pairs, as_pairs, as_positions

#: In this order they are drawn and reported.
GROUPS = ("pairs", "users", "items", "others")
# Draws of pairs out of how many are drawn before those that do not belong are dropped.
_SPARE = 2


def positions_of(data: Interactions, request: dict[str, Any]) -> NDArray[np.int64]:
    """Return the positions in `data` that a request to `forget` removes, ascending.

    Raises
    ------
    TypeError, ValueError
        For a request of a wrong form, an empty one, and one of everything.
    UnknownInteractionError
        If a part of it is not in the data.
    """
    if not request:
        raise ValueError(
            "no request was passed; expected interactions, users or items. Name what to forget."
        )
    pairs = _pairs(request.get("interactions", np.empty((0, 2), np.int64)), data.shape)
    located = data.locate(*pairs)
    users = as_positions(request.get("users", []), data.n_users, "users", "users")
    items = as_positions(request.get("items", []), data.n_items, "items", "items")
    masks = np.zeros(data.n_users, bool), np.zeros(data.n_items, bool)
    masks[0][users], masks[1][items] = True, True
    known = (located >= 0, data.user_degrees[users] > 0, data.item_degrees[items] > 0)
    n_unknown = sum(int((~part).sum()) for part in known)
    if n_unknown:
        raise UnknownInteractionError(
            f"{n_unknown} of the pairs, users and items of the request have no interaction in X; "
            "expected known ones only. Drop the others."
        )
    positions = np.unique(np.concatenate([located, data.incident(*masks)]))
    if len(positions) in (0, data.n_interactions):
        which = "no interaction" if len(positions) == 0 else "all interactions"
        raise ValueError(
            f"the request holds {which} of X; expected some of them, so that a refit is another "
            "model and has data. Pass another request."
        )
    return positions


def _pairs(interactions: Any, shape: tuple[int, int]) -> tuple[Any, Any]:
    array = interactions
    if isinstance(interactions, list) and interactions and isinstance(interactions[0], list):
        array = np.asarray(interactions)
    if sparse.issparse(array) or (isinstance(array, np.ndarray) and array.dtype == bool):
        return as_mask_pairs(array, shape, "interactions")
    return as_pairs(interactions, shape, "interactions")


def choose_pairs(
    data: Interactions,
    retained: Interactions,
    positions: NDArray[np.int64],
    n_pairs: int,
    generator: np.random.RandomState,
) -> dict[str, NDArray[np.int64]]:
    """Choose at most `n_pairs` (user, item) pairs for each of `GROUPS`, each once.

    Only pairs of a user and an item that keep interactions are chosen: a user who is forgotten to
    the last has an empty row in a refit, and its scores say nothing about other seeds.

    Returns
    -------
    pairs : dict of str to ndarray of int64, shape (n, 2)
        "pairs": what is forgotten; "users": other pairs of users who lose an interaction; "items":
        pairs of items that lose one with other users; "others": the rest. Ascending; a group may be
        empty.
    """
    gone_users, gone_items = data.rows[positions], data.indices[positions]
    gone = np.column_stack([gone_users, gone_items]).astype(np.int64)
    known_users, known_items = retained.user_degrees > 0, retained.item_degrees > 0
    loses_user, loses_item = np.zeros(data.n_users, bool), np.zeros(data.n_items, bool)
    loses_user[gone_users], loses_item[gone_items] = True, True
    kept = gone[known_users[gone[:, 0]] & known_items[gone[:, 1]]]
    sides = {
        "users": (known_users & loses_user, known_items),
        "items": (known_users & ~loses_user, known_items & loses_item),
        "others": (known_users & ~loses_user, known_items & ~loses_item),
    }
    chosen = {"pairs": _sample(kept, n_pairs, generator)}
    for name, (users, items) in sides.items():
        rows, columns = np.flatnonzero(users), np.flatnonzero(items)
        chosen[name] = _sample_grid(rows, columns, n_pairs, generator, without=gone)
    return chosen


def _sample(
    pairs: NDArray[np.int64], n_pairs: int, generator: np.random.RandomState
) -> NDArray[np.int64]:
    if len(pairs) <= n_pairs:
        return pairs
    return pairs[np.sort(generator.permutation(len(pairs))[:n_pairs])]


def _sample_grid(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    n_pairs: int,
    generator: np.random.RandomState,
    without: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Draw different pairs of a row and a column, but none of `without`."""
    if not len(rows) or not len(columns):
        return np.empty((0, 2), np.int64)
    grid = PairSet((len(rows), len(columns)))
    wanted = n_pairs + len(without)
    if grid.size <= _SPARE * wanted:
        numbers = np.arange(grid.size, dtype=np.int64)
    else:
        drawn = generator.randint(0, grid.size, size=_SPARE * wanted, dtype=np.int64)
        numbers = np.unique(drawn)
    row, column = grid[numbers]
    pairs = np.column_stack([rows[row], columns[column]])
    width = int(max(columns.max(), without[:, 1].max())) + 1
    gone = np.isin(pairs[:, 0] * width + pairs[:, 1], without[:, 0] * width + without[:, 1])
    return _sample(pairs[~gone], n_pairs, generator)
