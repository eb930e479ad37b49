"""Models of the irspack library: taken over with their factors, and handed back."""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sklearn_unlearn.influence import Unlearner
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.recommenders._types import Floats, State
from sklearn_unlearn.recommenders.takeover._state import (
    OBJECTIVE,
    as_confidences,
    is_instance,
    refuse,
    scaled,
    taken_over,
)

__all__ = ["IrspackMixin"]

_WHAT = "expected a fitted irspack.IALSRecommender"


class IrspackMixin:
    """Mixin of `ALS`: from and to `irspack.IALSRecommender`."""

    # Of the estimator.
    user_factors_: Floats
    item_factors_: Floats
    _interactions: Interactions

    @classmethod
    def from_irspack(
        cls,
        model: Any,
        *,
        unlearner: str | Unlearner | None = None,
        n_jobs: int | None = None,
        **params: Any,
    ) -> Self:
        r"""Take over a fitted iALS model of the `irspack` library, so that it can forget.

        Nothing is trained. The interactions are those that the recommender holds. With
        :math:`\alpha_0` the weight of all pairs, its objective is

        .. math:: \tfrac12 \sum_{x_{ui} > 0} c_{ui} (s_{ui} - 1)^2
            + \tfrac{\alpha_0}{2} \sum_{u,i} s_{ui}^2
            + \tfrac{r}{2} \sum_u (d_u + \alpha_0 n)^\nu \|P_u\|^2
            + \tfrac{r}{2} \sum_i (d_i + \alpha_0 m)^\nu \|Q_i\|^2

        for m users and n items, and with ``loss_type="ORIGINAL"`` observed pairs have
        :math:`(\alpha_0 + c_{ui}) (s_{ui} - 1)^2` alone. Divided by :math:`\alpha_0`, the latter is
        the objective of `ALS` with a confidence of :math:`1 + c_{ui} / \alpha_0`. The former has
        the targets :math:`t = c_{ui} / (c_{ui} + \alpha_0)`. If all :math:`c_{ui}` are equal, so
        are these, and with factors and scores divided by :math:`\sqrt t` and t it is the same.

        Parameters
        ----------
        model : irspack.IALSRecommender
            Fitted.

        unlearner : None, "influence", "sweep", "refit" or a strategy, default=None
            How to forget.

        n_jobs : int or None, default=None
            Threads.

        **params : dict
            Other parameters of the estimator. `n_sweeps` is the number of epochs by default,
            `max_iter` is 0, so that a refit trains as long, and `random_state` is the model's seed.
            Factors, penalty and confidence are the model's always.

        Returns
        -------
        model : ALS
            Fitted, in single precision. It shares no memory with its origin. Scores rank as those
            of irspack. Its interactions hold confidences in multiples of `alpha`: with
            ``loss_type="ORIGINAL"`` a value c becomes ``(1 + c / alpha0) / alpha``, for an `alpha`
            of ``1 + 1 / alpha0``. `frequency_offset` is ``(alpha0 * n_items, alpha0 * n_users)``.
            Where `nu_star` has set the scale of the penalty, it stays that of the training.

        Raises
        ------
        TypeError
            If `model` is of another class, or `params` sets what the model decides.
        sklearn.exceptions.NotFittedError
            If `model` is not fitted.
        ValueError
            If `ALS` cannot express its objective: `alpha0` is 0, it learned from features of users
            or items, or observed values differ (after `confidence_scaling`) under
            ``loss_type="IALSPP"``.

        See Also
        --------
        to_irspack : The way back.

        Examples
        --------
        >>> from irspack import IALSRecommender
        >>> from scipy.sparse import csr_matrix
        >>> from sklearn_unlearn import ALS
        >>> from sklearn_unlearn.datasets import make_interactions
        >>> X = csr_matrix(make_interactions(60, 50, random_state=0) != 0, dtype=float)
        >>> trained = IALSRecommender(X, n_components=8, alpha0=0.2, reg=0.05, n_threads=1)
        >>> trained.start_learning()
        >>> for _ in range(trained.train_epochs):
        ...     trained.run_epoch()
        >>> model = ALS.from_irspack(trained)
        >>> round(model.alpha, 3), model.frequency_scaling, model.frequency_offset
        (6.0, 1.0, (10.0, 12.0))
        >>> bool(model.forget(users=[42]).user_factors_[42].any())
        False
        """
        if not is_instance(model, "irspack", "IALSRecommender"):
            raise TypeError(
                f"model is of the class {type(model).__name__}; {_WHAT}: {OBJECTIVE} Pass one, or "
                "from_factors what another program fitted by least squares."
            )
        fixed = "n_factors", "regularization", "alpha", "frequency_scaling", "frequency_offset"
        refuse(params, fixed, "from_irspack takes it from the model")
        if model.trainer is None:
            raise NotFittedError(f"model has no factors; {_WHAT}. Call its learn first.")
        terms = _terms_of(model)
        settings = {
            **terms.settings,
            # Where training stopped early, it has kept the best state.
            "n_sweeps": int(model.learnt_config.get("train_epochs", model.train_epochs)),
            "max_iter": 0,
            "random_state": int(model.random_seed),
            "unlearner": unlearner,
            "n_jobs": n_jobs,
        }
        factors = scaled(_factors_of(model), (1 / terms.scale, 1 / terms.scale))
        return taken_over(
            cls,
            factors,
            terms.matrix,
            "X_train_all",
            {**settings, **params},
            values=as_confidences(terms.weight),
        )

    def to_irspack(self, like: Any) -> Any:
        """Hand the model over to `irspack`, in place of the recommender that it was taken from.

        Parameters
        ----------
        like : irspack.IALSRecommender
            What `from_irspack` was given. It stays as it is.

        Returns
        -------
        model : irspack.IALSRecommender
            A recommender of the same settings with the factors of this model and the interactions
            that it holds now, with their values of `like`. It shares no memory with `like` that
            holds forgotten interactions.

        Raises
        ------
        TypeError
            If `like` is of another class.
        ValueError
            If `like` has another shape, or does not hold the interactions of this model.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.
        """
        check_is_fitted(self)
        if not is_instance(like, "irspack", "IALSRecommender"):
            raise TypeError(
                f"like is of the class {type(like).__name__}; {_WHAT}. Pass the recommender that "
                "this model was taken over from."
            )
        terms = _terms_of(like)
        exported = copy.copy(like)
        exported.X_train_all = _retained(self._interactions, like.X_train_all)
        exported.trainer = exported._create_trainer()
        # The best state of an early stop is a copy of factors that know the forgotten data.
        exported.best_state = None
        factors = scaled((self.user_factors_, self.item_factors_), (terms.scale, terms.scale))
        core = exported.trainer.core_trainer
        core.user, core.item = (np.array(side, np.float32, order="C") for side in factors)
        return exported


