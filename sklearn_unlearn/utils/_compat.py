"""The only module that touches scikit-learn's private interface.

Everything here is private in scikit-learn 1.6 to 1.9 and used by third-party estimators all the
same. If a later release moves or removes a name, this file is the one place to follow it; should
parameter validation go away altogether, ``_fit_context`` may become a decorator that returns its
method unchanged and the constraints may become plain no-op classes: only the error messages would
suffer.
"""

from typing import Any

from scipy import sparse
from sklearn import get_config
from sklearn.base import _fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Hidden,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_params,
)
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "HasMethods",
    "Hidden",
    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "_check_sample_weight",
    "_fit_context",
    "align_sparse",
    "validate_params",
]


def align_sparse(X: Any) -> Any:
    """Return a CSR container of the kind that scikit-learn is configured to give out.

    The setting ``sparse_interface`` came with scikit-learn 1.9; older ones give out matrices.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from sklearn_unlearn.utils._compat import align_sparse
    >>> type(align_sparse(csr_array((1, 1)))).__name__
    'csr_matrix'
    """
    wants_arrays = get_config().get("sparse_interface", "spmatrix") == "sparray"
    return sparse.csr_array(X) if wants_arrays else sparse.csr_matrix(X)
