"""Polynomials of the normalised interaction graph as filters of a row: PolynomialFilter."""
