"""Compiled loops over rows ``start`` to ``stop`` of a compressed pattern.

Each kernel releases the GIL and writes only to its own rows, so that a caller may run disjoint
ranges in threads: the result does not depend on how the rows were shared out. None makes a
temporary that grows with the number of interactions.

Sums may be reassociated (that is what lets the compiler use SIMD), NaN and infinity are kept.
"""

import math

import numba
import numpy as np

__all__ = [
    "cho_solve",
    "draw",
    "neighbour_change",
    "row_cg",
    "row_cholesky",
    "row_grams",
    "row_residual",
    "row_update",
    "sddmm_one",
    "sddmm_two",
    "spmm_one",
    "spmm_two",
]

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


_compile = numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz", "arcp"})


@_compile
def row_cholesky(indptr, columns, w, v, other, gram, ridge, rhs, out, start, stop):
    """Overwrite `out` with the exact solutions; a row without one becomes NaN."""
    k = other.shape[1]
    A, Y, x = np.empty((k, k)), np.empty((4, k)), np.empty(k)
    for row in range(start, stop):
        cells = indptr[row], indptr[row + 1]
        _factorise_and_solve(A, Y, x, cells, columns, w, v, other, gram, ridge[row], rhs[row])
        for f in range(k):
            out[row, f] = x[f]


@_compile
def _factorise_and_solve(A, Y, x, cells, columns, w, v, other, gram, ridge, rhs):
    """Overwrite x with the exact solution of a row; A and Y are room to work in."""
    k = len(x)
    for f in range(k):
        for g in range(f + 1):
            A[f, g] = gram[f, g]
        A[f, f] += ridge
        x[f] = rhs[f]
    j, end = cells
    # Four cells at once: the block is read and written a fourth as often.
    while j + 4 <= end:
        _add_four(A, x, Y, j, columns, w, v, other)
        j += 4
    while j < end:
        _add_one(A, x, Y[0], j, columns, w, v, other)
        j += 1
    _solve_in_place(A, x)


@_compile
def _add_four(A, x, Y, j, columns, w, v, other):
    """Add four cells to the lower half of A and to x; Y is room for their rows."""
    k = len(x)
    for n in range(4):
        y = other[columns[j + n]]
        for f in range(k):
            Y[n, f] = y[f]
    for f in range(k):
        x[f] += v[j] * Y[0, f] + v[j + 1] * Y[1, f] + v[j + 2] * Y[2, f] + v[j + 3] * Y[3, f]
        a, b = w[j] * Y[0, f], w[j + 1] * Y[1, f]
        c, d = w[j + 2] * Y[2, f], w[j + 3] * Y[3, f]
        for g in range(f + 1):
            A[f, g] += a * Y[0, g] + b * Y[1, g] + c * Y[2, g] + d * Y[3, g]


@_compile
def _add_one(A, x, y, j, columns, w, v, other):
    """Add a cell to the lower half of A and to x; y is room for its row."""
    row = other[columns[j]]
    for f in range(len(x)):
        y[f] = row[f]
    for f in range(len(x)):
        x[f] += v[j] * y[f]
        a = w[j] * y[f]
        for g in range(f + 1):
            A[f, g] += a * y[g]


@_compile
def _solve_in_place(A, x):
    """Solve by Cholesky; the lower half of A becomes its factor."""
    k = len(x)
    for i in range(k):
        for j in range(i):
            total = A[i, j]
            for g in range(j):
                total -= A[i, g] * A[j, g]
            A[i, j] = total / A[j, j]
        total = A[i, i]
        for g in range(i):
            total -= A[i, g] * A[i, g]
        A[i, i] = math.sqrt(total) if total > 0 else math.nan
        total = x[i]
        for g in range(i):
            total -= A[i, g] * x[g]
        x[i] = total / A[i, i]
    for i in range(k - 1, -1, -1):
        x[i] /= A[i, i]
        for g in range(i):
            x[g] -= x[i] * A[i, g]


