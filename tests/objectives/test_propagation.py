import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.backends import ScipyBackend
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import Propagation
from tests.objectives.graph_problems import dense_propagation

LAYERS = range(5)


def propagation(matrix, n_layers, weights=None, n_threads=1):
    data = Interactions.from_matrix(matrix, weights)
    return Propagation.from_interactions(data, n_layers, ScipyBackend(n_threads))


def matrices():
    sides = st.tuples(st.integers(1, 6), st.integers(1, 6))
    return sides.flatmap(
        lambda sides: st.lists(
            st.lists(st.sampled_from([0.0, 0.0, 1.0, 2.5]), min_size=sides[1], max_size=sides[1]),
            min_size=sides[0],
            max_size=sides[0],
        )
    ).map(np.array)


@given(matrix=matrices(), n_layers=st.integers(0, 4))
def test_it_is_the_mean_of_powers_of_the_normalised_graph(matrix, n_layers):
    expected = dense_propagation(matrix, n_layers)
    table = np.random.default_rng(0).standard_normal((sum(matrix.shape), 3))
    operator = propagation(matrix, n_layers)
    kept = table.copy()
    assert_allclose(operator(table), expected @ table, atol=1e-12)
    assert_allclose(operator.adjoint(table), expected @ table, atol=1e-12)
    assert_array_equal(table, kept)


@given(
    matrix=matrices(),
    n_layers=st.integers(0, 4),
    weights=st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0]), min_size=6, max_size=6),
)
def test_adjoint_is_the_transpose_whatever_users_weigh(matrix, n_layers, weights):
    weights = np.array(weights[: len(matrix)])
    # A user without interactions weighs nothing that could be seen.
    expected = dense_propagation(matrix, n_layers, np.where(matrix.any(axis=1), weights, 1.0))
    operator = propagation(matrix, n_layers, weights)
    eye = np.eye(len(expected))
    assert_allclose(operator(eye), expected, atol=1e-12)
    assert_allclose(operator.adjoint(eye), expected.T, atol=1e-12)


@pytest.mark.parametrize("n_layers", LAYERS)
def test_a_weight_counts_like_as_many_users(n_layers):
    rng = np.random.default_rng(1)
    matrix, weights = (rng.random((5, 4)) < 0.6) * 1.0, np.array([1, 3, 2, 0, 1])
    repeated = matrix.repeat(weights, axis=0)
    users, items = rng.standard_normal((5, 2)), rng.standard_normal((4, 2))
    found = propagation(matrix, n_layers, weights.astype(float))(np.concatenate([users, items]))
    whole = propagation(repeated, n_layers)(np.concatenate([users.repeat(weights, axis=0), items]))
    present = np.flatnonzero(weights)
    first = np.cumsum(weights)[present] - 1
    assert_allclose(found[present], whole[first], atol=1e-12)
    assert_allclose(found[5:], whole[len(repeated) :], atol=1e-12)


@pytest.mark.parametrize("n_layers", LAYERS)
def test_rows_without_edges_keep_their_own_layer_alone(n_layers):
    matrix = np.array([[1.0, 0, 0], [0, 0, 0], [1, 0, 1]])
    table = np.random.default_rng(2).standard_normal((6, 2))
    out = propagation(matrix, n_layers)(table)
    assert_allclose(out[[1, 4]], table[[1, 4]] / (n_layers + 1))
    assert not np.allclose(out[0], table[0] / (n_layers + 1)) or n_layers == 0


def test_values_are_no_weights_of_edges():
    matrix = np.array([[5.0, 0.25, 0], [0, 1, 7]])
    table = np.random.default_rng(3).standard_normal((5, 2))
    assert_array_equal(propagation(matrix, 3)(table), propagation((matrix > 0) * 1.0, 3)(table))


def test_roots_of_the_degrees_are_fixed_points():
    """The largest eigenvalue of A is 1, so nothing grows however deep the graph."""
    matrix = (np.random.default_rng(4).random((9, 7)) < 0.4) * 1.0
    degrees = np.concatenate([matrix.sum(axis=1), matrix.sum(axis=0)])
    for n_layers in LAYERS:
        operator = propagation(matrix, n_layers)
        fixed = np.sqrt(degrees)[:, None]
        expected = np.where(degrees > 0, 1.0, 1 / (n_layers + 1))[:, None] * fixed
        assert_allclose(operator(fixed), expected, atol=1e-12)
        values = np.linalg.eigvalsh(operator(np.eye(16)))
        assert values[-1] <= 1 + 1e-12


@pytest.mark.parametrize("n_layers", [0, 1, 2, 3])
@pytest.mark.parametrize("weights", [None, np.array([1.0, 2.0, 0.5, 3.0, 1.0, 1.0])])
def test_diagonal_is_exact_up_to_three_layers(n_layers, weights):
    matrix = (np.random.default_rng(5).random((6, 5)) < 0.5) * 1.0
    matrix[2] = 0
    operator = propagation(matrix, n_layers, weights)
    assert_allclose(operator.diagonal, np.diag(operator(np.eye(11))), atol=1e-12)


@pytest.mark.parametrize("n_layers", LAYERS)
@pytest.mark.parametrize("adjoint", [False, True])
def test_sum_of_layers_leaves_its_argument_alone(n_layers, adjoint):
    matrix = (np.random.default_rng(6).random((4, 5)) < 0.5) * 1.0
    weights = np.array([1.0, 2.0, 1.0, 0.5])
    operator = propagation(matrix, 3, weights)
    table = np.random.default_rng(7).standard_normal((9, 2))
    kept = table.copy()
    total = operator.sum_of_layers(table, n_layers, adjoint=adjoint)
    dense = (n_layers + 1) * dense_propagation(matrix, n_layers, weights)
    assert_allclose(total, (dense.T if adjoint else dense) @ table, atol=1e-12)
    total += 1
    assert_array_equal(table, kept)


def test_single_precision_stays_single():
    matrix = (np.random.default_rng(8).random((6, 5)) < 0.5) * 1.0
    table = np.random.default_rng(9).standard_normal((11, 3))
    operator = propagation(matrix, 3)
    narrow = operator(table.astype(np.float32))
    assert narrow.dtype == np.float32
    assert_allclose(narrow, operator(table), atol=1e-6)


def test_threads_change_nothing():
    rng = np.random.default_rng(10)
    matrix = (rng.random((300, 200)) < 0.2) * 1.0
    table = rng.standard_normal((500, 16))
    assert_array_equal(propagation(matrix, 3)(table), propagation(matrix, 3, n_threads=2)(table))
