"""Between the attributes of a factor model and the one table that objectives know."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sklearn_unlearn._forget_request import ForgetRequest
from sklearn_unlearn.influence import ForgetReport
from sklearn_unlearn.influence._problem import ForgetOutcome
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import Layout
from sklearn_unlearn.recommenders._types import Columns, Ints, ModelObjective, State
from sklearn_unlearn.solvers import NewtonResult, Status
from sklearn_unlearn.solvers._gauge import canonical_rotation
from sklearn_unlearn.utils._pages import Pages

__all__ = [
    "SPARE",
    "Occupied",
    "canonical",
    "cleared",
    "columns_of",
    "empty_rows",
    "fault_of",
    "grown_tables",
    "is_saturated",
    "padded",
    "penalty_of",
    "report_of",
    "settled",
    "to_attributes",
    "to_table",
    "trained_elsewhere",
    "used_columns",
]

# Empty columns of a model whose penalty chooses their number: what a request may add, and where it
# starts.
SPARE, _FIRST = 8, 8
# Where no column is empty, so many rows tell: the others need not be read.
_FEW = 256
_SATURATED = "; all n_factors are in use, so refits from other seeds may differ: see certify()"


def penalty_of(model: Any) -> float:
    """Penalty in force: the number that was set, or the one that a fit has chosen."""
    chosen = isinstance(model.regularization, str)
    return float(model.regularization_ if chosen else model.regularization)


def columns_of(model: Any) -> int:
    """Latent columns of the tables: the number that was set, or those that there are."""
    if not isinstance(model.n_factors, str):
        return int(model.n_factors)
    table = model.__dict__.get("item_factors_")
    return _FIRST if table is None else int(table.shape[1])


def padded(theta: Floats, fit_bias: bool, max_factors: int) -> Floats:
    """Table with empty latent columns behind its own, for requests to fill."""
    k = theta.shape[1] - 2 * fit_bias
    return np.insert(theta, [k] * min(SPARE, max_factors - k), 0.0, axis=1)


def to_table(model: Any, layout: Layout, columns: Columns = slice(None)) -> Floats:
    """Table of a model's parameters, with only some latent columns; not to be written to."""
    whole = _joint_table(model, layout, columns)
    if whole is not None:
        return whole
    theta = np.empty(layout.shape, model.user_factors_.dtype)
    theta[:, layout.n_factors :] = 1
    theta[: layout.n_users, : layout.n_factors] = model.user_factors_[:, columns]
    theta[layout.n_users :, : layout.n_factors] = model.item_factors_[:, columns]
    if layout.fit_bias:
        user_biases, item_biases = layout.biases(theta)
        user_biases[:], item_biases[:] = model.user_biases_, model.item_biases_
    return theta


def _joint_table(model: Any, layout: Layout, columns: Columns) -> Floats | None:
    """Return the table that both factor arrays are parts of, if there is one: nothing is copied."""
    users, items = model.user_factors_, model.item_factors_
    table = users.base
    everything = isinstance(columns, slice) and len(range(*columns.indices(users.shape[1])))
    if table is None or table is not items.base or not isinstance(table, np.ndarray):
        return None
    if everything != users.shape[1] or table.shape != layout.shape:
        return None
    same = users.ctypes.data == table.ctypes.data and table.flags.c_contiguous
    return table if same and users.flags.c_contiguous and items.flags.c_contiguous else None


def to_attributes(
    theta: Floats,
    objective: ModelObjective,
    columns: Columns | None = None,
    *,
    dtype: DTypeLike = np.float64,
    biases: bool = True,
) -> dict[str, Any]:
    """Attributes that a table gives.

    The table may hold only some of the latent columns of the objective: `columns`, and then columns
    that are new and take the first free places. A table that is the factors and nothing else is
    taken over as it is: both arrays are parts of it.
    """
    layout = objective.layout
    m, k = layout.n_users, layout.n_factors
    width = theta.shape[1] - 2 * layout.fit_bias
    places = _places(columns, k, width)
    if theta.shape == layout.shape and not layout.fit_bias and theta.dtype == dtype:
        table = np.ascontiguousarray(theta)
    else:
        table = np.zeros((layout.shape[0], k), dtype)
        table[:, places] = theta[:, :width]
    factors = {"user_factors_": table[:m], "item_factors_": table[m:]}
    if not biases:
        return factors
    user_biases, item_biases = np.zeros(m), np.zeros(layout.n_items)
    if layout.fit_bias:
        user_biases, item_biases = theta[:m, width].copy(), theta[m:, width + 1].copy()
    return {
        **factors,
        "user_biases_": user_biases,
        "item_biases_": item_biases,
        "global_mean_": objective.offset,
    }


