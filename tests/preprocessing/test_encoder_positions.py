"""Positions to ids, rows of new users, erased ids, and tables of the caller's kind."""

import dataclasses
import pickle
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.exceptions import NotFittedError

from sklearn_unlearn.datasets import Events
from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.preprocessing._columns import make_events, read_events, table_kind
from sklearn_unlearn.preprocessing._ids import read_ids
from sklearn_unlearn.preprocessing._vocabulary import Vocabulary

UUIDS = [uuid.UUID(int=k * 2**90 + 3) for k in range(3)]
IDS = {
    "text": (["al", "bo", "cy"], object),
    "int": ([-10, 20, 2**53 + 1], np.int64),
    "uint64": ([3, 4, 2**64 - 1], np.uint64),
    "uuid": (UUIDS, object),
    "tuple": ([(1, "a"), (1, "b"), (2, "a")], object),
}


def fitted(ids, **params):
    return InteractionEncoder(**params).fit({"user": ids, "item": ids[::-1]})


# -- decoding --------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", IDS)
def test_decoding_undoes_encoding(kind):
    ids, dtype = IDS[kind]
    encoder = fitted(ids)
    for encode, decode in (
        (encoder.encode_users, encoder.decode_users),
        (encoder.encode_items, encoder.decode_items),
    ):
        for positions in ([2, 0, 0], (2, 0, 0), np.array([2, 0, 0], np.uint8), np.array([2, 0, 0])):
            back = decode(positions)
            assert back.tolist() == [ids[2], ids[0], ids[0]]
            assert back.dtype == dtype
            assert encode(back).tolist() == [2, 0, 0]
        assert decode([]).shape == (0,) and decode([]).dtype == dtype
        table = decode(np.array([[0, 1, 2], [2, 1, 0]]))
        assert table.shape == (2, 3)
        assert [list(row) for row in table] == [ids, ids[::-1]]
    assert encoder.get_feature_names_out().dtype == object
    assert encoder.get_feature_names_out().tolist() == ids


@given(st.lists(st.integers(0, 99), min_size=1, max_size=20), st.data())
def test_decoded_and_encoded_positions_agree(ids, data):
    encoder = fitted(ids)
    order = sorted(set(ids))
    positions = data.draw(st.lists(st.integers(0, len(order) - 1)))
    assert encoder.decode_users(positions).tolist() == [order[k] for k in positions]
    gone = data.draw(st.lists(st.sampled_from(order), unique=True))
    encoder.forget_users(gone)
    for position, name in enumerate(order):
        if name in gone:
            with pytest.raises(ValueError, match=r"Got user positions without an id among 1; exp"):
                encoder.decode_users([position])
        else:
            assert encoder.decode_users([position]).tolist() == [name]


def test_decoded_ids_are_not_the_vocabulary_itself():
    encoder = fitted([1, 2, 3])
    encoder.decode_users([0, 1, 2])[:] = 9
    assert encoder.decode_users([0, 1, 2]).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("positions", "match"),
    [
        (
            [0, 3],
            r"1 of 2 {} positions are out of range \(first: 3\); expected .* from 0 to 2",
        ),
        ([-1, -5, 1], r"2 of 3 {} positions are out of range \(first: -1\).*Leave out"),
        (np.array([[2**63]], np.uint64), r"1 of 1 {} positions are out of range"),
    ],
)
@pytest.mark.parametrize("role", ["user", "item"])
def test_positions_out_of_range(role, positions, match):
    encoder = fitted(["secret-a", "secret-b", "secret-c"])
    with pytest.raises(ValueError, match=match.format(role)) as error:
        getattr(encoder, f"decode_{role}s")(positions)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("positions", [0, "al", ["al"], [0.0], [True], None, [None], {0}])
@pytest.mark.parametrize("role", ["user", "item"])
def test_positions_are_integers(role, positions):
    with pytest.raises(TypeError, match=rf"for {role} positions; expected an array-like .*Wrap"):
        getattr(fitted(["al"]), f"decode_{role}s")(positions)


# -- erasing ---------------------------------------------------------------------------------------
def test_erasing_positions_takes_the_ids_out_in_one_assignment():
    encoder = fitted(["al", "bo", "cy"])
    before = encoder._users
    assert encoder._erase_users(np.array([1])) is None
    assert encoder._users is not before
    assert before.ids.tolist() == ["al", "bo", "cy"]
    assert b"bo" not in pickle.dumps(encoder._users)
    assert encoder.decode_users([0, 2]).tolist() == ["al", "cy"]
    with pytest.raises(ValueError, match=r"without an id among 2; expected .*not forgotten.*Leave"):
        encoder.decode_users([0, 1])
    with pytest.raises(UnknownInteractionError):
        encoder.encode_users(["bo"])
    encoder._erase_users(np.array([1, -1]))
    assert encoder.decode_users([0, 2]).tolist() == ["al", "cy"]
    assert encoder.n_users_ == 3


