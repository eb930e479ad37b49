"""A propagated objective is the inner one of Pi theta, with exact derivatives through the graph."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.backends import ScipyBackend
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import PropagatedObjective, SampledObjective
from sklearn_unlearn.objectives._negatives import draw_groups
from tests.objectives.graph_problems import COUNTS, HEAVY, PROBLEMS, GraphProblem
from tests.oracles import derivative
from tests.problems import PROBLEMS as PLAIN
from tests.problems import ratings, with_gaps

every = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def dense_hessian(objective, theta):
    """Matrix of the Hessian product, a column a unit direction."""
    point, size = objective.at(theta), theta.size
    units = np.eye(size).reshape(size, *theta.shape)
    return np.array([point.hessian_product(unit).ravel() for unit in units]).T


def penalties(problem):
    """Penalty of each row, by the definition."""
    data = problem.data
    c = np.ones(data.n_users) if data.row_weights is None else data.row_weights
    seen = data.to_csr().toarray() != 0
    degrees = np.concatenate([seen.sum(axis=1), c @ seen])
    multiples = np.where(degrees > 0, degrees, 1.0) ** problem.frequency_scaling
    multiples[: data.n_users] *= c
    return problem.regularization * multiples


@every
def test_value_is_that_of_propagated_rows_and_a_ridge_before(problem):
    objective, theta = problem.objective(), problem.theta()
    inner, Z = problem.losses(), problem.propagation() @ theta
    ridge = penalties(problem)[:, None]
    # The inner objective has the same ridge, on Z: taken off, its losses are left.
    losses = inner.value(Z) - 0.5 * np.sum(ridge * Z**2)
    expected = losses + 0.5 * np.sum(ridge * theta**2)
    assert objective.value(theta) == pytest.approx(expected, rel=1e-10)


@every
def test_gradient_is_the_derivative_of_the_value(problem):
    objective, theta = problem.objective(), problem.theta(scale=0.7)
    for seed in (1, 2):
        V = problem.theta(seed)
        expected = derivative(objective.value, theta, V)
        assert_allclose(np.vdot(objective.gradient(theta), V), expected, rtol=1e-6, atol=1e-6)


@every
def test_hessian_product_is_the_derivative_of_the_gradient(problem):
    objective, theta = problem.objective(), problem.theta(scale=0.7)
    V = problem.theta(3)
    expected = derivative(objective.gradient, theta, V)
    product = objective.at(theta).hessian_product(V)
    assert_allclose(product, expected, rtol=1e-6, atol=1e-6)


@every
def test_hessian_is_the_inner_one_between_two_propagations(problem):
    objective, theta = problem.objective(), problem.theta(scale=0.7)
    H, k = dense_hessian(objective, theta), problem.n_factors
    Pi, inner = np.kron(problem.propagation(), np.eye(k)), problem.losses()
    ridge = np.repeat(penalties(problem), k)
    of_losses = dense_hessian(inner, problem.propagation() @ theta) - np.diag(ridge)
    assert_allclose(H, Pi.T @ of_losses @ Pi + np.diag(ridge), **CLOSE)
    assert_allclose(H, H.T, **CLOSE)


@every
def test_diagonal_and_blocks_take_the_diagonal_of_the_propagation(problem):
    objective, theta = problem.objective(), problem.theta(scale=0.7)
    point, k = objective.at(theta), problem.n_factors
    inner = problem.losses().at(problem.propagation() @ theta)
    ridge, own = penalties(problem), np.diag(problem.propagation()) ** 2
    diagonal = np.abs(inner.hessian_diagonal() - ridge[:, None])
    assert_allclose(point.hessian_diagonal(), own[:, None] * diagonal + ridge[:, None], **CLOSE)
    eyes = ridge[:, None, None] * np.eye(k)
    expected = own[:, None, None] * (inner.blocks() - eyes) + eyes
    assert_allclose(point.blocks(), expected, **CLOSE)
    m = problem.matrix.shape[0]
    assert_allclose(point.blocks(users_only=True), expected[:m], **CLOSE)
    assert (point.hessian_diagonal() > 0).all()


def test_without_layers_it_is_the_inner_objective():
    problem = GraphProblem("flat", COUNTS, n_layers=0, frequency_scaling=0.5)
    inner, objective, theta = problem.losses(), problem.objective(), problem.theta()
    assert_allclose(objective.value(theta), inner.value(theta))
    assert_allclose(objective.gradient(theta), inner.gradient(theta), **CLOSE)
    first, other = objective.at(theta), inner.at(theta)
    assert_allclose(first.hessian_diagonal(), other.hessian_diagonal(), **CLOSE)
    assert_allclose(first.blocks(), other.blocks(), **CLOSE)


@pytest.mark.parametrize("n_layers", [1, 3])
def test_a_weight_counts_like_as_many_users(n_layers):
    matrix, weights = ratings(50, 7, 8, 0.7), np.array([1, 2, 0, 3, 1, 1, 2])
    assert (matrix != 0).any(axis=1).all()
    problem = GraphProblem("once", matrix, n_layers=n_layers, frequency_scaling=0.5)
    weighted = replace(problem, weights=weights.astype(float)).objective()
    repeated = replace(problem, matrix=matrix.repeat(weights, axis=0)).objective()
    theta = problem.theta()
    theta[2] = 0
    copies = np.concatenate([theta[:7].repeat(weights, axis=0), theta[7:]])
    assert weighted.value(theta) == pytest.approx(repeated.value(copies), rel=1e-12)
    slopes = repeated.gradient(copies)
    first = np.append(0, np.cumsum(weights))[:-1]
    by_user = np.add.reduceat(slopes[: len(slopes) - 8], first[weights > 0])
    gradient = weighted.gradient(theta)
    assert_allclose(gradient[:7][weights > 0], by_user, atol=1e-10)
    assert_allclose(gradient[7:], slopes[-8:], atol=1e-10)


@every
def test_rows_that_are_left_out_do_not_move(problem):
    objective, theta = problem.objective(), problem.theta()
    rows = np.arange(0, len(theta), 2)
    restricted, table_rows = objective.restrict(rows, theta)
    assert_array_equal(table_rows, np.arange(len(theta)))
    frozen = np.setdiff1d(table_rows, rows)
    V = problem.theta(4)
    V[frozen] = 0
    point, whole = restricted.at(theta), objective.at(theta)
    assert point.value == whole.value
    for found, expected in [
        (point.gradient, whole.gradient),
        (point.hessian_product(V), whole.hessian_product(V)),
        (point.hessian_diagonal(), whole.hessian_diagonal()),
        (point.blocks(), whole.blocks()),
    ]:
        assert_array_equal(found[rows], expected[rows])
    assert not point.gradient[frozen].any() and not point.hessian_product(V)[frozen].any()
    assert (point.hessian_diagonal()[frozen] == 1).all()
    assert (point.blocks()[frozen] == np.eye(problem.n_factors)).all()
    assert not restricted.has_gauge and objective.has_gauge
    assert_array_equal(restricted.thaw().gradient(theta), whole.gradient)


def test_frozen_items_leave_users():
    problem = PROBLEMS[0]
    objective, theta = problem.objective(), problem.theta()
    gradient = objective.freeze_items().gradient(theta)
    assert_array_equal(gradient[:7], objective.gradient(theta)[:7])
    assert not gradient[7:].any()


@every
def test_gauge_leaves_the_value_alone(problem):
    objective, theta = problem.objective(), problem.theta()
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(problem.n_factors,) * 2))[0]
    assert objective.value(theta @ rotation) == pytest.approx(objective.value(theta), rel=1e-12)


@every
def test_fewer_factors_are_the_same_objective_without_the_others(problem):
    objective, theta = problem.objective(), problem.theta()
    theta[:, 1:] = 0
    narrow = objective.with_factors(1)
    assert narrow.value(theta[:, :1]) == pytest.approx(objective.value(theta), rel=1e-12)
    assert_allclose(narrow.gradient(theta[:, :1]), objective.gradient(theta)[:, :1], **CLOSE)
    assert narrow.layout.shape == (len(theta), 1)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), n_layers=st.integers(0, 4), weighted=st.booleans())
def test_derivatives_of_random_problems(seed, n_layers, weighted):
    rng = np.random.default_rng(seed)
    matrix = with_gaps(ratings(seed, 6, 6, 0.6))
    weights = rng.integers(0, 4, 6).astype(float) if weighted else None
    loss = ("weighted", "bpr", "sampled", "squared")[seed % 4]
    problem = GraphProblem("random", matrix, loss, n_layers, weights=weights)
    objective, theta, V = problem.objective(), problem.theta(seed, 0.5), problem.theta(seed + 1)
    assert_allclose(
        np.vdot(objective.gradient(theta), V),
        derivative(objective.value, theta, V),
        rtol=1e-5,
        atol=1e-5,
    )
    expected = derivative(objective.gradient, theta, V)
    assert_allclose(objective.at(theta).hessian_product(V), expected, rtol=1e-5, atol=1e-5)


def test_a_graph_is_felt_beyond_neighbours():
    """A chain: what a user does reaches users that share no item with it."""
    chain = np.eye(6) + np.eye(6, k=1)
    near = GraphProblem("near", chain, loss="squared", n_layers=0)
    far = replace(near, n_layers=3)
    V = np.zeros((12, 3))
    V[0] = 1

    def felt(problem):
        change = problem.objective().at(problem.theta()).hessian_product(V)
        return np.flatnonzero(np.abs(change).sum(axis=1) > 1e-12)

    assert_array_equal(felt(near), [0, 6, 7])
    assert len(felt(far)) > len(felt(near))
    assert not far.objective().is_local


def test_penalty_of_rows_is_its_gradient():
    problem = GraphProblem("penalty", COUNTS, frequency_scaling=0.5, weights=HEAVY)
    objective, theta, rows = problem.objective(), problem.theta(), np.array([0, 4, 9])
    expected = penalties(problem)[rows, None] * theta[rows]
    assert_allclose(objective.ridge_gradient(theta, rows), expected)
    assert_allclose(objective.row_penalties, penalties(problem))


def test_what_one_product_walks_is_counted():
    problem = GraphProblem("count", COUNTS, n_layers=3)
    n = np.count_nonzero(COUNTS)
    assert problem.objective().n_cells == n + 2 * 3 * n


def test_biases_are_refused():
    losses = PLAIN[1].objective()
    data = Interactions.from_matrix(PLAIN[1].matrix)
    with pytest.raises(ValueError, match=re.compile("biases.*expected one without.*fit_bias")):
        PropagatedObjective.of(losses, data, 2)


def test_steps_of_single_rows_are_refused():
    objective, theta = PROBLEMS[0].objective(), PROBLEMS[0].theta()
    with pytest.raises(TypeError, match=r"single rows.*expected.*Newton steps on all"):
        objective.damping_of(theta, theta[:7])


# -- labels for what was drawn ---------------------------------------------------------------------
def sampled(matrix=COUNTS, weights=None, **settings):
    settings = {"n_factors": 2, "n_negatives": 4, "regularization": 0.3, "seed": 7} | settings
    data = Interactions.from_matrix(matrix, weights)
    return data, SampledObjective.from_positives(data, backend=ScipyBackend(), **settings)


@pytest.mark.parametrize("weights", [None, HEAVY])
def test_sampled_losses_are_those_of_interactions_and_their_draws(weights):
    data, objective = sampled(weights=weights)
    theta = np.random.default_rng(0).standard_normal((15, 2))
    drawn, counted = draw_groups(data, 4, 7)
    own = np.ones(7) if data.row_weights is None else data.row_weights
    total = 0.5 * float(objective.row_penalties @ (theta**2).sum(axis=1))
    for cell, (u, value) in enumerate(zip(data.rows, data.values, strict=True)):
        items = drawn.groups[cell] + 7
        scores = theta[items] @ theta[u]
        total += own[u] * value * np.logaddexp(0, -scores[0])
        total += own[u] * value / 4 * counted[cell] @ np.logaddexp(0, scores[1:])
    assert objective.value(theta) == pytest.approx(total, rel=1e-12)


def test_more_draws_count_no_more():
    scales = [sampled(n_negatives=n)[1].weights for n in (1, 4, 16)]
    positives = COUNTS.sum()
    for weights in scales:
        assert weights.sum() <= 2 * positives + 1e-9


def test_losses_of_what_remains_do_not_change_with_a_request():
    problem = GraphProblem("request", COUNTS, loss="sampled")
    cells = np.argwhere(COUNTS)
    gone = cells[::5]
    before, after = sampled()[1], sampled(problem.without(gone).matrix)[1]

    def cells_of(objective):
        pattern = objective.pattern
        users = np.repeat(np.arange(7), np.diff(pattern.indptr))
        return {
            (int(u), int(i), t, w)
            for u, i, t, w in zip(
                users, pattern.indices, objective.targets, objective.weights, strict=True
            )
        }

    forgotten = {tuple(cell) for cell in gone.tolist()}
    new = cells_of(after) - cells_of(before)
    # A forgotten item may come in as a negative of what its user has left; nothing else is new.
    assert all((u, i) in forgotten and t == 0 for u, i, t, _ in new)
    assert {(u, i) for u, i, t, _ in cells_of(after) if t} == {
        tuple(c) for c in cells.tolist()
    } - forgotten


def test_items_that_somebody_drew_are_felt_and_partners_are_named():
    data, objective = sampled()
    drawn, counted = draw_groups(data, 4, 7)
    felt = np.zeros(8, bool)
    felt[drawn.groups[:, 0]] = True
    felt[drawn.groups[:, 1:][counted]] = True
    assert_array_equal(objective.is_drawn(np.arange(8)), felt)
    assert (felt & (data.item_degrees == 0)).any()
    partners = objective.partners_of(data.rows[:2], data.indices[:2].astype(np.int64))
    assert_array_equal(partners, np.unique(drawn.groups[:2, 1:]))
    # The graph of the same data leaves both to the losses.
    whole = PropagatedObjective.of(objective, data, 2)
    assert_array_equal(whole.is_drawn(np.arange(8)), felt)
    assert_array_equal(
        whole.partners_of(data.rows[:2], data.indices[:2].astype(np.int64)), partners
    )


def test_tolerances_have_a_unit_even_where_nothing_is_observed():
    objective = GraphProblem("nothing", np.zeros((3, 4))).objective()
    assert objective.gradient_scale == 1
    assert PROBLEMS[0].objective().gradient_scale == PROBLEMS[0].losses().gradient_scale
