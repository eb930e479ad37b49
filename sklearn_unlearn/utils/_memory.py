"""Room for a model: what its tables need, what the machine has, and the error where that differs.

An operating system grants memory that it does not have, and ends the process when the memory is
used. So a fit that cannot end well is refused before anything is allocated.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_unlearn.exceptions import TooLargeError

__all__ = [
    "LONGEST_SIDE",
    "machine_memory",
    "refuse_beyond_memory",
    "refuse_long_sides",
    "stored_entries",
    "table_bytes",
]

# Positions beyond need 64-bit indices, and a row of anything for each is more than a machine holds.
LONGEST_SIDE = 2**31 - 1
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_FLAT = ("bsr", "coo", "csc", "csr")
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def machine_memory() -> int | None:
    """Return the bytes of memory that this process can have at most; None where nobody tells.

    All memory counts, that in use too: what is free changes from one moment to the next, and a
    table is refused only where it can never fit.

    Examples
    --------
    >>> from sklearn_unlearn.utils._memory import machine_memory
    >>> there = machine_memory()
    >>> there is None or there > 0
    True
    """
    known = []
    with suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        known.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in _CGROUP_LIMITS:
        with suppress(OSError, ValueError):  # no such file, or "max"
            known.append(int(path.read_text()))
    return min((one for one in known if one > 0), default=None)


def table_bytes(n_rows: int, n_columns: int, itemsize: int = 8) -> int:
    """Return the bytes of a dense table.

    Examples
    --------
    >>> from sklearn_unlearn.utils._memory import table_bytes
    >>> table_bytes(1000, 64)
    512000
    """
    return int(n_rows) * int(n_columns) * itemsize


def stored_entries(X: Any) -> int:
    """Return how many values a sparse container holds; 0 for others, which are there in full."""
    held = X.data if sparse.issparse(X) and X.format in _FLAT else None
    return held.size if isinstance(held, np.ndarray) else 0


def refuse_beyond_memory(shape: tuple[int, int], needed: int, name: str, advice: str) -> None:
    """Raise ValueError if what is made of a matrix can never fit.

    Parameters
    ----------
    shape : tuple of int
        ``(n_users, n_items)``.

    needed : int
        Bytes that are allocated at least.

    name : str
        Name of the model, or of whatever needs them.

    advice : str
        What to use instead, a sentence.

    Raises
    ------
    TooLargeError
        If `needed` is more than the machine has.

    Examples
    --------
    >>> from sklearn_unlearn.utils._memory import refuse_beyond_memory
    >>> refuse_beyond_memory((10, 10), 2**60, "EASE", "Use ALS.")
    Traceback (most recent call last):
    ...
    sklearn_unlearn.exceptions.TooLargeError: X has shape (10, 10), for which ... 1.0 EiB; ...
    """
    there = machine_memory()
    if there is not None and needed > there:
        raise TooLargeError(
            f"X has shape {shape}, for which {name} needs at least {_readable(needed)}; expected "
            f"at most {_readable(there)}, the memory of this machine. {advice}"
        )


def refuse_long_sides(shape: tuple[int, int], needed: int, name: str) -> None:
    """Raise ValueError for a shape that ids used as positions make.

    The parameters are those of `refuse_beyond_memory`.

    Examples
    --------
    >>> from sklearn_unlearn.utils._memory import refuse_long_sides
    >>> refuse_long_sides((2**31, 10), 2**45, "EASE")
    Traceback (most recent call last):
    ...
    ValueError: X has shape (2147483648, 10); expected at most 2147483647 users and as many items...
    """
    there = machine_memory()
    if max(shape) > LONGEST_SIDE:
        room = "an unknown amount" if there is None else _readable(there)
        raise ValueError(
            f"X has shape {shape}; expected at most {LONGEST_SIDE} users and as many items: "
            f"{name} needs at least {_readable(needed)} for that shape, and this machine has "
            f"{room}. Turn ids into positions with InteractionEncoder."
        )


def _readable(n_bytes: int) -> str:
    power = min(max(n_bytes.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    return f"{n_bytes} bytes" if not power else f"{n_bytes / 1024**power:.1f} {_UNITS[power]}"
