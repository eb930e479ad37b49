"""The queue: requests are taken in once, encrypted, looked up, cancelled, and fall due."""

import multiprocessing
import sqlite3
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from sklearn_unlearn.audit import (
    DeletionQueue,
    DeletionRequest,
    Store,
    StoreError,
    generate_key,
    verify_ledger,
)
from sklearn_unlearn.audit._keys import Key

KEY = generate_key()
ASKED = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def queue(url):
    with DeletionQueue(url, key=KEY) as made:
        yield made


def actions(queue):
    return [entry["action"] for entry in queue.ledger.entries()]


def test_a_request_is_pending_and_in_the_ledger(queue):
    status = queue.submit(users=["somebody"], request_id="ticket-1")
    assert (status.status, status.outcome, status.finished) == ("pending", None, None)
    assert queue.status("ticket-1") == status
    assert queue.pending() == [status]
    assert actions(queue) == ["suppress"]
    assert verify_ledger(queue.store, head=queue.ledger.head())


def test_delivered_twice_is_taken_in_once(queue):
    first = queue.submit(users=["a", "b"], request_id="ticket-1")
    again = queue.submit_many([{"users": ["b", "a"], "request_id": "ticket-1"}] * 2)
    assert again == [first, first]
    assert len(queue.pending()) == 1
    assert actions(queue) == ["suppress"]


def test_another_request_under_a_reference_is_refused(queue):
    queue.submit(users=["a"], request_id="ticket-1")
    with pytest.raises(ValueError, match="another request is open"):
        queue.submit_many([{"users": ["c"]}, {"users": ["b"], "request_id": "ticket-1"}])
    assert len(queue.pending()) == 1


def test_a_reference_is_random_where_none_is_given(queue):
    one, two = queue.submit(users=["a"]), queue.submit(users=["a"])
    assert uuid.UUID(one.request_id).version == 4
    assert one.request_id != two.request_id


def test_cancelled_is_erased_and_stays_cancelled(queue):
    queue.submit(users=["a"], request_id="ticket-1")
    status = queue.cancel("ticket-1")
    assert status.status == "cancelled"
    assert queue.cancel("ticket-1") == status
    assert queue.submit(users=["a"], request_id="ticket-1") == status
    assert queue.pending() == []
    assert actions(queue) == ["suppress", "cancel"]
    table = queue.store.tables.requests
    with queue.store.reading() as connection:
        row = connection.execute(queue.store.sql.select(table)).one()
    assert (row.payload, row.fingerprint) == (None, None)


@pytest.mark.parametrize(
    ("regulation", "due"),
    [("gdpr", datetime(2026, 2, 28, 12, tzinfo=UTC)), ("ccpa", ASKED + timedelta(days=45))],
)
def test_deadlines(queue, regulation, due):
    queue.submit(users=["a"], regulation=regulation, received=ASKED, request_id="old")
    queue.submit(users=["b"], regulation=None, received=ASKED, request_id="none")
    queue.submit(users=["c"], regulation=regulation, request_id="new")
    queue._now = lambda: (due - timedelta(seconds=1)).timestamp()
    assert queue.pending(overdue=True) == []
    queue._now = lambda: (due + timedelta(seconds=1)).timestamp()
    assert [one.request_id for one in queue.pending(overdue=True)] == ["old"]
    assert [one.request_id for one in queue.pending()] == ["old", "new", "none"]
    assert queue.status("old").due == due


AHEAD, BEHIND = (timezone(timedelta(hours=hours)) for hours in (14, -14))


@pytest.mark.parametrize("name", ["before", "received"])
@pytest.mark.parametrize(
    "moment",
    [datetime(1, 1, 1, tzinfo=AHEAD), datetime(9999, 12, 31),
     datetime(9999, 12, 31, 23, tzinfo=BEHIND)],
)  # fmt: skip
def test_moments_that_no_calendar_has_are_refused(queue, name, moment):
    with pytest.raises(ValueError, match=rf"{name} is outside of the years 1 to 9998 in UTC; exp"):
        queue.submit(users=[1], **{name: moment})
    assert queue.pending() == [] and actions(queue) == []


@pytest.mark.parametrize("moment", [datetime(1, 1, 1), datetime(9998, 12, 31, 23, 59)])
@pytest.mark.parametrize("regulation", ["gdpr", "ccpa", None])
def test_the_first_and_the_last_moment(queue, moment, regulation):
    request = DeletionRequest(
        users=[1], before=moment, received=moment, regulation=regulation, request_id="ticket-1"
    )
    assert queue.submit(request).received == moment.replace(tzinfo=UTC)
    again = DeletionRequest.from_bytes(request.to_bytes())
    assert again.before_seconds == request.before_seconds
    assert queue.pending()[0].request_id == "ticket-1"


