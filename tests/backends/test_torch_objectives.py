"""Every objective, and the Newton stack on it, on tensors and on NumPy arrays: one answer."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.backends._torch import TorchBackend
from sklearn_unlearn.objectives import TiltedObjective
from sklearn_unlearn.objectives.weighted._rows import gradient_of, neighbour_change, sweep
from sklearn_unlearn.optimizers import solve_rows
from sklearn_unlearn.solvers._gauge import HorizontalProjector, canonical_rotation
from sklearn_unlearn.solvers._linear import PRECONDITIONERS, SOLVERS
from sklearn_unlearn.solvers._newton import NewtonSettings, newton
from tests.problems import PROBLEMS, SOLVED, WEIGHTED, WEIGHTED_SOLVED, gap

CLOSE = {"rtol": 1e-10, "atol": 1e-10}
EVERY = PROBLEMS + WEIGHTED


def name_of(problem):
    return f"{type(problem).__name__}-{problem.name}"


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def backend(request):
    return TorchBackend(request.param)


@pytest.fixture(params=EVERY, ids=name_of)
def problem(request):
    return request.param


@pytest.fixture(params=SOLVED + WEIGHTED_SOLVED, ids=name_of)
def solved(request):
    return request.param


@pytest.fixture(params=WEIGHTED, ids=name_of)
def weighted(request):
    return request.param


def both(problem, backend):
    objective = problem.objective()
    return objective, replace(objective, backend=backend)


def restricted(objective, theta):
    """The objective of every other row, with what lies beside them frozen."""
    part, rows = objective.restrict(np.arange(0, len(theta), 2), theta)
    return part, theta[rows]


def check_point(one, other, theta, direction, backend):
    """Value and all derivatives at a point, of the same objective on NumPy and on tensors."""
    assert other.value(theta) == pytest.approx(one.value(theta), rel=1e-10, abs=1e-10)
    gradient = other.gradient(theta)
    assert isinstance(gradient, np.ndarray)
    assert_allclose(gradient, one.gradient(theta), **CLOSE)
    a, b = one.at(theta), other.at(theta)
    product = b.hessian_product(backend.asarray(direction))
    assert product.device.type == backend.device.type
    assert_allclose(backend.to_numpy(product), a.hessian_product(direction), **CLOSE)
    assert_allclose(backend.to_numpy(b.hessian_diagonal()), a.hessian_diagonal(), **CLOSE)
    for options in ({}, {"users_only": True}):
        assert_allclose(backend.to_numpy(b.blocks(**options)), a.blocks(**options), **CLOSE)


# -- objectives ----------------------------------------------------------------------------------
def test_value_and_derivatives(problem, backend):
    one, other = both(problem, backend)
    check_point(one, other, problem.theta(), problem.direction(), backend)


def test_value_and_derivatives_of_some_rows_and_of_all_again(problem, backend):
    one, other = both(problem, backend)
    (a, theta), (b, _) = (restricted(objective, problem.theta()) for objective in (one, other))
    V = a.mask(np.random.default_rng(0).standard_normal(theta.shape))
    check_point(a, b, theta, V, backend)
    check_point(a.thaw(), b.thaw(), theta, V, backend)
    shift = theta + 0.1 * V
    assert b.drift(theta, shift) == pytest.approx(a.drift(theta, shift), rel=1e-10)


def test_what_a_certificate_asks_speaks_numpy(problem, backend):
    one, other = both(problem, backend)
    theta = problem.theta()
    rows = np.arange(0, len(theta), 3)
    after = theta + 0.1 * problem.direction()
    user = np.full((one.layout.n_users, theta.shape[1]), 0.1)
    eye = np.eye(one.layout.n_items)
    for ask in (
        lambda o: o.scores(theta),
        lambda o: o.certificate().residual_operator(theta) @ eye,
        lambda o: o.certificate().convex_value(theta, 1.5),
        lambda o: o.certificate().dual_value(theta, 0.5),
        lambda o: o.certificate().prediction_bound(theta, 0.5, 1e-3),
        lambda o: o.certificate().score_spectrum(theta),
        lambda o: o.certificate().residual_change(theta, after, rows),
        lambda o: o.damping_of(theta, user),
        lambda o: o.mean_loss(theta),
        lambda o: o.gradient_scale,
    ):
        expected, got = ask(one), ask(other)
        assert type(got) is type(expected)
        assert_allclose(got, expected, **CLOSE)


def test_theta_is_not_written_to(problem, backend):
    _, objective = both(problem, backend)
    theta, kept = problem.theta(), problem.theta()
    there = backend.asarray(theta)
    point = objective.at(there)
    point.gradient, point.hessian_diagonal(), point.blocks()
    assert_array_equal(backend.to_numpy(there), kept)
    newton(objective, theta, 1e-3)
    assert_array_equal(theta, kept)


def tilted(objective, c):
    return objective if c is None else TiltedObjective(objective, c)


@pytest.mark.parametrize("weighted", WEIGHTED, ids=name_of)
def test_single_precision(weighted, backend):
    one, other = both(weighted, backend)
    theta, V = (array.astype(np.float32) for array in (weighted.theta(), weighted.direction()))
    close = {"rtol": 2e-4, "atol": 2e-4}
    a, b = one.at(theta), other.at(theta)
    assert b.value == pytest.approx(a.value, rel=1e-5)
    for ask in (
        lambda point, V: point.gradient,
        lambda point, V: point.hessian_product(V),
        lambda point, V: point.hessian_diagonal(),
        lambda point, V: point.blocks(),
    ):
        got, expected = backend.to_numpy(ask(b, backend.asarray(V))), ask(a, V)
        assert got.dtype == expected.dtype == np.float32
        assert_allclose(got, expected, **close)
    settings = NewtonSettings(max_steps=1, max_iter=3)
    for tilt in (None, 0.1 * weighted.direction()):
        ends = (
            newton(tilted(objective, tilt), theta, 0.0, settings).theta
            for objective in (one, other)
        )
        expected, got = ends
        assert got.dtype == expected.dtype
        assert_allclose(got, expected, rtol=1e-3, atol=1e-3)


# -- Newton's method -----------------------------------------------------------------------------
@pytest.mark.parametrize("preconditioner", PRECONDITIONERS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_newton_takes_the_same_steps(solved, solver, preconditioner, backend):
    one, other = both(solved, backend)
    settings = NewtonSettings(max_steps=3, solver=solver, preconditioner=preconditioner)
    start = solved.theta(scale=0.5)
    if solver != "trust-ncg":  # elsewhere the Hessian is indefinite, which cg makes noise of
        start = newton(one, start, 1e-2).theta
    a, b = (newton(objective, start, 0.0, settings) for objective in (one, other))
    assert isinstance(b.theta, np.ndarray)
    assert (b.n_steps, b.n_products, b.status) == (a.n_steps, a.n_products, a.status)
    assert b.gradient_norm == pytest.approx(a.gradient_norm, rel=1e-7, abs=1e-10)
    assert_allclose(b.theta, a.theta, **CLOSE)


def test_newton_ends_in_the_same_scores(solved, backend):
    one, other = both(solved, backend)
    start = solved.theta(scale=0.5)
    a, b = (newton(objective, start, 1e-11) for objective in (one, other))
    assert a.converged and b.converged
    assert b.value == pytest.approx(a.value, rel=1e-12)
    assert gap(solved, b.theta, a.theta) < 1e-10


def test_newton_with_a_tilt_ends_at_that_gradient(solved, backend):
    _, objective = both(solved, backend)
    optimum = newton(objective, solved.theta(scale=0.5), 1e-9).theta
    theta = optimum + 1e-3 * solved.direction()
    tilt = objective.gradient(theta)
    result = newton(TiltedObjective(objective, tilt), theta, 1e-9)
    assert result.gradient_norm[0] < 1e-9
    assert_allclose(result.theta, theta, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("k", [0, 1, 3])
def test_projector_and_canonical_rotation(k, backend):
    rng = np.random.default_rng(k)
    theta, W = rng.standard_normal((2, 9, k + 2))
    there = backend.asarray(theta)
    got = backend.to_numpy(HorizontalProjector(there, k)(backend.asarray(W)))
    assert_allclose(got, HorizontalProjector(theta, k)(W), **CLOSE)
    got = backend.to_numpy(canonical_rotation(there[:, :k]))
    assert_allclose(got, canonical_rotation(theta[:, :k]), **CLOSE)


# -- row after row -------------------------------------------------------------------------------
@pytest.mark.parametrize("problem", PROBLEMS, ids=name_of)
def test_damped_newton_sweep(problem, backend):
    one, other = both(problem, backend)
    theta, tilt = problem.theta(), 0.1 * problem.direction()
    users, items = np.split(np.arange(len(theta)), [one.layout.n_users])
    for given in (None, tilt):
        got, expected = theta.copy(), theta.copy()
        for objective, table in ((other, got), (one, expected)):
            solver = objective.row_solver()
            solver = solver if given is None else solver.tilted(given.__getitem__)
            solver.sweep(table, (), users, items)
        assert np.abs(expected - theta).max() > 1e-3
        assert isinstance(got, np.ndarray)
        assert_allclose(got, expected, **CLOSE)


def test_fold_in(problem, backend):
    one, other = both(problem, backend)
    theta = problem.theta(scale=0.3)
    got, expected = (solve_rows(o.freeze_items(), theta) for o in (other, one))
    assert isinstance(got, np.ndarray)
    assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_steps", [None, 3])
@pytest.mark.parametrize("part", [False, True], ids=["all rows", "some rows"])
def test_least_squares_sweep(weighted, backend, n_steps, part):
    one, other = both(weighted, backend)
    m, n = one.layout.n_users, one.layout.shape[0]
    sides = np.arange(0, m, 1 + part), np.arange(m, n, 1 + part)
    tilt = 0.1 * weighted.direction()
    for given in (None, tilt.__getitem__):
        ends = []
        for objective in (one, other):
            theta = weighted.theta()
            sums = objective.sums(theta)
            sums = sweep(objective, theta, sums, *sides, tilt=given, n_steps=n_steps)
            ends.append((theta, *sums))
        for got, expected in zip(ends[1], ends[0], strict=True):
            assert isinstance(got, np.ndarray)
            assert_allclose(got, expected, **CLOSE)


def test_least_squares_gradient_and_change_of_neighbours(weighted, backend):
    one, other = both(weighted, backend)
    theta, m = weighted.theta(), one.layout.n_users
    users, items = np.arange(0, m, 2), np.arange(m, len(theta))
    after = theta + weighted.direction()
    got, expected = (gradient_of(o, theta, o.sums(theta), users, items) for o in (other, one))
    assert_allclose(got, expected, **CLOSE)
    place = np.arange(len(items)) - 1
    got, expected = (
        neighbour_change(o, theta, after, users, place, len(items) - 1) for o in (other, one)
    )
    assert_allclose(got, expected, **CLOSE)