class _Terms(NamedTuple):
    """The objective of a recommender in the parameters of ALS.

    `matrix` holds its interactions, of which the confidence is ``1 + weight * value``; `scale` is
    what its factors are in multiples of those of ALS.
    """

    settings: State
    matrix: sparse.csr_matrix
    weight: float
    scale: float


def _terms_of(model: Any) -> _Terms:
    """State the objective of a recommender in the parameters of ALS; refuse what they lack."""
    # Releases before 0.5 have no features.
    if any(getattr(model, f"{side}_features", None) is not None for side in ("user", "item")):
        raise ValueError(
            "the recommender learned from features of users or items; expected one of interactions "
            "alone, as ALS has no features. Train one without user_features and item_features."
        )
    alpha0, nu = float(model.alpha0), float(model.nu)
    if not alpha0 > 0:
        raise ValueError(
            f"alpha0={alpha0:g} was given to the recommender; expected a positive weight, as pairs "
            "that are not observed have one in ALS. Train it with alpha0 > 0."
        )
    if not 0 <= nu <= 1:
        raise ValueError(
            f"nu={nu:g} was given to the recommender; expected 0 to 1, the powers that "
            "frequency_scaling has. Train it with such a power."
        )
    values = _values_of(model)
    weight, scale = 1 / alpha0, 1.0
    if model.loss_type.name == "IALSPP":
        constant = _constant(values)
        weight, scale = constant / alpha0, math.sqrt(constant / (constant + alpha0))
        values.data[:] = 1
    m, n = values.shape
    settings = {
        "regularization": float(model.scaled_reg) / (alpha0 * scale**2),
        "alpha": 1 + weight,
        "frequency_scaling": nu,
        "frequency_offset": (alpha0 * n, alpha0 * m),
    }
    return _Terms(settings, values, weight, scale)


def _values_of(model: Any) -> sparse.csr_matrix:
    """Interactions as its objective knows them: after the scaling of confidences."""
    stored = model.X_train_all
    values = sparse.csr_matrix(stored, dtype=np.float64, copy=True)
    values.has_canonical_format = False  # a flag that may be out of date
    values.sum_duplicates()
    if values.nnz != stored.nnz or not values.data.all():
        raise ValueError(
            "X_train_all holds zeros or cells that are stored twice, which the recommender counts "
            "as interactions; expected each interaction once. Call sum_duplicates and "
            "eliminate_zeros on the matrix, and train on it."
        )
    return model._scale_X(values, model.confidence_scaling, model.epsilon)


def _constant(values: sparse.csr_matrix) -> float:
    """Return the one value that all observed pairs have."""
    if not values.nnz:
        return 1.0  # refused later, as any matrix without interactions
    low, high = (float(end) for end in (values.data.min(), values.data.max()))
    if low != high:
        raise ValueError(
            f'loss_type="IALSPP" with observed values from {low:g} to {high:g} gives every value a '
            "target of its own; expected equal values, as the target of ALS is 1 for all observed "
            'pairs. Train with loss_type="ORIGINAL", or on a matrix of ones.'
        )
    return low


def _factors_of(model: Any) -> tuple[Floats, Floats]:
    core = model.trainer.core_trainer
    return np.asarray(core.user), np.asarray(core.item)


def _retained(data: Interactions, matrix: Any) -> sparse.csr_matrix:
    """Those cells of a matrix that the interactions still hold."""
    held = data.to_csr()
    if held.shape != matrix.shape:
        raise ValueError(
            f"like was trained on a matrix of shape {matrix.shape}; expected {held.shape}, as this "
            "model. Pass the recommender that this model was taken over from."
        )
    pattern = sparse.csr_matrix((np.ones(held.nnz), held.indices, held.indptr), shape=held.shape)
    kept = sparse.csr_matrix(matrix.multiply(pattern))
    if kept.nnz != held.nnz:
        raise ValueError(
            f"this model holds {held.nnz} interactions and like {kept.nnz} of them; expected all. "
            "Pass the recommender that this model was taken over from."
        )
    kept.sort_indices()
    return kept
