"""What is left of forgotten data is found wherever it is, and where nothing is left, nothing is."""

import bz2
import copy
import gzip
import io
import json
import lzma
import os
import pickle
import sqlite3
import uuid
import zipfile

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.frozen import FrozenEstimator

from sklearn_unlearn import (
    ALS,
    BPR,
    EASE,
    TIFUKNN,
    GraphFilter,
    ItemKNN,
    LightGCN,
    MatrixFactorization,
    PolynomialFilter,
    SessionKNN,
    ShardedRecommender,
    SparseEASE,
    UnlearningRecommender,
)
from sklearn_unlearn.audit import audit_residue, make_probe, save
from sklearn_unlearn.audit._residue_patterns import Pattern, Scanner
from sklearn_unlearn.exceptions import DataWarning
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.recommenders import _paged
from sklearn_unlearn.utils import _derived_tables

pytestmark = pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.ForgetFallbackWarning")
RNG = np.random.default_rng(0)
X = (RNG.random((60, 200)) < 0.2) * RNG.normal(size=(60, 200)).round(6)
USER, ITEM = 7, 11
ID = f"person-{USER}@example.org"


def ids_of(make):
    rows, columns = np.nonzero(X)
    return {
        "user": [make(int(u)) for u in rows],
        "item": columns + 10**9,
        "n": np.abs(X[rows, columns]),
    }


def fitted(model):
    data = X if isinstance(model, MatrixFactorization) else np.abs(X)
    return model.fit(data)


MODELS = {
    "mf": MatrixFactorization(6, loss="squared", random_state=0),
    "als": ALS(6, random_state=0),
    "bpr": BPR(6, random_state=0, max_iter=20),
    "lightgcn": LightGCN(6, random_state=0, max_iter=20),
    "ease": EASE(5.0),
    "knn": ItemKNN(5),
    "sparse": SparseEASE(5, 5.0),
    "filter": GraphFilter(6, random_state=0),
    "polynomial": PolynomialFilter(),
    "sessions": SessionKNN(5, 20),
    "baskets": TIFUKNN(5),
    "sharded": ShardedRecommender(ALS(6, random_state=0), 3, random_state=0),
}


def pipeline_of(make=lambda n: f"person-{n}@example.org"):
    return make_recommender_pipeline(
        InteractionEncoder(value="n"), ALS(6, random_state=0, max_iter=0)
    ).fit(ids_of(make))


# -- nothing is left -----------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.NotConvergedWarning")
@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_left_of_what_was_forgotten(name, tmp_path):
    model = fitted(copy.deepcopy(MODELS[name]))
    request = {"users": [USER, 20], "items": [ITEM], "interactions": np.argwhere(X)[:9:4]}
    probe = make_probe(model, request)
    before = audit_residue(model, probe)
    assert before.count > 10 and any(one.kind == "interaction" for one in before.findings)
    model.forget(**request)
    for format in ("skops", "joblib"):
        save(model, tmp_path / format, format=format)
    report = audit_residue(model, probe, tmp_path)
    assert report.count == 0 and not report.not_searched and report.findings == ()
    assert report.n_bytes > 10**4


@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.NotConvergedWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda n: f"person-{n}@example.org",
        lambda n: uuid.UUID(int=n + 2**100),
        lambda n: n + 10**12,
        lambda n: b"person %03d" % n,
    ],
    ids=["text", "UUID", "int", "bytes"],
)
@pytest.mark.parametrize("format", ["skops", "joblib"])
def test_ids_are_found_before_and_not_after(make, format, tmp_path):
    pipeline, path = pipeline_of(make), tmp_path / "model"
    # Of an id that is the beginning of another, only itself counts.
    probe = make_probe(pipeline, {"users": [make(5)]})
    assert not probe.unsearchable.get("id")
    save(pipeline, path, format=format)
    report = audit_residue(pipeline, probe, path)
    found = {one.kind: one.place for one in report.findings}
    assert {"factors", "interactions", "id"} <= found.keys()
    assert sum(one.kind == "id" and one.place.startswith("model") for one in report.findings)
    assert sum(one.kind == "id" and not one.place.startswith("model.") for one in report.findings)
    pipeline.forget(users=[make(5)])
    save(pipeline, path, format=format)
    assert audit_residue(pipeline, probe, path).findings == ()


