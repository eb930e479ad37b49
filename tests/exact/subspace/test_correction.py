"""The relation that a correction keeps, and what its residual is made of."""

import numpy as np
import pytest

from sklearn_unlearn.exact.subspace._correction import Correction
from sklearn_unlearn.exact.subspace._expansion import Start

N, WIDTH, K = 60, 12, 5
SPECTRUM = np.r_[np.linspace(1.0, 0.5, WIDTH), np.linspace(0.4, 0.0, N - WIDTH)]


def make_operator(size=0.02):
    """An operator, and its relation to the leading eigenvectors of one close to it."""
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.standard_normal((N, N)))[0]
    F = rng.standard_normal((N, 3))
    A = (vectors * SPECTRUM) @ vectors.T + size * F @ F.T / N
    W = vectors[:, :WIDTH]
    H = W.T @ A @ W
    H = (H + H.T) / 2
    F = F - W @ (W.T @ F)
    Z = np.linalg.qr(F - W @ (W.T @ F))[0]
    Z, S, B = np.linalg.svd(Z @ (Z.T @ A @ W), full_matrices=False)
    return A, Start(W, H, Z[:, :3], S[:3, None] * B[:3])


def make_correction(start, scouts=None, dtype=np.float64):
    scouts = np.zeros((start.block.shape[1], 0)) if scouts is None else scouts
    return Correction(start, start.basis.astype(dtype), K, scouts)


