r"""Most similar items by co-occurrence, and their exact correction when data change.

Nearly all similarities have one form. With strengths v of the interactions, weights g of the users
and scales r and c of the items as rows and as entries of rows (`Weighting`),

.. math:: C_{ij} = \sum_u g_u v_{ui} v_{uj}, \qquad S_{ij} = (C_{ij} \, r_i c_j)^s

or, for sets of users of the sizes n, :math:`C_{ij} / (n_i + n_j - C_{ij})` and
:math:`2 C_{ij} / (n_i + n_j)`. The largest entries of each row of S are kept. C is not: it has many
times more. When data change, the rows of C that change are counted again, by the loop that counted
them first: no rounding builds up, and the result is, bit for bit, that of a fit to what there is
then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.backends import ScipyBackend
from sklearn_unlearn.exact.cooccurrence import _cooccurrence_kernels as _kernels
from sklearn_unlearn.exact.cooccurrence._weightings import ItemCells, Rule, Weighting
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._interactions import (
    concatenate_ranges,
    index_dtype,
    rows_of,
    sorted_union,
)

__all__ = ["Neighborhoods", "find_again", "find_all", "grown"]

Floats = NDArray[Any]
_NONE = np.empty(0, np.int64)
Lists = tuple[NDArray[Any], NDArray[Any], Floats]

# Lists are made for so many places at a time: 48 MiB in float64.
_PLACES_AT_ONCE = 2**22
# With this share of the work of a fit to do, a fit is as fast: it can share it among threads.
_MAX_SHARE = 0.5


@dataclass(frozen=True)
class Neighborhoods:
    """The most similar items of every item, and what it takes to correct them.

    Parameters
    ----------
    similarity : csr_array of shape (n_items, n_items)
        Row by row the largest similarities above zero, the item itself among them; ties go to the
        lowest item. Items ascend within a row. The arrays are read-only.

    floors : ndarray of shape (n_items,)
        The lowest similarity of each row that is full, zero for others.

    item_scales : ndarray of float64, shape (n_items,)
        Of the `Weighting`.

    all_ones : bool
        Whether all values are 1.
    """

    similarity: sparse.csr_array
    floors: Floats
    item_scales: Floats
    all_ones: bool


def find_all(
    data: Interactions, rule: Rule, n_neighbors: int, backend: ScipyBackend
) -> Neighborhoods:
    """Find the most similar items of every item.

    Parameters
    ----------
    data : Interactions
        Non-negative values.

    rule : Rule
        What similar means.

    n_neighbors : int
        Length of a row at most.

    backend : ScipyBackend
        Whose threads share the rows. The result does not depend on it.

    Returns
    -------
    neighborhoods : Neighborhoods
        In the data type of the values.

    Examples
    --------
    >>> from sklearn_unlearn.exact.cooccurrence._cooccurrence import find_all
    >>> from sklearn_unlearn.exact.cooccurrence._weightings import Rule
    >>> from sklearn_unlearn.backends import ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> data = Interactions.from_matrix([[1, 1, 0], [1, 1, 0], [1, 0, 1], [1, 0, 0]])
    >>> find_all(data, Rule("cosine"), 2, ScipyBackend()).similarity.toarray().round(3)
    array([[1.   , 0.707, 0.   ],
           [0.707, 1.   , 0.   ],
           [0.5  , 0.   , 1.   ]])
    """
    cells = ItemCells.of_all(data)
    weighting = Weighting.of(data, cells, rule)
    width = min(n_neighbors, data.n_items)
    step = max(1, _PLACES_AT_ONCE // width)
    parts = []
    for start in range(0, data.n_items, step):
        part = cells.part(start, start + step)
        items, values, lengths = _rank(data, part, weighting, rule, width, backend)
        kept = np.arange(width) < lengths[:, None]
        parts.append((items[kept], values[kept], lengths, _floors(values, lengths)))
    indices, values, lengths, floors = map(np.concatenate, zip(*parts, strict=True))
    similarity = _as_matrix(np.append(0, np.cumsum(lengths)), indices, values)
    return Neighborhoods(similarity, floors, weighting.item_scales, weighting.all_ones)


def find_again(
    old: Neighborhoods,
    before: Interactions,
    retained: Interactions,
    positions: NDArray[np.int64],
    rule: Rule,
    n_neighbors: int,
    backend: ScipyBackend,
    added: NDArray[np.int64] = _NONE,
) -> tuple[Neighborhoods, int]:
    """Correct the most similar items when interactions change.

    The rows of touched items are made again. In the rows of others only the entries of touched
    items change; where such an entry falls, and one that was left out might take its place, the row
    is made again too. So is every row if that is as fast, or if the rule has a mean over all items.

    Parameters
    ----------
    old : Neighborhoods
        Of the data before. Not written to.

    before, retained : Interactions
        The data before and after, of one shape.

    positions : ndarray of int64
        What goes, as positions before.

    rule, n_neighbors, backend
        As in `find_all`.

    added : ndarray of int64, default=()
        What comes, as positions after.

    Returns
    -------
    neighborhoods : Neighborhoods
        Equal to that of `find_all` on the data after, bit for bit.

    n_rows : int
        How many rows were made or merged again.
    """
    if rule.is_global:
        return find_all(retained, rule, n_neighbors, backend), retained.n_items
    users = sorted_union(rows_of(before.indptr, positions), rows_of(retained.indptr, added))
    rows = [data.indices[concatenate_ranges(data.indptr, users)] for data in (before, retained)]
    near = sorted_union(*rows)
    # Where the weight of a user depends on its row, it changes in all that is left of the row.
    touched = near
    if not rule.weighs_users:
        touched = sorted_union(before.indices[positions], retained.indices[added])
    cells = ItemCells.of(retained, touched)
    degrees = retained.user_degrees
    if degrees[cells.users].sum() > _MAX_SHARE * (degrees @ degrees):
        return find_all(retained, rule, n_neighbors, backend), retained.n_items
    all_ones = old.all_ones and bool(np.all(retained.values[added] == 1))
    weighting = Weighting.again(retained, cells, rule, old.item_scales, all_ones)
    lists = _frozen(old.similarity.indptr, old.similarity.indices, old.similarity.data)
    width = min(n_neighbors, retained.n_items)
    made, hosts, merged = _made_and_merged(
        old, lists, retained, cells, weighting, rule, near, width
    )
    unsure = np.flatnonzero(merged[2] < 0)
    if len(unsure):
        rest = ItemCells.of(retained, hosts[unsure])
        again = _rank(retained, rest, weighting, rule, width, backend)
        for target, source in zip(merged, again, strict=True):
            target[unsure] = source
    changed = np.concatenate((touched, hosts))
    similarity, floors = _replaced(lists, old.floors, changed, made, merged)
    new = Neighborhoods(similarity, floors, weighting.item_scales, weighting.all_ones)
    return new, len(changed)


def grown(old: Neighborhoods, n_items: int, n_neighbors: int) -> Neighborhoods:
    """Return the same lists beside those of more items, which are similar to none.

    Parameters
    ----------
    old : Neighborhoods
        Of a rule that does not depend on the number of items.

    n_items : int
        How many items there are then.

    n_neighbors : int
        As in `find_all`.

    Returns
    -------
    neighborhoods : Neighborhoods
        Equal to that of `find_all` on the same interactions, bit for bit.
    """
    more = n_items - len(old.floors)
    matrix = old.similarity
    indptr = np.append(matrix.indptr, np.full(more, matrix.indptr[-1], matrix.indptr.dtype))
    similarity = _as_matrix(indptr, np.array(matrix.indices), np.array(matrix.data))
    floors, scales = (
        np.append(one, np.zeros(more, one.dtype)) for one in (old.floors, old.item_scales)
    )
    if len(old.floors) < n_neighbors and more:
        floors[:] = 0  # a list of all items was full: there is room for another now
    return replace(old, similarity=similarity, floors=floors, item_scales=scales)


def _rank(
    data: Interactions,
    cells: ItemCells,
    weighting: Weighting,
    rule: Rule,
    width: int,
    backend: ScipyBackend,
) -> Lists:
    """Make the rows of the cells' items."""
    lists = _empty_lists(len(cells.items), width, data)
    # A thread gets as many products, not as many rows.
    products = np.append(0, np.cumsum(data.user_degrees[cells.users]))[cells.starts]
    operands = _operands(data, cells, weighting, rule)
    backend._run(_kernels.rank_rows, products, 1, *operands, *lists)
    return lists


