"""Time and memory of `InteractionEncoder` on tables of each library."""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from sklearn_unlearn.benchmarks.measure import _tasks
from sklearn_unlearn.benchmarks.measure._machine import describe_machine, library_versions
from sklearn_unlearn.benchmarks.measure._memory import PeakMemory
from sklearn_unlearn.benchmarks.measure._report import SCHEMA, to_json
from sklearn_unlearn.preprocessing import InteractionEncoder

__all__ = ["IDS", "LIBRARIES", "make_table", "measure", "run_encode", "table_bytes"]

Record = dict[str, Any]

#: Libraries whose tables are measured, and kinds of ids.
LIBRARIES = ("pandas", "polars", "pyarrow")
IDS = ("text", "int")

# Positions u ** _SKEW of uniform u: the density of a popularity falls with its rank by a power of
# 1 / _SKEW - 1 = -0.6, and with ten events a user nearly all users have one.
_SKEW = 2.5
_ODD = np.uint64(0x9E3779B97F4A7C15)  # times an odd number is a permutation of 64-bit integers


def run_encode(options: argparse.Namespace) -> int:
    """Measure, print a table, and write a file if that is asked for.

    Parameters
    ----------
    options : Namespace
        Of the command ``encode``.

    Returns
    -------
    status : int
        0.

    Raises
    ------
    ImportError
        A library is not installed.

    FileNotFoundError
        The folder of the file does not exist.
    """
    _check(options.libraries)
    records = []
    for library in options.libraries:
        for ids in options.ids:
            shape = (options.n_events, options.n_users, options.n_items)
            records.append(measure(library, ids, shape, options.repeats, options.seed))
            if not options.quiet:
                print(f"{library}, {ids} ids: measured", file=sys.stderr)
    document = {
        "schema": SCHEMA,
        "benchmark": "encode",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": library_versions() | {name: version(name) for name in _versioned(options)},
        "machine": describe_machine(1),
        "options": {k: v for k, v in vars(options).items() if k not in ("command", "json")},
        "records": records,
    }
    print(_markdown(document))
    if options.json is not None:
        options.json.write_text(to_json(document), encoding="utf-8")
    return 0


def _check(libraries: list[str]) -> None:
    absent = [name for name in libraries if importlib.util.find_spec(name) is None]
    if absent:
        raise ImportError(
            f"Got the libraries {', '.join(libraries)}, of which {', '.join(absent)} cannot be "
            "found; expected installed ones. Install them, or name others with --libraries."
        )


def _versioned(options: argparse.Namespace) -> list[str]:
    return [*options.libraries, "narwhals"]


def measure(library: str, ids: str, shape: tuple[int, int, int], repeats: int, seed: int) -> Record:
    """Measure one kind of table: time in one process, memory in another.

    Parameters
    ----------
    library : str
        One of `LIBRARIES`.

    ids : str
        One of `IDS`.

    shape : tuple of three int
        Numbers of events, users and items.

    repeats : int
        Timed calls, of which the median counts.

    seed : int
        Seed of the data.

    Returns
    -------
    record : dict
        Sizes, seconds and bytes.
    """
    timed = _tasks.in_own_process(encode_time, library, ids, shape, seed, repeats)
    held = _tasks.in_own_process(encode_memory, library, ids, shape, seed, exact_memory=True)
    record = {"library": library, "ids": ids, "n_events": shape[0], **timed, **held}
    for name in ("fit", "transform"):
        record[f"{name}_peak_per_table"] = record[f"{name}_peak_bytes"] / record["table_bytes"]
    return record


# -- data ------------------------------------------------------------------------------------------
def make_table(library: str, ids: str, shape: tuple[int, int, int], seed: int) -> Any:
    """Make a table of events with the columns user, item and value.

    Popularities follow a power law, and ids have nothing to do with them.

    Parameters
    ----------
    library, ids, shape, seed
        As for `measure`.

    Returns
    -------
    table : DataFrame or Table
        Of the library.

    Examples
    --------
    >>> from sklearn_unlearn.benchmarks.commands._encode import make_table
    >>> make_table("polars", "text", (4, 3, 2), seed=0).columns
    ['user', 'item', 'value']
    """
    n_events, n_users, n_items = shape
    random = np.random.default_rng(seed)
    columns = {}
    for name, size in (("user", n_users), ("item", n_items)):
        which = (size * random.random(n_events) ** _SKEW).astype(np.int32)
        columns[name] = _COLUMNS[library](_make_ids(name, ids, random.permutation(size)), which)
    columns["value"] = random.integers(1, 6, n_events).astype(np.float64)
    module = importlib.import_module(library)
    return (module.table if library == "pyarrow" else module.DataFrame)(columns)


