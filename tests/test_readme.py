"""The README: short, true, and readable where no relative link leads anywhere."""

import re
from pathlib import Path

from sklearn_unlearn._forget_report import GUARANTEES

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
# Code runs in tests/test_demo.py, the commands in tests/cli/test_cli.py.
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.S | re.M)


def test_it_is_short():
    assert len(TEXT.split()) < 1100
    assert len(re.findall(r"^\|---", PROSE, re.M)) == 1
    assert len(re.findall(r"!\[", PROSE)) == 1


def test_no_link_depends_on_where_it_is_shown():
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)]*)\)", PROSE)
    assert all(link.startswith("https://") for link in links)


def test_the_figure_has_a_text_and_a_command():
    alternative, path = re.search(r"!\[(.*?)\]\((.*?)\)", PROSE).groups()
    assert len(alternative.split()) > 5
    figure = ROOT / path
    assert "<svg" in figure.read_text(encoding="utf-8")[:500]
    command = re.search(r"`python (docs/\S+\.py)`", PROSE).group(1)
    assert (ROOT / command).is_file() and Path(command).stem == figure.stem


def test_each_guarantee_is_told():
    assert set(re.findall(r'^- `"([\w-]+)"`', PROSE, re.M)) == set(GUARANTEES)


def test_files_that_it_names_are_there():
    for name in re.findall(r"`([\w/]+(?:\.md|\.cff)|docs/\w+|examples)`", PROSE):
        assert (ROOT / name).exists(), name
