"""Packages of the extras ``audit`` and ``mlflow``, imported when they are first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["import_extra"]


def import_extra(module: str, purpose: str, extra: str = "audit") -> Any:
    """Import a module of an optional package.

    Parameters
    ----------
    module : str
        Its name.

    purpose : str
        What needs it, for the message.

    extra : str, default="audit"
        The extra of the package that brings it.

    Raises
    ------
    ImportError
        If it is not installed, with the command that installs it.

    Examples
    --------
    >>> from sklearn_unlearn.audit._extras import import_extra
    >>> import_extra("json", "this example").dumps([1])
    '[1]'
    >>> import_extra("nowhere_to_be_found", "this example")
    Traceback (most recent call last):
    ...
    ImportError: this example needs the package nowhere_to_be_found, ... "sklearn-unlearn[audit]"
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise ImportError(
            f"{purpose} needs the package {package}, which is not installed; expected the extra "
            f'{extra}. Run pip install "sklearn-unlearn[{extra}]"'
        ) from error
