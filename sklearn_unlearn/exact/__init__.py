"""Closed forms and what corrects them exactly when data go: pure functions on arrays."""
