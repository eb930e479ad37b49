"""Files in the layouts of public data sets and of the tools that write tables: made-up rows."""

import bz2
import gzip
import io
import json
import lzma
import re
import tempfile
import warnings
import zipfile
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sklearn_unlearn.datasets import load_interactions
from sklearn_unlearn.exceptions import DataWarning

TAB = "\t"
AMAZON = (
    '{"reviewerID": "AX7", "asin": "0007", "reviewerName": "J. \\"M\\"", "overall": 5.0,'
    ' "reviewText": "a, b\\nc", "unixReviewTime": 100, "reviewTime": "09 13, 2009"}\n'
    '{"reviewerID": "AX8", "asin": "B08", "overall": 3.0, "unixReviewTime": 101}\n'
)
YELP = (
    '{"review_id":"r1","user_id":"AX7","business_id":"0007","stars":5.0,"useful":0,'
    '"date":"2018-07-07 22:09:11"}\n'
    '{"review_id":"r2","user_id":"AX8","business_id":"B08","stars":3.0,"useful":1,'
    '"date":"2018-07-08 22:09:11"}\n'
)
MOMENTS = ["2018-07-07T22:09:11", "2018-07-08T22:09:11"]
DAYS = ["2005-09-06", "2005-09-07"]

# name of the file, its text, arguments; users, items, values, timestamps
READ = {
    "MovieLens 100K": (
        "u.data", "7\t70\t3\t881250949\n8\t80\t5\t881250950\n", {},
        [7, 8], [70, 80], [3, 5], [881250949, 881250950],
    ),
    "MovieLens 1M": (
        "ratings.dat", "7::70::3::978300760\n8::80::5::978300761\n", {},
        [7, 8], [70, 80], [3, 5], [978300760, 978300761],
    ),
    "MovieLens 20M": (
        "ratings.csv", "userId,movieId,rating,timestamp\r\n7,70,3.5,11\r\n8,80,5.0,12\r\n", {},
        [7, 8], [70, 80], [3.5, 5], [11, 12],
    ),
    "MovieLens tags, with commas and quotes": (
        "tags.csv", 'userId,movieId,tag,timestamp\n7,70,"a, ""b""",11\n8,80,x,12\n', {},
        [7, 8], [70, 80], [1, 1], [11, 12],
    ),
    "Book-Crossing": (
        "BX-Book-Ratings.csv",
        b'"User-ID";"ISBN";"Book-Rating"\r\n"7";"034545104X";"0"\r\n"8";"0155061224";"5"\r\n'
        b'"9";"3442\xe9";"8"\r\n',
        {"encoding": "latin-1"},
        [8, 9], ["0155061224", "3442é"], [5, 8], None,
    ),
    "Goodreads": (
        "goodreads_interactions.csv",
        "user_id,book_id,is_read,rating,is_reviewed\n7,70,1,3,0\n7,71,0,0,0\n8,80,1,5,1\n", {},
        [7, 8], [70, 80], [3, 5], None,
    ),
    "goodbooks": (
        "ratings.csv", "user_id,book_id,rating\n7,70,3\n8,80,5\n", {},
        [7, 8], [70, 80], [3, 5], None,
    ),
    "Yelp": ("yelp_academic_dataset_review.json", YELP, {},
             ["AX7", "AX8"], ["0007", "B08"], [5, 3], MOMENTS),
    "Amazon reviews": ("reviews_Books_5.json.gz", AMAZON, {},
                       ["AX7", "AX8"], ["0007", "B08"], [5, 3], [100, 101]),
    "Amazon ratings": (
        "ratings_Books.csv", "AX7,0007,5.0,100\nAX8,B08,3.0,101\n", {},
        ["AX7", "AX8"], ["0007", "B08"], [5, 3], [100, 101],
    ),
    "Amazon 2023": (
        "Books.csv", "user_id,asin,parent_asin,rating,timestamp\nAX7,x,0007,5.0,1\nAX8,y,B08,3,2\n",
        {}, ["AX7", "AX8"], ["0007", "B08"], [5, 3], [1, 2],
    ),
    "RetailRocket": (
        "events.csv",
        "timestamp,visitorid,event,itemid,transactionid\n14,7,view,70,\n15,8,addtocart,80,\n", {},
        [7, 8], [70, 80], [1, 1], [14, 15],
    ),
    "Last.fm 360K, by position": (
        "usersha1-artmbid-artname-plays.tsv",
        '00ab\t3bd7\t"Heroes\t13\n00cd\t\tNight 12"\t7\n00cd\tf3\tOdd "Al"\t2\n',
        {"user": 0, "item": 2, "value": 3},
        ["00ab", "00cd", "00cd"], ['"Heroes', 'Night 12"', 'Odd "Al"'], [13, 7, 2], None,
    ),
    "Last.fm of HetRec": (
        "user_artists.dat", "userID\tartistID\tweight\n7\t70\t13883\n8\t80\t11690\n", {},
        [7, 8], [70, 80], [13883, 11690], None,
    ),
    "MovieLens of HetRec": (
        "user_ratedmovies-timestamps.dat",
        "userID\tmovieID\trating\ttimestamp\r\n7\t70\t1.5\t11\r\n8\t80\t5\t12\r\n", {},
        [7, 8], [70, 80], [1.5, 5], [11, 12],
    ),
    "RecBole": (
        "ml-100k.inter",
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n7\t70\t3\t11\n8\t80\t5\t12\n",
        {},
        [7, 8], [70, 80], [3, 5], [11, 12],
    ),
    "RecBole, by the name without the type": (
        "ml-100k.inter", "user_id:token\tplace:token\n7\t70\n8\t80\n",
        {"item": "place"}, [7, 8], [70, 80], [1, 1], None,
    ),
    "Gowalla check-ins, by position": (
        "loc-gowalla_totalCheckins.txt",
        "7\t2010-10-19T23:55:27Z\t30.23\t-97.79\t70\n8\t2010-10-18T22:17:43Z\t30.26\t-97.76\t80\n",
        {"user": 0, "item": 4, "timestamp": 1},
        [7, 8], [70, 80], [1, 1], ["2010-10-19T23:55:27", "2010-10-18T22:17:43"],
    ),
    "check-ins with names": (
        "checkins.csv",
        "user,check-in time,latitude,longitude,location id\n7,11,.5,.5,70\n8,12,.5,.5,80\n",
        {}, [7, 8], [70, 80], [1, 1], [11, 12],
    ),
    "SNAP": (
        "web.txt.gz",
        "# Directed graph: web.txt \n# Nodes: 9 Edges: 2\n# FromNodeId\tToNodeId\n7\t70\n8\t80\n",
        {}, [7, 8], [70, 80], [1, 1], None,
    ),
    "KONECT": ("out.movielens", "% bip weighted\n7 70 3 11\n8  80 5 12 \n", {"sep": r"\s+"},
               [7, 8], [70, 80], [3, 5], [11, 12]),
    "blanks": ("edges.txt", "  7  70\n 18  80\n\n", {}, [7, 18], [70, 80], [1, 1], None),
    "Netflix, one file": (
        "netflix.csv", "7,70,3,2005-09-06\n8,80,5,2005-09-07\n", {}, [7, 8], [70, 80], [3, 5], DAYS,
    ),
    "Foursquare": (
        "dataset_TSMC2014_NYC.txt",
        "7\t49bb\t4bf5\tArts & Crafts\t40.7\t-74.0\t-240\tTue Apr 03 18:00:09 +0000 2012\n" * 2,
        {"user": 0, "item": 1}, [7, 7], ["49bb", "49bb"], [1, 1], None,
    ),
    "Steam, by position": (
        "steam-200k.csv",
        '7,"Fallout 4",purchase,1.0,0\n8,"Elder, The",play,273.0,0\n',
        {"user": 0, "item": 1, "value": 3}, [7, 8], ["Fallout 4", "Elder, The"], [1, 273], None,
    ),
    "Excel, semicolons": (
        "export.csv", b"\xef\xbb\xbfsep=;\r\nUser;Item;Rating\r\n7;70;3\r\n8;80;5\r\n", {},
        [7, 8], [70, 80], [3, 5], None,
    ),
    "Excel, Unicode text": (
        "export.txt", "User\tItem\tRating\r\n7\té\t3\r\n8\tü\t5\r\n".encode("utf-16"), {},
        [7, 8], ["é", "ü"], [3, 5], None,
    ),
    "pandas with its index": (
        "frame.csv", ",userId,movieId,rating\n0,7,70,3\n1,8,80,5\n", {},
        [7, 8], [70, 80], [3, 5], None,
    ),
    "blanks after commas": (
        "a.csv", 'userId, movieId, rating\n7, "70" , 5\n8, 80, 3\n', {"quoting": "none"},
        [7, 8], ['"70"', "80"], [5, 3], None,
    ),
    "titles that hold other separators": (
        "a.csv", 'user,item,rating\n7,"a;b|c",3\n8,"d;e|f, g",5\n', {},
        [7, 8], ["a;b|c", "d;e|f, g"], [3, 5], None,
    ),
    "JSON array": (
        "a.json", '\n[{"uid": 7, "iid": 18446744073709551615, "count": 3},\n'
        '{"count": 5, "iid": 80, "uid": 8}]', {}, [7, 8], [2**64 - 1, 80], [3, 5], None,
    ),
    "labels of 0 and 1": (
        "a.csv", "user,item,label\n7,70,0\n8,80,1\n", {"zeros": "keep"},
        [7, 8], [70, 80], [0, 1], None,
    ),
    "event before which a word stands in no position": (
        "a.csv", "7,Time,5\n8,Money,4\n", {"user": 0, "item": 1, "value": 2},
        [7, 8], ["Time", "Money"], [5, 4], None,
    ),
    "names above positions": (
        "a.csv", "user,item,rating,date\n7,70,5,28/11/2000\n8,80,4,28/11/2000\n",
        {"user": 0, "item": 1, "value": 2}, [7, 8], [70, 80], [5, 4], None,
    ),
    "names to be skipped": (
        "a.csv", "x,y,z\n7,70,5\n8,80,4\n", {"user": 0, "item": 1, "value": 2, "header": True},
        [7, 8], [70, 80], [5, 4], None,
    ),
    "text without names": (
        "a.tsv", "ann\theat\nbob\talien\n", {"header": False},
        ["ann", "bob"], ["heat", "alien"], [1, 1], None,
    ),
}  # fmt: skip


