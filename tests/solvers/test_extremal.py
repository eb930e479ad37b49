"""Extreme singular values and eigenvalues, against dense decompositions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, aslinearoperator

from sklearn_unlearn.solvers import _extremal
from sklearn_unlearn.solvers._extremal import (
    lowest_eigenpairs,
    lowest_eigenvalue_bound,
    spectral_norm_bound,
    top_singular,
)

LOOSE = (1e-2, None)
SHAPES = [
    (0, 0),
    (0, 90),
    (70, 0),
    (1, 1),
    (1, 90),
    (90, 1),
    (64, 64),
    (65, 66),
    (90, 70),
    (70, 90),
]


def of_rank(shape, rank, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1]))


def single_cells(shape, n):
    """A matrix of few cells, alike: ARPACK meets an invariant subspace at once."""
    matrix = np.zeros(shape)
    matrix[np.arange(n), np.arange(n)[::-1]] = 2.0
    return matrix


def symmetric(side, rank, sign, seed=0):
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((side, side)))[0][:, :rank]
    values = rng.uniform(0.5, 2.0, rank) * (sign or (-1.0) ** np.arange(rank))
    return (Q * values) @ Q.T


def padded(values, n):
    return np.pad(values, (0, max(0, n - len(values))))[:n]


def failing(error):
    def raising(*args, **options):
        raise error

    return raising


no_convergence = ArpackNoConvergence("no", np.zeros(0), np.zeros((0, 0)))
arpack_errors = pytest.mark.parametrize("error", [no_convergence, ArpackError(-9)])


# -- singular values -------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [0, 1, 5, 24])
@pytest.mark.parametrize("rank", [0, 1, 2, 90])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_top_singular_triplets_are_those_of_a_dense_decomposition(shape, rank, n):
    side = min(shape)
    for dense in (of_rank(shape, min(rank, side)), single_cells(shape, min(rank, side))):
        expected = padded(np.linalg.svd(dense)[1] if side else np.zeros(0), n)
        U, s, V, residual = top_singular(aslinearoperator(dense), n, (1e-8, None))
        assert U.shape == (shape[0], n) and s.shape == (n,) and V.shape == (shape[1], n)
        assert_allclose(s, expected, rtol=1e-6, atol=1e-6 * expected.max(initial=0.0))
        used = np.count_nonzero(expected)
        assert_allclose(dense @ V[:, :used], U[:, :used] * s[:used], atol=1e-3)
        filled = min(n, side)
        for vectors in (U, V):
            assert_allclose(vectors.T @ vectors, np.diag(padded(np.ones(filled), n)), atol=1e-8)
        if filled:
            first, second = dense @ V[:, 0] - s[0] * U[:, 0], dense.T @ U[:, 0] - s[0] * V[:, 0]
            true = max(np.linalg.norm(first), np.linalg.norm(second))
            assert residual == pytest.approx(true, abs=1e-12)


@pytest.mark.parametrize("rank", [0, 1, 3, 90])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_bound_of_the_norm_is_close_and_never_below(shape, rank):
    dense = of_rank(shape, min(rank, *shape), seed=1)
    expected = np.linalg.norm(dense, 2) if dense.size else 0.0
    bound = spectral_norm_bound(aslinearoperator(dense))
    assert expected * (1 - 1e-13) <= bound <= expected * (1 + 1e-7)


def test_the_residual_shows_a_triplet_that_lanczos_left_early():
    dense = of_rank((120, 100), 100)
    s, residual = (top_singular(aslinearoperator(dense), 1, (0.3, 3))[i] for i in (1, 3))
    values = np.linalg.svd(dense)[1]
    off = np.abs(values - s[0]).min()
    assert residual >= off
    assert residual > 1e-3 * s[0]  # Lanczos had no reason to go on


def test_a_few_rows_of_many_columns_need_no_square_of_the_columns():
    dense = of_rank((3, 200_000), 3)
    operator = aslinearoperator(dense)
    assert spectral_norm_bound(operator) == pytest.approx(np.linalg.norm(dense, 2))
    assert spectral_norm_bound(operator.T) == pytest.approx(np.linalg.norm(dense, 2))


def test_numbers_whose_squares_underflow_are_found_all_the_same():
    dense = 1e-200 * np.diag(np.arange(90.0))
    assert spectral_norm_bound(aslinearoperator(dense)) <= 89e-200 * (1 + 1e-6)


@arpack_errors
@pytest.mark.parametrize("shape", [(90, 70), (70, 90)])
def test_where_lanczos_fails_low_ranks_are_exact_and_nothing_else_bounds_the_norm(
    monkeypatch, error, shape
):
    monkeypatch.setattr(_extremal, "svds", failing(error))
    few, many = of_rank(shape, 3), of_rank(shape, 70)
    assert_allclose(
        top_singular(aslinearoperator(few), 3, LOOSE)[1], np.linalg.svd(few)[1][:3], rtol=1e-10
    )
    assert spectral_norm_bound(aslinearoperator(few)) >= np.linalg.norm(few, 2) * (1 - 1e-13)
    s, residual = (top_singular(aslinearoperator(many), 1, LOOSE)[i] for i in (1, 3))
    values = np.linalg.svd(many)[1]
    assert 0.9 * values[0] < s[0] <= values[0] * (1 + 1e-13)
    assert np.abs(values - s[0]).min() <= residual + 1e-12
    flat = np.linalg.qr(many.T if shape[0] < shape[1] else many)[0] * np.linspace(0.9, 1.0, 70)
    assert spectral_norm_bound(aslinearoperator(flat)) == np.inf


@pytest.mark.parametrize("size", [5, 100])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nothing_is_known_of_numbers_that_are_not_finite(size, bad):
    dense = np.ones((size, size))
    dense[3, 2] = bad
    operator = aslinearoperator(dense)
    assert spectral_norm_bound(operator) == np.inf
    U, s, V, residual = top_singular(operator, 2, LOOSE)
    assert residual == np.inf
    assert not (U.any() or s.any() or V.any())
    assert lowest_eigenvalue_bound(operator) == -np.inf


def test_nothing_is_known_where_squares_overflow():
    assert spectral_norm_bound(aslinearoperator(1e200 * np.eye(90))) == np.inf


# -- eigenvalues -----------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [0, 1, 5, 24])
@pytest.mark.parametrize("sign", [1, -1, 0])
@pytest.mark.parametrize("rank", [0, 1, 4, 120])
@pytest.mark.parametrize("side", [0, 1, 40, 64, 65, 120])
def test_lowest_eigenpairs_are_those_of_a_dense_decomposition(side, rank, sign, n):
    dense = symmetric(side, min(rank, side), sign)
    expected = padded(np.linalg.eigvalsh(dense) if side else np.zeros(0), n)
    values, vectors, residual = lowest_eigenpairs(aslinearoperator(dense), n, (1e-8, None))
    assert vectors.shape == (side, n)
    assert_allclose(values, expected, atol=1e-6)
    filled = min(n, side)
    assert_allclose(vectors.T @ vectors, np.diag(padded(np.ones(filled), n)), atol=1e-8)
    assert_allclose(dense @ vectors, vectors * values, atol=1e-3)
    if filled:
        left = dense @ vectors[:, 0] - values[0] * vectors[:, 0]
        assert residual == pytest.approx(np.linalg.norm(left), abs=1e-12)
        bound = lowest_eigenvalue_bound(aslinearoperator(dense))
        assert expected[0] - 1e-6 <= bound <= expected[0] + 1e-12


@arpack_errors
@pytest.mark.parametrize("sign", [1, -1, 0])
def test_where_lanczos_fails_low_ranks_are_exact_and_nothing_else_bounds_an_eigenvalue(
    monkeypatch, error, sign
):
    monkeypatch.setattr(_extremal, "eigsh", failing(error))
    few, many = symmetric(90, 3, sign), -np.diag(np.linspace(0.5, 1.0, 400))
    expected = np.linalg.eigvalsh(few)
    assert_allclose(lowest_eigenpairs(aslinearoperator(few), 4, LOOSE)[0], expected[:4], atol=1e-12)
    values, _, residual = lowest_eigenpairs(aslinearoperator(many), 1, LOOSE)
    expected = np.linalg.eigvalsh(many)
    assert expected[0] - 1e-12 <= values[0] <= expected[0] + residual
    assert lowest_eigenvalue_bound(aslinearoperator(many)) == -np.inf


def test_a_start_that_the_operator_takes_to_zero_does_no_harm(monkeypatch):
    def in_null_space(seed, rows, columns=0):
        return 1.0 + 0.0 * (rows + columns)

    monkeypatch.setattr(_extremal, "hashed_normal", in_null_space)
    centred = np.eye(90) - 1 / 90

    def product(x):
        return -centred @ x

    operator = LinearOperator((90, 90), matvec=product, rmatvec=product, dtype=float)
    # The block starts from the same vector, but is made orthonormal with others.
    assert top_singular(operator, 1, LOOSE)[1] == pytest.approx(1.0)
    assert lowest_eigenpairs(operator, 1, LOOSE)[0] == pytest.approx(-1.0)


def test_equal_operators_give_equal_bits():
    operator = aslinearoperator(of_rank((90, 80), 80))
    for one, other in zip(*(top_singular(operator, 4, LOOSE) for _ in range(2)), strict=True):
        assert_array_equal(one, other)
