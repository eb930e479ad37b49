"""Models to store, and damaged files of them, for the tests of snapshots."""

import datetime
import decimal
import io
import json
import uuid
import zipfile

import numpy as np
from sklearn.frozen import FrozenEstimator

from sklearn_unlearn import (
    ALS,
    EASE,
    ItemKNN,
    MatrixFactorization,
    ShardedRecommender,
    UnlearningRecommender,
)
from sklearn_unlearn.influence import InfluenceUnlearner, RefitUnlearner, SweepUnlearner
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.pruning import HopPruner, ImportancePruner
from tests.malformed import DENSE, fitted_models

UTC = datetime.UTC
IDS = {
    "int": lambda n: 3 * n,
    "uint64": lambda n: n + 2**63,
    "str": lambda n: f"pérson {n}",
    "bytes": lambda n: b"%d" % n,
    "tuple": lambda n: (n, str(n)),
    "UUID": lambda n: uuid.UUID(int=n),
    "date": lambda n: datetime.date(2020, 1, n + 1),
    "datetime": lambda n: datetime.datetime(2020, 1, n + 1, tzinfo=UTC),
    "timedelta": datetime.timedelta,
    "Decimal": lambda n: decimal.Decimal(n) / 7,
}


def with_ids(make):
    events = {"user": [make(k % 7) for k in range(40)], "item": [k % 5 for k in range(40)]}
    return make_recommender_pipeline(InteractionEncoder(), ALS(2, random_state=0)).fit(events)


def strategies():
    pruners = ImportancePruner(keep_ratio=0.5), HopPruner(1), None
    return {
        **{f"influence {p}": InfluenceUnlearner(pruner=p) for p in pruners},
        "sweep": SweepUnlearner(),
        "refit": RefitUnlearner(),
        "by name": "influence",
    }


def models():
    """Fitted models by name; some have forgotten."""
    found = fitted_models()
    for name, strategy in strategies().items():
        found[f"ALS, {name}"] = ALS(2, random_state=0, unlearner=strategy).fit(DENSE)
    found["ALS, RandomState"] = ALS(2, random_state=np.random.RandomState(3)).fit(DENSE)
    found["ALS, Generator"] = ALS(2, random_state=np.random.default_rng(3)).fit(DENSE)
    found["ALS, float32"] = ALS(2, random_state=0).fit(DENSE.astype(np.float32))
    frozen = FrozenEstimator(found["ALS, sweep"])
    found["wrapped"] = UnlearningRecommender(frozen, InfluenceUnlearner()).fit(DENSE)
    found["after forget"] = ItemKNN(3).fit(DENSE).forget(users=[1])
    found["sharded, attention"] = ShardedRecommender(
        MatrixFactorization(2, random_state=0), 2, aggregation="attention", random_state=0
    ).fit(DENSE)
    found["sharded, after forget"] = (
        ShardedRecommender(EASE(2.0), 2, random_state=0).fit(DENSE).forget(users=[1])
    )
    return found


def members_of(data):
    """Members of a skops file, by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def nodes_of(schema):
    """All nodes of a schema, to be changed in place."""
    stack, found = [schema], []
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            found += [one] if "__loader__" in one else []
            stack += one.values()
        elif isinstance(one, list):
            stack += one
    return found


FOREIGN = (
    ("os", "system", "FunctionNode"),
    ("builtins", "eval", "TypeNode"),
    ("subprocess", "Popen", "ConstructorFromReduceNode"),
    ("sklearn.decomposition._nmf", "NMF", "ObjectNode"),
    ("functools", "partial", "PartialNode"),
    ("operator", "methodcaller", "OperatorFuncNode"),
    ("sklearn_unlearn.datasets._load", "load_interactions", "FunctionNode"),
)


def damaged(data, seed):
    """A damaged copy of a skops file, and in words how; the digest is left out."""
    rng = np.random.default_rng(seed)
    members = members_of(data)
    members.pop("sklearn_unlearn.json", None)
    schema = json.loads(members["schema.json"])
    nodes, kind = nodes_of(schema), seed % 10
    arrays = sorted(name for name in members if name.endswith((".npy", ".npz")))
    if kind == 0:
        return data[: rng.integers(len(data))], "truncated"
    if kind == 1:
        changed = bytearray(data)
        for place in rng.integers(0, len(data), 40):
            changed[place] ^= 1 << rng.integers(8)
        return bytes(changed), "bits flipped"
    if kind == 2:
        one, other = rng.choice(arrays, 2, replace=False)
        if len(members[one]) == len(members[other]):
            members[one] = members[one][:-8]
        members[one], members[other] = members[other], members[one]
        members[arrays[0]] = members[arrays[0]][: len(members[arrays[0]]) // 2]
        what = "arrays swapped and cut"
    elif kind == 3:
        module, name, loader = FOREIGN[rng.integers(len(FOREIGN))]
        node = nodes[rng.integers(len(nodes))]
        node.update(__module__=module, __class__=name, __loader__=loader)
        what = "another class"
    elif kind == 4:
        node = nodes[rng.integers(len(nodes))]
        for key in ("content", "file", "key_types", "type"):
            if node.pop(key, None) is not None:
                break
        else:
            node.pop("__loader__")
        what = "a node without content"
    elif kind == 5:
        return archive_of(members, zipfile.ZIP_DEFLATED), "compressed"
    elif kind == 6:
        inner = nodes[-1]
        inner["__id__"] = schema["__id__"]
        what = "a cycle"
    elif kind == 7:
        deep = dict(schema)
        for _ in range(rng.choice([300, 100_000])):
            deep = {"__loader__": "ListNode", "__class__": "list", "content": [deep]}
        members["schema.json"] = b"[" * 100_000
        return archive_of(members), "nested deep"
    elif kind == 8:
        node = nodes[rng.integers(len(nodes))]
        node["__id__"] = rng.choice(np.array(["x", None, 1.5], object))
        what = "a number that is none"
    else:
        name = arrays[rng.integers(len(arrays))]
        shape = "(9999999999999,)"
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
        members[name] = np.lib.format.magic(1, 0) + b"v\x00" + header.ljust(117) + b"\n"
        what = "a header that lies"
    members["schema.json"] = json.dumps(schema).encode()
    return archive_of(members), what
