"""The commands, from events to a verified certificate, and what they refuse."""

import json
import random
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from sklearn_unlearn import ALS, EASE
from sklearn_unlearn._forget_report import GUARANTEES
from sklearn_unlearn.audit import DeletionQueue, digest_of, load, save
from sklearn_unlearn.cli import COMMANDS, main
from sklearn_unlearn.cli._options import KEY
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder


class Shop:
    """A folder with events, a model, keys and a store, and the commands in it."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys = folder, capsys
        self.model, self.store = folder / "model.skops", folder / "store.db"

    def run(self, *arguments, code=0):
        assert main([str(one) for one in arguments]) == code
        return self.capsys.readouterr()

    def json(self, *arguments, code=0):
        return json.loads(self.run(*arguments, "--json", code=code).out)

    def flush(self, *arguments):
        return self.json("flush", self.store, self.model, *arguments)

    def items_of(self, user, *arguments):
        found = self.json("recommend", self.model, "--user", user, "-n", 5, *arguments)
        return [one["item"] for one in found]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("shop"), random.Random(0)
    lines = ["user,item,rating"]
    for user in range(60):
        lines += [f"{user + 100},i{item},{rng.randint(1, 5)}" for item in rng.sample(range(30), 9)]
    (folder / "events.csv").write_text("\n".join(lines))
    assert main(["key", str(folder / "key")]) == 0
    assert main(["key", str(folder / "signer"), "--signing"]) == 0
    (folder / "taken.pub").write_text("a public key that somebody needs")
    (folder / "bare.csv").write_text("i1,horror\ni2,comedy\n")
    (folder / "long.csv").write_text("item,category\ni1," + "x" * 200_000)
    (folder / "twice.csv").write_text("item,category\ni1,horror\ni1,comedy\n")
    arguments = [str(folder / "events.csv"), str(folder / "model.skops"), "--likes", "3"]
    assert main(["fit", *arguments, "--estimator", "EASE", "--params", "regularization=5.0"]) == 0
    return folder


@pytest.fixture
def shop(fitted, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "shop"
    shutil.copytree(fitted, folder)
    monkeypatch.setenv(KEY, (folder / "key").read_text())
    return Shop(folder, capsys)


def test_from_a_request_to_a_verified_certificate(shop):
    backup = shop.folder / "backup.skops"
    shutil.copy(shop.model, backup)
    assert len(shop.items_of(142)) == 5
    (one,) = shop.json("submit", shop.store, "--user", 142, "--model", shop.model,
                       "--request-id", "ticket-1")  # fmt: skip
    assert one["request_id"] == "ticket-1" and one["status"] == "pending"
    assert shop.items_of(142, "--store", shop.store) == []  # masked at once
    folder = shop.folder / "certificates"
    folder.mkdir()
    told = shop.flush("--certificates", folder, "--signing-key", shop.folder / "signer")
    assert (told["n_requests"], told["certificates"]) == (1, 1)
    assert told["report"]["guarantee"] == "exact"
    assert shop.json("status", shop.store, "ticket-1")[0]["outcome"] == "forgotten"
    unknown = shop.run("recommend", shop.model, "--user", 142, code=2)
    assert unknown.out == "" and "InteractionEncoder" not in unknown.err
    assert unknown.err.endswith("was fitted on and has not forgotten. Check them.\n")

    (certificate,) = folder.glob("*.json")
    public = "--public-key", shop.folder / "signer.pub", "--store", shop.store
    verified = shop.json("verify", certificate, *public)
    assert verified["verified"] and verified["meaning"] == GUARANTEES["exact"]
    assert "logs" in verified["not_in_scope"]
    assert "; logs; " in shop.run("verify", certificate, *public).out
    certificate.write_bytes(certificate.read_bytes().replace(b'"exact"', b'"refit"'))
    assert not shop.json("verify", certificate, *public, code=1)["verified"]

    again = shop.folder / "again"
    again.mkdir()
    signing = "--signing-key", shop.folder / "signer"
    assert shop.json("certify", shop.store, again, *signing)["certificates"] == 1
    assert shop.json("certify", shop.store, again, *signing, "--sequence", 1)["certificates"] == 0
    assert shop.json("verify", again / certificate.name, *public)["verified"]

    actions = [one["action"] for one in shop.json("ledger", shop.store)]
    assert actions == ["suppress", "forget"]
    head = shop.json("ledger", shop.store, "--verify")["head"]
    other = head[:-1] + ("0" if head[-1] != "0" else "1")
    shop.run("ledger", shop.store, "--verify", "--head", head)
    assert (
        "another" in shop.json("ledger", shop.store, "--verify", "--head", other, code=1)["problem"]
    )

    # A number of three digits is all that a user is to a similarity: nothing to search for.
    residue = shop.json("residue", backup, shop.model, "--user", 142, code=1)
    assert (residue["count"], residue["n_patterns"]) == (0, 0)
    assert shop.json("replay", shop.store, backup)["n_interactions"] > 0
    assert digest_of(load(backup)) == digest_of(load(shop.model))


def test_a_request_of_which_nothing_is_held_is_done_and_not_certified(shop):
    for user in (142, 7):
        shop.run("submit", shop.store, "--user", user, "--id-type", "int")
    told = shop.flush("--certificates", shop.folder, "--signing-key", shop.folder / "signer")
    assert (told["n_requests"], told["n_not_found"], told["certificates"]) == (2, 1, 1)
    assert shop.json("status", shop.store) == []


def test_forget_at_once_is_the_model_that_never_knew(shop):
    before = digest_of(load(shop.model))
    counts = shop.json("forget", shop.model, "--user", 107, "--item", "i3", "--dry-run")
    assert digest_of(load(shop.model)) == before and counts["found"]
    told = shop.json("forget", shop.model, "--user", 107, "--item", "i3")
    assert told["n_interactions"] == counts["n_interactions"]
    assert (told["model_before"], told["model_after"]) == (before, digest_of(load(shop.model)))
    again = shop.json("forget", shop.model, "--pair", "108,i3", "--dry-run")
    assert again == {**again, "n_interactions": 0, "found": False}


@pytest.mark.parametrize("by", ["--model", "--id-type"])
def test_uuids_of_a_file_are_those_of_the_model(shop, by):
    names = [str(UUID(int=k + 10**20)) for k in range(30)]
    events = {"user": [UUID(one) for one in names for _ in range(4)],
              "item": [UUID(int=k % 7 + 1) for k in range(120)]}  # fmt: skip
    model = make_recommender_pipeline(InteractionEncoder(), EASE(regularization=5.0)).fit(events)
    save(model, shop.model)
    requests = shop.folder / "requests.jsonl"
    pair = [names[5], str(UUID(int=5 * 4 % 7 + 1))]
    lines = [{"users": [names[3]]}, {"users": names[4]}, {"interactions": [pair]}]
    requests.write_text("\n".join(map(json.dumps, lines)))
    kind = shop.model if by == "--model" else "uuid"
    shop.json("submit", shop.store, "--file", requests, by, kind)
    report = shop.flush()
    assert (report["n_requests"], report["n_not_found"]) == (3, 0)
    left = load(shop.model)
    assert left._interactions.n_interactions == 120 - 4 - 4 - 1
    requests.write_text(json.dumps({"users": ["nobody"]}))
    error = shop.run("submit", shop.store, "--file", requests, by, kind, code=2).err
    assert "an id is no UUID; expected one" in error and "nobody" not in error


def test_requests_of_a_file_are_taken_in_together_or_not_at_all(shop):
    requests = shop.folder / "requests.jsonl"
    good = {"users": [101], "request_id": "a"}, {"interactions": [[102, "i1"]], "request_id": "b"}
    requests.write_text("\n".join(json.dumps(one) for one in good) + "\n")
    taken = shop.json("submit", shop.store, "--file", requests)
    assert [one["request_id"] for one in taken] == ["a", "b"]
    requests.write_text('{"users": [103]}\n{"users": [104], "colour": 1}\n')
    error = shop.run("submit", shop.store, "--file", requests, code=2).err
    assert "line 2 has a field" in error and "104" not in error
    assert len(shop.json("status", shop.store)) == 2
    assert shop.json("cancel", shop.store, "a")[0]["status"] == "cancelled"
    told = shop.flush("--dry-run")
    assert (told["n_requests"], told["n_interactions"], told["n_overdue"]) == (
        1,
        told["n_users"],
        0,
    )


def test_a_reference_that_has_ended_is_said(shop):
    submit = "submit", shop.store, "--id-type", "int", "--request-id", "ticket-1", "--user"
    assert "has ended" not in shop.run(*submit, 142).err
    shop.flush()
    told = shop.run(*submit, 143)
    assert "1 of 1 have the reference of a request that has ended" in told.err
    assert "completed" in told.out and shop.items_of(143, "--store", shop.store)


def test_overdue_requests_have_an_exit_code(shop):
    key = (shop.folder / "key").read_text().strip()
    with DeletionQueue(shop.store, key=key) as queue:
        long_ago = datetime.now(UTC) - timedelta(days=40)
        queue.submit(users=[101], received=long_ago)
        queue.submit(users=[102])
    assert len(shop.json("status", shop.store)) == 2
    assert len(shop.json("status", shop.store, "--overdue", code=1)) == 1
    shop.flush()
    assert shop.json("status", shop.store, "--overdue") == []


@pytest.mark.filterwarnings("always::UserWarning")
def test_categories_and_ages_by_files(shop):
    """Some requests cover what the tables say, and an unsaid category masks the whole user."""
    events = [line.split(",") for line in (shop.folder / "events.csv").read_text().split()[1:]]
    kinds, times = shop.folder / "kinds.csv", shop.folder / "times.csv"
    rows = (f"i{item},{'horror' if item % 2 else 'comedy'}" for item in range(30))
    kinds.write_text("\n".join(["item,category", *rows]))
    rows = (f"{user},{item},{1000 if int(user) < 110 else 9_000_000}" for user, item, _ in events)
    times.write_text("\n".join(["user,item,timestamp", *rows]))
    tables = "--categories", kinds, "--events", times
    before = load(shop.model).steps[-1][1]._interactions.n_interactions
    shop.run("submit", shop.store, "--category", "142,horror", "--model", shop.model, *tables)
    shop.run("submit", shop.store, "--before", "1970-01-02", "--model", shop.model, *tables)
    told = shop.run("recommend", shop.model, "--user", 142, "--store", shop.store, "--json")
    assert json.loads(told.out) == [] and "1 requests name a date" in told.err
    assert shop.json("flush", shop.store, shop.model, "--dry-run", code=1)["n_left"] == 2
    assert shop.json("flush", shop.store, shop.model, code=1)["n_left"] == 2
    left = shop.items_of(142, "--store", shop.store, *tables)
    assert left and all(int(item[1:]) % 2 == 0 for item in left)
    told = shop.flush(*tables)
    liked = [(int(user), int(item[1:])) for user, item, value in events if int(value) >= 3]
    gone = sum(user < 110 or (user == 142 and item % 2 == 1) for user, item in liked)
    assert told["n_requests"] == 2 and told["report"]["n_interactions"] == gone
    assert load(shop.model).steps[-1][1]._interactions.n_interactions == before - gone


def test_residue_of_a_file_that_was_not_rebuilt(shop, tmp_path):
    X = abs(make_interactions(60, 40, n_interactions=700, random_state=0))
    old, new = tmp_path / "old.skops", tmp_path / "new.skops"
    save(ALS(8, random_state=0).fit(X), old)
    shutil.copy(old, new)
    shop.run("forget", new, "--user", 7)
    assert shop.json("residue", old, new, "--user", 7, "--partial")["count"] == 0
    assert shop.json("residue", old, tmp_path, "--user", 7, code=1)["count"] > 0


REFUSED = [
    (["submit", "{store}", "--user", "7"], "neither --model nor --id-type"),
    (["submit", "{store}", "--user", "x", "--id-type", "int"], "an id is no whole number"),
    (["submit", "{store}", "--user", "x", "--id-type", "uuid"], "an id is no UUID"),
    (["submit", "{store}", "--pair", "x", "--id-type", "text"], "a --pair has 1 parts"),
    (["submit", "{store}", "--id-type", "text"], "the request names nothing"),
    (["submit", "{store}", "--user", "x", "--id-type", "text", "--regulation", "lex"], "gdpr"),
    (["status", "{store}", "no"], "there is no request"),
    (["status", "{folder}/typo.db"], "there is no store"),
    (["flush", "{folder}/typo.db", "{model}"], "there is no store"),
    (["recommend", "{model}", "--user", "142", "--store", "{folder}/typo.db"], "there is no store"),
    (["ledger", "sqlite:///{folder}/typo.db"], "there is no store"),
    (["replay", "{folder}/typo.db", "{model}"], "there is no store"),
    (
        ["submit", "{store}", "--model", "{model}", "--before", "2001-01-01"],
        "--events of a command",
    ),
    (["flush", "{store}", "{folder}/no.skops"], "there is no file"),
    (["flush", "{store}", "{model}", "--certificates", "."], "expected both or none"),
    (["forget", "{model}"], "nothing is named"),
    (["forget", "{model}", "--user", "1"], "never trained on"),
    (["fit", "{folder}/events.csv", "{folder}/x", "--estimator", "SVD"], "expected one of ALS"),
    (["fit", "{folder}/no.csv", "{folder}/x"], "no.csv"),
    (["ledger", "{store}", "--verify", "--head", "7"], "--head is no number and hash"),
    (["verify", "{folder}/key", "--public-key", "{folder}/key"], "key"),
    (["key", "{folder}/key"], "exists"),
    (["key", "{folder}/signer", "--signing"], "there is a file"),
    (["key", "{folder}/taken", "--signing"], "there is a file"),
    (["flush", "{store}", "{model}", "--categories", "{folder}/events.csv"], "has 3 columns"),
    (["flush", "{store}", "{model}", "--categories", "{folder}/twice.csv"], "another category"),
    (["flush", "{store}", "{model}", "--categories", "{folder}/bare.csv"], "have no header"),
    (["flush", "{store}", "{model}", "--categories", "{folder}/long.csv"], "cannot be read"),
    (["flush", "{store}", "{model}", "--events", "{folder}/events.csv"], "has no times"),
    (["submit", "{store}", "--id-type", "int", "--events", "x"], "without a model"),
    (["certify", "{store}", "{folder}"], "--signing-key was not given"),
    (["certify", "{store}", "{folder}/no", "--signing-key", "x"], "there is no folder"),
    (["nope"], "No such command"),
    (["fit"], "Missing argument"),
]


@pytest.mark.parametrize("arguments, message", REFUSED, ids=lambda one: str(one)[:40])
def test_bad_input_is_one_message_and_changes_nothing(shop, arguments, message):
    with DeletionQueue(shop.store, key=(shop.folder / "key").read_text().strip()):
        pass
    before = digest_of(load(shop.model)), (shop.folder / "key").read_text()
    names = {"store": shop.store, "model": shop.model, "folder": shop.folder}
    error = shop.run(*(one.format(**names) for one in arguments), code=2)
    assert message in error.err and "Traceback" not in error.err and error.out == ""
    assert before == (digest_of(load(shop.model)), (shop.folder / "key").read_text())
    assert not (shop.folder / "typo.db").exists()
    assert shop.json("status", shop.store) == []


def test_without_a_key_nothing_is_opened(shop, monkeypatch):
    with DeletionQueue(shop.store, key=(shop.folder / "key").read_text().strip()):
        pass
    monkeypatch.delenv(KEY)
    assert "no key was given" in shop.run("status", shop.store, code=2).err
    found = shop.run("status", shop.store, "--key-file", shop.folder / "key", "--json")
    assert json.loads(found.out) == []


def test_a_key_is_for_its_owner(shop):
    for name in ("key", "signer"):
        assert (shop.folder / name).stat().st_mode & 0o077 == 0


def test_tables_show_what_json_holds(shop):
    shop.run("submit", shop.store, "--user", 142, "--model", shop.model, "--request-id", "t-1")
    table = shop.run("status", shop.store).out.splitlines()
    assert table[0].split()[:3] == ["request", "id", "status"]
    assert table[1].split()[:2] == ["t-1", "pending"] and len(table) == 2


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in COMMANDS)
    for name in COMMANDS[:-1]:
        assert main([name, "--help"]) == 0
        assert f"sklearn-unlearn {name}" in capsys.readouterr().out


def test_the_process_ends_with_the_code(shop):
    for command in ("ledger", "demo"):
        call = [sys.executable, "-m", "sklearn_unlearn", command, "--no-such-option"]
        done = subprocess.run(call, capture_output=True, text=True)
        assert done.returncode == 2 and "--no-such-option" in done.stderr


def test_without_typer_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "typer", None)
    assert main(["status", "store.db"]) == 2
    assert "sklearn-unlearn[audit]" in capsys.readouterr().err


@pytest.mark.parametrize("name, count", [("docs/user_guide/command_line.md", 18), ("README.md", 6)])
def test_the_commands_of_the_pages_run(name, count, tmp_path, monkeypatch, capsys):
    page = Path(__file__).parents[2] / name
    rng = random.Random(0)
    lines = ["user,item,rating,timestamp"]
    for user in range(30, 90):
        lines += [f"{user},i{item},{rng.randint(1, 5)},9" for item in rng.sample(range(30), 9)]
    (tmp_path / "events.csv").write_text("\n".join(lines))
    (tmp_path / "certificates").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    lines = text.replace("\\\n", "").splitlines()
    commands = [line.removeprefix("$ ") for line in lines
                if re.match(r"\$ |sklearn-unlearn ", line)]  # fmt: skip
    assert len(commands) == count
    for command in commands:
        program, *arguments = shlex.split(command, comments=True)
        if Path("store.key").exists():  # the script for cron reads it so
            monkeypatch.setenv(KEY, Path("store.key").read_text())
        if program == "cp":
            shutil.copy(*arguments)
        else:
            assert (program, main(arguments)) == ("sklearn-unlearn", 0), command
    shown = capsys.readouterr().out
    assert "residual-bounded" in shown
    if name != "README.md":
        assert digest_of(load("before.skops")) == digest_of(load("model.skops"))


def test_a_store_that_is_none_and_a_stale_snapshot_are_bad_input(shop):
    other = shop.folder / "no-store.db"
    other.write_text("no database " * 500)
    for arguments in (["ledger", other], ["status", other], ["flush", other, shop.model]):
        error = shop.run(*arguments, code=2).err
        assert error.startswith("sklearn-unlearn: error: the store answered")
    backup = shop.folder / "backup.skops"
    shutil.copy(shop.model, backup)
    shop.run("submit", shop.store, "--user", 142, "--model", shop.model)
    shop.flush()
    shutil.copy(backup, shop.model)
    for arguments in (["flush", shop.store, shop.model], ["flush", shop.store, backup]):
        assert "Bring it up to date" in shop.run(*arguments, code=2).err


def test_a_file_of_requests_that_is_too_deep_is_bad_input(shop):
    file = shop.folder / "requests.jsonl"
    file.write_text('{"users": [142]}\n' + "[" * 100_000)
    error = shop.run("submit", shop.store, "--file", file, "--model", shop.model, code=2).err
    assert "line 2 of the file is no JSON object" in error
    assert not shop.store.exists()


def test_a_search_that_could_not_look_for_all_says_so(shop):
    found = shop.run("residue", shop.model, shop.folder / "key", "--user", 142, code=1)
    assert "complete" in found.out and "not all of the request could be searched" in found.err


def test_pairs_are_forgotten_and_searched_for_by_their_ids(shop, tmp_path):
    X = abs(make_interactions(60, 40, n_interactions=700, random_state=0)).tocoo()
    events = {"user": X.row + 9_000_000, "item": X.col + 5_000_000}
    pipeline = make_recommender_pipeline(InteractionEncoder(), ALS(8, random_state=0)).fit(events)
    old, new = tmp_path / "old.skops", tmp_path / "new.skops"
    save(pipeline, old)
    shutil.copy(old, new)
    pair = "--pair", f"{events['user'][5]},{events['item'][5]}"
    assert shop.json("forget", new, *pair)["n_interactions"] == 1
    found = shop.json("residue", old, new, *pair, "--partial", code=1)
    assert (found["count"], found["n_patterns"]) == (0, 0)  # a pair is searched for in memory alone


def test_a_head_that_was_kept_is_held_against_the_ledger(shop):
    shop.run("submit", shop.store, "--user", 142, "--id-type", "int", "--received", "2020-01-01")
    head = shop.json("ledger", shop.store, "--verify")["head"]
    assert shop.json("ledger", shop.store, "--head", head)["valid"]
    assert not shop.json("ledger", shop.store, "--head", head[:-2] + "xx", code=1)["valid"]
    assert len(shop.json("status", shop.store, "--overdue", code=1)) == 1  # since 2020
    told = shop.run("status", shop.store, "nobody", code=2).err
    assert "`sklearn-unlearn status`" in told
