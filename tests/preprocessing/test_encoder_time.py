"""`timestamp`: which event is the last one, and which times are none."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_unlearn.datasets import Events
from sklearn_unlearn.preprocessing import InteractionEncoder

START = datetime(2024, 2, 29, 23, 59, 59, 999_999)
ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 4), st.floats(0.5, 9)),
    min_size=1,
    max_size=25,
)


def moments(hours, zone=None):
    return [(START + timedelta(hours=h)).replace(tzinfo=zone) for h in hours]


def paris(hours):
    return pl.Series(moments(hours)).dt.replace_time_zone("Europe/Paris")


# Columns of times by the hour; some of them in units of which a float64 would lose the last bits.
TIMES = {
    "list": list,
    "list of floats": lambda hours: [h / 4 for h in hours],
    "large integers": lambda hours: [2**62 + h for h in hours],
    "list of datetimes": moments,
    "list of aware datetimes": lambda hours: moments(hours, UTC),
    "list of dates": lambda hours: [date(2024, 1, 1) + timedelta(days=h) for h in hours],
    "list of datetime64": lambda hours: [np.datetime64(2**60 + h, "ns") for h in hours],
    "int8": lambda hours: np.array(hours, np.int8),
    "uint64": lambda hours: np.array([2**63 + h for h in hours], np.uint64),
    "datetime64": lambda hours: np.array([2**60 + h for h in hours], "datetime64[ns]"),
    "timedelta64": lambda hours: np.array(hours, "timedelta64[D]"),
    "objects": lambda hours: np.array(moments(hours), object),
    "pandas": lambda hours: pd.Series(moments(hours)),
    "pandas, zone": lambda hours: pd.Series(moments(hours)).dt.tz_localize("Asia/Tokyo"),
    "pandas, nullable": lambda hours: pd.Series([2**60 + h for h in hours], dtype="Int64"),
    "pandas, objects": lambda hours: pd.Series(moments(hours), dtype=object),
    "pandas, arrow": lambda hours: pd.Series(moments(hours), dtype="timestamp[us][pyarrow]"),
    "polars": lambda hours: pl.Series(moments(hours)),
    "polars, zone": paris,
    "polars, dates": lambda hours: pl.Series([date(2024, 1, 1 + h) for h in hours]),
    "polars, integers": lambda hours: pl.Series([2**62 + h for h in hours]),
    "pyarrow": lambda hours: pa.chunked_array([pa.array(moments(hours), pa.timestamp("ns"))]),
    "pyarrow, zone": lambda hours: pa.chunked_array(
        [pa.array(moments(hours, UTC), pa.timestamp("us", "UTC"))]
    ),
}


def last_in_time(rows):
    """The value of each cell, by the definition."""
    found = {}
    for user, item, time, value in rows:
        if (user, item) not in found or time >= found[user, item][0]:
            found[user, item] = (time, value)
    return {cell: value for cell, (_, value) in found.items()}


def as_dict(encoder, X):
    events = encoder.inverse_transform(X)
    return dict(zip(zip(events["user"], events["item"], strict=True), events["v"], strict=True))


@pytest.mark.parametrize("kind", TIMES)
def test_the_last_event_in_time_counts(kind):
    @settings(max_examples=40)
    @given(ROWS)
    def check(rows):
        users, items, hours, values = map(list, zip(*rows, strict=True))
        table = {"user": users, "item": items, "when": TIMES[kind](hours), "v": values}
        encoder = InteractionEncoder(value="v", duplicates="last", timestamp="when")
        X = encoder.fit_transform(table)
        assert as_dict(encoder, X) == last_in_time(rows)
        assert as_dict(encoder, encoder.transform(table)) == last_in_time(rows)
        ids, Y = encoder.transform_new_users(table)
        assert ids.tolist() == sorted(set(users))
        assert (X != Y).nnz == 0
        backwards = {name: column[::-1] for name, column in table.items()}
        if len({row[:3] for row in rows}) == len(rows):
            assert as_dict(encoder, encoder.fit_transform(backwards)) == last_in_time(rows)

    check()


FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table, "dict": dict}
TABLE = {
    "user": ["a", "a", "b", "a"],
    "item": ["x", "x", "x", "x"],
    "v": [1.0, 2.0, 3.0, 4.0],
    "when": [5, 9, 0, 9],
}


@pytest.mark.parametrize("frame", FRAMES)
def test_ties_go_to_the_later_row(frame):
    encoder = InteractionEncoder(value="v", duplicates="last", timestamp="when")
    assert encoder.fit_transform(FRAMES[frame](TABLE)).toarray().tolist() == [[4], [3]]
    early = {**TABLE, "when": [5, 9, 0, 8]}
    assert encoder.transform(FRAMES[frame](early)).toarray().tolist() == [[2], [3]]
    encoder.set_params(timestamp=None)
    assert encoder.transform(FRAMES[frame](early)).toarray().tolist() == [[4], [3]]


def test_unknown_events_are_left_out_in_the_order_of_time():
    encoder = InteractionEncoder(value="v", duplicates="last", timestamp="when", unknown="ignore")
    encoder.fit({"user": ["a"], "item": ["x"], "v": [1.0], "when": [0]})
    table = {**TABLE, "when": [9, 3, 1, 5], "item": ["x", "x", "x", "z"]}
    assert encoder.transform(table).toarray().tolist() == [[1]]
    ids, X = encoder.transform_new_users(table)
    assert ids.tolist() == ["a", "b"] and X.toarray().tolist() == [[1], [3]]


@pytest.mark.parametrize("duplicates", ["sum", "max", "error"])
def test_other_rules_do_not_read_times_but_want_the_column(duplicates):
    table = {"user": [1, 2], "item": [1, 2], "when": [None, "nonsense"]}
    encoder = InteractionEncoder(duplicates=duplicates, timestamp="when")
    assert encoder.fit_transform(table).nnz == 2
    for call in (encoder.fit, encoder.transform, encoder.transform_new_users):
        with pytest.raises(ValueError, match=r"no column 'when'; expected the columns .*Rename"):
            call({"user": [1], "item": [1]})
    assert encoder.encode_pairs({"user": [1], "item": [2]}).tolist() == [[0, 1]]


MISSING = {
    "list": [1, None, 3],
    "floats": [1.0, float("nan"), 3.0],
    "float array": np.array([1.0, np.nan, 3.0]),
    "datetime64": np.array(["2020-01-01", "NaT", "2021-01-01"], "datetime64[s]"),
    "datetimes": [START, None, START],
    "pandas times": [pd.Timestamp(START), pd.NaT, pd.Timestamp(START)],
    "pandas objects": np.array([1, pd.NA, 3], object),
    "pandas": pd.Series([START, None, START]),
    "pandas, nullable": pd.Series([1, None, 3], dtype="Int64"),
    "pandas, floats": pd.Series([1.0, None, 3.0]),
    "polars": pl.Series([1, None, 3]),
    "polars, NaN": pl.Series([1.0, float("nan"), 3.0]),
    "pyarrow": pa.chunked_array([[START], [None, START]]),
}


@pytest.mark.parametrize("kind", MISSING)
def test_missing_times_are_errors_with_their_row(kind):
    encoder = InteractionEncoder(duplicates="last", timestamp="when")
    table = {"user": [1, 2, 3], "item": [1, 2, 3], "when": MISSING[kind]}
    message = (
        r"'when' is missing, NaN or NaT in 1 of 3 events \(first in row 1\); expected a time in "
        r"every row\. Drop these rows"
    )
    with pytest.raises(ValueError, match=message):
        encoder.fit(table)
    encoder.fit({**table, "when": [1, 2, 3]})
    with pytest.raises(ValueError, match=message):
        encoder.transform(table)


@pytest.mark.parametrize(
    ("times", "what"),
    [
        (["2020", "2021", "2019"], "str"),
        (np.array(["2020", "2021", "2019"]), "str"),
        (pl.Series(["2020", "2021", "2019"]), "str"),
        ([True, False, True], "bool"),
        (np.array([True, False, True]), "bool"),
        (pl.Series([True, False, True]), "bool"),
        ([1, START, 2], "datetime, int"),
        (moments([1, 2]) + moments([3], UTC), "datetime"),
        (np.array([1j, 2j, 3j]), "complex"),
        (pd.Series(pd.period_range("2020", periods=3)), "Period"),
        ([[1], [2], [3]], "list"),
    ],
)
def test_what_is_no_time_is_refused(times, what):
    encoder = InteractionEncoder(duplicates="last", timestamp="when")
    with pytest.raises(TypeError, match=rf"'when' holds .*{what}.*; expected numbers or datetimes"):
        encoder.fit({"user": [1, 2, 3], "item": [1, 2, 3], "when": times})


@pytest.mark.parametrize("kind", [object, np.float64, "U"])
def test_arrays_have_the_time_in_the_fourth_column(kind):
    rows = np.array([[1, 7, 2.0, 30], [1, 7, 3.0, 4], [2, 7, 5.0, 0]]).astype(kind)
    encoder = InteractionEncoder(duplicates="last", timestamp="when")
    X = encoder.fit_transform(rows)
    assert X.toarray().tolist() == [[2], [5]]
    assert encoder.encode_pairs(rows).tolist() == [[0, 0], [0, 0], [1, 0]]
    assert encoder.encode_pairs(rows[:, :2]).tolist() == [[0, 0], [0, 0], [1, 0]]
    for columns in (2, 3):
        with pytest.raises(ValueError, match=r"\(n_events, 4\) for user, item, value and time, "):
            encoder.fit(rows[:, :columns])
    with pytest.raises(ValueError, match=r"expected \(n_events, 2\) for user and item or"):
        InteractionEncoder(duplicates="last").fit(rows)


def test_times_written_as_text_in_an_array_are_exact_integers():
    late = 2**62 + 1
    rows = np.array([["u", "i", "1", str(late)], ["u", "i", "2", str(late - 1)]])
    encoder = InteractionEncoder(duplicates="last", timestamp="when")
    assert encoder.fit_transform(rows).toarray().tolist() == [[1]]
    rows[0, 3] = "yesterday"
    with pytest.raises(TypeError, match="'when' holds text; expected numbers"):
        encoder.fit(rows)


def test_events_of_the_datasets_bring_their_times():
    events = Events(
        np.array([5, 5]), np.array(["p", "p"], object), np.array([1.0, 2.0]), np.array([8, 3])
    )
    encoder = InteractionEncoder(value="value", duplicates="last", timestamp="timestamp")
    assert encoder.fit_transform(events).toarray().tolist() == [[1]]


@pytest.mark.parametrize("taken", ["user", "item", "v"])
def test_the_column_of_times_is_a_column_of_its_own(taken):
    with pytest.raises(ValueError, match=rf"timestamp='{taken}'; expected different columns"):
        InteractionEncoder(value="v", timestamp=taken).fit(TABLE)
    with pytest.raises(ValueError, match="'timestamp' parameter"):
        InteractionEncoder(timestamp=3).fit(TABLE)
    with pytest.raises(TypeError, match="positional"):
        InteractionEncoder("user", "item", None, "sum", "error", "when")
