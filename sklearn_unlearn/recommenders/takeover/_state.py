"""The state that a fit would leave, made of factors that another program fitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils import get_tags

from sklearn_unlearn.backends import to_numpy
from sklearn_unlearn.certificates._rank import slack_of
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.recommenders._types import Floats, State
from sklearn_unlearn.utils._data_warnings import warn_of_data
from sklearn_unlearn.utils._matrices import as_numbers, check_magnitude
from sklearn_unlearn.utils._random import draw_seed
from sklearn_unlearn.utils._validation import refuse_masked

__all__ = ["OBJECTIVE", "as_confidences", "is_instance", "refuse", "scaled", "taken_over"]

OBJECTIVE = "other classes minimise other objectives."

# Passes over the interactions that a sweep takes, and a guess of those of a training elsewhere.
_SWEEP, _PASSES = 3.0, 100.0

# Gradient that solved rows may keep: a share of that of the penalty, which shows a penalty or a
# confidence that is off by some percent, and what rounding in single precision leaves.
_SOLVED, _ROUNDING = 1e-2, 3e-5


def refuse(params: State, fixed: tuple[str, ...], why: str) -> None:
    """Refuse parameters that are not the caller's to choose."""
    for name in fixed:
        if name in params:
            raise TypeError(f"{name}={params[name]} was given; {why}. Leave it out.")


def is_instance(model: Any, package: str, name: str) -> bool:
    """Whether an object is of a class of a package, which need not be installed to be asked for."""
    return any(
        kind.__name__ == name and kind.__module__.split(".")[0] == package
        for kind in type(model).__mro__
    )


def scaled(
    factors: tuple[ArrayLike, ArrayLike], scales: tuple[float, float]
) -> tuple[ArrayLike, ArrayLike]:
    """Multiply both sides, each by a number, in their data type."""
    if scales == (1.0, 1.0):
        return factors
    sides = (np.asarray(side) for side in factors)
    users, items = (
        (side * scale).astype(side.dtype) for side, scale in zip(sides, scales, strict=True)
    )
    return users, items


def as_confidences(weight: float) -> Callable[[Floats], Floats]:
    """Make confidences ``1 + weight * r`` of values r, in multiples of that of 1: 1 stays 1."""
    return lambda values: (1 + weight * values.astype(np.float64)) / (1 + weight)


def _joint_table(user_factors: ArrayLike, item_factors: ArrayLike) -> Floats:
    """One table of both sides, a copy."""
    for side in (user_factors, item_factors):
        refuse_masked(side, "an array of factors")
    users, items = parts = np.asarray(user_factors), np.asarray(item_factors)
    if any(part.dtype.kind not in "fiu" for part in parts):
        raise TypeError(
            f"the factors have the data types {users.dtype} and {items.dtype}; expected real "
            "numbers. Pass arrays of float32 or float64."
        )
    if users.ndim != 2 or items.ndim != 2 or users.shape[1] != items.shape[1]:
        raise ValueError(
            f"the factors have the shapes {users.shape} and {items.shape}; expected (n_users, "
            "n_factors) and (n_items, n_factors). Pass both sides of one model, a row for each."
        )
    single = np.result_type(np.float32, *parts) == np.float32
    table = np.concatenate(parts, dtype=np.float32 if single else np.float64)
    if not np.isfinite(table).all():
        raise ValueError(
            "the factors hold NaN or infinity; expected finite numbers. Train the model again, "
            "with a larger regularization if that happens anew."
        )
    return table


