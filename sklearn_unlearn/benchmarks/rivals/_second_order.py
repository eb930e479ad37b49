"""Influence steps whose inverse Hessian is cut short: to the touched rows, or to a few terms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_unlearn.backends import to_numpy
from sklearn_unlearn.benchmarks.rivals._common import (
    N_SCALE_PRODUCTS,
    POSITIVE,
    STEPS,
    ZERO_OR_MORE,
    Floats,
    largest_curvature,
    outcome,
    request_gradient,
    settle,
)
from sklearn_unlearn.influence import ForgetOutcome, ForgetProblem
from sklearn_unlearn.utils._compat import StrOptions

__all__ = ["LiSSA", "TouchedInfluence"]


class TouchedInfluence(BaseEstimator):
    r"""Take one influence step in the rows that lost an interaction, as SCIF does.

    .. math:: \theta_T \leftarrow \theta_T - (H_{TT} + \lambda I)^{-1} \nabla_T (J_R - J_D)

    with T the rows of users and items that the request touches, H the Hessian of :math:`J_R` at the
    fitted parameters; all other rows stay. The selective part of SCIF [1]_, which has the users'
    rows alone in T. Its second part, another label in place of the removed one, needs labels and is
    left out: what is forgotten counts as not observed.

    Parameters
    ----------
    scope : {"touched", "users"}, default="touched"
        Rows that move: those of users and items that lose an interaction, or of the users alone.
        Users that lose everything are set to zero; with "users", a request for whole users changes
        nothing else.

    damping : float, default=0.0
        Lambda.

    tol : float, default=1e-6
        Of the conjugate gradients, as a share of the right side.

    max_iter : int, default=500
        Of the conjugate gradients.

    References
    ----------
    .. [1] Li et al., "Selective and Collaborative Influence Function for Efficient Recommendation
       Unlearning", arXiv:2304.10199, 2023.

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.benchmarks.rivals import TouchedInfluence
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(60, 40, random_state=0)
    >>> model = MatrixFactorization(8, unlearner=TouchedInfluence(), random_state=0).fit(X)
    >>> model.forget([[7, int(X[[7]].indices[0])]]).forget_report_.n_rows_updated
    2
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "scope": [StrOptions({"touched", "users"})],
        "damping": [ZERO_OR_MORE],
        "tol": [POSITIVE],
        "max_iter": [STEPS],
    }

    def __init__(
        self,
        scope: str = "touched",
        damping: float = 0.0,
        tol: float = 1e-6,
        max_iter: int = 500,
    ) -> None:
        self.scope = scope
        self.damping = damping
        self.tol = tol
        self.max_iter = max_iter

    def unlearn(self, problem: ForgetProblem) -> ForgetOutcome:
        """Take the step."""
        self._validate_params()
        theta = settle(problem, problem.theta)
        free = np.setdiff1d(problem.touched_rows(), problem.emptied_rows())
        if self.scope == "users":
            free = free[free < problem.objective.layout.n_users]
        n_products, status = 0.0, "no row to move"
        if len(free):
            settings = self.damping, self.tol, self.max_iter
            step, n_products, status = _solve(problem, theta, free, *settings)
            theta[free] -= step
        return outcome(
            problem, theta, "touched influence", n_steps=1, n_products=n_products, status=status
        )


def _solve(
    problem: ForgetProblem,
    theta: Floats,
    free: np.ndarray,
    damping: float,
    tol: float,
    max_iter: int,
) -> tuple[Floats, float, str]:
    """Solve the system of some rows; return their step, the products and how it ended."""
    objective = problem.objective
    right = request_gradient(problem, theta, np.asarray(problem.theta, np.float64))[free]
    restricted, rows = objective.restrict(free, theta)
    point, places = restricted.at(theta[rows]), np.searchsorted(rows, free)
    table = np.zeros((len(rows), theta.shape[1]))

    def product(V: Floats) -> Floats:
        table[places] = V
        return np.asarray(to_numpy(point.hessian_product(table)))[places] + damping * V

    step, n_iter, status = conjugate_gradients(product, right, tol, max_iter)
    return step, n_iter * restricted.n_cells / max(objective.n_cells, 1), status


def conjugate_gradients(
    product: Callable[[Floats], Floats], right: Floats, tol: float, max_iter: int
) -> tuple[Floats, int, str]:
    """Solve a system until its residual is small, or a direction has no positive curvature."""
    x, r = np.zeros_like(right), right.copy()
    p, square = r.copy(), float(np.vdot(r, r))
    goal = tol**2 * square
    for n_iter in range(max_iter):
        if square <= goal:
            return x, n_iter, "solved"
        q = product(p)
        curvature = float(np.vdot(p, q))
        if curvature <= 0:
            return x, n_iter + 1, "no positive curvature"
        x += square / curvature * p
        r -= square / curvature * q
        square, last = float(np.vdot(r, r)), square
        p = r + square / last * p
    return x, max_iter, "solved" if square <= goal else "too few iterations"


class LiSSA(BaseEstimator):
    r"""Take one influence step whose inverse Hessian is a truncated Neumann series.

    .. math:: h_0 = g, \quad h_{t+1} = g + (I - (H + \lambda I) / s) \, h_t, \qquad
        \theta \leftarrow \theta - h_T / s

    with :math:`g = \nabla (J_R - J_D)` and H the Hessian of :math:`J_R` at the fitted parameters:
    LiSSA [1]_ with all interactions in each term in place of a draw. GIF [2]_ is this step with few
    terms; the losses that it adds for neighbours in the graph are part of :math:`J_R` where the
    model has a graph. The series converges as slowly as H is ill-conditioned.

    Parameters
    ----------
    n_terms : int, default=100
        T, Hessian products.

    scale : float or None, default=None
        s, which has to exceed the largest eigenvalue. None is 1.1 times its estimate by power
        iteration.

    damping : float, default=0.0
        Lambda.

    References
    ----------
    .. [1] Agarwal, Bullins and Hazan, "Second-Order Stochastic Optimization for Machine Learning in
       Linear Time", JMLR 2017.
    .. [2] Wu et al., "GIF: A General Graph Unlearning Strategy via Influence Function", WWW 2023.

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.benchmarks.rivals import LiSSA
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(60, 40, random_state=0)
    >>> model = MatrixFactorization(8, unlearner=LiSSA(), random_state=0).fit(X)
    >>> model.forget(users=[7]).forget_report_.guarantee
    'one-step'
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "n_terms": [STEPS],
        "scale": [None, POSITIVE],
        "damping": [ZERO_OR_MORE],
    }

    def __init__(
        self, n_terms: int = 100, scale: float | None = None, damping: float = 0.0
    ) -> None:
        self.n_terms = n_terms
        self.scale = scale
        self.damping = damping

    def unlearn(self, problem: ForgetProblem) -> ForgetOutcome:
        """Take the step."""
        self._validate_params()
        n_terms, damping, scale = self.n_terms, self.damping, self.scale
        theta = settle(problem, problem.theta)
        n_products = float(n_terms)
        if scale is None:
            scale = 1.1 * largest_curvature(problem, theta) + damping
            n_products += N_SCALE_PRODUCTS
        g = request_gradient(problem, theta, np.asarray(problem.theta, np.float64))
        g[problem.emptied_rows()] = 0
        point = problem.objective.at(theta)
        h = g.copy()
        for _ in range(n_terms):
            h += g - (np.asarray(to_numpy(point.hessian_product(h))) + damping * h) / scale
        return outcome(
            problem,
            settle(problem, theta - h / scale),
            "LiSSA",
            n_steps=1,
            n_products=n_products,
        )