def test_a_model_in_pages_is_searched(monkeypatch):
    monkeypatch.setattr(_paged, "_WORTH_PAGES", 1)
    monkeypatch.setattr(_paged, "_PAGE_ROWS", 16)
    monkeypatch.setattr(_derived_tables, "_WORTH_PAGES", 1)
    monkeypatch.setattr(_derived_tables, "_PAGE_USERS", 16)
    model = ALS(6, random_state=0, max_iter=0, unlearner="sweep").fit(np.abs(X))
    probe = make_probe(model, {"users": [USER]})
    kinds = {one.kind for one in audit_residue(model, probe).findings}
    assert {"factors", "interactions", "interaction"} <= kinds
    assert audit_residue(model.forget(users=[USER]), probe).count == 0


def test_a_frozen_original_is_found():
    frozen = fitted(ALS(6, random_state=0))
    model = UnlearningRecommender(FrozenEstimator(frozen)).fit(X)
    probe = make_probe(model, {"users": [USER]})
    places = audit_residue(model.forget(users=[USER]), probe).places
    assert places and all(place.startswith("model.estimator.") for place in places)


# -- planted residues ----------------------------------------------------------------------------
MODEL = fitted(ALS(6, random_state=0))
ROW = MODEL.user_factors_[USER].copy()
PROBE = make_probe(MODEL, {"users": [USER]})
PIPELINE = pipeline_of()
IDS = make_probe(PIPELINE, {"users": [ID]})
TABLE = RNG.normal(size=(300, 6))
TABLE[123] = ROW


def written(path, write, *arrays):
    with open(path, "wb") as file:
        write(file, *arrays)


def write_sqlite(path):
    with sqlite3.connect(path) as store:
        store.execute("pragma secure_delete = off")
        store.execute("create table events (who text, what int)")
        store.executemany("insert into events values (?, 1)", [("other",), (ID,), ("more",)])
        store.execute("delete from events")
    store.close()


ROWS = {
    "raw, as of an index": lambda p: p.write_bytes(b"\1" * 33 + TABLE.astype("f4").tobytes()),
    "float64": lambda p: p.write_bytes(TABLE.tobytes()),
    "big-endian": lambda p: p.write_bytes(TABLE.astype(">f4").tobytes()),
    "float16": lambda p: None,
    "npy": lambda p: written(p, np.save, TABLE),
    "npy by columns": lambda p: written(p, np.save, np.asfortranarray(TABLE)),
    "npz": lambda p: written(p, np.savez, TABLE),
    "npz, compressed": lambda p: written(p, np.savez_compressed, TABLE),
    "pickle": lambda p: p.write_bytes(pickle.dumps({"users": TABLE})),
    "joblib": lambda p: joblib.dump([TABLE], p),
    **{
        f"joblib, {kind}": lambda p, kind=kind: joblib.dump([TABLE], p, compress=(kind, 3))
        for kind in ("zlib", "gzip", "bz2", "xz", "lzma")
    },
    "Parquet, a list": lambda p: pq.write_table(
        pa.table({"v": pa.array(TABLE.tolist(), pa.list_(pa.float32()))}), p
    ),
    "Parquet, columns": lambda p: pd.DataFrame(TABLE).rename(columns=str).to_parquet(p),
    "feather": lambda p: pa.feather.write_feather(
        pa.table({"v": pa.array(TABLE.tolist(), pa.list_(pa.float64()))}), str(p), compression="lz4"
    ),
    "zip in zip": lambda p: p.write_bytes(zipped(zipped(TABLE.tobytes()))),
}
TEXTS = {
    "CSV": lambda p: p.write_text(f"a,b\n1,{ID}\n"),
    "JSON": lambda p: p.write_text(json.dumps([{"user": ID}])),
    "UTF-16": lambda p: p.write_text(f"user {ID}\n", encoding="utf-16-le"),
    "URL": lambda p: p.write_text("GET /users/" + ID.replace("@", "%40") + "?x HTTP/1.1"),
    "gzip": lambda p: p.write_bytes(gzip.compress(f"user {ID}\n".encode() * 3)),
    "bz2": lambda p: p.write_bytes(bz2.compress(ID.encode())),
    "xz": lambda p: p.write_bytes(lzma.compress(ID.encode())),
    "pickle": lambda p: p.write_bytes(pickle.dumps([ID + "0", ID])),
    "npy of text": lambda p: written(p, np.save, np.array([ID.encode(), b"longer" * 9])),
    "Parquet": lambda p: pq.write_table(pa.table({"u": ["al", ID, "bo"]}), p),
    "Parquet, zstd": lambda p: pq.write_table(pa.table({"u": [ID] * 9}), p, compression="zstd"),
    "Parquet, a dictionary": lambda p: pq.write_table(
        pa.table({"u": pa.array([ID, "x"] * 5).dictionary_encode()}), p
    ),
    "zstd": lambda p: p.write_bytes(pa.compress(f"a {ID} b".encode() * 4, "zstd", asbytes=True)),
    "SQLite": write_sqlite,
}


