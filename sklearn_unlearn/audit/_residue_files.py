"""Search of files and folders: raw bytes, and what archives, Parquet and compressed files hold."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import mmap
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_unlearn.audit._residue_probe import ResidueProbe

__all__ = ["FileSearch"]

# Of a compressed file, read at a time.
_BLOCK = 2**24
# Archives within archives.
_DEEPEST = 4
_COMPRESSED: tuple[tuple[bytes, Callable[[Any], Any]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
    (b"]\x00\x00", lzma.LZMAFile),
    (b"x\x01", lambda file: _Inflated(file)),
    (b"x^", lambda file: _Inflated(file)),
    (b"x\x9c", lambda file: _Inflated(file)),
    (b"x\xda", lambda file: _Inflated(file)),
)
_ZIP = b"PK\x03\x04"
_ARROW = ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x04\x22\x4d\x18", "lz4"))


class FileSearch:
    """Searches files for what a probe holds.

    Parameters
    ----------
    probe : ResidueProbe
        What to find.

    max_bytes : int
        The most that is unpacked of one compressed file or archive.

    Attributes
    ----------
    n_bytes : int
        Bytes that were searched.

    not_searched : list of str
        Places that could not be read, and why.
    """

    def __init__(self, probe: ResidueProbe, max_bytes: int) -> None:
        self._probe = probe
        self._max_bytes = max_bytes
        self.n_bytes = 0
        self.not_searched: list[str] = []

    def search(self, path: str | os.PathLike[str]) -> Iterator[tuple[str, str, int]]:
        """Yield place, kind and offset of what is found in a file, or in all files of a folder.

        Places name files by their paths; a name that holds an id is not shown. Links are not
        followed.
        """
        root = Path(path)
        if root.is_symlink() or not root.is_dir():
            yield from self._file(root, self._shown(root))
            return
        for folder, names, files in os.walk(root, onerror=self._note):
            names.sort()
            for n, name in enumerate(names + sorted(files)):
                one = Path(folder, name)
                if any(self._probe._scanner.find(os.fsencode(name))):
                    yield self._shown(one), "id in a name", n
                if n >= len(names):
                    yield from self._file(one, self._shown(one))

    def _note(self, error: OSError) -> None:
        place = self._shown(Path(str(error.filename or "a folder")))
        self.not_searched.append(f"{place}: {type(error).__name__}")

    def _shown(self, path: Path) -> str:
        """Show a path without the parts that hold an id."""
        parts = [
            "(a name with an id)" if any(self._probe._scanner.find(os.fsencode(one))) else one
            for one in path.parts
        ]
        return str(Path(*parts)).encode("utf-8", "replace").decode()

    def _file(self, path: Path, place: str) -> Iterator[tuple[str, str, int]]:
        if path.is_symlink():
            self.not_searched.append(f"{place}: a link")
            return
        try:
            if not path.is_file():
                self.not_searched.append(f"{place}: no file")
                return
            with open(path, "rb") as file:
                if not os.fstat(file.fileno()).st_size:
                    return
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                    view = memoryview(mapped)
                    try:
                        yield from self._buffer(view, place, 0)
                    finally:
                        view.release()
        except (OSError, ValueError, BufferError) as error:
            self.not_searched.append(f"{place}: {type(error).__name__}")

    def _buffer(self, view: memoryview, place: str, depth: int) -> Iterator[tuple[str, str, int]]:
        """Search bytes, and what they unpack to."""
        self.n_bytes += len(view)
        head = bytes(view[:8])
        own = _stored_members(view) if head.startswith(_ZIP) and depth < _DEEPEST else []
        for offset, pattern in self._probe._scanner.find(view):
            if not any(first <= offset < last for first, last in own):  # found again in the member
                yield place, pattern.kind, offset
        if depth >= _DEEPEST:
            return
        try:
            if head.startswith(_ZIP):
                yield from self._archive(_Reader(view), place, depth)
            elif head.startswith(b"\x93NUMPY"):
                yield from self._columns(view, place)
            elif head.startswith(b"PAR1"):
                yield from self._parquet(_Reader(view), place)
            elif head.startswith(b"ARROW1"):
                yield from self._arrow(_Reader(view), place)
            else:
                yield from self._compressed(view, head, place, depth)
        except Exception as error:
            # Whatever a library says of a damaged file, the raw bytes were searched.
            self.not_searched.append(f"{place}, unpacked: {type(error).__name__}")

    def _archive(self, file: Any, place: str, depth: int) -> Iterator[tuple[str, str, int]]:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                name = self._shown(Path(member.filename or "member"))
                with archive.open(member) as stream:
                    yield from self._stream(stream, f"{place}!{name}", depth)

    def _compressed(
        self, view: memoryview, head: bytes, place: str, depth: int
    ) -> Iterator[tuple[str, str, int]]:
        for magic, unpack in _COMPRESSED:
            if head.startswith(magic):
                yield from self._stream(unpack(_Reader(view)), f"{place}!", depth)
                return
        for magic, name in _ARROW:
            if head.startswith(magic):
                import pyarrow

                stream = pyarrow.CompressedInputStream(pyarrow.py_buffer(view), name)
                yield from self._stream(stream, f"{place}!", depth)

    def _stream(self, stream: Any, place: str, depth: int) -> Iterator[tuple[str, str, int]]:
        """Search what is unpacked, a block at a time if it is large."""
        block = stream.read(_BLOCK)
        if len(block) < _BLOCK:
            yield from self._buffer(memoryview(block), place, depth + 1)
            return
        start, keep = 0, self._probe._scanner.longest + 8
        seen: set[tuple[int, str]] = set()
        while block:
            found = {(start + at, one.kind) for at, one in self._probe._scanner.find(block)}
            yield from ((place, kind, at) for at, kind in sorted(found - seen))
            seen = found
            more = stream.read(_BLOCK)
            self.n_bytes += len(block)
            if start + len(block) > self._max_bytes:
                self.not_searched.append(f"{place}: more than {self._max_bytes} bytes")
                return
            start, block = (start + len(block) - keep, block[-keep:] + more) if more else (0, b"")

    def _columns(self, view: memoryview, place: str) -> Iterator[tuple[str, str, int]]:
        """Search an array across the order that it is stored in: rows of a transposed table."""
        array = np.load(_Reader(view), allow_pickle=False)
        if array.ndim != 2 or min(array.shape) < 2:
            return
        other = array.T if array.flags.c_contiguous else array
        for offset, pattern in self._probe._scanner.find(np.ascontiguousarray(other)):
            if pattern.kind == "factors":
                yield f"{place}, across", pattern.kind, offset

    def _parquet(self, file: Any, place: str) -> Iterator[tuple[str, str, int]]:
        import pyarrow.parquet

        table = pyarrow.parquet.ParquetFile(file)
        for number in range(table.num_row_groups):
            yield from self._groups(table.read_row_group(number), f"{place}, row group {number}")

    def _arrow(self, file: Any, place: str) -> Iterator[tuple[str, str, int]]:
        import pyarrow

        yield from self._groups(pyarrow.ipc.open_file(file).read_all(), place)

    def _groups(self, table: Any, place: str) -> Iterator[tuple[str, str, int]]:
        """Search the columns of a table: their memory, their texts, and all of them as one row."""
        import pyarrow

        numbers = []
        for n, column in enumerate(table.itercolumns()):
            where = f"{place}, column {n}"
            if pyarrow.types.is_floating(column.type) and not column.null_count:
                numbers.append(column.to_numpy())
            if "string" in str(column.type) or "binary" in str(column.type):
                texts = (one for one in column.to_pylist() if one is not None)
                flat = "\n".join(map(_text, texts)).encode("utf-8", "surrogatepass")
                buffers = [flat]
            else:
                buffers = [b for chunk in column.chunks for b in chunk.buffers() if b is not None]
            for buffer in buffers:
                self.n_bytes += len(buffer)
                for offset, pattern in self._probe._scanner.find(buffer):
                    yield where, pattern.kind, offset
        if len(numbers) > 1:  # a vector with a column for each of its entries
            rows = np.column_stack(numbers)
            for offset, pattern in self._probe._scanner.find(rows):
                yield f"{place}, by rows", pattern.kind, offset


def _stored_members(view: memoryview) -> list[tuple[int, int]]:
    """Where the members of an archive are that are not compressed."""
    try:
        with zipfile.ZipFile(_Reader(view)) as archive:
            found = []
            for one in archive.infolist():
                if one.compress_type == zipfile.ZIP_STORED:
                    lengths = view[one.header_offset + 26 : one.header_offset + 30]
                    first = one.header_offset + 30 + sum(memoryview(bytes(lengths)).cast("H"))
                    found.append((first, first + one.file_size))
                    archive.open(one).close()  # a header that does not fit is none
            return found
    except Exception:
        return []


def _text(one: Any) -> str:
    return one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)


class _Reader(io.RawIOBase):
    """A file over memory that is not copied."""

    def __init__(self, view: memoryview) -> None:
        super().__init__()
        self._view = view
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._place, len(self._view))[whence]
        self._place = max(base + offset, 0)
        return self._place

    def readinto(self, buffer: Any) -> int:
        part = self._view[self._place : self._place + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)


class _Inflated:
    """What a zlib stream unpacks to, as joblib writes it."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._unpack = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        """Unpack some bytes."""
        parts, missing = [], size
        while missing > 0 and not self._unpack.eof:
            packed = self._unpack.unconsumed_tail or self._file.read(2**16)
            if not packed:
                break
            parts.append(self._unpack.decompress(packed, missing))
            missing -= len(parts[-1])
        return b"".join(parts)
