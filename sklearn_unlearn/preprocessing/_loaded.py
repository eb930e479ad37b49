"""Checks of the vocabularies of an encoder, once it is loaded from a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..utils._state import check_table, refuse_loaded
from ._vocabulary import Vocabulary

__all__ = ["check_encoder"]


def check_encoder(encoder: Any, state: Mapping[str, Any]) -> None:
    """Check that ids ascend, as lookups assume, and that each has a position of its own.

    Parameters
    ----------
    encoder : InteractionEncoder
        Whose state it is.

    state : dict
        Its attributes.
    """
    for role in ("user", "item"):
        found, size = state.get(f"_{role}s"), state.get(f"n_{role}s_")
        if not isinstance(found, Vocabulary) or vars(found).keys() < {"ids", "positions", "size"}:
            refuse_loaded(encoder, f"it has no vocabulary of {role}s")
        parts = vars(found)
        ids = check_table(encoder, parts, "ids", (None,), (np.int64, np.uint64, np.dtype(object)))
        places = check_table(encoder, parts, "positions", (len(ids),), (np.int64,))
        if size != found.size or not isinstance(size, int | np.integer):
            refuse_loaded(encoder, f"its number of {role}s is not that of the vocabulary")
        first = parts.get("n_first")
        if not (first is None or (isinstance(first, int | np.integer) and 0 <= first <= size)):
            refuse_loaded(encoder, f"its first {role}s are none of the vocabulary")
        early = places if first is None else places[places < first]
        if (np.diff(early) <= 0).any():
            refuse_loaded(encoder, f"the positions of the {role}s do not ascend below {size}")
        given = np.sort(places)
        if len(given) and (given[0] < 0 or given[-1] >= size or (np.diff(given) <= 0).any()):
            refuse_loaded(encoder, f"the positions of the {role}s are not distinct below {size}")
        if ids.dtype != object and not (ids[:-1] < ids[1:]).all():
            refuse_loaded(encoder, f"the ids of the {role}s do not ascend")
