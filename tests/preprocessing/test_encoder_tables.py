"""One vocabulary and one matrix, whatever library, type or layout the ids come in."""

import sys
import uuid
import warnings
from collections import deque
from subprocess import run

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.preprocessing._factorize import factorize_integers, factorize_series

# What UTF-8, UTF-16 and locales sort differently, what looks empty, and what ends strings in C.
TRICKY = ["", "\0", "a\0", "a\0b", "a", "é", "e\u0301", "z", "\ue000", "\uffff", "\U0001f600", "Z"]
TEXT = st.one_of(st.sampled_from(TRICKY), st.text(max_size=3))
INTEGERS = st.one_of(
    st.integers(-5, 5),
    st.integers(2**53, 2**53 + 3),
    st.sampled_from([-(2**63), 2**63 - 1, 2**62]),
)


def pandas_object(column):
    return pd.Series(column, dtype=object)


def pandas_indexed(column):
    series = pd.Series(column)
    series.index = range(len(series), 0, -1)
    return series


def polars_chunks(column):
    half = len(column) // 2
    kind = pl.Series(column).dtype
    parts = [pl.Series(column[:half], dtype=kind), pl.Series(column[half:], dtype=kind)]
    return parts[0].append(parts[1])


def polars_enum(column):
    return pl.Series(column, dtype=pl.Enum(sorted(set(column), reverse=True)))


def arrow_chunks(column):
    half = len(column) // 2
    kind = pa.array(column).type
    return pa.chunked_array([column[:half], [], column[half:]], type=kind)


def arrow_unlike_dictionaries(column):
    half = len(column) // 2
    kind = pa.array(column).type
    parts = [pa.array(part, kind).dictionary_encode() for part in (column[:half], column[half:])]
    return pa.chunked_array(parts, type=pa.dictionary(pa.int32(), kind))


SERIES = {
    "list": list,
    "object array": lambda c: np.array([*c, None], object)[:-1],
    "pandas": pd.Series,
    "pandas, objects": pandas_object,
    "pandas, other index": pandas_indexed,
    "pandas, categories": lambda c: pd.Series(pd.Categorical(c)),
    "polars": pl.Series,
    "polars, chunks": polars_chunks,
    "pyarrow, chunks": arrow_chunks,
    "pyarrow, dictionaries": arrow_unlike_dictionaries,
}
SERIES_OF_TEXT = {
    "pandas, of Python": lambda c: pd.Series(c, dtype="string[python]"),
    "pandas, of pyarrow": lambda c: pd.Series(c, dtype=pd.ArrowDtype(pa.string())),
    "polars, categories": lambda c: pl.Series(c, dtype=pl.Categorical),
    "polars, enum": polars_enum,
    "pyarrow, large": lambda c: pa.chunked_array([pa.array(c, pa.large_string())]),
    "pyarrow, views": lambda c: pa.chunked_array([pa.array(c, pa.string_view())]),
}


# What holds ids without being a series: results of unique(), value_counts(), groups, dicts.
COLLECTIONS = {
    "tuple": tuple,
    "set": set,
    "keys": lambda c: dict.fromkeys(c).keys(),
    "values": lambda c: dict(enumerate(c)).values(),
    "deque": deque,
    "pandas, index": pd.Index,
    "pandas, index of objects": lambda c: pd.Index(c, dtype=object),
    "pandas, array": lambda c: pd.array(c),
    "pandas, Arrow's array": lambda c: pd.Series(pa_array(c).to_pandas()).convert_dtypes().array,
    "pandas, distinct": lambda c: pd.Series(c).convert_dtypes().unique(),
    "pandas, counted": lambda c: pd.Series(c).value_counts().index,
    "pandas, categories": pd.Categorical,
    "pandas, index of categories": pd.CategoricalIndex,
    "pandas, groups": lambda c: pd.Series(1, pd.Index(c)).groupby(level=0).size().index,
    "polars, distinct": lambda c: pl.Series(c).unique(),
    "pyarrow, array": lambda c: pa_array(c),
    "pyarrow, dictionary": lambda c: pa_array(c).dictionary_encode(),
    "pyarrow, scalars": lambda c: list(pa_array(c)),
    "pyarrow, distinct": lambda c: pa.chunked_array([pa_array(c)]).unique(),
}


