import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.backends import ScipyBackend
from tests import oracles
from tests.patterns import MASK, N_CELLS, pattern_of, random_mask, spd_blocks, tables

TOLERANCE = {"float64": {"rtol": 1e-12, "atol": 1e-12}, "float32": {"rtol": 2e-5, "atol": 2e-5}}


@pytest.fixture(params=["float64", "float32"])
def dtype(request):
    return request.param


@pytest.fixture(params=[np.int32, np.int64], ids=["int32", "int64"])
def pattern(request):
    return pattern_of(random_mask(0), request.param)


# -- every operation against its dense twin ------------------------------------------------------
@pytest.mark.parametrize("n_pairs", [1, 2, 3])
def test_sddmm(pattern, dtype, n_pairs):
    A, B = (tables(s, rows, 4, dtype, n_pairs) for s, rows in enumerate(MASK.shape))
    pairs = list(zip(A, B, strict=True))
    out = ScipyBackend().sddmm(pattern, *pairs)
    assert out.dtype == dtype
    assert_allclose(out, oracles.sddmm(MASK, *pairs), **TOLERANCE[dtype])


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("n_terms", [1, 2, 3])
def test_spmm(pattern, dtype, n_terms, transpose):
    weights = [w[:, 0] for w in tables(0, N_CELLS, 1, dtype, n_terms)]
    terms = list(zip(weights, tables(1, MASK.shape[not transpose], 4, dtype, n_terms), strict=True))
    out = ScipyBackend().spmm(pattern, *terms, transpose=transpose)
    assert out.dtype == dtype
    assert_allclose(out, oracles.spmm(MASK, *terms, transpose=transpose), **TOLERANCE[dtype])


@pytest.mark.parametrize("transpose", [False, True])
def test_row_grams(pattern, dtype, transpose):
    (w,), (B,) = tables(0, N_CELLS, 1, dtype, 1), tables(1, MASK.shape[not transpose], 4, dtype, 1)
    out = ScipyBackend().row_grams(pattern, w[:, 0], B, transpose)
    assert out.dtype == dtype
    assert_array_equal(out, out.transpose(0, 2, 1))
    expected = oracles.row_grams(MASK, w[:, 0], B, transpose)
    assert_allclose(out, expected, **TOLERANCE[dtype])


@pytest.mark.parametrize("k", [0, 1, 5])
def test_cho_solve(dtype, k):
    blocks, (rhs,) = spd_blocks(0, 6, k, dtype), tables(1, 6, k, dtype, 1)
    kept = blocks.copy(), rhs.copy()
    out = ScipyBackend().cho_solve(blocks, rhs)
    assert out.dtype == dtype
    expected = np.linalg.solve(blocks.astype(float), rhs[..., None].astype(float))[..., 0]
    assert_allclose(
        out, expected, rtol=TOLERANCE[dtype]["rtol"] * 10, atol=1e-4 * (dtype[-1] == "2")
    )
    assert_array_equal(blocks, kept[0])
    assert_array_equal(rhs, kept[1])


def test_cho_solve_reads_the_lower_triangle_of_any_layout():
    blocks, (rhs,) = spd_blocks(0, 6, 4), tables(1, 6, 4, "float64", 1)
    expected = ScipyBackend().cho_solve(blocks, rhs)
    assert_allclose(ScipyBackend().cho_solve(np.asfortranarray(blocks), rhs), expected, rtol=1e-12)
    assert_allclose(ScipyBackend().cho_solve(blocks[::2], rhs[::2]), expected[::2], rtol=1e-12)


def test_scatter_add_sums_repeats_into_a_copy(dtype):
    (target,), (updates,) = tables(0, 5, 3, dtype, 1), tables(1, 4, 3, dtype, 1)
    kept, rows = target.copy(), np.array([3, 0, 3, 3])
    out = ScipyBackend().scatter_add(target, rows, updates)
    expected = target.astype(float)
    for row, update in zip(rows, updates, strict=True):
        expected[row] += update
    assert out.dtype == dtype
    assert_allclose(out, expected, **TOLERANCE[dtype])
    assert_array_equal(target, kept)


few_scores = arrays(
    np.float64,
    st.tuples(st.integers(0, 4), st.integers(1, 6)),
    elements=st.sampled_from([0, 1, -2.5, -np.inf]),
)


@given(few_scores, st.integers(0, 8))
def test_topk(scores, k):
    columns, values = ScipyBackend().topk(scores, k)
    expected = oracles.topk(scores, min(k, scores.shape[1]))
    assert_array_equal(columns, expected[0])
    assert_array_equal(values, np.take_along_axis(scores, columns, axis=1))


def test_ties_of_long_rows_go_to_the_lowest_column():
    # Sorting algorithms treat short rows apart.
    scores = np.random.default_rng(0).integers(0, 3, (4, 500)).astype(float)
    columns, _ = ScipyBackend().topk(scores, 400)
    assert_array_equal(columns, oracles.topk(scores, 400)[0])


def test_topk_ranks_nan_last():
    columns, _ = ScipyBackend().topk(np.array([[np.nan, 1.0, -np.inf, 2.0]]), 3)
    assert_array_equal(columns, [[3, 1, 2]])


masks = arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 6)))


@given(masks, st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_patterns_of_all_shapes(mask, width, seed):
    pattern, backend = pattern_of(mask), ScipyBackend()
    m, n = mask.shape
    (A, C), (B, D) = (tables(seed + i, rows, width, "float64", 2) for i, rows in enumerate((m, n)))
    v, w = np.random.default_rng(seed).standard_normal((2, mask.sum()))
    close = TOLERANCE["float64"]
    got = backend.sddmm(pattern, (A, B), (C, D))
    assert_allclose(got, oracles.sddmm(mask, (A, B), (C, D)), **close)
    for transpose, (E, F) in ((False, (B, D)), (True, (A, C))):
        got = backend.spmm(pattern, (v, E), (w, F), transpose=transpose)
        expected = oracles.spmm(mask, (v, E), (w, F), transpose=transpose)
        assert_allclose(got, expected, **close)
        got = backend.row_grams(pattern, w, E, transpose)
        assert_allclose(got, oracles.row_grams(mask, w, E, transpose), **close)


def test_no_pair_is_an_error():
    with pytest.raises(ValueError, match=r"no pair of factors; expected at least one\. Pass"):
        ScipyBackend().sddmm(pattern_of(MASK))


def test_asarray_is_contiguous_and_to_numpy_the_same_array():
    array = np.arange(6.0).reshape(2, 3).T
    out = ScipyBackend().asarray(array)
    assert out.flags.c_contiguous
    assert_array_equal(out, array)
    assert ScipyBackend().to_numpy(out) is out
