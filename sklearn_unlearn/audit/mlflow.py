"""Models in MLflow: logged with report and certificate, loaded without running code.

The model is stored as `save` stores it, in the format skops. MLflow serves it as a model of the
flavour ``python_function``, and `load_model` returns the recommender itself. MLflow counts its own
use over the network unless the environment variable ``MLFLOW_DISABLE_TELEMETRY`` is true; its store
in files, as in the example, needs ``MLFLOW_ALLOW_FILE_STORE=true``.

A new version of a model does not delete the old one, and ``mlflow gc`` leaves the artefacts of runs
that were not deleted: search the folder of the artefacts by `audit_residue`.

Examples
--------
>>> import pathlib, tempfile
>>> import mlflow
>>> from sklearn_unlearn import ItemKNN
>>> from sklearn_unlearn.audit.mlflow import load_model, log_model
>>> model = ItemKNN(2).fit([[1, 1, 0], [0, 1, 1], [1, 0, 1]]).forget(users=[0])
>>> with tempfile.TemporaryDirectory() as folder:
...     mlflow.set_tracking_uri(pathlib.Path(folder, "runs").as_uri())
...     with mlflow.start_run():
...         info = log_model(model)
...     served = mlflow.pyfunc.load_model(info.model_uri)
...     lists = served.predict([1], params={"n_items": 1})
...     again = load_model(info.model_uri, expected_digest=info.metadata["digest"])
>>> lists[["user", "rank", "item"]].values.tolist()
[[1, 1, 0]]
>>> type(again).__name__
'ItemKNN'
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_unlearn._forget_report import ForgetReport
from sklearn_unlearn._version import __version__
from sklearn_unlearn.audit._certificate import DeletionCertificate
from sklearn_unlearn.audit._extras import import_extra
from sklearn_unlearn.audit._snapshots import load, save

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_model", "log_model"]

_FILE = "model.skops"
_COUNTS = ("n_interactions", "n_users", "n_items", "n_learned", "residual", "seconds")


def log_model(
    model: Any,
    name: str = "model",
    *,
    report: ForgetReport | None = None,
    certificate: DeletionCertificate | None = None,
    **options: Any,
) -> Any:
    """Log a fitted model in the active run, with what is known of its last request.

    The run gets the file of the model; of the report, the file ``forget_report.json``, its counts,
    residual and seconds as metrics and method and guarantee as tags, each named ``forget_...``; of
    the certificate, the files ``certificate.json`` and ``certificate.html``. Nothing of these holds
    an id of a user or an item but the model.

    Parameters
    ----------
    model : estimator or pipeline
        A fitted model with ``forget``.

    name : str, default="model"
        Its name in MLflow.

    report : ForgetReport or None, default=None
        Of the last request. None takes ``model.forget_report_`` where there is one.

    certificate : DeletionCertificate or None, default=None
        What was verified of the request.

    **options
        For ``mlflow.pyfunc.log_model``, such as ``registered_model_name``.

    Returns
    -------
    info : mlflow.models.model.ModelInfo
        ``info.model_uri`` for `load_model`, and ``info.metadata["digest"]``.

    Raises
    ------
    ImportError
        If mlflow or skops is not installed.
    TypeError
        If `model` is no model that forgets, `report` no `ForgetReport`, or `certificate` no
        `DeletionCertificate`.
    """
    mlflow = _import_mlflow()
    report = getattr(model, "forget_report_", None) if report is None else report
    for given, kind in ((report, ForgetReport), (certificate, DeletionCertificate)):
        if given is not None and not isinstance(given, kind):
            raise TypeError(
                f"got an object of type {type(given).__name__}; expected a {kind.__name__}. Pass "
                "what forget or the deletion service made."
            )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, _FILE)
        digest = save(model, file)
        with warnings.catch_warnings():
            # MLflow misses an example of the input, which would be somebody's id.
            warnings.filterwarnings("ignore", ".*input example was not provided", UserWarning)
            info = mlflow.pyfunc.log_model(
                **_settings(mlflow, options, digest),
                name=name,
                loader_module=__name__,
                data_path=os.fspath(file),
            )
    if report is not None:
        _log_report(mlflow, report)
    if certificate is not None:
        mlflow.log_text(certificate.to_json(), "certificate.json")
        mlflow.log_text(certificate.to_html(), "certificate.html")
    return info


def load_model(model_uri: str, *, trusted: Any = None, expected_digest: str | None = None) -> Any:
    """Read a recommender that `log_model` logged.

    Parameters
    ----------
    model_uri : str
        Where it is, such as ``"models:/recommender/3"``.

    trusted, expected_digest
        As of `load`.

    Returns
    -------
    model : estimator or pipeline
        The model.

    Raises
    ------
    ImportError
        If mlflow or skops is not installed.
    ValueError
        If there is no such model, or `load` refuses its file.
    """
    mlflow = _import_mlflow()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(mlflow.artifacts.download_artifacts(model_uri, dst_path=folder))
        file = _file_in(place / "data")
        return load(file, trusted=trusted, expected_digest=expected_digest)


class _Served:
    """The lists of a model, as MLflow asks for them."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Return a frame with the columns user, item, score and rank, best items first.

        Of a pipeline, user and item are called as in the events that it was fitted on.
        """
        pandas = import_extra("pandas", "a table of recommendations", "mlflow")
        users = _users_of(model_input)
        found = self.model.recommend(users=users, **dict(params or {}))
        if not isinstance(found, tuple):
            return found if isinstance(found, pandas.DataFrame) else _frame(pandas, found)
        items, scores = found
        n, length = items.shape
        columns = {
            "user": np.repeat(users, length),
            "item": items.ravel(),
            "score": scores.ravel(),
            "rank": np.tile(np.arange(1, length + 1), n),
        }
        frame = pandas.DataFrame(columns)
        return frame[frame["item"] >= 0].reset_index(drop=True)


def _load_pyfunc(path: str) -> _Served:
    """Read the model that MLflow serves; MLflow looks for this name."""
    return _Served(load(path))


def _import_mlflow() -> Any:
    import_extra("mlflow.pyfunc", "a model in MLflow", "mlflow")
    return import_extra("mlflow", "a model in MLflow", "mlflow")


def _settings(mlflow: Any, options: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """Return the options with what MLflow must know to serve the model."""
    schema, spec = mlflow.types.ParamSchema, mlflow.types.ParamSpec
    params = schema([spec("n_items", "long", 10), spec("exclude_seen", "boolean", True)])
    settings = {
        "signature": mlflow.models.ModelSignature(params=params),
        "pip_requirements": [f"sklearn-unlearn[audit]=={__version__}", "pandas"],
    } | dict(options)
    about = {"digest": digest, "sklearn_unlearn": __version__}
    settings["metadata"] = dict(settings.get("metadata") or {}) | about
    return settings


def _log_report(mlflow: Any, report: ForgetReport) -> None:
    fields = report.to_dict()
    mlflow.log_dict(fields, "forget_report.json")
    mlflow.log_metrics({f"forget_{name}": float(fields[name]) for name in _COUNTS})
    mlflow.set_tags({f"forget_{name}": fields[name] for name in ("method", "guarantee")})


def _file_in(folder: Path) -> Path:
    file = folder / _FILE
    if not file.is_file():
        raise ValueError(
            f"the model in MLflow has no file {_FILE}; expected one that log_model logged. Load it "
            "with the flavour that it was logged with."
        )
    return file


def _frame(pandas: Any, table: Any) -> pd.DataFrame:
    if isinstance(table, Mapping):
        return pandas.DataFrame(dict(table))
    import narwhals as nw

    return nw.from_native(table, eager_only=True).to_pandas()


def _users_of(model_input: Any) -> Any:
    """Return the users that are asked for: a column of that name, the only one, or the values."""
    columns = getattr(model_input, "columns", None)
    if columns is None:
        return np.asarray(model_input)
    if "user" in columns:
        return np.asarray(model_input["user"])
    if len(columns) == 1:
        return np.asarray(model_input[columns[0]])
    raise ValueError(
        f"model_input has {len(columns)} columns and none named user; expected one that names the "
        "users. Rename it."
    )
