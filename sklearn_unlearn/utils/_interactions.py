"""Array routines on compressed sparse rows that SciPy does not have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.utils._pages import Pages, passed

__all__ = [
    "column_counts",
    "concatenate_ranges",
    "index_dtype",
    "joint_weights",
    "keep_entries",
    "owned",
    "places_in_rows",
    "rows_of",
    "scan_columns",
    "search_in_rows",
    "sorted_union",
    "square_sums",
    "with_entries",
    "without",
]

# Up to this many runs, copying the pieces between them beats a mask over the whole array.
_MAX_RUNS = 2048


def index_dtype(n: int) -> type[np.signedinteger[Any]]:
    """Return int32 where it can count to `n`, else int64."""
    return np.int32 if n <= np.iinfo(np.int32).max else np.int64


def owned(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array itself if it owns its memory, else a copy.

    SciPy shortens arrays by slicing; the slice would keep the rest alive through its ``.base``.
    """
    return array if array.base is None else array.copy()


def keep_entries(matrix: sparse.csr_array, kept: NDArray[np.bool_]) -> sparse.csr_array:
    """Return the entries of a matrix that a mask over its data selects.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sklearn_unlearn.utils._interactions import keep_entries
    >>> X = sparse.csr_array(np.array([[1.0, 2.0], [0.0, 3.0]]))
    >>> keep_entries(X, X.data > 1).toarray()
    array([[0., 2.],
           [0., 3.]])
    """
    indptr = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    return sparse.csr_array((matrix.data[kept], matrix.indices[kept], indptr), shape=matrix.shape)


def concatenate_ranges(indptr: NDArray[Any], rows: NDArray[Any]) -> NDArray[np.int64]:
    """List ``indptr[r]`` to ``indptr[r + 1]`` for each row in turn."""
    starts = indptr[rows]
    lengths = indptr[rows + 1] - starts
    offsets = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    return np.arange(len(offsets), dtype=np.int64) + offsets


def rows_of(indptr: NDArray[Any], positions: NDArray[Any]) -> NDArray[np.int64]:
    """Rows that entries at some positions of a compressed table belong to.

    Examples
    --------
    >>> from sklearn_unlearn.utils._interactions import rows_of
    >>> rows_of(np.array([0, 2, 2, 3]), np.array([0, 1, 2]))
    array([0, 0, 2])
    """
    return np.searchsorted(indptr, positions, side="right") - 1


def sorted_union(*arrays: NDArray[Any]) -> NDArray[np.int64]:
    """Distinct integers of some arrays, ascending: one sort, where ``np.unique`` would hash first.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.utils._interactions import sorted_union
    >>> sorted_union(np.array([3, 1]), np.array([1, 7]))
    array([1, 3, 7])
    """
    merged = np.sort(np.concatenate(arrays).astype(np.int64, copy=False))
    keep = np.ones(len(merged), bool)
    np.not_equal(merged[1:], merged[:-1], out=keep[1:])
    return merged[keep]


