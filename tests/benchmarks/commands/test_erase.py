"""The protocol of ERASE, against requests answered by hand."""

import json

import pytest

from sklearn_unlearn import ALS
from sklearn_unlearn.benchmarks import load_problem
from sklearn_unlearn.benchmarks._cli import main
from sklearn_unlearn.benchmarks.commands._erase import ERASE_SETTINGS, run_erase
from sklearn_unlearn.benchmarks.measure._compare import Plan

SMALL = ["--problem", "synthetic-80", "--quiet"]


def test_each_quarter_has_nothing_every_way_the_floor_and_the_refit(tmp_path, capsys):
    path = tmp_path / "result.json"
    argv = ["erase", "--shares", "1e-6,5e-3", "--n-requests", "8", "--json", str(path)]
    assert main([*argv, *SMALL]) == 0
    records = json.loads(path.read_text(encoding="utf-8"))["records"]
    sizes = sorted({row["size"] for row in records})
    assert sizes[0] == 1 < sizes[1]
    for size in sizes:
        for end in (2, 4, 6, 8):
            rows = {
                row["setting"]: row
                for row in records
                if (row["size"], row["n_requests"]) == (size, end)
            }
            assert list(rows) == [
                "do nothing", *ERASE_SETTINGS, "refit, other start: noise floor",
                "refit: reference",
            ]  # fmt: skip
            assert {row["n_interactions"] for row in rows.values()} == {size * end}
            assert rows["do nothing"]["gap_all"] == 1 and rows["refit: reference"]["gap_all"] == 0
            ours = rows["default"]["gap_all"]
            assert ours < 0.02
            assert all(ours < rows[name]["gap_all"] for name in ERASE_SETTINGS[1:])
    assert f"| {sizes[1]} x 8 | default | {8 * sizes[1]} |" in capsys.readouterr().out


def test_requests_are_answered_one_by_one_and_never_twice():
    asked = []

    class Listening(ALS):
        def forget(self, *args, **kwargs):
            asked.append(kwargs["interactions"])
            return super().forget(*args, **kwargs)

    problem = load_problem("synthetic-80", implicit=True)
    plan = Plan(problem, Listening(4, random_state=0), {"default": None}, certify=False)
    run_erase(plan, [1e-6], 5)
    # One more at first, that loads code and does not count.
    pairs = [tuple(pair[0]) for pair in asked]
    assert len(pairs) == 6 and pairs[0] == pairs[1]
    assert len(set(pairs[1:])) == 5
    assert all(problem.X[user, item] for user, item in pairs)


def test_too_long_a_sequence_is_refused():
    problem = load_problem("synthetic-80", implicit=True)
    plan = Plan(problem, ALS(4, random_state=0), {"default": None})
    with pytest.raises(ValueError, match=r"Got 400 requests of up to .*Change --n-requests"):
        run_erase(plan, [0.01], 400)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_rival_that_diverges_is_a_row_that_says_so(tmp_path):
    path = tmp_path / "result.json"
    rival = "sklearn_unlearn.benchmarks.rivals:GradientAscent(n_steps=900,learning_rate=50.0)"
    argv = [
        *["erase", "--shares", "5e-3", "--n-requests", "4"],
        "--repeats",
        "1",
        "--settings",
        f"{rival},default",
    ]
    assert main([*argv, "--problem", "synthetic-80", "--quiet", "--json", str(path)]) == 0
    rows = json.loads(path.read_text(encoding="utf-8"))["records"]
    (nothing, diverged, default, *_) = rows
    assert nothing["setting"] == "do nothing"
    assert diverged["setting"] == rival and diverged["report"] == {"guarantee": "diverged"}
    assert default["within_gap"]
