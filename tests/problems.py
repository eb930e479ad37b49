"""Lists of small problems, shared by the tests of the numerical core."""

from dataclasses import dataclass, replace

import numpy as np

from sklearn_unlearn.backends import ScipyBackend
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import LOSSES, PointwiseObjective, WeightedObjective
from sklearn_unlearn.solvers._newton import newton
from tests.oracles import DensePointwise, DenseWeighted


@dataclass(frozen=True)
class Problem:
    """A matrix and how it is factorised."""

    name: str
    matrix: np.ndarray
    loss: str = "logistic"
    n_factors: int = 2
    regularization: float = 0.7
    bias_regularization: float | tuple[float, float] = (0.4, 0.9)
    fit_bias: bool = True
    global_mean: bool = True
    weights: np.ndarray | None = None
    frequency_scaling: float = 0.0
    frequency_offset: tuple[float, float] = (0.0, 0.0)  # of weighted problems alone

    def objective(self, n_threads=1, matrix=None):
        return PointwiseObjective.from_interactions(
            Interactions.from_matrix(self.matrix if matrix is None else matrix, self.weights),
            loss=self.loss,
            n_factors=self.n_factors,
            regularization=self.regularization,
            bias_regularization=self.bias_regularization,
            fit_bias=self.fit_bias,
            global_mean=self.global_mean,
            backend=ScipyBackend(n_threads),
            frequency_scaling=self.frequency_scaling,
        )

    def twin(self):
        objective = self.objective()
        matrix = np.asarray(self.matrix, float)
        m, n = matrix.shape
        weights = np.ones(m) if self.weights is None else np.array(self.weights, float)
        matrix = matrix * (weights > 0)[:, None]
        weights = np.where((matrix != 0).any(axis=1), weights, 1.0)
        ridge = np.full((m + n, self.n_factors + 2 * self.fit_bias), self.regularization)
        if self.fit_bias:
            ridge[:, self.n_factors :] = self.bias_regularization
        user_degrees = (matrix != 0).sum(axis=1)
        item_degrees = weights @ (matrix != 0)
        of_users, of_items = self.frequency_offset
        degrees = np.concatenate([user_degrees + of_users, item_degrees + of_items])
        multiples = np.where(degrees > 0, degrees, 1.0) ** self.frequency_scaling
        multiples[:m] *= weights
        ridge *= multiples[:, None]
        offset = objective.offset if self.global_mean else 0.0
        return DensePointwise(
            matrix, self.loss, self.n_factors, self.fit_bias, ridge, offset, weights, multiples
        )

    def theta(self, seed=0, scale=1.0):
        rng = np.random.default_rng(seed)
        layout = self.objective().layout
        Z = scale * rng.standard_normal((layout.shape[0], self.n_factors))
        return layout.pack(Z, 0.5 * scale * rng.standard_normal(len(Z)))

    def direction(self, seed=0):
        rng = np.random.default_rng(1000 + seed)
        twin = self.twin()
        return np.where(twin.free, rng.standard_normal(twin.free.shape), 0.0)


@dataclass(frozen=True)
class WeightedProblem(Problem):
    """A matrix of implicit feedback: all pairs count."""

    loss: str = "squared"
    fit_bias: bool = False
    global_mean: bool = False
    alpha: float = 2.0

    def objective(self, n_threads=1, matrix=None):
        return WeightedObjective.from_interactions(
            Interactions.from_matrix(self.matrix if matrix is None else matrix, self.weights),
            n_factors=self.n_factors,
            regularization=self.regularization,
            alpha=self.alpha,
            backend=ScipyBackend(n_threads),
            frequency_scaling=self.frequency_scaling,
            frequency_offset=self.frequency_offset,
        )

    def twin(self):
        return DenseWeighted(**vars(super().twin()), alpha=self.alpha)


def labels(seed, m, n, density=0.6):
    """Random -1, 0 and 1; two labels in three are 1."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random((m, n)) < density, rng.choice([-1.0, 1.0, 1.0], (m, n)), 0.0)


def ratings(seed, m, n, density=0.6):
    """Random halves from 0.5 to 5, and 0 where nothing is observed."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random((m, n)) < density, rng.integers(1, 11, (m, n)) / 2, 0.0)


