"""The do-not-learn list: what was forgotten is found in data about to be learned."""

import copy
import pickle
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from sklearn_unlearn import EASE
from sklearn_unlearn.audit import (
    DeletionService,
    DoNotLearnError,
    DoNotLearnList,
    DoNotLearnWarning,
    StoreError,
    audit_residue,
    digest_of,
    generate_key,
    load,
    make_probe,
    save,
)
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder

KEY = generate_key()
USERS, ITEMS = ["al", "al", "bo", "cy", "cy"], ["tea", "jam", "tea", "jam", "rum"]


@pytest.fixture
def forgotten(url):
    made = DoNotLearnList(url, key=KEY)
    made.add(users=["al"], items=["rum"], interactions=[("bo", "tea")])
    yield made
    made._store.close()


def test_events_are_found_by_user_item_and_pair(forgotten):
    assert forgotten.blocked(USERS, ITEMS).tolist() == [True, True, True, False, True]
    frame = pd.DataFrame({"user": USERS, "item": ITEMS})
    kept = frame[~forgotten.blocked(frame["user"], frame["item"])]
    forgotten.check(kept["user"], kept["item"])
    assert len(kept) == 1


def test_check_refuses_or_warns_without_an_id(forgotten):
    with pytest.raises(DoNotLearnError, match="4 of 5 events were forgotten; expected none"):
        forgotten.check(USERS, ITEMS)
    with pytest.warns(DoNotLearnWarning, match="4 of 5 events were forgotten; expected none"):
        forgotten.check(USERS, ITEMS, action="warn")
    with pytest.raises(ValueError, match="expected 'raise' or 'warn'"):
        forgotten.check(USERS, ITEMS, action="ignore")


def test_adding_twice_changes_nothing_and_discarding_undoes(forgotten):
    assert len(forgotten) == 3
    forgotten.add(users=["al"], items=["rum"])
    assert len(forgotten) == 3
    forgotten.discard(users=["al"], interactions=[("bo", "tea")])
    assert forgotten.blocked(USERS, ITEMS).tolist() == [False] * 4 + [True]


def test_an_id_is_what_it_is_and_where_it_is(forgotten):
    forgotten.add(users=[7])
    assert forgotten.blocked([7, "7", 8], ["7", "x", 7]).tolist() == [True, False, False]
    assert forgotten.blocked(np.array([7, 8]), np.array([1, 7])).tolist() == [True, False]


def test_columns_of_other_lengths_are_refused(forgotten):
    with pytest.raises(ValueError, match="2 users and 1 items"):
        forgotten.blocked(["al", "bo"], ["tea"])


def test_no_id_can_be_read_or_guessed_without_the_key(tmp_path):
    other = generate_key()
    one = DoNotLearnList(tmp_path / "one.db", key=KEY)
    two = DoNotLearnList(tmp_path / "two.db", key=other)
    marks = []
    for each in (one, two):
        each.add(users=["unmistakable"])
        with each._store.reading() as connection:
            query = each._store.sql.select(each._store.tables.do_not_learn.c.mark)
            marks += connection.execute(query).scalars()
        each._store.close()
    assert len(set(marks)) == 2
    assert not any(b"unmistakable" in path.read_bytes() for path in tmp_path.iterdir())
    assert "unmistakable" not in repr(one)


# -- as the guard of an encoder ---------------------------------------------------------------
CLEAN = {"user": ["cy", "cy", "di", "di"], "item": ["jam", "tea", "jam", "gin"]}
BACK = {"user": ["eve", "al"], "item": ["tea", "gin"]}


def guarded(guard):
    return make_recommender_pipeline(InteractionEncoder(guard=guard), EASE(regularization=1.0))


ASK = {
    "fit": lambda model: model.fit(BACK),
    "fit_transform of the encoder": lambda model: model[0].fit_transform(BACK),
    "learn": lambda model: model.learn(BACK),
    "rectify": lambda model: model.rectify({"user": ["cy"], "item": ["tea"]}, BACK),
}


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
@pytest.mark.parametrize(
    "made", [lambda one: one, copy.deepcopy, copy.copy], ids=["one", "deep", "flat"]
)
def test_a_guarded_pipeline_refuses_what_comes_back_and_is_as_before(forgotten, ask, made):
    model = made(guarded(forgotten).fit(CLEAN))
    before = digest_of(model)
    with pytest.raises(DoNotLearnError, match="1 of 2 events were forgotten") as error:
        ask(model)
    assert "al" not in str(error.value).split()
    assert digest_of(model) == before
    model.learn({"user": ["eve"], "item": ["tea"]})
    assert len(model.recommend(users=["eve"], n_items=1)["item"]) == 1


