"""Newton where the objective has a gauge, a tilt, or rows that may not move."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse.linalg import aslinearoperator

from sklearn_unlearn.objectives import TiltedObjective
from sklearn_unlearn.solvers._gauge import GaugeFixedHessian, HorizontalProjector
from sklearn_unlearn.solvers._linear import Status, trust_region_cg
from sklearn_unlearn.solvers._newton import NewtonSettings, newton
from tests.problems import SOLVED, Problem, forget_some, gap, low_rank_labels, optimum


@pytest.fixture(params=SOLVED, ids=lambda problem: problem.name)
def solved(request):
    return request.param


def turned(theta, k, seed=0):
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((k, k)))[0]
    out = theta.copy()
    out[:, :k] = theta[:, :k] @ rotation
    return out


# -- the gauge -----------------------------------------------------------------------------------
def flipped_labels(seed):
    """A problem with six wrong labels, and the same without those cells."""
    matrix = low_rank_labels(seed, 12, 9)
    cells = np.argwhere(matrix)
    wrong = tuple(cells[np.random.default_rng(seed).permutation(len(cells))[:6]].T)
    matrix[wrong] *= -1
    problem = Problem("flipped", matrix, n_factors=3, regularization=0.6, global_mean=False)
    retained = matrix.copy()
    retained[wrong] = 0
    return problem, replace(problem, matrix=retained)


@pytest.mark.parametrize("seed", range(4))
def test_plain_conjugate_gradients_fail_where_newton_does_not(seed):
    problem, changed = flipped_labels(seed)
    old, objective, k = optimum(problem), changed.objective(), problem.n_factors
    free = np.flatnonzero(changed.twin().free)
    H, g = changed.twin().hessian(old), objective.gradient(old).ravel()
    plain = H[np.ix_(free, free)]
    # What remains has its Hessian indefinite at the old optimum, and along a rotation.
    values, vectors = np.linalg.eigh(plain)
    assert values[0] < -0.01
    falling = np.zeros(old.shape)
    falling.flat[free] = vectors[:, 0]
    projector = HorizontalProjector(old, k)
    assert np.linalg.norm(projector.vertical(falling)) > 0.9
    # Without the gauge, the solver leaves along it for as far as it may...
    options = {"rtol": 1e-10, "max_iter": 2000, "radius": 1e6}
    lost = trust_region_cg(aslinearoperator(plain), g[free], lambda r: r, **options)
    assert lost.status is Status.NEGATIVE_CURVATURE
    assert np.linalg.norm(lost.value) > 1e5 * np.linalg.norm(old)
    # ... with the gauge, the same matrix is positive definite.
    point = objective.at(old)
    fixed = GaugeFixedHessian(point, projector, np.abs(point.hessian_diagonal()))
    columns = fixed @ np.eye(old.size)[:, free]
    assert np.linalg.eigvalsh(columns[free]).min() > 0.05
    kept = trust_region_cg(fixed, g, lambda r: r, **options)
    assert kept.status is Status.CONVERGED
    assert np.linalg.norm(kept.value) < np.linalg.norm(old)
    result = newton(objective, old, 1e-9)
    assert result.converged
    assert result.status is Status.CONVERGED
    assert result.n_steps <= 8
    assert np.linalg.norm(result.theta - old) < np.linalg.norm(old)
    assert gap(problem, result.theta, optimum(changed)) < 1e-7


def test_result_does_not_depend_on_the_basis_of_the_start(solved):
    changed = forget_some(solved).objective()
    old = optimum(solved)
    for gtol, settings in ((1e-9, NewtonSettings()), (0.0, NewtonSettings(max_steps=1))):
        settings = replace(settings, preconditioner="block-jacobi", forcing=1e-6)
        one = newton(changed, old, gtol, settings)
        other = newton(changed, turned(old, solved.n_factors), gtol, settings)
        assert gap(solved, one.theta, other.theta) < 1e-6
        # The result stays in the basis of its start.
        back = turned(one.theta, solved.n_factors)
        assert_allclose(back, other.theta, atol=1e-5)


# -- tilt and restriction ------------------------------------------------------------------------
def test_tilt_is_the_gradient_where_it_ends(solved):
    # An early-stopped model: its own gradient is to stay, only what the data changed is to go.
    early = newton(solved.objective(), solved.theta(scale=0.5), 1e-2).theta
    tilt = solved.objective().gradient(early)
    assert 1e-5 < np.linalg.norm(tilt) <= 1e-2
    objective = forget_some(solved).objective()
    values = []
    result = newton(
        TiltedObjective(objective, tilt),
        early,
        lambda norm: 1e-3 * norm,
        on_step=lambda _, value, *__: values.append(value),
    )
    first, last = (
        np.linalg.norm(
            HorizontalProjector(theta, solved.n_factors)(objective.gradient(theta) - tilt)
        )
        for theta in (early, result.theta)
    )
    assert result.converged
    assert result.n_steps <= 8
    assert last <= 1.01e-3 * first
    assert_allclose(result.gradient_norm, (first, last), rtol=1e-4)
    expected = objective.value(result.theta) - np.vdot(tilt, result.theta)
    assert result.value == pytest.approx(expected, rel=1e-12)
    assert values == sorted(values, reverse=True)


def test_tilted_problem_is_solved_in_all_directions_but_the_gauge():
    problem = SOLVED[0]
    early = newton(problem.objective(), problem.theta(scale=0.5), 1e-2).theta
    tilt = problem.objective().gradient(early)
    objective = forget_some(problem).objective()
    tilted = TiltedObjective(objective, tilt)
    result = newton(tilted, early, 0.0, NewtonSettings(max_steps=8))
    left = objective.gradient(result.theta) - tilt
    horizontal = HorizontalProjector(result.theta, problem.n_factors)(left)
    assert np.linalg.norm(horizontal) < 1e-5 * result.gradient_norm[0]


def test_tilt_by_its_own_gradient_is_at_rest():
    problem = SOLVED[0]
    theta = problem.theta()
    tilt = problem.objective().gradient(theta)
    result = newton(TiltedObjective(problem.objective(), tilt), theta, 1e-10)
    assert result.converged
    assert result.n_steps == 0
    assert_array_equal(result.theta, theta)


@pytest.mark.parametrize("rows", [[0, 1], [12, 15], [0, 3, 13, 20], list(range(12))])
def test_frozen_rows_do_not_move_and_free_rows_reach_their_optimum(rows):
    problem = SOLVED[0]
    objective, theta, rows = problem.objective(), problem.theta(scale=0.5), np.array(rows)
    restricted, table_rows = objective.restrict(rows)
    result = newton(restricted, theta[table_rows], 1e-10)
    assert result.converged
    frozen = restricted.frozen_rows
    assert_allclose(result.theta[frozen], theta[table_rows][frozen], rtol=0, atol=1e-13)
    moved = theta.copy()
    moved[rows] = result.theta[np.searchsorted(table_rows, rows)]
    assert np.linalg.norm(objective.gradient(moved)[rows]) < 1e-9
    assert objective.value(moved) < objective.value(theta)


def test_tilt_of_a_restriction():
    problem = SOLVED[0]
    theta = problem.theta(scale=0.5)
    restricted, table_rows = problem.objective().restrict(np.array([0, 13]))
    tilt = 0.1 * restricted.gradient(theta[table_rows])
    result = newton(TiltedObjective(restricted, tilt), theta[table_rows], 1e-9)
    assert result.converged
    assert_allclose(restricted.gradient(result.theta), tilt, atol=1e-8)
