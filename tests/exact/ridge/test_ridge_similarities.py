"""Weights of items on items against dense arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_unlearn.exact.ridge._ridge_similarities import (
    largest_similarities,
    scores_of_rows,
    similarities,
)


def inverse_of(n=15, seed=0):
    A = np.random.default_rng(seed).standard_normal((3 * n, n))
    return np.linalg.inv(A.T @ A + np.eye(n))


def test_similarities_are_regressions_on_the_other_items():
    """Column j is the ridge regression of item j on all others."""
    A = np.random.default_rng(0).standard_normal((45, 15))
    B = similarities(np.linalg.inv(A.T @ A + 2.0 * np.eye(15)))
    for j in range(15):
        others = np.delete(np.arange(15), j)
        X = A[:, others]
        expected = np.linalg.solve(X.T @ X + 2.0 * np.eye(14), X.T @ A[:, j])
        assert_allclose(B[others, j], expected, atol=1e-12)
        assert B[j, j] == 0


def test_scores_are_products_with_the_similarities():
    rng = np.random.default_rng(1)
    dense = np.where(rng.random((6, 15)) < 0.3, rng.random((6, 15)), 0)
    dense[2] = 0
    rows = sparse.csr_array(dense)
    P = inverse_of()
    assert_allclose(scores_of_rows(rows, P), rows.toarray() @ similarities(P), atol=1e-14)


@pytest.mark.parametrize("k", [1, 4, 14, 15, 40])
def test_the_largest_of_each_column_stay(k):
    P = inverse_of()
    B = similarities(P)
    kept = largest_similarities(P, k)
    assert kept.format == "csr" and kept.shape == (15, 15)
    expected = np.zeros_like(B)
    for j in range(15):
        best = np.argsort(-np.abs(B[:, j]), kind="stable")[: min(k, 14)]
        expected[best, j] = B[best, j]
    assert_allclose(kept.toarray(), expected, rtol=1e-14)


def test_rounding_does_not_choose_between_equal_weights():
    P = np.eye(12) * 2
    P[0, 1:] = P[1:, 0] = 0.5
    expected = largest_similarities(P, 3).toarray()
    assert_array_equal(np.flatnonzero(expected[:, 0]), [1, 2, 3])
    rng = np.random.default_rng(0)
    for _ in range(20):
        noisy = P + 1e-14 * rng.standard_normal(P.shape)
        assert_allclose(largest_similarities(noisy, 3).toarray(), expected, atol=1e-13)


def test_weights_that_are_rounding_go():
    P = np.eye(4)
    P[0, 1] = P[1, 0] = 1e-13
    assert largest_similarities(P, 2).nnz == 0


@given(st.integers(1, 12), st.integers(0, 10**6), st.integers(1, 5))
def test_of_equal_weights_the_first_stay(k, seed, n_levels):
    """Every column against a sort, with few different weights and some that are zero."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(-n_levels, n_levels + 1, (12, 12))
    P = 0.01 * (levels + levels.T) + np.eye(12) * 2
    B = similarities(P)
    kept = largest_similarities(P, k).toarray()
    for j in range(12):
        sizes = np.round(np.abs(B[:, j]), 9)
        best = np.argsort(-sizes, kind="stable")[:k]
        expected = np.zeros(12)
        expected[best] = np.where(sizes[best] > 0, B[best, j], 0)
        assert_allclose(kept[:, j], expected, atol=1e-14)
