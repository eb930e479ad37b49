from itertools import pairwise, product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

from sklearn_unlearn.objectives import TiltedObjective
from sklearn_unlearn.solvers import _newton
from sklearn_unlearn.solvers._linear import PRECONDITIONERS, SOLVERS, Status
from sklearn_unlearn.solvers._newton import NewtonSettings, newton
from tests.problems import PROBLEMS, SOLVED, Problem, forget_some, gap, low_rank_labels, optimum


@pytest.fixture(params=SOLVED, ids=lambda problem: problem.name)
def solved(request):
    return request.param


# -- the optimum ---------------------------------------------------------------------------------
def test_optimum_is_that_of_a_general_minimizer(solved):
    twin, start = solved.twin(), solved.theta(1, 0.5)
    free = np.flatnonzero(twin.free)

    def table(x):
        theta = start.copy()
        theta.flat[free] = x
        return theta

    reference = minimize(
        lambda x: twin.value(table(x)),
        start.flat[free],
        jac=lambda x: twin.gradient(table(x)).flat[free],
        method="L-BFGS-B",
        options={"maxiter": 5000, "maxfun": 5000, "ftol": 0, "gtol": 1e-9},
    )
    result = newton(solved.objective(), solved.theta(2, 0.5), 1e-9)
    assert result.converged
    assert result.value == pytest.approx(reference.fun, rel=1e-10)
    assert gap(solved, result.theta, table(reference.x)) < 1e-6
    # Not the trivial optimum: there is something to fit.
    assert np.linalg.norm(result.theta[:, : solved.n_factors]) > 0.5


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_every_problem_ends_in_a_local_minimum(problem):
    result = newton(problem.objective(), problem.theta(scale=0.5), 1e-8)
    twin = problem.twin()
    assert result.converged
    assert np.linalg.norm(twin.gradient(result.theta)) <= 1.01e-8
    assert result.value == pytest.approx(twin.value(result.theta), rel=1e-10)
    assert np.linalg.eigvalsh(twin.hessian(result.theta)).min() > -1e-6


def test_all_starts_end_in_the_same_scores(solved):
    ends = [optimum(solved, seed) for seed in range(4)]
    assert max(gap(solved, end, ends[0]) for end in ends) < 1e-7


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("preconditioner", PRECONDITIONERS)
def test_every_solver_ends_where_the_data_changed(solved, solver, preconditioner):
    old, changed = optimum(solved), forget_some(solved)
    settings = NewtonSettings(solver=solver, preconditioner=preconditioner)
    result = newton(changed.objective(), old, 1e-9, settings)
    assert result.converged
    assert gap(solved, result.theta, old) > 1e-3
    assert gap(solved, result.theta, optimum(changed)) < 1e-7


@pytest.mark.parametrize("problem", SOLVED[:2], ids=lambda problem: problem.name)
def test_start_beside_a_saddle_falls_off_it(problem):
    # At zero factors the gradient vanishes in them, and the Hessian is indefinite.
    start = problem.theta(scale=1e-6)
    result = newton(problem.objective(), start, 1e-9)
    saddle = newton(problem.objective().with_factors(0), start[:, problem.n_factors :], 1e-9)
    assert result.converged
    # The first region is as small as the gradient, and must grow.
    assert result.n_steps < 40
    assert result.value < saddle.value - 1
    assert gap(problem, result.theta, optimum(problem)) < 1e-7


def test_refused_steps_are_told_but_not_counted():
    problem, seen = SOLVED[0], []
    objective, start = problem.objective(), problem.theta(scale=20.0)
    # Plain conjugate gradients know nothing of negative curvature.
    settings = NewtonSettings(solver="cg", max_steps=20)
    result = newton(objective, start, 1e-9, settings, on_step=lambda *step: seen.append(step))
    values = [objective.value(start), *(value for _, value, *_ in seen)]
    falls = [after < before - 1e-9 * abs(before) for before, after in pairwise(values)]
    assert sum(falls) == result.n_steps < len(seen)


def test_under_regularised_problem_never_ends_above_its_start_nor_lies():
    problem = Problem(
        "loose", low_rank_labels(5, 8, 7, 0.4), n_factors=4, regularization=1e-6, fit_bias=False
    )
    objective, start = problem.objective(), problem.theta()
    values = [objective.value(start)]
    result = newton(
        objective,
        start,
        1e-7,
        NewtonSettings(max_steps=40),
        on_step=lambda _, value, *__: values.append(value),
    )
    assert all(after <= before * (1 + 1e-12) for before, after in pairwise(values))
    norm = np.linalg.norm(objective.gradient(result.theta))
    assert result.converged == (norm <= 1e-7)
    assert_allclose(result.gradient_norm[1], norm, rtol=1e-6)


# -- how it goes there ---------------------------------------------------------------------------
@pytest.mark.parametrize(("solver", "scale"), list(product(SOLVERS, [0.5, 20.0])))
def test_no_step_raises_the_objective(solved, solver, scale):
    objective, start = solved.objective(), solved.theta(scale=scale)
    steps = [(0, objective.value(start), 0.0, 0)]
    settings = NewtonSettings(solver=solver, max_steps=30)
    result = newton(objective, start, 1e-9, settings, on_step=lambda *step: steps.append(step))
    rejected = False
    for before, after in pairwise(steps):
        assert after[1] <= before[1] + 1e-12 * (1 + abs(before[1]))
        assert after[0] in (before[0], before[0] + 1)
        # A solve whose step was rejected has passed a shorter one.
        assert after[3] > before[3] or (rejected and after[3] == before[3])
        rejected = after[0] == before[0]
    assert steps[-1] == (result.n_steps, result.value, result.gradient_norm[1], result.n_products)
    assert result.value < steps[0][1]


