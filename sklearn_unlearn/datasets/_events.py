"""Events: a small table of interactions with ids."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

__all__ = ["Events"]


@dataclass(frozen=True, eq=False, repr=False)
class Events:
    """A table of events: who, what, how much and when.

    It behaves like a dict of columns (``events["user"]``, ``dict(events)``), so that
    `InteractionEncoder` and the constructors of frames accept it; and like a table of rows
    (``events[:100]``, ``events[[0, 4]]``, ``events[events.value > 3]``), so that scikit-learn's
    splitters do. Its representation shows no id.

    Parameters
    ----------
    user, item : ndarray of shape (n_events,)
        Ids: integers, or objects (text).
    value : ndarray of shape (n_events,)
        float64; ones where events have no value.
    timestamp : ndarray of shape (n_events,) or None, default=None
        Integers, floats or datetime64, or None where not known.

    Raises
    ------
    ValueError
        The columns differ in length or are not one-dimensional.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.datasets import Events
    >>> events = Events(np.array([7, 8]), np.array(["a", "b"], object), np.array([4.0, 2.5]))
    >>> events
    <Events: 2 events>
    >>> list(events.keys()), len(events)
    (['user', 'item', 'value'], 2)
    >>> events[[1]]["item"]
    array(['b'], dtype=object)
    """

    user: np.ndarray
    item: np.ndarray
    value: np.ndarray
    timestamp: np.ndarray | None = None

    def __post_init__(self) -> None:
        shapes = {name: np.shape(column) for name, column in self.to_dict().items()}
        if len(set(shapes.values())) > 1 or len(shapes["user"]) != 1:
            raise ValueError(
                f"Got columns of shapes {shapes}; expected one-dimensional arrays of one length. "
                "Pass one entry in each column for each event."
            )

    def keys(self) -> list[str]:
        """Return the names of the columns that are there."""
        return list(self.to_dict())

    @property
    def shape(self) -> tuple[int, int]:
        """Number of events and of columns: what has a shape, scikit-learn takes for rows."""
        return len(self.user), len(self.to_dict())

    def __getitem__(self, key: Any) -> Any:
        """Return a column by its name, or the events in some rows: a slice, positions or a mask."""
        columns = self.to_dict()
        if isinstance(key, str):
            if key not in columns:
                raise KeyError(f"there is no column {key!r}; expected one of {list(columns)}")
            return columns[key]
        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
            key = key[0]  # scikit-learn asks for rows of all columns
        rows = key if isinstance(key, slice) else _as_rows(key)
        return Events(**{name: column[rows] for name, column in columns.items()})

    def __len__(self) -> int:
        return len(self.user)

    def to_dict(self) -> dict[str, np.ndarray]:
        """Return the columns that are there, not copied."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: column for name, column in columns.items() if column is not None}

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame with columns user, item, value and, if known, timestamp."""
        import pandas as pd

        return pd.DataFrame(self.to_dict())

    def __repr__(self) -> str:
        suffix = "" if self.timestamp is None else " with timestamps"
        return f"<Events: {len(self)} events{suffix}>"


def _as_rows(key: Any) -> np.ndarray:
    """Return positions of rows, or a mask of them."""
    rows = np.asarray(key)
    if not rows.size:
        rows = rows.astype(np.int64)  # an empty list is float64
    if isinstance(key, tuple) or rows.ndim != 1 or rows.dtype.kind not in "iub":
        raise TypeError(
            f"Got {type(key).__name__} as an index of events; expected the name of a column, a "
            "slice, or a one-dimensional array of positions or booleans. Wrap the position of a "
            "single event in a list."
        )
    return rows
