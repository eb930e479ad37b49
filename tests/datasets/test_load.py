"""load_interactions: what files mean, the fast reader against the slow one, and errors."""

import builtins
import csv
import gzip
import io
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sklearn_unlearn.datasets import _delimited, load_interactions

NOBODY = {"user": None, "item": None, "value": None, "timestamp": None}


def write(folder, text, name="ratings.csv"):
    path = folder / name
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def outcome(data, slow, **arguments):
    """Columns with their types, or the message of the error."""
    with pytest.MonkeyPatch.context() as patch:
        if slow:
            patch.setattr(_delimited, "_read_fast", lambda *_: None)
        options = _delimited.TextOptions(**arguments)
        try:
            found = _delimited.read_delimited([("f.csv", data, {})], NOBODY, options, "f.csv")
        except ValueError as error:
            return str(error)
    (table,) = found.tables
    return {role: (column.dtype, column.tolist()) for role, column in table.items()}


fields = st.one_of(
    st.integers(-5, 10**20).map(str),
    st.floats().map(str),
    st.sampled_from(
        ["007", "+7", "-0", "1_0", " 3", "3 ", "0x1A", "1e3", "", " ", "\t", "é", "a b"]
    ),
    st.sampled_from(
        ['"', 'a"b', ' "a"', '""', '"a"', '"a,b"', '"a""b"', '"a', 'a"', '"\n"', "2020-01-02"]
    ),
)


@given(
    header=st.sampled_from(["", "user,item,rating\n", "\n\nUser-ID,x,item,rating,timestamp\r\n"]),
    sep=st.sampled_from([",", "\t", "::", r"\s+"]),
    options=st.fixed_dictionaries(
        {"quoted": st.sampled_from([None, True, False]), "header": st.sampled_from([None, False])}
    ),
    rows=st.lists(st.lists(fields, min_size=2, max_size=5), max_size=4),
    end=st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    bom=st.booleans(),
)
@example(header="\n\nuser,item\n", rows=[["1", "2"]], end="\n", sep=",", options={}, bom=False)
@example(
    header="user,item\n",
    rows=[["NaN", "null"], ["NA", "2"]],
    end="\n",
    sep=",",
    options={},
    bom=True,
)
def test_the_fast_reader_agrees_with_the_slow_one_on_anything(header, rows, end, sep, options, bom):
    text = header + end.join(",".join(row) for row in rows) + (end if rows else "")
    text = text.replace(",", " " if sep == r"\s+" else sep)
    data = (b"\xef\xbb\xbf" if bom else b"") + text.encode()
    options = {**options, "sep": sep} if sep != "," else options
    assert outcome(data, slow=False, **options) == outcome(data, slow=True, **options)


ids = st.one_of(
    st.integers(-(2**63), 2**64).map(str),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(
        lambda text: text.strip() and "\r" not in text
    ),
)


@given(
    rows=st.lists(
        st.tuples(
            ids, ids, st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 2**62)
        ),
        min_size=1,
        max_size=6,
    ),
    sep=st.sampled_from([",", ";", "\t", "|"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_is_written_is_read(rows, sep, quoting):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=sep, quoting=quoting)
    writer.writerow(["userId", "movieId", "rating", "timestamp"])
    writer.writerows([u, i, repr(v), t] for u, i, v, t in rows)
    options = {"sep": sep, "quoted": True}
    found = outcome(text.getvalue().encode(), slow=False, **options)
    assert found == outcome(text.getvalue().encode(), slow=True, **options)
    assert [str(user) for user in found["user"][1]] == [row[0].strip() for row in rows]
    assert [str(item) for item in found["item"][1]] == [row[1].strip() for row in rows]
    assert found["value"] == (np.float64, [row[2] for row in rows])
    assert found["timestamp"] == (np.int64, [row[3] for row in rows])


def test_plain_files_do_take_the_fast_way(monkeypatch):
    monkeypatch.setattr(_delimited._Reader, "_read_slowly", lambda *_: pytest.fail("slow"))
    plain = b"user,item,rating,timestamp\n1,a,3.5,10\n2,b,4,11\n"
    quoted = b'"user";"item";"rating"\n"x";"a, b";"3"\n"y";"b";"4"\n'
    assert outcome(plain, slow=False)["value"][1] == [3.5, 4.0]
    assert outcome(quoted, slow=False)["item"][1] == ["a, b", "b"]


def test_without_pyarrow_the_result_is_the_same(tmp_path, monkeypatch):
    path = write(tmp_path, "user,item,label,time\n1,a,1,5\n2,b,-1,6\n")
    fast = load_interactions(path)
    plain_import = builtins.__import__

    def no_pyarrow(name, *args, **kwargs):
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return plain_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_pyarrow)
    slow = load_interactions(path)
    for name in fast.keys():  # noqa: SIM118 - keys() is tested
        np.testing.assert_array_equal(fast[name], slow[name])
        assert fast[name].dtype == slow[name].dtype
    with pytest.raises(ImportError, match=r"pyarrow is not installed; expected .*pip install"):
        load_interactions(write(tmp_path, b"", "a.parquet"))


