"""Checks that no forgotten id stays, and that no id is shown to whoever did not pass it."""

from __future__ import annotations

import contextlib
import copy
import traceback
import warnings
from typing import Any

import joblib
import numpy as np
from sklearn import config_context

from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.utils.estimator_checks._check_data import (
    N_ITEMS,
    N_USERS,
    fingerprint,
    fresh,
    holds_estimators,
    parts_of,
    require,
)
from sklearn_unlearn.utils.estimator_checks._id_requests import invalid_requests
from sklearn_unlearn.utils.estimator_checks._ids import (
    INTEGER_USER_IDS,
    ITEM_IDS,
    STRANGER,
    USER_IDS,
    EventProblem,
    is_known,
    places_of_id,
)
from sklearn_unlearn.utils.estimator_checks._registry import forget_check


def require_erased(model, one, what):
    """Require that an id is nowhere in a model, and unknown to every question."""
    places = places_of_id(one, model)
    require(not places, f"{what} is still in {' and '.join(places)}")
    require(not is_known(model, one), f"{what} is still known to recommend")
    try:
        model.forget(users=[one])
    except UnknownInteractionError as error:
        require(str(one) in str(error), f"{what}, forgotten again, must be named; it said: {error}")
    else:
        raise AssertionError(f"{what}, forgotten again, must raise UnknownInteractionError")
    before = fingerprint(model)
    model.forget(users=[one], missing="ignore")
    require(fingerprint(model) == before, f"{what}, forgotten again, must change no bit")


@forget_check("ids")
def check_ids_are_erased(name: str, estimator_orig: Any) -> None:
    """After ``forget(users=...)`` the id is in no memory and no pickle, and unknown."""
    problem = EventProblem(estimator_orig)
    for kind, user_ids in (("text", USER_IDS), ("integer", INTEGER_USER_IDS)):
        one, what = user_ids[problem.user], f"{name}: the {kind} id of a forgotten user"
        model = fresh(estimator_orig).fit(problem.table(problem.cells, user_ids))
        model.recommend(users=[one], n_items=3)  # fill what is computed on demand
        model.forget(users=[one])
        require_erased(model, one, what)
        others = [user_ids[place] for place in range(N_USERS) if place != problem.user]
        require(all(is_known(model, other) for other in others), f"{name} erased ids of others")


@forget_check("ids")
def check_ids_of_events_and_of_users_agree(name: str, estimator_orig: Any) -> None:
    """Forgetting all events of a user is forgetting the user, in every attribute, bit for bit."""
    problem = EventProblem(estimator_orig)
    start = fresh(estimator_orig).fit(problem.events)
    by_users = copy.deepcopy(start).forget(users=USER_IDS[problem.user])
    by_events = copy.deepcopy(start).forget(problem.of_user(problem.user))
    states = _state(by_users), _state(by_events)
    differ = sorted(key for key in states[0].keys() | states[1] if _differ(key, *states))
    require(not differ, f"{name}.forget by events and by users differ in {', '.join(differ)}")
    counts = [
        (report.n_interactions, report.n_users, report.n_items)
        for report in (by_users.forget_report_, by_events.forget_report_)
    ]
    require(counts[0] == counts[1], f"{name}.forget_report_ counts {counts[0]} and {counts[1]}")


def _state(model):
    # Reports hold clocks; estimators are looked at part by part.
    return {
        path + key: joblib.hash(value)
        for path, part in parts_of(model)
        for key, value in vars(part).items()
        if key != "forget_report_" and not holds_estimators(value)
    }


def _differ(key, one, other):
    return one.get(key) != other.get(key)


@forget_check("ids")
def check_ids_of_emptied_users_are_erased(name: str, estimator_orig: Any) -> None:
    """Users of whom nothing is left lose their ids, by whatever request; items keep theirs."""
    problem = EventProblem(estimator_orig)
    item, one = problem.item, USER_IDS[STRANGER]
    fan = USER_IDS[problem.cells[problem.cells[:, 1] == item][0, 0]]
    lonely = problem.columns.table([STRANGER], [item])
    start = fresh(estimator_orig).fit(problem.with_stranger(item))
    require(is_known(start, one), f"{name} must know every user that it was fitted on")
    for way, request in (
        ("its events", {"interactions": lonely}),
        ("its items", {"items": [ITEM_IDS[item]]}),
    ):
        model = copy.deepcopy(start).forget(**request)
        require_erased(model, one, f"{name}: the id of a user emptied by {way}")
        require(is_known(model, fan), f"{name} erased the id of a user who has other events")
    by_events = copy.deepcopy(start).forget(problem.of_item(item), users=one)
    for without_item in (model, by_events):
        listed = without_item.recommend(users=[fan], n_items=N_ITEMS)[problem.columns.item]
        require(
            ITEM_IDS[item] in listed.tolist(),
            f"{name} must be able to recommend a forgotten item again",
        )


