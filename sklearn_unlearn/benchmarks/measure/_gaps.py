"""Distances between the scores of factor models, exact however many pairs there are.

The difference of two score matrices is a product of two thin tables, so its norm over all pairs
comes from two small triangles; a sample of pairs would miss what one user among many changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.benchmarks.data._forget_sets import Request
from sklearn_unlearn.utils._verbs import cached_property

__all__ = ["Gaps", "score_distance"]


def score_distance(a: Any, b: Any, users: Any = slice(None), items: Any = slice(None)) -> float:
    r"""Distance of two models' scores over the pairs of some users and some items.

    .. math:: \|P_a Q_a' - P_b Q_b'\|_F = \|[P_a, P_b] \, [Q_a, -Q_b]'\|_F

    Parameters
    ----------
    a, b : object with ``user_factors_`` and ``item_factors_``
        Models whose scores are products of factors and nothing else.

    users, items : index, default=all
        Rows of the factors.

    Returns
    -------
    distance : float

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> from sklearn_unlearn.benchmarks.measure._gaps import score_distance
    >>> a, b = (
    ...     SimpleNamespace(user_factors_=np.array([[u]]), item_factors_=np.array([[1.0], [0.0]]))
    ...     for u in (5.0, 2.0)
    ... )
    >>> round(score_distance(a, b), 6)
    3.0
    """
    left = np.hstack([a.user_factors_[users], b.user_factors_[users]]).astype(np.float64)
    right = np.hstack([a.item_factors_[items], -b.item_factors_[items]]).astype(np.float64)
    triangles: Iterator[Any] = (np.linalg.qr(table, mode="r") for table in (left, right))
    return float(np.linalg.norm(next(triangles) @ next(triangles).T))


@dataclass(frozen=True, eq=False)
class Gaps:
    """Remaining gaps of models to a refit, for three groups of pairs.

    Parameters
    ----------
    before, refit : object with ``user_factors_`` and ``item_factors_``
        The model before the request, and the target.

    request : Request
        What was forgotten.
    """

    before: Any
    refit: Any
    request: Request

    @cached_property
    def others(self) -> NDArray[np.int64]:
        """Users who share an item with the request and are not part of it."""
        X = self.request.X
        wanted = np.zeros(X.shape[1], bool)
        wanted[self.request.items] = True
        users = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))[wanted[X.indices]]
        return np.setdiff1d(users, self.request.users)

    def of(self, after: Any) -> dict[str, float]:
        """Share of the distance to the refit that is left.

        Returns
        -------
        gaps : dict
            ``"gap_all"``: all pairs. ``"gap_affected"``: pairs whose user or item lost an
            interaction. ``"gap_others"``: all items of the `others`: emptied users, whose scores
            are zero on both sides, would flatter it.
        """
        left = self._distances(after)
        return {f"gap_{name}": _share(left[name], self._moved[name]) for name in left}

    @cached_property
    def _moved(self) -> dict[str, float]:
        return self._distances(self.before)

    def _distances(self, after: Any) -> dict[str, float]:
        users, items = self.request.users, self.request.items
        rest = np.ones(len(after.user_factors_), bool)
        rest[users] = False
        own = score_distance(after, self.refit, users)
        of_items = score_distance(after, self.refit, np.flatnonzero(rest), items)
        return {
            "all": score_distance(after, self.refit),
            "affected": float(np.hypot(own, of_items)),
            "others": score_distance(after, self.refit, self.others),
        }


def _share(part: float, whole: float) -> float:
    if whole == 0.0:
        return 0.0 if part == 0.0 else float("inf")
    return part / whole
