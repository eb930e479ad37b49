"""Filters of graph frequencies, as Chebyshev series on the interval from -1 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

__all__ = ["MONOMIALS", "chebyshev_series", "plateau"]

Floats = NDArray[np.float64]

#: Filters of Turbo-CF: coefficients of the powers 1, 2, ... of the item-item graph.
MONOMIALS = {
    "linear": (1.0,),
    "quadratic": (2.0, -1.0),
    "cubic": (1 - 0.29, 0.1, -0.01),
}


def plateau(x: Floats, flatness: float) -> Floats:
    r"""Low-pass filter with a plateau: :math:`h(x) = (1 - \mathrm{sign}(x) |x|^\phi) / 2`.

    Parameters
    ----------
    x : ndarray
        Frequencies from -1, the smoothest, to 1.

    flatness : float
        :math:`\phi`: 1 is a straight line, and the middle is the flatter the larger it is.

    Returns
    -------
    h : ndarray
        From 1 down to 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.exact.polynomial._spectral_filters import plateau
    >>> plateau(np.array([-1.0, -0.5, 0.0, 1.0]), 2.0)
    array([1.   , 0.625, 0.5  , 0.   ])
    """
    h: Floats = (1 - np.sign(x) * np.abs(x) ** flatness) / 2
    return h


def chebyshev_series(kind: str | Sequence[float], order: int, flatness: float) -> Floats:
    r"""Coefficients c of a filter as a series :math:`\sum_k c_k T_k(x)`.

    A plateau is interpolated at the :math:`K + 1` Chebyshev nodes
    :math:`x_j = \cos(\pi (j + 1/2) / (K + 1))`; a polynomial in the item-item graph, which is
    :math:`(1 - x) / 2`, is expanded exactly.

    Parameters
    ----------
    kind : {"plateau", "linear", "quadratic", "cubic"} or sequence of float
        Which filter; numbers are coefficients of the powers 1, 2, ... of the item-item graph.

    order : int
        K, the degree of the interpolation of a plateau; polynomials have their own.

    flatness : float
        Of a plateau.

    Returns
    -------
    coefficients : ndarray of shape (degree + 1,)
        Every second one of a plateau is zero, so that an even order has the degree below it.

    Examples
    --------
    >>> from sklearn_unlearn.exact.polynomial._spectral_filters import chebyshev_series
    >>> chebyshev_series("linear", 8, 1.0)
    array([ 0.5, -0.5])
    >>> chebyshev_series("plateau", 1, 3.0).round(3)
    array([ 0.5 , -0.25])
    """
    if isinstance(kind, str) and kind == "plateau":
        nodes = np.cos(np.pi * (np.arange(order + 1) + 0.5) / (order + 1))
        # The Chebyshev polynomials are orthogonal over the nodes.
        table = chebyshev.chebvander(nodes, order) * (2 / (order + 1))
        coefficients: Floats = plateau(nodes, flatness) @ table
        coefficients[0] = 0.5
        coefficients[2::2] = 0  # h - 1/2 is odd, up to rounding
        return np.trim_zeros(coefficients, "b")
    powers = MONOMIALS[kind] if isinstance(kind, str) else tuple(kind)
    graph: Any = np.array([0.5, -0.5])
    series: Any = np.zeros(1)
    for coefficient in (*powers[::-1], 0.0):  # Horner's rule; the power 0 has none
        series = chebyshev.chebmul(series, graph) if series.any() else np.zeros(1)
        series = chebyshev.chebadd(series, [coefficient])
    return np.asarray(series, np.float64)