def trained_elsewhere(trained: Any, objective: ModelObjective) -> NewtonResult:
    """Outcome of a training by another program: a model with factors, or both factors."""
    layout = objective.layout
    if not isinstance(trained, tuple):
        names = ["user_factors", "item_factors"]
        names += ["user_biases", "item_biases"] * layout.fit_bias
        trained = tuple(
            getattr(trained, f"{name}_", getattr(trained, name, None)) for name in names
        )
    tables = [np.asarray(table) for table in trained]
    shapes: list[tuple[int, ...]]
    shapes = [(layout.n_users, layout.n_factors), (layout.n_items, layout.n_factors)]
    shapes += [(layout.n_users,), (layout.n_items,)] * layout.fit_bias
    given = [table.shape for table in tables]
    if given != shapes or not all(np.isfinite(table).all() for table in tables):
        raise ValueError(
            f"refit returned arrays of the shapes {given}; expected finite factors of users and "
            f"items (and biases) of the shapes {shapes}. Return the trained model, or both factors "
            "as a tuple, with a row for each user and item, those without interactions too."
        )
    names = ["user_factors_", "item_factors_", "user_biases_", "item_biases_"][: len(tables)]
    theta = to_table(SimpleNamespace(**dict(zip(names, tables, strict=True))), layout).copy()
    norm = objective.gradient_norm(theta.astype(np.float64, copy=False))
    return NewtonResult(theta, np.nan, (norm, norm), 0, 0, Status.CONVERGED, False)


def _places(columns: Columns | None, k: int, width: int) -> Columns:
    """Where the columns of a table go among k; a slice where they come first."""
    if columns is None or isinstance(columns, slice):
        return slice(width)
    free = np.setdiff1d(np.arange(k), columns)
    return np.concatenate([columns, free[: width - len(columns)]])


def fault_of(name: str, result: NewtonResult, gtol: float) -> str:
    """Say why the fit of a model of that name has not converged; nothing if it has."""
    if result.converged:
        return ""
    fault = f"{name} stopped after {max(result.n_steps, 1)} steps at "
    if result.saddle:
        return fault + (
            "a saddle point: a minimum has latent columns that the steps did not reach. "
            "Raise max_iter, or raise regularization."
        )
    return fault + (
        f"a gradient norm of {result.gradient_norm[1]:.2e}; {gtol:.2e} was asked for. "
        "Raise max_iter, raise regularization, or loosen tol."
    )


def report_of(outcome: ForgetOutcome, request: ForgetRequest, *, saturated: bool) -> ForgetReport:
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
        n_learned=len(request.added),
    )


def grown_tables(state: State, shape: tuple[int, int]) -> dict[str, Any]:
    """Tables of a model with rows for more users and items, all of them zero.

    The tables are the attributes ``user_*_``, ``item_*_`` and those that `LightGCN` keeps of items.
    """
    grown: dict[str, Any] = {}
    for name, table in state.items():
        of_items = name.startswith("item_") or name in ("_gathered", "_pulled")
        if not (of_items or name.startswith("user_")):
            continue
        zeros = np.zeros((shape[of_items] - len(table), *table.shape[1:]), table.dtype)
        if isinstance(table, Pages):
            grown[name] = table.extended(zeros)
        else:
            grown[name] = np.concatenate([table, zeros])
    return grown


def is_saturated(state: State) -> bool:
    """Whether no latent column is free: the rank is limited by `n_factors`."""
    used = used_columns(state["item_factors_"])
    return isinstance(used, slice) and 0 < used.stop == state["item_factors_"].shape[1]


