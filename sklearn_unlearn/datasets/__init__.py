"""Data to learn from: made, read from a file, or downloaded."""

from ._events import Events
from ._load import load_interactions
from ._movielens import fetch_movielens
from ._synthetic import make_interactions

__all__ = ["Events", "fetch_movielens", "load_interactions", "make_interactions"]
