"""The benchmark of a service: what it measures, and what it prints."""

import json
import re

from sklearn_unlearn.benchmarks._cli import main
from sklearn_unlearn.benchmarks.commands._serve import STAGES

SMALL = ["--n-users", "300", "--n-items", "40", "--n-factors", "4", "--n-requests", "9",
         "--n-questions", "30"]  # fmt: skip


def test_latencies_of_all_stages_are_printed_and_written(tmp_path, capsys):
    path = tmp_path / "serve.json"
    assert main(["serve", *SMALL, "--json", str(path)]) == 0
    text, records = capsys.readouterr().out, json.loads(path.read_text())["records"]
    assert tuple(one["stage"] for one in records) == STAGES
    for one in records:
        assert 0 < one["p50"] <= one["p99"] <= one["longest"]
        assert one["n"] == 30 or one["stage"] == "during"
        row = re.search(rf"\| {one['stage']} \| ([0-9,]+) \| ([0-9.e+]+) ms", text)
        assert int(row[1].replace(",", "")) == one["n"]
        assert float(row[2]) == float(f"{1e3 * one['p50']:.3g}")
    [during] = (one for one in records if one["stage"] == "during")
    assert during["flush_seconds"] > 0 and "9 users forgotten" in text
