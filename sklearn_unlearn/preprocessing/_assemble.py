"""Positions and values to a sparse matrix, with a rule for repeated pairs."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import sparse

__all__ = ["assemble"]


def assemble(
    users: np.ndarray,
    items: np.ndarray,
    values: np.ndarray | None,
    shape: tuple[int, int],
    duplicates: str,
    order: np.ndarray | None = None,
) -> sparse.csr_array:
    """Build a sorted CSR matrix of distinct cells.

    Events with a position of -1 are left out. ``values=None`` stands for ones. The events of a cell
    are taken in the order of the table, or in `order` if given, so that "last" means what it says
    and "sum" adds in one order whatever else is in the table.
    """
    known = (users >= 0) & (items >= 0)
    if order is not None:
        order = order[known[order]]
    elif not known.all():
        order = np.flatnonzero(known)
    if order is not None:
        users, items = users[order], items[order]
    indptr, columns, events = _by_cell(users, items, shape)
    if order is not None:
        events = order[events]
    first = _first_of_cells(indptr, columns)
    starts = np.flatnonzero(first)
    if duplicates == "error" and len(starts) < len(first):
        _refuse_repeated(first, events, len(known))
    data = _combine(None if values is None else values[events], starts, len(first), duplicates)
    del events
    before = np.concatenate(([0], np.cumsum(first, dtype=indptr.dtype)))
    matrix = sparse.csr_array((data, columns[starts], before[indptr]), shape=shape)
    _drop_zeros(matrix)
    return matrix


def _by_cell(
    users: np.ndarray, items: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort events by user, then item, then place in the table.

    Two transpositions are two stable counting sorts: by item, then by user. They take a third of
    the time of sorting cell numbers, and half the memory.

    Returns
    -------
    indptr : ndarray of shape (n_users + 1,)
        Where the events of each user start.
    columns, events : ndarray of shape (n_events,)
        Item and event number.
    """
    n_users, n_items = shape
    rows = np.arange(len(items) + 1, dtype=sparse.get_index_dtype(maxval=len(items)))
    by_item = sparse.csr_array((users, items, rows), shape=(len(items), n_items)).tocsc()
    del rows
    # A matrix whose entries are event numbers; repeated cells stay apart, in their order.
    by_item = sparse.csc_array(
        (by_item.indices, by_item.data, by_item.indptr), shape=(n_users, n_items)
    )
    by_user = by_item.tocsr()
    return by_user.indptr, by_user.indices, by_user.data


def _first_of_cells(indptr: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Mark the first event of each cell."""
    first = np.ones(len(columns), bool)
    np.not_equal(columns[1:], columns[:-1], out=first[1:])
    starts = indptr[:-1]
    first[starts[starts < len(columns)]] = True
    return first


def _combine(
    values: np.ndarray | None, starts: np.ndarray, n_events: int, duplicates: str
) -> np.ndarray:
    """Reduce the values of each cell, which lie between `starts`, to one."""
    if values is None and (duplicates != "sum" or len(starts) == n_events):
        return np.ones(len(starts))
    if values is None:
        return np.diff(starts, append=n_events).astype(np.float64)
    if len(starts) == n_events:
        return values
    if duplicates == "last":
        return values[np.append(starts[1:], n_events) - 1]
    return (np.add if duplicates == "sum" else np.maximum).reduceat(values, starts)


def _refuse_repeated(first: np.ndarray, events: np.ndarray, n_rows: int) -> None:
    again = events[~first]
    raise ValueError(
        f"{len(again)} of {n_rows} events repeat the user and item of an earlier one (first in row "
        f"{again.min()}); expected each pair once. Drop the repetitions, or choose "
        "duplicates='sum', 'last' or 'max'."
    )


def _drop_zeros(matrix: sparse.csr_array) -> None:
    """Take out cells of value 0, in place, and say so: labels of 0 / 1 would lose a class."""
    n_zeros = matrix.nnz - int(np.count_nonzero(matrix.data))
    if n_zeros:
        warnings.warn(
            f"{n_zeros} of {matrix.nnz} cells have the value 0, which means 'not observed', and "
            "are left out. Map labels of 0 / 1 to -1 / +1, shift ratings, or drop these events.",
            UserWarning,
            stacklevel=5,
        )
        matrix.eliminate_zeros()
