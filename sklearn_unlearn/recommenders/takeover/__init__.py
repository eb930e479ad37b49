"""Models that were fitted elsewhere: taken over with their factors, and handed back."""

from sklearn_unlearn.recommenders.takeover._factors import FactorsMixin
from sklearn_unlearn.recommenders.takeover._implicit import ImplicitMixin
from sklearn_unlearn.recommenders.takeover._irspack import IrspackMixin
from sklearn_unlearn.recommenders.takeover._lenskit import LensKitMixin
from sklearn_unlearn.recommenders.takeover._spark import SparkMixin
from sklearn_unlearn.recommenders.takeover._state import refuse, taken_over

__all__ = ["TakeOverMixin", "refuse", "taken_over"]


class TakeOverMixin(ImplicitMixin, FactorsMixin, IrspackMixin, LensKitMixin, SparkMixin):
    """Mixin of `ALS`: into it and out of it with a model that is fitted already.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn import ALS
    >>> rng = np.random.default_rng(0)
    >>> X = (rng.random((30, 20)) < 0.3).astype(float)
    >>> users, items = rng.random((30, 4)), rng.random((20, 4))
    >>> model = ALS.from_factors(users, items, X, regularization=5.0, alpha=10.0)
    >>> model.converged_
    False
    """