def used_columns(factors: Floats) -> Columns:
    """Columns that are not all zero; as a slice if they come first, which is cheaper to copy."""
    if factors[:_FEW].any(axis=0).all():
        return slice(factors.shape[1])
    used = np.flatnonzero(factors.any(axis=0))
    return slice(len(used)) if len(used) == np.max(used, initial=-1) + 1 else used


def canonical(theta: Floats, layout: Layout, tol: float, items: Floats | None = None) -> Floats:
    """Rotate the latent columns into the basis that depends on the scores alone.

    Columns whose part in the scores is below what the tolerance can see become exactly zero.
    `items` are the factors of the items where they are not rows of theta.
    """
    m, k = layout.n_users, layout.n_factors
    Z = theta[:, :k] @ canonical_rotation(theta[m:, :k] if items is None else items)
    sizes = np.linalg.norm(Z[:m], axis=0) * np.linalg.norm(Z[m:], axis=0)
    Z[:, sizes <= 1e-2 * tol] = 0
    out = theta.copy()
    out[:, :k] = Z
    return out


Floats = NDArray[Any]
Ints = Ints

# Fewer rows than this share of all are worth a table of their own.
_SHARE = 0.5


@dataclass(frozen=True)
class Occupied:
    """Users and items that hold something.

    Parameters
    ----------
    users, items : ndarray of int64
        Their positions, ascending.

    n_users : int
        Users of the whole table.
    """

    users: Ints
    items: Ints
    n_users: int

    @classmethod
    def of(
        cls, data: Interactions, is_drawn: Callable[[Ints], NDArray[np.bool_]], *more: Interactions
    ) -> Occupied | None:
        """Find the rows that hold something in any table; None where they are most of it.

        ``is_drawn(items)`` tells which items the losses feel though nobody has met them.
        """
        full, met = data.user_degrees > 0, data.item_degrees > 0
        for other in more:
            full, met = full | (other.user_degrees > 0), met | (other.item_degrees > 0)
        users = np.flatnonzero(full)
        if len(users) + np.count_nonzero(met) > _SHARE * sum(data.shape):
            return None
        items = np.flatnonzero(met | is_drawn(np.arange(data.n_items)))
        if len(users) + len(items) > _SHARE * sum(data.shape):
            return None
        return cls(users, items, data.n_users)

    @property
    def rows(self) -> Ints:
        """Their rows in the whole table of parameters."""
        return np.concatenate([self.users, self.items + self.n_users])

    def take(self, data: Interactions) -> Interactions:
        """Interactions of the rows, in a table of their own."""
        return data.compact(self.users, self.items)

    def put(self, theta: Floats, layout: Layout) -> Floats:
        """Whole table of parameters with some rows filled; `theta` may have other columns."""
        width = theta.shape[1] - 2 * layout.fit_bias
        whole = replace(layout, n_factors=width)
        table = whole.empty_rows(np.arange(layout.shape[0])).astype(theta.dtype, copy=False)
        table[self.rows] = theta
        return table


def empty_rows(data: Interactions, objective: ModelObjective) -> NDArray[np.bool_]:
    """Rows of theta that no loss feels: of users and items without interactions."""
    drawn = objective.is_drawn(np.arange(data.n_items))
    return np.concatenate([data.user_degrees == 0, (data.item_degrees == 0) & ~drawn])


def cleared(theta: Floats, layout: Layout, empty: NDArray[np.bool_]) -> Floats:
    """Table whose empty rows are the optimum; the very same table where they are already."""
    rows = np.flatnonzero(empty)
    optimum = replace(layout, n_factors=theta.shape[1] - 2 * layout.fit_bias).empty_rows(rows)
    if np.array_equal(theta[rows], optimum):
        return theta
    theta = theta.copy()
    theta[rows] = optimum
    return theta


def settled(theta: Floats, layout: Layout, empty: NDArray[np.bool_]) -> Floats:
    """Table whose empty rows are exactly what an optimum makes of them; rounding moves them."""
    width = theta.shape[1] - 2 * layout.fit_bias
    rows = np.flatnonzero(empty)
    rows = rows[np.any(theta[rows, :width] != 0, axis=1)]
    if not len(rows):
        return theta
    theta = theta.copy()
    theta[rows] = replace(layout, n_factors=width).empty_rows(rows)
    return theta
