"""Objectives J(theta): value, gradient, Hessian product and restriction to some rows."""

from sklearn_unlearn.objectives._base import Evaluation, FactorObjective, Layout, Objective
from sklearn_unlearn.objectives._losses import LOSSES, LogisticLoss, Loss, SquaredLoss
from sklearn_unlearn.objectives._pointwise import PointwiseObjective
from sklearn_unlearn.objectives._weighted import WeightedObjective

__all__ = [
    "LOSSES",
    "Evaluation",
    "FactorObjective",
    "Layout",
    "LogisticLoss",
    "Loss",
    "Objective",
    "PointwiseObjective",
    "SquaredLoss",
    "WeightedObjective",
]
