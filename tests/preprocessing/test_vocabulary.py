"""Vocabularies are stored compactly, and what is stored is checked."""

import pickle

import numpy as np
import pytest

from sklearn_unlearn.preprocessing import InteractionEncoder

TEXTS = ["", "a\nb", "a", "é", "😀 b", "\ud800", "zz\0", "日本" * 40]


def vocabulary_of(users):
    return InteractionEncoder().fit({"user": users, "item": [1] * len(users)})._users


@pytest.mark.parametrize("users", [TEXTS, ["only"], [b"a", b"b"], [3, 1], [(1, "a"), (2, "b")]])
def test_ids_come_back_from_a_pickle(users):
    found = vocabulary_of(users)
    loaded = pickle.loads(pickle.dumps(found))
    assert loaded.ids.tolist() == found.ids.tolist() and loaded.ids.dtype == found.ids.dtype
    assert loaded.positions.tolist() == found.positions.tolist()


def test_no_ids_are_left_of_a_vocabulary_that_was_emptied():
    emptied = vocabulary_of(TEXTS).without(np.arange(len(TEXTS)))
    loaded = pickle.loads(pickle.dumps(emptied))
    assert loaded.ids.shape == (0,) and loaded.ids.dtype == object and loaded.size == len(TEXTS)


def test_text_is_stored_in_one_piece():
    state = vocabulary_of([f"user {n}" for n in range(1000)]).__getstate__()
    assert len(state["ids"]["text"]) == len("\n".join(f"user {n}" for n in range(1000)))


@pytest.mark.parametrize(
    "change",
    [
        {"text": None},
        {"ends": np.array([1.0])},
        {"ends": np.array([4, 1, 6])},
        {"ends": np.array([2, 4, 99])},
        {"ends": np.array([], int)},
        {"ends": np.array([[1, 4, 6]])},
        {"text": np.full(4, 255, np.uint8)},
        {"ends": np.array([-5, 4, 6])},
    ],
)
def test_damaged_text_is_refused(change):
    found = vocabulary_of(["a", "bb", "c"])
    state = found.__getstate__()
    state["ids"] = {**state["ids"], **change}
    with pytest.raises(ValueError, match=r"the loaded Vocabulary is damaged: (its text|text|ends)"):
        object.__new__(type(found)).__setstate__(state)
