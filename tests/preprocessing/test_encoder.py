"""InteractionEncoder against a dictionary-based twin, on every kind of table and id."""

import html
import pickle
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_unlearn.datasets import Events
from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.preprocessing import InteractionEncoder

UUIDS = [uuid.UUID(int=k * 2**100 + 7) for k in range(4)]
IDS = {
    "text": ["bo", "al", "bo", "cy", "al"],
    "accents": ["é", "e", "é", "\U0001f600", "e"],
    "int": [30, -10, 30, 20, -10],
    "beyond float": [2**53 + 1, 2**53, 2**53 + 1, 2**53 + 2, 2**53],
    "uint64": [2**64 - 1, 2**64 - 2, 2**64 - 1, 3, 2**64 - 2],
    "uuid": [UUIDS[k] for k in (1, 0, 1, 2, 0)],
}
ITEMS = ["x", "x", "y", "z", "z"]
VALUES = [4.0, 2.5, -1.0, 5.0, 1.0]


def as_array(table):
    rows = np.empty((len(table["user"]), len(table)), object)
    for k, column in enumerate(table.values()):
        for r, entry in enumerate(column):
            rows[r, k] = entry
    return rows


TABLES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "dict of lists": dict,
    "dict of series": lambda t: {name: pd.Series(column) for name, column in t.items()},
    "array": as_array,
    "pyarrow": lambda t: pa.table(
        {
            name: pa.array(c, pa.uint64()) if isinstance(c[0], int) and max(c) > 2**63 else c
            for name, c in t.items()
        }
    ),
}


def twin(users, items, values, duplicates="sum"):
    """The matrix, cell by cell."""
    rows = {u: k for k, u in enumerate(sorted(set(users)))}
    columns = {i: k for k, i in enumerate(sorted(set(items)))}
    cells = {}
    for u, i, v in zip(users, items, values, strict=True):
        cells.setdefault((rows[u], columns[i]), []).append(v)
    rule = {"sum": sum, "max": max, "last": lambda v: v[-1]}[duplicates]
    X = np.zeros((len(rows), len(columns)))
    for cell, found in cells.items():
        X[cell] = rule(found)
    return X


def sorted_rows(table):
    """Rows of any kind of table, as a sorted list of tuples of Python objects."""
    if isinstance(table, np.ndarray):
        rows = table.tolist()
    elif isinstance(table, pa.Table):
        rows = zip(*table.to_pydict().values(), strict=True)
    elif isinstance(table, pl.DataFrame):
        rows = table.rows()
    elif isinstance(table, pd.DataFrame):
        rows = table.itertuples(index=False, name=None)
    else:
        rows = zip(*(np.asarray(c, object).tolist() for c in table.values()), strict=True)
    return sorted(map(tuple, rows))


@pytest.mark.parametrize("container", TABLES)
@pytest.mark.parametrize("kind", IDS)
def test_every_table_and_id_gives_the_twin_and_comes_back(container, kind):
    events = TABLES[container]({"user": IDS[kind], "item": ITEMS, "value": VALUES})
    encoder = InteractionEncoder(value="value")
    X = encoder.fit_transform(events)
    assert isinstance(X, sparse.csr_matrix)
    assert X.dtype == np.float64
    assert X.has_canonical_format
    np.testing.assert_array_equal(X.toarray(), twin(IDS[kind], ITEMS, VALUES))
    np.testing.assert_array_equal(encoder.transform(events).toarray(), X.toarray())
    back = encoder.inverse_transform(X)
    assert type(back) is type(events)
    assert sorted_rows(back) == sorted(zip(IDS[kind], ITEMS, VALUES, strict=True))
    order = sorted(set(IDS[kind]))
    pairs = [[order.index(u), "xyz".index(i)] for u, i in zip(IDS[kind], ITEMS, strict=True)]
    np.testing.assert_array_equal(encoder.encode_pairs(events), pairs)
    assert encoder.encode_pairs(events).dtype == np.int64
    np.testing.assert_array_equal(encoder.encode_users(order), np.arange(3))
    # NumPy alone would make floats of integers that straddle the end of int64.
    array = np.array(order[::-1], np.uint64 if kind == "uint64" else None)
    np.testing.assert_array_equal(encoder.encode_users(array), [2, 1, 0])


