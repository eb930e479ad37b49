"""The protocol of CURE4Rec, against requests, refits and measures made by hand."""

import copy
import json

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from sklearn_unlearn import ALS
from sklearn_unlearn.benchmarks import load_problem
from sklearn_unlearn.benchmarks._cli import main
from sklearn_unlearn.benchmarks.commands._cure4rec import (
    CURE_SETTINGS,
    Study,
    run_cure4rec,
    utility,
)
from sklearn_unlearn.benchmarks.data._forget_sets import request_users
from sklearn_unlearn.benchmarks.measure._compare import Plan

PROBLEM = load_problem("synthetic-80", implicit=True)
ESTIMATOR = ALS(6, alpha=5.0, regularization=8.0, random_state=0)


def run(*argv):
    return main([*argv, "--problem", "synthetic-80", "--quiet"])


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    path = tmp_path_factory.mktemp("cure4rec") / "result.json"
    assert run("cure4rec", "--shares", "5,20", "--repeats", "1", "--json", str(path)) == 0
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_table_has_nothing_the_floor_and_the_refit(document):
    groups = {row["request"] for row in document["records"]}
    assert groups == {
        f"{name} {share}%" for name in ("core", "edge", "random") for share in (5, 20)
    }
    for group in groups:
        rows = {row["setting"]: row for row in document["records"] if row["request"] == group}
        assert list(rows) == [
            "do nothing", *CURE_SETTINGS, "warm refit", "refit, other start: noise floor",
            "refit: reference",
        ]  # fmt: skip
        assert rows["do nothing"]["gap_all"] == rows["do nothing"]["gap_remaining"] == 1
        assert rows["refit: reference"]["gap_all"] == 0
        assert rows["refit, other start: noise floor"]["gap_remaining"] < 1e-3
        # The smallest gap among all that promise less than a refit is the default's.
        ours = rows["default"]["gap_remaining"]
        assert ours < 0.01 and rows["default"]["within_gap"]
        assert all(ours < rows[name]["gap_remaining"] for name in CURE_SETTINGS[1:])
        reference = rows["refit: reference"]
        for name in ("recall", "ndcg", "hit_rate"):
            assert rows["default"][name] == pytest.approx(reference[name], abs=0.02)
        assert rows["default"]["speedup_refit"] > 0
        assert rows["scif"]["report"]["guarantee"] == "one-step"


def test_groups_are_those_of_the_most_and_of_the_fewest_interactions():
    _, records = run_cure4rec(
        Plan(PROBLEM, ESTIMATOR, {}, repeats=1, certify=False), ["core", "edge"], [10.0]
    )
    degrees = np.sort(np.diff(PROBLEM.X.indptr))
    n = round(0.1 * np.count_nonzero(degrees))
    active = degrees[degrees > 0]
    found = {row["request"]: row["n_interactions"] for row in records}
    assert found == {"core 10%": active[-n:].sum(), "edge 10%": active[:n].sum()}


def test_the_gap_is_that_of_scores_of_the_users_who_remain():
    plan = Plan(PROBLEM, ESTIMATOR, {}, repeats=1, certify=False)
    users = np.arange(0, 80, 9)
    retained = PROBLEM.X.toarray()
    retained[users] = 0
    before = clone(ESTIMATOR).fit(PROBLEM.X)
    refit = clone(ESTIMATOR).set_params(random_state=5, tol=1e-9).fit(sparse.csr_array(retained))
    other = clone(ESTIMATOR).set_params(regularization=12.0)
    other = other.fit(sparse.csr_array(retained))
    scores = [model.user_factors_ @ model.item_factors_.T for model in (before, other, refit)]
    kept = retained.any(axis=1)
    by_hand = np.linalg.norm((scores[1] - scores[2])[kept]) / np.linalg.norm(
        (scores[0] - scores[2])[kept]
    )
    study = Study(plan, before, request_users("nine", PROBLEM.X, users))
    assert study.gaps(other)["gap_remaining"] == pytest.approx(by_hand, rel=1e-3, abs=1e-6)


def test_utility_is_of_the_users_who_remain():
    model = copy.deepcopy(ESTIMATOR).fit(PROBLEM.X)
    gone = np.arange(10)
    found = utility(model, PROBLEM, request_users("ten", PROBLEM.X, gone))
    scores = model.user_factors_ @ model.item_factors_.T
    scores[PROBLEM.X.toarray() > 0] = -np.inf
    users, items, _ = PROBLEM.test
    recalls = []
    for user in np.unique(users[users >= 10]):
        if not PROBLEM.X[[user]].nnz:
            continue
        wanted = set(items[users == user].tolist())
        best = set(np.argsort(-scores[user], kind="stable")[:20].tolist())
        recalls.append(len(wanted & best) / min(20, len(wanted)))
    assert found["recall"] == pytest.approx(np.mean(recalls))
    assert -1 <= found["fairness"] <= 1


def test_quick_and_estimators_without_strategies(tmp_path, capsys):
    path = tmp_path / "result.json"
    estimator = "sklearn_unlearn.recommenders:EASE(regularization=20.0)"
    assert run("cure4rec", "--quick", "--estimator", estimator, "--json", str(path)) == 0
    rows = json.loads(path.read_text(encoding="utf-8"))["records"]
    assert {row["request"] for row in rows} == {"core 5%", "edge 5%", "random 5%"}
    assert [row["setting"] for row in rows[:4]] == [
        "do nothing", "default", "refit, other start: noise floor", "refit: reference",
    ]  # fmt: skip
    assert rows[1]["gap_all"] < 1e-8 and rows[1]["report"]["guarantee"] == "exact"
    printed = capsys.readouterr().out
    assert "| core 5% | default |" in printed and "Gaps are shares of the effect" in printed


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--groups", "core,old"], "Got 'core,old'; expected some of core, edge, random"),
        (["--shares", "0,5"], "expected numbers above 0 and below 100"),
        (["--settings", "GIF"], "Got the setting 'GIF'; expected 'default'"),
    ],
    ids=["groups", "shares", "settings"],
)
def test_bad_arguments_end_with_status_2(argv, message, capsys):
    with pytest.raises(SystemExit) as stop:
        run("cure4rec", *argv)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_rival_that_diverges_is_a_row_that_says_so(tmp_path):
    path = tmp_path / "result.json"
    rival = "sklearn_unlearn.benchmarks.rivals:GradientAscent(n_steps=900,learning_rate=50.0)"
    argv = [
        *["cure4rec", "--shares", "5", "--groups", "core"],
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
