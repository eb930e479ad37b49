"""Estimators and ways to forget that the user brings along."""

import json
import re
import shlex

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from sklearn_unlearn.base import ForgetMixin, RecommenderMixin
from sklearn_unlearn.benchmarks._cli import main
from sklearn_unlearn.benchmarks.measure._quality import n_users_of
from sklearn_unlearn.influence import ForgetOutcome
from tests.pages import ROOT, python_blocks

HERE = __name__
SMALL = ["--problem", "synthetic-120", "--repeats", "1", "--quiet", "--no-certify"]
PAGE = ROOT / "docs" / "user_guide" / "benchmarks.md"


class Refit:
    """A rival that is right: it fits what remains."""

    def __init__(self, scale=1.0):
        self.scale = scale

    def unlearn(self, problem):
        refit = problem.refit()
        return ForgetOutcome(
            theta=self.scale * refit.theta,
            method="rival",
            guarantee="refit",
            status="fitted",
            n_steps=refit.n_steps,
            n_products=refit.n_products,
            n_rows_updated=len(refit.theta),
            gradient_norm=refit.gradient_norm,
            bound=refit.gradient_norm[1],
            converged=True,
        )


class Popularity(ForgetMixin, RecommenderMixin, BaseEstimator):
    """Counts of interactions, with a prior; it forgets exactly, or not at all."""

    def __init__(self, prior=0.0, forgets=True):
        self.prior = prior
        self.forgets = forgets

    def fit(self, X, y=None):
        self._interactions = self._check_training_data(X)
        self.counts_ = self._interactions.item_degrees + self.prior
        return self

    def _forget(self, retained, request):
        return {"counts_": retained.item_degrees + self.prior} if self.forgets else {}

    def _score_users(self, users):
        return np.tile(self.counts_, (len(users), 1))

    def _score_pairs(self, users, items):
        return self.counts_[items]


class LikedPopularity(Popularity):
    """The same, of implicit feedback."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags


@pytest.fixture
def run(tmp_path, capsys):
    def run(*arguments):
        path = tmp_path / "result.json"
        assert main([*arguments, "--json", str(path)]) == 0
        assert capsys.readouterr().err == ""
        return json.loads(path.read_text(encoding="utf-8"))

    return run


def test_a_way_to_forget_by_its_path(run):
    right, wrong = f"{HERE}:Refit", f"{HERE}:Refit(scale=0.5)"
    document = run(
        "forget", *SMALL, "--estimator", "ALS", "--requests", "median-user", "--settings",
        f"default,{right},{wrong}",
    )  # fmt: skip
    assert list(document["settings"]) == ["default", right, wrong]
    rows = {row["setting"]: row for row in document["records"]}
    assert rows[right]["role"] == rows[wrong]["role"] == "forget"
    assert rows[right]["report"]["method"] == "rival" and rows[right]["within_gap"]
    assert rows[right]["speedup_cold"] > 0
    assert rows[wrong]["gap_all"] > 1


@pytest.mark.parametrize("name", ["Popularity", "LikedPopularity"])
def test_an_estimator_by_its_path(run, name):
    arguments = ("forget", *SMALL, "--requests", "users-10%", "--estimator")
    document = run(*arguments, f"{HERE}:{name}(prior=2.0)")
    assert document["estimator"] == {"name": name, "params": {"forgets": True, "prior": 2.0}}
    nothing, forgot, refit = document["records"]
    assert [nothing["role"], forgot["setting"], refit["setting"]] == [
        "nothing", "default", "refit, cold",
    ]  # fmt: skip
    assert nothing["gap_all"] == 1 and forgot["gap_all"] == refit["gap_all"] == 0
    assert forgot["speedup_cold"] > 0 and forgot["speedup_warm"] is None
    _, forgot, _ = run(*arguments, f"{HERE}:{name}", "--params", "forgets=False")["records"]
    assert forgot["gap_all"] == 1 and not forgot["within_gap"]


def test_other_commands_take_it_too(run):
    path = f"{HERE}:LikedPopularity"
    one, two = run("growth", *SMALL, "--factors", "2", "--estimator", path)["records"]
    assert two["n_interactions"] == 2 * one["n_interactions"]
    records = run("batch", *SMALL, "--sizes", "1,3", "--estimator", path)["records"]
    assert [row["gap_all"] for row in records if row["role"] == "forget"] == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--settings", "nowhere:Rival"], "'nowhere:Rival', whose module was not found; expected"),
        (["--settings", f"{HERE}:Rival"], "module has no such name; expected one of its"),
        (["--settings", f"{HERE}:Popularity"], "which lacks unlearn; expected a class with"),
        (["--estimator", "nowhere:Model"], "'nowhere:Model', whose module was not found; expected"),
        (["--estimator", f"{HERE}:Model"], "module has no such name; expected one of its"),
        (["--estimator", f"{HERE}:Refit"], "which lacks fit, forget, recommend, predict_pairs, "),
        (["--estimator", f"{HERE}:Popularity(rank=3)"], "expected parameters that the class takes"),
        (["--estimator", f"{HERE}:Popularity", "--params", "rank=3"],
         "Got the parameter of Popularity 'rank'; expected one of forgets, prior"),
        (["--estimator", f"{HERE}:Popularity", "--preset", "ml"],
         "expected none, as presets are of ALS, BPR, LightGCN, MatrixFactorization alone. Pass"),
        (["--estimator", f"{HERE}:Popularity", "--settings", "one-step"],
         "Got the setting 'one-step' for Popularity; expected 'default' for an estimator without"),
    ],
)  # fmt: skip
def test_bad_paths(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        main([*SMALL, *arguments])
    assert end.value.code == 2
    error = " ".join(capsys.readouterr().err.split())
    assert message in error and "Traceback" not in error


def test_gpu_knows_its_estimators_alone(capsys):
    with pytest.raises(SystemExit):
        main(["gpu", "--device", "cpu", "--estimator", f"{HERE}:Popularity"])
    error = " ".join(capsys.readouterr().err.split())
    assert "expected one of ALS, BPR, LightGCN, MatrixFactorization, whose objectives" in error


def test_a_model_has_to_tell_its_size():
    with pytest.raises(TypeError, match=r"does not tell its number of users; expected .* Build it"):
        n_users_of(BaseEstimator())


def commands_of_the_page():
    """Commands of the page's section on rivals, as argument lists."""
    section = PAGE.read_text(encoding="utf-8").split("## Estimators and rivals of your own")[1]
    section = section.split("\n## ")[0].replace("\\\n", " ")
    found = re.findall(r"^python -m sklearn_unlearn.benchmarks (.*)$", section, re.MULTILINE)
    assert len(found) == 2
    return [shlex.split(command) for command in found]


def test_the_example_of_the_page(run, tmp_path, monkeypatch):
    (source,) = [text for _, text in python_blocks(PAGE.read_text(encoding="utf-8"))]
    (tmp_path / "rivals.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with_rival, with_estimator = commands_of_the_page()
    rows = {row["setting"]: row for row in run(*with_rival, "--quiet")["records"]}
    few, many = (rows[f"rivals:GradientSteps(n_steps={n})"]["gap_affected"] for n in (5, 50))
    assert rows["default"]["gap_affected"] < many < few < 1
    _, forgot, _ = run(*with_estimator, "--quiet")["records"]
    assert forgot["within_gap"]
