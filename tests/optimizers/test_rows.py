import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

from sklearn_unlearn.optimizers import solve_rows
from tests.problems import PROBLEMS, Problem, labels


def solved(problem, theta):
    return solve_rows(problem.objective().freeze_items(), theta)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
@pytest.mark.parametrize("scale", [0.5, 30.0])
def test_rows_are_at_the_minimum_beside_held_items(problem, scale):
    theta = problem.theta(3)
    m = len(problem.matrix)
    theta[m:][problem.twin().free[m:]] *= scale
    before = theta.copy()
    result = solved(problem, theta)
    twin = problem.twin()
    users = np.flatnonzero(twin.free[:m].ravel())

    def table(x):
        out = theta.copy()
        out.flat[users] = x
        return out

    assert_array_equal(theta, before)
    assert_array_equal(result[m:], theta[m:])
    slopes = twin.gradient(result)[:m]
    assert np.linalg.norm(slopes) <= 1e-9 * (1 + np.linalg.norm(twin.gradient(theta)[:m]))
    if scale < 1:
        reference = minimize(
            lambda x: twin.value(table(x)),
            theta.flat[users],
            jac=lambda x: twin.gradient(table(x)).flat[users],
            method="BFGS",
            options={"gtol": 1e-8},
        )
        assert_allclose(result.flat[users], reference.x, atol=1e-5)


def test_far_start_of_a_steep_loss_does_not_diverge():
    # Full Newton steps from here overshoot: the curvature of the loss has vanished.
    problem = Problem("steep", labels(3, 8, 30, 0.9), n_factors=2, regularization=1e-3)
    theta = problem.theta(0, 8.0)
    result = solved(problem, theta)
    assert np.abs(problem.twin().gradient(result)[:8]).max() < 1e-8


def test_rows_do_not_depend_on_their_company():
    problem = Problem("all", labels(1, 9, 7))
    theta = problem.theta(1)
    together = solved(problem, theta)
    for u in range(9):
        alone = Problem("one", problem.matrix[[u]], global_mean=True)
        objective = alone.objective()
        objective = type(objective)(
            **{**vars(objective), "offset": problem.objective().offset}
        ).freeze_items()
        rows = np.concatenate([theta[[u]], theta[9:]])
        assert_array_equal(solve_rows(objective, rows)[0], together[u])
