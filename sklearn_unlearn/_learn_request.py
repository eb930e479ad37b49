"""Requests to learn: from every form that a caller may use to one change of the interactions."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from sklearn_unlearn._forget_request import ForgetRequest, quiet_array
from sklearn_unlearn.exceptions import KnownInteractionError
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._interactions import rows_of, sorted_union
from sklearn_unlearn.utils._matrices import check_magnitude, summed_copy
from sklearn_unlearn.utils._memory import LONGEST_SIDE
from sklearn_unlearn.utils._validation import as_pairs, first_few, refuse_masked

__all__ = ["EXISTING", "Change", "NewInteractions", "change_of", "nothing_to_forget", "read_new"]

Ints = NDArray[np.int64]
Floats = NDArray[Any]

EXISTING = ("raise", "ignore", "replace", "add")
_N_SHOWN = 3


@dataclass(frozen=True, eq=False)
class NewInteractions:
    """What a model is to learn, validated, of whatever it knows.

    Parameters
    ----------
    users, items : ndarray of int64, shape (n,)
        Ascending by user and then by item, each pair once.

    values : ndarray of shape (n,)
        In the data type of the model's interactions, none of them zero.

    shape : tuple of int
        ``(n_users, n_items)`` of the table that holds what is known and what is new.
    """

    users: Ints
    items: Ints
    values: Floats
    shape: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Change:
    """What a request makes of the interactions.

    Parameters
    ----------
    before, after : Interactions
        Of one shape: `before` is what the model knows, in the larger table.

    request : ForgetRequest
        What goes of `before`, and what comes into `after`.
    """

    before: Interactions
    after: Interactions
    request: ForgetRequest


def nothing_to_forget() -> ForgetRequest:
    """Return the request that changes nothing, which begins now."""
    none = np.empty(0, np.int64)
    return ForgetRequest(none, none, none, 0, 0, 0, time.perf_counter())


def read_new(
    data: Interactions,
    interactions: Any,
    values: Any = None,
    n_users: int | None = None,
    n_items: int | None = None,
) -> NewInteractions:
    """Validate new interactions by themselves: their form, their values and their shape.

    Parameters
    ----------
    data : Interactions
        What the model knows.

    interactions : array-like, tuple, sparse container or boolean array
        Integer array of shape (n, 2); tuple ``(users, items)``; sparse container whose nonzeros are
        the interactions and their values, or boolean array, either of at least the shape of `data`.

    values : None, float or array-like of shape (n,), default=None
        Values of pairs; None is 1.

    n_users, n_items : int or None, default=None
        Shape of the table afterwards. None is as large as it has to be.

    Returns
    -------
    new : NewInteractions
        Duplicates are summed, as in a fit; sums of zero are left out.

    Raises
    ------
    TypeError
        For frames, strings, floats in the place of positions, and values that are no numbers.
    ValueError
        For a wrong shape, and for values that are zero, NaN or infinite.

    Examples
    --------
    >>> from sklearn_unlearn._learn_request import read_new
    >>> from sklearn_unlearn.interactions import Interactions
    >>> new = read_new(Interactions.from_matrix([[1, 0], [0, 1]]), [[2, 0], [0, 1]], [3.0, 4.0])
    >>> new.users, new.items, new.values, new.shape
    (array([0, 2]), array([1, 0]), array([4., 3.]), (3, 2))
    """
    refuse_masked(interactions, "interactions")
    array = quiet_array(interactions) if isinstance(interactions, list) else interactions
    least = [
        _side(asked, known, name)
        for asked, known, name in zip(
            (n_users, n_items), data.shape, ("n_users", "n_items"), strict=True
        )
    ]
    if sparse.issparse(array) or (isinstance(array, np.ndarray) and array.dtype.kind == "b"):
        users, items, numbers = _of_matrix(array, values, data.shape)
        least = [max(side, own) for side, own in zip(least, array.shape, strict=True)]
    else:
        limits = tuple(LONGEST_SIDE if side is None else side for side in (n_users, n_items))
        users, items = as_pairs(interactions, (int(limits[0]), int(limits[1])), "interactions")
        numbers = _values_of(values, len(users))
        users, items, numbers = _summed(users, items, numbers)
    for place, (asked, own) in enumerate(((n_users, users), (n_items, items))):
        least[place] = max(least[place], int(own.max(initial=-1)) + 1)
        if asked is not None and least[place] > asked:
            name = ("n_users", "n_items")[place]
            raise ValueError(
                f"{name} is {asked} and the interactions are of a table of {least[place]}; "
                f"expected at least as many. Raise {name}, or leave it out."
            )
    with np.errstate(over="ignore"):
        numbers = numbers.astype(data.dtype, copy=False)
    check_magnitude(numbers, "values")
    kept = numbers != 0
    return NewInteractions(users[kept], items[kept], numbers[kept], (least[0], least[1]))


def _side(asked: Any, known: int, name: str) -> int:
    if asked is None:
        return known
    if isinstance(asked, bool) or not isinstance(asked, Integral):
        raise TypeError(
            f"{name} is a {type(asked).__name__}; expected an integer or None. Pass the length of "
            "that side of the table."
        )
    if asked < known:
        raise ValueError(
            f"{name} is {asked}; expected at least {known}, as many as the model has. Positions "
            "never move: leave it out, or pass a larger one."
        )
    return int(asked)


def _of_matrix(matrix: Any, values: Any, known: tuple[int, int]) -> tuple[Ints, Ints, Floats]:
    if values is not None:
        raise ValueError(
            "values were given beside a matrix; expected them in it alone. Leave values out, or "
            "pass integer pairs of shape (n, 2)."
        )
    if len(matrix.shape) != 2 or matrix.shape[0] < known[0] or matrix.shape[1] < known[1]:
        raise ValueError(
            f"interactions is a matrix of shape {matrix.shape}; expected at least the shape of X, "
            f"{known}. Pass a matrix of all users and items, or integer pairs of shape (n, 2)."
        )
    rows = summed_copy(matrix)
    _check_numbers(rows.data)
    coo = rows.tocoo()
    stored = coo.data != 0
    users, items = coo.coords if hasattr(coo, "coords") else (coo.row, coo.col)
    return users[stored].astype(np.int64), items[stored].astype(np.int64), coo.data[stored]


def _values_of(values: Any, n: int) -> Floats:
    if values is None:
        return np.ones(n)
    refuse_masked(values, "values")
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" and array.size:
        raise TypeError(
            f"values has dtype {array.dtype}; expected numbers. Pass a number, or one for each "
            "pair."
        )
    if array.shape not in ((), (n,)):
        raise ValueError(
            f"values has shape {array.shape}; expected ({n},), one for each pair, or a single "
            "number. Pass them in the order of the pairs."
        )
    array = np.broadcast_to(array.astype(np.float64), (n,))
    _check_numbers(array)
    if np.any(array == 0):
        raise ValueError(
            f"{np.count_nonzero(array == 0)} of {n} values are 0, which means 'not observed'; "
            "expected other numbers. Leave these pairs out, or forget them."
        )
    return array


def _check_numbers(values: Floats) -> None:
    if not np.isfinite(values).all():
        raise ValueError(
            f"values holds NaN or infinity at {np.count_nonzero(~np.isfinite(values))} places; "
            "expected finite numbers. Drop these interactions, or give them a value."
        )


def _summed(users: Ints, items: Ints, values: Floats) -> tuple[Ints, Ints, Floats]:
    """Sort pairs and sum the values of those that are named several times."""
    order = np.lexsort((items, users))
    users, items, values = users[order], items[order], values[order]
    first = np.ones(len(users), bool)
    first[1:] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    starts = np.flatnonzero(first)
    sums = np.add.reduceat(values, starts) if len(starts) < len(values) else values
    return users[starts], items[starts], sums


def change_of(
    data: Interactions,
    old: ForgetRequest,
    new: NewInteractions,
    existing: str = "raise",
    sample_weight: ArrayLike | None = None,
) -> Change:
    """Compare what is new with what is known, and make the interactions after the request.

    Parameters
    ----------
    data : Interactions
        What the model knows.

    old : ForgetRequest
        What goes first.

    new : NewInteractions
        What comes.

    existing : {"raise", "ignore", "replace", "add"}, default="raise"
        What to do about pairs that are known and do not go: refuse them, leave them as they are,
        take the new value, or add it to the old one.

    sample_weight : array-like of shape (n_users,) or None, default=None
        Weights of users of the table afterwards, looked at for those without interactions before.

    Returns
    -------
    change : Change
        What is the same before and after is in neither part of its request.

    Raises
    ------
    KnownInteractionError
        With ``existing="raise"``.

    Examples
    --------
    >>> from sklearn_unlearn._learn_request import change_of, nothing_to_forget, read_new
    >>> from sklearn_unlearn.interactions import Interactions
    >>> data = Interactions.from_matrix([[1, 0], [0, 2]])
    >>> new = read_new(data, [[0, 2], [1, 1]], [5.0, 7.0])
    >>> change = change_of(data, nothing_to_forget(), new, existing="add")
    >>> change.after.to_csr().toarray()
    array([[1., 0., 5.],
           [0., 9., 0.]])
    """
    if not isinstance(existing, str) or existing not in EXISTING:
        raise ValueError(
            f"existing is {existing!r}; expected one of {', '.join(map(repr, EXISTING))}. Pass "
            "'replace' for requests that may arrive twice."
        )
    before = data.grown(new.shape)
    users, items, values = new.users, new.items, new.values
    located = before.locate(users, items)
    known = located >= 0
    stays = known & ~np.isin(located, old.positions)
    if existing == "raise" and stays.any():
        _refuse_known(users[stays], items[stays])
    if existing == "add":
        values = values.copy()
        values[stays] += before.values_at(located[stays])
        check_magnitude(values, "the sum of old and new values")
    same = known.copy()
    same[known] = before.values_at(located[known]) == values[known]
    same |= stays & (existing == "ignore")
    comes = ~same & (values != 0)
    gone = np.setdiff1d(np.union1d(old.positions, located[stays]), located[same])
    weights = _weights(before, users[comes], sample_weight)
    after = before.remove(gone) if len(gone) else before
    if comes.any():
        after = after.insert(users[comes], items[comes], values[comes], weights)
    request = _request(before, after, old, gone, (users[comes], items[comes]))
    return Change(before, after, request)


def _refuse_known(users: Ints, items: Ints) -> None:
    pairs = zip(users[:_N_SHOWN].tolist(), items[:_N_SHOWN].tolist(), strict=True)
    shown = [f"pair {pair}" for pair in pairs]
    raise KnownInteractionError(
        f"the request holds what the model has learned already: "
        f"{first_few(shown, len(users) - len(shown))}; expected new interactions only. Drop them, "
        "or pass existing='replace', 'add' or 'ignore'."
    )


def _weights(
    before: Interactions, users: Ints, sample_weight: ArrayLike | None
) -> NDArray[np.float64] | None:
    """Weights of the users of the new table: those without interactions before may be given one."""
    weights = before.row_weights
    if sample_weight is None:
        return weights
    refuse_masked(sample_weight, "sample_weight")
    given = np.asarray(sample_weight, dtype=np.float64)
    if given.shape != (before.n_users,):
        raise ValueError(
            f"sample_weight has shape {given.shape}; expected ({before.n_users},), one for each "
            "user of the table afterwards. Those of users who have interactions are not looked at."
        )
    fresh = np.unique(users)
    fresh = fresh[before.degrees_of(fresh) == 0]
    own = given[fresh]
    if not np.isfinite(own).all() or np.any(own <= 0):
        raise ValueError(
            "sample_weight holds numbers that are not positive and finite for new users; expected "
            "such. Leave out the interactions of users that are not to count."
        )
    check_magnitude(own, "sample_weight")
    if weights is None and np.all(own == 1):
        return None
    weights = np.ones(before.n_users) if weights is None else weights.copy()
    weights[fresh] = own
    return weights


def _request(
    before: Interactions,
    after: Interactions,
    old: ForgetRequest,
    gone: Ints,
    come: tuple[Ints, Ints],
) -> ForgetRequest:
    users, items = come
    return replace(
        old,
        positions=gone,
        added=after.locate(users, items),
        n_interactions=len(gone),
        n_users=len(sorted_union(rows_of(before.indptr, gone), users)),
        n_items=len(sorted_union(before.items_at(gone), items)),
    )
