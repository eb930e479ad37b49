"""What code above the backends asks of an array, whatever library it comes from.

Everything else is written with the array's own operators and with its namespace, `namespace_of`:
functions that NumPy and the Python array API standard have in common.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = [
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

Array = Any


def namespace_of(array: Array) -> Any:
    """Return the functions that go with an array: the Python array API standard's.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.influence.backends import namespace_of
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
    >>> from sklearn_unlearn.influence.backends import norm
    >>> norm(np.array([[3.0], [4.0]]))
    5.0
    """
    return math.sqrt(inner(array, array))


def expit(scores: Array) -> Array:
    """``1 / (1 + exp(-s))``, accurate at both ends.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.influence.backends import expit
    >>> expit(np.array([0.0, -1000.0]))
    array([0.5, 0. ])
    """
    if isinstance(scores, np.ndarray):
        return special.expit(scores)
    xp = namespace_of(scores)
    # The exponent is never positive, so nothing overflows; small probabilities keep their digits.
    small = xp.exp(-xp.abs(scores))
    return xp.where(scores >= 0, 1 / (1 + small), small / (1 + small))
