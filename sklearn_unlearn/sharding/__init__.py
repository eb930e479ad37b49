"""Sharded ensembles: a request changes only the shards that hold what it names."""

from sklearn_unlearn.sharding._sharded import ShardedRecommender

__all__ = ["ShardedRecommender"]
