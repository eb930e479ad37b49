"""The watch over ids sees each kind of leak, and nothing where there is none."""

import os
import subprocess
import sys
import warnings
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from sklearn_unlearn import demo
from sklearn_unlearn.demo import _cli
from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.preprocessing import InteractionEncoder
from tests.id_leaks import watching

pytestmark = pytest.mark.shows_ids

EVENTS = {"user": ["angela-m", "bert-oh", "carol-x"], "item": [10_000_019, 10_000_079, 7]}


class Suggests(InteractionEncoder):
    def encode_users(self, ids):
        try:
            return super().encode_users(ids)
        except UnknownInteractionError as error:
            raise UnknownInteractionError(f"did you mean {self._users.ids[1]}?") from error


class Chains(InteractionEncoder):
    def encode_users(self, ids):
        raise ValueError("no") from KeyError(self._users.ids[0])


class Notes(InteractionEncoder):
    def encode_users(self, ids):
        error = ValueError("no")
        error.add_note(f"near {self._users.ids[0]}")
        raise error


class Prints(InteractionEncoder):
    def __repr__(self, N_CHAR_MAX=700):
        return f"<{vars(self).get('_items') and self._items.ids}>"


class Draws(InteractionEncoder):
    def _repr_html_(self):
        return f"<b>{self._users.ids[0]}</b>"


class Warns(InteractionEncoder):
    def fit(self, events, y=None):
        super().fit(events)
        warnings.warn(f"{self._users.ids[0]} is rare", UserWarning, stacklevel=2)
        return self


@pytest.mark.parametrize(
    "kind, where",
    [
        (Suggests, "message of UnknownInteractionError shows 1"),
        (Chains, "message of ValueError shows 1"),
        (Notes, "message of ValueError shows 1"),
        (Prints, "repr of Prints shows 2"),
        (Draws, "_repr_html_ of Draws shows 1"),
        (Warns, "a warning shows 1"),
        (InteractionEncoder, None),
    ],
)
def test_each_kind_of_leak_is_seen(kind, where):
    with watching() as watch:
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            encoder = kind().fit(EVENTS)
        with pytest.raises(ValueError):
            encoder.encode_users(["nobody-at-all"])
    found = watch.leaks()
    assert any(where in leak for leak in found) if where else not found
    assert not any(one in leak for leak in found for one in EVENTS["user"])


def test_what_the_test_passed_may_be_shown():
    with watching() as watch:
        encoder = InteractionEncoder().fit(EVENTS).forget_users(["bert-oh"])
        with pytest.raises(UnknownInteractionError, match="bert-oh"):
            encoder.encode_users(["bert-oh"])
        encoder.transform_new_users({"user": ["new-here"], "item": [7]})
        with pytest.raises(ValueError):
            raise ValueError("new-here")
    assert watch.leaks() == []


def test_a_vocabulary_from_before_counts_once_it_is_asked():
    encoder = Suggests().fit(EVENTS)
    with watching() as watch, pytest.raises(UnknownInteractionError):
        encoder.encode_users(["nobody-at-all"])
    assert watch.leaks() == ["the message of UnknownInteractionError shows 1 ids"]


@pytest.mark.parametrize("n", [3, 5_000])
@pytest.mark.parametrize(
    "make",
    [lambda k: f"client {k:06d}", lambda k: UUID(int=k), lambda k: 10**6 + k],
    ids=["text", "uuid", "int"],
)
def test_few_and_many_ids_of_every_type_are_found(n, make):
    ids = np.empty(n, object)
    ids[:] = [make(k) for k in range(n)]
    with watching() as watch:
        InteractionEncoder().fit({"user": ids, "item": np.arange(n)})
        for text in (f"it was {str(ids[1])!r}", "it was 1, or user"):
            with pytest.raises(ValueError):
                raise ValueError(text)
    assert watch.leaks() == ["the message of ValueError shows 1 ids"]


def events_file(folder, text="client-{u:03d},product-{i:03d},{v}"):
    path = folder / "events.csv"
    rows = [text.format(u=u, i=i, v=1 + (u + i) % 2) for u in range(12) for i in range(9)]
    path.write_text("\n".join(["user,item,rating", *rows, ""]), encoding="utf-8")
    return path


COMMANDS = {
    "an id that it was given": ("print(sys.argv[3], file=sys.stderr)", []),
    "an item, recommended": ("print('product-003')", []),
    "a user": ("print('client-003')", ["the output of the command line shows 1 ids"]),
    "a user, as an error": (
        "print('client-003', file=sys.stderr)",
        ["an error of the command line shows 1 ids"],
    ),
    "an item, as an error": (
        "print('product-003', file=sys.stderr)",
        ["an error of the command line shows 1 ids"],
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    "row", ["client-{u:03d},product-{i:03d},{v}", "client-{u:03d},product-{i:03d},x"]
)
def test_the_command_line_is_watched_in_its_own_process(name, row, tmp_path):
    code, leaks = COMMANDS[name]
    package = tmp_path / "sklearn_unlearn"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(f"import sys\n{code}\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "sklearn_unlearn",
        str(events_file(tmp_path, row)),
        "--user",
        "client-001",
    ]
    with watching() as watch:
        subprocess.run(
            command, cwd=tmp_path, env={"PYTHONPATH": ""}, capture_output=True, text=True
        )
    assert watch.leaks() == leaks


def test_the_command_line_is_watched_in_this_process(tmp_path, monkeypatch, capsys):
    path = events_file(tmp_path)
    with watching() as watch:
        assert demo.main([str(path), "--user", "client-999"]) == 2
    assert watch.leaks() == []
    refuse = _cli._refuse
    monkeypatch.setattr(_cli, "_refuse", lambda text: refuse(f"{text} Is it client-003?"))
    with watching() as watch:
        demo.main([str(path), "--user", "client-999"])
    assert watch.leaks() == ["an error of the command line shows 1 ids"]
    assert "client-999" in capsys.readouterr().err  # the caller sees what it would see


SESSION = """
import pytest
from sklearn_unlearn.preprocessing import InteractionEncoder
EVENTS = {"user": ["angela-m", "bert-oh"], "item": [1, 2]}

def leak():
    encoder = InteractionEncoder().fit(EVENTS)
    with pytest.raises(ValueError):
        raise ValueError(f"near {encoder._users.ids[0]}")

def test_that_leaks(): leak()

def test_that_is_clean(): InteractionEncoder().fit(EVENTS)

def test_that_fails_by_itself():
    leak()
    assert "own" == "failure"

@pytest.mark.shows_ids
def test_that_means_it(): leak()
"""


def test_a_session_fails_the_test_that_leaks_and_says_where(tmp_path):
    (tmp_path / "test_session.py").write_text(SESSION, encoding="utf-8")
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.id_leaks",
            "-p",
            "no:cacheprovider",
            "-rA",
            ".",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout
    assert "2 failed, 2 passed" in output, output + done.stderr
    assert "FAILED test_session.py::test_that_leaks" in output
    assert "ids that the test did not pass: the message of ValueError shows 1 ids" in output
    assert "FAILED test_session.py::test_that_fails_by_itself - AssertionError" in output
