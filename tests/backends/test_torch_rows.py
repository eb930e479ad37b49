"""Rows solved on tensors, against the compiled loops of the CPU backend."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.backends import RowCells, ScipyBackend, _torch_rows
from sklearn_unlearn.backends._torch import TorchBackend

N_CELLS = [0, 1, 3, 4, 5, 9, 0]
CLOSE = {"float64": {"rtol": 1e-10, "atol": 1e-10}, "float32": {"rtol": 2e-5, "atol": 2e-5}}


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def backend(request):
    return TorchBackend(request.param)


@pytest.fixture(params=["float64", "float32"])
def dtype(request):
    return request.param


@pytest.fixture(params=["whole", "one row at a time"])
def chunk(request, monkeypatch):
    if request.param != "whole":
        monkeypatch.setattr(_torch_rows, "_CHUNK_BYTES", {"cpu": 1, "cuda": 1})


def equations(seed=0, k=5, dtype="float64", n_cells=N_CELLS, n_columns=11):
    """Random normal equations; with few columns, more cells than these, with many, fewer."""
    rng = np.random.default_rng(seed)
    indptr = np.append(0, np.cumsum(n_cells))
    columns = [np.sort(rng.permutation(n_columns)[:n]) for n in n_cells]
    weights, pulls = rng.uniform(-0.02, 4, (2, indptr[-1]))
    A = rng.standard_normal((k + 3, k))
    n = len(n_cells)
    cells = RowCells(indptr, np.concatenate(columns).astype(np.int32), weights, pulls)
    other, start = (rng.standard_normal((size, k)).astype(dtype) for size in (n_columns, n))
    return cells, other, A.T @ A, rng.uniform(0.5, 2, n), rng.standard_normal((n, k)), start


def both(backend, method, cells, *arrays, **options):
    """Result of an operation on either backend, as NumPy arrays."""
    moved = [backend.asarray(array) for array in arrays]
    got = backend.to_numpy(getattr(backend, method)(cells, *moved, **options))
    for tensor, array in zip(moved, arrays, strict=True):
        assert_array_equal(backend.to_numpy(tensor), array)
    return got, getattr(ScipyBackend(), method)(cells, *arrays, **options)


def check(got, expected, dtype):
    assert got.dtype == expected.dtype == dtype
    assert_allclose(got, expected, **CLOSE[dtype])


@pytest.mark.parametrize("n_columns", [11, 60])
@pytest.mark.parametrize("k", [0, 1, 2, 5])
def test_exact_solution_of_every_row(backend, k, dtype, n_columns, chunk):
    check(*both(backend, "row_solve", *equations(k, k, dtype, n_columns=n_columns)), dtype)


@pytest.mark.parametrize("n_columns", [11, 60])
@pytest.mark.parametrize("n_steps", [0, 1, 2, 3, 30])
def test_conjugate_gradient_steps(backend, n_steps, dtype, n_columns, chunk):
    problem = equations(6, dtype=dtype, n_columns=n_columns)
    check(*both(backend, "row_solve", *problem, n_steps=n_steps), dtype)


@given(
    seed=st.integers(0, 2**32 - 1),
    k=st.integers(1, 6),
    n_cells=st.lists(st.integers(0, 11), min_size=1, max_size=6),
)
def test_rows_of_all_lengths(seed, k, n_cells):
    problem, backend = equations(seed, k, n_cells=n_cells), TorchBackend("cpu")
    for method, options in (("row_solve", {}), ("row_solve", {"n_steps": 2}), ("row_residual", {})):
        assert_allclose(*both(backend, method, *problem, **options), rtol=1e-8, atol=1e-8)


def test_residual_is_taken_in_double_precision(backend, dtype, chunk):
    check(*both(backend, "row_residual", *equations(5, dtype=dtype)), "float64")


def test_a_row_without_a_solution_is_nan_and_leaves_the_others_alone(backend):
    problem = equations(4)
    expected = ScipyBackend().row_solve(*problem)
    problem[3][2] = -1e3
    got, _ = both(backend, "row_solve", *problem)
    others = np.delete(np.arange(len(N_CELLS)), 2)
    assert np.isnan(got[2]).all()
    assert_allclose(got[others], expected[others], **CLOSE["float64"])


@pytest.mark.parametrize("n_steps", [1, 4])
def test_a_row_that_falls_for_ever_stays_where_it_is_like_one_that_is_solved(backend, n_steps):
    problem = equations(8)
    problem[3][2] = -1e3  # no minimum
    problem[4][6] = problem[5][6] = 0  # no cells, no right-hand side: zero is the solution
    got, expected = both(backend, "row_solve", *problem, n_steps=n_steps)
    assert_allclose(got, expected, **CLOSE["float64"])
    assert_array_equal(got[2], problem[5][2])
    assert_array_equal(got[6], 0)


@pytest.mark.parametrize("seed", range(3))
def test_neighbour_change(backend, seed, dtype, chunk):
    cells, other, *_, old = equations(seed, dtype=dtype)
    new = equations(seed + 50, dtype=dtype)[-1]
    place = np.full(len(other), -1)
    chosen = np.random.default_rng(seed).permutation(len(place))[:6]
    place[chosen] = np.arange(6)
    moved = [backend.asarray(array) for array in (old, new, other)]
    got = backend.to_numpy(backend.neighbour_change(cells, *moved, place, 6))
    check(got, ScipyBackend().neighbour_change(cells, old, new, other, place, 6), "float64")
