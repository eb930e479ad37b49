"""Scores of training users and pairs, of models that score a user by its row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CELLS_AT_ONCE", "RowScores"]

# Scores are made for so many cells at a time: 32 MiB in float64.
CELLS_AT_ONCE = 2**22


class RowScores:
    """Hooks of `RecommenderMixin` that follow from ``_score_rows``."""

    _interactions: Any

    def _score_rows(self, X: Any) -> NDArray[Any]:
        raise NotImplementedError(f"{type(self).__name__} must define _score_rows(X)")

    def _score_users(self, users: NDArray[np.int64]) -> NDArray[Any]:
        return self._score_rows(self._interactions.to_csr()[users])

    def _score_pairs(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        rows, place = np.unique(users, return_inverse=True)
        scores = np.empty(len(users), np.float64)
        step = max(1, CELLS_AT_ONCE // self._interactions.n_items)
        for start in range(0, len(rows), step):
            here = np.flatnonzero((place >= start) & (place < start + step))
            chunk = self._score_users(rows[start : start + step])
            scores[here] = chunk[place[here] - start, items[here]]
        return scores
