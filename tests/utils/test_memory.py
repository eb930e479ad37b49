"""What cannot fit is refused before it is allocated, with what is needed and what is there."""

import re
import tracemalloc

import numpy as np
import pytest
from scipy import sparse

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
from sklearn_unlearn.metrics import ndcg_at_k
from sklearn_unlearn.model_selection import split_interactions
from sklearn_unlearn.pruning import HopPruner
from sklearn_unlearn.utils import _memory

ALL = [
    MatrixFactorization(),
    ALS(),
    BPR(),
    LightGCN(),
    EASE(),
    ItemKNN(),
    GraphFilter(),
    PolynomialFilter(),
    SparseEASE(),
    SessionKNN(),
    TIFUKNN(),
    ShardedRecommender(ALS()),
]
BEYOND = 2**31 + 5
GIB = 2**30


def cells(n_users, n_items):
    return sparse.coo_array(([1.0, 1.0], ([0, n_users - 1], [n_items - 1, 0])), (n_users, n_items))


def refused(call, limit=2**24):
    """Message of a call that is refused, having allocated next to nothing."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"expected at most .*\. \w.*") as caught:
            call()
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()
    return str(caught.value)


@pytest.mark.parametrize("shape", [(BEYOND, 3), (3, BEYOND)])
@pytest.mark.parametrize("model", ALL, ids=lambda model: type(model).__name__)
def test_sides_beyond_32_bits_are_refused(model, shape):
    message = refused(lambda: model.fit(cells(*shape)))
    assert re.search(r"needs at least [\d.]+ \w+ .* this machine has [\d.]+ \wiB", message)
    assert "InteractionEncoder" in message and not hasattr(model, "n_features_in_")


@pytest.mark.parametrize(
    "model, shape, needs",
    [
        (MatrixFactorization(64), (3, 10**8), "23.8 GiB"),
        (ALS(64), (10**8, 3), "24.6 GiB"),
        (LightGCN(64), (10**8, 3), "24.6 GiB"),
        (BPR(64), (3, 10**8), "23.8 GiB"),
        (EASE(), (3, 10**6), "7.3 TiB"),
        (GraphFilter(256), (3, 10**7), "71.6 GiB"),
        (PolynomialFilter(), (3, 10**9), "59.6 GiB"),
        (ShardedRecommender(ALS(64), 8), (3, 10**8), "190.7 GiB"),
        (ShardedRecommender(EASE(), 2), (3, 10**6), "14.6 TiB"),
        (ItemKNN(), (3, 10**9), "22.4 GiB"),
        (SparseEASE(), (3, 10**9), "29.8 GiB"),
        (SessionKNN(), (10**9, 3), "22.4 GiB"),
        (TIFUKNN(), (10**9, 3), "22.4 GiB"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_tables_that_do_not_fit_are_refused(monkeypatch, model, shape, needs):
    monkeypatch.setattr(_memory, "machine_memory", lambda: 16 * GIB)
    message = refused(lambda: model.fit(cells(*shape)))
    assert needs in message and "16.0 GiB, the memory of this machine. " in message


def test_a_dense_matrix_is_no_exception():
    assert "7.3 TiB" in refused(lambda: EASE().fit(np.ones((2, 10**6))), 2**25)


def test_what_fits_is_fitted(monkeypatch):
    monkeypatch.setattr(_memory, "machine_memory", lambda: 8 * 100**2 + 8 * 3 + 12 * 2)
    assert EASE().fit(cells(3, 100))._interactions.n_interactions == 2
    with pytest.raises(ValueError, match="EASE needs at least"):
        EASE().fit(cells(3, 101))


def test_a_request_that_needs_a_second_table_is_refused_and_changes_nothing(monkeypatch):
    model = EASE().fit(cells(3, 100))
    before = model.__dict__.copy()
    monkeypatch.setattr(_memory, "machine_memory", lambda: 15 * 100**2)
    with pytest.raises(ValueError, match=r"a request to EASE needs at least 156\.2 KiB"):
        model.forget(users=[0])
    assert model.__dict__ == before


@pytest.mark.parametrize(
    "call",
    [
        lambda X: ALS(2).fit(np.eye(3)).decision_function(X),
        lambda X: split_interactions(X),
        lambda X: ndcg_at_k(np.zeros((1, 1), int), X, k=1),
        lambda X: HopPruner(1).fit(X),
    ],
    ids=["fold-in", "split", "metric", "pruner"],
)
def test_rows_that_only_their_number_makes_large_are_refused_everywhere(call):
    X = sparse.coo_array(([1.0], ([2**50], [0])), shape=(2**51, 3))
    with pytest.raises(ValueError, match=r"needs at least .* PiB"):
        call(X)


def test_a_limit_of_a_container_counts(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("4096\n")
    monkeypatch.setattr(_memory, "_CGROUP_LIMITS", (tmp_path / "memory.max", tmp_path / "absent"))
    assert _memory.machine_memory() == 4096
    (tmp_path / "memory.max").write_text("max\n")
    assert _memory.machine_memory() > 2**20