def test_everything_is_there_after_a_restart(url):
    with DeletionQueue(url, key=KEY) as first:
        first.submit(users=["a"], request_id="ticket-1")
    with DeletionQueue(url, key=KEY) as second:
        assert [one.request_id for one in second.pending()] == ["ticket-1"]


def test_another_key_is_refused(url):
    DeletionQueue(url, key=KEY).close()
    with pytest.raises(ValueError, match="the key is not that of the store"):
        DeletionQueue(url, key=generate_key())


def test_a_store_that_lasts_needs_a_key(url):
    with pytest.raises(TypeError, match="expected a key"):
        DeletionQueue(url)
    assert DeletionQueue(":memory:").submit(users=["a"]).status == "pending"


def test_nobody_without_the_key_reads_an_id(tmp_path):
    path = tmp_path / "deletions.db"
    with DeletionQueue(path, key=KEY) as queue:
        queue.submit(users=["unmistakable"], request_id="ticket-1")
        queue.submit(interactions=[("unmistakable", "thing")])
        files = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    assert b"ticket-1" in files
    assert b"unmistakable" not in files


def test_the_file_is_its_owners_alone(tmp_path):
    path = tmp_path / "deletions.db"
    with DeletionQueue(path, key=KEY) as queue:
        queue.submit(users=["a"])
        assert {one.stat().st_mode & 0o077 for one in tmp_path.iterdir()} == {0}


def _submit(url, key, name, n):
    with DeletionQueue(url, key=key) as queue:
        for start in range(0, n, 10):
            queue.submit_many(
                {"users": [f"{name}-{k}"], "request_id": f"{name}-{k}"}
                for k in range(start, start + 10)
            )
        queue.submit(users=["shared"], request_id="shared")


def test_processes_lose_nothing(url):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_submit, args=(url, KEY, f"w{k}", 50)) for k in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join(120)
    assert [one.exitcode for one in workers] == [0] * 4
    with DeletionQueue(url, key=KEY) as queue:
        names = {one.request_id for one in queue.pending()}
        assert names == {f"w{k}-{j}" for k in range(4) for j in range(50)} | {"shared"}
        check = verify_ledger(queue.store)
        assert check and check.n_entries == 201


def test_a_forked_child_has_connections_of_its_own(tmp_path):
    path = tmp_path / "deletions.db"
    queue = DeletionQueue(path, key=KEY)
    queue.submit(users=["parent"])
    child = multiprocessing.get_context("fork").Process(
        target=queue.submit, kwargs={"users": ["child"]}
    )
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert len(queue.pending()) == 2


# -- hostile input ---------------------------------------------------------------------------------
VALUES = [
    3.5,
    b"raw",
    None,
    True,
    [1.5],
    [None],
    [[1, 2]],
    [True],
    [b"raw"],
    {"a": 1},
    [{}],
    [object()],
    2**70,
    [-(2**70)],
    ["\ud800"],
    np.array([True, False]),
    np.array([1.5]),
    object(),
]
PAIRS = [[("a",)], ["ab"], [("a", "b", "c")], [(1.5, "a")], [("a", None)], 7, [7], ["abc"], "ab"]
NO_PAIRS = [value for value in VALUES if not isinstance(value, list) or value != [[1, 2]]] + PAIRS
MALFORMED = (
    [{name: value} for name in ("users", "items") for value in VALUES]
    + [{name: value} for name in ("interactions", "categories") for value in NO_PAIRS]
    + [
        {"users": ["fine"], name: value}
        for name, values in {
            "request_id": ["", "x" * 201, "a\nb", 7, b"a", ["a"], "\x00", 1.5],
            "regulation": ["GDPR", "", 7, b"gdpr", "hipaa", ["gdpr"]],
            "received": ["2026-01-01", 7, 1.5, date(2026, 1, 1), b"x", ["x"]],
            "before": ["2026-01-01", 7, 1.5, b"x", ["x"], object(), True],
        }.items()
        for value in values
    ]
    + [{"users": []}, {}, {"users": ["fine"], "user": ["fine"]}, {"unheard": 1}]
    + [{"users": ["fine"], "items": value} for value in VALUES]
    + [{"users": ["fine"], "interactions": value} for value in NO_PAIRS]
    + [{"items": ["fine"], "users": value} for value in VALUES]
    + [{"items": ["fine"], "categories": value} for value in NO_PAIRS]
)
NOT_REQUESTS = [
    None,
    7,
    "text",
    b"raw",
    ["users"],
    ("a", "b"),
    {1: 2},
    {"before": None},
    [],
    1.5,
    "x",
    object(),
]


