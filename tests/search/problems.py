"""Random forget problems: data, estimator, hyper-parameters and requests, all from one seed."""

import warnings
from contextlib import nullcontext
from dataclasses import dataclass, field
from unittest import mock

import numpy as np
from sklearn.base import clone

from sklearn_unlearn import (
    ALS,
    BPR,
    EASE,
    TIFUKNN,
    GraphFilter,
    ItemKNN,
    LightGCN,
    MatrixFactorization,
    PolynomialFilter,
    SessionKNN,
    ShardedRecommender,
    SparseEASE,
)
from sklearn_unlearn.exact.sequences._session_index import DECAYS
from sklearn_unlearn.influence import InfluenceUnlearner, SweepUnlearner
from sklearn_unlearn.pruning import HopPruner, ImportancePruner
from sklearn_unlearn.recommenders._knn import SIMILARITIES

FACTOR_MODELS = (
    "MatrixFactorization",
    "ratings",
    "ALS",
    "BPR",
    "LightGCN-bpr",
    "LightGCN-logistic",
    "LightGCN-weighted",
)
SPECTRAL_START = "sklearn_unlearn.optimizers._newton_cg.spectral_start"
CLOSED_FORMS = (
    "EASE",
    "ItemKNN",
    "GraphFilter",
    "PolynomialFilter",
    "SparseEASE",
    "SessionKNN",
    "TIFUKNN",
)
FAMILIES = (*FACTOR_MODELS, *CLOSED_FORMS, "sharded")
# Shares of a loss's own scale at which optima are mostly unique; those below are there for the
# requests that have no well-defined answer, which must be answered all the same.
PENALTIES = (0.02, 0.05, 0.1, 0.2, 0.4)


@dataclass
class SearchProblem:
    """A fitted model's data and settings, and the requests that are made one after the other."""

    seed: int
    family: str
    X: np.ndarray
    sample_weight: np.ndarray | None
    estimator: object
    requests: list[dict] = field(default_factory=list)
    fitted: object = None

    def __str__(self):
        return f"problem {self.seed}: {self.estimator!r} on {self.X.shape}"


def side(rng):
    """Length of a side: 2 to 200, as many short ones as long ones on a logarithmic scale."""
    return int(np.exp(rng.uniform(np.log(2), np.log(200.999))))


def random_pattern(rng, shape):
    """Cells that are observed: even, skewed or in components, with empty rows and columns."""
    kind = rng.choice(["even", "skewed", "components"], p=[0.4, 0.4, 0.2])
    density = rng.uniform(0.02, 0.6)
    if kind == "even":
        pattern = rng.random(shape) < density
    else:
        rates = [rng.pareto(1.5, n) + 0.1 for n in shape]
        pattern = rng.random(shape) < np.outer(*rates) * density / np.mean(np.outer(*rates))
    if kind == "components":
        blocks = [rng.integers(0, 3, n) for n in shape]
        pattern &= blocks[0][:, None] == blocks[1]
    if rng.random() < 0.3:
        pattern[rng.random(shape[0]) < 0.2] = False
        pattern[:, rng.random(shape[1]) < 0.2] = False
    if not pattern.any():
        pattern[rng.integers(shape[0]), rng.integers(shape[1])] = True
    return pattern


def random_values(rng, pattern, kind):
    """Labels, ratings or counts in the observed cells."""
    scores = rng.standard_normal((len(pattern), 3)) @ rng.standard_normal((3, pattern.shape[1]))
    if kind == "label":
        return np.where(pattern, np.where(scores + rng.standard_normal(scores.shape) > 0, 1, -1), 0)
    if kind == "rating":
        return np.where(pattern, np.clip(np.round(6 + 1.5 * scores) / 2, 0.5, 5), 0)
    return np.where(pattern, rng.choice([1, 1, 1, 2, 5], pattern.shape), 0)


def random_estimator(rng, family, X):
    """An estimator of a family, its penalty on the scale of the data."""
    share = float(rng.choice(PENALTIES))
    norm = float(np.linalg.norm(X, 2)) or 1.0
    common = {
        "n_factors": int(rng.integers(1, 17)),
        "random_state": int(rng.integers(1000)),
        "frequency_scaling": float(rng.choice([0.0, 0.0, 0.5])),
    }
    bias = {"fit_bias": bool(rng.random() < 0.5)}
    unit = float(np.linalg.norm(X != 0, 2)) or 1.0
    if family == "MatrixFactorization":
        return MatrixFactorization(regularization=share * unit / 2, **common, **bias)
    if family == "ratings":
        mean = {"global_mean": bool(rng.random() < 0.5)}
        return MatrixFactorization(
            loss="squared", regularization=share * norm, **common, **bias, **mean
        )
    if family == "ALS":
        alpha = float(rng.choice([0.5, 2.0, 10.0]))
        return ALS(alpha=alpha, regularization=share * alpha * norm, **common)
    if family == "BPR":
        return BPR(regularization=share * unit, n_negatives=2, **common, **bias)
    if family.startswith("LightGCN"):
        loss = family.split("-")[1]
        common |= {"n_layers": int(rng.integers(0, 4)), "loss": loss, "n_negatives": 2}
        scale = {"bpr": unit, "logistic": unit / 2, "weighted": 5 * norm}[loss]
        return LightGCN(regularization=share * scale, **common)
    if family == "EASE":
        return EASE(regularization=share * norm**2)
    if family == "ItemKNN":
        similarity = str(rng.choice(SIMILARITIES))
        return ItemKNN(int(rng.integers(1, 21)), similarity=similarity)
    if family == "SparseEASE":
        terms = {"dropout": float(rng.choice([0.0, 0.4]))}
        terms["user_normalization"] = float(rng.choice([0.0, 0.5]))
        return SparseEASE(int(rng.integers(1, 21)), share * norm**2, **terms)
    if family == "GraphFilter":
        return GraphFilter(int(rng.integers(0, 9)), random_state=int(rng.integers(1000)))
    if family == "PolynomialFilter":
        return PolynomialFilter(int(rng.integers(1, 12)), float(rng.choice([0.5, 1.0, 4.0])))
    if family == "SessionKNN":
        sizes = int(rng.integers(1, 21)), int(rng.integers(1, 101))
        return SessionKNN(*sizes, decay=str(rng.choice(sorted(DECAYS))))
    if family == "TIFUKNN":
        return TIFUKNN(int(rng.integers(1, 21)), int(rng.integers(1, 9)))
    seed, shards = int(rng.integers(1000)), int(rng.integers(1, 4))
    submodel = ALS(3, regularization=norm, random_state=0)
    return ShardedRecommender(submodel, n_shards=shards, random_state=seed)


