import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from sklearn_unlearn.solvers._linear import SOLVERS, Status, trust_region_cg
from tests.oracles import trust_region_minimum

N = 8
seeds = st.integers(0, 2**32 - 1)
radii = st.floats(1e-3, 10)


def system(seed, values=None):
    """Symmetric matrix, right-hand side, and a positive definite preconditioner's inverse."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((N, N)))[0]
    values = np.geomspace(0.1, 10, N) if values is None else np.asarray(values)
    H = basis @ (values[:, None] * basis.T)
    A = rng.standard_normal((N, N))
    return (H + H.T) / 2, rng.standard_normal(N), A @ A.T / N + np.eye(N)


def solve(name, H, g, M=None, *, radius=1e6, rtol=1e-12, max_iter=200):
    M = np.eye(len(g)) if M is None else M
    inverse = np.linalg.inv(M)
    inverse = (inverse + inverse.T) / 2
    return SOLVERS[name](
        aslinearoperator(H), g, lambda r: inverse @ r, radius=radius, rtol=rtol, max_iter=max_iter
    )


def check_bookkeeping(solution, H, g):
    """What a solution says of itself must be so."""
    x = solution.value
    assert_allclose(solution.decrease, -(g @ x + 0.5 * x @ H @ x), rtol=1e-7, atol=1e-9)
    residual = np.linalg.norm(H @ x + g) / np.linalg.norm(g)
    assert_allclose(solution.residual_norm, residual, rtol=1e-6, atol=1e-9)


@pytest.fixture(params=SOLVERS, ids=list(SOLVERS))
def name(request):
    return request.param


INDEFINITE = [-1.0, 0.5, 1, 2, 3, 4, 5, 6]


# -- all solvers ---------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(5))
def test_solution_is_that_of_the_dense_solve(name, seed):
    H, g, M = system(seed)
    for preconditioner in (None, M, np.diag(np.diag(H)), H):
        solution = solve(name, H, g, preconditioner)
        assert solution.status is Status.CONVERGED
        assert_allclose(solution.value, np.linalg.solve(H, -g), rtol=1e-6, atol=1e-8)
        check_bookkeeping(solution, H, g)


def test_the_right_preconditioner_saves_iterations(name):
    H, g, _ = system(0)
    assert solve(name, H, g, H).n_iter <= 2 < solve(name, H, g).n_iter


@pytest.mark.parametrize("rtol", [0.5, 1e-2, 1e-5])
def test_residual_meets_its_tolerance(name, rtol):
    H, g, _ = system(1)
    solution = solve(name, H, g, rtol=rtol)
    assert solution.status is Status.CONVERGED
    # MINRES measures with the norm of the matrix too.
    assert solution.residual_norm <= rtol * (1 if name != "minres" else 10 * np.linalg.norm(H))
    assert solution.n_iter <= solve(name, H, g, rtol=1e-12).n_iter


def test_iterations_that_run_out_are_reported(name):
    H, g, M = system(2)
    solution = solve(name, H, g, M, max_iter=2)
    assert solution.status is Status.MAX_ITER
    assert solution.n_iter == 2
    assert solution.decrease > 0
    check_bookkeeping(solution, H, g)


@pytest.mark.parametrize("radius", [1e-3, 0.3])
def test_long_step_ends_on_the_boundary(name, radius):
    H, g, _ = system(3)
    solution = solve(name, H, g, radius=radius)
    assert solution.status is Status.BOUNDARY
    assert_allclose(np.linalg.norm(solution.value), radius, rtol=1e-9)
    assert_allclose(solution.length, radius, rtol=1e-9)
    assert solution.decrease > 0
    check_bookkeeping(solution, H, g)


def test_radius_is_measured_by_a_diagonal_preconditioner(name):
    H, g, _ = system(4)
    M = np.diag(np.geomspace(0.1, 10, N))
    solution = solve(name, H, g, M, radius=0.2)
    x = solution.value
    assert_allclose(np.sqrt(x @ M @ x), 0.2, rtol=1e-9)
    inside = solve(name, H, g, M)
    assert_allclose(inside.length, np.sqrt(inside.value @ M @ inside.value), rtol=1e-6)


def test_negative_curvature_is_reported(name):
    # The right-hand side is along the one direction of negative curvature.
    H = np.diag(INDEFINITE)
    g = np.eye(N)[0]
    solution = solve(name, H, g, radius=7.0)
    assert solution.status is Status.NEGATIVE_CURVATURE
    check_bookkeeping(solution, H, g)


@pytest.mark.parametrize("where", ["matrix", "gradient", "preconditioner"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_reported(name, where, bad):
    H, g, _ = system(5)
    inverse = np.eye(N)
    {"matrix": H, "gradient": g[None], "preconditioner": inverse}[where][0, 0] = bad
    with np.errstate(invalid="ignore", over="ignore"):
        solution = SOLVERS[name](
            aslinearoperator(H), g, lambda r: inverse @ r, radius=1e6, rtol=1e-8, max_iter=20
        )
    assert solution.status is Status.NON_FINITE
    assert np.isfinite(solution.value).all()


def test_every_status_has_its_advice():
    assert len({status.value for status in Status}) == len(Status) == 6
    assert "raise regularization" in Status.NEGATIVE_CURVATURE.value
    assert "raise max_iter" in Status.MAX_ITER.value
    assert "raise max_cost" in Status.BUDGET.value


def test_inputs_are_left_alone(name):
    H, g, M = system(6)
    kept = g.copy()
    g.setflags(write=False)
    solve(name, H, g, M)
    assert_array_equal(g, kept)


# -- trust region --------------------------------------------------------------------------------
@given(seeds, radii)
def test_step_reaches_at_least_half_of_the_best_decrease(seed, radius):
    # Yuan, "On the truncated conjugate gradient method", Mathematical Programming 87, 2000.
    H, g, M = system(seed)
    solution = solve("trust-ncg", H, g, M, radius=radius)
    best = -trust_region_minimum(H, g, M, radius)
    assert 0.5 * best * (1 - 1e-9) <= solution.decrease <= best * (1 + 1e-9)
    x = solution.value
    length = np.sqrt(x @ M @ x)
    assert_allclose(solution.length, length, rtol=1e-8)
    assert length <= radius * (1 + 1e-9)
    assert solution.status in (Status.CONVERGED, Status.BOUNDARY)
    if solution.status is Status.CONVERGED:
        assert_allclose(solution.decrease, best, rtol=1e-9)
    else:
        assert_allclose(length, radius, rtol=1e-9)


@given(seeds, radii, radii)
def test_larger_region_never_gives_a_smaller_decrease(seed, one, other):
    H, g, M = system(seed)
    small, large = (
        solve("trust-ncg", H, g, M, radius=radius).decrease for radius in sorted([one, other])
    )
    assert small <= large * (1 + 1e-9)


@given(seeds, radii, st.booleans())
def test_what_a_solve_passes_is_what_smaller_regions_end_in(seed, radius, indefinite):
    H, g, M = system(seed, INDEFINITE if indefinite else None)
    solution = solve("trust-ncg", H, g, M, radius=radius)
    regions = [share * radius for share in (0.25, 0.0625) if share * radius <= solution.length]
    assert [one.length for one in solution.shorter] == regions
    for one in solution.shorter:
        alone = solve("trust-ncg", H, g, M, radius=one.length)
        assert_array_equal(one.value, alone.value)
        assert (one.status, one.n_iter) == (alone.status, alone.n_iter)
        check_bookkeeping(one, H, g)
    assert [len(one.shorter) for one in solution.shorter] == [1, 0][2 - len(regions) :]


@given(seeds, radii)
def test_indefinite_matrix_ends_on_the_boundary_below_the_steepest_descent(seed, radius):
    H, g, M = system(seed, INDEFINITE)
    solution = solve("trust-ncg", H, g, M, radius=radius)
    assert solution.status in (Status.BOUNDARY, Status.NEGATIVE_CURVATURE)
    x = solution.value
    assert_allclose(np.sqrt(x @ M @ x), radius, rtol=1e-8)
    check_bookkeeping(solution, H, g)
    # Cauchy point: the best along the preconditioned gradient.
    d = -np.linalg.solve(M, g)
    longest = radius / np.sqrt(d @ M @ d)
    curvature = d @ H @ d
    t = min(longest, -(g @ d) / curvature) if curvature > 0 else longest
    assert solution.decrease >= -(t * (g @ d) + 0.5 * t * t * curvature) * (1 - 1e-9)


def test_zero_curvature_is_not_positive():
    solution = solve("trust-ncg", np.zeros((2, 2)), np.array([3.0, 4.0]), radius=2.0)
    assert solution.status is Status.NEGATIVE_CURVATURE
    assert_allclose(solution.value, [-1.2, -1.6])
    assert_allclose(solution.decrease, 10.0)


def test_each_iteration_costs_one_product():
    H, g, _ = system(7)
    calls = []

    def product(x):
        calls.append(1)
        return H @ x

    operator = LinearOperator(H.shape, matvec=product, dtype=float)
    solution = trust_region_cg(operator, g, lambda r: r, radius=1e6, rtol=1e-10, max_iter=50)
    assert solution.n_iter == len(calls)


def test_a_gradient_whose_square_underflows_is_no_error():
    """Tolerances of zero are met by nothing else; the products of such numbers are zero."""
    for size in (1e-170, 1e-200):
        solution = solve("trust-ncg", np.eye(2), np.full(2, size))
        assert solution.status is Status.CONVERGED
        assert np.isfinite(solution.value).all()
        assert solution.n_iter <= 1
