"""Where the scores of (user, item) pairs come from: a matrix or a fitted model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import check_random_state

from sklearn_unlearn.metrics._checks import IndexArray, check_count
from sklearn_unlearn.utils._validation import as_pairs, as_positions, refuse_masked

Shape = tuple[int, int]
Scores = NDArray[np.float64]

#: Up to this many pairs are all compared; beyond it, a sample of them.
MAX_ALL_PAIRS = 5_000_000
#: Pairs scored at a time: bounds the memory of a comparison.
BLOCK_SIZE = 1 << 18


class ArrayScores:
    """Scores already computed: a matrix (n_users, n_items), or a vector of pairs."""

    def __init__(self, values: Scores) -> None:
        self.values = values
        self.shape: tuple[int, ...] | None = values.shape

    def at(self, users: IndexArray, items: IndexArray) -> Scores:
        """Return the scores of the pairs."""
        return self.values[users, items]


class ModelScores:
    """Scores of a fitted recommender, computed when asked for."""

    def __init__(self, model: Any, name: str) -> None:
        self.model, self.name = model, name
        n_users, n_items = catalogue_shape(model)
        self.shape: tuple[int, ...] | None = None
        if n_users is not None and n_items is not None:
            self.shape = (n_users, n_items)

    def at(self, users: IndexArray, items: IndexArray) -> Scores:
        """Return the scores of the pairs."""
        scores = np.asarray(self.model.predict_pairs(np.column_stack([users, items])))
        if scores.shape != users.shape:
            raise ValueError(
                f"{self.name}.predict_pairs returned shape {scores.shape} for {users.size} pairs; "
                f"expected {users.shape}. Return one score a pair."
            )
        return check_finite(scores, f"{self.name}.predict_pairs")


def catalogue_shape(model: Any) -> tuple[int | None, int | None]:
    """Return (n_users, n_items) of a fitted model, None for what it does not tell."""
    # A meta-estimator tells what the one inside tells; a pipeline speaks ids, not positions.
    while hasattr(getattr(model, "__dict__", {}).get("estimator_"), "recommend"):
        model = model.estimator_
    if not hasattr(model, "steps"):
        shape = getattr(getattr(model, "_interactions", None), "shape", None)
        if shape is not None:
            return shape
    user_factors = getattr(model, "user_factors_", None)
    item_factors = getattr(model, "item_factors_", None)
    n_users = None if user_factors is None else len(user_factors)
    n_items = getattr(model, "n_features_in_", None)
    return n_users, n_items if item_factors is None else len(item_factors)


def check_finite(values: NDArray[Any], name: str) -> Scores:
    """Return numeric values as float64 without NaN and infinity."""
    if values.dtype.kind not in "fiub":
        raise TypeError(
            f"{name} has dtype {values.dtype}; expected real scores. Pass an array of numbers."
        )
    values = values.astype(np.float64, copy=False)
    if not np.isfinite(values).all():
        raise ValueError(
            f"{name} holds NaN or infinite scores; expected finite ones. "
            f"Check that the model converged, or leave those pairs out."
        )
    return values


def as_scores(value: Any, name: str) -> ArrayScores | ModelScores:
    """Wrap a score array or a fitted recommender."""
    if hasattr(value, "predict_pairs"):
        return ModelScores(value, name)
    if sparse.issparse(value):
        raise TypeError(
            f"{name} is a sparse matrix; expected dense scores, where 0 is a score as any other. "
            f"Pass {name}.toarray(), or a fitted recommender."
        )
    refuse_masked(value, name)
    values = np.asarray(value)
    if values.dtype == object or values.ndim not in (1, 2):
        raise TypeError(
            f"{name} is a {type(value).__name__} with {values.ndim} dimensions; expected scores of "
            f"shape (n_users, n_items) or (n_pairs,), or a fitted recommender with "
            f"`predict_pairs`. Pass one of these."
        )
    return ArrayScores(check_finite(values, name))


class PairSet:
    """The pairs in the rows `users` or the columns `items`, numbered from 0 to `size` - 1."""

    def __init__(self, shape: Shape, users: Any = None, items: Any = None) -> None:
        n_users, self.n_items = shape
        if users is None and items is None:
            users = np.arange(n_users)
        users, items = ([] if given is None else given for given in (users, items))
        self.rows = np.unique(as_positions(users, n_users, "users", "users"))
        self.columns = np.unique(as_positions(items, self.n_items, "items", "items"))
        # The pairs of both a row and a column are counted once: with the row.
        self.other_rows = np.setdiff1d(np.arange(n_users), self.rows, assume_unique=True)
        self.n_in_rows = self.rows.size * self.n_items
        self.size = self.n_in_rows + self.other_rows.size * self.columns.size

    def __getitem__(self, numbers: IndexArray) -> tuple[IndexArray, IndexArray]:
        """Return the users and items of the pairs with these numbers."""
        users, items = np.empty_like(numbers), np.empty_like(numbers)
        in_rows = numbers < self.n_in_rows
        row, items[in_rows] = np.divmod(numbers[in_rows], self.n_items)
        users[in_rows] = self.rows[row]
        if not in_rows.all():
            row, column = np.divmod(numbers[~in_rows] - self.n_in_rows, self.columns.size)
            users[~in_rows], items[~in_rows] = self.other_rows[row], self.columns[column]
        return users, items

    def blocks(
        self, n_pairs: int | None, random_state: Any
    ) -> Iterator[tuple[IndexArray, IndexArray]]:
        """Yield all pairs in blocks, or `n_pairs` drawn with replacement where there are many."""
        if n_pairs is not None:
            n_pairs = check_count(n_pairs, "n_pairs")
        if n_pairs is None or self.size <= max(MAX_ALL_PAIRS, n_pairs):
            for start in range(0, self.size, BLOCK_SIZE):
                yield self[np.arange(start, min(start + BLOCK_SIZE, self.size), dtype=np.int64)]
            return
        generator = check_random_state(random_state)
        numbers = generator.randint(0, self.size, size=n_pairs, dtype=np.int64)
        # In order, so that a model reads its rows one after the other.
        numbers.sort()
        for start in range(0, n_pairs, BLOCK_SIZE):
            yield self[numbers[start : start + BLOCK_SIZE]]


def given_blocks(pairs: Any, shape: Shape | None) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Yield the pairs that the caller named, in blocks."""
    bounds = (np.iinfo(np.int64).max,) * 2 if shape is None else shape
    users, items = as_pairs(pairs, bounds, "pairs")
    for start in range(0, users.size, BLOCK_SIZE):
        yield users[start : start + BLOCK_SIZE], items[start : start + BLOCK_SIZE]
