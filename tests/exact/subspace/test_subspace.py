import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sklearn_unlearn.backends import ScipyBackend
from sklearn_unlearn.exact.subspace._blocks import low_rank, orthonormal, spanned
from sklearn_unlearn.exact.subspace._graph_change import GraphChange
from sklearn_unlearn.exact.subspace._normalised import NormalisedGraph
from sklearn_unlearn.exact.subspace._refinement import refined_subspace
from sklearn_unlearn.exact.subspace._subspace import (
    cold_subspace,
    dense_subspace,
    measured_residual,
)
from sklearn_unlearn.interactions import Interactions

BACKEND = ScipyBackend()
K, WIDTH = 6, 14
SETTINGS = {"n_components": K, "max_iter": 500, "seed": 0}


def make_data(seed=0, shape=(150, 110), density=0.08, weighted=False):
    rng = np.random.default_rng(seed)
    X = sparse.random_array(shape, density=density, rng=rng, format="csr")
    X.data[:] = rng.integers(1, 4, len(X.data))
    weights = rng.integers(1, 4, shape[0]).astype(float) if weighted else None
    return Interactions.from_matrix(X, weights)


def operator(data):
    """The dense twin of a graph's operator, straight from the formula."""
    R = data.to_csr().toarray()
    w = np.ones(len(R)) if data.row_weights is None else data.row_weights
    users, items = R.sum(axis=1), w @ R
    scaled = np.sqrt(w)[:, None] * R
    scaled *= np.where(users > 0, users, 1)[:, None] ** -0.5 * np.where(items > 0, items, 1) ** -0.5
    return scaled.T @ scaled


def projector(A, k):
    vectors = np.linalg.eigh(A)[1][:, -k:]
    return vectors @ vectors.T


def of_subspace(subspace, k=K):
    return subspace.basis[:, :k] @ subspace.basis[:, :k].T


def dense_product(A):
    return lambda block: A.astype(block.dtype) @ block


def low_rank_change(A, rng, size=0.02, rank=3):
    F = rng.standard_normal((len(A), rank))
    return size * F @ F.T / len(A)


# -- the operator ----------------------------------------------------------------------------------
@pytest.mark.parametrize("weighted", [False, True])
def test_operator_is_its_dense_twin(weighted):
    data = make_data(weighted=weighted)
    graph, A = NormalisedGraph.from_interactions(data), operator(data)
    B = np.random.default_rng(1).standard_normal((data.n_items, 5))
    np.testing.assert_allclose(graph.product(B, BACKEND), A @ B, atol=1e-14)
    np.testing.assert_allclose(graph.dense(), A, atol=1e-14)
    single = graph.product(B.astype(np.float32), BACKEND)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, A @ B, atol=1e-5)


def test_largest_value_is_one_and_empty_rows_and_columns_are_zero():
    X = make_data().to_csr().toarray()
    X[3], X[:, 7] = 0, 0
    A = NormalisedGraph.from_interactions(Interactions.from_matrix(X)).dense()
    assert np.linalg.eigvalsh(A)[-1] == pytest.approx(1.0, abs=1e-14)
    assert np.all(A[7] == 0) and np.all(np.isfinite(A))


@given(
    seed=st.integers(0, 2**16),
    n_pairs=st.integers(0, 6),
    whole=st.sampled_from(["", "user", "item", "both"]),
    weighted=st.booleans(),
)
def test_factors_of_a_change_are_the_difference_of_the_operators(seed, n_pairs, whole, weighted):
    rng = np.random.default_rng(seed)
    data = make_data(seed, (14, 11), 0.3, weighted)
    gone = np.zeros(data.n_interactions, bool)
    gone[rng.integers(0, data.n_interactions, n_pairs)] = True
    if whole in ("user", "both"):
        gone |= data.rows == rng.integers(14)
    if whole in ("item", "both"):
        gone |= data.indices == rng.integers(11)
    retained = data.remove(gone)
    graphs = [NormalisedGraph.from_interactions(one) for one in (data, retained)]
    change = GraphChange.from_positions(*graphs, np.flatnonzero(gone))
    W = rng.standard_normal((11, 4))
    image = operator(data) @ W
    F, Y, strengths = change.factors(W, lambda rows: image[rows])
    assert strengths.shape == (change.rank,) and np.all((strengths >= 0) & (strengths <= 1))
    assert F.shape == (11, change.rank)
    np.testing.assert_allclose(F @ Y, operator(retained) @ W - image, atol=1e-13)


