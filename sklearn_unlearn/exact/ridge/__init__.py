"""Inverse of a regularised Gram matrix and its corrections: EASE."""