def test_forget_users_erases_by_position():
    encoder, seen = fitted(["al", "bo", "cy"]), []
    encoder._erase_users = lambda positions: seen.append(positions.tolist())
    encoder.forget_users(["cy", "al"])
    encoder.forget_users(["no", "bo"], missing="ignore")
    assert seen == [[2, 0], [-1, 1]]


# -- new users -------------------------------------------------------------------------------------
EVENTS = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from("abxyz"), st.floats(0.5, 5)),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60)
@given(EVENTS, EVENTS, st.sampled_from(["sum", "last", "max"]))
def test_new_users_are_rows_in_the_order_of_their_ids(known, new, duplicates):
    def table(rows):
        return dict(zip(("user", "item", "v"), map(list, zip(*rows, strict=True)), strict=True))

    encoder = InteractionEncoder(value="v", duplicates=duplicates, unknown="ignore")
    encoder.fit(table(known))
    state = pickle.dumps(encoder)
    ids, X = encoder.transform_new_users(table(new))
    assert pickle.dumps(encoder) == state
    assert ids.tolist() == sorted({row[0] for row in new})
    items = sorted({row[1] for row in known})
    expected = np.zeros((len(ids), len(items)))
    rule = {"sum": sum, "max": max, "last": lambda v: v[-1]}[duplicates]
    for row, user in enumerate(ids):
        for column, item in enumerate(items):
            values = [v for u, i, v in new if (u, i) == (user, item)]
            expected[row, column] = rule(values) if values else 0
    np.testing.assert_allclose(X.toarray(), expected, rtol=1e-14)
    assert X.has_sorted_indices
    # Users of fit have the rows that transform gives them.
    both = [row for row in new if row[0] in {r[0] for r in known}]
    if both:
        again, Y = encoder.transform_new_users(table(both))
        full = encoder.transform(table(both)).toarray()
        assert Y.toarray().tolist() == full[encoder.encode_users(again)].tolist()


def test_new_users_need_not_be_of_the_type_of_fit():
    encoder = InteractionEncoder().fit({"user": [1, 2], "item": ["x", "y"]})
    ids, X = encoder.transform_new_users({"user": ["u", "t"], "item": ["x", "x"]})
    assert ids.dtype == object and ids.tolist() == ["t", "u"]
    assert X.toarray().tolist() == [[1, 0], [1, 0]]
    with pytest.raises(TypeError, match="item ids are of type int; expected str"):
        encoder.transform_new_users({"user": ["u"], "item": [3]})
    encoder.forget_users([1])
    ids, _ = encoder.transform_new_users({"user": [1], "item": ["x"]})
    assert ids.tolist() == [1] and ids.dtype == np.int64
    with pytest.raises(UnknownInteractionError):
        encoder.encode_users([1])


def test_new_users_with_unknown_items():
    encoder = InteractionEncoder().fit({"user": [1], "item": ["x"]})
    table = {"user": [8, 7], "item": ["nothing", "x"]}
    with pytest.raises(UnknownInteractionError, match=r"1 of 2 item ids are unknown \('nothing'\)"):
        encoder.transform_new_users(table)
    ids, X = encoder.set_params(unknown="ignore").transform_new_users(table)
    assert ids.tolist() == [7, 8]
    assert X.toarray().tolist() == [[1], [0]]
    ids, X = encoder.transform_new_users({"user": [8], "item": ["nothing"]})
    assert ids.tolist() == [8] and X.shape == (1, 1) and X.nnz == 0


def test_new_users_follow_the_rules_of_transform():
    encoder = InteractionEncoder(value="v", duplicates="error")
    encoder.fit({"user": [1], "item": ["x"], "v": [1]})
    twice = {"user": [8, 7, 8], "item": ["x"] * 3, "v": [1, 2, 3]}
    with pytest.raises(ValueError, match=r"1 of 3 events repeat .*\(first in row 2\); expected"):
        encoder.transform_new_users(twice)
    with pytest.raises(ValueError, match="no column 'v'"):
        encoder.transform_new_users({"user": [1], "item": ["x"]})
    with pytest.warns(UserWarning, match="1 of 1 cells have the value 0") as record:
        encoder.transform_new_users({"user": [1], "item": ["x"], "v": [0]})
    assert record[0].filename == __file__
    for call in ("transform_new_users", "decode_users", "decode_items"):
        with pytest.raises(NotFittedError):
            getattr(InteractionEncoder(), call)([0])


# -- the row of an error ---------------------------------------------------------------------------
def test_repeated_pairs_are_located_in_the_table_of_the_caller():
    encoder = InteractionEncoder(duplicates="error", unknown="ignore")
    encoder.fit({"user": ["a", "b"], "item": ["x", "y"]})
    table = {"user": ["?", "a", "b", "?", "b", "a"], "item": ["x", "x", "y", "x", "y", "x"]}
    with pytest.raises(ValueError, match=r"2 of 6 events repeat .*\(first in row 4\); expected"):
        encoder.transform(table)


