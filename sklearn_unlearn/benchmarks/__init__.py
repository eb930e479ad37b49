"""Benchmarks: what forgetting costs, and how close to a refit it ends.

Run them with ``python -m sklearn_unlearn.benchmarks --help``. Data are made, or read from files
that the user names.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn_unlearn.benchmarks._expand import expand, fractal
    from sklearn_unlearn.benchmarks._problems import Problem, load_problem
    from sklearn_unlearn.benchmarks._requests import Request, make_request

__all__ = ["Problem", "Request", "expand", "fractal", "load_problem", "make_request"]

_HOME = {
    "Problem": "._problems",
    "Request": "._requests",
    "expand": "._expand",
    "fractal": "._expand",
    "load_problem": "._problems",
    "make_request": "._requests",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for.

    The command line runs this file before its own, and has to see Ctrl-C during the long imports.
    """
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
