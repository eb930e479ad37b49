"""The demo: fit, forget, refit for comparison, and say how much of what was forgotten is left.

Run it with ``python -m sklearn_unlearn [EVENTS_FILE]``; ``--help`` lists the options.
"""

from sklearn_unlearn.demo._cli import main

__all__ = ["main"]
