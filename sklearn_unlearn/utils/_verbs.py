"""What a verb of an estimator runs within: lock, snapshot, BLAS threads, and finite results."""

from __future__ import annotations

import functools
import os
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import ThreadpoolController

from sklearn_unlearn.exceptions import NotFiniteError

__all__ = [
    "blas_threads",
    "cached_property",
    "finite_scores",
    "is_finite",
    "lock_of",
    "refuse_not_finite",
    "refusing_overflow",
    "restored_on_failure",
    "snapshot",
]

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


T = TypeVar("T")


class cached_property(functools.cached_property[T]):
    """A property that is computed once, without a lock.

    That of `functools` holds one lock for all instances of a class until Python 3.12: a process
    that is forked meanwhile waits for it without end, and threads wait for each other. Here two
    threads may compute the same value, and the first is kept.

    Examples
    --------
    >>> from sklearn_unlearn.utils._verbs import cached_property
    >>> class Table:
    ...     @cached_property
    ...     def total(self):
    ...         print("counted")
    ...         return 3
    >>> table = Table()
    >>> table.total + table.total
    counted
    6
    """

    if not TYPE_CHECKING:  # the types are those of functools

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            return instance.__dict__.setdefault(self.attrname, self.func(instance))


def lock_of(model: Any) -> Any:
    """Return the one reentrant lock that belongs to an object.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn_unlearn.utils._verbs import lock_of
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
    >>> from sklearn_unlearn.utils._verbs import snapshot
    >>> model = Ridge(alpha=2.0)
    >>> view = snapshot(model)
    >>> model.alpha = 3.0
    >>> view.alpha
    2.0
    """
    view = object.__new__(type(model))
    view.__dict__ = model.__dict__.copy()
    return view


@contextmanager
def restored_on_failure(*models: Any) -> Iterator[None]:
    """Give objects back the attributes that they had, whatever exception leaves the block.

    The old values stay alive until the block ends. An update of the attributes belongs inside it:
    no destructor can then run in the middle of the update.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn_unlearn.utils._verbs import restored_on_failure
    >>> model = Ridge(alpha=2.0)
    >>> with restored_on_failure(model):
    ...     model.alpha = 3.0
    ...     raise ValueError("no interaction")
    Traceback (most recent call last):
    ...
    ValueError: no interaction
    >>> model.alpha
    2.0
    """
    before = [model.__dict__.copy() for model in models]
    try:
        yield
    except BaseException:
        for model, attributes in zip(models, before, strict=True):
            model.__dict__ = attributes
        raise