def _made_and_merged(
    old: Neighborhoods,
    lists: Lists,
    data: Interactions,
    cells: ItemCells,
    weighting: Weighting,
    rule: Rule,
    near: NDArray[np.int64],
    width: int,
) -> tuple[Lists, NDArray[np.int64], Lists]:
    """Make the rows of the cells' items, and merge what is new in them into the rows of others."""
    made = _empty_lists(len(cells.items), width, data)
    is_touched, flags = (np.zeros(data.n_items, bool) for _ in range(2))
    is_touched[cells.items] = True
    # What had only the lost interactions in common with one of them is not met again.
    flags[near] = True
    rank: Callable[..., Lists] = _kernels.rank_touched
    to_host, guests, values = rank(
        *_operands(data, cells, weighting, rule),
        *_frozen(rule.scales(old.item_scales)[1], old.floors),
        is_touched,
        flags,
        *made,
    )
    hosts = np.flatnonzero(flags & ~is_touched)
    merged = _empty_lists(len(hosts), width, data)
    order = np.argsort(to_host, kind="stable")
    starts = np.append(np.searchsorted(to_host[order], hosts), len(order))
    offers = guests[order], values[order]
    _kernels.merge_rows(hosts, starts, *offers, is_touched, lists, *merged)
    return made, hosts, merged


