"""Strategies of forgetting: from a model, its data and a request to the parameters of a refit."""

from sklearn_unlearn._forget_report import ForgetReport
from sklearn_unlearn.certificates import OptimalityCertificate
from sklearn_unlearn.influence._as_trained import AsTrainedUnlearner
from sklearn_unlearn.influence._influence import InfluenceUnlearner
from sklearn_unlearn.influence._influential import InfluentialInteractions, find_influential
from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem, Unlearner
from sklearn_unlearn.influence._refit import RefitUnlearner
from sklearn_unlearn.influence._sweep import SweepUnlearner

__all__ = [
    "AsTrainedUnlearner",
    "ForgetOutcome",
    "ForgetProblem",
    "ForgetReport",
    "InfluenceUnlearner",
    "InfluentialInteractions",
    "OptimalityCertificate",
    "RefitUnlearner",
    "SweepUnlearner",
    "Unlearner",
    "find_influential",
]