@pytest.mark.parametrize(
    ("header", "roles"),
    [
        ("user,item,rating,timestamp", (0, 1, 2, 3)),
        ("userId,movieId,rating,timestamp", (0, 1, 2, 3)),
        ("timestamp,label,iid,uid", (3, 2, 1, 0)),
        ("User-ID,ISBN,Book-Rating,time", (0, 1, 2, 3)),
        ("extra,user_id,item_id,count", (1, 2, 3, None)),
        ("USER_ID,rating,value,Item", (0, 3, 1, None)),
        ("item,user,x,y", (1, 0, None, None)),
    ],
)
def test_usual_names_are_found_in_any_order(header, roles, tmp_path):
    events = load_interactions(write(tmp_path, f"{header}\n10,11,12,13\n20,21,22,23\n"))
    expected = {
        name: np.array([10.0, 20.0]) + place
        for name, place in zip(("user", "item", "value", "timestamp"), roles, strict=True)
        if place is not None
    }
    expected.setdefault("value", np.ones(2))
    assert set(events.keys()) == set(expected)
    for name, column in expected.items():
        np.testing.assert_array_equal(events[name], column)


@pytest.mark.parametrize(
    ("name", "text", "arguments"),
    [
        ("a.csv", "7,x,2.5,100\n8,y,3,101\n", {}),
        ("my.ratings.csv", "7,x,2.5,100\n8,y,3,101\n", {}),
        ("a.csv", "\n7;x;2.5;100\n\n8;y;3;101", {}),
        ("a.tsv", "7\tx\t2.5\t100\n8\ty\t3\t101\n", {}),
        ("u.data", "7\tx\t2.5\t100\n8\ty\t3\t101\n", {}),
        ("ratings.dat", "7::x::2.5::100\n8::y::3::101\n", {}),
        ("a.txt", "7|x|2.5|100\r\n8|y|3|101\r\n", {}),
        ("a.csv.gz", "7,x,2.5,100\n8,y,3,101\n", {}),
        ("A.CSV", "u~i~r~t\n7~x~2.5~100\n8~y~3~101\n",
         {"sep": "~", "user": "u", "item": "i", "value": "r", "timestamp": "t"}),
        ("a.csv", "x,100,7,2.5\ny,101,8,3\n",
         {"user": 2, "item": 0, "value": 3, "timestamp": 1}),
        ("a.csv", "when,user,item,rating\n100,7,x,2.5\n101,8,y,3\n", {"timestamp": "when"}),
    ],
)  # fmt: skip
def test_layouts(name, text, arguments, tmp_path):
    events = load_interactions(str(write(tmp_path, text, name)), **arguments)
    assert events.user.tolist() == [7, 8]
    assert events.user.dtype == np.int64
    assert events.item.tolist() == ["x", "y"]
    assert events.item.dtype == object
    assert events.value.tolist() == [2.5, 3.0]
    assert events.timestamp.tolist() == [100, 101]


