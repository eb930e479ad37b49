"""How far a model that forgot is from the model that never knew."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import linalg

from sklearn_unlearn.metrics._checks import IndexArray
from sklearn_unlearn.metrics._scores import (
    ArrayScores,
    ModelScores,
    PairSet,
    Shape,
    as_scores,
    given_blocks,
)


def remaining_gap(
    before: Any,
    after: Any,
    refit: Any,
    *,
    users: Any = None,
    items: Any = None,
    pairs: Any = None,
    n_pairs: int | None = 200_000,
    random_state: Any = 0,
) -> float:
    r"""Share of the effect of the forgotten data that is still in the scores.

    .. math:: \rho = \|S_{after} - S_{refit}\| \,/\, \|S_{before} - S_{refit}\|

    over all (user, item) pairs, or over the affected ones: 0 is the refit, 1 is doing nothing.
    Scores are compared and not factors, which carry an arbitrary rotation.

    Parameters
    ----------
    before, after, refit : array of shape (n_users, n_items) or (n_pairs,), or recommender
        The model as first fitted, after `forget`, and fitted anew on what remains. A recommender
        is any object with ``predict_pairs(pairs)``, which takes integer pairs of shape
        (n_pairs, 2) and returns (n_pairs,) scores. Arrays and recommenders can be mixed. Vectors
        hold the scores of the same pairs, in the same order.
    users, items : array of int or boolean mask, default=None
        Compare only pairs whose user is in `users` **or** whose item is in `items`. An average over
        everybody hides a request that concerns few.
    pairs : array of int of shape (n_pairs, 2) or tuple (users, items), default=None
        Compare exactly these pairs. Not together with `users` or `items`.
    n_pairs : int or None, default=200_000
        Where more than 5,000,000 pairs are to be compared, draw this many of them uniformly, with
        replacement. ``None`` compares all, in blocks. Unused with `pairs` and with vectors.
    random_state : int, RandomState instance or None, default=0
        Seed of that draw. Fixed by default, so that calls compare the same pairs.

    Returns
    -------
    gap : float
        The remaining gap. Where `before` already equals `refit`, there was nothing to forget: 0.0
        if `after` equals it too, else infinity.

    Raises
    ------
    TypeError
        If an argument is neither dense scores nor has ``predict_pairs``, or if positions are not
        integers.
    ValueError
        If shapes differ, scores are NaN or infinite, positions are out of range, no pair is
        selected, or the number of users of the models is unknown and `pairs` is not given.

    See Also
    --------
    forget_gap : The same in one call on a model and a request, by groups of pairs.
    noise_floor : The gap that a refit from another seed has.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import remaining_gap
    >>> before = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> refit = np.array([[0.0, 0.0], [0.0, 1.0]])
    >>> remaining_gap(before, before, refit)
    1.0
    >>> after = np.array([[0.1, 0.0], [0.0, 1.0]])
    >>> remaining_gap(before, after, refit, users=[0])
    0.1
    """
    options = {"users": users, "items": items, "pairs": pairs, "n_pairs": n_pairs}
    scores = {"before": before, "after": after, "refit": refit}
    moved, left = _distances_to_last(scores, **options, random_state=random_state)
    return _ratio(left, moved)


def noise_floor(
    before: Any,
    refit: Any,
    other_refit: Any,
    *,
    users: Any = None,
    items: Any = None,
    pairs: Any = None,
    n_pairs: int | None = 200_000,
    random_state: Any = 0,
) -> float:
    r"""Gap between two refits that differ only in their seed.

    .. math:: \|S_{refit} - S_{other}\| \,/\, \|S_{before} - S_{refit}\|

    A remaining gap below this floor cannot be told from chance. Near 1 or above, the model has no
    well-defined refit: regularise it more, or fit it to convergence.

    Where a seed decides more than the start, such as the negatives of pairwise losses, refits of
    two seeds minimise different objectives. ``RefitUnlearner(start_seed=...)`` of
    `sklearn_unlearn.influence` keeps those that were drawn, and changes the start alone.

    Parameters
    ----------
    before : array of shape (n_users, n_items) or (n_pairs,), or recommender
        The model as first fitted.
    refit, other_refit : array of shape (n_users, n_items) or (n_pairs,), or recommender
        The model fitted anew on what remains, from two seeds.
    users, items : array of int or boolean mask, default=None
        As in :func:`remaining_gap`.
    pairs : array of int of shape (n_pairs, 2) or tuple (users, items), default=None
        As in :func:`remaining_gap`.
    n_pairs : int or None, default=200_000
        As in :func:`remaining_gap`.
    random_state : int, RandomState instance or None, default=0
        Seed of the draw of pairs, not of the models.

    Returns
    -------
    floor : float
        The noise floor. Where `before` equals `refit`: 0.0 if `other_refit` equals it too, else
        infinity.

    Raises
    ------
    TypeError, ValueError
        As :func:`remaining_gap`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.metrics import noise_floor
    >>> noise_floor(before=np.array([4.0, 0.0]), refit=np.array([0.0, 0.0]),
    ...             other_refit=np.array([0.0, 1.0]))
    0.25
    """
    options = {"users": users, "items": items, "pairs": pairs, "n_pairs": n_pairs}
    scores = {"before": before, "other_refit": other_refit, "refit": refit}
    moved, noise = _distances_to_last(scores, **options, random_state=random_state)
    return _ratio(noise, moved)


def _ratio(part: float, whole: float) -> float:
    if whole == 0.0:
        return 0.0 if part == 0.0 else float("inf")
    return part / whole


def _distances_to_last(
    scores: dict[str, Any],
    *,
    users: Any,
    items: Any,
    pairs: Any,
    n_pairs: int | None,
    random_state: Any,
) -> list[float]:
    """Euclidean distance of each score set to the last one, over the selected pairs."""
    sources = [as_scores(value, name) for name, value in scores.items()]
    shape = _common_shape(scores, sources)
    selection = {"users": users, "items": items, "pairs": pairs}
    named = [name for name, value in selection.items() if value is not None]
    if pairs is not None and len(named) > 1:
        raise ValueError(
            f"{' and '.join(named)} were passed; expected either pairs, or users and items. "
            f"Pass pairs alone to name each pair."
        )
    if shape is not None and len(shape) == 1:
        if named:
            raise ValueError(
                f"{' and '.join(named)} were passed with score vectors; expected score matrices or "
                f"recommenders. Select the entries of the vectors before the call."
            )
        values = [source.values for source in sources if isinstance(source, ArrayScores)]
        return _block_distances([values])
    matrix_shape = None if shape is None else (shape[0], shape[1])
    blocks = _pair_blocks(matrix_shape, users, items, pairs, n_pairs, random_state)
    return _block_distances([source.at(*block) for source in sources] for block in blocks)


def _common_shape(
    scores: dict[str, Any], sources: list[ArrayScores | ModelScores]
) -> tuple[int, ...] | None:
    """Return the shape that all sources agree on, None where none of them knows it."""
    known = [(n, s.shape) for n, s in zip(scores, sources, strict=True) if s.shape is not None]
    for (name, shape), (other_name, other_shape) in pairwise(known):
        if shape != other_shape:
            raise ValueError(
                f"{name} has scores of shape {shape} and {other_name} of shape {other_shape}; "
                f"expected one shape. Forgetting and refitting keep every row and column."
            )
    if not known:
        return None
    if len(known[0][1]) == 1 and len(known) < len(sources):
        raise ValueError(
            "a score vector was passed with a recommender; expected all vectors, or matrices and "
            "recommenders. Pass `model.predict_pairs(pairs)` for the recommender."
        )
    return known[0][1]


def _pair_blocks(
    shape: Shape | None, users: Any, items: Any, pairs: Any, n_pairs: int | None, random_state: Any
) -> Iterable[tuple[IndexArray, IndexArray]]:
    if pairs is not None:
        return given_blocks(pairs, shape)
    if shape is None:
        raise ValueError(
            "no model tells its number of users and items (`user_factors_`, `item_factors_`); "
            "expected that, a score matrix, or pairs. Pass pairs= to compare: positions, or events "
            "where the models are pipelines."
        )
    return PairSet(shape, users, items).blocks(n_pairs, random_state)


def _block_distances(blocks: Iterable[list[np.ndarray]]) -> list[float]:
    """Add up blocks of scores; BLAS nrm2 and hypot neither overflow nor underflow."""
    totals: list[float] = []
    for *others, reference in blocks:
        norms = [float(linalg.norm(other - reference)) for other in others]
        totals = [
            float(np.hypot(*pair)) for pair in zip(totals or [0.0] * len(norms), norms, strict=True)
        ]
    if not totals or reference.size == 0:
        raise ValueError(
            "no pair is selected; expected at least one. Pass users, items or pairs that are not "
            "empty, or none of them for all pairs."
        )
    return totals
