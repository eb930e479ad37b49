"""Latency of lists that a `DeletionService` makes before, during and after a flush."""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_unlearn.audit import DeletionService, FlushReport, generate_key
from sklearn_unlearn.benchmarks.measure._machine import describe_machine, library_versions
from sklearn_unlearn.benchmarks.measure._report import SCHEMA, to_json
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import NotConvergedWarning
from sklearn_unlearn.recommenders import ALS

__all__ = ["STAGES", "measure", "run_serve"]

#: What goes on while lists are asked for.
STAGES = ("before", "pending", "during", "after")
_WARM = 20


def run_serve(options: argparse.Namespace) -> int:
    """Measure, print a table, and write a file if that is asked for.

    Parameters
    ----------
    options : Namespace
        Of the command ``serve``.

    Returns
    -------
    status : int
        0.
    """
    document = {
        "schema": SCHEMA,
        "benchmark": "serve",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": library_versions(),
        "machine": describe_machine(1),
        "options": {k: v for k, v in vars(options).items() if k not in ("command", "json")},
        "records": measure(
            (options.n_users, options.n_items),
            options.n_factors,
            options.n_requests,
            options.n_questions,
            options.seed,
        ),
    }
    print(_markdown(document))
    if options.json is not None:
        options.json.write_text(to_json(document), encoding="utf-8")
    return 0


def measure(
    shape: tuple[int, int], n_factors: int, n_requests: int, n_questions: int, seed: int
) -> list[dict[str, Any]]:
    """Time lists of one user each: while nothing is pending, while requests are, during the flush.

    Parameters
    ----------
    shape : tuple of (int, int)
        Users and items of the model, `ALS` on made data.

    n_factors, seed : int
        Of the model.

    n_requests : int
        Whole users that ask to be forgotten.

    n_questions : int
        Lists of each stage; during the flush as many as are made.

    Returns
    -------
    records : list of dict
        For each of `STAGES` the number of lists, and quantiles in seconds; of the flush its time.
    """
    X = make_interactions(*shape, random_state=seed).tocsr()
    X.data[:] = 1.0
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore", NotConvergedWarning)  # the pace is that of any model
        model = ALS(n_factors, max_iter=5, random_state=seed).fit(X)
        place = Path(folder)
        with DeletionService(
            model, place / "deletions.db", place / "model.skops", key=generate_key()
        ) as service:
            clock = _Clock(service, shape[0], seed)
            clock.ask(_WARM)
            found = {"before": clock.ask(n_questions)}
            service.submit_many([{"users": [user]} for user in range(n_requests)])
            found["pending"] = clock.ask(n_questions)
            found["during"], report = clock.ask_during_flush()
            found["after"] = clock.ask(n_questions)
    return [_record(stage, found[stage], report) for stage in STAGES]


class _Clock:
    """Asks for lists of random users, and takes the time of each."""

    def __init__(self, service: DeletionService, n_users: int, seed: int) -> None:
        self._service, self._n_users = service, n_users
        self._draw = np.random.default_rng(seed)

    def ask(self, n: int) -> list[float]:
        return [self._once() for _ in range(n)]

    def ask_during_flush(self) -> tuple[list[float], FlushReport]:
        reports: list[FlushReport] = []
        flush = threading.Thread(target=lambda: reports.append(self._service.flush()))
        flush.start()
        times = [self._once()]
        while flush.is_alive():
            times.append(self._once())
        flush.join()
        return times, reports[0]

    def _once(self) -> float:
        user = self._draw.integers(self._n_users)
        started = time.perf_counter()
        self._service.recommend(users=[user])
        return time.perf_counter() - started


def _record(stage: str, times: list[float], report: FlushReport) -> dict[str, Any]:
    median, most, longest = (float(one) for one in np.percentile(times, [50, 99, 100]))
    record = {"stage": stage, "n": len(times), "p50": median, "p99": most, "longest": longest}
    return record | ({"flush_seconds": report.seconds} if stage == "during" else {})


def _markdown(document: dict[str, Any]) -> str:
    options, machine = document["options"], document["machine"]
    flush = next(one["flush_seconds"] for one in document["records"] if one["stage"] == "during")
    lines = [
        f"### serve: ALS of {options['n_users']:,} users, {options['n_items']:,} items and "
        f"{options['n_factors']} factors",
        "",
        f"{options['n_requests']:,} users forgotten in {flush:.3g} s; one reader, SQLite; "
        f"{machine['processor']}, {machine['cores']} cores.",
        "",
        "| stage | lists | p50 | p99 | longest |",
        "|---|---|---|---|---|",
    ]
    for one in document["records"]:
        times = " | ".join(f"{1e3 * one[name]:.3g} ms" for name in ("p50", "p99", "longest"))
        lines.append(f"| {one['stage']} | {one['n']:,} | {times} |")
    return "\n".join(lines) + "\n"
