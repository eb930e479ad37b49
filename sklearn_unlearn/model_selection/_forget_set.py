"""Requests to forget, drawn from data: at random, by activity, category or time, or injected."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import check_array, check_random_state

from sklearn_unlearn.model_selection._attacks import ATTACKS, flip_values, make_profiles
from sklearn_unlearn.utils._interactions import keep_entries
from sklearn_unlearn.utils._matrices import as_numbers
from sklearn_unlearn.utils._validation import as_positions

__all__ = ["ForgetSet", "sample_forget_set"]

Positions = NDArray[np.int64]
KINDS = (
    "pairs",
    "users",
    "core_users",
    "edge_users",
    "items",
    "category",
    "time",
    *(f"{attack}_attack" for attack in ATTACKS),
    "flipped_labels",
)


@dataclass(frozen=True, eq=False, repr=False)
class ForgetSet:
    """Data to fit on, and a request to forget some of them.

    Parameters
    ----------
    kind : str
        As `sample_forget_set` takes it.

    X : csr_array of shape (n_users, n_items)
        What to fit on: the data that were passed, with injected profiles or flipped labels if the
        kind is such.

    request : dict
        Keywords of ``forget``: "users", "items" or "interactions", by position.

    pairs : ndarray of int64, shape (n_interactions, 2)
        What the request removes, ascending.

    Examples
    --------
    >>> from sklearn_unlearn import EASE
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.model_selection import sample_forget_set
    >>> X = make_interactions(60, 40, feedback="implicit", random_state=0)
    >>> forget_set = sample_forget_set(X, "edge_users", 0.05, random_state=0)
    >>> model = EASE().fit(forget_set.X).forget(**forget_set.request)
    >>> forget_set
    ForgetSet('edge_users', n_interactions=..., n_users=3)
    """

    kind: str
    X: sparse.csr_array
    request: dict[str, Positions]
    pairs: Positions

    @property
    def retained(self) -> sparse.csr_array:
        """X without what is forgotten, of the same shape: what a refit is fitted on."""
        return keep_entries(self.X, ~_are_in(self.X, self.pairs))

    def batches(self, n_batches: int) -> list[dict[str, Positions]]:
        """Divide the request into smaller ones, to be answered one after the other.

        Parameters
        ----------
        n_batches : int
            Number of requests, at most that of the users, items or pairs of this one.

        Returns
        -------
        requests : list of dict
            Keywords of ``forget``; together they are this request.

        Raises
        ------
        TypeError, ValueError
            If `n_batches` is no integer from 1 on, or there are fewer parts.
        """
        [(name, parts)] = self.request.items()
        if isinstance(n_batches, bool) or not isinstance(n_batches, int | np.integer):
            raise TypeError(f"n_batches={n_batches!r}; expected an integer. Pass a whole number.")
        if not 0 < n_batches <= len(parts):
            raise ValueError(
                f"n_batches={n_batches} and the request has {len(parts)} {name}; expected from 1 "
                "up to that. Pass a smaller number."
            )
        return [{name: part} for part in np.array_split(parts, int(n_batches))]

    def __repr__(self) -> str:
        n_users = len(np.unique(self.pairs[:, 0]))
        return f"ForgetSet({self.kind!r}, n_interactions={len(self.pairs)}, n_users={n_users})"


def sample_forget_set(
    X: Any,
    kind: str = "pairs",
    size: float | int | None = None,
    *,
    categories: Any = None,
    category: Any = None,
    timestamps: Any = None,
    window: tuple[Any, Any] | None = None,
    targets: Any = None,
    n_filler: int | None = None,
    random_state: Any = None,
) -> ForgetSet:
    """Draw a request to forget, of a kind that studies of unlearning use.

    Parameters
    ----------
    X : {array, sparse} of shape (n_users, n_items)
        Interactions. Never written to.

    kind : str, default="pairs"
        - "pairs": interactions at random;
        - "users", "items": whole ones at random, among those with interactions;
        - "core_users", "edge_users": those with the most, or the fewest, interactions [1]_;
        - "category": what some users did with the items of a category [2]_;
        - "time": interactions in a window of time;
        - "random_attack", "average_attack", "bandwagon_attack", "push_attack": users that are
          injected to raise some items [3]_, as new rows at the end of X. Each has the targets at
          the highest value, and filler items: at random, with values drawn from the data; at
          random, with the value next to the mean of the item; the items with the most interactions,
          at the highest value; none;
        - "flipped_labels": interactions at random, whose values are mirrored before the fit: -v
          for labels of both signs, else low + high - v.

    size : float, int or None, default=None
        A float between 0 and 1 is a share, rounded to at least one; an int is a number: of
        interactions, of users or of items; for "category" of the users who met it; for attacks of
        users to add. None is .01, but for "category" and "time" all that there is.

    categories : array-like of shape (n_items,), default=None
        Category of each item, for "category".

    category : object, default=None
        The one to forget: a value of `categories`.

    timestamps : array-like of shape (n_interactions,) or sparse of the shape of X, default=None
        Times for "time": of the stored values of X as CSR, row by row, or at the same places.

    window : tuple (start, stop), default=None
        From `start` on and before `stop`, for "time"; None leaves an end open.

    targets : int or array of int, default=None
        Items that attacks raise. None draws one among the tenth with the fewest interactions.

    n_filler : int, default=None
        Filler items of each injected user. None: as many as the mean user has interactions, less
        the targets.

    random_state : int, RandomState instance or None, default=None
        Seed of the draw.

    Returns
    -------
    forget_set : ForgetSet
        ``model.fit(forget_set.X).forget(**forget_set.request)`` against a fit of
        ``forget_set.retained``.

    Raises
    ------
    TypeError, ValueError
        For an unknown kind, what it needs and lacks, and a size that is none or leaves nothing.

    References
    ----------
    .. [1] Chen et al., "CURE4Rec: A Benchmark for Recommendation Unlearning with Deeper Influence",
       arXiv:2408.14393, 2024.
    .. [2] ERASE, a benchmark of sequential requests and sensitive items, arXiv:2603.08341, 2026.
    .. [3] Mobasher et al., "Toward trustworthy recommender systems: An analysis of attack models
       and algorithm robustness", ACM TOIT 7(4), 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.model_selection import sample_forget_set
    >>> X = np.array([[1, 1, 1], [0, 1, 0], [1, 0, 1]])
    >>> sample_forget_set(X, "core_users", 1).request
    {'users': array([0])}
    >>> spam = sample_forget_set(X, "bandwagon_attack", 1, targets=2, n_filler=1, random_state=0)
    >>> spam.X.toarray()
    array([[1., 1., 1.],
           [0., 1., 0.],
           [1., 0., 1.],
           [1., 0., 1.]])
    """
    if kind not in KINDS:
        raise ValueError(
            f"kind={kind!r}; expected one of {', '.join(map(repr, KINDS))}. Choose one of these."
        )
    X = _matrix(X)
    generator = check_random_state(random_state)
    if kind.endswith("_attack"):
        n = _number(size, int(np.count_nonzero(np.diff(X.indptr))), "users", all_=True)
        chosen = None if targets is None else as_positions(targets, X.shape[1], "targets", "items")
        rows = make_profiles(X, kind.removesuffix("_attack"), n, chosen, n_filler, generator)
        users = np.arange(X.shape[0], X.shape[0] + n)
        return _whole_lines(kind, sparse.csr_array(sparse.vstack([X, rows])), users=users)
    if kind in ("users", "core_users", "edge_users", "items"):
        return _lines(X, kind, size, generator)
    if kind == "category":
        return _category(X, size, categories, category, generator)
    if kind == "time":
        places = _in_window(X, timestamps, window)
        n = _number(1.0 if size is None else size, len(places), "interactions", all_=True)
        _check_left(len(places[:n]), X.nnz)
        return _pairs(kind, X, generator.permutation(places)[:n])
    places = generator.permutation(X.nnz)[: _number(size, X.nnz, "interactions")]
    return _pairs(kind, flip_values(X, places) if kind == "flipped_labels" else X, places)


def _lines(
    X: sparse.csr_array, kind: str, size: Any, generator: np.random.RandomState
) -> ForgetSet:
    """Draw whole users or items; of equal activity, at random."""
    axis = "items" if kind == "items" else "users"
    degrees = np.diff(X.indptr)
    if axis == "items":
        degrees = np.bincount(X.indices, minlength=X.shape[1])
    active = generator.permutation(np.flatnonzero(degrees))
    if kind in ("core_users", "edge_users"):
        sign = -1 if kind == "core_users" else 1
        active = active[np.argsort(sign * degrees[active], kind="stable")]
    chosen = np.sort(active[: _number(size, len(active), axis)])
    return _whole_lines(kind, X, **{axis: chosen})


def _category(
    X: sparse.csr_array, size: Any, categories: Any, category: Any, generator: Any
) -> ForgetSet:
    given = None if categories is None else np.asarray(categories)
    if given is None or given.shape != (X.shape[1],):
        shape = None if given is None else given.shape
        raise ValueError(
            f"categories has shape {shape}; expected ({X.shape[1]},), one for each item. Pass the "
            "category of every item."
        )
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    concerned = (given == category)[X.indices]
    users = generator.permutation(np.unique(rows[concerned]))
    if not len(users):
        raise ValueError(
            "no user has an interaction with an item of the category; expected some. Pass a value "
            "of categories that occurs."
        )
    chosen = users[: _number(1.0 if size is None else size, len(users), "users", all_=True)]
    places = np.flatnonzero(concerned & np.isin(rows, chosen))
    _check_left(len(places), X.nnz)
    return _pairs("category", X, places)


def _in_window(X: sparse.csr_array, timestamps: Any, window: Any) -> Positions:
    """Return which stored entries of X happened in a window of time."""
    if timestamps is None or not isinstance(window, tuple) or len(window) != 2:
        raise ValueError(
            f"timestamps and window={window!r} were passed; expected the times of the interactions "
            "and a tuple (start, stop). Pass both, with None for an open end."
        )
    if sparse.issparse(timestamps):
        # Explicit zeros are times; duplicates would be none.
        T = sparse.csr_array(timestamps, copy=True)
        T.sort_indices()
        if T.shape != X.shape or T.nnz != X.nnz or (T.indices != X.indices).any():
            raise ValueError(
                "timestamps is a matrix with other places than X; expected one time for each value "
                "of X that is not zero. Store times where X has interactions."
            )
        timestamps = T.data
    times = np.asarray(timestamps)
    if times.shape != (X.nnz,):
        raise ValueError(
            f"timestamps has shape {times.shape}; expected ({X.nnz},), one for each interaction. "
            "Pass times in the order of the rows of X."
        )
    inside = np.ones(X.nnz, bool)
    start, stop = window
    if start is not None:
        inside &= times >= start
    if stop is not None:
        inside &= times < stop
    if not inside.any():
        raise ValueError(
            f"no interaction is in the window {window!r}; expected some. Pass another window."
        )
    return np.flatnonzero(inside)


# -- parts of the answer ---------------------------------------------------------------------------
def _pairs(kind: str, X: sparse.csr_array, places: Positions) -> ForgetSet:
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    places = np.sort(places)
    pairs = np.column_stack([rows[places], X.indices[places]]).astype(np.int64)
    return ForgetSet(kind, X, {"interactions": pairs}, pairs)


def _whole_lines(kind: str, X: sparse.csr_array, **request: Positions) -> ForgetSet:
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    [(axis, chosen)] = request.items()
    inside = np.isin(rows if axis == "users" else X.indices, chosen)
    pairs = np.column_stack([rows, X.indices])[inside].astype(np.int64)
    _check_left(len(pairs), X.nnz)
    return ForgetSet(kind, X, {axis: chosen.astype(np.int64)}, pairs)


def _are_in(X: sparse.csr_array, pairs: Positions) -> NDArray[np.bool_]:
    """Tell of each stored entry of X whether it is among some pairs."""
    rows = np.repeat(np.arange(X.shape[0], dtype=np.int64), np.diff(X.indptr))
    keys = rows * X.shape[1] + X.indices
    return np.isin(keys, pairs[:, 0] * X.shape[1] + pairs[:, 1])


def _matrix(X: Any) -> sparse.csr_array:
    checked = check_array(as_numbers(X, "X"), accept_sparse="csr", dtype=np.float64, input_name="X")
    X = sparse.csr_array(checked, copy=True)
    X.sum_duplicates()
    X.eliminate_zeros()
    if not X.nnz:
        raise ValueError("X holds no interaction; expected at least two. Pass data.")
    return X


def _number(size: Any, n: int, what: str, all_: bool = False) -> int:
    """Turn a share or a number into a number from 1 to n, or n - 1 where something must be left."""
    size = 0.01 if size is None else size
    if isinstance(size, bool | np.bool_) or not isinstance(size, Real):
        raise TypeError(
            f"size={size!r}; expected a float between 0 and 1, or an int. Pass 0.05 for 5 %."
        )
    if isinstance(size, Integral):
        number = int(size)
    elif 0 < float(size) <= 1:
        number = max(round(float(size) * n), 1)
    else:
        number = 0
    if not 0 < number <= n - (not all_):
        raise ValueError(
            f"size={size} is {number} of {n} {what}; expected at least 1 and "
            f"{'at most all' if all_ else 'fewer than all'}. Pass another size."
        )
    return number


def _check_left(n_gone: int, n: int) -> None:
    if n_gone == n:
        raise ValueError(
            "the request holds all interactions; expected some to be left. Pass a smaller size."
        )