def check(events, users, items, values, times):
    assert events.user.tolist() == users and events.item.tolist() == items
    assert events.value.tolist() == values
    if times is None:
        assert events.timestamp is None
    elif isinstance(times[0], str):
        assert (events.timestamp == np.array(times, "M8[us]")).all()
    else:
        assert events.timestamp.tolist() == times


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}.get(path.suffix)
    path.write_bytes(pack(data) if pack else data)
    return path


def zipped(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize("layout", READ)
def test_layouts_are_read(layout, tmp_path):
    name, text, arguments, *expected = READ[layout]
    with warnings.catch_warnings():
        # Zeros of these sets are no ratings, and the next test is about saying so.
        warnings.simplefilter("ignore" if layout in ("Book-Crossing", "Goodreads") else "error")
        check(load_interactions(put(tmp_path / name, text), **arguments), *expected)


# text, and the argument that the refusal names
REFUSED = {
    "Gowalla check-ins": (
        "7\t2010-10-19T23:55:27Z\t30.2\t-97.7\t70\n8\t2010-10-18T22:17:43Z\t30.2\t-97.7\t80\n",
        r"5 columns .*\(0: integers; 1: times; 2: numbers; .*positions from 0 \(user=\.\.\., item",
    ),
    "Last.fm 360K": ("00ab\t3bd7\tLow\t13\n00cd\tf3\tHigh\t7\n", r"2: text.*user=\.\.\., item="),
    "Last.fm 1K": ("u1\t2009-05-04T23:08:57Z\tf1b\tDeep\t7c\tBlue\n" * 3, r"6 columns .*user=\.\."),
    "times in place of values": ("7,70,881250949\n8,80,881250950\n", r"2: times or large.*user=\."),
    "Netflix, blocks of films": ("70:\n7,3,2005-09-06\n8,4,2005-09-06\n9,4,2005-09-06\n", "line 1"),
    "names that are not known": ("person,thing\n7,70\n8,80\n", r"\['person', 'thing'\].*user=\.\."),
    "names or an event": ("ann,heat\nbob,alien\n", r"2 fields.*header=False, or header=True"),
    "two separators": ("7;70,1\n8;80,2\n", r"split at each of ; , .*\(sep=\.\.\.\)"),
    "decimal commas": ("user;item;rating\n7;70;3,5\n", "line 2.*with a point before decimals"),
    "ids of two kinds": ("user_id,artist_id,track_id\n7,70,1\n", r"'artist_id', 'track_id'.*item="),
    "repeated names": ("user,item,item\n7,70,1\n", r"each of which may be the item.*\(item=\.\.\."),
    "labels of 0 and 1": ("user,item,label\n7,70,0\n8,80,1\n", r"zeros='drop' or zeros='keep'"),
    "zeros alone": ("user,item,rating\n7,70,0\n8,80,0\n", r"zeros='drop' or zeros='keep'"),
    "latin-1": (b"user,item\n7,caf\xe9\n", r"line 2: not utf-8 text .*encoding=\.\.\., such as"),
    "stray quotes": ('user,item\n7,"Odd Al" Smith\n', r"line 2: .*quoting='none'"),
    "one column": ("7\n8\n", r"1 column\(s\).*sep=\.\.\."),
}


@pytest.mark.parametrize("layout", REFUSED)
def test_what_is_ambiguous_is_refused_with_what_settles_it(layout, tmp_path):
    text, match = REFUSED[layout]
    with pytest.raises(ValueError, match=match) as error:
        load_interactions(put(tmp_path / "a.csv", text))
    assert not re.search("Deep|Low|heat|bob|Heroes|caf|Smith|881250949|00ab", str(error.value))
    assert error.value.__context__ is None or error.value.__suppress_context__


def test_positions_on_a_line_that_may_be_names(tmp_path):
    path = put(tmp_path / "a.csv", "user,item\n7,70\n")
    with pytest.raises(ValueError, match="header=True or header=False"):
        load_interactions(path, user=0, item=1)
    check(load_interactions(path, user=0, item=1, header=True), [7], [70], [1], None)
    check(
        load_interactions(path, user=0, item=1, header=False),
        ["user", "7"], ["item", "70"], [1, 1], None,
    )  # fmt: skip


def test_names_that_may_be_ids_are_not_shown(tmp_path):
    path = put(tmp_path / "a.csv", "mallory,heat,x\neve,alien,y\n")
    with pytest.raises(ValueError, match="no column 'who' for user; it has 3 columns") as error:
        load_interactions(path, user="who")
    assert "mallory" not in str(error.value)


def test_zeros_that_are_left_out_unasked_are_counted_in_a_warning(tmp_path):
    path = put(tmp_path / "a.csv", "user,item,rating\n7,70,0\n7,71,3\n8,80,5\n")
    with pytest.warns(DataWarning, match=r"^1 events of 'a.csv' .* zeros='keep'"):
        assert len(load_interactions(path)) == 2


def test_how_a_file_was_read_is_printed_if_asked(tmp_path, capsys):
    path = put(tmp_path / "a.csv", "userId;movieId;rating\n7;70;4\n7;71;3\n")
    load_interactions(path, verbose=True)
    assert capsys.readouterr().out == (
        "[load_interactions] user=userId, item=movieId, value=rating, timestamp=none; "
        "separator ';'; with header\n"
    )
    load_interactions(path)
    assert not capsys.readouterr().out


@pytest.mark.parametrize("text", ["who,what\n1,2\n3,4\n", "who,2\n1,2\n3,4\n"])
def test_a_word_above_numbers_is_refused_where_positions_are_given(text, tmp_path):
    path = put(tmp_path / "a.csv", text)
    with pytest.raises(
        ValueError, match=r"word above numbers alone .* header=True or header=False"
    ):
        load_interactions(path, user=0, item=1)
    assert len(load_interactions(path, user=0, item=1, header=True)) == 2
    assert len(load_interactions(path, user=0, item=1, header=False)) == 3


def test_text_files_of_other_names_are_no_parts_of_one_table(tmp_path):
    for name in ("ratings.dat", "users.dat"):
        (tmp_path / name).write_text("1::2::3\n2::3::4\n", encoding="utf-8")
    with pytest.raises(ValueError, match="2 files of text whose names differ"):
        load_interactions(tmp_path)
    (tmp_path / "users.dat").rename(tmp_path / "ratings2.dat")
    (tmp_path / "ratings.dat").rename(tmp_path / "ratings1.dat")
    assert len(load_interactions(tmp_path)) == 4


@pytest.mark.parametrize("zeros", [None, "drop"])
@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.DataWarning")
def test_zeros_are_no_ratings_unless_kept(zeros, tmp_path):
    path = put(tmp_path / "a.csv", "user,item,rating,time\n7,70,0,1\n7,71,3,2\n8,80,5,3\n")
    check(load_interactions(path, zeros=zeros), [7, 8], [71, 80], [3, 5], [2, 3])
    check(load_interactions(path, zeros="keep"), [7, 7, 8], [70, 71, 80], [0, 3, 5], [1, 2, 3])
    frame = pd.DataFrame({"user": [7, 8, 9], "item": [1, 2, 3], "rating": [0, 4, 5]})
    frame.to_parquet(tmp_path / "a.parquet")
    check(load_interactions(tmp_path / "a.parquet", zeros=zeros), [8, 9], [2, 3], [4, 5], None)
    path.write_text("user,item,rating\n7,70,0\n", encoding="utf-8")
    with pytest.raises(ValueError, match="zeros='keep'"):
        load_interactions(path, zeros=zeros)


@pytest.mark.parametrize("name", ["r.csv.gz", "r.csv.bz2", "r.csv.xz", "r.CSV.GZ", "r.zip"])
def test_compressed(name, tmp_path):
    text = "user,item,rating\n7,70,3\n8,80,5\n"
    if name == "r.zip":
        path = zipped(tmp_path / name, {"ml/": "", "ml/ratings.csv": text, "__MACOSX/._r.csv": "x"})
    elif name.endswith("GZ"):
        path = put(tmp_path / "a.gz", text).rename(tmp_path / name)
    else:
        path = put(tmp_path / name, text)
    check(load_interactions(path), [7, 8], [70, 80], [3, 5], None)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ValueError, match=r"not a whole .* file"):
        load_interactions(path)


