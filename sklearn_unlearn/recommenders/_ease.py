"""Embarrassingly shallow autoencoders: a linear model of items in closed form."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from sklearn_unlearn._forget_request import ForgetRequest
from sklearn_unlearn.exact.ridge._ridge_inverse import (
    EXACT_RESIDUAL,
    corrected_inverse,
    grown_inverse,
    measured_residual,
    ridge_inverse,
)
from sklearn_unlearn.exact.ridge._ridge_similarities import (
    largest_similarities,
    scores_of_rows,
    similarities,
)
from sklearn_unlearn.exact.ridge._ridge_terms import RidgeTerms
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.recommenders._closed_form import ClosedFormModel
from sklearn_unlearn.recommenders._loaded import check_ridge
from sklearn_unlearn.recommenders._types import Floats, State
from sklearn_unlearn.utils._compat import Interval
from sklearn_unlearn.utils._memory import refuse_beyond_memory, table_bytes

__all__ = ["EASE"]


class EASE(ClosedFormModel):
    r"""Embarrassingly shallow autoencoder, which forgets exactly.

    Each item is regressed on all others [1]_, with a weight :math:`w_u` for each user:

    .. math:: \min_B \; \sum_{u,i} w_u (x_{ui} - \langle x_u, B_{\cdot i} \rangle)^2
        + \sum_i \lambda_i \|B_{i \cdot}\|^2 \quad \text{with} \quad B_{ii} = 0

    The solution is :math:`B_{ij} = -P_{ij} / P_{jj}` off the diagonal, with
    :math:`P = (X^\top W X + \mathrm{diag}(\lambda_i))^{-1}`. The penalty is
    :math:`\lambda_i = \lambda + \tfrac{p}{1 - p} (X^\top W X)_{ii}`, with a `dropout` p [2]_, and
    without one the same for all items.

    The model keeps P, and `forget` corrects it by a term of the lowest rank that the request
    allows: 1 for a user or an item, 2 for some interactions of one of them; with dropout, 1 more
    for each item of a user. That costs a pass over P, where a fit costs the cube of the number of
    items. P is inverted again where a request is large, or where the residual of a random product
    with P, which every request measures, says that rounding has piled up. Where that residual is
    above 1e-8 even then, the matrix is ill-conditioned: the report says "residual-bounded" instead
    of "exact", and gives the residual. A larger `regularization` helps.

    Parameters
    ----------
    regularization : float, default=500.0
        Weight of the penalty, :math:`\lambda`. Compare it with how often an item is met: the
        diagonal of :math:`X^\top W X`.

    dropout : float, default=0.0
        Probability p, from 0 to below 1, that an input is dropped in training, which is averaged
        over in closed form: a penalty that grows with the frequency of an item (EDLAE).

    user_normalization : float, default=0.0
        Power of the number of its interactions by which the weight of a user is divided. With 0
        every interaction counts the same, with 1 every user. A request that leaves something of a
        user then changes its weight: rank 2 for each such user.

    top_k : int or None, default=None
        Score with the `top_k` largest :math:`|B_{ij}|` of each column alone, in a sparse matrix.
        None keeps them all.

    keep_inverse : bool, default=True
        Whether to keep P. If not, `forget` inverts anew: as exact, and as slow as a fit. With
        `top_k` the model is then small.

    n_jobs : int or None, default=None
        Threads of BLAS, counted as joblib does: None is 1 unless in a ``joblib.parallel_config``
        block, -1 is every processor. They pay from some thousand items on.

    Attributes
    ----------
    item_similarity_ : ndarray or csr_array of shape (n_items, n_items)
        B, float64. Scores are X B. An array is made at each access, from P.

    forget_report_, learn_report_ : ForgetReport
        What the last request to forget, and the last to learn or rectify, did; only there after
        such.

    n_features_in_ : int
        Number of items.

    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items; only there if X had string names.

    See Also
    --------
    SparseEASE : Regressions on the most similar items alone, for more items than a square table of
        them can hold.
    ALS : Factors.

    Notes
    -----
    P takes 8 bytes for each pair of items: 110 MB for 3,700 items and 800 MB for 10,000. `fit`
    works in place; `forget` needs a second such table, so that readers of the first are not
    disturbed. `top_k` adds 12 bytes for each entry that is kept, and to each request a second pass,
    which chooses anew. All is float64 whatever the data type of X is.

    Where `top_k` chooses, entries that differ by less than about 1e-10 are equal, and the lower
    position goes first: rounding then hardly ever decides, and a refit chooses the same.

    References
    ----------
    .. [1] Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
    .. [2] Steck, "Autoencoders that don't overfit towards the Identity", NeurIPS 2020.

    Examples
    --------
    >>> from sklearn_unlearn import EASE
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(60, 40, feedback="implicit", random_state=0)
    >>> model = EASE(regularization=20.0).fit(X)
    >>> items, scores = model.recommend(users=[7], n_items=3)
    >>> items.shape
    (1, 3)
    >>> model.forget(users=[7]).forget_report_.guarantee
    'exact'
    >>> bool((model.recommend(users=[7], n_items=3)[1] == 0).all())
    True
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "regularization": [Interval(Real, 0, None, closed="neither")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "user_normalization": [Interval(Real, 0, None, closed="left")],
        "top_k": [None, Interval(Integral, 1, None, closed="left")],
        "keep_inverse": ["boolean"],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        regularization: float = 500.0,
        *,
        dropout: float = 0.0,
        user_normalization: float = 0.0,
        top_k: int | None = None,
        keep_inverse: bool = True,
        n_jobs: int | None = None,
    ) -> None:
        self.regularization = regularization
        self.dropout = dropout
        self.user_normalization = user_normalization
        self.top_k = top_k
        self.keep_inverse = keep_inverse
        self.n_jobs = n_jobs

    @property
    def item_similarity_(self) -> Any:
        """Weights of items on items, B."""
        check_is_fitted(self)
        if self._weights is not None:
            return self._weights
        with self._threads():
            return similarities(self._inverse)

    _smaller = (
        "Use SparseEASE or ALS, whose tables grow with the number of items and not with its "
        "square, or leave out rare items."
    )

    def _memory_needed(self, n_users: int, n_items: int, n_stored: int) -> int:
        return table_bytes(n_items, n_items)

    def _check_loaded(self, state: State) -> None:
        check_ridge(self, state)

    def _computed(self, state: State) -> State:
        # A product with all of the inverse, its residual, has told.
        return {name: value for name, value in state.items() if name != "_inverse"}

    def _learn(self, data: Interactions) -> dict[str, Any]:
        return self._state(ridge_inverse(data, self._terms()))

    def _downdate(self, retained: Interactions, request: ForgetRequest) -> tuple[Any, ...]:
        # Readers keep the old table while the new one is made.
        tables = 1 if self._inverse is None else 2
        needed = table_bytes(tables * retained.n_items, retained.n_items)
        refuse_beyond_memory(retained.shape, needed, "a request to EASE", self._smaller)
        inverse, n_changed, status = self._corrected(retained, request)
        if status.startswith("downdate"):
            return self._state(inverse), n_changed, status
        residual = measured_residual(inverse, retained, self._terms())
        if residual <= EXACT_RESIDUAL:
            return self._state(inverse), n_changed, status
        # As good as a fit is, and no better: rounding alone separates two of them.
        fields = {"guarantee": "residual-bounded", "residual": residual}
        status += f"; ill-conditioned, so that a residual of {residual:.1e} is left"
        return self._state(inverse), n_changed, status, fields

    def _corrected(self, retained: Interactions, request: ForgetRequest) -> tuple[Floats, int, str]:
        if self._inverse is None:
            inverse = ridge_inverse(retained, self._terms())
            return inverse, len(inverse), "inverted again: the inverse was not kept"
        return corrected_inverse(
            self._inverse,
            self._interactions,
            retained,
            request.positions,
            self._terms(),
            request.added,
        )

    def _grown(self, data: Interactions) -> dict[str, Any]:
        n, inverse, weights = data.n_items, self._inverse, self._weights
        if inverse is not None:
            inverse = grown_inverse(inverse, n, self.regularization)
        if weights is not None:
            indptr = np.append(
                weights.indptr, np.full(n - weights.shape[0], weights.indptr[-1], np.int64)
            )
            parts = weights.data, weights.indices, indptr.astype(weights.indptr.dtype)
            weights = sparse.csr_array(parts, shape=(n, n))
        return {"_inverse": inverse, "_weights": weights}

    def _terms(self) -> RidgeTerms:
        return RidgeTerms(self.regularization, self.dropout, self.user_normalization)

    def _state(self, inverse: Floats) -> dict[str, Any]:
        if self.top_k is None:
            return {"_inverse": inverse, "_weights": None}
        weights = largest_similarities(inverse, self.top_k)
        return {"_inverse": inverse if self.keep_inverse else None, "_weights": weights}

    def _score_rows(self, X: Any) -> Floats:
        if self._weights is None:
            return scores_of_rows(X, self._inverse)
        return (X @ self._weights).toarray()
