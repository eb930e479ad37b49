"""Touched rows solved exactly: the residual that is reported is the one of the dense objective."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_unlearn.certificates._rank import slack_of
from sklearn_unlearn.influence import _touched
from sklearn_unlearn.influence._problem import ForgetProblem
from sklearn_unlearn.influence._progress import Progress
from sklearn_unlearn.influence._slack import slack_after
from sklearn_unlearn.influence._stages import Rules
from sklearn_unlearn.influence._touched import solve_touched
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives.weighted._rows import sweep
from tests.problems import WEIGHTED_SOLVED, Problem, WeightedProblem, labels, optimum, ratings

SPARSE = WeightedProblem("sparse", ratings(50, 40, 30, 0.08), regularization=2.0)
FITTED = [
    replace(SPARSE, name="plain"),
    replace(SPARSE, name="weights", weights=np.random.default_rng(0).uniform(0.3, 4, 40)),
    replace(SPARSE, name="frequencies", frequency_scaling=0.6),
    replace(
        SPARSE, name="both", weights=np.random.default_rng(1).integers(1, 4, 40) * 1.0,
        frequency_scaling=1.0,
    ),
    replace(
        SPARSE, name="offsets", frequency_scaling=1.0, frequency_offset=(6.0, 4.0),
        regularization=0.5,
    ),
    replace(SPARSE, name="doubts", alpha=0.2, regularization=0.1),
]  # fmt: skip
# Groups that share no item: what moves in one is hardly felt by the others.
GROUPS = WeightedProblem(
    "groups",
    np.block([[ratings(b, 10, 8, 0.6) * (a == b) for b in range(5)] for a in range(5)]),
    n_factors=5,
    regularization=10.0,
    alpha=10.0,
)
REQUESTS = ["user", "two users", "item", "pairs", "last of an item", "heaviest"]


def cells_of(problem, request):
    """Mask of what is forgotten."""
    seen = problem.matrix != 0
    mask = np.zeros(seen.shape, bool)
    rng = np.random.default_rng(2)
    busy = np.argsort(-seen.sum(axis=1))
    if request == "user":
        mask[busy[5]] = True
    elif request == "two users":
        mask[busy[[3, 9]]] = True
    elif request == "item":
        mask[:, np.argsort(seen.sum(axis=0))[-4]] = True
    elif request == "pairs":
        cells = np.argwhere(seen)
        mask[tuple(cells[rng.permutation(len(cells))[:4]].T)] = True
    elif request == "last of an item":
        rare = np.flatnonzero(seen.sum(axis=0) > 0)
        mask[:, rare[np.argmin(seen.sum(axis=0)[rare])]] = True
        mask[busy[0], np.flatnonzero(seen[busy[0]])[0]] = True
    else:
        mask[busy[0]] = True
    return mask & seen


def forget_problem(problem, mask, theta, gradient_norm=0.0, converged=True, sums=True):
    """A request, and the dense objective of what it leaves."""
    before = Interactions.from_matrix(problem.matrix, problem.weights)
    positions = before.locate(*np.nonzero(mask))
    retained = before.remove(positions)
    left = replace(problem, matrix=np.where(mask, 0, problem.matrix))

    def objective(data):
        return problem.objective().from_interactions(
            data,
            n_factors=problem.n_factors,
            regularization=problem.regularization,
            alpha=problem.alpha,
            frequency_scaling=problem.frequency_scaling,
            frequency_offset=problem.frequency_offset,
            backend=problem.objective().backend,
        )

    whole = problem.objective()
    stated = ForgetProblem(
        before=before,
        retained=retained,
        positions=positions,
        objective=objective(retained),
        objective_before=lambda: objective(before),
        theta=theta,
        converged=converged,
        gradient_norm=gradient_norm,
        slack=0.0,
        n_free=0,
        local=True,
        refit=lambda: pytest.fail("nothing here needs a refit"),
        sums=whole.sums(theta) if sums else (),
    )
    return stated, left.twin()


def true_norm(problem, stated, twin, theta, tilted):
    """Dense norm of what is left of the gradient, everywhere."""
    gradient = twin.gradient(theta)
    if tilted:
        tilt = problem.twin().gradient(stated.theta)
        tilt[stated.emptied_rows()] = 0
        gradient -= tilt
    return np.linalg.norm(gradient)


@pytest.fixture(scope="module", params=FITTED, ids=lambda problem: problem.name)
def fitted(request):
    return request.param, optimum(request.param)


def solve(stated, tol, tilted, **settings):
    settings.setdefault("max_cells", np.inf)
    start = Progress(stated.objective, stated.theta, stated.sums)
    return solve_touched(stated, start, tol, tilted=tilted, **settings)


def is_tilted(result):
    return "the gradient that training left counts as zero" in result.status


def is_bound(problem, reported, true):
    """The residual is exact; users' weights make that of rows beyond the neighbours a bound."""
    if problem.weights is None:
        return abs(reported - true) <= 1e-6 * true + 1e-9
    return true * (1 - 1e-9) - 1e-9 <= reported <= true * np.sqrt(problem.weights.max() / 0.3)


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("tilted", [False, True])
@pytest.mark.parametrize("rounds", [1, 3])
def test_residual_of_the_touched_rows_is_the_dense_one(fitted, request_, tilted, rounds):
    problem, theta = fitted
    if tilted:  # far from the optimum, where a tilt is needed
        theta = theta + 0.05 * problem.direction()
        theta[~np.concatenate([problem.matrix.any(1), problem.matrix.any(0)])] = 0
    stated, twin = forget_problem(problem, cells_of(problem, request_), theta)
    result = solve(stated, None, tilted, max_rounds=rounds)
    true = true_norm(problem, stated, twin, result.theta, tilted)
    assert is_bound(problem, result.left, true)
    assert 0 < result.left < 0.7 * result.first
    assert (result.n_steps, is_tilted(result), result.met) == (rounds, tilted, False)


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("tol", [0.3, 0.03])
def test_support_grows_until_the_dense_residual_is_met(fitted, request_, tol):
    problem, theta = fitted
    stated, twin = forget_problem(problem, cells_of(problem, request_), theta)
    result = solve(stated, tol, False)
    true = true_norm(problem, stated, twin, result.theta, False)
    assert is_bound(problem, result.left, true)
    assert result.met == (result.left <= tol * result.first)
    if result.met:
        assert true <= tol * result.first
    assert set(stated.touched_rows()) <= {*result.support, *stated.emptied_rows()}


