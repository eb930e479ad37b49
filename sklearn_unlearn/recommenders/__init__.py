"""Recommenders: what users import."""

from sklearn_unlearn.recommenders._als import ALS
from sklearn_unlearn.recommenders._mf import MatrixFactorization

__all__ = ["ALS", "MatrixFactorization"]