def test_malformed_requests_are_refused_and_change_nothing(tmp_path):
    assert len(MALFORMED) + len(NOT_REQUESTS) >= 200
    with DeletionQueue(tmp_path / "deletions.db", key=KEY) as queue:
        before = queue.store.counters(), queue.ledger.head()
        for fields in [*MALFORMED, *NOT_REQUESTS]:
            with pytest.raises((TypeError, ValueError)) as error:
                queue.submit_many([{"users": ["fine"]}, fields])
            text = str(error.value)
            assert "expected" in text, fields
            assert "fine" not in text and "raw" not in text
        assert (queue.store.counters(), queue.ledger.head()) == before
        assert queue.pending() == []


@pytest.mark.parametrize(
    "key",
    ["short", b"\xff" * 44, 7, KEY[:-4], None],
    ids=["text", "bytes", "number", "cut", "none"],
)
def test_no_key(key):
    with pytest.raises((TypeError, ValueError), match="expected"):
        Key(key)


def test_an_unknown_reference_is_an_error(queue):
    for ask in (queue.status, queue.cancel):
        with pytest.raises(KeyError, match="no request with this request_id"):
            ask("nowhere")


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\x7f" * 5000]
)
def test_a_damaged_store_is_an_error(tmp_path, content):
    path = tmp_path / "deletions.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="expected that it can be read"):
        DeletionQueue(path, key=KEY)
    assert not verify_ledger(path)


def test_a_url_of_sqlite_is_a_file_with_one_lock(tmp_path):
    path = tmp_path / "deletions.db"
    stores = [Store(path), *(Store(f"sqlite{one}:///{path}") for one in ("", "+pysqlite"))]
    assert {store.path for store in stores} == {path}
    assert not any(store.in_memory for store in stores)
    with stores[0].flush_lock() as held:
        assert held
        for store in stores[1:]:
            with store.flush_lock() as other:
                assert other is None
    for url in (f"sqlite:///{path}?timeout=3", f"sqlite+aiosqlite:///{path}"):
        with pytest.raises(StoreError, match="expected sqlite:///path"):
            Store(url)
    assert [one.name for one in tmp_path.iterdir() if "?" in one.name] == []
    for store in stores:
        store.close()


@pytest.mark.parametrize("address", ["nothing://at/all", "postgresql+nothing://x/y"])
def test_an_address_that_cannot_be_used(address):
    with pytest.raises(StoreError, match="address of the store"):
        Store(address)


def test_errors_of_the_database_show_no_parameters(queue):
    table = queue.store.tables.requests
    with pytest.raises(StoreError) as error, queue.store.writing() as transaction:
        row = {"number": 1, "status": "unmistakable"}
        transaction.run(queue.store.sql.insert(table).values(row))
    assert "unmistakable" not in str(error.value)
    assert error.value.__cause__ is None and error.value.__suppress_context__


def test_requests_and_stores_show_no_id(queue):
    request = DeletionRequest(users=["unmistakable"], interactions=[("unmistakable", "thing")])
    shown = f"{request} {request!r} {queue!r} {queue.store!r} {queue.ledger!r} {Key(KEY)!r}"
    assert "unmistakable" not in shown and "thing" not in shown and KEY not in shown


def test_a_request_is_read_as_it_was_written():
    someone = uuid.UUID(int=7)
    request = DeletionRequest(
        users=[3, "3", someone],
        items=np.array([1, 2]),
        interactions=[(someone, 2), (1, "2")],
        categories=[("a", 7)],
        before=date(2020, 1, 1),
    )
    again = DeletionRequest.from_bytes(request.to_bytes())
    assert again.to_bytes() == request.to_bytes()
    assert set(again.users) == {3, "3", someone}
    assert set(again.interactions) == {(someone, 2), (1, "2")}
    assert again.before_seconds == datetime(2020, 1, 1, tzinfo=UTC).timestamp()


def test_what_is_sealed_belongs_to_its_place():
    key = Key(KEY)
    sealed = key.encrypt(b"text", "queue", "1")
    for purpose, place in (("queue", "2"), ("replay", "1")):
        with pytest.raises(ValueError, match="cannot be decrypted"):
            key.decrypt(sealed, purpose, place)
    with pytest.raises(ValueError, match="cannot be decrypted"):
        key.decrypt(sealed[:5], "queue", "1")


def test_the_database_is_in_wal_mode_and_erases(tmp_path):
    path = Path(tmp_path, "deletions.db")
    with DeletionQueue(path, key=KEY) as queue, queue.store.reading() as connection:
        asked = ("journal_mode", "secure_delete", "synchronous")
        settings = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
    assert settings == ["wal", 1, 2]
    assert sqlite3.connect(path).execute("SELECT count(*) FROM state").fetchone() == (1,)