events_strategy = st.lists(
    st.tuples(st.integers(0, 6), st.text("ab", max_size=2), st.sampled_from([-1.0, 0.5, 2.0])),
    min_size=1,
    max_size=30,
)


@given(events_strategy, st.sampled_from(["sum", "last", "max"]))
def test_duplicates_follow_the_twin(rows, duplicates):
    users, items, values = zip(*rows, strict=True)
    expected = twin(users, items, values, duplicates)
    encoder = InteractionEncoder(value="v", duplicates=duplicates)
    table = {"user": list(users), "item": list(items), "v": list(values)}
    has_zero = len(set(zip(users, items, strict=True))) > np.count_nonzero(expected)
    if has_zero:  # labels that cancel
        with pytest.warns(UserWarning, match="not observed"):
            X = encoder.fit_transform(table)
    else:
        X = encoder.fit_transform(table)
    np.testing.assert_allclose(X.toarray(), expected, atol=1e-15)
    assert (X.data != 0).all()


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20), st.data())
def test_lookup_of_integers_is_exact_whatever_their_width(known, data):
    queries = st.one_of(
        st.sampled_from(known), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**64 - 1)
    )
    query = data.draw(st.lists(queries, max_size=10))
    if any(q < 0 for q in query) and any(q >= 2**63 for q in query):
        query = [q for q in query if q >= 0]
    encoder = InteractionEncoder(unknown="ignore").fit({"user": known, "item": known})
    order = sorted(set(known))
    expected = [order.index(q) if q in order else -1 for q in query]
    assert encoder.encode_users(query).tolist() == expected


def test_int64_and_uint64_are_compared_exactly():
    near = [2**53 + k for k in range(4)]  # as floats, these are two or three numbers
    encoder = InteractionEncoder(unknown="ignore")
    encoder.fit({"user": [*near, 2**64 - 1], "item": [*near, -1]})  # uint64 and int64
    assert encoder.encode_users(np.array([*near, 2**53 + 4, -1])).tolist() == [0, 1, 2, 3, -1, -1]
    query = np.array([*near, 2**64 - 1], np.uint64)
    assert encoder.encode_items(query).tolist() == [1, 2, 3, 4, -1]


def test_kinds_of_text_are_one():
    encoder = InteractionEncoder().fit({"user": ["b", np.str_("a")], "item": np.array(["x", "y"])})
    assert encoder.encode_users(np.array(["a", "b"])).tolist() == [0, 1]
    assert set(map(type, encoder._users.ids)) | set(map(type, encoder._items.ids)) == {str}


@given(st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=60), st.text("abcd"))
def test_lookup_of_text_agrees_for_short_and_long_queries(known, stranger):
    encoder = InteractionEncoder(unknown="ignore").fit({"user": known, "item": known})
    order = sorted(set(known))
    expected = [order.index(q) if q in order else -1 for q in [stranger, *order]]
    assert encoder.encode_users([stranger, *order]).tolist() == expected
    assert [encoder.encode_users([q])[0] for q in [stranger, *order]] == expected


@pytest.mark.parametrize("value", [None, "value"])
def test_an_event_counts_one_without_a_value_column(value):
    table = {"user": ["a", "a", "b"], "item": [1, 1, 2], "value": [3.0, 4.0, 5.0]}
    X = InteractionEncoder(value=value).fit_transform(table)
    np.testing.assert_array_equal(
        X.toarray(), [[2, 0], [0, 1]] if value is None else [[7, 0], [0, 5]]
    )


@pytest.mark.parametrize(("duplicates", "count"), [("sum", 3), ("last", 1), ("max", 1)])
def test_events_without_values_are_added_only_by_sum(duplicates, count):
    table = {"user": ["a", "b", "a", "a"], "item": [1, 2, 1, 1]}
    encoder = InteractionEncoder(duplicates=duplicates)
    assert encoder.fit_transform(table).toarray().tolist() == [[count, 0], [0, 1]]


def test_arrays_take_the_third_column_as_value():
    text = np.array([["u", "i", "2.5"], ["v", "i", "4"]])
    np.testing.assert_array_equal(InteractionEncoder().fit_transform(text).toarray(), [[2.5], [4]])
    numbers = np.array([[7.0, 1.0, 0.5], [8.0, 1.0, 3.0]])
    encoder = InteractionEncoder()
    np.testing.assert_array_equal(encoder.fit_transform(numbers).toarray(), [[0.5], [3]])
    assert encoder.encode_users([8, 7]).tolist() == [1, 0]
    np.testing.assert_array_equal(encoder.encode_pairs(numbers[:, :2]), [[0, 0], [1, 0]])


