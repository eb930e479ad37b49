"""Results shown in a notebook: every text is escaped, and the page is not disturbed."""

import dataclasses
import datetime
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from sklearn_unlearn import ALS, MatrixFactorization
from sklearn_unlearn.audit import (
    FlushPreview,
    FlushReport,
    LedgerCheck,
    ReplayReport,
    RequestStatus,
    Residue,
    ResidueReport,
)
from sklearn_unlearn.certificates import OptimalityCertificate
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import ForgetReport
from sklearn_unlearn.metrics import SeedTestResult
from sklearn_unlearn.metrics._seed_result import Measure, SeedGroup
from sklearn_unlearn.utils._html import counted, html_card, html_table

EVIL = "<script>alert('x')</script>&\""
REPORT = ForgetReport(
    "influence", "residual-bounded", EVIL, 3, 1, 3, 40, 2, 7.0, (1.5, 3e-4), 2e-4, 0.012
)
MEASURE = Measure(0.51, 0.52, float("nan"), bound=0.55, interval=(0.5, 0.54))
GROUP = SeedGroup("pairs", np.zeros((4, 2), np.int64), {"auc": MEASURE, "spread_auc": MEASURE,
                  "worst_effect_left": MEASURE})  # fmt: skip
NOW = datetime.datetime(2026, 3, 1, 9, tzinfo=datetime.UTC)
RESULTS = {
    "ForgetReport": REPORT,
    "certified": OptimalityCertificate(1.0, 3e-8, 8, 32, 0.2),
    "not certified": OptimalityCertificate(1.2, 3e-3, 8, 32, float("inf")),
    "no factor": OptimalityCertificate(0.6, 1e-15, 0, 32, 0.0),
    "at the cap": OptimalityCertificate(1.2, 3e-3, 32, 32, float("inf")),
    "SeedTestResult": SeedTestResult({"pairs": GROUP}, 8, 0.05, 12),
    "ResidueReport": ResidueReport((Residue(EVIL, "id", 7),), 1, 100, 3, (EVIL,), {"id": 2}),
    "FlushReport": FlushReport(2, 0, 4, REPORT, erased=True, seconds=0.5),
    "empty flush": FlushReport(),
    "FlushPreview": FlushPreview(2, 0, 30, 1, 30, 0.01),
    "ReplayReport": ReplayReport(1, 30, 4, 0.2),
    "LedgerCheck": LedgerCheck(False, 4, (3, "ab" * 32), EVIL),
    "RequestStatus": RequestStatus(EVIL, "pending", None, NOW, NOW, None, False),
}


class Balanced(HTMLParser):
    """Reads HTML in which every tag is closed, in order; keeps the tags and the attributes."""

    def __init__(self, html):
        super().__init__()
        self.open, self.seen, self.attributes, self.text = [], [], set(), []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_one_card_that_loads_and_runs_nothing(name):
    html = RESULTS[name]._repr_html_()
    read = Balanced(html)
    assert html.startswith("<div class='unlearn-card'>")
    assert set(read.seen) <= {"div", "style", "p", "span", "table", "caption", "tr", "th", "td"}
    assert read.attributes <= {"class", "scope"}
    assert "url(" not in html and "http" not in html


@pytest.mark.parametrize("name", RESULTS)
def test_the_style_reaches_nothing_but_cards(name):
    style = re.search(r"<style>(.*?)</style>", RESULTS[name]._repr_html_()).group(1)
    selectors = [one for rule in style.split("}")[:-1] for one in rule.split("{")[0].split(",")]
    assert len(selectors) > 5
    assert all(one.startswith(".unlearn-card") for one in selectors)
    # The ink and the ground are those of the page, light or dark.
    colours = re.findall(r"(?<![-\w])(?:color|background):([^;}!]+)", style)
    assert set(colours) == {"inherit", "none"}


def test_every_field_of_a_report_is_shown():
    text = Balanced(REPORT._repr_html_()).text
    assert {one.name for one in dataclasses.fields(REPORT)} <= set(text)
    assert EVIL in "".join(text) and "1.5 to 0.0003" in text
    assert "Forgot 3 interactions" in text


@pytest.mark.parametrize(
    ("name", "mark", "words"),
    [
        ("certified", "certified", "global minimum"),
        ("no factor", "certified", "lower regularization"),
        ("not certified", "not certified", "with a smaller tol"),
        ("at the cap", "not certified", "raise n_factors"),
    ],
)
def test_a_certificate_says_what_to_do(name, mark, words):
    text = Balanced(RESULTS[name]._repr_html_()).text
    assert text[0] == mark and words in text[1]
    assert str(RESULTS[name]).startswith(f"{mark}: relative gap")


def test_a_seed_test_shows_what_its_text_shows():
    result = RESULTS["SeedTestResult"]
    cells = Balanced(result._repr_html_()).text
    assert result.verdict == cells[0]
    for number in re.findall(r"\d\.\d{3}(?: - \d\.\d{3})?", str(result)):
        assert number in cells


def test_models_are_said_in_a_sentence():
    X = make_interactions(60, 40, random_state=0)
    model = MatrixFactorization(8, random_state=0).fit(X).forget(users=[3])
    n = int(np.diff(X.indptr)[3])
    said = str(model.forget_report_)
    assert said.startswith(f"Forgot {n} interactions, of 1 user and {n} items, in ")
    assert said.endswith(f"residual {model.forget_report_.residual:.1e}, by influence")
    assert str(model.certify()).startswith(("certified", "not certified"))


def test_counts_and_empty_cards():
    assert counted(0, "entry") == "0 entries" and counted(1, "entry") == "1 entry"
    assert Balanced(html_card(html_table("nothing", []))).text == ["nothing"]


@pytest.mark.parametrize("verb", ["fit", "forget", "learn"])
@pytest.mark.parametrize("kind", [ALS, MatrixFactorization])
def test_verbose_reports_the_steps_of_every_verb(kind, verb, capsys):
    implicit = kind is ALS
    X = make_interactions(60, 40, feedback="implicit" if implicit else "label", random_state=0)
    model = kind(8, regularization=20.0, random_state=0).fit(X).set_params(verbose=1)
    assert capsys.readouterr().out == ""
    {
        "fit": lambda: model.fit(X),
        "forget": lambda: model.forget(users=[3]),
        "learn": lambda: model.learn([(0, int(np.flatnonzero(X[[0]].toarray()[0] == 0)[0]))]),
    }[verb]()
    lines = capsys.readouterr().out.splitlines()
    if verb == "fit":  # says first how strong the penalty is
        assert lines.pop(0).startswith(f"[{kind.__name__}] penalty 20: ")
    assert lines and all(line.startswith(f"[{kind.__name__}] step ") for line in lines)
