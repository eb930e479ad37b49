"""Neighbourhoods of sessions and of purchase histories: SessionKNN and TIFUKNN."""
