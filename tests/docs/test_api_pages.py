"""The API pages list every public name, and what they list is documented."""

import importlib
import inspect
import pkgutil
import re

import pytest

import sklearn_unlearn
from tests.pages import ROOT, public_modules

API = ROOT / "docs" / "api"
_BLOCK = re.compile(r"^```\{eval-rst\}\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def listed():
    """List (module, name) of every entry of a table of summaries."""
    found = []
    for page in sorted(API.glob("*.md")):
        for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
            if ".. autosummary::" in block:
                module = re.search(r"currentmodule:: (\S+)", block)[1]
                found += [(module, name) for name in re.findall(r"^   (\w+)$", block, re.M)]
    return found


def modules_with_names():
    """List the modules of the package, without those that begin with an underscore."""
    names = [sklearn_unlearn.__name__]
    for module in pkgutil.walk_packages(sklearn_unlearn.__path__, "sklearn_unlearn."):
        if not any(part.startswith("_") for part in module.name.split(".")):
            names.append(module.name)
    return [name for name in names if hasattr(importlib.import_module(name), "__all__")]


LISTED = listed()


def thing(module, name):
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("module", modules_with_names())
def test_every_public_name_is_listed(module):
    # A thing that two modules offer is listed under one of them.
    shown = {id(thing(*entry)) for entry in LISTED}
    missing = []
    for name in importlib.import_module(module).__all__:
        one = thing(module, name)
        is_shown = one.__name__ in public_modules() if inspect.ismodule(one) else id(one) in shown
        if not is_shown and name != "__version__":
            missing.append(name)
    assert missing == []


def test_nothing_is_listed_twice_or_without_being_public():
    assert len(LISTED) == len(set(LISTED))
    for module, name in LISTED:
        assert name in importlib.import_module(module).__all__, (module, name)


def test_every_page_is_reached_from_the_index():
    toctree = (API / "index.md").read_text(encoding="utf-8").split("{toctree}")[1]
    pages = {page.stem for page in API.glob("*.md")} - {"index"}
    assert set(re.findall(r"^(\w+)$", toctree, re.M)) == pages


CLASSES = [entry for entry in LISTED if inspect.isclass(thing(*entry))]


@pytest.mark.parametrize(("module", "name"), CLASSES, ids=map(".".join, CLASSES))
def test_every_class_has_a_summary_and_an_example(module, name):
    text = inspect.getdoc(thing(module, name)) or ""
    assert text.split("\n")[0].endswith(".")
    assert ">>> " in text or is_shown_elsewhere(thing(module, name))


def is_shown_elsewhere(cls):
    return not cls.__module__.startswith("sklearn_unlearn")  # scikit-learn's, offered again
