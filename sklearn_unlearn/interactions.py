"""The one data container: who met what, and with which value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from sklearn_unlearn.utils._derived_tables import DerivedTables, Origin
from sklearn_unlearn.utils._interactions import (
    column_counts,
    concatenate_ranges,
    index_dtype,
    owned,
    rows_of,
    scan_columns,
    search_in_rows,
    sorted_union,
    square_sums,
    transpose_without,
    without,
)
from sklearn_unlearn.utils._matrices import summed_copy
from sklearn_unlearn.utils._pages import Pages, whole
from sklearn_unlearn.utils._state import problem_of_interactions

__all__ = ["Interactions", "Origin"]

_STATE = ("indptr", "indices", "values", "shape", "row_weights")


class Interactions(DerivedTables):
    """An immutable table of observed (user, item) interactions.

    The layout is a compressed sparse row matrix in canonical form: items ascend within each user,
    no cell is stored twice, no stored value is zero. The place of an interaction in that order is
    its *position*. Shapes never shrink: a user or an item without interactions keeps its index.

    Use `from_matrix` to build one from data; the constructor trusts its arguments, keeps the arrays
    themselves and makes them read-only.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_users + 1,)
        The interactions of user ``u`` have the positions ``indptr[u]`` to ``indptr[u + 1]``.

    indices : ndarray of int32 or int64, or Pages of such, shape (n_interactions,)
        The item of each interaction.

    values : ndarray of float64 or float32, or Pages of such, shape (n_interactions,)
        The value of each interaction.

    shape : tuple of int
        ``(n_users, n_items)``.

    row_weights : ndarray of float64, shape (n_users,), or None, default=None
        How much each user counts. Users without interactions have weight 1, so that nothing is kept
        about them. None means that all weights are 1.

    Notes
    -----
    Every array is read-only. Derived arrays (`rows`, `transpose_pattern`) are computed on first use
    and kept, but never pickled. A table that is `paged` puts `indices` and `values` together each
    time they are asked for; `items_at` and `values_at` read some of them.

    Examples
    --------
    >>> from sklearn_unlearn.interactions import Interactions
    >>> data = Interactions.from_matrix([[1, 0, 3], [0, 2, 0]])
    >>> data
    Interactions(n_users=2, n_items=3, n_interactions=3)
    >>> data.locate([0, 0], [2, 1])
    array([ 1, -1])
    >>> data.remove([1]).to_csr().toarray()
    array([[1., 0., 0.],
           [0., 2., 0.]])
    """

    __slots__ = ("_cache", "_indices", "_values", "indptr", "row_weights", "shape")

    def __init__(
        self,
        indptr: NDArray[np.int64],
        indices: NDArray[Any] | Pages,
        values: NDArray[Any] | Pages,
        shape: tuple[int, int],
        row_weights: NDArray[np.float64] | None = None,
    ) -> None:
        self._put(dict(zip(_STATE, (indptr, indices, values, shape, row_weights), strict=True)))

    # -- construction and state --------------------------------------------------------------------
    @classmethod
    def from_matrix(cls, X: Any, sample_weight: ArrayLike | None = None) -> Interactions:
        """Copy a matrix into canonical form.

        Parameters
        ----------
        X : sparse container or array-like, shape (n_users, n_items)
            Duplicates are summed, in float32 or float64, and zeros dropped. Of the values nothing
            is rejected, and nothing is written to.

        sample_weight : array-like of shape (n_users,) or None, default=None
            Weights of the users. A user of weight 0 loses its interactions.

        Returns
        -------
        interactions : Interactions
            It shares no memory with `X`.

        Raises
        ------
        TypeError
            For masked arrays.
        ValueError
            If the arrays of a sparse container do not fit each other or its shape.
        """
        csr = summed_copy(X)
        weights = None
        if sample_weight is not None:
            weights = np.array(sample_weight, dtype=np.float64)
            csr.data[np.repeat(weights == 0, np.diff(csr.indptr))] = 0
        csr.eliminate_zeros()
        items = csr.indices.astype(index_dtype(csr.shape[1]))
        return cls(csr.indptr.astype(np.int64), items, owned(csr.data), csr.shape, weights)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Of a file or another process: whatever reads these arrays takes them as they are.
        problem = problem_of_interactions(state, _STATE)
        if problem:
            raise ValueError(
                f"the loaded interactions are damaged: {problem}; expected the state of an "
                "Interactions. Load another copy of the file, or fit again."
            )
        self._put(
            {name: Pages(one) if isinstance(one, list) else one for name, one in state.items()}
        )

    def _put(self, state: dict[str, Any]) -> None:
        put = object.__setattr__
        weights = state["row_weights"]
        if weights is not None:
            # What is left of a forgotten user must not tell how much it once counted.
            weights = np.where(np.diff(state["indptr"]) > 0, weights, 1.0)
        names = ("indptr", "_indices", "_values", "shape", "row_weights")
        shape = int(state["shape"][0]), int(state["shape"][1])
        values = (*(state[name] for name in _STATE[:3]), shape, weights)
        for name, value in zip(names, values, strict=True):
            put(self, name, value)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
        put(self, "_cache", {})

    def __getstate__(self) -> dict[str, Any]:
        state = (self.indptr, self._indices, self._values, self.shape, self.row_weights)
        return {
            # Pages are stored one by one, so that they are also mapped one by one.
            name: list(value.pages) if isinstance(value, Pages) else value
            for name, value in zip(_STATE, state, strict=True)
        }

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"cannot set {name!r}: Interactions never change. Use remove() to make new ones."
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"cannot delete {name!r}: Interactions never change.")

    def __repr__(self) -> str:
        return (
            f"Interactions(n_users={self.n_users}, n_items={self.n_items}, "
            f"n_interactions={self.n_interactions})"
        )

    # -- counts and views --------------------------------------------------------------------------
    @property
    def n_users(self) -> int:
        """Number of rows, users without interactions included."""
        return self.shape[0]

    @property
    def n_items(self) -> int:
        """Number of columns, items without interactions included."""
        return self.shape[1]

    @property
    def n_interactions(self) -> int:
        """Number of stored interactions."""
        return len(self._indices)

    @property
    def indices(self) -> NDArray[Any]:
        """Item of each interaction, shape (n_interactions,), read-only."""
        return whole(self._indices) if isinstance(self._indices, Pages) else self._indices

    @property
    def values(self) -> NDArray[Any]:
        """Value of each interaction, shape (n_interactions,), read-only."""
        return whole(self._values) if isinstance(self._values, Pages) else self._values

    @property
    def stored(self) -> tuple[NDArray[Any] | Pages, NDArray[Any] | Pages]:
        """Items and values as they are stored: what is in pages is not put together."""
        return self._indices, self._values

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the values."""
        return self._values.dtype

    def items_at(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Item of each of some interactions, shape (len(positions),)."""
        return self._indices[positions]

    def values_at(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Value of each of some interactions, shape (len(positions),)."""
        return self._values[positions]

    @property
    def rows(self) -> NDArray[Any]:
        """User of each interaction, shape (n_interactions,), read-only."""
        if "rows" not in self._cache:
            users = np.arange(self.n_users, dtype=index_dtype(self.n_users))
            self._keep("rows", np.repeat(users, self.user_degrees))
        return self._cache["rows"]

    @property
    def user_degrees(self) -> NDArray[np.int64]:
        """Number of interactions of each user, shape (n_users,)."""
        return np.diff(self.indptr)

    def degrees_of(self, users: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count the interactions of some users, shape (len(users),)."""
        return self.indptr[users + 1] - self.indptr[users]

    @property
    def user_squares(self) -> NDArray[np.float64]:
        """Sum of the squared values of each user, shape (n_users,), read-only."""
        if "user_squares" not in self._cache:
            self._keep("user_squares", square_sums(self.indptr, self._values))
        return self._cache["user_squares"]

    @property
    def item_degrees(self) -> NDArray[np.int64]:
        """Number of interactions of each item, shape (n_items,), read-only."""
        if "item_degrees" not in self._cache:
            known = self._cache.get("transpose")
            if known is None:
                self._keep("item_degrees", column_counts(self._indices, self.n_items))
            else:
                self._keep("item_degrees", np.diff(known[0]))
        return self._cache["item_degrees"]

    def transpose_pattern(self) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
        """Return the same pattern item by item.

        Returns
        -------
        indptr_T : ndarray of int64, shape (n_items + 1,)
            Where each item starts in the other two arrays.

        indices_T : ndarray of int, shape (n_interactions,)
            The user of each entry, ascending within an item.

        order_T : ndarray of int, shape (n_interactions,)
            The position of each entry in user-major order: ``values[order_T]`` are the values.
        """
        if "transpose" not in self._cache:
            positions = np.arange(self.n_interactions, dtype=index_dtype(self.n_interactions))
            csr = sparse.csr_array((positions, self.indices, self.indptr), shape=self.shape)
            csc = csr.tocsc()
            users = owned(csc.indices.astype(index_dtype(self.n_users), copy=False))
            self._keep("transpose", (csc.indptr.astype(np.int64), users, owned(csc.data)))
        return self._cache["transpose"]

    def _keep(self, name: str, value: Any) -> None:
        for array in value if isinstance(value, tuple) else (value,):
            array.setflags(write=False)
        self._cache[name] = value

    # -- queries -----------------------------------------------------------------------------------
    def locate(self, users: ArrayLike, items: ArrayLike) -> NDArray[np.int64]:
        """Find the positions of (user, item) pairs.

        Parameters
        ----------
        users, items : array-like of int, shape (n_pairs,)
            Pairs within the table's shape.

        Returns
        -------
        positions : ndarray of int64, shape (n_pairs,)
            The position of each pair, or -1 where the pair is not stored.
        """
        rows, columns = np.asarray(users, np.int64), np.asarray(items, np.int64)
        return search_in_rows(self.indptr, self._indices, rows, columns)

    def contains(self, users: ArrayLike, items: ArrayLike) -> NDArray[np.bool_]:
        """Tell which (user, item) pairs are stored.

        Parameters
        ----------
        users, items : array-like of int, shape (n_pairs,)
            Pairs within the table's shape.

        Returns
        -------
        stored : ndarray of bool, shape (n_pairs,)
            Whether each pair is stored.
        """
        return self.locate(users, items) >= 0

    def incident(
        self, user_mask: ArrayLike | None = None, item_mask: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Find the interactions that touch any of some users or any of some items.

        Parameters
        ----------
        user_mask : array-like of bool, shape (n_users,), or None, default=None
            Users to take whole.

        item_mask : array-like of bool, shape (n_items,), or None, default=None
            Items to take whole.

        Returns
        -------
        positions : ndarray of int64
            Sorted, each once.
        """
        found = [np.empty(0, np.int64)]
        if user_mask is not None:
            found.append(concatenate_ranges(self.indptr, np.flatnonzero(user_mask)))
        if item_mask is not None and "transpose" in self._cache:
            indptr, _, order = self._cache["transpose"]
            found.append(order[concatenate_ranges(indptr, np.flatnonzero(item_mask))])
        elif item_mask is not None and np.any(item_mask):
            found.append(self.item_cells(np.flatnonzero(item_mask))[2])
        return sorted_union(*found)

    def item_cells(
        self, items: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Find the interactions of some items: by the transposed pattern if known, else a scan.

        Parameters
        ----------
        items : ndarray of int64
            Distinct items.

        Returns
        -------
        indptr : ndarray of int64, shape (len(items) + 1,)
            Where each item starts in the other two.

        users, positions : ndarray of int64
            The user and the position of each interaction, ascending within an item.
        """
        if "transpose" not in self._cache:
            n_cells = int(self.item_degrees[items].sum())
            lengths, of_users, positions = scan_columns(
                self.indptr, self._indices, self.n_items, items, n_cells
            )
        else:
            indptr, users, order = self._cache["transpose"]
            cells = concatenate_ranges(indptr, items)
            lengths = indptr[items + 1] - indptr[items]
            of_users, positions = users[cells].astype(np.int64), order[cells].astype(np.int64)
        return np.append(0, np.cumsum(lengths)), of_users, positions

    @property
    def origin(self) -> Origin | None:
        """Where `compact` took this table from; None for a whole one."""
        return self._cache.get("origin")

    # -- derived tables ----------------------------------------------------------------------------
    def remove(self, positions: ArrayLike) -> Interactions:
        """Return new interactions without some of these.

        Parameters
        ----------
        positions : array-like of int, or of bool and shape (n_interactions,)
            What goes, in any order; repeats are harmless.

        Returns
        -------
        retained : Interactions
            Of the same shape. It shares no memory with this table, but for the pages in which
            nothing goes. A transposed pattern that was already computed is carried over, and so are
            the sums over users and items.
        """
        gone = self._as_positions(positions)
        users = rows_of(self.indptr, gone)
        lost = np.zeros(self.n_users + 1, np.int64)
        np.cumsum(np.bincount(users, minlength=self.n_users), out=lost[1:])
        retained = Interactions(
            np.asarray(self.indptr) - lost,
            without(self._indices, gone),
            without(self._values, gone),
            self.shape,
            self.row_weights,
        )
        if "item_degrees" in self._cache:
            lost_items = np.bincount(self.items_at(gone), minlength=self.n_items)
            retained._keep("item_degrees", self._cache["item_degrees"] - lost_items)
        if "user_squares" in self._cache:
            squares, losing = self._cache["user_squares"].copy(), np.unique(users)
            squares[losing] = square_sums(retained.indptr, retained._values, losing)
            retained._keep("user_squares", squares)
        if "transpose" in self._cache:
            retained._keep("transpose", self._transpose_without(gone, users))
        return retained

    def subset(self, positions: ArrayLike) -> Interactions:
        """Return new interactions with only some of these.

        Parameters
        ----------
        positions : array-like of int, or of bool and shape (n_interactions,)
            What stays.

        Returns
        -------
        chosen : Interactions
            Of the same shape. It shares no memory with this table.
        """
        stays = np.zeros(self.n_interactions, bool)
        stays[self._as_positions(positions)] = True
        return self.remove(~stays)

    def _as_positions(self, positions: ArrayLike) -> NDArray[np.int64]:
        positions = np.asarray(positions)
        if positions.dtype == bool:
            return np.flatnonzero(positions)
        return np.unique(positions).astype(np.int64)

    def _transpose_without(
        self, gone: NDArray[np.int64], users: NDArray[np.int64]
    ) -> tuple[NDArray[Any], ...]:
        indptr, indices, order = self._cache["transpose"]
        items = self.items_at(gone)
        lost = np.zeros(self.n_items + 1, np.int64)
        np.cumsum(np.bincount(items, minlength=self.n_items), out=lost[1:])
        return indptr - lost, *transpose_without(indptr, indices, order, gone, items, users)
