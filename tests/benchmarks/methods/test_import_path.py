"""Objects made from import paths, and from text in the form of a call."""

import re

import pytest

from sklearn_unlearn.benchmarks.methods._import_path import (
    is_import_path,
    make_imported,
    parse_params,
    split_names,
)
from sklearn_unlearn.influence import SweepUnlearner

HERE = __name__
CALLS = ("unlearn",)


class Rival:
    def __init__(self, n_steps=1, shape=(), name=""):
        self.params = n_steps, shape, name

    def unlearn(self, problem):
        raise NotImplementedError


def not_a_class(problem):
    return problem


not_a_class.unlearn = not_a_class


def test_parameters_are_literals():
    text = "a=1, b=(0.7, 8), c='x', d=None, e=word, f=-2.5"
    expected = {"a": 1, "b": (0.7, 8), "c": "x", "d": None, "e": "word", "f": -2.5}
    assert parse_params(text) == expected
    assert parse_params("") == {}


@pytest.mark.parametrize(
    ("call", "params"),
    [
        ("", (1, (), "")),
        ("()", (1, (), "")),
        ("(n_steps=5, shape=(2, 3))", (5, (2, 3), "")),
        (" (name='a(b, c')", (1, (), "a(b, c")),
    ],
)
def test_a_class_is_called_with_what_stands_in_parentheses(call, params):
    made = make_imported(f"{HERE}:Rival{call}", "setting", CALLS)
    assert isinstance(made, Rival) and made.params == params


def test_a_strategy_of_the_library_by_its_path():
    made = make_imported("sklearn_unlearn.influence:SweepUnlearner(tol=0.5)", "setting", CALLS)
    assert isinstance(made, SweepUnlearner) and made.tol == 0.5


def test_which_names_are_paths():
    assert is_import_path("rivals:Ascent") and is_import_path("a.b:C(tol=1)")
    assert not any(map(is_import_path, ("default", "tol=1e-2", "touched x2", "ALS")))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("default, tol=1e-2,", ["default", "tol=1e-2"]),
        ("a:B(x=1, y=(2, 3)),c:D", ["a:B(x=1, y=(2, 3))", "c:D"]),
        ("a:B(x=',)', y=[1, {2, 3}]), d", ["a:B(x=',)', y=[1, {2, 3}])", "d"]),
        (" , ", []),
    ],
)
def test_commas_inside_a_call_separate_no_names(text, names):
    assert split_names(text) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no_such_module:Rival", "Got the setting 'no_such_module:Rival', whose module was not "
         "found; expected a module that can be imported. Install it"),
        ("no_such.module:Rival", "Got the setting 'no_such.module:Rival', whose module was not"),
        ("broken_rivals:Rival", "whose module needs 'no_such_module', which was not found; exp"),
        (f"{HERE}:Ascent", f"Got the setting '{HERE}:Ascent', whose module has no such name; "
         "expected one of its classes, Rival, SweepUnlearner. Correct it"),
        ("sklearn_unlearn:ALS", "sklearn_unlearn:ALS', which lacks unlearn; expected a class with "
         "unlearn. Write a strategy with `unlearn(problem)`"),
        (f"{HERE}:not_a_class", "not_a_class', which is no class; expected a class with unlearn"),
        (f"{HERE}:Rival(rate=1)", "expected parameters that the class takes: Rival.__init__() got "
         "an unexpected keyword argument 'rate'. Write"),
        (f"{HERE}:Rival(3)", "Got the parameters '3'; expected NAME=VALUE pairs"),
        (f"{HERE}:Rival(n_steps=f(1))", "Got the parameters 'n_steps=f(1)'; expected NAME=VALUE"),
        (f"{HERE}:Rival(n_steps=1", "expected module:Class or module:Class(name=value, ...). Wri"),
        (".rivals:Rival", "Got the setting '.rivals:Rival'; expected module:Class or"),
        (":Rival", "Got the setting ':Rival'; expected module:Class or"),
    ],
)  # fmt: skip
def test_bad_paths(text, message, tmp_path, monkeypatch):
    (tmp_path / "broken_rivals.py").write_text("import no_such_module\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=re.escape(message)):
        make_imported(text, "setting", CALLS)


def test_an_estimator_needs_its_verbs():
    with pytest.raises(ValueError, match=r"Rival', which lacks fit, forget; expected .* Add them:"):
        make_imported(f"{HERE}:Rival", "estimator", ("fit", "forget", "unlearn"))
