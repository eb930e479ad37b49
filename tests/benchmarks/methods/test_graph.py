"""Graph models and pairwise ones in the commands, and what public programs do to them."""

import copy
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn import ALS, BPR, LightGCN
from sklearn_unlearn.benchmarks import load_problem, make_request
from sklearn_unlearn.benchmarks._cli import main
from sklearn_unlearn.benchmarks.measure._clocks import time_fit
from sklearn_unlearn.benchmarks.measure._compare import Plan, Trial
from sklearn_unlearn.benchmarks.measure._quality import quality
from sklearn_unlearn.benchmarks.methods._estimators import is_drawn
from sklearn_unlearn.benchmarks.methods._graph import OldGraph, Unpropagated
from sklearn_unlearn.influence import InfluenceUnlearner

SMALL = ["--problem", "synthetic-80", "--repeats", "1", "--quiet", "--no-certify"]
PROBLEM = load_problem("synthetic-80", implicit=True)


def run(tmp_path, *argv):
    path = tmp_path / "result.json"
    assert main([*argv, *SMALL, "--json", str(path)]) == 0
    return json.loads(path.read_text(encoding="utf-8"))


def fitted(n_layers, **params):
    options = {"n_layers": n_layers, "regularization": 0.4, "random_state": 0, **params}
    return LightGCN(12, **options).fit(PROBLEM.X)


def forgotten(model, strategy):
    return copy.deepcopy(model).set_params(unlearner=strategy).forget(users=[7])


def products(model):
    return model.user_factors_ @ model.item_factors_.T


def test_forget_shows_what_is_wrong_beside_what_is_right(tmp_path, capsys):
    document = run(
        tmp_path, "forget", "--estimator", "LightGCN", "--requests", "pair,median-user,random-1%",
        "--settings", "default,one-step,old-graph,unpropagated",
    )  # fmt: skip
    records = document["records"]
    for request in ("pair", "median-user", "random-1%"):
        rows = {row["setting"]: row for row in records if row["request"] == request}
        # The refit has the draws of the model: else this gap could not close.
        assert rows["default"]["within_gap"]
        assert rows["default"]["gap_affected"] < rows["one-step"]["gap_affected"]
        for wrong in ("old-graph", "unpropagated"):
            row = rows[wrong]
            assert not row["within_gap"] and row["gap_affected"] > rows["one-step"]["gap_affected"]
            assert row["gap_all"] > 0.15 and row["report"]["residual"] > 0.05
        assert rows["refit, cold, tol=1e-07"]["gap_affected"] < 1e-3
        assert all(0 < row["test"] <= 1 and 0 < row["test_ndcg"] <= 1 for row in rows.values())
    printed = capsys.readouterr().out
    assert re.search(r"test 0\.\d+ / 0\.\d+\.", printed)


def test_bpr_and_other_commands(tmp_path, capsys):
    rows = run(tmp_path, "batch", "--estimator", "BPR", "--sizes", "1,3", "--settings", "default")[
        "records"
    ]
    assert [row["gap_affected"] < 0.05 for row in rows if row["role"] == "forget"] == [True] * 2
    one, two = run(
        tmp_path, "growth", "--estimator", "LightGCN", "--factors", "1,2", "--settings", "tol=1e-2",
        "--params", "n_factors=4, loss=weighted, regularization=3.0",
    )["records"]  # fmt: skip
    assert two["n_interactions"] == 2 * one["n_interactions"]
    assert one["report"]["residual"] <= 1e-2 and two["report"]["residual"] <= 1e-2


def test_a_loss_that_is_logistic_needs_no_labels(tmp_path, capsys):
    document = run(
        tmp_path, "forget", "--estimator", "LightGCN", "--requests", "pair", "--settings",
        "default", "--params", "loss=logistic, regularization=0.6, n_factors=8",
    )  # fmt: skip
    assert document["estimator"]["params"]["loss"] == "logistic"


def test_the_old_graph_is_a_minimum_of_the_wrong_problem():
    model = fitted(2)
    after = forgotten(model, OldGraph(tol=1e-8))
    new = model._make_objective(after._interactions)
    old = model._make_objective(model._interactions)
    theta = np.concatenate([after.user_embeddings_, after.item_embeddings_])
    frozen = replace(new, propagation=old.propagation)
    assert np.linalg.norm(frozen.gradient(theta)) < 1e-5 * np.linalg.norm(new.gradient(theta))
    assert after.forget_report_.gradient_norm[1] == pytest.approx(
        np.linalg.norm(new.gradient(theta)), rel=1e-3
    )
    # Served from the graph that still has the user.
    OldGraph.serve(model, after)
    assert_allclose(
        np.concatenate([after.user_factors_, after.item_factors_]), old.propagate(theta)
    )
    assert np.linalg.norm(after.user_factors_[7]) > 1e-3


