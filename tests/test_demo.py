"""The demo: what it says is true, what it cannot use it refuses, and its text in the docs runs."""

import copy
import dataclasses
import inspect
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from sklearn_unlearn import MatrixFactorization
from sklearn_unlearn.datasets import Events, load_interactions, make_interactions
from sklearn_unlearn.demo import _cli, main
from sklearn_unlearn.demo import _data as _problem
from sklearn_unlearn.demo._cli import _plain
from sklearn_unlearn.demo._data import file_events, make_problem, synthetic_events
from sklearn_unlearn.demo._experiment import (
    GAP_GOAL,
    MAX_FLOOR,
    Forgotten,
    first_request,
    random_request,
)
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.optimizers import _newton_cg
from tests.pages import ROOT, run_page

SMALL = ["--n-users", "150", "--regularization", "4"]


def ratings_table():
    """120 users and 40 items with integer ids that are not positions."""
    X = make_interactions(120, 40, n_interactions=2400, feedback="rating", random_state=0).tocoo()
    return 1000 + 7 * X.row, 10 + 3 * X.col, X.data


@pytest.fixture
def ratings(tmp_path):
    path = tmp_path / "ratings.csv"
    write(path, ratings_table())
    return path


def write(path, table, header="userId,movieId,rating"):
    rows = "".join(",".join(map(str, row)) + "\n" for row in zip(*table, strict=True))
    path.write_text(f"{header}\n{rows}", encoding="utf-8")


def run_json(tmp_path, *argv):
    path = tmp_path / "result.json"
    path.unlink(missing_ok=True)
    code = main([*map(str, argv), "--json", str(path)])
    return code, json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)


def problem_of(table, **changes):
    settings = {"loss": "auto", "threshold": None, "user_ids": [], "item_ids": [], "seed": 0}
    return make_problem(Events(*map(np.asarray, table)), "table", **{**settings, **changes})


def dense_scores(model):
    S = model.user_factors_ @ model.item_factors_.T + model.global_mean_
    return S + model.user_biases_[:, None] + model.item_biases_


def test_run_without_a_file(tmp_path, capsys):
    code, result = run_json(tmp_path, *SMALL)
    text = capsys.readouterr().out
    assert code == 0 and result["verified"] is True
    assert "Verdict: verified." in text
    for row in ("remaining gap, all pairs", "noise floor, affected pairs", "spectral ratio"):
        assert row in text
    assert all(len(line) <= 100 and line == line.rstrip() for line in text.splitlines())
    table = [line for line in text.splitlines() if re.match("(test|seconds|residual|method)", line)]
    assert len(table) >= 7 and len({len(line) for line in table}) == 1  # aligned


@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_figures_are_those_of_the_definitions(tmp_path, loss):
    """Repeat the experiment with dense score matrices and compare every figure."""
    options = [*SMALL[:2], "--regularization", "12", "--share", "0.02", "--loss", loss]
    _, result = run_json(tmp_path, *options, "--seed", "3")
    events = synthetic_events(150, loss, 3)
    problem = problem_of((events.user, events.item, events.value), loss=loss, seed=3)
    X = problem.X_train
    settings = {"loss": loss, "regularization": 12.0, "unlearner": InfluenceUnlearner()}
    model = MatrixFactorization(random_state=3, **settings).fit(X)
    requests = [first_request(problem), random_request(X, 0.02, 3)]
    for request, said in zip(requests, result["requests"], strict=True):
        retained = X.toarray()
        lost = np.zeros(X.shape, bool)
        lost[X.nonzero()] = request.taken
        retained[lost] = 0
        after = copy.deepcopy(model).forget(**request.arguments)
        refits = [MatrixFactorization(random_state=s, **settings).fit(retained) for s in (4, 5)]
        S0, Su, Sr, So = (dense_scores(m) for m in (model, after, *refits))
        touched = lost.any(axis=1)[:, None] | lost.any(axis=0)
        for name, over in (("all", slice(None)), ("affected", touched)):
            moved = np.linalg.norm((S0 - Sr)[over])
            assert said["gap"][name] == pytest.approx(np.linalg.norm((Su - Sr)[over]) / moved)
            assert said["floor"][name] == pytest.approx(
                np.linalg.norm((So - Sr)[over]) / moved, rel=1e-3
            )
        held_out = problem.X_test.tocoo()
        for name, S in (("before", S0), ("after", Su), ("refit", Sr)):
            scores = S[held_out.coords]
            if loss == "squared":
                quality = np.sqrt(np.mean((scores - held_out.data) ** 2))
            else:
                quality = roc_auc_score(held_out.data, scores)
            assert said["quality"][name] == pytest.approx(quality)
        assert said["report"]["n_interactions"] == lost.sum()
    assert requests[1].taken.sum() == round(0.02 * X.nnz)