def test_members_of_a_zip_archive(tmp_path):
    ratings, frame = "user,item,rating\n7,70,3\n8,80,5\n", io.BytesIO()
    pd.DataFrame({"user": [7, 8], "item": [70, 80], "rating": [3, 5]}).to_parquet(frame)
    members = {"ml/ratings.csv": ratings, "ml/movies.csv": "x", "r.parquet": frame.getvalue()}
    path = zipped(tmp_path / "ml.zip", members)
    with pytest.raises(ValueError, match=r"'ml/movies.csv'.*expected one.*\(member=\.\.\.\)"):
        load_interactions(path)
    for member in ("ml/ratings.csv", "r.parquet"):
        check(load_interactions(path, member=member), [7, 8], [70, 80], [3, 5], None)
    with pytest.raises(ValueError, match=r"asked for 'ratings\.csv'"):
        load_interactions(path, member="ratings.csv")
    with pytest.raises(ValueError, match="only a zip archive has members"):
        load_interactions(put(tmp_path / "a.csv", ratings), member="ratings.csv")


def spark_folder(folder, write, suffix):
    """Two parts, an empty one, and the notes that Spark leaves."""
    folder.mkdir()
    first = {"user": [7], "item": ["a"], "rating": [3.0]}
    second = {"user": [8], "item": ["b"], "rating": [5.0]}
    for k, columns in enumerate((first, {name: [] for name in first}, second)):
        write(pd.DataFrame(columns), folder / f"part-0000{k}-c000{suffix}")
    (folder / "_SUCCESS").touch()
    (folder / f".part-00000-c000{suffix}.crc").write_bytes(b"crc")
    return folder


