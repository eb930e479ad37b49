"""Answers: lists of positions written as a table of ids."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.preprocessing._columns import make_events

__all__ = ["make_table"]


def make_table(
    encoder: InteractionEncoder,
    kind: str,
    ids: NDArray[Any],
    items: NDArray[np.int64],
    scores: NDArray[Any],
) -> Any:
    """Write lists of positions as a table of ids, best first; -1 ends a short list."""
    place, rank = np.nonzero(items >= 0)
    score, order = "score", "rank"
    while {score, order} & {encoder.user, encoder.item}:
        score, order = score + "_", order + "_"
    if not len(ids):
        ids = encoder.decode_users(ids)  # of nobody: ids of the type of fit
    users, items = ids[place], encoder.decode_items(items[place, rank])
    if not len(place) and kind not in ("dict", "array"):
        # Frame libraries tell text by the entries: an empty column has to say so.
        users, items = (
            one.astype(str) if vocabulary.kind == "str" else one
            for one, vocabulary in ((users, encoder._users), (items, encoder._items))
        )
    columns = {
        encoder.user: users,
        encoder.item: items,
        score: scores[place, rank],
        order: rank + 1,
    }
    return make_events(kind, columns)