def zipped(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner", content)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ROWS)
def test_a_vector_is_found_in_every_kind_of_file(kind, tmp_path):
    path = tmp_path / "folder" / "artefact"
    path.parent.mkdir()
    probe = PROBE
    if kind == "float16":
        wide = fitted(ALS(12, random_state=0))
        probe = make_probe(wide, {"users": [USER]})
        path.write_bytes(wide.user_factors_.astype(np.float16).tobytes())
    else:
        ROWS[kind](path)
    report = audit_residue(None, probe, tmp_path)
    assert {one.kind for one in report.findings} == {"factors"}
    assert report.places[0].startswith(str(path)) and not report.not_searched


@pytest.mark.parametrize("kind", TEXTS)
def test_an_id_is_found_in_every_kind_of_file(kind, tmp_path):
    TEXTS[kind](tmp_path / "artefact")
    report = audit_residue(None, IDS, [tmp_path])
    assert {one.kind for one in report.findings} == {"id"} and not report.not_searched
    assert ID not in json.dumps(report.to_dict()) + repr(report) + report._repr_html_() + repr(IDS)


def test_deleted_vectors_of_an_index_are_found_with_their_offset(tmp_path):
    """An index that marks elements as deleted keeps their vectors: header, vectors, labels."""
    scaled = (MODEL.user_factors_ / np.linalg.norm(MODEL.user_factors_, axis=1)[:, None]).astype(
        "f4"
    )
    probe = make_probe(MODEL, {"users": [USER]}, vectors=scaled[[USER]])
    records = b"".join(
        b"\xff\0\0\1" + row.tobytes() + n.to_bytes(8, "little") for n, row in enumerate(scaled)
    )
    (tmp_path / "index.bin").write_bytes(b"h" * 96 + records)
    report = audit_residue(None, probe, tmp_path)
    assert [one.offset for one in report.findings] == [96 + USER * 36 + 4]
    assert audit_residue(None, PROBE, tmp_path).count == 0  # scaled: no row of the model


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**22 + 10), st.integers(0, 2**32 - 1), st.sampled_from(["f4", "f8"]))
def test_a_row_at_any_place_of_random_bytes_is_found_and_nothing_else(place, seed, dtype):
    noise = np.random.default_rng(seed).bytes(place + 300)
    planted = ROW.astype(dtype).tobytes()
    found = list(PROBE._scanner.find(noise[:place] + planted + noise[place:]))
    assert [(at, one.content) for at, one in found] == [(place, planted)]
    assert not list(PROBE._scanner.find(noise))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.binary(min_size=6, max_size=20), min_size=1, max_size=20), st.binary(max_size=200)
)
def test_the_scanner_finds_what_a_search_one_by_one_finds(contents, buffer):
    buffer = buffer + contents[0] + buffer[:7] + contents[-1]
    expected = {
        (at, one) for one in contents for at in range(len(buffer)) if buffer.startswith(one, at)
    }
    scanner = Scanner(Pattern(one, "id") for one in contents)
    assert {(at, one.content) for at, one in scanner.find(buffer)} == expected


