"""Forget requests: from every form that a caller may use to one list of positions."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._interactions import rows_of
from sklearn_unlearn.utils._validation import (
    Pairs,
    as_mask_pairs,
    as_pairs,
    as_positions,
    first_few,
    refuse_masked,
)

__all__ = ["ForgetRequest", "quiet_array", "validate_forget_request"]

_N_SHOWN = 3


@dataclass(frozen=True, eq=False)
class ForgetRequest:
    """What one call of ``forget``, ``learn`` or ``rectify`` changes, validated.

    Parameters
    ----------
    positions : ndarray of int64, shape (n_interactions,)
        Positions in the interactions *before* the request, ascending, each once.

    users, items : ndarray of int64
        Users and items that go as a whole, ascending, each once. With ``missing="ignore"`` those
        without interactions are left out.

    n_interactions : int
        How many interactions go.

    n_users, n_items : int
        How many distinct users and items lose an interaction, or gain one.

    started : float
        When validation began, by ``time.perf_counter``.

    added : ndarray of int64, default=()
        Positions in the interactions *after* the request of those that are new, ascending. An
        interaction whose value changes goes and is new.

    Examples
    --------
    >>> from sklearn_unlearn.base import validate_forget_request
    >>> from sklearn_unlearn.interactions import Interactions
    >>> data = Interactions.from_matrix([[1, 1, 0], [0, 1, 1]])
    >>> request = validate_forget_request(data, users=[1])
    >>> request.n_interactions, request.users
    (2, array([1]))
    """

    positions: NDArray[np.int64]
    users: NDArray[np.int64]
    items: NDArray[np.int64]
    n_interactions: int
    n_users: int
    n_items: int
    started: float
    added: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to change."""
        return self.n_interactions == 0 and not len(self.added)


def validate_forget_request(
    data: Interactions,
    interactions: Any = None,
    users: Any = None,
    items: Any = None,
    missing: str = "raise",
) -> ForgetRequest:
    """Validate a request in full against the interactions that a model was trained on.

    Parameters
    ----------
    data : Interactions
        What the model knows.

    interactions : None, array-like, tuple or mask, default=None
        Integer array of shape (n, 2); tuple ``(users, items)``; sparse container of the shape of
        `data`, nonzero means forget; boolean array of that shape. The dtype decides between pairs
        and mask.

    users, items : None, int, array-like of int or of bool, default=None
        Whole users and items: positions, or a boolean mask of one entry per user or item.

    missing : {"raise", "ignore"}, default="raise"
        What to do about pairs, users and items that have no interactions.

    Returns
    -------
    request : ForgetRequest
        The union of all parts.

    Raises
    ------
    TypeError
        For frames, strings, floats.
    ValueError
        For a wrong shape, a position out of range, or if nothing was passed.
    UnknownInteractionError
        With ``missing="raise"``, for what the model was never trained on.

    Examples
    --------
    >>> from sklearn_unlearn._forget_request import validate_forget_request
    >>> from sklearn_unlearn.interactions import Interactions
    >>> data = Interactions.from_matrix([[1, 0, 3], [0, 2, 0]])
    >>> validate_forget_request(data, [[0, 2]], users=1).positions
    array([1, 2])
    """
    started = time.perf_counter()
    if not isinstance(missing, str) or missing not in ("raise", "ignore"):
        raise ValueError(
            f"missing is {missing!r}; expected 'raise' or 'ignore'. Pass 'ignore' for requests "
            "that may arrive twice."
        )
    if interactions is None and users is None and items is None:
        raise ValueError(
            "nothing was passed to forget; expected interactions, users or items. Name what to "
            "forget; an empty array is an empty request."
        )
    pair_users, pair_items = _pairs(interactions, data.shape)
    users = np.unique(as_positions([] if users is None else users, data.n_users, "users", "users"))
    items = np.unique(as_positions([] if items is None else items, data.n_items, "items", "items"))
    located = data.locate(pair_users, pair_items)
    known_users, known_items = data.user_degrees[users] > 0, np.ones(len(items), bool)
    if len(items):
        known_items = data.item_degrees[items] > 0
    if missing == "raise":
        _raise_unknown(
            [
                ("pair", np.column_stack((pair_users, pair_items))[located < 0]),
                ("user", users[~known_users]),
                ("item", items[~known_items]),
            ]
        )
    return _unite(data, located[located >= 0], users[known_users], items[known_items], started)


def _pairs(interactions: Any, shape: tuple[int, int]) -> Pairs:
    if interactions is None:
        interactions = np.empty((0, 2), np.int64)
    refuse_masked(interactions, "interactions")
    array = quiet_array(interactions) if isinstance(interactions, list) else interactions
    if sparse.issparse(array) or (isinstance(array, np.ndarray) and array.dtype.kind == "b"):
        return as_mask_pairs(array, shape, "interactions")
    return as_pairs(interactions, shape, "interactions")


def quiet_array(values: list[Any]) -> Any:
    """Convert a list, or leave it for `as_pairs` to explain what is wrong with it."""
    try:
        return np.asarray(values)
    except ValueError:
        return values


def _raise_unknown(kinds: list[tuple[str, NDArray[np.int64]]]) -> None:
    labels: list[str] = []
    n_unknown = 0
    for kind, unknown in kinds:
        n_unknown += len(unknown)
        labels += [f"{kind} {_label(one)}" for one in unknown[:_N_SHOWN]]
    if n_unknown:
        shown = labels[:_N_SHOWN]
        raise UnknownInteractionError(
            f"the request names what the model was never trained on, or has forgotten: "
            f"{first_few(shown, n_unknown - len(shown))}; expected known interactions only. "
            "Drop them, or pass missing='ignore'."
        )


def _label(one: Any) -> str:
    return str(tuple(int(i) for i in one)) if np.ndim(one) else str(int(one))


def _unite(
    data: Interactions,
    located: NDArray[np.int64],
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    started: float,
) -> ForgetRequest:
    whole = np.empty(0, np.int64)
    if len(users) or len(items):
        user_mask, item_mask = np.zeros(data.n_users, bool), np.zeros(data.n_items, bool)
        user_mask[users], item_mask[items] = True, True
        whole = data.incident(user_mask, item_mask)
    positions = np.unique(np.concatenate((located, whole)))
    touched = np.unique(rows_of(data.indptr, positions))
    return ForgetRequest(
        positions=positions,
        users=users,
        items=items,
        n_interactions=len(positions),
        n_users=len(touched),
        n_items=len(np.unique(data.items_at(positions))),
        started=started,
    )
