"""Store of deletion requests: a database with transactions, and a lock for one flush at a time."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from sklearn_unlearn.audit._errors import StoreError
from sklearn_unlearn.audit._extras import import_extra

__all__ = ["FlushLock", "Store", "Transaction", "open_prepared", "open_store"]

LAYOUT = 1  # of the tables
_GENESIS = "0" * 64  # stands before the first entry of a ledger
_PATIENCE = 30.0  # seconds to wait for another writer
_AT_ONCE = 10_000  # values of one statement
_LOCK_NUMBER = 0x756E6C6561726E  # of PostgreSQL's advisory locks


class Transaction:
    """A transaction that writes, alone in its store until it ends.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Of the transaction.

    state : dict
        The counters and the head of the ledger, to be changed in place.
    """

    def __init__(self, connection: Any, state: dict[str, Any]) -> None:
        self.connection, self.state = connection, state

    def run(self, statement: Any, rows: Any = None) -> Any:
        """Run a statement, for each of some rows where they are given."""
        return self.connection.execute(statement, rows)


class FlushLock:
    """The lock of a flush, held; it is given up when its holder ends, however it ends."""

    def __init__(self, connection: Any = None) -> None:
        self.connection = connection  # of PostgreSQL's session, which has the lock


class Store:
    """The database that holds queue, ledger and replay records.

    Parameters
    ----------
    url : path-like or str
        Path of an SQLite file, which is made if need be, readable by its owner alone; ":memory:";
        or a URL of SQLAlchemy, such as ``"postgresql+psycopg://user@host/database"``.

    create : bool, default=True
        Whether to make a file that is not there; False opens it for reading alone.

    Examples
    --------
    >>> from sklearn_unlearn.audit import Store
    >>> Store(":memory:")
    <Store in sqlite>
    """

    def __init__(self, url: str | os.PathLike[str], *, create: bool = True) -> None:
        sql = import_extra("sqlalchemy", "a store of deletion requests")
        from sklearn_unlearn.audit import _schema

        self.sql, self.tables = sql, _schema
        self._errors = (sql.exc.SQLAlchemyError, sqlite3.Error)
        self._guard: Any = nullcontext()
        self._flushing, self._pid = threading.Lock(), os.getpid()
        text = os.fspath(url)
        if text.startswith(("sqlite://", "sqlite+")) and "://" in text:
            text = _file_of(text)
        self.path = None if "://" in text or text == ":memory:" else Path(text)
        options: dict[str, Any] = {"hide_parameters": True}
        if self.path is not None:
            options["creator"] = self._opener(self.path, create)
            text = "sqlite://"
            options["poolclass"] = sql.pool.QueuePool if create else sql.pool.NullPool
        elif text == ":memory:":
            self._guard = threading.RLock()
            options |= {
                "poolclass": sql.pool.StaticPool,
                "connect_args": {"check_same_thread": False},
            }
            text = "sqlite://"
        self._engine = self._make_engine(text, options)
        self._writer = self._engine.execution_options(immediate=True)

    def __repr__(self) -> str:
        return f"<Store in {self._engine.dialect.name}>"

    @property
    def is_sqlite(self) -> bool:
        """Whether the store is a file, or in memory."""
        return bool(self._engine.dialect.name == "sqlite")

    @property
    def in_memory(self) -> bool:
        """Whether the store ends with this process."""
        return self.is_sqlite and self.path is None

    def prepare(self, key_check: str) -> None:
        """Make the tables if need be, and refuse a key that is not that of the store."""
        with self._guarded(), self._writer.begin() as connection:
            if not self.is_sqlite:
                connection.execute(self.sql.select(self.sql.func.pg_advisory_xact_lock(1)))
            self.tables.metadata.create_all(connection)
            row = connection.execute(self.sql.select(self.tables.state)).mappings().first()
            if row is None:
                row = {
                    "one": 1,
                    "layout": LAYOUT,
                    "key_check": key_check,
                    "epoch": 0,
                    "newest": 0,
                    "generation": 0,
                    "sequence": 0,
                    "head": _GENESIS,
                }
                connection.execute(self.sql.insert(self.tables.state).values(row))
        if row["layout"] != LAYOUT:
            raise StoreError(
                f"the store has layout {row['layout']}; expected {LAYOUT}. Use the version of the "
                "package that made it."
            )
        if row["key_check"] != key_check:
            raise ValueError(
                "the key is not that of the store; expected the key that it was made with. Pass "
                "that key: a new store would know nothing of what was deleted."
            )

    @contextmanager
    def writing(self, lock: FlushLock | None = None) -> Iterator[Transaction]:
        """Run a transaction that writes; on the session of a lock, it fails if that is lost."""
        state = self.tables.state
        with self._guarded(), self._begin(lock) as connection:
            row = connection.execute(self.sql.select(state).with_for_update()).mappings().one()
            transaction = Transaction(connection, dict(row))
            yield transaction
            if transaction.state != row:
                connection.execute(self.sql.update(state).values(transaction.state))

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """Run statements that see the store as it is at one moment."""
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        engine = self._engine.execution_options(**options)
        with self._guarded(), engine.begin() as connection:
            yield connection

    def counters(self) -> tuple[int, int, int]:
        """Return epoch, number of the newest request, and generation."""
        state = self.tables.state.c
        with self.reading() as connection:
            query = self.sql.select(state.epoch, state.newest, state.generation)
            epoch, newest, generation = connection.execute(query).one()
            return epoch, newest, generation

    def chosen(self, connection: Any, query: Any, column: Any, values: Iterable[Any]) -> list[Any]:
        """Return the rows of a query in which a column has one of many values."""
        listed, rows = list(values), []
        for start in range(0, len(listed), _AT_ONCE):
            part = column.in_(listed[start : start + _AT_ONCE])
            rows += connection.execute(query.where(part)).all()
        return rows

    @contextmanager
    def flush_lock(self) -> Iterator[FlushLock | None]:
        """Hold the lock of a flush, among all threads and processes; None if somebody else does."""
        if not self._flushing.acquire(blocking=False):
            yield None
            return
        try:
            if self.path is not None:
                with self._file_lock() as held:
                    yield held
            elif self.is_sqlite:
                yield FlushLock()
            else:
                with self._session_lock() as held:
                    yield held
        finally:
            self._flushing.release()

    def erase(self) -> bool:
        """Take what was deleted off the medium as far as the database can; tell whether it did.

        SQLite overwrites deleted content, and its write-ahead log is emptied here, unless another
        process is reading. PostgreSQL is asked to vacuum, which promises nothing about bytes.
        """
        with self._guarded():
            if self.is_sqlite:
                with self._engine.connect() as connection:
                    raw = connection.connection.driver_connection
                    busy = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                    return not busy
            with self._engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            ) as connection:
                for table in ("requests", "replay", "masks", "do_not_learn"):
                    connection.exec_driver_sql(f"VACUUM {table}")
            return False

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    # -- SQLAlchemy ----------------------------------------------------------------------------
    def _make_engine(self, text: str, options: dict[str, Any]) -> Any:
        try:
            engine = self.sql.create_engine(text, **options)
        except (self.sql.exc.ArgumentError, ImportError) as error:
            raise StoreError(
                f"the address of the store cannot be used ({type(error).__name__}); expected a "
                "path, or a URL of SQLAlchemy whose driver is installed. Check it."
            ) from None
        if engine.dialect.name == "sqlite":
            self.sql.event.listen(engine, "connect", _set_up_sqlite)
            self.sql.event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _opener(self, path: Path, create: bool) -> Callable[[], sqlite3.Connection]:
        if create:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        elif not path.is_file():
            raise FileNotFoundError(
                f"there is no store at {path}; expected an SQLite file. Check the path."
            )
        address = f"{path.resolve().as_uri()}?mode={'rw' if create else 'ro'}"
        return lambda: sqlite3.connect(
            address, uri=True, timeout=_PATIENCE, check_same_thread=False
        )

    def _begin(self, lock: FlushLock | None) -> Any:
        if lock is None or lock.connection is None:
            return self._writer.begin()
        return _on(lock.connection)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Translate errors of the database, whose text may hold ids, and notice a fork."""
        if self._pid != os.getpid():  # connections are their parent's
            self._engine.dispose(close=False)
            self._pid, self._flushing = os.getpid(), threading.Lock()
        with self._guard:
            try:
                yield
            except self._errors as error:
                raise StoreError(
                    f"the store answered {type(error).__name__}; expected that it can be read and "
                    "written. Check that it is there, whole, and not locked by another program."
                ) from None

    # -- locks ---------------------------------------------------------------------------------
    @contextmanager
    def _file_lock(self) -> Iterator[FlushLock | None]:
        """Lock a second SQLite file: the system gives it up when the process ends."""
        connection = sqlite3.connect(f"{self.path}-flush", timeout=0, isolation_level=None)
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            connection.close()
            yield None
            return
        try:
            yield FlushLock()
        finally:
            connection.close()

    @contextmanager
    def _session_lock(self) -> Iterator[FlushLock | None]:
        """Take an advisory lock of PostgreSQL, which ends with the session."""
        function = self.sql.func
        with self._guarded():
            connection = self._engine.connect()
        held = False
        try:
            with self._guarded(), connection.begin():
                query = self.sql.select(function.pg_try_advisory_lock(_LOCK_NUMBER))
                held = bool(connection.execute(query).scalar())
            yield FlushLock(connection) if held else None
        finally:
            # Unlocked at once, as the end of a session takes the server a moment; ended all the
            # same, and the lock with it, whatever state an error has left the session in.
            with suppress(*self._errors):
                if held:
                    with connection.begin():
                        unlock = function.pg_advisory_unlock(_LOCK_NUMBER)
                        connection.execute(self.sql.select(unlock))
            connection.invalidate()
            connection.close()


