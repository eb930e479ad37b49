"""The torch backend: every operation against its dense twin, and against the CPU backend."""

import pickle
import warnings
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.backends import Pattern, ScipyBackend, _torch_rows
from sklearn_unlearn.backends._torch import TorchBackend
from sklearn_unlearn.interactions import Interactions
from tests import oracles
from tests.patterns import MASK, N_CELLS, pattern_of, random_mask, spd_blocks, tables

CLOSE = {"float64": {"rtol": 1e-12, "atol": 1e-12}, "float32": {"rtol": 2e-5, "atol": 2e-5}}


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def backend(request):
    return TorchBackend(request.param)


@pytest.fixture(params=["float64", "float32"])
def dtype(request):
    return request.param


@pytest.fixture(params=[np.int32, np.int64], ids=["int32", "int64"])
def pattern(request):
    return pattern_of(random_mask(0), request.param)


@pytest.fixture(params=["whole", "one cell at a time"])
def chunk(request, monkeypatch):
    """However temporaries are cut, sums are the same."""
    if request.param != "whole":
        monkeypatch.setattr(_torch_rows, "_CHUNK_BYTES", {"cpu": 1, "cuda": 1})


def moved(backend, *arrays_):
    return [backend.asarray(array) for array in arrays_]


# -- every operation against its dense twin ------------------------------------------------------
@pytest.mark.parametrize("n_pairs", [1, 2, 3])
def test_sddmm(backend, pattern, dtype, n_pairs, chunk):
    A, B = (tables(s, rows, 4, dtype, n_pairs) for s, rows in enumerate(MASK.shape))
    pairs = list(zip(A, B, strict=True))
    out = backend.to_numpy(backend.sddmm(pattern, *(moved(backend, *pair) for pair in pairs)))
    assert out.dtype == dtype
    assert_allclose(out, oracles.sddmm(MASK, *pairs), **CLOSE[dtype])


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("n_terms", [1, 2, 3])
def test_spmm(backend, pattern, dtype, n_terms, transpose):
    weights = [w[:, 0] for w in tables(0, N_CELLS, 1, dtype, n_terms)]
    terms = list(zip(weights, tables(1, MASK.shape[not transpose], 4, dtype, n_terms), strict=True))
    on_device = [moved(backend, *term) for term in terms]
    out = backend.to_numpy(backend.spmm(pattern, *on_device, transpose=transpose))
    assert out.dtype == dtype
    expected = oracles.spmm(MASK, *terms, transpose=transpose)
    assert_allclose(out, expected, **CLOSE[dtype])
    (start,) = tables(2, MASK.shape[transpose], 4, dtype, 1)
    added = backend.asarray(start)
    again = backend.spmm(pattern, *on_device, transpose=transpose, out=added)
    assert again is added
    assert_allclose(backend.to_numpy(again), start + expected, **CLOSE[dtype])


@pytest.mark.parametrize("transpose", [False, True])
def test_row_grams(backend, pattern, dtype, transpose, chunk):
    (w,), (B,) = tables(0, N_CELLS, 1, dtype, 1), tables(1, MASK.shape[not transpose], 4, dtype, 1)
    out = backend.row_grams(pattern, *moved(backend, w[:, 0], B), transpose)
    out = backend.to_numpy(out)
    assert out.dtype == dtype
    assert_array_equal(out, out.transpose(0, 2, 1))
    assert_allclose(out, oracles.row_grams(MASK, w[:, 0], B, transpose), **CLOSE[dtype])


@pytest.mark.parametrize("k", [0, 1, 5])
def test_cho_solve(backend, dtype, k):
    blocks, (rhs,) = spd_blocks(0, 6, k, dtype), tables(1, 6, k, dtype, 1)
    on_device = moved(backend, blocks, rhs)
    out = backend.to_numpy(backend.cho_solve(*on_device))
    assert out.dtype == dtype
    assert_allclose(out, ScipyBackend().cho_solve(blocks, rhs), **CLOSE[dtype])
    assert_array_equal(backend.to_numpy(on_device[0]), blocks)
    assert_array_equal(backend.to_numpy(on_device[1]), rhs)


def test_cho_solve_reads_the_lower_triangle(backend):
    blocks, (rhs,) = spd_blocks(0, 6, 4), tables(1, 6, 4, "float64", 1)
    expected = ScipyBackend().cho_solve(blocks, rhs)
    lower = np.tril(blocks) + np.triu(np.full(blocks.shape, 1e6), 1)
    out = backend.cho_solve(*moved(backend, lower, rhs))
    assert_allclose(backend.to_numpy(out), expected, rtol=1e-12)


def test_a_block_that_is_not_positive_definite_is_nan_in_its_row_alone(backend):
    blocks, (rhs,) = spd_blocks(0, 4, 3), tables(1, 4, 3, "float64", 1)
    expected = ScipyBackend().cho_solve(blocks, rhs)
    blocks[2] *= -1
    out = backend.to_numpy(backend.cho_solve(*moved(backend, blocks, rhs)))
    assert np.isnan(out[2]).all()
    assert_allclose(out[[0, 1, 3]], expected[[0, 1, 3]], rtol=1e-12)


def test_scatter_add_sums_repeats_into_a_copy(backend, dtype):
    (target,), (updates,) = tables(0, 5, 3, dtype, 1), tables(1, 4, 3, dtype, 1)
    rows, on_device = np.array([3, 0, 3, 3]), backend.asarray(target)
    out = backend.to_numpy(backend.scatter_add(on_device, rows, backend.asarray(updates)))
    assert out.dtype == dtype
    assert_allclose(out, ScipyBackend().scatter_add(target, rows, updates), **CLOSE[dtype])
    assert_array_equal(backend.to_numpy(on_device), target)