def to_csv(frame, path):
    frame.to_csv(path, index=False)


def to_json(frame, path):
    frame.to_json(path, orient="records", lines=True)


@pytest.mark.parametrize(
    ("write", "suffix"),
    [(pd.DataFrame.to_parquet, ".snappy.parquet"), (to_csv, ".csv"), (to_csv, ".csv.gz")],
)
def test_folder_of_parts(write, suffix, tmp_path):
    folder = spark_folder(tmp_path / "events", write, suffix)
    check(load_interactions(folder), [7, 8], ["a", "b"], [3, 5], None)
    other = pd.DataFrame({"user": [9], "thing": ["c"], "rating": [1.0]})
    write(other, folder / f"part-00003-c000{suffix}")
    with pytest.raises(ValueError, match=r"part-00003.*(other names|known as item)"):
        load_interactions(folder)


def test_parts_whose_ids_look_unlike(tmp_path):
    put(tmp_path / "t/part-0.csv", "user,item\n7,18446744073709551615\n")
    put(tmp_path / "t/part-1.csv", "user,item\n007,5\n")
    check(load_interactions(tmp_path / "t"), ["7", "007"], [2**64 - 1, 5], [1, 1], None)
    (tmp_path / "p").mkdir()
    pd.DataFrame({"user": [7], "item": [1]}).to_parquet(tmp_path / "p/0.parquet")
    pd.DataFrame({"user": ["x"], "item": [1]}).to_parquet(tmp_path / "p/1.parquet")
    with pytest.raises(ValueError, match="user ids of other types in some parts"):
        load_interactions(tmp_path / "p")


