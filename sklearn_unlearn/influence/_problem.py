"""Forget problems and their outcomes: the contract between models and strategies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn._forget_report import GUARANTEES
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import Objective
from sklearn_unlearn.objectives._base import ExactRowSolver
from sklearn_unlearn.solvers import NewtonResult
from sklearn_unlearn.utils._interactions import rows_of, sorted_union
from sklearn_unlearn.utils._verbs import cached_property

__all__ = [
    "ForgetOutcome",
    "ForgetProblem",
    "Unlearner",
    "check_outcome",
]

Floats = NDArray[Any]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ForgetProblem:
    """All that a strategy may know of a model and a request.

    Parameters
    ----------
    before, retained : Interactions
        The data before and after the request, of one shape: what is to be forgotten is in the
        first alone, what is to be learned in the second alone.

    positions : ndarray of int
        Positions in `before` of what is to be forgotten.

    objective : Objective
        J_R, of the data after.

    objective_before : callable
        Makes J_D, of the data before; only called where it is needed.

    theta : ndarray
        Parameters of the fitted model.

    converged : bool
        Whether the model was fitted to its tolerance.

    gradient_norm : float
        Upper bound of the norm of the gradient of J_D at `theta`.

    slack : float
        How far the residual matrix is from asking for another column: see `certificates._rank`.

    n_free : int
        Latent columns that the model has and does not use.

    local : bool
        Whether the gradient changes in the rows of changed interactions only. False if a global
        quantity, such as the mean, changed with them.

    refit : callable
        Fits J_R from a cold start; given a callable, has that train the factors instead, and given
        ``seed=``, starts from that seed.

    sums : tuple of ndarray, default=()
        ``objective.sums(theta)`` if the model keeps them.

    gtol : float, default=inf
        Gradient norm that a request may leave at most, whatever share of its own that is.

    refit_cost : float, default=inf
        Passes over the interactions that a refit takes, as `NewtonSettings.max_products` counts.

    on_step : callable, default=None
        Called as ``on_step(step, value, gradient_norm, n_products)`` after each step on all rows.

    trained_norm : float, default=inf
        Gradient norm that training may have left: that of a fit's tolerance, whatever requests
        have left since.

    added : ndarray of int, default=()
        Positions in `retained` of what is to be learned. An interaction whose value changes is
        forgotten and learned.

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(60, 40, random_state=0)
    >>> from sklearn_unlearn.influence import InfluenceUnlearner
    >>> class Printing(InfluenceUnlearner):
    ...     def unlearn(self, problem):
    ...         print(problem.positions.shape, problem.theta.shape)
    ...         return super().unlearn(problem)
    >>> model = MatrixFactorization(8, unlearner=Printing(), random_state=0).fit(X)
    >>> _ = model.forget(users=[7])
    (18,) (100, 2)
    """

    before: Interactions
    retained: Interactions
    positions: NDArray[np.int64]
    objective: Objective
    objective_before: Callable[[], Objective]
    theta: Floats
    converged: bool
    gradient_norm: float
    slack: float
    n_free: int
    local: bool
    refit: Callable[..., NewtonResult]
    sums: tuple[Floats, ...] = ()
    gtol: float = np.inf
    trained_norm: float = np.inf
    refit_cost: float = np.inf
    on_step: Callable[[int, float, float, float], None] | None = None
    added: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def goal(self, tol: float | None, first: float) -> float:
        """Gradient norm to reach, given the share `tol` of its norm at the start, `first`."""
        return min((tol or 0.0) * first, self.gtol)

    def removed_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Users and items of what is to be forgotten."""
        users = rows_of(self.before.indptr, self.positions)
        return users, self.before.items_at(self.positions).astype(np.int64)

    def added_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Users and items of what is to be learned."""
        users = rows_of(self.retained.indptr, self.added)
        return users, self.retained.items_at(self.added).astype(np.int64)

    def changed_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Users and items of what is to be forgotten, and then of what is to be learned."""
        gone, new = self.removed_pairs(), self.added_pairs()
        return np.append(gone[0], new[0]), np.append(gone[1], new[1])

    @property
    def n_changed(self) -> int:
        """How many interactions are to be forgotten or learned."""
        return len(self.positions) + len(self.added)

    @cached_property
    def request_norm(self) -> float:
        """Norm of the gradient that the request itself brings in, beside what training left."""
        if self.has_exact_rows:
            solver = cast(ExactRowSolver, self.objective.row_solver())
            return float(np.linalg.norm(solver.changes(self).removed))
        change = self.objective.gradient(self.theta) - self.leftover
        return float(np.linalg.norm(change))

    @cached_property
    def leftover(self) -> Floats:
        """Gradient of J_D at `theta`: what training left."""
        return self.objective_before().gradient(self.theta)

    def takes_whole_rows(self) -> bool:
        """Whether each pair takes its user or its item away with it, or brings it."""
        sides = (self.retained, self.removed_pairs()), (self.before, self.added_pairs())
        whole = [
            (data.degrees_of(users) == 0) | (data.item_degrees[items] == 0)
            for data, (users, items) in sides
        ]
        return bool(np.concatenate(whole).all())

    def takes_one_row(self) -> bool:
        """Whether all that changes is of one user, or of one item."""
        users, items = self.changed_pairs()
        return bool((users == users[0]).all() or (items == items[0]).all())

    def count_changed(self, new: Floats, support: NDArray[Any] | None = None) -> int:
        """Rows that differ from those of the model; only the support and emptied rows can."""
        old = self.theta
        if support is not None:
            rows = np.concatenate([support, self.emptied_rows()])
            old, new = old[rows], new[rows]
        return int(np.count_nonzero((old != new).any(axis=1)))

    @property
    def has_exact_rows(self) -> bool:
        """Whether every row is a least-squares problem of its own, given the other side."""
        return self.local and self.objective.has_exact_rows

    def touched_rows(self) -> NDArray[np.int64]:
        """Rows of theta, users then items, whose gradient the request changes.

        Those of which an interaction changes, and those that the objective compares them with.
        """
        return self._touched

    def emptied_rows(self) -> NDArray[np.int64]:
        """Touched rows of which the losses feel nothing any more: their optimum is exactly zero."""
        return self._emptied

    def woken_rows(self) -> NDArray[np.int64]:
        """Touched rows that are zero, as nothing was known of them, and have interactions now."""
        if not len(self.added):
            return np.empty(0, np.int64)
        m, k = self.before.n_users, self.objective.layout.n_factors
        users, items = (np.unique(one) for one in self.added_pairs())
        users = users[self.before.degrees_of(users) == 0]
        items = items[self.before.item_degrees[items] == 0]
        rows = np.concatenate([users, items + m])
        return rows[~self.theta[rows, :k].any(axis=1)]

    def empty_rows(self) -> NDArray[np.int64]:
        """Rows, touched or not, of which the losses feel nothing: zero at the optimum."""
        users, items = np.arange(self.before.n_users), np.arange(self.before.n_items)
        return self._empty_among(users, items)

    # Asked for at every turn of a request, whose problem lives no longer than it.
    @cached_property
    def _touched(self) -> NDArray[np.int64]:
        users, items = self.changed_pairs()
        m, partners = self.before.n_users, self.objective.partners_of(users, items)
        return sorted_union(users, items + m, partners + m)

    @cached_property
    def _emptied(self) -> NDArray[np.int64]:
        touched, m = self._touched, self.before.n_users
        return self._empty_among(touched[touched < m], touched[touched >= m] - m)

    def _empty_among(self, users: NDArray[Any], items: NDArray[Any]) -> NDArray[np.int64]:
        """Rows of theta of those users and items that the losses do not feel."""
        users = users[self.retained.degrees_of(users) == 0]
        items = items[self.retained.item_degrees[items] == 0]
        if len(items):
            items = items[~self.objective.is_drawn(items)]
        return np.concatenate([users, items + self.before.n_users])


