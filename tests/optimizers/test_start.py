import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_unlearn.certificates._rank import missing_direction
from sklearn_unlearn.optimizers import spectral_start
from tests.problems import PROBLEMS, SOLVED, Problem, labels, optimum


@pytest.mark.parametrize("problem", SOLVED, ids=lambda problem: problem.name)
def test_start_is_nearer_to_the_optimum_than_biases_alone(problem):
    objective, twin = problem.objective(), problem.twin()
    start = spectral_start(objective, 0)
    flat = start.copy()
    flat[:, : problem.n_factors] = 0
    best = twin.value(optimum(problem))
    assert best <= twin.value(start) < best + 0.7 * (twin.value(flat) - best)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_start_of_every_problem_is_finite_and_no_worse_than_no_factors(problem):
    start = spectral_start(problem.objective(), 0)
    k, twin = problem.n_factors, problem.twin()
    assert start.shape == problem.objective().layout.shape
    assert np.isfinite(start).all()
    assert_array_equal(start[~twin.free], 1.0)
    flat = start.copy()
    flat[:, :k] = 0
    # Where a factor helps, all start: one that is zero leaves it only by the check after the fit.
    helps = k > 0 and missing_direction(problem.objective(), flat).slack < 0
    assert (k > 0 and (start[:, :k] != 0).any(axis=0).all()) == helps
    assert (twin.value(start) < twin.value(flat)) == helps


@pytest.mark.parametrize("regularization", [1e-6, 1e-3, 0.03, 0.3])
@pytest.mark.parametrize("fit_bias", [False, True])
def test_start_is_below_no_factors_however_weak_the_penalty(regularization, fit_bias):
    """The first step may be far too long: the losses are steeper than the penalty by 1e12."""
    for seed in range(5):
        problem = Problem(
            "weak",
            labels(seed, 20, 15, 0.3),
            n_factors=8,
            regularization=regularization,
            fit_bias=fit_bias,
        )
        objective = problem.objective()
        start = spectral_start(objective, seed)
        flat = start.copy()
        flat[:, :8] = 0
        assert objective.value(start) < objective.value(flat)
