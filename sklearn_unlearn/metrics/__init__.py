"""Measures of what forgetting left behind, and of how well a recommender ranks.

Every function takes arrays, or any object with the verbs it needs, so models from elsewhere can be
measured too.
"""

from sklearn_unlearn.metrics._gap import noise_floor, remaining_gap
from sklearn_unlearn.metrics._overlap import rank_biased_overlap, top_k_overlap
from sklearn_unlearn.metrics._ranking import ndcg_at_k, recall_at_k

__all__ = [
    "ndcg_at_k",
    "noise_floor",
    "rank_biased_overlap",
    "recall_at_k",
    "remaining_gap",
    "top_k_overlap",
]
