"""The first page shows what its example prints."""

import json
import re

import sklearn_unlearn
from tests.pages import ROOT, python_blocks


def test_the_example_of_the_first_page_prints_what_it_shows(capsys):
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    (_, source), *_ = python_blocks(text)
    exec(compile(source, "index.md", "exec"), {})
    assert re.search(r"^```text\n(.*?)^```$", text, re.S | re.M)[1] == capsys.readouterr().out


def test_the_example_of_the_first_page_is_short():
    (_, source), *_ = python_blocks((ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    assert len([line for line in source.splitlines() if line]) <= 10


def test_the_site_knows_the_version_of_the_package():
    docs, version = ROOT / "docs", sklearn_unlearn.__version__
    listed = json.loads((docs / "_static" / "versions.json").read_text(encoding="utf-8"))
    assert version in [entry["version"] for entry in listed]
    assert f"Version {version}." in (docs / "user_guide" / "about.md").read_text(encoding="utf-8")
