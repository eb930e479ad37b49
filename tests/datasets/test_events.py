"""Events: a table of columns, and of rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold, KFold, cross_val_score, train_test_split

from sklearn_unlearn import ALS
from sklearn_unlearn.datasets import Events, make_interactions
from sklearn_unlearn.metrics import get_ranking_scorer
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder


def test_events_behave_like_columns():
    events = Events(np.array([1, 2]), np.array(["a", "b"], object), np.array([3.0, 4.0]))
    assert dict(events).keys() == {"user", "item", "value"}
    assert len(events) == 2
    frame = events.to_pandas()
    assert list(frame.columns) == ["user", "item", "value"]
    assert frame["item"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(
        InteractionEncoder(value="value").fit_transform(frame).toarray(), [[3, 0], [0, 4]]
    )
    secret = Events(np.array(["mallory"], object), np.array(["x"], object), np.ones(1), np.ones(1))
    assert repr(secret) == "<Events: 1 events with timestamps>"
    with pytest.raises(AttributeError):
        events.user = None
    for wrong in (np.ones(3), np.ones((2, 1))):
        with pytest.raises(ValueError, match=r"Got columns of shapes .*; expected .*\. Pass"):
            Events(events.user, events.item, wrong)


ROWS = {
    "positions": np.array([3, 0, 3]),
    "list": [2, 1],
    "negative": np.array([-1]),
    "mask": np.arange(7) % 2 == 0,
    "list of bool": [True] * 3 + [False] * 4,
    "series": pd.Series([4, 5]),
    "slice": slice(1, 6, 2),
    "none": [],
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("times", [None, np.arange(7) * 10])
def test_rows_of_events_are_those_of_a_frame(rows, times):
    events = Events(np.arange(7) + 5, np.array(list("abcabca"), object), np.arange(7.0), times)
    frame = events.to_pandas()
    expected = frame.iloc[rows.tolist() if isinstance(rows, pd.Series) else rows]
    found = events[rows]
    assert type(found) is Events and found.shape == expected.shape
    for name in frame.columns:
        assert found[name].dtype == events[name].dtype
        assert found[name].tolist() == expected[name].tolist()


@pytest.mark.parametrize("key", [0, np.int64(3), None, (0, 1), np.eye(2, dtype=int), [0.5]])
def test_other_keys_of_events_are_refused(key):
    events = Events(np.arange(3), np.arange(3), np.ones(3))
    with pytest.raises(TypeError, match="one-dimensional array of positions"):
        events[key]
    with pytest.raises(KeyError, match=r"no column 'stars'; expected one of .*'value'"):
        events["stars"]


def test_splitters_and_searches_take_events_as_they_take_a_frame():
    events = make_interactions(40, 25, feedback="implicit", return_events=True, random_state=0)
    model = make_recommender_pipeline(
        InteractionEncoder(value="value"), ALS(20, regularization=4.0, alpha=5.0, random_state=0)
    )
    scorer = get_ranking_scorer("ndcg@10")
    for cv, groups in ((KFold(2, shuffle=True, random_state=0), None), (GroupKFold(2), "user")):
        found, expected = (
            cross_val_score(
                model, X, cv=cv, scoring=scorer, groups=None if groups is None else X[groups]
            )
            for X in (events, events.to_pandas())
        )
        assert found.tolist() == expected.tolist() and found.min() > 0.2
    train, test = train_test_split(events, test_size=0.25, random_state=0)
    assert len(train) + len(test) == len(events) and len(test) == -(-len(events) // 4)