def test_growth_takes_in_neighbours_and_pays_off():
    stated, twin = forget_problem(GROUPS, cells_of(GROUPS, "pairs"), optimum(GROUPS))
    once, grown = solve(stated, None, False, max_rounds=1), solve(stated, 0.1, False)
    assert grown.met
    assert grown.n_steps > 1
    assert len(once.support) < len(grown.support) < 0.6 * len(stated.theta)
    assert grown.left < 0.2 * once.left
    true = true_norm(GROUPS, stated, twin, grown.theta, False)
    assert is_bound(GROUPS, grown.left, true)
    for limit in ({"max_cells": 0}, {"max_passes": 0}, {"max_passes": 1.01 * once.n_passes}):
        held = solve(stated, 0.1, False, **limit)
        assert_array_equal(held.support, once.support)
        assert held.n_steps == 1
    assert solve(stated, 0.1, False, max_passes=grown.n_passes).n_steps == grown.n_steps


def test_growth_with_a_tilt_ends_each_row_at_its_own_leftover():
    theta = optimum(GROUPS) + 0.01 * GROUPS.direction()
    theta[~np.concatenate([GROUPS.matrix.any(1), GROUPS.matrix.any(0)])] = 0
    stated, twin = forget_problem(GROUPS, cells_of(GROUPS, "pairs"), theta)
    result = solve(stated, 0.1, True)
    assert result.n_steps > 1
    true = true_norm(GROUPS, stated, twin, result.theta, True)
    assert is_bound(GROUPS, result.left, true)
    left = np.linalg.norm(GROUPS.twin().gradient(theta))
    assert left > 5 * result.left


