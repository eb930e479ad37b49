"""The whole pairwise model as dense arithmetic, minimised by SciPy."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from tests.objectives.pairwise_twin import DensePairwise


@dataclass(frozen=True)
class DenseBPR:
    """The objective that `BPR` states; parameters as in the estimator, the seed as it was drawn."""

    n_factors: int
    n_negatives: int
    regularization: float
    bias_regularization: float
    frequency_scaling: float
    fit_bias: bool
    seed: int

    @classmethod
    def of(cls, model):
        params = model.get_params(deep=False)
        names = set(cls.__dataclass_fields__) - {"seed"}
        return cls(seed=model._seed, **{name: params[name] for name in names})

    def triples(self, X, weights=None, key=None):
        """Users, positives, negatives and weights, one array each."""
        weights = np.ones(len(X)) if weights is None else np.asarray(weights, float)
        draws = DensePairwise(
            X * (weights > 0)[:, None], 0, False, self.n_negatives, self.seed, X, weights, key
        )
        u, i, j, w = np.array([*draws.triples, (0, 0, 0, 0.0)]).T
        return u.astype(int), i.astype(int), j.astype(int), w

    def multiples(self, X, weights=None):
        """Multiples of the penalty of users and of items."""
        weights = np.ones(len(X)) if weights is None else np.asarray(weights, float)
        met = (X != 0) & (weights > 0)[:, None]
        weights = np.where(met.any(axis=1), weights, 1.0)
        users, items = met.sum(axis=1), weights @ met
        power = self.frequency_scaling
        return (
            weights * np.where(users > 0, users, 1.0) ** power,
            np.where(items > 0, items, 1.0) ** power,
        )

    def fit(self, X, weights=None, seed=0):
        """Scores at the optimum, shape (n_users, n_items), and the objective there."""
        X = np.asarray(X, float)
        (m, n), k = X.shape, self.n_factors
        u, i, j, w = self.triples(X, weights)
        users, items = (one[:, None] for one in self.multiples(X, weights))

        def fun(x):
            P, Q, b = x[: m * k].reshape(m, k), x[m * k : -n].reshape(n, k), x[-n:]
            difference = np.einsum("nk,nk->n", P[u], Q[i] - Q[j]) + b[i] - b[j]
            R = np.zeros((m, n))
            slopes = -w * expit(-difference)
            np.add.at(R, (u, i), slopes)
            np.add.at(R, (u, j), -slopes)
            value = w @ np.logaddexp(0, -difference)
            value += self.regularization * ((users * P**2).sum() + (items * Q**2).sum()) / 2
            value += self.bias_regularization * (items[:, 0] @ b**2) / 2
            by_b = R.sum(axis=0) + self.bias_regularization * items[:, 0] * b
            return value, np.concatenate(
                [
                    (R @ Q + self.regularization * users * P).ravel(),
                    (R.T @ P + self.regularization * items * Q).ravel(),
                    by_b if self.fit_bias else 0 * b,
                ]
            )

        start = 0.3 * np.random.default_rng(seed).standard_normal(m * k + n * k + n)
        start[-n:] = 0
        options = {"maxiter": 10000, "maxfun": 20000, "ftol": 0, "gtol": 1e-8, "maxcor": 40}
        found = minimize(fun, start, jac=True, method="L-BFGS-B", options=options)
        P, Q, b = found.x[: m * k].reshape(m, k), found.x[m * k : -n].reshape(n, k), found.x[-n:]
        return P @ Q.T + b, found.fun

    def fold_in(self, row, Q, b):
        """Factors of one new row beside given items."""
        _, i, j, w = self.triples(row[None], key=-1)
        ridge = self.regularization * max((row != 0).sum(), 1) ** self.frequency_scaling

        def fun(p):
            difference = (Q[i] - Q[j]) @ p + b[i] - b[j]
            slopes = -w * expit(-difference)
            value = w @ np.logaddexp(0, -difference) + ridge * p @ p / 2
            return value, (Q[i] - Q[j]).T @ slopes + ridge * p

        options = {"maxiter": 2000, "ftol": 0, "gtol": 1e-11}
        start = np.zeros(Q.shape[1])
        return minimize(fun, start, jac=True, method="L-BFGS-B", options=options).x
