"""What a stored model may be made of: the classes that a snapshot is loaded with, and no others."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.lib import format as npy

from sklearn_unlearn.pipeline._steps import _FUNCTIONS as ELEMENTWISE
from sklearn_unlearn.utils._memory import machine_memory

__all__ = ["check_members", "check_nodes", "read_schema", "refuse_file"]

# Classes of this package that the state of a model is made of. An object of one is made without
# running its constructor; `__setstate__` then checks what the file holds.
_OWN = {
    "_forget_report": ["ForgetReport"],
    "exact.subspace._subspace": ["Subspace"],
    "influence._as_trained": ["AsTrainedUnlearner"],
    "influence._influence": ["InfluenceUnlearner"],
    "influence._refit": ["RefitUnlearner"],
    "influence._sweep": ["SweepUnlearner"],
    "interactions": ["Interactions"],
    "pipeline._pipeline": ["RecommenderPipeline"],
    "preprocessing._encoder": ["InteractionEncoder"],
    "preprocessing._entrywise": ["RatingBinarizer"],
    "preprocessing._guarded": ["StoredGuard"],
    "preprocessing._vocabulary": ["Vocabulary"],
    "pruning._hops": ["HopPruner"],
    "pruning._importance": ["ImportancePruner"],
    "recommenders._als": ["ALS"],
    "recommenders._bpr": ["BPR"],
    "recommenders._ease": ["EASE"],
    "recommenders._graph_filter": ["GraphFilter"],
    "recommenders._knn": ["ItemKNN"],
    "recommenders._lightgcn": ["LightGCN"],
    "recommenders._mf": ["MatrixFactorization"],
    "recommenders._polynomial_filter": ["PolynomialFilter"],
    "recommenders._session_knn": ["SessionKNN"],
    "recommenders._sparse_ease": ["SparseEASE"],
    "recommenders._tifu_knn": ["TIFUKNN"],
    "recommenders._unlearning": ["UnlearningRecommender"],
    "sharding._partitions": ["Partition"],
    "sharding._sharded": ["ShardedRecommender"],
    "utils._pages": ["Pages"],
}
_OBJECTS = {
    f"sklearn_unlearn.{module}.{name}" for module, names in _OWN.items() for name in names
} | {
    "sklearn.frozen._frozen.FrozenEstimator",
    "sklearn.preprocessing._data.Binarizer",
    "sklearn.preprocessing._function_transformer.FunctionTransformer",
    "uuid.UUID",
}
# Types that ids may have; called with what the file says, which none of them runs.
_CONSTRUCTORS = {
    "datetime.date",
    "datetime.datetime",
    "datetime.time",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
}
_FUNCTIONS = {f"numpy.{one.__name__}" for one in ELEMENTWISE}
_PLAIN = {"builtins.str", "builtins.int", "builtins.float", "builtins.bool"}
_SCALARS = {f"numpy.{one.__name__}" for one in np.sctypeDict.values() if one is not np.void}
_SCALARS |= {"numpy.ndarray"}
_SPARSE = {
    f"scipy.sparse._{kind}.{kind}_{what}"
    for kind in ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")
    for what in ("array", "matrix")
}
# For each kind of node in the file, what it may name.
_ALLOWED = {
    "ObjectNode": _OBJECTS,
    "ConstructorFromReduceNode": _CONSTRUCTORS,
    "FunctionNode": _FUNCTIONS,
    "TypeNode": _PLAIN,
    "JsonNode": _PLAIN,
    "DictNode": {"builtins.dict"},
    "ListNode": {"builtins.list"},
    "TupleNode": {"builtins.tuple"},
    "SetNode": {"builtins.set"},
    "BytesNode": {"builtins.bytes"},
    "SliceNode": {"builtins.slice"},
    "NdArrayNode": _SCALARS,
    "SparseMatrixNode": _SPARSE,
    "RandomStateNode": {"numpy.random.mtrand.RandomState"},
    "RandomGeneratorNode": {"numpy.random._generator.Generator"},
}
# What the user may add to: code of others.
_EXTENSIBLE = ("ObjectNode", "ConstructorFromReduceNode", "FunctionNode", "TypeNode")
# NumPy takes these numbers of the state of a random stream as they are, and reads memory by them.
_LIMITS = {"pos": 624, "buffer_pos": 4, "pool_size": 64}
_DEEPEST = 120
_NUMBERS = {"__id__", "file"}
_SCHEMA = "schema.json"


def refuse_file(problem: str, expected: str | None = None, advice: str | None = None) -> NoReturn:
    """Raise ValueError for a file that is no snapshot, in three parts."""
    raise ValueError(
        f"the snapshot is damaged: {problem}; expected "
        f"{expected or 'a file as save writes it'}. {advice or 'Load another copy of the file.'}"
    ) from None


def check_members(archive: zipfile.ZipFile, available: int) -> None:
    """Refuse an archive whose members are compressed, larger than it, or no arrays.

    Parameters
    ----------
    archive : ZipFile
        Open for reading.

    available : int
        Size of the file in bytes.
    """
    names, members = archive.namelist(), archive.infolist()
    if len(set(names)) < len(names):
        refuse_file("two of its members have one name")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members) or available < sum(
        member.file_size for member in members
    ):
        refuse_file("its members are compressed, or larger than the file")
    for member in members:
        if member.filename.endswith(".npy"):
            with archive.open(member) as stream:
                _check_array(stream, member.file_size)
        elif member.filename.endswith(".npz"):
            with archive.open(member) as stream, zipfile.ZipFile(stream) as nested:
                _check_nested(nested)


def _check_nested(archive: zipfile.ZipFile) -> None:
    """Check a sparse matrix: SciPy compresses its arrays."""
    room = machine_memory()
    if room is not None and sum(one.file_size for one in archive.infolist()) > room:
        refuse_file("a matrix is larger than the memory of this machine")
    for member in archive.infolist():
        with archive.open(member) as stream:
            _check_array(stream, member.file_size)


def _check_array(stream: Any, n_bytes: int) -> None:
    """Refuse an array whose header does not tell its size."""
    version = npy.read_magic(stream)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        refuse_file("an array is of a version that none is written in")
    shape, _, dtype = read(stream)
    size = dtype.itemsize
    for side in shape:
        size *= side
    if dtype.hasobject or min(shape, default=0) < 0 or stream.tell() + size != n_bytes:
        refuse_file("the header of an array does not tell its size")


def read_schema(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Read the tree of nodes of a skops file."""
    try:
        schema = json.loads(archive.read(_SCHEMA))
    except RecursionError:
        refuse_file("it is nested too deep")
    if not isinstance(schema, dict):
        refuse_file("it holds no object")
    return schema


