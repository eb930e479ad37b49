"""A record of what fits and requests give on small problems, to hold a rebuilt package against.

``python -m tests.golden record FILE`` writes it, before a change; ``python -m tests.golden compare
FILE`` holds the package against it as exactly as one machine allows: both run on the same one.
``golden.json`` is a small part of such a record, and what a test holds every build against.
"""

import copy
import json
import sys
import warnings
from itertools import chain
from pathlib import Path

import numpy as np

from sklearn_unlearn import (
    ALS,
    BPR,
    EASE,
    GraphFilter,
    ItemKNN,
    LightGCN,
    MatrixFactorization,
    PolynomialFilter,
    ShardedRecommender,
    SparseEASE,
)
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner, SweepUnlearner
from sklearn_unlearn.pruning import HopPruner, ImportancePruner

FILE = Path(__file__).with_name("golden.json")
SHAPE = 40, 30

MODELS = {
    "logistic": MatrixFactorization(8, regularization=2.0, random_state=0),
    "logistic, no bias": MatrixFactorization(
        4, regularization=0.8, fit_bias=False, frequency_scaling=0.5, random_state=1
    ),
    "squared": MatrixFactorization(6, loss="squared", regularization=3.0, random_state=0),
    "ALS": ALS(8, regularization=20.0, alpha=5.0, random_state=0),
    "ALS, scaled": ALS(6, regularization=4.0, alpha=5.0, frequency_scaling=0.5, random_state=0),
    "ALS, stopped early": ALS(4, regularization=2.0, alpha=5.0, max_iter=0, random_state=0),
    "BPR": BPR(6, regularization=2.0, random_state=0),
    "BPR, no bias": BPR(6, regularization=1.5, fit_bias=False, n_negatives=2, random_state=0),
    "LightGCN": LightGCN(6, regularization=0.3, n_layers=2, random_state=0),
    "LightGCN, logistic": LightGCN(
        5, loss="logistic", regularization=0.3, n_layers=1, random_state=0
    ),
    "LightGCN, weighted": LightGCN(6, loss="weighted", regularization=4.0, random_state=0),
    "EASE": EASE(regularization=20.0),
    "SparseEASE": SparseEASE(5, regularization=20.0),
    "ItemKNN": ItemKNN(5),
    "ItemKNN, bm25": ItemKNN(5, similarity="bm25"),
    "GraphFilter": GraphFilter(4, random_state=0),
    "PolynomialFilter": PolynomialFilter(),
    "sharded": ShardedRecommender(
        ALS(3, regularization=10.0, random_state=0), n_shards=2, random_state=0
    ),
}
FACTOR_MODELS = [*MODELS][:11]
# On the first factor model of each kind of objective.
STRATEGIES = {
    "refit": "refit",
    "one step": InfluenceUnlearner(n_steps=1, tol=None),
    "certify": InfluenceUnlearner(certify=True),
    "minres": InfluenceUnlearner(solver="minres"),
    "cg, damped": InfluenceUnlearner(solver="cg", damping=0.5),
    "hops": InfluenceUnlearner(HopPruner(1)),
    "all hops": InfluenceUnlearner(HopPruner(4)),
    "importance": InfluenceUnlearner(ImportancePruner(keep_ratio=0.5)),
    "leftover": InfluenceUnlearner(correct_residual=True),
    "leftover, pruned": InfluenceUnlearner(HopPruner(2), correct_residual=True),
    "training finished": InfluenceUnlearner(correct_residual=False),
    "loose": InfluenceUnlearner(tol=0.1),
    "sweeps": SweepUnlearner(),
    "touched rows": SweepUnlearner("touched"),
    "sweeps, leftover": SweepUnlearner(correct_residual=True),
}
# Strategies whose results the small record has.
SMALL = ("refit", "certify", "training finished", "sweeps", "touched rows")
WITHOUT_SWEEPS = ("BPR", "LightGCN")


def data_of(name, dtype):
    """Small interactions of the kind that a model takes."""
    feedback = {"logistic": "label", "squared": "rating"}.get(name.split(",")[0], "implicit")
    X = make_interactions(*SHAPE, n_interactions=360, feedback=feedback, random_state=3)
    return X.astype(dtype)


