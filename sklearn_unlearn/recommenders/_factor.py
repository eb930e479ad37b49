"""What every factor model shares: fit, fold-in, forget and certify, given `_make_objective`."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from sklearn_unlearn.base import ForgetMixin, RecommenderMixin
from sklearn_unlearn.exceptions import NotConvergedWarning
from sklearn_unlearn.influence import InfluenceUnlearner, RefitUnlearner, SweepUnlearner
from sklearn_unlearn.influence._certificate import certify
from sklearn_unlearn.influence._operators import canonical_rotation
from sklearn_unlearn.influence._problem import ForgetProblem
from sklearn_unlearn.influence.backends import get_backend
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import WeightedObjective
from sklearn_unlearn.objectives._weighted_rows import solve_users
from sklearn_unlearn.optimizers import minimize_alternating, minimize_newton_cg, solve_rows
from sklearn_unlearn.recommenders._tables import (
    canonical,
    is_saturated,
    report_of,
    slack_of,
    to_attributes,
    to_table,
    used_columns,
)
from sklearn_unlearn.utils._compat import _fit_context
from sklearn_unlearn.utils._random import draw_seed

__all__ = ["FactorModel"]

# Rows folded in at once: their (width, width) blocks stay in a few megabytes.
_ROWS_AT_ONCE = 2048
_LONGEST_SIDE = np.iinfo(np.int32).max

_STRATEGIES = {
    None: InfluenceUnlearner,
    "influence": InfluenceUnlearner,
    "sweep": SweepUnlearner,
    "refit": RefitUnlearner,
}


class FactorModel(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, ForgetMixin, RecommenderMixin, BaseEstimator
):
    """Base of the factor models: a subclass is hyper-parameters and `_make_objective`.

    ``_make_objective(data, offset=None)`` states the objective of some interactions; `offset` fixes
    the global mean instead of taking it from the data.
    """

    # Whether the model has biases and a global mean, as attributes and in its scores.
    _with_biases = True
    # Whether another program trained it: then it is hardly ever at an optimum, which is expected,
    # and `forget` does not warn of it at each request.
    _taken_over = False

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the model to a gradient tolerance.

        Parameters
        ----------
        X : sparse container or array-like, shape (n_users, n_items)
            Interactions. Zero, stored or not, means not observed.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_users,), default=None
            How many users each row stands for. Weight 0 means never trained on.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X holds NaN or infinity, or no interaction at all.

        Warns
        -----
        NotConvergedWarning
            If `max_iter` steps did not reach `tol`.
        """
        before = self.__dict__.copy()
        try:
            state = self._fit(X, sample_weight)
        except BaseException:
            self.__dict__ = before
            raise
        for name in ("forget_report_", "_taken_over"):
            self.__dict__.pop(name, None)
        self.__dict__.update(state)
        return self

    def _fit(self, X, sample_weight) -> dict[str, Any]:
        """Attributes of a fit; what validation sets on the way, `fit` takes back if it fails."""
        _check_sides(X)
        data = self._check_training_data(X, sample_weight)
        if not data.n_interactions:
            raise ValueError(
                f"X of shape {data.shape} holds no interaction (of a user with positive weight); "
                "expected at least one. Check that values are not all zero."
            )
        seed = draw_seed(self.random_state)
        result, objective = self._minimize(data, seed)
        if not result.converged and self.max_iter:
            warnings.warn(
                f"{type(self).__name__} stopped after {result.n_steps} steps at a gradient norm of "
                f"{result.gradient_norm[1]:.2e}; {self.tol * objective.gradient_scale:.2e} was "
                "asked for. Raise max_iter, raise regularization, or loosen tol.",
                NotConvergedWarning,
                stacklevel=4,  # past `fit` and scikit-learn's wrapper of it
            )
        theta = canonical(result.theta, objective.layout, self.tol)
        state = self._attributes(theta, objective, data)
        state.update(
            _interactions=data if self._with_biases else data.bare(),
            _seed=seed,
            _slack=slack_of(objective, state),
            n_iter_=max(result.n_steps, 1),
            converged_=result.converged,
            gradient_norm_=result.gradient_norm[1],
        )
        return state

    def transform(self, X):
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
        return self._fold_in(self._check_rows(X))[0]

    def inverse_transform(self, U):
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
        U = check_array(U, dtype=np.float64)
        if U.shape[1] != self.item_factors_.shape[1]:
            raise ValueError(
                f"U has {U.shape[1]} columns; expected {self.item_factors_.shape[1]}, one a "
                "factor. Pass what transform returns."
            )
        return self._with_constants(U @ self.item_factors_.T)

    def score(self, X, y=None):
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
        objective = self._make_objective(data, offset=self._offset)
        U, biases = self._fold_in(rows)
        theta = objective.layout.pack(
            np.concatenate([U, self.item_factors_]), np.concatenate([biases, self._item_biases])
        )
        return -objective.mean_loss(theta)

    def certify(self, tol=1e-6):
        """Check for global optimality, and bound the distance to any refit.

        Parameters
        ----------
        tol : float, default=1e-6
            Relative duality gap that counts as certified.

        Returns
        -------
        certificate : OptimalityCertificate
            Spectral ratio, relative gap, rank and prediction bound.
        """
        check_is_fitted(self)
        objective = self._make_objective(self._interactions, offset=self._offset)
        return certify(objective, self._theta(objective.layout).astype(np.float64), tol)

    def canonical_factors(self):
        """Return factors that carry no history: rotated so that the items' Gram matrix is diagonal.

        Returns
        -------
        user_factors : ndarray of shape (n_users, n_factors)
        item_factors : ndarray of shape (n_items, n_factors)
            The same scores as ``user_factors_`` and ``item_factors_``. `fit` leaves factors in this
            basis; `forget` keeps the old one, so that rows that did not change stay as they were.
        """
        check_is_fitted(self)
        rotation = canonical_rotation(self.item_factors_)
        return self.user_factors_ @ rotation, self.item_factors_ @ rotation

    @property
    def _n_features_out(self):
        return self.item_factors_.shape[1]

    # -- hooks of the mixins -----------------------------------------------------------------------
    def _forget(self, retained, request):
        # Said once: a later request finds what the first has left as well.
        if not (self.converged_ or self._taken_over or hasattr(self, "forget_report_")):
            warnings.warn(
                "the model was not fitted to its tolerance, so the gradient it had before the "
                "request is subtracted: the request is answered, the training is not finished. "
                "Fit with a larger max_iter for a residual that means more.",
                NotConvergedWarning,
                stacklevel=3,
            )
        # Columns that the penalty has emptied stay out of the arithmetic.
        used = used_columns(self.item_factors_)
        whole = self._make_objective(retained)
        outcome = self._strategy().unlearn(self._problem(retained, request, whole, used))
        if outcome.method == "refit":
            theta = canonical(outcome.theta, whole.layout, self.tol)
            state = self._attributes(theta, whole, retained)
            slack = slack_of(whole, state)
        else:
            state = self._attributes(outcome.theta, whole, retained, used, outcome.sums)
            slack = outcome.slack
        state.update(
            _slack=slack,
            converged_=outcome.converged,
            gradient_norm_=outcome.bound,
            forget_report_=report_of(outcome, request, saturated=is_saturated(state)),
        )
        return state

    def _problem(self, retained, request, whole, used):
        n_used = self.item_factors_[:0, used].shape[1]
        objective = whole.with_factors(n_used)
        return ForgetProblem(
            before=self._interactions,
            retained=retained,
            positions=request.positions,
            objective=objective,
            objective_before=lambda: self._make_objective(self._interactions).with_factors(n_used),
            theta=self._theta(objective.layout, used),
            converged=self.converged_,
            gradient_norm=self.gradient_norm_,
            slack=self._slack,
            n_free=whole.layout.n_factors - n_used,
            local=objective.offset == self._offset,
            refit=lambda: self._minimize(retained, self._seed)[0],
            sums=tuple(S[used][:, used] for S in self.__dict__.get("_sums", ())),
        )

    def _score_users(self, users):
        scores = self.user_factors_[users] @ self.item_factors_.T
        return self._with_constants(scores, self.user_biases_[users] if self._with_biases else None)

    def _score_rows(self, X):
        U, biases = self._fold_in(X)
        return self._with_constants(U @ self.item_factors_.T, biases)

    def _score_pairs(self, users, items):
        products = np.einsum("nk,nk->n", self.user_factors_[users], self.item_factors_[items])
        if not self._with_biases:
            return products
        return products + self.user_biases_[users] + self.item_biases_[items] + self.global_mean_

    def _with_constants(self, scores, user_biases=None):
        """Scores of latent factors, with biases and global mean if the model has such."""
        if not self._with_biases:
            return scores
        scores = scores + self.item_biases_ + self.global_mean_
        return scores if user_biases is None else scores + user_biases[:, None]

    # -- from tables to attributes and back --------------------------------------------------------
    @property
    def _offset(self):
        return self.global_mean_ if self._with_biases else 0.0

    @property
    def _item_biases(self):
        return self.item_biases_ if self._with_biases else np.zeros(len(self.item_factors_))

    def _attributes(self, theta, objective, data, columns=None, sums=()):
        """Attributes of a table; sums over its rows are kept, those of stored numbers."""
        dtype = np.float64 if self._with_biases else data.values.dtype
        exact = bool(sums) and theta.dtype == dtype and theta.shape == objective.layout.shape
        state = to_attributes(theta, objective, columns, dtype=dtype, biases=self._with_biases)
        if not self._with_biases:
            table = to_table(SimpleNamespace(**state), objective.layout)
            state["_sums"] = sums if exact else objective.sums(table)
        return state

    def _backend(self):
        return get_backend(self.device, self.n_jobs)

    def _strategy(self):
        if self.unlearner is None or isinstance(self.unlearner, str):
            return _STRATEGIES[self.unlearner]()
        return self.unlearner

    def _minimize(self, data, seed):
        objective = self._make_objective(data)

        def show(step, value, gradient_norm, n_products):
            if self.verbose:
                print(
                    f"[{type(self).__name__}] step {step}: objective {value:.6g}, "
                    f"gradient norm {gradient_norm:.2e}, {n_products} products"
                )

        settings = {"seed": seed, "tol": self.tol, "max_iter": self.max_iter, "on_step": show}
        if isinstance(objective, WeightedObjective):
            settings |= {"n_sweeps": self.n_sweeps, "dtype": data.values.dtype}
            result = minimize_alternating(objective, **settings)
        else:
            result = minimize_newton_cg(objective, **settings)
        # Rows without interactions shrink towards zero from a random start: put them there.
        empty = np.flatnonzero(np.concatenate([data.user_degrees, data.item_degrees]) == 0)
        result.theta[empty] = objective.layout.empty_rows(empty)
        return result, objective

    def _theta(self, layout, columns=slice(None)):
        return to_table(self, layout, columns)

    def _fold_in(self, X):
        """Latent factors and biases of rows, in chunks."""
        chunks = range(0, max(X.shape[0], 1), _ROWS_AT_ONCE)
        parts = [self._fold_in_chunk(X[start : start + _ROWS_AT_ONCE]) for start in chunks]
        factors, biases = zip(*parts, strict=True)
        return np.concatenate(factors), np.concatenate(biases)

    def _fold_in_chunk(self, X):
        objective = self._make_objective(Interactions.from_matrix(X), offset=self._offset)
        n, layout = X.shape[0], objective.layout
        if isinstance(objective, WeightedObjective):
            return solve_users(objective, self.item_factors_, self._sums[1]), np.zeros(n)
        theta = layout.pack(
            np.concatenate([np.zeros((n, layout.n_factors)), self.item_factors_]),
            np.concatenate([np.zeros(n), self._item_biases]),
        )
        theta = solve_rows(objective.freeze_items(), theta)
        k = layout.n_factors
        return theta[:n, :k].copy(), theta[:n, k].copy() if layout.fit_bias else np.zeros(n)


def _check_sides(X):
    """Refuse a shape that ids used as positions make: a row of factors each would not fit."""
    if any(side > _LONGEST_SIDE for side in getattr(X, "shape", ())):
        raise ValueError(
            f"X has shape {X.shape}; expected at most {_LONGEST_SIDE} users and as many items. "
            "Turn ids into positions with InteractionEncoder."
        )
