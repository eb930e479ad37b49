"""A small recommender with a closed form that obeys the whole contract: the mixins' oracle."""

from dataclasses import asdict, dataclass

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_unlearn.base import ForgetMixin, LearnMixin, RecommenderMixin
from sklearn_unlearn.utils._random import draw_seed, hashed_normal


@dataclass(frozen=True)
class Report:
    """The scalars that the reference recommender reports."""

    guarantee: str
    n_interactions: int
    n_users: int
    n_items: int

    def to_dict(self):
        return asdict(self)


class RidgeRecommender(LearnMixin, ForgetMixin, RecommenderMixin, BaseEstimator):
    """Scores X B with B = (X'X + regularization I)^-1 X'X, and an item offset hashed from the seed.

    Forgetting recomputes the closed form on what remains, so it equals a refit bit for bit.
    """

    def __init__(self, regularization=3.0, random_state=None):
        self.regularization = regularization
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.forget_tags.exact = True
        return tags

    def fit(self, X, y=None, sample_weight=None):
        data = self._check_training_data(X, sample_weight)
        self._seed = draw_seed(self.random_state)
        for name in ("forget_report_", "learn_report_"):
            self.__dict__.pop(name, None)
        self.__dict__.update({**self._solve(data), "_interactions": data})
        return self

    def _solve(self, data):
        X = data.to_csr()
        weights = np.ones(data.n_users) if data.row_weights is None else data.row_weights
        gram = (X.T @ X.multiply(weights[:, None]).tocsr()).toarray()
        system = gram + self.regularization * np.eye(data.n_items)
        return {
            "item_similarity_": np.linalg.solve(system, gram),
            "item_offset_": 0.1 * hashed_normal(self._seed, np.arange(data.n_items)),
            "mean_": float(weights @ X.sum(axis=1) / max(1, weights @ data.user_degrees)),
        }

    def _forget(self, retained, request):
        report = Report("exact", request.n_interactions, request.n_users, request.n_items)
        return {**self._solve(retained), "forget_report_": report}

    def _grown(self, data):
        return self._solve(data)

    def _score_rows(self, X):
        return X @ self.item_similarity_ + self.item_offset_ + self.mean_

    def _score_users(self, users):
        return self._score_rows(self._interactions.to_csr()[users])

    def _score_pairs(self, users, items):
        return self._score_users(users)[np.arange(len(users)), items]
