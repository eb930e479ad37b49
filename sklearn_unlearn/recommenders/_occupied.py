"""The rows of a table that hold something: what a fit and a request compute with.

A row without interactions is zero at every optimum, so the others are solved in a table of their
own and put back. What is drawn at random for a row depends on its position in the whole table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import Layout

__all__ = ["Occupied", "settled"]

Floats = NDArray[Any]
Ints = NDArray[np.int64]

# Fewer rows than this share of all are worth a table of their own.
_SHARE = 0.5


@dataclass(frozen=True)
class Occupied:
    """Users and items that hold something.

    Parameters
    ----------
    users, items : ndarray of int64
        Their positions, ascending.

    n_users : int
        Users of the whole table.
    """

    users: Ints
    items: Ints
    n_users: int

    @classmethod
    def of(
        cls, data: Interactions, is_drawn: Callable[[Ints], NDArray[np.bool_]]
    ) -> Occupied | None:
        """Find the rows that hold something; None where they are most of the table.

        ``is_drawn(items)`` tells which items the losses feel though nobody has met them.
        """
        users, met = np.flatnonzero(data.user_degrees), data.item_degrees > 0
        if len(users) + np.count_nonzero(met) > _SHARE * sum(data.shape):
            return None
        items = np.flatnonzero(met | is_drawn(np.arange(data.n_items)))
        if len(users) + len(items) > _SHARE * sum(data.shape):
            return None
        return cls(users, items, data.n_users)

    @property
    def rows(self) -> Ints:
        """Their rows in the whole table of parameters."""
        return np.concatenate([self.users, self.items + self.n_users])

    def take(self, data: Interactions) -> Interactions:
        """Interactions of the rows, in a table of their own."""
        return data.compact(self.users, self.items)

    def put(self, theta: Floats, layout: Layout) -> Floats:
        """Whole table of parameters with some rows filled; `theta` may have other columns."""
        width = theta.shape[1] - 2 * layout.fit_bias
        whole = replace(layout, n_factors=width)
        table = whole.empty_rows(np.arange(layout.shape[0])).astype(theta.dtype, copy=False)
        table[self.rows] = theta
        return table


def settled(theta: Floats, layout: Layout, empty: NDArray[np.bool_]) -> Floats:
    """Table whose empty rows are exactly what an optimum makes of them; rounding moves them."""
    width = theta.shape[1] - 2 * layout.fit_bias
    rows = np.flatnonzero(empty)
    rows = rows[np.any(theta[rows, :width] != 0, axis=1)]
    if not len(rows):
        return theta
    theta = theta.copy()
    theta[rows] = replace(layout, n_factors=width).empty_rows(rows)
    return theta
