"""What a factor model does whose rows are propagated through a graph before they score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.optimizers import solve_rows
from sklearn_unlearn.recommenders._factor import FactorModel
from sklearn_unlearn.recommenders._tables import canonical, to_attributes
from sklearn_unlearn.recommenders._take_over import refuse, taken_over

__all__ = ["PropagatedModel"]

# Stands for the position of every new row in what is drawn for it.
_NEW_ROW = -1


class PropagatedModel(FactorModel):
    """Base of factor models over a graph: ``_make_objective`` gives a `PropagatedObjective`.

    The embeddings are the parameters. The factors are what propagation makes of them, so that
    everything that scores reads factors alone.
    """

    _with_biases = False
    _tables = ("factors", "embeddings")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    @classmethod
    def from_embeddings(
        cls, user_embeddings, item_embeddings, interactions, *, n_layers=3, **params
    ):
        """Take over embeddings that were trained elsewhere, so that they can forget.

        Nothing is trained. Scores are those of any implementation with the same graph, mean of
        layers and embeddings. What separates the embeddings from a minimum of the objective here
        counts as training that was not finished: `forget` then subtracts the gradient that
        training left, so that it answers the request and does not finish the training.

        Parameters
        ----------
        user_embeddings : array-like of shape (n_users, n_factors)
            Those of layer 0, before propagation. Copied.

        item_embeddings : array-like of shape (n_items, n_factors)
            Likewise.

        interactions : sparse container or array-like, shape (n_users, n_items)
            What they were trained on: the edges. Zeros, stored or not, are none.

        n_layers : int, default=3
            Layers of the propagation.

        **params : dict
            Other parameters of the estimator, except `n_factors`. `loss` and `regularization`
            should be those of the training: a penalty of all rows that an interaction is made of,
            once for each, is ``frequency_scaling=1.0`` here.

        Returns
        -------
        model : LightGCN
            Fitted, in double precision. Rows of users without interactions are zero, and those of
            items that no loss feels.

        Raises
        ------
        TypeError
            If the embeddings are not numbers, or `params` sets `n_factors`.
        ValueError
            If shapes do not fit, `interactions` holds negative values, NaN or no interaction, or
            the embeddings hold NaN or infinity.

        Notes
        -----
        A table of a weak penalty is no minimum in all directions, and undamped Newton steps from it
        lead away: `forget` then ends in a refit, which trains from a start of its own. To move from
        where the table is, damp and stop early:
        ``unlearner=InfluenceUnlearner(damping=1.0, tol=None, n_steps=5)``.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_unlearn import LightGCN
        >>> from sklearn_unlearn.datasets import make_interactions
        >>> X = abs(make_interactions(60, 50, random_state=0))
        >>> rng = np.random.default_rng(0)
        >>> P, Q = 0.1 * rng.standard_normal((60, 8)), 0.1 * rng.standard_normal((50, 8))
        >>> model = LightGCN.from_embeddings(P, Q, X, n_layers=2, regularization=1.0)
        >>> model.converged_
        False
        """
        refuse(params, ("n_factors",), "from_embeddings counts the columns of the embeddings")
        settings, sides = {"n_layers": n_layers, **params}, (user_embeddings, item_embeddings)
        return taken_over(cls, sides, interactions, "interactions", settings)

    @staticmethod
    def _parameters(state):
        return {
            "user_factors_": state["user_embeddings_"],
            "item_factors_": state["item_embeddings_"],
        }

    def _canonical(self, theta, objective):
        items = objective.propagate(theta)[objective.layout.n_users :]
        return canonical(theta, objective.layout, self.tol, items)

    def _attributes(self, theta, objective, data, columns=None, sums=()):
        m = objective.layout.n_users
        own = to_attributes(theta, objective, columns, biases=False)
        table = np.concatenate([own["user_factors_"], own["item_factors_"]])
        Z = objective.propagate(table)
        pulls = objective.inner.gradient(Z)
        return {
            "user_embeddings_": table[:m],
            "item_embeddings_": table[m:],
            "user_factors_": Z[:m],
            "item_factors_": Z[m:],
            "_gathered": objective.gathered(table),
            "_pulled": objective.gathered(pulls, adjoint=True),
        }

    def _make_fold_in(self, data):
        return self._make_objective(data, key=_NEW_ROW).inner

    def _fold_in_chunk(self, X):
        r"""Rows that join the graph as it is: with its degrees, and without moving a layer of it.

        With x the row, normalised by the degrees, E the sum of the layers before the last of the
        items' embeddings and G that of their gradients, a row of the objective is stationary at

        .. math:: (L + 1) z = t + x E, \quad \lambda t = - (\nabla f(z) + x G) / (L + 1)

        so z minimises f and a ridge around ``x E / (L + 1)``, tilted by ``x G``. For a row of the
        training data all of this holds where the model is stationary.
        """
        objective = self._make_objective(Interactions.from_matrix(X), key=_NEW_ROW)
        counts, depth = np.diff(X.indptr), self.n_layers + 1
        edges = X.astype(np.float64)
        edges.data = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts)
        start = edges @ self._gathered / depth
        if not self.converged_:
            return start, np.zeros(len(start))
        ridge = replace(objective.ridge, factors=depth**2 * objective.ridge.factors)
        losses = replace(objective.inner, ridge=ridge).freeze_items()
        n = len(start)
        tilt = ridge.of_factors(objective.layout)[:n, None] * start - edges @ self._pulled
        theta = solve_rows(losses, np.concatenate([start, self.item_factors_]), tilt=tilt)
        return theta[:n].copy(), np.zeros(n)