def check_nodes(schema: dict[str, Any], trusted: Collection[str]) -> list[str]:
    """Refuse nodes that a model of this package is not made of; return the types of the others.

    Parameters
    ----------
    schema : dict
        Of `read_schema`.

    trusted : collection of str
        Full names of more classes and functions that may be there.

    Returns
    -------
    types : list of str
        For ``skops.io.load``.
    """
    nodes = list(_nodes(schema))
    _check_types(nodes, trusted)
    first: dict[int, dict[str, Any]] = {}
    owners: dict[Any, int] = {}
    for node in nodes:
        number = node.get("__id__")
        if not isinstance(number, int) or not _same(first.setdefault(number, node), node):
            refuse_file("two of its objects have one number")
        if owners.setdefault(str(node.get("file", number)), number) != number:
            refuse_file("two of its arrays are in one place")
        if node["__loader__"] in ("RandomStateNode", "RandomGeneratorNode"):
            _check_stream(node)
    return sorted(set(map(_type_of, nodes)))


def _check_types(nodes: list[dict[str, Any]], trusted: Collection[str]) -> None:
    foreign = set()
    known = set().union(*_ALLOWED.values())
    for node in nodes:
        loader, name = node["__loader__"], _type_of(node)
        if name not in _ALLOWED.get(loader, ()) and not (loader in _EXTENSIBLE and name in trusted):
            if name in known:  # of NumPy, or of this package, in a place where it cannot be
                refuse_file("a node of it has a type that it cannot have")
            foreign.add(_printable(name))
    if foreign:
        raise ValueError(
            f"the snapshot holds {', '.join(sorted(foreign)[:5])}, which may run code of others; "
            "expected models, NumPy and SciPy alone. Name them in trusted if you know who wrote "
            "the file."
        )


def _type_of(node: dict[str, Any]) -> str:
    return f"{node['__module__']}.{node['__class__']}"


def _nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each node; nothing is a node that the loader would not take for one."""
    stack: list[tuple[Any, int]] = [(schema, 0)]
    while stack:
        value, depth = stack.pop()
        if depth > _DEEPEST:
            refuse_file("it is nested too deep")
        if isinstance(value, dict):
            if "__loader__" in value or "__class__" in value or "__id__" in value:
                if not all(
                    isinstance(value.get(key), str)
                    for key in ("__loader__", "__class__", "__module__")
                ):
                    refuse_file("a node of it has no type")
                yield value
            stack += [(one, depth + 1) for one in value.values()]
        elif isinstance(value, list):
            stack += [(one, depth + 1) for one in value]


def _same(first: Any, second: Any) -> bool:
    """Tell whether two nodes of one number are alike, but for the numbers in them.

    The loader takes the first for both. As they are alike, what it makes is a tree of the size of
    the file: no node refers to one that it is part of, nor to one that is many times larger.
    """
    stack = [(first, second)]
    while stack:
        one, other = stack.pop()
        if one is other:
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            names = one.keys() - _NUMBERS
            if names != other.keys() - _NUMBERS:
                return False
            stack += [(one[name], other[name]) for name in names]
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            stack += zip(one, other, strict=True)
        elif one != other:
            return False
    return True


def _check_stream(node: dict[str, Any]) -> None:
    """Check the state of a random stream."""
    stack: list[Any] = [node]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            for name, limit in _LIMITS.items():
                if name in value:
                    _check_limit(value[name], limit)
            stack += value.values()
        elif isinstance(value, list):
            stack += value


def _check_limit(node: Any, limit: int) -> None:
    content = node.get("content") if isinstance(node, dict) else None
    text = content if isinstance(content, str) else ""
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= limit):
        refuse_file("the state of a random stream is out of range")


def _printable(name: str) -> str:
    """Show the name of a type; what is no name is not shown."""
    parts = name.split(".")
    return name if len(name) <= 120 and all(map(str.isidentifier, parts)) else "what has no name"
