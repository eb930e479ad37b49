"""Item-based nearest neighbours."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from sklearn_unlearn._forget_request import ForgetRequest
from sklearn_unlearn.backends import get_backend
from sklearn_unlearn.exact.cooccurrence._cooccurrence import (
    Neighborhoods,
    find_again,
    find_all,
    grown,
)
from sklearn_unlearn.exact.cooccurrence._weightings import SIMILARITIES, Rule
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.recommenders._closed_form import ClosedFormModel
from sklearn_unlearn.recommenders._loaded import check_item_lists
from sklearn_unlearn.recommenders._types import Floats, State
from sklearn_unlearn.utils._compat import Interval, StrOptions

__all__ = ["ItemKNN"]


class ItemKNN(ClosedFormModel):
    r"""Item-based nearest neighbours that forget exactly.

    An item is recommended by the similarity of the items that a row holds to it, over the
    `n_neighbors` most similar items of each [1]_:

    .. math:: \hat{x}_{uj} = \sum_{i:\, j \in N(i)} x_{ui} S_{ij}, \qquad
        S_{ij} = \sum_u w_{ui} w_{uj}

    where w are weighted interactions: scaled to columns of norm 1 (``"cosine"``, the default);
    :math:`\sqrt{x_{ui}} \, \mathrm{idf}_u`, then scaled likewise (``"tfidf"``); or
    :math:`\mathrm{idf}_u \, x_{ui} (k_1 + 1) / (x_{ui} + k_1 (1 - b + b \, l_i / \bar l))` with the
    sum :math:`l_i` of each column and its mean over all items (``"bm25"``). A user is the more
    telling the fewer items it has: :math:`\mathrm{idf}_u = \ln n - \ln(1 + d_u)` for n items and a
    row of :math:`d_u` interactions.

    With :math:`C_{ij} = \sum_u x_{ui} x_{uj}`, :math:`s_u` and :math:`s_i` the sums of rows and
    columns, and :math:`n_{ij}` the number of users who have both items, there are also

    - ``"asymmetric_cosine"`` [2]_: :math:`S_{ij} = C_{ij} / (C_{ii}^\alpha C_{jj}^{1 - \alpha})`,
      the cosine at :math:`\alpha = 1/2`, and the probability of j given i at 1 (for ones);
    - ``"rp3beta"`` [3]_, a walk from item i to a user and on to item j, :math:`S_{ij} =
      s_j^{-\beta} \sum_u (x_{ui} / s_i)^\alpha (x_{uj} / s_u)^\alpha`;
    - ``"turbo"``, the graph of Turbo-CF [4]_: :math:`S_{ij} = \left( (s_i s_j)^{\alpha - 1}
      \sum_u s_u^{-2 \alpha} x_{ui} x_{uj} \right)^{power}`;
    - ``"jaccard"``, :math:`n_{ij} / (n_{ii} + n_{jj} - n_{ij})`, and ``"dice"``,
      :math:`2 n_{ij} / (n_{ii} + n_{jj})`: values do not count.

    Parameters
    ----------
    n_neighbors : int, default=20
        Length of the list :math:`N(i)`. The item itself counts as one of its neighbours.

    similarity : str, default="cosine"
        How items are compared: ``"cosine"``, ``"tfidf"``, ``"bm25"``, ``"asymmetric_cosine"``,
        ``"rp3beta"``, ``"turbo"``, ``"jaccard"`` or ``"dice"``.

    k1 : float, default=1.2
        Saturation of repeated interactions under BM25; the others ignore it.

    b : float, default=0.75
        From 0 to 1: how far BM25 normalises by the length of a column; the others ignore it.

    alpha : float, default=0.5
        Exponent of ``"asymmetric_cosine"``, ``"rp3beta"`` and ``"turbo"``; the others ignore it.

    beta : float, default=0.5
        How much RP3beta damps popular items; the others ignore it.

    power : float, default=1.0
        Exponent of the similarities of ``"turbo"``; the others ignore it.

    n_jobs : int or None, default=None
        Threads, as in joblib: None is 1 unless in a `joblib.parallel_config` block. Results do not
        depend on it.

    Attributes
    ----------
    item_similarity_ : csr_array of shape (n_items, n_items)
        Row i holds the list of item i, in the data type of X; items ascend within a row. Only
        similarities above zero are listed, ties go to the lowest position. The arrays are
        read-only.

    forget_report_, learn_report_ : ForgetReport
        What the last request to forget, and the last to learn or rectify, did; only there after
        such.

    n_features_in_ : int
        Number of items.

    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items; only there if X had string names.

    See Also
    --------
    ALS : Latent factors of implicit feedback.

    Notes
    -----
    The weightings are those of the `implicit` library's ``CosineRecommender``,
    ``TFIDFRecommender`` and ``BM25Recommender``, and so are the similarities. Three things differ:
    of items that tie for the last place of a list the lowest positions are taken, what has nothing
    in common is not listed as a zero, and a column of norm zero is similar to none.

    A weight in `sample_weight` counts a user as so many equal ones: in the sums, norms and lengths,
    not in :math:`d_u`.

    A request makes the lists of the touched items again, from the remaining data, and corrects
    those that they appear in; the result is that of a refit, bit for bit. TF-IDF, RP3beta and Turbo
    weigh a user by its whole row: there a pair touches all items of its user. Under BM25 the mean
    length changes with every request and all similarities with it, so all lists are made again.

    References
    ----------
    .. [1] Deshpande and Karypis, "Item-Based Top-N Recommendation Algorithms", ACM Transactions on
       Information Systems 22(1), 2004.
    .. [2] Aiolli, "Efficient Top-N Recommendation for Very Large Scale Binary Rated Datasets",
       RecSys 2013.
    .. [3] Paudel, Christoffel, Newell and Bernstein, "Updatable, Accurate, Diverse, and Scalable
       Recommendations for Interactive Applications", ACM Transactions on Interactive Intelligent
       Systems 7(1), 2017.
    .. [4] Park, Shin and Shin, "Turbo-CF: Matrix Decomposition-Free Graph Filtering for Fast
       Recommendation", SIGIR 2024.

    Examples
    --------
    >>> from sklearn_unlearn import ItemKNN
    >>> X = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    >>> model = ItemKNN(n_neighbors=3).fit(X)
    >>> model.recommend(users=[0], n_items=1)[0]
    array([[2]])
    >>> model.forget(users=[1, 2]).item_similarity_.toarray()[1].round(3)
    array([1., 1., 0., 0.])
    >>> model.forget_report_.guarantee
    'exact'
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "similarity": [StrOptions(set(SIMILARITIES))],
        "k1": [Interval(Real, 0, None, closed="left")],
        "b": [Interval(Real, 0, 1, closed="both")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "power": [Interval(Real, 0, None, closed="neither")],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        n_neighbors: int = 20,
        *,
        similarity: str = "cosine",
        k1: float = 1.2,
        b: float = 0.75,
        alpha: float = 0.5,
        beta: float = 0.5,
        power: float = 1.0,
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.similarity = similarity
        self.k1 = k1
        self.b = b
        self.alpha = alpha
        self.beta = beta
        self.power = power
        self.n_jobs = n_jobs

    # A request makes some of the lists again, and takes the others to be of the same kind.
    _fixed_by_fit = ("n_neighbors", "similarity", "k1", "b", "alpha", "beta", "power")
    _smaller = "Use a smaller n_neighbors, or ALS; or leave out rare items."

    def _memory_needed(self, n_users: int, n_items: int, n_stored: int) -> int:
        # Three numbers for each item, and the lists of those that hold something.
        return 24 * n_items + 12 * min(n_items, n_stored)

    def _check_loaded(self, state: State) -> None:
        check_item_lists(self, state)

    def _learn(self, data: Interactions) -> dict[str, Any]:
        return _to_attributes(find_all(data, *self._settings()))

    def _downdate(self, retained: Interactions, request: ForgetRequest) -> tuple[Any, ...]:
        old = self._found()
        new, n_rows = find_again(
            old, self._interactions, retained, request.positions, *self._settings(), request.added
        )
        status = "the lists of touched items were made again, and those that they appear in"
        if n_rows == retained.n_items:
            status = "every list was made again"
        return _to_attributes(new), n_rows, status

    def _grown(self, data: Interactions) -> dict[str, Any]:
        if data.n_items == len(self._floors):
            return {}
        if self._settings()[0].counts_items:
            return self._learn(data)
        return _to_attributes(grown(self._found(), data.n_items, self.n_neighbors))

    def _found(self) -> Neighborhoods:
        return Neighborhoods(self.item_similarity_, self._floors, self._item_scales, self._all_ones)

    def _settings(self) -> tuple[Rule, int, Any]:
        rule = Rule(self.similarity, self.k1, self.b, self.alpha, self.beta, self.power)
        return rule, self.n_neighbors, get_backend("cpu", self.n_jobs)

    def _score_rows(self, X: Any) -> Floats:
        return (X @ self.item_similarity_).toarray()


def _to_attributes(found: Neighborhoods) -> dict[str, Any]:
    return {
        "item_similarity_": found.similarity,
        "_floors": found.floors,
        "_item_scales": found.item_scales,
        "_all_ones": found.all_ones,
    }
