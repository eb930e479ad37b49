"""Checks of the state of a model that was loaded from a file.

A file may hold anything. What compiled code indexes must be of the shape and type that it takes for
granted, so a model checks this when it is loaded; numbers in a table are not looked at, as no check
can tell those that were written from others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.exceptions import ChangedParameterError
from sklearn_unlearn.utils._pages import release
from sklearn_unlearn.utils._sparse_structure import check_sparse_structure, problem_of_compressed
from sklearn_unlearn.utils._verbs import is_finite

__all__ = [
    "check_table",
    "problem_of_interactions",
    "refuse_changed",
    "refuse_loaded",
    "square_similarity",
]


def refuse_loaded(owner: Any, problem: str) -> NoReturn:
    """Raise ValueError: what a file holds is not what a fit leaves.

    Examples
    --------
    >>> from sklearn_unlearn.utils._state import refuse_loaded
    >>> refuse_loaded([], "it holds nothing")
    Traceback (most recent call last):
    ...
    ValueError: the loaded list is damaged: it holds nothing; expected ...
    """
    raise ValueError(
        f"the loaded {type(owner).__name__} is damaged: {problem}; expected the state that a fit "
        "leaves. Load another copy of the file, or fit again."
    )


def refuse_changed(model: Any, name: str, fitted: Any) -> None:
    """Raise ChangedParameterError where a parameter is not the one that a model was fitted with.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn_unlearn.utils._state import refuse_changed
    >>> refuse_changed(Ridge(alpha=2.0), "alpha", 1.0)
    Traceback (most recent call last):
    ...
    sklearn_unlearn.exceptions.ChangedParameterError: alpha of Ridge is 2.0; expected 1.0, ...
    """
    given = getattr(model, name)
    if given != fitted:
        raise ChangedParameterError(
            f"{name} of {type(model).__name__} is {given!r}; expected {fitted!r}, with which the "
            "model was fitted. Set it back, or fit again."
        )


def check_table(
    owner: Any,
    state: Mapping[str, Any],
    name: str,
    shape: tuple[int | None, ...],
    dtypes: tuple[Any, ...] = (np.float64, np.float32),
) -> NDArray[Any]:
    """Return an array of a loaded state; refuse another shape or type.

    Parameters
    ----------
    owner : object
        Whose state it is, for the message.

    state : dict
        Names and values.

    name : str
        Which of them.

    shape : tuple of int or None
        The shape; None means any length.

    dtypes : tuple of dtype, default=(float64, float32)
        The types to choose from.

    Raises
    ------
    ValueError
        If there is no such array.
    """
    array = state.get(name)
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        refuse_loaded(owner, f"{name} is a {type(array).__name__} and no array")
    fits = len(array.shape) == len(shape) and all(
        wanted in (None, n) for n, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits:
        refuse_loaded(owner, f"{name} has shape {array.shape} and not {shape}")
    if array.dtype not in dtypes:
        refuse_loaded(owner, f"{name} has dtype {array.dtype}")
    return array


def square_similarity(owner: Any, state: Mapping[str, Any], name: str, n: int) -> None:
    """Refuse a sparse table of items by items whose arrays do not fit."""
    matrix: Any = state.get(name)
    if not (sparse.issparse(matrix) and matrix.format == "csr" and matrix.shape == (n, n)):
        refuse_loaded(owner, f"{name} is no CSR matrix of shape {(n, n)}")
    try:
        check_sparse_structure(matrix, name)
    except ValueError as error:
        refuse_loaded(owner, str(error).split(";")[0])
    if matrix.dtype not in (np.float64, np.float32) or matrix.indptr[-1] != len(matrix.data):
        refuse_loaded(owner, f"{name} has values of dtype {matrix.dtype}, or too many")


def problem_of_interactions(state: Any, names: Sequence[str]) -> str | None:
    """Say what keeps a state from being that of an `Interactions`; None if nothing does.

    Parameters
    ----------
    state : object
        What a file holds.

    names : sequence of str
        Those of indptr, indices, values, shape and weights in it.
    """
    if not isinstance(state, dict) or not state.keys() >= set(names):
        return "an array or the shape is absent"
    indptr, indices, values, shape, weights = (state[name] for name in names)
    if not isinstance(shape, tuple | list) or len(shape) != 2:
        return "the shape is not two integers"
    if not all(isinstance(side, int | np.integer) and side >= 0 for side in shape):
        return "the shape is not two integers"
    if isinstance(indices, list) or isinstance(values, list):
        return _problem_of_pages(state, names)
    if not _is_vector(values, np.float64, np.float32):
        return "the values are no vector of float64 or float32"
    problem = problem_of_compressed(indptr, indices, len(values), int(shape[0]), int(shape[1]))
    if problem:
        return problem
    if indptr.dtype != np.int64 or not indptr[-1] == len(indices) == len(values):
        return "indptr, indices and values do not end together"
    if weights is not None and not (
        _is_vector(weights, np.float64) and weights.shape == (int(shape[0]),)
    ):
        return "the weights are no vector of float64 with an entry for each user"
    # Searches need ascending items: within each row an item is larger than the one before.
    ascends = np.ones(len(indices) + 1, bool)
    np.greater(indices[1:], indices[:-1], out=ascends[1:-1])
    ascends[indptr[:-1]] = True
    if not ascends.all():
        return "the items of a user do not ascend"
    finite = is_finite(values) and is_finite(weights)
    return None if finite else "values or weights are NaN or infinite"


def _problem_of_pages(state: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Say what keeps interactions in pages from being such: each is a table of some users."""
    indptr, indices, values, shape, weights = (state[name] for name in names)
    pages = isinstance(indices, list) and isinstance(values, list) and len(indices) == len(values)
    if not pages or not all(
        _is_vector(page, np.int32, np.int64) and _is_vector(numbers, np.float64, np.float32)
        for page, numbers in zip(indices, values, strict=True)
    ):
        return "the pages of items and of values do not belong together"
    starts = np.append(0, np.cumsum([len(page) for page in indices]))
    if not _is_vector(indptr, np.int64) or len(indptr) != int(shape[0]) + 1:
        return "indptr is no vector of int64 with an entry for each user and one more"
    if indptr[0] != 0 or indptr[-1] != starts[-1] or np.any(indptr[1:] < indptr[:-1]):
        return "indptr does not ascend from 0 to the number of interactions"
    if len({page.dtype for page in indices}) != 1 or len({one.dtype for one in values}) != 1:
        return "the pages have several data types, or there are none"
    rows = np.searchsorted(indptr, starts)
    if np.any(indptr[rows] != starts):
        return "a page ends within a user"
    if weights is not None and not (
        _is_vector(weights, np.float64) and len(weights) == int(shape[0]) and is_finite(weights)
    ):
        return "the weights are no vector of finite float64 with an entry for each user"
    for n, (page, numbers) in enumerate(zip(indices, values, strict=True)):
        own = indptr[rows[n] : rows[n + 1] + 1] - starts[n]
        part = own, page, numbers, (len(own) - 1, shape[1]), None
        problem = problem_of_interactions(dict(zip(names, part, strict=True)), names)
        if problem:
            return problem
        release(page)
        release(numbers)
    return None


def _is_vector(array: Any, *dtypes: Any) -> bool:
    return isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype in dtypes
