"""The penalty of a factor model: a number, or a share of the largest one that leaves a factor."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from sklearn_unlearn.exceptions import SlowFitWarning
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.optimizers import largest_penalty
from sklearn_unlearn.recommenders._factor_state import Occupied
from sklearn_unlearn.utils._random import draw_seed

__all__ = ["PenaltyChoice"]

# Penalties that are chosen from data, a decade: a step is 12 %, which no list of items feels.
_PER_DECADE = 20
# Share of the largest penalty below which fits took long on the sets that we measured. Averages
# over the layers of a graph smooth too, so that it is smaller there.
_SLOW = 0.05
# A fit below this share is warned of, if it is large: interactions times columns.
_FAR_TOO_SMALL, _LARGE = 0.01, 2_000_000
# Where there is nothing to explain, every penalty leaves no factor.
_ANY = 1.0


class PenaltyChoice:
    """Choice of the penalty, for a class with `_make_objective`."""

    regularization: Any  # a positive number, or "auto"
    regularization_share: float
    regularization_: float
    n_factors: Any  # a number of columns, or "auto"
    max_factors: int
    max_iter: int
    verbose: int

    def regularization_max(self, X: Any, sample_weight: ArrayLike | None = None) -> float:
        r"""Return the least penalty that leaves no factor.

        .. math:: \lambda_{\max} = \| \Lambda_u^{-1/2} R \Lambda_i^{-1/2} \|_2

        with R the matrix of the slopes of the losses in the scores at zero factors, biases at their
        optimum, and :math:`\Lambda` the multiples of the penalty that rows have
        (`frequency_scaling`, weights). At it and above, a fit has the rank 0; below, it has a
        factor. For `ALS` it is `alpha` times the largest singular value of X.

        Parameters
        ----------
        X : sparse container or array-like, shape (n_users, n_items)
            Interactions, as for `fit`. The model need not be fitted, and is not changed.

        sample_weight : array-like of shape (n_users,), default=None
            As for `fit`.

        Returns
        -------
        regularization : float
            In the units of the parameter `regularization`; 0 where biases explain all of X.

        Raises
        ------
        ValueError
            If X is nothing that `fit` takes.

        Notes
        -----
        By Lanczos, at the cost of some ten products with X: a fifth of a second for the 810,128
        interactions of Gowalla, and less than that of one step of a fit. Where negatives are drawn
        it is that of the draws of `random_state`.

        References
        ----------
        .. [1] Mazumder, Hastie and Tibshirani, "Spectral Regularization Algorithms for Learning
           Large Incomplete Matrices", Journal of Machine Learning Research 11, 2010.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_unlearn import ALS
        >>> X = np.array([[3.0, 0.0], [0.0, 1.0]])
        >>> round(ALS(alpha=10.0).regularization_max(X), 6)
        30.0
        >>> ALS(2, alpha=10.0, regularization=29.0).fit(X).certify().rank
        1
        >>> ALS(2, alpha=10.0, regularization=31.0).fit(X).certify().rank
        0
        """
        model: Any = clone(self)
        model._validate_params()
        data = model._check_training_data(X, sample_weight)
        model._seed = draw_seed(model.random_state)
        with model._threads():
            return _largest(model, data)

    def _chosen_penalty(self, data: Interactions, *, fitting: bool = False) -> float:
        """Penalty of a fit on some data; with ``verbose``, say how strong it is."""
        chosen = isinstance(self.regularization, str)
        columns = self.max_factors if isinstance(self.n_factors, str) else self.n_factors
        long = fitting and self.max_iter and data.n_interactions * columns >= _LARGE
        if not (chosen or self.verbose or long):
            return float(self.regularization)
        largest = _largest(self, data)
        if chosen:
            penalty = _rounded(self.regularization_share * largest) or _ANY
        else:
            penalty = float(self.regularization)
        share = penalty / largest if largest > 0 else 1.0
        if share < _FAR_TOO_SMALL and long:
            warnings.warn(
                f"regularization is {penalty:g}, {share:.1g} of the largest that leaves a factor "
                f"({largest:.3g}); expected {_FAR_TOO_SMALL} of it or more. So small a penalty "
                "takes many steps, and ranks worse than a larger one: set regularization='auto', "
                "or max_iter=0 to stop after the sweeps of ALS.",
                SlowFitWarning,
                stacklevel=5,  # past _fit, fit and scikit-learn's wrapper
            )
        if self.verbose and largest > 0:
            slow = (
                "; so small a share asks for many columns and many steps" if share < _SLOW else ""
            )
            print(f"[{type(self).__name__}] penalty {penalty:g}: {share:.2g} of the largest{slow}")
        return penalty


def _largest(model: Any, data: Interactions) -> float:
    unit = object.__new__(type(model))
    unit.__dict__.update(vars(model), regularization=1.0)
    occupied = Occupied.of(data, unit._make_objective(data).is_drawn)
    return largest_penalty(unit._make_objective(data if occupied is None else occupied.take(data)))


def _rounded(penalty: float) -> float:
    """Nearest of twenty numbers a decade, to three digits; 0 stays 0.

    A penalty that followed every digit of the data would be another one after every request, and
    would say in its digits what was forgotten.
    """
    if not 0 < penalty < np.inf:
        return 0.0
    return float(f"{10 ** (round(_PER_DECADE * np.log10(penalty)) / _PER_DECADE):.3g}")