def pa_array(column):
    return pa.array(column, pa.uint64()) if max(column) == WIDE[-1] else pa.array(column)


WIDE = [2**63 - 1, 2**63, 2**64 - 1]


@pytest.mark.parametrize("name", COLLECTIONS)
@pytest.mark.parametrize(
    "ids", [["zoe", "al", "bo"], [30, -4, 7], WIDE], ids=["text", "integers", "wide"]
)
def test_whatever_holds_one_column_of_ids_is_read(name, ids):
    column = COLLECTIONS[name](ids)
    expected = [sorted(ids).index(one) for one in column_as_list(column)]
    encoder = InteractionEncoder().fit({"user": ids, "item": ids})
    assert encoder.encode_users(column).tolist() == expected
    assert encoder.encode_items(column).tolist() == expected
    pairs = {"user": column, "item": column}
    again = InteractionEncoder().fit(pairs)
    assert again.decode_users([0, 1, 2]).tolist() == sorted(ids)
    assert encoder.encode_pairs(pairs).tolist() == [[one, one] for one in expected]
    with pytest.raises(UnknownInteractionError):
        encoder.forget_users(column).encode_users(ids[:1])


def column_as_list(column):
    if hasattr(column, "to_pylist"):
        return column.to_pylist()
    return [one.as_py() if isinstance(one, pa.Scalar) else one for one in column]


@pytest.mark.parametrize(
    "gaps",
    [
        pd.array([1, None], dtype="Int64"),
        pd.array(["a", None], dtype="string"),
        pd.Index(["a", None]),
        pd.Categorical(["a", None]),
        pa.array([1, None]),
        pa.array(["a", None]).dictionary_encode(),
        {None: 0, "a": 1}.keys(),
    ],
    ids=lambda gaps: type(gaps).__name__,
)
def test_gaps_are_counted_in_whatever_holds_ids(gaps):
    encoder = InteractionEncoder().fit({"user": ["a"], "item": [1]})
    with pytest.raises(ValueError, match="1 of 2 user ids are missing"):
        encoder.encode_users(gaps)


@pytest.mark.parametrize(
    "single",
    ["a", b"a", bytearray(b"a"), 3, {"a": 1}, (one for one in "a"), pd.DataFrame({"a": [1]})],
    ids=lambda single: type(single).__name__,
)
def test_what_is_no_column_is_refused(single):
    encoder = InteractionEncoder().fit({"user": ["a"], "item": [1]})
    with pytest.raises(TypeError, match="expected a one-dimensional list, array or series"):
        encoder.encode_users(single)


def learn(column, items, values):
    encoder = InteractionEncoder(value="v")
    X = encoder.fit_transform({"user": column, "item": items, "v": values})
    return encoder, X


@pytest.mark.parametrize("ids", [TEXT, INTEGERS], ids=["text", "integers"])
def test_every_series_gives_one_vocabulary_and_one_matrix(ids):
    series = {**SERIES, **(SERIES_OF_TEXT if ids is TEXT else {})}

    @settings(max_examples=40)
    @given(st.lists(ids, min_size=1, max_size=25), st.data())
    @example((TRICKY if ids is TEXT else [2**53, 2**53 + 1, -(2**63)]) * 2, None)
    def check(column, data):
        n = len(column)
        items = [k % 3 for k in range(n)]
        values = [1.0 + k / 8 for k in range(n)]  # exact sums
        order = sorted(set(column))
        expected = np.zeros((len(order), len(set(items))))
        for user, item, value in zip(column, items, values, strict=True):
            expected[order.index(user), item] += value
        query = column if data is None else data.draw(st.lists(ids, max_size=9))
        found = [order.index(q) if q in order else -1 for q in query]
        for name, make in series.items():
            encoder, X = learn(make(column), items, values)
            assert encoder.decode_users(range(len(order))).tolist() == order, name
            assert X.toarray().tolist() == expected.tolist(), name
            encoder.set_params(unknown="ignore")
            if query:
                assert encoder.encode_users(make(query)).tolist() == found, name
            again = encoder.transform({"user": make(column), "item": items, "v": values})
            assert again.toarray().tolist() == expected.tolist(), name

    check()


