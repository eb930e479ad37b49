"""Clocks, memory, distances between models, and reports."""
