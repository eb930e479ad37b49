"""Memory that a call needs beyond what is there before it, as the operating system counts it."""

from __future__ import annotations

import gc
import re
import sys
from types import TracebackType

__all__ = ["PeakMemory"]


class PeakMemory:
    """Highest resident memory within a block, above that at its start.

    Other than a trace of Python's allocations it counts what compiled code takes, and costs nothing
    while the clock runs. Where the system cannot forget an earlier peak (outside Linux), only what
    rises above that peak is seen: then take the measurement in a process of its own.

    Attributes
    ----------
    bytes : int
        The peak above the start; known when the block has ended.

    exact : bool
        Whether earlier peaks were forgotten at the start. If not, `bytes` is a lower bound.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.benchmarks.measure._memory import PeakMemory
    >>> with PeakMemory() as memory:
    ...     total = np.ones(8_000_000).sum()
    >>> memory.bytes >= 60_000_000 or not memory.exact
    True
    """

    bytes: int
    exact: bool

    def __enter__(self) -> PeakMemory:
        gc.collect()
        self.exact = _forget_peak()
        self._before = _peak()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bytes = max(0, _peak() - self._before)


def _forget_peak() -> bool:
    """Make the peak the present size; tell whether that could be done."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
        return _status("VmHWM") is not None
    except OSError:
        return False


def _peak() -> int:
    value = _status("VmHWM")
    if value is not None:
        return value
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(name: str) -> int | None:
    """Read a size from Linux's own account of the process, in bytes."""
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            found = re.search(rf"^{name}:\s+(\d+) kB", file.read(), re.M)
    except OSError:
        return None
    return None if found is None else 1024 * int(found[1])
