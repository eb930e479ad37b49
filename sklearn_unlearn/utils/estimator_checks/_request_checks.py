"""Checks of what a request may look like, and of what happens to a bad one."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.utils.estimator_checks._check_data import (
    N_ITEMS,
    N_USERS,
    Problem,
    fingerprint,
    fresh,
    holds_estimators,
    leaves_of,
    parts_of,
    require,
    require_close,
    require_same,
    score_table,
)
from sklearn_unlearn.utils.estimator_checks._registry import forget_check


@forget_check("request")
def check_forget_unfitted(name: str, estimator_orig: Any) -> None:
    """Raise NotFittedError before ``fit``."""
    try:
        fresh(estimator_orig).forget([[0, 0]])
    except NotFittedError:
        return
    raise AssertionError(f"{name}.forget before fit must raise NotFittedError")


@forget_check("request")
def check_forget_returns_self(name: str, estimator_orig: Any) -> None:
    """``forget`` returns the estimator itself, also for an empty request."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.X)
    require(model.forget(problem.forgotten) is model, f"{name}.forget must return self")
    require(model.forget([]) is model, f"{name}.forget of an empty request must return self")


@forget_check("request")
def check_forget_leaves_params(name: str, estimator_orig: Any) -> None:
    """``forget`` sets no hyper-parameter, and a clone of the model is not fitted."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig)
    before = model.get_params()
    shown = _shown(before)
    model.fit(problem.X).forget(problem.forgotten)
    after = model.get_params()
    same = before.keys() == after.keys() and all(_is(after[key], before[key]) for key in before)
    require(same and _shown(after) == shown, f"{name}.forget must leave the hyper-parameters alone")
    check_forget_unfitted(name, clone(model))


def _shown(params) -> str:
    # Estimators among the parameters are fitted, and may say so; what they are set to is among the
    # deep parameters too.
    return repr({key: value for key, value in params.items() if not holds_estimators(value)})


def _is(one, other) -> bool:
    """Tell whether a parameter is the same object; the steps of a pipeline may be a new list."""
    if not holds_estimators(other):
        return one is other
    leaves = leaves_of(one), leaves_of(other)
    return len(leaves[0]) == len(leaves[1]) and all(
        a is b or (isinstance(a, str) and a == b) for a, b in zip(*leaves, strict=True)
    )


@forget_check("request")
def check_forget_keeps_shapes(name: str, estimator_orig: Any) -> None:
    """Every fitted array keeps shape and dtype, and scores keep a cell for each user and item."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.X)

    def shapes():
        return {
            path + key: (array.shape, array.dtype)
            for path, part in parts_of(model)
            for key, array in vars(part).items()
            if key.endswith("_") and not key.startswith("_") and isinstance(array, np.ndarray)
        }

    before = shapes()
    # The last user and the last item: the ones that a careless implementation drops.
    model.forget(users=N_USERS - 1, items=N_ITEMS - 1)
    require(shapes() == before, f"{name}.forget must not change shapes or dtypes")
    require(score_table(model).shape == (N_USERS, N_ITEMS), f"{name} must keep scoring every pair")
    require(model.n_features_in_ == N_ITEMS, f"{name}.forget must keep n_features_in_")


@forget_check("request")
def check_forget_request_forms(name: str, estimator_orig: Any) -> None:
    """Every form of one request leads to one state, and no form is written to."""
    problem = Problem(estimator_orig)
    cells = problem.forgotten
    mask = problem.mask(cells)
    forms = {
        "integer array": cells,
        "int32 array": cells.astype(np.int32),
        "list of tuples": [tuple(one) for one in cells.tolist()],
        "shuffled with repeats": np.vstack((cells[::-1], cells[:2])),
        "tuple (users, items)": (cells[:, 0], cells[:, 1]),
        "boolean mask": mask,
        "CSR mask": sparse.csr_matrix(mask.astype(float)),
        "COO mask": sparse.coo_matrix(-3 * mask.astype(np.int64)),
        "boolean CSC mask": sparse.csc_matrix(mask),
    }
    fitted = fresh(estimator_orig).fit(problem.X)
    reference = copy.deepcopy(fitted).forget(cells.copy())
    for form, request in forms.items():
        kept = copy.deepcopy(request)
        model = copy.deepcopy(fitted).forget(request)
        require_same(model, reference, f"{name}.forget with a {form}")
        require(_equal(kept, request), f"{name}.forget must not write to the request ({form})")
    _check_whole_forms(name, fitted, problem)


def _equal(one, other) -> bool:
    if sparse.issparse(one):
        return (one.tocsr() != other.tocsr()).nnz == 0
    return np.array_equal(one, other)


def _check_whole_forms(name, fitted, problem):
    row = problem.cells[problem.cells[:, 0] == problem.user]
    column = problem.cells[problem.cells[:, 1] == problem.item]
    reference = copy.deepcopy(fitted).forget(np.vstack((row, column)))
    for kind in (int, np.int64, lambda one: [one], lambda one: np.array([one, one])):
        model = copy.deepcopy(fitted).forget(users=kind(problem.user), items=kind(problem.item))
        require_close(model, reference, fitted, f"{name}.forget with users= and items=")
    model = copy.deepcopy(fitted).forget(column, users=problem.user)
    require_close(model, reference, fitted, f"{name}.forget must unite all parts of a request")


