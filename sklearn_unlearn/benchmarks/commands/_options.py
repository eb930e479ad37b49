"""The arguments of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sklearn_unlearn.benchmarks.commands._als import ALS_REQUESTS, ALS_SETTINGS
from sklearn_unlearn.benchmarks.commands._cure4rec import CURE_SETTINGS, CURE_SHARES, GROUPS
from sklearn_unlearn.benchmarks.commands._encode import IDS, LIBRARIES
from sklearn_unlearn.benchmarks.commands._erase import ERASE_SETTINGS, ERASE_SHARES
from sklearn_unlearn.benchmarks.commands._exact import EXACT, EXACT_REQUESTS
from sklearn_unlearn.benchmarks.commands._gpu import GPU_REQUESTS
from sklearn_unlearn.benchmarks.commands._learn import LEARN_REQUESTS
from sklearn_unlearn.benchmarks.commands._scale import EXPANSIONS, SCALE_SETTINGS
from sklearn_unlearn.benchmarks.commands._values import (
    count_from,
    read_copies,
    read_counts,
    read_data_path,
    read_names,
    read_names_of,
    read_real,
    read_reals,
    read_share,
)
from sklearn_unlearn.benchmarks.data._forget_sets import REQUESTS
from sklearn_unlearn.benchmarks.methods._estimators import ESTIMATORS, PRESETS

__all__ = ["HYPER_PARAMETERS", "PAIRED", "make_parser", "with_command"]

_COMMANDS = (
    "forget", "learn", "growth", "batch", "ifru", "cure4rec", "erase", "als", "shipped", "scale",
)  # fmt: skip
_OTHERS = ("encode", "exact", "gpu", "serve")
#: Commands that compare `ALS` with implicit.
PAIRED = ("als", "shipped", "scale")

_DESCRIPTION = """\
What forgetting costs, and how close to a refit it ends. Prints a Markdown table.

commands (COMMAND --help lists the options of each):
  forget   several requests and ways to forget, against refits (the default)
  learn    forget, learn and correct the same interactions, against refits
  growth   cost of one user's request as the data grow at the same degrees
  batch    cost of one request in batches of several users
  ifru     flip labels, fit, forget the flipped: the protocol of the IFRU paper
  cure4rec forget core, edge or random users, 5 to 20 %: the protocol of CURE4Rec
  erase    small requests one after the other, refits on the way: the protocol of ERASE
  als      ALS, fitted here and taken over, against refits by implicit
  shipped  default requests of every kind to ALS stopped early, in times of retraining
  scale    time and memory of ALS as the data grow, beside implicit
  encode   time and memory of InteractionEncoder, by library and kind of ids
  exact    models in closed form: speed, and how far from a refit, once and in a row
  gpu      models on the CPU and on a GPU: parity, pace of a product, times
  serve    latency of lists while deletion requests are pending and flushed

Estimators and settings of forget, learn, growth, batch, ifru, cure4rec and erase are short names or
import paths:
  --estimator mypackage.models:MyModel
  --settings "default,mypackage.rivals:GradientAscent(n_steps=20)"
