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

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import (
    Array,
    Backend,
    Pattern,
    cast,
    double,
    gram,
    inner,
    like,
    namespace_of,
    twin,
)
from sklearn_unlearn.certificates import WeightedCertificate
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives._base import Evaluation, Layout
from sklearn_unlearn.objectives._cells import (
    Ridge,
    SparseObjective,
    row_multiples,
)
from sklearn_unlearn.objectives.weighted._outside import drift_outside, restricted
from sklearn_unlearn.objectives.weighted._row_solver import WeightedRows
from sklearn_unlearn.utils._pages import Pages, whole
from sklearn_unlearn.utils._verbs import cached_property

__all__ = ["WeightedEvaluation", "WeightedObjective"]

Floats = NDArray[Any]


@dataclass(frozen=True)
class WeightedObjective(SparseObjective):
    """Weighted squared losses of all pairs plus a ridge; pure and immutable.

    Derivatives have the data type of theta; sums are taken in double precision.

    Parameters
    ----------
    pattern : Pattern
        The observed cells.

    values : ndarray or Pages, shape (n_interactions,)
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

    squares : ndarray, shape (n_users,), or None, default=None
        Sum of the squared values of each user, if it is known.

    n_outside_cells : int, default=0
        Observed cells of the rows that a table of its own leaves out: a share of the work counts
        them too.

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
    >>> objective.confidence
    array([2., 6., 4.])
    >>> objective.value(np.zeros((5, 1)))
    6.0
    """

    pattern: Pattern
    values: Floats | Pages
    layout: Layout
    ridge: Ridge
    backend: Backend
    user_weights: Floats | None = None
    outside: tuple[Floats, Floats] | None = None
    frozen_rows: NDArray[Any] | None = None
    alpha: float = 1.0
    outside_weight: float = 1.0
    squares: Floats | None = None
    n_outside_cells: int = 0

    has_exact_rows: ClassVar[bool] = True
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
        frequency_offset: tuple[float, float] = (0.0, 0.0),
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

        frequency_offset : tuple of two floats, default=(0.0, 0.0)
            Added to the number of interactions of a user, and of an item.

        Returns
        -------
        objective : WeightedObjective
        """
        multiples = row_multiples(data, frequency_scaling, frequency_offset)
        return cls(
            Pattern.from_interactions(data),
            data.stored[1],
            Layout(data.n_users, data.n_items, n_factors, fit_bias=False),
            Ridge(float(regularization), (1.0, 1.0), multiples),
            backend,
            data.row_weights,
            alpha=float(alpha),
            squares=data.user_squares,
        )

    @property
    def has_gauge(self) -> bool:
        """Whether rotating the latent columns of theta leaves the value alone."""
        return super().has_gauge and self.outside is None

    @property
    def n_cells(self) -> int:
        """Number of cells that one product over all rows walks."""
        return self.pattern.n_interactions + self.n_outside_cells

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

    @cached_property
    def confidence(self) -> Floats:
        """Weight of each observed cell, shape (n_interactions,): made when all are asked for."""
        return self.alpha * whole(self.values)

    def confidence_of(self, cells: NDArray[Any]) -> Floats:
        """Weights of some observed cells."""
        return self.alpha * self.values[cells]

    @property
    def cell_weights(self) -> Floats | float:
        """Weight of the user of every observed cell."""
        if self.user_weights is None:
            return 1.0
        return np.repeat(self.user_weights, np.diff(self.pattern.indptr))

    def extras(self, scores: Array) -> tuple[Array, Array]:
        """Slope and curvature of every observed cell, on top of those of an unobserved one."""
        c = cast(scores, twin(self, "confidence", scores))
        curvature = c - 1
        slope = curvature * scores
        slope -= c
        if self.user_weights is not None:
            weights = twin(self, "cell_weights", scores)
            slope *= weights
            curvature *= weights
        return slope, curvature

    def removal_derivatives(self, theta: Floats) -> tuple[Floats, Floats]:
        """Slope and curvature of each interaction beyond those of an unobserved cell."""
        slopes, curvatures = self.at(theta).derivatives
        return self.backend.to_numpy(slopes), self.backend.to_numpy(curvatures)

    def loss_sum(self, scores: Array, sums: tuple[Array, ...]) -> float:
        """Sum of the losses of all cells, from the observed scores and the Gram matrices."""
        c, xp = cast(scores, twin(self, "confidence", scores)), namespace_of(scores)
        extra = (c * (scores - 1) ** 2 - scores**2) * twin(self, "cell_weights", scores)
        return 0.5 * (inner(*sums) + float(xp.sum(extra, dtype=xp.float64)))

    def mean_loss(self, theta: Floats) -> float:
        """Mean loss of all cells, the penalty left out; 0 if there is none."""
        n_users, n_items = self.pattern.shape
        total = n_users if self.user_weights is None else float(self.user_weights.sum())
        if not total * n_items:
            return 0.0
        return self.loss_sum(self.scores(theta), self.sums(theta)) / (total * n_items)

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
        if self.squares is None:
            slopes = whole(self.values).astype(np.float64, copy=False)
            norm = float(np.linalg.norm(slopes * self.cell_weights))
        else:
            weights = 1.0 if self.user_weights is None else self.user_weights**2
            norm = float(np.sqrt(np.sum(self.squares * weights)))
        # Where nothing is observed, zero is the best score of all pairs: there is no unit.
        return self.alpha * norm or 1.0

    def with_factors(self, n_factors: int) -> Self:
        """Return the same objective for another number of latent columns."""
        if self.outside is not None:
            raise ValueError(
                f"n_factors={n_factors} was given for a restricted table; expected the whole one, "
                "because the Gram matrices of the rows left out have a column a factor. "
                "Change the number of factors first, then restrict."
            )
        return super().with_factors(n_factors)

    def certificate(self) -> WeightedCertificate:
        """Certificate of weighted squared losses of all pairs."""
        return WeightedCertificate(self)

    def row_solver(self) -> WeightedRows:
        """Solver of single rows: least squares."""
        return WeightedRows(self)

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
        return restricted(self, rows, theta, sums)

    def drift(self, before: Floats, after: Floats) -> float:
        """Norm of the gradient's change in the rows that a restricted table leaves out.

        Exact without user weights; with them, an upper bound.
        """
        return drift_outside(self, before, after)


class WeightedEvaluation(Evaluation):
    """A weighted objective at one point."""

    def __init__(self, objective: WeightedObjective, theta: Array) -> None:
        self.objective = objective
        self.theta = theta
        self.scores = objective.cell_scores(theta)
        self.sums = objective.sums(theta)
        self.user_weights = twin(objective, "user_weights", theta)

    @cached_property
    def value(self) -> float:
        """Value of the objective."""
        o = self.objective
        squares = namespace_of(self.theta).sum(double(self.theta) ** 2, axis=1)
        penalty = float(twin(o, "row_penalties", squares) @ squares)
        return o.loss_sum(self.scores, self.sums) + 0.5 * penalty

    @cached_property
    def derivatives(self) -> tuple[Array, Array]:
        """Slope r and curvature w that every observed cell has on top of an unobserved one."""
        return self.objective.extras(self.scores)

    @cached_property
    def gradient(self) -> Array:
        """Gradient, a table like theta."""
        o = self.objective
        out = o.spread(o.penalty(self.theta), self.theta, self.sums)
        return o.mask(o.both_ways(out, (self.derivatives[0], self.theta)))

    def hessian_product(self, V: Array) -> Array:
        """Hessian times a table of directions that is zero where nothing moves."""
        o, theta, m = self.objective, self.theta, self.objective.layout.n_users
        r, w = self.derivatives
        users, items = gram(V[:m], theta[:m], weights=self.user_weights), gram(V[m:], theta[m:])
        out = o.spread(o.penalty(V), V, self.sums)
        o.spread(out, theta, (users + users.T, items + items.T))
        change = o.backend.sddmm(o.pattern, (V[:m], theta[m:]), (theta[:m], V[m:]))
        change *= w
        return o.mask(o.both_ways(out, (change, theta), (r, V)))

    def hessian_diagonal(self) -> Array:
        """Diagonal of the Hessian, a table like theta; 1 where nothing moves."""
        o, m, xp = self.objective, self.objective.layout.n_users, namespace_of(self.theta)
        of_users, of_items = self.sums
        diagonal = o.penalty(xp.ones_like(self.theta))
        weights = 1.0 if self.user_weights is None else self.user_weights[:, None]
        diagonal[:m] += weights * xp.linalg.diagonal(of_items)
        diagonal[m:] += xp.linalg.diagonal(of_users)
        o.both_ways(diagonal, (self.derivatives[1], self.theta**2))
        if o.frozen_rows is not None:
            diagonal[twin(o, "frozen_rows", diagonal)] = 1
        return diagonal

    def blocks(self, *, users_only: bool = False) -> Array:
        """Diagonal blocks of the Hessian; identity where nothing moves."""
        xp = namespace_of(self.theta)
        o, theta, m = self.objective, self.theta, self.objective.layout.n_users
        w, (of_users, of_items) = self.derivatives[1], self.sums
        blocks = o.backend.row_grams(o.pattern, w, theta[m:])
        weights = 1.0 if self.user_weights is None else self.user_weights[:, None, None]
        blocks += weights * of_items
        if not users_only:
            items = o.backend.row_grams(o.pattern, w, theta[:m], transpose=True)
            items += of_users
            blocks = xp.concat([blocks, items])
        index = like(theta, np.arange(theta.shape[1]))
        penalties = cast(blocks, twin(o, "row_penalties", theta))
        blocks[:, index, index] += penalties[: len(blocks), None]
        if o.frozen_rows is not None:
            frozen = twin(o, "frozen_rows", theta)
            blocks[frozen[frozen < len(blocks)]] = cast(blocks, like(theta, np.eye(theta.shape[1])))
        return blocks
