"""Growth of time and memory: what is measured where, and on what."""

import json
import os
from contextlib import nullcontext

import numpy as np
import pytest
from scipy import sparse

from sklearn_unlearn import ALS
from sklearn_unlearn.benchmarks import make_request
from sklearn_unlearn.benchmarks._cli import main
from sklearn_unlearn.benchmarks.commands._scale import user_with
from sklearn_unlearn.benchmarks.measure import _tasks
from sklearn_unlearn.benchmarks.measure._clocks import model_bytes, time_forget
from sklearn_unlearn.benchmarks.methods._implicit import Rival
from sklearn_unlearn.benchmarks.methods._settings import make_settings
from sklearn_unlearn.datasets import make_interactions

X = abs(make_interactions(90, 50, random_state=0)).astype(np.float32)
ESTIMATOR = ALS(4, regularization=9.0, alpha=5.0, n_sweeps=2, max_iter=0, tol=1e-2, random_state=0)
TOUCHED = make_settings(["touched"])["touched"]


WHERE = """
import os
raise ValueError(f"{os.getpid()} {os.environ['MALLOC_MMAP_THRESHOLD_']}")
"""


def test_a_task_runs_in_a_process_of_its_own(monkeypatch):
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "7")
    with pytest.raises(ValueError) as error:
        _tasks.in_own_process(exec, WHERE, exact_memory=True)
    process, threshold = str(error.value).split()
    assert int(process) != os.getpid() and threshold == "131072"
    assert os.environ["MALLOC_MMAP_THRESHOLD_"] == "7"
    assert "MALLOC_TRIM_THRESHOLD_" not in os.environ


def test_a_task_has_one_blas_thread(monkeypatch):
    limited = []
    monkeypatch.setattr(
        _tasks,
        "threadpool_limits",
        lambda n, user_api: limited.append((n, user_api)) or nullcontext(),
    )
    assert _tasks._call(int, ("12",)) == 12
    assert limited == [(1, "blas")]


@pytest.fixture
def matrix(tmp_path):
    path = tmp_path / "X.npz"
    _tasks.save_matrix(path, X)
    return path


def test_a_matrix_survives_its_file(matrix):
    again = _tasks._load(matrix)
    assert (again != X).nnz == 0 and again.dtype == X.dtype and again.shape == X.shape


def test_tasks_measure_one_model(matrix):
    fitted = _tasks.fit(matrix, ESTIMATOR)
    model = ESTIMATOR.fit(X)
    assert fitted["model_bytes"] == model_bytes(model) and len(fitted["seconds_each"]) == 1
    request = make_request("median-user", X)
    user = int(request.users[0])
    timed = _tasks.forget_time(matrix, user, TOUCHED, 2, False)
    expected = time_forget(model, request, TOUCHED, 1).result.forget_report_.to_dict()
    for told in (timed["report"], expected):
        told.pop("seconds")
    assert timed["report"] == expected
    assert timed["n_forgotten"] == len(request.positions)
    assert len(timed["seconds_each"]) == 2 and 0 < timed["pass_seconds"] < timed["seconds"]


@pytest.mark.parametrize("loaded", [False, True])
def test_memory_is_that_of_forget_alone(matrix, loaded, monkeypatch):
    _tasks.fit(matrix, ESTIMATOR)
    calls, forget = [], ALS.forget

    class Watch:
        bytes, exact = 5, True

        def __enter__(self):
            calls.append("start")
            return self

        def __exit__(self, *error):
            calls.append("stop")

    def watched(self, **request):
        joined = self.user_factors_.base is self.item_factors_.base is not None
        calls.append((joined, "transpose" in self._interactions._cache))
        return forget(self, **request)

    monkeypatch.setattr(_tasks, "PeakMemory", Watch)
    monkeypatch.setattr(ALS, "forget", watched)
    told = _tasks.forget_memory(matrix, 3, TOUCHED, loaded)
    assert told == {"peak_bytes": 5, "peak_exact": True}
    whole = (not loaded, not loaded)
    assert calls == [whole, "start", whole, "stop"]


def test_the_rival_is_refitted_without_the_user(matrix, monkeypatch):
    fitted = []
    time_fit = Rival.time_fit

    def watched(self, data, *rest):
        fitted.append((data.shape, data.nnz, *rest))
        return time_fit(self, data, *rest)

    monkeypatch.setattr(Rival, "time_fit", watched)
    told = _tasks.refit_rival(matrix, Rival.of(ESTIMATOR, 1), 3, 2)
    assert fitted[-1] == (X.shape, X.nnz - X[[3]].nnz, 2)
    assert len(told["seconds_each"]) == 2 and told["peak_bytes"] >= 0


def test_the_user_has_the_same_degree_where_that_can_be():
    degrees = sparse.csr_array(np.tril(np.ones((9, 9))))
    assert user_with(degrees, 4, 3) == 3
    assert user_with(degrees, 4, 8) == 3
    assert user_with(degrees, 20, 0) == 8
    two = sparse.csr_array(np.ones((3, 2)))
    assert user_with(two, 2, 1) == 1


@pytest.mark.parametrize("expansion", ["fractal", "expand"])
def test_scale(expansion, tmp_path, capsys, monkeypatch):
    asked = []

    def here(task, *arguments, exact_memory=False):
        asked.append((task.__name__, exact_memory))
        return task(*arguments)

    monkeypatch.setattr(_tasks, "in_own_process", here)
    path = tmp_path / "result.json"
    assert main([
        "scale", "--problem", "synthetic-120", "--factors", "4", "--expansion", expansion,
        "--repeats", "2", "--quiet", "--json", str(path), "--settings", "touched,tol=1e-1",
        "--n-factors", "4",
    ]) == 0  # fmt: skip
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    document = json.loads(path.read_text())
    params = document["estimator"]["params"]
    assert (params["n_sweeps"], params["max_iter"], params["n_factors"]) == (2, 0, 4)
    forgets = [("forget_time", False), ("forget_memory", True)]
    assert asked == 2 * [("fit", False), *forgets, *forgets, ("refit_rival", False)]
    records = document["records"]
    assert len(lines) - 2 == len(records) == 2 * 4
    ways = ["fit", "touched", "tol=1e-1", "refit by implicit"]
    assert [row["setting"] for row in records] == 2 * ways
    small, large = records[:4], records[4:]
    assert {row["expansion"] for row in small} == {"as read"}
    assert {row["expansion"] for row in large} == {f"{expansion}, synthetic"}
    assert large[0]["n_interactions"] == pytest.approx(4 * small[0]["n_interactions"], rel=0.1)
    for one, four in zip(small, large, strict=True):
        assert four["model_bytes"] > 2 * one["model_bytes"]
        assert four["peak_per_model"] == four["peak_bytes"] / four["model_bytes"]
        if one["role"] == "forget":
            assert one["n_forgotten"] == four["n_forgotten"] > 0
            assert one["growth"] == one["growth_beyond_pass"] == 1.0
            assert four["growth"] == four["seconds"] / one["seconds"]
            passed = [row["seconds"] - row["pass_seconds"] for row in (one, four)]
            assert four["growth_beyond_pass"] == pytest.approx(passed[1] / passed[0])
            assert four["speedup_rival"] == large[3]["seconds"] / four["seconds"]