ROWS = st.lists(
    st.tuples(st.sampled_from("abcde"), st.integers(0, 4), st.floats(0.1, 9.0)),
    min_size=1,
    max_size=30,
    unique_by=lambda row: row[:2],
)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, X = learn(*map(list, zip(*rows, strict=True)))
    two, Y = learn(*map(list, zip(*shuffled, strict=True)))
    assert (
        one.decode_users(range(one.n_users_)).tolist()
        == two.decode_users(range(two.n_users_)).tolist()
    )
    assert one.get_feature_names_out().tolist() == two.get_feature_names_out().tolist()
    assert X.indptr.tolist() == Y.indptr.tolist()
    assert X.indices.tolist() == Y.indices.tolist()
    assert X.data.tobytes() == Y.data.tobytes()


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 3), st.floats(-1e3, 1e3).filter(bool)),
        min_size=2,
        max_size=60,
    ),
    st.integers(0, 5),
)
def test_sums_are_the_same_bits_whoever_else_is_in_the_table(rows, gone):
    stay = [row for row in rows if row[0] != gone]
    if not stay:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # values that cancel
        everybody, X = learn(*map(list, zip(*rows, strict=True)))
        rest, Y = learn(*map(list, zip(*stay, strict=True)))
    users = everybody.encode_users(rest.decode_users(range(rest.n_users_)))
    items = everybody.encode_items(rest.decode_items(range(rest.n_items_)))
    assert X.toarray()[np.ix_(users, items)].tobytes() == Y.toarray().tobytes()


# -- what a column may hold ------------------------------------------------------------------------
@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50)
    | st.lists(st.integers(2**64 - 20, 2**64 - 1), min_size=12, max_size=50)
    | st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=50)
    | st.lists(st.integers(-(2**63), -(2**63) + 20), min_size=12, max_size=50)
)
def test_integers_near_each_other_and_far_apart(values):
    array = np.array(values, np.uint64 if max(values) >= 2**63 else np.int64)
    distinct, codes = factorize_integers(array)
    assert distinct.tolist() == sorted(set(values))
    assert distinct.dtype == array.dtype
    assert distinct[codes].tolist() == values
    assert codes.dtype == np.int32


@pytest.mark.parametrize("kind", ["i1", "u1", ">i4", "u8", "f4", "f8", "f2"])
def test_numbers_of_every_width_are_integers(kind):
    column = np.array([100, 3, 100, 7], kind)
    encoder, X = learn(column, [1, 2, 3, 4], [1.0] * 4)
    assert encoder.decode_users([0, 1, 2]).tolist() == [3, 7, 100]
    assert encoder.decode_users([0]).dtype == np.int64
    assert X.nnz == 4
    frame = pd.DataFrame({"user": column.astype(column.dtype.newbyteorder("=")), "item": 0})
    assert InteractionEncoder().fit(frame).encode_users([100]).tolist() == [2]


def test_narrow_integers_do_not_overflow():
    encoder, _ = learn(np.array([-128, 127, 0] * 60, np.int8), [0] * 180, [1.0] * 180)
    assert encoder.decode_users([0, 1, 2]).tolist() == [-128, 0, 127]


def test_floats_are_ids_only_where_they_are_exact():
    assert InteractionEncoder().fit({"user": [3.0, 1e15], "item": [1, 2]}).encode_users([3]) == [0]
    for column in (np.array([2**24 + 2], np.float32), np.array([0.5]), np.array([2.0**53 + 2])):
        with pytest.raises(TypeError, match=r"fractional or too large floats; expected .*Convert"):
            InteractionEncoder().fit({"user": column, "item": [1]})


