"""Threads, processes, memory, bad numbers and unusual arrays."""

import multiprocessing
import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_unlearn.backends import Pattern, ScipyBackend, _scipy
from tests.patterns import MASK, N_CELLS, factors, pattern_of, random_mask, spd_blocks, tables


# -- numbers that are not finite -----------------------------------------------------------------
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_factor_reaches_exactly_the_cells_that_read_it(bad):
    pattern, backend, (A, B) = pattern_of(MASK), ScipyBackend(), factors()
    B[5, 2] = bad
    items, ones = np.nonzero(MASK)[1], np.ones(N_CELLS)
    reads = MASK[:, 5]
    assert 0 < reads.sum() < len(reads)
    for pairs in ([(A, B)], [(A, B), (A, B)]):
        assert_array_equal(np.isfinite(backend.sddmm(pattern, *pairs)), items != 5)
    for terms in ([(ones, B)], [(ones, B), (ones, B)], [(0 * ones, B)]):
        assert_array_equal(np.isfinite(backend.spmm(pattern, *terms)).all(axis=1), ~reads)
    grams = backend.row_grams(pattern, ones, B)
    assert_array_equal(np.isfinite(grams).all(axis=(1, 2)), ~reads)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_weight_reaches_exactly_its_row(bad):
    pattern, backend, (A, B) = pattern_of(MASK), ScipyBackend(), factors()
    weights = np.ones(N_CELLS)
    weights[3] = bad
    user, item = (axis[3] for axis in np.nonzero(MASK))
    for table, row, transpose in ((B, user, False), (A, item, True)):
        for terms in ([(weights, table)], [(weights, table), (weights, table)]):
            out = backend.spmm(pattern, *terms, transpose=transpose)
            assert_array_equal(np.flatnonzero(~np.isfinite(out).all(axis=1)), [row])
        grams = backend.row_grams(pattern, weights, table, transpose)
        assert_array_equal(np.flatnonzero(~np.isfinite(grams).all(axis=(1, 2))), [row])


@pytest.mark.parametrize("spoil", ["indefinite", "zero", "nan"])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_block_that_is_not_positive_definite_gives_nan_in_its_row_alone(
    monkeypatch, spoil, n_threads
):
    monkeypatch.setattr(_scipy, "_MIN_WORK", 0)
    blocks, (rhs,) = spd_blocks(0, 6, 4), tables(1, 6, 4, "float64", 1)
    good = ScipyBackend().cho_solve(blocks, rhs)
    bad = {"indefinite": np.diag([1.0, 1, -1e-3, 1]), "zero": np.zeros((4, 4))}
    blocks[2] = bad.get(spoil, np.full((4, 4), np.nan))
    out = ScipyBackend(n_threads).cho_solve(blocks, rhs)
    assert np.isnan(out[2]).all()
    assert_array_equal(np.delete(out, 2, axis=0), np.delete(good, 2, axis=0))


# -- threads and processes -----------------------------------------------------------------------
@pytest.mark.parametrize("n_threads", [2, 3, 8])
@pytest.mark.parametrize("seed", range(3))
def test_threads_do_not_change_a_bit(monkeypatch, n_threads, seed):
    monkeypatch.setattr(_scipy, "_MIN_WORK", 0)
    mask = random_mask(seed, 30, 20)
    pattern = pattern_of(mask)
    A, C = tables(seed, 30, 5, "float64", 2)
    B, D = tables(seed + 9, 20, 5, "float64", 2)
    v, w = np.random.default_rng(seed).standard_normal((2, mask.sum()))
    blocks = spd_blocks(seed, 30, 5)

    def results(backend):
        yield backend.sddmm(pattern, (A, B), (C, D))
        yield backend.spmm(pattern, (v, B), (w, D))
        yield backend.spmm(pattern, (v, A), (w, C), transpose=True)
        yield backend.row_grams(pattern, w, B)
        yield backend.row_grams(pattern, w, A, transpose=True)
        yield backend.cho_solve(blocks, A)

    for one, many in zip(results(ScipyBackend()), results(ScipyBackend(n_threads)), strict=True):
        assert_array_equal(one, many)
    assert n_threads in _scipy._POOLS


def test_threads_share_out_all_rows_of_an_empty_pattern(monkeypatch):
    monkeypatch.setattr(_scipy, "_MIN_WORK", 0)
    pattern, backend = pattern_of(np.zeros((4, 3), bool)), ScipyBackend(2)
    assert backend.sddmm(pattern, (np.ones((4, 2)), np.ones((3, 2)))).shape == (0,)
    assert_array_equal(backend.spmm(pattern, (np.empty(0), np.ones((3, 2)))), np.zeros((4, 2)))


