"""The convex problem behind the comparisons: residual, duality, bounds that hold."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_unlearn.influence._problem import ForgetProblem
from sklearn_unlearn.influence._slack import change_bound
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.solvers._newton import newton
from tests.objectives.pairwise_twin import PROBLEMS, PairwiseProblem, counts, presence

CLOSE = {"rtol": 1e-10, "atol": 1e-10}
SOLVED = [
    PairwiseProblem("bias", presence(20, 14, 10, 0.4), n_factors=8, regularization=0.9),
    PairwiseProblem(
        "counts", counts(21, 12, 10, 0.3), n_factors=8, regularization=1.2, fit_bias=False
    ),
    PairwiseProblem(
        "frequencies",
        presence(22, 14, 10, 0.4),
        n_factors=8,
        regularization=0.5,
        frequency_scaling=0.5,
        weights=np.linspace(0.5, 2, 14),
    ),
]
solved = pytest.mark.parametrize("problem", SOLVED, ids=lambda problem: problem.name)


@pytest.fixture(params=PROBLEMS, ids=lambda problem: problem.name)
def problem(request):
    return request.param


def optimum(problem, seed=0):
    result = newton(problem.objective(), problem.theta(seed, 0.5), 1e-10)
    assert result.converged
    return result.theta


def feasible_shrink(objective, theta):
    residual = objective.certificate().residual_operator(theta) @ np.eye(objective.layout.n_items)
    return min(1.0, 1.0 / max(np.linalg.norm(residual, 2), 1e-300))


def row_penalties(problem):
    twin, m = problem.twin(), len(problem.matrix)
    return np.split(twin.ridge[:, 0], [m])


def test_residual_operator_is_the_scaled_matrix_of_slopes(problem):
    problem = replace(problem, n_factors=2)
    objective, theta = problem.objective(), problem.theta()
    users, items = row_penalties(problem)
    expected = problem.twin().slopes(theta) / np.sqrt(users[:, None] * items)
    operator = objective.certificate().residual_operator(theta)
    assert_allclose(operator @ np.eye(len(items)), expected, **CLOSE)
    assert_allclose(operator.T @ np.eye(len(users)), expected.T, **CLOSE)


def test_no_dual_value_exceeds_the_primal_of_any_model(problem):
    objective = problem.objective()
    tables = [problem.theta(seed, scale) for seed, scale in ((0, 0.1), (1, 1.0), (2, 3.0))]
    lowest = min(
        objective.certificate().convex_value(t, objective.certificate().score_spectrum(t).sum())
        for t in tables
    )
    for theta in tables:
        shrink = feasible_shrink(objective, theta)
        for share in (1.0, 0.5):
            assert objective.certificate().dual_value(theta, share * shrink) <= lowest + 1e-9 * abs(
                lowest
            )


@solved
def test_duality_has_no_gap_at_an_optimum_of_low_rank(problem):
    objective, theta = problem.objective(), optimum(problem)
    value = problem.twin().value(theta)
    assert_allclose(
        objective.certificate().convex_value(
            theta, objective.certificate().score_spectrum(theta).sum()
        ),
        value,
        rtol=1e-9,
    )
    assert_allclose(
        objective.certificate().dual_value(theta, feasible_shrink(objective, theta)),
        value,
        rtol=1e-6,
    )
    assert 0 < np.count_nonzero(objective.certificate().score_spectrum(theta) > 1e-6) < 8


@solved
def test_no_two_models_within_the_gap_compare_items_further_apart_than_the_bound(problem):
    objective, m = problem.objective(), len(problem.matrix)
    best = optimum(problem)
    triples = np.array([(u, i, j) for u, i, j, _ in problem.twin().triples])
    u, i, j = triples.T
    rng = np.random.default_rng(0)

    def differences(theta):
        return np.einsum("nk,nk->n", theta[u], theta[m + i] - theta[m + j])

    for size in (1e-4, 1e-2, 0.2):
        theta = best + size * objective.layout.mask_fixed(rng.standard_normal(best.shape))
        shrink = feasible_shrink(objective, theta)
        primal = objective.certificate().convex_value(
            theta, objective.certificate().score_spectrum(theta).sum()
        )
        bound = objective.certificate().prediction_bound(
            theta, shrink, primal - objective.certificate().dual_value(theta, shrink)
        )
        assert np.sqrt(np.mean((differences(theta) - differences(best)) ** 2)) <= bound


@pytest.mark.parametrize("problem", PROBLEMS[:5], ids=lambda problem: problem.name)
@pytest.mark.parametrize("seed", range(3))
def test_bounds_of_the_residual_are_upper_bounds_of_what_changes(problem, seed):
    assert problem.weights is None and not problem.frequency_scaling
    theta, other = problem.theta(seed), problem.theta(seed + 10)
    m, cells = len(problem.matrix), np.argwhere(problem.matrix)
    gone = cells[np.random.default_rng(seed).permutation(len(cells))[: 1 + 2 * seed]]
    rest = problem.without(gone)
    objective, ridge = rest.objective(), problem.regularization
    removed = (problem.twin().slopes(theta) - rest.twin().slopes(theta)) / ridge
    values = problem.matrix[tuple(gone.T)]
    bound = objective.certificate().removed_residual(theta, *gone.T, values)
    assert np.linalg.norm(removed, 2) <= bound
    rows = np.array([0, m - 1, m, len(theta) - 1])
    moved = theta.copy()
    moved[rows] = other[rows]
    change = (rest.twin().slopes(moved) - rest.twin().slopes(theta)) / ridge
    bound = objective.certificate().residual_change(theta, moved, rows)
    assert 0 < np.linalg.norm(change, 2) <= bound < np.inf


def test_the_bound_of_what_removed_cells_held_knows_the_weights_of_users():
    problem = PairwiseProblem(
        "heavy", counts(10, 8, 7, 0.4), weights=np.full(8, 30.0), fit_bias=False
    )
    theta, gone = problem.theta(0), np.argwhere(problem.matrix)[:1]
    rest = problem.without(gone)
    users, items = row_penalties(problem)
    removed = problem.twin().slopes(theta) - rest.twin().slopes(theta)
    removed /= np.sqrt(users[:, None] * items)
    bound = (
        rest.objective()
        .certificate()
        .removed_residual(theta, *gone.T, problem.matrix[tuple(gone.T)])
    )
    assert np.linalg.norm(removed, 2) <= bound


def test_the_bound_grows_where_comparisons_are_already_decided():
    problem = SOLVED[0]
    objective, theta = problem.objective(), problem.theta(scale=0.3)
    bounds = [
        objective.certificate().prediction_bound(scale * theta, 1.0, 1e-3)
        for scale in (0.0, 1.0, 2.0)
    ]
    assert bounds[0] < bounds[1] < bounds[2] < np.inf
    # At score zero every curvature is a quarter: of the smallest weight here.
    ratio = 1e-3 / (min(w for *_, w in problem.twin().triples) / 4)
    shift = 0.5 * (ratio + np.sqrt(ratio**2 + 8 * ratio))
    kept = ratio / np.exp(-shift)
    root = 0.5 * (kept + np.sqrt(kept**2 + 8 * kept))
    expected = 2 * root / np.sqrt(len(list(problem.twin().triples)))
    assert_allclose(bounds[0], expected, rtol=1e-10)


@pytest.mark.parametrize("whole", ["item", "user", "pair"])
@pytest.mark.parametrize("seed", range(3))
def test_bound_of_a_request_covers_what_is_not_gone_with_whole_rows(whole, seed):
    problem = _problem_with_an_undrawn_item(seed)
    cells = np.argwhere(problem.matrix)
    gone = {
        "item": cells[cells[:, 1] == 9],
        "user": cells[cells[:, 0] == 3],
        "pair": cells[[seed]],
    }[whole]
    rest, theta = problem.without(gone), problem.theta(seed)
    before = Interactions.from_matrix(problem.matrix)
    request = ForgetProblem(
        before=before,
        retained=Interactions.from_matrix(rest.matrix),
        positions=np.sort(before.locate(*gone.T)),
        objective=rest.objective(),
        objective_before=problem.objective,
        theta=theta,
        converged=True,
        gradient_norm=0.0,
        slack=0.0,
        n_free=0,
        local=True,
        refit=None,
    )
    change = (problem.twin().slopes(theta) - rest.twin().slopes(theta)) / problem.regularization
    emptied, m = request.emptied_rows(), len(problem.matrix)
    expected = [3] if whole == "user" else []
    assert set(emptied[emptied < m]) == set(expected)
    assert (m + 9 in emptied) == (whole == "item")
    change[emptied[emptied < m]] = 0
    change[:, emptied[emptied >= m] - m] = 0
    bound = change_bound(request, theta, np.empty(0, np.int64))
    assert np.linalg.norm(change, 2) <= bound * (1 + 1e-12)  # a single cell attains it
    assert (bound > 0) == (whole != "user")


def _problem_with_an_undrawn_item(seed):
    """Everybody has met two items or more, three users item 9, for which nobody draws it."""
    for draws in range(200 * seed, 200 * (seed + 1)):
        matrix = (np.random.default_rng(draws).random((8, 10)) < 0.1).astype(float)
        users = np.arange(8)
        matrix[users, users] = matrix[users, (users + 3) % 8] = matrix[[2, 3, 5], 9] = 1
        problem = PairwiseProblem("undrawn", matrix, n_negatives=1, seed=draws)
        if not (problem.objective().pattern.groups[:, 1:] == 9).any():
            return problem
    raise AssertionError("every seed draws the item")
