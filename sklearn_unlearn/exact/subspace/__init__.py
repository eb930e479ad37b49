"""Dominant subspaces of the interaction graph and their corrections: GraphFilter."""
