"""Top-k selection with a fixed rule for ties, and scores of single cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.utils._best import select_best
from sklearn_unlearn.utils._verbs import finite_scores

__all__ = ["best_items", "scores_of_pairs", "top_k"]


def top_k(scores: NDArray[Any], k: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Select the k best columns of each row.

    Parameters
    ----------
    scores : ndarray of float, shape (n_rows, n_columns)
        Minus infinity marks what must not be selected.

    k : int
        At most ``n_columns``.

    Returns
    -------
    columns : ndarray of int64, shape (n_rows, k)
        By descending score; ties go to the lowest column. -1 where the score is minus infinity.

    values : ndarray of float, shape (n_rows, k)
        Their scores.

    Raises
    ------
    NotFiniteError
        If a score is not a number, or infinite: there is no order to follow.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.utils._ranking import top_k
    >>> top_k(np.array([[1.0, 2.0, 2.0]]), 2)[0]
    array([[1, 2]])
    """
    finite_scores(scores, for_lists=True)
    columns = np.empty((len(scores), k), np.int64)
    values = np.empty(columns.shape, scores.dtype)
    if columns.size:
        select_best(np.ascontiguousarray(scores), columns, values)
    columns[np.isneginf(values)] = -1
    return columns, values


def best_items(
    scores: NDArray[Any], seen: Any, n_items: int, candidates: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Turn a block of scores into recommendation lists.

    Parameters
    ----------
    scores : ndarray, shape (n_rows, n_columns)
        Left as it is.

    seen : sparse array of shape (n_rows, n_columns), or None
        Stored cells are left out of the lists.

    n_items : int
        Length of the lists.

    candidates : ndarray of int64, ascending, or None
        Columns to choose from; None means all.

    Returns
    -------
    items : ndarray of int64, shape (n_rows, n_items)
        As in `top_k`, padded with -1.

    values : ndarray of float, shape (n_rows, n_items)
        Their scores, padded with minus infinity.
    """
    # A copy: a hook may hand out an array that the model itself holds.
    scores = np.array(scores, dtype=np.float32 if scores.dtype == np.float32 else np.float64)
    if seen is not None:
        scores[np.repeat(np.arange(len(scores)), np.diff(seen.indptr)), seen.indices] = -np.inf
    if candidates is None:
        return top_k(scores, n_items)
    chosen, values = top_k(scores[:, candidates], min(n_items, len(candidates)))
    if len(candidates):
        chosen = np.where(chosen < 0, -1, candidates[chosen])
    extra = ((0, 0), (0, n_items - chosen.shape[1]))
    return (
        np.pad(chosen, extra, constant_values=-1),
        np.pad(values, extra, constant_values=-np.inf),
    )


def scores_of_pairs(
    score_users: Callable[[NDArray[np.int64]], NDArray[Any]],
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    n_users_at_once: int,
) -> NDArray[Any]:
    """Score some cells, given what scores whole rows.

    Parameters
    ----------
    score_users : callable
        Given distinct users, returns the scores of all items, row by row.

    users, items : ndarray of int64, shape (n_pairs,)
        The cells, in any order.

    n_users_at_once : int
        Rows to score at a time.

    Returns
    -------
    scores : ndarray of float64, shape (n_pairs,)
    """
    rows, place = np.unique(users, return_inverse=True)
    scores = np.empty(len(users), np.float64)
    for start in range(0, len(rows), n_users_at_once):
        here = np.flatnonzero((place >= start) & (place < start + n_users_at_once))
        chunk = score_users(rows[start : start + n_users_at_once])
        scores[here] = chunk[place[here] - start, items[here]]
    return scores