def test_what_a_rejected_step_passed_is_not_computed_again(solved, monkeypatch):
    objective, start = solved.objective(), solved.theta(scale=20.0)
    result = newton(objective, start, 1e-8)
    monkeypatch.setattr(_newton, "_shorter", lambda *_: None)
    again = newton(objective, start, 1e-8)
    assert result.n_products < again.n_products
    assert result.n_steps == again.n_steps
    assert_allclose(result.theta, again.theta, rtol=1e-7, atol=1e-9)


def test_result_describes_itself(solved):
    objective, start = solved.objective(), solved.theta(scale=0.5)
    kept = start.copy()
    start.setflags(write=False)
    result = newton(objective, start, 1e-6)
    assert_array_equal(start, kept)
    assert_array_equal(result.theta[~solved.twin().free], 1)
    first, last = (np.linalg.norm(objective.gradient(theta)) for theta in (kept, result.theta))
    assert_allclose(result.gradient_norm, (first, last), rtol=1e-5)
    assert result.value == pytest.approx(objective.value(result.theta), rel=1e-12)
    assert result.status in (Status.CONVERGED, Status.BOUNDARY)


def test_at_the_optimum_nothing_is_done(solved):
    end = optimum(solved)
    result = newton(solved.objective(), end, 1e-8)
    assert (result.n_steps, result.n_products, result.converged) == (0, 0, True)
    assert_array_equal(result.theta, end)


@pytest.mark.parametrize("n_steps", [0, 1, 3])
def test_zero_tolerance_takes_all_steps(solved, n_steps):
    settings = NewtonSettings(max_steps=n_steps)
    result = newton(solved.objective(), solved.theta(scale=0.5), 0.0, settings)
    assert result.n_steps == n_steps
    assert not result.converged


def test_tolerance_may_depend_on_the_first_gradient(solved):
    given_norms = []

    def tenth(norm):
        given_norms.append(norm)
        return 0.1 * norm

    result = newton(solved.objective(), solved.theta(scale=0.5), tenth)
    before, after = result.gradient_norm
    assert given_norms == [before]
    assert 1e-3 * before < after <= 0.1 * before


def test_few_iterations_end_honestly():
    problem = SOLVED[0]
    settings = NewtonSettings(max_iter=1, max_steps=2)
    result = newton(problem.objective(), problem.theta(scale=0.5), 1e-12, settings)
    assert not result.converged
    assert result.status in (Status.MAX_ITER, Status.BOUNDARY)
    assert result.n_products <= 2 * (1 + 12)


def test_damping_shortens_steps_and_keeps_the_optimum():
    problem = SOLVED[0]
    old, changed = optimum(problem), forget_some(problem).objective()
    first = [
        np.linalg.norm(
            newton(changed, old, 0.0, NewtonSettings(max_steps=1, damping=d, forcing=1e-8)).theta
            - old
        )
        for d in (0.0, 1.0, 100.0)
    ]
    assert first[0] > first[1] > first[2] > 0
    result = newton(changed, old, 1e-8, NewtonSettings(damping=1.0))
    assert result.converged
    assert gap(problem, result.theta, optimum(forget_some(problem))) < 1e-6


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_start_that_is_not_finite_is_reported(bad):
    problem = SOLVED[0]
    start = problem.theta()
    start[0, 0] = bad
    with np.errstate(invalid="ignore"):
        result = newton(problem.objective(), start, 1e-8)
    assert result.status is Status.NON_FINITE
    assert not result.converged
    assert result.n_steps == 0


def test_products_are_counted():
    problem = SOLVED[0]
    objective = problem.objective()
    counted = []

    class Counting:
        layout, has_gauge, stops_at_saddles = objective.layout, True, False

        @staticmethod
        def at(theta):
            point = objective.at(theta)
            product_of = point.hessian_product
            point.hessian_product = lambda V: counted.append(1) or product_of(V)
            return point

        def rotated(self, rotation):
            return self

    result = newton(Counting(), problem.theta(scale=0.5), 1e-6)
    assert result.n_products == len(counted) > 0


def test_tilted_steps_end_at_a_saddle_and_do_not_fall_off_it():
    """With the gradient of before as tilt the start is stationary, and down is no answer."""
    problem = SOLVED[0]
    saddle = problem.theta(scale=0.01)
    tilt = problem.objective().gradient(saddle)
    assert np.linalg.eigvalsh(problem.twin().hessian(saddle)).min() < -0.1
    # A request moves the gradient a little.
    asked = tilt + 1e-3 * np.abs(tilt).max() * problem.direction()
    result = newton(TiltedObjective(problem.objective(), asked), saddle, 1e-9)
    assert result.status is Status.NEGATIVE_CURVATURE
    assert not result.converged
    assert_allclose(result.theta, saddle, rtol=1e-12)
    fallen = newton(problem.objective(), saddle, 1e-9)
    assert fallen.converged


@pytest.mark.parametrize("budget", [4, 9, 20, 60])
def test_a_budget_of_passes_is_kept(budget):
    problem = SOLVED[0]
    result = newton(
        problem.objective(), problem.theta(scale=0.5), 1e-12, NewtonSettings(max_products=budget)
    )
    assert result.status is Status.BUDGET
    assert not result.converged
    assert result.n_products + 2 * result.n_steps <= budget
    assert result.n_passes <= budget + 2  # the first gradient is not part of it
