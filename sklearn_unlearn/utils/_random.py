"""Counter-based random streams.

A draw is a pure function of (seed, row, column, slot). It depends neither on the order of the draws
nor on how many users there are, so a model refitted on fewer interactions meets the same random
numbers, and its distance to the forgotten model is an effect of the data alone.

The mixing is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
number generators", OOPSLA 2014), applied once per coordinate. It is not meant for cryptography.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["draw_seed", "hashed_bits", "hashed_normal", "hashed_uniform"]

_GOLDEN = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1
# A second draw for the same coordinates must not meet any slot that a caller can name.
_BOX_MULLER = 0xD1B54A32D192ED03


def draw_seed(random_state: Any = None) -> int:
    """Turn any form of ``random_state`` into one integer to keep on the fitted model.

    Parameters
    ----------
    random_state : None, int, numpy.random.RandomState or numpy.random.Generator, default=None
        An int gives itself. A generator object is advanced by one draw. None draws from NumPy's
        global state, as everywhere in scikit-learn.

    Returns
    -------
    seed : int
        A Python int, not negative.

    Raises
    ------
    ValueError
        If the integer is negative.
    TypeError
        If it is none of these forms.

    Examples
    --------
    >>> from sklearn_unlearn.utils._random import draw_seed
    >>> draw_seed(7)
    7
    """
    if isinstance(random_state, Integral):
        if random_state < 0:
            raise ValueError(
                f"random_state is {random_state}; expected an integer >= 0. "
                "Pass its absolute value, or None for a random seed."
            )
        return int(random_state)
    if random_state is None:
        random_state = np.random.mtrand._rand
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    raise TypeError(
        f"random_state is a {type(random_state).__name__}; expected None, an int, a RandomState or "
        "a Generator. Pass an int for results that repeat."
    )


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finalise 64-bit words so that every input bit changes about half of the output bits."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _word(values: ArrayLike) -> NDArray[np.uint64]:
    return np.asarray(values).astype(np.int64, copy=False).view(np.uint64)


def _hash(seed: int, coordinates: tuple[ArrayLike, ...]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is the point
        state = _mix(np.array([(int(seed) + _GOLDEN) & _WORD], dtype=np.uint64))
        for depth, values in enumerate(coordinates, start=2):
            step = np.array([(depth * _GOLDEN) & _WORD], dtype=np.uint64)
            state = _mix(state ^ _mix(_word(values) * np.uint64(_GOLDEN) + step))
    return state


def hashed_bits(
    seed: int, row: ArrayLike, column: ArrayLike = 0, slot: ArrayLike = 0
) -> NDArray[np.uint64]:
    """Hash (seed, row, column, slot) to 64 random bits.

    Parameters
    ----------
    seed : int
        The stream.
    row, column, slot : int or array-like of int
        Coordinates of the draw; they broadcast against each other.

    Returns
    -------
    bits : ndarray of uint64
        Of the broadcast shape.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.utils._random import hashed_bits
    >>> few, many = hashed_bits(0, np.arange(3)), hashed_bits(0, np.arange(9))
    >>> bool((few == many[:3]).all())
    True
    """
    shape = np.broadcast_shapes(np.shape(row), np.shape(column), np.shape(slot))
    return _hash(seed, (row, column, slot)).reshape(shape)


def _open_uniform(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Map 64 bits to the open interval (0, 1): 53 bits, in the middle of their cell."""
    return np.minimum(((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53, 1 - 2.0**-53)


def hashed_uniform(
    seed: int, row: ArrayLike, column: ArrayLike = 0, slot: ArrayLike = 0
) -> NDArray[np.float64]:
    """Draw uniform numbers that depend on (seed, row, column, slot) only.

    Parameters
    ----------
    seed : int
        The stream.
    row, column, slot : int or array-like of int
        Coordinates of the draw; they broadcast against each other.

    Returns
    -------
    values : ndarray of float64
        Strictly between 0 and 1, of the broadcast shape.

    Examples
    --------
    >>> from sklearn_unlearn.utils._random import hashed_uniform
    >>> 0 < float(hashed_uniform(0, 5, 2)) < 1
    True
    """
    return _open_uniform(hashed_bits(seed, row, column, slot))


def hashed_normal(
    seed: int, row: ArrayLike, column: ArrayLike = 0, slot: ArrayLike = 0
) -> NDArray[np.float64]:
    """Draw standard normal numbers that depend on (seed, row, column, slot) only.

    Two hashed uniforms u, v give sqrt(-2 log u) cos(2 pi v) (Box and Muller, 1958).

    Parameters
    ----------
    seed : int
        The stream.
    row, column, slot : int or array-like of int
        Coordinates of the draw; they broadcast against each other. A table of factors is
        ``hashed_normal(seed, np.arange(n_rows)[:, None], np.arange(n_factors))``.

    Returns
    -------
    values : ndarray of float64
        Of the broadcast shape.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.utils._random import hashed_normal
    >>> hashed_normal(0, np.arange(4)[:, None], np.arange(2)).shape
    (4, 2)
    """
    bits = hashed_bits(seed, row, column, slot)
    with np.errstate(over="ignore"):
        second = _mix(bits + np.uint64(_BOX_MULLER))
    radius = np.sqrt(-2.0 * np.log(_open_uniform(bits)))
    return radius * np.cos(2.0 * np.pi * _open_uniform(second))
