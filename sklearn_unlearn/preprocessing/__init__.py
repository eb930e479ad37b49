"""From events with ids to the matrix of positions that the recommenders learn from."""

from ._encoder import InteractionEncoder

__all__ = ["InteractionEncoder"]
