"""The three verbs side by side: interactions forgotten, learned and corrected, against refits."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from scipy import sparse
from sklearn.base import clone

from sklearn_unlearn.benchmarks.data._forget_sets import REQUESTS, Request, make_request
from sklearn_unlearn.benchmarks.measure._clocks import Timing, fresh_copy, time_calls, time_fit
from sklearn_unlearn.benchmarks.measure._compare import MAX_GAP, REFERENCE_TOL, Plan
from sklearn_unlearn.benchmarks.methods._estimators import is_drawn
from sklearn_unlearn.exceptions import ForgetFallbackWarning, NotConvergedWarning
from sklearn_unlearn.metrics import remaining_gap

__all__ = ["LEARN_REQUESTS", "run_learn"]

Records = list[dict[str, Any]]
#: What the command measures unless told otherwise.
LEARN_REQUESTS = tuple(name for name in REQUESTS if name != "heavy-user")


def run_learn(plan: Plan, requests: list[str]) -> tuple[Records, Records]:
    """Forget, learn and correct the same interactions by the estimator's default strategy.

    ``forget`` starts from the fit on all data. ``learn`` starts from a fit without the interactions
    and ends where that is. ``rectify`` changes their values: signs where those are labels, twice
    the value elsewhere.

    Returns
    -------
    fits, records : list of dict
        One for the fit; three for each request.
    """
    X = plan.problem.X
    made = [make_request(name, X, plan.seed) for name in requests]
    model, fit = plan.fit(X)
    return [fit], [row for request in made for row in _rows(plan, model, request)]


def _rows(plan: Plan, model: Any, request: Request) -> Records:
    X, places = request.X, request.positions
    users, items = X.tocoo().row[places], X.indices[places]
    corrected = X.copy()
    corrected.data[places] *= -1 if plan.problem.labels else 2
    without = time_fit(clone(plan.estimator), request.retained).result
    pairs = (users, items)
    verbs: dict[str, tuple[Any, Any, Callable[[Any], Any]]] = {
        "forget": (model, request.retained, lambda twin: twin.forget(pairs)),
        "learn": (without, X, lambda twin: twin.learn(pairs, X.data[places])),
        "rectify": (
            model,
            corrected,
            lambda twin: twin.rectify(pairs, pairs, corrected.data[places]),
        ),
    }
    rows = []
    for verb, (before, target, call) in verbs.items():
        plan.say(f"{request.name}: {verb} {len(places)} interactions")
        rows.append(_row(plan, request, verb, before, target, call))
    return rows


def _row(
    plan: Plan,
    request: Request,
    verb: str,
    before: Any,
    target: sparse.csr_array,
    call: Callable[[Any], Any],
) -> dict[str, Any]:
    with warnings.catch_warnings():  # the report says what they would
        warnings.simplefilter("ignore", NotConvergedWarning)
        warnings.simplefilter("ignore", ForgetFallbackWarning)
        timing = time_calls(
            lambda: fresh_copy(before, loaded=plan.loaded), call, plan.repeats, warm_up=True
        )
    after = timing.result
    report = after.forget_report_ if verb == "forget" else after.learn_report_
    refit = _refit(plan, target, plan.seed + 1, max(1, plan.refit_repeats))
    tol = plan.estimator.get_params().get("tol")
    reference = refit if tol is None else _refit(plan, target, plan.seed + 2, 1, REFERENCE_TOL)
    affected: Any = {"users": request.users, "items": request.items}
    gaps = {
        "gap_all": remaining_gap(before, after, reference.result),
        "gap_affected": remaining_gap(before, after, reference.result, **affected),
        "noise_affected": remaining_gap(before, refit.result, reference.result, **affected),
    }
    seconds = timing.to_dict()["seconds"]
    return {
        "request": request.name,
        "verb": verb,
        "n_interactions": len(request.positions),
        **gaps,
        "within_gap": max(gaps["gap_all"], gaps["gap_affected"]) <= MAX_GAP,
        "report": report.to_dict(),
        **timing.to_dict(),
        "refit_seconds": refit.to_dict()["seconds"],
        "speedup_refit": refit.to_dict()["seconds"] / seconds,
    }


def _refit(
    plan: Plan, X: sparse.csr_array, seed: int, repeats: int, tol: float | None = None
) -> Timing:
    """Fit from a cold start, to the tolerance of the fit or to another one."""
    estimator = clone(plan.estimator)
    if tol is not None:
        estimator.set_params(tol=tol)
    if "random_state" in estimator.get_params() and not is_drawn(estimator):
        estimator.set_params(random_state=seed)
    return time_fit(estimator, X, repeats, start_seed=seed)
