"""Splits of interactions into parts for training and testing."""

from sklearn_unlearn.model_selection._split import split_interactions

__all__ = ["split_interactions"]