@pytest.mark.parametrize("verb", ["fit", "learn"])
def test_a_guard_that_warns_lets_learn(url, verb):
    forgotten = DoNotLearnList(url, key=KEY, action="warn")
    forgotten.add(users=["al"])
    model = guarded(forgotten).fit(CLEAN)
    with pytest.warns(DoNotLearnWarning, match="1 of 2 events were forgotten"):
        getattr(model, verb)(BACK)
    assert len(model.recommend(users=["al"], n_items=1)["item"]) == 1
    forgotten._store.close()


def test_ids_are_asked_for_as_the_model_has_them(forgotten):
    forgotten.add(users=[7])
    column = pd.Categorical([7, 8, 8])
    for users in (np.array([7, 8, 8], np.int16), [7.0, 8.0, 8.0], column):
        frame = pd.DataFrame({"user": users, "item": ["a", "b", "c"]})
        with pytest.raises(DoNotLearnError, match="1 of 3 events"):
            guarded(forgotten).fit(frame)
        guarded(forgotten).fit(frame[1:])


def test_a_clone_is_guarded_by_the_same_list(forgotten):
    model = clone(guarded(forgotten).fit(CLEAN))
    assert model[0].get_params()["guard"] is forgotten
    with pytest.raises(DoNotLearnError):
        model.fit(BACK)
    assert "2 digests" not in repr(model) and "3 digests" in repr(model)


def in_pickle(model, path):
    path.write_bytes(pickle.dumps(model))
    return pickle.loads(path.read_bytes())


def in_skops(model, path):
    save(model, path)
    return load(path)


@pytest.mark.parametrize("stored", [in_pickle, in_skops])
def test_a_stored_model_holds_no_key_and_learns_nothing_until_it_is_guarded(
    forgotten, stored, tmp_path
):
    model = guarded(forgotten).fit(CLEAN)
    back = stored(model, tmp_path / "model")
    again = stored(back, tmp_path / "again")  # and so does a copy of what was loaded
    for path in (tmp_path / "model", tmp_path / "again"):
        assert KEY.encode() not in path.read_bytes() and b"DoNotLearn" not in path.read_bytes()
    assert digest_of(again) == digest_of(model) == digest_of(guarded(None).fit(CLEAN))
    for ask in (*ASK.values(), lambda model: clone(model).fit(CLEAN)):
        with pytest.raises(ValueError, match="guard of the InteractionEncoder was not stored"):
            ask(again)
    again.forget(users=["cy"])
    again.set_params(interactionencoder__guard=forgotten)
    with pytest.raises(DoNotLearnError):
        again.learn(BACK)
    again.set_params(interactionencoder__guard=None).learn(BACK)


def test_a_list_is_never_pickled(forgotten):
    with pytest.raises(TypeError, match="cannot be pickled; expected that its key stays"):
        pickle.dumps(forgotten)


def test_a_guard_whose_store_is_gone_refuses_and_can_still_be_shown(tmp_path):
    (tmp_path / "store").mkdir()
    forgotten = DoNotLearnList(tmp_path / "store" / "s.db", key=KEY)
    model = guarded(forgotten).fit(CLEAN)
    forgotten._store.close()
    shutil.rmtree(tmp_path / "store")
    assert "whose store cannot be read" in repr(model)
    before = digest_of(model)
    with pytest.raises(StoreError):
        model.learn(BACK)
    assert digest_of(model) == before


@pytest.mark.parametrize("guard", ["al", 3])
def test_what_cannot_be_asked_is_no_guard(guard):
    with pytest.raises(ValueError, match="'guard' parameter of InteractionEncoder"):
        guarded(guard).fit(CLEAN)


def test_a_service_fills_the_list_that_guards_its_model(url, tmp_path):
    forgotten = DoNotLearnList(url, key=KEY)
    model = guarded(forgotten).fit(CLEAN)
    path = tmp_path / "model.skops"
    service = DeletionService(model, tmp_path / "s.db", path, key=KEY, do_not_learn=forgotten)
    probe = make_probe(model, {"users": ["di"]})
    service.submit(users=["di"], request_id="one")
    assert service.flush().n_requests == 1
    with pytest.raises(DoNotLearnError, match="2 of 4 events"):
        clone(model).fit(CLEAN)
    assert audit_residue(model, probe, [path]).count == 0
    service.close()
    served = DeletionService(None, tmp_path / "s.db", path, key=KEY)
    assert served.is_current and len(served.recommend(users=["cy"], n_items=1)["item"]) == 1
    served.close()
    forgotten._store.close()