def test_events_of_the_datasets_and_categories_are_tables():
    events = Events(np.array([5, 6]), np.array(["p", "q"], object), np.array([1.0, 2.0]))
    X = InteractionEncoder(value="value").fit_transform(events)
    np.testing.assert_array_equal(X.toarray(), [[1, 0], [0, 2]])
    frame = pd.DataFrame({"user": pd.Categorical(["b", "a"]), "item": pd.array([3, 4], "Int64")})
    encoder = InteractionEncoder().fit(frame)
    assert encoder.encode_users(pd.Series(["a", "b"])).tolist() == [0, 1]
    assert encoder.get_feature_names_out().tolist() == [3, 4]


def test_one_row_empty_tables_and_positions_of_items():
    encoder = InteractionEncoder()
    assert encoder.fit_transform({"user": ["a"], "item": ["b"]}).shape == (1, 1)
    for empty in (
        {"user": [], "item": []},
        {"user": np.array([]), "item": np.array([])},
        pd.DataFrame({"user": [], "item": []}),
        pl.DataFrame({"user": [], "item": []}),
        np.empty((0, 2), object),
    ):
        X = encoder.transform(empty)
        assert X.shape == (1, 1)
        assert X.nnz == 0
        assert encoder.encode_pairs(empty).shape == (0, 2)
        with pytest.raises(ValueError, match=r"0 events; expected at least one\. Check"):
            InteractionEncoder().fit(empty)
    assert encoder.encode_items(["b"]).tolist() == [0]
    names = encoder.get_feature_names_out()
    assert names.dtype == object
    assert names.tolist() == ["b"]


def test_unknown_ids_are_errors_or_minus_one():
    known = {"user": ["a", "b"], "item": ["x", "y"]}
    other = {"user": ["b", "nobody", "a"], "item": ["nothing", "x", "y"]}
    encoder = InteractionEncoder().fit(known)
    for call in (encoder.transform, encoder.encode_pairs):
        with pytest.raises(UnknownInteractionError, match=r"1 of 3 user ids are unknown .'nobody'"):
            call(other)
    with pytest.raises(UnknownInteractionError, match=r"expected ids that fit saw.*Drop them"):
        encoder.encode_items(["nothing"])
    encoder = InteractionEncoder(unknown="ignore").fit(known)
    np.testing.assert_array_equal(encoder.transform(other).toarray(), [[0, 1], [0, 0]])
    np.testing.assert_array_equal(encoder.encode_pairs(other), [[1, -1], [-1, 0], [0, 1]])
    assert encoder.encode_items(["nothing", "y"]).tolist() == [-1, 1]


def test_an_id_of_another_type_is_never_merely_unknown():
    encoder = InteractionEncoder(unknown="ignore").fit({"user": ["1", "2"], "item": [1, 2]})
    with pytest.raises(TypeError, match="user ids are of type int; expected str"):
        encoder.encode_users([1])
    with pytest.raises(TypeError, match="item ids are of type str; expected int"):
        encoder.encode_items(["1"])


@pytest.mark.parametrize("kind", IDS)
def test_forget_users_punches_a_hole(kind):
    users = IDS[kind]
    encoder = InteractionEncoder(value="value", unknown="ignore")
    X = encoder.fit_transform({"user": users, "item": ITEMS, "value": VALUES})
    gone, *_, stays = sorted(set(users))
    before = encoder.encode_users([stays]).tolist()
    assert encoder.forget_users([gone]) is encoder
    assert encoder.encode_users([stays]).tolist() == before
    assert encoder.encode_users([gone]).tolist() == [-1]
    assert encoder.n_users_ == 3
    again = encoder.transform({"user": users, "item": ITEMS, "value": VALUES})
    expected = X.toarray()
    expected[0] = 0
    np.testing.assert_array_equal(again.toarray(), expected)
    left = sorted(r for r in zip(users, ITEMS, VALUES, strict=True) if r[0] != gone)
    assert sorted_rows(encoder.inverse_transform(again)) == left
    with pytest.raises(ValueError, match=rf"{users.count(gone)} values in rows of .* Forget"):
        encoder.inverse_transform(X)
    assert "(1 forgotten)" in repr(encoder)
    encoder.forget_users(sorted(set(users))[1:])
    assert encoder.encode_users(users).tolist() == [-1] * 5


