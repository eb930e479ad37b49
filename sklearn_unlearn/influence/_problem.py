"""A forget problem, and what a strategy makes of it: the contract between models and strategies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import Objective
from sklearn_unlearn.utils._interactions import sorted_union

__all__ = ["ForgetOutcome", "ForgetProblem", "Unlearner"]

Floats = NDArray[Any]


class Refitted(Protocol):
    """Where a fit ended, as far as a strategy cares."""

    @property
    def theta(self) -> Floats: ...
    @property
    def gradient_norm(self) -> tuple[float, float]: ...
    @property
    def n_steps(self) -> int: ...
    @property
    def n_products(self) -> int: ...
    @property
    def converged(self) -> bool: ...
    @property
    def slack(self) -> float: ...


@dataclass(frozen=True)
class ForgetProblem:
    """All that a strategy may know of a model and a request.

    Parameters
    ----------
    before, retained : Interactions
        The data with and without what is to be forgotten.

    positions : ndarray of int
        Positions in `before` of what is to be forgotten.

    objective : Objective
        J_R, of the retained data.

    objective_before : callable
        Makes J_D, of all data; only called where it is needed.

    theta : ndarray
        Parameters of the fitted model.

    converged : bool
        Whether the model was fitted to its tolerance.

    gradient_norm : float
        Upper bound of the norm of the gradient of J_D at `theta`.

    slack : float
        How far the residual matrix is from asking for another column: see `objectives._rank`.

    n_free : int
        Latent columns that the model has and does not use.

    local : bool
        Whether the gradient changes in the rows of forgotten interactions only. False if a global
        quantity, such as the mean, changed with them.

    refit : callable
        Fits J_R from a cold start.

    sums : tuple of ndarray, default=()
        ``objective.sums(theta)`` if the model keeps them.

    gtol : float, default=inf
        Gradient norm that a request may leave at most, whatever share of its own that is.

    trained_norm : float, default=inf
        Gradient norm that training may have left: that of a fit's tolerance, whatever requests
        have left since.
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
    refit: Callable[[], Refitted]
    sums: tuple[Floats, ...] = ()
    gtol: float = np.inf
    trained_norm: float = np.inf

    def goal(self, tol: float | None, first: float) -> float:
        """Gradient norm to reach, given the share `tol` of its norm at the start, `first`."""
        return min((tol or 0.0) * first, self.gtol)

    def removed_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Users and items of what is to be forgotten."""
        users = np.searchsorted(self.before.indptr, self.positions, side="right") - 1
        return users, self.before.indices[self.positions].astype(np.int64)

    def touched_rows(self) -> NDArray[np.int64]:
        """Rows of theta, users then items, whose gradient the request changes.

        Those that lost an interaction, and those that the objective compares them with.
        """
        return self._touched

    def emptied_rows(self) -> NDArray[np.int64]:
        """Touched rows of which the losses feel nothing any more: their optimum is exactly zero."""
        return self._emptied

    # Asked for at every turn of a request, whose problem lives no longer than it.
    @cached_property
    def _touched(self) -> NDArray[np.int64]:
        users, items = self.removed_pairs()
        m, partners = self.before.n_users, self.objective.partners_of(users, items)
        return sorted_union(users, items + m, partners + m)

    @cached_property
    def _emptied(self) -> NDArray[np.int64]:
        touched, m = self._touched, self.before.n_users
        users, items = touched[touched < m], touched[touched >= m] - m
        users = users[self.retained.user_degrees[users] == 0]
        items = items[self.retained.item_degrees[items] == 0]
        if len(items):
            items = items[~self.objective.is_drawn(items)]
        return np.concatenate([users, items + m])


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


class Unlearner(Protocol):
    """A strategy: pure, it changes neither model nor problem."""

    def unlearn(self, problem: ForgetProblem) -> ForgetOutcome:
        """Solve a forget problem."""
