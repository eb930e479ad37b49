"""Clocks: every call is timed on a fresh subject that was made outside the clock."""

from __future__ import annotations

import copy
import gc
import statistics
import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_unlearn.benchmarks.data._forget_sets import Request
from sklearn_unlearn.exceptions import NotConvergedWarning
from sklearn_unlearn.utils._pages import Pages

__all__ = ["Timing", "forget_peak", "fresh_copy", "time_calls", "time_fit", "time_forget"]


@dataclass(frozen=True, eq=False)
class Timing:
    """What a call gave, and how long it took each time.

    Parameters
    ----------
    result : object
        Of the last call.

    seconds : list of float
        Wall clock, one a call.

    cpu_seconds : list of float
        Processor time of all threads, one a call.

    products : float or None, default=None
        Hessian-vector products of one call, where known.
    """

    result: Any
    seconds: list[float]
    cpu_seconds: list[float]
    products: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return medians and single times, for JSON."""
        return {
            "seconds": statistics.median(self.seconds),
            "seconds_min": min(self.seconds),
            "seconds_each": self.seconds,
            "cpu_seconds": statistics.median(self.cpu_seconds),
            "products": self.products,
        }


def time_calls(
    prepare: Callable[[], Any], call: Callable[[Any], Any], repeats: int, *, warm_up: bool
) -> Timing:
    """Time calls, each on its own subject.

    Parameters
    ----------
    prepare : callable
        Makes a subject; not timed.

    call : callable
        Timed, everything inside.

    repeats : int
        Timed calls.

    warm_up : bool
        Whether to make one more call before them, which does not count: it loads compiled kernels.

    Returns
    -------
    timing : Timing
    """
    seconds, cpu_seconds, result = [], [], None
    for repeat in range(repeats + warm_up):
        subject = prepare()
        gc.collect()
        cpu_start, start = time.process_time(), time.perf_counter()
        result = call(subject)
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu_start
        if repeat >= warm_up:
            seconds.append(wall)
            cpu_seconds.append(cpu)
    return Timing(result, seconds, cpu_seconds)


def fresh_copy(model: Any, *, loaded: bool = False) -> Any:
    """Copy a model and all of its arrays.

    Parameters
    ----------
    model : recommender
        Fitted.

    loaded : bool, default=False
        Leave out derived arrays that the model holds in memory and no pickle holds, as in a model
        just loaded from disk, and its factors in two arrays. By default the copy holds them, and
        its factors as parts of one table, if the model does.

    Returns
    -------
    twin : recommender
    """
    twin = copy.deepcopy(model)
    if not loaded:
        _derive_again(getattr(model, "_interactions", None), twin)
    sides = [getattr(model, f"{side}_factors_", None) for side in ("user", "item")]
    bases = [getattr(factors, "base", None) for factors in sides]
    if not loaded and bases[0] is bases[1] is not None:
        join_factors(twin)
    return twin


def _derive_again(data: Any, twin: Any) -> None:
    """Give the interactions of a copy what was derived from those of the original."""
    kept = getattr(data, "_cache", ())
    if "transpose" in kept:
        twin._interactions.transpose_pattern()
    for name in ("item_degrees", "user_squares"):
        if name in kept:
            getattr(twin._interactions, name)


def join_factors(model: Any) -> None:
    """Make the factors parts of one table, as `fit` and `forget` leave them."""
    table = np.concatenate([model.user_factors_, model.item_factors_])
    n_users = len(model.user_factors_)
    model.user_factors_, model.item_factors_ = table[:n_users], table[n_users:]


def as_in_memory(model: Any) -> None:
    """Give a model from disk the derived arrays of one that was just fitted."""
    model._interactions.transpose_pattern()
    join_factors(model)


def time_forget(
    model: Any, request: Request, strategy: Any, repeats: int, *, loaded: bool = False
) -> Timing:
    """Time ``forget`` on copies of a model, and nothing but it.

    Raises
    ------
    RuntimeError
        If a call was timed that did not remove the request.
    """

    def prepare() -> Any:
        return _told(fresh_copy(model, loaded=loaded), strategy)

    def call(twin: Any) -> Any:
        return twin.forget(**request.arguments)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)  # the report says it, a row holds it
        timing = time_calls(prepare, call, repeats, warm_up=True)
    after = timing.result
    if hasattr(model, "_interactions"):
        n_left = model._interactions.n_interactions - len(request.positions)
        if after._interactions.n_interactions != n_left:
            raise RuntimeError(
                f"forget left {after._interactions.n_interactions} interactions; {n_left} were "
                "expected. The timing would mean nothing: report this as a bug."
            )
    products = getattr(getattr(after, "forget_report_", None), "n_solver_iter", None)
    return Timing(
        after,
        timing.seconds,
        timing.cpu_seconds,
        None if products is None else float(products),
    )


def _told(model: Any, strategy: Any) -> Any:
    """Set how a model forgets, unless that is its own affair and nothing else was asked for."""
    if strategy is None and "unlearner" not in model.get_params(deep=False):
        return model
    return model.set_params(unlearner=strategy)


def time_fit(
    estimator: Any, X: sparse.csr_array, repeats: int = 1, *, start_seed: int | None = None
) -> Timing:
    """Time ``fit`` from scratch, and count the Hessian products of its optimizer.

    `start_seed` is that of the start alone, where the model's own seed also draws its problem.
    """
    products: list[float] = []

    def prepare() -> Any:
        model = copy.deepcopy(estimator)
        minimize = getattr(model, "_minimize", None)
        if minimize is not None:

            def counting(data: Any, seed: int) -> Any:
                result, objective = minimize(data, seed if start_seed is None else start_seed)
                products.append(float(result.n_products))
                return result, objective

            model._minimize = counting
        return model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)  # `converged_` is in the record
        timing = time_calls(prepare, lambda model: model.fit(X), repeats, warm_up=False)
    timing.result.__dict__.pop("_minimize", None)
    return Timing(
        timing.result, timing.seconds, timing.cpu_seconds, products[-1] if products else None
    )


def forget_peak(model: Any, request: Request, strategy: Any) -> int:
    """Measure the bytes that ``forget`` holds at its peak beyond the model, its copy made before.

    Not together with a timing: tracing allocations slows them down.
    """
    twin = _told(fresh_copy(model), strategy)
    gc.collect()
    tracemalloc.start()
    try:
        start = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotConvergedWarning)  # as in `time_forget`
            twin.forget(**request.arguments)
        return tracemalloc.get_traced_memory()[1] - start
    finally:
        tracemalloc.stop()


def model_bytes(model: Any) -> int:
    """Bytes of a fitted model: factors, biases, interactions, their transpose where it is kept."""
    arrays = list(vars(model).values())
    if hasattr(model, "_interactions"):
        data = model._interactions
        arrays += [data.indptr, *data.stored, *data._cache.get("transpose", ())]
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray | Pages))
