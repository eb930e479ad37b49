"""Snapshots and locks: how a model changes at once while others read it."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from typing import Any

__all__ = ["lock_of", "snapshot"]

# Kept beside the objects and not on them, so that no lock is ever pickled or copied.
_LOCKS: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
_LOCKS_GUARD = threading.Lock()
_HELD = threading.local()  # numba's lock, while this thread forks


def _hold_compiler() -> None:
    """Wait until no thread compiles, and let none begin: numba's lock must be free in the child."""
    compiler = sys.modules.get("numba.core.compiler_lock")
    _HELD.lock = None if compiler is None else compiler.global_compiler_lock
    if _HELD.lock is not None:
        _HELD.lock.acquire()


def _release_compiler() -> None:
    if _HELD.lock is not None:
        _HELD.lock.release()


def _renew_locks() -> None:
    """Make all locks anew: in a forked child, whoever held the old ones is not there to let go."""
    global _LOCKS, _LOCKS_GUARD
    _LOCKS, _LOCKS_GUARD = weakref.WeakKeyDictionary(), threading.Lock()
    _release_compiler()


# Windows cannot fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_hold_compiler, after_in_parent=_release_compiler, after_in_child=_renew_locks
    )


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
