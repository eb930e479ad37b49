"""What the encoder refuses: ids and positions it does not know, and showing ids in a diagram."""

from __future__ import annotations

import sys
from types import FrameType
from typing import NoReturn

import numpy as np

from ..exceptions import UnknownInteractionError
from ._ids import IdColumn

__all__ = ["refuse_forgotten_rows", "refuse_in_diagram", "refuse_unknown", "refuse_without_id"]


def refuse_unknown(positions: np.ndarray, column: IdColumn, role: str) -> None:
    """Raise if a position is -1, naming the first few ids that the caller has just passed."""
    unknown = np.flatnonzero(positions < 0)
    if len(unknown):
        first = ", ".join(repr(str(column.id_of(k))) for k in unknown[:3])
        more = ", ..." if len(unknown) > 3 else ""
        raise UnknownInteractionError(
            f"{len(unknown)} of {len(positions)} {role} ids are unknown ({first}{more}); expected "
            "ids that fit saw and that are not forgotten. Drop them, or fit again if new; or set "
            "InteractionEncoder(unknown='ignore') (in forget_users: missing='ignore')."
        )


def refuse_without_id(positions: np.ndarray, size: int, role: str) -> NoReturn:
    """Raise for positions that were never given, or whose id is erased."""
    outside = (positions < 0) | (positions >= size)
    if outside.any():
        raise ValueError(
            f"{outside.sum()} of {positions.size} {role} positions are out of range (first: "
            f"{positions[outside][0]}); expected positions from 0 to {size - 1}. Leave out what is "
            f"no {role}, such as -1 where a list of recommendations ends early."
        )
    raise ValueError(
        f"Got {role} positions without an id among {positions.size}; expected those of {role}s who "
        "are not forgotten, since erased ids are gone. Leave these positions out."
    )


def refuse_forgotten_rows(n_values: int) -> NoReturn:
    """Raise for a matrix with values that belong to nobody any more."""
    raise ValueError(
        f"X has {n_values} values in rows of forgotten users; expected these rows to be empty, "
        "since their ids are erased. Forget the users in the matrix as well."
    ) from None


def refuse_in_diagram() -> None:
    """Raise if scikit-learn's HTML diagram is asking.

    From 1.9 it lists the output names of every fitted transformer, nested ones too, and leaves them
    out where the call fails. Nothing else marks such a call, and ids must not end up in a notebook.
    """
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("sklearn.utils._repr_html"):
            raise AttributeError("ids are not shown in diagrams")
        frame = frame.f_back
