"""Weights of baskets by their place in the history of their owner, and their exact correction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.backends import ScipyBackend
from sklearn_unlearn.exact.sequences import _basket_kernels as _kernels
from sklearn_unlearn.exact.sequences._session_index import session_times
from sklearn_unlearn.interactions import Interactions

__all__ = ["BasketVectors", "History", "basket_scores"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class History:
    """How much a basket counts, by its place in the history of its owner.

    Parameters
    ----------
    n_groups : int
        How many groups of consecutive baskets a history is cut into; one for each basket where
        there are fewer baskets. Groups are as long as each other, or the later ones longer by one.

    within_decay, group_decay : float
        Weight of a basket beside the next one of its group, and of a group beside the next one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.exact.sequences._basket_vectors import History
    >>> History(2, 0.5, 0.1).weights(np.array([3])).round(4)
    array([0.05 , 0.125, 0.25 ])
    """

    n_groups: int
    within_decay: float
    group_decay: float

    def weights(self, lengths: Ints) -> Floats:
        """Weigh the baskets of some owners, from the first to the last of each in turn."""
        if not len(lengths) or not lengths.max():
            return np.zeros(0)
        n_groups = np.repeat(np.minimum(self.n_groups, lengths), lengths)
        n = np.repeat(lengths, lengths)
        place = np.arange(len(n)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        short, n_long = np.divmod(n, n_groups)
        cut = short * (n_groups - n_long)  # where the groups that are longer by one begin
        early = place < cut
        size = short + ~early
        since = np.where(early, place, place - cut)
        group = since // size + np.where(early, 0, n_groups - n_long)
        within = _powers(self.within_decay, size.max())[size - 1 - since % size]
        across = _powers(self.group_decay, n_groups.max())[n_groups - 1 - group]
        return within / size * (across / n_groups)


def _powers(base: float, n: int) -> Floats:
    # One by one, so that a power does not depend on how many others are asked for.
    return np.array([base**exponent for exponent in range(int(n))])


@dataclass(frozen=True)
class BasketVectors:
    """Vectors of owners as weighted sums of their baskets, by the weights.

    Parameters
    ----------
    weights : ndarray of float64, shape (n_baskets,)
        Weight of each basket in the vector of its owner; 0 for an empty row.

    squares : ndarray of float64, shape (n_owners,)
        Squared norm of each vector.
    """

    weights: Floats
    squares: Floats

    @classmethod
    def of(cls, data: Interactions, owners: Ints, history: History) -> BasketVectors:
        """Weigh all baskets.

        Parameters
        ----------
        data : Interactions
            Baskets, with times as values.

        owners : ndarray of int64, shape (n_baskets,)
            Whose they are.

        history : History
            What weighs them.

        Returns
        -------
        vectors : BasketVectors
        """
        nothing = cls(np.zeros(data.n_users), np.zeros(int(owners.max(initial=-1)) + 1))
        return nothing.again(data, owners, history, np.arange(len(nothing.squares)))

    def again(
        self, data: Interactions, owners: Ints, history: History, touched: Ints
    ) -> BasketVectors:
        """Weigh the baskets of some owners again.

        Parameters
        ----------
        data, owners, history
            As of `of`, after a request.

        touched : ndarray of int64
            Distinct owners, ascending.

        Returns
        -------
        vectors : BasketVectors
            Equal to that of `of`, bit for bit, if no basket of another owner has changed.
        """
        marked = np.zeros(len(self.squares), bool)
        marked[touched] = True
        rows = np.flatnonzero(marked[owners])
        rows = rows[np.argsort(owners[rows], kind="stable")]
        weights, squares = self.weights.copy(), self.squares.copy()
        weights[rows] = 0.0
        rows = rows[data.degrees_of(rows) > 0]
        rows = rows[np.lexsort((rows, session_times(data, rows), owners[rows]))]
        lengths = np.bincount(owners[rows], minlength=len(squares))[touched]
        weights[rows] = history.weights(lengths)
        starts, found = np.append(0, np.cumsum(lengths)), np.empty(len(touched))
        cells = _frozen((data.indptr, data.indices))
        _kernels.square_norms(starts, rows, cells[0], cells[1], weights, data.n_items, found)
        squares[touched] = found
        return BasketVectors(weights, squares)

    def grown(self, n_rows: int, n_owners: int) -> BasketVectors:
        """Return the same vectors beside empty ones."""
        more = n_rows - len(self.weights), n_owners - len(self.squares)
        return BasketVectors(
            np.append(self.weights, np.zeros(more[0])), np.append(self.squares, np.zeros(more[1]))
        )

    def rows(self, data: Interactions, owners: Ints, asked: Ints) -> sparse.csr_array:
        """Add up the vectors of some owners, in any order, shape (len(asked), n_items)."""
        distinct, place = np.unique(asked, return_inverse=True)
        marked = np.zeros(len(self.squares), bool)
        marked[distinct] = True
        rows = np.flatnonzero(marked[owners])
        baskets = data.rows_of_users(rows)
        baskets.data = np.repeat(self.weights[rows], data.degrees_of(rows))
        numbers = np.searchsorted(distinct, owners[rows])
        cells = np.ones(len(rows)), (numbers, np.arange(len(rows)))
        summed = sparse.csr_array(cells, shape=(len(distinct), len(rows))) @ baskets
        summed.sort_indices()
        return summed[place]


def basket_scores(
    queries: sparse.csr_array,
    own: Ints,
    data: Interactions,
    owners: Ints,
    vectors: BasketVectors,
    settings: tuple[int, float],
    backend: ScipyBackend,
) -> Floats:
    """Score every item for some vectors.

    Parameters
    ----------
    queries : csr_array of shape (n, n_items)
        Vectors of owners.

    own : ndarray of int64, shape (n,)
        Whose they are, -1 for someone new.

    data, owners, vectors
        The baskets, whose they are, and how much each counts.

    settings : tuple
        How many neighbours there are, and the weight of what is their own beside theirs.

    backend : ScipyBackend
        Whose threads share the rows. The result does not depend on it.

    Returns
    -------
    scores : ndarray of float64, shape (n, n_items)
        Zero where a vector is, and where there is no basket at all.
    """
    out = np.zeros((queries.shape[0], data.n_items))
    if not data.n_interactions:
        return out  # a model that knows nothing does not tell rows apart
    indptr, indices = queries.indptr.astype(np.int64), queries.indices.astype(np.int64)
    weights, squares = _frozen((vectors.weights, vectors.squares))
    (whose,) = _frozen((owners,))
    backend._run(
        _kernels.score_baskets,
        np.arange(len(out) + 1),
        data.n_interactions,
        _frozen((indptr, indices, queries.data.astype(np.float64))),
        *_frozen((own,)),
        _frozen((data.indptr, data.indices)),
        weights,
        whose,
        squares,
        *settings,
        out,
    )
    return out


def _frozen(arrays: Any) -> tuple[NDArray[Any], ...]:
    # One type, whatever keeps the array: kernels are compiled for each type.
    views = tuple(np.ascontiguousarray(one).view() for one in arrays)
    for view in views:
        view.setflags(write=False)
    return views
