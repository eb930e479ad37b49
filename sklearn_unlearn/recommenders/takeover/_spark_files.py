"""The folder of an ALS model of Spark MLlib: factors as Parquet, metadata as JSON."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.recommenders._types import Floats, State

__all__ = ["SIDES", "read_metadata", "read_side", "write_model"]

Ids = NDArray[np.int64]

SIDES = {"user": "userFactors", "item": "itemFactors"}
_CLASS = "org.apache.spark.ml.recommendation.ALSModel"
_WHAT = "expected the folder of a saved ALSModel"
# What Spark asks for where nothing is known of the model that is replaced.
_METADATA = {
    "class": _CLASS,
    "timestamp": 0,
    "sparkVersion": "3.0.0",
    "uid": "ALS_sklearn_unlearn",
    "paramMap": {},
    "defaultParamMap": {
        "userCol": "user",
        "itemCol": "item",
        "predictionCol": "prediction",
        "coldStartStrategy": "nan",
        "blockSize": 4096,
    },
}


def read_metadata(folder: Path) -> State:
    """Read the metadata of a model; refuse a folder of anything else."""
    parts = _parts(folder / "metadata")
    if not parts:
        raise ValueError(
            f"Got '{folder}', which has no metadata; {_WHAT}, with metadata, userFactors and "
            "itemFactors in it. Pass the folder that model.save was given."
        )
    try:
        found = json.loads(parts[0].read_text(encoding="utf-8"))
        kind = found["class"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"Got '{folder}', of which the metadata cannot be read ({type(error).__name__}); "
            f"{_WHAT}. Save the model again."
        ) from error
    if kind != _CLASS:
        raise ValueError(
            f"Got '{folder}', which holds a {kind}; {_WHAT}. Pass the model that its fit returns; "
            "a pipeline keeps it in the folder stages."
        )
    return found


def read_side(folder: Path, side: str) -> tuple[Ids, Floats]:
    """Read the factors of one side.

    Parameters
    ----------
    folder : Path
        Of the model.

    side : {"user", "item"}
        Which.

    Returns
    -------
    ids : ndarray of int64, shape (n,)
        Ascending, each once.
    factors : ndarray of float32, shape (n, rank)
        A row each.
    """
    pa, pq = _pyarrow()
    name, source = SIDES[side], folder / SIDES[side]
    parts = [part for part in _parts(source) if part.suffix == ".parquet"]
    if not parts:
        raise ValueError(
            f"Got '{folder}' without Parquet files in {name}; {_WHAT}, with a part file or more "
            "on each side. Copy the whole folder."
        )
    try:
        tables = [pq.read_table(part, columns=["id", "features"]) for part in parts]
        table = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
        ids, features = table["id"].cast(pa.int64()), table["features"]
        lengths = np.unique(pa.compute.list_value_length(features).to_numpy())
        flat = pa.compute.list_flatten(features).to_numpy()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"Got '{source}', of which the files cannot be read ({type(error).__name__}); expected "
            "columns id, of integers, and features, of lists of numbers. Save the model again."
        ) from error
    if ids.null_count or features.null_count or len(lengths) > 1 or len(ids) == 0:
        raise ValueError(
            f"Got {name} of {len(ids)} rows with {ids.null_count + features.null_count} missing "
            f"cells and factors of {len(lengths)} lengths; expected rows of one length, none of "
            "them missing. Save the model again."
        )
    return _in_order(ids.to_numpy(), flat.reshape(len(ids), -1), name)


def _in_order(ids: Ids, factors: Floats, name: str) -> tuple[Ids, Floats]:
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    twice = np.count_nonzero(ids[1:] == ids[:-1])
    if twice:
        raise ValueError(
            f"Got {name} with {twice} ids that occur twice; expected each once. The folder may "
            "hold the files of two models: save one again, to a new folder."
        )
    return ids, np.asarray(factors[order], np.float32)


def write_model(folder: Path, sides: dict[str, tuple[Ids, Floats]], metadata: State | None) -> None:
    """Write a model as Spark does: a folder a part of it, and a marker that it is complete."""
    if folder.exists():
        raise FileExistsError(
            f"'{folder}' exists; expected a new folder, as a model is never written over. Pass "
            "another, or remove it."
        )
    pa, pq = _pyarrow()
    rank = next(iter(sides.values()))[1].shape[1]
    text = json.dumps({**(metadata or _METADATA), "rank": rank})
    _folder(folder, "metadata", ".txt").write_text(text + "\n", encoding="utf-8")
    schema = pa.schema([
        pa.field("id", pa.int32(), nullable=False),
        pa.field("features", pa.list_(pa.field("element", pa.float32(), nullable=False))),
    ])  # fmt: skip
    for side, (ids, factors) in sides.items():
        cells = pa.array(np.ascontiguousarray(factors, np.float32).ravel())
        starts = pa.array(np.arange(len(ids) + 1, dtype=np.int32) * rank)
        kind = schema.field("features").type
        columns = [pa.array(ids.astype(np.int32)), pa.ListArray.from_arrays(starts, cells, kind)]
        table = pa.Table.from_arrays(columns, schema=schema)
        pq.write_table(table, _folder(folder, SIDES[side], ".snappy.parquet"))
    for part in ("metadata", *SIDES.values()):
        (folder / part / "_SUCCESS").touch()


def _folder(folder: Path, part: str, ending: str) -> Path:
    """Make the folder of a part of a model; return the file for what it holds."""
    (folder / part).mkdir(parents=True)
    return folder / part / f"part-00000-{uuid.uuid4()}-c000{ending}"


def _parts(folder: Path) -> list[Path]:
    """Files with data: not the marker, and no checksums, which are hidden."""
    if not folder.is_dir():
        return []
    return sorted(part for part in folder.iterdir() if part.name.startswith("part-"))


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.compute
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError(
            "pyarrow is not installed; expected it for models of Spark, which are Parquet files. "
            "Run `pip install pyarrow`."
        ) from error
    return pa, pq
