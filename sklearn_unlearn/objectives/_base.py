"""What fitting and forgetting ask of an objective, and the table of parameters they share.

Conventions
-----------
theta is one table of shape ``(n_users + n_items, width)``, users first. Its first ``n_factors``
columns are latent. With biases there are two more columns: user rows are ``[z_u, b_u, 1]`` and item
rows ``[z_i, 1, b_i]``, so that every score is the plain product ``<theta_u, theta_i>``. The two
columns of ones are *fixed*: gradients and Hessian products are zero there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import Array, Backend, to_numpy
from sklearn_unlearn.certificates import Certificate
from sklearn_unlearn.interactions import Interactions

__all__ = [
    "Evaluation",
    "ExactRowSolver",
    "FactorObjective",
    "Layout",
    "Objective",
    "RowSolver",
]

Floats = NDArray[Any]


@dataclass(frozen=True)
class Layout:
    """Shape of the table theta, and which of its columns are free.

    Parameters
    ----------
    n_users, n_items : int
        Rows of each kind.

    n_factors : int
        Latent columns.

    fit_bias : bool
        Whether the two bias columns are there.

    Examples
    --------
    >>> from sklearn_unlearn.objectives import Layout
    >>> Layout(n_users=3, n_items=2, n_factors=4, fit_bias=True).shape
    (5, 6)
    """

    n_users: int
    n_items: int
    n_factors: int
    fit_bias: bool

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.n_factors + 2 * self.fit_bias

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of theta."""
        return self.n_users + self.n_items, self.width

    def mask_fixed(self, table: Array) -> Array:
        """Set the fixed columns of a table to zero, in place."""
        if self.fit_bias:
            table[: self.n_users, self.n_factors + 1] = 0
            table[self.n_users :, self.n_factors] = 0
        return table

    def pack(self, Z: Floats, biases: Floats | None = None) -> Floats:
        """Make theta from latent rows, shape (n_rows, n_factors), and one bias a row."""
        if not self.fit_bias:
            return np.array(Z, dtype=np.float64)
        theta = np.ones(self.shape)
        theta[:, : self.n_factors] = Z
        b = np.zeros(len(theta)) if biases is None else biases
        theta[: self.n_users, self.n_factors] = b[: self.n_users]
        theta[self.n_users :, self.n_factors + 1] = b[self.n_users :]
        return theta

    def biases(self, theta: Floats) -> tuple[Floats, Floats]:
        """Biases of users and of items, views of theta."""
        k, m = self.n_factors, self.n_users
        return theta[:m, k], theta[m:, k + 1]

    def empty_rows(self, rows: NDArray[Any]) -> Floats:
        """Parameters of rows without interactions: zero, but for the columns of ones."""
        table = np.zeros((len(rows), self.width))
        if self.fit_bias:
            table[np.arange(len(rows)), self.n_factors + (rows < self.n_users)] = 1
        return table

    def for_rows(self, n_users: int, n_items: int) -> Layout:
        """Layout of a part of the table."""
        return Layout(n_users, n_items, self.n_factors, self.fit_bias)


class Evaluation(ABC):
    """An objective at one point: what was computed for the value serves the Hessian too.

    Tables and gradients are arrays of the objective's backend; the objective itself speaks NumPy.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.objectives import WeightedObjective
    >>> objective = WeightedObjective.from_interactions(
    ...     Interactions.from_matrix([[1, 0, 3], [0, 2, 0]]),
    ...     n_factors=1, regularization=0.5, alpha=2.0, backend=ScipyBackend(),
    ... )
    >>> point = objective.at(np.zeros((5, 1)))
    >>> point.value
    6.0
    """

    theta: Array

    @property
    @abstractmethod
    def value(self) -> float:
        """Value of the objective."""

    @property
    @abstractmethod
    def gradient(self) -> Array:
        """Gradient, a table like theta."""

    @abstractmethod
    def hessian_product(self, V: Array) -> Array:
        """Hessian times a table of directions, zero in fixed columns."""

    @abstractmethod
    def hessian_diagonal(self) -> Array:
        """Diagonal of the Hessian, a table like theta; 1 in fixed columns."""

    @abstractmethod
    def blocks(self, *, users_only: bool = False) -> Array:
        """Diagonal (width, width) blocks of the Hessian, one a row; identity where fixed."""


