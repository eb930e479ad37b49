"""Checks of requests in ids: what may be asked, what is refused, and what failures leave behind."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.preprocessing import Normalizer
from sklearn.utils.validation import has_fit_parameter

from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.utils.estimator_checks._check_data import N_USERS, fingerprint, fresh, require
from sklearn_unlearn.utils.estimator_checks._ids import (
    ITEM_IDS,
    STRANGER,
    USER_IDS,
    EventProblem,
    rows_of,
)
from sklearn_unlearn.utils.estimator_checks._registry import forget_check
from sklearn_unlearn.utils.estimator_checks._request_checks import (
    check_forget_invalid_requests_are_atomic,
    check_forget_unknown_is_named,
)


def invalid_requests(problem):
    """Yield a name, the arguments of ``forget`` and the error that they must raise."""
    user, item, _, _ = problem.columns
    pairs = rows_of(problem.columns.table(*problem.forgotten.T), slice(4))
    users, items = list(pairs[user]), list(pairs[item])
    yield "nothing", {}, ValueError
    yield "unknown missing=", {"users": users[:1], "missing": "drop"}, ValueError
    yield "a number for a table", {"interactions": 3}, TypeError
    yield "a list for a table", {"interactions": list(zip(users, items, strict=True))}, TypeError
    yield "a column too few", {"interactions": {user: users}}, ValueError
    yield "uneven columns", {"interactions": {user: users, item: items[:2]}}, ValueError
    yield "a missing id", {"interactions": {user: [*users[:3], None], item: items}}, ValueError
    yield "positions of users", {"users": [0, 1]}, TypeError
    yield "text for integers", {"items": ["a book"]}, TypeError
    yield "a fraction", {"items": [0.5]}, TypeError
    yield "mixed types", {"users": [users[0], 7]}, TypeError
    yield "boolean ids", {"users": np.ones(N_USERS, bool)}, TypeError
    yield "two-dimensional ids", {"users": np.array([users], object)}, TypeError
    yield "a dict of ids", {"users": {user: users}}, TypeError
    yield "one good part and one bad", {"users": users[:1], "items": ["a book"]}, TypeError


@forget_check("ids", instead_of=check_forget_invalid_requests_are_atomic)
def check_ids_invalid_requests_are_atomic(name: str, estimator_orig: Any) -> None:
    """Refuse a bad request with TypeError or ValueError, and change no bit of the model."""
    problem = EventProblem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.events)
    before = fingerprint(model)
    for what, arguments, expected in invalid_requests(problem):
        try:
            model.forget(**arguments)
        except expected as error:
            require(
                not isinstance(error, UnknownInteractionError) and str(error),
                f"{name}.forget ({what}) must raise a plain {expected.__name__} with a message",
            )
        except Exception as error:
            raise AssertionError(
                f"{name}.forget ({what}) must raise {expected.__name__}, not {error!r}"
            ) from error
        else:
            raise AssertionError(f"{name}.forget ({what}) must raise {expected.__name__}")
        require(
            fingerprint(model) == before,
            f"{name}.forget ({what}) raised, and must leave the model as it was, bit for bit",
        )


@forget_check("ids", instead_of=check_forget_unknown_is_named)
def check_ids_unknown_is_named(name: str, estimator_orig: Any) -> None:
    """Name an id that is not known, or the row of an event that is not, and change no bit."""
    problem = EventProblem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.events)
    user, item = np.argwhere(problem.dense == 0)[-1].tolist()
    good = problem.forgotten[:4]
    events = problem.columns.table(*np.vstack((good, [[user, item]])).T)
    strange = problem.columns.table(*np.vstack((good, [[STRANGER, item]])).T)
    both = (USER_IDS[user], str(ITEM_IDS[item]))
    # Of an event it may tell the row in the caller's table, here the fifth, or the ids.
    cases = (
        ({"interactions": events}, (("row 4",), both)),
        ({"interactions": strange}, (("row 4",), (USER_IDS[STRANGER],))),
        ({"users": [USER_IDS[0], USER_IDS[STRANGER]]}, ((USER_IDS[STRANGER],),)),
        ({"items": [ITEM_IDS[0], 77_777_777]}, (("77777777",),)),
    )
    before = fingerprint(model)
    for request, accepted in cases:
        try:
            model.forget(**request)
        except UnknownInteractionError as error:
            require(
                any(all(word in str(error) for word in words) for words in accepted),
                f"{name}.forget must name what is unknown: {accepted}; it said: {error}",
            )
        else:
            raise AssertionError(
                f"{name}.forget of something unknown must raise UnknownInteractionError"
            )
        require(fingerprint(model) == before, f"{name}.forget of an unknown id must change nothing")
    reference = fresh(estimator_orig).fit(problem.events).forget(problem.table(good))
    model.forget(strange, missing="ignore")
    same = _scores(model, problem) == _scores(reference, problem)
    require(same, f"{name}.forget must ignore what is unknown with missing='ignore'")


def _scores(model, problem):
    return model.predict_pairs(problem.events).tolist()


@forget_check("ids")
def check_ids_failures_change_nothing(name: str, estimator_orig: Any) -> None:
    """Whatever step of a ``fit`` fails, the estimator stays fitted as it was, bit for bit."""
    problem = EventProblem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.events)
    before = fingerprint(model)
    for what, events, params in _bad_fits(model, problem):
        try:
            model.fit(events, **params)
        except (TypeError, ValueError):
            require(
                fingerprint(model) == before,
                f"{name}.fit with {what} failed, and must leave everything as it was",
            )
        else:
            raise AssertionError(f"{name}.fit with {what} must raise TypeError or ValueError")


def _bad_fits(model, problem):
    user, _, value, _ = problem.columns
    some = rows_of(problem.events, slice(0, 90))
    n = len(some[user])
    yield "no events", rows_of(some, slice(0)), {}
    yield "a column too few", {user: some[user]}, {}
    yield "a missing id", {**some, user: [None, *some[user][1:]]}, {}
    yield "ids of two types", {**some, user: [7, *some[user][1:]]}, {}
    if value is not None:
        yield "values that are no numbers", {**some, value: np.full(n, np.nan)}, {}
    # These get past the encoder, which has learned other ids by then.
    last = _last_step(model)
    if last is not None and has_fit_parameter(last[1], "sample_weight"):
        yield "weights for nobody", some, {f"{last[0]}__sample_weight": np.ones(3)}


def _last_step(model):
    steps = getattr(model, "steps", None)
    return steps[-1] if steps else None


@forget_check("steps")
def check_ids_row_wise_steps_are_refused(name: str, estimator_orig: Any) -> None:
    """Refuse, in ``fit``, a step in which one value acts on others."""
    problem = EventProblem(estimator_orig)
    model = fresh(estimator_orig)
    steps = [*model.steps[:-1], ("normalizer", Normalizer()), model.steps[-1]]
    _require_refused(
        model.set_params(steps=steps), problem, "Normalizer", f"{name} with a row-wise step"
    )


@forget_check("memory")
def check_ids_memory_is_refused(name: str, estimator_orig: Any) -> None:
    """Refuse, in ``fit``, a cache of fitted steps: forgetting could not reach it."""
    problem = EventProblem(estimator_orig)
    model = fresh(estimator_orig).set_params(memory="a folder that is never made")
    _require_refused(model, problem, "memory", f"{name} with memory=")


def _require_refused(model, problem, word, what):
    try:
        model.fit(problem.events)
    except (TypeError, ValueError) as error:
        require(word in str(error), f"{what} must be refused by an error that says {word!r}")
    else:
        raise AssertionError(f"{what} must be refused by fit")
