"""Dense, naive twins: the definitions written down with loops, with no thought of speed.

They share no code with the package; every test of the numerical core compares with one of them.
"""

from dataclasses import dataclass

import numpy as np

# -- sparsity patterns -------------------------------------------------------------------------


def cells_of(mask):
    """Users and items of the marked cells, in row-major order."""
    return [(u, i) for u in range(mask.shape[0]) for i in range(mask.shape[1]) if mask[u, i]]


def dense_of(mask, weights):
    """Matrix with one weight a marked cell, zero elsewhere."""
    out = np.zeros(mask.shape, np.result_type(weights, np.float32))
    for (u, i), weight in zip(cells_of(mask), weights, strict=True):
        out[u, i] = weight
    return out


def sddmm(mask, *pairs):
    """Sum of products of rows at every marked cell."""
    total = sum(A.astype(float) @ B.astype(float).T for A, B in pairs)
    return np.array([total[cell] for cell in cells_of(mask)])


def spmm(mask, *terms, transpose=False):
    """Sum of weighted patterns times tables."""
    matrices = [(dense_of(mask, weights), B) for weights, B in terms]
    return sum((M.T if transpose else M) @ B for M, B in matrices)


def row_grams(mask, weights, B, transpose=False):
    """Weighted sum of outer products a row."""
    M = dense_of(mask, weights)
    M, seen = (M.T, mask.T) if transpose else (M, mask)
    out = np.zeros((len(M), B.shape[1], B.shape[1]))
    for row, column in cells_of(seen):
        out[row] += M[row, column] * np.outer(B[column], B[column])
    return out


def topk(scores, k):
    """Columns sorted by falling score, then by rising index."""
    order = [sorted(range(len(row)), key=lambda j, row=row: (-row[j], j)) for row in scores]
    columns = np.array(order, dtype=int).reshape(scores.shape)[:, :k]
    return columns, np.array([row[c] for row, c in zip(scores, columns, strict=True)])


# -- objectives --------------------------------------------------------------------------------


def loss_terms(name, score, target):
    """Loss, slope and curvature of one score."""
    if name == "squared":
        return (score - target) ** 2 / 2, score - target, 1.0
    p = 1 / (1 + np.exp(-score))
    return np.logaddexp(0, score) - target * score, p - target, p * (1 - p)


@dataclass(frozen=True)
class DensePointwise:
    """The pointwise objective, cell by cell; theta as in the package.

    ``matrix`` has 0 where nothing is observed; ``ridge`` is a table like theta.
    """

    matrix: np.ndarray
    loss: str
    n_factors: int
    fit_bias: bool
    ridge: np.ndarray
    offset: float
    cell_weights: np.ndarray  # one a user
    row_multiples: np.ndarray  # of the penalty, one a row of theta

    @property
    def cells(self):
        """Rows of theta, target and weight of each observed cell."""
        m = len(self.matrix)
        for u, i in cells_of(self.matrix != 0):
            value = self.matrix[u, i]
            target = float(value > 0) if self.loss == "logistic" else value
            yield u, m + i, target, self.cell_weights[u]

    @property
    def free(self):
        """Which entries of theta move."""
        free = np.ones(self.ridge.shape, bool)
        if self.fit_bias:
            m = len(self.matrix)
            free[:m, self.n_factors + 1] = False
            free[m:, self.n_factors] = False
        return free

    def value(self, theta):
        """J(theta)."""
        total = 0.5 * np.sum(self.ridge[self.free] * theta[self.free] ** 2)
        for u, i, target, weight in self.cells:
            score = float(theta[u] @ theta[i]) + self.offset
            total += weight * loss_terms(self.loss, score, target)[0]
        return total

    def gradient(self, theta):
        """Gradient, zero where nothing moves."""
        out = self.ridge * theta
        for u, i, target, weight in self.cells:
            slope = loss_terms(self.loss, theta[u] @ theta[i] + self.offset, target)[1]
            out[u] += weight * slope * theta[i]
            out[i] += weight * slope * theta[u]
        return np.where(self.free, out, 0.0)

    def hessian(self, theta):
        """Matrix of the Hessian on flat theta, zero where nothing moves."""
        n, k = theta.shape
        out = np.zeros((n, k, n, k))
        for u, i, target, weight in self.cells:
            score = theta[u] @ theta[i] + self.offset
            _, slope, curvature = loss_terms(self.loss, score, target)
            p, q = theta[u], theta[i]
            out[u, :, u] += weight * curvature * np.outer(q, q)
            out[i, :, i] += weight * curvature * np.outer(p, p)
            cross = weight * (curvature * np.outer(q, p) + slope * np.eye(k))
            out[u, :, i] += cross
            out[i, :, u] += cross.T
        flat, free = out.reshape(n * k, n * k), self.free.ravel()
        flat[np.arange(n * k), np.arange(n * k)] += self.ridge.ravel()
        return flat * np.outer(free, free)


@dataclass(frozen=True)
class DenseWeighted(DensePointwise):
    """The weighted objective: squared losses of all cells, observed ones with a confidence."""

    alpha: float = 1.0

    @property
    def confidences(self):
        """Weight of each cell, that of its user left out."""
        return np.where(self.matrix != 0, self.alpha * self.matrix, 1.0)

    @property
    def cells(self):
        """Rows of theta, target and weight of every cell."""
        m = len(self.matrix)
        for (u, i), confidence in np.ndenumerate(self.confidences):
            yield u, m + i, float(self.matrix[u, i] != 0), self.cell_weights[u] * confidence

    def slopes(self, theta):
        """Slope of every cell, shape (n_users, n_items)."""
        out = np.zeros(self.matrix.shape)
        for u, i, target, weight in self.cells:
            out[u, i - len(out)] = weight * (theta[u] @ theta[i] - target)
        return out


# -- curvature ---------------------------------------------------------------------------------


def vertical_projector(theta, n_factors):
    """Matrix of the projector on ``{theta Omega : Omega skew}``, from an explicit basis."""
    n, width = theta.shape
    basis = []
    for a in range(n_factors):
        for b in range(a):
            omega = np.zeros((width, width))
            omega[a, b], omega[b, a] = 1, -1
            basis.append((theta @ omega).ravel())
    if not basis:
        return np.zeros((n * width, n * width))
    U, s, _ = np.linalg.svd(np.array(basis).T, full_matrices=False)
    U = U[:, s > 1e-10 * s[0]]
    return U @ U.T


def trust_region_minimum(H, g, M, radius):
    """Smallest ``g'x + x'Hx/2`` with ``x'Mx <= radius^2``, for positive definite H and M."""
    L = np.linalg.cholesky(M)
    inverse = np.linalg.inv(L)
    values, vectors = np.linalg.eigh(inverse @ H @ inverse.T)
    rhs = vectors.T @ inverse @ g

    def step(shift):
        return -rhs / (values + shift)

    low, high = 0.0, 1.0
    while np.linalg.norm(step(high)) > radius:
        high *= 2
    if np.linalg.norm(step(0.0)) > radius:
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if np.linalg.norm(step(middle)) > radius else (low, middle)
    y = step(high if np.linalg.norm(step(0.0)) > radius else 0.0)
    return float(rhs @ y + 0.5 * y @ (values * y))


def derivative(function, point, direction, h=1e-5):
    """Central difference of a function along a direction."""
    return (function(point + h * direction) - function(point - h * direction)) / (2 * h)
