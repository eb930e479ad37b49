"""A forget problem, and what a strategy makes of it: the contract between models and strategies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence._newton import NewtonResult
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import Objective
from sklearn_unlearn.utils._interactions import sorted_union

__all__ = ["ForgetOutcome", "ForgetProblem", "Unlearner"]

Floats = NDArray[Any]


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
        1 minus the norm of the residual matrix beyond the used factors: see `_rank`.

    n_free : int
        Latent columns that the model has and does not use.

    local : bool
        Whether the gradient changes in the rows of forgotten interactions only. False if a global
        quantity, such as the mean, changed with them.

    refit : callable
        Fits J_R from a cold start.

    sums : tuple of ndarray, default=()
        ``objective.sums(theta)`` if the model keeps them.
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
    refit: Callable[[], NewtonResult]
    sums: tuple[Floats, ...] = ()

    def touched_rows(self) -> NDArray[np.int64]:
        """Rows of theta, users then items, that lost an interaction."""
        users = np.searchsorted(self.before.indptr, self.positions, side="right") - 1
        items = self.before.indices[self.positions].astype(np.int64)
        return sorted_union(users, items + self.before.n_users)

    def emptied_rows(self) -> NDArray[np.int64]:
        """Touched rows without an interaction left: their optimum is exactly zero."""
        touched, m = self.touched_rows(), self.before.n_users
        users, items = touched[touched < m], touched[touched >= m]
        return np.concatenate(
            [
                users[self.retained.user_degrees[users] == 0],
                items[self.retained.item_degrees[items - m] == 0],
            ]
        )


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