# -- tables of the caller's kind -------------------------------------------------------------------
TABLES = {
    "pandas": pd.DataFrame({"user": [1], "item": [2]}),
    "polars": pl.DataFrame({"user": [1], "item": [2]}),
    "pyarrow": pa.table({"user": [1], "item": [2]}),
    "dict": {"user": [1], "item": [2]},
    "array": np.array([[1, 2]]),
}
COLUMNS = {
    "int": np.array([5, -3]),
    "uint64": np.array([2**64 - 1, 0], np.uint64),
    "text": np.array(["b", "\U0001f600"], object),
    "uuid": np.array(UUIDS[:2], object),
    "score": np.array([0.25, -1.5]),
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("n_columns", [1, 2, 3, 4, 5])
def test_tables_are_made_of_the_kind_that_was_read(kind, n_columns):
    assert table_kind(TABLES[kind]) == kind
    assert read_events(TABLES[kind], "user", "item").kind == kind
    columns = dict(list(COLUMNS.items())[-n_columns:])
    made = make_events(kind, columns)
    assert type(made) is type(TABLES[kind])
    assert table_kind(made) == kind
    if kind == "array":
        assert made.shape == (2, n_columns)
        back = {name: made[:, k] for k, name in enumerate(columns)}
    elif kind == "pyarrow":
        back = {name: np.array(made.column(name).to_pylist(), object) for name in columns}
    else:
        back = {name: made[name] for name in columns}
        assert list(made.keys() if kind == "dict" else made.columns) == list(columns)
    for name, column in columns.items():
        assert list(back[name]) == column.tolist()


@pytest.mark.parametrize("kind", TABLES)
def test_tables_without_rows_are_made_too(kind):
    empty = {name: column[:0] for name, column in COLUMNS.items()}
    made = make_events(kind, empty)
    assert table_kind(made) == kind
    assert len(made if kind != "dict" else made["int"]) == 0
    table = make_events(kind, {"user": empty["text"], "item": empty["int"]})
    encoder = fitted(["a"])
    assert encoder.transform(table).nnz == 0


def test_the_kind_of_a_table_needs_no_column():
    assert table_kind(np.zeros((1, 7))) == "array"
    assert table_kind(Events(np.array([1]), np.array([2]), np.array([1.0]))) == "dict"
    assert table_kind(pd.DataFrame({"other": [1]})) == "pandas"
    for nothing in ([(1, 2)], "ratings.csv", None, sparse.eye_array(2, format="csr")):
        with pytest.raises(TypeError, match=r"expected a pandas, polars or pyarrow frame, a dict"):
            table_kind(nothing)


# -- ids behind those of fit ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("first", "more"),
    [
        ([30, 10, 20], [25, 10, 5, 25, 40]),
        (["b", "d"], ["c", "a", "b", "e", "c"]),
        ([3, 2**63 - 1], [2**63 + 7, 2]),
        ([2**63 + 7, 5], [2**62, 1]),
        ([(1, 2), (0, 5)], [(1, 0), (0, 5)]),
    ],
)
def test_new_ids_get_positions_behind_all_others(first, more):
    known, codes = Vocabulary.learn(read_ids(first, "user"), "user")
    known = known.without(codes[:1])  # a forgotten id keeps its position to itself
    column = read_ids(more, "user")
    larger, places = known.extended(column, "user")
    fresh = [one for one in dict.fromkeys(more) if one not in first[1:]]
    assert larger.size == len(first) + len(set(fresh))
    assert list(larger.ids) == sorted([*first[1:], *fresh])
    assert set(places[[more.index(one) for one in fresh]]) == set(range(len(first), larger.size))
    assert list(larger.at(places)) == more
    np.testing.assert_array_equal(larger.lookup(column, "user"), places)
    np.testing.assert_array_equal(larger.lookup(read_ids(first[1:], "user"), "user"), codes[1:])
    again, same = larger.extended(column, "user")
    assert again is larger
    np.testing.assert_array_equal(same, places)
    with pytest.raises(KeyError):
        larger.at(codes[:1])


def test_a_file_of_ids_out_of_order_is_refused():
    encoder = InteractionEncoder(value=None).fit({"user": [1, 2, 3], "item": [1, 2, 1]})
    larger, _ = encoder._extended({"user": [0, 3], "item": [9, 1]})
    twin = pickle.loads(pickle.dumps(larger))
    np.testing.assert_array_equal(twin.decode_users([0, 1, 2, 3]), [1, 2, 3, 0])
    known = larger._users
    for damaged in (
        {"positions": known.positions[[0, 2, 1, 3]]},
        {"positions": np.zeros(4, np.int64)},
        {"positions": np.array([4, 0, 1, 2])},
        {"n_first": 9},
        {"n_first": -1},
        {"n_first": "all"},
        {"n_first": None},
    ):
        larger._users = dataclasses.replace(known, **damaged)
        file = pickle.dumps(larger)
        with pytest.raises(ValueError, match="InteractionEncoder"):
            pickle.loads(file)
