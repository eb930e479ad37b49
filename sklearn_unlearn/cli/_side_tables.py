"""Tables beside a model that some requests need: categories of items, and times of events."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from sklearn_unlearn.cli._options import Reader, reader_of
from sklearn_unlearn.datasets import load_interactions

__all__ = ["CategoryFile", "EventFile", "side_tables"]

CategoryFile = Annotated[
    Path | None,
    typer.Option("--categories", help="CSV of item and category, with a header; see --category."),
]
EventFile = Annotated[
    Path | None,
    typer.Option("--events", help="Table of events with a column of times; see --before."),
]


def side_tables(model: Any, categories: Path | None, events: Path | None) -> dict[str, Any]:
    """Return the arguments of `DeletionService` that the files are for; not those left out."""
    if categories is None and events is None:
        return {}
    if model is None:
        raise ValueError(
            "--categories or --events was given without a model; expected one, by which their ids "
            "are read. Pass --model."
        )
    read = reader_of(model, None)
    found: dict[str, Any] = {}
    if categories is not None:
        found["categories"] = _categories(categories, read)
    if events is not None:
        found["event_times"] = _event_times(events, read)
    return found


def _categories(path: Path, read: Reader) -> dict[Any, str]:
    """Read the category of each item."""
    found: dict[Any, str] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = _lines(csv.reader(file))
        _, header = next(rows, (0, []))
        if len(header) == 2 and header[1].strip().lower() != "category":
            raise ValueError(
                "the categories have no header; expected a first line that names the columns, the "
                "second category. Put item,category there."
            )
        for number, row in rows:
            if not row:
                continue
            if len(row) != 2:
                raise ValueError(
                    f"line {number} of the categories has {len(row)} columns; expected item "
                    "and category. Correct the file."
                )
            item = read.item(row[0])
            if found.setdefault(item, row[1]) != row[1]:
                raise ValueError(
                    f"line {number} of the categories gives an item another category than a "
                    "line before; expected one category for each item. Correct the file."
                )
    return found


def _lines(rows: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file with the number of the line that each ends at."""
    try:
        for row in rows:
            yield rows.line_num, row
    except csv.Error as error:
        raise ValueError(
            f"line {rows.line_num} of the categories cannot be read ({error}); expected item and "
            "category. Correct the file."
        ) from None


def _event_times(path: Path, read: Reader) -> tuple[list[Any], list[Any], Any]:
    """Read users, items and times of the events."""
    events = load_interactions(path)
    if events.timestamp is None:
        raise ValueError(
            "the table of events has no times; expected a column such as timestamp. Name it so, or "
            "pass a table that has one."
        )
    users = [read.user(str(one)) for one in events.user.tolist()]
    items = [read.item(str(one)) for one in events.item.tolist()]
    return users, items, events.timestamp
