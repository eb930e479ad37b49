"""The data that the checks make for themselves, and the yardsticks they share."""

from __future__ import annotations

import joblib
import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import get_tags

from sklearn_unlearn.utils._tags import get_forget_tags

N_USERS, N_ITEMS = 40, 30
# Share of the way from "did nothing" to the refit that may be left, for models that are not exact.
MAX_GAP = 0.02
MAX_DIFFERENCE = 1e-8


class Problem:
    """A deterministic table of interactions, what to forget of it, and what remains.

    Every value occurs once, so that a trace of it can be recognised. Values are positive where the
    estimator wants non-negative data, of both signs elsewhere.

    Parameters
    ----------
    estimator : estimator object
        Only its tags are read.

    Attributes
    ----------
    X, rest : csr_matrix of shape (40, 30)
        All interactions, and those that remain.

    cells : ndarray of shape (n_cells, 2)
        All (user, item) pairs.

    forgotten : ndarray of shape (n_forgotten, 2)
        The pairs to forget.
    """

    def __init__(self, estimator):
        rng = np.random.RandomState(0)
        pattern = rng.rand(N_USERS, N_ITEMS) < 0.35
        pattern[np.arange(N_USERS), np.arange(N_USERS) % N_ITEMS] = True
        taste = rng.randn(N_USERS, 2) @ rng.randn(2, N_ITEMS) + 0.5 * rng.randn(N_USERS, N_ITEMS)
        size = 1 + rng.rand(N_USERS, N_ITEMS)
        positive = get_tags(estimator).input_tags.positive_only
        self.dense = pattern * size * (1 if positive else np.where(taste > 0, 1, -1))
        self.cells = np.argwhere(pattern)
        self.user, self.item = 3, 5
        chosen = rng.permutation(len(self.cells))[:12]
        self.forgotten = self.cells[np.sort(chosen)]
        self.X = sparse.csr_matrix(self.dense)
        self.rest = self.without(self.forgotten)

    def without(self, cells=(), users=(), items=()):
        """Return the table without some cells, users and items."""
        dense = self.dense.copy()
        if len(cells):
            dense[tuple(np.asarray(cells).T)] = 0
        dense[list(users)] = 0
        dense[:, list(items)] = 0
        return sparse.csr_matrix(dense)

    def mask(self, cells):
        """Mark cells in a boolean array of the table's shape."""
        mask = np.zeros(self.dense.shape, bool)
        mask[tuple(np.asarray(cells).T)] = True
        return mask


def require(condition, message: str) -> None:
    """Raise AssertionError with a message, also under ``python -O``."""
    if not condition:
        raise AssertionError(message)


def fresh(estimator):
    """Clone an estimator and, where it draws random numbers, give it the seed 0."""
    estimator = clone(estimator)
    if "random_state" in estimator.get_params(deep=False):
        estimator.set_params(random_state=0)
    return estimator


def score_table(model):
    """Score every (user, item) pair of the training table."""
    pairs = np.argwhere(np.ones((N_USERS, N_ITEMS), bool))
    return np.asarray(model.predict_pairs(pairs), dtype=np.float64).reshape(N_USERS, N_ITEMS)


def fingerprint(model) -> str:
    """Hash every attribute, bit for bit."""
    return joblib.hash(model.__dict__)


def require_same(one, other, message: str) -> None:
    """Require that two models give the same scores up to rounding."""
    one, other = score_table(one), score_table(other)
    scale = max(1.0, float(np.abs(other).max()))
    difference = float(np.abs(one - other).max())
    require(difference <= MAX_DIFFERENCE * scale, f"{message}: scores differ by {difference:.2g}")


def require_close(one, other, start, message: str) -> None:
    """Require that two models agree, measured against how far apart doing nothing would leave them.

    Exact models must agree to 1e-8. Others may leave 2 % of the distance from `start`.
    """
    if get_forget_tags(other).exact:
        require_same(one, other, message)
        return
    target = score_table(other)
    distance = np.linalg.norm(score_table(start) - target)
    left = np.linalg.norm(score_table(one) - target)
    require(
        left <= MAX_GAP * distance,
        f"{message}: {left / max(distance, np.finfo(float).tiny):.2%} of the distance is left, "
        f"at most {MAX_GAP:.0%} may be",
    )
