"""Models are logged in MLflow with report and certificate, and served as they recommend."""

import json
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sklearn_unlearn import EASE, MatrixFactorization
from sklearn_unlearn.audit import (
    DeletionCertificate,
    audit_residue,
    digest_of,
    make_probe,
    verify,
)
from sklearn_unlearn.audit.mlflow import load_model, log_model
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder
from tests.audit.test_certificate import ENTRY, KEY

RNG = np.random.default_rng(1)
EVENTS = pd.DataFrame(
    {
        "user": [f"person-{u}@example.org" for u in RNG.integers(40, size=600)],
        "item": RNG.integers(10**9, 10**9 + 30, size=600),
    }
)
PERSON = EVENTS["user"][0]


@pytest.fixture
def runs(tmp_path):
    """A store of runs in a folder; the one before is set again at the end."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with mlflow.start_run() as run:
        yield run
    mlflow.set_tracking_uri(before)


def fitted():
    return make_recommender_pipeline(InteractionEncoder(), EASE(20)).fit(EVENTS)


def folder_of(info):
    """Return where the store keeps a logged model."""
    return Path(unquote(urlsplit(info.artifact_path).path))


def test_the_model_comes_back_as_it_was_and_forgets(runs):
    model = fitted()
    info = log_model(model)
    again = load_model(info.model_uri, expected_digest=info.metadata["digest"])
    assert digest_of(again) == digest_of(model) == info.metadata["digest"]
    users = EVENTS["user"].unique()[1:5]
    for a, b in zip(
        again.forget(users=[PERSON]).recommend(users=users),
        model.forget(users=[PERSON]).recommend(users=users),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("form", ["frame", "other column", "list"])
def test_it_is_served_as_it_recommends(runs, form):
    model = fitted()
    served = mlflow.pyfunc.load_model(log_model(model).model_uri)
    users = list(EVENTS["user"].unique()[:3])
    asked = {
        "frame": pd.DataFrame({"n": [1, 2, 3], "user": users}),
        "other column": pd.DataFrame({"person": users}),
        "list": users,
    }[form]
    lists = served.predict(asked, params={"n_items": 4, "exclude_seen": False})
    expected = model.recommend(users=users, n_items=4, exclude_seen=False)
    assert len(lists) == 12 and list(lists["rank"]) == [1, 2, 3, 4] * 3
    pd.testing.assert_frame_equal(lists, expected)


@pytest.mark.parametrize("kind", [pl.DataFrame, pa.table, dict])
def test_tables_of_every_kind_are_served_as_frames(runs, kind):
    events = kind({name: EVENTS[name].tolist() for name in EVENTS})
    model = make_recommender_pipeline(InteractionEncoder(), EASE(20)).fit(events)
    served = mlflow.pyfunc.load_model(log_model(model).model_uri)
    lists = served.predict([PERSON], params={"n_items": 4})
    expected = fitted().recommend(users=[PERSON], n_items=4)
    assert lists["item"].tolist() == expected["item"].tolist()


def test_lists_end_where_items_do(runs):
    model = EASE(1.0).fit([[1, 1, 0], [0, 1, 1], [1, 1, 1]])
    served = mlflow.pyfunc.load_model(log_model(model).model_uri)
    lists = served.predict(np.array([0, 2, 1]), params={"n_items": 3})
    assert list(lists["user"]) == [0, 1] and list(lists["item"]) == [2, 0]


def test_report_and_certificate_are_logged_without_ids(runs):
    model = fitted().forget(users=[PERSON])
    certificate = DeletionCertificate.from_entry(ENTRY, key=KEY, scope="the model")
    log_model(model, certificate=certificate)
    run = mlflow.get_run(runs.info.run_id)
    report = model[-1].forget_report_
    assert run.data.tags["forget_guarantee"] == report.guarantee == "exact"
    assert run.data.metrics["forget_n_interactions"] == report.n_interactions > 0
    files = {
        name: mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{name}")
        for name in ("forget_report.json", "certificate.json", "certificate.html")
    }
    assert json.loads(files["forget_report.json"])["seconds"] == report.seconds
    assert verify(files["certificate.json"], KEY.public_key()).body == certificate.body
    assert not any(PERSON in text for text in files.values())


def test_old_versions_are_found_by_the_residue_audit(runs, tmp_path):
    model = make_recommender_pipeline(
        InteractionEncoder(), MatrixFactorization(12, loss="squared", random_state=0)
    ).fit(EVENTS)
    old = log_model(model)
    probe = make_probe(model, {"users": [PERSON]})
    new = log_model(model.forget(users=[PERSON]))
    found = audit_residue(model, probe, [tmp_path]).places
    assert found and all(place.startswith(str(folder_of(old))) for place in found)
    shutil.rmtree(folder_of(old))
    assert audit_residue(model, probe, [tmp_path]).count == 0
    assert digest_of(load_model(new.model_uri)) == digest_of(model)


def test_what_is_given_is_refused_by_name(runs):
    model = fitted()
    with pytest.raises(TypeError, match=r"type dict; expected a ForgetReport\. Pass"):
        log_model(model, report={"seconds": 1})
    with pytest.raises(TypeError, match=r"type str; expected a DeletionCertificate\. Pass"):
        log_model(model, certificate="{}")
    with pytest.raises(TypeError, match="expected a model with forget"):
        log_model(object())
    served = mlflow.pyfunc.load_model(log_model(model).model_uri)
    with pytest.raises(ValueError, match=r"2 columns and none named user; expected one .*\. R"):
        served.predict(pd.DataFrame({"a": [1], "b": [2]}))
    with pytest.raises(ValueError, match=r"digest .*; expected"):
        load_model(log_model(model).model_uri, expected_digest="0" * 64)


def test_models_of_other_flavours_are_refused(runs):
    class Other(mlflow.pyfunc.PythonModel):
        def predict(self, model_input: list[str]) -> list[str]:
            return model_input

    info = mlflow.pyfunc.log_model(name="other", python_model=Other(), pip_requirements=[])
    with pytest.raises(ValueError, match=r"no file model\.skops; expected"):
        load_model(info.model_uri)


def test_options_reach_mlflow(runs):
    info = log_model(fitted(), metadata={"owner": "team"}, pip_requirements=["numpy"])
    assert info.metadata["owner"] == "team" and len(info.metadata["digest"]) == 64
    requirements = (folder_of(info) / "requirements.txt").read_text()
    assert "numpy" in requirements and "sklearn-unlearn" not in requirements


def test_without_mlflow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.pyfunc", None)
    with pytest.raises(ImportError, match=r'mlflow.*pip install "sklearn-unlearn\[mlflow\]"'):
        log_model(fitted())