def test_ids_keep_what_tells_them_apart(tmp_path):
    def users(*texts):
        return load_interactions(
            write(tmp_path, "user,item\n" + "".join(f"{text},1\n" for text in texts))
        ).user

    assert users("1", "007").tolist() == ["1", "007"]
    assert users("1", "+1").tolist() == ["1", "+1"]
    assert users("-0", "0").tolist() == ["-0", "0"]
    assert users("NaN", "null").tolist() == ["NaN", "null"]
    assert users(" a ", "a", '" a"').tolist() == ["a", "a", "a"]
    assert users("1.0", "1").tolist() == ["1.0", "1"]
    assert users(str(2**53 + 1), "-5").tolist() == [2**53 + 1, -5]
    assert users(str(2**64 - 1), "5").dtype == np.uint64
    assert users(str(2**64 - 1), "5").tolist() == [2**64 - 1, 5]
    assert users(str(2**64), "5").tolist() == [str(2**64), "5"]
    assert users(str(2**63), "-5").tolist() == [str(2**63), "-5"]


def test_timestamps_may_be_numbers_or_iso_times(tmp_path):
    def times(*texts):
        rows = "".join(f"1,{k},{text}\n" for k, text in enumerate(texts))
        return load_interactions(write(tmp_path, "user,item,timestamp\n" + rows)).timestamp

    assert times("5", "-6").dtype == np.int64
    assert times("5", "6.5").tolist() == [5.0, 6.5]
    moments = times("2020-01-02", "2020-01-02T03:04:05Z", "2020-01-02T05:04:05+02:00")
    assert moments.dtype == "datetime64[us]"
    expected = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC).replace(tzinfo=None)
    assert moments.tolist() == [datetime(2020, 1, 2), expected, expected]


@pytest.mark.parametrize(
    "times", [["now"], ["5", "2020-01-01"], [str(2**63)], ["0x1A"], ["28/11/2000", "5"]]
)
def test_timestamps_that_nobody_asked_for_do_not_stop_a_file(times, tmp_path):
    rows = "".join(f"1,{k},{time}\n" for k, time in enumerate(times))
    path = write(tmp_path, "user,item,time\n" + rows)
    with pytest.warns(UserWarning, match="'time' of 'ratings.csv' is named like a timestamp"):
        events = load_interactions(path)
    assert events.timestamp is None and events.item.tolist() == list(range(len(times)))
    assert load_interactions(path, user="user").timestamp is None
    where = "line 2" if times[0] != "5" else "line 3"
    with pytest.raises(ValueError, match=f"{where}: the timestamp cannot be read; expected a num"):
        load_interactions(path, timestamp="time")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (
            "user,item,rating\n1,2,3\n1,2\n",
            r"line 3: 2 fields; expected 3, as in the first line\. C",
        ),
        ("user,item,rating\n1,2,3,4\n", "line 2: 4 fields; expected 3"),
        (
            "user,item,rating\n\n\n1,2,x\n",
            "line 4: the value cannot be read; expected a finite number",
        ),
        ("user,item,rating\n1,2,nan\n", "line 2: the value cannot be read"),
        ("user,item,rating\n1,2,3\n1,3,-inf\n", "line 3: the value cannot be read"),
        ("user,item,rating\n1,2,1e999\n", "line 2: the value cannot be read"),
        ("user,item,rating\n1,2,1_0\n", "line 2: the value cannot be read"),
        ("user,item,rating\n1,2,\n", "line 2: the value cannot be read"),
        ("user,item,rating\n1,2,True\n", "line 2: the value cannot be read"),
        ("user,item,rating\n1,2,3\n,2,3\n", "line 3: the user id is empty; expected an id"),
        ("user,item,rating\n1, ,3\n", "line 2: the item id is empty"),
        ('user,item\n"a\nb",1\n"c\nd",\n', "line 4: the item id is empty"),
        ('user,item\n1,2\n1,"b"x\n', r"line 3: cannot be split into fields .*; expected matching"),
        ('user,item\n1,2\n1,"b\n', "line 3: cannot be split"),
        (b"user,item\n1,2\n\xff,3\n", r"line 3: not utf-8 text .*Pass encoding=\.\.\., such as"),
        ("a,b,c\n1,2,3\n", r"columns \['a', 'b', 'c'\], none of them known as user or item"),
        ("1:\n1,2,3\n2,2,3\n3,2,3\n", "line 1: 1 fields; expected 3, as in most lines"),
        ('1,"Heroes,5\n2,Night 12",7\n3,Low,3\n', "quotes that enclose the ends of lines"),
        (b"user,item\n1,\x002\n", "line 2: a zero byte; expected text"),
    ],
)
def test_bad_lines_are_named(text, match, tmp_path):
    with pytest.raises(ValueError, match=match) as error:
        load_interactions(write(tmp_path, text))
    assert "ratings.csv" in str(error.value)


