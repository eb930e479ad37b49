"""What the commands print: one JSON text, or a table for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["say", "show", "show_rows"]

_WIDE = 240


def say(text: str) -> None:
    """Print a line for people on standard error, where it disturbs no pipe."""
    Console(stderr=True).print(escape(text), highlight=False, soft_wrap=True)


def show(fields: Mapping[str, Any], as_json: bool) -> None:
    """Print named values."""
    if as_json:
        print(json.dumps(_plain(fields)))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in fields.items():
        table.add_row(name.replace("_", " "), escape(_text(value)))
    _console().print(table)


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    """Print rows of named values, as one JSON list or a table."""
    if as_json:
        print(json.dumps([{name: _plain(row[name]) for name in columns} for row in rows]))
        return
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(escape(_text(row[name])) for name in columns))
    _console().print(table)


def _console() -> Console:
    """Return the standard output; where it is no terminal, lines are as long as they need."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDE)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
