"""Weighted objective of implicit feedback: a squared loss on *every* pair of user and item.

Conventions
-----------
``P = theta[:n_users]``, ``Q = theta[n_users:]``, ``s = <P_u, Q_i>``. An observed cell has the
target p = 1 and the confidence ``c = alpha * value``; every other cell has p = 0 and c = 1. With
``g`` the weight of a user:

    J    = sum over all pairs of g c (p - s)^2 / 2 + sum over rows of ridge |theta_row|^2 / 2

The sum of ``g s^2`` over all pairs is ``<P' g P, Q' Q>``, two Gram matrices, so only the observed
cells are walked, with what they add to that: slopes r and curvatures w, as sparse matrices R and W,

    r    = g ((c - 1) s - c),   w = g (c - 1)
    grad = [g P (Q'Q) + R Q ; Q (P'gP) + R' P] + ridge * theta
    H V  = [g V_P (Q'Q) + g P (V_Q'Q + Q'V_Q) + W(V) Q + R V_Q ; ...] + ridge * V

with ``W(V) = w * (<V_P, Q> + <P, V_Q>)``, and likewise for the items.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence.backends import Array, Backend, Pattern, cast, like, twin
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives._base import Layout
from sklearn_unlearn.objectives._ridge import Ridge, row_multiples
from sklearn_unlearn.objectives._sparse import restrict_pattern
from sklearn_unlearn.objectives._weighted_convex import WeightedConvex
from sklearn_unlearn.objectives._weighted_grams import gram, gram_change
from sklearn_unlearn.objectives._weighted_point import WeightedEvaluation

__all__ = ["WeightedObjective"]

Floats = NDArray[Any]


@dataclass(frozen=True)
class WeightedObjective(WeightedConvex):
    """Weighted squared losses of all pairs plus a ridge; pure and immutable.

    Derivatives have the data type of theta; sums are taken in double precision.

    Parameters
    ----------
    pattern : Pattern
        The observed cells.

    values : ndarray, shape (n_interactions,)
        The weight of an observed cell is `alpha` times its value; an unobserved one has 1.

    layout : Layout
        Shape of theta, without biases.

    ridge : Ridge
        Weight of each squared parameter.

    backend : Backend
        Arithmetic.

    user_weights : ndarray, shape (n_users,), or None, default=None
        How many users each user stands for; None is 1.

    outside : tuple of two ndarray, shape (n_factors, n_factors), or None, default=None
        Gram matrices of the users, weighted, and of the items that a restricted table leaves out.

    frozen_rows : ndarray of int, or None, default=None
        Rows that do not move: derivatives are zero there.

    alpha : float, default=1.0
        Confidence of a value of 1.

    outside_weight : float, default=1.0
        Largest weight of a user that a restricted table leaves out.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.influence.backends import ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.objectives import WeightedObjective
    >>> objective = WeightedObjective.from_interactions(
    ...     Interactions.from_matrix([[1, 0, 3], [0, 2, 0]]),
    ...     n_factors=1, regularization=0.5, alpha=2.0, backend=ScipyBackend(),
    ... )
    >>> objective.confidence
    array([2., 6., 4.])
    >>> objective.value(np.zeros((5, 1)))
    6.0
    """

    pattern: Pattern
    values: Floats
    layout: Layout
    ridge: Ridge
    backend: Backend
    user_weights: Floats | None = None
    outside: tuple[Floats, Floats] | None = None
    frozen_rows: NDArray[Any] | None = None
    alpha: float = 1.0
    outside_weight: float = 1.0

    # An unobserved cell has the target zero, so no constant is added to scores.
    offset: ClassVar[float] = 0.0

    @classmethod
    def from_interactions(
        cls,
        data: Interactions,
        *,
        n_factors: int,
        regularization: float,
        alpha: float,
        backend: Backend,
        frequency_scaling: float = 0.0,
    ) -> WeightedObjective:
        """State the objective of implicit feedback.

        Parameters
        ----------
        data : Interactions
            Positive values. A user of weight ``c`` counts like ``c`` users with the same row: its
            losses and its penalty are both multiplied.

        n_factors : int
            Latent columns.

        regularization : float
            Weight of the penalty.

        alpha : float
            Confidence of a value of 1.

        backend : Backend
            Arithmetic.

        frequency_scaling : float, default=0.0
            The penalty of each row is multiplied by its number of interactions to this power.

        Returns
        -------
        objective : WeightedObjective
        """
        return cls(
            Pattern.from_interactions(data),
            data.values,
            Layout(data.n_users, data.n_items, n_factors, fit_bias=False),
            Ridge(float(regularization), (1.0, 1.0), row_multiples(data, frequency_scaling)),
            backend,
            data.row_weights,
            alpha=float(alpha),
        )

    @property
    def has_gauge(self) -> bool:
        """Whether rotating the latent columns of theta leaves the value alone."""
        return self.frozen_rows is None and self.outside is None

    def at(self, theta: Array) -> WeightedEvaluation:
        """Evaluate at a point, in the arrays of the backend."""
        return WeightedEvaluation(self, self.backend.asarray(theta))

    def sums(self, theta: Array) -> tuple[Array, ...]:
        """Gram matrices of the users, weighted, and of the items; left-out rows included.

        Arrays like theta, which may be NumPy's or the backend's.
        """
        m, weights = self.layout.n_users, twin(self, "user_weights", theta)
        users, items = gram(theta[:m], weights=weights), gram(theta[m:])
        if self.outside is None:
            return users, items
        return users + like(users, self.outside[0]), items + like(items, self.outside[1])

    def penalty(self, table: Array) -> Array:
        """Ridge times a table, in its data type."""
        return table * cast(table, twin(self, "row_penalties", table))[:, None]

    def spread(self, out: Array, table: Array, sums: tuple[Array, ...]) -> Array:
        """Add ``[g T_P sums[1] ; T_Q sums[0]]``, the sums over all pairs, to `out`, in place."""
        m = self.layout.n_users
        users = table[:m] @ cast(table, sums[1])
        if self.user_weights is not None:
            users *= twin(self, "user_weights", table)[:, None]
        out[:m] += users
        out[m:] += table[m:] @ cast(table, sums[0])
        return out

    @property
    def gradient_scale(self) -> float:
        """Norm of the slopes at score zero: the unit of gradient tolerances."""
        slopes = self.values.astype(np.float64, copy=False)
        if self.user_weights is not None:
            slopes = slopes * self.cell_weights
        # Where nothing is observed, zero is the best score of all pairs: there is no unit.
        return self.alpha * float(np.linalg.norm(slopes)) or 1.0

    def with_factors(self, n_factors: int) -> Self:
        """Return the same objective for another number of latent columns."""
        if self.outside is not None:
            raise ValueError(
                f"n_factors={n_factors} was given for a restricted table; expected the whole one, "
                "because the Gram matrices of the rows left out have a column a factor. "
                "Change the number of factors first, then restrict."
            )
        return super().with_factors(n_factors)

    def damping_of(self, theta: Floats, step: Floats) -> Floats:
        """Length at which each user may take its Newton step: 1, for it solves the row."""
        return np.ones(len(step))

    def ridge_gradient(self, theta: Floats, rows: NDArray[Any]) -> Floats:
        """Gradient of the penalty alone in some rows."""
        penalties = self.ridge.for_rows(rows).of_factors(self.layout.for_rows(len(rows), 0))
        return theta[rows] * penalties.astype(theta.dtype, copy=False)[:, None]

    def restrict(
        self, rows: NDArray[Any], theta: Floats | None = None, sums: tuple[Floats, ...] = ()
    ) -> tuple[WeightedObjective, NDArray[Any]]:
        """Keep only some rows free: walk only the interactions incident to them.

        Parameters
        ----------
        rows : ndarray of int
            Rows of theta that may move.

        theta : ndarray
            The whole table: every row feels all others through the Gram matrices.

        sums : tuple of ndarray, default=()
            ``sums(theta)``, if they are known already.

        Returns
        -------
        restricted : WeightedObjective
            Of a smaller table.
        table_rows : ndarray of int
            Rows of theta that make up the smaller table.

        Raises
        ------
        ValueError
            Without `theta`.
        """
        if theta is None:
            raise ValueError(
                "theta=None was given; expected the whole table, because every row feels the sums "
                "over all others. Pass restrict(rows, theta)."
            )
        part, m = restrict_pattern(self.pattern, self.layout, rows), self.layout.n_users
        g, users = self.user_weights, part.table_rows[part.table_rows < m]
        restricted = replace(
            self,
            pattern=part.pattern,
            values=self.values[part.cells],
            layout=part.layout,
            ridge=self.ridge.for_rows(part.table_rows),
            user_weights=None if g is None else g[users],
            outside=None,
            frozen_rows=part.frozen_rows,
        )
        if len(part.table_rows) == self.layout.shape[0]:
            return replace(restricted, outside=self.outside), part.table_rows
        whole, inside = sums or self.sums(theta), restricted.sums(theta[part.table_rows])
        largest = self.outside_weight
        if g is not None:
            beside = np.delete(g, users).max(initial=0.0)
            largest = float(beside if self.outside is None else max(beside, largest))
        outside = whole[0] - inside[0], whole[1] - inside[1]
        return replace(restricted, outside=outside, outside_weight=largest), part.table_rows

    def drift(self, before: Floats, after: Floats) -> float:
        """Norm of the gradient's change in the rows that a restricted table leaves out.

        Exact without user weights; with them, an upper bound.
        """
        if self.outside is None:
            return 0.0
        m, (out_users, out_items) = self.layout.n_users, self.outside
        users = gram_change(before[:m], after[:m], self.user_weights)
        items = gram_change(before[m:], after[m:])
        square = self.outside_weight * np.vdot(items, out_users @ items)
        square += np.vdot(users, out_items @ users)
        return float(np.sqrt(max(square, 0.0)))
