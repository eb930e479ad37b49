"""Questions that training data can ask of a ranking: which item did this row hold besides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.sharding._partitions import Partition
from sklearn_unlearn.utils._random import hashed_bits, hashed_uniform

__all__ = ["Questions", "draw_questions"]

_MAX_ROWS = 1024
_SHARE_HIDDEN = 0.2
_N_DRAWN = 256
# Streams of hashed numbers.
_ROWS, _HIDDEN, _ITEMS, _DRAWN = 11, 12, 13, 14


@dataclass(frozen=True, eq=False)
class Questions:
    """Rows without some of what they hold, each with one hidden item that should rank high.

    Parameters
    ----------
    rows : csr_array of shape (n, n_items)
        What is shown.

    answers : ndarray of int64, shape (n,)
        The hidden item.

    marked : csr_array of shape (n, n_items)
        Stored are the items that an answer has to beat or, where `beats_marked` is false, those
        that it need not.

    beats_marked : bool
        What `marked` marks.

    drawn : ndarray of int64, shape (n, n_drawn)
        Items drawn from those that the answer has to beat; -1 where the draw gave another.

    shards : ndarray of int32, shape (n,)
        The shard that was fitted to the hidden interaction.
    """

    rows: Any
    answers: NDArray[np.int64]
    marked: Any
    beats_marked: bool
    drawn: NDArray[np.int64]
    shards: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.answers)

    def part(self, chosen: slice) -> Questions:
        """Return some of the questions."""
        names = ("rows", "answers", "marked", "drawn", "shards")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def rivals(self) -> NDArray[np.bool_]:
        """Mark what the answers have to beat, shape (n, n_items)."""
        table = np.full(self.marked.shape, not self.beats_marked)
        of = np.repeat(np.arange(len(self)), np.diff(self.marked.indptr))
        table[of, self.marked.indices] = self.beats_marked
        return table


def draw_questions(
    data: Interactions, partition: Partition, seed: int, *, implicit: bool
) -> Questions:
    """Hide a fifth of what some rows hold, and ask for one hidden item of each.

    What is drawn depends on seed, user and item alone.

    Parameters
    ----------
    data : Interactions
        Training data.

    partition : Partition
        Where they are.

    seed : int
        Of the draws.

    implicit : bool
        Whether the answer, any hidden item, has to beat all items that the row does not hold. If
        not, it is the hidden item of the highest value, and has to beat those of lower values.

    Returns
    -------
    questions : Questions
        In random order.
    """
    hidden = hashed_uniform(seed, data.rows, data.indices, _HIDDEN) < _SHARE_HIDDEN
    users, best = _answers(data, np.flatnonzero(hidden), seed, implicit)
    marked = data.to_csr()[users]
    if not implicit:
        marked = data.subset(hidden).to_csr()[users]
        beaten = marked.data < np.repeat(data.values[best], np.diff(marked.indptr))
        marked = sparse.csr_array((beaten, marked.indices, marked.indptr), shape=marked.shape)
        marked.eliminate_zeros()
    bits = hashed_bits(seed, users[:, None], np.arange(_N_DRAWN), _DRAWN)
    if implicit:
        drawn = (bits % np.uint64(data.n_items)).astype(np.int64)
        held = data.contains(np.repeat(users, _N_DRAWN), drawn.ravel())
        drawn[held.reshape(drawn.shape)] = -1
    else:
        sizes = np.diff(marked.indptr)[:, None].astype(np.uint64)
        drawn = marked.indices[marked.indptr[:-1, None] + (bits % sizes).astype(np.int64)]
    return Questions(
        rows=data.remove(hidden).to_csr()[users],
        answers=data.indices[best].astype(np.int64),
        marked=marked,
        beats_marked=not implicit,
        drawn=drawn,
        shards=partition.of(data, best),
    )


def _answers(
    data: Interactions, hidden: NDArray[np.int64], seed: int, implicit: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Users to ask about, in random order, and the position of the answer of each."""
    users = np.asarray(data.rows)[hidden]
    keys = hashed_bits(seed, users, data.indices[hidden], _ITEMS)
    order = np.lexsort((keys, keys if implicit else -data.values[hidden], users))
    users, first = np.unique(users[order], return_index=True)
    n_hidden = np.diff(np.append(first, len(hidden)))
    best = hidden[order[first]]
    usable = n_hidden < data.user_degrees[users]  # something has to be shown
    if not implicit:
        usable &= data.values[hidden[order[first + n_hidden - 1]]] < data.values[best]
    users, best = users[usable].astype(np.int64), best[usable]
    chosen = np.argsort(hashed_bits(seed, users, _ROWS), kind="stable")[:_MAX_ROWS]
    return users[chosen], best[chosen]