def taken_over(
    cls: Any,
    factors: tuple[Any, Any],
    X: Any,
    name: str,
    settings: State,
    *,
    values: Callable[[Floats], Floats] | None = None,
    solved: str = "",
    check: Callable[[Interactions], None] | None = None,
) -> Any:
    """Estimator in the state that a fit on X with these factors as its outcome would leave.

    `values` makes values of ALS of the validated ones of X. `solved` is the side, "users" or
    "items", of which the training has solved each row exactly at its end. `check` may refuse the
    interactions.
    """
    table, sides = _joint_table(*factors), tuple(len(side) for side in factors)
    model = cls(n_factors=table.shape[1], **settings)
    model._validate_params()
    if "float32" not in get_tags(model).transformer_tags.preserves_dtype:
        table = table.astype(np.float64, copy=False)
    data = _read(model, X, sides, name, table.dtype)
    if check is not None:
        check(data)
    if values is not None:
        dtype, parts = data.values.dtype, (data.indptr, data.indices)
        data = Interactions(*parts, values(data.values).astype(dtype), data.shape)
    model._seed = draw_seed(model.random_state)  # objectives may draw from it
    model.regularization_ = model._chosen_penalty(data)
    objective = model._make_objective(data)
    # As after a fit. What another program left there would be a trace of data that are gone.
    unmet = (data.item_degrees == 0) & ~objective.is_drawn(np.arange(data.n_items))
    table[np.concatenate([data.user_degrees == 0, unmet])] = 0
    model.__dict__.update(_fitted(model, objective, table, data, solved))
    return model


def _fitted(model: Any, objective: Any, table: Floats, data: Interactions, solved: str) -> State:
    """Attributes of a fit that ended at a table."""
    point = objective.at(table)
    gradient = to_numpy(point.gradient)
    # Gram matrices that the gradient is made of, where rows are least-squares problems.
    sums = tuple(map(to_numpy, point.sums)) if objective.has_exact_rows else ()
    norm = float(np.linalg.norm(gradient))
    if solved:
        _warn_unless_solved(objective, table, gradient, sums, solved)
    stationary = norm <= model.tol * objective.gradient_scale
    slack = slack_of(objective, table) if stationary else 0.0
    passes = _SWEEP * model.n_sweeps if hasattr(model, "n_sweeps") else _PASSES
    return {
        **model._attributes(table, objective, data, sums=sums),
        "_interactions": model._kept(data),
        "_slack": slack,
        "_taken_over": True,
        "_fit_work": passes * data.n_interactions,
        "n_iter_": 1,
        "converged_": stationary and slack >= 0,
        "gradient_norm_": norm,
    }


def _warn_unless_solved(
    objective: Any, table: Floats, gradient: Floats, sums: tuple[Floats, ...], side: str
) -> None:
    """Warn where rows that training solved last are no solutions of the objective stated here."""
    m = objective.layout.n_users
    rows, other = (slice(m), sums[1]) if side == "users" else (slice(m, None), sums[0])
    penalty = objective.row_penalties[rows, None] * table[rows]
    size = float(np.linalg.norm(penalty))
    left = float(np.linalg.norm(gradient[rows]))
    if left > _SOLVED * size + _ROUNDING * float(np.linalg.norm(table[rows] @ other)):
        warn_of_data(
            f"the factors of the {side}, which training solves last, leave a gradient of "
            f"{left:.2g} where the penalty has one of {size:.2g}; expected nearly none. Pass the "
            "interactions, confidence and penalty of the training: others count as training that "
            "was not finished."
        )


def _read(
    model: Any, X: Any, shape: tuple[int, ...], name: str, dtype: np.dtype[Any]
) -> Interactions:
    """Interactions, in a data type, that factors of some shape can have been fitted on."""
    X = as_numbers(X, name)
    values = X.data if sparse.issparse(X) and X.format in ("csr", "csc", "coo") else X
    numbers = isinstance(values, np.ndarray) and values.dtype.kind in "fi"
    if numbers and not ((values >= 0) & (values < np.inf)).all():
        raise ValueError(
            f"{name} holds negative values, NaN or infinity; expected positive numbers. Dislikes "
            f"are nothing that {type(model).__name__} knows: train without them, and pass the rest."
        )
    rows = model._validate_matrix(X, reset=True)
    if rows.shape != shape:
        right = f"{name}, users x items, not its transpose"
        if rows.shape[::-1] != shape:
            right = "the matrix that the factors were fitted on, a row for each user"
        raise ValueError(
            f"{name} has the shape {rows.shape}; expected {shape}, by the factors. Pass {right}."
        )
    data = Interactions.from_matrix(rows.astype(dtype, copy=False))
    if not data.n_interactions:
        raise ValueError(
            f"{name} of shape {shape} holds no interaction; expected at least one. "
            "Pass the matrix that the factors were fitted on."
        )
    check_magnitude(data.values, name)
    return data
