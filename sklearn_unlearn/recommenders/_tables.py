"""Between the attributes of a factor model and the one table that objectives know."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_unlearn.influence._operators import canonical_rotation

__all__ = ["canonical", "is_saturated", "to_attributes", "to_table", "used_columns"]


def to_table(model, layout, columns=slice(None)):
    """Table of a model's parameters, with only some latent columns."""
    theta = np.ones(layout.shape)
    theta[: layout.n_users, : layout.n_factors] = model.user_factors_[:, columns]
    theta[layout.n_users :, : layout.n_factors] = model.item_factors_[:, columns]
    if layout.fit_bias:
        user_biases, item_biases = layout.biases(theta)
        user_biases[:], item_biases[:] = model.user_biases_, model.item_biases_
    return theta


def to_attributes(theta, objective, columns=slice(None), width=None) -> dict[str, Any]:
    """Attributes that a table gives; it holds `columns` of the `width` latent columns."""
    layout = objective.layout
    m, k = layout.n_users, layout.n_factors
    user_factors = np.zeros((m, k if width is None else width))
    item_factors = np.zeros((layout.n_items, user_factors.shape[1]))
    user_factors[:, columns], item_factors[:, columns] = theta[:m, :k], theta[m:, :k]
    user_biases, item_biases = np.zeros(m), np.zeros(layout.n_items)
    if layout.fit_bias:
        user_biases, item_biases = (part.copy() for part in layout.biases(theta))
    return {
        "user_factors_": user_factors,
        "item_factors_": item_factors,
        "user_biases_": user_biases,
        "item_biases_": item_biases,
        "global_mean_": objective.offset,
    }


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