@pytest.mark.parametrize("kind", ["csv", "parquet", "json", "hive"])
def test_folders_named_after_values_are_columns(kind, tmp_path):
    for day, rows in (("2020-01-02", [(7, "a")]), ("2020-01-03", [(8, "b"), (9, "c")])):
        path = tmp_path / "t" / f"date={day}" / "rating=4" / f"part-0.{kind}"
        path.parent.mkdir(parents=True)
        frame = pd.DataFrame(rows, columns=["user", "item"])
        if kind == "hive":  # no names, no extension, Ctrl-A between fields
            frame.to_csv(path.with_name("000000_0"), sep="\x01", header=False, index=False)
        elif kind == "json":
            to_json(frame, path)
        elif kind == "csv":
            to_csv(frame, path)
        else:
            frame.to_parquet(path)
    expected = [4, 4, 4], ["2020-01-02", "2020-01-03", "2020-01-03"]
    if kind == "hive":
        events = load_interactions(tmp_path / "t", header=False)
    else:
        events = load_interactions(tmp_path / "t")
        swapped = load_interactions(tmp_path / "t", user="date", item="item", value="rating")
        assert swapped.user.tolist() == expected[1]
    check(events, [7, 8, 9], ["a", "b", "c"], *expected)


def test_other_folders_are_refused(tmp_path):
    ratings = "user,item,rating\n7,70,3\n"
    put(tmp_path / "ml/ratings.csv", ratings)
    put(tmp_path / "ml/README.md", "x")
    with pytest.raises(ValueError, match=r"extensions \['.csv', '.md'\].*path of one file"):
        load_interactions(tmp_path / "ml")
    put(tmp_path / "d/a.csv", ratings)
    (tmp_path / "d/_delta_log").mkdir()
    with pytest.raises(ValueError, match="Delta Lake table"):
        load_interactions(tmp_path / "d")
    secret = "user=mallory@example.org"
    put(tmp_path / "p" / secret / "part-0.csv", "item,rating\n1,x\n")
    with pytest.raises(ValueError, match=r"p/\.\.\./part-0.csv', line 2") as error:
        load_interactions(tmp_path / "p")
    assert "mallory" not in str(error.value)


