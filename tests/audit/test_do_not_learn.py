"""The do-not-learn list: what was forgotten is found in data about to be learned."""

import numpy as np
import pandas as pd
import pytest

from sklearn_unlearn.audit import (
    DoNotLearnError,
    DoNotLearnList,
    DoNotLearnWarning,
    generate_key,
)

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
