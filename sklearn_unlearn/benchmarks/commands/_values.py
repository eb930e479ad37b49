"""Values of options, read from text."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any

from sklearn_unlearn.benchmarks.methods._import_path import split_names

__all__ = [
    "count_from",
    "read_copies",
    "read_counts",
    "read_data_path",
    "read_names",
    "read_names_of",
    "read_real",
    "read_reals",
    "read_share",
]


def read_copies(text: str) -> tuple[int, int]:
    """Read how many copies to make: ``"8x1"`` of users and of items."""
    known = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text.strip())
    _expect(known, text, "two numbers, copies of users and of items", "Write, for instance, 8x1.")
    assert known is not None
    return int(known[1]), int(known[2])


def read_data_path(path: str) -> str:
    """Write a path to a file as a problem."""
    return f"{'npz' if path.endswith('.npz') else 'events'}:{path}"


def read_names(text: str) -> list[str]:
    """Read names separated by commas; commas in parentheses separate none."""
    return _expect(split_names(text), text, "names separated by commas", "Name at least one.")


def read_names_of(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Make a reader of names, each of which has to be known."""

    def read(text: str) -> list[str]:
        found = read_names(text)
        _expect(set(found) <= set(known), text, f"some of {', '.join(known)}", "Name these only.")
        return found

    return read


def read_counts(text: str) -> list[int]:
    """Read numbers from 1 on; sort them."""
    numbers = [count_from(1)(word) for word in text.split(",")]
    return sorted(set(numbers))


def count_from(least: int) -> Callable[[str], int]:
    """Make a reader of integers that are not too small."""

    def read(text: str) -> int:
        known = text.strip().isdecimal() and int(text) >= least
        _expect(known, text, f"an integer from {least} on", "Write digits only.")
        return int(text)

    return read


def read_real(text: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        return _expect(None, text, "a number", "Write, for instance, 4.")


def read_reals(text: str) -> list[float]:
    """Read numbers above 0; sort them."""
    numbers = sorted({read_real(word) for word in text.split(",")})
    known = all(0 < number < 100 for number in numbers)
    _expect(known, text, "numbers above 0 and below 100", "Write, for instance, 5,10.")
    return numbers


def read_share(text: str) -> float:
    """Read a share below 1."""
    value = read_real(text)
    _expect(0 <= value < 1, text, "a number from 0 to below 1", "Write, for instance, 0.2.")
    return value


def _expect(value: Any, given: str, expected: str, advice: str) -> Any:
    if not value:
        raise argparse.ArgumentTypeError(f"Got {given!r}; expected {expected}. {advice}")
    return value
