"""The command `exact`: what it says of a model that forgets, and of one that does not."""

import json

import numpy as np
import pytest

from sklearn_unlearn.benchmarks._cli import main
from sklearn_unlearn.benchmarks.commands import _exact
from sklearn_unlearn.recommenders import EASE

SMALL = ["exact", "--problem", "synthetic-60", "--quiet", "--repeats", "1", "--refit-repeats", "1"]


class Lazy(EASE):
    """Drops the data and keeps the model."""

    def _downdate(self, retained, request):
        _, n_changed, status = super()._downdate(retained, request)
        return {}, n_changed, status


def run(tmp_path, *argv):
    path = tmp_path / "result.json"
    assert main([*SMALL, *argv, "--json", str(path)]) == 0
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)


@pytest.mark.parametrize("name", _exact.EXACT)
def test_exact_models_equal_their_refits(name, tmp_path, capsys):
    params = {"GraphFilter": ["--params", "n_components=0"]}.get(name, [])
    document = run(tmp_path, "--estimator", name, "--sequence", "12", *params)
    requests = [record["request"] for record in document["records"]]
    assert requests == list(_exact.EXACT_REQUESTS)
    for record in document["records"]:
        assert record["max_difference"] <= 1e-10 < record["largest_score"]
        assert max(record["gap"], record["gap_affected"]) < 1e-6
        assert record["report"]["guarantee"] == "exact"
        assert ("rival_seconds" in record) == (name == "ItemKNN")
    sequence = document["sequence"]
    assert sequence["n_requests"] == 12 and sequence["max_difference"] <= 1e-10
    assert sequence["n_left"] < document["problem"]["n_interactions"]
    assert 0 < document["fit"]["recall@20"] <= 1
    printed = capsys.readouterr().out
    assert "median-user" in printed and "12 requests one after the other" in printed


def test_a_model_that_keeps_what_it_learned_is_found_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(_exact.EXACT, "EASE", Lazy)
    argv = ["--requests", "pair,users-10%", "--sequence", "9", "--params", "regularization=5"]
    document = run(tmp_path, *argv)
    for record in document["records"]:
        assert record["max_difference"] > 1e-4
        assert record["gap"] > 0.1
    assert document["sequence"]["max_difference"] > 1e-3


def test_a_gap_is_that_of_users_and_items_that_lose_something(tmp_path, capsys):
    document = run(tmp_path, "--requests", "pair", "--params", "regularization=5")
    (record,) = document["records"]
    assert np.isfinite(record["gap_affected"]) and record["n_interactions"] == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--params", "size=3"], "Invalid parameter 'size'"),
        (["--requests", "nobody"], "nobody"),
        (["--params", "regularization"], "expected NAME=VALUE"),
    ],
)
def test_bad_arguments_end_with_a_message(argv, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*SMALL, *argv])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
