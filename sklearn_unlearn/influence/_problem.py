"""Forget problems and their outcomes: the contract between models and strategies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn._forget_report import GUARANTEES
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import Objective
from sklearn_unlearn.solvers import NewtonResult, Status
from sklearn_unlearn.utils._interactions import rows_of, sorted_union
from sklearn_unlearn.utils._verbs import cached_property

__all__ = [
    "ForgetOutcome",
    "ForgetProblem",
    "Progress",
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
            solver: Any = self.objective.row_solver()
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


@dataclass(frozen=True)
class Progress:
    """Where a request stands.

    Parameters
    ----------
    objective : Objective
        What is minimised: J_R, tilted where training left a gradient that is to stay.

    theta : ndarray
        Table of parameters.

    sums : tuple of ndarray, default=()
        ``objective.sums(theta)`` where they are kept up to date.

    first, left : float
        Norm of the gradient at the start of the request and now; 0 and infinity if not measured.

    settled : float, default=0.0
        Part of `first` in the rows that lost everything, which are at their optimum.

    unseen : float, default=0.0
        Norm of the gradient that training left and that counts as zero.

    n_steps : int, default=0
        Newton steps, or sweeps.

    n_products : float, default=0.0
        Hessian products, restricted ones by their share of the interactions.

    n_passes : float, default=0.0
        Passes over the interactions, those of gradients and trials too.

    support : ndarray of int, or None, default=None
        Rows that may have moved, beside those that lost everything; None is all.

    n_rows_updated : int or None, default=None
        Rows that changed, where a stage knows; None has them counted.

    slack : float, default=0.0
        As in `ForgetProblem`.

    status : str, default=""
        How the last stage ended, in words.

    why : str, default=""
        Why the tolerance was not met, in words, where `status` does not say it.

    method, guarantee : str or None, default=None
        As in `ForgetReport`, where they differ from what `met` says.

    met : bool, default=False
        Whether the tolerance is met.

    done : bool, default=False
        Whether no further solve is needed.

    at_saddle : bool, default=False
        Whether the last solve ended at a saddle that it may not leave.

    converged : bool or None, default=None
        Whether the model may count as fitted to its tolerance; None leaves it to `met`.
    """

    objective: Objective
    theta: Floats
    sums: tuple[Floats, ...] = ()
    first: float = 0.0
    left: float = np.inf
    settled: float = 0.0
    unseen: float = 0.0
    n_steps: int = 0
    n_products: float = 0.0
    n_passes: float = 0.0
    support: Ints | None = None
    n_rows_updated: int | None = None
    slack: float = 0.0
    status: str = ""
    why: str = ""
    method: str | None = None
    guarantee: str | None = None
    met: bool = False
    done: bool = False
    at_saddle: bool = False
    converged: bool | None = None

    @property
    def is_tilted(self) -> bool:
        """Whether what training left over is to stay."""
        return self.objective.stops_at_saddles

    def at_start(self, norm: float) -> float:
        """Norm of the gradient at the start of the request, given that of a first solve."""
        return self.first or float(np.hypot(norm, self.settled))

    def solved(self, result: NewtonResult, *, share: float = 1.0, **changes: Any) -> Progress:
        """State after a solve, whose products each walked a share of the interactions."""
        fields: dict[str, Any] = {
            "theta": result.theta,
            "sums": (),
            "support": None,
            "n_rows_updated": None,
            "first": self.at_start(result.gradient_norm[0]),
            "left": result.gradient_norm[1],
            "n_steps": self.n_steps + result.n_steps,
            "n_products": self.n_products + share * result.n_products,
            "n_passes": self.n_passes + share * result.n_passes,
            "status": result.status.value,
            "why": "" if result.status is not Status.CONVERGED else "the steps were not enough",
            "unseen": self.objective.tilt_norm,
            "met": result.converged,
            "at_saddle": self.is_tilted and result.status is Status.NEGATIVE_CURVATURE,
        }
        return replace(self, **{**fields, **changes})

    def better_of(self, other: Progress) -> Progress:
        """Return the one of two states that leaves less, where both minimise the same."""
        same = self.is_tilted == other.is_tilted
        return other if same and other.left < self.left else self

    def at_point_of(self, other: Progress) -> Progress:
        """Return to the point of another state; what was spent and said stays."""
        names = "theta", "sums", "support", "n_rows_updated", "left", "met"
        return replace(self, **{name: getattr(other, name) for name in names})

    def result(self) -> NewtonResult:
        """State as a point that a further solve starts from, nothing spent on it so far."""
        norms = self.first, self.left
        return NewtonResult(self.theta, np.nan, norms, 0, 0, Status.CONVERGED, self.met)

    def outcome(self, problem: ForgetProblem, method: str) -> ForgetOutcome:
        """Say what was done, by the strategy of that name unless a stage has named another."""
        met = "residual-bounded" if self.met else "one-step"
        n_rows = self.n_rows_updated
        if n_rows is None:
            n_rows = problem.count_changed(self.theta, self.support)
        return ForgetOutcome(
            theta=self.theta,
            method=self.method or method,
            guarantee=self.guarantee or met,
            status=self.status,
            n_steps=self.n_steps,
            n_products=self.n_products,
            n_rows_updated=n_rows,
            gradient_norm=(self.first, self.left),
            bound=self.left + self.unseen,
            converged=self.met and problem.converged if self.converged is None else self.converged,
            slack=self.slack,
            sums=self.sums,
        )