@pytest.mark.parametrize("request_", REQUESTS)
def test_rows_beyond_stay_bit_for_bit_and_emptied_ones_are_zero(fitted, request_):
    problem, theta = fitted
    kept = theta.copy()
    stated, _ = forget_problem(problem, cells_of(problem, request_), theta)
    for tol in (None, 0.03):
        result = solve(stated, tol, False, max_rounds=2)
        still = np.setdiff1d(
            np.arange(len(theta)), np.concatenate([result.support, stated.emptied_rows()])
        )
        assert len(still) > 3
        assert_array_equal(result.theta[still], theta[still])
        assert_array_equal(result.theta[stated.emptied_rows()], 0)
        assert_array_equal(theta, kept)


@pytest.mark.parametrize("known", [False, True])
def test_sums_are_those_of_the_new_table_and_the_retained_data(fitted, known):
    problem, theta = fitted
    stated, _ = forget_problem(problem, cells_of(problem, "two users"), theta, sums=known)
    result = solve(stated, 0.03, False)
    for got, fresh in zip(result.sums, stated.objective.sums(result.theta), strict=True):
        np.testing.assert_allclose(got, fresh, rtol=1e-9, atol=1e-9)


def test_single_precision_tables_stay_so_and_report_the_same(fitted):
    problem, theta = fitted
    mask = cells_of(problem, "user")
    narrow, twin = forget_problem(problem, mask, theta.astype(np.float32), sums=False)
    result = solve(narrow, None, False, max_rounds=1)
    assert result.theta.dtype == np.float32
    true = true_norm(problem, narrow, twin, result.theta.astype(float), False)
    if problem.weights is None:
        assert abs(result.left - true) <= 1e-3 * true


def test_what_training_left_is_added_where_it_does_not_count_as_zero():
    problem = FITTED[0]
    theta = optimum(problem)
    mask = cells_of(problem, "user")
    clean, _ = forget_problem(problem, mask, theta)
    rough, _ = forget_problem(problem, mask, theta, gradient_norm=0.25)
    one, other = solve(clean, None, False), solve(rough, None, False)
    np.testing.assert_allclose(other.left, one.left + 0.25)
    # Left to decide, it counts as zero only where it is not small beside what may be left.
    assert not is_tilted(solve(clean, 0.1, None))
    assert is_tilted(solve(rough, 0.1, None))


def test_what_training_left_counts_towards_the_tolerance():
    stated, _ = forget_problem(FITTED[0], cells_of(FITTED[0], "user"), optimum(FITTED[0]))
    met = solve(stated, None, False)
    tol = 1.5 * met.left / met.first
    assert solve(stated, tol, False).met
    rough = replace(stated, gradient_norm=met.left)
    result = solve(rough, tol, False)
    assert not result.met
    assert result.left > tol * result.first


def test_one_round_goes_over_both_sides_twice():
    problem = FITTED[0]
    theta = optimum(problem)
    stated, _ = forget_problem(problem, cells_of(problem, "pairs"), theta)
    rows = stated.touched_rows()
    assert not len(stated.emptied_rows())
    expected, sums = theta.copy(), stated.objective.sums(theta)
    sides = rows[rows < 40], rows[rows >= 40]
    for _ in range(2):
        sums = sweep(stated.objective, expected, sums, *sides)
    got = solve(stated, None, False, max_rounds=1).theta
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def rules(method):
    return Rules(method, 0.3, "auto", "raise")


