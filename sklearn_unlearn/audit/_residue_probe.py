"""What a request must leave no trace of, taken from a model before it forgets."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from math import lgamma, log
from typing import Any, NoReturn
from urllib.parse import quote
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklearn_unlearn._forget_request import ForgetRequest, validate_forget_request
from sklearn_unlearn.audit._residue_patterns import SHORTEST, Pattern, Scanner, is_telling
from sklearn_unlearn.exceptions import DataWarning
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.pipeline._translation import read_request
from sklearn_unlearn.utils._pages import Pages, whole

__all__ = ["ResidueProbe", "make_probe"]

# Bytes of a row that are searched for; of longer ones the first.
_LONGEST_ROW = 512
# Bits that a list of positions, or of values, has to tell: fewer occur by chance.
_LEAST_BITS = 48
# Of an integer id: digits to be searched for as text, and the least that has 5 bytes.
_LEAST_DIGITS = 7
_LEAST_INTEGER = 2**32
_INTEGERS = ("<i4", "<i8")
_FLOATS = ("<f4", "<f8", ">f4", ">f8")


class ResidueProbe:
    """What to search for after a request; made by `make_probe`.

    It holds what is to be forgotten. Keep it in memory until the audit is done, and no longer: it
    cannot be pickled, and shows nothing but counts.

    Attributes
    ----------
    n_patterns : int
        Byte patterns that are searched for.

    unsearchable : dict of str to int
        How much of each kind is too short, or not different enough from what stays, to be told from
        it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.audit import make_probe
    >>> X = np.random.default_rng(0).random((40, 30)) < 0.3
    >>> make_probe(ALS(8, random_state=0).fit(X), {"users": [7]})
    <ResidueProbe of 5 patterns and 9 interactions>
    """

    def __init__(
        self,
        patterns: Iterable[Pattern],
        unsearchable: Mapping[str, int],
        shape: tuple[int, int],
        cells: NDArray[np.int64],
        ids: frozenset[Any],
    ) -> None:
        self._scanner = Scanner(patterns)
        self._shape = shape
        self._cells = cells
        self._ids = ids
        self.unsearchable = dict(unsearchable)

    @property
    def n_patterns(self) -> int:
        """Byte patterns that are searched for."""
        return len(self._scanner)

    def __repr__(self) -> str:
        return f"<ResidueProbe of {self.n_patterns} patterns and {len(self._cells)} interactions>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a ResidueProbe holds what is to be forgotten; expected it to stay in memory. Make the "
            "probe and run the audit in one process."
        )


def make_probe(
    model: Any, request: Mapping[str, Any], *, vectors: ArrayLike | None = None
) -> ResidueProbe:
    """Take from a model what a request must leave no trace of, before the model forgets.

    Parameters
    ----------
    model : recommender or pipeline
        Fitted, before the request.

    request : mapping
        What ``forget`` will be called with: "interactions", "users" and "items", in positions, or
        in ids for a pipeline.

    vectors : array-like of shape (n, d) or None, default=None
        More rows to search for: the vectors of the forgotten users or items as they were exported,
        where that changed them (scaled to length one, projected).

    Returns
    -------
    probe : ResidueProbe
        For `audit_residue`.

    Raises
    ------
    ValueError, TypeError
        As of ``forget``, which leaves nothing of an unknown user either.

    Warns
    -----
    DataWarning
        If the model holds no interaction of the request, as after `forget`: an audit could then
        find little or nothing, whatever is there.

    Notes
    -----
    These are searched for as bytes: the rows of the forgotten users and items in every table of
    factors (16, 32 and 64 bits, both byte orders); the positions that each of them met, as a sparse
    matrix stores them, and the values; in pipelines the ids of forgotten users, as text (UTF-8,
    UTF-16, as JSON and as URLs escape it), integers and UUIDs. Interactions are searched for one by
    one too, in the matrices in memory.

    A text that is a number or a word, or that an id which stays contains, counts only where neither
    neighbour is a letter or a digit. What is short or common cannot be told from chance, and is
    counted in ``unsearchable``: rows of less than 12 different bytes, lists that tell less than 48
    bits, text of less than 6 bytes, integers of less than 7 digits, and all that occurs in what
    stays.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.audit import audit_residue, make_probe
    >>> X = np.random.default_rng(0).random((40, 30)) < 0.3
    >>> model = ALS(8, random_state=0).fit(X)
    >>> exported = model.user_factors_.copy()
    >>> probe = make_probe(model, {"users": [7]})
    >>> audit_residue(model.forget(users=[7]), probe).count
    0
    >>> audit_residue({"index": exported}, probe)
    <ResidueReport: 1 finding in 1 place>
    """
    recommender, named, ids, kept = _read(model, request)
    data = recommender._interactions
    if not len(named.positions):
        warnings.warn(
            "the model holds no interaction of the request; expected the model as it was before, "
            "as it tells what to search for. Make the probe before the flush, or of a backup.",
            DataWarning,
            stacklevel=2,
        )
    found = _Collected()
    for table in _tables_of(model, data.shape):
        found.add_rows(table, _owners(table, named, data.shape))
    if vectors is not None:
        array = np.asarray(vectors)
        if array.ndim != 2 or array.dtype.kind != "f":
            raise ValueError(
                f"vectors has shape {array.shape} and dtype {array.dtype}; expected rows of "
                "floats. Pass one row for each vector."
            )
        found.add_rows(array, np.arange(len(array)))
    found.add_lists(data, named)
    found.add_ids(ids, kept)
    rows = np.repeat(np.arange(data.n_users), data.user_degrees)[named.positions]
    cells = rows * data.n_items + data.items_at(named.positions)
    return ResidueProbe(
        found.patterns, found.unsearchable, data.shape, np.sort(cells), frozenset(ids)
    )


def _read(
    model: Any, request: Mapping[str, Any]
) -> tuple[Any, ForgetRequest, list[Any], list[Any]]:
    """Return the recommender, the request in positions, the ids that go, and those that stay."""
    if not isinstance(request, Mapping) or request.keys() - {"interactions", "users", "items"}:
        raise TypeError(
            "request is no mapping of interactions, users and items; expected what forget is "
            "called with. Pass for example {'users': [7]}."
        )
    pairs, users, items = (request.get(name) for name in ("interactions", "users", "items"))
    inner = getattr(model, "estimator_", model)  # of UnlearningRecommender
    encoder = getattr(inner, "_encoder", None)
    recommender = inner.steps[-1][1] if hasattr(inner, "steps") else inner
    recommender = getattr(recommender, "estimator_", recommender)
    if encoder is None:
        named = validate_forget_request(recommender._interactions, pairs, users, items, "ignore")
        return recommender, named, [], []
    data = recommender._interactions
    lenient = type(encoder)(**{**encoder.get_params(), "unknown": "ignore"})
    vars(lenient).update({k: v for k, v in vars(encoder).items() if k not in lenient.get_params()})
    read = read_request(lenient, data, pairs, users, items, "ignore")
    named = validate_forget_request(data, read.pairs, read.users, read.items, "ignore")
    emptied = _emptied(data, named)
    erased = np.union1d(read.users, np.intersect1d(read.named, emptied))
    gone = encoder.decode_users(erased).tolist()
    kept = np.setdiff1d(encoder._users.positions, erased)
    staying = [*encoder.decode_users(kept).tolist(), *encoder._items.ids.tolist()]
    return recommender, named, gone, staying


def _emptied(data: Interactions, named: ForgetRequest) -> NDArray[np.int64]:
    """Users of whom nothing is left."""
    rows = np.repeat(np.arange(data.n_users), data.user_degrees)[named.positions]
    return np.flatnonzero(data.user_degrees == np.bincount(rows, minlength=data.n_users))


def _tables_of(model: Any, shape: tuple[int, int]) -> Iterator[NDArray[Any]]:
    """Tables of floats under a model with a row for each user or item."""
    stack, seen = [model], set()
    while stack:
        one = stack.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Pages):
            one = whole(one)
        if isinstance(one, np.ndarray):
            if one.ndim == 2 and one.dtype.kind == "f" and len(one) in shape:
                yield one
        elif isinstance(one, list | tuple):
            stack += one
        elif isinstance(one, dict):
            stack += one.values()
        elif type(one).__module__.startswith("sklearn_unlearn") and hasattr(one, "__dict__"):
            stack += vars(one).values()


def _owners(table: NDArray[Any], named: ForgetRequest, shape: tuple[int, int]) -> NDArray[np.int64]:
    sides = [
        rows for n, rows in zip(shape, (named.users, named.items), strict=True) if n == len(table)
    ]
    return np.unique(np.concatenate(sides))


class _Collected:
    """Patterns, and the number of those that are none."""

    def __init__(self) -> None:
        self.patterns: list[Pattern] = []
        self.unsearchable: Counter[str] = Counter()

    def add_rows(self, table: NDArray[Any], rows: NDArray[np.int64]) -> None:
        """Add rows of a table, but for those that others share."""
        width = max(1, min(table.shape[1], _LONGEST_ROW // 8))
        alike = (
            np.isin(table[:, 0], table[rows, 0]) if table.shape[1] else np.zeros(len(table), bool)
        )
        alike[rows] = False
        known = {one.tobytes() for one in np.ascontiguousarray(table[alike, :width])}
        kinds = list(dict.fromkeys((f"<f{table.itemsize}", *_FLOATS, "<f2")))
        for row in np.ascontiguousarray(table[rows, :width]):
            forms = [row.astype(kind).tobytes() for kind in kinds if _fits(row, kind)]
            forms = [form for form in forms if is_telling(form)]
            if row.tobytes() in known or not forms:
                self.unsearchable["factors"] += 1
                continue
            self.patterns += [Pattern(form, "factors") for form in forms]

    def add_lists(self, data: Interactions, named: ForgetRequest) -> None:
        """Add the positions and values of whole users and items, if nothing that stays has them."""
        retained = data.remove(named.positions)
        indptr, users, order = data.transpose_pattern()
        values = data.values
        sides = (
            (named.users, data.indptr, data.indices, values, retained.n_items),
            (named.items, indptr, users, values[order], retained.n_users),
        )
        mine: list[Pattern] = []
        for owners, starts, positions, numbers, n in sides:
            for owner in owners.tolist():
                part = slice(starts[owner], starts[owner + 1])
                mine += self._lists(positions[part], n, "interactions", _INTEGERS)
                mine += self._lists(numbers[part], None, "values", _FLOATS[:2])
        stays = [retained.indices, retained.transpose_pattern()[1], retained.values]
        common = set()
        scanner = Scanner(mine)
        for array in stays:
            kinds = _INTEGERS if array.dtype.kind == "i" else _FLOATS[:2]
            for kind in kinds:
                common |= {one.content for _, one in scanner.find(array.astype(kind).tobytes())}
        for one in mine:
            if one.content in common:
                self.unsearchable[one.kind] += 1
            else:
                self.patterns.append(one)

    def _lists(
        self, row: NDArray[Any], n: int | None, kind: str, dtypes: tuple[str, ...]
    ) -> list[Pattern]:
        row = row[: _LONGEST_ROW // 8]
        bits = _bits_of_positions(row, n) if n is not None else _bits_of_values(row)
        if bits < _LEAST_BITS:
            self.unsearchable[kind] += 1
            return []
        return [Pattern(row.astype(dtype).tobytes(), kind) for dtype in dtypes]

    def add_ids(self, ids: list[Any], kept: list[Any]) -> None:
        """Add the forms of ids, if no id that stays looks like one."""
        forms = [list(_forms_of(one)) for one in ids]
        stays = "\n".join(map(str, kept)).encode("utf-8", "surrogatepass")
        everywhere = {one.content for _, one in _loose(forms).find(stays)}
        apart = {one.content for _, one in Scanner(chain.from_iterable(forms)).find(stays)}
        for some in forms:
            if not some or any(one.content in apart for one in some):
                self.unsearchable["id"] += 1
                continue
            # Formats put any byte beside a text, so bounds are asked for only where it takes them:
            # where an id that stays contains the text, or it is a number or a word.
            if not any(one.content in everywhere or one.content.isalnum() for one in some):
                some = [replace(one, bounded=0) for one in some]
            self.patterns += some


def _loose(forms: list[list[Pattern]]) -> Scanner:
    """Search for forms wherever they are."""
    return Scanner(replace(one, bounded=0) for some in forms for one in some)


def _fits(row: NDArray[Any], kind: str) -> bool:
    """Tell whether a row is the same but for rounding in another type."""
    largest = float(np.max(np.abs(row), initial=0.0))
    return bool(np.isfinite(row).all() and largest < np.finfo(kind).max)


def _bits_of_positions(row: NDArray[Any], n: int) -> float:
    """Bits that a choice of positions tells; none if they are evenly spaced, as in a range."""
    k = len(row)
    if k < 3 or len(np.unique(np.diff(row))) < 2:
        return 0.0
    return (lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)) / log(2)


def _bits_of_values(row: NDArray[Any]) -> float:
    """Bits that a row of numbers tells, by how often each occurs in it."""
    counts = np.unique(row, return_counts=True)[1] / max(len(row), 1)
    return float(-np.sum(counts * np.log2(counts)) * len(row))


def _forms_of(one: Any) -> Iterator[Pattern]:
    """Forms that an id has in files; none if it is too short."""
    if isinstance(one, bool):
        return
    if isinstance(one, int):
        text = str(one)
        if len(text.lstrip("-")) >= _LEAST_DIGITS:
            yield Pattern(text.encode(), "id", 1)
        if _LEAST_INTEGER <= one < 2**64:
            yield Pattern(one.to_bytes(8, "little"), "id")
            yield Pattern(one.to_bytes(8, "big"), "id")
        return
    if isinstance(one, bytes):
        if len(one) >= SHORTEST:
            yield Pattern(one, "id", 1)
        return
    text = str(one)
    encodings = [(text.encode("utf-8", "surrogatepass"), 1)]
    encodings.append((text.encode("utf-16-le", "surrogatepass"), 2))
    encodings.append((json.dumps(text)[1:-1].encode(), 1))
    encodings.append((quote(text, safe="", errors="replace").encode(), 1))
    if isinstance(one, UUID):
        encodings.append((one.hex.encode(), 1))
        yield Pattern(one.bytes, "id")
        yield Pattern(one.bytes_le, "id")
        yield Pattern(str(one.int).encode(), "id", 1)  # skops
        yield Pattern(one.int.to_bytes(16, "little").rstrip(b"\0").ljust(SHORTEST, b"\0"), "id")
    if len(encodings[0][0]) < SHORTEST:
        return
    for content, width in dict.fromkeys(encodings):
        yield Pattern(content, "id", width)