def random_strategy(rng, family):
    """The default in most problems, another strategy in the others."""
    if family not in FACTOR_MODELS or rng.random() < 0.6:
        return None
    choices = [
        "refit",
        InfluenceUnlearner(solver="minres", tol=1e-4),
        InfluenceUnlearner(certify=True),
        InfluenceUnlearner(HopPruner(int(rng.integers(1, 4))), tol=1e-4),
        InfluenceUnlearner(ImportancePruner(keep_ratio=float(rng.uniform(0.2, 1))), tol=1e-4),
        InfluenceUnlearner(tol=1e-4),
    ]
    if family in ("MatrixFactorization", "ratings", "ALS"):
        choices.append(SweepUnlearner(tol=1e-4))
    return choices[rng.integers(len(choices))]


def random_request(rng, X):
    """What to forget of a matrix that still holds something: one form or several."""
    cells = np.argwhere(X)
    users, items = (np.unique(column) for column in cells.T)
    form = rng.choice(["pairs", "users", "items", "mask", "united", "share", "most"])
    few = lambda known: rng.choice(known, min(len(known), rng.integers(1, 4)), replace=False)  # noqa: E731
    pairs = cells[rng.permutation(len(cells))]
    if form == "pairs":
        return {"interactions": pairs[: rng.integers(1, 6)]}
    if form == "users":
        return {"users": few(users)}
    if form == "items":
        return {"items": few(items)}
    if form == "mask":
        mask = np.zeros(X.shape, bool)
        mask[tuple(pairs[: max(1, len(pairs) // 20)].T)] = True
        return {"interactions": mask}
    if form == "united":
        return {"interactions": pairs[:2], "users": few(users), "items": few(items)}
    share = 0.01 if form == "share" else 0.8
    return {"interactions": pairs[: max(1, int(share * len(pairs)))]}


def without(X, interactions=None, users=(), items=()):
    """What remains of a matrix."""
    X = X.copy()
    if interactions is not None and interactions.dtype == bool:
        X[interactions] = 0
    elif interactions is not None:
        X[tuple(interactions.T)] = 0
    X[np.asarray(users, int)] = 0
    X[:, np.asarray(items, int)] = 0
    return X


def make_problem(seed):
    """Problem number `seed`."""
    rng = np.random.default_rng([7, seed])
    family = FAMILIES[seed % len(FAMILIES)]
    pattern = random_pattern(rng, (side(rng), side(rng)))
    kind = {"MatrixFactorization": "label", "ratings": "rating"}.get(family, "count")
    X = random_values(rng, pattern, kind).astype(float)
    if kind == "rating" and rng.random() < 0.2:
        X *= 10.0 ** rng.integers(-3, 4)
    weight = None
    if family in FACTOR_MODELS and rng.random() < 0.25:
        weight = rng.choice([0.0, 0.5, 1.0, 3.0], len(X))
        X[weight == 0] = 0
        if not X.any():
            weight, X = None, pattern * 1.0
    estimator = random_estimator(rng, family, X)
    if family in FACTOR_MODELS:
        estimator.set_params(unlearner=random_strategy(rng, family))
    problem = SearchProblem(seed, family, X, weight, estimator)
    left = X
    for _ in range(int(rng.integers(1, 4))):
        if not left.any():
            break
        request = random_request(rng, left)
        problem.requests.append(request)
        left = without(left, **request)
    return problem


def random_start(objective, seed, rows=None):
    """Start that knows nothing of the data: where the optimum is not unique, it ends elsewhere."""
    layout = objective.layout
    Z = np.random.default_rng(seed).standard_normal((layout.shape[0], layout.n_factors))
    return layout.pack(Z / np.sqrt(max(layout.n_factors, 1)))


def fit(problem, X, *, start=0):
    """Fit to some data; another `start` moves the start alone and keeps the draws of the loss."""
    model = clone(problem.estimator)
    if start and problem.family in FACTOR_MODELS:
        minimize = model._minimize
        model._minimize = lambda data, seed: minimize(data, seed + start)
    elif start and problem.family == "GraphFilter":
        model.set_params(random_state=1000 + start)
    elif start and problem.family == "sharded":
        model.set_params(estimator__random_state=start)
    weight = {} if problem.sample_weight is None else {"sample_weight": problem.sample_weight}
    other = mock.patch(SPECTRAL_START, random_start) if start else nullcontext()
    with warnings.catch_warnings(record=True) as caught, other:
        warnings.simplefilter("always")
        model.fit(X, **weight)
    return model, [str(one.message) for one in caught]
