"""What the encoder refuses: ids that it does not know, and showing ids in a diagram."""

from __future__ import annotations

import sys

import numpy as np

from ..exceptions import UnknownInteractionError
from ._vocabulary import IdColumn

__all__ = ["refuse_in_diagram", "refuse_unknown"]


def refuse_unknown(positions: np.ndarray, column: IdColumn, role: str) -> None:
    """Raise if a position is -1, naming the first few ids that the caller has just passed."""
    unknown = np.flatnonzero(positions < 0)
    if len(unknown):
        first = ", ".join(repr(str(column.data[k])) for k in unknown[:3])
        more = ", ..." if len(unknown) > 3 else ""
        raise UnknownInteractionError(
            f"{len(unknown)} of {len(positions)} {role} ids are unknown ({first}{more}); expected "
            "ids that fit saw and that are not forgotten. Drop them, fit on all events, or use "
            "unknown='ignore' (in forget_users: missing='ignore')."
        )


def refuse_in_diagram() -> None:
    """Raise if scikit-learn's HTML diagram is asking.

    From 1.9 it lists the output names of every fitted transformer, nested ones too, and leaves them
    out where the call fails. Nothing else marks such a call, and ids must not end up in a notebook.
    """
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("sklearn.utils._repr_html"):
            raise AttributeError("ids are not shown in diagrams")
        frame = frame.f_back
