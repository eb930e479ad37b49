"""Audit of what is left of forgotten data, in a model and in the files around it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sklearn_unlearn.audit._residue_files import FileSearch
from sklearn_unlearn.audit._residue_memory import search_memory
from sklearn_unlearn.audit._residue_probe import ResidueProbe, make_probe
from sklearn_unlearn.utils._html import counted, html_card, html_table

__all__ = ["Residue", "ResidueProbe", "ResidueReport", "audit_residue", "make_probe"]

# Findings that a report lists; all are counted.
_LISTED = 1000


@dataclass(frozen=True)
class Residue:
    """One trace of what was forgotten.

    Parameters
    ----------
    place : str
        Attribute of the model, or path of a file and what is unpacked from it.

    kind : str
        ``"factors"``, ``"interactions"``, ``"values"``, ``"id"``, ``"id in a name"``, or
        ``"interaction"`` for one cell of a matrix.

    offset : int
        Byte in an array or a file, character of a text, or number of a stored cell.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.audit import audit_residue, make_probe
    >>> X = np.random.default_rng(0).random((40, 30)) < 0.3
    >>> model = ALS(8, random_state=0).fit(X)
    >>> exported = model.user_factors_.copy()
    >>> probe = make_probe(model, {"users": [7]})
    >>> residue = audit_residue({"index": exported}, probe).findings[0]
    >>> residue.kind
    'factors'
    """

    place: str
    kind: str
    offset: int


@dataclass(frozen=True, repr=False)
class ResidueReport:
    """What `audit_residue` found: places and offsets, and nothing of what is there.

    Parameters
    ----------
    findings : tuple of Residue
        The first 1000.

    count : int
        Number of all.

    n_bytes : int
        Bytes of files that were searched.

    n_patterns : int
        Byte patterns that were searched for.

    not_searched : tuple of str
        Places that could not be read, and why. Of a damaged archive the raw bytes were.

    unsearchable : dict of str to int
        How much could not be searched for, by kind; see `make_probe`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.audit import audit_residue, make_probe
    >>> X = np.random.default_rng(0).random((40, 30)) < 0.3
    >>> model = ALS(8, random_state=0).fit(X)
    >>> probe = make_probe(model, {"users": [7]})
    >>> report = audit_residue(model.forget(users=[7]), probe)
    >>> report.count
    0
    """

    findings: tuple[Residue, ...]
    count: int
    n_bytes: int
    n_patterns: int
    not_searched: tuple[str, ...]
    unsearchable: dict[str, int]

    @property
    def complete(self) -> bool:
        """Whether all places were read, and all that was forgotten could be searched for."""
        return not self.not_searched and not any(self.unsearchable.values())

    @property
    def places(self) -> tuple[str, ...]:
        """Places of the findings, each once."""
        return tuple(dict.fromkeys(one.place for one in self.findings))

    def __repr__(self) -> str:
        places = len(self.places)
        return (
            f"<ResidueReport: {self.count} finding{'s' * (self.count != 1)} in "
            f"{places} place{'s' * (places != 1)}>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as values that JSON has."""
        return {
            "count": self.count,
            "complete": self.complete,
            "findings": [vars(one) | {} for one in self.findings],
            "n_bytes": self.n_bytes,
            "n_patterns": self.n_patterns,
            "not_searched": list(self.not_searched),
            "unsearchable": dict(self.unsearchable),
        }

    def _repr_html_(self) -> str:
        rows = [(one.place, one.kind, one.offset) for one in self.findings[:50]]
        left_out = sum(self.unsearchable.values())
        notes = [
            f"{counted(self.n_bytes, 'byte')} of files searched",
            f"{len(self.not_searched)} places could not be read" if self.not_searched else "",
            f"{left_out} traces are too short or too common to search for" if left_out else "",
            "the first 50 are shown" if len(self.findings) > 50 else "",
        ]
        caption = f"Residue audit: {repr(self)[1:-1].partition(': ')[2]}"
        table = html_table(caption, rows, ("place", "trace of", "offset"))
        mark = "traces found" if self.count else "nothing found"
        return html_card(table, mark=mark, note="; ".join(filter(None, notes)))


def audit_residue(
    model: Any,
    probe: ResidueProbe,
    artefacts: Iterable[str | os.PathLike[str]] | str | os.PathLike[str] = (),
    *,
    max_bytes: int = 2**34,
) -> ResidueReport:
    """Search a model, and files around it, for traces of what was forgotten.

    Every array, matrix, cache, closure and text that the model keeps alive is searched, and every
    byte of the files: as they are, and what zip archives (npz, skops), gzip, bz2, xz and zlib files
    (joblib), Parquet and Arrow unpack to. So vectors are found that an index (hnswlib, faiss,
    annoy) marks as deleted and keeps.

    Parameters
    ----------
    model : object or None
        The model after the request, or anything else in memory.

    probe : ResidueProbe
        Of `make_probe`, before the request.

    artefacts : path-like or iterable of path-like, default=()
        Files and folders. Links are not followed.

    max_bytes : int, default=2**34
        The most that is unpacked of one compressed file.

    Returns
    -------
    report : ResidueReport
        Empty if nothing was found; `ResidueReport.complete` tells whether all could be searched.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    TypeError
        If `probe` is none.

    Notes
    -----
    What is stored in another form is not found: rows that an index scaled, quantised or encoded as
    text, files that are encrypted or packed in a format that is not named above, pickles of
    protocol 0, and the blocks of deleted files on a disk.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.audit import audit_residue, make_probe
    >>> X = np.random.default_rng(0).random((40, 30)) < 0.3
    >>> model = ALS(8, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(pathlib.Path(folder, "export.npz"), users=model.user_factors_)
    ...     probe = make_probe(model, {"users": [7]})
    ...     report = audit_residue(model.forget(users=[7]), probe, [folder])
    >>> report.count, report.findings[0].kind, report.findings[0].place.endswith("users.npy")
    (1, 'factors', True)
    """
    if not isinstance(probe, ResidueProbe):
        raise TypeError(
            f"probe is of type {type(probe).__name__}; expected a ResidueProbe. Call make_probe "
            "with the model and the request before the model forgets."
        )
    paths = [artefacts] if isinstance(artefacts, str | os.PathLike) else list(artefacts)
    absent = sum(not os.path.lexists(path) for path in paths)
    if absent:
        raise FileNotFoundError(
            f"{absent} of {len(paths)} artefacts do not exist; expected files and folders. Check "
            "the paths."
        )
    files = FileSearch(probe, max_bytes)
    found = _all(model, probe, files, paths)
    # Listed by place, counted each once: two patterns may end in one byte.
    listed = list(dict.fromkeys(Residue(*one) for one in found))
    return ResidueReport(
        findings=tuple(islice(listed, _LISTED)),
        count=len(listed),
        n_bytes=files.n_bytes,
        n_patterns=probe.n_patterns,
        not_searched=tuple(files.not_searched),
        unsearchable=dict(probe.unsearchable),
    )


def _all(
    model: Any, probe: ResidueProbe, files: FileSearch, paths: list[Any]
) -> Iterator[tuple[str, str, int]]:
    if model is not None:
        yield from search_memory(model, probe, "model")
    for path in paths:
        yield from files.search(path)
