"""What is often passed in place of a matrix of interactions, and what to pass instead."""

from __future__ import annotations

import os
from numbers import Number
from typing import Any

__all__ = ["mended_message", "refuse_no_matrix"]

_EVENTS = (
    "Turn a table of events into one with InteractionEncoder, first step of a "
    "make_recommender_pipeline."
)
_FILE = "Read the file first, for instance with datasets.load_interactions."
_KNOWN_USERS = "For users that the model was fitted on, call recommend(users=...)."


def refuse_no_matrix(X: Any, *, fitting: bool) -> None:
    """Raise an error if `X` is no table of rows and columns.

    Parameters
    ----------
    X : object
        What was passed as a matrix. Whatever may be one is left to scikit-learn.

    fitting : bool
        Whether as training data, or else as rows of new users.

    Raises
    ------
    TypeError
        For None, text, paths, dicts and sets.
    ValueError
        For numbers and for what has one dimension.

    Examples
    --------
    >>> from sklearn_unlearn.utils._matrix_mistakes import refuse_no_matrix
    >>> refuse_no_matrix("ratings.csv", fitting=True)
    Traceback (most recent call last):
    ...
    TypeError: X is a str; expected a matrix of numbers of shape (n_users, n_items). Read the ...
    """
    kinds = str | bytes | os.PathLike | dict | set | frozenset
    # One sparse container of SciPy is a dict, and has a shape.
    if X is None or (isinstance(X, kinds) and not hasattr(X, "shape")):
        advice = _FILE if isinstance(X, str | bytes | os.PathLike) else _EVENTS
        given = "None" if X is None else f"a {type(X).__name__}"
        raise TypeError(
            f"X is {given}; expected a matrix of numbers of shape (n_users, n_items). {advice}"
        )
    n_dimensions = _dimensions(X)
    if n_dimensions in (0, 1):
        advice = _EVENTS if fitting else _KNOWN_USERS
        given = "1 dimension" if n_dimensions else "no dimensions"
        raise ValueError(
            f"X has {given}; expected a matrix of numbers of shape (n_users, n_items), a row for "
            f"each user. Reshape your data to (1, n_items) if it is one row. {advice}"
        )


def _dimensions(X: Any) -> int | None:
    """Return the number of dimensions of X, None where it takes NumPy to tell."""
    if isinstance(X, Number):
        return 0
    if isinstance(X, list | tuple):
        return 1 if len(X) and isinstance(X[0], Number | str | bytes) else None
    shape = getattr(X, "shape", None)
    return len(shape) if isinstance(shape, tuple) else None


def mended_message(error: ValueError) -> str | None:
    """Say what to do about interactions where scikit-learn refuses a matrix.

    Parameters
    ----------
    error : ValueError
        Of its validation. It may quote an id, so what is raised instead must not lead to it.

    Returns
    -------
    message : str or None
        To raise instead; None where the original serves.

    Examples
    --------
    >>> from sklearn_unlearn.utils._matrix_mistakes import mended_message
    >>> mended_message(ValueError("could not convert string to float: 'ann'"))
    'X holds text; expected a matrix of numbers of shape (n_users, n_items). Turn a table of ...'
    """
    message = str(error)
    if "could not convert string" in message:
        return f"X holds text; expected a matrix of numbers of shape (n_users, n_items). {_EVENTS}"
    if message.startswith("Negative values in data"):
        return (
            f"{message.rstrip('.')}; expected counts or marks, and 0 where nothing was observed. "
            "Learn likes and dislikes with MatrixFactorization, or keep the likes alone with "
            "Binarizer, a step of a make_recommender_pipeline."
        )
    if "contains NaN" in message:
        return (
            f"{message.splitlines()[0].rstrip('.')}; expected numbers, and 0, stored or not, where "
            "nothing was observed. Fill such cells with 0, for instance by numpy.nan_to_num."
        )
    return None
