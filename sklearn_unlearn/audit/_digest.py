"""Digest of a model: SHA-256 over its parameters and fitted state, whatever stores them."""

from __future__ import annotations

import functools
import hashlib
import math
import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from sklearn_unlearn._forget_report import ForgetReport
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.utils._pages import Pages

__all__ = ["digest_of"]

# Changed whenever the same model would get another digest.
_VERSION = b"sklearn-unlearn digest 1"
# Bytes of an array that are hashed at a time, and copied if it is not contiguous.
_BLOCK = 2**22
# How long a request took is no part of the model that it leaves.
_CLOCKS = ("seconds",)
# What scikit-learn adds to the state of its own estimators.
_NOT_STATE = ("_sklearn_version",)
_DEEPEST = 200


def digest_of(model: Any) -> str:
    """Return the SHA-256 digest of a model.

    It is taken over class names, parameters and fitted attributes: of arrays the data type, shape
    and numbers. It depends neither on the process nor on how the model is stored (in pages, memory
    mapped, in which byte order), and not on the clock; two fits of equal numbers have one digest.

    Parameters
    ----------
    model : object
        An estimator or a pipeline.

    Returns
    -------
    digest : str
        64 hexadecimal digits.

    Raises
    ------
    ValueError
        If the model contains itself.

    Notes
    -----
    A digest is not personal data in the sense that the model is, but it is a fingerprint of it:
    whoever has the model can tell that the digest is of it.

    Examples
    --------
    >>> from sklearn_unlearn import ItemKNN
    >>> from sklearn_unlearn.audit import digest_of
    >>> model = ItemKNN(2).fit([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    >>> before = digest_of(model)
    >>> len(before), before == digest_of(ItemKNN(2).fit([[1, 1, 0], [0, 1, 1], [1, 0, 1]]))
    (64, True)
    >>> digest_of(model.forget(users=[0])) == before
    False
    """
    walk = _Walk(hashlib.sha256(_VERSION))
    walk.add(model)
    return str(walk.hash.hexdigest())


