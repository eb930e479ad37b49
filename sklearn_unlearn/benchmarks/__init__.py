"""Benchmarks: what forgetting costs, and how close to a refit it ends.

Run them with ``python -m sklearn_unlearn.benchmarks --help``. Data are made, or read from files
that the user names.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn_unlearn.benchmarks.data._datasets import Problem, load_problem
    from sklearn_unlearn.benchmarks.data._expand import expand, fractal
    from sklearn_unlearn.benchmarks.data._forget_sets import Request, make_request

__all__ = ["Problem", "Request", "expand", "fractal", "load_problem", "make_request"]

_HOME = {
    "Problem": ".data._datasets",
    "Request": ".data._forget_sets",
    "expand": ".data._expand",
    "fractal": ".data._expand",
    "load_problem": ".data._datasets",
    "make_request": ".data._forget_sets",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for.

    The command line runs this file before its own, and has to see Ctrl-C during the long imports.
    """
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
