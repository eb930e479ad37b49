"""Splitters of events against loops over lists, and inside scikit-learn's own functions."""

from collections import defaultdict

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, check_cv, cross_val_score

from sklearn_unlearn import ALS
from sklearn_unlearn.datasets import Events, make_interactions
from sklearn_unlearn.metrics import get_ranking_scorer
from sklearn_unlearn.model_selection import (
    LeaveKOut,
    LeaveUsersOut,
    TemporalSplit,
    split_interactions,
)
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder

tables = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 9)), min_size=2, max_size=40)


def as_dict(rows):
    users, times = zip(*rows, strict=True)
    return {"user": list(users), "timestamp": list(times)}


def by_user(rows):
    """Rows of each user, latest last."""
    found = defaultdict(list)
    for place, (user, _) in enumerate(rows):
        found[user].append(place)
    return {
        user: sorted(places, key=lambda place: (rows[place][1], place))
        for user, places in found.items()
    }


def check_parts(train, test, n):
    assert train.dtype == test.dtype == np.int64
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(n))
    assert np.all(np.diff(train) > 0) and np.all(np.diff(test) > 0)


@given(tables, st.integers(1, 3))
def test_last_k_of_each_user_are_held_out(rows, k):
    histories = by_user(rows)
    expected = [place for h in histories.values() if len(h) > k for place in h[-k:]]
    splitter = LeaveKOut(k, timestamp="timestamp")
    if not expected:
        with pytest.raises(ValueError, match=f"no user has more than k={k} events"):
            next(splitter.split(as_dict(rows)))
        return
    [(train, test)] = splitter.split(as_dict(rows))
    check_parts(train, test, len(rows))
    assert test.tolist() == sorted(expected)


@given(tables, st.integers(1, 2), st.integers(0, 99))
def test_k_random_events_of_each_user_are_held_out(rows, k, seed):
    histories = by_user(rows)
    if max(map(len, histories.values())) <= k:
        return
    splits = list(LeaveKOut(k, n_splits=3, random_state=seed).split(as_dict(rows)))
    again = list(LeaveKOut(k, n_splits=3, random_state=seed).split(as_dict(rows)))
    for (train, test), (_, same) in zip(splits, again, strict=True):
        check_parts(train, test, len(rows))
        np.testing.assert_array_equal(test, same)
        for history in histories.values():
            held = len(set(history) & set(test.tolist()))
            assert held == (k if len(history) > k else 0)


def test_every_event_is_as_likely_to_be_held_out():
    events = {"user": ["a"] * 5}
    counts = np.zeros(5)
    for _, test in LeaveKOut(n_splits=5000, random_state=0).split(events):
        counts[test] += 1
    # 5000 draws of probability 1/5: four standard deviations are 113.
    assert np.abs(counts - 1000).max() < 115


@given(tables, st.floats(0.05, 0.95))
def test_one_time_divides_the_table(rows, share):
    times = [time for _, time in rows]
    border = sorted(times)[-max(round(share * len(rows)), 1)]
    expected = [place for place, time in enumerate(times) if time >= border]
    splitter = TemporalSplit(share)
    if len(expected) == len(rows):
        with pytest.raises(ValueError, match="leaves the training part empty"):
            next(splitter.split(as_dict(rows)))
        return
    [(train, test)] = splitter.split(as_dict(rows))
    check_parts(train, test, len(rows))
    assert test.tolist() == expected
    assert max(times[place] for place in train) < min(times[place] for place in test)


@given(tables, st.floats(0.05, 0.95))
def test_a_time_for_each_user_divides_its_events(rows, share):
    expected = []
    for history in by_user(rows).values():
        n_test = min(max(round(share * len(history)), 1), len(history) - 1)
        expected += history[len(history) - n_test :]
    splitter = TemporalSplit(share, per_user=True)
    if not expected:
        with pytest.raises(ValueError, match="leaves the test part empty"):
            next(splitter.split(as_dict(rows)))
        return
    [(train, test)] = splitter.split(as_dict(rows))
    check_parts(train, test, len(rows))
    assert test.tolist() == sorted(expected)


@given(tables, st.integers(2, 5), st.integers(0, 99))
def test_users_are_in_one_part_each(rows, n_splits, seed):
    users = np.array([user for user, _ in rows])
    splitter = LeaveUsersOut(n_splits, random_state=seed)
    if len(set(users)) < n_splits:
        with pytest.raises(ValueError, match="expected a user for each part"):
            next(splitter.split(as_dict(rows)))
        return
    seen, sizes = [], []
    for train, test in splitter.split(as_dict(rows)):
        check_parts(train, test, len(rows))
        assert not set(users[train]) & set(users[test])
        seen += test.tolist()
        sizes.append(len(set(users[test])))
    assert sorted(seen) == list(range(len(rows)))
    assert max(sizes) - min(sizes) <= 1


ROWS = [("b", 3), ("a", 5), ("b", 1), ("b", 3), ("a", 2), ("c", 9)]
FRAME = pd.DataFrame(ROWS, columns=["user", "timestamp"])


