"""The only module that touches scikit-learn's private interface.

Everything here is private in scikit-learn 1.6 to 1.9 and used by third-party estimators all the
same. If a later release moves or removes a name, this file is the one place to follow it; should
parameter validation go away altogether, ``_fit_context`` may become a decorator that returns its
method unchanged and the constraints may become plain no-op classes: only the error messages would
suffer.
"""

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
    "validate_params",
]