def _file_of(url: str) -> str:
    """Return the path in a URL of SQLite; other drivers than Python's, and options, are none."""
    driver, _, path = url.partition("://")
    if driver not in ("sqlite", "sqlite+pysqlite") or "?" in path:
        raise StoreError(
            "the address of the store names another driver of SQLite, or options; expected "
            "sqlite:///path alone. Pass the path of the file."
        )
    return path.removeprefix("/") or ":memory:"


@contextmanager
def _on(connection: Any) -> Iterator[Any]:
    with connection.begin():
        yield connection


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says
    for setting in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
        try:
            connection.execute(f"PRAGMA {setting}").close()
        except sqlite3.OperationalError:  # opened for reading alone
            return


def _begin_sqlite(connection: Any) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def open_store(store: Any) -> Store:
    """Return a store, opened where a path or a URL is given."""
    if isinstance(store, Store):
        return store
    if not isinstance(store, str | os.PathLike):
        raise TypeError(
            f"store is of type {type(store).__name__}; expected a Store, a path or a URL. Pass the "
            "path of a file."
        )
    return Store(store)


def open_prepared(store: Any, key_check: str) -> Store:
    """Return a store with its tables; one that is opened here is closed if it refuses the key."""
    opened = open_store(store)
    try:
        opened.prepare(key_check)
    except BaseException:
        if opened is not store:
            opened.close()
        raise
    return opened
