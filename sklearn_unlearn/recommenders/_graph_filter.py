"""Linear and ideal low-pass filters on the graph of interactions (GF-CF)."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_unlearn._forget_request import ForgetRequest
from sklearn_unlearn.backends import get_backend
from sklearn_unlearn.exact.subspace._graph_change import GraphChange
from sklearn_unlearn.exact.subspace._normalised import NormalisedGraph
from sklearn_unlearn.exact.subspace._refinement import refined_subspace
from sklearn_unlearn.exact.subspace._subspace import (
    Subspace,
    cold_subspace,
    dense_subspace,
    measured_residual,
)
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.recommenders._closed_form import ClosedFormModel
from sklearn_unlearn.recommenders._loaded import check_graph_filter
from sklearn_unlearn.recommenders._types import Floats, RandomState, State
from sklearn_unlearn.utils._compat import Interval
from sklearn_unlearn.utils._memory import table_bytes
from sklearn_unlearn.utils._random import draw_seed

__all__ = ["GraphFilter"]

# The residual is measured on a few random combinations: it may show as so many times itself.
_CHANCE = 3.0


class GraphFilter(ClosedFormModel):
    r"""Graph filtering for implicit feedback: no training, one linear and one low-pass filter.

    A row r of interactions is scored by [1]_

    .. math:: r \left( \tilde R^\top \tilde R
        + \alpha \, D_I^{-1/2} V V^\top D_I^{1/2} \right), \qquad
        \tilde R = D_U^{-1/2} R D_I^{-1/2}

    with R the training matrix, :math:`D_U` and :math:`D_I` the sums of its rows and columns, and V
    the leading right singular vectors of :math:`\tilde R`. Values are counts: 2 is as two
    interactions. No matrix of items by items is ever formed.

    Without V (``n_components=0``), what `forget` leaves equals a refit to rounding. With V, the
    subspace is corrected for what a request changed, and the report says how far it got; a request
    that changes more than a correction can follow is answered by a refit.

    Parameters
    ----------
    n_components : int, default=256
        Singular vectors of the low-pass filter. Where the data have lower rank, fewer are used.

    alpha : float, default=0.3
        Weight of the low-pass filter.

    tol : float, default=1e-8
        Residual of the singular subspace after `fit`: the Frobenius norm of
        :math:`\tilde R^\top \tilde R V - V \Sigma^2`, where the largest singular value is 1.

    forget_tol : float, default=1e-3
        A request ends when the residual is at most so much of what the request had made of it, or
        at most `tol`. What is left is known, and goes with the next request; how far that knowledge
        may be off is part of the residual.

    max_iter : int, default=1000
        Block steps at most, in a fit or a request.

    random_state : int, RandomState, Generator or None, default=None
        Seed of the vectors that the search begins with. The seed drawn is kept.

    n_jobs : int or None, default=None
        Threads, as in joblib: None is 1 unless in a `joblib.parallel_config` block. Results do not
        depend on it.

    Attributes
    ----------
    item_components_ : ndarray of shape (n_items, n_components)
        V, an orthonormal basis; fewer columns where the data have lower rank.

    singular_values_ : ndarray of shape (n_components,)
        Of :math:`\tilde R`, descending.

    residual_ : float
        Residual of the subspace, see `tol`.

    spectral_gap_ : float
        Last of the squared singular values that are kept less the first that is not. The sine of
        the largest angle to the exact subspace is about ``residual_ / spectral_gap_`` at most, so
        a gap near `residual_` means that the data do not say where to cut.

    n_iter_ : int
        Block steps of the fit.

    converged_ : bool
        Whether fit and later requests met their tolerances.

    forget_report_, learn_report_ : ForgetReport
        What the last request to forget, and the last to learn or rectify, did; only there after
        such. Their ``gradient_norm`` is the residual of the subspace before and after; ``n_steps``
        counts block steps and ``n_solver_iter`` the vectors that the operator was applied to.

    n_features_in_ : int
        Number of items.

    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items; only there if X had string names.

    See Also
    --------
    EASE : A linear model in closed form with a dense matrix of items by items.
    ItemKNN : Neighbourhoods of items.

    References
    ----------
    .. [1] Shen, Wu, Zhang, Shan, Zhang, Letaief and Li, "How Powerful is Graph Convolution for
       Recommendation?", CIKM 2021.

    Examples
    --------
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.recommenders._graph_filter import GraphFilter
    >>> X = abs(make_interactions(400, 200, random_state=0))
    >>> model = GraphFilter(n_components=4, random_state=0).fit(X)
    >>> items, scores = model.recommend(users=[7], n_items=3)
    >>> items.shape
    (1, 3)
    >>> model.forget(users=[7]).forget_report_.guarantee
    'residual-bounded'
    >>> GraphFilter(n_components=0).fit(X).forget(users=[7]).forget_report_.guarantee
    'exact'
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "n_components": [Interval(Integral, 0, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "forget_tol": [Interval(Real, 0, 1, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": [object],  # draw_seed takes more forms, and its errors say what to do
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        n_components: int = 256,
        alpha: float = 0.3,
        *,
        tol: float = 1e-8,
        forget_tol: float = 1e-3,
        max_iter: int = 1000,
        random_state: RandomState = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.tol = tol
        self.forget_tol = forget_tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.forget_tags.exact = self.n_components == 0
        return tags

    @property
    def item_components_(self) -> Floats:
        """Leading right singular vectors, shape (n_items, n_components)."""
        return self._subspace.basis[:, : len(self.singular_values_)]

    # -- hooks of the family -----------------------------------------------------------------------
    _smaller = "Use a smaller n_components, or ItemKNN; or leave out rare items."

    def _memory_needed(self, n_users: int, n_items: int, n_stored: int) -> int:
        # The basis, its image and one block of the search, or the whole operator; and the scales.
        width = _width(self.n_components)
        columns = n_items if 0 < n_items <= 2 * width else 3 * width
        return 8 * (n_users + n_items) + table_bytes(n_items, columns if width else 0)

    def _check_loaded(self, state: State) -> None:
        check_graph_filter(self, state)

    def _learn(self, data: Interactions) -> dict[str, Any]:
        seed = draw_seed(self.random_state)
        graph = NormalisedGraph.from_interactions(data)
        subspace = self._find(graph, seed)
        state = self._state(graph, subspace, subspace.converged)
        return {**state, "_seed": seed, "n_iter_": max(1, subspace.n_steps)}

    def _downdate(self, retained: Interactions, request: ForgetRequest) -> tuple[Any, ...]:
        old = NormalisedGraph(self._interactions, self._user_scales, self._item_scales)
        graph = NormalisedGraph.from_interactions(retained)
        if not self.n_components:
            change = GraphChange.from_positions(old, graph, request.positions, request.added)
            state = self._state(graph, self._subspace, True)
            return state, len(change.items), "normalised again"
        subspace = self._refined(old, graph, request)
        if subspace is not None:
            state = self._state(graph, subspace, self.converged_)
            return state, graph.n_items, self._status("converged", state), _steps_of(subspace)
        subspace = self._find(graph, self._seed)
        state = self._state(graph, subspace, subspace.converged)
        fields = {**_steps_of(subspace), "method": "refit", "guarantee": "refit"}
        return state, graph.n_items, self._status("fitted again", state), fields

    def _grown(self, data: Interactions) -> dict[str, Any]:
        sides = zip((self._user_scales, self._item_scales), data.shape, strict=True)
        users, items = (np.append(one, np.zeros(n - len(one))) for one, n in sides)
        subspace = self._subspace
        if len(subspace.basis):  # without components there is none
            subspace = subspace.grown(data.n_items)
        return {"_user_scales": users, "_item_scales": items, "_subspace": subspace}

    # -- the subspace ------------------------------------------------------------------------------
    def _find(self, graph: NormalisedGraph, seed: int) -> Subspace:
        n, k, width = graph.n_items, self.n_components, _width(self.n_components)
        if k == 0 or n <= 2 * width:
            # A basis would be as large as the matrix.
            return dense_subspace(graph.dense() if k else np.zeros((0, 0)), width)
        rest: dict[str, Any] = {"n_components": k, "width": width, "tol": self.tol, "seed": seed}
        subspace = cold_subspace(self._product(graph), n, max_iter=self.max_iter, **rest)
        if not subspace.converged:
            warnings.warn(
                f"the singular subspace has a residual of {subspace.residual:.1e} after "
                f"{self.max_iter} steps; expected at most {self.tol:.1e}. Increase max_iter or "
                "tol.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return subspace

    def _refined(
        self, old: NormalisedGraph, graph: NormalisedGraph, request: ForgetRequest
    ) -> Subspace | None:
        """Correct the subspace; None if that is not worth it, or does not reach its goal."""
        change = GraphChange.from_positions(old, graph, request.positions, request.added)
        width = self._subspace.basis.shape[1]
        if graph.n_items <= 2 * width or change.rank > width or not graph.data.n_interactions:
            return None
        product = self._product(graph)
        subspace = refined_subspace(
            product,
            self._subspace,
            *change.factors(self._subspace.basis, self._subspace.image),
            n_components=self.n_components,
            tol=self.tol,
            reduction=self.forget_tol,
            max_iter=self.max_iter,
            seed=self._seed,
        )
        measured = measured_residual(product, subspace, self.n_components, self._seed)
        allowed = max(self.tol, self.forget_tol * subspace.before) + subspace.unknown
        whole = subspace.converged and subspace.rank(self.n_components) == self.n_components
        return subspace if whole and measured <= _CHANCE * allowed else None

    def _product(self, graph: NormalisedGraph) -> Any:
        backend = get_backend("cpu", self.n_jobs)
        return lambda block: graph.product(block, backend)

    def _state(self, graph: NormalisedGraph, subspace: Subspace, converged: bool) -> dict[str, Any]:
        rank = subspace.rank(self.n_components)
        return {
            "_user_scales": graph.user_scales,
            "_item_scales": graph.item_scales,
            "_subspace": subspace,
            "singular_values_": np.sqrt(subspace.values[:rank]),
            "residual_": subspace.residual,
            "spectral_gap_": subspace.gap(self.n_components),
            "converged_": converged,
        }

    def _status(self, words: str, state: State) -> str:
        if 0 < state["spectral_gap_"] <= state["residual_"]:
            return f"{words}; the singular values at the cut are too close to tell apart"
        return words

    # -- scores ------------------------------------------------------------------------------------
    def _score_rows(self, X: Any) -> Floats:
        graph = NormalisedGraph(self._interactions, self._user_scales, self._item_scales)
        scores = graph.filtered(X, get_backend("cpu", self.n_jobs))
        if len(self.singular_values_):
            scores += self.alpha * graph.low_passed(
                X, self._subspace.basis, len(self.singular_values_)
            )
        return scores


def _width(n_components: int) -> int:
    """Vectors that are kept: a quarter more, so that requests converge in few steps."""
    return n_components + max(8, n_components // 4) if n_components else 0


def _steps_of(subspace: Subspace) -> dict[str, Any]:
    before, after = subspace.before, subspace.residual
    return {
        "guarantee": "residual-bounded",
        "n_steps": subspace.n_steps,
        "n_solver_iter": subspace.n_products,
        "gradient_norm": (before, after),
        "residual": after / before if before > 0 else 0.0,
    }