def test_nullable_integers_are_read_without_gaps_and_refused_with_them():
    frame = pd.DataFrame({"user": pd.array([2**60 + 1, 5], "Int64"), "item": [1, 2]})
    assert InteractionEncoder().fit(frame).decode_users([1]).tolist() == [2**60 + 1]
    frame["user"] = pd.array([2**60 + 1, None], "Int64")
    with pytest.raises(ValueError, match=r"1 of 2 user ids are missing .*expected .*Drop"):
        InteractionEncoder().fit(frame)


GAPS = {
    "pandas": lambda: pd.Series(["a", None]),
    "pandas, categories": lambda: pd.Series(pd.Categorical(["a", None])),
    "polars": lambda: pl.Series(["a", None]),
    "polars, categories": lambda: pl.Series(["a", None], dtype=pl.Categorical),
    "pyarrow": lambda: pa.chunked_array([["a", None]]),
    "pyarrow, dictionary": lambda: pa.chunked_array([pa.array(["a", None]).dictionary_encode()]),
    "pyarrow, gap in the dictionary": lambda: pa.chunked_array(
        [pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None]))]
    ),
}


@pytest.mark.parametrize("name", GAPS)
def test_gaps_are_counted(name):
    with pytest.raises(ValueError, match=r"1 of 2 item ids are missing \(None or NaN\); expected"):
        InteractionEncoder().fit({"user": [1, 2], "item": GAPS[name]()})


def test_categories_nobody_uses_are_no_ids():
    users = {
        "pandas": pd.Series(pd.Categorical(["b", "a"], categories=["c", "b", "a"])),
        "polars": pl.Series(["b", "a"], dtype=pl.Enum(["c", "b", "a"])),
        "pyarrow": pa.chunked_array(
            [pa.DictionaryArray.from_arrays(pa.array([1, 2]), pa.array(["c", "b", "a"]))]
        ),
    }
    for column in users.values():
        encoder = InteractionEncoder().fit({"user": column, "item": [1, 2]})
        assert encoder.decode_users(range(encoder.n_users_)).tolist() == ["a", "b"]


def test_categories_are_their_values_whatever_those_are():
    for values in ([7, 3, 7], [7.0, 3.0, 7.0]):
        for column in (
            pd.Series(pd.Categorical(values)),
            pa.chunked_array([pa.array(values).dictionary_encode()]),
        ):
            encoder = InteractionEncoder().fit({"user": column, "item": [1, 2, 3]})
            assert encoder.decode_users([0, 1]).tolist() == [3, 7]
            assert encoder.decode_users([0]).dtype == np.int64
            assert encoder.encode_users([7, 3]).tolist() == [1, 0]
    mixed = pd.Series(pd.Categorical(["x", 1, "x"], categories=["x", 1]))
    with pytest.raises(TypeError, match=r"mixed types \(int, str\)"):
        InteractionEncoder().fit({"user": mixed, "item": [1, 2, 3]})


def test_late_strangers_among_objects_are_noticed():
    column = ["sentinel-text"] * 150 + [12345]  # libraries look at the first hundred
    for make in (pandas_object, list, lambda c: np.array(c, object)):
        with pytest.raises(TypeError, match=r"mixed types \(int, str\); expected") as error:
            InteractionEncoder().fit({"user": make(column), "item": [1] * 151})
        assert "sentinel" not in str(error.value) and "12345" not in str(error.value)
    for twin in (True, 1.0):
        with pytest.raises(TypeError, match=r"boolean|mixed types"):
            InteractionEncoder().fit({"user": pandas_object([1] * 150 + [twin]), "item": [1] * 151})


def test_objects_of_other_types():
    people = [uuid.UUID(int=9), uuid.UUID(int=2), uuid.UUID(int=9)]
    pairs = [(2, "b"), (1, "z"), (2, "b")]
    for column in (people, pandas_object(people), pairs, pandas_object(pairs)):
        encoder = InteractionEncoder().fit({"user": column, "item": [1, 2, 3]})
        assert encoder.decode_users([0, 1]).tolist() == sorted(set(column))
        assert encoder.encode_users(column).tolist() == [1, 0, 1]
    sets = [frozenset({1}), frozenset({2})]  # "smaller" means "part of": no order
    with pytest.raises(TypeError, match=r"type frozenset, which cannot be hashed and sorted"):
        InteractionEncoder().fit({"user": sets, "item": [1, 2]})


