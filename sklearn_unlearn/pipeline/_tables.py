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
    columns = {
        encoder.user: ids[place],
        encoder.item: encoder.decode_items(items[place, rank]),
        score: scores[place, rank],
        order: rank + 1,
    }
    return make_events(kind, columns)
