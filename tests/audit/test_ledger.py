"""The ledger: whatever is edited, deleted, moved or cut off is found."""

import json
import random
import sqlite3
import string

import pytest

from sklearn_unlearn.audit import DeletionQueue, Ledger, generate_key, verify_ledger
from sklearn_unlearn.audit._canonical import canonical_json
from sklearn_unlearn.audit._ledger import FIELDS, append, check_entries

KEY = generate_key()
N_ENTRIES = 12


@pytest.fixture
def queue(url):
    with DeletionQueue(url, key=KEY) as made:
        made.submit_many({"users": [k], "request_id": f"ticket-{k}"} for k in range(N_ENTRIES - 2))
        made.cancel("ticket-3")
        made.cancel("ticket-4")
        yield made


def rows_of(queue):
    table = queue.store.tables.ledger
    with queue.store.reading() as connection:
        query = queue.store.sql.select(table).order_by(table.c.sequence)
        return [tuple(row) for row in connection.execute(query)]


def test_a_ledger_that_nobody_touched_is_whole(queue):
    check = verify_ledger(queue.store, head=queue.ledger.head())
    assert check and check.problem is None
    assert (check.n_entries, check.head) == (N_ENTRIES, queue.ledger.head())


def test_entries_have_the_fields_that_are_promised(queue):
    entries = queue.ledger.entries()
    assert all(set(entry) == {*FIELDS, "hash"} for entry in entries)
    assert [entry["sequence"] for entry in entries] == list(range(1, N_ENTRIES + 1))
    assert queue.ledger.entry(2) == entries[1]
    one = entries[0]["request_id"]
    mine = [entry for entry in entries if entry["request_id"] == one]
    assert queue.ledger.entries(one) == mine and 0 < len(mine) < N_ENTRIES
    assert queue.ledger.entries("unheard of") == []
    assert json.loads(json.dumps(entries)) == entries
    with pytest.raises(KeyError, match="expected a number from 1 to 12"):
        queue.ledger.entry(13)


def test_a_head_of_an_earlier_day_is_still_in_the_ledger(queue):
    head = queue.ledger.head()
    queue.submit(users=["later"])
    assert verify_ledger(queue.store, head=head)


def test_an_empty_ledger_is_whole(url):
    with DeletionQueue(url, key=KEY) as queue:
        assert verify_ledger(queue.store, head=queue.ledger.head())


def test_text_that_is_nested_deep_is_a_finding():
    import hashlib

    text = "[" * 100_000
    assert not check_entries([(1, text, hashlib.sha256(text.encode()).hexdigest())])


def test_a_number_that_is_none_is_left_out(queue):
    with queue.store.writing() as transaction:
        append(queue.store, transaction, 0.0, [{"residual": float("nan"), "seconds": 1.5}])
    entry = queue.ledger.entries()[-1]
    assert (entry["residual"], entry["seconds"]) == (None, 1.5)
    assert verify_ledger(queue.store)


def tampered(rows, kind, draw):
    """Change rows (sequence, text, hash) in one way, as whoever can write the table could."""
    rows = list(rows)
    place = draw.randrange(len(rows))
    sequence, text, own = rows[place]
    if kind == "byte":
        at = draw.randrange(len(text))
        other = draw.choice([one for one in string.printable if one != text[at]])
        rows[place] = sequence, text[:at] + other + text[at + 1 :], own
    elif kind == "bit of a hash":
        at = draw.randrange(len(own))
        other = draw.choice([one for one in "0123456789abcdef" if one != own[at]])
        rows[place] = sequence, text, own[:at] + other + own[at + 1 :]
    elif kind == "value, with its own hash":
        entry = json.loads(text) | {draw.choice(["outcome", "n_users", "seconds"]): 7}
        _, _, own = _hashed(entry)
        rows[place] = sequence, canonical_json(entry), own
    elif kind == "whitespace, with its own hash":
        changed = text.replace(",", ", ", 1)
        rows[place] = sequence, changed, _hashed(None, changed)[2]
    elif kind == "deleted":
        del rows[place]
    elif kind == "deleted, and counted anew":
        del rows[place]
        rows = [(k + 1, text, own) for k, (_, text, own) in enumerate(rows)]
    elif kind == "swapped":
        other = draw.choice([k for k in range(len(rows)) if k != place])
        rows[place], rows[other] = (
            (rows[place][0], *rows[other][1:]),
            (rows[other][0], *rows[place][1:]),
        )
    elif kind == "repeated":
        rows.insert(place, rows[place])
    elif kind == "number":
        rows[place] = sequence + draw.choice([-1, 1, 100]), text, own
    elif kind == "cut off":
        rows = rows[:place]
    elif kind == "written anew from some entry on":
        rows = rows[:place] + _chain(rows[place:], rows[place - 1][2] if place else "0" * 64)
    return rows