class _Limits:
    """The limits in force, and the numbers of threads that they stand in for.

    A number of threads belongs to the process and not to a thread of it. Where several verbs run at
    once the least of their limits holds, and what there was before comes back with the last of
    them.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.active: list[int] = []
        self.before: list[tuple[Any, int]] = []

    def enter(self, limit: int) -> None:
        with self.lock:
            if not self.active:
                self.before = [(library, library.get_num_threads()) for library in _libraries()]
            self.active.append(limit)
            self._apply()

    def leave(self, limit: int) -> None:
        with self.lock:
            self.active.remove(limit)
            self._apply()

    def _apply(self) -> None:
        least = min(self.active, default=None)
        for library, before in self.before:
            # Never more than the user or the environment allows.
            wanted = before if least is None else min(before, least)
            if library.get_num_threads() != wanted:
                library.set_num_threads(wanted)


@cache
def _libraries() -> list[Any]:
    """BLAS libraries of NumPy and SciPy: to look for them takes milliseconds, so once a process."""
    return ThreadpoolController().select(user_api="blas").lib_controllers


_limits = _Limits()


def _forget_limits() -> None:
    """Start anew in a forked child: the verbs that ran in other threads do not run there."""
    global _limits
    before, _limits = _limits.before if _limits.active else [], _Limits()
    for library, n_threads in before:
        library.set_num_threads(n_threads)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_limits)


class blas_threads:
    """Context in which BLAS has at most `n_jobs` threads.

    Small products are slower with several threads, by far so where other processes want the same
    cores; joblib's workers bring threads of their own.

    Parameters
    ----------
    n_jobs : int or None
        As joblib counts: None is 1 unless in a ``joblib.parallel_config`` block, -1 is every
        processor. There are never more threads than there were.

    Examples
    --------
    >>> from threadpoolctl import threadpool_info
    >>> from sklearn_unlearn.utils._verbs import blas_threads
    >>> with blas_threads(1):
    ...     numbers = {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}
    >>> numbers <= {1}
    True
    """

    def __init__(self, n_jobs: int | None) -> None:
        self.n_jobs = n_jobs

    def __enter__(self) -> None:
        self.limits, self.limit = _limits, effective_n_jobs(self.n_jobs)
        self.limits.enter(self.limit)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.limits.leave(self.limit)


def is_finite(value: Any) -> bool:
    """Tell whether all numbers in a value are finite: of arrays, and of what holds such.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.utils._verbs import is_finite
    >>> is_finite((np.ones(2), 1.0)), is_finite({"a": np.array([np.inf])})
    (True, False)
    """
    if sparse.issparse(value):
        return is_finite(value.data)
    if isinstance(value, np.ndarray):
        if value.dtype.kind != "f":
            return True
        with np.errstate(all="ignore"):
            # One pass without a mask; a sum that overflows is looked at again.
            return bool(np.isfinite(value.sum())) or bool(np.isfinite(value).all())
    if isinstance(value, float | np.floating):
        return bool(np.isfinite(value))
    if isinstance(value, tuple | list):
        return all(map(is_finite, value))
    if isinstance(value, Mapping):
        return all(map(is_finite, value.values()))
    if is_dataclass(value) and not isinstance(value, type):
        return all(is_finite(getattr(value, one.name)) for one in fields(value))
    return True


@contextmanager
def refusing_overflow(model: Any) -> Iterator[None]:
    """Raise NotFiniteError where arithmetic fails on too large numbers, or too small ones.

    Parameters
    ----------
    model : estimator
        What computes, for the message.

    Examples
    --------
    >>> from sklearn_unlearn.utils._verbs import refusing_overflow
    >>> with refusing_overflow([]):
    ...     1e300**2
    Traceback (most recent call last):
    ...
    sklearn_unlearn.exceptions.NotFiniteError: the arithmetic of list failed (OverflowError); ...
    """
    try:
        yield
    except NotFiniteError:
        raise
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        raise NotFiniteError(
            f"the arithmetic of {type(model).__name__} failed ({type(error).__name__}); expected "
            "numbers whose squares and sums are finite. Rescale X, or raise regularization; the "
            "model is as it was."
        ) from error


def finite_scores(scores: NDArray[Any], *, for_lists: bool = False) -> NDArray[Any]:
    """Return scores; refuse NaN and infinity. `for_lists` minus infinity means "not to be listed".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.utils._verbs import finite_scores
    >>> finite_scores(np.array([1.0, -np.inf]), for_lists=True)
    array([  1., -inf])
    """
    # The maximum of anything with NaN is NaN.
    fine = np.max(scores, initial=-np.inf) < np.inf if for_lists else is_finite(scores)
    if not fine:
        raise NotFiniteError(
            "the model gives scores that are not a number, or infinite; expected finite scores. "
            "Rescale X, of the fit or of the rows, or refit it with more regularization."
        )
    return scores


def refuse_not_finite(model: Any, state: Mapping[str, Any]) -> None:
    """Raise NotFiniteError if a state that was just computed holds NaN or infinity.

    Parameters
    ----------
    model : estimator
        Whose state it is, for the message.

    state : dict
        Names and values.

    Raises
    ------
    NotFiniteError
        Naming the attribute.
    """
    for name, value in state.items():
        if not is_finite(value):
            raise NotFiniteError(
                f"{name} of {type(model).__name__} came out as NaN or infinity; expected finite "
                "numbers. Rescale X, or raise regularization; the model is as it was."
            )
