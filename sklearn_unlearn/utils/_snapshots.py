"""Snapshots and locks: how a model changes at once while others read it."""

from __future__ import annotations

import threading
import weakref
from typing import Any

__all__ = ["lock_of", "snapshot"]

# Kept beside the objects and not on them, so that no lock is ever pickled or copied.
_LOCKS: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
_LOCKS_GUARD = threading.Lock()


def lock_of(model: Any) -> Any:
    """Return the one reentrant lock that belongs to an object.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn_unlearn.utils._snapshots import lock_of
    >>> model = Ridge()
    >>> lock_of(model) is lock_of(model)
    True
    """
    with _LOCKS_GUARD:
        return _LOCKS.setdefault(model, threading.RLock())


def snapshot(model: Any) -> Any:
    """Return a shallow copy whose attributes belong to one moment (a dict copy is atomic).

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn_unlearn.utils._snapshots import snapshot
    >>> model = Ridge(alpha=2.0)
    >>> view = snapshot(model)
    >>> model.alpha = 3.0
    >>> view.alpha
    2.0
    """
    view = object.__new__(type(model))
    view.__dict__ = model.__dict__.copy()
    return view
