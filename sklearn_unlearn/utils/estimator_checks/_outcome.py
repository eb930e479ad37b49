"""Checks of where forgetting ends: at the refit, whatever the path."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from sklearn_unlearn.utils.estimator_checks._check_data import (
    N_ITEMS,
    N_USERS,
    Problem,
    fingerprint,
    fresh,
    random_states,
    require,
    require_close,
    require_same,
    score_table,
)
from sklearn_unlearn.utils.estimator_checks._registry import forget_check


@forget_check("outcome")
def check_forget_equals_refit(name: str, estimator_orig: Any) -> None:
    """After ``forget`` the model scores like one refitted on what remains."""
    problem = Problem(estimator_orig)
    start = fresh(estimator_orig).fit(problem.X)
    refit = fresh(estimator_orig, start).fit(problem.rest)
    moved = np.abs(score_table(start) - score_table(refit)).max()
    require(moved > 0, f"{name}: twelve interactions must matter to a refit")
    model = copy.deepcopy(start).forget(problem.forgotten)
    require_close(model, refit, start, f"{name}.forget against a refit")
    folded = [one.decision_function(problem.X[:5]) for one in (model, refit, start)]
    left = np.linalg.norm(folded[0] - folded[1])
    distance = np.linalg.norm(folded[2] - folded[1])
    scale = max(1.0, float(np.abs(folded[1]).max()))
    # Twice the share: fold-in sees the item side alone, which may move less than the table.
    require(
        left <= max(0.04 * distance, 1e-8 * scale),
        f"{name}.decision_function after forget is not that of a refit",
    )


@forget_check("outcome")
def check_forget_sequential_equals_batch(name: str, estimator_orig: Any) -> None:
    """End where one batch ends when requests come one by one."""
    problem = Problem(estimator_orig)
    start = fresh(estimator_orig).fit(problem.X)
    batch = copy.deepcopy(start).forget(problem.forgotten)
    model = copy.deepcopy(start)
    for cell in problem.forgotten:
        model.forget([cell])
    require_close(model, batch, start, f"{name}.forget one by one against a batch")


@forget_check("outcome")
def check_forget_order_is_irrelevant(name: str, estimator_orig: Any) -> None:
    """End in one place whatever the order of two requests."""
    problem = Problem(estimator_orig)
    start = fresh(estimator_orig).fit(problem.X)
    requests = ({"users": problem.user}, {"items": problem.item, "missing": "ignore"})
    one, other = copy.deepcopy(start), copy.deepcopy(start)
    for request in requests:
        one.forget(**request)
    for request in requests[::-1]:
        other.forget(**request)
    require_close(one, other, start, f"{name}.forget in another order")


@forget_check("outcome")
def check_forget_user(name: str, estimator_orig: Any) -> None:
    """Forget a whole user like a refit that finds its row empty."""
    problem = Problem(estimator_orig)
    start = fresh(estimator_orig).fit(problem.X)
    refit = fresh(estimator_orig, start).fit(problem.without(users=[problem.user]))
    model = copy.deepcopy(start).forget(users=problem.user)
    require_close(model, refit, start, f"{name}.forget(users=...) against a refit")


@forget_check("outcome")
def check_forget_item(name: str, estimator_orig: Any) -> None:
    """Forget a whole item like a refit that finds its column empty."""
    problem = Problem(estimator_orig)
    start = fresh(estimator_orig).fit(problem.X)
    refit = fresh(estimator_orig, start).fit(problem.without(items=[problem.item]))
    model = copy.deepcopy(start).forget(items=problem.item)
    require_close(model, refit, start, f"{name}.forget(items=...) against a refit")


@forget_check("outcome")
def check_forget_everything(name: str, estimator_orig: Any) -> None:
    """Forget everything, and still answer, every user alike."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.X)
    spread = np.ptp(score_table(model), axis=0).max()
    model.forget(users=np.arange(N_USERS))
    table = score_table(model)
    require(np.all(np.isfinite(table)), f"{name} must give finite scores after forgetting all")
    require(
        np.ptp(table, axis=0).max() <= 0.02 * spread,
        f"{name} forgot everything, and still tells its users apart",
    )
    items, scores = model.recommend(users=[0, N_USERS - 1], n_items=N_ITEMS)
    complete = np.array_equal(np.sort(items, axis=1), np.tile(np.arange(N_ITEMS), (2, 1)))
    require(complete and np.all(np.isfinite(scores)), f"{name} must recommend after forgetting all")
    require(
        np.all(np.isfinite(model.decision_function(problem.X[:3]))),
        f"{name}.decision_function must stay finite after forgetting all",
    )
    before = fingerprint(model)
    model.forget(items=np.arange(N_ITEMS), missing="ignore")
    require(fingerprint(model) == before, f"{name} has nothing left to forget")


