"""The whole model as dense arithmetic, minimised by SciPy: shares no code with the package."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit


@dataclass(frozen=True)
class DenseModel:
    """The objective that `MatrixFactorization` states; parameters as in the estimator."""

    loss: str = "logistic"
    n_factors: int = 28
    regularization: float = 2.0
    bias_regularization: float | tuple[float, float] = (1.0, 4.0)
    frequency_scaling: float = 0.0
    fit_bias: bool = True
    global_mean: bool | str = "auto"

    @classmethod
    def of(cls, estimator):
        params = estimator.get_params(deep=False)
        return cls(**{name: params[name] for name in cls.__dataclass_fields__})

    def mean(self, X, weights):
        wanted = self.loss == "squared" if self.global_mean == "auto" else self.global_mean
        if not wanted:
            return 0.0
        cells = (X != 0) * weights[:, None]
        if self.loss == "squared":
            return float((cells * X).sum() / cells.sum())
        return float(logit((cells * (X > 0)).sum() / cells.sum()))

    def terms(self, X, scores):
        """Loss and slope of every cell, zero where nothing is observed."""
        seen = X != 0
        if self.loss == "squared":
            return seen * (scores - X) ** 2 / 2, seen * (scores - X)
        label = X > 0
        return seen * (np.logaddexp(0, scores) - label * scores), seen * (expit(scores) - label)

    def multiples(self, X, weights):
        """Multiples of the penalty of users and of items."""
        seen = X != 0
        users, items = seen.sum(axis=1), weights @ seen
        power = self.frequency_scaling
        return (
            weights * np.where(users > 0, users, 1.0) ** power,
            np.where(items > 0, items, 1.0) ** power,
        )

    def value_and_gradients(self, X, P, Q, b, c, weights=None):
        """J and its gradients, by P, Q and the biases of users and of items."""
        X = np.asarray(X, float)
        weights = np.ones(len(X)) if weights is None else np.asarray(weights, float)
        on_users, on_items = (
            self.regularization * one[:, None] for one in self.multiples(X, weights)
        )
        bias_users, bias_items = np.broadcast_to(self.bias_regularization, 2)
        bias_users = bias_users * on_users[:, 0] / self.regularization
        bias_items = bias_items * on_items[:, 0] / self.regularization
        losses, slopes = self.terms(X, P @ Q.T + b[:, None] + c + self.mean(X, weights))
        slopes = slopes * weights[:, None]
        penalty = (on_users * P**2).sum() + (on_items * Q**2).sum()
        penalty += bias_users @ b**2 + bias_items @ c**2
        value = (losses * weights[:, None]).sum() + penalty / 2
        by_b, by_c = slopes.sum(axis=1) + bias_users * b, slopes.sum(axis=0) + bias_items * c
        if not self.fit_bias:
            by_b, by_c = 0 * b, 0 * c
        return value, (slopes @ Q + on_users * P, slopes.T @ P + on_items * Q, by_b, by_c)

    def gradient_norm(self, model, X, weights=None):
        """Norm of the gradient at a fitted estimator."""
        parts = model.user_factors_, model.item_factors_, model.user_biases_, model.item_biases_
        gradients = self.value_and_gradients(X, *parts, weights)[1]
        return float(np.sqrt(sum((one**2).sum() for one in gradients)))

    def fit(self, X, weights=None, seed=0):
        """Scores at the optimum, shape (n_users, n_items), and the objective there."""
        X = np.asarray(X, float)
        (m, n), k = X.shape, self.n_factors
        weights = np.ones(m) if weights is None else np.asarray(weights, float)
        cuts = np.cumsum([m * k, n * k, m])

        def split(x):
            P, Q, b, c = np.split(x, cuts)
            return P.reshape(m, k), Q.reshape(n, k), b, c

        def fun(x):
            value, gradients = self.value_and_gradients(X, *split(x), weights)
            return value, np.concatenate([one.ravel() for one in gradients])

        start = 0.3 * np.random.default_rng(seed).standard_normal(cuts[-1] + n)
        start[cuts[1] :] = 0
        options = {"maxiter": 10000, "maxfun": 20000, "ftol": 0, "gtol": 1e-8, "maxcor": 40}
        found = minimize(fun, start, jac=True, method="L-BFGS-B", options=options)
        P, Q, b, c = split(found.x)
        return P @ Q.T + b[:, None] + c + self.mean(X, weights), found.fun

    def fold_in(self, row, Q, c, mean):
        """Factors and bias of one new row beside given items."""
        k = Q.shape[1]
        degree = max((row != 0).sum(), 1) ** self.frequency_scaling
        bias_ridge = np.broadcast_to(self.bias_regularization, 2)[0] * degree

        def fun(x):
            p, b = x[:k], x[k]
            losses, slopes = self.terms(row, Q @ p + b + c + mean)
            ridge = self.regularization * degree
            value = losses.sum() + (ridge * p @ p + bias_ridge * b * b) / 2
            by_b = slopes.sum() + bias_ridge * b if self.fit_bias else 0.0
            return value, np.append(slopes @ Q + ridge * p, by_b)

        options = {"maxiter": 2000, "ftol": 0, "gtol": 1e-10}
        found = minimize(fun, np.zeros(k + 1), jac=True, method="L-BFGS-B", options=options)
        return found.x[:k], found.x[k]


def scores_of(model):
    """Scores of all training users."""
    users = np.arange(len(model.user_factors_))
    return model._score_users(users)


def distance(one, other):
    """Largest difference of two tables of scores."""
    return float(np.abs(one - other).max())
