"""Training of a factor model: the optimizer that its objective asks for, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.optimizers import minimize_alternating, minimize_growing, minimize_newton_cg
from sklearn_unlearn.recommenders._factor_state import (
    Occupied,
    columns_of,
    empty_rows,
    fault_of,
    padded,
    settled,
    trained_elsewhere,
)
from sklearn_unlearn.recommenders._penalty import PenaltyChoice
from sklearn_unlearn.recommenders._types import ModelObjective
from sklearn_unlearn.solvers import NewtonResult
from sklearn_unlearn.utils._memory import table_bytes

__all__ = ["FactorTraining"]


class FactorTraining(PenaltyChoice):
    """Training of a model with `_make_objective`, in a fit or within a request."""

    # Of the model that this is a part of.
    tol: float
    n_sweeps: int
    _seed: int
    _make_objective: Callable[..., Any]
    _attributes: Callable[..., dict[str, Any]]
    _canonical: Callable[..., Any]
    _kept: Callable[[Interactions], Interactions]
    _show: Callable[..., None]

    _smaller = (
        "Use a smaller n_factors, or ItemKNN, which keeps lists of items; or leave out users and "
        "items with few interactions."
    )

    def _memory_needed(self, n_users: int, n_items: int, n_stored: int) -> int:
        # The factors, and the tables of Newton's method over the rows that hold something: point,
        # gradient, step and product.
        full = min(n_users, n_stored) + min(n_items, n_stored)
        return table_bytes(n_users + n_items + 4 * full, columns_of(self), 4)

    def _train(self, data: Interactions, seed: int) -> tuple[dict[str, Any], str]:
        """Attributes of a fit, and what it did not reach, if anything."""
        result, objective = self._minimize(data, seed)
        theta = self._canonical(result.theta, objective)
        state = self._attributes(theta, objective, data)
        state.update(
            _interactions=self._kept(data),
            _seed=seed,
            _slack=result.slack,
            _fit_work=result.n_passes * data.n_interactions,
            n_iter_=max(result.n_steps, 1),
            converged_=result.converged,
            gradient_norm_=result.gradient_norm[1],
        )
        return state, fault_of(type(self).__name__, result, self.tol * objective.gradient_scale)

    def _refit(
        self, data: Interactions, train: Callable[[Any], Any] | None, seed: int | None = None
    ) -> NewtonResult:
        """Train again on the data: as `fit` does, from another start, or as `train` elsewhere."""
        if train is None:
            return self._minimize(data, self._seed if seed is None else seed)[0]
        objective = self._make_objective(data)
        return trained_elsewhere(train(data.to_csr()), objective)

    def _minimize(self, data: Interactions, seed: int) -> tuple[NewtonResult, ModelObjective]:
        objective = whole = self._make_objective(data)
        occupied = Occupied.of(data, whole.is_drawn)
        if occupied is not None:
            objective = self._make_objective(occupied.take(data))

        settings: dict[str, Any] = {"seed": seed, "tol": self.tol, "max_iter": self.max_iter}
        settings |= {"on_step": self._show}
        if objective.has_exact_rows:
            settings |= {"n_sweeps": self.n_sweeps, "dtype": data.dtype}
        if self.n_factors == "auto":
            rows = None if occupied is None else occupied.rows
            settings["max_factors"] = self.max_factors
            result = minimize_growing(objective, rows=rows, **settings)
            theta = padded(result.theta, whole.layout.fit_bias, self.max_factors)
            result = replace(result, theta=theta)
            whole = whole.with_factors(theta.shape[1] - 2 * whole.layout.fit_bias)
        elif objective.has_exact_rows:
            items = None if occupied is None else occupied.items
            result = minimize_alternating(objective, items=items, **settings)
        else:
            rows = None if occupied is None else occupied.rows
            result = minimize_newton_cg(objective, rows=rows, **settings)
        theta = result.theta if occupied is None else occupied.put(result.theta, whole.layout)
        # Rows without interactions shrink towards zero from a random start: put them there.
        theta = settled(theta, whole.layout, empty_rows(data, whole))
        return replace(result, theta=theta), whole
