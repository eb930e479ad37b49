"""The command line: options, errors and exit codes."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_unlearn._version import __version__
from sklearn_unlearn.demo import _text
from sklearn_unlearn.demo._data import Problem, file_events, make_problem, synthetic_events
from sklearn_unlearn.demo._experiment import run, warm_up
from sklearn_unlearn.demo._options import make_parser
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.recommenders import MatrixFactorization
from sklearn_unlearn.utils._command import BAD_INPUT, NOT_VERIFIED, VERIFIED, check_output

__all__ = ["main"]

# What unusable data or a full disk can raise once the work has begun; anything else is a fault.
_BAD_DATA = (ValueError, ArithmeticError, OSError, MemoryError)


def main(argv: list[str] | None = None) -> int:
    """Run the demo.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; those of the process if None.

    Returns
    -------
    code : int
        0 if forgetting was verified, 1 if not, 2 if the input cannot be used.

    Raises
    ------
    SystemExit
        For ``--help`` (code 0) and options that cannot be parsed (code 2).
    """
    options = make_parser().parse_args(argv)
    try:
        _check_output(options)
        problem = _problem(options)
    except (ValueError, TypeError, OSError, ImportError) as error:
        return _refuse(str(error))
    try:
        return _report(problem, options)
    except BrokenPipeError:
        raise
    except _BAD_DATA as error:
        return _refuse(str(error) or type(error).__name__)


def _refuse(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return BAD_INPUT


def _report(problem: Problem, options: argparse.Namespace) -> int:
    """Run the experiment and write what was asked for."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result, verified = _run(problem, options)
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        print(f"note: {message}")
    if options.json is not None:
        result["warnings"] = [str(warning.message) for warning in caught]
        text = json.dumps(_plain(result), indent=2, allow_nan=False)
        options.json.write_text(text + "\n", encoding="utf-8")
        print(f"\nWritten to {options.json}.")
    return VERIFIED if verified else NOT_VERIFIED


def _run(problem: Problem, options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """Run the experiment, print it as it goes, and return it for JSON."""
    model = MatrixFactorization(
        options.factors,
        loss=problem.loss,
        regularization=options.regularization,
        bias_regularization=options.bias_regularization,
        tol=options.tol,
        unlearner=InfluenceUnlearner(tol=options.forget_tol),
        n_jobs=options.jobs,
    )
    _say(_text.data_text(problem))
    _say(f"Penalty    {model.regularization:g}, biases {model.bias_regularization}")
    _say("\nCompiling on tiny data first, so that it is not in the times below ...")
    warm_up(model)
    fitted, results = run(problem, model, options.share, options.seed, _say)
    _say(_text.fit_text(problem, fitted))
    _say(_text.result_text(problem, results))
    _say("\n" + _text.verdict(results))
    verified = all(result.verified for result in results)
    X = problem.X_train
    return {
        "version": __version__,
        "machine": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "processor": platform.machine(),
            "n_cpus": os.cpu_count(),
        },
        "data": {
            "source": Path(problem.source).name,
            "layout": problem.layout,
            "reading": problem.reading,
            "n_users": X.shape[0],
            "n_items": X.shape[1],
            "n_train": X.nnz,
            "n_test": problem.X_test.nnz,
        },
        "model": {**model.get_params(), "unlearner": "influence", "random_state": options.seed},
        "measure": "rmse" if problem.loss == "squared" else "auc",
        "fit": fitted.to_dict(),
        "requests": [result.to_dict() for result in results],
        "verified": verified,
    }, verified


def _problem(options: argparse.Namespace) -> Problem:
    loss = options.loss
    if loss == "squared" and options.threshold is not None:
        raise ValueError(
            f"Got --threshold {options.threshold:g} with --loss squared; expected no threshold, "
            "since ratings are fitted as they are. Drop one of the two."
        )
    if options.file is None:
        source = "synthetic data (a low-rank truth with noise)"
        events, layout = synthetic_events(options.n_users, loss, options.seed), ""
    else:
        names = ("header", "sep", "quoting", "encoding", "zeros", "member")
        text = {name: getattr(options, name) for name in names}
        source = options.file
        events, layout = file_events(source, options.columns, **text)
    return make_problem(
        events,
        source,
        loss=loss,
        threshold=options.threshold,
        user_ids=options.user,
        item_ids=options.item,
        seed=options.seed,
        layout=layout,
    )


def _check_output(options: argparse.Namespace) -> None:
    """Refuse a file of results that cannot be written, or that is the file of events."""
    path, file = options.json, options.file
    check_output(path, "--json")
    if path is None or file is None or not (path.exists() and Path(file).exists()):
        return
    if path.samefile(file):
        raise ValueError(
            f"Got --json '{path}', which is the file of events; expected another one, as results "
            "would take its place. Choose another name."
        )


def _plain(value: Any) -> Any:
    """Make a value fit for JSON: NumPy scalars become Python's, and what is not finite null."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _say(line: str) -> None:
    print(line, flush=True)
