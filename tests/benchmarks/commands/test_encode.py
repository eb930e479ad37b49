"""The benchmark of the encoder: what it makes, what it measures, what it prints."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sklearn_unlearn.benchmarks._cli import main
from sklearn_unlearn.benchmarks.commands import _encode
from sklearn_unlearn.benchmarks.commands._encode import IDS, LIBRARIES, make_table, table_bytes
from sklearn_unlearn.benchmarks.measure import _tasks
from sklearn_unlearn.benchmarks.measure._report import SCHEMA
from sklearn_unlearn.preprocessing import InteractionEncoder

SHAPE = (3000, 400, 50)
KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.Table}


def columns(table):
    frame = table if isinstance(table, pd.DataFrame) else table.to_pandas()
    return {name: frame[name].tolist() for name in ("user", "item", "value")}


@pytest.mark.parametrize("ids", IDS)
def test_tables_of_all_libraries_hold_the_same_events(ids):
    tables = {library: make_table(library, ids, SHAPE, seed=3) for library in LIBRARIES}
    told = {library: columns(table) for library, table in tables.items()}
    for library, table in tables.items():
        assert type(table) is KINDS[library]
        assert told[library] == told["pandas"]
        assert len(told[library]["user"]) == 3000
    first = told["pandas"]
    assert set(map(type, first["user"] + first["item"])) == {str if ids == "text" else int}
    assert set(first["value"]) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert 300 < len(set(first["user"])) <= 400 and len(set(first["item"])) == 50
    again = columns(make_table("pandas", ids, SHAPE, seed=4))
    assert again != first and columns(make_table("pandas", ids, SHAPE, seed=3)) == first


def test_popularity_is_unequal_and_unknown_to_the_ids():
    users = make_table("pandas", "int", (200_000, 1000, 50), seed=0)["user"]
    counts = users.value_counts().sort_values(ascending=False)
    # The share of the first tenth is .1 ** (1 / 2.5).
    assert counts.iloc[:100].sum() / 200_000 == pytest.approx(0.1**0.4, abs=0.01)
    ranks = counts.index.to_series().rank()
    assert abs(np.corrcoef(ranks, counts)[0, 1]) < 0.1
    assert np.ptp(users.to_numpy().astype(float)) > 1.8e19  # ids are all over the 64 bits


def test_the_size_of_a_table_is_that_of_its_columns():
    for library in LIBRARIES:
        assert table_bytes(make_table(library, "int", SHAPE, 0)) == 3000 * 24
    text = 3000 * (2 * 8 + 8)
    assert table_bytes(make_table("polars", "text", SHAPE, 0)) == text
    bits = 2 * 375  # whether a text is there
    for library, offset in (("pyarrow", 4), ("pandas", 8)):
        rest = table_bytes(make_table(library, "text", SHAPE, 0)) - text - 2 * offset * 3001
        assert 0 <= rest <= bits


def test_memory_is_that_of_each_call_alone(monkeypatch):
    calls = []

    class Watch:
        bytes, exact = 7, True

        def __enter__(self):
            calls.append("start")
            return self

        def __exit__(self, *error):
            calls.append("stop")

    class Watched(InteractionEncoder):
        def fit_transform(self, events, y=None):
            calls.append(("fit", len(events)))
            return super().fit_transform(events)

        def transform(self, events):
            calls.append(("transform", len(events)))
            return super().transform(events)

    monkeypatch.setattr(_encode, "PeakMemory", Watch)
    monkeypatch.setattr(_encode, "InteractionEncoder", Watched)
    told = _encode.encode_memory("polars", "text", SHAPE, 0)
    assert told == {"fit_peak_bytes": 7, "transform_peak_bytes": 7, "peak_exact": True}
    measured = ["start", ("fit", 3000), "stop", "start", ("transform", 3000), "stop"]
    assert calls == [("transform", 1000), *measured]


def test_matrices_that_differ_are_no_measurement(monkeypatch):
    class Wrong(InteractionEncoder):
        def transform(self, events):
            return 2 * super().transform(events)

    monkeypatch.setattr(_encode, "InteractionEncoder", Wrong)
    with pytest.raises(RuntimeError, match="transform made another matrix"):
        _encode.encode_time("pandas", "int", SHAPE, 0, 1)


def test_encode(tmp_path, capsys, monkeypatch):
    asked = []

    def here(task, *arguments, exact_memory=False):
        asked.append((task.__name__, *arguments[:2], exact_memory))
        return task(*arguments)

    monkeypatch.setattr(_tasks, "in_own_process", here)
    path = tmp_path / "result.json"
    assert main([
        "encode", "--n-events", "3000", "--n-users", "400", "--n-items", "50", "--repeats", "2",
        "--seed", "5", "--quiet", "--json", str(path),
    ]) == 0  # fmt: skip
    out = capsys.readouterr()
    assert out.err == ""
    cases = [(library, ids) for library in LIBRARIES for ids in IDS]
    assert asked == [
        step for case in cases
        for step in (("encode_time", *case, False), ("encode_memory", *case, True))
    ]  # fmt: skip
    document = json.loads(path.read_text())
    assert document["schema"] == SCHEMA and document["benchmark"] == "encode"
    assert {"numpy", "narwhals", "pandas", "polars", "pyarrow"} <= set(document["versions"])
    assert document["options"]["n_events"] == 3000 and "json" not in document["options"]
    rows = [line.strip("|").split("|") for line in out.out.splitlines() if line.startswith("|")]
    assert len({len(row) for row in rows}) == 1
    assert len(rows) - 2 == len(document["records"]) == 6
    for row, record, case in zip(rows[2:], document["records"], cases, strict=True):
        assert (record["library"], record["ids"]) == case == (row[0].strip(), row[1].strip())
        X = InteractionEncoder().fit_transform(make_table(*case, SHAPE, 5))
        assert (record["n_users"], record["n_items"]) == X.shape
        assert record["n_interactions"] == X.nnz
        for name in ("fit", "transform"):
            each = record[f"{name}_seconds_each"]
            assert len(each) == 2 and record[f"{name}_seconds"] == pytest.approx(sum(each) / 2)
            peak = record[f"{name}_peak_bytes"]
            assert record[f"{name}_peak_per_table"] == peak / record["table_bytes"]
    assert "Seed" not in out.out and "seed 5" in out.out


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (
            ["--libraries", "pandas,dask"],
            "Got 'pandas,dask'; expected some of pandas, polars, pyar",
        ),
        (["--ids", "uuid"], "Got 'uuid'; expected some of text, int. Name"),
        (["--n-events", "0"], "Got '0'; expected an integer from 1 on"),
        (["--json", "no/such/folder/x.json"], "expected a file in a folder that exists. Make"),
        (["--problem", "synthetic"], "unrecognized arguments"),
    ],
)
def test_bad_arguments(arguments, match, capsys):
    with pytest.raises(SystemExit) as end:
        main(["encode", *arguments])
    assert end.value.code == 2
    assert match in capsys.readouterr().err


def test_a_library_that_is_not_installed(monkeypatch, capsys):
    monkeypatch.setattr(_encode.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as end:
        main(["encode", "--libraries", "polars"])
    assert end.value.code == 2
    assert "of which polars cannot be found; expected installed ones." in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit):
        main(["encode", "--help"])
    out = capsys.readouterr().out
    assert all(word in out for word in ("--n-events", "--libraries", "--ids"))
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "encode" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["decode"])
    assert "encode, exact, gpu, serve. Choose one" in capsys.readouterr().err
