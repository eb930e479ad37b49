"""Checks of the state of a model: loaded from a file, or just computed.

A file may hold anything. What compiled code indexes must be of the shape and type that it takes for
granted, so a model checks this when it is loaded; numbers in a table are not looked at, as no check
can tell those that were written from others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.exceptions import NotFiniteError
from sklearn_unlearn.utils._matrices import check_sparse_structure, problem_of_compressed

__all__ = [
    "check_table",
    "finite_scores",
    "is_finite",
    "problem_of_interactions",
    "refuse_loaded",
    "refuse_not_finite",
    "refusing_overflow",
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


def is_finite(value: Any) -> bool:
    """Tell whether all numbers in a value are finite: of arrays, and of what holds such.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.utils._state import is_finite
    >>> is_finite((np.ones(2), 1.0)), is_finite({"a": np.array([np.inf])})
    (True, False)
    """
    if sparse.issparse(value):
        return is_finite(value.data)
    if isinstance(value, np.ndarray):
        if value.dtype.kind != "f":
            return True
        with np.errstate(all="ignore"):
            # One pass without a mask; a sum that overflows is looked at again.
            return bool(np.isfinite(value.sum())) or bool(np.isfinite(value).all())
    if isinstance(value, float | np.floating):
        return bool(np.isfinite(value))
    if isinstance(value, tuple | list):
        return all(map(is_finite, value))
    if isinstance(value, Mapping):
        return all(map(is_finite, value.values()))
    if is_dataclass(value) and not isinstance(value, type):
        return all(is_finite(getattr(value, one.name)) for one in fields(value))
    return True


@contextmanager
def refusing_overflow(model: Any) -> Iterator[None]:
    """Raise NotFiniteError where arithmetic fails on too large numbers, or too small ones.

    Parameters
    ----------
    model : estimator
        What computes, for the message.

    Examples
    --------
    >>> from sklearn_unlearn.utils._state import refusing_overflow
    >>> with refusing_overflow([]):
    ...     1e300**2
    Traceback (most recent call last):
    ...
    sklearn_unlearn.exceptions.NotFiniteError: the arithmetic of list failed (OverflowError); ...
    """
    try:
        yield
    except NotFiniteError:
        raise
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        raise NotFiniteError(
            f"the arithmetic of {type(model).__name__} failed ({type(error).__name__}); expected "
            "numbers whose squares and sums are finite. Rescale X, or raise regularization; the "
            "model is as it was."
        ) from error


def finite_scores(scores: NDArray[Any], *, for_lists: bool = False) -> NDArray[Any]:
    """Return scores; refuse NaN and infinity. `for_lists` minus infinity means "not to be listed".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.utils._state import finite_scores
    >>> finite_scores(np.array([1.0, -np.inf]), for_lists=True)
    array([  1., -inf])
    """
    # The maximum of anything with NaN is NaN.
    fine = np.max(scores, initial=-np.inf) < np.inf if for_lists else is_finite(scores)
    if not fine:
        raise NotFiniteError(
            "the model gives scores that are not a number, or infinite; expected finite scores. "
            "Rescale X, of the fit or of the rows, or refit it with more regularization."
        )
    return scores


def refuse_not_finite(model: Any, state: Mapping[str, Any]) -> None:
    """Raise NotFiniteError if a state that was just computed holds NaN or infinity.

    Parameters
    ----------
    model : estimator
        Whose state it is, for the message.

    state : dict
        Names and values.

    Raises
    ------
    NotFiniteError
        Naming the attribute.
    """
    for name, value in state.items():
        if not is_finite(value):
            raise NotFiniteError(
                f"{name} of {type(model).__name__} came out as NaN or infinity; expected finite "
                "numbers. Rescale X, or raise regularization; the model is as it was."
            )


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


def _is_vector(array: Any, *dtypes: Any) -> bool:
    return isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype in dtypes
