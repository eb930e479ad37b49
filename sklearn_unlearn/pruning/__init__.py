"""Transformers that shrink a forget request to the rows that matter.

A pruner reads the interactions before a request and says which users and items an unlearner should
update. It keeps or drops a row of the factors as a whole.
"""

from sklearn_unlearn.pruning._hops import HopPruner
from sklearn_unlearn.pruning._importance import ImportancePruner

__all__ = ["HopPruner", "ImportancePruner"]
