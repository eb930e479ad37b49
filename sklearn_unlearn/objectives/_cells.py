"""What objectives that walk the observed cells share: restriction, products, scaling."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import Array, Backend, Pattern, like, namespace_of, twin
from sklearn_unlearn.certificates import LossCertificate
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives._base import Evaluation, FactorObjective, Layout
from sklearn_unlearn.objectives._losses import Loss
from sklearn_unlearn.utils._interactions import (
    concatenate_ranges,
    index_dtype,
    rows_of,
    sorted_union,
)
from sklearn_unlearn.utils._verbs import cached_property

__all__ = [
    "Cells",
    "LossEvaluation",
    "LossObjective",
    "Restriction",
    "Ridge",
    "SparseObjective",
    "pattern_of_cells",
    "restrict_pattern",
    "row_multiples",
]

Floats = NDArray[Any]


class Cells(Protocol):
    """Table, observed cells and penalty of an objective, as far as a row solver is concerned."""

    @property
    def pattern(self) -> Pattern: ...
    @property
    def layout(self) -> Layout: ...
    @property
    def ridge(self) -> Ridge: ...
    @property
    def backend(self) -> Backend: ...


class SparseObjective(FactorObjective):
    """What follows from pattern, layout and ridge alone, whatever a cell costs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.objectives import PointwiseObjective, SparseObjective
    >>> data = Interactions.from_matrix([[1, 0, -1], [0, 1, 0]])
    >>> objective = PointwiseObjective.from_interactions(
    ...     data, loss="logistic", n_factors=1, regularization=0.5, bias_regularization=1.0,
    ...     fit_bias=False, global_mean=False, backend=ScipyBackend(),
    ... )
    >>> isinstance(objective, SparseObjective)
    True
    """

    pattern: Pattern
    layout: Layout
    ridge: Ridge
    backend: Backend
    frozen_rows: NDArray[Any] | None

    def cell_scores(self, theta: Array) -> Array:
        """Scores of the observed cells, shape (n_interactions,), in arrays of the backend."""
        m = self.layout.n_users
        return self.backend.sddmm(self.pattern, (theta[:m], theta[m:]))

    def scores(self, theta: Floats) -> Floats:
        """Scores of the observed cells, shape (n_interactions,)."""
        return self.backend.to_numpy(self.cell_scores(self.backend.asarray(theta)))

    @abstractmethod
    def mean_loss(self, theta: Floats) -> float:
        """Mean loss of the cells that the objective sums over, the penalty left out."""

    @property
    def has_gauge(self) -> bool:
        """Whether rotating the latent columns of theta leaves the value alone."""
        return self.frozen_rows is None or not len(self.frozen_rows)

    @property
    def n_cells(self) -> int:
        """Number of cells that one product walks."""
        return self.pattern.n_interactions

    def thaw(self) -> Self:
        """Let every row of a restricted table move; cells that it leaves out stay out."""
        return self._changed(frozen_rows=None)

    def freeze_items(self) -> Self:
        """Let only users move."""
        return self._changed(frozen_rows=np.arange(self.layout.n_users, self.layout.shape[0]))

    def with_factors(self, n_factors: int) -> Self:
        """Return the same objective for another number of latent columns."""
        return self._changed(layout=replace(self.layout, n_factors=n_factors))

    def _changed(self, **fields: Any) -> Self:
        return cast(Self, replace(cast(Any, self), **fields))

    def both_ways(self, start: Array, *terms: tuple[Array, Array]) -> Array:
        """Add the sum over terms (weights, table) of ``[M Q ; M' P]`` to `start`, in place."""
        m = self.layout.n_users
        users, items = [(w, T[m:]) for w, T in terms], [(w, T[:m]) for w, T in terms]
        self.backend.spmm(self.pattern, *users, out=start[:m])
        self.backend.spmm(self.pattern, *items, transpose=True, out=start[m:])
        return start

    def mask(self, table: Array) -> Array:
        """Set to zero what does not move, in place."""
        if self.frozen_rows is not None:
            table[twin(self, "frozen_rows", table)] = 0
        return self.layout.mask_fixed(table)

    @property
    def row_penalties(self) -> Floats:
        """Weight of the latent columns of each row in the penalty."""
        return self.ridge.of_factors(self.layout)


class LossObjective(SparseObjective):
    """One loss for all terms, each a score or a difference of scores.

    Examples
    --------
    >>> from sklearn_unlearn.objectives import LossObjective, PairwiseObjective, PointwiseObjective
    >>> all(issubclass(one, LossObjective) for one in (PairwiseObjective, PointwiseObjective))
    True
    """

    targets: Floats
    loss: Loss
    offset: float
    weights: Floats | None

    def margins(self, theta: Floats) -> Floats:
        """Return what each term of the loss looks at: the score of its cell."""
        return self.scores(theta)

    def on_cells(self, slopes: Floats) -> Floats:
        """Slopes of the cells, given those of the terms."""
        return slopes

    def slopes(self, theta: Floats) -> Floats:
        """Weighted slope of every observed cell, shape (n_interactions,)."""
        slopes = self.loss.derivatives(self.margins(theta), self.targets)[0]
        return self.on_cells(slopes if self.weights is None else slopes * self.weights)

    def mean_loss(self, theta: Floats) -> float:
        """Mean loss of the observed cells, the penalty left out; 0 if there is none."""
        losses = self.loss.value(self.margins(theta), self.targets)
        return float(np.average(losses, weights=self.weights)) if len(losses) else 0.0

    def ridge_gradient(self, theta: Floats, rows: NDArray[Any]) -> Floats:
        """Gradient of the penalty alone in some rows."""
        fixed = self.layout.empty_rows(rows) != 0
        penalty = self.ridge.for_rows(rows).times(theta[rows], self.layout)
        return np.where(fixed, 0.0, penalty)

    @abstractmethod
    def removed_slopes(
        self, theta: Floats, users: NDArray[Any], items: NDArray[Any], values: Floats
    ) -> tuple[Floats, NDArray[Any], NDArray[Any]]:
        """Slopes that removed cells had, with their users and items; those that come in too."""

    def certificate(self) -> LossCertificate:
        """Certificate of losses."""
        return LossCertificate(self)


class LossEvaluation(Evaluation):
    """An objective of one loss at one point, in the backend's arrays."""

    objective: Any

    @property
    @abstractmethod
    def derivatives(self) -> tuple[Array, Array]:
        """Slope of every cell, and curvature of every term, both weighted."""

    @property
    def cell_curvatures(self) -> Array:
        """Curvature of every cell alone."""
        return self.derivatives[1]

    def cross_diagonal(self) -> Array | None:
        """Diagonal of what a user's cells add together, shape (n_users, width); None is nothing."""
        return None

    def cross_blocks(self) -> Array | None:
        """Blocks of what a user's cells add together, shape (n_users, width, width)."""
        return None

    @cached_property
    def gradient(self) -> Array:
        """Gradient, a table like theta."""
        o = self.objective
        penalty = o.ridge.times(self.theta, o.layout)
        return o.mask(o.both_ways(penalty, (self.derivatives[0], self.theta)))

    def hessian_diagonal(self) -> Array:
        """Diagonal of the Hessian, a table like theta; 1 where nothing moves."""
        o, xp = self.objective, namespace_of(self.theta)
        ones = xp.ones_like(self.theta)
        diagonal = o.ridge.times(ones, o.layout)
        diagonal = o.both_ways(diagonal, (self.cell_curvatures, self.theta**2))
        crosses = self.cross_diagonal()
        if crosses is not None:
            diagonal[: o.layout.n_users] += crosses
        return xp.where(o.mask(ones) > 0, diagonal, 1.0)

    def blocks(self, *, users_only: bool = False) -> Array:
        """Diagonal blocks of the Hessian; identity where nothing moves."""
        o, theta, m = self.objective, self.theta, self.objective.layout.n_users
        xp, w, crosses = namespace_of(theta), self.cell_curvatures, self.cross_blocks()
        blocks = o.backend.row_grams(o.pattern, w, theta[m:])
        if crosses is not None:
            blocks += crosses
        if not users_only:
            items = o.backend.row_grams(o.pattern, w, theta[:m], transpose=True)
            blocks = xp.concat([blocks, items])
        rows = slice(0, len(blocks))
        moves = o.mask(xp.ones_like(theta))[rows]
        blocks *= moves[:, :, None] * moves[:, None, :]
        index = like(theta, np.arange(theta.shape[1]))
        ridge = o.ridge.times(xp.ones_like(theta), o.layout)[rows]
        blocks[:, index, index] += xp.where(moves > 0, ridge, 1.0)
        return blocks


@dataclass(frozen=True)
class Restriction:
    """The part of a pattern that some rows are incident to.

    Parameters
    ----------
    pattern : Pattern
        The incident cells, in a table of their rows alone.

    cells : ndarray of int
        Their places in the whole pattern.

    layout : Layout
        Shape of the smaller table.

    table_rows : ndarray of int
        Rows of theta that make up the smaller table.

    frozen_rows : ndarray of int
        Rows of the smaller table that do not move.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import Pattern
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.objectives import Layout, restrict_pattern
    >>> pattern = Pattern.from_interactions(Interactions.from_matrix([[1, 0, 1], [0, 1, 0]]))
    >>> restriction = restrict_pattern(pattern, Layout(2, 3, 1, False), np.array([0]))
    >>> len(restriction.cells)
    2
    """

    pattern: Pattern
    cells: NDArray[Any]
    layout: Layout
    table_rows: NDArray[Any]
    frozen_rows: NDArray[Any]


def restrict_pattern(pattern: Pattern, layout: Layout, rows: NDArray[Any]) -> Restriction:
    """Keep the cells that are incident to some rows, and renumber users and items."""
    m = layout.n_users
    free = np.zeros(layout.shape[0], bool)
    free[rows] = True
    cells, users, items = _incident(pattern, free)
    user_ids = sorted_union(users, rows[rows < m])
    item_ids = sorted_union(items, rows[rows >= m] - m)
    table_rows = np.concatenate([user_ids, item_ids + m])
    part = pattern_of_cells(
        np.searchsorted(user_ids, users),
        np.searchsorted(item_ids, items),
        (len(user_ids), len(item_ids)),
    )
    smaller = layout.for_rows(len(user_ids), len(item_ids))
    return Restriction(part, cells, smaller, table_rows, np.flatnonzero(~free[table_rows]))


def _incident(pattern: Pattern, free: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Cells whose user or item is free, in row-major order, with their users and items."""
    m = pattern.shape[0]
    by_user = concatenate_ranges(pattern.indptr, np.flatnonzero(free[:m]))
    by_item = concatenate_ranges(pattern.indptr_t, np.flatnonzero(free[m:]))
    cells = sorted_union(by_user, pattern.order_t[by_item])
    users = rows_of(pattern.indptr, cells)
    return cells, users, pattern.indices[cells]


def pattern_of_cells(users: NDArray[Any], items: NDArray[Any], shape: tuple[int, int]) -> Pattern:
    """Pattern of cells that are in row-major order already."""
    n_users, n_items = shape
    order = np.argsort(items, kind="stable").astype(index_dtype(len(items)))
    return Pattern(
        np.append(0, np.cumsum(np.bincount(users, minlength=n_users))),
        items.astype(index_dtype(n_items)),
        np.append(0, np.cumsum(np.bincount(items, minlength=n_items))),
        users[order].astype(index_dtype(n_users)),
        order,
        shape,
    )


@dataclass(frozen=True)
class Ridge:
    """Weight of each squared parameter, kept as the few numbers it is made of.

    Parameters
    ----------
    factors : float
        Weight of latent columns.

    biases : tuple of two floats
        Weights of user and of item biases.

    row_weights : ndarray, shape (n_users + n_items,), or None, default=None
        Multiple of each row; None is 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.objectives import Layout, Ridge
    >>> layout = Layout(n_users=1, n_items=1, n_factors=2, fit_bias=False)
    >>> Ridge(0.5, (1.0, 4.0)).times(np.ones(layout.shape), layout)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """

    factors: float
    biases: tuple[float, float]
    row_weights: Floats | None = None

    def times(self, table: Array, layout: Layout) -> Array:
        """Ridge times a table like theta, of any backend."""
        out = table * self.factors
        if layout.fit_bias:
            for column, weight in enumerate(self.biases, layout.n_factors):
                out[:, column] = table[:, column] * weight
        if self.row_weights is not None:
            out *= twin(self, "row_weights", table)[:, None]
        return out

    def of_factors(self, layout: Layout) -> Floats:
        """Weight of the latent columns of each row, shape (n_users + n_items,)."""
        weights = np.ones(layout.shape[0]) if self.row_weights is None else self.row_weights
        return self.factors * weights

    def of_biases(self, layout: Layout) -> tuple[Floats, Floats]:
        """Weights of the biases, of users and of items."""
        weights = np.ones(layout.shape[0]) if self.row_weights is None else self.row_weights
        users, items = np.split(weights, [layout.n_users])
        return self.biases[0] * users, self.biases[1] * items

    def for_rows(self, rows: NDArray[Any]) -> Ridge:
        """Ridge of a part of the table."""
        if self.row_weights is None:
            return self
        return replace(self, row_weights=self.row_weights[rows])


def row_multiples(
    data: Interactions, exponent: float, offsets: tuple[float, float] = (0.0, 0.0)
) -> Floats | None:
    """Multiple of the penalty of each row: its weight times its degree to some power.

    A user of weight c counts like c users with the same row, in its own penalty and in the degrees
    of its items. `offsets` are added to the degrees of users and of items. A sum of zero counts as
    one interaction, so that the optimum of a row without interactions is zero.

    Returns
    -------
    multiples : ndarray, shape (n_users + n_items,), or None if all are 1
    """
    weights = data.row_weights
    if not exponent and weights is None:
        return None
    multiples = np.ones(sum(data.shape))
    if exponent:
        item_degrees: NDArray[Any] = data.item_degrees
        if weights is not None:
            item_degrees = np.bincount(data.indices, weights[data.rows], minlength=data.n_items)
        degrees = np.concatenate([data.user_degrees + offsets[0], item_degrees + offsets[1]])
        multiples = np.where(degrees > 0, degrees, 1.0) ** exponent
    if weights is not None:
        multiples[: data.n_users] *= weights
    return multiples
