"""Matrix factorisation of observed interactions."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Literal

from numpy.typing import ArrayLike

from sklearn_unlearn.influence import Unlearner
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import PointwiseObjective
from sklearn_unlearn.recommenders._factor import FactorModel
from sklearn_unlearn.recommenders._factor_state import columns_of, penalty_of
from sklearn_unlearn.recommenders._types import RandomState
from sklearn_unlearn.utils._compat import HasMethods, Interval, StrOptions
from sklearn_unlearn.utils._data_warnings import warn_of_data

__all__ = ["MatrixFactorization"]

# Fewer values than this may be of one sort by chance.
_FEWEST_VALUES = 20


class MatrixFactorization(FactorModel):
    r"""Matrix factorisation with biases that can forget.

    .. math:: \min_\theta \sum_{(u, i)} l(s_{ui}, y_{ui}) + \frac{\lambda}{2}(\|P\|^2 + \|Q\|^2)
        + \frac{1}{2}(\lambda_u \|b_u\|^2 + \lambda_i \|b_i\|^2),
        \quad s_{ui} = \langle P_u, Q_i \rangle + b_u + b_i + \mu

    over the observed interactions (Koren, Bell and Volinsky, "Matrix factorization techniques for
    recommender systems", Computer 42, 2009). The penalty makes this a factorisation of a convex
    problem, so a model that is fitted to tolerance and not limited by `n_factors` has one set of
    scores, from whatever seed, and `certify` proves it.

    Parameters
    ----------
    n_factors : int or "auto", default=32
        Latent columns: a cap. `regularization` sets the rank that is used. "auto" takes as many as
        the optimum of the penalty needs, up to `max_factors`, and some empty ones that requests may
        fill.

    max_factors : int, default=256
        Latent columns at most with ``n_factors="auto"``. Tables take 8 bytes a column, user and
        item, and a fit about five of them.

    loss : {"logistic", "squared"}, default="logistic"
        "logistic": the sign of a value is its label. "squared": the value is the rating. `fit`
        warns (`DataWarning`) of values among which there is nothing to tell apart: all of one sign,
        or all the same.

    regularization : float or "auto", default=10.0
        :math:`\lambda`. Too small a value uses up `n_factors`, and refits from other seeds
        disagree. "auto" takes a share of the largest that leaves a factor: see
        `regularization_share`.

    regularization_share : float, default=0.15
        With ``regularization="auto"``: the penalty as a share of `regularization_max`, the least
        one that leaves no factor, between 0 and 1. It is rounded to one of twenty numbers a decade,
        and kept by `forget` and `learn`. Not used with a number.

    bias_regularization : float or tuple of two floats, default=(1.0, 4.0)
        :math:`\lambda_u` and :math:`\lambda_i`; one number stands for both.

    frequency_scaling : float, default=0.0
        Exponent :math:`\nu`: the penalty of a row is multiplied by its number of interactions to
        this power. 0 penalises all rows alike; 1 is the weighted penalty of the Netflix prize
        models (Zhou et al., "Large-scale parallel collaborative filtering for the Netflix prize",
        2008). The problem stays convex in the scores.

    fit_bias : bool, default=True
        Whether to fit user and item biases.

    global_mean : bool or "auto", default="auto"
        Whether scores contain :math:`\mu`, the best constant score of the training data. "auto" is
        true for the squared loss. It changes with every request, so every row then changes a little
        and forgetting works on the whole table; without it, only on what a request affects.

    max_iter : int, default=100
        Newton steps at most.

    tol : float, default=1e-6
        Gradient norm at which the fit has converged, as a share of the norm of the losses' slopes
        at score zero.

    unlearner : None, "influence", "sweep", "refit" or a strategy, default=None
        How to forget. None is "influence": `influence.InfluenceUnlearner` with a tolerance of
        1e-3, or of 100 times `tol` where that is more, but at most 0.1.

    random_state : int, RandomState, Generator or None, default=None
        Seed of the start. The seed drawn is kept, so a refit inside `forget` is reproducible.

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
        Q.

    user_biases_ : ndarray of shape (n_users,)
        User biases.

    item_biases_ : ndarray of shape (n_items,)
        Item biases.

    global_mean_ : float
        :math:`\mu`, 0 if there is none.

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

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(60, 40, random_state=0)
    >>> model = MatrixFactorization(8, regularization=3.0, random_state=0).fit(X)
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
        "loss": [StrOptions({"logistic", "squared"})],
        "regularization": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "regularization_share": [Interval(Real, 0, 1, closed="right")],
        "bias_regularization": [Interval(Real, 0, None, closed="neither"), tuple],
        "frequency_scaling": [Interval(Real, 0, 1, closed="both")],
        "fit_bias": ["boolean"],
        "global_mean": ["boolean", StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "unlearner": [None, StrOptions({"influence", "sweep", "refit"}), HasMethods(["unlearn"])],
        "random_state": [object],  # draw_seed takes more forms, and its errors say what to do
        "device": [StrOptions({"cpu", "cuda", "auto"})],
        "n_jobs": [None, Integral],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_factors: int | str = 32,
        *,
        max_factors: int = 256,
        loss: str = "logistic",
        regularization: float | str = 10.0,
        regularization_share: float = 0.15,
        bias_regularization: float | tuple[float, float] = (1.0, 4.0),
        frequency_scaling: float = 0.0,
        fit_bias: bool = True,
        global_mean: bool | Literal["auto"] = "auto",
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
        self.loss = loss
        self.regularization = regularization
        self.regularization_share = regularization_share
        self.bias_regularization = bias_regularization
        self.frequency_scaling = frequency_scaling
        self.fit_bias = fit_bias
        self.global_mean = global_mean
        self.max_iter = max_iter
        self.tol = tol
        self.unlearner = unlearner
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_training_data(self, X: Any, sample_weight: ArrayLike | None = None) -> Interactions:
        data = super()._check_training_data(X, sample_weight)
        _warn_of_one_sort(data, self.loss)
        return data

    def _make_objective(
        self, data: Interactions, offset: float | None = None
    ) -> PointwiseObjective:
        global_mean = self.loss == "squared" if self.global_mean == "auto" else self.global_mean
        return PointwiseObjective.from_interactions(
            data,
            loss=self.loss,
            n_factors=columns_of(self),
            regularization=penalty_of(self),
            bias_regularization=_pair_of_weights(self.bias_regularization),
            frequency_scaling=self.frequency_scaling,
            fit_bias=self.fit_bias,
            global_mean=global_mean,
            offset=offset,
            backend=self._backend(),
        )


def _warn_of_one_sort(data: Interactions, loss: str) -> None:
    """Warn of data in which the model has nothing to tell apart: likes alone, ratings unlabelled.

    Kept from false alarms by what feedback of people looks like: more than a handful of values, not
    of every user about every item, and ratings and counts are whole or half numbers.
    """
    values = data.values
    if len(values) < _FEWEST_VALUES or len(values) == data.n_users * data.n_items:
        return
    low, high = values.min(), values.max()
    if low == high:
        wanted = "likes (+) and dislikes (-)" if loss == "logistic" else "ratings that differ"
        warn_of_data(
            f"all {len(values)} values of X are {low:g}; expected {wanted}, as otherwise there is "
            "nothing to tell apart. Learn from likes alone with ALS, BPR, LightGCN, EASE, ItemKNN "
            "or GraphFilter."
        )
    elif loss == "logistic" and (low > 0 or high < 0) and (2 * values % 1 == 0).all():
        warn_of_data(
            f"the values of X are from {low:g} to {high:g}, all of one sign; expected likes (+) "
            "and dislikes (-), as the logistic loss reads nothing but signs. Make labels of "
            "ratings with RatingBinarizer, take loss='squared', or learn from counts with ALS."
        )


def _pair_of_weights(value: Any) -> tuple[float, float]:
    """Weights of user and of item biases; what a tuple holds, no constraint has checked."""
    pair = value if isinstance(value, tuple) else (value, value)
    # mypy: the abstract numbers have no reflected order.
    if len(pair) == 2 and all(
        isinstance(one, Real) and 0 < one < float("inf")  # type: ignore[operator]
        for one in pair
    ):
        return float(pair[0]), float(pair[1])
    raise ValueError(
        f"bias_regularization={value!r} was given; expected a positive number, or a tuple of two. "
        "Pass (weight of user biases, weight of item biases)."
    )
