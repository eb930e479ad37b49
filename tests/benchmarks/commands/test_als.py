"""The comparison with implicit, from the command line on, on small made data."""

import json

import numpy as np
import pytest

from sklearn_unlearn import ALS
from sklearn_unlearn.benchmarks import make_request
from sklearn_unlearn.benchmarks._cli import main
from sklearn_unlearn.benchmarks.commands import _als
from sklearn_unlearn.benchmarks.commands._als import MAX_LOCAL_GAP, AlsTrial, Subject
from sklearn_unlearn.benchmarks.commands._options import make_parser
from sklearn_unlearn.benchmarks.data._datasets import load_problem
from sklearn_unlearn.benchmarks.measure._clocks import Timing, time_fit
from sklearn_unlearn.benchmarks.measure._compare import Plan
from sklearn_unlearn.benchmarks.measure._gaps import Gaps
from sklearn_unlearn.benchmarks.methods._implicit import Rival
from sklearn_unlearn.benchmarks.methods._settings import make_settings

WAYS = ["nothing", "touched", "tol=1e-1", "default", "refit", "refit, another seed"]


@pytest.fixture
def split(tmp_path):
    """Write made data as the split files of implicit feedback are: positions and no values."""
    made = load_problem("synthetic-120", seed=3, implicit=True)
    X, (users, items, _) = made.X.tocoo(), made.test
    path = tmp_path / "split.npz"
    parts = {"train_user": X.row, "train_item": X.col, "test_user": users, "test_item": items}
    np.savez(path, **{name: part.astype(np.int32) for name, part in parts.items()})
    return path


def run(tmp_path, capsys, *arguments):
    path = tmp_path / "result.json"
    assert main([*arguments, "--quiet", "--json", str(path)]) == 0
    out = capsys.readouterr()
    assert out.err == ""
    document = json.loads(path.read_text())
    assert str(tmp_path) not in json.dumps(document)
    return document, [line for line in out.out.splitlines() if line.startswith("|")]


def test_als(split, tmp_path, capsys):
    document, table = run(
        tmp_path, capsys, "als", "--data", str(split), "--requests", "median-user,users-2%",
        "--settings", "touched,tol=1e-1,default", "--repeats", "4", "--n-factors", "5",
        "--regularization", "15", "--alpha", "8", "--tol", "1e-5", "--refit-repeats", "2",
        "--jobs", "1",
    )  # fmt: skip
    assert document["problem"]["values"] == "observed"
    params = document["estimator"]["params"]
    expected = {"n_factors": 5, "regularization": 15.0, "alpha": 8.0, "tol": 1e-5, "n_jobs": 1}
    assert params == params | expected
    own, taken = document["fits"]
    assert (own["model"], taken["model"]) == ("own", "taken over")
    assert own["converged"] and 0 <= own["test"] <= 1 and 0 <= taken["test"] <= 1
    records = document["records"]
    assert len(table) - 2 == len(records) == 2 * 2 * len(WAYS)
    for model in ("own", "taken over"):
        for request, n_timed in (("median-user", 4), ("users-2%", 3)):
            rows = [r for r in records if (r["model"], r["request"]) == (model, request)]
            check_rows(rows, n_timed)


def check_rows(rows, n_timed):
    assert [row["setting"] for row in rows] == WAYS
    nothing, touched, loose, default, refit, other = rows
    assert {nothing[f"gap_{name}"] for name in ("all", "affected", "others")} == {1.0}
    # float32 factors: the rest of a gap is rounding.
    assert max(refit[f"gap_{name}"] for name in ("all", "affected", "others")) < 1e-9
    assert refit["top10_others"] == refit["top10_all"] == 1.0
    for name in ("all", "affected", "others"):
        assert other[f"gap_{name}"] == default[f"noise_{name}"]
    assert touched["report"]["guarantee"] == "rows-solved"
    assert loose["report"]["residual"] <= 1e-1
    # A model that was stopped early may be at a saddle, where the default ends in a refit.
    bounded = default["report"]["residual"] <= 1e-3 if rows[0]["model"] == "own" else False
    assert bounded or default["report"]["guarantee"] in ("refit", "rows-solved")
    if rows[0]["model"] == "own":
        assert default["gap_others"] < loose["gap_others"] < touched["gap_others"] < 1
    for row in (touched, loose, default):
        assert row["speedup_rival"] == row["rival_seconds"] / row["seconds"]
        assert row["speedup_own"] == refit["seconds"] / row["seconds"]
        assert row["seconds_min"] <= row["seconds"] and len(row["seconds_each"]) == n_timed
        assert row["within_gap"] == (row["gap_affected"] <= MAX_LOCAL_GAP)
        assert row["certificate"] is None
    assert len({row["rival_seconds"] for row in rows}) == 1
    if rows[0]["model"] == "taken over":
        assert refit["seconds"] == refit["rival_seconds"] and len(refit["seconds_each"]) == 2


def test_copies_are_labelled_and_hold_no_test_part(split, tmp_path, capsys):
    document, _ = run(
        tmp_path, capsys, "als", "--data", str(split), "--requests", "median-user", "--expand",
        "3x1", "--settings", "touched", "--repeats", "1", "--max-iter", "0", "--certify",
        "--n-factors", "4", "--jobs", "1",
    )  # fmt: skip
    problem = document["problem"]
    assert problem["name"] == "split.npz, expanded 3 x 1 (synthetic)"
    base = load_problem(f"npz:{split}", implicit=True).X
    assert problem["n_users"] == 3 * base.shape[0] and problem["n_items"] == base.shape[1]
    assert problem["n_interactions"] == 3 * base.nnz and problem["n_test"] == 0
    assert not document["fits"][0]["converged"] and document["fits"][0]["test"] is None
    assert document["fits"][0]["certificate"]["rank"] == 4
    forgets = [row for row in document["records"] if row["role"] == "forget"]
    assert all(row["certificate"]["rank"] == 4 for row in forgets)


