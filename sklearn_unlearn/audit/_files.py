"""Files that are replaced as a whole: a crash leaves the old one or the new one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

__all__ = ["replacing"]


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of another once it is written and on the disk.

    It is written beside the other, flushed to the disk, renamed, and the rename flushed too. A
    process that ends in between leaves the other as it was, and a temporary file that the next call
    for the same path deletes: it is a copy of a model.

    Parameters
    ----------
    path : path-like
        The file; a link is followed. Its permissions are kept; a new file is its owner's alone.

    Yields
    ------
    file : binary file
        To write to and to read from. After an error it is deleted.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_unlearn.audit._files import replacing
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model")
    ...     with replacing(path) as file:
    ...         _ = file.write(b"new")
    ...     path.read_bytes(), len(list(path.parent.iterdir()))
    (b'new', 1)
    """
    target = Path(os.path.realpath(path))
    prefix, suffix = f".{target.name}.", ".part"
    _delete_abandoned(target.parent, prefix, suffix)
    handle, name = tempfile.mkstemp(suffix, prefix, target.parent)
    try:
        with os.fdopen(handle, "w+b") as file:
            _lock(file)
            yield file
            file.flush()
            if target.exists():
                os.chmod(name, target.stat().st_mode & 0o7777)
            os.fsync(file.fileno())
            os.replace(name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    _flush_folder(target.parent)


def _lock(file: BinaryIO) -> bool:
    """Mark a file as being written, for as long as it is open; tell whether nobody else does."""
    try:
        fcntl = import_module("fcntl")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):  # Windows has none
        return False
    return True


def _delete_abandoned(folder: Path, prefix: str, suffix: str) -> None:
    """Delete the temporary files of processes that ended before they renamed them."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.name.startswith(prefix) and entry.name.endswith(suffix)):
                continue
            with contextlib.suppress(OSError), open(entry.path, "rb") as file:
                if _lock(file):
                    os.unlink(entry.path)


def _flush_folder(folder: Path) -> None:
    """Write the entries of a folder to the disk, where the system can."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
