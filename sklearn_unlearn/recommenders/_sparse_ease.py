"""EASE with regressions on the most similar items alone: sparse weights in closed form."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from sklearn_unlearn._forget_request import ForgetRequest
from sklearn_unlearn.backends import get_backend
from sklearn_unlearn.exact.cooccurrence._cooccurrence import Neighborhoods
from sklearn_unlearn.exact.cooccurrence._weightings import SIMILARITIES, Rule
from sklearn_unlearn.exact.local_ridge._local_ridge import (
    LocalColumns,
    LocalSettings,
    grown_columns,
    solve_again,
    solve_all,
)
from sklearn_unlearn.exact.ridge._ridge_terms import RidgeTerms
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.recommenders._closed_form import ClosedFormModel
from sklearn_unlearn.recommenders._loaded import check_local_ridge
from sklearn_unlearn.recommenders._types import Floats, State
from sklearn_unlearn.utils._compat import Interval, StrOptions

__all__ = ["SparseEASE"]


class SparseEASE(ClosedFormModel):
    r"""Sparse EASE: ridge regressions of items on their nearest neighbours, which forget exactly.

    Each item j is regressed on its `n_neighbors` most similar items :math:`S_j` alone, where `EASE`
    regresses it on all [1]_:

    .. math:: B_{S_j j} = \left( G_{S_j S_j}
        + \mathrm{diag}\left(\lambda + \tfrac{p}{1 - p} \, G_{ii}\right)_{i \in S_j} \right)^{-1}
        G_{S_j j}, \qquad G = X^\top W X, \quad W_{uu} = w_u \, d_u^{-a}

    with a weight :math:`w_u` for each user and :math:`d_u` its number of interactions. The rest of
    a column is zero, so that the model has a size of `n_items` times `n_neighbors`, not of the
    square of the number of items, and a fit costs as many small factorizations as there are items.

    A request finds again the lists that it may change, and solves again the columns whose list
    changed or holds an item of the request. That is done as `fit` does it: the result is that of a
    refit, bit for bit.

    Parameters
    ----------
    n_neighbors : int, default=100
        Length of the list :math:`S_j`.

    regularization : float, default=30.0
        Weight of the penalty, :math:`\lambda`. Compare it with how often an item is met: the
        diagonal of G.

    similarity : {"cosine", "tfidf", "bm25"}, default="cosine"
        By what the lists are chosen, as in `ItemKNN`. With "bm25" every request finds all lists
        again.

    dropout : float, default=0.0
        Probability p, from 0 to below 1, that an input is dropped in training, which is averaged
        over in closed form: the penalty of frequent items grows [2]_.

    user_normalization : float, default=0.0
        Power a of the number of its interactions by which the weight of a user is divided. With 0
        every interaction counts the same, with 1 every user.

    n_jobs : int or None, default=None
        Threads, as in joblib: None is 1 unless in a `joblib.parallel_config` block. Results do not
        depend on it.

    Attributes
    ----------
    item_similarity_ : csr_array of shape (n_items, n_items)
        B, in the data type of X; the arithmetic is float64 whatever that is. Scores are X B. The
        arrays are read-only.

    forget_report_, learn_report_ : ForgetReport
        What the last request to forget, and the last to learn or rectify, did; only there after
        such.

    n_features_in_ : int
        Number of items.

    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items; only there if X had string names.

    See Also
    --------
    EASE : The regressions on all other items, where a square table of items fits.
    ItemKNN : The similarities themselves as weights.

    Notes
    -----
    The weights take 12 bytes for each entry, and so do the lists, which are kept to find out what a
    request changes: 1.2 GB for 500,000 items with 100 neighbours each. A request makes copies.

    A Cholesky factorization of a list's matrix costs a third of the cube of `n_neighbors`: twice
    the neighbours take eight times as long.

    Other ways to a sparse B approximate the inverse of the whole matrix [3]_ [4]_: an entry of that
    depends on all data, so that a request changes all of it.

    References
    ----------
    .. [1] Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
    .. [2] Steck, "Autoencoders that don't overfit towards the Identity", NeurIPS 2020.
    .. [3] Steck, "Markov Random Fields for Collaborative Filtering", NeurIPS 2019.
    .. [4] Spisak, Bartyzal, Hoskovec, Peska and Tuma, "Scalable Approximate NonSymmetric
       Autoencoder for Collaborative Filtering", RecSys 2023.

    Examples
    --------
    >>> from sklearn_unlearn import SparseEASE
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(60, 40, feedback="implicit", random_state=0)
    >>> model = SparseEASE(n_neighbors=10, regularization=20.0).fit(X)
    >>> items, scores = model.recommend(users=[7], n_items=3)
    >>> items.shape
    (1, 3)
    >>> model.forget(users=[7]).forget_report_.guarantee
    'exact'
    >>> bool((model.recommend(users=[7], n_items=3)[1] == 0).all())
    True
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "regularization": [Interval(Real, 0, None, closed="neither")],
        "similarity": [StrOptions(set(SIMILARITIES))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "user_normalization": [Interval(Real, 0, None, closed="left")],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        n_neighbors: int = 100,
        regularization: float = 30.0,
        *,
        similarity: str = "cosine",
        dropout: float = 0.0,
        user_normalization: float = 0.0,
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.regularization = regularization
        self.similarity = similarity
        self.dropout = dropout
        self.user_normalization = user_normalization
        self.n_jobs = n_jobs

    # A request solves some of the regressions again, and takes the others to be of the same kind.
    _fixed_by_fit = (
        "n_neighbors",
        "regularization",
        "similarity",
        "dropout",
        "user_normalization",
    )
    _smaller = "Use a smaller n_neighbors, or ALS; or leave out rare items."

    def _memory_needed(self, n_users: int, n_items: int, n_stored: int) -> int:
        # Four numbers for each item, and the lists of those that hold something.
        return 32 * n_items + 12 * min(n_items, n_stored)

    def _check_loaded(self, state: State) -> None:
        check_local_ridge(self, state)

    def _learn(self, data: Interactions) -> dict[str, Any]:
        return _to_attributes(solve_all(data, self._settings()))

    def _downdate(self, retained: Interactions, request: ForgetRequest) -> tuple[Any, ...]:
        before = self._interactions
        new, n_columns = solve_again(
            self._found(), before, retained, request.positions, self._settings(), request.added
        )
        status = f"{n_columns} of {retained.n_items} regressions were solved again"
        return _to_attributes(new), n_columns, status

    def _grown(self, data: Interactions) -> dict[str, Any]:
        settings = self._settings()
        if data.n_items == len(self._floors):
            return {}
        if settings.rule.counts_items:
            return self._learn(data)
        return _to_attributes(grown_columns(self._found(), data, settings))

    def _found(self) -> LocalColumns:
        lists = Neighborhoods(self._lists, self._floors, self._item_scales, self._all_ones)
        return LocalColumns(self.item_similarity_, lists)

    def _settings(self) -> LocalSettings:
        terms = RidgeTerms(self.regularization, self.dropout, self.user_normalization)
        backend: Any = get_backend("cpu", self.n_jobs)
        return LocalSettings(self.n_neighbors, Rule(self.similarity), terms, backend)

    def _score_rows(self, X: Any) -> Floats:
        return (X @ self.item_similarity_).toarray()


def _to_attributes(columns: LocalColumns) -> dict[str, Any]:
    found = columns.neighborhoods
    return {
        "item_similarity_": columns.weights,
        "_lists": found.similarity,
        "_floors": found.floors,
        "_item_scales": found.item_scales,
        "_all_ones": found.all_ones,
    }