A setting is then any class with unlearn(problem), and an estimator any with fit, forget, recommend
and predict_pairs.
"""

_PROBLEM = """\
'synthetic' or 'synthetic-USERS' (made); 'events:PATH' (CSV, Parquet, ... with ids);
'npz:PATH' with arrays user, item, rating or label, or train_user, train_item, train_label
and the same for test (default: %(default)s)"""


def with_command(argv: list[str], parser: argparse.ArgumentParser) -> list[str]:
    """Put in the command that was left out."""
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        return ["forget", *argv]
    if argv[0] not in (*_COMMANDS, *_OTHERS, "-h", "--help"):
        parser.exit(
            2,
            f"{parser.prog}: error: Got the command {argv[0]!r}; expected "
            f"{', '.join((*_COMMANDS, *_OTHERS))}. Choose one, or leave it out for forget.\n",
        )
    return argv


# -- the parser ----------------------------------------------------------------------------------
def make_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_unlearn.benchmarks",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    made = {name: commands.add_parser(name, allow_abbrev=False) for name in _COMMANDS}
    for name, command in made.items():
        _add_common(command)
        if name in PAIRED:
            _add_paired(command)
        else:
            _add_estimator(command)
    for name, requests in (
        ("forget", REQUESTS), ("learn", LEARN_REQUESTS), ("als", ALS_REQUESTS),
    ):  # fmt: skip
        made[name].add_argument(
            "--requests", type=read_names, default=list(requests), metavar="NAMES",
            help="pair, pairs-N, median-user, heavy-user, user-Q%%, item-Q%%, users-N, users-P%%, "
            "random-P%%; default: all of "
            + ",".join(requests).replace("%", "%%"),
        )  # fmt: skip
    _add_growth(made["growth"])
    made["batch"].add_argument(
        "--sizes", type=read_counts, default=[1, 10, 100], metavar="NUMBERS",
        help="users a batch (default: 1,10,100)",
    )  # fmt: skip
    made["ifru"].add_argument(
        "--shares", type=read_names, default=["1%", "2%"], metavar="SHARES",
        help="labels to flip; those that the file names (n_keep_1pct), else a draw "
        "(default: 1%%,2%%)",
    )  # fmt: skip
    _add_cure4rec(made["cure4rec"])
    _add_erase(made["erase"])
    _add_als(made["als"])
    _add_shipped(made["shipped"])
    _add_scale(made["scale"])
    _add_encode(commands.add_parser("encode", allow_abbrev=False))
    _add_exact(commands.add_parser("exact", allow_abbrev=False))
    _add_gpu(commands.add_parser("gpu", allow_abbrev=False))
    _add_serve(commands.add_parser("serve", allow_abbrev=False))
    return parser


def _add_growth(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--factors", type=read_counts, default=[1, 4, 16], metavar="NUMBERS",
        help="how many times the interactions (default: 1,4,16)",
    )  # fmt: skip
    parser.add_argument(
        "--quick",
        action="store_true",
        help="factors 1,2, the first of --settings or tol=1e-2, two repeats",
    )


def _add_cure4rec(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--groups", type=read_names_of(tuple(GROUPS)), default=list(GROUPS), metavar="NAMES",
        help=f"of {','.join(GROUPS)} (default: all)")  # fmt: skip
    add("--shares", type=read_reals, default=list(CURE_SHARES), metavar="PERCENT",
        help="of the users (default: 5,10,15,20)")  # fmt: skip
    add("--quick", action="store_true",
        help="the least share alone, 16 factors unless --params says")  # fmt: skip
    parser.set_defaults(estimator="ALS", repeats=1, settings=list(CURE_SETTINGS), certify=False)


def _add_erase(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--shares", type=read_reals, default=list(ERASE_SHARES), metavar="SHARES",
        help="of the interactions, a request (default: 1e-6,1e-5,1e-4)")  # fmt: skip
    add("--n-requests", type=count_from(4), default=40, metavar="NUMBER",
        help="in a sequence (default: %(default)s)")  # fmt: skip
    add("--quick", action="store_true", 
        help="eight requests of the largest share, 16 factors unless --params says")  # fmt: skip
    parser.set_defaults(estimator="ALS", settings=list(ERASE_SETTINGS), certify=False)


def _add_als(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--expand", type=read_copies, metavar="USERSxITEMS",
        help="copy users and items so many times, '8x1' keeps the density: synthetic data",
    )  # fmt: skip
    parser.set_defaults(repeats=15, refit_repeats=3, settings=list(ALS_SETTINGS))


def _add_shipped(parser: argparse.ArgumentParser) -> None:
    # As other libraries train: so many sweeps, and no more.
    parser.set_defaults(settings=["default"], n_sweeps=15, max_iter=0, refit_repeats=3)


def _add_scale(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--factors", type=read_counts, default=[1, 4, 16], metavar="NUMBERS",
        help="how many times the interactions (default: 1,4,16)",
    )  # fmt: skip
    parser.add_argument(
        "--expansion", choices=list(EXPANSIONS), default="fractal",
        help="how more data are made: degrees as unequal as they are, or each as it is "
        "(default: %(default)s)",
    )  # fmt: skip
    # A model is enough to forget from: its training is not what is measured.
    parser.set_defaults(settings=list(SCALE_SETTINGS), n_sweeps=2, max_iter=0)


def _add_encode(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    for name, size in (("events", 1_000_000), ("users", 1_000_000), ("items", 100_000)):
        add(f"--n-{name}", type=count_from(1), default=size, metavar="NUMBER",
            help="made ones (default: %(default)s)")  # fmt: skip
    for option, known in (("--libraries", LIBRARIES), ("--ids", IDS)):
        add(option, type=read_names_of(known), default=list(known), metavar="NAMES",
            help=f"of {','.join(known)} (default: all)")  # fmt: skip
    add("--repeats", type=count_from(1), default=3, help="timed calls (default: %(default)s)")
    add("--seed", type=count_from(0), default=0, help="of the data (default: 0)")
    add("--json", type=Path, metavar="FILE", help="also write everything to a file")
    add("--quiet", action="store_true", help="print no progress")


def _add_serve(parser: argparse.ArgumentParser) -> None:
    for name, size in (
        ("users", 20_000), ("items", 5_000), ("factors", 64), ("requests", 200),
        ("questions", 2_000),
    ):  # fmt: skip
        parser.add_argument(f"--n-{name}", type=count_from(1), default=size, metavar="NUMBER",
                            help="how many (default: %(default)s)")  # fmt: skip
    parser.add_argument("--seed", type=count_from(0), default=0, help="of data, model and users")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write it to a file")


def _add_exact(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_problem(parser)
    add("--estimator", choices=sorted(EXACT), default="EASE", help="(default: %(default)s)")
    add("--params", default="", help="of it: 'regularization=300'")
    add("--requests", type=read_names, default=list(EXACT_REQUESTS), metavar="NAMES",
        help="as for forget; default: " + ",".join(EXACT_REQUESTS).replace("%", "%%"))  # fmt: skip
    add("--sequence", type=count_from(0), default=0, metavar="NUMBER",
        help="requests one after the other (default: none)")  # fmt: skip
    for name, what in (("repeats", "forgets"), ("refit-repeats", "refits")):
        add(f"--{name}", type=count_from(1), default=3, help=f"timed {what} (default: 3)")
    add("--jobs", type=count_from(1), default=2, help="threads (default: %(default)s)")
    add("--seed", type=count_from(0), default=0, help="of the requests (default: 0)")
    add("--json", type=Path, metavar="FILE", help="also write everything to a file")
    add("--quiet", action="store_true", help="print no progress")


def _add_gpu(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_problem(parser)
    add("--device", choices=["cuda", "cpu"], default="cuda",
        help="where torch computes; cpu needs no GPU (default: %(default)s)")  # fmt: skip
    add("--estimator", default="LightGCN", help=f"{', '.join(ESTIMATORS)} (default: %(default)s)")
    add("--preset", help="hyper-parameters, as for forget")
    add("--params", default="", help="more of them: 'n_factors=64,n_layers=3'")
    add("--requests", type=read_names, default=list(GPU_REQUESTS), metavar="NAMES",
        help="as for forget; default: " + ",".join(GPU_REQUESTS).replace("%", "%%"))  # fmt: skip
    counts = (("products", "products", 20), ("repeats", "forgets", 3), ("refit-repeats", "fits", 1))
    for name, what, number in counts:
        add(f"--{name}", type=count_from(1), default=number, metavar="NUMBER",
            help=f"timed {what} (default: %(default)s)")  # fmt: skip
    add(
        "--jobs",
        type=count_from(1),
        default=1,
        help="threads on the CPU (default: %(default)s)",
    )
    add("--seed", type=count_from(0), default=0, help="of fits and requests (default: 0)")
    add("--json", type=Path, metavar="FILE", help="also write everything to a file")
    add("--quiet", action="store_true", help="print no progress")


def _add_problem(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--problem", default="synthetic", help=_PROBLEM)
    source.add_argument(
        "--data", dest="problem", type=read_data_path, default=argparse.SUPPRESS, metavar="PATH",
        help="a file instead: npz:PATH if it ends so, else events:PATH",
    )  # fmt: skip
    add("--threshold", type=read_real, help="values from it on are labelled +1, those below -1")
    add("--test-size", type=read_share, default=0.2, help="share to hold out (default: 0.2)")
    add(
        "--split-seed",
        type=count_from(0),
        default=0,
        help="seed of that draw, and of made data",
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_problem(parser)
    presets = sorted({name for known in PRESETS.values() for name in known})
    add("--preset", help=f"hyper-parameters: {', '.join(presets)} (default: ml for files)")
    add("--params", default="", help="more of them: 'n_factors=24,regularization=10'")
    add("--settings", type=read_names, metavar="NAMES",
        help="default, tol=NUMBER, one-step (IFRU's), touched, touched xN; rivals: scif, lissa, "
        "gif, fine-tuning, noisy-fine-tuning, gradient-ascent; for LightGCN old-graph, "
        "unpropagated; or anything with unlearn(problem): 'rivals:Ascent(n_steps=5)'")  # fmt: skip
    add("--repeats", type=count_from(1), default=5, help="timed forgets (default: %(default)s)")
    add(
        "--refit-repeats",
        type=count_from(1),
        default=1,
        help="timed refits (default: %(default)s)",
    )
    add(
        "--seed",
        type=count_from(0),
        default=0,
        help="of the fit and the requests (default: 0)",
    )
    add("--jobs", type=count_from(1), default=1, help="threads (default: %(default)s)")
    add("--loaded", action="store_true",
        help="time models as just loaded from disk, without derived arrays")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="also write everything to a file")
    add("--quiet", action="store_true", help="print no progress")


def _add_estimator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--estimator", default="MatrixFactorization",
        help=f"{', '.join(ESTIMATORS)}, or module:Class (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--no-certify", dest="certify", action="store_false", help="leave out certificates"
    )


def _add_paired(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    for name, kind in HYPER_PARAMETERS.items():
        add(f"--{name.replace('_', '-')}", type=kind, metavar="NUMBER",
            help="of ALS, instead of the preset's")  # fmt: skip
    add("--iterations", type=count_from(1), default=15, metavar="NUMBER",
        help="of implicit (default: %(default)s)")  # fmt: skip
    add("--certify", action="store_true", help="certify models fitted here: can take long")
    # What implicit is commonly run with; BLAS has one thread, as it asks for.
    parser.set_defaults(estimator="ALS", jobs=2)


#: Hyper-parameters of `ALS` that have an option of their own.
HYPER_PARAMETERS: dict[str, Callable[[str], Any]] = {
    "n_factors": count_from(1),
    "regularization": read_real,
    "alpha": read_real,
    "n_sweeps": count_from(0),
    "max_iter": count_from(0),
    "tol": read_real,
}