def test_outcome_says_what_was_promised():
    problem = FITTED[0]
    stated, _ = forget_problem(problem, cells_of(problem, "user"), optimum(problem), 1e-9)
    met, missed = solve(stated, 0.3, False), solve(stated, None, False, max_rounds=1)
    outcome = met.outcome(stated, "influence")
    assert (outcome.method, outcome.guarantee) == ("influence", "residual-bounded")
    assert outcome.bound == outcome.gradient_norm[1] <= 0.3 * outcome.gradient_norm[0]
    moved = (met.theta != stated.theta).any(axis=1)
    assert outcome.n_rows_updated >= moved.sum() > 0
    assert missed.outcome(stated, "sweep").guarantee == "one-step"
    tilted = solve(stated, 0.3, True).outcome(stated, "influence")
    assert "counts as zero" in tilted.status
    assert tilted.bound == tilted.gradient_norm[1] + stated.gradient_norm


@pytest.mark.parametrize("request_", REQUESTS)
def test_slack_is_carried_where_the_tolerance_is_met_and_unknown_where_it_is_missed(request_):
    problem = replace(SPARSE, n_factors=12, regularization=20.0)
    theta = optimum(problem)
    known = slack_of(problem.objective(), theta)
    assert 0 < known < np.inf
    stated, _ = forget_problem(problem, cells_of(problem, request_), theta)
    stated = replace(stated, slack=known)
    met, missed = solve(stated, 0.9, False), solve(stated, 1e-9, False, max_rounds=1)
    assert met.met
    assert met.slack < known
    assert met.slack == slack_after(stated, met.theta, met.support)
    assert not missed.met
    assert missed.slack == 0


def test_only_a_local_weighted_problem_has_row_problems():
    problem = FITTED[0]
    stated, _ = forget_problem(problem, cells_of(problem, "user"), problem.theta())
    assert stated.has_exact_rows
    assert not replace(stated, local=False).has_exact_rows
    pointwise = Problem("labels", labels(0, 6, 5)).objective()
    assert not replace(stated, objective=pointwise).has_exact_rows


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), tilted=st.booleans(), grows=st.booleans())
def test_residual_of_any_table_is_the_dense_one(seed, tilted, grows):
    """No optimum is needed: with a tilt, any table has a residual."""
    rng = np.random.default_rng(seed)
    problem = WeightedProblem("any", ratings(seed, 15, 12, 0.12), alpha=rng.uniform(0.1, 5))
    seen = problem.matrix != 0
    if seen.sum() < 3:
        return
    theta = problem.theta(seed, 0.5)
    theta[~np.concatenate([seen.any(1), seen.any(0)])] = 0
    cells = np.argwhere(seen)
    mask = np.zeros(seen.shape, bool)
    mask[tuple(cells[rng.permutation(len(cells))[: rng.integers(1, 4)]].T)] = True
    if not tilted:
        theta = optimum(problem, seed)
    stated, twin = forget_problem(problem, mask, theta)
    result = solve(stated, 0.05 if grows else None, tilted, max_rounds=4)
    true = true_norm(problem, stated, twin, result.theta, tilted)
    assert abs(result.left - true) <= 1e-6 * true + 1e-7


def test_the_dense_examples_of_the_core_are_answered_too():
    for problem in WEIGHTED_SOLVED:
        theta = optimum(problem)
        mask = np.zeros(problem.matrix.shape, bool)
        mask[0] = problem.matrix[0] != 0
        stated, twin = forget_problem(problem, mask, theta)
        result = solve(stated, None, False)
        true = true_norm(problem, stated, twin, result.theta, False)
        assert result.left >= true * (1 - 1e-6)
        assert true < 0.5 * result.first


def test_rounds_end_at_their_limit():
    stated, _ = forget_problem(GROUPS, cells_of(GROUPS, "pairs"), optimum(GROUPS))
    assert solve(stated, 0.1, False).n_steps == 3
    cut = solve(stated, 0.1, False, max_rounds=2)
    assert (cut.n_steps, cut.met) == (2, False)
    assert_array_equal(cut.support, np.flatnonzero((cut.theta != stated.theta).any(axis=1)))
    assert solve(stated, None, False).n_steps == _touched._MAX_ROUNDS
