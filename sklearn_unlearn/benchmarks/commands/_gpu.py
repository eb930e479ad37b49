"""The same models on the CPU and on a GPU: parity, pace of a product, fit, forget and refit."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sklearn.base import clone

from sklearn_unlearn.backends import Backend, ScipyBackend, torch_backend
from sklearn_unlearn.benchmarks.data._datasets import Problem, load_problem
from sklearn_unlearn.benchmarks.data._forget_sets import Request, make_request
from sklearn_unlearn.benchmarks.measure import _devices
from sklearn_unlearn.benchmarks.measure._clocks import time_fit, time_forget
from sklearn_unlearn.benchmarks.measure._machine import describe_machine, library_versions
from sklearn_unlearn.benchmarks.measure._report import SCHEMA, to_json
from sklearn_unlearn.benchmarks.methods._estimators import (
    ESTIMATORS,
    is_drawn,
    learns_from_positives,
    make_estimator,
)
from sklearn_unlearn.metrics import remaining_gap

__all__ = ["GPU_REQUESTS", "run_gpu"]

Record = dict[str, Any]

#: What the command asks for unless told otherwise.
GPU_REQUESTS = ("pair", "median-user", "random-1%")


def run_gpu(options: argparse.Namespace) -> int:
    """Measure, print tables, and write a file if that is asked for.

    Parameters
    ----------
    options : Namespace
        Of the command ``gpu``.

    Returns
    -------
    status : int
        0.

    Raises
    ------
    ValueError, ImportError
        If an argument means nothing, or the device is not there.
    """
    backends = {"host": ScipyBackend(options.jobs), "device": _on(options.device)}
    problem, estimator = _prepare(options)
    requests = [make_request(name, problem.X, options.seed) for name in options.requests]
    say = (lambda line: None) if options.quiet else (lambda line: print(line, file=sys.stderr))
    document = {
        "schema": SCHEMA,
        "benchmark": "gpu",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": library_versions(),
        "machine": describe_machine(options.jobs),
        "device": backends["device"].describe(),
        "problem": problem.describe(),
        "estimator": {"name": options.estimator, "params": estimator.get_params(deep=False)},
        **_numbers(estimator, problem, backends, options, say),
        "models": _models(estimator, problem, requests, backends, options, say),
    }
    print(_markdown(document))
    if options.json is not None:
        options.json.write_text(to_json(document), encoding="utf-8")
    return 0


def _on(device: str) -> Any:
    try:
        return torch_backend(device)
    except RuntimeError:
        raise ValueError(
            f"Got --device {device!r} and torch finds no CUDA device; expected a GPU, its driver, "
            "and a build of torch for it. Install these, or pass --device cpu to compare the two "
            "backends without one."
        ) from None


def _prepare(options: argparse.Namespace) -> tuple[Problem, Any]:
    if options.estimator not in ESTIMATORS:
        raise ValueError(
            f"Got the estimator {options.estimator!r}; expected one of "
            f"{', '.join(sorted(ESTIMATORS))}, whose objectives torch computes. Choose from these."
        )
    implicit = learns_from_positives(options.estimator)
    problem = load_problem(
        options.problem,
        threshold=options.threshold,
        test_size=options.test_size,
        seed=options.split_seed,
        implicit=implicit,
    )
    preset = options.preset or ("synthetic" if options.problem.startswith("synthetic") else "ml")
    made = {"labels": problem.labels, "n_jobs": options.jobs, "seed": options.seed}
    estimator = make_estimator(options.estimator, preset, options.params, **made)
    return problem, estimator


# -- one objective, two backends -------------------------------------------------------------------
def _numbers(
    estimator: Any,
    problem: Problem,
    backends: dict[str, Any],
    options: argparse.Namespace,
    say: Callable[[str], None],
) -> Record:
    """Parity, bandwidth and the pace of products, in each precision that a table may have."""
    # Other tables are in double precision, whatever the data.
    precisions = ("float64", "float32") if estimator._keeps_dtype else ("float64",)
    ours, theirs = (
        _devices.objective_of(estimator, problem.X, _devices.Traffic(backend), options.seed)
        for backend in backends.values()
    )
    say("both objectives are stated")
    found: Record = {
        "parity": [_devices.parity(ours, theirs, dtype, options.seed) for dtype in precisions],
        "bandwidth": {name: _devices.bandwidth(backend) for name, backend in backends.items()},
        "products": [],
    }
    for name, objective in zip(backends, (ours, theirs), strict=True):
        for dtype in precisions:
            record = _devices.time_products(objective, dtype, options.seed, options.products)
            floor = record["bytes"] / found["bandwidth"][name]
            times = record["seconds"] / floor
            found["products"].append({"on": name, **record, "floor": floor, "times_floor": times})
    return found


# -- whole models ----------------------------------------------------------------------------------
def _models(
    estimator: Any,
    problem: Problem,
    requests: list[Request],
    backends: dict[str, Backend],
    options: argparse.Namespace,
    say: Callable[[str], None],
) -> list[Record]:
    """Time fit, forget and refit on each device, and compare what they end with."""
    fitted, records = {}, []
    for name, backend in backends.items():
        placed = _placed(estimator, name, backend, options.device)
        # A small one first, which loads kernels and libraries.
        time_fit(placed, problem.X[: min(60, problem.X.shape[0])])
        timing = time_fit(placed, problem.X, options.refit_repeats)
        fitted[name] = placed, timing.result
        say(f"{name}: fitted in {timing.seconds[0]:.2f} s")
        records.append(
            {"on": name, "request": None, "role": "fit", **timing.to_dict(), **_state(timing)}
        )
    for request in requests:
        refits = {
            name: _refit(placed, request, options, options.seed + 1 + number)
            for number, (name, (placed, _)) in enumerate(fitted.items())
        }
        noise = _gap(fitted["host"][1], refits["device"].result, refits["host"].result, request)
        for name, (_, model) in fitted.items():
            rows = _request_rows(model, request, refits[name], options)
            records += [{"on": name, "noise": noise, **row} for row in rows]
        say(f"{request.name}: answered on both")
    return records


def _placed(estimator: Any, name: str, backend: Backend, device: str) -> Any:
    """Make a model that computes on a backend."""
    model = clone(estimator)
    if name == "device" and device == "cuda":
        return model.set_params(device="cuda")
    model._backend = lambda: backend
    return model


def _refit(placed: Any, request: Request, options: argparse.Namespace, seed: int) -> Any:
    """Refit from another start; what a model draws belongs to the problem and stays."""
    if not is_drawn(placed):
        placed = _like(placed).set_params(random_state=seed)
    return time_fit(placed, request.retained, options.refit_repeats, start_seed=seed)


def _like(placed: Any) -> Any:
    model = clone(placed)
    model.__dict__.update({k: v for k, v in vars(placed).items() if k == "_backend"})
    return model


def _request_rows(
    model: Any, request: Request, refit: Any, options: argparse.Namespace
) -> list[Record]:
    forget = time_forget(model, request, None, options.repeats)
    shared = {"request": request.name, "n_interactions": len(request.positions)}
    return [
        {
            **shared,
            "role": "forget",
            **forget.to_dict(),
            "gap_all": _gap(model, forget.result, refit.result),
            "gap_affected": _gap(model, forget.result, refit.result, request),
            "refit_seconds": refit.to_dict()["seconds"],
            "report": forget.result.forget_report_.to_dict(),
        },
        {**shared, "role": "refit", **refit.to_dict(), **_state(refit)},
    ]


def _state(timing: Any) -> Record:
    return {"converged": bool(timing.result.converged_), "n_iter": int(timing.result.n_iter_)}


def _gap(before: Any, after: Any, refit: Any, request: Request | None = None) -> float:
    affected: Any = {} if request is None else {"users": request.users, "items": request.items}
    return remaining_gap(before, after, refit, **affected)


# -- the tables ------------------------------------------------------------------------------------
def _markdown(document: Record) -> str:
    problem, machine, device = document["problem"], document["machine"], document["device"]
    names = {"host": "SciPy, CPU", "device": f"torch, {device['name']}"}
    width = document["bandwidth"]
    lines = [
        f"### gpu: {document['estimator']['name']} on {problem['name']}",
        "",
        f"{problem['n_users']:,} users, {problem['n_items']:,} items, "
        f"{problem['n_interactions']:,} interactions ({problem['values']}).",
        f"Device: {device['name']} (torch {device['torch']}), copies at "
        f"{width['device'] / 1e9:.3g} GB/s. Host: {machine['processor']}, {machine['cores']} "
        f"cores, {machine['n_jobs']} thread(s), copies at {width['host'] / 1e9:.3g} GB/s.",
        "",
        *_table(_PARITY, document["parity"], names),
        "",
        *_table(_PRODUCTS, document["products"], names),
        "",
        *_table(_MODELS, document["models"], names),
        "",
        _NOTE,
    ]
    return "\n".join(lines) + "\n"


_NOTE = (
    "Parity: relative differences of torch from SciPy at one point. Floor: the bytes that the "
    "sparse operations of a product read and write if each array goes by once, at the pace of a "
    "copy. Gaps are to the refit on the same device from another start; noise: gap of the affected "
    "between the refits of both devices."
)


def _table(
    columns: dict[str, Callable[[Record], str]], records: list[Record], names: dict[str, str]
) -> list[str]:
    rows = [
        [cell({**record, "on": names.get(record.get("on", ""), "")}) for cell in columns.values()]
        for record in records
    ]
    cells = [list(columns), ["---"] * len(columns), *rows]
    return ["| " + " | ".join(row) + " |" for row in cells]


def _milli(key: str) -> Callable[[Record], str]:
    return lambda record: f"{1e3 * record[key]:.3g} ms"


def _sci(key: str) -> Callable[[Record], str]:
    return lambda record: f"{record[key]:.1e}" if record.get(key) is not None else "-"


_PARITY: dict[str, Callable[[Record], str]] = {
    "precision": lambda record: record["dtype"],
    "value": _sci("value"),
    "gradient": _sci("gradient"),
    "Hessian product": _sci("product"),
    "rounding of it, SciPy": _sci("rounding_host"),
    "torch": _sci("rounding_device"),
}
_PRODUCTS: dict[str, Callable[[Record], str]] = {
    "Hessian product on": lambda record: record["on"],
    "precision": lambda record: record["dtype"],
    "time": _milli("seconds"),
    "bytes": lambda record: f"{record['bytes'] / 1e6:.3g} MB",
    "floor": _milli("floor"),
    "time / floor": lambda record: f"{record['times_floor']:.3g}",
}
_MODELS: dict[str, Callable[[Record], str]] = {
    "on": lambda record: record["on"],
    "what": lambda record: " ".join(filter(None, [record["role"], record["request"]])),
    "time": lambda record: f"{record['seconds']:.3g} s",
    "products": lambda record: f"{record['products']:.4g}",
    "refit / time": lambda record: (
        f"{record['refit_seconds'] / record['seconds']:.3g}x" if "refit_seconds" in record else "-"
    ),
    "gap, all": _sci("gap_all"),
    "affected": _sci("gap_affected"),
    "noise": _sci("noise"),
}