@_compile
def row_residual(indptr, columns, w, v, other, gram, ridge, rhs, table, out, start, stop):
    """Write ``sum v y + rhs - (gram + ridge I + sum w y y') x``: minus the gradient of each row."""
    k = other.shape[1]
    x = np.empty(k)  # in double precision, or products of single ones would be rounded
    for row in range(start, stop):
        for f in range(k):
            x[f] = table[row, f]
        cells = indptr[row], indptr[row + 1]
        _residual(x, cells, columns, w, v, other, gram, ridge[row], rhs[row], out[row])


@_compile
def _residual(x, cells, columns, w, v, other, gram, ridge, rhs, r):
    k = len(x)
    for f in range(k):
        total = rhs[f] - ridge * x[f]
        for g in range(k):
            total -= gram[f, g] * x[g]
        r[f] = total
    for j in range(cells[0], cells[1]):
        y = other[columns[j]]
        score = 0.0
        for f in range(k):
            score += y[f] * x[f]
        pull = v[j] - w[j] * score
        for f in range(k):
            r[f] += pull * y[f]


@_compile
def row_cg(indptr, columns, w, v, other, gram, ridge, rhs, n_steps, out, start, stop):
    """Improve `out` by a few conjugate gradient steps, preconditioned by the diagonal."""
    k = other.shape[1]
    x, r, d, p, q = np.empty(k), np.empty(k), np.empty(k), np.empty(k), np.empty(k)
    for row in range(start, stop):
        cells = indptr[row], indptr[row + 1]
        for f in range(k):
            x[f] = out[row, f]
        _residual(x, cells, columns, w, v, other, gram, ridge[row], rhs[row], r)
        _inverse_diagonal(d, cells, columns, w, other, gram, ridge[row])
        rz = 0.0
        for f in range(k):
            p[f] = d[f] * r[f]
            rz += r[f] * p[f]
        for _ in range(n_steps):
            if not rz > 1e-30:
                break
            _product(p, cells, columns, w, other, gram, ridge[row], q)
            rz = _cg_step(x, r, p, q, d, rz)
        for f in range(k):
            out[row, f] = x[f]


# Conjugate gradient steps that cost less than a factorisation, and the share of the preconditioned
# residual, squared, at which the change of a row is known to five digits: single precision keeps no
# more of it beside the row.
_MOST_STEPS = 16
_SETTLED = 1e-10


@_compile
def row_update(indptr, columns, w, v, other, gram, ridge, rhs, out, start, stop):
    """Move `out` to the solutions, near to which it is: by steps, or else by a factorisation."""
    k = other.shape[1]
    x, r, d, p, q = np.empty(k), np.empty(k), np.empty(k), np.empty(k), np.empty(k)
    A, Y = np.empty((k, k)), np.empty((4, k))
    for row in range(start, stop):
        cells = indptr[row], indptr[row + 1]
        for f in range(k):
            x[f] = out[row, f]
        _residual(x, cells, columns, w, v, other, gram, ridge[row], rhs[row], r)
        _inverse_diagonal(d, cells, columns, w, other, gram, ridge[row])
        first = 0.0
        for f in range(k):
            p[f] = d[f] * r[f]
            first += r[f] * p[f]
        rz, n_steps = first, 0
        while rz > _SETTLED * first and n_steps < _MOST_STEPS:
            _product(p, cells, columns, w, other, gram, ridge[row], q)
            rz = _cg_step(x, r, p, q, d, rz)
            n_steps += 1
        # Zero after a step: the matrix is not positive definite. Neither comparison holds for NaN.
        if not (rz <= _SETTLED * first and (rz > 0 or first == 0)):
            _factorise_and_solve(A, Y, x, cells, columns, w, v, other, gram, ridge[row], rhs[row])
        for f in range(k):
            out[row, f] = x[f]


