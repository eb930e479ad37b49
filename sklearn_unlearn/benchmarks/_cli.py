"""Command line: ``python -m sklearn_unlearn.benchmarks --help``."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from sklearn_unlearn.benchmarks.commands import _forget
from sklearn_unlearn.benchmarks.commands._als import run_als
from sklearn_unlearn.benchmarks.commands._cure4rec import run_cure4rec
from sklearn_unlearn.benchmarks.commands._encode import run_encode
from sklearn_unlearn.benchmarks.commands._erase import run_erase
from sklearn_unlearn.benchmarks.commands._exact import run_exact
from sklearn_unlearn.benchmarks.commands._gpu import run_gpu
from sklearn_unlearn.benchmarks.commands._learn import run_learn
from sklearn_unlearn.benchmarks.commands._options import (
    HYPER_PARAMETERS,
    PAIRED,
    make_parser,
    with_command,
)
from sklearn_unlearn.benchmarks.commands._scale import run_scale
from sklearn_unlearn.benchmarks.commands._shipped import run_shipped
from sklearn_unlearn.benchmarks.data._datasets import Problem, load_problem
from sklearn_unlearn.benchmarks.data._expand import expand
from sklearn_unlearn.benchmarks.data._forget_sets import make_request
from sklearn_unlearn.benchmarks.measure._compare import Plan
from sklearn_unlearn.benchmarks.measure._report import make_document, markdown, to_json
from sklearn_unlearn.benchmarks.methods._estimators import (
    ESTIMATORS,
    choose_preset,
    learns_from_positives,
    make_estimator,
)
from sklearn_unlearn.benchmarks.methods._implicit import Rival
from sklearn_unlearn.benchmarks.methods._settings import (
    SETTINGS,
    check_settings,
    make_settings,
    takes_unlearner,
)
from sklearn_unlearn.utils._command import check_output

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a benchmark.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments; None takes those of the process.

    Returns
    -------
    status : int
        0. Bad arguments end the process with status 2 and a message that says what was given, what
        was expected and what to do.
    """
    parser = make_parser()
    options = parser.parse_args(with_command(list(sys.argv[1:] if argv is None else argv), parser))
    try:
        check_output(options.json, "--json")
        if options.command == "encode":
            return run_encode(options)
        if options.command == "serve":
            from sklearn_unlearn.benchmarks.commands._serve import run_serve  # needs the extra

            return run_serve(options)
        if options.command in ("exact", "gpu"):
            run = run_exact if options.command == "exact" else run_gpu
            with threadpool_limits(options.jobs), _frozen_heap():
                return run(options)
        plan, measure = _prepare(options)
    except (ValueError, TypeError, OSError, ImportError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    with _limited_threads(options), _frozen_heap():
        fits, records = measure()
        shown = {key: value for key, value in vars(options).items() if key not in _PRIVATE}
        document = make_document(options.command, plan, shown, fits, records)
    print(markdown(document))
    if options.json is not None:
        options.json.write_text(to_json(document), encoding="utf-8")
    return 0


def _limited_threads(options: argparse.Namespace) -> threadpool_limits:
    """Hold BLAS to one thread beside implicit, which asks for that; else everything to --jobs."""
    if options.command in PAIRED:
        return threadpool_limits(1, user_api="blas")
    return threadpool_limits(options.jobs)


@contextmanager
def _frozen_heap() -> Iterator[None]:
    """Hide what is loaded from the garbage collector: else it is walked between all timings."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


# Paths are nobody's business, and the problem is described in full elsewhere.
_PRIVATE = ("command", "json", "problem", "quiet")


def _prepare(options: argparse.Namespace) -> tuple[Plan, Callable[[], Any]]:
    """Read data and names: all that can be wrong with the arguments is found here."""
    if getattr(options, "quick", False):
        _make_quick(options)
    problem = load_problem(
        options.problem,
        threshold=options.threshold,
        test_size=options.test_size,
        seed=options.split_seed,
        implicit=learns_from_positives(options.estimator),
    )
    estimator = make_estimator(
        options.estimator,
        choose_preset(options.preset, options.estimator, options.problem),
        _params_of(options),
        labels=problem.labels,
        n_jobs=options.jobs,
        seed=options.seed,
    )
    if not takes_unlearner(estimator) and options.command in ("cure4rec", "erase"):
        options.settings = ["default"]  # the names that these commands have are for the others
    if options.settings is None:
        options.settings = list(SETTINGS) if takes_unlearner(estimator) else ["default"]
    settings = make_settings(options.settings)
    check_settings(settings, estimator)
    plan = Plan(
        _as_for_implicit(problem, options) if options.command in PAIRED else problem,
        estimator,
        settings,
        options.repeats,
        options.refit_repeats,
        options.seed,
        options.loaded,
        options.certify,
        (lambda line: None) if options.quiet else (lambda line: print(line, file=sys.stderr)),
    )
    return plan, _runner(options, plan)


def _make_quick(options: argparse.Namespace) -> None:
    """Measure less, so that a command ends within two minutes on small data."""
    if options.command == "growth":
        options.factors, options.repeats = [1, 2], 2
        options.settings = (options.settings or ["tol=1e-2"])[:1]
        return
    if not options.params.strip() and options.estimator in ESTIMATORS:
        options.params = "n_factors=16"
    options.repeats = 1
    if options.command == "cure4rec":
        options.shares = options.shares[:1]
    else:
        options.shares, options.n_requests = options.shares[-1:], 8


def _params_of(options: argparse.Namespace) -> str:
    """Join --params and the hyper-parameters that have options of their own; those win."""
    given = [part for part in [options.params] if part.strip()]
    own = {name: getattr(options, name, None) for name in HYPER_PARAMETERS}
    return ",".join([*given, *(f"{name}={v!r}" for name, v in own.items() if v is not None)])


def _as_for_implicit(problem: Problem, options: argparse.Namespace) -> Problem:
    """Take single precision, as the other library does, and more data if asked for."""
    X = problem.X.astype(np.float32)
    copies = getattr(options, "expand", None)
    if copies is None:
        return replace(problem, X=X)
    users, items = copies
    name = f"{problem.name}, expanded {users} x {items} (synthetic)"
    large = expand(X, users, options.seed, item_factor=items)
    none: Any = tuple(part[:0] for part in problem.test)
    return replace(problem, name=name, X=large, test=none)


def _runner(options: argparse.Namespace, plan: Plan) -> Callable[[], Any]:
    X = plan.problem.X
    if options.command in ("forget", "learn", "als"):
        for name in options.requests:
            make_request(name, X, plan.seed)
    if options.command in PAIRED:
        rival = Rival.of(plan.estimator, options.jobs, options.iterations)
        if options.command == "als":
            return lambda: run_als(plan, options.requests, rival)
        if options.command == "shipped":
            return lambda: run_shipped(plan, rival)
        return lambda: run_scale(plan, sorted({1, *options.factors}), options.expansion, rival)
    if options.command == "forget":
        return lambda: _forget.run_forget(plan, options.requests)
    if options.command == "learn":
        return lambda: run_learn(plan, options.requests)
    if options.command == "batch":
        make_request(f"users-{max(options.sizes)}", X, plan.seed)
        return lambda: _forget.run_batch(plan, options.sizes)
    if options.command == "growth":
        return lambda: _forget.run_growth(plan, sorted({1, *options.factors}))
    if options.command == "cure4rec":
        return lambda: run_cure4rec(plan, options.groups, options.shares)
    if options.command == "erase":
        return lambda: run_erase(plan, options.shares, options.n_requests)
    _check_labels(plan)
    for share in options.shares:
        make_request(f"random-{share}", X, plan.seed)
    return lambda: _forget.run_ifru(plan, options.shares)


def _check_labels(plan: Plan) -> None:
    if plan.problem.implicit:
        raise ValueError(
            f"Got the estimator {type(plan.estimator).__name__}, which learns from what was "
            "observed; expected one that learns from labels, which can be flipped. Use "
            "MatrixFactorization."
        )
    if not plan.problem.labels:
        raise ValueError(
            "Got ratings; expected labels, which can be flipped. Pass --threshold to make labels "
            "of them."
        )