# -- from nothing ----------------------------------------------------------------------------------
@pytest.mark.parametrize("tol", [1e-4, 1e-8, 1e-12])
def test_cold_subspace_meets_its_residual(tol):
    A = operator(make_data(shape=(300, 200), density=0.05))
    found = cold_subspace(dense_product(A), len(A), width=WIDTH, tol=tol, **SETTINGS)
    V = found.basis[:, :K]
    true = np.linalg.norm(A @ V - V @ (V.T @ A @ V))
    assert found.converged and true <= tol * found.values[0] * (1 + 1e-6)
    assert found.residual == pytest.approx(true, rel=1e-3, abs=1e-14)
    np.testing.assert_allclose(found.basis.T @ found.basis, np.eye(WIDTH), atol=1e-13)
    relation = found.basis @ found.projected + found.remainder @ found.coupling
    np.testing.assert_allclose(A @ found.basis, relation, atol=1e-13)


def test_cold_subspace_is_that_of_eigh():
    A = operator(make_data())
    found = cold_subspace(dense_product(A), len(A), width=WIDTH, tol=1e-12, **SETTINGS)
    np.testing.assert_allclose(of_subspace(found), projector(A, K), atol=1e-9)
    np.testing.assert_allclose(found.values[:K], np.linalg.eigvalsh(A)[::-1][:K], atol=1e-12)


def test_every_copy_of_a_value_is_found():
    # Thirty components of the graph: the value 1 has thirty copies, more than a block is wide.
    blocks = [np.ones((2, 2))] * 30 + [make_data(shape=(90, 80)).to_csr().toarray()]
    A = operator(Interactions.from_matrix(sparse.block_diag(blocks).tocsr()))
    expected = np.linalg.eigvalsh(A)[::-1][:36]
    settings = {"n_components": 36, "width": 50, "max_iter": 500}
    for seed in range(3):
        found = cold_subspace(dense_product(A), len(A), tol=1e-10, seed=seed, **settings)
        np.testing.assert_allclose(found.values[:36], expected, atol=1e-9)


@pytest.mark.parametrize("rank", [0, 1, 3, K])
@pytest.mark.parametrize("width", [WIDTH, 16])
def test_an_operator_of_lower_rank_than_asked_for_converges(rank, width):
    rng = np.random.default_rng(rank)
    V = np.linalg.qr(rng.standard_normal((200, rank)))[0]
    A = V @ np.diag(np.linspace(1.0, 0.5, rank)) @ V.T
    found = cold_subspace(dense_product(A), len(A), width=width, tol=1e-10, **SETTINGS)
    assert found.converged and found.rank(K) == rank
    np.testing.assert_allclose(found.values[:rank], np.linspace(1.0, 0.5, rank), atol=1e-9)
    np.testing.assert_allclose(of_subspace(found, rank), V @ V.T, atol=1e-9)


def test_rank_and_gap_of_data_of_low_rank():
    rng = np.random.default_rng(0)
    V = np.linalg.qr(rng.standard_normal((80, 3)))[0]
    A = V @ np.diag([1.0, 0.5, 0.25]) @ V.T
    for found in (
        dense_subspace(A, WIDTH),
        cold_subspace(dense_product(A), 80, width=WIDTH, tol=1e-10, **SETTINGS),
    ):
        assert found.rank(K) == 3
        assert found.gap(K) == pytest.approx(0.25)
        assert found.gap(2) == pytest.approx(0.25)
        np.testing.assert_allclose(of_subspace(found, 3), V @ V.T, atol=1e-9)


def test_a_search_that_is_cut_short_says_so():
    A = operator(make_data(shape=(300, 200)))
    found = cold_subspace(
        dense_product(A), len(A), n_components=K, width=WIDTH, tol=1e-12, max_iter=2, seed=0
    )
    assert not found.converged and found.residual > 1e-6


