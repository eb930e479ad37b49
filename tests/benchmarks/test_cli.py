"""The command line from end to end, on small made data."""

import json

import numpy as np
import pytest

from sklearn_unlearn.benchmarks import load_problem, make_request
from sklearn_unlearn.benchmarks._cli import main
from sklearn_unlearn.benchmarks.commands import _forget
from sklearn_unlearn.benchmarks.measure._clocks import Timing
from sklearn_unlearn.benchmarks.measure._compare import MAX_GAP, Plan, Trial
from sklearn_unlearn.benchmarks.measure._report import SCHEMA, to_json
from sklearn_unlearn.benchmarks.methods._estimators import make_estimator
from sklearn_unlearn.benchmarks.methods._settings import make_settings
from sklearn_unlearn.recommenders import _paged
from sklearn_unlearn.utils import _derived_tables

SMALL = ["--problem", "synthetic-120", "--repeats", "2", "--quiet"]


@pytest.fixture
def run(tmp_path, capsys):
    def run(*arguments):
        path = tmp_path / "result.json"
        assert main([*arguments, "--json", str(path)]) == 0
        out = capsys.readouterr()
        assert out.err == ""
        return json.loads(path.read_text()), cells_of(out.out)

    return run


def cells_of(text):
    """Cells of the only Markdown table in a text, header first; the rule must fit."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert set(rows.pop(1)) == {"---"}
    assert len({len(row) for row in rows}) == 1
    assert all(all(row) for row in rows)
    return rows


def check_document(document, benchmark):
    assert set(document) == {
        "schema", "benchmark", "created", "versions", "machine", "problem", "estimator",
        "settings", "options", "fits", "records",
    }  # fmt: skip
    assert document["schema"] == SCHEMA and document["benchmark"] == benchmark
    assert {"python", "numpy", "scipy", "sklearn-unlearn"} <= set(document["versions"])
    assert {"processor", "cores", "n_jobs", "thread_pools"} <= set(document["machine"])
    assert "json" not in document["options"] and "problem" not in document["options"]
    assert document["estimator"]["params"]["n_jobs"] == document["machine"]["n_jobs"]
    for fit in document["fits"]:
        assert fit["converged"] and fit["seconds"] > 0 and fit["products"] > 0


def test_forget(run):
    document, table = run(*SMALL, "--requests", "median-user,random-1%", "--jobs", "2")
    check_document(document, "forget")
    assert document["machine"]["n_jobs"] == 2
    records = document["records"]
    assert len(table) - 1 == len(records) == 2 * 7
    assert [row[0] for row in table[1:]] == [record["request"] for record in records]
    for request in ("median-user", "random-1%"):
        rows = [record for record in records if record["request"] == request]
        nothing, default, loose, one_step, cold, cheapest, warm = rows
        assert nothing["gap_all"] == nothing["gap_affected"] == 1.0
        assert default["report"]["guarantee"] == "residual-bounded"
        assert default["report"]["residual"] <= 1e-3 and loose["report"]["residual"] <= 1e-2
        assert one_step["report"]["guarantee"] == "one-step"
        assert default["gap_affected"] <= loose["gap_affected"] < 1
        assert cold["gap_all"] == cold["noise_all"] == default["noise_all"] < 1e-3
        assert cheapest["within_gap"] and cheapest["products"] <= cold["products"]
        assert warm["gap_all"] < 1e-3 and warm["setting"].startswith("refit, warm")
        assert default["certificate"]["certified"]
        for name, refit in (("cold", cold), ("cheapest", cheapest), ("warm", warm)):
            assert default[f"speedup_{name}"] == refit["seconds"] / default["seconds"]
        assert len(default["seconds_each"]) == 2 and 0 <= default["test"] <= 1


def test_growth(run):
    document, table = run(
        "growth", *SMALL, "--factors", "3", "--settings", "tol=1e-2", "--params", "n_factors=4"
    )
    check_document(document, "growth")
    one, three = document["records"]
    assert three["n_interactions"] == 3 * one["n_interactions"]
    assert three["n_forgotten"] == one["n_forgotten"]
    assert one["growth"] == one["growth_beyond_pass"] == 1.0
    assert three["growth"] == three["seconds"] / one["seconds"]
    assert 0 < one["peak_bytes"] < three["peak_bytes"]
    assert one["model_bytes"] < three["model_bytes"] < 3 * one["model_bytes"]
    assert [row[0] for row in table] == ["data", "1x", "3x"]


def test_growth_of_models_in_pages(run, monkeypatch):
    """The quick run; what a request of the touched rows holds falls as the data grow."""
    monkeypatch.setattr(_derived_tables, "_WORTH_PAGES", 0)
    monkeypatch.setattr(_paged, "_WORTH_PAGES", 0)
    monkeypatch.setattr(_paged, "_PAGE_ROWS", 8)
    document, table = run(
        "growth", *SMALL, "--quick", "--estimator", "ALS", "--settings", "touched,default",
        "--params", "n_factors=4,max_iter=0",
    )  # fmt: skip
    one, two = document["records"]
    assert [row["setting"] for row in (one, two)] == ["touched", "touched"]
    assert [len(row["seconds_each"]) for row in (one, two)] == [2, 2]
    assert two["peak_per_model"] < one["peak_per_model"]
    # float64: four columns a user and item; eight bytes a value, four an item, eight a user.
    users, items, cells = (two[name] for name in ("n_users", "n_items", "n_interactions"))
    tables = 32 * (users + items) + 12 * cells + 8 * (users + 1)
    assert two["model_bytes"] == tables
    assert [row[0] for row in table] == ["data", "1x", "2x"]


def test_batch(run):
    document, table = run("batch", *SMALL, "--sizes", "1,8", "--settings", "default")
    check_document(document, "batch")
    forgets = [record for record in document["records"] if record["role"] == "forget"]
    assert [(row["batch_size"], row["n_users"]) for row in forgets] == [(1, 1), (8, 8)]
    for row in forgets:
        # The same refit, shared out among the requests of the batch.
        refit = row["speedup_cold"] * row["seconds"]
        assert row["speedup_cold_per_request"] == pytest.approx(refit / row["seconds_per_request"])
        assert row["products_per_request"] > 0
    assert len(table) - 1 == len(document["records"])


def test_the_cost_of_a_batch_is_shared_by_its_requests(monkeypatch):
    timings = iter([Timing(None, [s], [s], 10 * s) for s in (6.0, 1.0, 8.0)])
    asked = []

    def time_forget(model, request, strategy, repeats, loaded):
        asked.append(request)
        return next(timings)

    monkeypatch.setattr(_forget, "time_forget", time_forget)
    plan = Plan(load_problem("synthetic-120"), None, {"default": None})
    row = {"setting": "default", "batch_size": 2, "seconds": 4.0}
    row |= {"speedup_cold": 3.0, "speedup_cheapest": None, "speedup_warm": 1.0}
    _forget._average_over(row, plan, None, ["a", "b", "c"])
    assert asked == ["a", "b", "c"]
    assert row["seconds_per_request"] == 3.0 and row["products_per_request"] == 30.0
    # Refits of 12 and of 4 seconds.
    assert row["speedup_cold_per_request"] == 4.0
    assert row["speedup_cheapest_per_request"] is None
    assert row["speedup_warm_per_request"] == pytest.approx(4 / 3)


def test_ifru_on_a_split_file(run, tmp_path):
    made = load_problem("synthetic-200", seed=3)
    X, (users, items, values) = made.X.tocoo(), made.test
    np.savez(
        tmp_path / "split.npz",
        train_user=X.row, train_item=X.col, train_label=X.data > 0,
        test_user=users, test_item=items, test_label=values > 0, n_keep_5pct=X.nnz - X.nnz // 20,
    )  # fmt: skip
    document, table = run(
        "ifru", "--problem", f"npz:{tmp_path / 'split.npz'}", "--shares", "5%,2%", "--repeats", "1",
        "--preset", "synthetic", "--settings", "default,one-step", "--quiet",
    )  # fmt: skip
    check_document(document, "ifru")
    assert document["problem"]["name"] == "split.npz"
    assert str(tmp_path) not in json.dumps(document)
    named, drawn = document["records"][:6], document["records"][6:]
    assert {row["n_interactions"] for row in named} == {X.nnz // 20}
    assert {row["n_interactions"] for row in drawn} == {round(X.nnz / 50)}
    corrupted, forgotten, _, refit, *_ = named
    # The refit never saw the flipped labels, and the model that forgot them ends where it does.
    clean = X.tocsr()
    clean.data[-(X.nnz // 20) :] = 0
    clean.eliminate_zeros()
    flipped = X.tocsr()
    flipped.data[-(X.nnz // 20) :] *= -1
    for row, data in ((refit, clean), (corrupted, flipped)):
        estimator = make_estimator(
            "MatrixFactorization", "synthetic", "", labels=True, n_jobs=1, seed=0
        )
        assert row["test"] == pytest.approx(auc(estimator.fit(data), made.test), abs=1e-4)
    assert abs(forgotten["test"] - refit["test"]) < 1e-3 < abs(corrupted["test"] - refit["test"])
    assert len(table) - 1 == len(document["records"])


def auc(model, test):
    """Share of (liked, disliked) pairs that are in order: what the area is, by definition."""
    users, items, values = test
    scores = model.predict_pairs((users, items))
    liked, disliked = scores[values > 0], scores[values < 0]
    return float(np.mean(liked[:, None] > disliked) + np.mean(liked[:, None] == disliked) / 2)


def test_the_cheapest_refit_is_the_loosest_that_passes():
    problem = load_problem("synthetic-120")
    estimator = make_estimator(
        "MatrixFactorization", "synthetic", "", labels=True, n_jobs=1, seed=0
    )
    plan = Plan(problem, estimator, make_settings(["default"]), repeats=1)
    model, _ = plan.fit(problem.X)
    trial = Trial(plan, model, make_request("pair", problem.X))
    tol, timing = trial.cheapest
    assert max(trial._gaps(timing.result).values()) <= MAX_GAP
    looser = trial._refit(10 * tol, 1).result
    assert tol == 1e-1 or max(trial._gaps(looser).values()) > MAX_GAP
    assert timing.result.random_state != model.random_state != trial.reference.random_state
    assert timing.result.random_state != trial.reference.random_state


def test_json_is_strict():
    values = {"a": np.float64("inf"), "b": [float("nan"), np.int64(3)], "c": (np.bool_(True),)}
    assert json.loads(to_json(values)) == {"a": None, "b": [None, 3], "c": [True]}


COMMANDS = (
    "forget", "learn", "growth", "batch", "ifru", "cure4rec", "erase", "als", "shipped", "scale",
)  # fmt: skip


@pytest.mark.parametrize("arguments", [["--help"], *([name, "-h"] for name in COMMANDS)])
def test_help(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "usage: python -m sklearn_unlearn.benchmarks" in out
    words = COMMANDS if len(arguments) == 1 else ("--problem", "--data")
    assert all(word in out for word in words)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["fit"],
            f"Got the command 'fit'; expected {', '.join(COMMANDS)}, encode, exact, gpu, serve. Ch",
        ),
        (["--problem", "movies"], "Got the problem 'movies'; expected 'synthetic'"),
        (["--problem", "npz:no.npz"], "Got the path 'no.npz'; expected an .npz file. Check"),
        (["--problem", "events:no.csv"], "Got the path 'no.csv'"),
        (["--problem", "synthetic-0"], "expected an integer of at least 1. Raise it"),
        (["--requests", "pair,all"], "Got the request 'all'; expected 'pair'"),
        (["--requests", ","], "Got ','; expected names separated by commas. Name at least one"),
        (["--requests", "users-5000"], "expected fewer than there are. Ask for fewer"),
        (["batch", "--sizes", "9999"], "expected fewer than there are. Ask for fewer"),
        (["batch", "--sizes", "1,x"], "Got 'x'; expected an integer from 1 on. Write digits"),
        (["growth", "--factors", "0"], "Got '0'; expected an integer from 1 on. Write digits"),
        (["ifru", "--shares", "200%"], "Got the request 'random-200%'; expected"),
        (["--settings", "exact"], "Got the setting 'exact'; expected 'default'"),
        (["--estimator", "SVD"], "Got the estimator 'SVD'; expected one of"),
        (["--preset", "tv"], "Got the preset 'tv'; expected one of"),
        (["--params", "rank=3"], "expected one of"),
        (["--params", "tol=0"], "The 'tol' parameter of MatrixFactorization must be"),
        (["--repeats", "0"], "Got '0'; expected an integer from 1 on. Write digits"),
        (["--test-size", "1"], "Got '1'; expected a number from 0 to below 1. Write"),
        (["--threshold", "high"], "Got 'high'; expected a number. Write"),
        (["--json", "no/such/folder/x.json"], "expected a file in a folder that exists. Make"),
    ],
)
def test_bad_arguments(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    error = " ".join(capsys.readouterr().err.split())
    assert message in error and "Traceback" not in error


def test_ifru_wants_labels(tmp_path, capsys):
    np.savez(tmp_path / "r.npz", user=[0, 1, 1], item=[0, 0, 1], rating=[3.0, 4.0, 5.0])
    with pytest.raises(SystemExit) as end:
        main(["ifru", "--problem", f"npz:{tmp_path / 'r.npz'}", "--test-size", "0"])
    assert end.value.code == 2
    assert "Got ratings; expected labels" in capsys.readouterr().err


def test_a_ladder_of_refits_ends_where_seeds_disagree(capsys):
    params = "n_factors=4, regularization=0.5, alpha=10.0"
    arguments = ["--estimator", "ALS", "--params", params, "--problem", "synthetic-120"]
    assert main(["forget", *arguments, "--requests", "pair", "--settings", "one-step",
                 "--repeats", "1"]) == 0  # fmt: skip
    told = capsys.readouterr().err
    assert told.count("refit to") == 4 and "refits from two seeds end apart" in told
