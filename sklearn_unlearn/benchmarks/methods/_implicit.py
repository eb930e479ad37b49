"""The library that most implicit-feedback models come from, as the rival to be compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.benchmarks.measure._clocks import Timing, time_calls
from sklearn_unlearn.utils._ranking import top_k

__all__ = ["Factors", "Rival"]


@dataclass(frozen=True, eq=False)
class Factors:
    """Factors as a recommender, under the names that the metrics know.

    Parameters
    ----------
    user_factors_, item_factors_ : ndarray
        Scores are products of their rows.
    """

    user_factors_: NDArray[Any]
    item_factors_: NDArray[Any]
    seen: sparse.csr_array

    def recommend(
        self, *, users: Any, n_items: int = 10, exclude_seen: bool = True
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return the best items of some users and their scores."""
        scores = self.user_factors_[users] @ self.item_factors_.T
        if exclude_seen:
            rows = self.seen[users]
            scores[np.repeat(np.arange(len(scores)), np.diff(rows.indptr)), rows.indices] = -np.inf
        return top_k(scores, n_items)


@dataclass(frozen=True)
class Rival:
    """``implicit.als.AlternatingLeastSquares`` with given hyper-parameters, in float32.

    Parameters
    ----------
    n_factors : int
        Latent columns.

    regularization, alpha : float
        As in `ALS`: both libraries weigh alike.

    n_sweeps : int, default=15
        Its ``iterations``.

    n_threads : int, default=2
        Its ``num_threads``; BLAS is limited to 1 thread elsewhere, as it asks for.

    seed : int, default=0
        Seed of its start. An integer: it cannot use a RandomState.
    """

    n_factors: int
    regularization: float
    alpha: float
    n_sweeps: int = 15
    n_threads: int = 2
    seed: int = 0

    @classmethod
    def of(cls, estimator: Any, n_threads: int, n_sweeps: int = 15) -> Rival:
        """Make the rival of an `ALS`, with its hyper-parameters and seed."""
        return cls(
            int(estimator.n_factors),
            float(estimator.regularization),
            float(estimator.alpha),
            n_sweeps,
            n_threads,
            int(estimator.random_state),
        )

    def make(self, seed: int | None = None) -> Any:
        """Make a model that is not fitted."""
        from implicit.cpu.als import AlternatingLeastSquares

        return AlternatingLeastSquares(
            factors=self.n_factors,
            regularization=self.regularization,
            alpha=self.alpha,
            dtype=np.float32,
            iterations=self.n_sweeps,
            num_threads=self.n_threads,
            random_state=self.seed if seed is None else seed,
        )

    def time_fit(self, X: sparse.csr_array, repeats: int = 1, seed: int | None = None) -> Timing:
        """Time its fit, transposition included, and return the last model as the result."""
        user_items = matrix_for_implicit(X)

        def call(model: Any) -> Any:
            model.fit(user_items, show_progress=False)
            return model

        return time_calls(lambda: self.make(seed), call, repeats, warm_up=False)


def matrix_for_implicit(X: sparse.csr_array) -> sparse.csr_matrix:
    """Copy a matrix into the form that is not converted inside a timed fit."""
    return sparse.csr_matrix(X, dtype=np.float32, copy=True)


def factors_of(model: Any, X: sparse.csr_array) -> Factors:
    """Wrap what a model of the other library has learned from some data."""
    return Factors(np.asarray(model.user_factors), np.asarray(model.item_factors), X)
