"""Objectives J(theta): value, gradient, Hessian product and restriction to some rows."""

from sklearn_unlearn.objectives._base import Evaluation, FactorObjective, Layout, Objective
from sklearn_unlearn.objectives._losses import LOSSES, LogisticLoss, Loss, SquaredLoss
from sklearn_unlearn.objectives._pairwise import PairwiseObjective
from sklearn_unlearn.objectives._pointwise import PointwiseObjective
from sklearn_unlearn.objectives._propagated import PropagatedObjective
from sklearn_unlearn.objectives._propagation import Propagation
from sklearn_unlearn.objectives._sampled import SampledObjective
from sklearn_unlearn.objectives._weighted import WeightedObjective

__all__ = [
    "LOSSES",
    "Evaluation",
    "FactorObjective",
    "Layout",
    "LogisticLoss",
    "Loss",
    "Objective",
    "PairwiseObjective",
    "PointwiseObjective",
    "PropagatedObjective",
    "Propagation",
    "SampledObjective",
    "SquaredLoss",
    "WeightedObjective",
]
