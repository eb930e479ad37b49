"""Requests that a benchmark makes: one pair, one user, many."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.utils._interactions import rows_of
from sklearn_unlearn.utils._verbs import cached_property

__all__ = ["REQUESTS", "Request", "make_request"]

#: What the command measures unless told otherwise.
REQUESTS = ("pair", "median-user", "heavy-user", "random-1%", "users-100")

_EXPECTED = (
    "'pair', 'pairs-N', 'median-user', 'heavy-user', 'user-Q%', 'item-Q%', 'users-N', 'users-P%' "
    "or 'random-P%'"
)


@dataclass(frozen=True, eq=False)
class Request:
    """A request to forget, in the form that ``forget`` takes, and what it removes.

    Parameters
    ----------
    name : str
        Its name in tables.

    arguments : dict
        Arguments of ``forget``.

    positions : ndarray of int, shape (n_interactions,)
        Which stored entries of X go.

    X : csr_array
        The data before; read only.

    Examples
    --------
    >>> from sklearn_unlearn.benchmarks import make_request
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> request = make_request("pair", make_interactions(60, 40, random_state=0))
    >>> request.name, len(request.positions)
    ('pair', 1)
    """

    name: str
    arguments: dict[str, Any]
    positions: NDArray[np.int64]
    X: sparse.csr_array

    @cached_property
    def users(self) -> NDArray[np.int64]:
        """Users that lose an interaction."""
        return np.unique(rows_of(self.X.indptr, self.positions))

    @cached_property
    def items(self) -> NDArray[np.int64]:
        """Items that lose an interaction."""
        return np.unique(self.X.indices[self.positions]).astype(np.int64)

    @cached_property
    def retained(self) -> sparse.csr_array:
        """X without what is forgotten, of the same shape."""
        kept = np.ones(self.X.nnz, bool)
        kept[self.positions] = False
        rows = self.X.tocoo().row[kept]
        return sparse.csr_array((self.X.data[kept], (rows, self.X.indices[kept])), self.X.shape)


def make_request(name: str, X: sparse.csr_array, random_state: int = 0) -> Request:
    """Make a request on some data.

    Parameters
    ----------
    name : str
        ``"pair"``: one interaction at random. ``"median-user"``, ``"heavy-user"``: the user at the
        50th and at the 99th percentile of activity; ``"user-Q%"``, ``"item-Q%"``: at the Qth.
        ``"users-N"``, ``"users-P%"``: N users, or P percent of them, at random, in one request.
        ``"pairs-N"``, ``"random-P%"``: N interactions, or P percent of them, at random.

    X : csr_array of shape (n_users, n_items)
        The training data, sorted and without duplicates.

    random_state : int, default=0
        Seed of the draws.

    Returns
    -------
    request : Request

    Raises
    ------
    ValueError
        For a name that is none of these, or more users than there are.

    Examples
    --------
    >>> from sklearn_unlearn.benchmarks import make_request
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(60, 40, random_state=0)
    >>> request = make_request("random-1%", X)
    >>> len(request.positions), X.nnz - request.retained.nnz
    (12, 12)
    """
    rng = np.random.default_rng(random_state)
    number = re.fullmatch(r"(users|pairs)-(\d+)", name)
    one = re.fullmatch(r"(user|item)-(\d+)%", name)
    share = re.fullmatch(r"(random|users)-(\d+(?:\.\d+)?)%", name)
    if name == "pair":
        return request_entries(name, X, rng.integers(X.nnz, size=1))
    if name in ("median-user", "heavy-user"):
        return request_users(name, X, [user_at(X, 0.5 if name == "median-user" else 0.99)])
    if one and int(one[2]) <= 100:
        quantile = int(one[2]) / 100
        if one[1] == "user":
            return request_users(name, X, [user_at(X, quantile)])
        return request_item(name, X, item_at(X, quantile))
    if number and int(number[2]) and number[1] == "users":
        return request_users(name, X, draw_users(X, int(number[2]), rng))
    if number and 0 < int(number[2]) < X.nnz:
        return request_entries(name, X, rng.choice(X.nnz, int(number[2]), replace=False))
    if share and 0 < float(share[2]) < 100:
        whole = X.nnz if share[1] == "random" else np.count_nonzero(np.diff(X.indptr))
        n = max(1, round(whole * float(share[2]) / 100))
        if share[1] == "users":
            return request_users(name, X, draw_users(X, n, rng))
        return request_entries(name, X, rng.choice(X.nnz, n, replace=False))
    raise ValueError(
        f"Got the request {name!r}; expected {_EXPECTED}, with N from 1 on, P between 0 and 100 "
        "and Q from 0 to 100. Choose from these, separated by commas."
    )


def request_entries(name: str, X: sparse.csr_array, positions: Any) -> Request:
    """Ask for single interactions, as pairs."""
    positions = np.sort(np.asarray(positions, np.int64))
    users = rows_of(X.indptr, positions)
    pairs = np.column_stack([users, X.indices[positions]]).astype(np.int64)
    return Request(name, {"interactions": pairs}, positions, X)


def request_users(name: str, X: sparse.csr_array, users: Any) -> Request:
    """Ask for whole users."""
    users = np.sort(np.asarray(users, np.int64))
    ranges = [np.arange(X.indptr[user], X.indptr[user + 1], dtype=np.int64) for user in users]
    return Request(name, {"users": users}, np.concatenate(ranges), X)


def request_item(name: str, X: sparse.csr_array, item: int) -> Request:
    """Ask for a whole item."""
    return Request(name, {"items": np.array([item])}, np.flatnonzero(X.indices == item), X)


def user_at(X: sparse.csr_array, quantile: float) -> int:
    """Return the user at a quantile of activity, among those with interactions."""
    return _row_at(np.diff(X.indptr), quantile)


def item_at(X: sparse.csr_array, quantile: float) -> int:
    """Return the item at a quantile of popularity, among those with interactions."""
    return _row_at(np.bincount(X.indices, minlength=X.shape[1]), quantile)


def _row_at(degrees: NDArray[Any], quantile: float) -> int:
    order = np.argsort(degrees, kind="stable")
    order = order[degrees[order] > 0]
    return int(order[int(quantile * (len(order) - 1))])


def draw_users(X: sparse.csr_array, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw users with interactions, without replacement."""
    active = np.flatnonzero(np.diff(X.indptr))
    if n >= len(active):
        raise ValueError(
            f"Got a request for {n} users of data with {len(active)}; expected fewer than there "
            "are. Ask for fewer users, or take a larger problem."
        )
    return rng.choice(active, n, replace=False)
