"""The former place of `sklearn_unlearn.backends`, whose names it has."""

# All of its public names, whatever they are: that is what `__all__` lists.
from sklearn_unlearn.backends import *  # noqa: F403
from sklearn_unlearn.backends import __all__ as __all__