def _hashed(entry, text=None):
    import hashlib

    text = canonical_json(entry) if text is None else text
    return None, text, hashlib.sha256(text.encode()).hexdigest()


def _chain(rows, previous):
    """Forge a chain that is whole in itself, in which the first entry says something else."""
    forged = []
    for sequence, text, _ in rows:
        entry = json.loads(text) | {"previous": previous}
        if not forged:
            entry["n_interactions"] = 999
        _, text, previous = _hashed(entry)
        forged.append((sequence, text, previous))
    return forged


KINDS = [
    "byte",
    "bit of a hash",
    "value, with its own hash",
    "whitespace, with its own hash",
    "deleted",
    "deleted, and counted anew",
    "swapped",
    "repeated",
    "number",
    "cut off",
    "written anew from some entry on",
]


def test_a_thousand_random_changes_are_found():
    queue = DeletionQueue(":memory:", key=KEY)
    queue.submit_many({"users": [k]} for k in range(N_ENTRIES))
    rows, head, draw = rows_of(queue), queue.ledger.head(), random.Random(0)
    assert check_entries(rows, [head])
    missed = []
    for turn in range(1000):
        kind = KINDS[turn % len(KINDS)] if turn % 2 else "byte"
        changed = tampered(rows, kind, draw)
        if changed != rows and check_entries(changed, [head]):
            missed.append(kind)
    assert missed == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_in_the_table_is_found(url, kind):
    with DeletionQueue(url, key=KEY) as queue:
        queue.submit_many({"users": [k]} for k in range(N_ENTRIES))
        head, table, sql = queue.ledger.head(), queue.store.tables.ledger, queue.store.sql
        rows = tampered(rows_of(queue), kind, random.Random(3))
        with queue.store.writing() as transaction:
            transaction.run(sql.delete(table))
            names = ("sequence", "entry", "hash")
            distinct = {row[0]: dict(zip(names, row, strict=True)) for row in rows}
            transaction.run(sql.insert(table), list(distinct.values()))
        if kind == "repeated":  # the table holds each number once
            assert verify_ledger(queue.store, head=head)
            return
        check = verify_ledger(queue.store, head=head)
        assert not check and check.problem


def test_what_is_cut_off_with_its_counter_is_found_by_a_head_kept_elsewhere(queue):
    head, table, state = queue.ledger.head(), queue.store.tables.ledger, queue.store.tables.state
    sql = queue.store.sql
    with queue.store.writing() as transaction:
        transaction.run(sql.delete(table).where(table.c.sequence > 5))
        last = transaction.run(sql.select(table.c.hash).where(table.c.sequence == 5)).scalar_one()
        transaction.run(sql.update(state).values(sequence=5, head=last))
    assert verify_ledger(queue.store)  # nothing inside tells
    check = verify_ledger(queue.store, head=head)
    assert not check and "ends at entry 5" in check.problem


def test_a_path_is_opened_for_reading_alone(tmp_path):
    path = tmp_path / "deletions.db"
    with DeletionQueue(path, key=KEY) as queue:
        queue.submit(users=["a"])
        head = queue.ledger.head()
    assert verify_ledger(path, head=head)
    assert Ledger(path).head() == head
    with pytest.raises(FileNotFoundError, match="no store at"):
        verify_ledger(tmp_path / "nowhere.db")
    assert not (tmp_path / "nowhere.db").exists()


def test_bytes_of_the_file_that_are_damaged_are_found(tmp_path):
    path = tmp_path / "deletions.db"
    with DeletionQueue(path, key=KEY) as queue:
        queue.submit_many({"users": [k]} for k in range(40))
        head = queue.ledger.head()
        queue.store.erase()
    whole, draw = path.read_bytes(), random.Random(0)
    found = 0
    rows = sqlite3.connect(path).execute("SELECT entry FROM ledger").fetchall()
    for (text,) in rows:
        start = whole.index(text.encode())
        at = start + draw.randrange(len(text))
        path.write_bytes(
            whole[:at] + bytes([whole[at] ^ (1 << draw.randrange(8))]) + whole[at + 1 :]
        )
        found += not verify_ledger(path, head=head)
    assert found == len(rows) == 40


@pytest.mark.parametrize("head", [7, "x", (1,), ("1", "x"), (1, 2), [1, 2, 3]])
def test_a_head_that_is_none(head):
    queue = DeletionQueue(":memory:")
    with pytest.raises(TypeError, match="head is no pair"):
        verify_ledger(queue.store, head=head)


def test_numbers_that_are_none_are_written_as_null(tmp_path):
    queue = DeletionQueue(":memory:")
    with queue.store.writing() as transaction:
        append(queue.store, transaction, 0.0, [{"residual": float("nan"), "seconds": float("inf")}])
    assert queue.ledger.entry(1)["residual"] is None
    assert verify_ledger(queue.store)
