"""A plugin of pytest that watches every test for ids: what it shows, it must have been given.

It notes the ids in vocabularies that a test makes or asks, the ids that the test passes in later
questions, and what is shown meanwhile: the text of each error that `pytest.raises` catches, and of
the errors that led to it; of each warning that is recorded; and `repr`, `str` and `_repr_html_` of
the encoders and pipelines that were fitted and are alive at the end. It also reads the files of
events that a test gives to the command line of the package, in this process or another one, and
what that prints; there, items may be recommended on standard output. A test in which a known id
appears that it did not pass fails; the failure says where, and not which.

Only ids that nothing else looks like count: text of 6 characters or more, integers from a million
on, UUIDs. Output that a doctest compares is not looked at: it is in the source.
"""

import io
import re
import subprocess
import sys
import warnings
import weakref
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import wraps
from pathlib import Path
from uuid import UUID

import pytest
from sklearn import config_context

from sklearn_unlearn import demo
from sklearn_unlearn.datasets import load_interactions
from sklearn_unlearn.demo._options import make_parser
from sklearn_unlearn.pipeline import RecommenderPipeline
from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.preprocessing._vocabulary import Vocabulary

MARKER = "shows_ids: the test shows ids on purpose"
# Tests of speed and memory make larger vocabularies, and must not pay for the search.
_MAX_IDS = 50_000
# Fewer ids are searched for one by one, and found inside of words as well.
_MANY = 2_000

_watches = []
_undo = []


class Watch:
    """What one test has learned, passed and shown."""

    def __init__(self):
        self.users, self.items, self.passed, self.fitted = {}, {}, [], []
        self.shown, self.answers = [], []

    def note(self, ids, role):
        """Note ids that must not be shown."""
        (self.items if role == "item" else self.users)[id(ids)] = ids

    def leaks(self):
        """Say, for each place, how many ids it shows that were not passed."""
        passed = {text for ids in self.passed for text in _texts_of(ids)}
        users, items = (
            {text for ids in kept.values() for text in _texts_of(ids)} - passed
            for kept in (self.users, self.items)
        )
        known = users | items
        if not known:
            return []
        fitted = {id(one): one for one in (reference() for reference in self.fitted)}
        shown = self.shown + [
            (f"{kind} of {type(one).__name__}", text)
            for one in fitted.values()
            if one is not None
            for kind, text in _representations(one)
        ]
        counts = [(_count(known, text), where) for where, text in shown]
        counts += [(_count(users, text), where) for where, text in self.answers]
        return sorted({f"{where} shows {n} ids" for n, where in counts if n})


def _texts_of(ids):
    """Return the ids that cannot be mistaken, as text."""
    for one in ids:
        long_text = isinstance(one, str) and len(one) >= 6
        if long_text or isinstance(one, UUID):
            yield str(one)
        elif not isinstance(one, str | bytes | bool):
            with suppress(TypeError, ValueError):
                if int(one) == one and abs(int(one)) >= 10**6:
                    yield str(int(one))


def _count(known, text):
    if len(known) <= _MANY:
        return sum(one in text for one in known)
    words = re.findall(r"[^\s'\"()\[\]{}<>,;:=&]+", text) + re.findall(r"'([^']*)'", text)
    return len(known.intersection(words))


def _representations(one):
    yield "repr", repr(one)
    yield "str", str(one)
    with config_context(display="diagram"):
        yield "_repr_html_", one._repr_html_()


@contextmanager
def watching():
    """Watch what the block does; watches may be nested."""
    watch = Watch()
    _watches.append(watch)
    try:
        yield watch
    finally:
        _watches.remove(watch)


def _note_known(ids, role):
    if len(ids) <= _MAX_IDS:
        for watch in _watches:
            watch.note(ids, role)


def _note_passed(ids):
    if len(ids) <= _MAX_IDS:
        for watch in _watches:
            watch.passed.append(ids)


def _note_error(error):
    where, seen = f"the message of {type(error).__name__}", []
    while error is not None and error not in seen:
        seen.append(error)
        text = "\n".join([str(error), *map(str, getattr(error, "__notes__", ()))])
        for watch in _watches:
            watch.shown.append((where, text))
        hidden = error.__cause__ is None and error.__suppress_context__
        error = None if hidden else error.__cause__ or error.__context__


def _replace(owner, name, make):
    """Put a wrapper in the place of a method, until the plugin is switched off."""
    original = vars(owner)[name]
    plain = getattr(original, "__func__", original)
    wrapper = wraps(plain)(make(plain))
    kind = type(original)
    setattr(owner, name, kind(wrapper) if kind in (classmethod, staticmethod) else wrapper)
    _undo.append((owner, name, original))


