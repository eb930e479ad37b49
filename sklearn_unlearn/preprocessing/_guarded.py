"""Guard of an encoder: what is asked before events are learned, and is never stored with it."""

from __future__ import annotations

import copy
from typing import Any, Protocol, Self

import numpy as np

from ._ids import IdColumn

__all__ = ["Guard", "GuardedMixin", "StoredGuard"]


class Guard(Protocol):
    """Anything that refuses events, such as a list of what must not be learned again."""

    def check(self, users: Any, items: Any) -> Any:
        """Raise, or warn, if some of the events must not be learned.

        Parameters
        ----------
        users, items : list of ids
            Of the events, of equal length.

        Returns
        -------
        ignored : object
            Whatever it is.
        """
        ...


class StoredGuard:
    """What stands in a stored encoder for its guard, which holds a connection and a key.

    It refuses all events, so that no model that was guarded learns unguarded after it was loaded.

    Examples
    --------
    >>> from sklearn_unlearn.preprocessing._guarded import StoredGuard
    >>> StoredGuard().check(["al"], ["tea"])
    Traceback (most recent call last):
    ...
    ValueError: the guard of the InteractionEncoder was not stored with it; ...
    """

    def check(self, users: Any, items: Any) -> None:
        """Refuse to learn.

        Parameters
        ----------
        users, items : list of ids
            Not looked at.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(
            "the guard of the InteractionEncoder was not stored with it; expected one before the "
            "model learns again. Set it, as in model.set_params(interactionencoder__guard=...), or "
            "set None to learn without; processes of joblib have none either."
        )

    def __repr__(self) -> str:
        return "<guard that was not stored>"


class GuardedMixin:
    """Asks the guard of an encoder, and keeps it out of what is stored."""

    guard: Guard | None

    def _ask_guard(self, users: IdColumn, items: IdColumn) -> None:
        """Let the guard look at events that are about to be learned."""
        if self.guard is not None:
            self.guard.check(_listed(users), _listed(items))

    def __getstate__(self) -> Any:
        state: Any = super().__getstate__()
        return state if state.get("guard") is None else state | {"guard": StoredGuard()}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # A copy is not stored: it keeps its guard.
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update(copy.deepcopy(self.__dict__.copy(), memo))
        return twin


def _listed(column: IdColumn) -> list[Any]:
    """List the id of each row."""
    if isinstance(column.distinct, np.ndarray):
        return list(column.distinct[column.codes].tolist())
    return [column.distinct[code] for code in column.codes.tolist()]
