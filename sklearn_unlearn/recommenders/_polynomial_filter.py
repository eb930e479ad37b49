"""Polynomial filters on the graph of interactions: ChebyCF and Turbo-CF."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from sklearn_unlearn._forget_request import ForgetRequest
from sklearn_unlearn.backends import get_backend
from sklearn_unlearn.exact.polynomial._polynomial_scores import GraphSums, polynomial_scores
from sklearn_unlearn.exact.polynomial._spectral_filters import MONOMIALS, chebyshev_series
from sklearn_unlearn.exceptions import ChangedParameterError
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.recommenders._closed_form import ClosedFormModel
from sklearn_unlearn.recommenders._loaded import check_polynomial_filter
from sklearn_unlearn.recommenders._types import Floats, State
from sklearn_unlearn.utils._compat import Interval, StrOptions

__all__ = ["PolynomialFilter"]


class PolynomialFilter(ClosedFormModel):
    r"""Polynomial graph filter for implicit feedback, which forgets exactly at almost no cost.

    A row r of interactions is scored by [1]_

    .. math:: r \, D_I^{-\beta} h(L) \, D_I^{\beta}, \qquad
        h(L) = \sum_{k=0}^{K} c_k T_k(L), \qquad
        L = I - 2 \tilde R^\top \tilde R, \qquad
        \tilde R = D_U^{-1/2} R D_I^{-1/2}

    with R the training matrix, :math:`D_U` and :math:`D_I` the sums of its rows and columns, and
    :math:`T_k` the Chebyshev polynomials. The smoothest signals of the graph have the frequency -1
    of L, and h lets them pass. Values are counts: 2 is as two interactions.

    Nothing is fitted but the two diagonals: `fit` is two passes over the data, `forget` adds up
    again what it touches, and what it leaves is the refit, bit for bit. All the work is in the
    scores: K products with :math:`\tilde R^\top \tilde R` for each row. No matrix of items by items
    is ever formed.

    Parameters
    ----------
    order : int, default=8
        K, the degree of the polynomial that interpolates the plateau, at :math:`K + 1` Chebyshev
        nodes. Other filters have a degree of their own.

    flatness : float, default=1.25
        :math:`\phi` of the plateau: 1 makes it a straight line.

    beta : float, default=0.3
        Power of the sums of the items: above 0 popular items have higher scores.

    filter : {"plateau", "linear", "quadratic", "cubic"} or sequence of float, default="plateau"
        What is applied to L:

        - ``"plateau"``: :math:`h(x) = (1 - \mathrm{sign}(x) |x|^\phi) / 2` [1]_;
        - ``"linear"``, ``"quadratic"``, ``"cubic"``: with :math:`A = \tilde R^\top \tilde R`, the
          polynomials :math:`A`, :math:`2 A - A^2` and :math:`0.71 A + 0.1 A^2 - 0.01 A^3` [2]_;
        - numbers: the coefficients of :math:`A, A^2, \ldots`

    n_jobs : int or None, default=None
        Threads that share the rows to score, counted as joblib does: None is 1 unless in a
        ``joblib.parallel_config`` block. Results do not depend on it.

    Attributes
    ----------
    coefficients_ : ndarray of shape (K + 1,)
        c, of the Chebyshev series.

    forget_report_, learn_report_ : ForgetReport
        What the last request to forget, and the last to learn or rectify, did; only there after
        such.

    n_features_in_ : int
        Number of items.

    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items; only there if X had string names.

    See Also
    --------
    GraphFilter : The same graph with an ideal low-pass filter, made of singular vectors.
    ItemKNN : Neighbourhoods of items: dearer to correct, cheaper to score.

    Notes
    -----
    Scores are computed in the data type that X had in `fit`: float32 takes about half the time of
    float64. Those of a row do not depend on which rows it is scored with. A user of weight 2 counts
    like two users: its row counts twice in :math:`\tilde R` and in :math:`D_I`.

    References
    ----------
    .. [1] Kim, Sung, Han and Lee, "Graph Spectral Filtering with Chebyshev Interpolation for
       Recommendation", SIGIR 2025.
    .. [2] Park, Shin and Shin, "Turbo-CF: Matrix Decomposition-Free Graph Filtering for Fast
       Recommendation", SIGIR 2024.

    Examples
    --------
    >>> from sklearn_unlearn import PolynomialFilter
    >>> X = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    >>> model = PolynomialFilter(order=4).fit(X)
    >>> model.recommend(users=[0], n_items=1)[0]
    array([[2]])
    >>> model.forget(users=[1]).forget_report_.guarantee
    'exact'
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "order": [Interval(Integral, 1, None, closed="left")],
        "flatness": [Interval(Real, 0, None, closed="neither")],
        "beta": [Interval(Real, None, None, closed="neither")],
        "filter": [StrOptions({"plateau", *MONOMIALS}), "array-like"],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        order: int = 8,
        flatness: float = 1.25,
        beta: float = 0.3,
        *,
        filter: str | Sequence[float] = "plateau",
        n_jobs: int | None = None,
    ) -> None:
        self.order = order
        self.flatness = flatness
        self.beta = beta
        self.filter = filter
        self.n_jobs = n_jobs

    _smaller = "Leave out rare users and items."

    def _memory_needed(self, n_users: int, n_items: int, n_stored: int) -> int:
        # A sum for each, and a handful of vectors over the items for one row to score.
        return 8 * n_users + 64 * n_items

    def _check_loaded(self, state: State) -> None:
        check_polynomial_filter(self, state)

    def _learn(self, data: Interactions) -> dict[str, Any]:
        return {"coefficients_": self._series(), **_to_attributes(GraphSums.of(data))}

    def _downdate(self, retained: Interactions, request: ForgetRequest) -> tuple[Any, ...]:
        sums, n_items = self._sums().again(
            self._interactions, retained, request.positions, request.added
        )
        return _to_attributes(sums), n_items, "the sums of touched users and items were made again"

    def _grown(self, data: Interactions) -> dict[str, Any]:
        return _to_attributes(self._sums().grown(data.shape))

    def _check_parameters(self) -> None:
        series, fitted = self._series(), self.coefficients_
        if len(series) != len(fitted) or not np.allclose(series, fitted):
            raise ChangedParameterError(
                f"order, flatness and filter of {type(self).__name__} give another polynomial, of "
                f"{len(series)} coefficients; expected the one in coefficients_, which has "
                f"{len(fitted)}. Set them back, or fit again."
            )

    def _sums(self) -> GraphSums:
        return GraphSums(self._user_sums, self._item_sums)

    def _series(self) -> Floats:
        kind = self.filter
        if not isinstance(kind, str):
            powers = np.asarray(kind, dtype=np.float64)
            if powers.ndim != 1 or not len(powers) or not np.isfinite(powers).all():
                raise ValueError(
                    f"filter has shape {powers.shape}; expected a name, or at least one finite "
                    "number. Pass the coefficients of the powers 1, 2, ... as a sequence."
                )
            kind = powers.tolist()
        return chebyshev_series(kind, self.order, self.flatness)

    def _score_rows(self, X: Any) -> Floats:
        backend: Any = get_backend("cpu", self.n_jobs)
        data, series = self._interactions, self.coefficients_
        return polynomial_scores(X, data, self._sums(), series, self.beta, backend)


def _to_attributes(sums: GraphSums) -> dict[str, Any]:
    return {"_user_sums": sums.users, "_item_sums": sums.items}