@forget_check("ids")
def check_ids_are_not_shown(name: str, estimator_orig: Any) -> None:
    """No fitted id is in any text: of the model, its report, its errors, its warnings."""
    problem = EventProblem(estimator_orig)
    model = fresh(estimator_orig)
    ids = [str(one) for one in (*USER_IDS[: N_USERS + 1], *ITEM_IDS)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(_with_a_zero(problem))
        shown = {"representation": texts_of(model)}
        for what, passed, call in _bad_calls(model, problem):
            mine = [one for one in ids if one in passed]
            shown[f"error ({what})"] = [_without(mine, text) for text in error_texts(call)]
        model.forget(problem.table(problem.forgotten), users=[USER_IDS[problem.user]])
        shown["representation after forget"] = texts_of(model)
        report = model.forget_report_
        shown["report"] = [*_texts(report), repr(report.to_dict())]
    shown["warnings"] = [str(one.message) for one in caught]
    for where, texts in shown.items():
        n_found = sum(any(one in text for text in texts) for one in ids)
        require(n_found == 0, f"{name} shows {n_found} ids in its {where}")


def _with_a_zero(problem):
    """All events, and one that a recommender cannot learn from: what says so must not say whose."""
    events = problem.with_stranger(problem.item)
    value = problem.columns.value
    if value is not None:
        events[value][-1] = 0
    return events


def _without(ids, text):
    for one in ids:
        text = text.replace(one, "")
    return text


def texts_of(model):
    """Collect every text that a model, or an estimator that is part of it, shows of itself."""
    return [text for _, part in parts_of(model) for text in _texts(part)]


def _texts(one):
    texts = [repr(one), str(one)]
    for display in ("diagram", "text"):
        with config_context(display=display, print_changed_only=False):
            texts.append(repr(one))
            # Not shown as text is an AttributeError there.
            with contextlib.suppress(AttributeError):
                texts.append(one._repr_html_())
    return texts


def error_texts(call):
    """Return what a call that fails prints: its error, and those that led to it."""
    try:
        call()
    except Exception as error:
        # Not the lines of code that it passed: those are the caller's.
        return [line for line in traceback.TracebackException.from_exception(error).format()
                if not line.startswith("  File ")]  # fmt: skip
    return []


def _bad_calls(model, problem):
    """Yield what each does, the ids that it passes, as one text, and a call that fails."""
    user, item, value, _ = problem.columns
    stranger, strange_item = "nobody-at-all", 77_777_777
    strange = {user: [stranger], item: [strange_item]}
    extra = {} if value is None else {value: [1.5]}
    yield "unknown user", "", lambda: model.forget(users=[stranger])
    yield "unknown item", "", lambda: model.forget(items=[strange_item])
    yield "unknown event", "", lambda: model.forget(strange)
    yield "recommend", "", lambda: model.recommend(users=[stranger])
    yield "candidates", "", lambda: model.recommend(users=[stranger], candidates=[strange_item])
    yield "new users", "", lambda: model.recommend({**strange, **extra})
    yield "positions", "", lambda: model.recommend(users=[0])
    yield "pairs", "", lambda: model.predict_pairs(strange)
    for what, arguments, _ in invalid_requests(problem):
        yield what, repr(arguments), lambda arguments=arguments: model.forget(**arguments)
    # A fit is given all ids; that is no reason to print some of them.
    twin, events = copy.deepcopy(model), problem.events
    doubled = {key: np.append(column, column) for key, column in events.items()}
    yield "events twice", "", lambda: twin.fit(doubled)
    if value is not None:
        broken = np.full(len(events[user]), np.nan)
        yield "values", "", lambda: twin.fit({**events, value: broken})
    yield "mixed ids", "", lambda: twin.fit({**events, user: [*events[user][:-1], 7]})
    yield "missing id", "", lambda: twin.fit({**events, user: [*events[user][:-1], None]})


@forget_check("ids")
def check_ids_input_is_not_aliased(name: str, estimator_orig: Any) -> None:
    """Never write to a table; changing it after ``fit`` does not reach the model."""
    problem = EventProblem(estimator_orig)
    events = {key: column.copy() for key, column in problem.events.items()}
    request = problem.columns.table(*problem.forgotten.T)
    kept = joblib.hash([events, request])
    model = fresh(estimator_orig).fit(events).forget(request)
    new = problem.of_user(problem.user)
    model.recommend(new)
    require(joblib.hash([events, request]) == kept, f"{name} must not write to tables of events")
    scores = model.predict_pairs(problem.events).tolist()
    before = fingerprint(model)
    for column in (*events.values(), *request.values(), *new.values()):
        column[:] = column[::-1].copy()
    same = fingerprint(model) == before and model.predict_pairs(problem.events).tolist() == scores
    require(same, f"{name} must not hold on to the tables that it was given")