def test_a_model_without_factors_is_named(capsys):
    assert main([*SMALL[:2], "--regularization", "1000"]) == 0
    assert "Rank 0: no factors are left" in capsys.readouterr().out


def test_json_is_consistent(tmp_path):
    code, result = run_json(tmp_path, *SMALL)
    for request in result["requests"]:
        assert request["speedup"] == request["refit_seconds"] / request["forget_seconds"]
        limits = {over: max(GAP_GOAL, floor) for over, floor in request["floor"].items()}
        within = all(gap <= limits[over] for over, gap in request["gap"].items())
        assert request["verified"] == (within and max(request["floor"].values()) <= MAX_FLOOR)
        certificate = request["certificate"]
        assert certificate["certified"] == (certificate["relative_gap"] <= certificate["tol"])
    assert result["verified"] == all(r["verified"] for r in result["requests"]) == (code == 0)
    data = result["data"]
    assert data["n_train"] + data["n_test"] == len(synthetic_events(150, "logistic", 0))


def test_named_users_and_items_lose_all_their_events(tmp_path, ratings):
    users, items, _ = ratings_table()
    user, item = 1000 + 7 * 11, 10 + 3 * 5
    expected = np.count_nonzero((users == user) | (items == item))
    _, result = run_json(tmp_path, ratings, "--user", user, "--item", item)
    named = result["requests"][0]
    assert named["report"]["n_interactions"] == expected
    assert named["name"] == f"user {user} and item {item}"
    assert named["lists"]["user"] == str(user)


def test_only_items(tmp_path, ratings):
    users, items, _ = ratings_table()
    wanted = [10, 13]
    _, result = run_json(tmp_path, ratings, "--item", *wanted)
    named = result["requests"][0]
    assert named["name"] == "2 items" and named["report"]["n_items"] == 2
    assert named["report"]["n_interactions"] == np.isin(items, wanted).sum()
    assert named["lists"]["user"] is None  # whom nobody named
    problem = problem_of(ratings_table(), item_ids=[str(item) for item in wanted])
    listed = problem.encoder.decode_users([first_request(problem).listed_user])
    assert listed in users[np.isin(items, wanted)]


def test_top_lists(tmp_path, ratings, capsys):
    users, items, _ = ratings_table()
    user = 1000 + 7 * 30
    _, result = run_json(tmp_path, ratings, "--user", user, "--forget-tol", "1e-6")
    history = set(map(str, items[users == user].tolist()))
    lists = result["requests"][0]["lists"]
    assert history.isdisjoint(lists["before"])
    assert lists["after"] == lists["refit"] != lists["before"]
    assert not history.isdisjoint(lists["after"])  # a forgotten item is recommendable again
    shown = set(re.findall(r"(\d+)\*", capsys.readouterr().out))
    assert shown == history & set(lists["after"])


