"""Data sets, their expansion, and requests."""
