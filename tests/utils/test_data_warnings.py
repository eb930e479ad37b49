"""Tables of events are told from matrices, whoever fits them, and threads do not disturb it."""

import threading

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
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
    UnlearningRecommender,
)
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import DataWarning
from sklearn_unlearn.utils._data_warnings import (
    looks_like_events,
    training_on_a_part,
    warn_of_data,
)

STARS = make_interactions(60, 40, feedback="rating", random_state=0).tocoo()
USERS, ITEMS = STARS.coords
TIMES = 880_000_000 + 3_600 * np.arange(STARS.nnz)
TABLES = {
    "pairs": np.column_stack([USERS, ITEMS]),
    "values": np.column_stack([USERS, ITEMS, STARS.data]),
    "ids from 1": np.column_stack([USERS + 1, ITEMS + 1, STARS.data]),
    "large ids": np.column_stack([7 * USERS + 10**6, ITEMS + 10**9, STARS.data]),
    "times": np.column_stack([USERS, ITEMS, STARS.data, TIMES]),
    "no order": np.random.default_rng(0).permutation(np.column_stack([USERS, ITEMS, STARS.data])),
    "few": np.column_stack([USERS, ITEMS, STARS.data])[100:112],
    "repeated": np.repeat(np.column_stack([USERS, ITEMS]), [2] + [1] * (STARS.nnz - 1), axis=0),
}
rng = np.random.default_rng(0)
MATRICES = {
    "stars of 3 items": rng.integers(0, 6, (500, 3)),
    "stars of 2 items, complete": rng.integers(1, 6, (500, 2)),
    "plays of 3 items": rng.poisson(2, (500, 3)),
    "many plays of 3 items": rng.poisson(0.4, (500, 3)) * rng.integers(1, 1000, (500, 3)),
    "labels of 4 items": rng.choice([-1, 0, 1], (500, 4)),
    "measurements": rng.random((500, 3)) * 100,
    "4 columns without a time": rng.integers(1, 1000, (500, 4)),
    "wide": STARS.toarray(),
    "toy": np.array([[11, 12, 3], [4, 50, 60]]),
    "sparse": sparse.csr_array(TABLES["values"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_recognised(name):
    assert looks_like_events(TABLES[name])


@pytest.mark.parametrize("name", MATRICES)
def test_matrices_are_not(name):
    assert not looks_like_events(MATRICES[name])


def test_names_of_columns_tell_a_table_of_any_length():
    table = TABLES["values"][:3]
    assert looks_like_events(table, ["userId", "movieId", "rating"])
    assert not looks_like_events(table, ["film 1", "film 2", "film 3"])
    assert not looks_like_events(STARS.toarray(), [f"user's film {k}" for k in range(40)])


ALL = [
    MatrixFactorization(2, loss="squared", random_state=0),
    ALS(2, max_iter=0, random_state=0),
    BPR(2, random_state=0),
    LightGCN(2, random_state=0),
    EASE(),
    ItemKNN(),
    GraphFilter(2, random_state=0),
    PolynomialFilter(3),
    SparseEASE(),
    SessionKNN(),
    TIFUKNN(),
    ShardedRecommender(ALS(2, max_iter=0, random_state=0), 2, random_state=0),
    UnlearningRecommender(ALS(2, max_iter=0, random_state=0)),
]


@pytest.mark.parametrize("estimator", ALL, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize(
    "table", [TABLES["values"], pd.DataFrame({"user": [1, 2], "item": [3, 4]})]
)
def test_every_estimator_names_the_encoder(estimator, table):
    model = clone(estimator)
    with pytest.warns(DataWarning, match=r"shape .* table of events.*InteractionEncoder") as caught:
        model.fit(table)
    assert len(caught) == 1 and caught[0].filename == __file__


def test_silence_is_that_of_one_thread():
    inside, outside = threading.Event(), threading.Event()

    def part():
        with training_on_a_part():
            inside.set()
            outside.wait(5)
            warn_of_data("in the thread")

    thread = threading.Thread(target=part)
    thread.start()
    inside.wait(5)
    with pytest.warns(DataWarning, match="outside") as caught:
        warn_of_data("outside")
    outside.set()
    thread.join()
    assert [str(one.message) for one in caught] == ["outside"]