def test_forget_users_is_atomic_and_leaves_no_trace_of_the_id():
    secret = "mallory-7f3a9c"
    encoder = InteractionEncoder().fit({"user": ["al", secret, "cy"], "item": [1, 2, 3]})
    state = pickle.dumps(encoder)
    assert secret.encode() in state
    with pytest.raises(UnknownInteractionError):
        encoder.forget_users([secret, "nobody"])
    assert pickle.dumps(encoder) == state
    encoder.forget_users([secret])
    assert secret.encode() not in pickle.dumps(encoder)
    for array in (encoder._users.ids, encoder._users.positions):
        assert array.base is None  # a view would keep the erased id alive
    with pytest.raises(UnknownInteractionError):
        encoder.forget_users([secret])
    before = pickle.dumps(encoder)
    encoder.forget_users([secret], missing="ignore")
    assert pickle.dumps(encoder) == before
    with pytest.raises(ValueError, match="expected 'raise' or 'ignore'"):
        encoder.forget_users(["al"], missing="maybe")
    encoder.fit({"user": [secret], "item": [1]})
    assert encoder.encode_users([secret]).tolist() == [0]


def test_integer_ids_leave_no_trace_either():
    secret = 0x1122334455667788
    encoder = InteractionEncoder().fit({"user": [1, secret, 3], "item": [1, 2, 3]})
    assert secret.to_bytes(8, "little") in pickle.dumps(encoder)
    encoder.forget_users([secret])
    assert secret.to_bytes(8, "little") not in pickle.dumps(encoder)


def test_representations_show_counts_and_never_an_id():
    users, items = ["alice-secret", "bob-secret"], ["poison-secret", "cure-secret"]
    encoder = InteractionEncoder().fit({"user": users, "item": items})
    nested = make_pipeline(encoder, FunctionTransformer())
    bundle = encoder._repr_mimebundle_()
    for text in (
        repr(encoder),
        str(encoder),
        encoder._repr_html_(),
        nested._repr_html_(),
        repr(nested),
        bundle["text/html"],
        bundle["text/plain"],
        repr(encoder._users),
    ):
        assert "secret" not in html.unescape(text)
    assert repr(encoder) == "<InteractionEncoder() of 2 users and 2 items>"
    assert repr(InteractionEncoder(value="v")) == "InteractionEncoder(value='v')"
    assert "n_users_" in encoder._repr_html_()
    union = FeatureUnion([("encoder", InteractionEncoder())])  # asks for names through itself
    union.fit({"user": users, "item": items})
    assert "secret" not in union._repr_html_()
    numbers = InteractionEncoder().fit({"user": [77123456], "item": [99123456]})
    assert "123456" not in numbers._repr_html_()
    assert encoder.get_feature_names_out().tolist() == sorted(items)


