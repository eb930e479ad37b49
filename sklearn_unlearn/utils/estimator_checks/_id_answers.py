"""Checks of answers in ids: the right users, unseen items, the caller's kind of table."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from sklearn_unlearn.utils.estimator_checks._check_data import (
    MAX_DIFFERENCE,
    N_ITEMS,
    N_USERS,
    fingerprint,
    fresh,
    require,
)
from sklearn_unlearn.utils.estimator_checks._ids import (
    ITEM_IDS,
    USER_IDS,
    EventProblem,
    is_known,
    places_of_id,
    rows_of,
    table_kinds,
)
from sklearn_unlearn.utils.estimator_checks._outcome import check_forget_everything
from sklearn_unlearn.utils.estimator_checks._registry import forget_check


@forget_check("ids", instead_of=check_forget_everything)
def check_ids_forget_everything(name: str, estimator_orig: Any) -> None:
    """Forget every user: no id and nothing to forget is left, and items can still be listed."""
    problem = EventProblem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.events)
    model.forget(users=USER_IDS[:N_USERS])
    known = [one for one in USER_IDS[:N_USERS] if is_known(model, one)]
    require(not known, f"{name} still knows {len(known)} users after forgetting all")
    require(
        not any(places_of_id(one, model) for one in USER_IDS[:3]),
        f"{name} still holds ids after forgetting all",
    )
    table = model.recommend(_stranger(problem), n_items=N_ITEMS, exclude_seen=False)
    _, item, score, _ = table
    complete = sorted(table[item].tolist()) == sorted(ITEM_IDS.tolist())
    require(
        complete and np.all(np.isfinite(table[score])),
        f"{name} must list all items to new users after forgetting all",
    )
    before = fingerprint(model)
    model.forget(items=ITEM_IDS, users=USER_IDS[:N_USERS], missing="ignore")
    require(fingerprint(model) == before, f"{name} has nothing left to forget")


def _stranger(problem, user=0):
    """Events of a known user under an id that is not known."""
    events = problem.of_user(user)
    return {
        **events,
        problem.columns.user: np.full(len(events[problem.columns.user]), "me", object),
    }


@forget_check("ids")
def check_ids_recommend_answers_in_ids(name: str, estimator_orig: Any) -> None:
    """List for each user, in the order asked, unseen items by the score of the pair."""
    problem = EventProblem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.events).forget(problem.table(problem.forgotten))
    users = [7, 2, 30, 7]
    table = model.recommend(users=USER_IDS[users], n_items=N_ITEMS)
    user, item, score, rank = table
    require([user, item] == list(problem.columns[:2]), f"{name}.recommend must name its columns")
    own = [_unseen(problem, one) for one in users]
    expected = [USER_IDS[one] for one, items in zip(users, own, strict=True) for _ in items]
    require(table[user].tolist() == expected, f"{name}.recommend lists other users than asked for")
    scores = model.predict_pairs({user: table[user], item: table[item]})
    require(
        _near(table[score], scores), f"{name}.recommend and {name}.predict_pairs score differently"
    )
    start = 0
    for items in own:
        part = rows_of(table, slice(start, start + len(items)))
        require(set(part[item].tolist()) == items, f"{name}.recommend must leave out seen items")
        ranked = part[rank].tolist() == list(range(1, len(items) + 1))
        require(
            ranked and np.all(np.diff(part[score]) <= 0), f"{name}.recommend must rank by score"
        )
        start += len(items)
    _check_options(name, model, problem)


def _unseen(problem, user):
    """Ids of the items of which a user has no event left."""
    seen = problem.dense[user] != 0
    seen[problem.forgotten[problem.forgotten[:, 0] == user, 1]] = False
    return set(ITEM_IDS[~seen].tolist())


def _check_options(name, model, problem):
    all_items = model.recommend(users=USER_IDS[4], n_items=N_ITEMS, exclude_seen=False)
    require(
        sorted(all_items[problem.columns.item].tolist()) == sorted(ITEM_IDS.tolist()),
        f"{name}.recommend(exclude_seen=False) must list every item",
    )
    chosen = ITEM_IDS[[8, 1, 20]]
    table = model.recommend(users=USER_IDS[4], candidates=chosen, exclude_seen=False)
    require(
        sorted(table[problem.columns.item].tolist()) == sorted(chosen.tolist()),
        f"{name}.recommend(candidates=...) must list the items that these ids name",
    )


def _near(one, other) -> bool:
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    # Single precision may sum in another order.
    return np.abs(one - other).max() <= 1e-5 * max(1.0, np.abs(other).max())


@forget_check("ids")
def check_ids_new_users_are_folded_in(name: str, estimator_orig: Any) -> None:
    """``recommend(events)`` serves users that ``fit`` never saw, and remembers nothing of them."""
    problem = EventProblem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.events)
    before = fingerprint(model)
    known = problem.of_user(3)
    both = {key: np.append(column, known[key]) for key, column in _stranger(problem).items()}
    table = model.recommend(both, n_items=N_ITEMS)
    require(fingerprint(model) == before, f"{name}.recommend(events) must change no bit")
    user, item, score, _ = table
    for one, place in (("me", 0), (USER_IDS[3], 3)):
        own = rows_of(table, np.flatnonzero(table[user] == one))
        require(
            set(own[item].tolist()) == set(ITEM_IDS[problem.dense[place] == 0].tolist()),
            f"{name}.recommend(events) must leave out the items of these events, and no others",
        )
        folded = _folded_rows(model, problem)
        if folded is not None:
            scores = folded[place][_places(own[item])]
            require(
                _near(own[score], scores), f"{name}.recommend(events) must be decision_function's"
            )
    require(
        table[user].tolist() == sorted(table[user].tolist()),
        f"{name}.recommend(events) must list users in ascending order",
    )
    require(not is_known(model, "me"), f"{name} must not learn users that it folds in")


def _places(ids):
    place = {one: number for number, one in enumerate(ITEM_IDS.tolist())}
    return [place[one] for one in ids.tolist()]


def _folded_rows(model, problem):
    """Score the training events as new rows, in the order of the checks' positions."""
    if not hasattr(model, "decision_function"):
        return None
    rows = np.argsort(np.argsort(USER_IDS[:N_USERS]))
    columns = np.argsort(np.argsort(ITEM_IDS))
    return model.decision_function(problem.events)[np.ix_(rows, columns)]


