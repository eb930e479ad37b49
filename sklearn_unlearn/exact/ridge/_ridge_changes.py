"""What a request changes of ``M = X' W X + regularization I``, in the form of the lowest rank.

- An item that is left without interactions is cut out of M: a Schur complement of rank 1.
- A user who is left without interactions takes ``w x x'`` along, and one who had none brings it:
  rank 1.
- A user who keeps ``z = x - d`` takes ``w (d z' + z d' + d d')`` along, d being negative where
  interactions come: rank 2.
- An item some of whose interactions change changes a row and a column of M: rank 2.
- Where the weight of a user depends on its row, it changes: rank 2, whatever goes of the row.
- Dropout adds a share of the diagonal of X' W X to M: rank 1 for each item of a user who is
  covered; in the row of an item it is covered already.

Every interaction that changes must be covered by its user or by its item, once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.exact.ridge._ridge_terms import RidgeTerms
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._interactions import concatenate_ranges, joint_weights, rows_of

__all__ = ["Change", "ChangedCells", "cheapest_change"]

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]
_NONE = np.empty(0, np.int64)
_PLAIN = RidgeTerms(1.0)


@dataclass(frozen=True, eq=False)
class Change:
    """Items to cut out of M, and then a term ``vectors.T @ inv(core) @ vectors`` to add.

    Parameters
    ----------
    items : ndarray of int64
        Items to cut out.

    vectors : csr_array of float64, shape (rank - len(items), n_items)
        Zero at these items.

    core : ndarray of float64, shape (rank - len(items), rank - len(items))
        Symmetric.
    """

    items: Positions
    vectors: sparse.csr_array
    core: Floats

    @property
    def rank(self) -> int:
        """Rank of the correction of the inverse of M."""
        return len(self.items) + len(self.core)


class ChangedCells:
    """The interactions that go and those that come, by user and by item.

    Parameters
    ----------
    before, after : Interactions
        Of one shape.

    positions : ndarray of int64
        Where those that go are in `before`, ascending.

    added : ndarray of int64, default=()
        Where those that come are in `after`, ascending.

    terms : RidgeTerms, default=RidgeTerms(1.0)
        How users count, and dropout.

    Attributes
    ----------
    users, items : ndarray of int64, shape (n_interactions,)
        Where each is.

    values : ndarray of float64, shape (n_interactions,)
        What is lost of each: of those that come, minus the value.

    n_lost : ndarray of int64, shape (n_items,)
        How many of each item change.

    emptied : ndarray of bool, shape (n_items,)
        Items that are left without interactions.

    penalties : ndarray of float64, shape (n_items,) or (0,)
        What is added to the diagonal of M besides the change of ``X' W X``; empty without dropout.
    """

    def __init__(
        self,
        before: Interactions,
        after: Interactions,
        positions: Positions,
        added: Positions = _NONE,
        terms: RidgeTerms = _PLAIN,
    ) -> None:
        from sklearn_unlearn.exact.ridge._ridge_kernels import count_items

        self.before, self.after, self.terms = before, after, terms
        parts = ((before, positions, 1.0), (after, added, -1.0))
        self.users = np.concatenate([rows_of(data.indptr, cells) for data, cells, _ in parts])
        self.items = np.concatenate(
            [data.indices[cells].astype(np.int64) for data, cells, _ in parts]
        )
        self.values = np.concatenate(
            [sign * data.values[cells].astype(np.float64) for data, cells, sign in parts]
        )
        self.n_lost = np.bincount(self.items, minlength=before.n_items)
        counts = np.zeros(before.n_items, np.int64)
        count_items(np.asarray(after.indices), counts)
        self.emptied = (self.n_lost > 0) & (counts == 0)
        self.penalties = self._penalties() if terms.dropout else np.empty(0)

    def weights(self, users: Positions) -> tuple[Floats, Floats]:
        """Weights before and after of users, who may have no interactions left, or had none."""
        sides = ((data.indptr, data.row_weights) for data in (self.before, self.after))
        joint = joint_weights(*sides)
        weights = np.ones(len(users)) if joint is None else np.asarray(joint)[users]
        if not self.terms.weighs_users:
            return weights, weights
        before, after = (
            self.terms.scales(data.degrees_of(users)) for data in (self.before, self.after)
        )
        return weights * before, weights * after

    def _penalties(self) -> Floats:
        users, lost, kept = self.rows(np.ones(len(self.users), bool))
        old, new = self.weights(users)
        change: Floats = new @ kept.power(2) - old @ (kept + lost).power(2)
        return self.terms.odds * change

    def rows(self, kept: NDArray[np.bool_]) -> tuple[Positions, sparse.csr_array, sparse.csr_array]:
        """Return distinct users of some cells, what they lose there, and what they have then."""
        users, place = np.unique(self.users[kept], return_inverse=True)
        shape = (len(users), self.before.n_items)
        lost = sparse.csr_array((self.values[kept], (place, self.items[kept])), shape=shape)
        indptr = np.append(0, np.cumsum(self.after.user_degrees[users]))
        cells = concatenate_ranges(self.after.indptr, users)
        values = self.after.values[cells].astype(np.float64)
        return users, lost, sparse.csr_array((values, self.after.indices[cells], indptr), shape)


def cheapest_change(loss: ChangedCells, max_rank: int) -> Change | None:
    """Find the change of the lowest rank, among a few that are quick to find.

    Parameters
    ----------
    loss : ChangedCells
        What changes.

    max_rank : int
        No change of a higher rank is wanted.

    Returns
    -------
    change : Change or None
        None if the rank is too high.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.exact.ridge._ridge_changes import ChangedCells, cheapest_change
    >>> from sklearn_unlearn.exact.ridge._ridge_terms import RidgeTerms
    >>> from sklearn_unlearn.interactions import Interactions
    >>> before = Interactions.from_matrix([[1, 1, 0], [1, 1, 0], [1, 2, 3]])
    >>> def rank(*positions):
    ...     loss = ChangedCells(before, before.remove(positions), np.array(positions))
    ...     return cheapest_change(loss, 9).rank
    >>> rank(0, 1), rank(0), rank(0, 2, 4), rank(1, 3)
    (1, 2, 1, 2)
    """
    nothing, shared = np.zeros_like(loss.emptied), loss.emptied & (loss.n_lost > 1)
    partial = (loss.n_lost > 0) & ~loss.emptied
    ranks = [_rank_by_users(loss, nothing)]
    if not loss.terms.weighs_users:
        ranks += [
            # An item that one user takes along is covered by the user.
            int(shared.sum()) + _rank_by_users(loss, shared),
            int(loss.emptied.sum()) + 2 * int(partial.sum()),
        ]
    cheapest = int(np.argmin(ranks))
    if ranks[cheapest] > max_rank:
        return None
    if cheapest == 2:
        return _by_items(loss, loss.emptied, np.flatnonzero(partial))
    return _by_users(loss, (nothing, shared)[cheapest])


def _rank_by_users(loss: ChangedCells, cut: NDArray[np.bool_]) -> int:
    users = np.unique(loss.users[~cut[loss.items]])
    n_penalties = len(_penalized(loss, cut))
    return len(users) + int(np.count_nonzero(_keeps(loss, users))) + n_penalties


def _penalized(loss: ChangedCells, cut: NDArray[np.bool_]) -> Positions:
    """Items whose penalty changes, but for those that are cut out."""
    return np.flatnonzero((loss.penalties != 0) & ~cut) if len(loss.penalties) else _NONE


def _keeps(loss: ChangedCells, users: Positions) -> NDArray[np.bool_]:
    """Users who have interactions both before and after."""
    return (loss.before.degrees_of(users) > 0) & (loss.after.degrees_of(users) > 0)


def _by_users(loss: ChangedCells, cut: NDArray[np.bool_]) -> Change:
    """Cover what is not cut out by users: d, and z where there is any.

    ``v z z' - w (z + d)(z + d)'``, v being the weight w then, is ``[d z] S [d z]'`` with
    S = [-w -w; -w v-w], whose inverse is [1/v-1/w -1/v; -1/v 1/v]. Without z it is -1 / w. Of a
    user who had nothing d is -z, and v z z' comes: 1 / v. Changes of penalties are a diagonal.
    """
    users, lost, kept = loss.rows(~cut[loss.items])
    partial = np.flatnonzero(_keeps(loss, users))
    signs = np.where(loss.before.degrees_of(users) > 0, -1.0, 1.0)
    old, new = (1.0 / weights for weights in loss.weights(users))
    n, penalized = len(users), _penalized(loss, cut)
    second = n + np.arange(len(partial))
    third = n + len(partial) + np.arange(len(penalized))
    core = np.zeros((n + len(partial) + len(penalized),) * 2)
    core[np.arange(n), np.arange(n)] = np.where(signs < 0, -old, new)
    core[partial, partial] = (new - old)[partial]
    core[partial, second] = core[second, partial] = -new[partial]
    core[second, second] = new[partial]
    parts = [lost, kept[partial]]
    if len(penalized):
        core[third, third] = 1.0 / loss.penalties[penalized]
        parts.append(_units(penalized, len(cut)))
    vectors = sparse.csr_array(sparse.vstack(parts, format="csr"))
    return Change(np.flatnonzero(cut), vectors, core)


def _units(items: Positions, n_items: int) -> sparse.csr_array:
    n = len(items)
    return sparse.csr_array((np.ones(n), items, np.arange(n + 1)), shape=(n, n_items))


def _by_items(loss: ChangedCells, cut: NDArray[np.bool_], items: Positions) -> Change:
    """Cover what is not cut out by items: N, the columns of the change of M, and unit vectors E.

    The change ``N E' + E N' - E D E'``, D being N at these items, is ``[E N] S [E N]'`` with
    S = [-D I; I 0], whose inverse is [0 I; I D].
    """
    users, lost, kept = loss.rows(~cut[loss.items])
    weighted = sparse.diags_array(loss.weights(users)[0])
    lost_T, kept_T = (part[:, items].T @ weighted for part in (lost, kept))
    # X' W X before and after, with x = z + d: d'(z + d) + z'd less.
    columns = sparse.csr_array(-(lost_T @ (kept + lost) + kept_T @ lost))
    n, units = len(items), _units(items, len(cut))
    if len(loss.penalties):
        columns += sparse.csr_array(sparse.diags_array(loss.penalties[items]) @ units)
    core = np.zeros((2 * n, 2 * n))
    core[np.arange(n), n + np.arange(n)] = core[n + np.arange(n), np.arange(n)] = 1.0
    core[n:, n:] = columns[:, items].toarray()
    vectors = sparse.csr_array(sparse.vstack((units, columns), format="csr"))
    return Change(np.flatnonzero(cut), vectors, core)
