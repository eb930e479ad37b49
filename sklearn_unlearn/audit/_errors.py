"""Errors of deletion in production."""

__all__ = ["DoNotLearnError", "DoNotLearnWarning", "StaleModelError", "StoreError"]


class StoreError(RuntimeError):
    """A store cannot be read or written: damaged, locked for too long, or not there.

    Examples
    --------
    >>> from sklearn_unlearn.audit import StoreError
    >>> issubclass(StoreError, RuntimeError)
    True
    """


class StaleModelError(RuntimeError):
    """A model holds what a later request has deleted, so it must not be served.

    Bring it up to date by `replay`.

    Examples
    --------
    >>> from sklearn_unlearn.audit import StaleModelError
    >>> issubclass(StaleModelError, RuntimeError)
    True
    """


class DoNotLearnError(ValueError):
    """Data hold ids that were forgotten, and are on a do-not-learn list.

    Examples
    --------
    >>> from sklearn_unlearn.audit import DoNotLearnError
    >>> issubclass(DoNotLearnError, ValueError)
    True
    """


class DoNotLearnWarning(UserWarning):
    """Data hold ids that were forgotten, and are on a do-not-learn list.

    Examples
    --------
    >>> from sklearn_unlearn.audit import DoNotLearnWarning
    >>> issubclass(DoNotLearnWarning, UserWarning)
    True
    """
