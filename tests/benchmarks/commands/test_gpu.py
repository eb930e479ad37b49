"""The command `gpu`, with tensors on the CPU: what it measures, and what it finds out."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_unlearn import ALS, BPR, LightGCN, backends
from sklearn_unlearn.backends import Pattern, ScipyBackend, _torch, torch_backend
from sklearn_unlearn.benchmarks._cli import main
from sklearn_unlearn.benchmarks.commands import _gpu
from sklearn_unlearn.benchmarks.measure import _devices
from sklearn_unlearn.benchmarks.measure._report import SCHEMA
from sklearn_unlearn.interactions import Interactions

SMALL = ["gpu", "--device", "cpu", "--problem", "synthetic-80", "--repeats", "1"]
QUICK = [*SMALL, "--products", "2", "--requests", "median-user", "--quiet"]


@pytest.fixture(autouse=True)
def small_copies(monkeypatch):
    monkeypatch.setattr(_devices, "COPY_BYTES", 1 << 16)


def run(tmp_path, *argv):
    path = tmp_path / "gpu.json"
    assert main([*QUICK, *argv, "--json", str(path)]) == 0
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)


@pytest.mark.parametrize("name", ["ALS", "BPR", "LightGCN", "MatrixFactorization"])
def test_both_backends_agree(name, tmp_path, capsys):
    document = run(tmp_path, "--estimator", name)
    assert set(document) == {
        "schema", "benchmark", "created", "versions", "machine", "device", "problem", "estimator",
        "parity", "bandwidth", "products", "models",
    }  # fmt: skip
    assert document["schema"] == SCHEMA and document["benchmark"] == "gpu"
    assert document["device"]["name"] == "CPU" and document["device"]["threads"] >= 1
    assert document["versions"]["torch"] == document["device"]["torch"]
    # Tables with biases are never in single precision.
    single = ["float32"] * (name in ("ALS", "LightGCN"))
    assert [row["dtype"] for row in document["parity"]] == ["float64", *single]
    for row in document["parity"]:
        close = 1e-12 if row["dtype"] == "float64" else 1e-5
        assert row["product_dtype"] == row["dtype"]
        parts = [row[part] for part in ("value", "gradient", "product", "rounding_device")]
        assert max(parts) < close
    # Rounding shows: the two precisions are not the same run twice.
    assert all(row["rounding_device"] > 1e-10 for row in document["parity"][1:])
    check_models(document["models"])
    printed = capsys.readouterr().out
    assert f"gpu: {name} on synthetic-80" in printed and "torch, CPU" in printed


def check_models(rows):
    assert [(row["on"], row["role"]) for row in rows] == [
        ("host", "fit"), ("device", "fit"),
        ("host", "forget"), ("host", "refit"), ("device", "forget"), ("device", "refit"),
    ]  # fmt: skip
    assert all(row["seconds"] > 0 and row["products"] > 0 for row in rows)
    assert all(row["converged"] for row in rows if row["role"] != "forget")
    for row in rows:
        if row["role"] == "forget":
            # Another start, the same draws: else no gap would close.
            assert row["gap_affected"] < 0.05 and row["noise"] < 1e-3
            assert row["report"]["residual"] <= 1e-3


@pytest.fixture
def numbers_only(monkeypatch):
    monkeypatch.setattr(_gpu, "_models", lambda *args: [])


def test_the_floor_is_bytes_over_bandwidth(tmp_path, numbers_only, capsys):
    document = run(tmp_path, "--params", "n_factors=6")
    rows = document["products"]
    assert [(row["on"], row["dtype"]) for row in rows] == [
        (on, dtype) for on in ("host", "device") for dtype in ("float64", "float32")
    ]
    for row in rows:
        assert len(row["seconds_each"]) == 2
        assert row["floor"] == pytest.approx(row["bytes"] / document["bandwidth"][row["on"]])
        assert row["times_floor"] == pytest.approx(row["seconds"] / row["floor"])
    bytes_of = {(row["on"], row["dtype"]): row["bytes"] for row in rows}
    for dtype in ("float64", "float32"):
        assert bytes_of["host", dtype] == bytes_of["device", dtype]
    # Numbers are half as long, places are as they were.
    assert 0.5 < bytes_of["host", "float32"] / bytes_of["host", "float64"] < 0.8


@pytest.mark.parametrize("inner", [ScipyBackend(), torch_backend("cpu")], ids=["scipy", "torch"])
def test_traffic_counts_each_array_once(inner):
    pattern = Pattern.from_interactions(Interactions.from_matrix([[1, 0, 0, 1], [1, 1, 0, 0]]))
    traffic = _devices.Traffic(inner)
    A, B, w = (traffic.asarray(np.ones(shape)) for shape in ((2, 3), (4, 3), 4))
    scores = traffic.sddmm(pattern, (A, B), (A, B))
    assert_array_equal(inner.to_numpy(scores), np.full(4, 6.0))
    # Four indices, two tables, four scores.
    assert traffic.n_bytes == 4 * 4 + 8 * (6 + 12 + 4)
    traffic.n_bytes = 0
    traffic.spmm(pattern, (w, B))
    assert traffic.n_bytes == 4 * 4 + 8 * (4 + 12 + 6)
    traffic.n_bytes = 0
    # Column by column: places as well; `out` is read and written.
    out = traffic.asarray(np.ones((4, 3)))
    traffic.spmm(pattern, (w, A), transpose=True, out=out)
    assert traffic.n_bytes == 2 * 4 * 4 + 8 * (4 + 6 + 2 * 12)


def test_bytes_of_a_product_of_a_graph():
    X = np.array([[1.0, 1, 0], [0, 1, 1]])
    model = LightGCN(2, n_layers=1, loss="weighted")
    objective = _devices.objective_of(model, X, _devices.Traffic(ScipyBackend()), 0)
    n, users, items, numbers = 4, 2 * 2, 3 * 2, 8
    record = _devices.time_products(objective, "float64", 0, 1)
    # Two propagations, to users and to items; each adds to what it finds.
    one_way = 4 * n + numbers * (n + items + 2 * users)
    other_way = 2 * 4 * n + numbers * (n + users + 2 * items)
    assert record["bytes"] > 2 * (one_way + other_way)
    flat = _devices.objective_of(
        model.set_params(n_layers=0), X, _devices.Traffic(ScipyBackend()), 0
    )
    losses = _devices.time_products(flat, "float64", 0, 1)["bytes"]
    assert record["bytes"] == 2 * (one_way + other_way) + losses


def test_a_backend_that_is_off_is_found_out(tmp_path, numbers_only, monkeypatch, capsys):
    class Off(_torch.TorchBackend):
        def sddmm(self, *args):
            return super().sddmm(*args) * (1 + 1e-6)

    monkeypatch.setattr(_gpu, "torch_backend", Off)
    double, single = run(tmp_path, "--estimator", "ALS", "--params", "n_factors=4")["parity"]
    for row in (double, single):
        assert min(row["value"], row["gradient"], row["product"]) > 1e-8
    assert double["rounding_host"] == 0.0 and double["rounding_device"] > 1e-8


def test_a_clock_stops_when_the_result_is_there():
    """What a device still computes is waited for."""
    asked = []
    backend = SimpleNamespace(to_numpy=asked.append)
    seconds = _devices._time(backend, lambda: np.ones((2, 2)), 4)
    assert len(seconds) == 4 and len(asked) == 4 + _devices._WARM_UP
    assert all(len(part) == 1 for part in asked)


def test_where_models_compute():
    model = LightGCN(random_state=3)
    chosen = torch_backend("cpu")
    assert _gpu._placed(model, "device", chosen, "cpu")._backend() is chosen
    assert _gpu._placed(model, "device", chosen, "cuda").device == "cuda"
    host = _gpu._placed(model, "host", chosen, "cuda")
    assert host.device == "cpu" and host._backend() is chosen


def test_a_refit_has_another_start_and_the_same_draws(monkeypatch):
    seeds = []

    def time_fit(model, X, repeats, start_seed):
        seeds.append((model.random_state, start_seed))
        assert model._backend() == "here"

    monkeypatch.setattr(_gpu, "time_fit", time_fit)
    for model in (BPR(random_state=3), ALS(random_state=3)):
        model._backend = lambda: "here"
        request, options = SimpleNamespace(retained=None), SimpleNamespace(refit_repeats=1)
        _gpu._refit(model, request, options, 8)
    assert seeds == [(3, 8), (8, 8)]


def test_describe():
    found = torch_backend("cpu").describe()
    assert found["kind"] == "cpu" and found["torch"]


@pytest.mark.gpu
def test_on_a_gpu(tmp_path, capsys):
    path = tmp_path / "gpu.json"
    argv = [word if word != "cpu" else "cuda" for word in QUICK]
    assert main([*argv, "--json", str(path)]) == 0
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["device"]["kind"] == "cuda" and document["device"]["memory_gib"] > 0
    assert document["parity"][0]["product"] < 1e-10
    check_models(document["models"])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--device", "cuda"], "Got --device 'cuda' and torch finds no CUDA device; expected a"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["--estimator", "SVD"], "Got the estimator 'SVD'; expected one of ALS, BPR, LightGCN"),
        (["--requests", "all"], "Got the request 'all'; expected 'pair'"),
        (["--params", "n_layers=-1"], "The 'n_layers' parameter of LightGCN must be"),
        (["--products", "0"], "Got '0'; expected an integer from 1 on"),
        (["--json", "no/such/folder/x.json"], "expected a file in a folder that exists. Make"),
    ],
)
def test_bad_arguments(argv, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_torch, "has_cuda", lambda: False)
    with pytest.raises(SystemExit) as end:
        main([*QUICK, *argv])
    assert end.value.code == 2
    error = " ".join(capsys.readouterr().err.split())
    assert message in error and "Traceback" not in error


def test_without_torch(capsys, monkeypatch):
    monkeypatch.setattr(backends, "_is_installed", lambda: False)
    with pytest.raises(SystemExit) as end:
        main(QUICK)
    assert end.value.code == 2
    assert "torch is not installed; expected the torch extra" in capsys.readouterr().err
