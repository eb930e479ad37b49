"""Models in closed form: forgetting against refits, one request and a thousand in a row."""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone

from sklearn_unlearn.benchmarks.data._datasets import Problem, load_problem
from sklearn_unlearn.benchmarks.data._forget_sets import Request, make_request
from sklearn_unlearn.benchmarks.measure._clocks import Timing, time_calls
from sklearn_unlearn.benchmarks.measure._machine import describe_machine, library_versions
from sklearn_unlearn.benchmarks.measure._report import SCHEMA, to_json
from sklearn_unlearn.benchmarks.methods._implicit import matrix_for_implicit
from sklearn_unlearn.benchmarks.methods._import_path import parse_params
from sklearn_unlearn.metrics import ndcg_at_k, recall_at_k, remaining_gap
from sklearn_unlearn.recommenders import (
    EASE,
    TIFUKNN,
    GraphFilter,
    ItemKNN,
    PolynomialFilter,
    SessionKNN,
    SparseEASE,
)

__all__ = ["EXACT", "EXACT_REQUESTS", "run_exact"]

Record = dict[str, Any]

#: The estimators that the command knows, and what it asks them to forget. Likes have no times here:
#: those of sequences take a user for a session, or for its only basket.
EXACT = {
    "EASE": EASE,
    "GraphFilter": GraphFilter,
    "ItemKNN": ItemKNN,
    "PolynomialFilter": PolynomialFilter,
    "SessionKNN": SessionKNN,
    "SparseEASE": SparseEASE,
    "TIFUKNN": TIFUKNN,
}
EXACT_REQUESTS = ("pair", "median-user", "heavy-user", "users-1%")

# Scores are compared for so many users that lose something, and as many others.
_N_COMPARED = 200


def run_exact(options: argparse.Namespace) -> int:
    """Measure, print tables, and write a file if that is asked for.

    Parameters
    ----------
    options : Namespace
        Of the command ``exact``.

    Returns
    -------
    status : int
        0.
    """
    problem = load_problem(
        options.problem,
        threshold=options.threshold,
        test_size=options.test_size,
        seed=options.split_seed,
        implicit=True,
    )
    say = (lambda line: None) if options.quiet else (lambda line: print(line, file=sys.stderr))
    estimator = EXACT[options.estimator]().set_params(**parse_params(options.params))
    requests = [make_request(name, problem.X, options.seed) for name in options.requests]
    fit = _time_fit(estimator, problem.X, options.refit_repeats)
    say(f"fitted in {min(fit.seconds):.2f} s")
    rival = _rival_of(estimator, options.jobs)
    document = {
        "schema": SCHEMA,
        "benchmark": "exact",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": library_versions(),
        "machine": describe_machine(options.jobs),
        "problem": problem.describe(),
        "estimator": repr(estimator),
        "fit": {**fit.to_dict(), **_quality(fit.result, problem)},
        "rival": None if rival is None else _rival_fit(rival, problem, options.refit_repeats),
        "records": [
            _measure(fit.result, estimator, request, rival, options, say) for request in requests
        ],
    }
    if options.sequence:
        document["sequence"] = _sequence(fit.result, estimator, problem.X, options, say)
    print(_markdown(document))
    if options.json is not None:
        options.json.write_text(to_json(document), encoding="utf-8")
    return 0


# -- what is measured ------------------------------------------------------------------------------
def _time_fit(estimator: Any, X: sparse.csr_array, repeats: int) -> Timing:
    return time_calls(lambda: clone(estimator), lambda model: model.fit(X), repeats, warm_up=False)


def _quality(model: Any, problem: Problem) -> Record:
    users, items, _ = problem.test
    if not len(users):
        return {}
    X_test = sparse.csr_array((np.ones(len(users)), (users, items)), shape=problem.X.shape)
    return {"recall@20": recall_at_k(model, X_test, 20), "ndcg@20": ndcg_at_k(model, X_test, 20)}


