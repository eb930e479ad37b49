"""Two backends at one point: how far their numbers are apart, and how near to memory's pace."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone

from sklearn_unlearn.backends import Backend
from sklearn_unlearn.interactions import Interactions

__all__ = ["Traffic", "bandwidth", "objective_of", "parity", "point_of", "time_products"]

#: Bytes of the array whose copy is timed: far more than any cache holds.
COPY_BYTES = 1 << 28

_INDEX_BYTES = 4  # of a row or a column; both backends keep them in 32 bits where they fit
_WARM_UP = 3


class Traffic:
    """A backend that counts the bytes its sparse operations cannot do without.

    Each operation reads its indices, its weights and its tables once, and writes its result once:
    less no implementation can do whose caches do not hold a table from one operation to the next.

    Parameters
    ----------
    backend : Backend
        Does the work.

    Attributes
    ----------
    n_bytes : int
        Counted so far.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.n_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["backend"], name)

    def sddmm(self, pattern: Any, *pairs: Any) -> Any:
        """Count, and do, `Backend.sddmm`."""
        out = self.backend.sddmm(pattern, *pairs)
        self._count(pattern, out, *(table for pair in pairs for table in pair))
        return out

    def spmm(self, pattern: Any, *terms: Any, transpose: bool = False, out: Any = None) -> Any:
        """Count, and do, `Backend.spmm`."""
        read = [array for term in terms for array in term]
        if out is not None:
            read.append(out)
        result = self.backend.spmm(pattern, *terms, transpose=transpose, out=out)
        # Column by column the place of each weight is read as well.
        self._count(pattern, result, *read, n_indices=1 + transpose)
        return result

    def _count(self, pattern: Any, written: Any, *read: Any, n_indices: int = 1) -> None:
        # The same table in two places goes by once.
        distinct = {id(array): array for array in read}.values()
        self.n_bytes += n_indices * _INDEX_BYTES * pattern.n_interactions
        self.n_bytes += written.nbytes + sum(array.nbytes for array in distinct)


def objective_of(estimator: Any, X: sparse.csr_array, backend: Any, seed: int) -> Any:
    """State the objective of an estimator and some data on a backend."""
    model = clone(estimator)
    model._seed = seed
    model._backend = lambda: backend
    return model._make_objective(Interactions.from_matrix(X))


def point_of(layout: Any, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw a point, where no derivative vanishes, and a direction."""
    rng = np.random.default_rng(seed)
    rows = sum(layout.shape[:1])
    tables = [
        layout.pack(0.3 * rng.standard_normal((rows, layout.n_factors)), rng.standard_normal(rows))
        for _ in range(2)
    ]
    return tables[0], layout.mask_fixed(tables[1])


def parity(ours: Any, theirs: Any, dtype: str, seed: int) -> dict[str, Any]:
    """Compare an objective on two backends, at one point and in one precision.

    Parameters
    ----------
    ours, theirs : objective
        The same, on either backend; the first is the yardstick.

    dtype : {"float64", "float32"}
        Of the tables.

    seed : int
        Of the point.

    Returns
    -------
    record : dict
        Relative differences of value, gradient and Hessian product, and those of each backend's
        product from the yardstick's in double precision.
    """
    theta, V = point_of(ours.layout, seed)
    exact = _evaluate(ours, theta, V)
    one, other = (
        _evaluate(objective, theta.astype(dtype), V.astype(dtype)) for objective in (ours, theirs)
    )
    record: dict[str, Any] = {"dtype": dtype}
    for name, a, b in zip(("value", "gradient", "product"), one, other, strict=True):
        record[name] = _relative(b, a)
    record["product_dtype"] = str(other[2].dtype)
    record["rounding_host"] = _relative(one[2], exact[2])
    record["rounding_device"] = _relative(other[2], exact[2])
    return record


def _evaluate(objective: Any, theta: NDArray[Any], V: NDArray[Any]) -> tuple[Any, ...]:
    backend = objective.backend
    point = objective.at(theta)
    product = point.hessian_product(backend.asarray(V))
    return point.value, backend.to_numpy(point.gradient), backend.to_numpy(product)


def _relative(a: Any, b: Any) -> float:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


# -- clocks --------------------------------------------------------------------------------------
def time_products(objective: Any, dtype: str, seed: int, repeats: int) -> dict[str, Any]:
    """Time Hessian products, and count the bytes of one.

    Parameters
    ----------
    objective : objective
        Its backend is a `Traffic`.

    dtype : {"float64", "float32"}
        Of the tables.

    seed : int
        Of the point.

    repeats : int
        Timed products.

    Returns
    -------
    record : dict
        Seconds (median, least, each) and bytes.
    """
    backend = objective.backend
    theta, V = (table.astype(dtype) for table in point_of(objective.layout, seed))
    point, direction = objective.at(theta), backend.asarray(V)
    # What the point keeps for all of its products is computed before the bytes are counted.
    point.hessian_product(direction)
    before = backend.n_bytes
    point.hessian_product(direction)
    n_bytes = backend.n_bytes - before
    seconds = _time(backend, lambda: point.hessian_product(direction), repeats)
    return {
        "dtype": dtype,
        "seconds": statistics.median(seconds),
        "seconds_min": min(seconds),
        "seconds_each": seconds,
        "bytes": n_bytes,
    }


def bandwidth(backend: Any, repeats: int = 7) -> float:
    """Bytes a second that a copy of a large array reads and writes, at its fastest."""
    array = backend.asarray(np.ones(COPY_BYTES // 8))
    target = backend.xp.zeros_like(array)

    def copy() -> Any:
        target[:] = array
        return target

    seconds = _time(backend, copy, repeats)
    return 2 * COPY_BYTES / min(seconds)


def _time(backend: Any, call: Callable[[], Any], repeats: int) -> list[float]:
    """Time calls one by one; each ends when a number of its result has arrived here."""
    seconds = []
    for repeat in range(repeats + _WARM_UP):
        start = time.perf_counter()
        backend.to_numpy(call().reshape(-1)[:1])
        if repeat >= _WARM_UP:
            seconds.append(time.perf_counter() - start)
    return seconds
