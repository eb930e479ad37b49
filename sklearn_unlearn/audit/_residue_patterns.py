"""Search for many byte patterns at once in buffers of any size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SHORTEST", "Pattern", "Scanner", "is_telling"]

# Bytes by which a pattern is found before it is compared in full.
_ANCHOR = 6
SHORTEST = _ANCHOR
_CHUNK = 2**22
_WORD = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
# Opcode of pickle that is followed by the length of a text in one byte.
_SHORT_TEXT = 0x8C


@dataclass(frozen=True, repr=False)
class Pattern:
    """Bytes to search for.

    Parameters
    ----------
    content : bytes
        At least `SHORTEST`.

    kind : str
        What is there if they are found: "factors", "interactions", "values" or "id".

    bounded : int, default=0
        Of text: the bytes of a character, and neither neighbour may be a letter, digit or
        underscore. 0: found anywhere.
    """

    content: bytes
    kind: str
    bounded: int = 0


def is_telling(content: bytes, least: int = 12) -> bool:
    """Tell whether bytes do not occur by chance: enough of them differ from zero and each other.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.audit._residue_patterns import is_telling
    >>> is_telling(np.array([0.1, 0.2]).tobytes()), is_telling(np.array([0.0, 1.0]).tobytes())
    (False, False)
    >>> is_telling(np.random.default_rng(0).random(3).tobytes())
    True
    """
    counts = Counter(content)
    counts.pop(0, None)
    return len(counts) >= least


class Scanner:
    """Finds patterns in buffers, in one pass for all of them.

    Parameters
    ----------
    patterns : iterable of Pattern
        What to find.

    Examples
    --------
    >>> from sklearn_unlearn.audit._residue_patterns import Pattern, Scanner
    >>> scanner = Scanner([Pattern(b"person 7", "id", 1), Pattern(b"abcdef", "factors")])
    >>> [(place, found.kind) for place, found in scanner.find(b"xabcdef,person 7,person 77")]
    [(1, 'factors'), (8, 'id')]
    """

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._table: dict[int, list[tuple[int, Pattern]]] = {}
        self._may_be = np.zeros((3, 2**16), bool)
        self.longest = SHORTEST
        for one in patterns:
            shift, key = _anchor_of(one.content)
            known = self._table.setdefault(key, [])
            if all(one.content != other.content for _, other in known):
                known.append((shift, one))
                self.longest = max(self.longest, len(one.content))
        self._keys = np.array(sorted(self._table), np.uint64)
        for part in range(3):
            self._may_be[part, (self._keys >> np.uint64(16 * part)) & np.uint64(0xFFFF)] = True

    def __len__(self) -> int:
        return sum(map(len, self._table.values()))

    def find(self, buffer: Any) -> Iterator[tuple[int, Pattern]]:
        """Yield the offset of each pattern in a buffer, and the pattern.

        Parameters
        ----------
        buffer : bytes-like
            It is read a piece at a time and never copied as a whole.
        """
        view = memoryview(buffer).cast("B") if len(self._keys) else memoryview(b"")
        whole = np.frombuffer(view, np.uint8)
        for start in range(0, len(whole), _CHUNK):
            piece = whole[start : start + _CHUNK + _ANCHOR - 1]
            for place, key in self._candidates(piece):
                for shift, one in self._table[key]:
                    first = start + place - shift
                    if first >= 0 and _is_at(view, first, one):
                        yield first, one

    def _candidates(self, piece: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
        """Places of anchors in a piece."""
        if len(piece) < _ANCHOR:
            return
        pairs = piece[:-1].astype(np.uint16)
        pairs |= piece[1:].astype(np.uint16) << np.uint16(8)
        n = len(piece) - _ANCHOR + 1
        places = np.flatnonzero(
            self._may_be[0][pairs[:n]]
            & self._may_be[1][pairs[2 : n + 2]]
            & self._may_be[2][pairs[4 : n + 4]]
        )
        keys = np.zeros(len(places), np.uint64)
        for part in range(3):
            keys |= pairs[places + 2 * part].astype(np.uint64) << np.uint64(16 * part)
        found = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        hits = self._keys[found] == keys
        yield from zip(places[hits].tolist(), keys[hits].tolist(), strict=True)


def _anchor_of(content: bytes) -> tuple[int, int]:
    """Choose the bytes by which a pattern is found: those that differ most, of such the last."""
    windows = range(len(content) - _ANCHOR + 1)
    shift = max(windows, key=lambda n: (len({*content[n : n + _ANCHOR], 0}), n))
    return shift, int.from_bytes(content[shift : shift + _ANCHOR], "little")


def _is_at(view: memoryview, first: int, one: Pattern) -> bool:
    last = first + len(one.content)
    if view[first:last] != one.content:
        return False
    if not one.bounded:
        return True
    before, after = view[max(first - one.bounded, 0) : first], view[last : last + one.bounded]
    if first >= 2 and view[first - 2] == _SHORT_TEXT and view[first - 1] == len(one.content) & 255:
        before = memoryview(b"")  # that byte is a length
    return not (_is_word(before) or _is_word(after))


def _is_word(character: memoryview) -> bool:
    return bool(len(character)) and character[0] in _WORD and not any(character[1:])
