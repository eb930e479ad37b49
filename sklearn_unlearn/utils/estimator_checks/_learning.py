"""Checks of ``learn`` and ``rectify``: where they end, how a table grows, what is refused."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_unlearn.exceptions import KnownInteractionError, UnknownInteractionError
from sklearn_unlearn.utils.estimator_checks._check_data import (
    N_ITEMS,
    N_USERS,
    Problem,
    fingerprint,
    fresh,
    require,
    require_close,
    require_same,
    score_table,
)
from sklearn_unlearn.utils.estimator_checks._registry import forget_check


def _values(problem: Problem, cells: Any) -> Any:
    return problem.dense[tuple(np.asarray(cells).T)]


@forget_check("learning")
def check_learn_equals_refit(name: str, estimator_orig: Any) -> None:
    """After ``learn`` the model scores like one refitted to all interactions, in every form."""
    problem = Problem(estimator_orig)
    start = fresh(estimator_orig).fit(problem.rest)
    refit = fresh(estimator_orig, start).fit(problem.X)
    cells, values = problem.forgotten, _values(problem, problem.forgotten)
    model = copy.deepcopy(start)
    require(model.learn(cells, values) is model, f"{name}.learn must return self")
    require_close(model, refit, start, f"{name}.learn against a refit")
    for form, request in (
        ("a tuple", (tuple(cells.T), values)),
        ("another order", (cells[::-1], values[::-1])),
        ("a sparse matrix", (problem.X - problem.rest,)),
        ("parts to be summed", (np.repeat(cells, 2, axis=0), np.repeat(values / 2, 2))),
    ):
        twin = copy.deepcopy(start).learn(*request)
        require_same(twin, model, f"{name}.learn of {form}")


@forget_check("learning")
def check_forget_undoes_learn(name: str, estimator_orig: Any) -> None:
    """Forgetting what was learned leads back to the model before."""
    problem = Problem(estimator_orig)
    start = fresh(estimator_orig).fit(problem.rest)
    cells = problem.forgotten
    learned = copy.deepcopy(start).learn(cells, _values(problem, cells))
    model = copy.deepcopy(learned).forget(cells)
    require_close(model, start, learned, f"{name}.forget of what was learned")


@forget_check("learning")
def check_rectify_equals_refit(name: str, estimator_orig: Any) -> None:
    """``rectify`` forgets some interactions and learns others, like a refit to what is right."""
    problem = Problem(estimator_orig)
    old, new = problem.forgotten[::2], problem.forgotten[1::2]
    start = fresh(estimator_orig).fit(problem.without(new))
    refit = fresh(estimator_orig, start).fit(problem.without(old))
    model = copy.deepcopy(start)
    require(
        model.rectify(old, new, _values(problem, new)) is model, f"{name}.rectify must return self"
    )
    require_close(model, refit, start, f"{name}.rectify against a refit")


@forget_check("learning")
def check_learn_grows(name: str, estimator_orig: Any) -> None:
    """Give new users and items rows behind the others, which keep their places."""
    problem = Problem(estimator_orig)
    m, n = N_USERS - 2, N_ITEMS - 1
    small = fresh(estimator_orig).fit(problem.X[:m, :n])
    start = copy.deepcopy(small).learn(np.empty((0, 2), int), n_users=N_USERS, n_items=N_ITEMS)
    refit = fresh(estimator_orig, start).fit(problem.X)
    cells = problem.cells[(problem.cells[:, 0] >= m) | (problem.cells[:, 1] >= n)]
    model = copy.deepcopy(small).learn(cells, _values(problem, cells))
    require_close(model, refit, start, f"{name}.learn of new users and items")
    require(
        model.n_features_in_ == N_ITEMS,
        f"{name}.n_features_in_ is {model.n_features_in_} with {N_ITEMS} items",
    )
    items, _ = model.recommend(users=[N_USERS - 1], n_items=3)
    require(
        not problem.dense[N_USERS - 1, items[0]].any(),
        f"{name} recommends to a new user what it was just told of",
    )
    require(
        np.all(np.isfinite(model.decision_function(problem.X[-2:]))),
        f"{name}.decision_function must take rows of the larger table",
    )


@forget_check("learning")
def check_learn_invalid_requests_are_atomic(name: str, estimator_orig: Any) -> None:
    """Refuse a bad request, and change nothing, bit for bit."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.rest)
    before = fingerprint(model)
    new, known = problem.forgotten[:2].tolist(), np.argwhere(problem.rest.toarray())[:1].tolist()
    for what, call, errors in (
        ("floats", lambda: model.learn(np.array(new) + 0.5), TypeError),
        ("a negative position", lambda: model.learn([*new, [-1, 0]]), ValueError),
        ("NaN", lambda: model.learn(new, [1.0, np.nan]), ValueError),
        ("zeros", lambda: model.learn(new, [1.0, 0.0]), ValueError),
        ("too few values", lambda: model.learn(new, [1.0]), ValueError),
        ("a smaller matrix", lambda: model.learn(sparse.csr_matrix((2, 2))), ValueError),
        ("a smaller table", lambda: model.learn(new, n_users=1), ValueError),
        ("no positions", lambda: model.learn([*new, [2**40, 0]]), ValueError),
        ("what is known", lambda: model.learn(new + known), KnownInteractionError),
        ("unknown pairs", lambda: model.rectify(new, new), UnknownInteractionError),
        ("known pairs", lambda: model.rectify([], new + known), KnownInteractionError),
    ):
        try:
            call()
        except errors:
            require(fingerprint(model) == before, f"{name} changed by a request of {what}")
            continue
        raise AssertionError(f"{name} must refuse a request of {what}")


@forget_check("learning")
def check_learn_is_idempotent(name: str, estimator_orig: Any) -> None:
    """With ``existing="replace"``, a request that arrives twice changes nothing the second time."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.rest)
    cells, values = problem.forgotten, _values(problem, problem.forgotten)
    before = fingerprint(model)
    model.learn([])
    require(fingerprint(model) == before, f"{name}.learn of nothing must change nothing")
    model.learn(cells, values)
    before, table = fingerprint(model), score_table(model)
    model.learn(cells, values, existing="replace")
    model.rectify(cells, cells, values)
    require(
        fingerprint(model) == before and np.array_equal(score_table(model), table),
        f"{name}.learn must change nothing where everything is known",
    )
