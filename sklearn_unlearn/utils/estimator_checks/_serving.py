"""Checks of a model that serves while it forgets."""

from __future__ import annotations

import copy
import sys
import threading
from typing import Any

import numpy as np
from sklearn.utils import get_tags

from sklearn_unlearn.utils._tags import get_forget_tags
from sklearn_unlearn.utils.estimator_checks._check_data import (
    N_ITEMS,
    N_USERS,
    Problem,
    fresh,
    known_table,
    require,
    require_close,
    score_table,
)
from sklearn_unlearn.utils.estimator_checks._registry import forget_check


@forget_check("serving")
def check_forget_tags(name: str, estimator_orig: Any) -> None:
    """Declare a recommender, and say what it forgets and whether exactly."""
    tags, forget_tags = get_tags(estimator_orig), get_forget_tags(estimator_orig)
    require(tags.estimator_type == "recommender", f"{name} must have estimator_type 'recommender'")
    require(
        tags.input_tags.sparse or not tags.input_tags.two_d_array,  # a table of events is neither
        f"{name} must accept sparse input",
    )
    require(forget_tags is not None, f"{name} must have forget_tags")
    for key in ("exact", "interactions", "users", "items"):
        require(
            isinstance(getattr(forget_tags, key, None), bool),
            f"{name}: forget_tags.{key} must be a bool",
        )


@forget_check("serving")
def check_forgotten_item_is_recommendable(name: str, estimator_orig: Any) -> None:
    """Recommend what was forgotten: nothing remembers it in order to hide it."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.X)
    user = int(problem.forgotten[0, 0])
    own = set(np.flatnonzero(problem.dense[user]).tolist())

    def listed():
        items, _ = model.recommend(users=[user], n_items=N_ITEMS)
        return set(items[0].tolist()) - {-1}

    require(listed() == set(range(N_ITEMS)) - own, f"{name}.recommend must leave out seen items")
    model.forget(problem.forgotten)
    forgotten = {int(item) for one, item in problem.forgotten if one == user}
    require(
        listed() == (set(range(N_ITEMS)) - own) | forgotten,
        f"{name}.recommend must be able to list forgotten items again, and no seen ones",
    )


@forget_check("serving")
def check_recommend_follows_scores_after_forget(name: str, estimator_orig: Any) -> None:
    """After ``forget``, lists are sorted by the scores that ``predict_pairs`` gives."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.X).forget(problem.forgotten, users=problem.user)
    users = np.flatnonzero(known_table(model).any(axis=1))
    items, scores = model.recommend(users=users, n_items=5, exclude_seen=False)
    table = score_table(model)[users]
    scale = max(1.0, float(np.abs(table).max()))
    listed = np.take_along_axis(table, items, axis=1)
    best = -np.sort(-table, axis=1)[:, :5]
    # Single precision may order near ties either way; the scores must agree all the same.
    require(
        np.abs(listed - scores).max() <= 1e-5 * scale
        and np.abs(best - scores).max() <= 1e-5 * scale,
        f"{name}.recommend and {name}.predict_pairs disagree after forget",
    )


def _answers(model, problem):
    """Give one answer of each verb, as arrays; each comes from one call."""
    return {
        "recommend(users)": model.recommend(users=np.arange(N_USERS), n_items=7),
        "recommend(X)": model.recommend(problem.X[:9], n_items=7),
        "decision_function": (model.decision_function(problem.X[:9]),),
        "predict_pairs": (model.predict_pairs(problem.cells),),
    }


def _matches(answer, expected) -> bool:
    return all(
        # Under load a BLAS may sum in another order; a torn answer is wrong by far more.
        np.allclose(one, other, rtol=1e-5, atol=1e-6)
        for one, other in zip(answer, expected, strict=True)
    )


@forget_check("serving")
def check_recommend_during_forget_is_never_torn(name: str, estimator_orig: Any) -> None:
    """Whatever is read while ``forget`` runs is the state before or the state after."""
    problem = Problem(estimator_orig)
    start = fresh(estimator_orig).fit(problem.X)
    after = copy.deepcopy(start).forget(users=problem.user, items=problem.item)
    states = [_answers(start, problem), _answers(after, problem)]
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(3):
            _read_while_forgetting(name, copy.deepcopy(start), problem, states)
    finally:
        sys.setswitchinterval(switch)


def _read_while_forgetting(name, model, problem, states):
    torn, done = [], threading.Event()
    n_read = [0, 0]

    def read(index):
        last = False
        while not (last and done.is_set()):
            last = done.is_set()
            try:
                answers = _answers(model, problem)
            except Exception as error:
                torn.append(repr(error))
                return
            for verb, answer in answers.items():
                if not any(_matches(answer, state[verb]) for state in states):
                    torn.append(verb)
            n_read[index] += 1

    readers = [threading.Thread(target=read, args=(index,)) for index in range(2)]
    for reader in readers:
        reader.start()
    try:
        model.forget(users=problem.user, items=problem.item)
    finally:
        done.set()
        for reader in readers:
            reader.join()
    require(not torn, f"{name} gave torn answers during forget: {sorted(set(torn))}")


@forget_check("serving")
def check_concurrent_forgets_are_all_applied(name: str, estimator_orig: Any) -> None:
    """Apply requests from several threads one after the other, and lose none."""
    problem = Problem(estimator_orig)
    start = fresh(estimator_orig).fit(problem.X)
    users = [0, 7, 11, 19]
    refit = fresh(estimator_orig, start).fit(problem.without(users=users))
    model, errors = copy.deepcopy(start), []

    def forget(user):
        try:
            model.forget(users=user)
        except Exception as error:
            errors.append(repr(error))

    threads = [threading.Thread(target=forget, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    require(not errors, f"{name}.forget from several threads raised {errors}")
    require_close(model, refit, start, f"{name}.forget from several threads")
