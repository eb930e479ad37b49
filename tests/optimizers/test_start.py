import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.optimizers import spectral_start
from sklearn_unlearn.optimizers._start import _top_singular
from tests.problems import PROBLEMS, SOLVED, Problem, optimum


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


@pytest.mark.parametrize("shape, n", [((30, 20), 5), ((90, 70), 6), ((70, 120), 1), ((5, 3), 7)])
def test_top_singular_triplets_are_those_of_a_dense_decomposition(shape, n):
    problem = Problem(
        "large", make_interactions(*shape, n_interactions=shape[0] * shape[1] // 3, random_state=0)
        .toarray(), n_factors=1, global_mean=False, fit_bias=False,
    )  # fmt: skip
    objective = problem.objective()
    matrix = objective.residual_operator(np.zeros(objective.layout.shape))
    U, s, V = _top_singular(matrix, n)
    expected = np.linalg.svd(problem.matrix * -0.5 / problem.regularization)[1]
    rank = min(n, *shape)
    assert U.shape == (shape[0], n) and s.shape == (n,) and V.shape == (shape[1], n)
    assert_allclose(s[:rank], expected[:rank], rtol=1e-2)
    assert not s[rank:].any()
    dense = matrix.matmat(np.eye(shape[1]))
    assert_allclose(np.einsum("uf,ui,if->f", U, dense, V), s, rtol=2e-2, atol=1e-12)
