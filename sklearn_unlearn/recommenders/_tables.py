"""Between the attributes of a factor model and the one table that objectives know."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np

from sklearn_unlearn.influence import ForgetReport
from sklearn_unlearn.influence._operators import canonical_rotation
from sklearn_unlearn.influence._rank import missing_directions

__all__ = [
    "canonical",
    "is_saturated",
    "report_of",
    "slack_of",
    "to_attributes",
    "to_table",
    "used_columns",
]

_SATURATED = "; all n_factors are in use, so refits from other seeds may differ: see certify()"


def to_table(model, layout, columns=slice(None)):
    """Table of a model's parameters, with only some latent columns."""
    theta = np.ones(layout.shape)
    theta[: layout.n_users, : layout.n_factors] = model.user_factors_[:, columns]
    theta[layout.n_users :, : layout.n_factors] = model.item_factors_[:, columns]
    if layout.fit_bias:
        user_biases, item_biases = layout.biases(theta)
        user_biases[:], item_biases[:] = model.user_biases_, model.item_biases_
    return theta


def to_attributes(theta, objective, columns=None) -> dict[str, Any]:
    """Attributes that a table gives.

    The table may hold only some of the latent columns of the objective: `columns`, and then columns
    that are new and take the first free places.
    """
    layout = objective.layout
    m, k = layout.n_users, layout.n_factors
    width = theta.shape[1] - 2 * layout.fit_bias
    places = _places(columns, k, width)
    user_factors, item_factors = np.zeros((m, k)), np.zeros((layout.n_items, k))
    user_factors[:, places], item_factors[:, places] = theta[:m, :width], theta[m:, :width]
    user_biases, item_biases = np.zeros(m), np.zeros(layout.n_items)
    if layout.fit_bias:
        user_biases, item_biases = theta[:m, width].copy(), theta[m:, width + 1].copy()
    return {
        "user_factors_": user_factors,
        "item_factors_": item_factors,
        "user_biases_": user_biases,
        "item_biases_": item_biases,
        "global_mean_": objective.offset,
    }


def _places(columns, k, width):
    """Where the columns of a table go among k; a slice where they come first."""
    if columns is None or isinstance(columns, slice):
        return slice(width)
    free = np.setdiff1d(np.arange(k), columns)
    return np.concatenate([columns, free[: width - len(columns)]])


def report_of(outcome, request, *, saturated):
    """Report of a request, in scalars."""
    before, after = outcome.gradient_norm
    return ForgetReport(
        method=outcome.method,
        guarantee=outcome.guarantee,
        status=outcome.status + (_SATURATED if saturated else ""),
        n_interactions=request.n_interactions,
        n_users=request.n_users,
        n_items=request.n_items,
        n_rows_updated=outcome.n_rows_updated,
        n_steps=outcome.n_steps,
        n_solver_iter=outcome.n_products,
        gradient_norm=(before, after),
        residual=after / before if before > 0 else 0.0,
        seconds=time.perf_counter() - request.started,
    )


def slack_of(objective, state) -> float:
    """1 minus the norm of the residual matrix beyond the used factors; 0 if none is free."""
    if is_saturated(state) or not objective.layout.n_factors:
        return 0.0
    used = used_columns(state["item_factors_"])
    narrow = objective.with_factors(state["item_factors_"][:0, used].shape[1])
    theta = to_table(SimpleNamespace(**state), narrow.layout, used)
    return 1 - missing_directions(narrow, theta)[0]


def is_saturated(state):
    """Whether no latent column is free: the rank is limited by `n_factors`."""
    factors = state["item_factors_"]
    return bool(factors.shape[1] and factors.any(axis=0).all())


def used_columns(factors):
    """Columns that are not all zero; as a slice if they come first, which is cheaper to copy."""
    used = np.flatnonzero(factors.any(axis=0))
    return slice(len(used)) if len(used) == np.max(used, initial=-1) + 1 else used


def canonical(theta, layout, tol):
    """Rotate the latent columns into the basis that depends on the scores alone.

    Columns whose part in the scores is below what the tolerance can see become exactly zero.
    """
    m, k = layout.n_users, layout.n_factors
    Z = theta[:, :k] @ canonical_rotation(theta[m:, :k])
    sizes = np.linalg.norm(Z[:m], axis=0) * np.linalg.norm(Z[m:], axis=0)
    Z[:, sizes <= 1e-2 * tol] = 0
    out = theta.copy()
    out[:, :k] = Z
    return out
