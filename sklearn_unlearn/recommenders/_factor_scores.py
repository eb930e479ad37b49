"""What a fitted factor model says: scores, fold-in, embeddings."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from sklearn_unlearn.base import RecommenderMixin
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import PropagatedObjective, SparseObjective
from sklearn_unlearn.objectives._base import ExactRowSolver
from sklearn_unlearn.optimizers import solve_rows
from sklearn_unlearn.recommenders._types import Floats, Ints
from sklearn_unlearn.utils._validation import refuse_masked

__all__ = ["FactorScores"]

# Rows folded in at once: their (width, width) blocks stay in a few megabytes.
_ROWS_AT_ONCE = 2048


class FactorScores(ClassNamePrefixFeaturesOutMixin, TransformerMixin, RecommenderMixin):
    """Scores of latent factors, with biases and a global mean if the model has such."""

    # Whether the model has biases and a global mean, as attributes and in its scores.
    _with_biases = True

    def transform(self, X: Any) -> Floats:
        """Fold rows in: the latent factors that users with these rows would have.

        Parameters
        ----------
        X : sparse container or array-like, shape (n, n_items)
            Interactions of the rows. The model does not change.

        Returns
        -------
        U : ndarray of shape (n, n_factors)
            For a training row of a converged model, its row of ``user_factors_``.
        """
        check_is_fitted(self)
        with self._threads():
            return self._fold_in(self._check_rows(X))[0]

    def inverse_transform(self, U: Any) -> Floats:
        """Scores that belong to latent factors.

        Parameters
        ----------
        U : array-like of shape (n, n_factors)
            Rows as `transform` returns them. They hold no user bias, so scores lack it; the order
            of the items does not depend on it.

        Returns
        -------
        scores : ndarray of shape (n, n_items)
        """
        check_is_fitted(self)
        refuse_masked(U, "U")
        U = check_array(U, dtype=np.float64)
        if U.shape[1] != self.item_factors_.shape[1]:
            raise ValueError(
                f"U has {U.shape[1]} columns; expected {self.item_factors_.shape[1]}, one a "
                "factor. Pass what transform returns."
            )
        with self._threads():
            return self._with_constants(U @ self.item_factors_.T)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of minus the loss over the observed entries of folded-in rows.

        Parameters
        ----------
        X : sparse container or array-like, shape (n, n_items)
            Interactions of the rows.

        y : None
            Ignored.

        Returns
        -------
        score : float
            Higher is better. The rows are scored on what they are folded in from; rank held-out
            items with `sklearn_unlearn.metrics` to judge recommendations.
        """
        check_is_fitted(self)
        rows = self._check_rows(X)
        data = Interactions.from_matrix(rows)
        with self._threads():
            objective = self._make_fold_in(data)
            U, biases = self._fold_in(rows)
            theta = objective.layout.pack(
                np.concatenate([U, self.item_factors_]), np.concatenate([biases, self._item_biases])
            )
            return -objective.mean_loss(theta)

    @property
    def _n_features_out(self) -> int:
        return self.item_factors_.shape[1]

    # -- hooks of the mixins -----------------------------------------------------------------------
    def _score_users(self, users: Ints) -> Floats:
        scores = self._rows_of_users(users) @ self.item_factors_.T
        return self._with_constants(scores, self.user_biases_[users] if self._with_biases else None)

    def _score_rows(self, X: Any) -> Floats:
        U, biases = self._fold_in(X)
        return self._with_constants(U @ self.item_factors_.T, biases)

    def _score_pairs(self, users: Ints, items: Ints) -> Floats:
        products = np.einsum("nk,nk->n", self._rows_of_users(users), self.item_factors_[items])
        if not self._with_biases:
            return products
        return products + self.user_biases_[users] + self.item_biases_[items] + self.global_mean_

    def _rows_of_users(self, users: Ints) -> Floats:
        """Latent factors of some users."""
        rows: Floats = self.user_factors_[users]
        return rows

    def _with_constants(self, scores: Floats, user_biases: Floats | None = None) -> Floats:
        """Scores of latent factors, with biases and global mean if the model has such."""
        if not self._with_biases:
            return scores
        scores = scores + self.item_biases_ + self.global_mean_
        return scores if user_biases is None else scores + user_biases[:, None]

    # -- fold-in -----------------------------------------------------------------------------------
    @property
    def _item_biases(self) -> Floats:
        return self.item_biases_ if self._with_biases else np.zeros(len(self.item_factors_))

    def _fold_in(self, X: Any) -> tuple[Floats, Floats]:
        """Latent factors and biases of rows, in chunks."""
        self._check_parameters()
        chunks = range(0, max(X.shape[0], 1), _ROWS_AT_ONCE)
        parts = [self._fold_in_chunk(X[start : start + _ROWS_AT_ONCE]) for start in chunks]
        factors, biases = zip(*parts, strict=True)
        return np.concatenate(factors), np.concatenate(biases)

    def _make_fold_in(self, data: Interactions) -> SparseObjective | PropagatedObjective:
        """Objective of new rows beside the items of the model; their positions mean nothing."""
        return self._make_objective(data, offset=self._offset)

    def _fold_in_chunk(self, X: Any) -> tuple[Floats, Floats]:
        objective = self._make_fold_in(Interactions.from_matrix(X))
        n, layout = X.shape[0], objective.layout
        if objective.has_exact_rows:
            solver = cast(ExactRowSolver, objective.row_solver())
            return solver.solve_users(self.item_factors_, self._sums[1]), np.zeros(n)
        theta = layout.pack(
            np.concatenate([np.zeros((n, layout.n_factors)), self.item_factors_]),
            np.concatenate([np.zeros(n), self._item_biases]),
        )
        theta = solve_rows(objective.freeze_items(), theta)
        k = layout.n_factors
        return theta[:n, :k].copy(), theta[:n, k].copy() if layout.fit_bias else np.zeros(n)
