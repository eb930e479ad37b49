"""Checks that nothing of what was forgotten stays behind, and that nothing else is touched."""

from __future__ import annotations

import copy
import pickle
import tempfile
from numbers import Number
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from sklearn_unlearn.utils.estimator_checks._check_data import (
    Problem,
    fingerprint,
    fresh,
    parts_of,
    require,
    require_same,
    score_table,
    stored_as,
)
from sklearn_unlearn.utils.estimator_checks._registry import forget_check
from sklearn_unlearn.utils.estimator_checks._walk import (
    count_found,
    memory_of,
    patterns_of,
    stored_cells,
    walk,
)

# A count of iterations describes one run; the next run may need as many.
_MAY_COINCIDE = "n_iter_", "converged_", "n_features_in_", "feature_names_in_", "regularization_"


def _forget_in_three_ways(model, problem):
    """Forget cells, a user and an item; return the model and the values that must be gone."""
    model.forget(problem.forgotten)
    model.forget(users=problem.user)
    model.forget(items=problem.item)
    rest = problem.without(problem.forgotten, [problem.user], [problem.item]).toarray()
    return model, problem.dense[(problem.dense != 0) & (rest == 0)], rest


@forget_check("traces")
def check_forget_pickle_round_trip(name: str, estimator_orig: Any) -> None:
    """Forget from a pickled model like from the original, before and after a request."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.X)
    for request in ({"interactions": problem.forgotten}, {"users": problem.user}):
        for protocol in (2, pickle.HIGHEST_PROTOCOL):
            loaded = pickle.loads(pickle.dumps(model, protocol=protocol))
            require_same(loaded, model, f"{name} after a pickle round trip")
            twin = copy.deepcopy(model).forget(**request)
            require_same(loaded.forget(**request), twin, f"{name}.forget after a pickle round trip")
        model.forget(**request)


@forget_check("traces")
def check_forget_leaves_nothing_in_pickle(name: str, estimator_orig: Any) -> None:
    """No forgotten value and no forgotten cell is in a pickle, in any width or byte order."""

    def found_in_pickle(problem):
        model, gone, rest = _forget_in_three_ways(fresh(estimator_orig).fit(problem.X), problem)
        found = 0
        for protocol in (2, pickle.HIGHEST_PROTOCOL):
            dumped = pickle.dumps(model, protocol=protocol)
            forms = patterns_of(gone)
            if protocol < 3:  # bytes are written as text there: Latin-1, encoded as UTF-8
                forms = [{one.decode("latin-1").encode() for one in some} for some in forms]
            found = max(found, count_found(forms, dumped))
            _require_no_cells(name, pickle.loads(dumped), rest, "pickle")
        return found

    found = _found_twice(estimator_orig, found_in_pickle)
    require(found == 0, f"{name}: {found} forgotten values are in its pickle")


def _found_twice(estimator, look):
    """Values that `look` finds in two problems, the fewer of both.

    The four bytes of a value in single precision occur by chance in one model in some hundreds:
    between the bytes of another number. They do not occur in two.
    """
    found = look(Problem(estimator))
    return min(found, look(Problem(estimator, seed=1))) if found else 0


@forget_check("traces")
def check_forget_leaves_nothing_in_memory(name: str, estimator_orig: Any) -> None:
    """No forgotten value and no forgotten cell is in anything the model keeps alive.

    Containers, closures, caches and the ``.base`` of array views are walked.
    """

    def found_in_memory(problem):
        model = fresh(estimator_orig).fit(problem.X)
        model.recommend(users=[0, problem.user], n_items=5)  # fill what is computed on demand
        score_table(model)
        model, gone, rest = _forget_in_three_ways(model, problem)
        _require_no_cells(name, model, rest, "memory")
        return count_found(patterns_of(gone), memory_of(model))

    found = _found_twice(estimator_orig, found_in_memory)
    require(found == 0, f"{name}: {found} forgotten values are in memory that it keeps alive")


def _require_no_cells(name, model, rest, where):
    known = {tuple(cell) for cell in stored_as(model, np.argwhere(rest)).tolist()}
    stale = stored_cells(model, rest.shape) - known
    require(not stale, f"{name}: {len(stale)} forgotten cells are in matrices in its {where}")


@forget_check("traces")
def check_forget_leaves_nothing_stale(name: str, estimator_orig: Any) -> None:
    """Every attribute that a refit would set otherwise has changed, private ones included."""
    problem = Problem(estimator_orig)
    start = _hashes(fresh(estimator_orig).fit(problem.X))
    again = _hashes(fresh(estimator_orig).fit(problem.X))
    refit = _hashes(fresh(estimator_orig).fit(problem.rest))
    model = _hashes(fresh(estimator_orig).fit(problem.X).forget(problem.forgotten))
    stale = [
        key
        for key in start
        if key.rpartition("__")[2] not in _MAY_COINCIDE
        and start[key] == again.get(key)  # clocks differ between any two fits
        and start[key] != refit.get(key)
        and start[key] == model.get(key)
    ]
    require(not stale, f"{name}.forget left attributes as they were: {', '.join(stale)}")


def _hashes(model):
    return {
        path + key: joblib.hash(value)
        for path, part in parts_of(model)
        for key, value in vars(part).items()
    }


@forget_check("traces")
def check_forget_writes_nothing_in_place(name: str, estimator_orig: Any) -> None:
    """No array that the model held before the request is written to: a reader may be using it."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.X)
    held = [one for one in walk(dict(vars(model))) if isinstance(one, np.ndarray)]
    before = [joblib.hash(one) for one in held]
    model.forget(problem.forgotten)
    model.forget(users=problem.user)
    require(
        [joblib.hash(one) for one in held] == before,
        f"{name}.forget must compute new arrays and never write to those in use",
    )


