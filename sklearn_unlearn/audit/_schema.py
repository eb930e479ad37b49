"""Tables of a store of deletion requests, for SQLAlchemy."""

from __future__ import annotations

import sqlalchemy as sa

__all__ = ["do_not_learn", "ledger", "masks", "metadata", "models", "replay", "requests", "state"]

metadata = sa.MetaData()
_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite counts up integers alone

# One row: `epoch` counts what changes masks, `generation` flushes that changed the model.
state = sa.Table(
    "state",
    metadata,
    sa.Column("one", sa.Integer, primary_key=True),
    sa.Column("layout", sa.Integer, nullable=False),
    sa.Column("key_check", sa.Text, nullable=False),
    sa.Column("epoch", _LONG, nullable=False),
    sa.Column("newest", _LONG, nullable=False),
    sa.Column("generation", _LONG, nullable=False),
    sa.Column("sequence", _LONG, nullable=False),
    sa.Column("head", sa.Text, nullable=False),
)

# The queue. `payload` is encrypted, and NULL once the request is done or cancelled.
requests = sa.Table(
    "requests",
    metadata,
    sa.Column("number", _LONG, primary_key=True, autoincrement=False),
    sa.Column("request_id", sa.Text, nullable=False, unique=True),
    sa.Column("status", sa.Text, nullable=False, index=True),
    sa.Column("outcome", sa.Text),
    sa.Column("received", sa.Float, nullable=False),
    sa.Column("due", sa.Float),
    sa.Column("finished", sa.Float),
    sa.Column("fingerprint", sa.Text),
    sa.Column("payload", sa.LargeBinary),
)

ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("sequence", _LONG, primary_key=True, autoincrement=False),
    sa.Column("entry", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)

# What each generation forgot, encrypted; NULL where there is no record, or none any more.
replay = sa.Table(
    "replay",
    metadata,
    sa.Column("generation", _LONG, primary_key=True, autoincrement=False),
    sa.Column("finished", sa.Float),
    sa.Column("expires", sa.Float),
    sa.Column("payload", sa.LargeBinary),
)

# Digests of models, and the generation that each is of.
models = sa.Table(
    "models",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("generation", _LONG, nullable=False),
)

# Items that were taken down, and stay masked until they are lifted.
masks = sa.Table(
    "masks",
    metadata,
    sa.Column("mark", sa.Text, primary_key=True),
    sa.Column("payload", sa.LargeBinary, nullable=False),
)

do_not_learn = sa.Table(
    "do_not_learn",
    metadata,
    sa.Column("mark", sa.Text, primary_key=True),
)