@dataclass(frozen=True)
class ForgetOutcome:
    """What a strategy did; `ForgetReport` says it to the user.

    Parameters
    ----------
    theta : ndarray
        New parameters.

    method, guarantee, status : str
        As in `ForgetReport`.

    n_steps : int
        Newton steps.

    n_products : float
        Hessian products, restricted ones by their share of the interactions.

    n_rows_updated : int
        Rows of theta that changed.

    gradient_norm : tuple of float
        Before and after.

    bound : float
        Upper bound of the norm of the gradient of J_R at `theta`, for the next request.

    converged : bool
        Whether the model may count as fitted to its tolerance.

    slack : float, default=0.0
        As in `ForgetProblem`, for the new model.

    sums : tuple of ndarray, default=()
        ``objective.sums(theta)`` where the strategy kept them up to date.

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(60, 40, random_state=0)
    >>> from sklearn_unlearn.influence import InfluenceUnlearner
    >>> class Printing(InfluenceUnlearner):
    ...     def unlearn(self, problem):
    ...         outcome = super().unlearn(problem)
    ...         print(outcome.method, outcome.guarantee, outcome.converged)
    ...         return outcome
    >>> model = MatrixFactorization(8, unlearner=Printing(), random_state=0).fit(X)
    >>> _ = model.forget(users=[7])
    influence residual-bounded True
    """

    theta: Floats
    method: str
    guarantee: str
    status: str
    n_steps: int
    n_products: float
    n_rows_updated: int
    gradient_norm: tuple[float, float]
    bound: float
    converged: bool
    slack: float = 0.0
    sums: tuple[Floats, ...] = ()


def check_outcome(outcome: Any, strategy: Any, shape: tuple[int, ...]) -> ForgetOutcome:
    """Refuse what is no answer: a strategy may be anybody's."""
    name = type(strategy).__name__
    if not isinstance(outcome, ForgetOutcome):
        raise TypeError(
            f"unlearn of {name} returned an object of type {type(outcome).__name__}; expected a "
            "ForgetOutcome. Return one, made of the new parameters and what was done."
        )
    found = np.shape(outcome.theta)
    # Columns may be added where the optimum asks for them.
    if outcome.method != "refit" and (len(found), found[:1]) != (2, shape[:1]):
        raise ValueError(
            f"unlearn of {name} returned parameters of shape {found}; expected {shape}, that of "
            "problem.theta. Change a copy of that table."
        )
    if outcome.guarantee not in GUARANTEES:
        raise ValueError(
            f"unlearn of {name} returned the guarantee {outcome.guarantee!r}; expected one of "
            f"{', '.join(map(repr, GUARANTEES))}. Say 'one-step' where nothing is promised."
        )
    return outcome


class Unlearner(Protocol):
    """A strategy: pure, it changes neither model nor problem.

    Examples
    --------
    >>> from sklearn_unlearn.influence import InfluenceUnlearner, RefitUnlearner
    >>> all(hasattr(one, "unlearn") for one in (InfluenceUnlearner(), RefitUnlearner()))
    True
    """

    def unlearn(self, problem: ForgetProblem) -> ForgetOutcome:
        """Solve a forget problem."""
