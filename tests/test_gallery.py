"""The examples: four sections of scripts that run, and assert what they claim."""

import ast
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECTIONS = ("basics", "influence", "evaluation", "scale")
SCRIPTS = sorted((ROOT / "examples").glob("*/plot_*.py"))
# These train many models: seconds each, where the others take one or two.
SLOW = {
    "plot_batches",
    "plot_certificate_and_penalty",
    "plot_deletion_in_production",
    "plot_exact_against_influence",
    "plot_learn_and_rectify",
    "plot_cost_of_requests",
    "plot_seed_test",
    "plot_shards",
    "plot_spillover",
}
NAMES = [
    pytest.param(path, id=path.stem, marks=pytest.mark.slow if path.stem in SLOW else ())
    for path in SCRIPTS
]


def stem_of(path):
    return path.stem


def test_each_section_has_a_page_and_scripts():
    assert {path.parent.name for path in SCRIPTS} == set(SECTIONS)
    assert len(SCRIPTS) >= 12
    assert {path.stem for path in SCRIPTS} >= SLOW
    assert len({path.stem for path in SCRIPTS}) == len(SCRIPTS)
    for section in ("", *SECTIONS):
        title, underline, *rest = (
            (ROOT / "examples" / section / "README.txt").read_text(encoding="utf-8").splitlines()
        )
        assert len(title) == len(underline) and any(rest)
    assert not list((ROOT / "examples").glob("*.py"))  # none outside the sections


@pytest.mark.parametrize("path", NAMES)
def test_script_holds_its_claims(path, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # importing it fails, as if not installed
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path))
    assert capsys.readouterr().out.strip()
    assert not list(tmp_path.iterdir())  # nothing is left behind


@pytest.mark.parametrize("path", SCRIPTS, ids=stem_of)
def test_script_asserts_and_draws(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert sum(isinstance(node, ast.Assert) for node in ast.walk(tree)) >= 3
    title = ast.get_docstring(tree).strip().splitlines()
    assert set(title[0]) == set(title[2]) == {"="} and len(title[0]) >= len(title[1])
    assert "asserted" in " ".join(title)
    assert text.count("# %%") >= 3
    # Colours that all can tell apart, and axes that say what they show.
    assert 'plt.style.use("seaborn-v0_8-colorblind")' in text
    assert "set_ylabel(" in text or "set_yticks(" in text
    assert "set_xlabel(" in text or "set_xticks(" in text
    assert not re.search(r"tab:|\blegend\(\)", text)  # a legend is told where it covers nothing


def test_scripts_that_pages_name_are_there():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        if "_build" in page.parts or "auto_examples" in page.parts:
            continue
        for named in re.findall(r"examples/[\w/]*plot_\w+\.py", page.read_text(encoding="utf-8")):
            assert (ROOT / named).is_file(), (page.name, named)
