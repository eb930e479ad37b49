import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_unlearn.optimizers import spectral_start
from tests.problems import PROBLEMS, SOLVED, optimum


@pytest.mark.parametrize("problem", SOLVED, ids=lambda problem: problem.name)
def test_start_is_nearer_to_the_optimum_than_biases_alone(problem):
    objective, twin = problem.objective(), problem.twin()
    start = spectral_start(objective, 0)
    flat = start.copy()
    flat[:, : problem.n_factors] = 0
    best = twin.value(optimum(problem))
    assert best <= twin.value(start) < best + 0.7 * (twin.value(flat) - best)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_start_of_every_problem_is_finite_and_no_saddle(problem):
    start = spectral_start(problem.objective(), 0)
    k = problem.n_factors
    assert start.shape == problem.objective().layout.shape
    assert np.isfinite(start).all()
    # A column that is exactly zero could never leave zero.
    assert (start[:, :k] != 0).any(axis=0).all()
    assert_array_equal(start[~problem.twin().free], 1.0)