def test_small_work_starts_no_thread(monkeypatch):
    monkeypatch.setattr(_scipy, "_pool", lambda n: pytest.fail("a thread for nothing"))
    A, B = factors()
    ScipyBackend(2).sddmm(pattern_of(MASK), (A, B))


def test_an_error_in_a_thread_is_raised(monkeypatch):
    monkeypatch.setattr(_scipy, "_MIN_WORK", 0)

    def kernel(start, stop):
        if start > 0:
            raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        ScipyBackend(2)._run(kernel, np.arange(5), 1)


def _compute_in_child(connection, pattern, A, B):
    connection.send(ScipyBackend(2).sddmm(pattern, (A, B)))


def test_forked_child_computes_after_the_parent_used_threads(monkeypatch):
    monkeypatch.setattr(_scipy, "_MIN_WORK", 0)
    pattern = pattern_of(MASK)
    A, B = factors()
    expected = ScipyBackend(2).sddmm(pattern, (A, B))
    ours, theirs = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(
        target=_compute_in_child, args=(theirs, pattern, A, B)
    )
    with warnings.catch_warnings():
        # Newer Pythons warn of any fork of a process with threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    try:
        assert ours.poll(timeout=30), "the child waits for threads that only its parent has"
        assert_array_equal(ours.recv(), expected)
        child.join(30)
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join()


# -- memory --------------------------------------------------------------------------------------
def peak_of(function):
    function()  # compiles
    tracemalloc.start()
    result = function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, result.nbytes


def test_no_operation_makes_an_array_of_cells_by_factors():
    mask = np.random.default_rng(0).random((300, 400)) < 0.5
    pattern, backend, k = pattern_of(mask), ScipyBackend(), 32
    (A,), (B,) = tables(0, 300, k, "float64", 1), tables(1, 400, k, "float64", 1)
    w = np.ones(mask.sum())
    gather = w.nbytes * k
    calls = {
        "sddmm of one": lambda: backend.sddmm(pattern, (A, B)),
        "sddmm of three": lambda: backend.sddmm(pattern, (A, B), (A, B), (A, B)),
        "spmm": lambda: backend.spmm(pattern, (w, B), (w, B), (w, B)),
        "spmm of items": lambda: backend.spmm(pattern, (w, A), transpose=True),
        "row_grams": lambda: backend.row_grams(pattern, w, B),
        "row_grams of items": lambda: backend.row_grams(pattern, w, A, transpose=True),
    }
    for name, call in calls.items():
        peak, size = peak_of(call)
        assert peak < 2.2 * size + 10_000, name
        assert peak < gather / 4, name


def test_cho_solve_copies_its_input_once():
    blocks, (rhs,) = spd_blocks(0, 500, 16), tables(0, 500, 16, "float64", 1)
    peak, size = peak_of(lambda: ScipyBackend().cho_solve(blocks, rhs))
    assert peak < 1.1 * (blocks.nbytes + size) + 10_000


# -- inputs --------------------------------------------------------------------------------------
def test_read_only_and_mapped_arrays_serve(tmp_path):
    arrays_ = dict(zip("AB", factors(), strict=True))
    arrays_["w"] = np.arange(1.0, N_CELLS + 1)
    arrays_["blocks"], arrays_["rhs"] = spd_blocks(0, 6, 4), np.ones((6, 4))
    plain = pattern_of(MASK)
    for name in ("indptr", "indices", "indptr_t", "indices_t", "order_t"):
        arrays_[name] = np.array(getattr(plain, name))
    mapped = {}
    for name, array in arrays_.items():
        np.save(tmp_path / name, array)
        mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    pattern = Pattern(
        *(mapped[n] for n in ("indptr", "indices", "indptr_t", "indices_t", "order_t")), MASK.shape
    )
    backend = ScipyBackend()

    def results(pattern, A, B, w, blocks, rhs, **_):
        yield backend.sddmm(pattern, (A, B))
        yield backend.spmm(pattern, (w, B), (w, B))
        yield backend.spmm(pattern, (w, A), transpose=True)
        yield backend.row_grams(pattern, w, B)
        yield backend.cho_solve(blocks, rhs)
        yield backend.scatter_add(A, np.array([0]), A[:1])

    for a, b in zip(results(plain, **arrays_), results(pattern, **mapped), strict=True):
        assert_array_equal(a, b)
        assert b.flags.writeable
