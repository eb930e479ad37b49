"""Splits of interactions into parts for training and testing, and requests to forget for tests."""

from sklearn_unlearn.model_selection._forget_set import ForgetSet, sample_forget_set
from sklearn_unlearn.model_selection._split import split_interactions
from sklearn_unlearn.model_selection._splitters import LeaveKOut, LeaveUsersOut, TemporalSplit

__all__ = [
    "ForgetSet",
    "LeaveKOut",
    "LeaveUsersOut",
    "TemporalSplit",
    "sample_forget_set",
    "split_interactions",
]
