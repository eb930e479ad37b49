"""Growth of the data: what must stay the same, and what may not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from sklearn_unlearn.benchmarks import expand
from sklearn_unlearn.datasets import make_interactions

sizes = st.integers(1, 12)


@given(sizes, sizes, st.integers(1, 5), st.integers(0, 3))
def test_degrees_and_values_are_kept(n_users, n_items, factor, seed):
    rng = np.random.default_rng(seed)
    values = rng.choice([-1.0, 1.0, 2.5], (n_users, n_items))
    X = sparse.csr_array(np.where(rng.random((n_users, n_items)) < 0.5, values, 0.0))
    large = expand(X, factor, seed)
    assert large.shape == (factor * n_users, factor * n_items)
    assert large.nnz == factor * X.nnz
    # Folding the copies of the items back gives every copy of the users the old row, bit for bit.
    folded = large.toarray().reshape(factor, n_users, factor, n_items).sum(axis=2)
    for copy in folded:
        np.testing.assert_array_equal(copy, X.toarray())
    np.testing.assert_array_equal(np.diff(large.indptr), np.tile(np.diff(X.indptr), factor))
    degrees = np.bincount(large.indices, minlength=large.shape[1]).reshape(factor, n_items).sum(0)
    np.testing.assert_array_equal(degrees, factor * np.bincount(X.indices, minlength=n_items))


def test_items_are_split_evenly_and_copies_are_mixed():
    X = make_interactions(300, 20, n_interactions=3000, random_state=0)
    large = expand(X, 4)
    degrees = np.bincount(large.indices, minlength=80).reshape(4, 20)
    expected = degrees.mean(axis=0)
    # Binomial: five standard deviations.
    assert (np.abs(degrees - expected) <= 5 * np.sqrt(expected)).all()
    joined = sparse.block_array([[None, large], [large.T, None]])
    assert connected_components(joined, directed=False)[0] == 1


def test_one_copy_is_the_data():
    X = make_interactions(30, 20, random_state=0)
    assert (expand(X, 1) != X).nnz == 0


@pytest.mark.parametrize("factor", [0, -1, 1.5, True, "2"])
def test_bad_factor(factor):
    with pytest.raises(ValueError, match=r"Got factor=.*expected an integer.*Raise it"):
        expand(sparse.csr_array([[1.0]]), factor)
