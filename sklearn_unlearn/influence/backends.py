"""The former place of `sklearn_unlearn.backends`, whose names it has."""

from sklearn_unlearn.backends import *  # noqa: F403 - its public names, whatever they are
from sklearn_unlearn.backends import __all__ as __all__