@pytest.mark.parametrize("strategy", [OldGraph, Unpropagated])
def test_what_training_left_may_stay(strategy):
    """One pair then moves little: without it, what moves is the training."""
    loose = fitted(2, loss="weighted", regularization=4.0, tol=0.05)
    pair = np.argwhere(PROBLEM.X.toarray())[:1]
    moves = []
    for correct in (True, False):
        model = copy.deepcopy(loose).set_params(unlearner=strategy(correct_residual=correct))
        after = model.forget(pair)
        moves.append(np.linalg.norm(after.item_embeddings_ - loose.item_embeddings_))
    assert moves[0] < 0.5 * moves[1]


def test_the_old_graph_is_what_a_trial_serves_from():
    plan = Plan(PROBLEM, LightGCN(12), {}, repeats=1)
    trial = Trial(plan, fitted(2), make_request("median-user", PROBLEM.X))
    after, _ = trial._forget(OldGraph())
    old = trial.model._make_objective(trial.model._interactions)
    theta = np.concatenate([after.user_embeddings_, after.item_embeddings_])
    assert_allclose(after.user_factors_, old.propagate(theta)[:80])
    right, _ = trial._forget(InfluenceUnlearner())
    (user,) = trial.request.users
    assert (
        np.linalg.norm(after.user_factors_[user]) > 1e-3 > np.abs(right.user_factors_[user]).max()
    )


def test_a_start_of_its_own_leaves_the_draws():
    estimator = BPR(6, random_state=0, max_iter=1)
    one, same, other = (
        time_fit(estimator, PROBLEM.X, start_seed=seed).result for seed in (None, 0, 5)
    )
    assert one._seed == same._seed == other._seed == 0
    assert_array_equal(products(one), products(same))
    assert np.abs(products(one) - products(other)).max() > 1e-9


def test_without_layers_nothing_is_wrong():
    """There is no graph then: both are what is right."""
    model = fitted(0)
    right = products(forgotten(model, InfluenceUnlearner(tol=1e-9)))
    assert_allclose(products(forgotten(model, OldGraph(tol=1e-9))), right, atol=1e-6)
    one = products(forgotten(model, Unpropagated()))
    moved = np.linalg.norm(products(model) - right)
    assert np.linalg.norm(one - right) < 0.1 * moved


def test_one_step_without_the_graph_is_a_wrong_step():
    model = fitted(2)
    right = products(forgotten(model, InfluenceUnlearner(tol=1e-9)))
    after = forgotten(model, Unpropagated())
    assert after.forget_report_.n_steps == 1
    moved = np.linalg.norm(products(model) - right)
    assert np.linalg.norm(products(after) - right) > 0.12 * moved


def test_quality_is_recall_and_ndcg_of_lists():
    model = fitted(1)
    found = quality(model, PROBLEM)
    users, items, _ = PROBLEM.test
    recalls, gains = [], []
    for user in np.unique(users):
        wanted = set(items[users == user].tolist())
        ranked = model.recommend(users=[int(user)], n_items=20)[0][0]
        hits = np.array([item in wanted for item in ranked])
        discounts = 1 / np.log2(np.arange(2, 22))
        recalls.append(hits.sum() / len(wanted))
        gains.append(discounts[: len(hits)][hits].sum() / discounts[: len(wanted)].sum())
    assert found["test"] == pytest.approx(np.mean(recalls))
    assert found["test_ndcg"] == pytest.approx(np.mean(gains))


def test_whose_seed_draws():
    assert is_drawn(BPR()) and is_drawn(LightGCN()) and is_drawn(LightGCN(loss="logistic"))
    assert not is_drawn(ALS()) and not is_drawn(LightGCN(loss="weighted"))


@pytest.mark.parametrize(
    ("estimator", "setting", "message"),
    [
        ("BPR", "old-graph", "for BPR; expected a model with a graph. Pass --estimator LightGCN"),
        ("ALS", "unpropagated", "for ALS; expected a model with a graph. Pass --estimator"),
        ("LightGCN", "touched", "for LightGCN; expected a model whose rows are problems of their"),
    ],
)
def test_settings_that_mean_nothing(estimator, setting, message, capsys):
    with pytest.raises(SystemExit) as end:
        main(["forget", *SMALL, "--estimator", estimator, "--settings", setting])
    assert end.value.code == 2
    error = " ".join(capsys.readouterr().err.split())
    assert f"Got the setting '{setting}' {message}" in error
