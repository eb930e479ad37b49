"""Growth of the data: what must stay the same, and what may not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from sklearn_unlearn.benchmarks import expand, fractal
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


def test_copies_of_users_share_the_items():
    X = make_interactions(30, 20, random_state=0)
    large = expand(X, 8, item_factor=1)
    np.testing.assert_array_equal(large.toarray(), np.tile(X.toarray(), (8, 1)))
    wide = expand(X, 1, item_factor=3)
    assert wide.shape == (30, 60)
    np.testing.assert_array_equal(wide.toarray().reshape(30, 3, 20).sum(axis=1), X.toarray())


@pytest.mark.parametrize("make", [expand, fractal])
@pytest.mark.parametrize("factor", [0, -1, 1.5, True, "2"])
def test_bad_factor(make, factor):
    with pytest.raises(ValueError, match=r"Got factor=.*expected an integer.*Raise it"):
        make(sparse.csr_array([[1.0]]), factor)


def test_bad_item_factor():
    with pytest.raises(ValueError, match=r"Got item_factor=0; expected an integer.*Raise it"):
        expand(sparse.csr_array([[1.0]]), 2, item_factor=0)


@pytest.mark.parametrize("factor", [1, 2, 4, 9, 16])
def test_a_fractal_has_the_interactions_asked_for(factor):
    X = make_interactions(200, 100, n_interactions=3000, random_state=1)
    large = fractal(X, factor)
    # Binomial: five standard deviations.
    assert abs(large.nnz - factor * X.nnz) <= 5 * np.sqrt(factor * X.nnz)
    n = int(np.ceil(2 * np.sqrt(factor))) if factor > 1 else 1
    assert large.shape == (200 * n, 100 * n)
    if factor == 1:
        assert (large != X).nnz == 0


def test_every_block_of_a_fractal_is_a_thinned_copy():
    X = make_interactions(200, 100, n_interactions=3000, random_state=1)
    blocks = fractal(X, 4).toarray().reshape(4, 200, 4, 100).transpose(0, 2, 1, 3)
    assert ((blocks == 0) | (blocks == X.toarray())).all()
    kept = np.count_nonzero(blocks, axis=(2, 3)) / X.nnz
    # The picture is the matrix itself in small: groups of users and of items by degree.
    rows, columns = (
        np.argsort(-np.count_nonzero(X.toarray(), axis=a), kind="stable") for a in (1, 0)
    )
    sorted_ = X.toarray()[rows][:, columns] != 0
    picture = sorted_.reshape(4, 50, 4, 25).sum(axis=(1, 3)) / X.nnz
    expected = np.minimum(picture * np.float64(4 / picture.sum()), 1)
    assert expected.max() < 1  # nothing is cut off here, so shares are in proportion
    np.testing.assert_allclose(kept, expected, atol=5 * np.sqrt(0.25 / X.nnz))


def test_a_fractal_of_a_block_that_holds_everything():
    dense = np.zeros((40, 40))
    dense[:10, :10] = 1
    # Two blocks of sixteen are not empty, and each keeps all of it: no more can be had.
    dense[10, 10] = 1
    assert fractal(sparse.csr_array(dense), 4).nnz == 2 * 101


def test_draws_of_a_fractal_depend_on_the_seed():
    X = make_interactions(60, 40, random_state=0)
    a, b, c = (fractal(X, 4, seed) for seed in (0, 0, 1))
    assert (a != b).nnz == 0 and (a != c).nnz > 0


def test_a_fractal_keeps_degrees_as_unequal():
    X = make_interactions(400, 200, n_interactions=6000, random_state=2)

    def share_of_the_top_tenth(matrix):
        degrees = np.sort(np.bincount(matrix.indices, minlength=matrix.shape[1]))[::-1]
        return degrees[: len(degrees) // 10].sum() / degrees.sum()

    assert share_of_the_top_tenth(fractal(X, 9)) > share_of_the_top_tenth(X)