def test_typed_columns_that_are_no_ids(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"user": [7, 8], "item": [[1, 2], [3]]}).to_parquet(path)
    with pytest.raises(ValueError, match=r"column 'item' of type list.*one row for each element"):
        load_interactions(path)
    import pyarrow as pa
    import pyarrow.parquet as pq

    twice = pa.table([[7, 8], [1, 2], [3, 4], [5, 6]], names=["user", "item", "item", "x"])
    pq.write_table(twice, path)
    with pytest.raises(ValueError, match=r"\['item', 'item'\], each of which may be the item"):
        load_interactions(path)
    with pytest.raises(ValueError, match="2 columns 'item'; expected one"):
        load_interactions(path, item="item")
    assert load_interactions(path, user="user", item="x").item.tolist() == [5, 6]


@pytest.mark.parametrize(
    ("second", "match"),
    [
        ('{"user": 8}', "line 2: no 'item' for item; expected it in every object"),
        ('{"user": 8, "item": 1', "line 2: not JSON of an event"),
        ('{"user": 8, "user": 9, "item": 1}', "line 2: not JSON of an event"),
        ('{"user": "8", "item": 1}', r"user ids of the types \['int', 'str'\]"),
        ('{"user": [8], "item": 1}', r"user ids of the types \['int', 'list'\]"),
        ('{"user": null, "item": 1}', "1 rows with no user id"),
        ('{"user": 8, "item": 18446744073709551616}', "item ids beyond 64 bits"),
        ("[8, 1]", "line 2: not JSON of an event"),
    ],
)
def test_bad_json(second, match, tmp_path):
    first = json.dumps({"user": 7, "item": 70})
    with pytest.raises(ValueError, match=match):
        load_interactions(put(tmp_path / "a.jsonl", f"{first}\n{second}\n"))


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"sep": ""}, ValueError, "expected one or more characters"),
        ({"sep": '"'}, ValueError, "none of them a quote"),
        ({"sep": 1}, TypeError, "sep of type int; expected text"),
        ({"header": 1}, TypeError, "header of type int; expected True or False"),
        ({"quoting": True}, ValueError, "expected 'minimal', 'none'"),
        ({"quoting": "all"}, ValueError, "expected 'minimal', 'none'"),
        ({"encoding": "none such"}, ValueError, "such as 'latin-1'"),
        ({"encoding": "rot13"}, ValueError, "such as 'latin-1'"),
        ({"zeros": "no"}, ValueError, "expected 'drop', 'keep' or None"),
        ({"user": 1.0}, TypeError, "user of type float"),
        ({"user": True}, TypeError, "user of type bool"),
    ],
)
def test_arguments(arguments, error, match, tmp_path):
    with pytest.raises(error, match=match):
        load_interactions(put(tmp_path / "a.csv", "user,item\n7,70\n"), **arguments)