@forget_check("traces")
def check_forget_input_is_not_aliased(name: str, estimator_orig: Any) -> None:
    """X is never written to, and changing X after ``fit`` does not reach the model."""
    problem = Problem(estimator_orig)
    for X in (problem.X.copy(), problem.dense.copy()):
        kept = X.copy()
        model = fresh(estimator_orig).fit(X)
        model.forget(problem.forgotten)
        require(abs(X - kept).max() == 0, f"{name} must not write to X")
        model = fresh(estimator_orig).fit(X)
        reference = copy.deepcopy(model).forget(problem.forgotten)
        X *= 3
        require_same(
            model.forget(problem.forgotten), reference, f"{name}.forget after X was changed"
        )


@forget_check("traces")
def check_forget_copies_are_isolated(name: str, estimator_orig: Any) -> None:
    """``forget`` on a deep or shallow copy leaves the original as it was, bit for bit."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.X)
    before, table = fingerprint(model), score_table(model)
    for make in (copy.deepcopy, copy.copy):
        make(model).forget(problem.forgotten)
        same = fingerprint(model) == before and np.array_equal(score_table(model), table)
        require(same, f"{name}: forget on a {make.__name__} must not reach the original")


@forget_check("traces")
def check_forget_on_read_only_memmap(name: str, estimator_orig: Any) -> None:
    """Forget from ``joblib.load(mmap_mode="r")`` as from a model in memory."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.X)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.joblib"
        joblib.dump(model, path)
        stored = path.read_bytes()
        mapped = joblib.load(path, mmap_mode="r")
        require_same(mapped, model, f"{name} on a memory map")
        mapped.forget(problem.forgotten)
        require_same(
            mapped, copy.deepcopy(model).forget(problem.forgotten), f"{name}.forget on a memory map"
        )
        mapped.recommend(users=[0], n_items=3)
        require(path.read_bytes() == stored, f"{name}.forget must not write to the stored model")
        del mapped


@forget_check("traces")
def check_forget_report_holds_no_data(name: str, estimator_orig: Any) -> None:
    """``forget_report_`` says what was done in scalars: no ids, pairs, values or arrays."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.X)
    require(not hasattr(model, "forget_report_"), f"{name}.fit must not set forget_report_")
    model.forget(problem.forgotten)
    report = getattr(model, "forget_report_", None)
    require(report is not None, f"{name}.forget must set forget_report_")
    values = dict(report.to_dict())
    held = getattr(report, "__dict__", None) or {}
    for key, value in {**held, **values}.items():
        require(_is_scalar(value), f"{name}.forget_report_.{key} must be a scalar, not {value!r}")
    require(
        not any(isinstance(one, np.ndarray) and one.size > 1 for one in walk(report)),
        f"{name}.forget_report_ must not keep arrays alive",
    )
    counts = (values.get("n_interactions"), values.get("n_users"), values.get("n_items"))
    expected = (
        len(problem.forgotten),
        len(set(problem.forgotten[:, 0])),
        len(set(problem.forgotten[:, 1])),
    )
    require(counts == expected, f"{name}.forget_report_ must count {expected}, not {counts}")
    require(
        values.get("guarantee")
        in ("exact", "certified", "residual-bounded", "rows-solved", "one-step", "refit", "none"),
        f"{name}.forget_report_.guarantee must be a known word, not {values.get('guarantee')!r}",
    )


def _is_scalar(value) -> bool:
    if isinstance(value, tuple) and len(value) == 2:  # before and after
        return all(_is_scalar(one) for one in value)
    return value is None or isinstance(value, str | Number | np.generic)


@forget_check("traces")
def check_forget_shows_no_ids(name: str, estimator_orig: Any) -> None:
    """Neither ``repr`` nor the HTML of a model or its report grows with what was forgotten."""
    problem = Problem(estimator_orig)
    model = fresh(estimator_orig).fit(problem.X).forget(problem.forgotten)
    shown = [repr(model), model._repr_html_() if hasattr(model, "_repr_html_") else ""]
    report = model.forget_report_
    shown += [repr(report), report._repr_html_() if hasattr(report, "_repr_html_") else ""]
    gone = problem.dense[tuple(problem.forgotten.T)]
    found = count_found(patterns_of(gone), "\n".join(shown).encode())
    require(found == 0, f"{name} shows {found} forgotten values")
    gone = np.vstack((problem.forgotten, stored_as(model, problem.forgotten))).tolist()
    pairs = [text for user, item in gone for text in (f"({user}, {item})", f"[{user}, {item}]")]
    require(not any(pair in text for pair in pairs for text in shown), f"{name} shows pairs")
