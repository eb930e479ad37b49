"""The least penalty at which a factor model has no factors, from its objective.

At zero factors the residual matrix R, in units of the penalty, has a norm of at most 1 if and only
if zero is a global minimum: see `certificates._optimality`. R is proportional to the inverse of the
penalty, so its norm at a penalty of 1 is the least one that leaves no factor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.objectives import FactorObjective
from sklearn_unlearn.optimizers._start import without_factors
from sklearn_unlearn.solvers._extremal import Attempt, lowest_eigenpairs, top_singular

__all__ = ["largest_penalty"]

Floats = NDArray[Any]

# Tolerances and numbers of Lanczos vectors: one value, to more digits than anyone sets.
_LANCZOS: tuple[Attempt, ...] = ((1e-8, None), (1e-5, 60))
# Gradient of the biases alone, as a share of that at zero.
_BIASES = 1e-8
# Share of the unit of gradients below which a norm is rounding: the biases explain everything.
_ROUNDING = 1e-9


def largest_penalty(objective: FactorObjective) -> float:
    """Return by how much a penalty has to grow until no factor is left.

    Parameters
    ----------
    objective : FactorObjective
        J, with any penalty.

    Returns
    -------
    multiple : float
        Of the penalty of J: the norm of the residual operator at zero factors, or minus its lowest
        eigenvalue where it is symmetric. 0 where there is nothing to explain, or where it is not
        finite.
    """
    base, theta = without_factors(objective, _BIASES)
    certificate = base.certificate()
    residual = certificate.residual_operator(theta)
    if certificate.is_symmetric:
        value = -float(lowest_eigenpairs(residual, 1, *_LANCZOS)[0][0])
    else:
        value = float(top_singular(residual, 1, *_LANCZOS)[1][0])
    lowest = _ROUNDING * objective.gradient_scale / float(np.min(objective.row_penalties))
    return value if value > lowest else 0.0
