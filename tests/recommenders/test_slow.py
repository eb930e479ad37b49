"""What takes too long for every run: a thousand requests in a row, and growth of the data."""

import copy
import gc
import tracemalloc

import numpy as np
import pytest

from sklearn_unlearn import MatrixFactorization
from sklearn_unlearn.benchmarks.data._expand import expand
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.metrics import remaining_gap

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fitted():
    X = make_interactions(600, 400, n_interactions=12_000, random_state=0)
    return MatrixFactorization(24, regularization=4.0, random_state=0).fit(X)


def test_a_thousand_requests_end_where_one_batch_ends_and_hold_no_memory(fitted):
    data = fitted._interactions
    pairs = np.column_stack([data.rows, data.indices])
    rng = np.random.default_rng(0)
    gone = pairs[rng.choice(len(pairs), 1000, replace=False)]
    one_by_one = copy.deepcopy(fitted)
    held = []
    tracemalloc.start()
    for number, pair in enumerate(gone):
        one_by_one.forget(pair[None])
        if number in (99, 999):
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    batch = copy.deepcopy(fitted).forget(gone)
    refit = MatrixFactorization(24, regularization=4.0, random_state=1)
    refit.fit(batch._interactions.to_csr())
    assert remaining_gap(fitted, one_by_one, batch) <= 0.02
    assert remaining_gap(fitted, one_by_one, refit) <= 0.02
    assert held[1] <= held[0] + 100_000


def test_work_for_one_user_does_not_grow_with_the_data():
    """Products count as shares of all interactions: on ten times the data, a tenth."""
    base = make_interactions(2000, 2000, n_interactions=10_000, popularity=0.3, random_state=0)
    walked = []
    for factor in (1, 4, 10):
        X = expand(base, factor)
        model = MatrixFactorization(8, regularization=3.0, random_state=0).fit(X)
        user = int(np.flatnonzero(model._interactions.user_degrees == 5)[0])
        model.set_params(unlearner=InfluenceUnlearner(tol=1e-2)).forget(users=[user])
        walked.append(model.forget_report_.n_solver_iter * X.nnz)
    assert walked[2] <= 3 * walked[0]
