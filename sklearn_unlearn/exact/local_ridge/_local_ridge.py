r"""Ridge regressions of items on their most similar items, and their exact correction.

With G = X' W X and the list S of an item j, its most similar items,

.. math:: B_{Sj} = (G_{SS} + \mathrm{diag}(\lambda + \tfrac{p}{1 - p} G_{ii}))^{-1} G_{Sj}

and the rest of the column is zero. G is not kept. When data change, the columns whose lists change
or hold an item of which an entry of G changes are solved again, by the loop that solved them first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.backends import ScipyBackend
from sklearn_unlearn.exact.cooccurrence._cooccurrence import (
    Neighborhoods,
    find_again,
    find_all,
    grown,
)
from sklearn_unlearn.exact.cooccurrence._weightings import Rule
from sklearn_unlearn.exact.local_ridge import _local_kernels as _kernels
from sklearn_unlearn.exact.ridge._ridge_terms import RidgeTerms
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._interactions import concatenate_ranges, index_dtype, rows_of

__all__ = ["LocalColumns", "LocalSettings", "grown_columns", "solve_again", "solve_all"]

Positions = NDArray[np.int64]
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class LocalSettings:
    """What the regressions are made with.

    Parameters
    ----------
    n_neighbors : int
        Length of a list at most, the item itself not counted.

    rule : Rule
        What similar means.

    terms : RidgeTerms
        Weights and penalties.

    backend : ScipyBackend
        Whose threads share the columns. The result does not depend on it.
    """

    n_neighbors: int
    rule: Rule
    terms: RidgeTerms
    backend: ScipyBackend

    @property
    def lists(self) -> tuple[Rule, int, ScipyBackend]:
        """Arguments of `find_all`: an item counts among its own neighbours there."""
        return self.rule, self.n_neighbors + 1, self.backend


@dataclass(frozen=True)
class LocalColumns:
    """Weights of items on items, and the lists of similar items that they were made with.

    Parameters
    ----------
    weights : csr_array of shape (n_items, n_items)
        B, in the data type of the values. The arrays are read-only.

    neighborhoods : Neighborhoods
        Row by row the list of each column.
    """

    weights: sparse.csr_array
    neighborhoods: Neighborhoods


def solve_all(data: Interactions, settings: LocalSettings) -> LocalColumns:
    """Solve the regressions of all items.

    Parameters
    ----------
    data : Interactions
        Non-negative values.

    settings : LocalSettings
        What the regressions are made with.

    Returns
    -------
    columns : LocalColumns
        Weights and lists.

    Raises
    ------
    ValueError
        If a matrix is singular to working precision.

    Examples
    --------
    >>> from sklearn_unlearn.backends import ScipyBackend
    >>> from sklearn_unlearn.exact.cooccurrence._weightings import Rule
    >>> from sklearn_unlearn.exact.local_ridge._local_ridge import LocalSettings, solve_all
    >>> from sklearn_unlearn.exact.ridge._ridge_terms import RidgeTerms
    >>> from sklearn_unlearn.interactions import Interactions
    >>> data = Interactions.from_matrix([[1, 1, 0], [1, 1, 0], [1, 0, 1], [1, 0, 0]])
    >>> settings = LocalSettings(1, Rule("cosine"), RidgeTerms(1.0), ScipyBackend())
    >>> solve_all(data, settings).weights.toarray().round(3)
    array([[0.   , 0.4  , 0.2  ],
           [0.667, 0.   , 0.   ],
           [0.   , 0.   , 0.   ]])
    """
    found = find_all(data, *settings.lists)
    columns = np.arange(data.n_items)
    return LocalColumns(_put(None, None, found, columns, data, settings), found)


def solve_again(
    old: LocalColumns,
    before: Interactions,
    retained: Interactions,
    positions: Positions,
    settings: LocalSettings,
    added: Positions = _NONE,
) -> tuple[LocalColumns, int]:
    """Correct the weights when interactions change.

    Parameters
    ----------
    old : LocalColumns
        Of the data before. Not written to.

    before, retained : Interactions
        The data before and after, of one shape.

    positions : ndarray of int64
        What goes, as positions before.

    settings : LocalSettings
        As in `solve_all`.

    added : ndarray of int64, default=()
        What comes, as positions after.

    Returns
    -------
    columns : LocalColumns
        Equal to those of `solve_all` on the data after, bit for bit.

    n_columns : int
        How many were solved.
    """
    rule, width, backend = settings.lists
    found, _ = find_again(
        old.neighborhoods, before, retained, positions, rule, width, backend, added
    )
    touched = _items_of_changed_entries(before, retained, positions, added, settings.terms)
    flags = np.zeros(retained.n_items, bool)
    flags[touched] = True
    # A row of the weights tells which lists held the item.
    flags[old.weights.indices[concatenate_ranges(old.weights.indptr, touched)]] = True
    lists = _lists(old.neighborhoods), _lists(found)
    backend._run(_kernels.flag_other_lists, lists[1][0], 1, *lists, flags)
    columns = np.flatnonzero(flags)
    weights = _put(old.weights, lists[0], found, columns, retained, settings)
    return LocalColumns(weights, found), len(columns)


def grown_columns(old: LocalColumns, data: Interactions, settings: LocalSettings) -> LocalColumns:
    """Return the same columns beside those of more items, which are similar to none.

    Parameters
    ----------
    old : LocalColumns
        Of a rule that does not depend on the number of items.

    data : Interactions
        The same interactions, in a larger table.

    settings : LocalSettings
        As in `solve_all`.

    Returns
    -------
    columns : LocalColumns
        Equal to those of `solve_all`, bit for bit.
    """
    more = data.n_items - old.weights.shape[0]
    found = grown(old.neighborhoods, data.n_items, settings.n_neighbors + 1)
    indptr = np.append(old.weights.indptr, np.full(more, old.weights.indptr[-1]))
    return LocalColumns(_matrix(indptr, old.weights.indices, old.weights.data), found)


def _items_of_changed_entries(
    before: Interactions,
    retained: Interactions,
    positions: Positions,
    added: Positions,
    terms: RidgeTerms,
) -> Positions:
    """Items such that every entry of G that changes is in the row or column of one of them."""
    if terms.weighs_users:
        # The weight of a user changes in all that is left of its row.
        users = np.union1d(rows_of(before.indptr, positions), rows_of(retained.indptr, added))
        positions, added = (concatenate_ranges(data.indptr, users) for data in (before, retained))
    return np.union1d(before.items_at(positions), retained.items_at(added)).astype(np.int64)


def _put(
    old: sparse.csr_array | None,
    old_lists: tuple[NDArray[Any], ...] | None,
    found: Neighborhoods,
    columns: Positions,
    data: Interactions,
    settings: LocalSettings,
) -> sparse.csr_array:
    """Solve some columns, and put them into a matrix that holds the others."""
    n, lists = data.n_items, _lists(found)
    offsets, values = _solved(found, columns, data, settings)
    counts = np.zeros(n, np.int64)
    _kernels.count_rows(columns, lists, 1, counts)
    starts = np.append(0, np.cumsum(counts))
    cells = np.empty(starts[-1], index_dtype(n)), np.empty(starts[-1], data.dtype)
    _kernels.cells_by_row(columns, offsets, lists, values, starts, *cells)
    if old is None or old_lists is None:
        return _matrix(starts, *cells)
    _kernels.count_rows(columns, old_lists, -1, counts)
    indptr = np.append(0, np.cumsum(np.diff(old.indptr) + counts))
    is_new = np.zeros(n, bool)
    is_new[columns] = True
    merged = tuple(np.empty(indptr[-1], one.dtype) for one in cells)
    parts = _frozen(old.indptr, old.indices, old.data)
    run, into = settings.backend._run, (indptr, *merged)
    run(_kernels.put_columns, indptr, 1, parts, is_new, starts, *cells, *into)
    return _matrix(indptr, *merged)


def _solved(
    found: Neighborhoods, columns: Positions, data: Interactions, settings: LocalSettings
) -> tuple[Positions, NDArray[np.float64]]:
    """Return where each column begins, and the weights in the order of the lists."""
    indptr, users, order = data.transpose_pattern()
    strengths = np.empty(0)
    if not found.all_ones:
        strengths = np.asarray(data.values)[order].astype(np.float64, copy=False)
    lists, terms = _lists(found), settings.terms
    lengths = np.diff(lists[0])[columns].astype(np.int64)
    offsets = np.append(0, np.cumsum(lengths))
    out, solved = np.empty(offsets[-1]), np.zeros(len(columns), bool)
    # Multiplications of a factorization, and about as many for each interaction that is read.
    all_lists = len(columns) == data.n_items
    cells = lists[1] if all_lists else lists[1][concatenate_ranges(lists[0], columns)]
    read = np.diff(np.append(0, np.cumsum(np.diff(indptr)[cells]))[offsets])
    work = np.append(0, np.cumsum(lengths**3 // 24 + 8 * read))
    by_item = _frozen(indptr, users, strengths)
    settings.backend._run(
        _kernels.solve_columns, work, 1, columns, offsets, lists, by_item, terms.weights(data),
        float(terms.regularization), float(terms.odds), out, solved,
    )  # fmt: skip
    if not solved.all():
        raise ValueError(
            f"regularization is {terms.regularization:g}, and with it the Gram matrix of the "
            f"neighbours of {np.count_nonzero(~solved)} items is singular to working precision; "
            "expected it to be positive definite. Raise regularization, or scale the values of X "
            "down."
        )
    return offsets, out


def _lists(found: Neighborhoods) -> tuple[NDArray[Any], ...]:
    lists: tuple[NDArray[Any], ...] = _frozen(found.similarity.indptr, found.similarity.indices)
    return lists


def _frozen(*arrays: NDArray[Any]) -> Any:
    # One type, whatever keeps the array: kernels are compiled for each type.
    views = tuple(np.asarray(one).view() for one in arrays)
    for view in views:
        view.setflags(write=False)
    return views


def _matrix(indptr: NDArray[Any], indices: NDArray[Any], data: NDArray[Any]) -> sparse.csr_array:
    """Read-only square matrix over these very arrays, in canonical format."""
    n, small = len(indptr) - 1, np.iinfo(indices.dtype).max
    indptr = indptr.astype(indices.dtype if len(data) <= small else np.int64)
    matrix = sparse.csr_array((data, indices, indptr), shape=(n, n))
    for one in (matrix.indptr, matrix.indices, matrix.data):
        one.setflags(write=False)
    matrix.has_canonical_format = True
    return matrix
