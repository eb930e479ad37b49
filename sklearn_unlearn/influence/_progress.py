"""Progress of a strategy from stage to stage: the best point so far, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem
from sklearn_unlearn.objectives import Objective
from sklearn_unlearn.solvers import NewtonResult, Status

__all__ = ["Progress"]

Floats = NDArray[Any]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Progress:
    """Where a request stands.

    Parameters
    ----------
    objective : Objective
        What is minimised: J_R, tilted where training left a gradient that is to stay.

    theta : ndarray
        Table of parameters.

    sums : tuple of ndarray, default=()
        ``objective.sums(theta)`` where they are kept up to date.

    first, left : float
        Norm of the gradient at the start of the request and now; 0 and infinity if not measured.

    settled : float, default=0.0
        Part of `first` in the rows that lost everything, which are at their optimum.

    unseen : float, default=0.0
        Norm of the gradient that training left and that counts as zero.

    n_steps : int, default=0
        Newton steps, or sweeps.

    n_products : float, default=0.0
        Hessian products, restricted ones by their share of the interactions.

    n_passes : float, default=0.0
        Passes over the interactions, those of gradients and trials too.

    support : ndarray of int, or None, default=None
        Rows that may have moved, beside those that lost everything; None is all.

    n_rows_updated : int or None, default=None
        Rows that changed, where a stage knows; None has them counted.

    slack : float, default=0.0
        As in `ForgetProblem`.

    status : str, default=""
        How the last stage ended, in words.

    why : str, default=""
        Why the tolerance was not met, in words, where `status` does not say it.

    method, guarantee : str or None, default=None
        As in `ForgetReport`, where they differ from what `met` says.

    met : bool, default=False
        Whether the tolerance is met.

    done : bool, default=False
        Whether no further solve is needed.

    at_saddle : bool, default=False
        Whether the last solve ended at a saddle that it may not leave.

    converged : bool or None, default=None
        Whether the model may count as fitted to its tolerance; None leaves it to `met`.
    """

    objective: Objective
    theta: Floats
    sums: tuple[Floats, ...] = ()
    first: float = 0.0
    left: float = np.inf
    settled: float = 0.0
    unseen: float = 0.0
    n_steps: int = 0
    n_products: float = 0.0
    n_passes: float = 0.0
    support: Ints | None = None
    n_rows_updated: int | None = None
    slack: float = 0.0
    status: str = ""
    why: str = ""
    method: str | None = None
    guarantee: str | None = None
    met: bool = False
    done: bool = False
    at_saddle: bool = False
    converged: bool | None = None

    @property
    def is_tilted(self) -> bool:
        """Whether what training left over is to stay."""
        return self.objective.stops_at_saddles

    def at_start(self, norm: float) -> float:
        """Norm of the gradient at the start of the request, given that of a first solve."""
        return self.first or float(np.hypot(norm, self.settled))

    def solved(self, result: NewtonResult, *, share: float = 1.0, **changes: Any) -> Progress:
        """State after a solve, whose products each walked a share of the interactions."""
        fields: dict[str, Any] = {
            "theta": result.theta,
            "sums": (),
            "support": None,
            "n_rows_updated": None,
            "first": self.at_start(result.gradient_norm[0]),
            "left": result.gradient_norm[1],
            "n_steps": self.n_steps + result.n_steps,
            "n_products": self.n_products + share * result.n_products,
            "n_passes": self.n_passes + share * result.n_passes,
            "status": result.status.value,
            "why": "" if result.status is not Status.CONVERGED else "the steps were not enough",
            "unseen": self.objective.tilt_norm,
            "met": result.converged,
            "at_saddle": self.is_tilted and result.status is Status.NEGATIVE_CURVATURE,
        }
        return replace(self, **{**fields, **changes})

    def better_of(self, other: Progress) -> Progress:
        """Return the one of two states that leaves less, where both minimise the same."""
        same = self.is_tilted == other.is_tilted
        return other if same and other.left < self.left else self

    def at_point_of(self, other: Progress) -> Progress:
        """Return to the point of another state; what was spent and said stays."""
        names = "theta", "sums", "support", "n_rows_updated", "left", "met"
        return replace(self, **{name: getattr(other, name) for name in names})

    def result(self) -> NewtonResult:
        """State as a point that a further solve starts from, nothing spent on it so far."""
        norms = self.first, self.left
        return NewtonResult(self.theta, np.nan, norms, 0, 0, Status.CONVERGED, self.met)

    def outcome(self, problem: ForgetProblem, method: str) -> ForgetOutcome:
        """Say what was done, by the strategy of that name unless a stage has named another."""
        met = "residual-bounded" if self.met else "one-step"
        n_rows = self.n_rows_updated
        if n_rows is None:
            n_rows = problem.count_changed(self.theta, self.support)
        return ForgetOutcome(
            theta=self.theta,
            method=self.method or method,
            guarantee=self.guarantee or met,
            status=self.status,
            n_steps=self.n_steps,
            n_products=self.n_products,
            n_rows_updated=n_rows,
            gradient_norm=(self.first, self.left),
            bound=self.left + self.unseen,
            converged=self.met and problem.converged if self.converged is None else self.converged,
            slack=self.slack,
            sums=self.sums,
        )