def _measure(
    model: Any,
    estimator: Any,
    request: Request,
    rival: Callable[[], Any] | None,
    options: argparse.Namespace,
    say: Callable[[str], None],
) -> Record:
    """Time one request, and compare the result with a refit."""
    forget = time_calls(
        lambda: copy.deepcopy(model),
        lambda twin: twin.forget(**request.arguments),
        options.repeats,
        warm_up=True,
    )
    refit = _time_fit(estimator, request.retained, options.refit_repeats)
    say(f"{request.name}: {min(forget.seconds):.4f} s, refit {min(refit.seconds):.2f} s")
    after = forget.result
    record = {
        "request": request.name,
        "n_interactions": len(request.positions),
        **forget.to_dict(),
        "refit_seconds": refit.to_dict()["seconds"],
        "report": after.forget_report_.to_dict(),
        **_differences(model, after, refit.result, request, options.seed),
    }
    if rival is not None:
        record["rival_seconds"] = statistics.median(
            _time_rival(rival, request.retained, options.refit_repeats).seconds
        )
    return record


def _differences(before: Any, after: Any, refit: Any, request: Request, seed: int) -> Record:
    """Compare scores of some users that lose something, and of some that do not."""
    rng = np.random.default_rng(seed)
    losers = _some(request.users, rng)
    others = _some(np.setdiff1d(np.arange(request.X.shape[0]), request.users), rng)
    users = np.concatenate([losers, others])
    start, one, other = (model._score_users(users) for model in (before, after, refit))
    affected = np.zeros(one.shape, bool)
    affected[: len(losers)], affected[:, request.items] = True, True
    return {
        "max_difference": float(np.abs(one - other).max()),
        "largest_score": float(np.abs(other).max()),
        "gap": remaining_gap(start, one, other),
        "gap_affected": remaining_gap(start[affected], one[affected], other[affected]),
    }


