"""From events with ids to the matrix of positions that the recommenders learn from."""

from ._encoder import InteractionEncoder
from ._entrywise import EntrywiseTransformer, RatingBinarizer

__all__ = ["EntrywiseTransformer", "InteractionEncoder", "RatingBinarizer"]
