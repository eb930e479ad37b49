"""What every other room may use: tags, constraints of parameters, random streams, compatibility.

``estimator_checks`` holds the public checks; import it by its own name.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn_unlearn.utils._compat import HasMethods, Interval, StrOptions
    from sklearn_unlearn.utils._tags import get_forget_tags

__all__ = ["HasMethods", "Interval", "StrOptions", "get_forget_tags"]

_HOME = {
    "HasMethods": "._compat",
    "Interval": "._compat",
    "StrOptions": "._compat",
    "get_forget_tags": "._tags",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: most modules here need no scikit-learn."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