@pytest.mark.parametrize(
    ("text", "arguments", "match"),
    [
        ("", {}, r"is empty; expected events\. Check"),
        ("\n \n", {}, "is empty"),
        ("\ufeff", {}, "is empty"),
        ("user,item,rating\n", {}, r"header and no events; expected at least one\. Check"),
        (
            "user,thing,rating\n1,2,3\n",
            {},
            r"'user', 'thing', 'rating'.*known as item.*item=\.\.\.",
        ),
        ("1\n2\n", {}, r"1 column\(s\) and no header"),
        (
            "u,item\n1,2\n",
            {"user": "who"},
            r"no column 'who' for user; it has columns \['u', 'item'\]",
        ),
        ("1,2\n", {"user": 2, "item": 0}, "user=2, but .* has 2 columns; expected .* 0 to 1"),
        ("1,2\n", {"user": -1, "item": 0}, "user=-1"),
        ("1,2\n", {"user": 1}, "known as item"),
        ("1,2\n", {"user": 1, "item": 1}, "one column would serve twice"),
        ("user,item\n1,2\n", {"sep": ";"}, "'user,item'|1 column"),
    ],
)
def test_files_without_events_or_columns(text, arguments, match, tmp_path):
    with pytest.raises(ValueError, match=match):
        load_interactions(write(tmp_path, text), **arguments)


def test_wrong_paths(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"does not exist; expected a file.*Check the path"):
        load_interactions(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        load_interactions(tmp_path)
    for name in ("a.xlsx", "a", "a.gz"):
        with pytest.raises(ValueError, match=r"with the extension .*; expected \.csv.*Rename"):
            load_interactions(write(tmp_path, "user,item\n1,2\n", name))
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"1,2\n" * 99)[:-9])
    with pytest.raises(ValueError, match=r"not a whole gzip file .*; expected gzip data\. Fetch"):
        load_interactions(tmp_path / "b.csv.gz")
    for name, kind in (("c.parquet", "Parquet"), ("c.npz", "npz")):
        for content in ("user,item\n1,2\n", ""):
            with pytest.raises(ValueError, match=f"not an? {kind} file.*; expected"):
                load_interactions(write(tmp_path, content, name))


TYPED = {
    "userId": [2**60 + 1, 5, 5],
    "asin": ["b", "a", "é"],
    "rating": [1.0, 0.5, 5.0],
    "time": [3, 2, 1],
}


@pytest.mark.parametrize("container", ["parquet", "npz", "csv"])
def test_every_container_gives_the_same_events(container, tmp_path):
    path = tmp_path / f"events.{container}"
    if container == "parquet":
        pd.DataFrame(TYPED).to_parquet(path)
    elif container == "csv":
        pd.DataFrame(TYPED).to_csv(path, index=False)
    else:
        np.savez(path, **{name: np.array(column) for name, column in TYPED.items()})
    events = load_interactions(path)
    for name, column in zip(("user", "item", "value", "timestamp"), TYPED.values(), strict=True):
        assert events[name].tolist() == column
    assert [events[name].dtype for name in events.keys()] == [  # noqa: SIM118 - keys() is tested
        np.int64, object, np.float64, np.int64,
    ]  # fmt: skip
    renamed = load_interactions(path, user="asin", item="userId", value="time", timestamp="rating")
    assert renamed.user.tolist() == TYPED["asin"]
    assert renamed.value.tolist() == [3.0, 2.0, 1.0]


