"""Checks of what a recommender is made of, once it is loaded from a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sklearn_unlearn.exact.subspace._subspace import Subspace
from sklearn_unlearn.utils._interactions import index_dtype
from sklearn_unlearn.utils._state import check_table, refuse_loaded, square_similarity

__all__ = [
    "check_basket_vectors",
    "check_factors",
    "check_graph_filter",
    "check_item_lists",
    "check_local_ridge",
    "check_polynomial_filter",
    "check_ridge",
    "check_session_lists",
]

State = Mapping[str, Any]


def check_factors(model: Any, state: State, kinds: tuple[str, ...], biases: bool) -> None:
    """Check the tables of a factor model: one width, and a row for each user and item.

    Parameters
    ----------
    model : estimator
        Whose state it is.

    state : dict
        Its attributes.

    kinds : tuple of str
        ``"factors"``, and ``"embeddings"`` where these are the parameters.

    biases : bool
        Whether there are biases.
    """
    n_users, n_items = state["_interactions"].shape
    first = check_table(model, state, f"user_{kinds[0]}_", (n_users, None))
    k, dtypes = first.shape[1], (first.dtype,)
    for kind in kinds:
        check_table(model, state, f"user_{kind}_", (n_users, k), dtypes)
        check_table(model, state, f"item_{kind}_", (n_items, k), dtypes)
    if biases:
        check_table(model, state, "user_biases_", (n_users,))
        check_table(model, state, "item_biases_", (n_items,))
    if "embeddings" in kinds:
        for name in ("_gathered", "_pulled"):
            check_table(model, state, name, (n_items, k))
    for number, _ in enumerate(state.get("_sums", ())):
        check_table(model, {"_sums": state["_sums"][number]}, "_sums", (k, k))


def check_ridge(model: Any, state: State) -> None:
    """Check the inverse or the weights of `EASE`."""
    n = state["_interactions"].n_items
    inverse, weights = state.get("_inverse"), state.get("_weights")
    if inverse is None and weights is None:
        refuse_loaded(model, "it has neither weights nor the inverse to make them of")
    if inverse is not None:
        check_table(model, state, "_inverse", (n, n), (np.float64,))
    if weights is not None:
        square_similarity(model, state, "_weights", n)


def check_item_lists(model: Any, state: State) -> None:
    """Check the lists of `ItemKNN`, and what it takes to correct them."""
    n = state["_interactions"].n_items
    square_similarity(model, state, "item_similarity_", n)
    check_table(model, state, "_floors", (n,))
    check_table(model, state, "_item_scales", (n,))


def check_local_ridge(model: Any, state: State) -> None:
    """Check the weights and the lists of `SparseEASE`."""
    n = state["_interactions"].n_items
    for name in ("item_similarity_", "_lists"):
        square_similarity(model, state, name, n)
    check_table(model, state, "_floors", (n,))
    check_table(model, state, "_item_scales", (n,))


def check_graph_filter(model: Any, state: State) -> None:
    """Check the scales and the subspace of `GraphFilter`."""
    n_users, n_items = state["_interactions"].shape
    check_table(model, state, "_user_scales", (n_users,))
    check_table(model, state, "_item_scales", (n_items,))
    found = state.get("_subspace")
    if not isinstance(found, Subspace):
        refuse_loaded(model, "it has no subspace")
    parts = vars(found)
    basis = check_table(model, parts, "basis", (None, None), (np.float64,))
    n, width = basis.shape
    singular = check_table(model, state, "singular_values_", (None,))
    if n != (n_items if len(singular) else n) or len(singular) > width:
        refuse_loaded(model, f"its basis has shape {basis.shape}")
    check_table(model, parts, "values", (width,), (np.float64,))
    check_table(model, parts, "projected", (width, width), (np.float64,))
    remainder = check_table(model, parts, "remainder", (n, None), (np.float64,))
    check_table(model, parts, "coupling", (remainder.shape[1], width), (np.float64,))


def check_polynomial_filter(model: Any, state: State) -> None:
    """Check the sums and the coefficients of `PolynomialFilter`."""
    n_users, n_items = state["_interactions"].shape
    check_table(model, state, "_user_sums", (n_users,), (np.float64,))
    check_table(model, state, "_item_sums", (n_items,), (np.float64,))
    series = check_table(model, state, "coefficients_", (None,), (np.float64,))
    if not len(series):
        refuse_loaded(model, "it has no coefficients")


def check_session_lists(model: Any, state: State) -> None:
    """Check the lists of `SessionKNN`: as long as its columns, and of sessions that there are."""
    data = state["_interactions"]
    n_sessions, n_items = data.shape
    check_table(model, state, "_session_times", (n_sessions,), (np.float64,))
    starts = check_table(model, state, "_list_starts", (n_items + 1,), (np.dtype(np.int64),))
    if starts[0] or not np.array_equal(np.diff(starts), data.item_degrees):
        refuse_loaded(model, "its lists are not as long as the columns")
    kinds = (np.dtype(index_dtype(n_sessions)),)
    sessions = check_table(model, state, "_list_sessions", (data.n_interactions,), kinds)
    if len(sessions) and (sessions.min() < 0 or sessions.max() >= n_sessions):
        refuse_loaded(model, "a session in its lists is out of range")


def check_basket_vectors(model: Any, state: State) -> None:
    """Check the weights of `TIFUKNN`, and that each owner has a norm."""
    n_baskets = state["_interactions"].n_users
    check_table(model, state, "_basket_weights", (n_baskets,), (np.float64,))
    n_owners = int(state["_owners"].max(initial=-1)) + 1
    check_table(model, state, "_squares", (n_owners,), (np.float64,))
