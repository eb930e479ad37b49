"""Commands that time `forget` of any estimator: forget, batch, growth and ifru."""

from __future__ import annotations

import statistics
import time
from itertools import cycle, islice
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_unlearn.benchmarks.data._expand import expand
from sklearn_unlearn.benchmarks.data._forget_sets import (
    Request,
    draw_users,
    make_request,
    request_entries,
    request_users,
    user_at,
)
from sklearn_unlearn.benchmarks.measure._clocks import forget_peak, model_bytes, time_forget
from sklearn_unlearn.benchmarks.measure._compare import Plan, Trial
from sklearn_unlearn.benchmarks.measure._quality import report_of

__all__ = ["add_growth", "run_batch", "run_forget", "run_growth", "run_ifru"]

Records = list[dict[str, Any]]


def run_forget(plan: Plan, requests: list[str]) -> tuple[Records, Records]:
    """Compare each way to forget each request with refits.

    Returns
    -------
    fits, records : list of dict
        One for the fit; one for each request and setting or refit.
    """
    X = plan.problem.X
    made = [make_request(name, X, plan.seed) for name in requests]
    model, fit = plan.fit(X)
    return [fit], [row for request in made for row in Trial(plan, model, request).records()]


def run_batch(plan: Plan, sizes: list[int]) -> tuple[Records, Records]:
    """Measure the cost of one user's request in batches.

    All batches are taken from one draw of users. Each size is timed on up to `plan.repeats`
    different batches, and compared with refits on the first.
    """
    X = plan.problem.X
    users = draw_users(X, max(sizes), np.random.default_rng(plan.seed))
    model, fit = plan.fit(X)
    records = []
    for size in sizes:
        starts = range(0, len(users) - size + 1, size)
        batches = [request_users(f"users-{size}", X, users[s : s + size]) for s in starts]
        rows = Trial(plan, model, batches[0]).records()
        for row in rows:
            row["batch_size"] = size
            if row["role"] == "forget":
                _average_over(row, plan, model, list(islice(cycle(batches), plan.repeats)))
        records += rows
    return [fit], records


def _average_over(row: dict[str, Any], plan: Plan, model: Any, batches: list[Request]) -> None:
    """Put the cost of a request, over several batches, into the record of the first batch."""
    strategy, size = plan.settings[row["setting"]], row["batch_size"]
    timings = [time_forget(model, batch, strategy, 1, loaded=plan.loaded) for batch in batches]
    seconds = statistics.median(timing.seconds[0] for timing in timings)
    row["seconds_per_request"] = seconds / size
    row["products_per_request"] = statistics.median(t.products or 0.0 for t in timings) / size
    for name in ("cold", "cheapest", "warm"):
        speedup = row[f"speedup_{name}"]
        row[f"speedup_{name}_per_request"] = (
            None if speedup is None else speedup * row["seconds"] / row["seconds_per_request"]
        )


def run_growth(plan: Plan, factors: list[int]) -> tuple[Records, Records]:
    """Measure the cost of one median user's request as the data grow at the same degrees."""
    user = user_at(plan.problem.X, 0.5)
    fits, records = [], []
    for factor in factors:
        X = expand(plan.problem.X, factor, plan.seed)
        model, fit = plan.fit(X)
        fits.append({"factor": factor, "n_interactions": X.nnz, **fit})
        request = request_users("median-user", X, [user])
        pass_seconds = _time_pass(X)
        for name, strategy in plan.settings.items():
            timing = time_forget(model, request, strategy, plan.repeats, loaded=plan.loaded)
            records.append(
                {
                    "factor": factor,
                    "request": request.name,
                    "role": "forget",
                    "setting": name,
                    "n_users": X.shape[0],
                    "n_items": X.shape[1],
                    "n_interactions": X.nnz,
                    "n_forgotten": len(request.positions),
                    **timing.to_dict(),
                    "report": report_of(timing.result),
                    "pass_seconds": pass_seconds,
                    "peak_bytes": forget_peak(model, request, strategy),
                    "model_bytes": model_bytes(model),
                }
            )
        del model
    add_growth(records)
    return fits, records


def _time_pass(X: sparse.csr_array) -> float:
    """Time one streaming pass over the interactions: the floor of any change to immutable data."""
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        X.copy()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def add_growth(records: Records) -> None:
    """Compare each size with the first, in all and beyond one pass over the interactions."""
    first = {row["setting"]: row for row in reversed(records)}
    for row in records:
        base = first[row["setting"]]
        beyond = max(base["seconds"] - base["pass_seconds"], 1e-9)
        row["growth"] = row["seconds"] / base["seconds"]
        row["growth_beyond_pass"] = (row["seconds"] - row["pass_seconds"]) / beyond
        row["peak_per_model"] = row["peak_bytes"] / row["model_bytes"]


def run_ifru(plan: Plan, shares: list[str]) -> tuple[Records, Records]:
    """Flip the labels of a share of the interactions, fit, and forget them.

    The protocol of Zhang et al., "Recommendation Unlearning via Influence Function", ACM TORS 2025.
    The record "nothing" is the corrupted model.
    """
    fits, records = [], []
    for share in shares:
        clean = plan.problem.X
        flipped = _suspects(plan, share)
        corrupted = clean.copy()
        corrupted.data[flipped] *= -1
        model, fit = plan.fit(corrupted)
        fits.append({"share": share, **fit})
        request = request_entries(f"flipped-{share}", corrupted, flipped)
        records += [{"share": share, **row} for row in Trial(plan, model, request).records()]
    return fits, records


def _suspects(plan: Plan, share: str) -> np.ndarray:
    """Entries to flip: those that the data name, else a draw."""
    X = plan.problem.X
    if share not in plan.problem.suspects:
        return make_request(f"random-{share}", X, plan.seed).positions
    users, items = plan.problem.suspects[share].T
    entries = sparse.csr_array((np.arange(1, X.nnz + 1), X.indices, X.indptr), shape=X.shape)
    found = np.unique(np.asarray(entries[users, items]).ravel())
    return found[found > 0] - 1
