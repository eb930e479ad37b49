"""Embeddings propagated through the graph of interactions."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklearn_unlearn.influence import Unlearner
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import (
    PairwiseObjective,
    PropagatedObjective,
    SampledObjective,
    SparseObjective,
    WeightedObjective,
)
from sklearn_unlearn.objectives._propagated import with_ridge
from sklearn_unlearn.optimizers import solve_rows
from sklearn_unlearn.recommenders._factor import FactorModel
from sklearn_unlearn.recommenders._factor_state import (
    canonical,
    columns_of,
    penalty_of,
    to_attributes,
)
from sklearn_unlearn.recommenders._types import Columns, Floats, RandomState, State
from sklearn_unlearn.recommenders.takeover import refuse, taken_over
from sklearn_unlearn.utils._compat import HasMethods, Interval, StrOptions
from sklearn_unlearn.utils._tags import Tags

__all__ = ["LightGCN"]

# Stands for the position of every new row in what is drawn for it.
_NEW_ROW = -1


class LightGCN(FactorModel):
    r"""Light graph convolution that can forget.

    .. math:: \min_\theta f(Z_U Z_I') + \frac{\lambda}{2} \|\theta\|^2,
        \quad Z = \frac{1}{L + 1} \sum_{l=0}^{L} A^l \theta,
        \quad A = D^{-1/2} \begin{pmatrix} 0 & X \\ X' & 0 \end{pmatrix} D^{-1/2}

    Embeddings of users and items, averaged over L layers of the graph of interactions [1]_; D are
    the degrees, and every interaction is one edge, whatever its value. `forget` takes the edges out
    of the graph too, and with them what they passed on to users and items that the request does not
    name. Embeddings are parameters of a linear map, so gradients and Hessian products are exact
    through the graph, and the penalty makes this a factorisation of a convex semidefinite
    programme: a model that is fitted to tolerance and not limited by `n_factors` has one set of
    scores, from whatever start, and `certify` proves it.

    Parameters
    ----------
    n_factors : int or "auto", default=64
        Columns of the embeddings: a cap. `regularization` sets the rank that is used. "auto" takes
        as many as the optimum of the penalty needs, up to `max_factors`, and some empty ones that
        requests may fill.

    max_factors : int, default=256
        Latent columns at most with ``n_factors="auto"``. Tables take 8 bytes a column, user and
        item, and a fit about five of them.

    n_layers : int, default=3
        L. Without layers, the factors are the embeddings.

    loss : {"bpr", "logistic", "weighted"}, default="bpr"
        f. "bpr": every interaction's item should score above items drawn for it. "logistic":
        interactions are labelled 1, items drawn for them 0. "weighted": squared losses over all
        pairs, as in `ALS`; nothing is drawn.

    n_negatives : int, default=4
        Items drawn for each interaction, a hash of (seed, user, item, slot). More of them stand
        better for all items, and count no more. Not used by "weighted".

    alpha : float, default=5.0
        Weight of an interaction of value 1; a pair without one has 1. Used by "weighted" alone.

    regularization : float or "auto", default=0.3
        :math:`\lambda`. Too small a value uses up `n_factors`, and refits from other starts
        disagree. The losses have scales of their own: on ml-latest-small, 32 factors suffice from
        0.3 for "bpr", 1 for "logistic" and 10 for "weighted". "auto" takes a share of the largest
        that leaves a factor: see `regularization_share`.

    regularization_share : float, default=0.15
        With ``regularization="auto"``: the penalty as a share of `regularization_max`, the least
        one that leaves no factor, between 0 and 1. It is rounded to one of twenty numbers a decade,
        and kept by `forget` and `learn`. Not used with a number.

    frequency_scaling : float, default=0.0
        Exponent :math:`\nu`: the penalty of a row is multiplied by its number of interactions to
        this power. The problem stays convex.

    max_iter : int, default=100
        Newton steps at most.

    tol : float, default=1e-7
        Gradient norm at which the fit has converged, as a share of the norm of the losses' slopes
        at score zero.

    unlearner : None, "influence", "refit" or a strategy, default=None
        How to forget. None is "influence": `influence.InfluenceUnlearner` with a tolerance of
        1e-3, or of 100 times `tol` where that is more, but at most 0.1.

    random_state : int, RandomState, Generator or None, default=None
        Seed of the start and of what is drawn. The seed drawn is kept, so that a request meets the
        same negatives.

    device : {"cpu", "cuda", "auto"}, default="cpu"
        Where to compute. "cuda" needs the extra ``torch``; "auto" takes a GPU if there is one.

    n_jobs : int or None, default=None
        Threads, as in joblib: None is 1 unless in a `joblib.parallel_config` block. Results do not
        depend on it.

    verbose : int, default=0
        Print a line a step if positive.

    Attributes
    ----------
    user_factors_ : ndarray of shape (n_users, n_factors)
        Rows of Z: what scores are products of. Zero for users without interactions.

    item_factors_ : ndarray of shape (n_items, n_factors)
        Likewise.

    user_embeddings_ : ndarray of shape (n_users, n_factors)
        Rows of :math:`\theta`, layer 0.

    item_embeddings_ : ndarray of shape (n_items, n_factors)
        Likewise.

    regularization_ : float
        The penalty in force: the number that was given, or the one that the fit chose.

    n_factors_ : int
        Latent columns of the tables, those included that the penalty has emptied.

    n_iter_ : int
        Newton steps of the fit.

    converged_ : bool
        Whether fit and later requests met their tolerances.

    gradient_norm_ : float
        Norm of the gradient of the objective of the current data, or an upper bound of it.

    forget_report_, learn_report_ : ForgetReport
        What the last request to forget, and the last to learn or rectify, did; only there after
        such.

    n_features_in_ : int
        Number of items.

    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items; only there if X had string names.

    See Also
    --------
    BPR : The same loss without a graph.
    ALS : Weighted losses without a graph.
    GraphFilter : A graph model with a closed form.

    Notes
    -----
    A row given to `transform` or `decision_function` joins the graph as it is: it gathers the
    layers of its items, with their degrees of training, and its own embedding is the one at which
    its part of the gradient vanishes. For a row of the training data of a converged model that is
    the row it was trained to; with drawn items only nearly, because new rows share one draw of
    negatives for each item. Where the model has not converged, its own embedding counts as zero.

    Values weigh the losses, never the edges. A user of weight c counts like c users with the same
    row, in the graph too.

    With `from_embeddings`, models trained by other programs forget as well.

    References
    ----------
    .. [1] He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for
       Recommendation", SIGIR 2020.

    Examples
    --------
    >>> from sklearn_unlearn import LightGCN
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = abs(make_interactions(60, 40, random_state=0))
    >>> model = LightGCN(16, n_layers=2, random_state=0).fit(X)
    >>> items, scores = model.recommend(users=[7], n_items=3)
    >>> items.shape
    (1, 3)
    >>> model.forget(users=[7]).forget_report_.guarantee
    'residual-bounded'
    >>> bool((model.user_factors_[7] == 0).all())
    True
    """

    # Scores are products of factors: those that propagation makes of the embeddings.
    _with_biases = False
    _keeps_dtype = True
    _keeps_derived = False
    _tables = ("factors", "embeddings")

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "n_factors": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        "max_factors": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 0, None, closed="left")],
        "loss": [StrOptions({"bpr", "logistic", "weighted"})],
        "n_negatives": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "regularization": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "regularization_share": [Interval(Real, 0, 1, closed="right")],
        "frequency_scaling": [Interval(Real, 0, 1, closed="both")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        # Rows that feel each other through the graph are no problems of their own: no sweeps.
        "unlearner": [None, StrOptions({"influence", "refit"}), HasMethods(["unlearn"])],
        "random_state": [object],  # draw_seed takes more forms, and its errors say what to do
        "device": [StrOptions({"cpu", "cuda", "auto"})],
        "n_jobs": [None, Integral],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_factors: int | str = 64,
        *,
        max_factors: int = 256,
        n_layers: int = 3,
        loss: str = "bpr",
        n_negatives: int = 4,
        alpha: float = 5.0,
        regularization: float | str = 0.3,
        regularization_share: float = 0.15,
        frequency_scaling: float = 0.0,
        max_iter: int = 100,
        tol: float = 1e-7,
        unlearner: str | Unlearner | None = None,
        random_state: RandomState = None,
        device: str = "cpu",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.max_factors = max_factors
        self.n_layers = n_layers
        self.loss = loss
        self.n_negatives = n_negatives
        self.alpha = alpha
        self.regularization = regularization
        self.regularization_share = regularization_share
        self.frequency_scaling = frequency_scaling
        self.max_iter = max_iter
        self.tol = tol
        self.unlearner = unlearner
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _make_objective(
        self, data: Interactions, offset: float | None = None, key: int | None = None
    ) -> PropagatedObjective:
        shared: dict[str, Any] = {
            "n_factors": columns_of(self),
            "regularization": penalty_of(self),
            "frequency_scaling": self.frequency_scaling,
            "backend": self._backend(),
        }
        drawn: dict[str, Any] = {"n_negatives": self.n_negatives, "seed": self._seed, "key": key}
        losses: SparseObjective
        if self.loss == "weighted":
            losses = WeightedObjective.from_interactions(data, alpha=self.alpha, **shared)
        elif self.loss == "logistic":
            losses = SampledObjective.from_positives(data, **drawn, **shared)
        else:
            losses = PairwiseObjective.from_interactions(
                data, bias_regularization=1.0, fit_bias=False, **drawn, **shared
            )
        return PropagatedObjective.of(losses, data, self.n_layers)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    @classmethod
    def from_embeddings(
        cls,
        user_embeddings: ArrayLike,
        item_embeddings: ArrayLike,
        interactions: Any,
        *,
        n_layers: int = 3,
        **params: Any,
    ) -> Self:
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
    def _parameters(state: State) -> State:
        return {
            "user_factors_": state["user_embeddings_"],
            "item_factors_": state["item_embeddings_"],
        }

    def _canonical(self, theta: Floats, objective: Any) -> Floats:
        items = objective.propagate(theta)[objective.layout.n_users :]
        return canonical(theta, objective.layout, self.tol, items)

    def _attributes(
        self,
        theta: Floats,
        objective: Any,
        data: Interactions,
        columns: Columns | None = None,
        sums: tuple[Floats, ...] = (),
    ) -> dict[str, Any]:
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

    def _make_fold_in(self, data: Interactions) -> SparseObjective:
        return self._make_objective(data, key=_NEW_ROW).inner

    def _fold_in_chunk(self, X: Any) -> tuple[Floats, Floats]:
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
        losses = with_ridge(objective.inner, ridge).freeze_items()
        n = len(start)
        tilt = ridge.of_factors(objective.layout)[:n, None] * start - edges @ self._pulled
        theta = solve_rows(losses, np.concatenate([start, self.item_factors_]), tilt=tilt)
        return theta[:n].copy(), np.zeros(n)
