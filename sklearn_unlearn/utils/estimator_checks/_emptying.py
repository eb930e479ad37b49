"""Checks that data can be forgotten to the last interaction, and that what is left then serves."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np

from sklearn_unlearn.utils._tags import get_forget_tags
from sklearn_unlearn.utils.estimator_checks._check_data import (
    MAX_DIFFERENCE,
    Problem,
    fingerprint,
    fresh,
    require,
    require_close_tables,
    require_same_tables,
    score_table,
)
from sklearn_unlearn.utils.estimator_checks._ids import columns_of, is_known
from sklearn_unlearn.utils.estimator_checks._registry import forget_check

# Shapes and densities: below and above the sides where code turns from dense algebra to iterations.
_SMALL, _LARGE = ((6, 5), 0.35), ((100, 90), 0.03)
# So many users or items go one by one; those before them at once, which costs a request.
_N_LAST = 6


@forget_check("outcome")
def check_forget_until_nothing_is_left(name: str, estimator_orig: Any) -> None:
    """Forget users, or items, until none is left; then answer, certify, and find nothing to do."""
    for shape, density in (_SMALL, _LARGE):
        problem = Problem(estimator_orig, shape=shape, density=density)
        start = fresh(estimator_orig).fit(problem.X)
        table, tastes = score_table(start, shape), _tastes(start, problem.X)
        for axis, kind in enumerate(("users", "items")):
            model = copy.deepcopy(start)
            *requests, last = _requests(np.arange(shape[axis]))
            for request in requests:
                _forget(name, model, {kind: request})
            refit = fresh(estimator_orig, start).fit(
                problem.without(**{kind: np.concatenate(requests)})
            )
            _require_close(name, [score_table(one, shape) for one in (model, refit, start)], refit)
            _forget(name, model, {kind: last})
            _require_nothing_known(name, score_table(model, shape), np.ptp(table, axis=0).max())
            _require_nothing_known(name, _tastes(model, problem.X), np.ptp(tastes, axis=0).max())
            _, scores = model.recommend(problem.X[:2], n_items=shape[1], exclude_seen=False)
            _require_serves(name, model, scores, {kind: np.arange(shape[axis])})


@forget_check("ids", instead_of=check_forget_until_nothing_is_left)
def check_ids_forget_until_nothing_is_left(name: str, estimator_orig: Any) -> None:
    """Forget users, or items, by their ids until none is left; then answer, certify and rest."""
    columns = columns_of(estimator_orig)
    for shape, density in (_SMALL, _LARGE):
        problem = Problem(estimator_orig, shape=shape, density=density)
        ids = [
            np.array([f"{side}-{one}-zq" for one in range(n)], object)
            for side, n in zip(("owner", "thing"), shape, strict=True)
        ]
        events = _events(columns, problem, ids)
        start = fresh(estimator_orig).fit(events)
        for axis, kind in enumerate(("users", "items")):
            model = copy.deepcopy(start)
            for request in _requests(ids[axis]):
                _forget(name, model, {kind: request})
            known = [one for one in ids[0][-_N_LAST:] if is_known(model, one)]
            require(not known, f"{name} still knows users of whom nothing is left")
            own = events[columns.user] == ids[0][0]
            newcomer = {column: values[own] for column, values in events.items()}
            newcomer[columns.user] = np.full(own.sum(), "newcomer", object)
            listed = model.recommend(newcomer, n_items=shape[1], exclude_seen=False)
            scores = list(listed.values())[2]
            require(len(scores) == shape[1], f"{name} must list all items to new users")
            _require_serves(name, model, scores, {kind: ids[axis]})


def _requests(places):
    """Split places: all but the last few at once, those one by one."""
    n_first = max(len(places) - _N_LAST, 0)
    first = [places[:n_first]] if n_first else []
    return first + [places[one : one + 1] for one in range(n_first, len(places))]


def _events(columns, problem, ids):
    users, items = problem.cells.T
    events = {columns.user: ids[0][users], columns.item: ids[1][items]}
    if columns.value is not None:
        events[columns.value] = problem.dense[users, items]
    if columns.timestamp is not None:
        events[columns.timestamp] = np.arange(len(users))
    return events


def _forget(name, model, request, **options):
    """Forget, and say which check it was that met an error."""
    try:
        model.forget(**request, **options)
    except Exception as error:
        kind, places = next(iter(request.items()))
        raise AssertionError(
            f"{name}.forget of {len(places)} {kind}, on the way to none, raised "
            f"{type(error).__name__}: {error}"
        ) from error


def _tastes(model, X):
    """Center the scores of new users by user and by item: what they have in common is left."""
    table = np.asarray(model.decision_function(X), dtype=np.float64)
    table = table - table.mean(axis=1, keepdims=True)  # the bias of a row is its own
    return table - table.mean(axis=0)


def _require_close(name, tables, refit):
    message = f"{name} with little left, against a refit"
    if get_forget_tags(refit).exact:
        require_same_tables(*tables[:2], message)
    else:
        require_close_tables(*tables, message)


def _require_nothing_known(name, table, spread):
    require(np.all(np.isfinite(table)), f"{name} must give finite scores when nothing is left")
    require(
        np.ptp(table, axis=0).max() <= max(0.02 * spread, MAX_DIFFERENCE),
        f"{name} has nothing left, and still tells users apart",
    )


def _require_serves(name, model, scores, request):
    """Require finite scores, a certificate where there is one, and that nothing is left to do."""
    require(np.all(np.isfinite(scores)), f"{name} must recommend when nothing is left")
    if hasattr(model, "certify"):
        try:
            certified = model.certify().certified
        except Exception as error:
            raise AssertionError(
                f"{name}.certify raised {type(error).__name__} when nothing was left: {error}"
            ) from error
        require(certified, f"{name} must be certified when nothing is left: any refit is the same")
    loaded = pickle.loads(pickle.dumps(model))
    for one in (model, loaded):
        before = fingerprint(one)
        _forget(name, one, request, missing="ignore")
        require(fingerprint(one) == before, f"{name} has nothing left to forget")
