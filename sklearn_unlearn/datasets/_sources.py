"""The files behind a path: a file, a compressed file, a member of an archive, parts of a folder."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

__all__ = ["Part", "find_parts"]

_UNPACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
}
_BROKEN = (
    OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile,
)  # fmt: skip
# Text has no names that would tell whether two files belong together.
_TEXT_SUFFIXES = ("", ".csv", ".txt", ".dat", ".data", ".tsv")
# Folders in which not every file belongs to the present state of the table.
_VERSIONED = {"_delta_log": "Delta Lake", ".hoodie": "Hudi"}


@dataclass(frozen=True)
class Part:
    """One file of events.

    Parameters
    ----------
    name : str
        Name for messages.

    suffix : str
        What the file holds, by the end of its name; empty if it has none.

    path : Path
        Where it is.

    packed : str
        Suffix of the compression, or empty.

    member : str
        Name in a zip archive, or empty.

    constants : dict
        Columns of one value, from the names of folders such as ``country=DE``.
    """

    name: str
    suffix: str
    path: Path
    packed: str = ""
    member: str = ""
    constants: dict[str, str] = field(default_factory=dict)

    def read(self) -> bytes:
        """Return the content, unpacked."""
        data = self.path.read_bytes()
        try:
            if self.member:
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    return archive.read(self.member)
            return _UNPACK[self.packed](data) if self.packed else data
        except _BROKEN as error:
            kind = "zip" if self.member else self.packed.strip(".").replace("gz", "gzip")
            raise ValueError(
                f"Got '{self.name}', which is not a whole {kind} file ({error}); expected {kind} "
                "data. Fetch or pack it again."
            ) from error


def find_parts(path: Path, member: str | None) -> list[Part]:
    """Return the files that make up the table at a path."""
    if path.is_dir():
        parts = list(_parts_of_folder(path))
    elif path.suffix.lower() == ".zip":
        parts = [_member(path, member)]
    else:
        parts = [_part(path, path.name)]
    if member is not None and not parts[0].member:
        raise ValueError(
            f"Got member={member!r} for '{path.name}'; expected none, as only a zip archive has "
            "members. Drop it."
        )
    return parts


def _part(path: Path, name: str, constants: dict[str, str] | None = None) -> Part:
    packed, suffix = _suffixes(path.name)
    return Part(name, suffix, path, packed, constants=constants or {})


def _suffixes(name: str) -> tuple[str, str]:
    """Return the suffix of the compression and that of the content."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    packed = suffixes.pop() if suffixes and suffixes[-1] in _UNPACK else ""
    return packed, suffixes[-1] if suffixes else ""


def _member(path: Path, wanted: str | None) -> Part:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except _BROKEN as error:
        raise ValueError(
            f"Got '{path.name}', which is not a whole zip file ({error}); expected a zip archive. "
            "Fetch or pack it again."
        ) from error
    names = [name for name in names if not _is_hidden(Path(name))]
    chosen = names if wanted is None else [name for name in names if name == wanted]
    if len(chosen) != 1:
        asked = "" if wanted is None else f" and was asked for {wanted!r}"
        raise ValueError(
            f"'{path.name}' holds {names}{asked}; expected one file of events. Say which it is "
            "(member=...)."
        )
    packed, suffix = _suffixes(chosen[0])
    if packed:
        raise ValueError(
            f"'{path.name}' holds the compressed file '{chosen[0]}'; expected a plain one. Unpack "
            "the archive."
        )
    return Part(f"{path.name}/{Path(chosen[0]).name}", suffix, path, member=chosen[0])


def _is_hidden(path: Path) -> bool:
    return any(name.startswith((".", "_")) for name in path.parts)


def _parts_of_folder(folder: Path) -> Iterator[Part]:
    """Find the parts that Spark, Hive and others write; hidden files are notes of theirs."""
    for name, kind in _VERSIONED.items():
        if (folder / name).exists():
            raise ValueError(
                f"Got the folder '{folder.name}', which is a {kind} table, where some files may "
                f"be outdated; expected plain parts. Read it with a library for {kind}, and write "
                "Parquet."
            )
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not _is_hidden(path.relative_to(folder))
    )
    if not files:
        raise FileNotFoundError(
            f"Got the path '{folder}', which is a folder without files of events; expected a "
            "file, or a folder of parts. Check the path."
        )
    suffixes = sorted({_suffixes(path.name)[1] for path in files})
    constants = [_partitions(path.relative_to(folder)) for path in files]
    if len(suffixes) > 1 or len({tuple(one) for one in constants}) > 1:
        raise ValueError(
            f"Got the folder '{folder.name}', which holds {len(files)} files with the extensions "
            f"{suffixes} or in unlike folders; expected the parts of one table. Give the path of "
            "one file, or of a folder of parts."
        )
    if suffixes[0] in _TEXT_SUFFIXES and len({_numberless(path) for path in files}) > 1:
        raise ValueError(
            f"Got the folder '{folder.name}', which holds {len(files)} files of text whose names "
            "differ in more than numbers; expected the parts of one table. Give the path of one "
            "file, or of a folder of parts."
        )
    for path, values in zip(files, constants, strict=True):
        # Folders may be named after ids, so that a message gives the name of the file alone.
        yield _part(path, f"{folder.name}/.../{path.name}", values)


def _numberless(path: Path) -> str:
    """Name of a part, but for what numbers it; Spark adds a random id to ``part-``."""
    return "part-" if path.name.startswith("part-") else re.sub("[0-9]+", "0", path.name)


def _partitions(path: Path) -> dict[str, str]:
    pairs = (folder.partition("=") for folder in path.parts[:-1])
    values = {name: unquote(value) for name, equals, value in pairs if equals}
    return {
        name: "" if value == "__HIVE_DEFAULT_PARTITION__" else value
        for name, value in values.items()
    }
