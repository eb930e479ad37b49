"""Propagation as dense matrices with loops over edges, and small problems over graphs."""

from dataclasses import dataclass, replace

import numpy as np

from sklearn_unlearn.backends import ScipyBackend
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import (
    PairwiseObjective,
    PointwiseObjective,
    PropagatedObjective,
    SampledObjective,
    WeightedObjective,
)
from tests.problems import labels, ratings, with_gaps


def dense_propagation(matrix, n_layers, weights=None):
    """Matrix of Pi, edge by edge; a user of weight c is c edges to each of its items."""
    (m, n), seen = matrix.shape, matrix != 0
    weights = np.ones(m) if weights is None else np.asarray(weights, float)
    by_user, by_item = seen.sum(axis=1), weights @ seen
    A = np.zeros((m + n, m + n))
    for u, i in np.argwhere(seen):
        entry = 1 / np.sqrt(by_user[u] * by_item[i])
        A[u, m + i], A[m + i, u] = entry, weights[u] * entry
    return sum(np.linalg.matrix_power(A, layer) for layer in range(n_layers + 1)) / (n_layers + 1)


@dataclass(frozen=True)
class GraphProblem:
    """A matrix, what its scores cost, and how far rows are propagated."""

    name: str
    matrix: np.ndarray
    loss: str = "weighted"
    n_layers: int = 2
    n_factors: int = 3
    regularization: float = 0.4
    frequency_scaling: float = 0.0
    weights: np.ndarray | None = None
    n_negatives: int = 3
    alpha: float = 3.0

    @property
    def data(self):
        return Interactions.from_matrix(self.matrix, self.weights)

    def losses(self, data=None, n_threads=1):
        shared = {
            "n_factors": self.n_factors,
            "regularization": self.regularization,
            "frequency_scaling": self.frequency_scaling,
            "backend": ScipyBackend(n_threads),
        }
        data = self.data if data is None else data
        drawn = {"n_negatives": self.n_negatives, "seed": 5}
        if self.loss == "weighted":
            return WeightedObjective.from_interactions(data, alpha=self.alpha, **shared)
        if self.loss == "bpr":
            return PairwiseObjective.from_interactions(
                data, bias_regularization=1.0, fit_bias=False, **drawn, **shared
            )
        if self.loss == "sampled":
            return SampledObjective.from_positives(data, **drawn, **shared)
        return PointwiseObjective.from_interactions(
            data,
            loss=self.loss,
            bias_regularization=1.0,
            fit_bias=False,
            global_mean=False,
            **shared,
        )

    def objective(self, n_threads=1):
        return PropagatedObjective.of(self.losses(n_threads=n_threads), self.data, self.n_layers)

    def propagation(self):
        weights = self.data.row_weights
        matrix = self.data.to_csr().toarray()
        return dense_propagation(matrix, self.n_layers, weights)

    def theta(self, seed=0, scale=1.0):
        rng = np.random.default_rng(seed)
        return scale * rng.standard_normal((sum(self.matrix.shape), self.n_factors))

    def without(self, cells):
        matrix = self.matrix.copy()
        matrix[tuple(np.transpose(cells))] = 0
        return replace(self, matrix=matrix)


COUNTS = with_gaps(ratings(40, 7, 8, 0.5))
HEAVY = np.array([1.0, 2.0, 0.0, 3.0, 0.5, 1.0, 1.5])
PROBLEMS = [
    GraphProblem("weighted", COUNTS),
    GraphProblem("weighted-deep", ratings(41, 6, 5, 0.5), n_layers=3, n_factors=2),
    GraphProblem("weighted-no-layers", COUNTS, n_layers=0),
    GraphProblem("weighted-users", COUNTS, weights=HEAVY),
    GraphProblem("weighted-frequencies", COUNTS, weights=HEAVY, frequency_scaling=0.5, n_layers=3),
    GraphProblem("bpr", COUNTS, loss="bpr"),
    GraphProblem("bpr-deep", ratings(42, 6, 7, 0.4), loss="bpr", n_layers=3, frequency_scaling=1.0),
    GraphProblem("bpr-users", COUNTS, loss="bpr", weights=HEAVY),
    GraphProblem("sampled", COUNTS, loss="sampled", n_layers=1),
    GraphProblem("sampled-users", COUNTS, loss="sampled", weights=HEAVY, n_layers=3),
    GraphProblem("labels", labels(43, 6, 5), loss="logistic"),
    GraphProblem("ratings", ratings(44, 5, 6), loss="squared", n_layers=3, n_factors=2),
    GraphProblem("one-user", ratings(45, 1, 6)),
    GraphProblem("one-item", ratings(46, 6, 1), loss="squared"),
    GraphProblem("nothing-observed", np.zeros((3, 4))),
]
