"""Requests in ids: every form, checked in full, named in the caller's words."""

import pickle
from uuid import UUID

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder
from tests.pipeline.events import MODELS, item_id, make_events, pipeline_of, select, user_id

EVENTS = make_events()
FITTED = pickle.dumps(pipeline_of().fit(EVENTS))
ONE = {name: column[:1] for name, column in EVENTS.items()}
UNSEEN = next(
    (user, item)
    for user in np.unique(EVENTS["who"])
    for item in np.unique(EVENTS["what"])
    if not ((EVENTS["who"] == user) & (EVENTS["what"] == item)).any()
)


def fitted():
    return pickle.loads(FITTED)


BAD = {
    "nothing": ({}, ValueError, "nothing was passed"),
    "unknown user": ({"users": ["stranger"]}, UnknownInteractionError, "user 'stranger'"),
    "unknown item": ({"items": [12]}, UnknownInteractionError, "item '12'"),
    "unknown pair": (
        {"interactions": {"who": [UNSEEN[0]], "what": [UNSEEN[1]]}},
        UnknownInteractionError,
        "row 0 of the events",
    ),
    "unknown id in an event": (
        {"interactions": {"who": [ONE["who"][0], "no"], "what": [ONE["what"][0]] * 2}},
        UnknownInteractionError,
        "row 1 of the events",
    ),
    "one good part": (
        {"users": [user_id(0)], "items": [12, 13]},
        UnknownInteractionError,
        "item '12', item '13'",
    ),
    "wrong type of id": ({"users": [3]}, TypeError, "of type int; expected str"),
    "no table": ({"interactions": 3}, TypeError, "expected a pandas"),
    "no column": ({"interactions": {"who": ["a"]}}, ValueError, "no column 'what'"),
    "no list": ({"users": {"who": 1}.items}, TypeError, "one-dimensional"),
    "missing": ({"users": ["x"], "missing": "skip"}, ValueError, "missing is 'skip'"),
    "boolean": ({"users": True}, TypeError, "Got bool"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests_change_nothing(name):
    request, error, match = BAD[name]
    pipeline = fitted()
    before = joblib.hash(pipeline)
    with pytest.raises(error, match=match):
        pipeline.forget(**request)
    assert joblib.hash(pipeline) == before


@pytest.mark.parametrize(
    "request_", [{"interactions": ONE}, {"users": user_id(1)}, {"items": item_id(1)}]
)
def test_a_repeated_request_is_an_error_or_nothing(request_):
    pipeline = fitted().forget(**request_)
    before = joblib.hash(pipeline)
    with pytest.raises(UnknownInteractionError, match="has forgotten"):
        pipeline.forget(**request_)
    assert joblib.hash(pipeline) == before
    assert pipeline.forget(**request_, missing="ignore") is pipeline
    assert joblib.hash(pipeline) == before


@pytest.mark.parametrize("unknown", ["error", "ignore"])
def test_missing_decides_and_not_the_encoder(unknown):
    pipeline = pipeline_of(unknown=unknown).fit(EVENTS)
    with pytest.raises(UnknownInteractionError, match="user 'stranger'"):
        pipeline.forget(users=[user_id(0), "stranger"])
    pipeline.forget(users=[user_id(0), "stranger"], missing="ignore")
    assert pipeline.forget_report_.n_users == 1
    assert pipeline[0].unknown == unknown


def test_an_empty_request_is_a_request():
    pipeline = fitted()
    before = joblib.hash(pipeline)
    pipeline.forget({"who": [], "what": []}, users=[], items=[])
    assert joblib.hash(pipeline) == before


def test_forms_of_one_request_agree():
    reference = joblib.hash(fitted().forget(users=[user_id(3)])[-1].item_factors_)
    of_user = select(EVENTS, EVENTS["who"] == user_id(3))
    reverse = {name: column[::-1] for name, column in of_user.items()}
    twice = {name: np.tile(column, 2) for name, column in of_user.items()}
    for request in (
        {"users": user_id(3)},
        {"users": (user_id(3),)},
        {"users": {user_id(3)}},
        {"users": np.array([user_id(3)] * 2)},
        {"interactions": of_user},
        {"interactions": reverse},
        {"interactions": twice},
        {"interactions": of_user, "users": [user_id(3)]},
    ):
        pipeline = fitted().forget(**request)
        assert joblib.hash(pipeline[-1].item_factors_) == reference
        assert pipeline.forget_report_.n_interactions == len(of_user["who"])


@pytest.mark.parametrize(
    "hold",
    [
        pd.Index,
        pd.array,
        pd.Categorical,
        pl.Series,
        pa.array,
        lambda ids: dict.fromkeys(ids).keys(),
    ],
    ids=["Index", "array", "Categorical", "polars", "pyarrow", "keys"],
)
def test_every_verb_takes_ids_in_whatever_holds_them(hold):
    users, items = [user_id(3), user_id(8)], [item_id(2), item_id(5), item_id(4)]
    found, expected = (
        fitted().recommend(users=make(users), n_items=2, candidates=make(items))
        for make in (hold, list)
    )
    assert {name: list(column) for name, column in found.items()} == {
        name: list(column) for name, column in expected.items()
    }
    found, expected = (
        fitted().forget(users=make(users), items=make(items)) for make in (hold, list)
    )
    assert joblib.hash(found[-1].item_factors_) == joblib.hash(expected[-1].item_factors_)
    with pytest.raises(UnknownInteractionError, match="user 'nobody'") as caught:
        found.forget(users=hold(["nobody"]), items=hold(items))
    assert f"item '{items[0]}'" in str(caught.value)


def test_a_scalar_of_pyarrow_is_a_single_id():
    table = fitted().recommend(users=pa.scalar(user_id(3)), n_items=1)
    assert list(table["who"]) == [user_id(3)]


def test_an_event_names_its_cell_whatever_its_value():
    repeated = {name: np.append(column, column[:1]) for name, column in EVENTS.items()}
    pipeline = pipeline_of("squared").fit(repeated)
    pipeline.forget(dict(ONE, stars=[0.25]))
    rest = {name: column[1:] for name, column in EVENTS.items()}
    refit = pipeline_of("squared").fit(rest)
    assert pipeline.forget_report_.n_interactions == 1
    start = pipeline_of("squared").fit(repeated).predict_pairs(rest)
    target = refit.predict_pairs(rest)
    left = np.linalg.norm(pipeline.predict_pairs(rest) - target)
    assert left <= 0.02 * np.linalg.norm(start - target)


def test_messages_show_no_ids_but_those_that_were_passed():
    pipeline = fitted()
    ids = {*EVENTS["who"].tolist(), *map(str, EVENTS["what"].tolist())}
    for request, error, _ in BAD.values():
        with pytest.raises(error) as caught:
            pipeline.forget(**request)
        passed = {str(one) for part in ("users", "items") for one in _listed(request.get(part))}
        assert not any(one in str(caught.value) for one in ids - passed)


def _listed(ids):
    return ids if isinstance(ids, list) else []


@pytest.mark.parametrize(
    "make",
    [lambda n: UUID(int=n * 7919), lambda n: n * 7919, lambda n: np.int64(n * 7919)],
    ids=["uuid", "int", "int64"],
)
def test_a_single_id_of_any_type_needs_no_list(make):
    known = {name: np.unique(EVENTS[name], return_inverse=True)[1] for name in ("who", "what")}
    events = {name: [make(code + 1) for code in codes] for name, codes in known.items()}
    pipeline = make_recommender_pipeline(InteractionEncoder("who", "what"), MODELS["als"][0])
    pipeline.fit(events).forget(users=make(3), items=make(4))
    assert pipeline.forget_report_.n_users >= 1
    with pytest.raises(UnknownInteractionError):
        pipeline.recommend(users=make(3))