def planted_in_memory():
    model = copy.deepcopy(MODEL)
    return {
        "an attribute": lambda m: setattr(m, "_cache", ROW.copy()),
        "a key of a table": lambda m: setattr(m, "_cache", {ROW.tobytes(): 1}),
        "a closure": lambda m: setattr(m, "_hook", (lambda row: lambda: row)(ROW.copy())),
        "a default": lambda m: setattr(m, "_hook", lambda row=TABLE[123]: row),
        "the base of a view": lambda m: setattr(m, "_part", TABLE.copy()[:3]),
        "columns": lambda m: setattr(m, "_cache", np.asfortranarray(TABLE).T.copy()),
        "objects": lambda m: setattr(m, "_cache", np.array([None, [ROW.astype("f4")]], object)),
        "a matrix": lambda m: setattr(m, "_old", sparse.csc_array(np.abs(X))),
        "a transposed matrix": lambda m: setattr(m, "_old", sparse.coo_array(np.abs(X).T)),
        "the old data": lambda m: setattr(m, "_old", model._interactions),
    }


@pytest.mark.parametrize("where", planted_in_memory())
def test_a_residue_in_memory_is_found(where):
    model = copy.deepcopy(MODEL).forget(users=[USER])
    assert audit_residue(model, PROBE).count == 0
    planted_in_memory()[where](model)
    report = audit_residue(model, PROBE)
    assert report.count and all(one.place.startswith("model._") for one in report.findings)


# -- no noise ------------------------------------------------------------------------------------
def test_random_and_common_files_are_no_noise(tmp_path):
    rng = np.random.default_rng(1)
    model = fitted(ALS(6, random_state=0))
    everybody = make_probe(model, {"users": np.arange(0, 60, 2)})
    np.save(tmp_path / "noise.npy", rng.normal(size=(2000, 50)))
    np.save(tmp_path / "range.npy", np.arange(10**5))
    np.save(tmp_path / "zeros.npy", np.zeros(10**5))
    other = sparse.random_array((500, 200), density=0.2, rng=rng)
    sparse.save_npz(tmp_path / "other.npz", other)
    (tmp_path / "text").write_text(
        "\n".join(f"person-{n}@example.org,{n}" for n in range(8, 10**4))
    )
    assert audit_residue(None, everybody, tmp_path).count == 0
    assert audit_residue(None, IDS, tmp_path).count == 0


def test_what_is_short_or_common_is_counted_and_not_searched():
    small = (np.arange(24).reshape(6, 4) % 3 > 0) * 1.0
    model = ALS(1, random_state=0).fit(small)
    probe = make_probe(model, {"users": [0]})
    assert probe.n_patterns == 0 and probe.unsearchable == {
        "factors": 1,
        "interactions": 1,
        "values": 1,
    }
    report = audit_residue(model.forget(users=[0]), probe)
    assert report.count == 0 and not report.complete
    twins = X.copy()
    twins[8] = twins[USER]
    probe = make_probe(ALS(6, random_state=0).fit(np.abs(twins)), {"users": [USER]})
    assert {"factors", "interactions", "values"} <= probe.unsearchable.keys()
    for make in (
        lambda n: f"u{n}",
        lambda n: n,
        lambda n: ["id of a", "id of a-b"][n % 2] + "x" * n,
    ):
        pipeline = pipeline_of(make)
        assert make_probe(pipeline, {"users": [make(5)]}).unsearchable.get("id", 0) == (
            "of" not in str(make(5))
        )


def test_an_id_that_another_contains_is_left_out():
    pipeline = pipeline_of(lambda n: "anna smith" if n == USER else f"anna smith-{n}")
    probe = make_probe(pipeline, {"users": ["anna smith"]})
    assert probe.unsearchable["id"] == 1
    # The vocabulary itself is looked at by whole ids all the same.
    assert any(one.kind == "id" for one in audit_residue(pipeline, probe).findings)


