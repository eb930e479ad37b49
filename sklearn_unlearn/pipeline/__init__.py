"""Pipelines that speak ids: an encoder, entry-wise steps, and a recommender that forgets."""

from ._pipeline import RecommenderPipeline, make_recommender_pipeline

__all__ = ["RecommenderPipeline", "make_recommender_pipeline"]