class _Walk:
    """A canonical walk: each value is written as its kind, its length and its content."""

    def __init__(self, hash_: Any) -> None:
        self.hash = hash_
        self._open: set[int] = set()  # objects that are being written

    def put(self, kind: str, content: bytes = b"") -> None:
        """Write a kind and some bytes, so that no two sequences of values read alike."""
        self.hash.update(b"%s:%d:" % (kind.encode(), len(content)))
        self.hash.update(content)

    def add(self, value: Any) -> None:
        """Write a value."""
        if id(value) in self._open or len(self._open) > _DEEPEST:
            raise ValueError(
                f"the state of the {type(value).__name__} contains itself, or is nested deeper "
                f"than {_DEEPEST}; expected a model that is a tree of values. Leave the cycle out."
            )
        self._open.add(id(value))
        try:
            _add(value, self)
        finally:
            self._open.discard(id(value))

    def add_all(self, kind: str, values: Iterable[Any], n: int) -> None:
        """Write some values in order."""
        self.put(kind, str(n).encode())
        for value in values:
            self.add(value)

    def add_unordered(self, kind: str, values: Iterable[Any]) -> None:
        """Write some values in the order of their digests."""
        self.put(kind, b"".join(sorted(map(self._apart, values))))

    def _apart(self, value: Any) -> bytes:
        part = _Walk(hashlib.sha256())
        part._open = self._open
        part.add(value)
        return bytes(part.hash.digest())

    def add_object(self, value: Any, state: Any) -> None:
        """Write the class of an object, and its state by name."""
        self.put("object", _name_of(type(value)))
        if isinstance(state, Mapping) and all(isinstance(name, str) for name in state):
            names = sorted(state.keys() - set(_NOT_STATE))
            self.add_all(
                "state", (one for name in names for one in (name, state[name])), 2 * len(names)
            )
        else:
            self.add(state)

    def add_array(self, kind: str, parts: Iterable[np.ndarray], dtype: Any, shape: Any) -> None:
        """Write numbers in C order and little-endian, a block at a time."""
        dtype = dtype.newbyteorder("<")
        self.put(kind, f"{dtype.str} {tuple(map(int, shape))}".encode())
        for part in parts:
            rows = part.reshape(1) if part.ndim == 0 else part
            step = max(1, _BLOCK // max(rows[:1].nbytes, 1))
            for start in range(0, len(rows), step):
                block = np.ascontiguousarray(rows[start : start + step], dtype)
                self.hash.update(block.view(np.uint8).data if block.size else b"")


def _name_of(cls: Any) -> bytes:
    """Name of a class or function, without the private module that it lives in."""
    module = str(getattr(cls, "__module__", None) or "").split(".")[0]
    return f"{module}:{getattr(cls, '__qualname__', cls.__name__)}".encode()


@functools.singledispatch
def _add(value: Any, walk: _Walk) -> None:
    """Write an object by what it would be pickled as."""
    if callable(value) and hasattr(value, "__name__"):
        walk.put("callable", _name_of(value))
        return
    reduced = value.__reduce_ex__(4)
    if isinstance(reduced, str):
        walk.put("global", reduced.encode())
        return
    make, arguments, state, items, pairs = (*reduced, *[None] * 5)[:5]
    if make.__module__ == "copyreg":  # a new object of a class, which then gets its state
        walk.add_object(value, state)
        walk.add_all("arguments", arguments[1:], len(arguments) - 1)
    else:
        walk.put("made", _name_of(make))
        walk.add(tuple(arguments))
        walk.add(state)
    if items is not None:
        walk.add(list(items))
    if pairs is not None:
        walk.add(dict(pairs))


@_add.register
def _(value: None, walk: _Walk) -> None:
    walk.put("none")


@_add.register
def _(value: bool, walk: _Walk) -> None:
    walk.put("bool", b"%d" % value)


@_add.register
def _(value: int, walk: _Walk) -> None:
    walk.put("int", str(int(value)).encode())


@_add.register
def _(value: float, walk: _Walk) -> None:
    walk.put("float", b"nan" if math.isnan(value) else struct.pack("<d", value))


@_add.register
def _(value: complex, walk: _Walk) -> None:
    walk.put("complex", struct.pack("<dd", value.real, value.imag))


@_add.register
def _(value: str, walk: _Walk) -> None:
    walk.put("str", value.encode("utf-8", "surrogatepass"))


@_add.register(bytes)
@_add.register(bytearray)
def _(value: bytes, walk: _Walk) -> None:
    walk.put("bytes", bytes(value))


@_add.register
def _(value: tuple, walk: _Walk) -> None:
    walk.add_all("tuple", value, len(value))


@_add.register
def _(value: list, walk: _Walk) -> None:
    walk.add_all("list", value, len(value))


@_add.register
def _(value: dict, walk: _Walk) -> None:
    walk.add_unordered("dict", value.items())


@_add.register(set)
@_add.register(frozenset)
def _(value: set, walk: _Walk) -> None:
    walk.add_unordered("set", value)


@_add.register
def _(value: np.generic, walk: _Walk) -> None:
    plain = value.item()
    if isinstance(plain, np.generic):  # longdouble, and structures
        walk.add_array("scalar", [np.asarray(value)], value.dtype, ())
    elif value.dtype.kind in "Mm":  # of which the unit counts
        walk.put("time", f"{value.dtype.newbyteorder('<').str} {value.view(np.int64)}".encode())
    else:
        walk.add(plain)


@_add.register
def _(value: np.ndarray, walk: _Walk) -> None:
    if value.dtype.hasobject:
        walk.put("objects", str(value.shape).encode())
        for one in value.flat:
            walk.add(one)
    else:
        array = np.asarray(value)
        walk.add_array("array", [array], array.dtype, array.shape)


@_add.register
def _(value: np.ma.MaskedArray, walk: _Walk) -> None:
    walk.put("masked")
    walk.add(np.asarray(value.filled(0)))
    walk.add(np.ma.getmaskarray(value))


@_add.register
def _(value: Pages, walk: _Walk) -> None:
    walk.add_array("array", value.pages, value.dtype, value.shape)


@_add.register
def _(value: Interactions, walk: _Walk) -> None:
    walk.put("object", _name_of(Interactions))
    for one in (value.indptr, *value.stored, tuple(map(int, value.shape)), value.row_weights):
        walk.add(one)


@_add.register
def _(value: ForgetReport, walk: _Walk) -> None:
    state = {name: one for name, one in vars(value).items() if name not in _CLOCKS}
    walk.add_object(value, state)


@_add.register
def _(value: BaseEstimator, walk: _Walk) -> None:
    walk.add_object(value, value.__getstate__())


@_add.register
def _(value: InteractionEncoder, walk: _Walk) -> None:
    # Its guard decides what is learned next, and is no part of what has been learned.
    state = value.__getstate__()
    walk.add_object(value, {name: one for name, one in state.items() if name != "guard"})


@_add.register
def _(value: np.random.RandomState, walk: _Walk) -> None:
    walk.put("object", b"numpy:RandomState")
    walk.add(value.get_state(legacy=False))


@_add.register
def _(value: np.random.Generator, walk: _Walk) -> None:
    walk.put("object", b"numpy:Generator")
    walk.add(value.bit_generator.state)


@_add.register(sparse.sparray)
@_add.register(sparse.spmatrix)
def _(value: Any, walk: _Walk) -> None:
    walk.put("sparse", f"{type(value).__name__} {tuple(map(int, value.shape))}".encode())
    if value.format in ("csr", "csc", "bsr"):
        parts = [value.data, value.indices, value.indptr]
    elif value.format == "dia":
        parts = [value.data, value.offsets]
    else:
        triples = value.tocoo()
        parts = [triples.data, *triples.coords]
    walk.add(parts[0])
    for index in parts[1:]:  # which may come back from a file in another width
        walk.add(index.astype(np.int64))
