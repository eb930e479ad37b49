"""Series of filters against interpolation and polynomial arithmetic of NumPy."""

import numpy as np
import pytest
from numpy.polynomial import Polynomial, chebyshev
from numpy.testing import assert_allclose

from sklearn_unlearn.exact.polynomial._spectral_filters import (
    MONOMIALS,
    chebyshev_series,
    plateau,
)

GRID = np.linspace(-1, 1, 41)


@pytest.mark.parametrize("order", [1, 2, 7, 8, 31])
@pytest.mark.parametrize("flatness", [0.3, 1.0, 10.0])
def test_a_plateau_is_interpolated_at_the_nodes(order, flatness):
    series = chebyshev_series("plateau", order, flatness)
    nodes = chebyshev.chebpts1(order + 1)
    assert_allclose(chebyshev.chebval(nodes, series), plateau(nodes, flatness), atol=1e-14)
    assert not series[2::2].any()
    assert len(series) == order + order % 2


@pytest.mark.parametrize("flatness", [1, 3, 5])
def test_odd_powers_are_met_exactly(flatness):
    series = chebyshev_series("plateau", 8, flatness)
    assert_allclose(chebyshev.chebval(GRID, series), (1 - GRID**flatness) / 2, atol=1e-14)


@pytest.mark.parametrize("powers", [*MONOMIALS, (3.0,), (0.0, 0.0, 0.0, -2.0, 1.5)])
def test_polynomials_are_expanded_exactly(powers):
    graph = (1 - GRID) / 2
    coefficients = MONOMIALS.get(powers, powers)
    expected = Polynomial([0.0, *coefficients])(graph)
    found = chebyshev.chebval(GRID, chebyshev_series(powers, 8, 1.0))
    assert_allclose(found, expected, atol=1e-14)
