"""Records of what was forgotten, encrypted, and forgetting what a record names."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sklearn_unlearn.audit._digest import digest_of
from sklearn_unlearn.audit._errors import StoreError
from sklearn_unlearn.audit._keys import Key
from sklearn_unlearn.audit._names import Names
from sklearn_unlearn.audit._requests import DeletionRequest, read_id, write_id
from sklearn_unlearn.audit._store import Store, Transaction

__all__ = [
    "Named",
    "forget_named",
    "generation_of",
    "is_known",
    "read_request",
    "register",
    "release",
    "seal",
    "unseal",
]


@dataclass(frozen=True, eq=False, repr=False)
class Named:
    """Ids of users and items as a whole, and of pairs; all lists."""

    users: list[Any] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)
    interactions: list[Any] = field(default_factory=list)

    def to_plain(self) -> dict[str, Any]:
        """Write the ids in the types of JSON."""
        return {name: write_id(list(ids)) for name, ids in vars(self).items()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Named:
        """Undo `to_plain`."""
        return cls(**{name: [read_id(one) for one in ids] for name, ids in plain.items()})

    def known_to(self, names: Names) -> Named:
        """Return the part that a model knows."""
        pairs = names.pairs(self.interactions)
        return Named(
            _where(self.users, names.users(self.users) >= 0),
            _where(self.items, names.items(self.items) >= 0),
            _where(self.interactions, (pairs >= 0).all(axis=1)),
        )

    @classmethod
    def union(cls, parts: Iterable[Named]) -> Named:
        """Unite records, each id once."""
        found: dict[str, dict[Any, None]] = {"users": {}, "items": {}, "interactions": {}}
        for part in parts:
            for name, ids in found.items():
                ids.update(dict.fromkeys(getattr(part, name)))
        return cls(**{name: list(ids) for name, ids in found.items()})


def _where(ids: list[Any], chosen: Any) -> list[Any]:
    return [one for one, kept in zip(ids, chosen, strict=True) if kept]


def seal(key: Key, content: Any, purpose: str, place: Any) -> bytes:
    """Encrypt something in the types of JSON."""
    text = json.dumps(content, separators=(",", ":")).encode()
    return key.encrypt(zlib.compress(text, 1), purpose, str(place))


def unseal(key: Key, sealed: bytes, purpose: str, place: Any) -> Any:
    """Undo `seal`."""
    return json.loads(zlib.decompress(key.decrypt(bytes(sealed), purpose, str(place))))


def read_request(key: Key, row: Any) -> DeletionRequest:
    """Read an open request from its row."""
    try:
        text = key.decrypt(bytes(row.payload), "queue", row.request_id)
    except ValueError:
        raise StoreError(
            f"request {row.request_id} cannot be decrypted; expected it as it was written. The "
            "store is damaged: cancel this request, and ask for it again."
        ) from None
    return DeletionRequest.from_bytes(text)


def forget_named(model: Any, named: Named) -> None:
    """Forget what a record names; what the model does not hold is passed over."""
    names = Names(model)
    if names.encoder is not None:
        named = named.known_to(names)  # ids of another type are those of another model
    users, items, pairs = named.users, named.items, named.interactions
    if names.encoder is not None:
        model.forget(names.as_events(pairs), users=users, items=items, missing="ignore")
        return
    positions = names.users(users), names.items(items), names.pairs(pairs)
    n_outside = sum(int((one < 0).sum()) for one in positions)
    if n_outside:
        raise ValueError(
            f"{n_outside} positions of the records are out of range of the model; expected the "
            "rows and columns that the records were made for. Restore a model of the same shape."
        )
    model.forget(
        np.asarray(positions[2], np.int64).reshape(-1, 2),
        users=positions[0],
        items=positions[1],
        missing="ignore",
    )


def generation_of(store: Store, connection: Any, digest: str) -> int:
    """Return up to which generation a model has forgotten; 0 for one that is not known."""
    table = store.tables.models
    query = store.sql.select(table.c.generation).where(table.c.digest == digest)
    return connection.execute(query).scalar() or 0


def is_known(store: Store, connection: Any, digest: str) -> bool:
    """Tell whether a model is one of those whose digests were noted."""
    table = store.tables.models
    query = store.sql.select(table.c.digest).where(table.c.digest == digest)
    return connection.execute(query).first() is not None


def release(store: Store, transaction: Transaction) -> None:
    """Make claimed requests pending again, and delete the intent of a flush that did not end."""
    requests, replay = store.tables.requests, store.tables.replay
    sql, intended = store.sql, transaction.state["generation"] + 1
    claimed = requests.c.status == "in_progress"
    transaction.run(sql.update(requests).where(claimed).values(status="pending"))
    transaction.run(sql.delete(replay).where(replay.c.generation == intended))


def register(store: Store, transaction: Transaction, model: Any, generation: int) -> str:
    """Note up to which generation a model has forgotten; return its digest."""
    digest, table = digest_of(model), store.tables.models
    transaction.run(store.sql.delete(table).where(table.c.digest == digest))
    transaction.run(store.sql.insert(table).values(digest=digest, generation=generation))
    return digest
