"""Events with ids for the tests of pipelines, and the pipelines that they try."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from sklearn.base import clone
from sklearn.preprocessing import Binarizer, FunctionTransformer

from sklearn_unlearn import ALS, BPR, LightGCN, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import EntrywiseTransformer, InteractionEncoder, RatingBinarizer

N_USERS, N_ITEMS = 40, 30


class Capped(EntrywiseTransformer):
    """A step of a user's own."""

    def _transform_values(self, values):
        return np.minimum(values, 3.5)


def user_id(position):
    """Ids whose order is not that of the positions, and that no message would hold by chance."""
    return f"person-{(7 * position + 3) % 97:02d}@{position}"


def item_id(position):
    return 10_000_019 * (1 + (11 * position) % 31)


def make_events(seed=0):
    """Ratings of .5 to 5, one event for each cell, in no order; every user and item has some."""
    ratings = make_interactions(
        N_USERS, N_ITEMS, n_interactions=520, feedback="rating", random_state=seed
    ).tocoo()
    order = np.random.default_rng(seed).permutation(ratings.nnz)
    users, items = (index[order] for index in ratings.coords)
    return {
        "who": np.array([user_id(u) for u in users], object),
        "what": np.array([item_id(i) for i in items]),
        "stars": ratings.data[order],
    }


KINDS = {
    "dict": dict,
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
    "array": lambda events: np.column_stack([column.astype(object) for column in events.values()]),
}


def select(events, mask):
    return {name: column[mask] for name, column in events.items()}


def columns_of(table):
    """Columns of a table of any kind, as lists."""
    if isinstance(table, np.ndarray):
        return {str(place): column.tolist() for place, column in enumerate(table.T)}
    if isinstance(table, pa.Table):
        return table.to_pydict()
    names = table if isinstance(table, dict) else table.columns
    return {name: list(table[name]) for name in names}


def encoder(**params):
    return InteractionEncoder("who", "what", "stars", **params)


# Well-posed on these data: more factors than the optimum's rank.
MODELS = {
    "logistic": (MatrixFactorization(28, regularization=2.0, random_state=0), True),
    "squared": (
        MatrixFactorization(28, loss="squared", regularization=8.0, random_state=0),
        False,
    ),
    "als": (ALS(28, regularization=20.0, alpha=2.0, random_state=0), False),
    "bpr": (BPR(28, regularization=8.0, random_state=0), False),
    "graph": (LightGCN(28, n_layers=2, regularization=3.0, random_state=0), False),
}
STEPS = {
    "none": [],
    "labels": [RatingBinarizer(threshold=3.5)],
    "binary": [Binarizer(threshold=2.5)],
    "function": [FunctionTransformer(np.log1p)],
    "own": [Capped()],
    "several": ["passthrough", Capped(), FunctionTransformer(np.sqrt), FunctionTransformer()],
}


def pipeline_of(model="logistic", steps=None, **params):
    """Make a pipeline; the logistic loss wants labels, so it has them by default."""
    estimator, wants_labels = MODELS[model]
    steps = STEPS["labels" if wants_labels and steps is None else steps or "none"]
    return clone(make_recommender_pipeline(encoder(**params), *steps, estimator))
