"""Factors of any program that minimises the objective of ALS: taken over as they are."""

from __future__ import annotations

from typing import Any, Self

from numpy.typing import ArrayLike

from sklearn_unlearn.recommenders.takeover._state import refuse, taken_over

__all__ = ["FactorsMixin"]


class FactorsMixin:
    """Mixin of `ALS`: from two arrays of factors."""

    @classmethod
    def from_factors(
        cls,
        user_factors: ArrayLike,
        item_factors: ArrayLike,
        interactions: Any,
        *,
        regularization: float,
        alpha: float,
        **params: Any,
    ) -> Self:
        """Take over factors from anywhere, so that they can forget.

        Nothing is trained. The factors should be near a minimum of the objective of `ALS`: what
        separates them from it counts as training that was not finished, as in `from_implicit`.

        Parameters
        ----------
        user_factors : array-like of shape (n_users, n_factors)
            Copied. Single and double precision are kept, and are double if they meet.

        item_factors : array-like of shape (n_items, n_factors)
            Copied.

        interactions : sparse container or array-like, shape (n_users, n_items)
            What they were fitted on. Zeros, stored or not, are not interactions.

        regularization : float
            Weight of the penalty.

        alpha : float
            Confidence of an observed value of 1.

        **params : dict
            Other parameters of the estimator, except `n_factors`.

        Returns
        -------
        model : ALS
            Fitted. Rows of users and items without interactions are zero.

        Raises
        ------
        TypeError
            If the factors are not numbers, or `params` sets `n_factors`.
        ValueError
            If shapes do not fit, `interactions` holds negative values, NaN or no interaction, or
            the factors hold NaN or infinity.

        Examples
        --------
        >>> from sklearn_unlearn import ALS
        >>> from sklearn_unlearn.datasets import make_interactions
        >>> X = abs(make_interactions(60, 50, random_state=0))
        >>> fitted = ALS(8, regularization=10.0, alpha=10.0, random_state=0).fit(X)
        >>> P, Q = fitted.canonical_factors()
        >>> ALS.from_factors(P, Q, X, regularization=10.0, alpha=10.0).converged_
        True
        """
        refuse(params, ("n_factors",), "from_factors counts the columns of the factors")
        settings = {"regularization": regularization, "alpha": alpha, **params}
        factors = user_factors, item_factors
        return taken_over(cls, factors, interactions, "interactions", settings)