def test_median_user_is_chosen():
    table = ratings_table()
    problem = problem_of(table)
    degrees = np.diff(problem.X_train.indptr)
    user = first_request(problem).arguments["users"]
    assert degrees[user] == np.sort(degrees)[len(degrees) // 2]


@pytest.mark.parametrize(
    ("values", "threshold", "limit", "words"),
    [
        ([0.5, 3.5, 4.0, 5.0], None, 4.0, "scale of 5 stars"),
        ([1, 2, 7, 10], None, 5.0, "the mean"),
        ([0, 1, 1, 1], None, 1.0, "larger of the two"),
        ([-1, 1, -1, 1], None, 1.0, "larger of the two"),
        ([1, 2, 3, 5], 2.0, 2.0, "given"),
    ],
)
def test_labels(values, threshold, limit, words):
    values = np.tile(np.array(values, float), 30)
    users, items = np.divmod(np.arange(120), 12)
    problem = problem_of((users, items, values), threshold=threshold)
    assert problem.loss == "logistic" and words in problem.reading
    expected = np.where(values >= limit, 1.0, -1.0).reshape(10, 12)
    np.testing.assert_array_equal((problem.X_train + problem.X_test).toarray(), expected)


def test_ratings_of_zero_are_dislikes_but_no_ratings():
    values = np.tile([0.0, 3.0, 6.0, 10.0], 30)
    users, items = np.divmod(np.arange(120), 12)
    assert (problem_of((users, items, values)).X_train.data == -1).any()
    rated = problem_of((users, items, values), loss="squared")
    assert rated.X_train.nnz + rated.X_test.nnz == 90 and "30 ratings of 0" in rated.reading


def test_latest_event_of_a_pair_counts(tmp_path):
    users, items, values = ratings_table()
    again = (np.r_[users[0], users], np.r_[items[0], items], np.r_[9.0, values])
    times = np.r_[10**6, np.arange(len(users))]
    path = tmp_path / "events.csv"
    write(path, (*again, times), "user,item,rating,timestamp")
    problem = make_problem(
        file_events(str(path), {})[0],
        str(path), loss="squared", threshold=None, user_ids=[], item_ids=[], seed=0,
    )  # fmt: skip
    X = (problem.X_train + problem.X_test).toarray()
    user, item = problem.encoder.encode_pairs({"user": users[:1], "item": items[:1]})[0]
    assert X[user, item] == 9.0 and np.count_nonzero(X) == len(users)


def test_columns_by_name_and_position(tmp_path):
    users, items, values = ratings_table()
    named, bare = tmp_path / "named.csv", tmp_path / "bare.csv"
    write(named, (values, items, users), "r,thing,who")
    bare.write_text(named.read_text(encoding="utf-8").split("\n", 1)[1], encoding="utf-8")
    first = run_json(tmp_path, named, "--columns", "who,thing,r", "--user", "1007")[1]
    second = run_json(tmp_path, bare, "--columns", "2,1,0", "--user", "1007")[1]
    assert first["requests"][0]["gap"] == second["requests"][0]["gap"]
    assert first["data"]["n_users"] == 120


def keep_factors(monkeypatch):
    """Make forget a lie: the data goes, the model stays."""
    honest = MatrixFactorization._forget
    kept = ("user_factors_", "item_factors_", "user_biases_", "item_biases_")

    def forget(self, retained, request):
        return honest(self, retained, request) | {name: getattr(self, name) for name in kept}

    monkeypatch.setattr(MatrixFactorization, "_forget", forget)


def test_a_model_that_forgets_nothing_is_not_verified(tmp_path, monkeypatch, capsys):
    keep_factors(monkeypatch)
    code, result = run_json(tmp_path, *SMALL)
    assert code == 1 and result["verified"] is False
    assert all(r["gap"]["all"] == pytest.approx(1.0) for r in result["requests"])
    assert "Verdict: not verified." in capsys.readouterr().out


def test_a_model_without_a_defined_refit_is_not_verified(tmp_path, capsys, monkeypatch):
    """Three factors of many: which optimum a fit finds is a matter of its start."""

    def anywhere(objective, seed, rows=None):
        shape = objective.layout.shape[0], objective.layout.n_factors
        return objective.layout.pack(np.random.default_rng(seed).standard_normal(shape))

    monkeypatch.setattr(_newton_cg, "spectral_start", anywhere)
    options = ["--n-users", "60", "--regularization", "0.05", "--factors", "3"]
    code, result = run_json(tmp_path, *options)
    text = " ".join(capsys.readouterr().out.split())
    assert code == 1
    assert max(max(r["floor"].values()) for r in result["requests"]) > MAX_FLOOR
    assert "Raise --factors, or raise --regularization" in text
    assert "there is no one refit to compare with" in text


@pytest.mark.parametrize(
    ("gap", "floor", "verified"),
    [
        (0.009, 1e-8, True),
        (0.011, 1e-8, False),
        (0.05, 0.08, True),  # cannot be told from the difference of two refits
        (0.3, 0.5, False),  # nor can this, but there is no one refit to be equal to
        (math.inf, 0.0, False),
        (math.nan, 0.0, False),
    ],
)
def test_verified(gap, floor, verified):
    for over in ("all", "affected"):
        gaps, floors = ({"all": 0.0, "affected": 0.0} for _ in range(2))
        gaps[over], floors[over] = gap, floor
        fields = dict.fromkeys(field.name for field in dataclasses.fields(Forgotten))
        assert Forgotten(**{**fields, "gap": gaps, "floor": floors}).verified is verified


BAD_FILES = {
    "likes only": ("user,item", ([1, 1, 2], [1, 2, 2]), "nothing to learn from likes alone"),
    "one rating": ("user,item,rating", ([1, 1, 2], [1, 2, 2], [4, 4, 4]), "have the value 4"),
    "few": ("user,item,rating", ([1, 1, 2], [1, 2, 2], [4, 1, 4]), "at least 20 pairs"),
    "one user": ("user,item,rating", ([1] * 30, range(30), [1, 2] * 15), "of 1 users"),
    "no number": ("user,item,rating", ([1, 2], [1, 2], [3, "x"]), "line 3"),
    "unknown columns": ("a,b,rating", ([1, 2], [1, 2], [3, 4]), "(--columns USER,ITEM[,VALUE"),
    "empty": ("user,item,rating", ([], [], []), "expected"),
}


def refused(capsys, *argv):
    code = main([*map(str, argv)])
    captured = capsys.readouterr()
    assert code == 2 and captured.out == ""
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    what, rest = captured.err.split("; ", 1)
    assert re.search("expected|it has", rest) and ". " in rest, captured.err
    return what + "; " + rest


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file(name, tmp_path, capsys):
    header, table, words = BAD_FILES[name]
    path = tmp_path / "events.csv"
    write(path, table, header)
    assert words in refused(capsys, path)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--user", "999999"], "--user 999999"),
        (["--user", "1000", "bob"], "--user bob"),
        (["--user", str(10**30)], "expected user ids of that file, which are whole numbers"),
        (["--user", "-1"], "--user -1"),
        (["--item", "x"], "--item x"),
        (["--threshold", "9"], "every event of 'ratings.csv' a dislike"),
        (["--threshold", "-1"], "every event of 'ratings.csv' a like"),
        (["--threshold", "3", "--loss", "squared"], "Drop one"),
        (["--columns", "userId,nothing"], "no column 'nothing'"),
        (["--json", "no_such_folder/x.json"], "no_such_folder"),
        (["--item", *map(str, range(10, 130, 3))], "takes all"),
    ],
)
def test_bad_request(argv, words, ratings, capsys):
    assert words in refused(capsys, ratings, *argv)


