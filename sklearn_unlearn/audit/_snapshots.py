"""Snapshots: fitted models in files that are replaced at once, and load without running code."""

from __future__ import annotations

import copy
import json
import os
import re
import zipfile
from collections.abc import Collection
from typing import Any, BinaryIO, Literal

import joblib

from sklearn_unlearn._version import __version__
from sklearn_unlearn.audit._digest import digest_of
from sklearn_unlearn.audit._extras import import_extra
from sklearn_unlearn.audit._files import replacing
from sklearn_unlearn.audit._stored_types import (
    check_members,
    check_nodes,
    read_schema,
    refuse_file,
)

__all__ = ["digest_of", "load", "save"]

# Beside what skops writes: the digest, and by which version of the package.
_LABEL = "sklearn_unlearn.json"
_DIGEST = re.compile("[0-9a-f]{64}")
_ZIP = b"PK\x03\x04"


def save(
    model: Any, path: str | os.PathLike[str], *, format: Literal["skops", "joblib"] = "skops"
) -> str:
    """Write a fitted model to a file, at once.

    The file is written beside the old one, flushed to the disk and renamed: whoever reads `path`,
    and whoever comes after a crash, finds the old model or the new one. The model is written as it
    is at one moment; other threads may let it forget meanwhile.

    Parameters
    ----------
    model : estimator or pipeline
        A model with ``forget``.

    path : path-like
        The file. Its permissions are kept; a new file is readable by its owner alone.

    format : {"skops", "joblib"}, default="skops"
        "skops" holds data alone, and is loaded without running code. "joblib" is a pickle: whoever
        can write the file can run code where it is loaded. It can be mapped into memory.

    Returns
    -------
    digest : str
        `digest_of` the model. Keep it elsewhere, and give it to `load`.

    Raises
    ------
    ImportError
        If the package skops is not installed.
    TypeError
        If `model` is no model that forgets, or holds what the format cannot.
    ValueError
        If `format` is another.

    Notes
    -----
    The old file is replaced, not overwritten: its bytes stay on the medium until the file system
    uses their place, and in its snapshots and backups. Deleting those is up to whoever runs them.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_unlearn import ItemKNN
    >>> from sklearn_unlearn.audit import load, save
    >>> model = ItemKNN(2).fit([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.skops")
    ...     digest = save(model, path)
    ...     again = load(path, expected_digest=digest)
    >>> again.forget(users=[0]).forget_report_.guarantee
    'exact'
    """
    if format not in ("skops", "joblib"):
        raise ValueError(f"format is {format!r}; expected 'skops' or 'joblib'. Leave it out.")
    if not _is_recommender(model):
        raise TypeError(
            f"model is of type {type(model).__name__}; expected a model with forget, or a "
            "pipeline that ends in one. Save other objects by joblib.dump."
        )
    # Of one moment, whatever other threads do: the digest is that of what is written.
    model = model._snapshot() if hasattr(model, "_snapshot") else copy.copy(model)
    digest = digest_of(model)
    skops = import_extra("skops.io", "the format skops") if format == "skops" else None
    with replacing(path) as file:
        if skops is None:
            joblib.dump(model, file)
        else:
            _write_skops(skops, model, file, digest)
    return digest


def _write_skops(skops: Any, model: Any, file: BinaryIO, digest: str) -> None:
    try:
        skops.dump(model, file)
    except skops.exceptions.UnsupportedTypeException:
        raise TypeError(
            "the model holds an object that skops cannot store; expected data alone. Store it by "
            "format='joblib', which runs code when it is loaded."
        ) from None
    label = {"digest": digest, "version": __version__}
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(_LABEL, json.dumps(label))