secret = st.sampled_from(
    ["s3cret-a", '"s3cret-b"', '"s3cret-c', 's3cret"d', "s3cret e", "s3cret,f"]
)
field = st.one_of(secret, st.sampled_from(["7", "3.5", "", "0", "2020-01-01", "28/11/2000"]))


@given(
    header=st.sampled_from(["", "user,item,rating,date\n", "user;item\n", "user\titem\n"]),
    rows=st.lists(st.lists(field, min_size=1, max_size=5), min_size=1, max_size=5),
    sep=st.sampled_from([",", ";", "\t", "::", " "]),
    arguments=st.fixed_dictionaries(
        {},
        optional={
            "user": st.sampled_from([0, "user", "who"]),
            "item": st.sampled_from([1, "item"]),
            "value": st.sampled_from([2, "rating"]),
            "timestamp": st.sampled_from([3, "date"]),
            "quoting": st.sampled_from(["minimal", "none"]),
            "header": st.just(False),
            "zeros": st.sampled_from(["keep", "drop"]),
        },
    ),
)
@example(header="", rows=[["s3cret-a", "s3cret e", "-"], ["s3cret-a", "7", "5"]], sep=",",
         arguments={"user": "who"})  # fmt: skip
def test_no_error_shows_what_a_file_holds(header, rows, sep, arguments):
    text = header + "".join(sep.join(row) + "\n" for row in rows)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            load_interactions(put(Path(folder, "a.csv"), text), **arguments)
        except ValueError as error:
            first = text.split("\n")[0]
            shown = (
                re.sub(r"columns \[.*\]", "", str(error))
                if is_above_numbers(first, rows)
                else str(error)
            )
            assert "s3cret" not in shown
            hidden = error.__suppress_context__ or error.__context__ is None
            assert hidden or "s3cret" not in str(error.__context__)


def is_above_numbers(first, rows):
    """Tell whether a word of the first line may be a name of a column."""
    return any(
        "s3cret" in first and len(column) > 1 and not any("s3cret" in one for one in column[1:])
        for column in zip_longest(*rows, fillvalue="")
    )