def requests_of(X):
    """Requests of every form, made one after the other."""
    cells = np.random.default_rng(0).permutation(np.column_stack(X.tocoo().coords))
    mask = np.zeros(X.shape, bool)
    mask[tuple(cells[20:24].T)] = True
    return [
        {"interactions": cells[:1]},
        {"users": [7]},
        {"items": [4, 9]},
        {"interactions": mask, "missing": "ignore"},
        {"interactions": cells[40:60], "users": [1], "items": [2], "missing": "ignore"},
    ]


def cases():
    """Name, estimator, data and requests of every case."""
    for name, dtype in chain.from_iterable(((m, "f8"), (m, "f4")) for m in MODELS):
        yield f"{name}; {dtype}; default", MODELS[name], data_of(name, dtype), None
    for model in ("logistic", "ALS", "ALS, stopped early", "BPR", "LightGCN"):
        for label, strategy in STRATEGIES.items():
            if isinstance(strategy, SweepUnlearner) and model in WITHOUT_SWEEPS:
                continue
            estimator = copy.deepcopy(MODELS[model]).set_params(unlearner=strategy)
            yield f"{model}; f8; {label}", estimator, data_of(model, "f8"), None
    weights = {"sample_weight": np.random.default_rng(1).choice([0.5, 1.0, 3.0], SHAPE[0])}
    for name in FACTOR_MODELS:
        yield f"{name}; f8; weighted", MODELS[name], data_of(name, "f8"), weights


def summary(model):
    """Numbers that tell one state of a model from another."""
    out = {}
    for name, value in sorted(vars(model).items()):
        if name.endswith("_") and isinstance(value, np.ndarray) and value.dtype.kind == "f":
            probe = np.cos(np.arange(value.size)).reshape(value.shape)
            out[name] = [float(np.sum(value * probe, dtype=float)), float(np.sum(value**2.0))]
    report = getattr(model, "forget_report_", None)
    if report is not None:
        out["report"] = {k: v for k, v in report.to_dict().items() if k != "seconds"}
    users, items = np.divmod(np.arange(SHAPE[0] * SHAPE[1])[::37], SHAPE[1])
    out["scores"] = model.predict_pairs((users, items)).astype(float).tolist()
    if hasattr(model, "certify"):
        out["certificate"] = model.certify().to_dict()
    return out


def record():
    """Summaries of every case: after the fit and after each request."""
    states = {}
    for name, estimator, X, fit_params in cases():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = copy.deepcopy(estimator).fit(X, **(fit_params or {}))
            states[name] = [summary(model)]
            for request in requests_of(X):
                model.forget(**request)
                states[name].append(summary(model))
    return states


def part_of(states):
    """Keep of a record what any machine agrees on, of the first cases and requests."""
    return {
        name: [digest(state) for state in states[name][:3]]
        for name in states
        if name.endswith("; default") or name.split("; ")[-1] in SMALL
    }


def digest(state):
    """Keep tables, and what a report says in words and counts; rounding decides the rest."""
    words = ("method", "guarantee", "n_interactions", "n_users", "n_items")
    out = {name: value for name, value in state.items() if name.endswith("_")}
    out["report"] = {name: state["report"][name] for name in words} if "report" in state else None
    return out


def differences(old, new, rtol, atol=0.0, path=""):
    """Places where two records differ, one line each."""
    if isinstance(old, dict) and isinstance(new, dict):
        if old.keys() != new.keys():
            yield f"{path}: {sorted(old.keys() ^ new.keys())} on one side only"
        for key in old.keys() & new.keys():
            yield from differences(old[key], new[key], rtol, atol, f"{path}/{key}")
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple):
        if len(old) != len(new):
            yield f"{path}: {len(old)} and {len(new)} entries"
        for number, pair in enumerate(zip(old, new, strict=False)):
            yield from differences(*pair, rtol, atol, f"{path}/{number}")
    elif isinstance(old, float) and isinstance(new, int | float):
        if not (np.isclose(new, old, rtol=rtol, atol=atol) or (old != old and new != new)):
            yield f"{path}: {old!r} became {new!r}"
    elif old != new:
        yield f"{path}: {old!r} became {new!r}"


if __name__ == "__main__":
    now = json.loads(json.dumps(record()))
    verb, file = sys.argv[1], Path(sys.argv[2])
    if verb == "record":
        file.write_text(json.dumps(now))
    else:
        found = list(differences(json.loads(file.read_text()), now, 1e-12, 1e-14))
        print("\n".join(sorted(found)), f"\n{len(found)} differences", sep="")
        sys.exit(bool(found))
