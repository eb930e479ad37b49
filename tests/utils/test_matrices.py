"""Matrices are checked in full before compiled code reads them, and widened before sums."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse

from sklearn_unlearn import ALS, EASE, ItemKNN, MatrixFactorization
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.metrics import ndcg_at_k, remaining_gap
from sklearn_unlearn.model_selection import split_interactions
from sklearn_unlearn.preprocessing import InteractionEncoder, RatingBinarizer
from sklearn_unlearn.utils._matrices import as_numbers, check_magnitude
from sklearn_unlearn.utils._sparse_structure import check_sparse_structure
from tests.malformed import DENSE, FORMATS, malformed

N_MATRICES = 210


@pytest.mark.parametrize("seed", range(0, N_MATRICES, 30))
def test_what_does_not_fit_is_refused_in_three_parts(seed):
    for one in range(seed, seed + 30):
        X, what = malformed(one)
        with pytest.raises(ValueError, match=r"X is a malformed .*; expected .*\. Build") as caught:
            check_sparse_structure(X, "X")
        assert what[:3].upper() in str(caught.value)


@given(st.sampled_from(FORMATS), st.booleans(), st.integers(0, 10**6), st.sampled_from("if"))
def test_what_fits_is_left_as_it_is(kind, old, seed, dtype):
    rng = np.random.default_rng(seed)
    dense = rng.integers(-3, 9, rng.integers(0, 9, 2)) * (rng.random() < 0.9)
    X = sparse.coo_array(dense.astype(np.int8 if dtype == "i" else np.float32)).asformat(kind)
    if old:
        X = getattr(sparse, f"{kind}_matrix")(X)
    check_sparse_structure(X, "X")
    assert_array_equal(as_numbers(X, "X").toarray(), dense)
    assert_array_equal(X.toarray(), dense)


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_entries_behind_the_last_row_do_not_count(index):
    X = sparse.csr_array(DENSE)
    X.indices = np.append(X.indices, 10**6).astype(index)
    X.data, X.indptr = np.append(X.data, 7.0), X.indptr.astype(index)
    check_sparse_structure(X, "X")
    assert_array_equal(Interactions.from_matrix(X).to_csr().toarray(), DENSE)


def test_a_container_of_one_or_three_dimensions_is_no_matrix():
    said = {(4,): "X has 1 dimension; expected a matrix", (2, 2, 2): "expected two dimensions"}
    for shape, message in said.items():
        with pytest.raises(ValueError, match=message):
            ALS(2).fit(sparse.coo_array(np.ones(shape)))


# -- in child processes, since what is wrong would end the interpreter -----------------------------
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["matrices", "files"])
@pytest.mark.parametrize("first", range(0, 200, 50))
def test_no_way_in_ends_the_interpreter(kind, first):
    command = [sys.executable, "-m", "tests.malformed", kind, str(first), str(first + 50)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    lines = child.stdout.splitlines()
    assert child.returncode == 0, f"signal {-child.returncode} in {lines[-1:]}"
    assert len(lines) >= 50
    assert [line for line in lines if not line.endswith("-> refused")] == []


# -- small integers --------------------------------------------------------------------------------
SMALL = ["int8", "uint8", "int16", "bool"]


def doubled(kind, dtype):
    """A cell twice with the largest value of a type, beside two others."""
    value = True if dtype == "bool" else np.iinfo(dtype).max
    values = np.array([value, value, 1, 1], dtype)
    coo = sparse.coo_array((values, ([0, 0, 1, 2], [0, 0, 1, 2])), shape=(5, 6))
    if kind == "coo":
        return coo
    if kind == "csc":
        return sparse.csc_array((values, [0, 0, 1, 2], [0, 2, 3, 4, 4, 4, 4]), shape=(5, 6))
    return sparse.csr_array((values, [0, 0, 1, 2], [0, 2, 3, 4, 4, 4]), shape=(5, 6))


def total(dtype):
    return 1 if dtype == "bool" else 2 * np.iinfo(dtype).max


@pytest.mark.parametrize("kind", ["coo", "csr", "csc"])
@pytest.mark.parametrize("dtype", SMALL)
def test_duplicates_are_summed_in_a_type_that_holds_the_sum(kind, dtype):
    X = doubled(kind, dtype)
    before = X.data.copy()
    fitted = ItemKNN(2).fit(X)._interactions
    assert fitted.values[0] == total(dtype)
    assert Interactions.from_matrix(X).values[0] == total(dtype)
    assert fitted.n_interactions == 3
    both = sum(part.toarray().astype(float) for part in split_interactions(X, 0.3, random_state=0))
    assert both[0, 0] == total(dtype)
    assert RatingBinarizer(1.0).fit_transform(X)[0, 0] == 1
    ids = {"user": np.arange(6) % 5, "item": np.arange(6)}
    events = InteractionEncoder().fit(ids).inverse_transform(X)
    assert events["value"][0] == total(dtype)
    assert_array_equal(X.data, before)


def test_rows_to_fold_in_are_widened_too():
    model = EASE(1.0).fit(np.eye(6) + np.eye(6, k=1))
    values = np.array([128, 128], np.uint8)
    row = sparse.coo_array((values, ([0, 0], [3, 3])), shape=(1, 6))
    dense = np.zeros((1, 6))
    dense[0, 3] = 256
    assert_array_equal(model.decision_function(row), model.decision_function(dense))


def test_relevance_does_not_wrap_around():
    X = doubled("coo", "int8")
    lists = np.array([[0], [1], [2], [0], [0]])
    assert ndcg_at_k(lists, X, k=1) == ndcg_at_k(lists, X.astype(float), k=1) == 1


def test_a_split_keeps_the_type_of_integers_where_it_holds_the_sums():
    X = sparse.coo_array((np.array([100, 20, 1], np.int8), ([0, 0, 1], [0, 0, 1])), shape=(2, 2))
    parts = split_interactions(X, 1, random_state=0)
    assert {part.dtype for part in parts} == {np.dtype(np.int8)}
    assert sum(part.toarray().astype(int) for part in parts)[0, 0] == 120


# -- masked arrays ---------------------------------------------------------------------------------
def test_masks_are_not_dropped_in_silence():
    X, mask = np.ma.masked_array(DENSE, DENSE == 0), np.ma.masked_array(DENSE > 0, DENSE > 0)
    users = np.ma.masked_array([1, 2], [False, True])
    model, rows = ItemKNN(3).fit(DENSE), sparse.csr_array(DENSE)
    rows.data = np.ma.masked_array(rows.data, rows.data > 0)
    events = np.ma.masked_array([["a", "b"]], [[True, False]])
    calls = [
        lambda: MatrixFactorization(2).fit(X),
        lambda: ItemKNN(3).fit(list(X)),
        lambda: ItemKNN(3).fit(DENSE, sample_weight=np.ma.ones(len(DENSE))),
        lambda: model.decision_function(X),
        lambda: model.recommend(users=users, n_items=2),
        lambda: model.forget(mask),
        lambda: model.forget(np.ma.masked_array([[0, 0]])),
        lambda: model.forget((users, users)),
        lambda: model.forget(users=users),
        lambda: model.forget(items=users),
        lambda: model.predict_pairs((users, users)),
        lambda: ALS.from_factors(X[:, :2], DENSE.T[:, :2], DENSE, regularization=1.0, alpha=1.0),
        lambda: split_interactions(X),
        lambda: remaining_gap(X, DENSE, DENSE),
        lambda: InteractionEncoder().fit(events),
        lambda: InteractionEncoder().fit({"user": users, "item": [1, 2]}),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=r"masked array; expected .* Pass \.filled"):
            call()
    with pytest.raises(ValueError, match="malformed CSR"):
        model.decision_function(rows)
    assert model._interactions.n_interactions == np.count_nonzero(DENSE)


# -- magnitudes ------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [1e300, 1e-300, 5e-324, -1e300])
def test_numbers_whose_squares_are_lost_are_refused(value):
    with pytest.raises(ValueError, match=r"has size .*; expected .* Rescale X"):
        check_magnitude(np.array([value, 0.0]), "X")
    with pytest.raises(ValueError, match=r"size .*; expected "):
        check_magnitude(np.array([value, 1.0]), "X")


def test_numbers_that_can_be_squared_are_not():
    for dtype, values in ((np.float64, (1e70, 1e-140, 1e-70)), (np.float32, (1e17, 1e-30, 1e-17))):
        check_magnitude(np.array([values[0], values[1], 0], dtype), "X")
        check_magnitude(np.array([values[2]], dtype), "X")
        check_magnitude(np.zeros(3, dtype), "X")
