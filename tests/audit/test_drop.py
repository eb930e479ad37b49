"""DROP: lists are read and matched, answers are written, and a file that is none is refused."""

import base64
import csv
import hashlib
import io
import zipfile

import numpy as np
import pytest

from sklearn_unlearn.audit import drop
from sklearn_unlearn.audit.drop import DropError, answers_csv, drop_hash, match_drop, read_drop

PEOPLE = {4711: "al@example.org", 4712: "bo@example.org", 4713: "cy@example.org"}
SECRET = "secret"
ROWS = [(f"{n:012d}", drop_hash(f"secret{n}@example.org")) for n in range(20)]
NAME = "20260901_77_Email.csv"
THREE_PARTS = r"^(the |line |file |answer |unpacking |2026).*; expected .*\. [A-Z].*\.$"


def listed(rows, header="ID,Hash"):
    return "\n".join([header, *map(",".join, rows)]) + "\n"


def download(files, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_hashes_are_those_of_the_reference():
    assert drop_hash("+1(415)555-9317", "phone") == "vGM7y5n+hBXRSEAklhHDPCbysyNgYTmXdMcagGUOY8E="
    assert drop_hash("+84(90)123 4567", "phone") == "ptzVkgbv9DonwvPCHmXmJ2SEOaolSh37z3ZzY/Gmm+U="
    digest = base64.b64encode(hashlib.sha256(b"alice+tag@co.com").digest()).decode()
    assert drop_hash(" Alice+tag@Co.COM\t", "email") == drop_hash("alice+tag@co.com") == digest
    for arguments in (("x", "vin"), (3,)):
        with pytest.raises((ValueError, TypeError), match="; expected "):
            drop_hash(*arguments)


def test_a_download_is_matched_and_answered(tmp_path):
    wanted = [*(drop_hash(one) for one in list(PEOPLE.values())[:2]), drop_hash("di@example.org")]
    items = ["a" * 12, "b" * 12, "c" * 12]
    files = {
        NAME: listed(zip(items, wanted, strict=True)),
        "20260901_77_Phone_part-2.csv": "\ufeffID,Hash\r\n",
        "20260901_77_Removed.csv": listed([("d" * 12, wanted[0])]),
    }
    path = tmp_path / "download.zip"
    path.write_bytes(download(files))
    lists = read_drop(path)
    assert [one.kind for one in lists] == ["Email", "Phone", "Removed"]
    assert [len(one.work_items) for one in lists] == [3, 0, 1]
    assert [one.is_removed for one in lists] == [False, False, True]
    matches = match_drop(lists[0], PEOPLE.values(), PEOPLE, kind="email")
    assert matches.ids == [4711, 4712] and matches.shared_ids == []
    assert matches.answers() == dict(zip(items, (3, 3, 5), strict=True))
    assert matches.answers(exempt=[4712]) == dict(zip(items, (3, 2, 5), strict=True))
    assert repr(matches) == "<DropMatches of 3 work items: 2 found, 0 shared, 1 not found>"
    with pytest.raises(DropError, match="were taken back"):
        match_drop(lists[2], [], [])
    text = answers_csv(matches.answers(), status_column="Code")
    assert list(csv.reader(io.StringIO(text))) == [
        ["ID", "Code"],
        *([item, code] for item, code in zip(items, "335", strict=True)),
    ]


def test_a_shared_identity_is_opted_out_and_an_id_may_have_several():
    wanted = read_drop(
        download({NAME: listed([("a" * 12, drop_hash("x")), ("b" * 12, drop_hash("y"))])})
    )[0]
    matches = match_drop(wanted, ["x", "x", "y", "y"], [1, 2, 3, 3])
    assert matches.shared_ids == [1, 2] and matches.ids == [3]
    assert matches.answers() == {"a" * 12: 4, "b" * 12: 3}
    assert matches.answers(exempt=[1]) == {"a" * 12: 4, "b" * 12: 3}
    assert matches.answers(exempt=[1, 2, 3]) == {"a" * 12: 2, "b" * 12: 2}
    for ids in ([1], [1, 2, 3]):
        with pytest.raises(ValueError, match="identities and ids differ in length"):
            match_drop(wanted, ["x", "y"], ids)


def malformed(seed):
    """A download that is none, and in words why."""
    rng = np.random.default_rng(seed)
    rows, text = [list(row) for row in ROWS], listed(ROWS)
    row, kind = rng.integers(len(rows)), seed % 10
    if kind == 0:
        data = download({NAME: text})
        return data[: rng.integers(1, len(data) - 1)], "truncated"
    if kind == 1:
        data = bytearray(download({NAME: text}, zipfile.ZIP_STORED))
        place = data.index(b"ID,Hash") + int(rng.integers(len(text)))
        data[place] ^= 1 << int(rng.integers(8))
        return bytes(data), "a bit flipped"
    if kind == 2:
        name = [
            f"../{NAME}",
            f"/{NAME}",
            f"a/{NAME}",
            "..\\" + NAME,
            f"C:{NAME}",
            "secret.csv",
            f"{NAME}Z.exe",
            "2026_77_Email.csv",
            f"{NAME}/",
            "20260901_77_Email.exe",
        ][rng.integers(10)]
        data = download({name: text})
        return data.replace(b".csvZ", b".csv\0"), "another name"
    if kind == 3:
        header = ["Hash,ID", "id,hash", "ID,Hash,Name", "ID;Hash", "", "ID"][rng.integers(6)]
        return download({NAME: listed(ROWS, header)}), "another header"
    if kind == 4:
        rows[row][1] = [
            SECRET,
            rows[row][1][:-1],
            rows[row][1] + "=",
            rows[row][1][:-2] + "F=",
            hashlib.sha256(b"x").hexdigest(),
            "",
            rows[row][1].replace("=", "%"),
            base64.b64encode(b"short").decode(),
            " " + rows[row][1],
        ][rng.integers(9)]
        return download({NAME: listed(rows)}), "another hash"
    if kind == 5:
        rows[row][0] = ["", "secret person", "=cmd()", "é" * 12, "a" * 65, rows[row - 1][0]][
            rng.integers(6)
        ]
        return download({NAME: listed(rows)}), "another ID"
    if kind == 6:
        rows[row] = [rows[row][:1], [*rows[row], SECRET], []][rng.integers(3)]
        return download({NAME: listed(rows)}), "other columns"
    if kind == 7:
        content = [
            text.encode("utf-16"),
            b"ID,Hash\n\xff,secret",
            b'ID,Hash\n"secret',
            b"\0" * 99,
            b"ID,Hash\n" + b"a" * 200_000,
        ][rng.integers(5)]
        return download({NAME: content}), "no CSV"
    if kind == 8:
        bombs = {NAME: bytes(2**22)}, {f"20260901_77_E{n}.csv": "ID,Hash\n" for n in range(101)}
        return download(bombs[rng.integers(2)]), "a bomb"
    data = bytearray(download({NAME: text}))
    central = data.rindex(b"PK\1\2")
    if rng.random() < 0.5:
        data[central + 8] |= 1  # encrypted
    else:
        data[central + 24 : central + 28] = (2**31 - 1).to_bytes(4, "little")  # its size
    return bytes(data), "a header that lies"


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_a_malformed_download_is_refused_and_shows_nothing(first):
    for seed in range(first, first + 50):
        data, what = malformed(seed)
        with pytest.raises(DropError, match=THREE_PARTS) as caught:
            read_drop(data, max_bytes=2**20)
            pytest.fail(f"{seed} {what}")
        assert "secret" not in str(caught.value), what
        assert not any(one in str(caught.value) for row in ROWS for one in row)


def test_a_hash_has_one_text():
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    text = ROWS[0][1]
    other = text[:-2] + alphabet[alphabet.index(text[-2]) + 1] + "="
    assert base64.b64decode(other) == base64.b64decode(text)
    with pytest.raises(DropError, match="line 2 of the list Email has no Hash"):
        read_drop(download({NAME: listed([(ROWS[0][0], other)])}))


def test_the_size_is_checked_before_anything_is_unpacked(monkeypatch):
    data = download({NAME: listed(ROWS)})
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(DropError, match="unpack to more than 100 bytes"):
        read_drop(data, max_bytes=100)


def test_a_file_that_is_absent_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_drop(tmp_path / "none.zip")


@pytest.mark.parametrize(
    "answers", [{"a b": 3}, {"=x": 3}, {7: 3}, {"a": 1}, {"a": "3"}, {"a": True}]
)
def test_wrong_answers_are_refused(answers):
    with pytest.raises(DropError, match="answer 1 has"):
        answers_csv(answers)
    assert {drop.EXEMPTED, drop.DELETED, drop.OPTED_OUT, drop.NOT_FOUND} == {2, 3, 4, 5}


@pytest.mark.parametrize("kind", [None, "email"])
def test_text_that_utf_8_cannot_write_is_refused_unseen(kind):
    with pytest.raises(ValueError, match="half of a surrogate pair; expected") as caught:
        drop_hash("al\ud800@example.org", kind)
    assert "example" not in str(caught.value) and caught.value.__cause__ is None
