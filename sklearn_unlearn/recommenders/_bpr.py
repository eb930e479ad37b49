"""Factorisation of implicit feedback by comparing items: Bayesian personalised ranking."""

from __future__ import annotations

from numbers import Integral, Real

from sklearn_unlearn.influence import Unlearner
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import PairwiseObjective
from sklearn_unlearn.recommenders._factor import FactorModel
from sklearn_unlearn.recommenders._factor_state import columns_of, penalty_of
from sklearn_unlearn.recommenders._types import RandomState
from sklearn_unlearn.utils._compat import HasMethods, Interval, StrOptions
from sklearn_unlearn.utils._tags import Tags

__all__ = ["BPR"]

# What stands for every folded-in row in the draws of its negatives: no training row has it.
_NEW_ROW = -1


class BPR(FactorModel):
    r"""Bayesian personalised ranking with item biases that can forget.

    Every item that a user has met should score above items drawn for it [1]_:

    .. math:: \min_\theta \sum_{(u, i)} \frac{x_{ui}}{S} \sum_{t = 1}^{S}
        [j_t \text{ not met by } u] \, \log(1 + e^{-(s_{ui} - s_{uj_t})})
        + \frac{\lambda}{2}(\|P\|^2 + \|Q\|^2) + \frac{\lambda_b}{2} \|b\|^2,
        \quad s_{ui} = \langle P_u, Q_i \rangle + b_i

    The negatives :math:`j_t` are no fresh sample a step but a hash of seed, user, item and t. So
    the objective is a fixed function: it can be minimised to a tolerance, it is convex in the
    scores and `certify` can prove a model optimal, and what remains after a request differs from
    what was there by the forgotten interactions alone, not by the luck of new draws.

    Parameters
    ----------
    n_factors : int or "auto", default=64
        Latent columns: a cap. `regularization` sets the rank that is used. "auto" takes as many as
        the optimum of the penalty needs, up to `max_factors`, and some empty ones that requests may
        fill.

    max_factors : int, default=256
        Latent columns at most with ``n_factors="auto"``. Tables take 8 bytes a column, user and
        item, and a fit about five of them.

    n_negatives : int, default=4
        Items drawn for each interaction, S. Their losses are averaged, so it changes the noise of
        the objective and not its scale. More recommend better, and cost as much more time.

    regularization : float or "auto", default=1.5
        :math:`\lambda`. Too small a value uses up `n_factors`, and refits from other starts
        disagree: see the notes. "auto" takes a share of the largest that leaves a factor: see
        `regularization_share`.

    regularization_share : float, default=0.15
        With ``regularization="auto"``: the penalty as a share of `regularization_max`, the least
        one that leaves no factor, between 0 and 1. It is rounded to one of twenty numbers a decade,
        and kept by `forget` and `learn`. Not used with a number.

    bias_regularization : float, default=4.0
        :math:`\lambda_b`.

    frequency_scaling : float, default=0.0
        Exponent :math:`\nu`: the penalty of a row is multiplied by its number of interactions to
        this power. 0 penalises all rows alike.

    fit_bias : bool, default=True
        Whether to fit item biases. User biases cancel in every comparison: they are 0.

    max_iter : int, default=100
        Newton steps at most.

    tol : float, default=1e-6
        Gradient norm at which the fit has converged, as a share of the norm of the losses' slopes
        at score zero.

    unlearner : None, "influence", "refit" or a strategy, default=None
        How to forget. None is "influence": `influence.InfluenceUnlearner` with a tolerance of
        1e-3, or of 100 times `tol` where that is more, but at most 0.1.

    random_state : int, RandomState, Generator or None, default=None
        Seed of the start and of the negatives. The seed drawn is kept: a refit inside `forget`
        meets the same negatives. Models of two seeds differ, since they compare other items.

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
        P. Zero for users without interactions.

    item_factors_ : ndarray of shape (n_items, n_factors)
        Q. An item that nobody has met still has factors if it was drawn for somebody.

    user_biases_ : ndarray of shape (n_users,)
        Zero up to rounding.

    item_biases_ : ndarray of shape (n_items,)
        b.

    global_mean_ : float
        0.

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
    ALS : Implicit feedback by squared losses over all pairs.
    MatrixFactorization : Ratings and labels.

    Notes
    -----
    Values are weights: an interaction of value 2 counts like two of value 1 with the same
    negatives. A user of weight c counts like c times its losses and c times its penalty; users that
    are repeated as rows draw negatives of their own.

    A smaller penalty recommends better, up to a point, and is harder to certify. On MovieLens
    (ml-latest-small, ratings of 4 and more, 80 % of them for training) `regularization` 2, 1.5 and
    1 gave a recall@20 of .232, .238 and .243, each certified, with ranks of 30, 38 and 47; 0.5 with
    32 factors gave .247, and .259 with 16 negatives, and certified neither.

    A draw that the user has met is no negative and does not count. When a request removes that
    interaction, it counts from then on, as it would in a refit.

    The `prediction_bound` of `certify` is about what the objective looks at: differences of scores
    between an item that a user has met and a negative of it, over all of these.

    Rows given to `transform` and `decision_function` have no position in the training data. They
    share one draw of negatives for each item, so that a row's result does not depend on where it
    stands; a training row comes out close to, not equal to, its row of ``user_factors_``.

    References
    ----------
    .. [1] Rendle, Freudenthaler, Gantner and Schmidt-Thieme, "BPR: Bayesian Personalized Ranking
       from Implicit Feedback", UAI 2009.

    Examples
    --------
    >>> from sklearn_unlearn import BPR
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = abs(make_interactions(60, 40, random_state=0))
    >>> model = BPR(8, regularization=1.0, random_state=0).fit(X)
    >>> items, scores = model.recommend(users=[7], n_items=3)
    >>> items.shape
    (1, 3)
    >>> model.forget(users=[7]).forget_report_.guarantee
    'residual-bounded'
    >>> bool((model.user_factors_[7] == 0).all())
    True
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "n_factors": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        "max_factors": [Interval(Integral, 1, None, closed="left")],
        "n_negatives": [Interval(Integral, 1, None, closed="left")],
        "regularization": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "regularization_share": [Interval(Real, 0, 1, closed="right")],
        "bias_regularization": [Interval(Real, 0, None, closed="neither")],
        "frequency_scaling": [Interval(Real, 0, 1, closed="both")],
        "fit_bias": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        # Rows that are compared through shared items are no problems of their own: no sweeps.
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
        n_negatives: int = 4,
        regularization: float | str = 1.5,
        regularization_share: float = 0.15,
        bias_regularization: float = 4.0,
        frequency_scaling: float = 0.0,
        fit_bias: bool = True,
        max_iter: int = 100,
        tol: float = 1e-6,
        unlearner: str | Unlearner | None = None,
        random_state: RandomState = None,
        device: str = "cpu",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.max_factors = max_factors
        self.n_negatives = n_negatives
        self.regularization = regularization
        self.regularization_share = regularization_share
        self.bias_regularization = bias_regularization
        self.frequency_scaling = frequency_scaling
        self.fit_bias = fit_bias
        self.max_iter = max_iter
        self.tol = tol
        self.unlearner = unlearner
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _make_objective(
        self, data: Interactions, offset: float | None = None, key: int | None = None
    ) -> PairwiseObjective:
        return PairwiseObjective.from_interactions(
            data,
            n_factors=columns_of(self),
            n_negatives=self.n_negatives,
            regularization=penalty_of(self),
            bias_regularization=self.bias_regularization,
            frequency_scaling=self.frequency_scaling,
            fit_bias=self.fit_bias,
            seed=self._seed,
            key=key,
            backend=self._backend(),
        )

    def _make_fold_in(self, data: Interactions) -> PairwiseObjective:
        return self._make_objective(data, key=_NEW_ROW)
