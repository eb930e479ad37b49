"""Compiled row solves against dense normal equations."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.backends import RowCells, ScipyBackend, _scipy

# Four cells are added at once, the rest one by one.
N_CELLS = [0, 1, 3, 4, 5, 9, 0]
CLOSE = {"float64": {"rtol": 1e-10, "atol": 1e-10}, "float32": {"rtol": 2e-5, "atol": 2e-5}}


@dataclass
class Rows:
    """Random normal equations, and the same as dense matrices."""

    cells: RowCells
    other: np.ndarray
    gram: np.ndarray
    ridge: np.ndarray
    rhs: np.ndarray
    start: np.ndarray

    @property
    def arguments(self):
        return self.cells, self.other, self.gram, self.ridge, self.rhs, self.start

    def dense(self):
        for r, (start, stop) in enumerate(
            zip(self.cells.indptr[:-1], self.cells.indptr[1:], strict=True)
        ):
            A = self.gram + self.ridge[r] * np.eye(len(self.gram))
            b = self.rhs[r].copy()
            for j in range(start, stop):
                y = self.other[self.cells.columns[j]].astype(float)
                A += self.cells.weights[j] * np.outer(y, y)
                b += self.cells.pulls[j] * y
            yield A, b

    def solution(self):
        return np.array([np.linalg.solve(A, b) for A, b in self.dense()])


def rows(seed=0, k=5, dtype="float64", n_cells=N_CELLS, n_columns=11, index=np.int32):
    rng = np.random.default_rng(seed)
    indptr = np.append(0, np.cumsum(n_cells))
    columns = [np.sort(rng.permutation(n_columns)[:n]) for n in n_cells]
    weights, pulls = rng.uniform(0.1, 4, (2, indptr[-1]))
    A = rng.standard_normal((k + 3, k))
    return Rows(
        RowCells(indptr, np.concatenate(columns).astype(index), weights, pulls),
        rng.standard_normal((n_columns, k)).astype(dtype),
        A.T @ A,
        rng.uniform(0.5, 2, len(n_cells)),
        rng.standard_normal((len(n_cells), k)),
        rng.standard_normal((len(n_cells), k)).astype(dtype),
    )


@pytest.fixture(params=["float64", "float32"])
def dtype(request):
    return request.param


@pytest.mark.parametrize("k", [0, 1, 2, 5, 8])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_exact_solution_of_every_row(k, index, dtype):
    problem = rows(k, k, dtype, index=index)
    kept = problem.start.copy()
    out = ScipyBackend().row_solve(*problem.arguments)
    assert out.dtype == dtype
    assert_allclose(out, problem.solution(), **CLOSE[dtype])
    assert_array_equal(problem.start, kept)


@given(
    seed=st.integers(0, 2**32 - 1),
    k=st.integers(1, 6),
    n_cells=st.lists(st.integers(0, 11), min_size=1, max_size=6),
)
def test_solutions_and_residuals_of_rows_of_all_lengths(seed, k, n_cells):
    problem, backend = rows(seed, k, n_cells=n_cells), ScipyBackend()
    assert_allclose(backend.row_solve(*problem.arguments), problem.solution(), rtol=1e-8, atol=1e-8)
    expected = [b - A @ x for (A, b), x in zip(problem.dense(), problem.start, strict=True)]
    assert_allclose(backend.row_residual(*problem.arguments), expected, rtol=1e-9, atol=1e-9)


def test_negative_weights_are_confidences_below_one():
    problem = rows(3)
    problem.cells.weights[:] = -0.02
    expected = problem.solution()
    assert_allclose(ScipyBackend().row_solve(*problem.arguments), expected, **CLOSE["float64"])


def test_a_row_without_a_solution_is_nan_and_leaves_the_others_alone():
    problem = rows(4)
    problem.ridge[2] = -1e3
    out = ScipyBackend().row_solve(*problem.arguments)
    others = np.delete(np.arange(len(N_CELLS)), 2)
    assert np.isnan(out[2]).all()
    assert_allclose(out[others], problem.solution()[others], **CLOSE["float64"])


def test_residual_is_taken_in_double_precision(dtype):
    problem = rows(5, dtype=dtype)
    out = ScipyBackend().row_residual(*problem.arguments)
    exact = [
        b - A @ x for (A, b), x in zip(problem.dense(), problem.start.astype(float), strict=True)
    ]
    assert out.dtype == np.float64
    assert_allclose(out, exact, **CLOSE["float64"])


# -- conjugate gradients -----------------------------------------------------------------------
def preconditioned_cg(A, b, x, n_steps):
    """The textbook, with the diagonal as preconditioner."""
    d, r = np.diag(A), b - A @ x
    p = r / d
    for _ in range(n_steps):
        z = r / d
        length = (r @ z) / (p @ A @ p)
        x = x + length * p
        new = r - length * A @ p
        p = new / d + (new @ (new / d)) / (r @ z) * p
        r = new
    return x


@pytest.mark.parametrize("n_steps", [0, 1, 2, 3])
def test_conjugate_gradient_steps_are_those_of_the_textbook(n_steps, dtype):
    problem = rows(6, dtype=dtype)
    out = ScipyBackend().row_solve(*problem.arguments, n_steps=n_steps)
    expected = [
        preconditioned_cg(A, b, x.astype(float), n_steps)
        for (A, b), x in zip(problem.dense(), problem.start, strict=True)
    ]
    assert out.dtype == dtype
    assert_allclose(out, expected, **CLOSE[dtype])


def test_as_many_steps_as_columns_solve_exactly_and_more_do_no_harm():
    problem = rows(7, 4)
    for n_steps in (4, 40):
        out = ScipyBackend().row_solve(*problem.arguments, n_steps=n_steps)
        assert_allclose(out, problem.solution(), rtol=1e-8, atol=1e-8)


def test_a_solved_row_stays_where_it_is():
    problem = rows(8)
    problem.start[:] = problem.solution()
    problem.rhs[:] = 0
    problem.cells.pulls[:] = 0
    problem.start[:] = 0
    assert_array_equal(ScipyBackend().row_solve(*problem.arguments, n_steps=3), 0)


# -- neighbours --------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(3))
def test_neighbour_change_is_the_difference_of_two_gradients(seed, dtype):
    problem = rows(seed, dtype=dtype)
    old, new = problem.start, rows(seed + 50, dtype=dtype).start
    place = np.full(len(problem.other), -1)
    chosen = np.random.default_rng(seed).permutation(len(place))[:6]
    place[chosen] = np.arange(6)
    out = ScipyBackend().neighbour_change(problem.cells, old, new, problem.other, place, 6)

    def gradient(table):
        total = np.zeros((len(place), table.shape[1]))
        users = np.repeat(np.arange(len(N_CELLS)), N_CELLS)
        for j, (row, column) in enumerate(zip(users, problem.cells.columns, strict=True)):
            x, y = table[row].astype(float), problem.other[column].astype(float)
            total[column] += (problem.cells.weights[j] * (x @ y) - problem.cells.pulls[j]) * x
        return total[chosen]

    assert out.dtype == np.float64
    assert_allclose(out, gradient(new) - gradient(old), rtol=1e-9, atol=1e-9)


# -- rows that move little ----------------------------------------------------------------------
@pytest.mark.parametrize("k", [0, 1, 5, 24])
def test_a_change_is_found_to_five_digits_in_single_precision(k):
    problem = rows(k, k, "float32", [*N_CELLS, 40, 200], n_columns=210)
    exact = problem.solution()
    step = 1e-3 * np.random.default_rng(0).standard_normal(exact.shape)
    problem.start = (exact + step).astype(np.float32)
    out = ScipyBackend().row_solve(*problem.arguments, near=True)
    rounding = np.spacing(np.abs(exact).max(initial=1e-9).astype(np.float32))
    assert np.abs(out - exact).max(initial=0) <= 1e-4 * np.abs(step).max(initial=0) + rounding
    still = problem.start = exact.astype(np.float32)
    again = ScipyBackend().row_solve(*problem.arguments, near=True)
    assert np.abs(again - still).max(initial=0) <= rounding


def test_in_double_precision_near_is_exact():
    problem = rows(3)
    assert_array_equal(
        ScipyBackend().row_solve(*problem.arguments, near=True),
        ScipyBackend().row_solve(*problem.arguments),
    )


def test_where_steps_do_not_suffice_a_row_is_factorised():
    problem = rows(2, 24, "float32", [24] * 4, n_columns=60)
    # Forty times as many digits as the steps can take: conditioned like 1e7.
    scales = np.logspace(0, -3.5, 24)
    problem.other = (problem.other * scales).astype(np.float32)
    problem.gram = problem.gram * np.outer(scales, scales) * 1e-3
    problem.ridge[:] = 1e-9
    exact = ScipyBackend().row_solve(*problem.arguments)
    assert_array_equal(ScipyBackend().row_solve(*problem.arguments, near=True), exact)


def test_a_row_without_a_solution_is_nan_also_where_it_is_near():
    problem = rows(4, dtype="float32")
    problem.ridge[2] = -1e3
    problem.start[4] = np.nan
    out = ScipyBackend().row_solve(*problem.arguments, near=True)
    assert np.isnan(out[2]).all()
    assert_array_equal(out[4], ScipyBackend().row_solve(*problem.arguments)[4])


# -- threads -----------------------------------------------------------------------------------
def test_threads_do_not_change_a_bit(monkeypatch, dtype):
    monkeypatch.setattr(_scipy, "_MIN_WORK", 0)
    n_cells = np.random.default_rng(0).integers(0, 12, 60).tolist()
    problem = rows(9, 6, dtype, n_cells, n_columns=20)
    one, three = ScipyBackend(1), ScipyBackend(3)
    for n_steps in (None, 2):
        alone = one.row_solve(*problem.arguments, n_steps=n_steps)
        assert_array_equal(three.row_solve(*problem.arguments, n_steps=n_steps), alone)
    near = one.row_solve(*problem.arguments, near=True)
    assert_array_equal(three.row_solve(*problem.arguments, near=True), near)
    alone = one.row_residual(*problem.arguments)
    assert_array_equal(three.row_residual(*problem.arguments), alone)


def test_company_does_not_change_a_bit(dtype):
    problem, backend = rows(10, dtype=dtype), ScipyBackend()
    together = backend.row_solve(*problem.arguments)
    for r in range(len(N_CELLS)):
        cut = slice(*problem.cells.indptr[r : r + 2])
        cells = RowCells(
            np.array([0, cut.stop - cut.start]),
            problem.cells.columns[cut],
            problem.cells.weights[cut],
            problem.cells.pulls[cut],
        )
        own = [array[[r]] for array in (problem.ridge, problem.rhs, problem.start)]
        alone = backend.row_solve(cells, problem.other, problem.gram, *own)
        assert_array_equal(alone[0], together[r])
