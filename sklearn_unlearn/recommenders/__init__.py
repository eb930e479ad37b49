"""Recommenders: what users import."""

from sklearn_unlearn.recommenders._als import ALS
from sklearn_unlearn.recommenders._bpr import BPR
from sklearn_unlearn.recommenders._ease import EASE
from sklearn_unlearn.recommenders._factor import FactorModel
from sklearn_unlearn.recommenders._graph_filter import GraphFilter
from sklearn_unlearn.recommenders._knn import ItemKNN
from sklearn_unlearn.recommenders._lightgcn import LightGCN
from sklearn_unlearn.recommenders._mf import MatrixFactorization
from sklearn_unlearn.recommenders._polynomial_filter import PolynomialFilter
from sklearn_unlearn.recommenders._session_knn import SessionKNN
from sklearn_unlearn.recommenders._sparse_ease import SparseEASE
from sklearn_unlearn.recommenders._tifu_knn import TIFUKNN
from sklearn_unlearn.recommenders._unlearning import UnlearningRecommender

__all__ = [
    "ALS",
    "BPR",
    "EASE",
    "TIFUKNN",
    "FactorModel",
    "GraphFilter",
    "ItemKNN",
    "LightGCN",
    "MatrixFactorization",
    "PolynomialFilter",
    "SessionKNN",
    "SparseEASE",
    "UnlearningRecommender",
]
