"""Positions and values to a sparse matrix, with a rule for repeated pairs."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import sparse

__all__ = ["assemble"]


def assemble(
    users: np.ndarray,
    items: np.ndarray,
    values: np.ndarray,
    shape: tuple[int, int],
    duplicates: str,
) -> sparse.csr_array:
    """Build a sorted CSR matrix of distinct cells.

    A stable sort by cell keeps the events of a cell in the order of the table, so that "last" means
    what it says and "sum" adds in one order whatever else is in the table.
    """
    n_users, n_items = shape
    cell = users * np.int64(n_items) + items
    order = np.argsort(cell, kind="stable")
    cell, values = cell[order], values[order]
    starts = np.flatnonzero(np.concatenate(([True], cell[1:] != cell[:-1]))[: len(cell)])
    if len(starts) < len(cell):
        if duplicates == "error":
            again = np.diff(np.append(starts, len(cell)))
            repeated = order[starts[again > 1] + 1]
            raise ValueError(
                f"{len(cell) - len(starts)} of {len(cell)} events repeat the user and item of an "
                f"earlier one (first in row {repeated.min()} of the events with known ids); "
                "expected each pair once. Drop the repetitions, or choose duplicates='sum', 'last' "
                "or 'max'."
            )
        if duplicates == "last":
            values = values[np.append(starts[1:], len(cell)) - 1]
        else:
            values = (np.add if duplicates == "sum" else np.maximum).reduceat(values, starts)
        cell = cell[starts]
    rows, columns = np.divmod(cell, max(n_items, 1))
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=n_users))))
    matrix = sparse.csr_array((values, columns, indptr), shape=shape)
    _drop_zeros(matrix)
    return matrix


def _drop_zeros(matrix: sparse.csr_array) -> None:
    """Take out cells of value 0, in place, and say so: labels of 0 / 1 would lose a class."""
    n_zeros = int((matrix.data == 0).sum())
    if n_zeros:
        warnings.warn(
            f"{n_zeros} of {matrix.nnz} cells have the value 0, which means 'not observed', and "
            "are left out. Map labels of 0 / 1 to -1 / +1, shift ratings, or drop these events.",
            UserWarning,
            stacklevel=5,
        )
        matrix.eliminate_zeros()
