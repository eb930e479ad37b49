import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_unlearn.solvers._linear import PRECONDITIONERS, block_jacobi, jacobi
from tests.problems import PROBLEMS


@pytest.fixture(params=PROBLEMS, ids=lambda problem: problem.name)
def problem(request):
    return request.param


@pytest.fixture(params=[0.0, 0.8])
def damping(request):
    return request.param


class Blocks:
    """A point that is nothing but its diagonal blocks."""

    def __init__(self, blocks):
        self.theta = np.zeros(np.shape(blocks)[:2])
        self._blocks = np.asarray(blocks, float)

    def blocks(self):
        return self._blocks.copy()


def dense_of(precondition, size):
    return np.array([precondition(unit) for unit in np.eye(size)]).T


def test_jacobi_divides_by_the_diagonal(problem, damping):
    theta = problem.theta()
    point = problem.objective().at(theta)
    matrix = dense_of(jacobi(point, point.hessian_diagonal(), damping), theta.size)
    twin = problem.twin()
    diagonal = np.where(twin.free.ravel(), np.diag(twin.hessian(theta)), 1.0)
    assert_allclose(matrix, np.diag(1 / (diagonal + damping)), rtol=1e-10)


def test_block_jacobi_solves_with_the_blocks_of_the_hessian(problem, damping):
    # Small factors: no block is so ill-conditioned that it would be lifted.
    theta, twin = problem.theta(scale=0.3), problem.twin()
    n, width = theta.shape
    point = problem.objective().at(theta)
    matrix = dense_of(block_jacobi(point, point.hessian_diagonal(), damping), theta.size)
    hessian = twin.hessian(theta) + np.diag(1.0 - twin.free.ravel()) + damping * np.eye(theta.size)
    same_row = np.kron(np.eye(n), np.ones((width, width)))
    assert_allclose(matrix @ (hessian * same_row), np.eye(theta.size), atol=1e-9)


@pytest.mark.parametrize("name", PRECONDITIONERS)
def test_every_preconditioner_is_symmetric_positive_definite(problem, damping, name):
    theta = problem.theta(scale=3.0)
    point = problem.objective().at(theta)
    precondition = PRECONDITIONERS[name](point, np.abs(point.hessian_diagonal()), damping)
    matrix = dense_of(precondition, theta.size)
    assert_allclose(matrix, matrix.T, rtol=1e-9, atol=1e-12)
    assert np.linalg.eigvalsh(matrix).min() > 0


@pytest.mark.parametrize(
    "block",
    [
        [[1.0, 2.0], [2.0, 1.0]],
        [[-1.0, 0.0], [0.0, -3.0]],
        [[1.0, 1.0], [1.0, 1.0]],
        [[0.0, 0.0], [0.0, 0.0]],
    ],
    ids=["indefinite", "negative", "singular", "zero"],
)
def test_block_that_is_not_positive_definite_still_preconditions(block):
    good = [[2.0, 1.0], [1.0, 3.0]]
    precondition = block_jacobi(Blocks([good, block]), np.ones((2, 2)))
    matrix = dense_of(precondition, 4)
    assert np.isfinite(matrix).all()
    assert np.linalg.eigvalsh(matrix).min() > 0
    values, vectors = np.linalg.eigh(block)
    if np.all(values):
        # As if its directions of negative curvature curved the other way.
        flipped = vectors @ np.diag(1 / np.abs(values)) @ vectors.T
        assert_allclose(matrix[2:, 2:], flipped, rtol=1e-9, atol=1e-12)
    assert_allclose(matrix[:2, :2], np.linalg.inv(good), rtol=1e-12)
    assert_allclose(matrix[:2, 2:], 0)