@forget_check("ids")
def check_ids_order_and_kind_are_irrelevant(name: str, estimator_orig: Any) -> None:
    """Whatever the order of events and the kind of their table: the same scores."""
    problem = EventProblem(estimator_orig)
    order = np.random.RandomState(1).permutation(len(problem.cells))
    cells = problem.forgotten
    start = fresh(estimator_orig).fit(problem.events)
    states = [_scores(start, problem)]
    states.append(_scores(start.forget(problem.table(cells)), problem))
    for kind, make in table_kinds():
        model = fresh(estimator_orig).fit(make(rows_of(problem.events, order)))
        what = f"{name} on shuffled events in a table of kind {kind}"
        require(_same(_scores(model, problem), states[0]), f"{what} scores differently")
        new = make(problem.of_user(problem.user))
        for table in (model.recommend(users=[USER_IDS[0]]), model.recommend(new)):
            require(type(table) is type(new), f"{what} must answer in such a table")
        model.forget(make(rows_of(problem.table(cells), slice(None, None, -1))))
        require(_same(_scores(model, problem), states[1]), f"{what} forgets differently")


@forget_check("ids")
def check_ids_request_forms(name: str, estimator_orig: Any) -> None:
    """Forget the same for an id given alone, in a list, an array, a set or a series."""
    problem = EventProblem(estimator_orig)
    start = fresh(estimator_orig).fit(problem.events)
    user, item = USER_IDS[problem.user], ITEM_IDS[problem.item]
    reference = _scores(copy.deepcopy(start).forget(users=[user], items=[item]), problem, user)
    forms = {
        "a single id": lambda one: one,
        "a scalar of NumPy": lambda one: np.array([one])[0],
        "a list": lambda one: [one],
        "a tuple with repeats": lambda one: (one, one),
        "an array": lambda one: np.array([one]),
        "an array of objects": lambda one: np.array([one], object),
        "a set": lambda one: {one},
    }
    for kind, make in table_kinds():
        if kind in ("pandas", "polars"):
            forms[f"a series of {kind}"] = lambda one, make=make: make({"id": [one]})["id"]
    for form, make in forms.items():
        model = copy.deepcopy(start).forget(users=make(user), items=make(int(item)))
        require(
            _same(_scores(model, problem, user), reference),
            f"{name}.forget with {form} for users and items forgets something else",
        )


def _scores(model, problem, forgotten=None):
    """Scores of all events, those of a forgotten user left out."""
    keep = problem.events[problem.columns.user] != forgotten
    return model.predict_pairs(rows_of(problem.events, keep))


def _same(one, other) -> bool:
    return np.abs(one - other).max() <= MAX_DIFFERENCE * max(1.0, np.abs(other).max())
