"""Arrays in pages, of which a changed version copies those that change and shares the others."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pages", "passed", "release", "whole"]

Ints = NDArray[np.int64]


class Pages:
    """An immutable array that is cut into pages along its first axis.

    Entries are read by position, as of an array; `whole` puts the pages together. A version that
    differs in some entries copies the pages that hold them, so what it drops is in none of its
    pages. Every page owns its memory: no view keeps alive what was cut off.

    Parameters
    ----------
    pages : iterable of ndarray
        Of one data type and width, in order; they become read-only.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.utils._pages import Pages
    >>> old = Pages.cut(np.arange(6), np.array([0, 2, 4]))
    >>> new = old.without(np.array([3]))
    >>> new[[0, 3]], new.pages[0] is old.pages[0], [len(page) for page in new.pages]
    (array([0, 4]), True, [2, 1, 2])
    """

    __slots__ = ("_joined", "pages", "starts")

    def __init__(self, pages: Iterable[NDArray[Any]]) -> None:
        self._put(tuple(pages))

    def _put(self, pages: tuple[NDArray[Any], ...]) -> None:
        self.pages = pages
        self._joined: NDArray[Any] | None = None
        self.starts: Ints = np.append(0, np.cumsum([len(page) for page in self.pages]))
        for page in self.pages:
            page.setflags(write=False)

    @classmethod
    def cut(cls, array: NDArray[Any], starts: Ints) -> Self:
        """Copy an array into pages that begin at some positions, the first of which is 0."""
        stops = np.append(starts[1:], len(array))
        return cls(np.array(array[a:b]) for a, b in zip(starts, stops, strict=True))

    def joined(self) -> NDArray[Any]:
        """Put the pages together, once: the array is kept beside them, for as long as they are."""
        if self._joined is None:
            self._joined = np.concatenate(self.pages)
        return self._joined

    def __getstate__(self) -> dict[str, Any]:
        return {"pages": list(self.pages)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        pages = tuple(state["pages"])
        if not pages or not all(isinstance(page, np.ndarray) and page.ndim for page in pages):
            raise ValueError(
                "the loaded pages are damaged: they are no arrays, or there are none; expected the "
                "pages of an array. Load another copy of the file, or fit again."
            )
        self._put(pages)

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return len(self), *self.pages[0].shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the array."""
        return self.pages[0].dtype

    @property
    def nbytes(self) -> int:
        """Bytes of all pages."""
        return sum(page.nbytes for page in self.pages)

    def __getitem__(self, positions: Any) -> NDArray[Any]:
        """Copy the entries at some positions, from 0 on, in any order."""
        positions = np.asarray(positions)
        order = None
        if np.any(positions[1:] < positions[:-1]):
            order = np.argsort(positions, kind="stable")
            positions = positions[order]
        found = np.empty((len(positions), *self.shape[1:]), self.dtype)
        for n, own in self._split(positions):
            found[own] = np.asarray(self.pages[n])[positions[own] - self.starts[n]]
            release(self.pages[n])
        if order is None:
            return found
        out = np.empty_like(found)
        out[order] = found
        return out

    def __repr__(self) -> str:
        return f"Pages(shape={self.shape}, dtype={self.dtype}, n_pages={len(self.pages)})"

    def without(self, positions: Ints) -> Pages:
        """Return a version without some ascending, distinct positions."""
        pages = list(self.pages)
        for n, own in self._split(positions):
            pages[n] = np.delete(np.asarray(pages[n]), positions[own] - self.starts[n], axis=0)
        return Pages(pages)

    def insert(self, places: Ints, entries: NDArray[Any], near: Ints) -> Pages:
        """Return a version with entries put before some ascending places.

        Each joins the page of the entry `near` it, or the last one: a place between two pages is in
        both.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_unlearn.utils._pages import Pages
        >>> old = Pages.cut(np.arange(4), np.array([0, 2]))
        >>> new = old.insert(np.array([2, 4]), np.array([7, 8]), np.array([1, 4]))
        >>> [page.tolist() for page in new.pages]
        [[0, 1, 7], [2, 3, 8]]
        """
        pages = list(self.pages)
        numbers = np.minimum(np.searchsorted(self.starts, near, side="right"), len(pages)) - 1
        for n in np.unique(numbers).tolist():
            own = numbers == n
            pages[n] = np.insert(
                np.asarray(pages[n]), places[own] - self.starts[n], entries[own], axis=0
            )
        return Pages(pages)

    def extended(self, entries: NDArray[Any]) -> Pages:
        """Return a version with a page of other entries behind all, if there are any."""
        return Pages([*self.pages, np.array(entries)]) if len(entries) else self

    def replace(self, positions: Ints, entries: NDArray[Any]) -> Pages:
        """Return a version with other entries at some ascending, distinct positions."""
        pages = list(self.pages)
        for n, own in self._split(positions):
            pages[n] = np.array(pages[n])
            pages[n][positions[own] - self.starts[n]] = entries[own]
        return Pages(pages)

    def matching(self, array: NDArray[Any]) -> Pages:
        """Return a version with the entries of an array of the same shape and data type."""
        parts = (array[start : start + len(page)] for start, page in passed(self))
        pairs = zip(self.pages, parts, strict=True)
        return Pages(old if np.array_equal(old, new) else np.array(new) for old, new in pairs)

    def _split(self, positions: Ints) -> Iterator[tuple[int, slice]]:
        """Pages that hold some ascending positions, and which of the positions each holds."""
        cuts = np.searchsorted(positions, self.starts)
        for n in np.flatnonzero(np.diff(cuts)):
            yield int(n), slice(cuts[n], cuts[n + 1])


def whole(array: NDArray[Any] | Pages) -> NDArray[Any]:
    """Put pages together; an array is returned as it is."""
    return np.concatenate(array.pages) if isinstance(array, Pages) else array


def passed(array: NDArray[Any] | Pages) -> Iterator[tuple[int, NDArray[Any]]]:
    """Make one pass: where each page begins, and the page; an array is one page.

    What of a page is mapped from a file does not stay in the memory of the process.
    """
    start = 0
    for page in array.pages if isinstance(array, Pages) else (array,):
        yield start, np.asarray(page)
        start += len(page)
        release(page)


def release(page: NDArray[Any]) -> None:
    """Take what was read of a file out of the memory of the process; the file is as it was."""
    mapped: Any = getattr(page, "_mmap", None)
    # Only what nobody may write to: a private change would be lost.
    if hasattr(mapped, "madvise") and getattr(page, "mode", None) == "r":
        mapped.madvise(mmap.MADV_DONTNEED)