def basis_of(work):
    return np.concatenate((work.thick, work.known @ work.added), axis=1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("slack", [0.0, 1e-3])
def test_relation_holds_after_every_step(dtype, slack):
    A, start = make_operator()
    work = make_correction(start, dtype=dtype)
    atol = 100 * np.finfo(dtype).eps
    for step in range(6):
        basis, waits = basis_of(work), work.known @ work.waiting
        everything = np.concatenate((basis, waits), axis=1)
        np.testing.assert_allclose(
            everything.T @ everything, np.eye(everything.shape[1]), atol=atol
        )
        relation = basis @ work.projected + waits @ work.coupling
        np.testing.assert_allclose(A @ basis, relation, atol=atol)
        np.testing.assert_array_equal(work.projected, work.projected.T)
        assert (work.size, work.n_steps) == (basis.shape[1], step)
        assert work.n_products == work.size - WIDTH
        work.step(lambda block: A.astype(block.dtype) @ block, work.residual(), slack)


def test_first_order_is_the_residual_of_small_changes():
    errors = []
    for size in (0.02, 0.002):
        A, start = make_operator(size)
        work = make_correction(start)
        for _ in range(2):
            work.step(lambda block: A @ block, work.residual(), 0.0)  # noqa: B023 - called here
        first = np.linalg.norm(work.residual())
        work.ritz()
        exact = np.linalg.norm(work.residual())
        V = basis_of(work) @ work.vectors[:, :K]
        assert exact == pytest.approx(np.linalg.norm(A @ V - V @ (V.T @ A @ V)), rel=1e-8)
        errors.append(abs(first / exact - 1))
    assert errors[0] < 0.2 and errors[1] < 0.2 * errors[0]


def test_a_step_takes_the_directions_that_the_residual_is_made_of():
    A, start = make_operator()
    work = make_correction(start)
    left, sizes, _ = np.linalg.svd(work.residual(), full_matrices=False)
    directions = start.block @ left
    # Either of the two smaller ones might wait, but not both.
    slack = (sizes[1] + np.hypot(sizes[1], sizes[2])) / 2
    work.step(lambda block: A @ block, work.residual(), slack)
    # Of three directions the smallest waits.
    added, waits = work.known @ work.added, work.known @ work.waiting
    assert added.shape[1] == work.n_products == 2
    np.testing.assert_allclose(added @ (added.T @ directions[:, :2]), directions[:, :2], atol=1e-12)
    np.testing.assert_allclose(waits @ (waits.T @ directions[:, 2]), directions[:, 2], atol=1e-12)


def test_what_waits_is_taken_later():
    A, start = make_operator()
    work = make_correction(start)
    while not work.is_complete:
        work.step(lambda block: A @ block, work.residual(), 0.3 * np.linalg.norm(work.residual()))
        assert work.n_steps < 2 * N
    assert work.size == N
    work.ritz()
    np.testing.assert_allclose(work.values, np.linalg.eigvalsh(A)[::-1], atol=1e-13)


def test_scouts_are_followed_whatever_they_add():
    # A vector of value 0.9 that nothing couples to, beside those that the start knows.
    vectors = np.linalg.qr(np.random.default_rng(0).standard_normal((N, N)))[0]
    values = SPECTRUM.copy()
    values[-1] = 0.9
    A = (vectors * values) @ vectors.T
    W, hidden = vectors[:, :WIDTH], vectors[:, -1:]
    start = Start(W, np.diag(values[:WIDTH]), hidden, np.zeros((1, WIDTH)))
    work = make_correction(start, np.ones((1, 1)))
    assert np.linalg.norm(work.residual()) == 0
    work.step(lambda block: A @ block, work.residual(), 1.0)
    work.residual()
    assert work.n_seen == work.size  # first order does not hold: it looked
    assert abs(hidden.T @ basis_of(work) @ work.vectors[:, :K]).max() == pytest.approx(1, abs=1e-12)


def test_a_scout_that_the_residual_holds_is_taken_once():
    A, start = make_operator()
    left, sizes, _ = np.linalg.svd(make_correction(start).residual(), full_matrices=False)
    work = make_correction(start, left[:, :1])
    work.step(lambda block: A @ block, work.residual(), 1.01 * sizes[2])
    added, expected = work.known @ work.added, start.block @ left[:, :2]
    assert added.shape[1] == 2
    np.testing.assert_allclose(added @ (added.T @ expected), expected, atol=1e-12)


def test_scouts_lead_on_for_as_long_as_there_are_any():
    A, start = make_operator()
    work = make_correction(start, np.eye(3)[:, :1])
    z = start.block[:, 0]
    for _ in range(2):
        work.step(lambda block: A @ block, np.zeros((work.waiting.shape[1], K)), 1.0)
    # Two steps of Krylov's, outside of W.
    outside = np.eye(N) - start.basis @ start.basis.T
    expected = np.linalg.qr(np.column_stack((z, outside @ (A @ z))))[0]
    added = work.known @ work.added
    assert added.shape[1] == 2
    np.testing.assert_allclose(added @ (added.T @ expected), expected, atol=1e-12)


@pytest.mark.parametrize("slack", [0.0, 1e-4])
def test_aligned_vectors_are_those_closest_to_the_old_ones(slack):
    A, start = make_operator()
    work = make_correction(start)
    for _ in range(4):
        work.step(lambda block: A @ block, work.residual(), 0.0)
    work.ritz()
    basis, projected, remainder, coupling = work.aligned(WIDTH, slack, 10 * slack)
    V = basis_of(work) @ work.vectors[:, :WIDTH]
    for own, allowed in ((slice(0, K), slack), (slice(K, WIDTH), 10 * slack)):
        left, _, right = np.linalg.svd(V[:, own].T @ start.basis[:, own])
        closest = V[:, own] @ (left @ right)
        assert np.linalg.norm(basis[:, own] - closest) <= allowed + 1e-12
        values = np.linalg.eigvalsh(projected[own, own])[::-1]
        np.testing.assert_allclose(values, work.values[own], atol=1e-13)
    error = A @ basis - basis @ projected - remainder @ coupling
    assert np.linalg.norm(error[:, :K]) <= 4 * slack + 1e-12
    assert np.linalg.norm(error) <= 40 * slack + 1e-12
    assert np.all(projected[:K, K:] == 0)
    q = remainder.shape[1]
    assert q == len(coupling) and (slack == 0 or q < work.waiting.shape[1])
    np.testing.assert_allclose(remainder.T @ remainder, np.eye(q), atol=1e-12)


def test_a_correction_writes_to_nothing_that_it_reads():
    A, start = make_operator()
    arrays = [start.basis, start.projected, start.block, start.coupling]
    before = [array.copy() for array in arrays]
    work = make_correction(start)
    for _ in range(3):
        work.step(lambda block: A @ block, work.residual(), 0.0)
    work.ritz()
    found = work.aligned(WIDTH, 1e-8, 1e-7)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
    assert not any(np.shares_memory(a, b) for a in arrays for b in found)
