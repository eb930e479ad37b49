"""Measurements that each take a process of their own: what an earlier one left cannot be seen.

Data and models pass through files of a temporary folder, so a process holds what it loads and
nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from sklearn_unlearn.benchmarks.data._forget_sets import request_users
from sklearn_unlearn.benchmarks.measure._clocks import (
    as_in_memory,
    fresh_copy,
    model_bytes,
    time_fit,
    time_forget,
)
from sklearn_unlearn.benchmarks.measure._memory import PeakMemory
from sklearn_unlearn.benchmarks.methods._implicit import Rival, matrix_for_implicit
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import NotConvergedWarning

__all__ = ["fit", "forget_memory", "forget_time", "in_own_process", "refit_rival", "save_matrix"]

_MODEL = "model.joblib"
# Allocations from this size on go back to the system when freed. Otherwise a peak could hide in
# memory that the process has kept from its preparations.
_THRESHOLD = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}


def in_own_process(task: Callable[..., Any], *arguments: Any, exact_memory: bool = False) -> Any:
    """Run a function of a module in a new process, with one BLAS thread.

    Parameters
    ----------
    task : callable
        Found again by its name.

    *arguments : object
        Its arguments; they travel as pickles.

    exact_memory : bool, default=False
        Whether freed memory goes back to the system at once; slows allocations down.

    Returns
    -------
    result : object
        What the task returned. Its errors are raised here.
    """
    spawn = multiprocessing.get_context("spawn")
    with _environment(_THRESHOLD if exact_memory else {}), ProcessPoolExecutor(1, spawn) as pool:
        return pool.submit(_call, task, arguments).result()


def _call(task: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    with threadpool_limits(1, user_api="blas"):
        return task(*arguments)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def save_matrix(path: Path, X: sparse.csr_array) -> None:
    """Write a matrix so that `_load` reads it straight into its arrays."""
    np.savez(path, data=X.data, indices=X.indices, indptr=X.indptr, shape=X.shape)


def _load(path: Path) -> sparse.csr_array:
    with np.load(path) as file:
        parts = file["data"], file["indices"], file["indptr"]
        return sparse.csr_array(parts, shape=tuple(file["shape"]))


# -- tasks -----------------------------------------------------------------------------------------
def fit(matrix: Path, estimator: Any) -> dict[str, Any]:
    """Fit a model beside its data and leave it there."""
    X = _load(matrix)
    # A small one first loads compiled kernels.
    time_fit(estimator, make_interactions(60, 40, feedback="implicit").astype(X.dtype))
    with PeakMemory() as memory:
        timing = time_fit(estimator, X)
    joblib.dump(timing.result, matrix.with_name(_MODEL))
    return {
        **timing.to_dict(),
        "converged": bool(timing.result.converged_),
        "peak_bytes": memory.bytes,
        "peak_exact": memory.exact,
        "model_bytes": model_bytes(timing.result),
    }


def refit_rival(matrix: Path, rival: Rival, user: int, repeats: int) -> dict[str, Any]:
    """Fit the rival on the data without a user."""
    X = matrix_for_implicit(request_users("user", _load(matrix), [user]).retained)
    rival.time_fit(sparse.csr_array(make_interactions(60, 40, feedback="implicit")))
    with PeakMemory() as memory:
        timing = rival.time_fit(X, repeats)
    return {**timing.to_dict(), "peak_bytes": memory.bytes, "peak_exact": memory.exact}


def forget_time(
    matrix: Path, user: int, strategy: Any, repeats: int, loaded: bool
) -> dict[str, Any]:
    """Time a user's request to the fitted model, and one pass over its interactions."""
    model = _model_beside(matrix, loaded)
    request = request_users("user", model._interactions.to_csr(), [user])
    timing = time_forget(model, request, strategy, repeats, loaded=loaded)
    return {
        **timing.to_dict(),
        "n_forgotten": len(request.positions),
        "report": timing.result.forget_report_.to_dict(),
        "pass_seconds": _time_pass(model._interactions),
    }


def forget_memory(matrix: Path, user: int, strategy: Any, loaded: bool) -> dict[str, Any]:
    """Measure the memory of the same request; the model forgets, no copy is held."""
    model = _model_beside(matrix, loaded).set_params(unlearner=strategy)
    # One before that does not count: it loads code, and leaves tables of the size of a thread.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        fresh_copy(model, loaded=loaded).forget(users=[user])
        with PeakMemory() as memory:
            model.forget(users=[user])
    return {"peak_bytes": memory.bytes, "peak_exact": memory.exact}


def _model_beside(matrix: Path, loaded: bool) -> Any:
    model = joblib.load(matrix.with_name(_MODEL))
    if not loaded:
        as_in_memory(model)
    return model


def _time_pass(data: Any) -> float:
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        np.copy(data.indices)
        np.copy(data.values)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
