"""What a figure depends on besides the code: machine, threads and library versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from threadpoolctl import threadpool_info

from sklearn_unlearn._version import __version__

__all__ = ["describe_machine", "library_versions"]

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "numba", "implicit", "torch", "threadpoolctl")


def library_versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of what it computes with."""
    versions = {"python": platform.python_version(), "sklearn-unlearn": __version__}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def describe_machine(n_jobs: int) -> dict[str, Any]:
    """Describe the machine, without its name or that of its user.

    Parameters
    ----------
    n_jobs : int
        Threads that the estimators were given.

    Returns
    -------
    machine : dict
        Processor, cores, threads, memory and load.
    """
    pools = [
        {key: pool.get(key) for key in ("internal_api", "version", "num_threads")}
        for pool in threadpool_info()
    ]
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "usable_cores": _usable_cores(),
        "memory_gib": _memory_gib(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "n_jobs": n_jobs,
        "thread_pools": pools,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or "unknown"


def _usable_cores() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _memory_gib() -> float | None:
    try:
        n_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    return round(n_bytes / 2**30, 1)
