"""Session-based nearest neighbours: VS-kNN and VMIS-kNN."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from sklearn_unlearn._forget_request import ForgetRequest
from sklearn_unlearn.backends import get_backend
from sklearn_unlearn.exact.sequences._session_index import DECAYS, SessionIndex, session_scores
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.recommenders._loaded import check_session_lists
from sklearn_unlearn.recommenders._sequences import SequenceModel
from sklearn_unlearn.recommenders._types import Floats, State
from sklearn_unlearn.utils._compat import Interval, StrOptions

__all__ = ["SessionKNN"]


class SessionKNN(SequenceModel):
    r"""Session-based nearest neighbours that forget exactly: VS-kNN and VMIS-kNN.

    What comes next in a session s is told by the sessions most like it, among the `n_recent` last
    ones that share an item with it [1]_ [2]_:

    .. math:: \hat{x}_{si} = \mathrm{idf}_i \sum_{n \in N(s),\, i \in n}
        \lambda(q_{sn}) \, r_{sn}, \qquad
        r_{sn} = \sum_{j \in s \cap n} \pi(q_j), \qquad
        \mathrm{idf}_i = \ln \frac{|H|}{h_i}

    where :math:`q_j` is the number of items that come after j in s, :math:`q_{sn}` is that of the
    last item shared with n, N(s) holds the `n_neighbors` sessions of the largest :math:`r_{sn}`, of
    equal ones the latest, and :math:`h_i` of the :math:`|H|` sessions hold item i. A weight
    :math:`\pi` or :math:`\lambda` of q in a session of l items is

    - ``"linear"``: :math:`(l - q) / l`; ``"harmonic"``: :math:`1 / (q + 1)`;
    - ``"window"``: :math:`\max(0, 1 - (q + 1) / 10)`; ``"none"``: 1.

    A row of X is a session, and a value is the time of an event. Items of one time have no order:
    they have the same q. The time of a session is that of its last event; of sessions of one time,
    the row further down is the later one. So a matrix of ones, its rows in the order of time, holds
    sessions without order of items.

    Parameters
    ----------
    n_neighbors : int, default=100
        Size of N(s).

    n_recent : int, default=500
        How many of the last sessions that share an item with s are looked at.

    decay : {"linear", "harmonic", "window", "none"}, default="linear"
        :math:`\pi`, the weight of an item of s in similarities.

    match_decay : {"linear", "harmonic", "window", "none"}, default="linear"
        :math:`\lambda`, the weight of a neighbour by the last item shared with it.

    n_last : int or None, default=None
        How many last items of s count, and its length at most; None is all of them. Items that have
        the time of one that counts do so too.

    idf : bool, default=True
        Whether rare items have higher scores.

    n_jobs : int or None, default=None
        Threads that share the sessions to score, counted as joblib does: None is 1 unless in a
        ``joblib.parallel_config`` block. Results do not depend on it.

    Attributes
    ----------
    forget_report_, learn_report_ : ForgetReport
        What the last request to forget, and the last to learn or rectify, did; only there after
        such.

    n_features_in_ : int
        Number of items.

    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items; only there if X had string names.

    See Also
    --------
    TIFUKNN : Next baskets of people who buy the same again.
    ItemKNN : Neighbourhoods of items, without an order.

    Notes
    -----
    Nothing is fitted but the sessions of each item, in the order of time. A request takes entries
    out of the lists that it touches. A session whose last event goes has an earlier time, and moves
    in its lists. The lists are those of a refit, bit for bit.

    ``InteractionEncoder(user="session", value="time", duplicates="max")`` makes X of events: the
    user column is that of sessions. Seconds since 1970 need float64, as the encoder gives them.
    `owners` of `fit` tell whose sessions they are, for ``forget(owners=...)``; they play no part in
    scores. A training session (``users=``) is not among its own neighbours.

    As published, :math:`\lambda` of VMIS-kNN is the window; there it becomes negative beyond ten
    items, and a session does not count here. The similarity is not divided by the length of s,
    which changes no list. Neighbours are chosen among all of the `n_recent` last sessions, as by
    VS-kNN, of which VMIS-kNN is the fast form.

    References
    ----------
    .. [1] Ludewig and Jannach, "Evaluation of Session-based Recommendation Algorithms", User
       Modeling and User-Adapted Interaction 28, 2018.
    .. [2] Kersbergen, Sprangers and Schelter, "Serenade: Low-Latency Session-Based Recommendation
       in e-Commerce at Scale", SIGMOD 2022.

    Examples
    --------
    >>> from sklearn_unlearn import SessionKNN
    >>> X = [[1, 2, 0, 0], [0, 3, 4, 0], [0, 6, 0, 5], [8, 0, 0, 7]]  # times
    >>> model = SessionKNN(n_neighbors=2).fit(X)
    >>> model.recommend([[1, 2, 0, 0]], n_items=2)[0]
    array([[3, 2]])
    >>> model.forget(users=[2, 3]).recommend([[1, 2, 0, 0]], n_items=1)[0]
    array([[2]])
    >>> model.forget_report_.guarantee
    'exact'
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "n_recent": [Interval(Integral, 1, None, closed="left")],
        "decay": [StrOptions(set(DECAYS))],
        "match_decay": [StrOptions(set(DECAYS))],
        "n_last": [None, Interval(Integral, 1, None, closed="left")],
        "idf": ["boolean"],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        n_neighbors: int = 100,
        n_recent: int = 500,
        *,
        decay: str = "linear",
        match_decay: str = "linear",
        n_last: int | None = None,
        idf: bool = True,
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.n_recent = n_recent
        self.decay = decay
        self.match_decay = match_decay
        self.n_last = n_last
        self.idf = idf
        self.n_jobs = n_jobs

    _smaller = "Leave out old sessions and rare items."

    def _memory_needed(self, n_users: int, n_items: int, n_stored: int) -> int:
        # A time and an owner for each session, where each list starts, and the lists.
        return 16 * n_users + 8 * n_items + 4 * n_stored

    def _check_loaded(self, state: State) -> None:
        self._check_owners(state)
        check_session_lists(self, state)

    def _learn(self, data: Interactions) -> dict[str, Any]:
        return _to_attributes(SessionIndex.of(data))

    def _downdate(self, retained: Interactions, request: ForgetRequest) -> tuple[Any, ...]:
        index, n_lists = self._index().corrected(
            self._interactions, retained, request.positions, request.added
        )
        status = "sessions were taken out of, put in and moved in the lists of items"
        if n_lists == retained.n_items:
            status = "every list was made again"
        return _to_attributes(index), n_lists, status

    def _grown(self, data: Interactions) -> dict[str, Any]:
        return {**super()._grown(data), **_to_attributes(self._index().grown(data.shape))}

    def _index(self) -> SessionIndex:
        return SessionIndex(self._list_starts, self._list_sessions, self._session_times)

    def _score_sessions(self, X: Any, own: np.ndarray) -> Floats:
        most = np.iinfo(np.int64).max
        settings = (
            self.n_recent,
            self.n_neighbors,
            most if self.n_last is None else self.n_last,
            DECAYS[self.decay],
            DECAYS[self.match_decay],
        )
        backend: Any = get_backend("cpu", self.n_jobs)
        data = self._interactions
        return session_scores(X, own, data, self._index(), settings, self.idf, backend)


def _to_attributes(index: SessionIndex) -> dict[str, Any]:
    return {
        "_list_starts": index.starts,
        "_list_sessions": index.sessions,
        "_session_times": index.times,
    }