def test_errors_never_name_an_id_that_was_not_just_passed():
    encoder = InteractionEncoder().fit({"user": ["alice-secret"], "item": ["cure-secret"]})
    X = np.ones((1, 1))
    encoder.forget_users(["alice-secret"])
    calls = [
        lambda: encoder.encode_users(["zoe"]),
        lambda: encoder.encode_users([3]),
        lambda: encoder.inverse_transform(X),
        lambda: encoder.transform({"user": ["zoe"], "item": ["zip"]}),
        lambda: encoder.set_params(nope=1),
        lambda: encoder.set_params(duplicates="error").fit(
            {"user": ["alice-secret"] * 2, "item": ["cure-secret"] * 2}
        ).transform({"user": ["alice-secret"] * 2, "item": ["cure-secret"] * 2}),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises((ValueError, TypeError)) as error:
            call()
        assert "secret" not in str(error.value)


def test_duplicates_error_counts_and_locates():
    table = {"user": list("abab"), "item": list("xyxx")}
    with pytest.raises(ValueError, match=r"1 of 4 events repeat .*row 2\); expected.*Drop"):
        InteractionEncoder(duplicates="error").fit_transform(table)
    encoder = InteractionEncoder(duplicates="error")
    assert encoder.fit_transform({"user": list("aab"), "item": list("xyx")}).nnz == 3


def test_zero_values_are_left_out_with_a_warning():
    table = {"user": ["a", "b"], "item": ["x", "x"], "label": [0, 1]}
    with pytest.warns(UserWarning, match="1 of 2 cells have the value 0") as record:
        X = InteractionEncoder(value="label").fit_transform(table)
    assert X.nnz == 1
    assert record[0].filename == __file__


@pytest.mark.parametrize(
    ("events", "error", "match"),
    [
        ([("a", "x")], TypeError, "type list; expected a pandas.*np.array"),
        ("ratings.csv", TypeError, "type str; expected a pandas.*a file is read first"),
        (None, TypeError, "type NoneType; expected"),
        (sparse.eye_array(2, format="csr"), TypeError, "type csr_array; expected"),
        (pl.LazyFrame({"user": [1], "item": [1]}), TypeError, "type LazyFrame; expected.*collect"),
        (pd.Series([1]), TypeError, "type Series; expected"),
        (pd.DataFrame([[1, 2]], columns=["user", "user"]), TypeError, "name of its own"),
        (
            pd.DataFrame({"user": [1], "movie": [2]}),
            ValueError,
            "no column 'item'.*'movie'.*Rename",
        ),
        ({"user": [1], "item": [1]}, ValueError, "no column 'value'"),
        ({"user": [1, 2], "item": [1], "value": [1, 2]}, ValueError, "lengths"),
        ({"user": "ab", "item": [1], "value": [1]}, TypeError, "Got str for the column 'user'"),
        ({"user": np.ones((1, 1)), "item": [1], "value": [1]}, TypeError, r"shape \(1, 1\)"),
        (np.array(["a", "b"]), ValueError, r"shape \(2,\); expected \(n_events, 2\)"),
        (np.array([["a", "b", "c", "d"]]), ValueError, r"shape \(1, 4\); expected"),
        (np.array([["a", "b"]]), ValueError, "2 columns with value='value'"),
        (np.array([["a", "b", "good"]]), TypeError, "value column 'value' is not numeric"),
    ],
)
def test_tables_that_are_none(events, error, match):
    with pytest.raises(error, match=match):
        InteractionEncoder(value="value").fit(events)


@pytest.mark.parametrize("wrap", [dict, pd.DataFrame])
@pytest.mark.parametrize(
    ("ids", "error", "match"),
    [
        (["a", None, "b"], ValueError, "1 of 3 user ids are missing.*expected.*Drop"),
        ([1.0, np.nan, 2.0], ValueError, "1 of 3 user ids are missing"),
        (["a", np.nan, pd.NA], ValueError, "2 of 3 user ids are missing"),
        (["a", 1, "b"], TypeError, r"mixed types \(int, str\); expected one type\. Convert"),
        ([1, uuid.uuid4(), 2], TypeError, "mixed types"),
        ([True, False, True], TypeError, "user ids are boolean; expected"),
        ([1, True, 2], TypeError, "user ids are boolean; expected"),
        ([1.5, 2.0, 3.0], TypeError, "fractional or too large floats; expected"),
        ([2.0**53 + 2, 1.0, 2.0], TypeError, "fractional or too large"),
        ([np.inf, 1.0, 2.0], TypeError, "fractional or too large"),
        ([2**64, 1, 2], ValueError, "no 64-bit type.*expected int64 or uint64"),
        ([-1, 2**63, 2], ValueError, "no 64-bit type"),
        ([{"a"}, {"b"}, {"c"}], TypeError, "type set, which cannot be hashed"),
        ([1j, 2j, 3j], TypeError, "cannot be hashed and sorted; expected"),
    ],
)
def test_ids_that_are_none(ids, error, match, wrap):
    with pytest.raises(error, match=match):
        InteractionEncoder().fit(wrap({"user": pd.Series(ids, dtype=object), "item": [1, 2, 3]}))


@pytest.mark.parametrize("wrap", [dict, pd.DataFrame, pl.DataFrame, pa.table])
@pytest.mark.parametrize(
    ("values", "error", "match"),
    [
        ([1.0, float("nan"), 2.0], ValueError, "'v' holds NaN or inf in 1 of 3.*row 1|is missing"),
        ([1.0, float("inf"), 2.0], ValueError, "'v' holds NaN or inf in 1 of 3.*row 1"),
        ([1.0, None, 2.0], ValueError, "'v' holds NaN or inf in 1 of 3|missing in 1 of 3"),
        ([True, False, True], TypeError, "'v' is boolean; expected numbers.*Map it"),
        (["1", "2", "3"], TypeError, "'v' is not numeric; expected real numbers"),
    ],
)
def test_values_that_are_none(values, error, match, wrap):
    table = wrap({"user": [1, 2, 3], "item": [1, 2, 3], "v": values})
    with pytest.raises(error, match=match):
        InteractionEncoder(value="v").fit(table)
    encoder = InteractionEncoder(value="v")
    encoder.fit({"user": [1, 2, 3], "item": [1, 2, 3], "v": [1, 1, 1]})
    with pytest.raises(error, match=match):
        encoder.transform(table)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"duplicates": "mean"}, "'duplicates' parameter"),
        ({"unknown": "drop"}, "'unknown' parameter"),
        ({"user": 3}, "'user' parameter"),
        ({"user": "item"}, "expected different columns"),
    ],
)
def test_parameters_are_checked_at_fit(params, match):
    with pytest.raises(ValueError, match=match):
        InteractionEncoder(**params).fit({"user": [1], "item": [1]})


