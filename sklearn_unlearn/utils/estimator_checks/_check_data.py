"""The data that the checks make for themselves, and the yardsticks they share."""

from __future__ import annotations

from functools import singledispatch

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
    estimator, or one that is part of it, wants non-negative data, of both signs elsewhere.

    Parameters
    ----------
    estimator : estimator object
        Only its tags are read.

    seed : int, default=0
        Seed of pattern and values.

    shape : tuple of int, default=(40, 30)
        Users and items; each user has an item, and each item a user where there are enough.

    density : float, default=0.35
        Share of the cells that hold an interaction, about.

    Attributes
    ----------
    X, rest : csr_matrix of `shape`
        All interactions, and those that remain.

    cells : ndarray of shape (n_cells, 2)
        All (user, item) pairs.

    forgotten : ndarray of shape (n_forgotten, 2)
        The pairs to forget.
    """

    def __init__(self, estimator, seed=0, *, shape=(N_USERS, N_ITEMS), density=0.35):
        rng = np.random.RandomState(seed)
        n_users, n_items = shape
        pattern = rng.rand(n_users, n_items) < density
        pattern[np.arange(n_users), np.arange(n_users) % n_items] = True
        taste = rng.randn(n_users, 2) @ rng.randn(2, n_items) + 0.5 * rng.randn(n_users, n_items)
        size = 1 + rng.rand(n_users, n_items)
        positive = any(
            get_tags(part).input_tags.positive_only
            for _, part in parts_of(estimator)
            if hasattr(part, "__sklearn_tags__")
        )
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


def parts_of(model):
    """Yield a path and an estimator: the model, and every estimator among its parameters."""
    yield "", model
    for key, value in sorted(model.get_params(deep=True).items()):
        if is_estimator(value):
            yield f"{key}__", value


def is_estimator(value) -> bool:
    """Tell an instance with parameters from anything else that a parameter may be."""
    return hasattr(value, "get_params") and not isinstance(value, type)


def leaves_of(value) -> list:
    """List what a parameter holds: the elements of nested lists and tuples, or the value itself."""
    if isinstance(value, list | tuple):
        return [leaf for one in value for leaf in leaves_of(one)]
    return [value]


def holds_estimators(value) -> bool:
    """Tell an estimator, or a list of them such as the steps of a pipeline."""
    return any(is_estimator(leaf) for leaf in leaves_of(value))


def random_states(estimator) -> list[str]:
    """List the parameters that seed something, nested ones included, in a fixed order."""
    return sorted(
        key
        for key in estimator.get_params(deep=True)
        if key == "random_state" or key.endswith("__random_state")
    )


def fresh(estimator, fitted=None):
    """Clone an estimator and, wherever it draws random numbers, give it the seed 0.

    A penalty that a fit chose from the data (``regularization="auto"``) is held where it is by
    requests: with `fitted`, the clone, which is to be a refit for it, has the same.
    """
    estimator = clone(estimator)
    estimator.set_params(**dict.fromkeys(random_states(estimator), 0))
    chosen = _chosen_penalty(fitted)
    if chosen is not None:
        for name, value in estimator.get_params(deep=True).items():
            if name.split("__")[-1] == "regularization" and isinstance(value, str):
                estimator.set_params(**{name: chosen})
    return estimator


def _chosen_penalty(fitted):
    """Penalty that a fitted estimator, or the one that it wraps, has in force; None without one."""
    while fitted is not None and not hasattr(fitted, "regularization_"):
        steps = getattr(fitted, "steps", None)
        inner = getattr(fitted, "estimator_", None) or getattr(fitted, "estimator", None)
        fitted = steps[-1][1] if steps else inner
    return None if fitted is None else fitted.regularization_


def score_table(model, shape=(N_USERS, N_ITEMS)):
    """Score every (user, item) pair of the training table."""
    pairs = np.argwhere(np.ones(shape, bool))
    return np.asarray(model.predict_pairs(pairs), dtype=np.float64).reshape(shape)


@singledispatch
def known_table(model):
    """Mark the pairs that a model can be asked about: all, where it speaks positions."""
    return np.ones((N_USERS, N_ITEMS), bool)


@singledispatch
def stored_as(model, cells):
    """Return where a model keeps cells: at their own place, where it speaks positions."""
    return cells


def fingerprint(model) -> str:
    """Hash every attribute, those of nested estimators included, bit for bit."""
    # Attributes, not estimators: what an estimator leaves out of its pickle counts as well.
    nested = [vars(part) for path, part in parts_of(model) if path and hasattr(part, "__dict__")]
    return joblib.hash([model.__dict__, *nested])


def require_same(one, other, message: str) -> None:
    """Require that two models give the same scores up to rounding."""
    known = _known_to_both(one, other, message)
    require_same_tables(
        *(np.where(known, score_table(model), 0) for model in (one, other)), message
    )


def require_same_tables(one, other, message: str) -> None:
    """Require that two tables of scores agree up to rounding."""
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
    known = _known_to_both(one, other, message)
    one, other = (np.where(known, score_table(model), 0) for model in (one, other))
    # What `start` gave to users and items that are gone is part of the way.
    require_close_tables(one, other, score_table(start), message)


def require_close_tables(one, other, start, message: str) -> None:
    """Require that one table of scores went from `start` to the other but for 2 % of the way."""
    distance = np.linalg.norm(start - other)
    left = np.linalg.norm(one - other)
    require(
        left <= MAX_GAP * distance,
        f"{message}: {left / max(distance, np.finfo(float).tiny):.2%} of the distance is left, "
        f"at most {MAX_GAP:.0%} may be",
    )


def _known_to_both(one, other, message: str):
    """Mark the pairs to compare: users must be known to both or to none.

    A forgotten item keeps its id, which a refit without its events never saw: one of the two may
    know more items than the other.
    """
    known = known_table(one), known_table(other)
    users = [table.any(axis=1) for table in known]
    require(
        np.array_equal(*users),
        f"{message}: they know different users, {users[0].sum()} and {users[1].sum()}",
    )
    items = [table.any(axis=0) for table in known]
    both = items[0] & items[1]
    require(
        any(np.array_equal(both, side) for side in items),
        f"{message}: each knows items that the other does not",
    )
    return known[0] & known[1]