def kinds():
    users, times = FRAME["user"].to_numpy(object), FRAME["timestamp"].to_numpy()
    ones = np.ones(len(ROWS))
    yield "pandas", FRAME
    yield "polars", pl.DataFrame(as_dict(ROWS))
    yield "arrow", pl.DataFrame(as_dict(ROWS)).to_arrow()
    yield "datetimes", FRAME.assign(timestamp=pd.to_datetime(FRAME["timestamp"], unit="D"))
    yield "Events", Events(users, users, ones, times)
    yield "array", np.column_stack([users, users, ones.astype(object), times.astype(object)])
    yield "numbers", np.column_stack([np.unique(users, return_inverse=True)[1]] * 3 + [times])


@pytest.mark.parametrize("table", [pytest.param(one, id=name) for name, one in kinds()])
def test_all_kinds_of_tables_are_split_alike(table):
    [(_, test)] = LeaveKOut(timestamp="timestamp").split(table)
    assert test.tolist() == [1, 3]
    [(_, test)] = TemporalSplit(0.3).split(table)
    assert test.tolist() == [1, 5]
    [(_, test)] = TemporalSplit(0.4, per_user=True).split(table)
    assert test.tolist() == [1, 3]
    parts = [test.tolist() for _, test in LeaveUsersOut(3, random_state=0).split(table)]
    assert sorted(parts) == [[0, 2, 3], [1, 4], [5]]


def test_they_are_splitters_of_scikit_learn():
    matrix = make_interactions(40, 25, feedback="implicit", random_state=0)
    users, items = np.nonzero(matrix.toarray())
    times = np.random.default_rng(0).permutation(len(users))
    events = pd.DataFrame({"user": users, "item": items, "timestamp": times})
    pipeline = make_recommender_pipeline(
        InteractionEncoder(unknown="ignore"), ALS(4, regularization=10.0, random_state=0)
    )
    scorer = get_ranking_scorer("recall@5")
    for splitter in (
        LeaveKOut(timestamp="timestamp"),
        LeaveKOut(2, n_splits=2, random_state=0),
        TemporalSplit(0.2, per_user=True),
        LeaveUsersOut(3, random_state=0),
    ):
        assert check_cv(splitter) is splitter
        found = cross_val_score(pipeline, events, cv=splitter, scoring=scorer)
        expected = [
            scorer(clone(pipeline).fit(events.iloc[train]), events.iloc[test])
            for train, test in splitter.split(events)
        ]
        np.testing.assert_array_equal(found, expected)
        assert len(found) == splitter.get_n_splits()
    assert repr(LeaveKOut(2)) == (
        "LeaveKOut(k=2, n_splits=1, random_state=None, timestamp=None, user='user')"
    )
    grid = {"als__regularization": [1.0, 30.0]}
    search = GridSearchCV(pipeline, grid, scoring=scorer, cv=LeaveKOut(random_state=0))
    assert search.fit(events).cv_results_["mean_test_score"].shape == (2,)


def test_a_matrix_is_split_by_a_splitter_of_events():
    X = make_interactions(20, 15, random_state=0)
    train, test = split_interactions(X, cv=LeaveKOut(2, random_state=0))
    np.testing.assert_array_equal((train + test).toarray(), X.toarray())
    degrees = np.diff(X.indptr)
    np.testing.assert_array_equal(np.diff(test.indptr), np.where(degrees > 2, 2, 0))
    train, test = split_interactions(X, cv=LeaveUsersOut(4, random_state=0))
    assert not np.any((np.diff(train.indptr) > 0) & (np.diff(test.indptr) > 0))
    train, test = split_interactions(X, cv=KFold(5, shuffle=True, random_state=0))
    assert test.nnz == int(np.ceil(X.nnz / 5))
    with pytest.raises(TypeError, match="cv is a int; expected a splitter"):
        split_interactions(X, cv=5)
    with pytest.raises(ValueError, match="no column 'timestamp'"):
        split_interactions(X, cv=TemporalSplit())


@pytest.mark.parametrize(
    ("splitter", "table", "error", "message"),
    [
        (LeaveKOut(0), FRAME, ValueError, "k=0; expected at least 1"),
        (LeaveKOut(1.0), FRAME, TypeError, "k=1.0; expected an integer"),
        (LeaveKOut(n_splits=2, timestamp="timestamp"), FRAME, ValueError, "expected 1, as the"),
        (LeaveKOut(timestamp="when"), FRAME, ValueError, "no column 'when'"),
        (LeaveKOut(user="who"), FRAME, ValueError, "no column 'who'"),
        (LeaveKOut(), FRAME[:0], ValueError, "the table has no event"),
        (LeaveKOut(), make_interactions(5, 5), TypeError, "whole users. Call split_interactions"),
        (LeaveUsersOut(1), FRAME, ValueError, "n_splits=1; expected at least 2"),
        (TemporalSplit(1), FRAME, ValueError, "test_size=1; expected a share"),
        (TemporalSplit("x"), FRAME, TypeError, "test_size='x'; expected a number"),
        (TemporalSplit(), np.ones((3, 2), int), ValueError, "expected 4, the last of which"),
        (
            TemporalSplit(),
            FRAME.assign(timestamp=[None, *"abcde"]),
            TypeError,
            "expected integers, floats or datetimes",
        ),
        (
            TemporalSplit(),
            FRAME.assign(timestamp=[np.nan, 1, 2, 3, 4, 5]),
            ValueError,
            "1 times are missing",
        ),
    ],
)
def test_bad_arguments_are_refused(splitter, table, error, message):
    with pytest.raises(error, match=message):
        next(splitter.split(table))