def _some(users: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(rng.permutation(users)[:_N_COMPARED])


def _sequence(
    model: Any,
    estimator: Any,
    X: sparse.csr_array,
    options: argparse.Namespace,
    say: Callable[[str], None],
) -> Record:
    """Forget users, items and pairs one after the other; compare the end with a refit."""
    rng = np.random.default_rng(options.seed)
    model = copy.deepcopy(model)
    seconds, statuses = [], set()
    for number in range(options.sequence):
        data = model._interactions
        arguments = _one_request(data, number, rng)
        start = time.perf_counter()
        model.forget(**arguments)
        seconds.append(time.perf_counter() - start)
        statuses.add(model.forget_report_.status)
    say(f"{options.sequence} requests in {sum(seconds):.1f} s")
    refit = clone(estimator).fit(model._interactions.to_csr())
    users = _some(np.flatnonzero(model._interactions.user_degrees), rng)
    difference = np.abs(model._score_users(users) - refit._score_users(users)).max()
    return {
        "n_requests": options.sequence,
        "n_left": model._interactions.n_interactions,
        "seconds": statistics.median(seconds),
        "seconds_total": sum(seconds),
        "max_difference": float(difference),
        "statuses": sorted(statuses),
    }


def _one_request(data: Any, number: int, rng: np.random.Generator) -> Record:
    """Make a request of what is left: a user, an item with few interactions, or a pair, in turn."""
    if number % 3 == 0:
        return {"users": rng.choice(np.flatnonzero(data.user_degrees))}
    if number % 3 == 1:
        known = np.flatnonzero(data.item_degrees)
        few = known[data.item_degrees[known] <= np.median(data.item_degrees[known])]
        return {"items": rng.choice(few)}
    position = rng.integers(data.n_interactions)
    return {"interactions": [[data.rows[position], data.indices[position]]]}


# -- the rival -------------------------------------------------------------------------------------
def _rival_of(estimator: Any, n_threads: int) -> Callable[[], Any] | None:
    """Return what makes implicit's model of the same kind, where it has one."""
    names = {"cosine": "Cosine", "tfidf": "TFIDF", "bm25": "BM25"}
    name = names.get(estimator.similarity) if isinstance(estimator, ItemKNN) else None
    if name is None:
        return None
    from implicit import nearest_neighbours

    kind = getattr(nearest_neighbours, f"{name}Recommender")
    return lambda: kind(K=estimator.n_neighbors, num_threads=n_threads)


def _time_rival(make: Callable[[], Any], X: sparse.csr_array, repeats: int) -> Timing:
    user_items = matrix_for_implicit(X).astype(np.float64)

    def call(model: Any) -> Any:
        model.fit(user_items, show_progress=False)
        return model

    with warnings.catch_warnings():
        # What its own weightings hand on is not what it asks for.
        warnings.filterwarnings("ignore", message="Method expects CSR input")
        return time_calls(make, call, repeats, warm_up=False)


def _rival_fit(make: Callable[[], Any], problem: Problem, repeats: int) -> Record:
    timing = _time_rival(make, problem.X, repeats)
    users = np.unique(problem.test[0])
    record = timing.to_dict()
    if len(users):
        items, _ = timing.result.recommend(users, matrix_for_implicit(problem.X)[users], N=20)
        lists = np.full((problem.X.shape[0], 20), -1)
        lists[users] = items
        record |= _quality(lists, problem)
    return record


# -- the tables ------------------------------------------------------------------------------------
def _markdown(document: Record) -> str:
    problem, machine, fit = document["problem"], document["machine"], document["fit"]
    quality = ", ".join(
        f"{name} {fit[name]:.4f}" for name in ("recall@20", "ndcg@20") if name in fit
    )
    lines = [
        f"### exact: {document['estimator']} on {problem['name']}",
        "",
        f"{problem['n_users']:,} users, {problem['n_items']:,} items, "
        f"{problem['n_interactions']:,} interactions; {machine['processor']}, "
        f"{machine['cores']} cores.",
        f"Fit {fit['seconds']:.3g} s{'; ' + quality if quality else ''}.",
    ]
    if document["rival"] is not None:
        rival = document["rival"]
        words = [f"{name} {rival[name]:.4f}" for name in ("recall@20", "ndcg@20") if name in rival]
        lines.append(f"implicit: fit {rival['seconds']:.3g} s; {', '.join(words)}.")
    lines += ["", "| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    lines += ["| " + " | ".join(_cells(record)) + " |" for record in document["records"]]
    if "sequence" in document:
        row = document["sequence"]
        lines += [
            "",
            f"{row['n_requests']:,} requests one after the other (users, items, pairs): "
            f"{1e3 * row['seconds']:.3g} ms each, largest difference from a refit at the end "
            f"{row['max_difference']:.1e}.",
        ]
    return "\n".join([*lines, "", _NOTE]) + "\n"


_HEAD = (
    "request", "interactions", "forget", "refit", "times", "implicit", "times",
    "largest difference", "gap", "gap, affected", "guarantee",
)  # fmt: skip

_NOTE = (
    "Seconds are medians. Difference and gap: of the scores of up to 200 users that lose something "
    "and 200 others, from those of a refit; affected: of such users, or of items that lose "
    "something."
)


def _cells(record: Record) -> list[str]:
    rival = record.get("rival_seconds")
    return [
        record["request"],
        f"{record['n_interactions']:,}",
        f"{1e3 * record['seconds']:.3g} ms",
        f"{record['refit_seconds']:.3g} s",
        f"{record['refit_seconds'] / record['seconds']:.3g}x",
        "" if rival is None else f"{rival:.3g} s",
        "" if rival is None else f"{rival / record['seconds']:.3g}x",
        f"{record['max_difference']:.1e}",
        f"{record['gap']:.1e}",
        f"{record['gap_affected']:.1e}",
        record["report"]["guarantee"],
    ]
