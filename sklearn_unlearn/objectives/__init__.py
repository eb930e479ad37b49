"""Objectives J(theta): value, gradient, Hessian product and restriction to some rows."""

from sklearn_unlearn.objectives._base import (
    Evaluation,
    FactorObjective,
    Layout,
    Objective,
    RowSolver,
)
from sklearn_unlearn.objectives._cells import (
    LossObjective,
    Restriction,
    Ridge,
    SparseObjective,
    restrict_pattern,
    row_multiples,
)
from sklearn_unlearn.objectives._losses import LOSSES, LogisticLoss, Loss, SquaredLoss
from sklearn_unlearn.objectives._pairwise import PairwiseObjective
from sklearn_unlearn.objectives._pointwise import PointwiseObjective
from sklearn_unlearn.objectives._propagated import PropagatedObjective
from sklearn_unlearn.objectives._propagation import Propagation
from sklearn_unlearn.objectives._sampled import SampledObjective
from sklearn_unlearn.objectives._tilted import TiltedObjective
from sklearn_unlearn.objectives.weighted._objective import WeightedObjective

__all__ = [
    "LOSSES",
    "Evaluation",
    "FactorObjective",
    "Layout",
    "LogisticLoss",
    "Loss",
    "LossObjective",
    "Objective",
    "PairwiseObjective",
    "PointwiseObjective",
    "PropagatedObjective",
    "Propagation",
    "Restriction",
    "Ridge",
    "RowSolver",
    "SampledObjective",
    "SparseObjective",
    "SquaredLoss",
    "TiltedObjective",
    "WeightedObjective",
    "restrict_pattern",
    "row_multiples",
]
