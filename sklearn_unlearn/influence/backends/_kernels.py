"""Compiled loops over rows ``start`` to ``stop`` of a compressed pattern.

Each kernel releases the GIL and writes only to its own rows, so that a caller may run disjoint
ranges in threads: the result does not depend on how the rows were shared out. None makes a
temporary that grows with the number of interactions.

Sums may be reassociated (that is what lets the compiler use SIMD), NaN and infinity are kept.
"""

import math

import numba

__all__ = ["cho_solve", "row_grams", "sddmm_one", "sddmm_two", "spmm_one", "spmm_two"]

_compile = numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz", "arcp"})


@_compile
def sddmm_one(indptr, indices, A, B, out, start, stop):
    """Write ``<A[row], B[column]>`` for every observed cell."""
    width = A.shape[1]
    for row in range(start, stop):
        a = A[row]
        for j in range(indptr[row], indptr[row + 1]):
            b = B[indices[j]]
            total = A.dtype.type(0)
            for f in range(width):
                total += a[f] * b[f]
            out[j] = total


@_compile
def sddmm_two(indptr, indices, A, B, C, D, out, start, stop):
    """Write ``<A[row], B[column]> + <C[row], D[column]>``: a score's derivative, in one pass."""
    width = A.shape[1]
    for row in range(start, stop):
        a, c = A[row], C[row]
        for j in range(indptr[row], indptr[row + 1]):
            b, d = B[indices[j]], D[indices[j]]
            total = A.dtype.type(0)
            for f in range(width):
                total += a[f] * b[f] + c[f] * d[f]
            out[j] = total


@_compile
def spmm_one(indptr, indices, order, weights, B, out, start, stop):
    """Add ``weights[cell] * B[column]`` to each row of `out`."""
    width = B.shape[1]
    for row in range(start, stop):
        target = out[row]
        for j in range(indptr[row], indptr[row + 1]):
            b = B[indices[j]]
            w = weights[order[j]]
            for f in range(width):
                target[f] += w * b[f]


@_compile
def spmm_two(indptr, indices, order, v, B, w, D, out, start, stop):
    """Add ``v[cell] * B[column] + w[cell] * D[column]`` to each row of `out`."""
    width = B.shape[1]
    for row in range(start, stop):
        target = out[row]
        for j in range(indptr[row], indptr[row + 1]):
            b, d = B[indices[j]], D[indices[j]]
            x, y = v[order[j]], w[order[j]]
            for f in range(width):
                target[f] += x * b[f] + y * d[f]


@_compile
def row_grams(indptr, indices, order, weights, B, out, start, stop):
    """Add ``weights[cell] * outer(B[column], B[column])`` to each (k, k) block of `out`."""
    width = B.shape[1]
    for row in range(start, stop):
        block = out[row]
        for j in range(indptr[row], indptr[row + 1]):
            b = B[indices[j]]
            w = weights[order[j]]
            for f in range(width):
                scaled = w * b[f]
                for g in range(f + 1):
                    block[f, g] += scaled * b[g]
        for f in range(width):
            for g in range(f):
                block[g, f] = block[f, g]


@_compile
def cho_solve(blocks, out, start, stop):
    """Overwrite `out` (right-hand sides) with solutions and `blocks` with their Cholesky factors.

    A block that is not positive definite gives NaN in its row, and in its row alone.
    """
    width = out.shape[1]
    for row in range(start, stop):
        L, x = blocks[row], out[row]
        # Right-looking: the inner loop runs along a row of the trailing block.
        for j in range(width):
            pivot = math.sqrt(L[j, j]) if L[j, j] > 0 else math.nan
            L[j, j] = pivot
            for i in range(j + 1, width):
                L[i, j] /= pivot
                scale = L[i, j]
                for g in range(j + 1, i + 1):
                    L[i, g] -= scale * L[g, j]
        for i in range(width):
            total = x[i]
            for g in range(i):
                total -= L[i, g] * x[g]
            x[i] = total / L[i, i]
        for i in range(width - 1, -1, -1):
            x[i] /= L[i, i]
            scale = x[i]
            for g in range(i):
                x[g] -= scale * L[i, g]
