"""BLAS threads of a verb: at most as many as its `n_jobs`."""

from __future__ import annotations

import os
import threading
from functools import cache
from types import TracebackType
from typing import Any

from joblib import effective_n_jobs
from threadpoolctl import ThreadpoolController

__all__ = ["blas_threads"]


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
    >>> from sklearn_unlearn.utils._threads import blas_threads
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
