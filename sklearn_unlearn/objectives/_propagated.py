r"""Any objective between two propagations: the whole model of light graph convolution.

Conventions
-----------
``Z = Pi theta``, and f is what the inner objective, without a penalty of its own, makes of Z:

    J    = f(Z) + sum over rows of ridge |theta_row|^2 / 2
    grad = Pi' grad f(Z) + ridge * theta
    H V  = Pi' H_f(Z) Pi V + ridge * V

Pi is linear, so the Hessian is exact through the graph.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import Array, Backend, inner, like, twin
from sklearn_unlearn.certificates import PropagatedCertificate
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives._base import Evaluation, FactorObjective, Layout
from sklearn_unlearn.objectives._cells import Ridge, SparseObjective
from sklearn_unlearn.objectives._propagation import Propagation
from sklearn_unlearn.utils._verbs import cached_property

__all__ = ["PropagatedEvaluation", "PropagatedObjective"]

Floats = NDArray[Any]

_NO_RIDGE, _UNIT_RIDGE = Ridge(0.0, (0.0, 0.0)), Ridge(1.0, (1.0, 1.0))


@dataclass(frozen=True)
class PropagatedObjective(FactorObjective):
    """An inner objective of propagated rows, and a ridge on the rows themselves.

    Parameters
    ----------
    inner : SparseObjective
        f, without a penalty and without biases.

    propagation : Propagation
        Pi, of the graph of the same data.

    ridge : Ridge
        Weight of each squared parameter.

    frozen_rows : ndarray of int, or None, default=None
        Rows of theta that do not move: derivatives are zero there.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.objectives import PropagatedObjective, WeightedObjective
    >>> data = Interactions.from_matrix([[1, 0, 3], [0, 2, 0]])
    >>> weighted = WeightedObjective.from_interactions(
    ...     data, n_factors=1, regularization=0.5, alpha=2.0, backend=ScipyBackend()
    ... )
    >>> objective = PropagatedObjective.of(weighted, data, n_layers=2)
    >>> objective.value(np.zeros((5, 1)))
    6.0
    """

    inner: SparseObjective
    propagation: Propagation
    ridge: Ridge
    frozen_rows: NDArray[Any] | None = None

    is_local: ClassVar[bool] = False

    @property
    def draws_items(self) -> bool:
        """Whether the losses draw."""
        return self.inner.draws_items

    @classmethod
    def of(cls, losses: SparseObjective, data: Interactions, n_layers: int) -> Self:
        """Propagate what an objective takes for its rows; its ridge goes to the rows before.

        Parameters
        ----------
        losses : SparseObjective
            Of the data, with a ridge and without biases.

        data : Interactions
            Edges of the graph.

        n_layers : int
            Layers of the propagation.

        Returns
        -------
        objective : PropagatedObjective

        Raises
        ------
        ValueError
            If `losses` has biases.
        """
        if losses.layout.fit_bias:
            raise ValueError(
                "an objective with biases was given; expected one without, because a column of "
                "ones would be propagated too. State it with fit_bias=False."
            )
        propagation = Propagation.from_interactions(data, n_layers, losses.backend)
        return cls(with_ridge(losses, _NO_RIDGE), propagation, losses.ridge)

    @property
    def layout(self) -> Layout:  # type: ignore[override]  # a field of other objectives
        """Shape of theta."""
        return self.inner.layout

    @property
    def backend(self) -> Backend:  # type: ignore[override]  # a field of other objectives
        """Arithmetic."""
        return self.inner.backend

    @property
    def offset(self) -> float:
        """Constant added to every score."""
        return float(cast(Any, self.inner).offset)

    @property
    def has_gauge(self) -> bool:
        """Whether rotating the latent columns of theta leaves the value alone."""
        return (self.frozen_rows is None or not len(self.frozen_rows)) and self.inner.has_gauge

    @property
    def n_cells(self) -> int:
        """Number of cells that one product walks, those of the graph once a layer and side."""
        edges = self.propagation.pattern.n_interactions
        return self.inner.n_cells + 2 * self.propagation.n_layers * edges

    @property
    def gradient_scale(self) -> float:
        """Norm of the slopes at score zero: the unit of gradient tolerances."""
        # Where nothing is observed, the penalty is all that is left, and has no unit.
        return self.inner.gradient_scale or 1.0

    @property
    def row_penalties(self) -> Floats:
        """Weight of the columns of each row in the penalty."""
        return self.ridge.of_factors(self.layout)

    @property
    def value_unit(self) -> float:
        """That of the inner objective."""
        return self.inner.value_unit

    def propagate(self, theta: Floats) -> Floats:
        """Rows that scores are products of, from and to NumPy."""
        table = self.backend.asarray(theta)
        return self.backend.to_numpy(self.propagation(table))

    def mean_loss(self, theta: Floats) -> float:
        """Mean loss of the cells that the inner objective sums over, the penalty left out."""
        return self.inner.mean_loss(self.propagate(theta))

    def certificate(self) -> PropagatedCertificate:
        """Certificate of propagated rows."""
        return PropagatedCertificate(self, with_ridge(self.inner, _UNIT_RIDGE).certificate())

    def at(self, theta: Floats) -> PropagatedEvaluation:
        """Evaluate at a point."""
        return PropagatedEvaluation(self, self.backend.asarray(theta))

    def gathered(self, table: Floats, *, adjoint: bool = False) -> Floats:
        """Sum of all layers but the last, of items, over the root of their degree.

        What a row that joins the graph gathers from its items, but for the root of its own degree.
        """
        layers = self.propagation.n_layers
        if not layers:
            return np.zeros((self.layout.n_items, table.shape[1]))
        total = self.propagation.sum_of_layers(
            self.backend.asarray(table), layers - 1, adjoint=adjoint
        )
        items = self.backend.to_numpy(total)[self.layout.n_users :]
        return items * self.propagation.inverse_roots[1][:, None]

    def penalty(self, table: Array) -> Array:
        """Ridge times a table."""
        return self.ridge.times(table, self.layout)

    def mask(self, table: Array, value: float = 0.0) -> Array:
        """Set to zero, or another value, what does not move, in place."""
        if self.frozen_rows is not None:
            table[twin(self, "frozen_rows", table)] = value
        return table

    # -- parts and variants ------------------------------------------------------------------------
    def thaw(self) -> PropagatedObjective:
        """Let every row move."""
        return replace(self, frozen_rows=None)

    def freeze_items(self) -> PropagatedObjective:
        """Let only users move."""
        return replace(self, frozen_rows=np.arange(self.layout.n_users, self.layout.shape[0]))

    def with_factors(self, n_factors: int) -> PropagatedObjective:
        """Return the same objective for another number of latent columns."""
        return replace(self, inner=self.inner.with_factors(n_factors))

    def restrict(
        self, rows: NDArray[Any], theta: Floats | None = None, sums: tuple[Floats, ...] = ()
    ) -> tuple[PropagatedObjective, NDArray[Any]]:
        """Keep only some rows free; the whole table and the whole graph stay.

        A row is felt as many hops away as there are layers, twice, so a part of the table is hardly
        ever smaller. This bounds what moves, not what is walked.
        """
        everything = np.arange(self.layout.shape[0])
        return replace(self, frozen_rows=np.setdiff1d(everything, rows)), everything

    def partners_of(self, users: NDArray[Any], items: NDArray[Any]) -> NDArray[np.int64]:
        """Items that the inner objective compares the removed ones with."""
        return self.inner.partners_of(users, items)

    def is_drawn(self, items: NDArray[Any]) -> NDArray[np.bool_]:
        """Which items the losses feel even if nobody has met them."""
        return self.inner.is_drawn(items)

    def ridge_gradient(self, theta: Floats, rows: NDArray[Any]) -> Floats:
        """Gradient of the penalty alone in some rows."""
        return theta[rows] * self.row_penalties[rows, None]

    def damping_of(self, theta: Floats, step: Floats) -> Floats:
        """Refuse: propagated rows feel each other, so none is a problem of its own."""
        raise TypeError(
            "steps of single rows of a propagated objective were asked for; expected an objective "
            "whose rows are problems of their own, given the other side. Take Newton steps on all."
        )


class PropagatedEvaluation(Evaluation):
    """A propagated objective at one point."""

    def __init__(self, objective: PropagatedObjective, theta: Array) -> None:
        self.objective = objective
        self.theta = theta
        self.inner = objective.inner.at(objective.propagation(theta))

    @cached_property
    def value(self) -> float:
        """Value of the objective."""
        o = self.objective
        return self.inner.value + 0.5 * inner(self.theta, o.penalty(self.theta))

    @cached_property
    def gradient(self) -> Array:
        """Gradient, a table like theta."""
        o = self.objective
        out = o.propagation.adjoint(self.inner.gradient)
        out += o.penalty(self.theta)
        return o.mask(out)

    def hessian_product(self, V: Array) -> Array:
        """Hessian times a table of directions that is zero where nothing moves."""
        o = self.objective
        out = o.propagation.adjoint(self.inner.hessian_product(o.propagation(V)))
        out += o.penalty(V)
        return o.mask(out)

    def hessian_diagonal(self) -> Array:
        """Estimate of the diagonal of the Hessian, for preconditioning; 1 where nothing moves.

        Of Pi, only the diagonal is taken into account. Estimates that know more of it, from its
        entries at the neighbours or from sixteen random probes, cost as much to make as they save.
        """
        o = self.objective
        xp = o.backend.xp
        diagonal = xp.abs(self.inner.hessian_diagonal())
        diagonal *= o.propagation.diagonal.reshape((-1, 1)) ** 2
        diagonal += o.penalty(xp.ones_like(diagonal))
        return o.mask(diagonal, 1.0)

    def blocks(self, *, users_only: bool = False) -> Array:
        """Estimates of the diagonal blocks, as that of the diagonal; identity where frozen."""
        o = self.objective
        xp = o.backend.xp
        eye = like(self.theta, np.eye(self.theta.shape[1], dtype=np.float64))
        blocks = self.inner.blocks() * o.propagation.diagonal.reshape((-1, 1, 1)) ** 2
        blocks += o.penalty(xp.ones_like(self.theta))[:, :, None] * eye
        if o.frozen_rows is not None:
            blocks[twin(o, "frozen_rows", blocks)] = eye
        return blocks[: o.layout.n_users] if users_only else blocks


def with_ridge(objective: SparseObjective, ridge: Ridge) -> SparseObjective:
    """Return the same losses under another penalty."""
    return cast(SparseObjective, replace(cast(Any, objective), ridge=ridge))
