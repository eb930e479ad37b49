"""The row solver of weighted objectives: least squares, and what requests change of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import Array, gram, gram_change
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives._base import Objective
from sklearn_unlearn.objectives.weighted._rows import (
    ROW_STEPS,
    Weighted,
    gradient_of,
    neighbour_change,
    neighbours_of,
    solve_users,
    sweep,
)
from sklearn_unlearn.utils._interactions import joint_weights, rows_of

__all__ = [
    "Request",
    "RowChanges",
    "WeightedRows",
]

Floats = NDArray[Any]
Ints = NDArray[np.int64]


class WeightedRows:
    """The row solver of a weighted objective.

    Parameters
    ----------
    objective : WeightedObjective
        J.

    c_of : callable or None, default=None
        Gradient that some rows end at, given the rows; None is zero.
    """

    steps_of_a_sweep: ClassVar[int | None] = ROW_STEPS

    def __init__(
        self, objective: Weighted, c_of: Callable[[NDArray[np.int64]], Floats] | None = None
    ) -> None:
        self.objective, self.c_of = objective, c_of

    def tilted(self, c_of: Callable[[NDArray[np.int64]], Floats]) -> WeightedRows:
        """Return the same solver with a gradient to end at."""
        return WeightedRows(self.objective, c_of)

    def sweep(
        self,
        theta: Array,
        sums: tuple[Array, ...],
        *sides: NDArray[np.int64],
        n_steps: int | None = None,
        near: bool = False,
    ) -> tuple[Array, ...]:
        """Solve the rows of one side after the other, in place; see `sweep`."""
        options: dict[str, Any] = {"tilt": self.c_of, "n_steps": n_steps, "near": near}
        return sweep(self.objective, theta, sums, *sides, **options)

    def solve_users(self, items: Floats, gram_of_items: Floats) -> Floats:
        """Exact rows of all users, given the items and their Gram matrix: fold-in."""
        return solve_users(self.objective, items, gram_of_items)

    def neighbours(self, rows: Ints) -> Ints:
        """Rows that share an interaction with one of some rows, ascending."""
        m = self.objective.layout.n_users
        sides = rows[rows < m], rows[rows >= m]
        return np.concatenate([neighbours_of(self.objective, side) for side in sides[::-1]])

    def changes(self, request: Request) -> RowChanges:
        """How the gradient changes as the data of a request go and rows move."""
        return RowChanges(request, self.objective)


class Request(Protocol):
    """What is asked of a request; see `ForgetProblem`."""

    @property
    def before(self) -> Interactions: ...
    @property
    def retained(self) -> Interactions: ...
    @property
    def positions(self) -> Ints: ...
    @property
    def added(self) -> Ints: ...
    @property
    def theta(self) -> Floats: ...
    @property
    def sums(self) -> tuple[Floats, ...]: ...
    @property
    def objective_before(self) -> Callable[[], Objective]: ...
    def touched_rows(self) -> Ints: ...
    def woken_rows(self) -> Ints: ...


class RowChanges:
    """A request against a weighted objective: how the gradient was and how it changes.

    Parameters
    ----------
    request : Request
        The model, the data, and what goes and comes.

    objective : WeightedObjective
        J_R, of the data after.
    """

    def __init__(self, request: Request, objective: Weighted) -> None:
        self.request, self.objective = request, objective
        self.m = objective.layout.n_users
        self.before = request.theta
        # A user that loses everything keeps no weight, and one that is new had none.
        sides = ((data.indptr, data.row_weights) for data in (request.before, request.retained))
        self.weights = joint_weights(*sides)
        self.sums = request.sums or (
            gram(self.before[: self.m], weights=self.weights),
            gram(self.before[self.m :]),
        )
        self.touched = request.touched_rows()
        self.emptied = self._emptied()
        self.removed = self._removed_gradient()

    def _emptied(self) -> Ints:
        """Touched rows without an interaction left; the cells of the touched items are kept."""
        users, items = self.sides(self.touched)
        lengths = np.diff(self.objective.pattern.cells_of_columns(items - self.m)[0])
        gone = self.request.retained.degrees_of(users) == 0, lengths == 0
        return np.concatenate([users[gone[0]], items[gone[1]]])

    def _removed_gradient(self) -> Floats:
        """Gradient of J_D less that of J_R at the model, in the touched rows: elsewhere zero."""
        request, out = self.request, np.zeros((len(self.touched), self.before.shape[1]))
        self._add_cells(out, request.before, request.positions, 1.0)
        if len(request.added):
            self._add_cells(out, request.retained, request.added, -1.0)
        if self.objective.ridge.row_weights is not None:
            whole = self.request.objective_before()
            out += whole.ridge_gradient(self.before, self.touched)
            out -= self.objective.ridge_gradient(self.before, self.touched)
        return out

    def _add_cells(self, out: Floats, data: Interactions, cells: Ints, sign: float) -> None:
        """Add what observed cells are to the gradient in the touched rows, beside others."""
        users = rows_of(data.indptr, cells)
        items = data.items_at(cells) + self.m
        P, Q = self.before[users].astype(np.float64), self.before[items].astype(np.float64)
        c = self.objective.alpha * data.values_at(cells).astype(np.float64)
        slopes = sign * ((c - 1) * np.einsum("nk,nk->n", P, Q) - c)
        if self.weights is not None:
            slopes *= self.weights[users]
        np.add.at(out, np.searchsorted(self.touched, users), slopes[:, None] * Q)
        np.add.at(out, np.searchsorted(self.touched, items), slopes[:, None] * P)

    def leftover(self, rows: Ints) -> Floats:
        """Gradient of J_D at the model in some rows: what training left."""
        users, items = self.sides(rows)
        left = gradient_of(self.objective, self.before, self.sums, users, items)
        places = np.searchsorted(self.touched, rows)
        known = places < len(self.touched)
        known[known] = self.touched[places[known]] == rows[known]
        left[known] += self.removed[places[known]]
        return left

    def extend(self, leftover: Floats, support: Ints, grown: Ints) -> Floats:
        """Leftover of a larger support."""
        table = np.empty((len(grown), leftover.shape[1]))
        new = np.setdiff1d(grown, support, assume_unique=True)
        table[np.searchsorted(grown, support)] = leftover
        table[np.searchsorted(grown, new)] = self.leftover(new)
        return table

    def sides(self, rows: Ints) -> tuple[Ints, Ints]:
        """Users and items among some rows."""
        cut = np.searchsorted(rows, self.m)
        return rows[:cut], rows[cut:]

    def count_incident(self, rows: Ints) -> int:
        """Upper bound of the number of interactions that touch some rows."""
        users, items = self.sides(rows)
        of_items = self.objective.pattern.cells_of_columns(items - self.m)[0][-1]
        return int(self.request.retained.degrees_of(users).sum() + of_items)

    def start(self) -> tuple[Floats, tuple[Floats, ...]]:
        """Table with the emptied rows at zero, their optimum, and its sums.

        New items that only new users have are put off zero, where the two have no gradient.
        """
        theta = self.before.copy()
        theta[self.emptied] = 0
        lifted = self._without_gradient(theta)
        if len(lifted):
            values, vectors = np.linalg.eigh(self.sums[1])
            theta[lifted] = vectors[:, 0] * np.sqrt(values.sum() / max(len(theta) - self.m, 1))
        users, items = self.sides(np.concatenate([self.emptied, lifted]))
        weights = None if self.weights is None else self.weights[users]
        change = (
            gram_change(self.before[users], theta[users], weights),
            gram_change(self.before[items], theta[items]),
        )
        return theta, (self.sums[0] + change[0], self.sums[1] + change[1])

    def first_norm(self, theta: Floats, sums: tuple[Floats, ...]) -> float:
        """Norm of the gradient that the request brings in, at the start."""
        norm = float(np.linalg.norm(self.removed))
        if norm or not len(self.request.woken_rows()):
            return norm
        return float(
            np.linalg.norm(gradient_of(self.objective, theta, sums, *self.sides(self.touched)))
        )

    def _without_gradient(self, theta: Floats) -> Ints:
        """Find new items that nothing pulls: the rows of all their users are zero."""
        items = self.request.woken_rows()
        items = items[items >= self.m]
        if not len(items) or not theta.shape[1]:
            return items[:0]
        gradient = gradient_of(self.objective, theta, self.sums, items[:0], items)
        return items[~gradient.any(axis=1)]

    def residual(
        self, theta: Floats, sums: tuple[Floats, ...], support: Ints, wanted: Floats | None
    ) -> tuple[Ints, Floats, float, float]:
        """Gradient that is left when the rows of a support have been solved.

        Returns
        -------
        beside : ndarray of int
            Neighbours of what moved.

        norms : ndarray
            Norm of the change of the gradient of each.

        left, beyond : float
            Norm of all that is left, and of its part in rows that are not neighbours.
        """
        beside, norms, beyond = self.look(theta, sums, support)
        own = self._own_norm(theta, sums, support, wanted)
        return beside, norms, float(np.sqrt(own**2 + beyond**2 + np.vdot(norms, norms))), beyond

    def _own_norm(
        self, theta: Floats, sums: tuple[Floats, ...], support: Ints, wanted: Floats | None
    ) -> float:
        """Norm of the gradient in the support, less what it is to end at."""
        users, items = self.sides(support)
        if not (len(users) and len(items)):
            return 0.0  # rows of one side do not feel each other: each was just solved exactly
        own = gradient_of(self.objective, theta, sums, users)
        if wanted is not None:
            own -= wanted[: len(users)]
        return float(np.linalg.norm(own))

    def look(
        self, theta: Floats, sums: tuple[Floats, ...], support: Ints
    ) -> tuple[Ints, Floats, float]:
        """Neighbours of what moved, the norms of their changes, and that of all rows beyond."""
        rows, norms, beyond = [], [], 0.0
        for of_items, moved in enumerate(self.sides(support)[::-1]):
            some, some_norms, square = self._look_at(bool(of_items), moved, theta, sums, support)
            rows.append(some)
            norms.append(some_norms)
            beyond += square
        return np.concatenate(rows), np.concatenate(norms), float(np.sqrt(max(beyond, 0.0)))

    def _look_at(
        self, of_items: bool, moved: Ints, theta: Floats, sums: tuple[Floats, ...], support: Ints
    ) -> tuple[Ints, Floats, float]:
        """One side, when rows `moved` of the other have; see `look`."""
        o, first = self.objective, self.m if of_items else 0
        side = slice(self.m, None) if of_items else slice(0, self.m)
        change = sums[1 - of_items] - self.sums[1 - of_items]
        own = self.sides(support)[of_items]
        beside = np.setdiff1d(neighbours_of(o, moved), own, assume_unique=True)
        place = np.full(len(theta[side]), -1, np.int64)
        place[beside - first] = np.arange(len(beside))
        changes, square = self._through_sums(theta, change, beside, of_items)
        # All rows less those that are looked at: where the rest is nothing, only digits are left.
        far = float(np.vdot(change, sums[int(of_items)] @ change)) - square
        far -= self._through_sums(theta, change, own, of_items)[1]
        changes += neighbour_change(o, self.before, theta, moved, place, len(beside))
        norms = np.sqrt(np.einsum("nk,nk->n", changes, changes))
        g = None if of_items else o.user_weights
        largest_weight = 1.0 if g is None else float(g.max(initial=0.0))
        if g is not None and o.outside is not None:
            largest_weight = max(largest_weight, o.outside_weight)
        return beside, norms, largest_weight * max(far, 0.0)

    def _through_sums(
        self, theta: Floats, change: Floats, rows: Ints, of_items: bool
    ) -> tuple[Floats, float]:
        """Change of the gradient through a Gram matrix, and its square, each by its weight once."""
        changes = theta[rows].astype(np.float64, copy=False) @ change
        squares = np.einsum("nk,nk->n", changes, changes)
        g = None if of_items else self.objective.user_weights
        if g is None:
            return changes, float(squares.sum())
        changes *= g[rows, None]
        return changes, float(g[rows] @ squares)
