"""How far two ranked lists agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sklearn_unlearn.metrics._checks import IndexArray, check_count, check_interactions
from sklearn_unlearn.metrics._lists import as_lists, user_chunks


def top_k_overlap(a: Any, b: Any, k: int = 10, users: Any = None, exclude: Any = None) -> float:
    """Mean share of items that two top-k lists have in common, in any order.

    Parameters
    ----------
    a, b : recommender, or array of shape (n_users, n_items) or (n_users, >= k)
        Two recommenders with ``recommend``, **float** score matrices or **integer** item lists, as
        in :func:`recall_at_k`; they need not be of one kind.
    k : int, default=10
        Length of the lists.
    users : array of int or boolean mask, default=None
        Compare only the lists of these users. Report the users that a request touched apart: the
        mean over everybody hides them.
    exclude : {array, sparse} of shape (n_users, n_items), default=None
        Interactions to leave out of both lists. By default each recommender leaves out what it was
        fitted on: pass the retained interactions to compare models fitted on different data.

    Returns
    -------
    overlap : float
        Between 0 and 1. A list that ends early counts with its length: common items are divided by
        the longer of the two lists, and two empty lists agree fully.

    Raises
    ------
    TypeError
        If `a` or `b` is none of the above, or `k` or positions are not integers.
    ValueError
        If the numbers of users or items differ, lists are shorter than `k` or hold an item twice,
        or no user is selected.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import top_k_overlap
    >>> top_k_overlap(np.array([[1, 2, 3, 4]]), np.array([[4, 3, 2, 9]]), k=4)
    0.75
    """
    total, n_users = 0.0, 0
    for lists_a, lists_b in _list_pairs(a, b, check_count(k, "k"), users, exclude):
        common = _common_by_depth(lists_a, lists_b)[:, -1]
        longer = np.maximum((lists_a >= 0).sum(axis=1), (lists_b >= 0).sum(axis=1))
        total += float(np.where(longer > 0, common / np.maximum(longer, 1), 1.0).sum())
        n_users += len(lists_a)
    return total / n_users


def rank_biased_overlap(
    a: Any, b: Any, p: float = 0.9, *, k: int = 10, users: Any = None, exclude: Any = None
) -> float:
    r"""Mean rank-biased overlap of two lists: agreement in which the top counts most.

    With :math:`A_d` the share of common items among the first d,

    .. math:: RBO = (1 - p) \sum_{d=1}^{k} p^{d-1} A_d + p^k A_k

    the extrapolated form of Webber, Moffat and Zobel (2010): beyond depth k the agreement is taken
    to stay what it is there, so that equal lists give 1.

    Parameters
    ----------
    a, b : recommender, or array of shape (n_users, n_items) or (n_users, >= k)
        As in :func:`top_k_overlap`.
    p : float, default=0.9
        Persistence, between 0 and 1, both excluded: the weight of depth d falls as ``p**d``.
    k : int, default=10
        Length of the lists.
    users : array of int or boolean mask, default=None
        Compare only the lists of these users.
    exclude : {array, sparse} of shape (n_users, n_items), default=None
        Interactions to leave out of both lists, as in :func:`top_k_overlap`.

    Returns
    -------
    overlap : float
        Between 0 and 1. A list that ends early counts with its length, as in
        :func:`top_k_overlap`.

    Raises
    ------
    TypeError, ValueError
        As :func:`top_k_overlap`, and if `p` is not a number between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import rank_biased_overlap
    >>> first_differs = rank_biased_overlap(np.array([[1, 2, 3]]), np.array([[9, 2, 3]]), k=3)
    >>> last_differs = rank_biased_overlap(np.array([[1, 2, 3]]), np.array([[1, 2, 9]]), k=3)
    >>> first_differs < last_differs
    True
    """
    if isinstance(p, bool | np.bool_) or not isinstance(p, int | float | np.number):
        raise TypeError(f"p={p!r}; expected a number between 0 and 1. Pass a float, such as 0.9.")
    if not 0 < p < 1:
        raise ValueError(f"p={p}; expected a number between 0 and 1. Pass, for instance, 0.9.")
    k = check_count(k, "k")
    weights = (1 - p) * p ** np.arange(k)
    weights[-1] += p**k
    total, n_users = 0.0, 0
    for lists_a, lists_b in _list_pairs(a, b, k, users, exclude):
        length_a, length_b = (np.cumsum(lists >= 0, axis=1) for lists in (lists_a, lists_b))
        longer = np.maximum(length_a, length_b)
        common = _common_by_depth(lists_a, lists_b)
        agreement = np.where(longer > 0, common / np.maximum(longer, 1), 1.0)
        total += float((agreement * weights).sum())
        n_users += len(lists_a)
    return total / n_users


def _list_pairs(
    a: Any, b: Any, k: int, users: Any, exclude: Any
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Yield the lists of the same users from both sources."""
    if exclude is not None:
        exclude = check_interactions(exclude, "exclude")
    source_a, source_b = as_lists(a, "a", exclude), as_lists(b, "b", exclude)
    for axis in ("n_users", "n_items"):
        size_a, size_b = getattr(source_a, axis), getattr(source_b, axis)
        if size_a is not None and size_b is not None and size_a != size_b:
            raise ValueError(
                f"a has {axis}={size_a} and b has {axis}={size_b}; expected the same. "
                f"Pass lists of the same users over the same items."
            )
    n_users = source_a.n_users if source_a.n_users is not None else source_b.n_users
    for chunk in user_chunks(users, n_users, "a"):
        yield source_a.top(chunk, k), source_b.top(chunk, k)


def _common_by_depth(a: IndexArray, b: IndexArray) -> IndexArray:
    """Count the items common to the first d entries of lists (n, k), for d = 1 .. k."""
    n_lists, k = a.shape
    both = np.hstack([a, b])
    # Items are unique in a list: next to each other after sorting, they are in both.
    order = np.argsort(both, axis=1, kind="stable")
    ordered = np.take_along_axis(both, order, axis=1)
    rows, place = np.nonzero((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0))
    depth = np.maximum(order[rows, place], order[rows, place + 1] - k)
    counts = np.bincount(rows * k + depth, minlength=n_lists * k).reshape(n_lists, k)
    return np.cumsum(counts, axis=1)
