"""The pairwise objective with loops over triples, and small problems to compare it on."""

from dataclasses import dataclass, replace

import numpy as np

from sklearn_unlearn.backends import ScipyBackend
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import PairwiseObjective

WORD = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(bits):
    """SplitMix64's finaliser, in Python's integers."""
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & WORD
    return bits ^ (bits >> 31)


def draw(seed, key, item, slot, n_items):
    """The item that one slot of one interaction is compared with."""
    if n_items == 1:
        return item
    state = mix((seed + 0xA24BAED4963EE407 + GOLDEN) & WORD)
    for depth, value in enumerate((key, item, slot), start=2):
        state = mix(state ^ mix(((value & WORD) * GOLDEN + depth * GOLDEN) & WORD))
    other = state % (n_items - 1)
    return other + (other >= item)


@dataclass(frozen=True)
class DensePairwise:
    """The pairwise objective, triple by triple; ``ridge`` is a table like theta."""

    matrix: np.ndarray
    n_factors: int
    fit_bias: bool
    n_negatives: int
    seed: int
    ridge: np.ndarray
    user_weights: np.ndarray
    key: int | None = None

    def all_draws(self):
        """User, item, slot and the item drawn there."""
        for u, i in np.argwhere(self.matrix).tolist():
            for slot in range(self.n_negatives):
                key = u if self.key is None else self.key
                yield u, i, slot, draw(self.seed, key, i, slot, self.matrix.shape[1])

    @property
    def triples(self):
        """User, positive, negative and weight, of the draws that the user has not met."""
        for u, i, _, j in self.all_draws():
            if not self.matrix[u, j]:
                yield u, i, j, self.user_weights[u] * self.matrix[u, i] / self.n_negatives

    @property
    def free(self):
        free = np.ones(self.ridge.shape, bool)
        if self.fit_bias:
            m = len(self.matrix)
            free[:m, self.n_factors + 1] = False
            free[m:, self.n_factors] = False
        return free

    def value(self, theta):
        m = len(self.matrix)
        total = 0.5 * np.sum(self.ridge[self.free] * theta[self.free] ** 2)
        for u, i, j, weight in self.triples:
            total += weight * np.logaddexp(0, -theta[u] @ (theta[m + i] - theta[m + j]))
        return total

    def slopes(self, theta):
        """Derivative of the losses by every score, shape (n_users, n_items)."""
        m, out = len(self.matrix), np.zeros(self.matrix.shape)
        for u, i, j, weight in self.triples:
            slope = -weight / (1 + np.exp(theta[u] @ (theta[m + i] - theta[m + j])))
            out[u, i] += slope
            out[u, j] -= slope
        return out

    def gradient(self, theta):
        m, R = len(self.matrix), self.slopes(theta)
        out = self.ridge * theta + np.concatenate([R @ theta[m:], R.T @ theta[:m]])
        return np.where(self.free, out, 0.0)

    def hessian(self, theta):
        """Matrix of the Hessian on flat theta, zero where nothing moves."""
        n, k = theta.shape
        out, m = np.zeros((n, k, n, k)), len(self.matrix)
        eye = np.eye(k)
        for u, i, j, weight in self.triples:
            p, q, z = theta[u], theta[m + i], theta[m + j]
            e = 1 / (1 + np.exp(p @ (q - z)))
            slope, curvature = -weight * e, weight * e * (1 - e)
            parts = [(u, q - z), (m + i, p), (m + j, -p)]
            for a, da in parts:
                for b, db in parts:
                    out[a, :, b] += curvature * np.outer(da, db)
            for row, sign in ((m + i, 1.0), (m + j, -1.0)):
                out[u, :, row] += sign * slope * eye
                out[row, :, u] += sign * slope * eye
        flat, free = out.reshape(n * k, n * k), self.free.ravel()
        flat[np.arange(n * k), np.arange(n * k)] += self.ridge.ravel()
        return flat * np.outer(free, free)


