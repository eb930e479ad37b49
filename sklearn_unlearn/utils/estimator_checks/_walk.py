"""Walk everything that an object keeps alive, and look for traces in it."""

from __future__ import annotations

import gc
import types

import numpy as np

_NOT_STATE = (
    type,
    types.ModuleType,
    types.BuiltinFunctionType,
    types.CodeType,
    types.FrameType,
)


def _children(one):
    if isinstance(one, types.FunctionType):
        # The globals of a function are the program, not the state of a model.
        yield from one.__closure__ or ()
        yield from one.__defaults__ or ()
    elif isinstance(one, types.MethodType):
        yield one.__self__
    elif isinstance(one, memoryview):
        yield one.obj
    else:
        yield from gc.get_referents(one)
        if isinstance(one, np.ndarray):
            yield one.base
            if one.dtype == object:
                yield from one.flat
        # Small objects may keep their attributes where the collector does not list them.
        yield getattr(one, "__dict__", None)


def walk(root):
    """Yield every object that `root` keeps alive, each once, the ``.base`` of arrays included.

    Parameters
    ----------
    root : object
        Usually a fitted model.

    Yields
    ------
    one : object
        Types, modules and code are left out.
    """
    seen, stack = set(), [root]
    while stack:
        one = stack.pop()
        if one is None or id(one) in seen or isinstance(one, _NOT_STATE):
            continue
        seen.add(id(one))
        yield one
        # A list: the objects must outlive their ids.
        children = list(_children(one))
        stack.extend(children)


def patterns_of(values):
    """Return how numbers look in memory: 4 and 8 bytes, little and big end first, and as text.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Numbers with full mantissas, so that no pattern of 8 bytes occurs by chance.

    Returns
    -------
    patterns : list of set of bytes
        One set for each number.
    """
    return [
        {np.array(value, dtype=kind).tobytes() for kind in ("<f8", ">f8", "<f4", ">f4")}
        | {repr(float(value)).encode()}
        for value in values
    ]


def count_found(patterns, buffer: bytes) -> int:
    """Count the numbers of which some pattern occurs in a buffer."""
    return sum(any(form in buffer for form in forms) for forms in patterns)


def memory_of(root) -> bytes:
    """Concatenate the contents of all arrays, byte strings, texts and numbers under an object."""
    parts = []
    for one in walk(root):
        if isinstance(one, np.ndarray) and one.dtype != object:
            parts.append(one.tobytes())
        elif isinstance(one, bytes | bytearray):
            parts.append(bytes(one))
        elif isinstance(one, memoryview):
            parts.append(one.tobytes())
        elif isinstance(one, str):
            parts.append(one.encode(errors="replace"))
        elif isinstance(one, float | np.floating):
            parts.append(np.float64(one).tobytes())
        elif isinstance(one, int):
            parts.append(one.to_bytes(one.bit_length() // 8 + 1, "little", signed=True))
    return b"\0\0\0\0".join(parts)


def stored_cells(root, shape):
    """List the cells of every compressed or coordinate matrix of a given shape under an object.

    Parameters
    ----------
    root : object
        Usually a fitted model.

    shape : tuple of int
        The shape of the training matrix; its transpose counts too.

    Returns
    -------
    cells : set of tuple of int
        (user, item) pairs.
    """
    cells = set()
    for one in walk(root):
        if getattr(one, "shape", None) not in (shape, shape[::-1]) or isinstance(one, np.ndarray):
            continue
        rows, columns = _coordinates(one)
        if one.shape != shape:
            rows, columns = columns, rows
        cells.update(zip(rows.tolist(), columns.tolist(), strict=True))
    return cells


def _coordinates(one):
    if hasattr(one, "indptr") and hasattr(one, "indices"):
        outer = np.repeat(np.arange(len(one.indptr) - 1), np.diff(one.indptr))
        inner = np.asarray(one.indices)[: len(outer)]
        return (outer, inner) if getattr(one, "format", "csr") == "csr" else (inner, outer)
    if hasattr(one, "row") and hasattr(one, "col"):
        return np.asarray(one.row), np.asarray(one.col)
    return np.empty(0, int), np.empty(0, int)
