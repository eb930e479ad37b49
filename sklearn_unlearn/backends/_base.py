"""What a backend can do: the few operations that every objective and solver is written in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._interactions import concatenate_ranges
from sklearn_unlearn.utils._verbs import cached_property

__all__ = [
    "Array",
    "Backend",
    "DeviceMemoryError",
    "Pattern",
    "RowCells",
    "cast",
    "copy_of",
    "double",
    "expit",
    "inner",
    "like",
    "namespace_of",
    "norm",
    "to_numpy",
    "twin",
]

Array = Any  # an array of the backend: numpy.ndarray, or torch.Tensor


class DeviceMemoryError(MemoryError):
    """The memory of a device did not suffice.

    Examples
    --------
    >>> from sklearn_unlearn.backends import DeviceMemoryError
    >>> issubclass(DeviceMemoryError, MemoryError)
    True
    """


@dataclass(frozen=True)
class Pattern:
    """Where the observed cells are, row by row and column by column.

    Parameters
    ----------
    indptr, indices : ndarray
        Compressed rows: the items of user ``u`` are ``indices[indptr[u]:indptr[u + 1]]``.

    indptr_t, indices_t : ndarray
        Compressed columns: the users of each item.

    order_t : ndarray of int, shape (n_interactions,)
        Place of each column-major entry in row-major order.

    shape : tuple of int
        ``(n_users, n_items)``.

    Examples
    --------
    >>> from sklearn_unlearn.backends import Pattern
    >>> from sklearn_unlearn.interactions import Interactions
    >>> pattern = Pattern.from_interactions(Interactions.from_matrix([[1, 0, 1], [0, 1, 0]]))
    >>> pattern.shape, pattern.indices.tolist()
    ((2, 3), [0, 2, 1])
    """

    indptr: NDArray[Any]
    indices: NDArray[Any]
    indptr_t: NDArray[Any]
    indices_t: NDArray[Any]
    order_t: NDArray[Any]
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        # Read-only arrays are a type of their own to the compiler: one type, one compilation.
        for array in (self.indptr, self.indices, self.indptr_t, self.indices_t, self.order_t):
            array.setflags(write=False)

    def __getstate__(self) -> dict[str, Any]:
        # What a backend keeps beside the arrays is for this process's device.
        return {name: value for name, value in vars(self).items() if name != "_twins"}

    @classmethod
    def from_interactions(cls, data: Interactions) -> Pattern:
        """Take the pattern of a table of interactions, without copying it."""
        return _InteractionPattern(data)

    def cells_of_columns(self, columns: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        """Where each column starts, and the row and the row-major place of each of its cells."""
        cells = concatenate_ranges(self.indptr_t, columns)
        lengths = self.indptr_t[columns + 1] - self.indptr_t[columns]
        indptr = np.append(0, np.cumsum(lengths))
        return indptr, self.indices_t[cells], self.order_t[cells]

    def items_at(self, cells: NDArray[np.int64]) -> NDArray[Any]:
        """Column of each of some cells, by their row-major places."""
        return self.indices[cells]

    @property
    def n_interactions(self) -> int:
        """Number of observed cells."""
        return len(self.indices)

    @cached_property
    def order(self) -> NDArray[Any]:
        """Place of each row-major entry in row-major order: what `order_t` is for columns."""
        order = np.arange(self.n_interactions, dtype=self.order_t.dtype)
        order.setflags(write=False)
        return order


class _InteractionPattern(Pattern):
    """Pattern of a table of interactions: read column by column only where that is asked for.

    A request that touches a few columns finds them by one scan; sorting all of them out takes ten
    times as long, and twice the memory of the pattern.
    """

    def __init__(self, data: Interactions) -> None:
        self.__dict__.update(indptr=data.indptr, shape=data.shape, _data=data, _last=None)

    @cached_property
    def indices(self) -> NDArray[Any]:
        return self.__dict__["_data"].indices

    def items_at(self, cells: NDArray[np.int64]) -> NDArray[Any]:
        """Column of each of some cells, by their row-major places."""
        return self.__dict__["_data"].items_at(cells)

    @property
    def n_interactions(self) -> int:
        """Number of observed cells."""
        return self.__dict__["_data"].n_interactions

    @cached_property
    def indptr_t(self) -> NDArray[Any]:
        return self._transpose[0]

    @cached_property
    def indices_t(self) -> NDArray[Any]:
        return self._transpose[1]

    @cached_property
    def order_t(self) -> NDArray[Any]:
        return self._transpose[2]

    @cached_property
    def _transpose(self) -> tuple[NDArray[Any], ...]:
        # Read-only arrays are a type of their own to the compiler: one type, one compilation.
        return self.__dict__["_data"].transpose_pattern()

    def cells_of_columns(self, columns: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        """Where each column starts, and the row and the row-major place of each of its cells."""
        last = self.__dict__["_last"]
        if last is not None and np.isin(columns, last[0], assume_unique=True).all():
            return _some_columns(columns, *last)
        found = self.__dict__["_data"].item_cells(columns)
        self.__dict__["_last"] = columns.copy(), found
        return found


def _some_columns(
    columns: NDArray[np.int64], known: NDArray[np.int64], cells: tuple[NDArray[Any], ...]
) -> tuple[NDArray[Any], ...]:
    """Cells of some of the columns whose cells are known."""
    if len(columns) == len(known):
        return cells
    indptr, rows, places = cells
    own = np.searchsorted(known, columns)
    chosen = concatenate_ranges(indptr, own)
    lengths = indptr[own + 1] - indptr[own]
    return np.append(0, np.cumsum(lengths)), rows[chosen], places[chosen]


@dataclass(frozen=True)
class RowCells:
    """The observed cells of some rows of one side, compactly: what their least squares walk.

    Row r has the normal equations ``(gram + ridge_r I + sum w y y') x = sum v y + rhs_r``, with y
    the rows of the other side at its cells.

    Parameters
    ----------
    indptr : ndarray of int, shape (n_rows + 1,)
        Where the cells of each row are.

    columns : ndarray of int, shape (n_cells,)
        Row of the other side that each cell belongs to.

    weights, pulls : ndarray of float64, shape (n_cells,)
        w and v.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import RowCells
    >>> cells = RowCells(np.array([0, 1]), np.array([2]), np.ones(1), np.ones(1))
    >>> len(cells.columns)
    1
    """

    indptr: NDArray[Any]
    columns: NDArray[Any]
    weights: NDArray[Any]
    pulls: NDArray[Any]

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The four arrays, in the order of the kernels."""
        return self.indptr, self.columns, self.weights, self.pulls


class Backend(Protocol):
    """Arithmetic on sparsity patterns, in the words of the problem.

    ``weights`` and other per-interaction arrays are in row-major order of the pattern. With
    ``transpose=True`` the pattern is read item by item: the result has one row an item.

    Examples
    --------
    >>> from sklearn_unlearn.backends import get_backend
    >>> get_backend("cpu").name
    'scipy'
    """

    name: str

    @property
    def xp(self) -> Any:
        """Functions that go with the backend's arrays: NumPy's, or the array API standard's."""

    def sddmm(self, pattern: Pattern, *pairs: tuple[Array, Array]) -> Array:
        """Sum over pairs (A, B) of ``<A[u], B[i]>`` at every observed (u, i)."""

    def spmm(
        self,
        pattern: Pattern,
        *terms: tuple[Array, Array],
        transpose: bool = False,
        out: Array | None = None,
    ) -> Array:
        """Sum over terms (weights, B) of the sparse matrix with these weights times B.

        Added to `out` if that is given.
        """

    def row_grams(
        self, pattern: Pattern, weights: Array, B: Array, transpose: bool = False
    ) -> Array:
        """For each row the sum of ``weight * outer(B[j], B[j])`` over its observed j."""

    def cho_solve(self, blocks: Array, rhs: Array) -> Array:
        """Solve one symmetric positive definite system a row: (n, k, k) and (n, k)."""

    def row_solve(
        self,
        cells: RowCells,
        other: Array,
        gram: Array,
        ridge: Array,
        rhs: Array,
        start: Array,
        n_steps: int | None = None,
        *,
        near: bool = False,
    ) -> Array:
        """Solve the normal equations of each row: see `RowCells`.

        Exactly by Cholesky; or, with `n_steps`, only so many conjugate gradient steps from `start`.
        With `near`, `start` is near to the solutions: the change may be found to five digits, which
        is what single precision keeps of it.
        """

    def row_residual(
        self, cells: RowCells, other: Array, gram: Array, ridge: Array, rhs: Array, rows: Array
    ) -> Array:
        """Right minus left side of the normal equations of each row: minus its gradient."""

    def neighbour_change(
        self, cells: RowCells, old: Array, new: Array, other: Array, place: Array, n: int
    ) -> Array:
        """How the gradients of n neighbours change when rows move from `old` to `new`.

        ``place[column]`` is the neighbour's row of the result, negative where it does not count.
        """

    def scatter_add(self, target: Array, rows: Array, updates: Array) -> Array:
        """Copy of `target` with `updates` added to `rows`, which may repeat."""

    def topk(self, scores: Array, k: int) -> tuple[Array, Array]:
        """Columns and values of the k largest entries of each row; ties go to the lowest column."""

    def asarray(self, array: Any) -> Array:
        """Bring an array to the device."""

    def to_numpy(self, array: Array) -> NDArray[Any]:
        """Bring an array back."""


def namespace_of(array: Array) -> Any:
    """Return the functions that go with an array: the Python array API standard's.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import namespace_of
    >>> namespace_of(np.ones(3)).__name__
    'numpy'
    """
    if isinstance(array, np.ndarray):
        return np
    from array_api_compat import array_namespace

    return array_namespace(array)


def to_numpy(array: Array) -> NDArray[Any]:
    """Bring an array to the host; NumPy's own are returned as they are."""
    if isinstance(array, np.ndarray):
        return array
    # A copy: NumPy's view of the memory would keep the other library's array alive behind it.
    return array.cpu().numpy().copy()


def like(reference: Array, array: NDArray[Any]) -> Array:
    """Bring a NumPy array where another array is, in its own data type."""
    if isinstance(reference, np.ndarray) or not isinstance(array, np.ndarray):
        return array
    # A copy: what is written to one must not be seen in the other.
    return namespace_of(reference).asarray(np.array(array, order="C"), device=reference.device)


def twin(owner: Any, name: str, reference: Array) -> Array:
    """Return an attribute that is a NumPy array, where another array is.

    The copy for a device is made once and kept on the owner, so it dies with it: owners live for a
    call. Anything but an array, None for instance, is returned as it is.
    """
    if isinstance(reference, np.ndarray):
        return getattr(owner, name)
    kept = vars(owner).setdefault("_twins", {})
    key = name, str(reference.device)
    if key not in kept:
        kept[key] = like(reference, getattr(owner, name))
    return kept[key]


def cast(reference: Array, array: Array) -> Array:
    """Give an array the data type of another one of its kind; copy only if it has not."""
    return namespace_of(array).asarray(array, dtype=reference.dtype)


def double(array: Array) -> Array:
    """Give an array double precision; copy only if it has not."""
    xp = namespace_of(array)
    return xp.asarray(array, dtype=xp.float64)


def copy_of(array: Array) -> Array:
    """Copy an array."""
    return namespace_of(array).asarray(array, copy=True)


def inner(a: Array, b: Array) -> float:
    """Sum of the products of all entries."""
    return float(a.reshape(-1) @ b.reshape(-1))


def norm(array: Array) -> float:
    """Root of the sum of squares of all entries; NaN and infinity are kept.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import norm
    >>> norm(np.array([[3.0], [4.0]]))
    5.0
    """
    return math.sqrt(inner(array, array))


def expit(scores: Array) -> Array:
    """``1 / (1 + exp(-s))``, accurate at both ends.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.backends import expit
    >>> expit(np.array([0.0, -1000.0]))
    array([0.5, 0. ])
    """
    if isinstance(scores, np.ndarray):
        return special.expit(scores)
    xp = namespace_of(scores)
    # The exponent is never positive, so nothing overflows; small probabilities keep their digits.
    small = xp.exp(-xp.abs(scores))
    return xp.where(scores >= 0, 1 / (1 + small), small / (1 + small))
