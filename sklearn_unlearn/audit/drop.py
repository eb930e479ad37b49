r"""Deletion lists of California's DROP (Delete Request and Opt-out Platform), and the answers.

A download is a ZIP of CSV files, one for each kind of identity, with the columns ``ID`` and
``Hash``; an answer is a CSV with a code for each ID. See
https://privacy.ca.gov/drop-for-data-brokers/technical-specifications/. Nothing here opens a
connection.

Examples
--------
>>> import io, zipfile
>>> from sklearn_unlearn.audit.drop import answers_csv, drop_hash, match_drop, read_drop
>>> download = io.BytesIO()
>>> with zipfile.ZipFile(download, "w") as archive:
...     rows = [("aaaaaaaaaaa1", drop_hash("al@example.org")), ("aaaaaaaaaaa2", drop_hash("x"))]
...     text = "ID,Hash\n" + "".join(f"{a},{b}\n" for a, b in rows)
...     archive.writestr("20260901_77_Email.csv", text)
>>> [wanted] = read_drop(download.getvalue())
>>> wanted
<DropList 'Email' of 2 work items>
>>> matches = match_drop(wanted, [" Al@example.org", "bo@example.org"], [4711, 4712], kind="email")
>>> matches.ids
[4711]
>>> print(answers_csv(matches.answers()), end="")
ID,Status
aaaaaaaaaaa1,3
aaaaaaaaaaa2,5
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from sklearn_unlearn.audit._requests import encoded_identity

__all__ = [
    "DELETED",
    "EXEMPTED",
    "NOT_FOUND",
    "OPTED_OUT",
    "DropError",
    "DropList",
    "DropMatches",
    "answers_csv",
    "drop_hash",
    "match_drop",
    "read_drop",
]

EXEMPTED, DELETED, OPTED_OUT, NOT_FOUND = 2, 3, 4, 5
_CODES = (EXEMPTED, DELETED, OPTED_OUT, NOT_FOUND)
_COLUMNS = ["ID", "Hash"]
# A work item is 12 characters of 62; others are accepted if they are no longer than this.
_WORK_ITEM = re.compile("[0-9A-Za-z]{1,64}")
_NAME = re.compile(r"[0-9]{8}_[0-9A-Za-z-]{1,64}_([0-9A-Za-z]{1,32})(?:_[0-9A-Za-z-]{1,64})?\.csv")
_MOST_FILES = 100
_KINDS = ("email", "phone")


class DropError(ValueError):
    """A file is no deletion list, or an answer is none.

    It names a file of the expected form, a line and a column, and shows nothing of them.

    Examples
    --------
    >>> from sklearn_unlearn.audit.drop import read_drop
    >>> read_drop(b"ID,Hash")
    Traceback (most recent call last):
    ...
    sklearn_unlearn.audit.drop.DropError: the download is no ZIP archive; expected ...
    """


def _refuse(problem: str, expected: str, advice: str = "Download the lists again.") -> NoReturn:
    raise DropError(f"{problem}; expected {expected}. {advice}") from None


@dataclass(frozen=True, repr=False)
class DropList:
    """One list of a download.

    Parameters
    ----------
    kind : str
        Of identity, as the name of the file says: "Email", "Phone", "MAID", "CTVID", "NDZ",
        "NameVIN"; or "Removed", of requests that were taken back.

    work_items : tuple of str
        The IDs to answer, in the order of the file.

    hashes : tuple of bytes
        The SHA-256 digest for each; not shown.

    Examples
    --------
    >>> import hashlib
    >>> from sklearn_unlearn.audit.drop import DropList
    >>> DropList("Email", ("1",), (hashlib.sha256(b"al@example.org").digest(),))
    <DropList 'Email' of 1 work items>
    """

    kind: str
    work_items: tuple[str, ...]
    hashes: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"<DropList {self.kind!r} of {len(self.work_items)} work items>"

    @property
    def is_removed(self) -> bool:
        """Whether these requests were taken back, so that nothing is deleted or answered."""
        return self.kind.lower() == "removed"


@dataclass(frozen=True, repr=False)
class DropMatches:
    """Whom the hashes of a list belong to.

    Parameters
    ----------
    by_work_item : dict of str to tuple of id
        Your ids for each work item; not shown.

    Examples
    --------
    >>> from sklearn_unlearn.audit.drop import DropMatches
    >>> DropMatches({"1": (4711,), "2": ()}).ids
    [4711]
    """

    by_work_item: Mapping[str, tuple[Hashable, ...]]

    def __repr__(self) -> str:
        counts = [min(len(ids), 2) for ids in self.by_work_item.values()]
        return (
            f"<DropMatches of {len(counts)} work items: {counts.count(1)} found, "
            f"{counts.count(2)} shared, {counts.count(0)} not found>"
        )

    @property
    def ids(self) -> list[Hashable]:
        """Your ids that one work item names alone: whom to delete, each once."""
        found = (ids[0] for ids in self.by_work_item.values() if len(ids) == 1)
        return list(dict.fromkeys(found))

    @property
    def shared_ids(self) -> list[Hashable]:
        """Your ids that share an identity: whom to opt out of sale and sharing, each once."""
        found = (one for ids in self.by_work_item.values() if len(ids) > 1 for one in ids)
        return list(dict.fromkeys(found))

    def answers(self, exempt: Iterable[Hashable] = ()) -> dict[str, int]:
        """Return the code for each work item, once the deletions are done.

        Parameters
        ----------
        exempt : iterable of id, default=()
            Your ids whose data may all be kept.

        Returns
        -------
        codes : dict of str to int
            5 not found, 4 opted out (several of your ids share the identity), 2 exempted, or 3
            deleted.
        """
        kept = set(exempt)
        return {
            item: NOT_FOUND
            if not ids
            else EXEMPTED
            if kept.issuperset(ids)
            else OPTED_OUT
            if len(ids) > 1
            else DELETED
            for item, ids in self.by_work_item.items()
        }


def read_drop(
    download: bytes | str | os.PathLike[str], *, max_bytes: int = 2**30
) -> list[DropList]:
    """Read the lists of a download.

    Parameters
    ----------
    download : bytes or path-like
        The ZIP archive. Nothing of it is written to a disk.

    max_bytes : int, default=2**30
        The most that all lists may unpack to.

    Returns
    -------
    lists : list of DropList
        In the order of the archive; some may be empty.

    Raises
    ------
    DropError
        If the archive, a name, a column or a hash does not fit.
    """
    source = io.BytesIO(download) if isinstance(download, bytes) else download
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            if len(members) > _MOST_FILES:
                _refuse("the download has too many files", f"at most {_MOST_FILES}")
            kinds = [_kind_of(member, n) for n, member in enumerate(members)]
            if sum(member.file_size for member in members) > max_bytes:
                _refuse(
                    f"the lists unpack to more than {max_bytes} bytes",
                    "as much or less",
                    "Raise max_bytes if the download is genuine.",
                )
            texts = [archive.read(member) for member in members]
    except OSError:
        raise
    except DropError:
        raise
    except zipfile.BadZipFile:
        _refuse("the download is no ZIP archive", "the file as it was downloaded")
    except Exception as error:
        _refuse(f"unpacking ended in {type(error).__name__}", "the file as it was downloaded")
    return [_read_list(kind, text) for kind, text in zip(kinds, texts, strict=True)]


def _kind_of(member: zipfile.ZipInfo, n: int) -> str:
    """Return the kind of a list, from the name of its file."""
    # `filename` ends where a zero byte is, and has its separators changed: look at what is there.
    found = _NAME.fullmatch(member.orig_filename)
    encrypted, linked = member.flag_bits & 1, (member.external_attr >> 16) & 0o170000 == 0o120000
    if found is None or member.filename != member.orig_filename:
        _refuse(f"file {n + 1} of the download has another name", "DATE_BROKER_TYPE.csv")
    if encrypted or linked:
        _refuse(f"{member.filename} is encrypted, or a link", "a plain file")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        _refuse(f"{member.filename} is packed in another way", "a deflated or a stored file")
    return found[1]


def _read_list(kind: str, content: bytes) -> DropList:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        _refuse(f"the list {kind} is no UTF-8", "a CSV file in UTF-8")
    items: list[str] = []
    hashes: list[bytes] = []
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        if next(rows, None) != _COLUMNS:
            _refuse(f"the list {kind} has other columns", "the header ID,Hash")
        for row in rows:
            if len(row) != len(_COLUMNS):
                _refuse(f"line {rows.line_num} of the list {kind} has {len(row)} columns", "2")
            items.append(row[0])
            hashes.append(_read_hash(row[1], kind, rows.line_num))
            if not _WORK_ITEM.fullmatch(row[0]):
                _refuse(f"line {rows.line_num} of the list {kind} has no ID", "letters and digits")
    except csv.Error:
        _refuse(f"line {rows.line_num} of the list {kind} is no CSV", "two columns")
    if len(set(items)) < len(items):
        _refuse(f"the list {kind} has an ID twice", "each once")
    return DropList(kind, tuple(items), tuple(hashes))


def _read_hash(text: str, kind: str, line: int) -> bytes:
    try:
        digest = base64.b64decode(text, validate=True)
    except ValueError:
        digest = b""
    # Base64 has several texts for some bytes; the platform writes one.
    if len(digest) != 32 or base64.b64encode(digest).decode("ascii") != text:
        _refuse(f"line {line} of the list {kind} has no Hash", "44 characters of Base64")
    return digest


def drop_hash(value: str, kind: str | None = None) -> str:
    """Standardise and hash an identity as the platform does.

    Parameters
    ----------
    value : str
        The identity.

    kind : {"email", "phone"} or None, default=None
        Of e-mail addresses the spaces around go, and letters are made small; of telephone numbers
        the last ten digits count. None: hash what is there. Other kinds (names, dates and vehicles
        among them) have rules that are not built in: standardise them as the platform's reference
        says.

    Returns
    -------
    hash : str
        Base64 of the SHA-256 digest of the text in UTF-8.

    Examples
    --------
    >>> from sklearn_unlearn.audit.drop import drop_hash
    >>> drop_hash("+1(415)555-9317", "phone")
    'vGM7y5n+hBXRSEAklhHDPCbysyNgYTmXdMcagGUOY8E='
    """
    return base64.b64encode(_digest(value, kind)).decode("ascii")


def _digest(value: Any, kind: str | None) -> bytes:
    if kind is not None and kind not in _KINDS:
        raise ValueError(
            f"kind is {kind!r}; expected None or one of {', '.join(_KINDS)}. Standardise the value "
            "yourself, and leave kind out."
        )
    if not isinstance(value, str):
        raise TypeError(
            f"an identity is of type {type(value).__name__}; expected text. Convert it to str."
        )
    if kind == "email":
        value = value.strip().lower()
    elif kind == "phone":
        value = "".join(one for one in value if "0" <= one <= "9")[-10:]
    return hashlib.sha256(encoded_identity(value)).digest()


def match_drop(
    wanted: DropList,
    identities: Iterable[str],
    ids: Iterable[Hashable],
    *,
    kind: str | None = None,
) -> DropMatches:
    """Find whom the hashes of a list belong to.

    Parameters
    ----------
    wanted : DropList
        Of `read_drop`.

    identities : iterable of str
        The identities that you know, of the kind of the list.

    ids : iterable of id
        Your id for each; an id may have several identities.

    kind : {"email", "phone"} or None, default=None
        How to standardise them, as in `drop_hash`.

    Returns
    -------
    matches : DropMatches
        Whom to delete and whom to opt out, and the codes to answer.

    Raises
    ------
    DropError
        If the list is of requests that were taken back.
    ValueError
        If there are not as many ids as identities.
    """
    if wanted.is_removed:
        _refuse("the list is of requests that were taken back", "a list to match", "Leave it out.")
    sought: dict[bytes, dict[Hashable, None]] = {digest: {} for digest in wanted.hashes}
    try:
        for identity, own in zip(identities, ids, strict=True):
            found = sought.get(_digest(identity, kind))
            if found is not None:
                found[own] = None
    except ValueError as error:
        if "argument" not in str(error):
            raise
        raise ValueError(
            "identities and ids differ in length; expected an id for each identity. Pass both of "
            "one table."
        ) from None
    pairs = zip(wanted.work_items, wanted.hashes, strict=True)
    return DropMatches({item: tuple(sought[digest]) for item, digest in pairs})


def answers_csv(answers: Mapping[str, int], *, status_column: str = "Status") -> str:
    """Write the answers to a list.

    Parameters
    ----------
    answers : mapping of str to int
        The code for each work item: 2 exempted, 3 deleted, 4 opted out, 5 not found.

    status_column : str, default="Status"
        Name of the column of codes, after ``ID``.

    Returns
    -------
    text : str
        CSV, to be named and uploaded as the platform asks.

    Raises
    ------
    DropError
        If a work item or a code is none.
    """
    for n, (item, code) in enumerate(answers.items()):
        if not isinstance(item, str) or not _WORK_ITEM.fullmatch(item):
            _refuse(f"answer {n + 1} has no ID", "letters and digits", "Take those of the list.")
        if isinstance(code, bool) or code not in _CODES:
            _refuse(f"answer {n + 1} has another code", "2, 3, 4 or 5", "Use DropMatches.answers.")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_COLUMNS[0], status_column])
    writer.writerows((item, int(code)) for item, code in answers.items())
    return buffer.getvalue()
