import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_unlearn.optimizers import minimize_newton_cg
from tests.oracles import loss_terms
from tests.problems import PROBLEMS, SOLVED, all_scores, gap, optimum


def solve(problem, **params):
    defaults = {"seed": 0, "tol": 1e-9, "max_iter": 100}
    return minimize_newton_cg(problem.objective(), **{**defaults, **params})


@pytest.mark.parametrize("problem", SOLVED, ids=lambda problem: problem.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_seed_ends_at_the_optimum(problem, seed):
    result = solve(problem, seed=seed)
    assert result.converged
    assert gap(problem, result.theta, optimum(problem)) < 1e-6
    assert result.value == pytest.approx(problem.twin().value(result.theta), rel=1e-10)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_every_problem_meets_its_tolerance(problem):
    tol, objective = 1e-7, problem.objective()
    result = solve(problem, tol=tol)
    norm = np.linalg.norm(problem.twin().gradient(result.theta))
    assert result.converged
    assert norm <= 1.01 * tol * objective.gradient_scale + 1e-15
    assert np.isfinite(result.theta).all()


def test_one_seed_gives_one_result_and_steps_are_told():
    problem, seen = SOLVED[0], []
    one = solve(problem, on_step=lambda *step: seen.append(step))
    assert_array_equal(one.theta, solve(problem).theta)
    assert not np.array_equal(one.theta, solve(problem, seed=1).theta)
    assert seen[-1][0] == one.n_steps and seen[-1][3] == one.n_products
    assert seen[-1][2] == one.gradient_norm[1]
    values = [value for _, value, *_ in seen]
    assert (np.diff(values) <= 1e-12 * values[0]).all()


def test_max_iter_ends_the_search_and_says_so():
    result = solve(SOLVED[0], max_iter=1)
    assert result.n_steps == 1 and not result.converged
    assert gap(SOLVED[0], result.theta, optimum(SOLVED[0])) > 1e-6


def test_unit_of_the_tolerance_is_the_slopes_at_score_zero():
    for problem in PROBLEMS:
        twin, objective = problem.twin(), problem.objective()
        slopes = [
            weight * loss_terms(problem.loss, twin.offset, target)[1]
            for _, _, target, weight in twin.cells
        ]
        # Where nothing is observed, the penalty is all there is, and tolerances are of the unit 1.
        assert objective.gradient_scale == pytest.approx(np.linalg.norm(slopes) or 1.0, rel=1e-9)


def test_ratings_that_all_equal_their_mean_have_a_unit_all_the_same():
    problem = next(one for one in PROBLEMS if one.name == "squared-bias")
    alike = np.where(problem.matrix != 0, 0.1, 0.0)
    objective = problem.objective(matrix=alike)
    assert 0 < objective.gradient_scale < 1e-5
    result = minimize_newton_cg(objective, seed=0, tol=1e-6, max_iter=50)
    assert result.converged
    assert np.abs(all_scores(problem, result.theta)).max() < 1e-9
