"""What is made of a table of interactions: matrices, and other tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.utils._interactions import (
    concatenate_ranges,
    index_dtype,
    places_in_rows,
    square_sums,
    with_entries,
)
from sklearn_unlearn.utils._pages import Pages, whole

__all__ = ["DerivedTables", "Origin"]

# What is derived for each user or item, and not for each interaction.
_SUMS = ("item_degrees", "user_squares")

# Users of a page: a request copies the pages of its users.
_PAGE_USERS = 4096
# From so many interactions on, pages take less time than to copy all.
_WORTH_PAGES = 2**20


class Origin(NamedTuple):
    """Where a smaller table was taken from.

    Parameters
    ----------
    users, items : ndarray of int64
        Positions of its users and items in the whole table.

    n_items : int
        Items of the whole table.

    Examples
    --------
    >>> from sklearn_unlearn.interactions import Origin
    >>> Origin([0, 1], [2, 0], 3).n_items
    3
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    n_items: int


class DerivedTables:
    """Mixin of `Interactions`: what is made of a table; what goes of one is with the class."""

    __slots__ = ()

    indptr: NDArray[np.int64]
    _indices: NDArray[Any] | Pages
    _values: NDArray[Any] | Pages
    shape: tuple[int, int]
    row_weights: NDArray[np.float64] | None
    _cache: dict[str, Any]
    _keep: Callable[[str, Any], None]

    def to_csr(self) -> sparse.csr_array:
        """Return a SciPy matrix, shape (n_users, n_items), over the read-only arrays."""
        csr = sparse.csr_array(
            (whole(self._values), whole(self._indices), self.indptr), shape=self.shape
        )
        csr.has_canonical_format = True
        return csr

    def rows_of_users(self, users: NDArray[np.int64]) -> sparse.csr_array:
        """Copy the rows of some users, in any order, shape (len(users), n_items)."""
        cells = concatenate_ranges(self.indptr, users)
        indptr = np.append(0, np.cumsum(self.indptr[users + 1] - self.indptr[users]))
        arrays = self._values[cells], self._indices[cells], indptr
        csr = sparse.csr_array(arrays, shape=(len(users), self.shape[1]))
        csr.has_canonical_format = True
        return csr

    def bare(self) -> Self:
        """Return the same table over the same arrays, without what was derived for every cell."""
        return self._with_cells(self._indices, self._values)

    def paged(self) -> Self:
        """Return the same table in pages of users, if it is large; without the transposed pattern.

        What `remove` makes of it copies the pages of the users that lose an interaction, and shares
        the others.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_unlearn.interactions import Interactions
        >>> large = Interactions.from_matrix(np.ones((8192, 128))).paged()
        >>> retained = large.remove([0])
        >>> retained._values.pages[1] is large._values.pages[1]
        True
        """
        if not self.is_large or isinstance(self._indices, Pages):
            return self.bare()
        starts = self.indptr[:-1:_PAGE_USERS]
        cells = (Pages.cut(whole(array), starts) for array in (self._indices, self._values))
        return self._with_cells(*cells)

    @property
    def is_large(self) -> bool:
        """Whether the table is in pages, or large enough for them."""
        return isinstance(self._indices, Pages) or len(self._indices) >= _WORTH_PAGES

    def _with_cells(self, indices: NDArray[Any] | Pages, values: NDArray[Any] | Pages) -> Self:
        """Return the same table with its cells in these arrays."""
        table = self._made(self.indptr, indices, values, self.shape, self.row_weights)
        table._cache.update((name, self._cache[name]) for name in _SUMS if name in self._cache)
        return table

    def grown(self, shape: tuple[int, int]) -> Self:
        """Return the same interactions in a table with more users and items, who have none.

        Parameters
        ----------
        shape : tuple of int
            ``(n_users, n_items)``, neither smaller than here. New positions follow the old ones.

        Returns
        -------
        table : Interactions
            This one if there is nothing to add. Users without interactions have weight 1.

        Examples
        --------
        >>> from sklearn_unlearn.interactions import Interactions
        >>> Interactions.from_matrix([[4, 5]]).grown((2, 3)).to_csr().toarray()
        array([[4., 5., 0.],
               [0., 0., 0.]])
        """
        if shape == self.shape:
            return self
        n_users, n_items = (int(side) for side in shape)
        more = n_users - self.shape[0], n_items - self.shape[1]
        weights = self.row_weights
        if weights is not None:
            weights = np.append(weights, np.ones(more[0]))
        indptr = np.append(self.indptr, np.full(more[0], self.indptr[-1]))
        table = self._made(indptr, self._indices, self._values, (n_users, n_items), weights)
        for name, extra in zip(_SUMS, more[::-1], strict=True):
            if name in self._cache:
                sums = self._cache[name]
                table._keep(name, np.append(sums, np.zeros(extra, sums.dtype)))
        if "transpose" in self._cache:
            indptr_T, *rest = self._cache["transpose"]
            whole_indptr = np.append(indptr_T, np.full(more[1], indptr_T[-1]))
            table._keep("transpose", (whole_indptr, *rest))
        return table

    def insert(
        self,
        users: NDArray[np.int64],
        items: NDArray[np.int64],
        values: NDArray[Any],
        row_weights: NDArray[np.float64] | None = None,
    ) -> Self:
        """Return new interactions with some more.

        Parameters
        ----------
        users, items : ndarray of int64, shape (n,)
            Where they are: distinct, ascending by user and then by item, and not in this table.

        values : ndarray of shape (n,)
            Their values, none of them zero.

        row_weights : ndarray of float64, shape (n_users,), or None, default=None
            Weights of the users of the new table.

        Returns
        -------
        table : Interactions
            Of the same shape. It shares no memory with this table, but for the pages that take
            nothing in. The sums over users and items are carried over, a transposed pattern is not.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_unlearn.interactions import Interactions
        >>> data = Interactions.from_matrix([[4, 0], [0, 5]])
        >>> data.insert(np.array([1]), np.array([0]), np.array([9.0])).to_csr().toarray()
        array([[4., 0.],
               [9., 5.]])
        """
        places, near = (
            places_in_rows(self.indptr, self._indices, users, items),
            self.indptr[users],
        )
        gained = np.bincount(users, minlength=self.shape[0])
        table = self._made(
            self.indptr + np.append(0, np.cumsum(gained)),
            with_entries(self._indices, places, items.astype(self._indices.dtype), near),
            with_entries(self._values, places, values.astype(self._values.dtype), near),
            self.shape,
            row_weights,
        )
        if "item_degrees" in self._cache:
            more = np.bincount(items, minlength=self.shape[1])
            table._keep("item_degrees", self._cache["item_degrees"] + more)
        if "user_squares" in self._cache:
            squares, rows = self._cache["user_squares"].copy(), np.unique(users)
            squares[rows] = square_sums(table.indptr, table._values, rows)
            table._keep("user_squares", squares)
        return table

    def compact(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> Self:
        """Return a smaller table of some users and items, without a gap between them.

        Parameters
        ----------
        users, items : ndarray of int64
            Ascending; every interaction must be of one of each.

        Returns
        -------
        part : Interactions
            Of shape ``(len(users), len(items))``, with the interactions at the same positions.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_unlearn.interactions import Interactions
        >>> data = Interactions.from_matrix([[0, 0, 0], [0, 4, 5], [0, 0, 0]])
        >>> part = data.compact(np.array([1]), np.array([1, 2]))
        >>> part.to_csr().toarray(), part.origin.items
        (array([[4., 5.]]), array([1, 2]))
        """
        indptr = np.append(self.indptr[users], len(self._indices))
        numbers = np.empty(self.shape[1], index_dtype(len(items)))
        numbers[items] = np.arange(len(items))
        weights = None if self.row_weights is None else self.row_weights[users]
        part = self._made(
            indptr.astype(np.int64, copy=False),
            numbers[whole(self._indices)],
            whole(self._values),
            (len(users), len(items)),
            weights,
        )
        part._cache["origin"] = Origin(users, items, self.shape[1])
        return part

    def _made(self, *state: Any) -> Self:
        """Return a table of the same class."""
        return type(self)(*state)
