"""Options that several commands share, and how they are read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from sklearn_unlearn.audit import DeletionRequest, load
from sklearn_unlearn.audit._names import Names

__all__ = [
    "KEY",
    "Before",
    "Categories",
    "IdType",
    "Items",
    "Json",
    "KeyFile",
    "Model",
    "Pairs",
    "StoreUrl",
    "Users",
    "existing_store",
    "key_of",
    "load_model",
    "reader_of",
    "request_fields",
    "request_of",
]

KEY = "SKLEARN_UNLEARN_KEY"


class IdType(StrEnum):
    """What the ids of a request are."""

    INT = "int"
    TEXT = "text"
    UUID = "uuid"


Model = Annotated[Path, typer.Argument(help="Snapshot of a model, as `fit` writes it.")]
StoreUrl = Annotated[str, typer.Argument(help="SQLite file or SQLAlchemy URL of the store.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", help=f"File with the key of the store; else ${KEY}."),
]
Users = Annotated[list[str] | None, typer.Option("--user", help="A user, as a whole.")]
Items = Annotated[list[str] | None, typer.Option("--item", help="An item, as a whole.")]
Pairs = Annotated[list[str] | None, typer.Option("--pair", help="One interaction: USER,ITEM.")]
Categories = Annotated[
    list[str] | None, typer.Option("--category", help="What a user did in it: USER,CATEGORY.")
]
Before = Annotated[
    datetime | None, typer.Option(help="All interactions older than this date, in UTC.")
]


def key_of(path: Path | None) -> str:
    """Return the key of the store, from a file or the environment."""
    text = os.environ.get(KEY) if path is None else path.read_text(encoding="utf-8")
    if not text or not text.strip():
        raise ValueError(
            f"no key was given; expected one in ${KEY} or in the file of --key-file. Make one by "
            "`sklearn-unlearn key FILE`, and keep it where the store is not."
        )
    return text.strip()


def existing_store(store: str) -> str:
    """Refuse a path where no store is: a new one, made by mistake, would mask nobody."""
    path = store.removeprefix("sqlite:///") if store.startswith("sqlite:///") else store
    if "://" not in path and path != ":memory:" and not Path(path).exists():
        raise ValueError(
            f"there is no store '{path}'; expected one that `sklearn-unlearn submit` has made. "
            "Check the path."
        )
    return store


def load_model(path: Path) -> Any:
    """Load a snapshot that holds data alone."""
    if not path.is_file():
        raise ValueError(
            f"there is no file '{path}'; expected a snapshot. Make one by `sklearn-unlearn fit`."
        )
    return load(path)


@dataclass(frozen=True)
class Reader:
    """Reads ids from text as a model, or the caller, has them."""

    user: Callable[[str], Any]
    item: Callable[[str], Any]


def reader_of(model: Any | None, kind: IdType | None) -> Reader:
    """Return how text becomes ids: as the model has them, or of the type that is named."""
    if model is None and kind is None:
        raise ValueError(
            "neither --model nor --id-type was given; expected one, as 42 may be a number or text. "
            "Pass --id-type int, text or uuid."
        )
    if model is None:
        return Reader(_READ[str(kind)], _READ[str(kind)])
    encoder = Names(model).encoder
    if encoder is None:
        return Reader(_read_int, _read_int)
    kinds = {"int": "int", "str": "text", "UUID": "uuid"}
    return Reader(_READ[kinds[encoder._users.kind]], _READ[kinds[encoder._items.kind]])


def _read_int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(
            "an id is no whole number; expected one, as the ids of the model are numbers. Check "
            "the request."
        ) from None


def _read_uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ValueError("an id is no UUID; expected one. Check the request.") from None


_READ: dict[str, Callable[[str], Any]] = {"int": _read_int, "text": str, "uuid": _read_uuid}


def request_fields(
    read: Reader,
    users: list[str] | None,
    items: list[str] | None,
    pairs: list[str] | None,
    categories: list[str] | None = None,
    before: datetime | None = None,
) -> dict[str, Any]:
    """Return the fields of a request, as `DeletionRequest` takes them; not those left empty."""
    fields: dict[str, Any] = {
        "users": [read.user(one) for one in users or ()],
        "items": [read.item(one) for one in items or ()],
        "interactions": [_pair(one, read.user, read.item, "--pair") for one in pairs or ()],
        "categories": [_pair(one, read.user, str, "--category") for one in categories or ()],
        "before": before,
    }
    return {name: value for name, value in fields.items() if value}


def request_of(model: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Turn the pairs of a request into what `forget` takes: a table, where the model has ids."""
    names, pairs = Names(model), fields.get("interactions")
    if names.encoder is None or not pairs:
        return fields
    return fields | {"interactions": names.as_events(pairs)}


def _pair(
    text: str, first: Callable[[str], Any], second: Callable[[str], Any], flag: str
) -> tuple[Any, Any]:
    parts = text.split(",")
    if len(parts) != 2 or not all(parts):
        raise ValueError(
            f"a {flag} has {len(parts)} parts; expected two with one comma between. Put ids that "
            "hold commas into a file, and pass --file."
        )
    return first(parts[0]), second(parts[1])


def read_requests(path: Path, read: Reader | None = None) -> list[DeletionRequest]:
    """Read requests from JSON lines, each an object with the fields of `DeletionRequest`.

    JSON has numbers and text. With a reader, text becomes what ids are, as UUIDs.
    """
    requests = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, Mapping):
            raise ValueError(
                f"line {number} of the file is no JSON object; expected the fields of a request, "
                'such as {"users": [42], "request_id": "ticket-1"}. Correct it; nothing was taken '
                "in."
            )
        requests.append(_request_of(dict(fields), number, read))
    return requests


def _request_of(fields: dict[str, Any], number: int, read: Reader | None) -> DeletionRequest:
    for name in ("before", "received"):
        if isinstance(fields.get(name), str):
            try:
                fields[name] = datetime.fromisoformat(fields[name])
            except ValueError:
                raise ValueError(
                    f"{name} in line {number} is no date; expected one such as 2026-03-01. Correct "
                    "it; nothing was taken in."
                ) from None
    for name in ("interactions", "categories"):
        if isinstance(fields.get(name), list):
            fields[name] = [tuple(one) if isinstance(one, list) else one for one in fields[name]]
    if fields.get("regulation") == "none":  # as the option says it
        fields["regulation"] = None
    if read is not None:
        fields = _converted(fields, read)
    try:
        return DeletionRequest(**fields)
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise ValueError(
            f"line {number} has a field that is none of a request; expected users, items, "
            "interactions, categories, before, request_id, regulation or received. Correct it; "
            "nothing was taken in."
        ) from None


def _converted(fields: dict[str, Any], read: Reader) -> dict[str, Any]:
    """Read the ids of a request that are text."""

    def user(one: Any) -> Any:
        return read.user(one) if isinstance(one, str) else one

    def item(one: Any) -> Any:
        return read.item(one) if isinstance(one, str) else one

    def both(pair: Any, second: Callable[[Any], Any]) -> Any:
        fits = isinstance(pair, tuple) and len(pair) == 2
        return (user(pair[0]), second(pair[1])) if fits else pair  # what does not is refused later

    ways: dict[str, Callable[[Any], Any]] = {
        "users": user,
        "items": item,
        "interactions": lambda pair: both(pair, item),
        "categories": lambda pair: both(pair, lambda name: name),
    }
    for name, way in ways.items():
        values = fields.get(name)
        if isinstance(values, list):
            fields[name] = list(map(way, values))
        elif isinstance(values, str) and name in ("users", "items"):
            fields[name] = way(values)
    return fields
