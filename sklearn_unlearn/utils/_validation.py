"""Checks of positions, pairs and masks, shared by every public verb.

Each error says what was given, what was expected and what to do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.utils._sparse_structure import check_sparse_structure

__all__ = [
    "Pairs",
    "as_mask_pairs",
    "as_pairs",
    "as_positions",
    "check_n_items",
    "first_few",
    "is_frame",
    "refuse_masked",
    "reject_frame",
]

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def refuse_masked(values: Any, name: str) -> None:
    """Raise TypeError for masked arrays: NumPy would drop the mask and read what it hides.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.utils._validation import refuse_masked
    >>> refuse_masked(np.ones(3), "users")
    """
    parts = values if isinstance(values, list | tuple) else [values]
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        raise TypeError(
            f"{name} is a masked array; expected an array without a mask, which would be dropped "
            "in silence. Pass .filled(0) of a matrix, or .compressed() of a list."
        )


def is_frame(X: Any) -> bool:
    """Tell whether `X` is a table with named columns, or one of its columns."""
    return any(hasattr(X, name) for name in ("iloc", "__dataframe__", "__arrow_c_stream__"))


def reject_frame(X: Any, name: str) -> None:
    """Raise TypeError if `X` is a frame: frames speak ids, estimators speak positions."""
    if is_frame(X):
        raise TypeError(
            f"{name} is a {type(X).__name__}; expected integer positions. Turn ids into positions "
            f"with {_encoding(name)}, or ask a RecommenderPipeline, which takes ids. Positions in "
            "a column are taken with .to_numpy()."
        )


def _encoding(name: str) -> str:
    """Name the method that turns ids into the positions of an argument."""
    sides = {"users": "users", "items": "items", "candidates": "items"}
    return f"InteractionEncoder.encode_{sides.get(name, 'pairs')}"


def first_few(labels: list[str], n_more: int) -> str:
    """Join a few labels and say how many more there are."""
    return ", ".join(labels) + (f" and {n_more} more" if n_more > 0 else "")


def _to_array(values: Any, name: str) -> NDArray[Any]:
    reject_frame(values, name)
    refuse_masked(values, name)
    if isinstance(values, set | frozenset | dict | str | bytes):
        advice = (
            "Unpack it: pass what it holds as users=, items= or interactions=."
            if isinstance(values, dict)
            else f"Pass an integer array; turn ids into positions with {_encoding(name)}, or ask "
            "a RecommenderPipeline, which takes ids."
        )
        raise TypeError(
            f"{name} is a {type(values).__name__}; expected integer positions. {advice}"
        )
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{name} has rows of different lengths; expected an integer array. Make all rows "
            "equally long."
        ) from error


def _to_integers(array: NDArray[Any], limit: int, name: str, axis: str) -> NDArray[np.int64]:
    """Check dtype and range before casting, so that no large number can wrap around."""
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype == object and all(type(one) is int for one in array.flat):
        pass  # Python integers beyond 64 bits arrive like this; the range check below speaks.
    elif array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} has dtype {array.dtype}; expected integer positions. Cast whole numbers with "
            f".astype(int); turn ids into positions with {_encoding(name)}, or ask a "
            "RecommenderPipeline, which takes ids."
        )
    bad = (array < 0) | (array >= limit)
    if np.any(bad):
        shown = [str(one) for one in array[bad.astype(bool)][:3]]
        raise ValueError(
            f"{name} has positions out of range: {first_few(shown, int(bad.sum()) - len(shown))}; "
            f"expected 0 <= position < {limit}, the number of {axis}. "
            "Use the positions of the X that the model was fitted on."
        )
    return array.astype(np.int64)


def as_positions(values: Any, limit: int, name: str, axis: str) -> NDArray[np.int64]:
    """Validate positions along one axis.

    Parameters
    ----------
    values : int, array-like of int, or array-like of bool and shape (limit,)
        One position, several, or a mask. The dtype decides which.

    limit : int
        Length of the axis.

    name : str
        Name of the argument, for messages.

    axis : {"users", "items"}
        What the axis holds, for messages.

    Returns
    -------
    positions : ndarray of int64, shape (n_positions,)
        In the order given, repeats kept.

    Raises
    ------
    TypeError
        If the values are neither integers nor a boolean mask.
    ValueError
        If the shape is wrong or a position is out of range.

    Examples
    --------
    >>> from sklearn_unlearn.utils._validation import as_positions
    >>> as_positions([False, True, True], 3, "users", "users")
    array([1, 2])
    """
    array = _to_array(values, name)
    if array.dtype == bool and array.ndim:
        if array.shape != (limit,):
            raise ValueError(
                f"{name} is a boolean mask of shape {array.shape}; expected ({limit},), one entry "
                f"for each of the {axis}. Pass integer positions, or a mask of that length."
            )
        return np.flatnonzero(array).astype(np.int64)
    if array.ndim > 1:
        raise ValueError(
            f"{name} has shape {array.shape}; expected one integer or a one-dimensional array of "
            f"positions of {axis}. Flatten it."
        )
    return _to_integers(np.atleast_1d(array), limit, name, axis)


def as_pairs(values: Any, shape: tuple[int, int], name: str) -> Pairs:
    """Validate (user, item) pairs: an int array (n, 2), or a tuple ``(users, items)``.

    Parameters
    ----------
    values : array-like of int, shape (n, 2), or tuple of two array-likes of int
        A tuple always means ``(users, items)``, so two pairs go into a list or an array.

    shape : tuple of int
        ``(n_users, n_items)``, the bounds.

    name : str
        Name of the argument, for messages.

    Returns
    -------
    users, items : ndarray of int64, shape (n,)
        In the order given.

    Raises
    ------
    TypeError
        If the positions are not integers.
    ValueError
        If the shape is wrong or a position is out of range.

    Examples
    --------
    >>> from sklearn_unlearn.utils._validation import as_pairs
    >>> as_pairs([[0, 1], [2, 3]], (4, 4), "pairs")
    (array([0, 2]), array([1, 3]))
    """
    if isinstance(values, tuple):
        return _split_tuple(values, shape, name)
    array = _to_array(values, name)
    if array.size == 0 and array.ndim == 1:
        array = array.reshape(0, 2)
    # The kind of a value is a more basic mistake than its shape, so it is reported first.
    if array.dtype.kind not in "iuO" and array.size:
        _to_integers(array, 1, name, "users")
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(
            f"{name} has shape {array.shape}; expected an integer array of shape (n, 2), a tuple "
            "(users, items), or a mask. One pair is [[user, item]]; whole users and items are "
            "requested with users= and items=."
        )
    return (
        _to_integers(array[:, 0], shape[0], f"{name}, column 0,", "users"),
        _to_integers(array[:, 1], shape[1], f"{name}, column 1,", "items"),
    )


def _split_tuple(values: tuple[Any, ...], shape: tuple[int, int], name: str) -> Pairs:
    if len(values) != 2:
        raise ValueError(
            f"{name} is a tuple of length {len(values)}; expected (users, items). "
            "Pass a list or an array of shape (n, 2) for pairs."
        )
    sides = []
    for side, limit, axis in zip(values, shape, ("users", "items"), strict=True):
        array = np.atleast_1d(_to_array(side, f"{name}, {axis},"))
        if array.ndim > 1:
            raise ValueError(
                f"{name}, {axis}, has shape {array.shape}; expected one dimension. Pass one "
                "position per pair."
            )
        sides.append(_to_integers(array, limit, f"{name}, {axis},", axis))
    if len(sides[0]) != len(sides[1]):
        raise ValueError(
            f"{name} has {len(sides[0])} users and {len(sides[1])} items; expected as many of one "
            "as of the other. Pass the user and the item of each pair."
        )
    return sides[0], sides[1]


def as_mask_pairs(mask: Any, shape: tuple[int, int], name: str) -> Pairs:
    """List the cells that a sparse container or a boolean array marks.

    Parameters
    ----------
    mask : sparse container or ndarray of bool
        Nonzero means marked; stored duplicates are summed first, as in the data.

    shape : tuple of int
        ``(n_users, n_items)``, which the mask must have.

    name : str
        Name of the argument, for messages.

    Returns
    -------
    users, items : ndarray of int64, shape (n_marked,)
        The marked cells.

    Raises
    ------
    TypeError
        For masked arrays.
    ValueError
        If the mask has another shape, or is a sparse container whose arrays do not fit.
    """
    refuse_masked(mask, name)
    if mask.shape != shape:
        raise ValueError(
            f"{name} is a mask of shape {mask.shape}; expected the shape of X, {shape}. "
            "Mark cells in a matrix of that shape, or pass integer pairs of shape (n, 2)."
        )
    if sparse.issparse(mask):
        check_sparse_structure(mask, name)
        coo = mask.astype(bool if mask.dtype == bool else np.float64).tocsr().tocoo()
        marked = coo.data != 0
        users, items = coo.coords if hasattr(coo, "coords") else (coo.row, coo.col)
        return users[marked].astype(np.int64), items[marked].astype(np.int64)
    users, items = np.nonzero(mask)
    return users, items


def check_n_items(n_items: Any, n_features: int) -> int:
    """Validate the length of a recommendation list.

    Parameters
    ----------
    n_items : int
        What the caller asked for.

    n_features : int
        Number of items in the catalogue.

    Returns
    -------
    n_items : int
        The same number.

    Raises
    ------
    TypeError
        If it is not an integer.
    ValueError
        If it is not between 1 and `n_features`.
    """
    if isinstance(n_items, bool) or not isinstance(n_items, int | np.integer):
        raise TypeError(
            f"n_items is a {type(n_items).__name__}; expected an integer. Pass the length of the "
            "list."
        )
    if not 1 <= n_items <= n_features:
        raise ValueError(
            f"n_items is {n_items}; expected 1 <= n_items <= {n_features}, the number of items. "
            "Ask for fewer items."
        )
    return int(n_items)
