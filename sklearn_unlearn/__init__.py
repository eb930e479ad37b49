"""Recommenders in scikit-learn style that can forget.

Every estimator learns from a sparse matrix of interactions (rows are users, columns are items) and
answers three verbs: ``fit``, ``recommend`` and ``forget``. ``forget`` removes interactions, users
or items from a fitted model and leaves the model that a refit on what remains would give, or says
how far from it the result may be.

The names below are loaded on first use, so that ``import sklearn_unlearn`` stays cheap.

Examples
--------
>>> import sklearn_unlearn
>>> sklearn_unlearn.__version__
'0.1.0'
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from . import (
        backends,
        benchmarks,
        datasets,
        exceptions,
        influence,
        metrics,
        model_selection,
        objectives,
        pipeline,
        plotting,
        preprocessing,
        pruning,
        recommenders,
        sharding,
        utils,
    )
    from .recommenders import (
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
        SparseEASE,
        UnlearningRecommender,
    )
    from .sharding import ShardedRecommender

__all__ = [
    "ALS",
    "BPR",
    "EASE",
    "TIFUKNN",
    "GraphFilter",
    "ItemKNN",
    "LightGCN",
    "MatrixFactorization",
    "PolynomialFilter",
    "SessionKNN",
    "ShardedRecommender",
    "SparseEASE",
    "UnlearningRecommender",
    "__version__",
    "audit",
    "backends",
    "benchmarks",
    "datasets",
    "exceptions",
    "influence",
    "metrics",
    "model_selection",
    "objectives",
    "pipeline",
    "plotting",
    "preprocessing",
    "pruning",
    "recommenders",
    "sharding",
    "utils",
]

_HOME = {
    "ALS": ".recommenders",
    "BPR": ".recommenders",
    "EASE": ".recommenders",
    "GraphFilter": ".recommenders",
    "ItemKNN": ".recommenders",
    "LightGCN": ".recommenders",
    "MatrixFactorization": ".recommenders",
    "PolynomialFilter": ".recommenders",
    "SessionKNN": ".recommenders",
    "ShardedRecommender": ".sharding",
    "SparseEASE": ".recommenders",
    "TIFUKNN": ".recommenders",
    "UnlearningRecommender": ".recommenders",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _HOME:
        value = getattr(import_module(_HOME[name], __name__), name)
    else:
        value = import_module(f".{name}", __name__)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    """List the public names, also those not loaded yet."""
    return sorted(set(globals()) | set(__all__))
