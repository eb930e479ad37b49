import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sklearn_unlearn.model_selection import split_interactions


def random_matrix(seed, shape=(9, 7), density=0.4):
    rng = np.random.default_rng(seed)
    return rng.integers(1, 6, shape) * (rng.random(shape) < density) * 1.0


@given(st.integers(0, 10_000), st.floats(0.1, 0.9))
def test_parts_are_disjoint_and_add_up(seed, share):
    X = random_matrix(seed)
    X[0, :3] = 1.0
    n_test = round(share * np.count_nonzero(X))
    if not 0 < n_test < np.count_nonzero(X):
        return
    train, test = split_interactions(sparse.csr_array(X), share, random_state=seed)
    assert train.shape == test.shape == X.shape
    assert test.nnz == n_test
    assert not np.any((train.toarray() != 0) & (test.toarray() != 0))
    np.testing.assert_array_equal(train.toarray() + test.toarray(), X)


def test_same_seed_same_split_and_another_seed_another():
    X = random_matrix(0, (30, 20))
    first, again, other = (split_interactions(X, random_state=s)[1].toarray() for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_every_interaction_is_equally_likely_to_be_held_out():
    X = np.ones((4, 5))
    held_out = sum(split_interactions(X, 5, random_state=s)[1].toarray() for s in range(2000))
    # 2000 draws of probability 1/4: four standard deviations are 77.
    assert np.abs(held_out - 500).max() < 80


def test_input_is_not_touched_and_duplicates_are_one_interaction():
    X = sparse.csr_array(
        (np.array([1.0, 2.0, 0.0, 5.0]), np.array([1, 1, 0, 2]), np.array([0, 3, 4])), shape=(2, 3)
    )
    copies = [part.copy() for part in (X.data, X.indices, X.indptr)]
    train, test = split_interactions(X, 1, random_state=0)
    assert train.nnz == test.nnz == 1
    np.testing.assert_array_equal((train + test).toarray(), [[0, 3, 0], [0, 0, 5]])
    for part, copy in zip((X.data, X.indices, X.indptr), copies, strict=True):
        np.testing.assert_array_equal(part, copy)


def test_integer_values_stay_integers():
    train, _ = split_interactions(np.ones((3, 3), dtype=np.int32), random_state=0)
    assert train.dtype == np.int32


@pytest.mark.parametrize(
    ("test_size", "error", "message"),
    [
        (0.0, ValueError, "between 0 and 1"),
        (1.0, ValueError, "between 0 and 1"),
        (float("nan"), ValueError, "between 0 and 1"),
        (0.001, ValueError, "at least one in each part"),
        (0, ValueError, "at least one in each part"),
        (9, ValueError, "at least one in each part"),
        ("0.2", TypeError, "expected a float"),
        (True, TypeError, "expected a float"),
    ],
)
def test_bad_sizes_are_refused(test_size, error, message):
    with pytest.raises(error, match=message):
        split_interactions(np.ones((3, 3)), test_size)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        split_interactions(np.array([[1.0, np.nan]]))
