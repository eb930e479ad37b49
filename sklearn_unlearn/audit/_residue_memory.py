"""Search of all that an object keeps alive: arrays, matrices, caches, closures and texts."""

from __future__ import annotations

import gc
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.audit._do_not_learn import DoNotLearnList
from sklearn_unlearn.audit._residue_probe import ResidueProbe
from sklearn_unlearn.preprocessing._vocabulary import Vocabulary

__all__ = ["search_memory"]

_NOT_STATE = (
    type,
    types.ModuleType,
    types.BuiltinFunctionType,
    types.CodeType,
    types.FrameType,
    ResidueProbe,
    DoNotLearnList,  # a guard of the model: keyed digests, in a store
)


def search_memory(root: Any, probe: ResidueProbe, name: str) -> Iterator[tuple[str, str, int]]:
    """Yield place, kind and offset of what is found under an object.

    Parameters
    ----------
    root : object
        Usually a model.

    probe : ResidueProbe
        What to find.

    name : str
        How places begin.
    """
    texts: dict[int, tuple[str, bytes]] = {}
    for place, one in _walk(root, name):
        yield from ((place, *found) for found in _in_matrix(one, probe))
        if isinstance(one, Vocabulary) and not place.endswith("._items"):
            for n, known in enumerate(one.ids.tolist()):
                if known in probe._ids:
                    yield place, "id", n
        if isinstance(one, np.ndarray) and one.dtype != object:
            yield from ((place, *found) for found in _in_array(one, probe))
        elif isinstance(one, bytes | bytearray | memoryview):
            for offset, pattern in probe._scanner.find(bytes(one)):
                yield place, pattern.kind, offset
        elif isinstance(one, str | int) and not isinstance(one, bool):
            text = one if isinstance(one, str) else str(one)
            texts[id(one)] = place, text.encode("utf-8", "surrogatepass")
    yield from _in_texts(list(texts.values()), probe)


def _in_texts(
    texts: list[tuple[str, bytes]], probe: ResidueProbe
) -> Iterator[tuple[str, str, int]]:
    """Search many small texts as one."""
    starts = np.append(0, np.cumsum([len(text) + 1 for _, text in texts], dtype=np.int64))
    for offset, pattern in probe._scanner.find(b"\n".join(text for _, text in texts)):
        n = int(np.searchsorted(starts, offset, side="right")) - 1
        yield texts[n][0], pattern.kind, offset - int(starts[n])


def _in_array(array: NDArray[Any], probe: ResidueProbe) -> Iterator[tuple[str, int]]:
    """Search the bytes of an array, row by row and column by column."""
    for offset, pattern in probe._scanner.find(np.ascontiguousarray(array).tobytes()):
        yield pattern.kind, offset
    if array.ndim == 2 and min(array.shape) > 1:
        for offset, pattern in probe._scanner.find(np.ascontiguousarray(array.T).tobytes()):
            if pattern.kind == "factors":
                yield pattern.kind, offset


def _in_matrix(one: Any, probe: ResidueProbe) -> Iterator[tuple[str, int]]:
    """Search the cells of a sparse matrix of the shape of the training data."""
    shape = getattr(one, "shape", None)
    if isinstance(one, np.ndarray) or shape not in (probe._shape, probe._shape[::-1]):
        return
    try:
        rows, columns = _coordinates(one)
    except (AttributeError, TypeError, ValueError):
        return
    flips = [False] * (shape == probe._shape) + [True] * (shape == probe._shape[::-1])
    for flip in dict.fromkeys(flips):
        users, items = (columns, rows) if flip else (rows, columns)
        cells = users.astype(np.int64) * probe._shape[1] + items
        place = np.minimum(np.searchsorted(probe._cells, cells), len(probe._cells) - 1)
        if len(probe._cells):
            found = np.flatnonzero(probe._cells[place] == cells).tolist()
            yield from (("interaction", n) for n in found)


def _coordinates(one: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    if hasattr(one, "indptr") and hasattr(one, "indices"):
        outer = np.repeat(np.arange(len(one.indptr) - 1), np.diff(one.indptr))
        inner = np.asarray(one.indices)[: len(outer)]
        by_row = getattr(one, "format", "csr") == "csr"
        return (outer, inner) if by_row else (inner, outer)
    return one.tocoo().coords


def _walk(root: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every object that a root keeps alive, and where, each once."""
    seen: set[int] = set()
    stack = [(name, root)]
    while stack:
        place, one = stack.pop()
        if one is None or id(one) in seen or isinstance(one, _NOT_STATE):
            continue
        seen.add(id(one))
        yield place, one
        # A list: the objects must outlive their ids.
        stack += list(_children(place, one))


def _children(place: str, one: Any) -> Iterator[tuple[str, Any]]:
    """Objects that another keeps alive; places name attributes, and never a key of a table."""
    if isinstance(one, str | bytes | bytearray | int | float):
        return
    if isinstance(one, types.FunctionType):
        yield f"{place}()", one.__closure__
        yield f"{place}()", one.__defaults__
    elif isinstance(one, types.MethodType):
        yield place, one.__self__
    elif isinstance(one, memoryview):
        yield place, one.obj
    elif isinstance(one, np.ndarray):
        yield f"{place}.base", one.base
        if one.dtype == object:
            yield from ((f"{place}[{n}]", child) for n, child in enumerate(one.flat))
    elif isinstance(one, list | tuple):
        yield from ((f"{place}[{n}]", child) for n, child in enumerate(one))
    else:
        attributes = getattr(one, "__dict__", None)
        if isinstance(attributes, dict):
            yield from ((f"{place}.{key}", child) for key, child in attributes.items())
        slots = [key for kind in type(one).__mro__ for key in getattr(kind, "__slots__", ())]
        for key in slots:
            yield f"{place}.{key}", getattr(one, key, None)
        inside = place if isinstance(one, types.CellType) else f"{place}[...]"
        yield from ((inside, child) for child in gc.get_referents(one) if child is not attributes)
