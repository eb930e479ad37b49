"""Next baskets by personal item frequencies and neighbours: TIFU-KNN."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from sklearn_unlearn._forget_request import ForgetRequest
from sklearn_unlearn.backends import get_backend
from sklearn_unlearn.exact.sequences._basket_vectors import BasketVectors, History, basket_scores
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.recommenders._loaded import check_basket_vectors
from sklearn_unlearn.recommenders._sequences import SequenceModel
from sklearn_unlearn.recommenders._types import Floats, State
from sklearn_unlearn.utils._compat import Interval
from sklearn_unlearn.utils._interactions import rows_of

__all__ = ["TIFUKNN"]


class TIFUKNN(SequenceModel):
    r"""Next-basket recommender that forgets exactly: TIFU-KNN.

    What people buy next is what they bought often and lately, and what people like them do [1]_:

    .. math:: \hat{x}_u = \alpha v_u + \frac{1 - \alpha}{|N(u)|} \sum_{n \in N(u)} v_n

    where N(u) holds the `n_neighbors` owners whose vectors are the nearest to :math:`v_u`
    (Euclidean distance), and the vector of an owner is made of its baskets :math:`b`, rows of zeros
    and ones, in the order of time. They are cut into m groups of consecutive ones, and

    .. math:: v_u = \frac{1}{m} \sum_{g=1}^{m} r_g^{m - g} v_g, \qquad
        v_g = \frac{1}{\tau_g} \sum_{j=1}^{\tau_g} r_b^{\tau_g - j} b_{gj}

    with :math:`\tau_g` the length of group g. Where m does not divide the number of baskets, the
    later groups are longer by one; with fewer baskets than groups each is a group.

    A row of X is a basket, and its values are times: it has that of its last event, and of baskets
    of one time the row further down is the later one. So a matrix of ones whose rows are in the
    order of time will do. `owners` of `fit` tell whose the baskets are.

    Parameters
    ----------
    n_neighbors : int, default=300
        Size of N(u). An owner is not among its own neighbours.

    n_groups : int, default=7
        m.

    within_decay : float, default=0.9
        :math:`r_b`, from 0 (not included) to 1.

    group_decay : float, default=0.7
        :math:`r_g`, from 0 (not included) to 1.

    alpha : float, default=0.7
        Weight of an owner's own baskets, from 0 to 1.

    n_jobs : int or None, default=None
        Threads that share the owners to score, counted as joblib does: None is 1 unless in a
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
    SessionKNN : What comes next in a session.

    Notes
    -----
    A row stands for its owner: ``recommend(users=...)`` and `predict_pairs` score the history of
    the owner of each row, while rows to fold in are one basket each of someone new. People buy the
    same again: pass ``exclude_seen=False``.

    Fitted are the weight of each basket and the norm of each vector. A request weighs the baskets
    of the owners that it touches again, in the order of a fit: the state is that of a refit, bit
    for bit. The neighbours are found in one pass over all events for each owner to score.

    ``InteractionEncoder(user="basket", value="time", duplicates="max")`` makes X of events, each
    row a basket. The decay within a group begins anew with each group, as in the paper; its
    authors' code lets it go on through the whole history.

    References
    ----------
    .. [1] Hu, He, Gao and Zhang, "Modeling Personalized Item Frequency Information for Next-basket
       Recommendation", SIGIR 2020.

    Examples
    --------
    >>> from sklearn_unlearn import TIFUKNN
    >>> baskets = [[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0], [0, 1, 1, 0]]
    >>> model = TIFUKNN(n_neighbors=1, alpha=0.8).fit(baskets, owners=[0, 0, 1, 2, 2])
    >>> model.recommend(users=[1], n_items=3, exclude_seen=False)[0]
    array([[0, 2, 1]])
    >>> model.forget([[1, 2]]).recommend(users=[1], n_items=2, exclude_seen=False)[0]
    array([[0, 1]])
    >>> model.forget(owners=[2]).forget_report_.guarantee
    'exact'
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "n_groups": [Interval(Integral, 1, None, closed="left")],
        "within_decay": [Interval(Real, 0, 1, closed="right")],
        "group_decay": [Interval(Real, 0, 1, closed="right")],
        "alpha": [Interval(Real, 0, 1, closed="both")],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        n_neighbors: int = 300,
        n_groups: int = 7,
        within_decay: float = 0.9,
        group_decay: float = 0.7,
        alpha: float = 0.7,
        *,
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.n_groups = n_groups
        self.within_decay = within_decay
        self.group_decay = group_decay
        self.alpha = alpha
        self.n_jobs = n_jobs

    # A request weighs some of the baskets again, and takes the others to be weighed likewise.
    _fixed_by_fit = ("n_groups", "within_decay", "group_decay")
    _smaller = "Leave out old baskets and rare items."

    def _memory_needed(self, n_users: int, n_items: int, n_stored: int) -> int:
        # A weight and an owner for each basket, and a vector of the items.
        return 16 * n_users + 8 * n_items

    def _check_loaded(self, state: State) -> None:
        self._check_owners(state)
        check_basket_vectors(self, state)

    def _learn(self, data: Interactions) -> dict[str, Any]:
        return _to_attributes(BasketVectors.of(data, self._owners, self._history()))

    def _downdate(self, retained: Interactions, request: ForgetRequest) -> tuple[Any, ...]:
        rows = np.append(
            rows_of(self._interactions.indptr, request.positions),
            rows_of(retained.indptr, request.added),
        )
        touched = np.unique(self._owners[rows])
        vectors = self._vectors().again(retained, self._owners, self._history(), touched)
        return _to_attributes(vectors), len(touched), "the baskets of touched owners were weighed"

    def _grown(self, data: Interactions) -> dict[str, Any]:
        state = super()._grown(data)
        n_owners = int(state["_owners"].max()) + 1
        return {**state, **_to_attributes(self._vectors().grown(data.n_users, n_owners))}

    def _history(self) -> History:
        return History(self.n_groups, self.within_decay, self.group_decay)

    def _vectors(self) -> BasketVectors:
        return BasketVectors(self._basket_weights, self._squares)

    def _seen_by(self, users: np.ndarray) -> Any:
        return self._vectors().rows(self._interactions, self._owners, self._owners[users])

    def _score_users(self, users: np.ndarray) -> Floats:
        return self._score_vectors(self._seen_by(users), self._owners[users])

    def _score_sessions(self, X: Any, own: np.ndarray) -> Floats:
        baskets = X.copy()
        # The only basket of a history is all of it.
        baskets.data = np.ones(len(baskets.data))
        return self._score_vectors(baskets, own)

    def _score_vectors(self, vectors: Any, own: np.ndarray) -> Floats:
        backend: Any = get_backend("cpu", self.n_jobs)
        settings = self.n_neighbors, float(self.alpha)
        data = self._interactions
        return basket_scores(vectors, own, data, self._owners, self._vectors(), settings, backend)


def _to_attributes(vectors: BasketVectors) -> dict[str, Any]:
    return {"_basket_weights": vectors.weights, "_squares": vectors.squares}
