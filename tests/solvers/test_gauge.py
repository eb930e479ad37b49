import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.solvers._gauge import (
    GaugeFixedHessian,
    HorizontalProjector,
    canonical_rotation,
)
from tests import oracles
from tests.problems import PROBLEMS

CLOSE = {"rtol": 1e-9, "atol": 1e-9}
TABLES = {
    "generic": np.random.default_rng(0).standard_normal((7, 3)),
    "with biases": np.random.default_rng(1).standard_normal((7, 5)),
    "one factor": np.random.default_rng(2).standard_normal((5, 1)),
    "rank two of three": np.random.default_rng(3).standard_normal((7, 2)) @ np.eye(2, 3),
    "equal singular values": np.eye(6, 3),
    "zero": np.zeros((4, 3)),
    "tiny": 1e-5 * np.random.default_rng(5).standard_normal((7, 3)),
    "widely spread": np.random.default_rng(4).standard_normal((7, 3)) * [1e3, 1, 1e-3],
}


@pytest.fixture(params=TABLES, ids=list(TABLES))
def table(request):
    theta = TABLES[request.param]
    return theta, min(3, theta.shape[1])


@pytest.fixture(params=PROBLEMS, ids=lambda problem: problem.name)
def problem(request):
    return request.param


def matrix_of(function, shape):
    size = int(np.prod(shape))
    columns = [function(unit.reshape(shape)).ravel() for unit in np.eye(size)]
    return np.array(columns).T.reshape(size, size)


def random_rotation(seed, k):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((k, k)))[0]


# -- projector -----------------------------------------------------------------------------------
def test_projector_is_the_orthogonal_one_on_an_explicit_basis(table):
    theta, k = table
    latent = theta.copy()
    latent[:, k:] = 0
    P = matrix_of(HorizontalProjector(theta, k), theta.shape)
    assert_allclose(P, np.eye(theta.size) - oracles.vertical_projector(latent, k), **CLOSE)


def test_projector_is_symmetric_and_idempotent(table):
    P = matrix_of(HorizontalProjector(*table), table[0].shape)
    assert_allclose(P, P.T, **CLOSE)
    assert_allclose(P @ P, P, **CLOSE)


def test_rotations_are_removed_and_the_rest_is_kept(table):
    theta, k = table
    projector, rng = HorizontalProjector(theta, k), np.random.default_rng(0)
    for _ in range(5):
        A = rng.standard_normal((k, k))
        orbit = np.zeros(theta.shape)
        orbit[:, :k] = theta[:, :k] @ (A - A.T)
        assert_allclose(projector(orbit), 0, atol=1e-9 * np.linalg.norm(orbit))
        # Z S with S symmetric is orthogonal to the orbit only if Z'Z and S commute: scaling is.
        W = rng.standard_normal(theta.shape)
        horizontal = projector(W)
        assert_allclose(projector(horizontal), horizontal, **CLOSE)
        assert_allclose(projector(theta), theta, **CLOSE)
        assert_array_equal(horizontal[:, k:], W[:, k:])
        skew = theta[:, :k].T @ horizontal[:, :k]
        assert_allclose(skew, skew.T, atol=1e-9 * max(1.0, np.linalg.norm(theta)))


def test_gradients_of_rotation_invariant_objectives_are_horizontal(problem):
    theta = problem.theta()
    gradient = problem.objective().gradient(theta)
    projector = HorizontalProjector(theta, problem.n_factors)
    assert_allclose(projector.vertical(gradient), 0, atol=1e-10)


def test_projector_writes_to_nothing_it_was_given():
    theta, W = TABLES["generic"].copy(), np.ones((7, 3))
    HorizontalProjector(theta, 3)(W)
    assert_array_equal(W, 1)
    assert_array_equal(theta, TABLES["generic"])


# -- operator ------------------------------------------------------------------------------------
@pytest.mark.parametrize("damping", [0.0, 0.8])
def test_operator_is_hessian_plus_gauge_plus_damping(problem, damping):
    theta, twin, k = problem.theta(), problem.twin(), problem.n_factors
    point = problem.objective().at(theta)
    diagonal = np.abs(point.hessian_diagonal())
    H = GaugeFixedHessian(point, HorizontalProjector(theta, k), diagonal, damping)
    free = np.flatnonzero(twin.free)
    matrix = (H @ np.eye(theta.size)[:, free])[free]
    latent = theta.copy()
    latent[:, k:] = 0
    expected = twin.hessian(theta) + damping * np.eye(theta.size)
    expected += H.vertical_shift * oracles.vertical_projector(latent, k)
    assert_allclose(matrix, expected[np.ix_(free, free)], **CLOSE)
    assert_allclose(matrix, matrix.T, **CLOSE)
    assert H.n_products == len(free)
    assert H.H is H


def test_shift_is_the_mean_curvature_where_the_factors_are(problem):
    theta, k = problem.theta(), problem.n_factors
    diagonal = np.random.default_rng(0).random(theta.shape) + 0.5
    projector = HorizontalProjector(theta, k)
    H = GaugeFixedHessian(problem.objective().at(theta), projector, diagonal)
    if not k:
        assert H.vertical_shift == 0
        return
    assert_allclose(H.vertical_shift, np.average(diagonal[:, :k], weights=theta[:, :k] ** 2))
    assert diagonal.min() <= H.vertical_shift <= diagonal.max()


def test_no_factors_of_any_length_need_no_shift():
    problem = PROBLEMS[0]
    theta = np.zeros_like(problem.theta())
    point = problem.objective().at(theta)
    projector = HorizontalProjector(theta, problem.n_factors)
    H = GaugeFixedHessian(point, projector, np.ones(theta.shape))
    V = problem.direction()
    assert H.vertical_shift == 0
    assert_array_equal(H.matvec(V.ravel()), point.hessian_product(V).ravel())


# -- canonical basis -----------------------------------------------------------------------------
rows = arrays(np.float64, (5, 3), elements=st.floats(-9, 9, width=16))


@given(rows)
def test_canonical_rotation_is_orthogonal_and_sorts_the_gram_matrix(Z):
    rotation = canonical_rotation(Z)
    assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    gram = (Z @ rotation).T @ (Z @ rotation)
    scale = max(1.0, np.abs(gram).max())
    assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-12 * scale)
    assert np.all(np.diff(np.diag(gram)) <= 1e-12 * scale)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_canonical_rows_carry_no_history_of_rotations(seed, k):
    Z = np.random.default_rng(seed).standard_normal((9, k))
    turned = Z @ random_rotation(seed + 1, k)
    expected = Z @ canonical_rotation(Z)
    # The basis is as well determined as the gaps between the singular values.
    gaps = np.diff(np.linalg.svd(Z, compute_uv=False) ** 2)
    precision = 1e-12 * 40 / np.abs(gaps).min(initial=1.0)
    peaks = np.sort(np.abs(expected), axis=0)
    if precision < 1e-6 and np.all(peaks[-1] - peaks[-2] > 1e-5):
        assert_allclose(turned @ canonical_rotation(turned), expected, atol=precision)


def test_largest_entry_of_a_canonical_column_is_positive():
    Z = TABLES["generic"]
    for flipped in (Z, -Z, Z * [1, -1, 1]):
        canonical = flipped @ canonical_rotation(flipped)
        peaks = canonical[np.abs(canonical).argmax(axis=0), range(3)]
        assert np.all(peaks > 0)
        assert_allclose(np.abs(canonical), np.abs(Z @ canonical_rotation(Z)), atol=1e-12)


def test_no_columns_have_an_empty_rotation():
    assert canonical_rotation(np.empty((4, 0))).shape == (0, 0)