@forget_check("outcome")
def check_forget_is_deterministic(name: str, estimator_orig: Any) -> None:
    """Two equal models that forget the same are equal, bit for bit."""
    problem = Problem(estimator_orig)
    tables = [
        score_table(fresh(estimator_orig).fit(problem.X).forget(problem.forgotten))
        for _ in range(2)
    ]
    require(np.array_equal(*tables), f"{name}.forget with a fixed random_state must be repeatable")


@forget_check("outcome")
def check_forget_random_states(name: str, estimator_orig: Any) -> None:
    """``forget`` works with every form of ``random_state`` and draws from none of them."""
    keys = random_states(estimator_orig)
    if not keys:
        return
    problem = Problem(estimator_orig)
    for state in (None, 7, np.random.RandomState(7)):
        model = fresh(estimator_orig).set_params(**dict.fromkeys(keys, state)).fit(problem.X)
        twin = copy.deepcopy(model)
        before = _states(model)
        model.forget(problem.forgotten)
        require(
            _states(model) == before,
            f"{name}.forget must not draw from random_state={state!r}: keep the seed drawn at fit",
        )
        twin.forget(problem.forgotten)
        require_same(model, twin, f"{name}.forget with random_state={state!r}, twice")


def _states(model):
    params = model.get_params(deep=True)
    own = [
        params[key].get_state(legacy=True)
        for key in random_states(model)
        if isinstance(params[key], np.random.RandomState)
    ]
    return repr((np.random.get_state(legacy=True), own))  # full arrays do not matter: pos moves


@forget_check("outcome")
def check_refit_after_forget_is_fresh(name: str, estimator_orig: Any) -> None:
    """``fit`` after ``forget`` starts from nothing, and leaves no report of the old request."""
    problem = Problem(estimator_orig)
    reference = fresh(estimator_orig).fit(problem.X)
    model = fresh(estimator_orig).fit(problem.X).forget(users=problem.user).fit(problem.X)
    require_same(model, reference, f"{name}.fit after forget")
    require(
        not hasattr(model, "forget_report_"),
        f"{name}.fit must remove forget_report_ of an old request",
    )
    require_same(
        model.forget(problem.forgotten),
        reference.forget(problem.forgotten),
        f"{name}.forget after a second fit",
    )


@forget_check("outcome")
def check_forget_dense_equals_sparse(name: str, estimator_orig: Any) -> None:
    """Dense and sparse input, whatever its layout, lead to the same forgotten model."""
    problem = Problem(estimator_orig)
    reference = fresh(estimator_orig).fit(problem.X).forget(problem.forgotten)
    messy = problem.X.tocoo()
    messy = type(messy)(
        (
            np.append(messy.data / 2, messy.data / 2)[::-1],
            (np.append(messy.row, messy.row)[::-1], np.append(messy.col, messy.col)[::-1]),
        ),
        shape=messy.shape,
    )
    for layout, X in (
        ("dense", problem.dense),
        ("Fortran-ordered", np.asfortranarray(problem.dense)),
        ("CSC", problem.X.tocsc()),
        ("unsorted COO with duplicates", messy),
    ):
        model = fresh(estimator_orig).fit(X).forget(problem.forgotten)
        require_same(model, reference, f"{name}.forget after fitting on {layout} data")
