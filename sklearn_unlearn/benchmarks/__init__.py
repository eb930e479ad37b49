"""Benchmarks: what forgetting costs, and how close to a refit it ends.

Run them with ``python -m sklearn_unlearn.benchmarks --help``. Data are made, or read from files
that the user names.
"""

from sklearn_unlearn.benchmarks._expand import expand, fractal
from sklearn_unlearn.benchmarks._problems import Problem, load_problem
from sklearn_unlearn.benchmarks._requests import Request, make_request

__all__ = ["Problem", "Request", "expand", "fractal", "load_problem", "make_request"]
