"""Minimise an objective at fit time."""

from sklearn_unlearn.optimizers._alternating import minimize_alternating
from sklearn_unlearn.optimizers._growth import minimize_growing
from sklearn_unlearn.optimizers._newton_cg import minimize_newton_cg
from sklearn_unlearn.optimizers._penalty import largest_penalty
from sklearn_unlearn.optimizers._rows import solve_rows
from sklearn_unlearn.optimizers._start import spectral_start

__all__ = [
    "largest_penalty",
    "minimize_alternating",
    "minimize_growing",
    "minimize_newton_cg",
    "solve_rows",
    "spectral_start",
]
