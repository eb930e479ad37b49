"""Files around the package: what they repeat agrees with what it repeats."""

import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import sklearn_unlearn
from tests.pages import public_modules

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
PUBLIC_MODULES = public_modules()
PREFIX = "Programming Language :: Python :: "


def test_citation_has_what_the_format_requires():
    assert {"cff-version", "message", "title", "authors"} <= set(CITATION)
    assert CITATION["cff-version"] == "1.2.0"
    assert isinstance(CITATION.get("date-released", date.min), date)
    assert all(set(author) <= {"name", "website"} for author in CITATION["authors"])  # entities


def test_citation_agrees_with_the_package():
    assert CITATION["version"] == sklearn_unlearn.__version__
    assert CITATION["title"] == PROJECT["name"]
    assert CITATION["license"] == PROJECT["license"]
    assert CITATION["authors"] == PROJECT["authors"]
    assert CITATION["keywords"] == PROJECT["keywords"]


def test_workflow_runs_each_python_that_the_package_names():
    named = [kind.removeprefix(PREFIX) for kind in PROJECT["classifiers"] if PREFIX in kind]
    named = [version for version in named if "." in version]
    assert WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"] == named
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_workflow_calls_targets_that_exist():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    steps = [step.get("run", "") for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    called = re.findall(r"\bmake ([a-z-]+)", "\n".join(steps))
    assert {"lint", "test", "docs", "coverage"} <= set(called) <= set(targets)


def test_workflow_may_only_read():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in WORKFLOW["jobs"].values())


def test_workflow_selects_the_tests_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    selection = re.search(r"^FAST := (.*)$", makefile, re.M).group(1)
    steps = [step.get("run", "") for step in WORKFLOW["jobs"]["test-pip"]["steps"]]
    assert any(step.endswith(f"pytest -q {selection}") for step in steps)


def test_issue_templates_have_what_a_template_needs():
    pages = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.md"))
    assert pages
    for page in pages:
        _, header, body = page.read_text(encoding="utf-8").split("---\n", 2)
        assert {"name", "about"} <= set(yaml.safe_load(header)), page.name
        assert body.strip(), page.name


def test_commands_that_ask_for_versions_run():
    text = (ROOT / ".github/ISSUE_TEMPLATE/bug.md").read_text(encoding="utf-8")
    programs = re.findall(r'^python -c "(.*)"$', text, re.M)
    assert programs
    said = ""
    for program in programs:
        run = [sys.executable, "-c", program]
        said += subprocess.run(run, capture_output=True, text=True, check=True).stdout
    for name in ("scikit-learn", "implicit", "numba", "narwhals"):
        label = "sklearn" if name == "scikit-learn" else name
        assert re.search(rf"{label}:? +{re.escape(version(name))}", said), name
    assert f"sklearn-unlearn {version('sklearn-unlearn')}" in said


def test_templates_link_to_nothing_relative():
    # Where they are shown, a relative address leads to another place than in the repository.
    for page in (ROOT / ".github").rglob("*.md"):
        assert not re.search(r"\]\((?!https?:)", page.read_text(encoding="utf-8")), page.name


def public_functions(module: str) -> Iterator[tuple[str, Callable]]:
    """Yield the functions in ``__all__`` of a module, and the methods of the classes there."""
    for name in importlib.import_module(module).__all__:
        thing = getattr(importlib.import_module(module), name)
        parts = inspect.getmembers_static(thing) if inspect.isclass(thing) else [("", thing)]
        for part, value in parts:
            if part.startswith("_") and part != "__init__":
                continue
            # What class methods, properties and methods that may be absent are made of.
            inner = (getattr(value, kind, None) for kind in ("__func__", "fget", "func", "fn"))
            function = inspect.unwrap(next(filter(None, inner), value))
            if inspect.isfunction(function) and function.__module__.startswith("sklearn_unlearn"):
                yield f"{name}.{part}".rstrip("."), function


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_public_functions_are_annotated(module):
    bare = []
    for name, function in public_functions(module):
        signature = inspect.signature(function)
        given = [
            p.annotation for p in signature.parameters.values() if p.name not in ("self", "cls")
        ]
        if inspect.Signature.empty in (*given, signature.return_annotation):
            bare.append(name)
    assert bare == []