def test_absent_file_and_unreadable_place(tmp_path, capsys):
    assert "does not exist" in refused(capsys, tmp_path / "nothing.csv")
    assert "is a folder" in refused(capsys, tmp_path)
    assert "expected user ids of that file, which are text" in refused(capsys, "--user", "bob")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--share", "2"], "expected a share above 0 and at most 0.5"),
        (["--share", "nan"], "expected a share"),
        (["--factors", "1.5"], "expected a whole number"),
        (["--regularization", "0"], "expected a finite number above 0"),
        (["--regularization", "inf"], "expected a finite number above 0"),
        (["--bias-regularization", "1,2,3"], "got 3 numbers"),
        (["--threshold", "high"], "expected 'auto' or a finite number"),
        (["--columns", "a"], "expected two or three names"),
        (["--seed", "-1"], "expected a whole number from 0"),
        (["--loss", "hinge"], "invalid choice"),
        (["--nothing"], "unrecognized"),
    ],
)
def test_bad_option(argv, words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


def test_warnings_become_notes(tmp_path, capsys):
    code, result = run_json(tmp_path, *SMALL, "--tol", "1e-300")
    assert code in (0, 1) and result["fit"]["converged"] is False
    assert "note: MatrixFactorization stopped" in capsys.readouterr().out
    assert any("stopped after" in text for text in result["warnings"])


def test_what_is_not_finite_becomes_null():
    given = {"a": [math.inf, np.float64("nan"), np.int64(3)], 1: (True, "x", 0.5)}
    assert _plain(given) == {"a": [None, None, 3], "1": [True, "x", 0.5]}


def test_module_runs():
    done = subprocess.run(
        [sys.executable, "-m", "sklearn_unlearn", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "exit code: 0 if" in done.stdout


def text_with_ratings(page, tmp_path, monkeypatch, replace=()):
    """Run a text beside a file of ratings of the users 42 and 7 and others."""
    users, items, values = ratings_table()
    users = np.where(users == 1000, 42, np.where(users == 1007, 7, users))
    write(tmp_path / "ratings.csv", (users, items, values))
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text(encoding="utf-8")
    for old, new in replace:
        assert old in text
        text = text.replace(old, new)
    copy = tmp_path / Path(page).name
    copy.write_text(text, encoding="utf-8")
    return run_page(copy, monkeypatch)


@pytest.mark.parametrize("page", ["README.md", "docs/user_guide/quickstart.md"])
def test_python_in_the_text_runs(page, tmp_path, monkeypatch, capsys):
    names = text_with_ratings(page, tmp_path, monkeypatch)
    with pytest.raises(ValueError, match="unknown"):
        names["model"].recommend(users=[42])
    if "alone" in names:
        assert not names["alone"].recommend(users=names["user"])[1].any()
        with pytest.raises(ValueError, match="unknown"):
            names["encoder"].encode_users([42])


def test_quickstart_is_the_same_in_every_frame_library(tmp_path, monkeypatch, capsys):
    said = {}
    for library, module in (("pandas", "pd"), ("polars", "pl"), ("pyarrow.csv", "csv")):
        replace = [("import pandas as pd", f"import {library} as {module}")]
        replace += [("pd.read_csv", f"{module}.read_csv")]
        names = text_with_ratings("README.md", tmp_path, monkeypatch, replace)
        model = names["model"]
        assert type(model.recommend(users=[7])) is type(names["events"])
        table = model.recommend(users=[1014, 7], n_items=40)
        said[library] = table.to_pydict() if library == "pyarrow.csv" else table.to_dict()
        said[library] = {
            name: np.asarray(list(column.values()) if isinstance(column, dict) else column)
            for name, column in said[library].items()
        }
    for table in said.values():
        for name, column in said["pandas"].items():
            np.testing.assert_array_equal(table[name], column)


def test_results_never_replace_the_events(ratings, capsys):
    before = ratings.read_bytes()
    assert "which is the file of events" in refused(capsys, ratings, "--json", ratings)
    assert ratings.read_bytes() == before


def test_output_is_tried_before_the_work(ratings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_cli, "_problem", lambda options: pytest.fail("the work has begun"))
    assert "cannot be written" in refused(capsys, ratings, "--json", tmp_path)


@pytest.mark.parametrize("error", [ValueError("bad; expected"), MemoryError(), OSError("full")])
def test_errors_of_the_work_are_data_errors_too(error, monkeypatch, capsys):
    def run(problem, options):
        raise error

    monkeypatch.setattr(_cli, "_run", run)
    assert main(SMALL) == 2
    assert capsys.readouterr().err == f"error: {str(error) or 'MemoryError'}\n"


EMAILS = ("user-{:03d}@example.org", "movie-{:03d}")


@pytest.mark.parametrize("argv", [[], ["--user", EMAILS[0].format(7)], ["--item", "movie-003"]])
def test_only_ids_of_users_that_were_named_are_printed(argv, tmp_path, capsys):
    users, items, values = ratings_table()
    ids = [[form.format(k) for k in of] for form, of in zip(EMAILS, (users, items), strict=True)]
    path = tmp_path / "events.csv"
    write(path, (*ids, values))
    named = [argv[1].replace("-007@", f"-{users[0]}@"), *argv[2:]] if argv else []
    named = [item.replace("-003", f"-{items[0]:03d}") for item in named]
    main([str(path), *argv[:1], *named])
    printed = capsys.readouterr()
    shown = set(re.findall(r"user-\d+@example.org", printed.out + printed.err))
    assert shown == {one for one in named if "@" in one}
    assert "movie-" not in printed.err


@pytest.mark.parametrize("wide", [2**63, 2**64 - 1, -(2**63)])
def test_ids_of_all_64_bits_can_be_named(wide, tmp_path):
    users, items, values = ratings_table()
    users = [wide if user == users[0] else int(user) + (wide > 0) * 2**63 for user in users]
    path = tmp_path / "events.csv"
    write(path, (users, items, values))
    problem = make_problem(
        file_events(str(path), {})[0], str(path), loss="squared", threshold=None,
        user_ids=[str(wide)], item_ids=[], seed=0,
    )  # fmt: skip
    assert problem.encoder.decode_users(problem.users).tolist() == [wide]


def test_files_are_read_as_the_library_reads_them(tmp_path, monkeypatch):
    """Every argument of load_interactions is an option, and gets there."""
    given = {
        "--columns": ("0,1,2,3", {"user": 0, "item": 1, "value": 2, "timestamp": 3}),
        "--header": (None, {"header": True}),
        "--no-header": (None, {"header": False}),
        "--sep": (r"\t", {"sep": "\t"}),
        "--quoting": ("none", {"quoting": "none"}),
        "--encoding": ("latin-1", {"encoding": "latin-1"}),
        "--zeros": ("keep", {"zeros": "keep"}),
        "--member": ("a.csv", {"member": "a.csv"}),
    }  # fmt: skip
    seen = {}

    def read(path, wanted, **options):
        seen.update(wanted, **options)
        raise ValueError("seen; expected. Stop.")

    monkeypatch.setattr(_problem, "read_events", read)
    names = set(inspect.signature(load_interactions).parameters) - {"path", "verbose"}
    for flag, (text, expected) in given.items():
        main(["a.csv", flag, *([] if text is None else [text])])
        assert seen == dict.fromkeys(names) | expected


def test_what_was_guessed_is_printed(tmp_path, capsys):
    users, items, values = ratings_table()
    path = tmp_path / "events.csv"
    header = "user-id;ISBN;when;book-rating"
    days = [f"{k % 28 + 1}/11/2000" for k in range(len(users))]
    path.write_text(
        f"{header}\n" + "".join(
            f"{u};{i};{d};{0 if k % 4 == 0 else v}\n"
            for k, (u, i, v, d) in enumerate(zip(users, items, values, days, strict=True))
        ), encoding="utf-8",
    )  # fmt: skip
    _, result = run_json(tmp_path, path)
    (line,) = [k for k in capsys.readouterr().out.splitlines() if k.startswith("Read ")]
    assert line == (
        "Read       user=user-id, item=ISBN, value=book-rating, timestamp=none; separator ';'; "
        "with header; 600 events of value 0 left out (no rating)"
    )
    assert result["data"]["layout"] == line.removeprefix("Read").strip()
    assert result["data"]["n_train"] + result["data"]["n_test"] == 1800
    dropped = result["data"]["reading"]
    _, result = run_json(tmp_path, path, "--zeros", "keep")
    assert result["data"]["n_train"] + result["data"]["n_test"] == 2400
    assert result["data"]["reading"] != dropped


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ann,heat\nbob,alien\n", "Pass --no-header, or --header and which columns"),
        ("7;70,1\n8;80,2\n", "Say which it is (--sep)."),
        ("user,item,label\n7,70,0\n8,80,1\n", "Pass --zeros 'drop' or --zeros 'keep'."),
        (b"user,item\n7,caf\xe9\n", "Pass --encoding, such as 'latin-1'"),
        ('user,item\n7,"Odd Al" Smith\n', "or pass --quoting 'none'"),
        ("7\t1\t.5\t.5\t70\n", "positions from 0 (--columns USER,ITEM[,VALUE[,TIMESTAMP]])"),
    ],
)
def test_refused_files_name_the_option_that_helps(text, words, tmp_path, capsys):
    path = tmp_path / "events.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main([str(path)]) == 2
    said = capsys.readouterr().err
    assert words in said and "=..." not in said
    assert not re.search("heat|alien|caf|Smith", said)


@pytest.mark.parametrize("typed", ["01007", "+1007", "1_007"])
def test_an_id_is_taken_as_it_is_written(typed, ratings, capsys):
    assert f"--user {typed}, which" in refused(capsys, ratings, "--user", typed)