def load(
    path: str | os.PathLike[str],
    *,
    trusted: bool | Collection[str | type] | None = None,
    expected_digest: str | None = None,
) -> Any:
    """Read a model that `save` wrote.

    A skops file runs no code: it may hold the classes of this package, of NumPy and SciPy, and the
    steps of scikit-learn that a `RecommenderPipeline` accepts. All else is refused by name before
    anything is made of it, and what was made is checked as a model that was unpickled is.

    Parameters
    ----------
    path : path-like
        The file.

    trusted : None, True or collection of str or type, default=None
        More classes that a skops file may hold, such as a step of your own. True: whatever the
        file holds, for files that you wrote yourself; a joblib file is loaded on no other terms.

    expected_digest : str or None, default=None
        What `save` returned: whoever changed the file, by accident or not, is found out. The digest
        of a joblib file can only be taken after its code has run.

    Returns
    -------
    model : estimator or pipeline
        The model.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the package skops is not installed.
    ValueError
        If the file is damaged, holds other classes, is a joblib file that is not trusted, or has
        another digest.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_unlearn.audit import load
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.skops")
    ...     _ = path.write_bytes(b"PK, or not")
    ...     load(path)
    Traceback (most recent call last):
    ...
    ValueError: the snapshot is no skops file, so it may run code when it is loaded; expected ...
    """
    if expected_digest is not None and not _is_digest(expected_digest):
        raise ValueError(
            "expected_digest is no digest; expected 64 hexadecimal digits. Pass what save returned."
        )
    with open(path, "rb") as file:  # opened once: it may be replaced meanwhile
        is_skops = file.read(len(_ZIP)) == _ZIP
        file.seek(0)
        model, label = _read_skops(file, trusted) if is_skops else (_read_joblib(file, trusted), {})
    if not _is_recommender(model):
        refuse_file(f"it holds an object of type {type(model).__name__}", "a model that forgets")
    if expected_digest is not None or label.get("version") == __version__:
        _check_digest(model, expected_digest, label)
    return model


def _read_joblib(file: BinaryIO, trusted: Any) -> Any:
    if trusted is not True:
        raise ValueError(
            "the snapshot is no skops file, so it may run code when it is loaded; expected one "
            "that save wrote in the format skops. If you wrote the file yourself and nobody else "
            "could change it, pass trusted=True."
        )
    try:
        return joblib.load(file)
    except Exception as error:
        if str(error).startswith("the loaded "):
            raise
        refuse_file(f"reading it ended in {type(error).__name__}")


def _read_skops(file: BinaryIO, trusted: Any) -> tuple[Any, dict[str, Any]]:
    skops = import_extra("skops.io", "a skops file")
    try:
        with zipfile.ZipFile(file) as archive:
            check_members(archive, os.fstat(file.fileno()).st_size)
            types = _types_of(read_schema(archive), trusted)
            label = _label_of(archive)
        model = skops.load(file, trusted=types)
        if hasattr(model, "get_params"):
            model.get_params()
    except Exception as error:
        if str(error).startswith(("the loaded ", "the snapshot ")):
            raise
        refuse_file(f"reading it ended in {type(error).__name__}")
    return model, label


def _types_of(schema: dict[str, Any], trusted: Any) -> list[str]:
    """Types of a file, for skops, once they are checked."""
    if trusted is True:
        return check_nodes(schema, _Everything())
    more = trusted or ()
    if isinstance(more, str) or not all(isinstance(one, str | type) for one in more):
        raise TypeError(
            "the snapshot was not read: trusted is of a wrong type; expected None, True, or a list "
            "of classes and their full names. Put them into a list."
        )
    names = {
        one if isinstance(one, str) else f"{one.__module__}.{one.__qualname__}" for one in more
    }
    return check_nodes(schema, names)


class _Everything(frozenset[str]):
    """The names of all types."""

    def __contains__(self, name: object) -> bool:
        return True


def _label_of(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Return what `save` wrote about the model; nothing for a file that skops alone wrote."""
    if _LABEL not in archive.namelist():
        return {}
    label = json.loads(archive.read(_LABEL))
    if not isinstance(label, dict) or not _is_digest(label.get("digest")):
        refuse_file("its label holds no digest")
    return label


def _check_digest(model: Any, expected: str | None, label: dict[str, Any]) -> None:
    found = digest_of(model)
    if expected is not None and found != expected.lower():
        raise ValueError(
            f"the snapshot has the digest {found[:12]}...; expected {expected[:12].lower()}...: it "
            "is of another model, or was changed. Load another copy of the file."
        )
    if label.get("version") == __version__ and found != label["digest"]:
        refuse_file("its digest is not that of what it holds")


def _is_digest(text: Any) -> bool:
    return isinstance(text, str) and _DIGEST.fullmatch(text.lower()) is not None


def _is_recommender(model: Any) -> bool:
    return not isinstance(model, type) and all(
        callable(getattr(model, name, None)) for name in ("forget", "get_params")
    )