def low_rank_labels(seed, m, n, density=0.7, rank=2):
    """Labels that factors can explain, so that the optimum is not zero."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n))
    return np.where(rng.random((m, n)) < density, np.where(scores > 0, 1.0, -1.0), 0.0)


def with_gaps(matrix):
    """Empty some rows and columns, the first and the last among them."""
    matrix = matrix.copy()
    matrix[[0, 3, -1]] = 0
    matrix[:, [0, 2, -1]] = 0
    return matrix


PROBLEMS = [
    Problem("logistic-plain", labels(0, 6, 5), fit_bias=False, global_mean=False),
    Problem("logistic-bias", labels(1, 6, 5)),
    Problem("logistic-weighted", labels(2, 5, 6), weights=np.array([1.0, 2.5, 0.0, 0.3, 1.0])),
    Problem("squared-plain", ratings(3, 5, 6), "squared", 3, fit_bias=False, global_mean=False),
    Problem("squared-bias", ratings(4, 6, 4), "squared", bias_regularization=0.5),
    Problem("squared-weighted", ratings(5, 4, 4), "squared", weights=np.array([3.0, 1, 2, 0.5])),
    Problem("single-precision", ratings(6, 5, 4).astype(np.float32), "squared"),
    Problem("empty-rows-and-columns", with_gaps(labels(7, 7, 8))),
    Problem("scaled-penalty", with_gaps(labels(13, 7, 8)), frequency_scaling=0.5),
    Problem(
        "scaled-weighted",
        ratings(14, 4, 6),
        "squared",
        weights=np.array([2.0, 0.5, 0.0, 1.0]),
        frequency_scaling=1.0,
    ),
    Problem("one-label", (labels(8, 5, 4) != 0) * 1.0),
    Problem("one-user", labels(9, 1, 6, 0.9)),
    Problem("one-item", labels(10, 6, 1, 0.9)),
    Problem("one-factor", labels(11, 5, 5), n_factors=1, fit_bias=False),
    Problem("biases-alone", labels(12, 6, 5), n_factors=0),
    Problem("nothing-observed", np.zeros((3, 4))),
]
WEIGHTED = [
    WeightedProblem("plain", ratings(20, 6, 5, 0.4)),
    WeightedProblem("confidence-below-one", ratings(21, 6, 5, 0.4), alpha=0.15),
    WeightedProblem("user-weights", ratings(22, 5, 6), weights=np.array([1.0, 2.5, 0.0, 0.3, 1.0])),
    WeightedProblem("scaled-penalty", with_gaps(ratings(23, 7, 8)), frequency_scaling=0.5),
    WeightedProblem(
        "scaled-and-weighted",
        ratings(24, 4, 6),
        weights=np.array([2.0, 0.5, 0.0, 1.0]),
        frequency_scaling=1.0,
    ),
    WeightedProblem(
        "offset-penalty",
        with_gaps(ratings(34, 7, 8)),
        frequency_scaling=0.7,
        frequency_offset=(3.0, 1.5),
    ),
    WeightedProblem(
        "offset-and-weighted",
        ratings(35, 4, 6),
        weights=np.array([2.0, 0.5, 0.0, 1.0]),
        frequency_scaling=1.0,
        frequency_offset=(0.0, 2.0),
    ),
    WeightedProblem("single-precision-values", ratings(25, 5, 4).astype(np.float32)),
    WeightedProblem("everything-observed", ratings(26, 5, 4, 1.1)),
    WeightedProblem("one-user", ratings(27, 1, 6)),
    WeightedProblem("one-item", ratings(28, 6, 1)),
    WeightedProblem("one-factor", ratings(29, 5, 6), n_factors=1),
    WeightedProblem("nothing-observed", np.zeros((3, 4))),
]
LOSS_NAMES = sorted(LOSSES)

# Regularised so that the optimum is unique up to rotation, and is not zero.
SOLVED = [
    Problem("labels", low_rank_labels(0, 12, 9), n_factors=3, regularization=0.6),
    Problem("labels-plain", low_rank_labels(1, 10, 8), fit_bias=False, global_mean=False),
    Problem("ratings", ratings(2, 9, 8), "squared", regularization=1.5),
    Problem(
        "weighted", low_rank_labels(3, 8, 9), regularization=0.5, weights=np.linspace(0.5, 2, 8)
    ),
]

WEIGHTED_SOLVED = [
    WeightedProblem("counts", ratings(30, 12, 9, 0.3), n_factors=6, regularization=8.0),
    WeightedProblem("doubts", ratings(31, 9, 8, 0.6), n_factors=8, regularization=0.6, alpha=0.2),
    WeightedProblem(
        "weights",
        ratings(32, 8, 9, 0.4),
        n_factors=6,
        regularization=8.0,
        weights=np.linspace(0.5, 2, 8),
    ),
    WeightedProblem(
        "frequencies",
        ratings(33, 10, 9, 0.4),
        n_factors=6,
        regularization=5.0,
        frequency_scaling=0.5,
    ),
    WeightedProblem(
        "offsets",
        ratings(36, 10, 9, 0.4),
        n_factors=6,
        regularization=1.5,
        frequency_scaling=1.0,
        frequency_offset=(4.0, 3.0),
    ),
]


def optimum(problem, seed=0, gtol=1e-10):
    result = newton(problem.objective(), problem.theta(seed, 0.5), gtol)
    assert result.converged
    return result.theta


def all_scores(problem, theta):
    m = len(problem.matrix)
    return theta[:m] @ theta[m:].T


def gap(problem, one, other):
    """Largest difference of two score matrices, relative to the largest score."""
    a, b = all_scores(problem, one), all_scores(problem, other)
    return np.abs(a - b).max() / np.abs(b).max()


def forget_some(problem, share=0.08, seed=0):
    """The same problem without a few of its cells; the offset is that of the old data."""
    rng = np.random.default_rng(seed)
    cells = np.argwhere(problem.matrix)
    gone = rng.permutation(len(cells))[: max(2, int(share * len(cells)))]
    matrix = problem.matrix.copy()
    matrix[tuple(cells[gone].T)] = 0
    return replace(problem, matrix=matrix)


def hessian_of(objective, theta):
    """Matrix of the Hessian product, a column for each free entry."""
    point = objective.at(theta)
    free = objective.mask(np.ones(theta.shape)).ravel() > 0
    columns = np.zeros((theta.size, theta.size))
    for j in np.flatnonzero(free):
        unit = np.zeros(theta.size)
        unit[j] = 1
        columns[:, j] = point.hessian_product(unit.reshape(theta.shape)).ravel()
    return columns
