"""Small sparsity patterns and tables, shared by the tests of the backends."""

import numpy as np

from sklearn_unlearn.backends import Pattern
from sklearn_unlearn.interactions import Interactions


def pattern_of(mask, indices_dtype=np.int32):
    pattern = Pattern.from_interactions(Interactions.from_matrix(mask.astype(float)))
    arrays_ = (pattern.indices, pattern.indices_t, pattern.order_t)
    indices, indices_t, order_t = (array.astype(indices_dtype) for array in arrays_)
    return Pattern(pattern.indptr, indices, pattern.indptr_t, indices_t, order_t, mask.shape)


def random_mask(seed, m=9, n=7, density=0.4):
    """Some rows and columns are empty, the first and the last row among them; one is full."""
    rng = np.random.default_rng(seed)
    mask = rng.random((m, n)) < density
    mask[2] = True
    mask[[0, 4, -1]] = False
    mask[:, 3] = False
    return mask


def tables(seed, rows, width, dtype, number):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((rows, width)).astype(dtype) for _ in range(number)]


def spd_blocks(seed, n, k, dtype="float64"):
    A = np.random.default_rng(seed).standard_normal((n, k, k))
    return (A @ A.transpose(0, 2, 1) + np.eye(k)).astype(dtype)


MASK = random_mask(0)
N_CELLS = int(MASK.sum())


def factors(seed=0, mask=MASK, width=4):
    """One table of users and one of items."""
    m, n = mask.shape
    return (*tables(seed, m, width, "float64", 1), *tables(seed + 1, n, width, "float64", 1))
