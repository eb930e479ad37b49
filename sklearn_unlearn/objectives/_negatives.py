"""Hashed negatives: the items that every interaction is compared with, and where they are.

Each interaction (u, i) has a *group* of ``1 + S`` cells of its user: the item i itself, then S
items drawn uniformly among all others. A draw is a hash of (seed, u, i, slot), so it does not
depend on any other interaction: a model refitted on fewer of them meets the same negatives. A draw
that the user has met is no negative: it stays in its place and does not count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.backends import Pattern
from sklearn_unlearn.interactions import Interactions, Origin
from sklearn_unlearn.objectives._base import Layout
from sklearn_unlearn.objectives._cells import Restriction
from sklearn_unlearn.utils._interactions import (
    concatenate_ranges,
    index_dtype,
    owned,
    rows_of,
    scan_columns,
    sorted_union,
)
from sklearn_unlearn.utils._random import hashed_bits
from sklearn_unlearn.utils._verbs import cached_property

__all__ = ["GroupedPattern", "draw_groups", "negatives_of", "restrict_groups"]

Ints = NDArray[Any]

_WORD = (1 << 64) - 1
# The start of a fit is drawn from the same seed: this sets the streams apart.
_STREAM = 0xA24BAED4963EE407


class GroupedPattern(Pattern):
    """Cells in groups of equal width; a cell may occur twice, items do not ascend.

    Read column by column only where that is asked for: a local request finds the few columns that
    it touches by one scan.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_users + 1,)
        Where the cells of each user start.

    groups : ndarray of int, shape (n_groups, width)
        The items of each group.

    shape : tuple of int
        ``(n_users, n_items)``.
    """

    def __init__(self, indptr: Ints, groups: Ints, shape: tuple[int, int]) -> None:
        # Read-only arrays are a type of their own to the compiler: one type, one compilation.
        indices = groups.reshape(-1)
        for array in (indptr, groups, indices):
            array.setflags(write=False)
        self.__dict__.update(indptr=indptr, indices=indices, groups=groups, shape=shape)

    groups: Ints

    @property
    def width(self) -> int:
        """Cells of a group."""
        return self.groups.shape[1]

    @cached_property
    def indptr_t(self) -> Ints:
        return self._transpose[0]

    @cached_property
    def indices_t(self) -> Ints:
        return self._transpose[1]

    @cached_property
    def order_t(self) -> Ints:
        return self._transpose[2]

    @cached_property
    def order(self) -> Ints:
        """Place of each row-major entry in row-major order: what `order_t` is for columns."""
        order = np.arange(self.n_interactions, dtype=index_dtype(self.n_interactions))
        order.setflags(write=False)
        return order

    @cached_property
    def _transpose(self) -> tuple[Ints, ...]:
        csr = sparse.csr_array((self.order, self.indices, self.indptr), shape=self.shape)
        csc = csr.tocsc()
        users = owned(csc.indices.astype(index_dtype(self.shape[0]), copy=False))
        arrays = csc.indptr.astype(np.int64), users, owned(csc.data)
        for array in arrays:
            array.setflags(write=False)
        return arrays

    def cells_of_columns(self, columns: NDArray[np.int64]) -> tuple[Ints, ...]:
        """Where each column starts, and the row and the row-major place of each of its cells."""
        if "_transpose" in self.__dict__:
            return super().cells_of_columns(columns)
        lengths, rows, places = scan_columns(self.indptr, self.indices, self.shape[1], columns)
        return np.append(0, np.cumsum(lengths)), rows, places

    def groups_of(self, users: Ints, items: Ints) -> NDArray[np.int64]:
        """List the groups of some users, and those that some items are part of, ascending."""
        by_user = concatenate_ranges(self.indptr // self.width, users)
        by_item = self.cells_of_columns(items)[2] // self.width
        return sorted_union(by_user, by_item)

    def users_of(self, groups: Ints) -> NDArray[np.int64]:
        """User of each group."""
        return rows_of(self.indptr // self.width, groups)


def draw_groups(
    data: Interactions, n_negatives: int, seed: int, *, key: int | None = None
) -> tuple[GroupedPattern, NDArray[np.bool_]]:
    """Draw the negatives of every interaction.

    Parameters
    ----------
    data : Interactions
        Who met what.

    n_negatives : int
        Draws an interaction, S.

    seed : int
        Seed of the hash.

    key : int or None, default=None
        What stands for every user in the hash; None is its own position, in the whole table of
        which the data may be a part. New rows share one, so that what they draw does not depend on
        their company.

    Returns
    -------
    pattern : GroupedPattern
        Groups of ``1 + S`` cells, in the order of the interactions.

    counted : ndarray of bool, shape (n_interactions, S)
        Which draws are negatives: the others the user has met.

    Examples
    --------
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.objectives._negatives import draw_groups
    >>> pattern, counted = draw_groups(Interactions.from_matrix([[1, 0], [1, 1]]), 2, seed=0)
    >>> pattern.groups
    array([[0, 1, 1],
           [0, 1, 1],
           [1, 0, 0]], dtype=int32)
    >>> counted
    array([[ True,  True],
           [False, False],
           [False, False]])
    """
    from sklearn_unlearn.backends._kernels import draw

    m, n = data.shape
    groups = np.empty((data.n_interactions, 1 + n_negatives), data.indices.dtype)
    counted = np.empty((data.n_interactions, n_negatives), bool)
    keys = np.full(m, key)
    if key is None:
        keys = np.arange(m) if data.origin is None else data.origin.users
    hashed = np.uint64((seed + _STREAM) & _WORD)
    # Arrays of a memory map, and read-only ones, would each be compiled for.
    indptr, items = np.array(data.indptr), np.array(data.indices)
    if data.origin is not None:
        items, n = data.origin.items[items].astype(items.dtype), data.origin.n_items
    draw(hashed, keys.astype(np.int64), indptr, items, n, groups, counted)
    if data.origin is not None:
        groups = np.searchsorted(data.origin.items, groups).astype(groups.dtype)
    return GroupedPattern(indptr * (1 + n_negatives), groups, data.shape), counted


def negatives_of(
    users: Ints,
    items: Ints,
    n_items: int,
    n_negatives: int,
    seed: int,
    origin: Origin | None = None,
) -> Ints:
    """Draws of some (user, item) pairs, shape (n_pairs, n_negatives), counted or not."""
    if origin is not None:
        places = origin.users[users], origin.items[items]
        drawn = negatives_of(*places, origin.n_items, n_negatives, seed)
        return np.searchsorted(origin.items, drawn)
    if n_items < 2:
        return np.repeat(np.asarray(items)[:, None], n_negatives, axis=1)
    items = np.asarray(items, np.int64)[:, None]
    bits = hashed_bits(seed + _STREAM, np.asarray(users)[:, None], items, np.arange(n_negatives))
    drawn = (bits % np.uint64(n_items - 1)).astype(np.int64)
    return drawn + (drawn >= items)


def restrict_groups(pattern: GroupedPattern, layout: Layout, rows: Ints) -> Restriction:
    """Keep the groups that some rows are part of, whole, and renumber users and items."""
    m, width = layout.n_users, pattern.width
    groups = pattern.groups_of(rows[rows < m], rows[rows >= m] - m)
    users, items = pattern.users_of(groups), pattern.groups[groups]
    free = np.zeros(layout.shape[0], bool)
    free[rows] = True
    kept = free.copy()
    kept[users] = True
    kept[items.ravel() + m] = True
    table_rows = np.flatnonzero(kept)
    place = np.cumsum(kept) - 1
    n_users = int(np.count_nonzero(kept[:m]))
    smaller = layout.for_rows(n_users, len(table_rows) - n_users)
    lengths = np.bincount(place[users], minlength=n_users) * width
    part = GroupedPattern(
        np.append(0, np.cumsum(lengths)),
        (place[items + m] - n_users).astype(items.dtype),
        (n_users, smaller.n_items),
    )
    cells = (groups[:, None] * width + np.arange(width)).ravel()
    return Restriction(part, cells, smaller, table_rows, np.flatnonzero(~free[table_rows]))
