"""What a request left behind, compared with a refit for the pairs that it concerns and for all."""

from __future__ import annotations

import copy
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import check_array

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.metrics._gap import noise_floor, remaining_gap
from sklearn_unlearn.metrics._seed_cells import positions_of
from sklearn_unlearn.utils._html import counted, html_card, html_table
from sklearn_unlearn.utils._matrices import as_numbers

__all__ = ["ForgetGap", "GapGroup", "forget_gap"]

_DESCRIPTIONS = {
    "pairs": "forgotten pairs",
    "affected": "pairs of affected users and items",
    "neighbours": "pairs of users who share an item with it",
    "all": "all pairs",
}


@dataclass(frozen=True)
class GapGroup:
    """Distances of one group of pairs; doing nothing is a gap of 1.

    Parameters
    ----------
    gap : float
        Share of the effect of the request that is left, as by `remaining_gap`.

    floor : float or None, default=None
        The gap of a second refit, as by `noise_floor`; None where there was none.

    Examples
    --------
    >>> from sklearn_unlearn.metrics import GapGroup
    >>> GapGroup(gap=0.002, floor=1e-6)
    GapGroup(gap=0.002, floor=1e-06)
    """

    gap: float
    floor: float | None = None


@dataclass(frozen=True, eq=False, repr=False)
class ForgetGap:
    """What `forget_gap` found: print it for a table.

    Parameters
    ----------
    groups : dict of str to GapGroup
        "pairs": what was forgotten. "affected": all pairs of a user or an item that lost an
        interaction. "neighbours": all pairs of users who share an item with the request and are
        not part of it; of emptied users, whose scores are zero whatever was done, there are none
        here. "all": all pairs. Groups without pairs are left out.

    n_interactions : int
        Interactions of the request.

    seconds, refit_seconds : float or None
        Wall time of forgetting and of the refit; None for models that were passed.

    Examples
    --------
    >>> from sklearn_unlearn import EASE
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.metrics import forget_gap
    >>> X = make_interactions(60, 40, feedback="implicit", random_state=0)
    >>> found = forget_gap(EASE().fit(X), users=[7])
    >>> list(found.groups)
    ['affected', 'neighbours', 'all']
    >>> found.groups["neighbours"].gap < 1e-9
    True
    """

    groups: dict[str, GapGroup] = field(repr=False)
    n_interactions: int
    seconds: float | None = None
    refit_seconds: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers, without pairs and users."""
        return {
            "n_interactions": self.n_interactions,
            "seconds": self.seconds,
            "refit_seconds": self.refit_seconds,
            "groups": {name: asdict(group) for name, group in self.groups.items()},
        }

    def __repr__(self) -> str:
        gaps = ", ".join(f"{name}={group.gap:.3g}" for name, group in self.groups.items())
        return f"ForgetGap({gaps})"

    def __str__(self) -> str:
        lines = [f"{'share of the effect that is left':42}{'forgotten':>11}{'floor':>10}"]
        for name, group in self.groups.items():
            floor = "-" if group.floor is None else f"{group.floor:.2e}"
            lines.append(f"{_DESCRIPTIONS[name]:42}{group.gap:>11.2e}{floor:>10}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [
            (_DESCRIPTIONS[name], group.gap, group.floor) for name, group in self.groups.items()
        ]
        table = html_table("Share of the effect that is left", rows, ("", "forgotten", "floor"))
        note = f"{counted(self.n_interactions, 'forgotten interaction')}; 0 is the refit, 1 nothing"
        return html_card(table, note=note)


def forget_gap(
    model: Any,
    interactions: Any = None,
    *,
    users: Any = None,
    items: Any = None,
    after: Any = None,
    refit: Any = None,
    other_refit: Any = None,
    X: Any = None,
    n_pairs: int | None = 200_000,
    random_state: Any = 0,
) -> ForgetGap:
    """Measure in one call how much of a request a model keeps, where it matters and overall.

    A copy of the model forgets, another one is fitted again, and both are compared by
    `remaining_gap`, apart for the pairs that the request concerns: an average over everybody hides
    a small request.

    Parameters
    ----------
    model : recommender or RecommenderPipeline
        Fitted on everything, with ``predict_pairs``, and ``forget`` unless `after` is passed. It is
        never changed. Of a pipeline the recommenders are compared.

    interactions, users, items : default=None
        The request, in every form that `forget` takes; of a pipeline with an encoder, in ids.

    after : recommender or array of shape (n_users, n_items), default=None
        The model after the request, or its scores. None: a copy of `model` forgets it.

    refit : recommender or array of shape (n_users, n_items), default=None
        The model that never knew the request. None: a copy of `model` is fitted again. It keeps
        the seed that was drawn, but for models without a parameter ``unlearner``: fit those with an
        integer ``random_state``. Of a model that was taken over from elsewhere it has to be given.

    other_refit : recommender or array of shape (n_users, n_items), default=None
        A second refit, for the floor. Take one that differs in its start alone, which the strategy
        ``RefitUnlearner(start_seed=1)`` makes: negatives drawn anew would be another objective.

    X : {array, sparse} of shape (n_users, n_items), default=None
        What the model was fitted on. None: what it keeps.

    n_pairs : int or None, default=200_000
        Pairs that are drawn of each group that has more than 5,000,000; None compares all.

    random_state : int, RandomState instance or None, default=0
        Seed of that draw.

    Returns
    -------
    found : ForgetGap
        ``found.groups["affected"].gap`` is the number to look at first.

    Raises
    ------
    TypeError, ValueError
        As `remaining_gap`; for a request of a wrong form, or of nothing or everything; if the model
        does not keep its interactions and `X` is not passed, or has no way to a refit.
    UnknownInteractionError
        If the request names what X does not hold.

    See Also
    --------
    remaining_gap : The same for pairs of your choice.
    seed_test : For models whose refits differ.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.metrics import forget_gap
    >>> X = make_interactions(60, 40, random_state=0)
    >>> model = MatrixFactorization(8, regularization=3.0, random_state=0).fit(X)
    >>> found = forget_gap(model, np.argwhere(X.toarray())[:3])
    >>> found.groups["affected"].gap < 0.01
    True
    """
    given = {"interactions": interactions, "users": users, "items": items}
    request = {name: value for name, value in given.items() if value is not None}
    if hasattr(model, "_to_positions"):
        model, request = model._to_positions(request)
        after, refit, other_refit = map(_recommender_of, (after, refit, other_refit))
    data = _interactions(model, X)
    positions = positions_of(data, request)
    seconds = refit_seconds = None
    if after is None:
        after, seconds = _forgotten(model, request)
    if refit is None:
        refit, refit_seconds = _fitted_again(model, data, positions, request)
    options = {"n_pairs": n_pairs, "random_state": random_state}
    groups = {}
    for name, chosen in _groups(data, positions).items():
        gap = remaining_gap(model, after, refit, **chosen, **options)
        floor = None
        if other_refit is not None:
            floor = noise_floor(model, refit, other_refit, **chosen, **options)
        groups[name] = GapGroup(gap, floor)
    if "interactions" not in request:
        groups.pop("pairs")  # of whole users and items, it is no group of its own
    return ForgetGap(groups, len(positions), seconds, refit_seconds)


def _recommender_of(model: Any) -> Any:
    """Return the last step of a pipeline, or what is none."""
    return model.steps[-1][1] if hasattr(model, "steps") else model


def _interactions(model: Any, X: Any) -> Interactions:
    if X is not None:
        checked = check_array(
            as_numbers(X, "X"), accept_sparse="csr", dtype=np.float64, input_name="X"
        )
        return Interactions.from_matrix(checked)
    kept = getattr(model, "_interactions", None)
    if not isinstance(kept, Interactions):
        raise ValueError(
            f"{type(model).__name__} does not keep what it was fitted on; expected to know it, as "
            "it says which pairs a request concerns. Pass X."
        )
    return kept


def _groups(data: Interactions, positions: NDArray[np.int64]) -> dict[str, dict[str, Any]]:
    """Return the pairs of each group, as keywords of `remaining_gap`."""
    rows, columns = np.asarray(data.rows), np.asarray(data.indices)
    pairs = np.column_stack([rows[positions], columns[positions]]).astype(np.int64)
    users, items = np.unique(pairs[:, 0]), np.unique(pairs[:, 1])
    shares = np.zeros(data.n_users, bool)
    shares[rows[np.isin(columns, items)]] = True
    shares[users] = False
    groups: dict[str, dict[str, Any]] = {
        "pairs": {"pairs": pairs},
        "affected": {"users": users, "items": items},
    }
    if shares.any():
        groups["neighbours"] = {"users": np.flatnonzero(shares)}
    return {**groups, "all": {}}


def _forgotten(model: Any, request: dict[str, Any]) -> tuple[Any, float]:
    """Return a copy of a model after a request, and the seconds that it took."""
    if not hasattr(model, "forget"):
        raise TypeError(
            f"{type(model).__name__} has no forget; expected it, or the model after the request. "
            "Pass after=."
        )
    twin = copy.deepcopy(model)
    start = time.perf_counter()
    twin.forget(**request)
    return twin, time.perf_counter() - start


def _fitted_again(
    model: Any, data: Interactions, positions: NDArray[np.int64], request: dict[str, Any]
) -> tuple[Any, float]:
    """Return a refit from the seed of the model, where it has one, and the seconds it took."""
    if getattr(model, "_taken_over", False):
        raise ValueError(
            f"the {type(model).__name__} was trained elsewhere, and no refit was passed; expected "
            "one, as a refit by this library is not the training that the model had. Pass refit=, "
            "trained without the request from the same start, and other_refit= from another seed."
        )
    params = model.get_params(deep=False) if hasattr(model, "get_params") else None
    if params is None:
        raise ValueError(
            f"{type(model).__name__} has no get_params, so it cannot be fitted again; expected an "
            "estimator, or a refit. Pass refit=, a model fitted without the request."
        )
    if "unlearner" in params:
        return _forgotten(copy.deepcopy(model).set_params(unlearner="refit"), request)
    retained = data.remove(positions)
    weights = retained.row_weights
    options = {} if weights is None else {"sample_weight": weights}
    owners = getattr(model, "_owners", None)  # whose each row is, of sessions and baskets
    options |= {} if owners is None else {"owners": owners}
    twin = clone(model)
    start = time.perf_counter()
    twin.fit(retained.to_csr(), **options)
    return twin, time.perf_counter() - start