few_scores = arrays(
    np.float64,
    st.tuples(st.integers(0, 4), st.integers(1, 6)),
    elements=st.sampled_from([0, 1, -2.5, -np.inf]),
)


@given(few_scores, st.integers(0, 8))
def test_topk(scores, k):
    backend = TorchBackend("cpu")
    columns, values = map(backend.to_numpy, backend.topk(backend.asarray(scores), k))
    expected = ScipyBackend().topk(scores, k)
    assert_array_equal(columns, expected[0])
    assert_array_equal(values, expected[1])


def test_ties_of_long_rows_go_to_the_lowest_column_and_nan_last(backend):
    scores = np.random.default_rng(0).integers(0, 3, (4, 500)).astype(float)
    scores[:, 7] = np.nan
    columns, _ = backend.topk(backend.asarray(scores), 500)
    assert_array_equal(backend.to_numpy(columns), ScipyBackend().topk(scores, 500)[0])


masks = arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 6)))


@given(masks, st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_patterns_of_all_shapes(mask, width, seed):
    pattern, cpu, backend = pattern_of(mask), ScipyBackend(), TorchBackend("cpu")
    m, n = mask.shape
    (A, C), (B, D) = (tables(seed + i, rows, width, "float64", 2) for i, rows in enumerate((m, n)))
    v, w = np.random.default_rng(seed).standard_normal((2, mask.sum()))
    close = CLOSE["float64"]
    got = backend.sddmm(pattern, moved(backend, A, B), moved(backend, C, D))
    assert_allclose(backend.to_numpy(got), cpu.sddmm(pattern, (A, B), (C, D)), **close)
    for transpose, (E, F) in ((False, (B, D)), (True, (A, C))):
        terms = moved(backend, v, E), moved(backend, w, F)
        got = backend.to_numpy(backend.spmm(pattern, *terms, transpose=transpose))
        assert_allclose(got, cpu.spmm(pattern, (v, E), (w, F), transpose=transpose), **close)
        got = backend.to_numpy(backend.row_grams(pattern, *terms[1], transpose))
        assert_allclose(got, cpu.row_grams(pattern, w, F, transpose), **close)


def test_no_pair_is_an_error(backend):
    with pytest.raises(ValueError, match=r"no pair of factors; expected at least one\. Pass"):
        backend.sddmm(pattern_of(MASK))


# -- there and back ------------------------------------------------------------------------------
def read_only(array):
    array.setflags(write=False)
    return array


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.arange(6.0).reshape(2, 3).T,
        np.arange(6)[::-1],
        np.arange(6, dtype=np.float32)[::2],
        np.empty((0, 3)),
        np.array([True, False]),
        read_only(np.ones(3)),
    ],
    ids=["plain", "transposed", "reversed", "strided", "empty", "boolean", "read-only"],
)
def test_arrays_come_back_as_they_went_and_share_no_memory(backend, array):
    there = backend.asarray(array)
    assert there.is_contiguous()
    assert there.device.type == backend.device.type
    assert backend.asarray(there) is there
    back = backend.to_numpy(there)
    assert back.dtype == array.dtype
    assert_array_equal(back, array)
    assert not np.shares_memory(back, array)
    assert back.base is None


def test_tables_on_the_device_are_not_written_to(backend):
    (A,), (B,) = tables(0, 9, 4, "float64", 1), tables(1, 7, 4, "float64", 1)
    pattern, kept = pattern_of(MASK), moved(backend, A, B)
    backend.sddmm(pattern, tuple(kept), tuple(kept))
    backend.row_grams(pattern, backend.asarray(np.ones(N_CELLS)), kept[1])
    assert_array_equal(backend.to_numpy(kept[0]), A)
    assert_array_equal(backend.to_numpy(kept[1]), B)


# -- what the device keeps of a pattern ----------------------------------------------------------
def test_copies_of_a_pattern_are_made_once_and_die_with_it(backend):
    data = Interactions.from_matrix(MASK.astype(float))
    pattern, (A, B) = (
        Pattern.from_interactions(data),
        moved(backend, np.ones((9, 2)), np.ones((7, 2))),
    )
    backend.sddmm(pattern, (A, B))
    cells = backend._cells(pattern, False)
    backend.sddmm(pattern, (A, B))
    assert backend._cells(pattern, False) is cells
    gone = weakref.ref(cells.columns)
    del cells, pattern
    assert gone() is None  # though the data are alive


def test_pattern_travels_without_its_copies(backend):
    pattern = pattern_of(MASK)
    A, B = moved(backend, np.ones((9, 2)), np.ones((7, 2)))
    scores = backend.sddmm(pattern, (A, B))
    assert b"torch" not in pickle.dumps(pattern)
    again = pickle.loads(pickle.dumps(pattern))
    assert_array_equal(backend.to_numpy(backend.sddmm(again, (A, B))), backend.to_numpy(scores))


def test_importing_warns_of_nothing_and_filters_stay_as_they_were():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pattern, backend = pattern_of(MASK), TorchBackend("cpu")
        backend.spmm(pattern, (backend.asarray(np.ones(N_CELLS)), backend.asarray(np.ones((7, 2)))))


def test_namespace_is_that_of_the_arrays(backend):
    assert backend.xp.abs(backend.asarray(np.array([-1.0]))).device.type == backend.device.type
    assert isinstance(backend.xp.ones(2), torch.Tensor)
