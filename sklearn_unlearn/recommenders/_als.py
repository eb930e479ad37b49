"""Matrix factorisation of implicit feedback by alternating least squares."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from sklearn_unlearn.influence import Unlearner
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import WeightedObjective
from sklearn_unlearn.recommenders._factor import FactorModel
from sklearn_unlearn.recommenders._factor_state import columns_of, penalty_of
from sklearn_unlearn.recommenders._paged import PagedFactors
from sklearn_unlearn.recommenders._types import RandomState
from sklearn_unlearn.recommenders.takeover import TakeOverMixin
from sklearn_unlearn.utils._compat import HasMethods, Interval, StrOptions
from sklearn_unlearn.utils._tags import Tags

__all__ = ["ALS"]


class ALS(PagedFactors, TakeOverMixin, FactorModel):
    r"""Alternating least squares for implicit feedback, fitted so that it can forget.

    Every pair of user and item counts, the observed ones more [1]_:

    .. math:: \min_{P, Q} \; \tfrac12 \sum_{u,i} c_{ui} (p_{ui} - \langle P_u, Q_i \rangle)^2
        + \tfrac12 \sum_u \lambda_u \|P_u\|^2 + \tfrac12 \sum_i \lambda_i \|Q_i\|^2

    with :math:`c_{ui} = \alpha x_{ui}, \; p_{ui} = 1` for observed pairs and
    :math:`c_{ui} = 1, \; p_{ui} = 0` for all others: the weights of the `implicit` library, whose
    models `from_implicit` takes over. `from_irspack`, `from_lenskit` and `from_spark` take over
    those of other libraries, `from_factors` factors from anywhere.

    Parameters
    ----------
    n_factors : int or "auto", default=64
        Latent columns. "auto" takes as many as the optimum of the penalty needs, up to
        `max_factors`, and some empty ones that requests may fill.

    max_factors : int, default=256
        Latent columns at most with ``n_factors="auto"``. Tables take 8 bytes a column, user and
        item, and a fit about five of them.

    regularization : float or "auto", default=10.0
        Weight of the penalty, :math:`\lambda`. "auto" takes a share of the largest that leaves a
        factor: see `regularization_share`.

    regularization_share : float, default=0.15
        With ``regularization="auto"``: the penalty as a share of `regularization_max`, the least
        one that leaves no factor, between 0 and 1. It is rounded to one of twenty numbers a decade,
        and kept by `forget` and `learn`. Not used with a number.

    alpha : float, default=20.0
        Confidence of an observed value of 1.

    frequency_scaling : float, default=0.0
        The penalty of a row is multiplied by its number of interactions to this power [2]_:
        :math:`\lambda_u = \lambda \, d_u^\nu`. A power above 0 with a smaller `regularization`
        recommends better on data with a long tail.

    frequency_offset : float or tuple of two floats, default=0.0
        Added to that number, one for both sides or (of users, of items):
        :math:`\lambda_u = \lambda \, (d_u + o)^\nu`. With :math:`\alpha_0` the weight of a pair
        that is not observed, the penalty of [2]_ is
        ``(alpha_0 * n_items, alpha_0 * n_users)``.

    n_sweeps : int, default=15
        Sweeps over all users and all items, before Newton's method.

    max_iter : int, default=100
        Newton steps after the sweeps at most. 0 leaves the model as the sweeps made it, as other
        libraries do; `forget` then answers requests without finishing the training.

    tol : float, default=1e-7
        The fit ends when the norm of the gradient is below `tol` times the norm of its loss part
        at score zero.

    unlearner : None, "influence", "sweep", "refit" or a strategy, default=None
        How to forget. None is "influence": `influence.InfluenceUnlearner` with a tolerance of
        1e-3, or of 100 times `tol` where that is more, but at most 0.1.
        `influence.SweepUnlearner()` with ``scope="touched"`` is the fastest.

    random_state : int, RandomState, Generator or None, default=None
        Seed of the start. The seed drawn is kept, so a refit inside `forget` is reproducible.

    device : {"cpu", "cuda", "auto"}, default="cpu"
        Where to compute. "cuda" needs the extra ``torch``; "auto" takes a GPU if there is one.

    n_jobs : int or None, default=None
        Threads, as in joblib: None is 1 unless in a `joblib.parallel_config` block. Results do not
        depend on it.

    verbose : int, default=0
        Print a line a Newton step if positive.

    Attributes
    ----------
    user_factors_ : ndarray of shape (n_users, n_factors)
        P, in the data type of X. Zero for users without interactions.

    item_factors_ : ndarray of shape (n_items, n_factors)
        Q, in the data type of X.

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
    MatrixFactorization : Ratings and labels: only observed pairs count.

    Notes
    -----
    Large models are kept in pages, factors from 16 MB on: a request copies those that it changes.
    ``user_factors_`` and ``item_factors_`` are then put together when they are asked for, and
    read-only; take ``user_factors_`` once rather than row by row.

    References
    ----------
    .. [1] Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets",
       ICDM 2008.
    .. [2] Rendle, Krichene, Zhang and Koren, "Revisiting the Performance of iALS on Item
       Recommendation Benchmarks", RecSys 2022.

    Examples
    --------
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = abs(make_interactions(60, 40, random_state=0))
    >>> model = ALS(8, regularization=10.0, alpha=10.0, random_state=0).fit(X)
    >>> items, scores = model.recommend(users=[7], n_items=3)
    >>> items.shape
    (1, 3)
    >>> model.forget(users=[7]).forget_report_.guarantee
    'residual-bounded'
    >>> bool((model.user_factors_[7] == 0).all())
    True
    """

    _with_biases = False
    _keeps_dtype = True
    _keeps_derived = False

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "n_factors": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        "max_factors": [Interval(Integral, 1, None, closed="left")],
        "regularization": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "regularization_share": [Interval(Real, 0, 1, closed="right")],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "frequency_scaling": [Interval(Real, 0, 1, closed="both")],
        "frequency_offset": [Interval(Real, 0, None, closed="left"), tuple],
        "n_sweeps": [Interval(Integral, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "unlearner": [
            None,
            StrOptions({"influence", "sweep", "refit"}),
            HasMethods(["unlearn"]),
        ],
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
        regularization: float | str = 10.0,
        regularization_share: float = 0.15,
        alpha: float = 20.0,
        frequency_scaling: float = 0.0,
        frequency_offset: float | tuple[float, float] = 0.0,
        n_sweeps: int = 15,
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
        self.regularization = regularization
        self.regularization_share = regularization_share
        self.alpha = alpha
        self.frequency_scaling = frequency_scaling
        self.frequency_offset = frequency_offset
        self.n_sweeps = n_sweeps
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
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @classmethod
    def _kept(cls, data: Interactions) -> Interactions:
        # Requests read the rows that they touch, and write the pages of their users.
        return data.paged()

    def _make_objective(self, data: Interactions, offset: float | None = None) -> WeightedObjective:
        return WeightedObjective.from_interactions(
            data,
            n_factors=columns_of(self),
            regularization=penalty_of(self),
            alpha=self.alpha,
            frequency_scaling=self.frequency_scaling,
            frequency_offset=_pair_of_offsets(self.frequency_offset),
            backend=self._backend(),
        )


def _pair_of_offsets(value: Any) -> tuple[float, float]:
    """Offsets of users and of items; what a tuple holds, no constraint has checked."""
    pair = value if isinstance(value, tuple) else (value, value)
    if len(pair) == 2 and all(
        isinstance(one, Real) and 0 <= float(one) < float("inf") for one in pair
    ):
        return float(pair[0]), float(pair[1])
    raise ValueError(
        f"frequency_offset={value!r} was given; expected a number of at least 0, or a tuple of "
        "two. Pass (offset of users, offset of items)."
    )