class _Frame:
    """What a data frame looks like from outside, whatever library made it."""

    iloc = None
    columns = ("user", "item")

    def __array__(self, dtype=None, copy=None):
        return np.array([[0, 0]], dtype=dtype)


INVALID_REQUESTS = {
    "nothing": ({}, ValueError),
    "unknown missing=": ({"users": [0], "missing": "drop"}, ValueError),
    "float pairs": ({"interactions": [[0.0, 1.0]]}, TypeError),
    "string pairs": ({"interactions": [["ann", "book"]]}, TypeError),
    "string users": ({"users": ["ann"]}, TypeError),
    "float items": ({"items": np.array([1.0])}, TypeError),
    "data frame": ({"interactions": _Frame()}, TypeError),
    "three columns": ({"interactions": [[0, 1, 2]]}, ValueError),
    "one flat pair": ({"interactions": [0, 1]}, ValueError),
    "uneven tuple": ({"interactions": ([0, 1], [1])}, ValueError),
    "negative user": ({"interactions": [[-1, 0]]}, ValueError),
    "user out of range": ({"users": [N_USERS]}, ValueError),
    "item out of range": ({"interactions": [[0, N_ITEMS]]}, ValueError),
    "beyond 64 bits": ({"interactions": [[2**64, 0]]}, ValueError),
    "unsigned wrap-around": ({"users": np.array([2**64 - 1], np.uint64)}, ValueError),
    "boolean mask of another shape": ({"interactions": np.ones((2, 2), bool)}, ValueError),
    "sparse mask of another shape": ({"interactions": sparse.csr_matrix((2, 2))}, ValueError),
    "two-dimensional users": ({"users": [[0, 1]]}, ValueError),
    "one good part and one bad": ({"users": [0], "items": [N_ITEMS]}, ValueError),
}


@forget_check("request")
def check_forget_invalid_requests_are_atomic(name: str, estimator_orig: Any) -> None:
    """Refuse a bad request with TypeError or ValueError, and change no bit of the model."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.X)
    before = fingerprint(model)
    for what, (arguments, expected) in INVALID_REQUESTS.items():
        try:
            model.forget(**arguments)
        except expected as error:
            require(
                isinstance(error, UnknownInteractionError) is False and str(error),
                f"{name}.forget ({what}) must raise a plain {expected.__name__} with a message",
            )
        except Exception as error:
            raise AssertionError(
                f"{name}.forget ({what}) must raise {expected.__name__}, not {error!r}"
            ) from error
        else:
            raise AssertionError(f"{name}.forget ({what}) must raise {expected.__name__}")
        require(
            fingerprint(model) == before,
            f"{name}.forget ({what}) raised, and must leave the model as it was, bit for bit",
        )


@forget_check("request")
def check_forget_unknown_is_named(name: str, estimator_orig: Any) -> None:
    """Name a pair never trained on in an UnknownInteractionError, and change no bit."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.X)
    user, item = np.argwhere(problem.dense == 0)[-1].tolist()
    before = fingerprint(model)
    try:
        model.forget(np.vstack((problem.forgotten, [[user, item]])))
    except UnknownInteractionError as error:
        require(
            str(user) in str(error) and str(item) in str(error),
            f"{name}.forget must name the unknown pair ({user}, {item}); it said: {error}",
        )
        require(isinstance(error, KeyError), "UnknownInteractionError must be a KeyError")
    else:
        raise AssertionError(f"{name}.forget of an unknown pair must raise UnknownInteractionError")
    require(fingerprint(model) == before, f"{name}.forget of an unknown pair must change nothing")
    reference = copy.deepcopy(model).forget(problem.forgotten)
    model.forget(np.vstack((problem.forgotten, [[user, item]])), missing="ignore")
    require_same(model, reference, f"{name}.forget must ignore unknown pairs with missing='ignore'")


@forget_check("request")
def check_forget_is_idempotent(name: str, estimator_orig: Any) -> None:
    """Repeating a request with ``missing="ignore"`` changes no bit; with "raise" it raises."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.X)
    for request in (
        {"interactions": problem.forgotten},
        {"users": problem.user},
        {"items": problem.item},
    ):
        model.forget(**request, missing="ignore")
        before = fingerprint(model)
        model.forget(**request, missing="ignore")
        require(fingerprint(model) == before, f"{name}.forget, repeated, must change no bit")
        try:
            model.forget(**request)
        except UnknownInteractionError:
            require(fingerprint(model) == before, f"{name}.forget, repeated, must change no bit")
        else:
            raise AssertionError(f"{name}.forget, repeated, must raise with missing='raise'")


@forget_check("request")
def check_forget_empty_request(name: str, estimator_orig: Any) -> None:
    """Change no bit for an empty request."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.X)
    empty = (
        {"interactions": np.empty((0, 2), np.int64)},
        {"interactions": ([], [])},
        {"interactions": sparse.csr_matrix((N_USERS, N_ITEMS))},
        {"interactions": np.zeros((N_USERS, N_ITEMS), bool)},
        {"users": [], "items": []},
    )
    for earlier in ([], problem.forgotten):  # fresh from fit, and after a request
        model.forget(earlier)
        before = fingerprint(model)
        for request in empty:
            model.forget(**request)
            require(fingerprint(model) == before, f"{name}.forget of nothing must change no bit")
