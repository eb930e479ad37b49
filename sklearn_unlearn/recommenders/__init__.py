"""Recommenders: what users import."""

from sklearn_unlearn.recommenders._als import ALS
from sklearn_unlearn.recommenders._mf import MatrixFactorization
from sklearn_unlearn.recommenders._unlearning import UnlearningRecommender

__all__ = ["ALS", "MatrixFactorization", "UnlearningRecommender"]
