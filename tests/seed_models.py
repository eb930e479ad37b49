"""A model whose scores depend on its seed in a known way."""

import numpy as np
from sklearn.base import BaseEstimator


class NoisyMeans(BaseEstimator):
    """Scores are the mean value of the item, plus noise of the seed, plus a trace of each cell."""

    n_fits = 0
    stop_at = None
    seeds = ()

    def __init__(self, noise=0.1, random_state=None, unlearner=None, n_jobs=None):
        self.noise = noise
        self.random_state = random_state
        self.unlearner = unlearner
        self.n_jobs = n_jobs

    def fit(self, X, y=None, sample_weight=None):
        if NoisyMeans.stop_at == NoisyMeans.n_fits:
            raise KeyboardInterrupt
        NoisyMeans.n_fits += 1
        NoisyMeans.seeds += (self.random_state,)
        self.weights_ = sample_weight
        self.table_ = X.toarray()
        self._refresh(self.random_state)
        return self

    def _refresh(self, seed):
        noise = np.random.default_rng(seed).normal(size=self.table_.shape)
        self.scores_ = self.table_.mean(axis=0) + self.table_ + self.noise * noise

    def predict_pairs(self, pairs):
        return self.scores_[pairs[:, 0], pairs[:, 1]]

    def forget(self, interactions=None, *, users=None, items=None):
        if interactions is not None:
            self.table_[tuple(np.transpose(interactions))] = 0
        if users is not None:
            self.table_[users] = 0
        if items is not None:
            self.table_[:, items] = 0
        self._refresh(self.random_state + 1)
        return self

    @classmethod
    def start_anew(cls):
        cls.n_fits, cls.stop_at, cls.seeds = 0, None, ()
