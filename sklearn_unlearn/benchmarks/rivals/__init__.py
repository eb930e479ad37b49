"""Published ways to unlearn, written from their papers, as strategies to compare with.

All of them take steps and promise nothing about where these lead: the guarantee is ``"one-step"``.
They read parameters and objectives of a `ForgetProblem`: any factor model takes them. Rows that
lose everything are set to their optimum, which is known; the papers do not, and end further off.
"""

from sklearn_unlearn.benchmarks.rivals._first_order import (
    FineTuning,
    GradientAscent,
    NoisyFineTuning,
)
from sklearn_unlearn.benchmarks.rivals._second_order import LiSSA, TouchedInfluence

__all__ = ["FineTuning", "GradientAscent", "LiSSA", "NoisyFineTuning", "TouchedInfluence"]
