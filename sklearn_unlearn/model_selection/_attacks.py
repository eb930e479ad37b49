"""Data that should not have been learnt: injected users who raise items, and flipped labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Positions = NDArray[np.int64]
Floats = NDArray[np.float64]

ATTACKS = ("random", "average", "bandwagon", "push")


def make_profiles(
    X: sparse.csr_array,
    attack: str,
    n_profiles: int,
    targets: Positions | None,
    n_filler: Any,
    generator: np.random.RandomState,
) -> sparse.csr_array:
    """Make rows of injected users.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        Interactions.

    attack : {"random", "average", "bandwagon", "push"}
        Which items are added to the targets, and with which values.

    n_profiles : int
        Rows to make.

    targets : ndarray of int64 or None
        Items to raise; None draws one.

    n_filler : int or None
        Items to add to the targets.

    generator : RandomState
        Source of the draws.

    Returns
    -------
    rows : csr_array of shape (n_profiles, n_items)
        Values are among those of X.
    """
    popularity = np.bincount(X.indices, minlength=X.shape[1])
    if targets is None:
        n_rare = max(X.shape[1] // 10, 1)
        rare = np.argsort(popularity, kind="stable")[:n_rare]
        targets = generator.choice(rare, 1).astype(np.int64)
    targets = np.unique(targets)
    others = np.setdiff1d(np.arange(X.shape[1]), targets)
    n_filler = 0 if attack == "push" else _n_filler(n_filler, X, targets, others)
    most_popular = others[np.argsort(-popularity[others], kind="stable")]
    known, high = np.unique(X.data), X.data.max()
    means = _means(X, popularity, known)
    rows = np.zeros((n_profiles, X.shape[1]))
    rows[:, targets] = high
    for row in rows:
        if attack == "bandwagon":
            row[most_popular[:n_filler]] = high
            continue
        filler = generator.choice(others, n_filler, replace=False)
        row[filler] = generator.choice(X.data, n_filler) if attack == "random" else means[filler]
    return sparse.csr_array(rows)


def flip_values(X: sparse.csr_array, places: Positions) -> sparse.csr_array:
    """Mirror some stored values: labels at zero, others at the middle of their range."""
    low, high = X.data.min(), X.data.max()
    if low == high:
        raise ValueError(
            f"all values of X are {low:g}; expected two kinds to flip between. Pass labels or "
            "ratings."
        )
    total = 0.0 if low < 0 < high else low + high
    flipped = X.copy()
    flipped.data[places] = total - X.data[places]
    return flipped


def _n_filler(n_filler: Any, X: sparse.csr_array, targets: Positions, others: Positions) -> int:
    if n_filler is None:
        n_active = np.count_nonzero(np.diff(X.indptr))
        n_filler = max(round(X.nnz / n_active) - len(targets), 0)
        return min(n_filler, len(others))
    if isinstance(n_filler, bool | np.bool_) or not isinstance(n_filler, int | np.integer):
        raise TypeError(f"n_filler={n_filler!r}; expected an integer. Pass a number of items.")
    if not 0 <= n_filler <= len(others):
        raise ValueError(
            f"n_filler={n_filler}; expected from 0 to {len(others)}, the items that are no "
            "targets. Pass a smaller number."
        )
    return int(n_filler)


def _means(X: sparse.csr_array, popularity: Any, known: Floats) -> Floats:
    """Return the value of X next to the mean of each item; of items without any, to that of all."""
    sums = np.bincount(X.indices, X.data, minlength=X.shape[1])
    means = np.where(popularity > 0, sums / np.maximum(popularity, 1), X.data.mean())
    after = np.clip(np.searchsorted(known, means), 1, max(len(known) - 1, 1))
    after = np.minimum(after, len(known) - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.abs(known[before] - means) <= np.abs(known[after] - means)
    return np.where(nearer, known[before], known[after])
