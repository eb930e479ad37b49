"""The documentation tells the truth: its code runs, its links lead somewhere, its tables match."""

import re

import pytest

from sklearn_unlearn._forget_report import GUARANTEES
from sklearn_unlearn.objectives import LOSSES
from tests.pages import ROOT, python_blocks, run_page
from tests.test_import_layers import LAYER_OF, SIDE

DOCS = ROOT / "docs"
MADE = {DOCS / "_build", DOCS / "api" / "generated", DOCS / "auto_examples"}
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if MADE.isdisjoint(page.parents)]
RUN_BY_TEST_DEMO = DOCS / "user_guide" / "quickstart.md"  # it needs a file of ratings
RUN_HERE = [
    page
    for page in PAGES
    if page != RUN_BY_TEST_DEMO and python_blocks(page.read_text(encoding="utf-8"))
]


def name_of(page):
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", RUN_HERE, ids=name_of)
def test_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = dict(LOSSES)
    try:
        run_page(page, monkeypatch)
    finally:  # a page may add a loss
        LOSSES.clear()
        LOSSES.update(before)


def test_the_guide_is_among_the_pages_that_run():
    names = {page.stem for page in RUN_HERE}
    assert names >= {"index", "guarantees", "how_forgetting_works", "hyper_parameters", "checks"}
    assert names >= {"forgetting", "add_a_model", "add_an_unlearner", "graph_models"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# A\n\n```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n", "line 8, in <module>"),
        ("```python\n>>> x = 2\n>>> x\n2\n\n```\n\n```python\n>>> x\n3\n\n```\n", "Got:\n    2"),
    ],
)
def test_a_false_page_is_caught(text, message, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(AssertionError) as error:
        run_page(page, monkeypatch)
    trace = [f"line {entry.lineno + 1}, in {entry.name}" for entry in error.traceback]
    assert message in str(error.value) or message in trace


@pytest.mark.parametrize(
    "page",
    [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))],
    ids=name_of,
)
def test_relative_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        # Figures that the build of the site draws are looked for there.
        assert "_static/generated/" in target or (page.parent / target).exists(), target


def test_layer_table_is_the_one_that_is_enforced():
    text = (DOCS / "conventions.md").read_text(encoding="utf-8")
    section = text.split("## Layers")[1].split("## ")[0]
    told = {}
    for label, modules in re.findall(r"^\| (L\d|side) \| (.*?) \|", section, re.M):
        layer = SIDE if label == "side" else int(label[1:])
        told |= dict.fromkeys(re.findall(r"`([\w.]+)`", modules), layer)
    assert told == LAYER_OF


def test_layers_of_the_picture_are_the_ones_that_are_enforced():
    text = (DOCS / "_static" / "forget.svg").read_text(encoding="utf-8")
    told = {}
    for section in text.split('class="step"')[0].split('font-weight="bold"')[1:]:
        label, *rooms = re.findall(r">([^<>\n]+)</text>", section)
        layer = SIDE if label == "side" else int(label[1:])
        names = re.findall(r"\w+", " ".join(rooms).split(":")[0])
        told |= dict.fromkeys(names, layer)
    assert told == LAYER_OF


def test_every_guarantee_is_explained():
    text = (DOCS / "user_guide" / "guarantees.md").read_text(encoding="utf-8")
    assert set(re.findall(r'^\| `"([\w-]+)"` \|', text, re.M)) == set(GUARANTEES)


@pytest.mark.parametrize(
    "page", sorted((DOCS / "decisions").glob("[0-9]*.md")), ids=lambda page: page.stem
)
def test_decision_record_has_its_parts_on_one_page(page):
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem[:4]}: ")
    headings = ["**Status:** ", "## Context", "## Decision", "## Consequences"]
    places = [text.find(heading) for heading in headings]
    assert -1 not in places and places == sorted(places)
    assert text.count("\n") <= 70


def test_decision_numbers_are_used_once():
    numbers = [page.stem[:4] for page in (DOCS / "decisions").glob("[0-9]*.md")]
    assert len(numbers) == len(set(numbers))
