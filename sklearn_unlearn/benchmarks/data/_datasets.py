"""Data of a benchmark: made, or read from a file that the user names."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.datasets import load_interactions, make_interactions
from sklearn_unlearn.preprocessing import InteractionEncoder

__all__ = ["Problem", "load_problem"]

Ints = NDArray[np.int64]
Triple = tuple[Ints, Ints, NDArray[np.float64]]

_DEFAULT_SIZE = 1000
_EXPECTED = "'synthetic', 'synthetic-USERS', 'events:PATH' or 'npz:PATH'"


@dataclass(frozen=True, eq=False)
class Problem:
    """Interactions to learn from, and some to test on.

    Parameters
    ----------
    name : str
        Its name in tables; never a path.

    X : csr_array of shape (n_users, n_items)
        Training data: +1 and -1 where `labels`, 1 where `implicit`, else ratings.

    test : tuple of three arrays, each of shape (n_test,)
        Users, items and values that were held out; possibly empty.

    labels : bool
        Whether values are labels.

    suspects : dict of str to ndarray of shape (n, 2)
        Pairs that the file names as those to flip and forget, by their share ("1%").

    implicit : bool, default=False
        Whether the data say only what was observed: all values are 1.

    Examples
    --------
    >>> from sklearn_unlearn.benchmarks import load_problem
    >>> problem = load_problem("synthetic-50")
    >>> problem.name, problem.implicit
    ('synthetic-50', False)
    """

    name: str
    X: sparse.csr_array
    test: Triple
    labels: bool
    suspects: dict[str, Ints] = field(default_factory=dict)
    implicit: bool = False

    def describe(self) -> dict[str, Any]:
        """Return name and sizes, for JSON."""
        degrees = np.diff(self.X.indptr)
        active = degrees[degrees > 0]
        return {
            "name": self.name,
            "n_users": self.X.shape[0],
            "n_items": self.X.shape[1],
            "n_interactions": self.X.nnz,
            "n_test": len(self.test[0]),
            "values": self._kind,
            "share_positive": float(np.mean(self.X.data > 0)) if self.labels else None,
            "median_user_degree": float(np.median(active)),
            "heavy_user_degree": float(np.quantile(active, 0.99)),
        }

    @property
    def _kind(self) -> str:
        if self.implicit:
            return "observed"
        return "labels" if self.labels else "ratings"


def load_problem(
    spec: str,
    *,
    threshold: float | None = None,
    test_size: float = 0.2,
    seed: int = 0,
    implicit: bool = False,
) -> Problem:
    """Make or read the data of a benchmark.

    Parameters
    ----------
    spec : str
        ``"synthetic"`` or ``"synthetic-USERS"``; ``"events:PATH"``, a file for
        `datasets.load_interactions`; ``"npz:PATH"``, a file with the arrays user, item and rating
        (or label), or, already split, train_user, train_item, train_label (or train_rating) and
        the same for test. User and item are positions. With `implicit` a file needs no values.

    threshold : float, default=None
        Values from it on are labelled +1 and those below -1. None leaves values as they are; labels
        0 and 1 become -1 and +1.

    test_size : float, default=0.2
        Share to hold out at random where the data are not split yet.

    seed : int, default=0
        Seed of made data and of the split.

    implicit : bool, default=False
        Make implicit feedback: 1 for values from the threshold on (without one: above 0) and
        nothing for the others.

    Returns
    -------
    problem : Problem

    Raises
    ------
    ValueError
        If `spec` is none of these, or the file lacks an array.

    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> from sklearn_unlearn.benchmarks import load_problem
    >>> problem = load_problem("synthetic-50")
    >>> problem.X.shape, problem.labels
    ((50, 25), True)
    """
    kind, _, rest = spec.partition(":")
    made = re.fullmatch(r"synthetic(?:-(\d+))?", spec)
    if made:
        size = int(made[1] or _DEFAULT_SIZE)
        X = make_interactions(size, max(size // 2, 1), random_state=seed)
        parts = _split(_triple_of(X), test_size, seed)
        return _problem(spec, *parts, X.shape, threshold, implicit)
    if kind == "events" and rest:
        X = InteractionEncoder(value="value", duplicates="last").fit_transform(
            load_interactions(rest, zeros="keep")
        )
        parts = _split(_triple_of(X), test_size, seed)
        return _problem(Path(rest).name, *parts, X.shape, threshold, implicit)
    if kind == "npz" and rest:
        return _read_npz(rest, threshold, test_size, seed, implicit)
    raise ValueError(
        f"Got the problem {spec!r}; expected {_EXPECTED}. See --help for what the files hold."
    )


def _triple_of(X: sparse.csr_array) -> Triple:
    X = X.tocoo()
    return X.row.astype(np.int64), X.col.astype(np.int64), X.data.astype(np.float64)


def _split(data: Triple, test_size: float, seed: int) -> tuple[Triple, Triple]:
    held_out = np.random.default_rng(seed).random(len(data[0])) < test_size
    train, test = (tuple(part[mask] for part in data) for mask in (~held_out, held_out))
    return train, test  # type: ignore[return-value]  # three arrays: a generator hides the length


def _read_npz(
    path: str, threshold: float | None, test_size: float, seed: int, implicit: bool
) -> Problem:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"Got the path {path!r}; expected an .npz file. Check the path.")
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if "train_user" not in arrays:
        data = _columns(arrays, "", threshold, implicit)
        train, test = _split(data, test_size, seed)
    else:
        data = train = _columns(arrays, "train_", threshold, implicit)
        test = train[0][:0], train[1][:0], train[2][:0]
        if "test_user" in arrays:
            test = _columns(arrays, "test_", threshold, implicit)
    ends = [(part[0].max(initial=-1), part[1].max(initial=-1)) for part in (data, test)]
    shape = tuple(int(max(side)) + 1 for side in zip(*ends, strict=True))
    suspects = {}
    for name, n_kept in arrays.items():
        share = re.fullmatch(r"n_keep_(\w+)pct", name)
        if share:
            suspects[f"{share[1]}%"] = np.column_stack(train[:2])[int(n_kept) :]
    return _problem(Path(path).name, train, test, shape, threshold, implicit, suspects)


def _columns(
    arrays: dict[str, Any], prefix: str, threshold: float | None, implicit: bool
) -> Triple:
    """Take user, item and value; a threshold is for ratings, so it prefers them to labels."""
    names = ("rating", "label") if threshold is not None else ("label", "rating")
    value = next((prefix + name for name in names if prefix + name in arrays), prefix + names[0])
    if implicit and threshold is None and value not in arrays and prefix + "user" in arrays:
        arrays = {**arrays, value: np.ones(len(arrays[prefix + "user"]))}
    for name in (prefix + "user", prefix + "item", value):
        if name not in arrays:
            raise ValueError(
                f"the file has no array {name!r} but {', '.join(sorted(arrays))}; expected user, "
                "item and rating or label, or the same with the prefixes train_ and test_. Rename "
                "the arrays."
            )
    users, items = (arrays[prefix + name] for name in ("user", "item"))
    if users.dtype.kind not in "iu" or items.dtype.kind not in "iu" or not len(users):
        raise ValueError(
            f"user and item have dtypes {users.dtype} and {items.dtype} and {len(users)} rows; "
            "expected positions, integers from 0 on. Use events:PATH for files with ids."
        )
    return users.astype(np.int64), items.astype(np.int64), arrays[value].astype(np.float64)


def _problem(
    name: str,
    train: Triple,
    test: Triple,
    shape: tuple[int, ...],
    threshold: float | None,
    implicit: bool,
    suspects: dict[str, Ints] | None = None,
) -> Problem:
    if implicit:
        train, test = (_positives(part, threshold) for part in (train, test))
        X = _matrix_of_last(train, (shape[0], shape[1]))
        return Problem(name, X, test, False, suspects or {}, True)
    known = set(np.unique(train[2]).tolist())
    labels = threshold is not None or known <= {-1.0, 0.0, 1.0}
    if labels:
        limit = 0.5 if threshold is None else threshold
        train, test = (
            (users, items, np.where(values >= limit, 1.0, -1.0))
            for users, items, values in (train, test)
        )
        if len(set(np.unique(train[2]).tolist())) < 2:
            raise ValueError(
                f"all {len(train[0])} training labels are equal; expected both kinds. Pass a "
                "--threshold between the lowest and the highest rating."
            )
    X = _matrix_of_last(train, (shape[0], shape[1]))
    return Problem(name, X, test, labels, suspects or {})


def _positives(data: Triple, threshold: float | None) -> Triple:
    """Take what counts as observed, with values of 1."""
    users, items, values = data
    kept = values > 0 if threshold is None else values >= threshold
    if len(kept) and not kept.any():
        raise ValueError(
            f"none of {len(values)} values is {'above 0' if threshold is None else threshold}"
            "; expected some that count as observed. Pass a lower --threshold."
        )
    return users[kept], items[kept], np.ones(np.count_nonzero(kept))


def _matrix_of_last(data: Triple, shape: tuple[int, int]) -> sparse.csr_array:
    """Make the matrix; of several values of one pair the last counts, where SciPy would add."""
    users, items, values = data
    cells = users * shape[1] + items
    _, first_from_the_end = np.unique(cells[::-1], return_index=True)
    last = len(cells) - 1 - first_from_the_end
    last = last[values[last] != 0]
    return sparse.csr_array((values[last], (users[last], items[last])), shape=shape)
