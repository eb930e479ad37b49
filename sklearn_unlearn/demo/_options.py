"""The options of the command line, and how each is read."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.recommenders import MatrixFactorization

__all__ = ["make_parser"]

DESCRIPTION = """\
Fit a matrix factorisation, make it forget a user and a random part of the interactions, refit on
what remains from two other seeds, and show how much of the forgotten is left.

Without a file, on synthetic data. For the other commands (fit, recommend, forget, submit, flush,
...) see `sklearn-unlearn --help`, or the same by
`python -m sklearn_unlearn COMMAND --help`."""

EPILOG = """\
exit code: 0 if what is left is at most 1 % (or within the noise floor), 1 if not or if the noise
floor is above 10 %, 2 for options or data that cannot be used, 3 for a failure of the program, 130
after Ctrl-C

examples:
  python -m sklearn_unlearn
  python -m sklearn_unlearn ratings.csv
  python -m sklearn_unlearn ratings.csv --user 42 --json result.json
  python -m sklearn_unlearn plays.parquet --columns customer,track,plays --threshold 3"""


def make_parser() -> argparse.ArgumentParser:
    """Make the parser; the estimators' defaults are the command line's."""
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_unlearn",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for flag, (text, settings) in _OPTIONS.items():
        parser.add_argument(flag, help=text, **settings)
    model = MatrixFactorization()
    parser.set_defaults(
        factors=model.n_factors,
        regularization=model.regularization,
        bias_regularization=model.bias_regularization,
        tol=model.tol,
        forget_tol=InfluenceUnlearner().tol,
    )
    return parser


def _number(text: str, kind: type, low: float, high: float, expected: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected {expected}. Change it.")
    return value


def _count(text: str) -> int:
    return _number(text, int, 1, 10**9, "a whole number of at least 1")


def _users(text: str) -> int:
    return _number(text, int, 10, 10**6, "a whole number of at least 10")


def _seed(text: str) -> int:
    return _number(text, int, 0, 2**31, "a whole number from 0 to 2**31")


def _positive(text: str) -> float:
    return _number(text, float, 1e-300, 1e300, "a finite number above 0")


def _share(text: str) -> float:
    return _number(text, float, 1e-15, 0.5, "a share above 0 and at most 0.5")


def _threshold(text: str) -> float | None:
    if text == "auto":
        return None
    return _number(text, float, -1e300, 1e300, "'auto' or a finite number")


def _penalties(text: str) -> float | tuple[float, ...]:
    parts = tuple(_positive(part) for part in text.split(","))
    if len(parts) > 2:
        raise argparse.ArgumentTypeError(
            f"got {len(parts)} numbers; expected one, or one each for users and items. Drop some."
        )
    return parts if len(parts) == 2 else parts[0]


def _columns(text: str) -> dict[str, str | int]:
    names = text.split(",")
    if not 2 <= len(names) <= 4 or not all(names):
        raise argparse.ArgumentTypeError(
            f"got {text!r}; expected two or three names, such as user,item,rating, or four with "
            "a timestamp. Separate them by commas."
        )
    columns = [int(name) if name.isdecimal() else name for name in names]
    return dict(zip(("user", "item", "value", "timestamp"), columns, strict=False))


def _separator(text: str) -> str:
    return "\t" if text == r"\t" else text


_IDS: dict[str, Any] = {"nargs": "+", "action": "extend", "default": [], "metavar": "ID"}
_SHOWN = "(default: %(default)s)"

# flag: its help, and the other arguments of add_argument
_OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "file": (
        "events with user, item and value: CSV, TSV and other text, JSON lines, Parquet or npz, "
        "each also compressed or in a zip archive, or a folder of parts",
        {"nargs": "?", "metavar": "EVENTS_FILE"},
    ),
    "--user": ("users to forget (default: one of median activity)", _IDS),
    "--item": ("items to forget", _IDS),
    "--columns": (
        "names of the columns, or positions from 0 where there is no header (default: usual names)",
        {"type": _columns, "default": {}, "metavar": "USER,ITEM[,VALUE[,TIMESTAMP]]"},
    ),
    "--header": (
        "whether the first line of text holds names (default: by what it holds)",
        {"action": argparse.BooleanOptionalAction},
    ),
    "--sep": (
        r"separator of text, such as ';', '\t', or '\s+' for blanks (default: by the first lines)",
        {"type": _separator, "metavar": "TEXT"},
    ),
    "--quoting": (
        "whether quotes may enclose fields of text (minimal) or are part of it (none)",
        {"choices": ["minimal", "none"]},
    ),
    "--encoding": ("encoding of text, such as latin-1 (default: utf-8)", {"metavar": "NAME"}),
    "--zeros": (
        "whether events of value 0 are no ratings (drop) or values (keep) (default: drop, where "
        "there are two other values)",
        {"choices": ["drop", "keep"]},
    ),
    "--member": ("file in a zip archive (default: the only one)", {"metavar": "NAME"}),
    "--loss": (
        "logistic: likes and dislikes; squared: ratings; auto is logistic (default: auto)",
        {"choices": ["auto", "logistic", "squared"], "default": "auto"},
    ),
    "--threshold": (
        "a value from here on is a like (default: auto, which is 4 of 5 stars or the mean)",
        {"type": _threshold, "default": "auto", "metavar": "auto|FLOAT"},
    ),
    "--factors": (f"cap on the rank {_SHOWN}", {"type": _count, "metavar": "N"}),
    "--regularization": (
        f"penalty of the factors {_SHOWN}",
        {"type": _positive, "metavar": "FLOAT"},
    ),
    "--bias-regularization": (
        f"penalty of user and item biases {_SHOWN}",
        {"type": _penalties, "metavar": "FLOAT[,FLOAT]"},
    ),
    "--share": (
        f"share of the interactions to forget at random {_SHOWN}",
        {"type": _share, "default": 0.01, "metavar": "FLOAT"},
    ),
    "--tol": (f"gradient tolerance of fits {_SHOWN}", {"type": _positive, "metavar": "FLOAT"}),
    "--forget-tol": (
        f"share of the gradient that forgetting may leave {_SHOWN}",
        {"type": _share, "metavar": "FLOAT"},
    ),
    "--jobs": ("threads (default: 1)", {"type": _count, "metavar": "N"}),
    "--seed": (f"seed {_SHOWN}", {"type": _seed, "default": 0, "metavar": "N"}),
    "--n-users": (
        f"users of the synthetic data {_SHOWN}",
        {"type": _users, "default": 2000, "metavar": "N"},
    ),
    "--json": ("also write the results to a JSON file", {"type": Path, "metavar": "FILE"}),
}
