"""Newton's method, linear solvers, and what they need of the rotations of factor models."""

from sklearn_unlearn.solvers._gauge import (
    GaugeFixedHessian,
    HorizontalProjector,
    LocalModel,
    canonical_rotation,
    rotate_columns,
)
from sklearn_unlearn.solvers._linear import SOLVERS, Solution, Status
from sklearn_unlearn.solvers._newton import NewtonResult, NewtonSettings, newton

__all__ = [
    "SOLVERS",
    "GaugeFixedHessian",
    "HorizontalProjector",
    "LocalModel",
    "NewtonResult",
    "NewtonSettings",
    "Solution",
    "Status",
    "canonical_rotation",
    "newton",
    "rotate_columns",
]
