"""Figures of what forgetting left behind and what it took, by scikit-learn's convention.

They need the extra ``plot``; matplotlib is imported when a figure is drawn. Colours and markers can
be told apart by everybody, and legends stand outside the axes.
"""

from sklearn_unlearn.plotting._gap import ForgetGapDisplay
from sklearn_unlearn.plotting._seeds import SeedTestDisplay
from sklearn_unlearn.plotting._sequence import SequentialForgetDisplay
from sklearn_unlearn.plotting._tradeoff import ForgetTradeoffDisplay

__all__ = [
    "ForgetGapDisplay",
    "ForgetTradeoffDisplay",
    "SeedTestDisplay",
    "SequentialForgetDisplay",
]
