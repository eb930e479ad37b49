"""Warnings about training data that can be fitted, but hardly mean what the caller thinks."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.exceptions import DataWarning

__all__ = ["looks_like_events", "training_on_a_part", "warn_of_data", "warn_of_events"]

# A variable of the context, not a filter of warnings: those belong to all threads alike.
_WARNS: ContextVar[bool] = ContextVar("_WARNS", default=True)

# Less data than this are a toy, and may be anything.
_FEWEST_EVENTS = 10
# Ids rise above this; ratings and small counts do not.
_LARGEST_RATING = 10
# Seconds since 1970 of the year 1973 on.
_FIRST_TIME = 1e8


@contextmanager
def training_on_a_part() -> Iterator[None]:
    """Say nothing inside the block, where models are fitted to parts of data that were checked.

    Examples
    --------
    >>> from sklearn_unlearn.utils._data_warnings import training_on_a_part, warn_of_data
    >>> with training_on_a_part():
    ...     warn_of_data("not shown")
    """
    token = _WARNS.set(False)
    try:
        yield
    finally:
        _WARNS.reset(token)


def warn_of_data(message: str) -> None:
    """Warn of data, at the line outside this package and scikit-learn that handed them in."""
    if not _WARNS.get():
        return
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and _is_inside(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, DataWarning, stacklevel=level)


def _is_inside(module: str) -> bool:
    return module.split(".", 1)[0] in ("sklearn_unlearn", "sklearn", "joblib")


def warn_of_events(X: Any, names: Any = None) -> None:
    """Warn of training data that `looks_like_events`."""
    if looks_like_events(X, names):
        warn_of_data(
            f"X of shape {X.shape} looks like a table of events, with users and items in its "
            "columns; expected a matrix of shape (n_users, n_items). Turn events into one with "
            "InteractionEncoder, first step of a make_recommender_pipeline."
        )


def looks_like_events(X: Any, names: Any = None) -> bool:
    """Tell a table of events, a row for each with user, item and more, from a matrix.

    Such a table is dense and has two to four columns: ids of users and items, which are whole
    numbers and reach higher than ratings do; hardly a pair of them occurs twice; and where there
    are four columns, the last holds times. As a matrix it would say that every user has met each of
    two to four items, which leaves nothing to recommend. Names of columns can tell it too.

    Parameters
    ----------
    X : ndarray or sparse container, shape (n, n_columns)
        Numbers.

    names : array-like of str or None, default=None
        Names of the columns.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.utils._data_warnings import looks_like_events
    >>> users, items = np.divmod(np.arange(60), 6)
    >>> looks_like_events(np.column_stack([users, 100 + items, items % 5 + 1]))
    True
    >>> looks_like_events(np.tile([[5, 0, 3], [0, 4, 2]], (30, 1)))
    False
    """
    if not isinstance(X, np.ndarray) or not 2 <= X.shape[1] <= 4:
        return False
    if names is not None and any(str(name).lower().startswith("user") for name in names):
        return True
    if len(X) < _FEWEST_EVENTS or (X.shape[1] == 4 and X[:, 3].min() < _FIRST_TIME):
        return False
    return _are_pairs_of_ids(X[:, :2])


def _are_pairs_of_ids(ids: NDArray[Any]) -> bool:
    whole = (ids >= 0).all() and (ids == np.floor(ids)).all()
    if not whole or ids.max() <= _LARGEST_RATING:
        return False
    # Where ids count from 0, a few are 0; in a matrix most cells are.
    if np.count_nonzero(ids) < 0.9 * ids.size:
        return False
    return len(np.unique(ids, axis=0)) >= 0.9 * len(ids)
