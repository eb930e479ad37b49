"""Stores to test on: SQLite files, and a PostgreSQL server where its programs are installed."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import psycopg
import pytest

_PROGRAMS = [shutil.which(name) for name in ("initdb", "pg_ctl")]
BACKENDS = ["sqlite", "postgresql"] if all(_PROGRAMS) else ["sqlite"]
_AS = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}


def _run(*command):
    done = subprocess.run(
        command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **_AS
    )
    assert done.returncode == 0, done.stdout


@contextlib.contextmanager
def postgresql():
    """Run a server on a socket in a folder of its own; yield a function that makes a schema."""
    initdb, pg_ctl = map(os.path.realpath, _PROGRAMS)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "data")
        folder.mkdir()
        if _AS:
            os.chmod(root, 0o755)
            shutil.chown(folder, "postgres", "postgres")
        _run(initdb, "-D", folder, "-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8")
        # The socket's folder: its path must be short, and that of the data is not.
        options = f"-k {folder} -c listen_addresses='' -c max_connections=40"
        _run(pg_ctl, "-D", folder, "-o", options, "-w", "-l", folder / "log", "start")
        try:
            where = f"host={folder} user=tester dbname=postgres"

            def make():
                name = f"test_{uuid.uuid4().hex}"
                with psycopg.connect(where, autocommit=True) as connection:
                    connection.execute(f"CREATE SCHEMA {name}")
                address = f"postgresql+psycopg://tester@/postgres?host={folder}"
                return f"{address}&options=-csearch_path%3D{name}"

            yield make
        finally:
            _run(pg_ctl, "-D", folder, "-m", "immediate", "stop")


@pytest.fixture(scope="session")
def new_postgresql():
    """Make a schema in the server of the session, which the first call starts."""
    with contextlib.ExitStack() as stack:
        made = []

        def make():
            if not made:
                made.append(stack.enter_context(postgresql()))
            return made[0]()

        yield make


@pytest.fixture(params=BACKENDS)
def url(request, tmp_path):
    """Give the address of an empty store, once for each kind of database."""
    if request.param == "sqlite":
        return str(tmp_path / "deletions.db")
    return request.getfixturevalue("new_postgresql")()
