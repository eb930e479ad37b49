"""The three verbs side by side, from the command line on, on small made data."""

import json

import numpy as np
import pytest

from sklearn_unlearn.benchmarks._cli import main
from sklearn_unlearn.recommenders import EASE, MatrixFactorization


def run(tmp_path, capsys, *arguments):
    path = tmp_path / "result.json"
    command = "learn", "--problem", "synthetic-240", "--no-certify", "--repeats", "1", "--quiet"
    assert main([*command, "--json", str(path), *arguments]) == 0
    return json.loads(path.read_text()), capsys.readouterr().out


def test_each_verb_stands_beside_a_refit_of_its_own(tmp_path, capsys):
    document, table = run(tmp_path, capsys, "--requests", "pair,random-1%,users-10")
    records = document["records"]
    assert [one["verb"] for one in records] == 3 * ["forget", "learn", "rectify"]
    for one in records:
        assert one["within_gap"] and max(one["gap_all"], one["gap_affected"]) <= 0.01
        assert one["speedup_refit"] == pytest.approx(one["refit_seconds"] / one["seconds"])
        learned = {"forget": 0, "learn": one["n_interactions"], "rectify": one["n_interactions"]}
        assert one["report"]["n_learned"] == learned[one["verb"]]
        forgotten = 0 if one["verb"] == "learn" else one["n_interactions"]
        assert one["report"]["n_interactions"] == forgotten
    assert "cold refit / time" in table and table.count("| rectify |") == 3


def test_models_in_closed_form_end_in_the_refit(tmp_path, capsys):
    document, _ = run(
        tmp_path, capsys, "--estimator", "sklearn_unlearn:EASE(regularization=5)",
        "--requests", "median-user",
    )  # fmt: skip
    for one in document["records"]:
        assert one["gap_all"] < 1e-9 and one["report"]["guarantee"] == "exact"


def test_values_are_corrected_by_their_kind(tmp_path, capsys, monkeypatch):
    asked = []
    for estimator in (EASE, MatrixFactorization):
        rectify = estimator.rectify

        def watched(self, old, new, values, rectify=rectify):
            data = self._interactions
            asked.append((data.values_at(data.locate(*old)), values))
            return rectify(self, old, new, values)

        monkeypatch.setattr(estimator, "rectify", watched)
    run(tmp_path, capsys, "--requests", "pairs-10")
    run(tmp_path, capsys, "--requests", "pairs-10", "--estimator", "sklearn_unlearn:EASE")
    factors = [-1] * (len(asked) // 2) + [2] * (len(asked) // 2)
    assert len(asked) == 4
    for (old, new), factor in zip(asked, factors, strict=True):
        np.testing.assert_allclose(new, factor * old)


def test_a_gap_is_seen(tmp_path, capsys, monkeypatch):
    def nothing(self, *args, **kwargs):
        self.learn_report_ = (
            self.__class__(2).fit([[1, -1], [-1, 1]]).forget([(0, 0)]).forget_report_
        )
        return self

    monkeypatch.setattr(MatrixFactorization, "learn", nothing)
    document, table = run(tmp_path, capsys, "--requests", "median-user")
    [bad] = [one for one in document["records"] if not one["within_gap"]]
    assert bad["verb"] == "learn" and bad["gap_all"] == pytest.approx(1.0, abs=1e-3)
    assert table.count("(") >= 1