def test_a_failed_fit_or_transform_changes_nothing():
    encoder = InteractionEncoder().fit({"user": [1], "item": [1]})
    state = pickle.dumps(encoder)
    for bad in ({"user": [1, None], "item": [1, 2]}, {"user": [], "item": []}, {"user": [1]}):
        with pytest.raises(ValueError):
            encoder.fit(bad)
    assert pickle.dumps(encoder) == state


@pytest.mark.parametrize("ids", ["al", b"al", 3, None, np.array(3), np.ones((1, 2))])
def test_single_ids_must_be_wrapped(ids):
    encoder = InteractionEncoder().fit({"user": ["al"], "item": [1]})
    for call in (encoder.encode_users, encoder.encode_items, encoder.forget_users):
        with pytest.raises(TypeError, match=r"expected a one-dimensional list.*Wrap"):
            call(ids)


def test_scikit_learn_manners():
    encoder = InteractionEncoder(value="value", duplicates="max")
    table = {"user": IDS["uuid"], "item": ITEMS, "value": VALUES}
    for call in (encoder.transform, encoder.encode_pairs, encoder.encode_users,
                 encoder.inverse_transform, encoder.forget_users):  # fmt: skip
        with pytest.raises(NotFittedError):
            call(table)
    with pytest.raises(NotFittedError):
        encoder.get_feature_names_out()
    assert encoder.fit(table) is encoder
    assert clone(encoder).get_params() == encoder.get_params()
    with pytest.raises(NotFittedError):
        clone(encoder).transform(table)
    again = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(
        again.transform(table).toarray(), encoder.transform(table).toarray()
    )
    assert sorted_rows(again.inverse_transform(again.transform(table))) == sorted_rows(table)
    assert not hasattr(encoder, "set_output")
    public = [name for name in vars(encoder) if name.endswith("_") and not name.startswith("_")]
    assert sorted(public) == ["n_items_", "n_users_"]


@pytest.mark.parametrize("X", [np.ones((2, 3)), sparse.csr_array((4, 1)), np.ones(3)])
def test_inverse_transform_wants_the_shape_of_fit(X):
    encoder = InteractionEncoder().fit({"user": [1, 2], "item": [1, 2]})
    with pytest.raises(ValueError, match=r"expected \(n_users, n_items\) = \(2, 2\)\. Pass"):
        encoder.inverse_transform(X)


def test_inverse_transform_leaves_its_input_and_adds_duplicates():
    encoder = InteractionEncoder(user="value", item="i").fit({"value": ["a", "b"], "i": [5, 6]})
    X = sparse.coo_array(([1.0, 2.0, 0.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    back = encoder.inverse_transform(X)
    assert {name: column.tolist() for name, column in back.items()} == {
        "value": ["a"], "i": [6], "value_": [3.0],
    }  # fmt: skip
    assert X.nnz == 3
    X = sparse.csr_array(
        (np.array([1.0, 2.0]), np.array([1, 1]), np.array([0, 2, 2])), shape=(2, 2)
    )
    assert encoder.inverse_transform(X)["value_"].tolist() == [3.0]
    assert X.data.tolist() == [1.0, 2.0]
    dense = encoder.inverse_transform(np.array([[0, 0], [0, 2.0]]))
    assert dense["i"].tolist() == [6]