def test_an_id_within_another_is_not_it(tmp_path):
    pipeline = pipeline_of(lambda n: f"person {n}")
    probe = make_probe(pipeline, {"users": ["person 5"]})
    (tmp_path / "others").write_text("person 55,person 5_,xperson 5\nperson 50")
    (tmp_path / "pickle").write_bytes(pickle.dumps(["person 51", "aperson 5"]))
    assert audit_residue(None, probe, tmp_path).count == 0
    for content in (b"1;person 5;2", b"person 5", pickle.dumps(["person 5"]), b"x\nperson 5-a"):
        (tmp_path / "others").write_bytes(content)
        assert audit_residue(None, probe, tmp_path).count == 1
    long = "a person whose name has eight and forty letters"
    long += "x" * (48 - len(long))  # its length, in a pickle, is the code of a digit
    assert ord("0") == 48 == len(long)
    probe = make_probe(pipeline_of(lambda n: long + ("" if n == 5 else str(n))), {"users": [long]})
    (tmp_path / "others").write_bytes(pickle.dumps([long]))
    assert audit_residue(None, probe, tmp_path).count == 1


# -- places that cannot be read ------------------------------------------------------------------
def test_what_cannot_be_read_is_said(tmp_path):
    (tmp_path / "broken.npz").write_bytes(zipped(TABLE.tobytes())[:-30])
    (tmp_path / "broken.gz").write_bytes(gzip.compress(TABLE.tobytes())[:-99])
    (tmp_path / "broken.parquet").write_bytes(b"PAR1" + ROW.tobytes() + b"PAR1")
    (tmp_path / "link").symlink_to(tmp_path / "broken.npz")
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    report = audit_residue(None, PROBE, tmp_path)
    assert len(report.not_searched) == 5 and not report.complete
    assert any(
        "parquet" in one.place for one in report.findings
    )  # raw bytes are searched all the same
    bomb = gzip.compress(bytes(2**26))
    (tmp_path / "bomb.gz").write_bytes(bomb)
    report = audit_residue(None, PROBE, tmp_path / "bomb.gz", max_bytes=2**25)
    assert report.not_searched == (f"{tmp_path / 'bomb.gz'}!: more than {2**25} bytes",)


def test_a_row_across_blocks_of_a_compressed_file_is_found_once(tmp_path, monkeypatch):
    monkeypatch.setattr("sklearn_unlearn.audit._residue_files._BLOCK", 4096)
    content = b"\0" * 4090 + ROW.tobytes() + bytes(10**4) + ROW.tobytes()
    (tmp_path / "x.gz").write_bytes(gzip.compress(content))
    found = audit_residue(None, PROBE, tmp_path).findings
    assert [one.offset for one in found] == [4090, 4090 + 48 + 10**4]


def test_an_id_in_a_name_is_found_and_not_shown(tmp_path):
    folder = tmp_path / ID
    folder.mkdir()
    (folder / "x").write_text("nothing")
    (tmp_path / f"{ID}.json").write_text("nothing")
    report = audit_residue(None, IDS, tmp_path)
    assert [one.kind for one in report.findings] == ["id in a name"] * 2
    assert ID not in json.dumps(report.to_dict())


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(TypeError, match="expected a ResidueProbe"):
        audit_residue(MODEL, {"users": [1]})
    with pytest.raises(FileNotFoundError, match="1 of 2 artefacts do not exist"):
        audit_residue(None, PROBE, [tmp_path, tmp_path / ID])
    for request in ([7], {"user": [7]}):
        with pytest.raises(TypeError, match="request is no mapping"):
            make_probe(MODEL, request)
    with pytest.raises(ValueError, match=r"vectors has shape \(3,\)"):
        make_probe(MODEL, {"users": [7]}, vectors=[1.0, 2, 3])
    with pytest.raises(TypeError, match="expected it to stay in memory"):
        pickle.dumps(PROBE)


def test_a_probe_of_a_model_that_has_forgotten_already_is_warned_of():
    model = ALS(8, random_state=0).fit(np.random.default_rng(0).random((40, 30)) < 0.3)
    model.forget(users=[7])
    with pytest.warns(DataWarning, match="holds no interaction of the request; expected the model"):
        make_probe(model, {"users": [7]})