def _replaced(
    old: Lists, old_floors: Floats, rows: NDArray[np.int64], *parts: Lists
) -> tuple[sparse.csr_array, Floats]:
    """Return the old lists and floors with those of some rows replaced."""
    order = np.argsort(rows)
    rows = rows[order]
    items, values, lengths = (np.concatenate(some)[order] for some in zip(*parts, strict=True))
    sizes = np.diff(old[0])
    sizes[rows] = lengths
    indptr = np.append(0, np.cumsum(sizes))
    indices, data = (np.empty(indptr[-1], one.dtype) for one in old[1:])
    _kernels.replace_rows(old, indptr, rows, items, values, indices, data)
    floors = np.array(old_floors)
    floors[rows] = _floors(values, lengths)
    return _as_matrix(indptr, indices, data), floors


def _floors(values: Floats, lengths: NDArray[np.int64]) -> Floats:
    full = lengths == values.shape[1]
    floors = np.zeros(len(values), values.dtype)
    floors[full] = (values if full.all() else values[full]).min(axis=1)
    return floors


def _empty_lists(n: int, width: int, data: Interactions) -> Lists:
    return (
        np.empty((n, width), index_dtype(data.n_items)),
        np.empty((n, width), data.values.dtype),
        np.zeros(n, np.int64),
    )


def _operands(
    data: Interactions, cells: ItemCells, weighting: Weighting, rule: Rule
) -> tuple[Any, ...]:
    """Return what the kernels read."""
    users, own = cells.users.astype(np.int64, copy=False), weighting.own(cells)
    return (
        *_frozen(cells.items, cells.starts, users, own),
        _frozen(data.indptr, data.indices, weighting.strengths),
        *_frozen(weighting.user_weights),
        _frozen(*rule.scales(weighting.item_scales)),
        rule.form,
    )


def _frozen(*arrays: NDArray[Any]) -> Any:
    # One type, whatever keeps the array: kernels are compiled for each type.
    views = tuple(np.asarray(one).view() for one in arrays)
    for view in views:
        view.setflags(write=False)
    return views


def _as_matrix(indptr: NDArray[Any], indices: NDArray[Any], data: Floats) -> sparse.csr_array:
    # One integer type for both, or SciPy would convert the long one.
    indptr = indptr.astype(indices.dtype if len(data) <= np.iinfo(indices.dtype).max else np.int64)
    n_items = len(indptr) - 1
    matrix = sparse.csr_array((data, indices, indptr), shape=(n_items, n_items))
    # Not views: a view keeps alive whatever it is a part of.
    if matrix.indices.dtype == indices.dtype:
        matrix.indptr, matrix.indices = indptr, indices
    matrix.data = data
    for one in (matrix.indptr, matrix.indices, matrix.data):
        one.setflags(write=False)
    matrix.has_canonical_format = True
    return matrix
