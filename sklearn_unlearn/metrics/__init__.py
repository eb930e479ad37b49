"""Measures of what forgetting left behind, and of how well a recommender ranks.

Every function takes arrays, or any object with the verbs it needs, so models from elsewhere can be
measured too.
"""

from sklearn_unlearn.metrics._catalogue import (
    coverage_at_k,
    gini_at_k,
    novelty_at_k,
    popularity_at_k,
)
from sklearn_unlearn.metrics._forget_gap import ForgetGap, GapGroup, forget_gap
from sklearn_unlearn.metrics._forget_scorer import make_forget_scorer
from sklearn_unlearn.metrics._gap import noise_floor, remaining_gap
from sklearn_unlearn.metrics._groups import exposure_at_k, fairness_gap
from sklearn_unlearn.metrics._membership import membership_inference
from sklearn_unlearn.metrics._membership_result import MembershipArm, MembershipResult
from sklearn_unlearn.metrics._overlap import rank_biased_overlap, top_k_overlap
from sklearn_unlearn.metrics._ranking import (
    hit_rate_at_k,
    map_at_k,
    mrr_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
)
from sklearn_unlearn.metrics._scorers import (
    get_ranking_scorer,
    get_ranking_scorer_names,
    make_ranking_scorer,
)
from sklearn_unlearn.metrics._seed_result import SeedTestResult
from sklearn_unlearn.metrics._seed_test import seed_test

__all__ = [
    "ForgetGap",
    "GapGroup",
    "MembershipArm",
    "MembershipResult",
    "SeedTestResult",
    "coverage_at_k",
    "exposure_at_k",
    "fairness_gap",
    "forget_gap",
    "get_ranking_scorer",
    "get_ranking_scorer_names",
    "gini_at_k",
    "hit_rate_at_k",
    "make_forget_scorer",
    "make_ranking_scorer",
    "map_at_k",
    "membership_inference",
    "mrr_at_k",
    "ndcg_at_k",
    "noise_floor",
    "novelty_at_k",
    "popularity_at_k",
    "precision_at_k",
    "rank_biased_overlap",
    "recall_at_k",
    "remaining_gap",
    "seed_test",
    "top_k_overlap",
]