def test_models_are_single_precision_and_refits_take_the_seeds(monkeypatch):
    """The target is a refit from the own start; the noise is that of the next seed."""
    seen = []

    class Watched(Gaps):
        def of(self, after):
            seen.append(after)
            return super().of(after)

    monkeypatch.setattr(_als, "Gaps", Watched)
    problem = load_problem("synthetic-120", implicit=True)
    X = problem.X.astype(np.float32)
    estimator = ALS(4, regularization=15.0, alpha=8.0, tol=1e-4, random_state=2)
    plan = Plan(problem, estimator, make_settings(["touched"]), 1, seed=2, certify=False)
    model = time_fit(estimator, X).result
    assert model.user_factors_.dtype == np.float32
    asked = []

    def refit(retained, seed):
        asked.append((retained.nnz, seed))
        return time_fit(ALS(4, regularization=15.0, alpha=8.0, random_state=seed), retained)

    request = make_request("median-user", X)
    trial = AlsTrial(
        plan, Subject("own", model, refit), request, Timing(None, [3.0, 1.0, 2.0], [0.0])
    )
    rows = trial.records()
    assert asked == [(request.retained.nnz, 2), (request.retained.nnz, 3)]
    assert {row["rival_seconds"] for row in rows} == {2.0}
    assert seen[0] is seen[-1]  # the noise is measured on the model of the last row


def test_the_rival_gets_the_same_data_and_the_next_seed_for_noise(monkeypatch, capsys):
    asked, time_fit = [], Rival.time_fit

    def watched(self, X, repeats=1, seed=None):
        asked.append((X.dtype, X.nnz, repeats, self.seed if seed is None else seed))
        return time_fit(self, X, repeats, seed)

    monkeypatch.setattr(Rival, "time_fit", watched)
    assert main([
        "als", "--problem", "synthetic-120", "--requests", "median-user", "--settings", "touched",
        "--seed", "5", "--refit-repeats", "2", "--n-factors", "3", "--quiet", "--jobs", "1",
        "--repeats", "1",
    ]) == 0  # fmt: skip
    capsys.readouterr()
    X = load_problem("synthetic-120", implicit=True).X
    left = make_request("median-user", X, 5).retained.nnz
    single = np.dtype(np.float32)
    assert asked == [(single, X.nnz, 1, 5), (single, left, 2, 5), (single, left, 1, 6)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["als", "--data", "no.npz"], "Got the path 'no.npz'; expected an .npz file. Check"),
        (["als", "--data", "no.csv"], "Got the path 'no.csv'"),
        (["als", "--expand", "8"], "Got '8'; expected two numbers, copies of users and of items"),
        (["als", "--expand", "0x1"], "Got '0x1'; expected two numbers"),
        (["als", "--alpha", "-1"], "The 'alpha' parameter of ALS must be"),
        (["als", "--n-factors", "many"], "Got 'many'; expected an integer from 1 on"),
        (["als", "--requests", "some"], "Got the request 'some'; expected 'pair'"),
        (["als", "--estimator", "ALS"], "unrecognized arguments: --estimator"),
        (["als", "--problem", "synthetic-50", "--data", "a.npz"], "not allowed with argument"),
        (["ifru", "--estimator", "ALS"], "Got the estimator ALS, which learns from what was"),
        (["scale", "--expansion", "copy"], "invalid choice: 'copy'"),
    ],
)
def test_bad_arguments(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    error = " ".join(capsys.readouterr().err.split())
    assert message in error and "Traceback" not in error


def test_what_a_run_takes_unless_told():
    for command in ("als", "shipped", "scale"):
        options = make_parser().parse_args([command])
        assert (options.jobs, options.iterations, options.estimator) == (2, 15, "ALS")
        assert not options.certify
    options = make_parser().parse_args(["als"])
    assert options.settings == ["touched", "touched x2", "tol=1e-1", "default"]
    assert options.requests == ["median-user", "heavy-user", "users-1%"]
    assert (options.repeats, options.refit_repeats) == (15, 3)


@pytest.mark.parametrize("command", ["forget", "growth", "batch"])
def test_the_other_commands_take_als(command, split, tmp_path, capsys):
    more = {
        "forget": ["--requests", "median-user"],
        "growth": ["--factors", "2"],
        "batch": ["--sizes", "2"],
    }
    document, table = run(
        tmp_path, capsys, command, *more[command], "--estimator", "ALS", "--data", str(split),
        "--params", "n_factors=4", "--settings", "touched,default", "--repeats", "1",
        "--no-certify",
    )  # fmt: skip
    assert document["estimator"]["name"] == "ALS" and document["fits"][0]["converged"]
    default = [row for row in document["records"] if row["setting"] == "default"][-1]
    assert default["report"]["residual"] <= 1e-3
    assert default.get("certificate") is None
    grown = document["fits"][-1]
    assert (grown["test"] is None) == (command == "growth")
    if command != "growth":
        assert default["gap_all"] < 0.1 and 0 <= default["test"] <= 1
    assert len(table) - 2 == len(document["records"])
