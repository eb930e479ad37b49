"""Estimators and rival methods that are compared."""