def _make_ids(name: str, ids: str, numbers: np.ndarray) -> Any:
    """Make a short word, or an integer anywhere between the first and the last of 64 bits."""
    if ids == "text":
        return [f"{name[0]}{number:07d}" for number in numbers.tolist()]
    return (numbers.astype(np.uint64) * _ODD).view(np.int64)


def _pandas_column(ids: Any, which: np.ndarray) -> Any:
    import pandas as pd

    return pd.Series(ids).take(which).reset_index(drop=True)


def _polars_column(ids: Any, which: np.ndarray) -> Any:
    import polars as pl

    return pl.Series(ids).gather(which)


def _pyarrow_column(ids: Any, which: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(ids).take(pa.array(which))


_COLUMNS: dict[str, Callable[[Any, np.ndarray], Any]] = {
    "pandas": _pandas_column,
    "polars": _polars_column,
    "pyarrow": _pyarrow_column,
}


def table_bytes(table: Any) -> int:
    """Return the memory of a table, as its library counts it."""
    if hasattr(table, "memory_usage"):
        return int(table.memory_usage(index=False, deep=True).sum())
    if hasattr(table, "estimated_size"):
        return int(table.estimated_size())
    return int(table.nbytes)


# -- tasks -----------------------------------------------------------------------------------------
def encode_time(
    library: str, ids: str, shape: tuple[int, int, int], seed: int, repeats: int
) -> Record:
    """Time fitting and transforming."""
    table = _prepared(library, ids, shape, seed)
    fits, transforms = [], []
    for _ in range(repeats):
        encoder = InteractionEncoder(value="value")
        start = time.perf_counter()
        X = encoder.fit_transform(table)
        between = time.perf_counter()
        again = encoder.transform(table)
        fits.append(between - start)
        transforms.append(time.perf_counter() - between)
        same = np.array_equal(again.indptr, X.indptr) and np.array_equal(again.data, X.data)
        if not same:
            raise RuntimeError("transform made another matrix than fit_transform of one table")
    return {
        "n_users": X.shape[0],
        "n_items": X.shape[1],
        "n_interactions": X.nnz,
        "table_bytes": table_bytes(table),
        "fit_seconds": statistics.median(fits),
        "fit_seconds_each": fits,
        "transform_seconds": statistics.median(transforms),
        "transform_seconds_each": transforms,
    }


def encode_memory(library: str, ids: str, shape: tuple[int, int, int], seed: int) -> Record:
    """Measure what both need beyond the table; the matrix is part of it."""
    table = _prepared(library, ids, shape, seed)
    encoder = InteractionEncoder(value="value")
    with PeakMemory() as fit:
        encoder.fit_transform(table)
    with PeakMemory() as transform:
        encoder.transform(table)
    return {
        "fit_peak_bytes": fit.bytes,
        "transform_peak_bytes": transform.bytes,
        "peak_exact": fit.exact and transform.exact,
    }


def _prepared(library: str, ids: str, shape: tuple[int, int, int], seed: int) -> Any:
    """Make a table; use the libraries once on a small one, which loads their code."""
    small = make_table(library, ids, (1000, 100, 10), seed)
    InteractionEncoder(value="value").fit(small).transform(small)
    return make_table(library, ids, shape, seed)


# -- the table -------------------------------------------------------------------------------------
_HEAD = (
    "table of", "ids", "users", "items", "its size", "fit_transform", "peak", "of the table",
    "transform", "peak", "of the table",
)  # fmt: skip


def _markdown(document: Record) -> str:
    machine, options = document["machine"], document["options"]
    lines = [
        f"### encode: InteractionEncoder on {options['n_events']:,} events",
        "",
        f"Users and items by a power law, seed {options['seed']}; {machine['processor']}, "
        f"{machine['cores']} cores.",
        "",
        "| " + " | ".join(_HEAD) + " |",
        "|" + "---|" * len(_HEAD),
    ]
    lines += ["| " + " | ".join(_cells(record)) + " |" for record in document["records"]]
    return "\n".join([*lines, "", _NOTE]) + "\n"


_NOTE = (
    "Time and memory are from processes of their own. Peak: resident memory beyond what is there "
    "before the call, such as the table itself; the matrix counts. Sizes of tables are what their "
    "libraries say; polars leaves out 16 bytes for each text."
)


def _cells(record: Record) -> list[str]:
    least = "" if record["peak_exact"] else "at least "
    cells = [record["library"], record["ids"], f"{record['n_users']:,}", f"{record['n_items']:,}"]
    cells.append(f"{record['table_bytes'] / 1e6:.3g} MB")
    for name in ("fit", "transform"):
        cells += [
            f"{record[f'{name}_seconds']:.3g} s",
            f"{least}{record[f'{name}_peak_bytes'] / 1e6:.3g} MB",
            f"{least}{record[f'{name}_peak_per_table']:.2f}x",
        ]
    return cells