def test_typed_files_of_other_types(tmp_path):
    path = tmp_path / "a.parquet"
    moments = pd.to_datetime(["2020-01-01", "2021-01-01"])
    pd.DataFrame(
        {"user": pd.Categorical(["b", "a"]), "item": [1.0, 2.0], "count": [3, 4], "date": moments}
    ).to_parquet(path)
    events = load_interactions(path)
    assert events.user.tolist() == ["b", "a"]
    assert events.item.tolist() == [1, 2]
    assert events.item.dtype == np.int64
    assert events.value.tolist() == [3.0, 4.0]
    assert (events.timestamp == moments.to_numpy()).all()
    pd.DataFrame({"user": np.array([2**64 - 1, 1], "u8"), "item": [1, 2]}).to_parquet(path)
    assert load_interactions(path).user.tolist() == [2**64 - 1, 1]
    assert load_interactions(path).value.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("container", ["parquet", "npz"])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"userId": [True, False, True]}, "type bool"),
        ({"rating": [1.0, np.nan, np.inf]}, r"2 rows with a missing or infinite .*\(first row 1,"),
        ({"rating": [True, False, True]}, "values of type bool; expected numbers"),
        ({"rating": ["1", "2", "3"]}, "values of type .*; expected numbers"),
        ({"userId": [1.5, 2.0, 3.0]}, r"user id that is no integer \(first row 0"),
        ({"userId": [1.0, 2.0**53 + 2, 3.0]}, r"user id that is no integer \(first row 1"),
        ({"userId": [1.0, np.nan, 3.0]}, r"1 rows with no user id \(first row 1.*Drop"),
        ({"asin": ["a", "", "b"]}, r"1 rows with no item id \(first row 1"),
        ({"time": np.array(["2020-01-01", "NaT", "NaT"], "M8[s]")}, None),
        ({"userId": [], "asin": [], "rating": [], "time": []}, "holds no events"),
        ({"userId": None}, r"columns \['asin', 'rating', 'time'\], none of them known as user"),
    ],
)
def test_bad_typed_files(container, change, match, tmp_path):
    columns = {k: np.array(v) for k, v in {**TYPED, **change}.items() if v is not None}
    path = tmp_path / f"events.{container}"
    if container == "parquet":
        pd.DataFrame(columns).to_parquet(path)
    else:
        np.savez(path, **columns)
    if match is not None:
        with pytest.raises(ValueError, match=match):
            load_interactions(path)
        return
    with pytest.warns(UserWarning, match="'time' of .* was left out"):
        assert load_interactions(path).timestamp is None
    with pytest.raises(ValueError, match="2 rows with no timestamp"):
        load_interactions(path, timestamp="time")


def test_bad_npz_and_gaps_in_parquet(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, user=np.array(["a"], object), item=np.array([1]))
    with pytest.raises(ValueError, match=r"object arrays.*; expected arrays of numbers.*astype"):
        load_interactions(path)
    np.savez(path, user=np.ones((2, 2), int), item=np.ones(2, int))
    with pytest.raises(ValueError, match=r"columns of shapes.*expected one dimension"):
        load_interactions(path)
    np.savez(path, user=np.ones(3, int), item=np.ones(2, int))
    with pytest.raises(ValueError, match="columns of shapes"):
        load_interactions(path)
    path = tmp_path / "a.parquet"
    for name, gap in (("user", "no user id"), ("rating", "missing or infinite value")):
        frame = pd.DataFrame({n: pd.array([1, 2], "Int64") for n in ("user", "item", "rating")})
        frame.loc[1, name] = pd.NA
        frame.to_parquet(path)
        with pytest.raises(ValueError, match=rf"1 rows with .*{gap} \(first row 1"):
            load_interactions(path)