def scan_columns(
    indptr: NDArray[Any],
    indices: NDArray[Any] | Pages,
    n_columns: int,
    columns: NDArray[np.int64],
    n_cells: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Count the cells of some distinct columns; find their rows and positions, column by column.

    One pass over the indices, and another one to count, unless `n_cells` says how many there are.
    """
    from sklearn_unlearn.utils._compiled import find_marked, sort_by_number

    marked = np.zeros(n_columns, np.uint8)
    marked[columns] = 1
    if n_cells is None:
        n_cells = sum(int(np.count_nonzero(marked[page])) for _, page in passed(indices))
    places, n = np.empty(n_cells + 1, np.int64), 0
    for start, page in passed(indices):
        n += find_marked(page, marked, start, places[n:])
    places = places[:n]
    number = np.full(n_columns, -1, np.int64)
    number[columns] = np.arange(len(columns))
    numbers = number[indices[places]]
    lengths = np.bincount(numbers, minlength=len(columns))
    found = [np.empty(n, np.int64) for _ in range(2)]
    starts = np.cumsum(lengths) - lengths
    sort_by_number(numbers, starts, rows_of(np.asarray(indptr), places), places, *found)
    return lengths, found[0], found[1]


def column_counts(indices: NDArray[Any] | Pages, n_columns: int) -> NDArray[np.int64]:
    """Count the entries of every column, in one pass."""
    from sklearn_unlearn.utils._compiled import count_columns

    counts = np.zeros(n_columns, np.int64)  # numpy.bincount would bring all to 64 bits first
    for _, page in passed(indices):
        count_columns(page, counts)
    return counts


def square_sums(
    indptr: NDArray[Any], values: NDArray[Any] | Pages, rows: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Sum the squared entries of some rows, or of all; the bits do not depend on which.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.utils._interactions import square_sums
    >>> indptr, values = np.array([0, 2, 2, 3]), np.array([1.0, 2.0, 3.0])
    >>> square_sums(indptr, values), square_sums(indptr, values, np.array([2]))
    (array([5., 0., 9.]), array([9.]))
    """
    from sklearn_unlearn.utils._compiled import square_rows

    if rows is not None:
        squares = np.zeros(len(rows))
        lengths = indptr[rows + 1] - indptr[rows]
        square_rows(lengths, values[concatenate_ranges(indptr, rows)], squares)
        return squares
    squares = np.zeros(len(indptr) - 1)
    for start, page in passed(values):
        first, last = np.searchsorted(indptr, [start, start + len(page)])
        square_rows(np.diff(indptr[first : last + 1]), page, squares[first:last])
    return squares


def places_in_rows(
    indptr: NDArray[Any], indices: NDArray[Any] | Pages, rows: NDArray[Any], columns: NDArray[Any]
) -> NDArray[np.int64]:
    """Binary search for many (row, column) cells at once: where they are, or would be put.

    All searches advance together, so the cost is O(m log(longest row)) whatever the table's size.
    """
    low = indptr[rows].astype(np.int64)
    high = indptr[rows + 1].astype(np.int64)
    for _ in range(int(np.max(high - low, initial=0)).bit_length()):
        middle = (low + high) // 2
        # An exhausted search must not read past the end of the array.
        open_ = low < high
        right = open_ & (indices[np.where(open_, middle, 0)] < columns)
        low = np.where(right, middle + 1, low)
        high = np.where(right | ~open_, high, middle)
    return low


def search_in_rows(
    indptr: NDArray[Any], indices: NDArray[Any] | Pages, rows: NDArray[Any], columns: NDArray[Any]
) -> NDArray[np.int64]:
    """Positions of many (row, column) cells; -1 where a cell is not stored."""
    low, end = places_in_rows(indptr, indices, rows, columns), indptr[rows + 1]
    found = low < end
    if len(indices):
        found &= indices[np.where(found, low, 0)] == columns
    return np.where(found, low, -1)


def without(array: Any, positions: NDArray[np.int64]) -> Any:
    """Copy an array without some sorted, distinct positions; the result owns its memory.

    Of `Pages`, a version is returned that shares those in which nothing goes.
    """
    if isinstance(array, Pages):
        return array.without(positions)
    array = np.asarray(array)  # a memory map would pass its type on to the copy
    runs = np.flatnonzero(np.diff(positions, prepend=-2) != 1)
    if len(runs) > _MAX_RUNS:
        keep = np.ones(len(array), bool)
        keep[positions] = False
        return array[keep]
    last = np.append(runs[1:], len(positions)) - 1 if len(runs) else runs
    starts = np.append(0, positions[last] + 1)
    stops = np.append(positions[runs], len(array))
    return np.concatenate([array[a:b] for a, b in zip(starts, stops, strict=True)])


def with_entries(
    array: Any, places: NDArray[np.int64], entries: NDArray[Any], near: NDArray[np.int64]
) -> Any:
    """Copy an array with entries put before some ascending places; the result owns its memory.

    Of `Pages`, a version is returned that shares those which take nothing in: an entry joins the
    page of the place `near` it, the start of its row, so that no row is in two pages.
    """
    if isinstance(array, Pages):
        return array.insert(places, entries, near)
    return np.insert(np.asarray(array), places, entries)


def joint_weights(
    before: tuple[NDArray[Any], NDArray[np.float64] | None],
    after: tuple[NDArray[Any], NDArray[np.float64] | None],
) -> NDArray[np.float64] | None:
    """Weights of rows that are full before or after a change; None where all are 1.

    Parameters
    ----------
    before, after : tuple of ndarray
        ``indptr`` and ``row_weights``; a row that is empty there has no weight of its own.

    Examples
    --------
    >>> from sklearn_unlearn.utils._interactions import joint_weights
    >>> joint_weights((np.array([0, 1, 1]), np.array([2.0, 1.0])), (np.array([0, 0, 1]), None))
    array([2., 1.])
    """
    if before[1] is None or after[1] is None:
        return after[1] if before[1] is None else before[1]
    return np.where(np.diff(before[0]) > 0, before[1], after[1])


def transpose_without(
    indptr: NDArray[Any],
    indices: NDArray[Any],
    order: NDArray[Any],
    gone: NDArray[np.int64],
    columns: NDArray[Any],
    rows: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Copy a transposed pattern without some entries of the pattern, and renumber the rest.

    Parameters
    ----------
    indptr, indices, order : ndarray
        Transposed pattern; ``order`` holds row-major positions.

    gone : ndarray of int64
        Row-major positions that go, ascending and distinct.

    columns, rows : ndarray of int
        Where these are.

    Returns
    -------
    indices, order : ndarray
        Of the entries that stay.
    """
    if len(gone) <= _MAX_RUNS:
        from sklearn_unlearn.utils._compiled import drop_positions

        stays = len(order) - len(gone)
        kept = np.empty(stays, indices.dtype), np.empty(stays, order.dtype)
        first = np.flatnonzero(np.diff(gone, prepend=-2) != 1)
        lost = np.append(first, len(gone))
        stops = np.append(0, gone[lost[1:] - 1] + 1)
        drop_positions(np.asarray(indices), np.asarray(order), gone[first], stops, lost, *kept)
        return kept
    gone_T = np.sort(search_in_rows(indptr, indices, columns, rows))
    before = np.zeros(len(order), order.dtype)
    before[gone] = 1
    np.cumsum(before, out=before)
    order = without(order, gone_T)
    return without(indices, gone_T), order - before[order]
