import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_unlearn.backends import _grams as _weighted_grams
from sklearn_unlearn.backends._grams import gram, gram_change, product_norm


def tables(seed, n, k, count):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.1, 2, n), *rng.standard_normal((count, n, k))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 9), k=st.integers(0, 4))
def test_gram_is_the_sum_of_outer_products(seed, n, k):
    weights, A, B = tables(seed, n, k, 2)
    outer = np.einsum("nf,ng->nfg", A, B)
    assert_allclose(gram(A, B), outer.sum(axis=0), atol=1e-12)
    weighted = (weights[:, None, None] * outer).sum(axis=0)
    assert_allclose(gram(A, B, weights=weights), weighted, atol=1e-12)
    assert_allclose(gram(A), A.T @ A, atol=1e-12)


def test_rows_are_summed_in_pieces_of_any_size(monkeypatch):
    weights, A, B = tables(0, 11, 3, 2)
    for size in (1, 4, 11, 12):
        monkeypatch.setattr(_weighted_grams, "_ROWS_AT_ONCE", size)
        assert_allclose(gram(A, B, weights=weights), A.T @ (weights[:, None] * B), rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 9), moved=st.integers(0, 9))
def test_change_is_the_difference_of_two_grams(seed, n, moved):
    weights, A, step = tables(seed, n, 3, 2)
    B = A.copy()
    B[:moved] += step[:moved]
    assert_allclose(gram_change(A, B), B.T @ B - A.T @ A, atol=1e-12)
    expected = gram(B, weights=weights) - gram(A, weights=weights)
    assert_allclose(gram_change(A, B, weights), expected, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_change_keeps_its_digits_where_the_grams_would_lose_them(dtype):
    A = np.full((4, 1), 1000.1, dtype)
    B = A.copy()
    B[0] = np.nextafter(A[0], dtype(2000.0))
    old, new = float(A[0, 0]), float(B[0, 0])
    change = gram_change(A, B)
    assert change.dtype == np.float64
    assert_allclose(change, (new - old) * (new + old), rtol=1e-14)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(0, 4), scale=st.sampled_from([1e-9, 1.0, 1e6]))
def test_product_norm_is_the_largest_singular_value(seed, k, scale):
    _, A, B = tables(seed, 6, k, 2)
    A = scale * A
    expected = np.linalg.norm(A @ B.T, 2)
    assert_allclose(product_norm(A.T @ A, B.T @ B), expected, rtol=1e-7)


def test_product_norm_of_orthogonal_factors_is_zero():
    assert product_norm(np.diag([1.0, 0.0]), np.diag([0.0, 1.0])) == 0
