"""What is made of a table of interactions: matrices, and other tables."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.utils._interactions import concatenate_ranges, index_dtype
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
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    n_items: int


class DerivedTables:
    """Mixin of `Interactions`: what is made of a table without a change of an interaction."""

    __slots__ = ()

    indptr: NDArray[np.int64]
    _indices: NDArray[Any] | Pages
    _values: NDArray[Any] | Pages
    shape: tuple[int, int]
    row_weights: NDArray[np.float64] | None
    _cache: dict[str, Any]

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
