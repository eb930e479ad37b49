"""Transformers that replace each value by a function of that value alone.

Only such steps may stand between ids and a recommender that forgets: had a value an effect on
others, taking its cell out of the matrix would leave a trace of it in them.
"""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_unlearn.utils._compat import Interval, _fit_context, align_sparse
from sklearn_unlearn.utils._doc_links import DocLinkMixin
from sklearn_unlearn.utils._matrices import as_numbers

__all__ = ["EntrywiseTransformer", "RatingBinarizer"]


class EntrywiseTransformer(DocLinkMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base of transformers that replace each value by a function of that value alone.

    A subclass defines ``_transform_values(values)``. It is given the observed values as one vector,
    never their rows and columns, and nothing is learned in `fit`; so forgetting a cell after the
    transformation equals forgetting it before. A pipeline accepts every subclass as a step.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.preprocessing import EntrywiseTransformer
    >>> class Halved(EntrywiseTransformer):
    ...     def _transform_values(self, values):
    ...         return values / 2
    >>> Halved().fit_transform(np.array([[4.0, 0.0], [0.0, 2.0]]))
    array([[2., 0.],
           [0., 1.]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {}

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters and the shape; nothing is learned from the values.

        Parameters
        ----------
        X : sparse container or array-like, shape (n_users, n_items)
            Interactions.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer.
        """
        self._check(X, reset=True)
        return self

    def transform(self, X: Any) -> Any:
        """Replace each observed value.

        Parameters
        ----------
        X : sparse container or array-like, shape (n_users, n_items)
            Interactions; 0, stored or not, is "not observed" and stays so. Not written to.

        Returns
        -------
        X : csr_matrix, csr_array or ndarray of shape (n_users, n_items)
            Sparse where X is, without stored zeros, of the kind set by scikit-learn's
            ``sparse_interface``.

        Raises
        ------
        ValueError
            If X holds NaN or infinity, or has another number of items than in `fit`.
        """
        check_is_fitted(self)
        X = self._check(X, reset=False)
        if not sparse.issparse(X):
            result = np.zeros_like(X)
            result[X != 0] = self._transform_values(X[X != 0])
            return result
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
        X.data = np.asarray(self._transform_values(X.data), dtype=X.dtype)
        X.eliminate_zeros()
        return align_sparse(X)

    def _transform_values(self, values: NDArray[Any]) -> NDArray[Any]:
        raise NotImplementedError(f"{type(self).__name__} must define _transform_values(values)")

    def _check(self, X: Any, reset: bool) -> Any:
        return validate_data(
            self,
            as_numbers(X, "X"),
            reset=reset,
            accept_sparse="csr",
            dtype=(np.float64, np.float32),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class RatingBinarizer(EntrywiseTransformer):
    """Turn ratings into labels: +1 from a threshold on, -1 below it.

    What `MatrixFactorization` with the logistic loss learns from. For positive-only feedback, where
    a low rating should count as "not observed", use scikit-learn's ``Binarizer``.

    Parameters
    ----------
    threshold : float, default=4.0
        The lowest rating that means "liked", in the units of the ratings.

    Attributes
    ----------
    n_features_in_ : int
        Number of items.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.preprocessing import RatingBinarizer
    >>> RatingBinarizer(threshold=4).fit_transform(np.array([[5.0, 2.5, 0.0], [4.0, 0.0, 0.5]]))
    array([[ 1., -1.,  0.],
           [ 1.,  0., -1.]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "threshold": [Interval(Real, None, None, closed="neither")]
    }

    def __init__(self, threshold: float = 4.0) -> None:
        self.threshold = threshold

    def _transform_values(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.where(values >= self.threshold, 1.0, -1.0)