def _around_learn(learn):
    def wrapper(cls, column, role):
        vocabulary, codes = learn(cls, column, role)
        _note_learning(vocabulary, role, sys._getframe(1))
        return vocabulary, codes

    return wrapper


def _note_learning(vocabulary, role, frame):
    """Note ids that a fit learns, and who is being fitted; new users are only passed.

    The stack tells. Wrappers around the methods themselves would stand between a warning and the
    line that it is about. Frames of the tests are left alone: to look at their variables would keep
    them alive.
    """
    if frame.f_code.co_name == "transform_new_users":
        _note_passed(vocabulary.ids)
        return
    _note_known(vocabulary.ids, role)
    while frame.f_globals.get("__name__", "").startswith(("sklearn", "joblib")):
        one = frame.f_locals.get("self")
        if isinstance(one, InteractionEncoder | RecommenderPipeline):
            for watch in _watches:
                watch.fitted.append(weakref.ref(one))
        frame = frame.f_back


def _around_lookup(lookup):
    def wrapper(self, column, role):
        _note_known(self.ids, role)  # it may be older than the test
        _note_passed(column.distinct)
        return lookup(self, column, role)

    return wrapper


def _around_fill(fill):
    def wrapper(self, exc_info):
        _note_error(exc_info[1])
        return fill(self, exc_info)

    return wrapper


def _around_message(init):
    def wrapper(self, message, *args, **kwargs):
        for watch in _watches:
            watch.shown.append(("a warning", str(message)))
        return init(self, message, *args, **kwargs)

    return wrapper


class _Copied(io.TextIOBase):
    """A stream that keeps a copy of what is written to another one."""

    def __init__(self, stream):
        self.stream, self.copy = stream, io.StringIO()

    def write(self, text):
        self.copy.write(text)
        return self.stream.write(text)

    def flush(self):
        self.stream.flush()


def _around_main(main):
    def wrapper(argv=None):
        out, err = _Copied(sys.stdout), _Copied(sys.stderr)
        try:
            with redirect_stdout(out), redirect_stderr(err):
                return main(argv)
        finally:
            _note_command(argv or [], out.copy.getvalue(), err.copy.getvalue())

    return wrapper


def _around_run(run):
    def wrapper(*args, **kwargs):
        done = run(*args, **kwargs)
        command = [str(part) for part in done.args] if isinstance(done.args, list) else []
        if "sklearn_unlearn" in command:
            argv = command[command.index("sklearn_unlearn") + 1 :]
            _note_command(argv, *map(_as_text, (done.stdout, done.stderr)))
        return done

    return wrapper


def _as_text(output):
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def _note_command(argv, out, err):
    """Note what a run of the command line was given, what it could read, and what it printed."""
    if not _watches:
        return
    users, items = _ids_in_file(argv)
    _note_known(users, "user")
    _note_known(items, "item")
    # The lookups of its own are those of all ids; what its caller passed are its arguments.
    _note_passed(argv)
    for watch in _watches:
        watch.answers.append(("the output of the command line", out))
        watch.shown.append(("an error of the command line", err))


def _ids_in_file(argv):
    """Read the ids in the file of events that a command line names, as well as it can be read."""
    try:
        with redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = make_parser().parse_args(argv)
        if options.file is None:  # made data; other paths are those of results
            return [], []
        events = load_interactions(options.file, **options.columns)
        return events.user.tolist(), events.item.tolist()
    except (SystemExit, Exception):
        lines = []
        for path in (one for one in map(Path, argv) if one.suffix != ".json"):  # results
            with suppress(OSError, ValueError):
                lines += path.read_text(encoding="utf-8").splitlines()[1:]
        fields = [re.split(r"::|[\t,;|]", line)[:2] for line in lines]
        return [one[0] for one in fields], [one[1] for one in fields if len(one) > 1]


def pytest_configure(config):
    config.addinivalue_line("markers", MARKER)
    if _undo:
        return
    _replace(Vocabulary, "learn", _around_learn)
    _replace(Vocabulary, "lookup", _around_lookup)
    _replace(pytest.ExceptionInfo, "fill_unfilled", _around_fill)
    _replace(warnings.WarningMessage, "__init__", _around_message)
    _replace(demo, "main", _around_main)
    _replace(subprocess, "run", _around_run)


def pytest_unconfigure():
    while _undo:
        setattr(*_undo.pop())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    with watching() as watch:
        result = yield
    if item.get_closest_marker("shows_ids") is None:
        leaks = watch.leaks()
        if leaks:
            pytest.fail(
                f"ids that the test did not pass: {'; '.join(leaks)}. Show counts or rows instead; "
                "a test that means it is marked shows_ids.",
                pytrace=False,
            )
    return result