class RowSolver(Protocol):
    """Solves rows of one side while the other stays: each is a small problem of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.objectives import WeightedObjective
    >>> objective = WeightedObjective.from_interactions(
    ...     Interactions.from_matrix([[1, 0, 3], [0, 2, 0]]),
    ...     n_factors=1, regularization=0.5, alpha=2.0, backend=ScipyBackend(),
    ... )
    >>> solver = objective.row_solver()
    >>> hasattr(solver, "sweep")
    True
    """

    # Inner steps that a row is worth in a sweep over all: the next one moves its problem anyway.
    steps_of_a_sweep: ClassVar[int | None]

    def sweep(
        self,
        theta: Array,
        sums: tuple[Array, ...],
        *sides: NDArray[np.int64],
        n_steps: int | None = None,
    ) -> tuple[Array, ...]:
        """Move the rows of one side after the other, in place; return the sums of the new table."""

    def tilted(self, c_of: Callable[[NDArray[np.int64]], Floats]) -> Self:
        """Return the same solver with a gradient to end at, given the rows."""


class ExactRowSolver(RowSolver, Protocol):
    """Row solver of an objective that has exact rows: each is a least-squares problem."""

    def solve_users(self, items: Floats, gram_of_items: Floats) -> Floats:
        """Rows of all users, given the items and their Gram matrix: fold-in."""

    def neighbours(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows that share an interaction with one of some rows, ascending."""

    def changes(self, request: Any) -> Any:
        """How the gradient changes as the data of a request go; see `RowChanges`."""


class Objective(ABC):
    """A function of theta that is pure and immutable.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.objectives import WeightedObjective
    >>> objective = WeightedObjective.from_interactions(
    ...     Interactions.from_matrix([[1, 0, 3], [0, 2, 0]]),
    ...     n_factors=1, regularization=0.5, alpha=2.0, backend=ScipyBackend(),
    ... )
    >>> objective.value(np.zeros((5, 1)))
    6.0
    """

    layout: Layout
    # Whether the gradient of a row depends on the row and its neighbours alone.
    is_local: ClassVar[bool] = True
    # Whether each row is a least-squares problem, given the other side: a sweep solves it exactly.
    has_exact_rows: ClassVar[bool] = False
    # Whether a point of negative curvature is where a minimisation ends.
    stops_at_saddles: ClassVar[bool] = False

    @property
    @abstractmethod
    def has_gauge(self) -> bool:
        """Whether rotating the latent columns of theta leaves the value alone."""

    @property
    @abstractmethod
    def n_cells(self) -> int:
        """Number of cells that one product walks."""

    @abstractmethod
    def at(self, theta: Array) -> Evaluation:
        """Evaluate at a point, in the arrays of the backend."""

    @abstractmethod
    def thaw(self) -> Objective:
        """Let every row of a restricted table move; cells that it leaves out stay out."""

    @abstractmethod
    def ridge_gradient(self, theta: Floats, rows: NDArray[Any]) -> Floats:
        """Gradient of the penalty alone in some rows."""

    def rotated(self, rotation: Array) -> Objective:
        """Return the same objective of rotated latent columns: itself, unless it is tilted."""
        return self

    def row_solver(self) -> RowSolver | None:
        """Solver of single rows; None where rows of one side depend on each other."""
        return None

    def certificate(self) -> Certificate | None:
        """Return what certifies a point; None where nothing is known of the convex problem."""
        return None

    @property
    def draws_items(self) -> bool:
        """Whether items are drawn from all there are, so that one more changes every draw."""
        return False

    @property
    def tilt_norm(self) -> float:
        """Norm of the gradient that J has where this is stationary: zero, unless it is tilted."""
        return 0.0

    @property
    def unit(self) -> float | None:
        """Unit of gradient norms; None where nothing is known of it."""
        return None

    def sums(self, theta: Floats) -> tuple[Floats, ...]:
        """Return what every row feels of all rows; nothing where it feels its neighbours alone."""
        return ()

    def removal_derivatives(self, theta: Floats) -> tuple[Floats, Floats] | None:
        """Slope and curvature, in its own score, of the terms that leave with each interaction.

        Shapes (n_interactions,); None where the removal of one changes the terms of others.
        """
        return None

    def drift(self, before: Floats, after: Floats) -> float:
        """Return the norm of the gradient's change in the rows that a restricted table lacks."""
        return 0.0

    def count_incident(self, data: Interactions, rows: NDArray[np.int64]) -> int:
        """Upper bound of the cells that a product walks if only some rows move."""
        m = data.n_users
        users, items = rows[rows < m], rows[rows >= m] - m
        return int(data.user_degrees[users].sum() + data.item_degrees[items].sum())

    def partners_of(self, users: NDArray[Any], items: NDArray[Any]) -> NDArray[np.int64]:
        """Items, beside their own, whose gradient changes when some pairs are removed."""
        return np.empty(0, np.int64)

    def is_drawn(self, items: NDArray[Any]) -> NDArray[np.bool_]:
        """Which items the losses feel even if nobody has met them."""
        return np.zeros(len(items), bool)

    @abstractmethod
    def restrict(
        self, rows: NDArray[Any], theta: Floats | None = None, sums: tuple[Floats, ...] = ()
    ) -> tuple[Objective, NDArray[Any]]:
        """Keep only some rows free.

        Parameters
        ----------
        rows : ndarray of int
            Rows of theta that may move.

        theta : ndarray or None, default=None
            The whole table: objectives whose rows feel sums over all others need it.

        sums : tuple of ndarray, default=()
            ``sums(theta)``, if they are known already.

        Returns
        -------
        restricted : Objective
            Of a smaller table; it walks only the interactions incident to `rows`.
        table_rows : ndarray of int
            Rows of theta that make up the smaller table, those beside `rows` included: fixed, but
            needed for scores.
        """

    def value(self, theta: Floats) -> float:
        """Value at a point."""
        return self.at(theta).value

    def gradient(self, theta: Floats) -> Floats:
        """Gradient at a point."""
        return to_numpy(self.at(theta).gradient)

    def gradient_norm(self, theta: Floats) -> float:
        """Norm of the gradient at a point."""
        return float(np.linalg.norm(self.gradient(theta)))


class FactorObjective(Objective):
    """An objective of factors and biases: what the start of a fit and a certificate ask beside.

    Examples
    --------
    >>> from sklearn_unlearn.objectives import FactorObjective, WeightedObjective
    >>> issubclass(WeightedObjective, FactorObjective)
    True
    """

    backend: Backend

    @property
    @abstractmethod
    def gradient_scale(self) -> float:
        """Norm of the slopes at score zero: the unit of gradient tolerances."""

    @property
    def value_unit(self) -> float:
        """Value so small that its digits are rounding: the least unit of a relative gap."""
        return 0.0

    @property
    def unit(self) -> float:
        """Unit of gradient norms: `gradient_scale`."""
        return self.gradient_scale

    @abstractmethod
    def certificate(self) -> Certificate:
        """Return what certifies a point."""

    @abstractmethod
    def with_factors(self, n_factors: int) -> FactorObjective:
        """Return the same objective for another number of latent columns."""

    @abstractmethod
    def freeze_items(self) -> FactorObjective:
        """Let only users move."""

    @property
    @abstractmethod
    def row_penalties(self) -> Floats:
        """Weight of the latent columns of each row in the penalty, shape (n_users + n_items,)."""

    @abstractmethod
    def damping_of(self, theta: Floats, step: Floats) -> Floats:
        """Length at which each user may take its Newton step, shape (n_users,)."""