@_compile
def _inverse_diagonal(d, cells, columns, w, other, gram, ridge):
    for f in range(len(d)):
        d[f] = gram[f, f] + ridge
    for j in range(cells[0], cells[1]):
        y = other[columns[j]]
        for f in range(len(d)):
            d[f] += w[j] * y[f] * y[f]
    for f in range(len(d)):
        d[f] = 1.0 / d[f] if d[f] > 0 else 1.0


@_compile
def _product(p, cells, columns, w, other, gram, ridge, q):
    """Write ``(gram + ridge I + sum w y y') p``."""
    k = len(p)
    for f in range(k):
        total = ridge * p[f]
        for g in range(k):
            total += gram[f, g] * p[g]
        q[f] = total
    for j in range(cells[0], cells[1]):
        y = other[columns[j]]
        score = 0.0
        for f in range(k):
            score += y[f] * p[f]
        score *= w[j]
        for f in range(k):
            q[f] += score * y[f]


@_compile
def _cg_step(x, r, p, q, d, rz):
    """Step along p, whose product is q; return the next rz, 0 where there is no step to take."""
    k = len(x)
    curvature = 0.0
    for f in range(k):
        curvature += p[f] * q[f]
    if not curvature > 0:
        return 0.0
    length, new_rz = rz / curvature, 0.0
    for f in range(k):
        x[f] += length * p[f]
        r[f] -= length * q[f]
        new_rz += r[f] * d[f] * r[f]
    for f in range(k):
        p[f] = d[f] * r[f] + (new_rz / rz) * p[f]
    return new_rz


@_compile
def neighbour_change(indptr, columns, w, v, old, new, other, place, out):
    """Add to each neighbour how its gradient changes when rows move from `old` to `new`.

    ``place[column]`` is the neighbour's row of `out`, negative for columns that do not count.
    """
    k = other.shape[1]
    for row in range(len(indptr) - 1):
        a, b = old[row], new[row]
        for j in range(indptr[row], indptr[row + 1]):
            target = place[columns[j]]
            if target < 0:
                continue
            y = other[columns[j]]
            before, after = -v[j], -v[j]
            for f in range(k):
                before += w[j] * y[f] * a[f]
                after += w[j] * y[f] * b[f]
            for f in range(k):
                out[target, f] += after * b[f] - before * a[f]


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_DEPTHS = (np.arange(5, dtype=np.uint64) * _GOLDEN).astype(np.uint64)


@numba.njit(nogil=True, cache=True, inline="always")
def _mix(bits):
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


@numba.njit(nogil=True, cache=True, inline="always")
def _word(value, depth):
    return _mix(np.uint64(np.int64(value)) * _GOLDEN + _DEPTHS[depth])


@numba.njit(nogil=True, cache=True)
def draw(seed, keys, indptr, items, n_items, indices, counted):
    """Write the group of each interaction: its item, then the items drawn beside it.

    A draw depends on the key of its row, the item and the slot alone. It counts unless the row
    holds it too.
    """
    n_slots = counted.shape[1]
    start = _mix(np.uint64(seed) + _GOLDEN)
    slots = np.empty(n_slots, np.uint64)
    for slot in range(n_slots):
        slots[slot] = _word(slot, 4)
    last = np.full(n_items, -1, np.int64)  # the last row that each item was seen in
    others = np.uint64(max(n_items - 1, 1))
    for row in range(len(indptr) - 1):
        for j in range(indptr[row], indptr[row + 1]):
            last[items[j]] = row
        of_row = _mix(start ^ _word(keys[row], 2))
        for j in range(indptr[row], indptr[row + 1]):
            item = items[j]
            indices[j, 0] = item
            of_item = _mix(of_row ^ _word(item, 3))
            for slot in range(n_slots):
                drawn = np.int64(_mix(of_item ^ slots[slot]) % others)
                # The item itself is passed over; alone in its catalogue it is all there is.
                drawn += drawn >= item and n_items > 1
                indices[j, slot + 1] = drawn
                counted[j, slot] = last[drawn] != row
