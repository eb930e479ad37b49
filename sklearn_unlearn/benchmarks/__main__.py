"""Command line: ``python -m sklearn_unlearn.benchmarks --help``."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from sklearn_unlearn.benchmarks import _run
from sklearn_unlearn.benchmarks._compare import Plan
from sklearn_unlearn.benchmarks._estimators import (
    ESTIMATORS,
    PRESETS,
    SETTINGS,
    make_estimator,
    make_settings,
)
from sklearn_unlearn.benchmarks._problems import load_problem
from sklearn_unlearn.benchmarks._report import make_document, markdown, to_json
from sklearn_unlearn.benchmarks._requests import REQUESTS, make_request

__all__ = ["main"]

_COMMANDS = ("forget", "growth", "batch", "ifru")

_DESCRIPTION = """\
What forgetting costs, and how close to a refit it ends. Prints a Markdown table.

commands (COMMAND --help lists the options of each):
  forget   several requests and ways to forget, against refits (the default)
  growth   cost of one user's request as the data grow at the same degrees
  batch    cost of one request in batches of several users
  ifru     flip labels, fit, forget the flipped: the protocol of the IFRU paper
"""

_PROBLEM = """\
'synthetic' or 'synthetic-USERS' (made); 'events:PATH' (CSV, Parquet, ... with ids);
'npz:PATH' with arrays user, item, rating or label, or train_user, train_item, train_label
and the same for test (default: %(default)s)"""


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
    parser = _parser()
    options = parser.parse_args(_with_command(list(sys.argv[1:] if argv is None else argv), parser))
    try:
        plan, run = _prepare(options)
    except (ValueError, TypeError, OSError, ImportError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    with threadpool_limits(options.jobs), _frozen_heap():
        fits, records = run()
        shown = {key: value for key, value in vars(options).items() if key not in _PRIVATE}
        document = make_document(options.command, plan, shown, fits, records)
    print(markdown(document))
    if options.json is not None:
        options.json.write_text(to_json(document), encoding="utf-8")
    return 0


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


def _with_command(argv: list[str], parser: argparse.ArgumentParser) -> list[str]:
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        return ["forget", *argv]
    if argv[0] not in (*_COMMANDS, "-h", "--help"):
        parser.exit(
            2,
            f"{parser.prog}: error: Got the command {argv[0]!r}; expected "
            f"{', '.join(_COMMANDS)}. Choose one, or leave it out for forget.\n",
        )
    return argv


def _prepare(options: argparse.Namespace) -> tuple[Plan, Callable[[], Any]]:
    """Read data and names: all that can be wrong with the arguments is found here."""
    problem = load_problem(
        options.problem,
        threshold=options.threshold,
        test_size=options.test_size,
        seed=options.split_seed,
    )
    preset = options.preset or ("synthetic" if options.problem.startswith("synthetic") else "ml")
    estimator = make_estimator(
        options.estimator,
        preset,
        options.params,
        labels=problem.labels,
        n_jobs=options.jobs,
        seed=options.seed,
    )
    if options.json is not None and not options.json.parent.is_dir():
        raise FileNotFoundError(
            f"Got --json {str(options.json)!r}; expected a file in a folder that exists. Make the "
            "folder first."
        )
    plan = Plan(
        problem,
        estimator,
        make_settings(options.settings),
        options.repeats,
        options.refit_repeats,
        options.seed,
        options.loaded,
        (lambda line: None) if options.quiet else (lambda line: print(line, file=sys.stderr)),
    )
    return plan, _runner(options, plan)


def _runner(options: argparse.Namespace, plan: Plan) -> Callable[[], Any]:
    X = plan.problem.X
    if options.command == "forget":
        for name in options.requests:
            make_request(name, X, plan.seed)
        return lambda: _run.run_forget(plan, options.requests)
    if options.command == "batch":
        make_request(f"users-{max(options.sizes)}", X, plan.seed)
        return lambda: _run.run_batch(plan, options.sizes)
    if options.command == "growth":
        return lambda: _run.run_growth(plan, sorted({1, *options.factors}))
    if not plan.problem.labels:
        raise ValueError(
            "Got ratings; expected labels, which can be flipped. Pass --threshold to make labels "
            "of them."
        )
    for share in options.shares:
        make_request(f"random-{share}", X, plan.seed)
    return lambda: _run.run_ifru(plan, options.shares)


# -- the parser ----------------------------------------------------------------------------------
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_unlearn.benchmarks",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    made = {name: commands.add_parser(name, allow_abbrev=False) for name in _COMMANDS}
    for command in made.values():
        _add_common(command)
    made["forget"].add_argument(
        "--requests", type=_words, default=list(REQUESTS), metavar="NAMES",
        help="pair, median-user, heavy-user, users-N, random-P%%; default: all of "
        + ",".join(REQUESTS).replace("%", "%%"),
    )  # fmt: skip
    made["growth"].add_argument(
        "--factors", type=_counts, default=[1, 4, 10], metavar="NUMBERS",
        help="how many times the interactions (default: 1,4,10)",
    )  # fmt: skip
    made["batch"].add_argument(
        "--sizes", type=_counts, default=[1, 10, 100], metavar="NUMBERS",
        help="users a batch (default: 1,10,100)",
    )  # fmt: skip
    made["ifru"].add_argument(
        "--shares", type=_words, default=["1%", "2%"], metavar="SHARES",
        help="labels to flip; those that the file names (n_keep_1pct), else a draw "
        "(default: 1%%,2%%)",
    )  # fmt: skip
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--problem", default="synthetic", help=_PROBLEM)
    add("--threshold", type=_real, help="values from it on are labelled +1, those below -1")
    add("--test-size", type=_share, default=0.2, help="share to hold out (default: %(default)s)")
    add("--split-seed", type=_count_from(0), default=0, help="seed of that draw, and of made data")
    add("--estimator", default="MatrixFactorization", help=", ".join(ESTIMATORS))
    presets = sorted({name for known in PRESETS.values() for name in known})
    add("--preset", help=f"hyper-parameters: {', '.join(presets)} (default: ml for files)")
    add("--params", default="", help="more of them: 'n_factors=24,regularization=10'")
    add("--settings", type=_words, default=list(SETTINGS), metavar="NAMES",
        help="ways to forget: default, tol=NUMBER, one-step (IFRU's) (default: all)")  # fmt: skip
    add("--repeats", type=_count_from(1), default=5, help="timed forgets (default: %(default)s)")
    add("--refit-repeats", type=_count_from(1), default=1, help="timed refits (default: 1)")
    add("--seed", type=_count_from(0), default=0, help="of the fit and the requests (default: 0)")
    add("--jobs", type=_count_from(1), default=1, help="threads (default: %(default)s)")
    add("--loaded", action="store_true",
        help="time models as just loaded from disk, without derived arrays")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="also write everything to a file")
    add("--quiet", action="store_true", help="print no progress")


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    return _expect(words, text, "names separated by commas", "Name at least one.")


def _counts(text: str) -> list[int]:
    numbers = [_count_from(1)(word) for word in text.split(",")]
    return sorted(set(numbers))


def _count_from(least: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        known = text.strip().isdecimal() and int(text) >= least
        _expect(known, text, f"an integer from {least} on", "Write digits only.")
        return int(text)

    return count


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return _expect(None, text, "a number", "Write, for instance, 4.")


def _share(text: str) -> float:
    value = _real(text)
    _expect(0 <= value < 1, text, "a number from 0 to below 1", "Write, for instance, 0.2.")
    return value


def _expect(value: Any, given: str, expected: str, advice: str) -> Any:
    if not value:
        raise argparse.ArgumentTypeError(f"Got {given!r}; expected {expected}. {advice}")
    return value


if __name__ == "__main__":
    sys.exit(main())