def test_equal_seeds_give_equal_bits():
    A = operator(make_data())
    one, two, other = (
        cold_subspace(
            dense_product(A), len(A), n_components=K, width=WIDTH, tol=1e-8, max_iter=99, seed=seed
        )
        for seed in (3, 3, 4)
    )
    assert np.array_equal(one.basis, two.basis)
    assert not np.array_equal(one.basis, other.basis)


# -- from the subspace of before -------------------------------------------------------------------
def start(tol=1e-10, n=140, seed=0):
    A = operator(make_data(seed, (200, n), 0.06))
    return A, cold_subspace(dense_product(A), n, width=WIDTH, tol=tol, **SETTINGS)


def refine(A, old, change, tol=1e-10, reduction=0.0, **more):
    settings = {**SETTINGS, **more}
    values, vectors = np.linalg.eigh(change)
    some = abs(values) > 1e-12
    F, sizes = vectors[:, some], values[some]
    Y = sizes[:, None] * (F.T @ old.basis)
    return refined_subspace(
        dense_product(A + change), old, F, Y, abs(sizes), tol=tol, reduction=reduction, **settings
    )


@pytest.mark.parametrize("reduction", [0.0, 1e-4, 1e-2])
def test_refined_subspace_meets_its_residual(reduction):
    A, old = start()
    change = low_rank_change(A, np.random.default_rng(1))
    found = refine(A, old, change, reduction=reduction)
    new, V = A + change, found.basis[:, :K]
    W = old.basis[:, :K]
    before = np.linalg.norm(new @ W - old.basis @ (old.basis.T @ new @ W))
    true = np.linalg.norm(new @ V - V @ (V.T @ new @ V))
    assert found.converged
    assert found.before == pytest.approx(before, rel=1e-3)
    assert true <= 1.05 * max(1e-10, reduction * before)
    assert found.residual == pytest.approx(true, rel=0.2, abs=1e-11)
    slack = 1e-10 if reduction == 0 else 1e-6
    np.testing.assert_allclose(found.basis.T @ found.basis, np.eye(WIDTH), atol=slack)
    relation = found.basis @ found.projected + found.remainder @ found.coupling
    assert np.linalg.norm((new @ found.basis - relation)[:, :K]) <= max(1e-10, reduction * before)


def test_refined_subspace_is_that_of_eigh_and_takes_fewer_products():
    A, old = start()
    change = low_rank_change(A, np.random.default_rng(1))
    found = refine(A, old, change)
    np.testing.assert_allclose(of_subspace(found), projector(A + change, K), atol=1e-7)
    cold = cold_subspace(dense_product(A + change), len(A), width=WIDTH, tol=1e-10, **SETTINGS)
    assert found.n_products < 0.7 * cold.n_products
    assert refine(A, old, change, reduction=1e-3).n_products < found.n_products


def test_what_one_refinement_leaves_goes_with_the_next():
    A, found = start()
    rng = np.random.default_rng(2)
    for _ in range(15):
        change = low_rank_change(A, rng, size=0.003, rank=1)
        found = refine(A, found, change, reduction=1e-2)
        A = A + change
        V = found.basis[:, :K]
        true = np.linalg.norm(A @ V - V @ (V.T @ A @ V))
        assert found.converged and true <= 2 * max(found.residual, 1e-10)
        measured = measured_residual(dense_product(A), found, K, 0)
        assert true / 4 <= measured <= 4 * true
    np.testing.assert_allclose(of_subspace(found), projector(A, K), atol=1e-4)
    np.testing.assert_allclose(V.T @ V, np.eye(K), atol=1e-6)


def test_a_change_that_the_old_basis_does_not_see_is_found():
    # A new largest eigenvector, orthogonal to everything that was kept.
    A, old = start()
    v = np.random.default_rng(3).standard_normal(len(A))
    v -= old.basis @ (old.basis.T @ v)
    change = 0.9 * np.outer(v, v) / (v @ v)
    found = refine(A, old, change)
    np.testing.assert_allclose(of_subspace(found), projector(A + change, K), atol=1e-7)


