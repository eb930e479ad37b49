"""Default requests to models stopped early, from the command line on, on small made data."""

import json
import time
import warnings

import pytest

from sklearn_unlearn.benchmarks._cli import main
from sklearn_unlearn.benchmarks.commands._shipped import SHIPPED_REQUESTS
from sklearn_unlearn.exceptions import ForgetFallbackWarning
from sklearn_unlearn.recommenders import ALS


def run(tmp_path, capsys, *arguments):
    path = tmp_path / "result.json"
    command = "shipped", "--problem", "synthetic-240", "--n-factors", "4", "--jobs", "1"
    assert main([*command, "--repeats", "1", "--quiet", "--json", str(path), *arguments]) == 0
    return json.loads(path.read_text()), capsys.readouterr().out


def test_every_request_of_both_models_stands_beside_a_retraining(tmp_path, capsys):
    document, table = run(tmp_path, capsys, "--regularization", "5", "--alpha", "4")
    records = document["records"]
    assert [one["request"] for one in records] == 2 * [*SHIPPED_REQUESTS]
    assert [fit["model"] for fit in document["fits"]] == ["taken over", "own"]
    for one in records:
        assert one["ratio"] == pytest.approx(one["seconds"] / one["retrain_seconds"])
        alone = one["request"].startswith(("user-", "item-"))
        assert one["most"] == (0.5 if alone else 1.0)
        assert one["within"] is (one["ratio"] <= one["most"])
        assert one["agrees"] and not one["refitted"] and not one["warned"]
    assert "warned of a refit" in table and table.count("| taken over |") == len(SHIPPED_REQUESTS)


def test_what_is_slow_or_a_refit_is_seen(tmp_path, capsys, monkeypatch):
    forget = ALS.forget

    def slow(self, *args, **kwargs):
        time.sleep(0.05)
        if "items" in kwargs:
            warnings.warn("a refit", ForgetFallbackWarning, stacklevel=2)
        return forget(self.set_params(unlearner="refit"), *args, **kwargs)

    monkeypatch.setattr(ALS, "forget", slow)
    document, _ = run(tmp_path, capsys, "--n-sweeps", "1")
    own = [one for one in document["records"] if one["model"] == "own"]
    assert not any(one["within"] for one in own)
    assert all(one["refitted"] for one in own)
    assert {one["request"] for one in own if one["agrees"]} == {
        name for name in SHIPPED_REQUESTS if name.startswith("item-")
    }
