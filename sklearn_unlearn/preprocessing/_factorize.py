"""Which distinct ids a column holds, and which of them stands in each row.

Only the distinct ids are ever handled one by one in Python: there are far fewer of them than rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np

__all__ = ["blocks", "decategorize", "factorize_integers", "factorize_objects", "factorize_series"]

_BLOCK = 1 << 17


def _code_type(n: int) -> type[np.signedinteger[Any]]:
    """Return the narrower type that can number `n` things."""
    return np.int32 if n <= np.iinfo(np.int32).max else np.int64


def factorize_integers(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct integers, ascending, and the number among them of each entry.

    The array is int64 or uint64 and not empty.
    """
    low = array.min()
    span = int(array.max()) - int(low)
    if span <= 2 * len(array):  # a table of all integers in between is small, and needs no sort
        offsets = array - low
        present = np.zeros(span + 1, bool)
        present[offsets] = True
        distinct = np.flatnonzero(present).astype(array.dtype) + low
        number = np.cumsum(present, dtype=_code_type(span)) - 1
        return distinct, number[offsets]
    order = np.argsort(array)
    ordered = array[order]
    new = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    distinct = ordered[new]
    del ordered
    codes = np.empty(len(array), _code_type(len(array)))
    codes[order] = np.cumsum(new, dtype=codes.dtype) - 1
    return distinct, codes


def factorize_objects(values: Any) -> tuple[list[Any], np.ndarray]:
    """Return the distinct objects of a list or array, as they come, and the number of each entry.

    Raises TypeError where they cannot be hashed. Equal objects are one, whatever their types.
    """
    numbers: defaultdict[Any, int] = defaultdict(count().__next__)
    codes = np.empty(len(values), _code_type(len(values)))
    start = 0
    for block in blocks(values):
        codes[start : start + len(block)] = list(map(numbers.__getitem__, block))
        start += len(block)
    return list(numbers), codes


def blocks(values: Any) -> Iterator[list[Any]]:
    """Cut a list or array into lists: an array never becomes Python objects as a whole."""
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        yield block.tolist() if isinstance(block, np.ndarray) else block


def decategorize(column: Any) -> Any:
    """Replace the categories of polars and pyarrow, in a wrapped series, by their values.

    A category may itself be missing, and the table of categories may hold ids of other columns.
    """
    import narwhals as nw

    if isinstance(column.dtype, nw.Categorical | nw.Enum):
        if column.implementation.is_polars():
            return column.cast(nw.String)
        if column.implementation.is_pyarrow():
            native = column.to_native()
            return nw.from_native(native.cast(native.type.value_type), series_only=True)
    return column


def factorize_series(column: Any) -> tuple[list[Any], np.ndarray] | None:
    """Let the library of a wrapped series find its distinct values; None if it has no quick way.

    The series is without gaps and not empty. Only text and categories are taken: there equal values
    are one id, while columns of objects may hold 1, 1.0 and True.
    """
    import narwhals as nw

    if not isinstance(column.dtype, nw.String | nw.Categorical | nw.Enum):
        return None
    native = column.to_native()
    if column.implementation.is_pandas():
        # narwhals calls objects text if the first hundred are.
        return None if native.dtype == object else _by_pandas(native)
    if column.implementation.is_polars():
        return _by_polars(native)
    if column.implementation.is_pyarrow():
        return _by_pyarrow(native)
    return None


def _by_pandas(series: Any) -> tuple[list[Any], np.ndarray]:
    codes, distinct = series.factorize()
    return distinct.tolist(), codes


def _by_polars(series: Any) -> tuple[list[Any], np.ndarray]:
    """Group the rows by their text.

    Categories would do as well, but polars keeps one table of them for the whole process: ids must
    not stay there after the caller has dropped them. Sorted in parallel, the ids are quickly sorted
    again later.
    """
    groups = series.to_frame("id").with_row_index("row").group_by("id").agg("row").sort("id")
    rows, sizes = groups["row"].explode().to_numpy(), groups["row"].list.len().to_numpy()
    codes = np.empty(len(series), _code_type(len(series)))
    codes[rows] = np.repeat(np.arange(len(sizes), dtype=codes.dtype), sizes)
    return groups["id"].to_list(), codes


def _by_pyarrow(column: Any) -> tuple[list[Any], np.ndarray]:
    encoded = column.dictionary_encode().unify_dictionaries()
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks])
    return encoded.chunk(0).dictionary.to_pylist(), codes