@dataclass(frozen=True)
class PairwiseProblem:
    """A matrix and how its comparisons are factorised."""

    name: str
    matrix: np.ndarray
    n_factors: int = 2
    n_negatives: int = 3
    regularization: float = 0.7
    bias_regularization: float = 0.4
    fit_bias: bool = True
    frequency_scaling: float = 0.0
    weights: np.ndarray | None = None
    seed: int = 5
    key: int | None = None

    def objective(self, n_threads=1, backend=None):
        return PairwiseObjective.from_interactions(
            Interactions.from_matrix(self.matrix, self.weights),
            n_factors=self.n_factors,
            n_negatives=self.n_negatives,
            regularization=self.regularization,
            bias_regularization=self.bias_regularization,
            fit_bias=self.fit_bias,
            frequency_scaling=self.frequency_scaling,
            seed=self.seed,
            key=self.key,
            backend=backend or ScipyBackend(n_threads),
        )

    def twin(self):
        matrix = np.asarray(self.matrix, float)
        m, n = matrix.shape
        weights = np.ones(m) if self.weights is None else np.array(self.weights, float)
        matrix = matrix * (weights > 0)[:, None]
        weights = np.where((matrix != 0).any(axis=1), weights, 1.0)
        degrees = np.concatenate([(matrix != 0).sum(axis=1), weights @ (matrix != 0)])
        multiples = np.where(degrees > 0, degrees, 1.0) ** self.frequency_scaling
        multiples[:m] *= weights
        ridge = np.full((m + n, self.n_factors + 2 * self.fit_bias), self.regularization)
        ridge[:, self.n_factors :] = self.bias_regularization
        return DensePairwise(
            matrix,
            self.n_factors,
            self.fit_bias,
            self.n_negatives,
            self.seed,
            ridge * multiples[:, None],
            weights,
            self.key,
        )

    def theta(self, seed=0, scale=1.0):
        rng = np.random.default_rng(seed)
        layout = self.objective().layout
        Z = scale * rng.standard_normal((layout.shape[0], self.n_factors))
        return layout.pack(Z, 0.5 * scale * rng.standard_normal(len(Z)))

    def direction(self, seed=0):
        free = self.twin().free
        return np.where(free, np.random.default_rng(1000 + seed).standard_normal(free.shape), 0.0)

    def without(self, cells):
        """The same problem without some cells."""
        matrix = self.matrix.copy()
        matrix[tuple(np.transpose(cells))] = 0
        return replace(self, matrix=matrix)


def presence(seed, m, n, density):
    """Some users and items have met nothing, one user has met everything."""
    rng = np.random.default_rng(seed)
    matrix = (rng.random((m, n)) < density).astype(float)
    matrix[m // 2] = 1
    matrix[0] = 0
    matrix[: m // 2, 1] = 0
    return matrix


def counts(seed, m, n, density):
    return presence(seed, m, n, density) * np.random.default_rng(seed).integers(1, 5, (m, n))


SEEN_ALL = np.ones((3, 4))
PROBLEMS = [
    PairwiseProblem("bias", presence(0, 7, 6, 0.4)),
    PairwiseProblem("plain", presence(1, 6, 7, 0.3), fit_bias=False),
    PairwiseProblem("one-negative", presence(2, 6, 5, 0.4), n_negatives=1),
    PairwiseProblem("repeated-draws", presence(3, 5, 3, 0.5), n_negatives=7),
    PairwiseProblem("counts", counts(4, 6, 6, 0.4)),
    PairwiseProblem(
        "weights", counts(5, 6, 7, 0.4), weights=np.array([1, 0, 2.5, 1, 0.5, 3]), fit_bias=False
    ),
    PairwiseProblem("frequencies", presence(6, 7, 6, 0.4), frequency_scaling=0.5),
    PairwiseProblem("new-rows", presence(7, 6, 6, 0.4), key=-1),
    PairwiseProblem("two-items", np.array([[1.0, 0], [0, 1], [1, 1]]), n_negatives=2),
    PairwiseProblem("one-item", np.ones((2, 1))),
    PairwiseProblem("all-seen", SEEN_ALL),
    PairwiseProblem("no-factors", presence(8, 6, 6, 0.4), n_factors=0),
]
