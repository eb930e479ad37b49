"""Helpers below every other layer: tags, validation, random streams, compatibility.

The public module here is ``estimator_checks``; import it by its own name. It sits on the top layer,
so nothing in this package imports it.
"""