def test_a_direction_that_changed_much_is_looked_at_though_nothing_couples_to_it():
    # A vector of its own that comes in just above the cut, beside a change that is seen.
    A, old = start()
    rng = np.random.default_rng(4)
    values, vectors = np.linalg.eigh(A)
    v = vectors[:, 60:61]
    lifted = (1.02 * values[-K] - values[60]) * v @ v.T
    found = refine(A, old, lifted + low_rank_change(A, rng, size=1e-4), reduction=1e-2)
    assert np.linalg.norm(v.T @ found.basis[:, :K]) == pytest.approx(1, abs=1e-3)


def test_a_residual_says_what_is_known_and_what_is_not():
    # A large change, and then small ones: what the large one left out is larger than their goals.
    A, old = start()
    rng = np.random.default_rng(5)
    found = old
    for size in (0.5, 1e-4, 1e-4):
        change = low_rank_change(A, rng, size=size)
        found = refine(A, found, change, reduction=1e-2)
        A, V = A + change, found.basis[:, :K]
        true = np.linalg.norm(A @ V - V @ (V.T @ A @ V))
        assert found.converged and true <= 3 * found.residual
        assert found.unknown <= found.residual
        assert found.unknown >= 0.03 * max(1e-2 * found.before, 1e-10)


def test_scouts_are_followed_for_two_steps_and_no_longer():
    A, old = start()
    change = low_rank_change(A, np.random.default_rng(6), rank=1)
    widths = []

    def product(block):
        widths.append(block.shape[1])
        return (A + change).astype(block.dtype) @ block

    F = np.linalg.eigh(change)[1][:, -1:]
    Y = F.T @ change @ old.basis
    settings = {**SETTINGS, "tol": 1e-10, "reduction": 1e-3}
    assert refined_subspace(product, old, F, Y, np.zeros(1), **settings).converged
    # What was left of the fit is far below the goal: one direction, and two random ones.
    assert widths[:6] == [3, 3, 1, 1, 1, 1]


def test_nothing_to_do():
    A, old = start()
    found = refine(A, old, np.zeros_like(A))
    assert found.converged
    np.testing.assert_allclose(of_subspace(found), of_subspace(old), atol=1e-8)


def test_a_refinement_writes_to_nothing_that_it_reads():
    A, old = start()
    arrays = [old.basis, old.values, old.projected, old.remainder, old.coupling]
    before = [array.copy() for array in arrays]
    found = refine(A, old, low_rank_change(A, np.random.default_rng(1)), reduction=1e-3)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
    assert not any(np.shares_memory(a, found.basis) for a in arrays)


# -- blocks ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("ratio", [1.0, 1e-3, 1e-9])
def test_orthonormal_factors(dtype, ratio):
    rng = np.random.default_rng(0)
    Y = (rng.standard_normal((70, 5)) * np.geomspace(1, ratio, 5)).astype(dtype)
    eps = float(np.finfo(dtype).eps)
    Q, C, smallest = orthonormal(Y, 0.0)
    np.testing.assert_allclose(Q.T @ Q, np.eye(5), atol=100 * eps)
    np.testing.assert_allclose(Q @ C, Y, atol=100 * eps)
    sizes = np.linalg.svd(Y, compute_uv=False).astype(float)
    assert smallest == pytest.approx(sizes[-1], rel=0.01, abs=100 * eps)
    assert orthonormal(Y, 1.01 * sizes[2])[0].shape[1] == np.count_nonzero(sizes > 1.01 * sizes[2])


def test_spanned_and_low_rank_keep_what_they_say():
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.standard_normal((n, 4)))[0] for n in (50, 9))
    Y = left * [1.0, 1e-2, 1e-5, 1e-6] @ right.T
    for tol, rank in ((1e-3, 2), (5e-6, 3), (1e-7, 4)):
        Q, R = spanned(Y, tol)
        assert Q.shape == (50, rank)
        np.testing.assert_allclose(Q @ R, Y, atol=2 * tol)
    # The two smallest are larger together than either.
    Y = left * [1.0, 0.5, 0.3, 0.3] @ right.T
    for slack, rank in ((0.29, 4), (0.31, 3), (0.41, 3), (0.43, 2)):
        L, R = low_rank(Y, slack)
        assert L.shape == (50, rank)
        assert np.linalg.norm(L @ R - Y) <= slack