def test_long_columns_of_objects_are_read_in_blocks(monkeypatch):
    monkeypatch.setattr("sklearn_unlearn.preprocessing._factorize._BLOCK", 7)
    column = [f"u{k % 10}" for k in range(40)]
    for make in (list, np.array, lambda c: np.array(c, object)):
        encoder, X = learn(make(column), [0] * 40, [1.0] * 40)
        assert encoder.decode_users(range(10)).tolist() == [f"u{k}" for k in range(10)]
        assert X.toarray().ravel().tolist() == [4.0] * 10
    with pytest.raises(ValueError, match="2 of 40 user ids are missing"):
        learn([*column[:-2], None, float("nan")], [0] * 40, [1.0] * 40)


@pytest.mark.parametrize(
    "table",
    [
        {"user": [], "item": [], "v": []},
        pd.DataFrame({"user": [], "item": [], "v": []}),
        pd.DataFrame({"user": [], "item": [], "v": []}).astype({"user": "str", "item": "category"}),
        pl.DataFrame(schema={"user": pl.String, "item": pl.Categorical, "v": pl.Float64}),
        pa.table(
            {"user": pa.array([], pa.string()), "item": pa.array([], pa.int64()), "v": [1.0][:0]}
        ),
        np.empty((0, 3)),
    ],
    ids=["dict", "pandas", "pandas, typed", "polars", "pyarrow", "array"],
)
def test_empty_tables_are_empty_matrices(table):
    encoder = InteractionEncoder(value="v")
    encoder.fit({"user": ["a", "b"], "item": ["x", "y"], "v": [1, 2]})
    X = encoder.transform(table)
    assert X.shape == (2, 2) and X.nnz == 0 and X.dtype == np.float64
    assert encoder.encode_pairs(table).shape == (0, 2)
    ids, X = encoder.transform_new_users(table)
    assert ids.shape == (0,) and X.shape == (0, 2)


def test_frames_find_their_distinct_text_themselves():
    import narwhals as nw

    for series in (
        pd.Series(["b", "a", "b"]), pl.Series(["b", "a", "b"]), pa.chunked_array([["b", "a", "b"]]),
    ):  # fmt: skip
        distinct, codes = factorize_series(nw.from_native(series, series_only=True))
        assert sorted(distinct) == ["a", "b"]
        assert [distinct[k] for k in codes] == ["b", "a", "b"]
    assert factorize_series(nw.from_native(pandas_object(["a"]), series_only=True)) is None


def test_polars_keeps_no_table_of_the_ids():
    before = pl.Series(["counted before"], dtype=pl.Categorical)
    table = pl.DataFrame({"user": ["counted between"], "item": ["as well"]})
    X = InteractionEncoder().fit_transform(table)
    after = pl.Series(["counted after"], dtype=pl.Categorical)
    assert after.to_physical()[0] == before.to_physical()[0] + 1
    assert X.nnz == 1


BY_LIBRARY = """
import importlib, sys
from sklearn_unlearn.preprocessing import InteractionEncoder

columns = {"user": ["b", "a"], "item": [1, 2]}
LIBRARIES = {"pandas", "polars", "pyarrow"}
for library, make in ((None, "dict"), ("polars", "DataFrame"), ("pyarrow", "table")):
    table = getattr(importlib.import_module(library), make)(columns) if library else columns
    before = set(sys.modules)
    InteractionEncoder().fit(table).transform(table)
    print(library, sorted(LIBRARIES & (set(sys.modules) - before)))
"""


def test_no_library_is_imported_that_the_caller_did_not_bring():
    done = run([sys.executable, "-c", BY_LIBRARY], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["None []", "polars []", "pyarrow []"]
