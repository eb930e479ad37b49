r"""An objective tilted by a linear term, for models that are no optimum.

A model whose training was not finished has a gradient :math:`c` left. What it should become when
data go is the model of *the same training* without them, so it ends where the gradient of what
remains is c again: at a stationary point of

.. math:: J(\theta) - \langle c, \theta \rangle.

A tilt breaks the invariance to rotations: gradient and tilt do not cancel along the orbit
:math:`\{\theta \Omega: \Omega \text{ skew}\}` of a point, wherever it is. That part of the
gradient is none that a step can reduce, so it is projected out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.backends import Array, cast, inner, like, to_numpy
from sklearn_unlearn.objectives._base import Evaluation, Layout, Objective, RowSolver
from sklearn_unlearn.solvers import HorizontalProjector, rotate_columns
from sklearn_unlearn.utils._verbs import cached_property

__all__ = ["TiltedEvaluation", "TiltedObjective"]

Floats = NDArray[Any]


@dataclass(frozen=True)
class TiltedObjective(Objective):
    """``J(theta) - <c, theta>``; pure and immutable.

    Parameters
    ----------
    objective : Objective
        J.

    c : ndarray, shape of theta
        Gradient of J to end at.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import ScipyBackend
    >>> from sklearn_unlearn.interactions import Interactions
    >>> from sklearn_unlearn.objectives import TiltedObjective, WeightedObjective
    >>> objective = WeightedObjective.from_interactions(
    ...     Interactions.from_matrix([[1, 0, 3], [0, 2, 0]]),
    ...     n_factors=1, regularization=0.5, alpha=2.0, backend=ScipyBackend(),
    ... )
    >>> theta = np.ones((5, 1))
    >>> tilted = TiltedObjective(objective, objective.gradient(theta))
    >>> bool(abs(tilted.gradient(theta)).max() < 1e-15)
    True
    """

    objective: Objective
    c: Array

    # Any point is stationary under the right tilt. To go down from a saddle is training of another
    # kind, and no answer to a request.
    stops_at_saddles: ClassVar[bool] = True

    @property
    def layout(self) -> Layout:  # type: ignore[override]  # a field of other objectives
        """Shape of theta."""
        return self.objective.layout

    @property
    def tilt_norm(self) -> float:
        """Norm of c."""
        return float(np.linalg.norm(to_numpy(self.c)))

    @property
    def has_gauge(self) -> bool:
        """Whether rotating the latent columns of theta and of c leaves the value alone."""
        return self.objective.has_gauge

    @property
    def n_cells(self) -> int:
        """Number of cells that one product walks."""
        return self.objective.n_cells

    def at(self, theta: Array) -> TiltedEvaluation:
        """Evaluate at a point, in the arrays of the backend."""
        return TiltedEvaluation(self, theta)

    def rotated(self, rotation: Array) -> TiltedObjective:
        """Return the same objective of rotated latent columns."""
        return replace(self, c=rotate_columns(cast(rotation, like(rotation, self.c)), rotation))

    def thaw(self) -> TiltedObjective:
        """Let every row of a restricted table move; cells that it leaves out stay out."""
        return replace(self, objective=self.objective.thaw())

    def ridge_gradient(self, theta: Floats, rows: NDArray[Any]) -> Floats:
        """Gradient of the penalty alone in some rows."""
        return self.objective.ridge_gradient(theta, rows)

    def restrict(
        self, rows: NDArray[Any], theta: Floats | None = None, sums: tuple[Floats, ...] = ()
    ) -> tuple[TiltedObjective, NDArray[Any]]:
        """Keep only some rows free, and their part of c."""
        restricted, table_rows = self.objective.restrict(rows, theta, sums)
        kept = np.isin(table_rows, rows)
        return TiltedObjective(
            restricted, np.where(kept[:, None], self.c[table_rows], 0.0)
        ), table_rows

    def row_solver(self) -> RowSolver | None:
        """Solver of single rows, each to its row of c."""
        solver = self.objective.row_solver()
        return None if solver is None else solver.tilted(self.c.__getitem__)


class TiltedEvaluation(Evaluation):
    """A tilted objective at one point: curvature is that of the objective."""

    def __init__(self, tilted: TiltedObjective, theta: Array) -> None:
        self.tilted = tilted
        self.inner = tilted.objective.at(theta)
        self.theta = self.inner.theta
        self.c = cast(self.theta, like(self.theta, tilted.c))

    @property
    def value(self) -> float:
        """Value of the objective, the tilt taken off."""
        return self.inner.value - inner(self.c, self.theta)

    @cached_property
    def gradient(self) -> Array:
        """Gradient, less c; of the part that does not rotate."""
        gradient = self.inner.gradient - self.c
        if not self.tilted.has_gauge:
            return gradient
        return HorizontalProjector(self.theta, self.tilted.layout.n_factors)(gradient)

    def hessian_product(self, V: Array) -> Array:
        """Hessian times a table of directions, zero in fixed columns."""
        return self.inner.hessian_product(V)

    def hessian_diagonal(self) -> Array:
        """Diagonal of the Hessian, a table like theta; 1 in fixed columns."""
        return self.inner.hessian_diagonal()

    def blocks(self, *, users_only: bool = False) -> Array:
        """Diagonal (width, width) blocks of the Hessian, one a row; identity where fixed."""
        return self.inner.blocks(users_only=users_only)
