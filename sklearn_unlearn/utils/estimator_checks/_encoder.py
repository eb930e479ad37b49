"""Checks of an encoder alone: ids to positions and back, and an id that is erased is gone."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.utils.estimator_checks._check_data import (
    N_ITEMS,
    N_USERS,
    fingerprint,
    require,
)
from sklearn_unlearn.utils.estimator_checks._id_traces import error_texts, texts_of
from sklearn_unlearn.utils.estimator_checks._ids import (
    INTEGER_USER_IDS,
    ITEM_IDS,
    STRANGER,
    USER_IDS,
    EventProblem,
    places_of_id,
    rows_of,
    table_kinds,
)
from sklearn_unlearn.utils.estimator_checks._registry import encoder_check

_SORTED_USERS = np.sort(USER_IDS[:N_USERS])
_STRANGE_ITEM = 77_777_777


@encoder_check
def check_encoder_round_trip(name: str, encoder_orig: Any) -> None:
    """Positions are those of the ids in ascending order, and lead back to the events."""
    problem = EventProblem(encoder_orig)
    encoder, events = clone(encoder_orig), problem.events
    X = encoder.fit_transform(events)
    users, items = encoder.encode_users(_SORTED_USERS), encoder.encode_items(np.sort(ITEM_IDS))
    ascending = np.array_equal(users, np.arange(N_USERS)) and np.array_equal(
        items, np.arange(N_ITEMS)
    )
    require(ascending, f"{name} must give positions in ascending order of the ids")
    require(
        encoder.get_feature_names_out().tolist() == sorted(ITEM_IDS.tolist()),
        f"{name}.get_feature_names_out must give the ids of items by position",
    )
    pairs = encoder.encode_pairs(events)
    require(pairs.shape == (len(problem.cells), 2), f"{name}.encode_pairs must give a row an event")
    values = events.get(problem.columns.value, np.ones(len(pairs)))
    require(
        X.shape == (N_USERS, N_ITEMS) and np.array_equal(X.toarray()[tuple(pairs.T)], values),
        f"{name} must put the value of an event where encode_pairs says",
    )
    require(abs(encoder.transform(events) - X).max() == 0, f"{name}.transform is not fit_transform")
    _check_way_back(name, encoder, problem, X, pairs)


def _check_way_back(name, encoder, problem, X, pairs):
    user, item, _, _ = problem.columns
    back = encoder.inverse_transform(X)
    found = set(zip(*(column.tolist() for column in back.values()), strict=True))
    values = X.toarray()[tuple(pairs.T)]
    events = (problem.events[user].tolist(), problem.events[item].tolist(), values.tolist())
    require(
        found == set(zip(*events, strict=True)),
        f"{name}.inverse_transform must give the events back",
    )
    decoded = encoder.decode_users(pairs[:, 0]), encoder.decode_items(pairs[:, 1])
    require(
        [ids.tolist() for ids in decoded] == list(events[:2]),
        f"{name}.decode_users and decode_items must undo encode_pairs",
    )
    loaded = pickle.loads(pickle.dumps(encoder))
    require(
        np.array_equal(loaded.encode_pairs(problem.events), pairs), f"{name} changes in a pickle"
    )


@encoder_check
def check_encoder_forgets_users(name: str, encoder_orig: Any) -> None:
    """``forget_users`` erases an id from memory and pickles, and moves no position."""
    problem = EventProblem(encoder_orig)
    for user_ids in (USER_IDS, INTEGER_USER_IDS):
        gone, left = user_ids[problem.user], np.delete(user_ids[:N_USERS], problem.user)
        encoder = clone(encoder_orig).fit(problem.table(problem.cells, user_ids))
        positions, n_users = encoder.encode_users(left), encoder.n_users_
        require(encoder.forget_users([gone]) is encoder, f"{name}.forget_users must return self")
        places = places_of_id(gone, encoder)
        require(not places, f"{name}: a forgotten id is still in {' and '.join(places)}")
        require(
            np.array_equal(encoder.encode_users(left), positions) and encoder.n_users_ == n_users,
            f"{name}.forget_users must leave every other position as it is",
        )
        rest = problem.table(problem.cells[problem.cells[:, 0] != problem.user], user_ids)
        row = set(range(N_USERS)) - set(positions.tolist())
        X = encoder.transform(rest)
        require(
            X.shape == (N_USERS, N_ITEMS) and abs(X.toarray()[sorted(row)]).max() == 0,
            f"{name} must leave the row of a forgotten user empty",
        )
        before = fingerprint(encoder)
        encoder.forget_users([gone], missing="ignore")
        require(fingerprint(encoder) == before, f"{name}.forget_users, repeated, changes something")
        _require_named(name, lambda e=encoder, one=gone: e.forget_users([one]), gone)


def _require_named(name, call, one):
    try:
        call()
    except UnknownInteractionError as error:
        require(
            str(one) in str(error), f"{name} must name the id that is unknown; it said: {error}"
        )
    else:
        raise AssertionError(
            f"{name} must raise UnknownInteractionError for an id it does not know"
        )


@encoder_check
def check_encoder_unknown_ids(name: str, encoder_orig: Any) -> None:
    """Unknown ids are named by an error, or left out and at -1 with ``unknown="ignore"``."""
    problem = EventProblem(encoder_orig)
    user = problem.columns.user
    strict = clone(encoder_orig).set_params(unknown="error").fit(problem.events)
    lenient = clone(encoder_orig).set_params(unknown="ignore").fit(problem.events)
    stranger = USER_IDS[STRANGER]
    events = {key: column[:2].copy() for key, column in problem.events.items()}
    events[user][0] = stranger
    for call, one in (
        (lambda: strict.encode_users([stranger]), stranger),
        (lambda: strict.encode_items([_STRANGE_ITEM]), _STRANGE_ITEM),
        (lambda: strict.encode_pairs(events), stranger),
        (lambda: strict.transform(events), stranger),
    ):
        _require_named(name, call, one)
    found = (
        lenient.encode_users([stranger, _SORTED_USERS[2]]).tolist(),
        lenient.encode_items([_STRANGE_ITEM]).tolist(),
        lenient.encode_pairs(events)[:, 0].tolist(),
    )
    place = lenient.encode_users(events[user][1:])[0]
    require(found == ([-1, 2], [-1], [-1, place]), f"{name} must give unknown ids the position -1")
    require(lenient.transform(events).nnz == 1, f"{name} must leave events of unknown ids out")
    ids, X = strict.transform_new_users(events)
    require(
        set(ids.tolist()) == set(events[user]) and X.shape == (2, N_ITEMS) and X.nnz == 2,
        f"{name}.transform_new_users must take users whom fit has not seen",
    )
    _require_named(name, lambda: strict.encode_users([stranger]), stranger)


@encoder_check
def check_encoder_shows_no_ids(name: str, encoder_orig: Any) -> None:
    """No id is in any text of an encoder, nor in an error of a call that did not pass it."""
    problem = EventProblem(encoder_orig)
    encoder, events = clone(encoder_orig).fit(problem.events), problem.events
    user, value = problem.columns.user, problem.columns.value
    ids = [str(one) for one in (*USER_IDS[:N_USERS], *ITEM_IDS)]
    shown = texts_of(encoder)
    encoder.forget_users([USER_IDS[problem.user]])
    X = np.ones((N_USERS, N_ITEMS))
    calls = (
        lambda: encoder.encode_users(["nobody-at-all"]),
        lambda: encoder.forget_users(["nobody-at-all"]),
        lambda: encoder.encode_users([1]),
        lambda: encoder.encode_items([_STRANGE_ITEM]),
        lambda: encoder.decode_users([problem.user, N_USERS]),
        lambda: encoder.decode_users(encoder.encode_users([None])),
        lambda: encoder.inverse_transform(X),
        lambda: encoder.inverse_transform(X[:2]),
        lambda: encoder.transform({}),
        lambda: encoder.fit({**events, user: [*events[user][:-1], 7]}),
        lambda: encoder.fit({**events, user: [*events[user][:-1], None]}),
        lambda: encoder.fit({**events, str(value): np.full(len(events[user]), np.nan)}),
    )
    shown += [text for call in calls for text in error_texts(call)]
    shown += texts_of(encoder)
    n_found = sum(any(one in text for text in shown) for one in ids)
    require(n_found == 0, f"{name} shows {n_found} ids")


@encoder_check
def check_encoder_order_and_kind_are_irrelevant(name: str, encoder_orig: Any) -> None:
    """Whatever the order of events and the kind of their table: one matrix."""
    problem = EventProblem(encoder_orig)
    reference = clone(encoder_orig).fit_transform(problem.events)
    order = np.random.RandomState(1).permutation(len(problem.cells))
    events = rows_of(problem.events, order)
    kept = copy.deepcopy(events)
    for kind, make in table_kinds():
        table, encoder = make(events), clone(encoder_orig)
        X = encoder.fit_transform(table)
        require(
            X.shape == reference.shape and abs(X - reference).max() == 0,
            f"{name} on shuffled events in a table of kind {kind} makes another matrix",
        )
        require(
            type(encoder.inverse_transform(X)) is type(table),
            f"{name}.inverse_transform must give back a table of kind {kind}",
        )
    same = all(np.array_equal(events[key], kept[key]) for key in kept)
    require(same, f"{name} must not write to tables of events")


@encoder_check
def check_encoder_failures_change_nothing(name: str, encoder_orig: Any) -> None:
    """Stay as it was, bit for bit, when ``fit`` or ``forget_users`` fails."""
    problem = EventProblem(encoder_orig)
    try:
        clone(encoder_orig).encode_users([USER_IDS[0]])
    except NotFittedError:
        pass
    else:
        raise AssertionError(f"{name}.encode_users before fit must raise NotFittedError")
    encoder = clone(encoder_orig).fit(problem.events)
    user, item, _, _ = problem.columns
    some = rows_of(problem.events, slice(50))
    for what, call in (
        ("fit without items", lambda: encoder.fit({user: some[user]})),
        ("fit on mixed ids", lambda: encoder.fit({**some, item: [*some[item][:-1], "a book"]})),
        ("fit on a missing id", lambda: encoder.fit({**some, item: [*some[item][:-1], None]})),
        ("forget_users of an unknown id", lambda: encoder.forget_users([USER_IDS[0], "nobody"])),
        ("forget_users of a position", lambda: encoder.forget_users([0])),
    ):
        before = fingerprint(encoder)
        try:
            call()
        except (TypeError, ValueError):
            require(fingerprint(encoder) == before, f"{name}.{what} failed, and changed something")
        else:
            raise AssertionError(f"{name}.{what} must raise TypeError or ValueError")
