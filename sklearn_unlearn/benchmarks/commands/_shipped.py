"""Default requests to models that training stopped early, in times of their own retraining.

Two models of one data set: one of `implicit`, taken over as it is, and one fitted here with as many
sweeps. Each answers twenty requests by its default strategy. What a retraining takes is timed in
the same run, with all threads.
"""

from __future__ import annotations

import statistics
import warnings
from typing import Any

from sklearn.base import clone

from sklearn_unlearn.benchmarks.data._forget_sets import Request, make_request
from sklearn_unlearn.benchmarks.measure._clocks import fresh_copy, time_fit, time_forget
from sklearn_unlearn.benchmarks.measure._compare import Plan
from sklearn_unlearn.benchmarks.methods._implicit import Rival, matrix_for_implicit
from sklearn_unlearn.exceptions import ForgetFallbackWarning
from sklearn_unlearn.recommenders import ALS

__all__ = ["MOST", "SHIPPED_REQUESTS", "run_shipped"]

Records = list[dict[str, Any]]

#: Requests of every kind: users and items of every degree, pairs, and many at once.
SHIPPED_REQUESTS = (
    *(f"user-{percent}%" for percent in (0, 10, 25, 50, 75, 90, 99, 100)),
    *(f"item-{percent}%" for percent in (0, 50, 75, 90, 99, 100)),
    "pair",
    "pairs-10",
    "pairs-100",
    "users-10",
    "users-1%",
    "random-1%",
)
#: Share of a retraining that a request may take: of one user or item, and of anything.
MOST = (0.5, 1.0)


def run_shipped(plan: Plan, rival: Rival) -> tuple[Records, Records]:
    """Time default requests of every kind against retraining, for both models.

    Parameters
    ----------
    plan : Plan
        With implicit feedback in float32 and an `ALS` of ``max_iter=0``.

    rival : Rival
        With the hyper-parameters of the estimator.

    Returns
    -------
    fits, records : list of dict
        One a model; one for each model and request.
    """
    X, repeats = plan.problem.X, max(3, plan.refit_repeats)
    requests = [make_request(name, X, plan.seed) for name in SHIPPED_REQUESTS]
    there = rival.time_fit(X, repeats)
    taken = ALS.from_implicit(there.result, matrix_for_implicit(X), n_jobs=plan.estimator.n_jobs)
    here = time_fit(clone(plan.estimator), X, repeats)
    fits, records = [], []
    for name, model, fit in (("taken over", taken, there), ("own", here.result, here)):
        retrain = statistics.median(fit.seconds)
        plan.say(f"{name}: a retraining takes {retrain:.2f} s")
        fits.append({"model": name, **fit.to_dict(), "converged": model.converged_})
        records += [_record(plan, name, model, request, retrain) for request in requests]
    return fits, records


def _record(plan: Plan, name: str, model: Any, request: Request, retrain: float) -> dict[str, Any]:
    """Time one request to one model."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fresh_copy(model, loaded=plan.loaded).forget(**request.arguments)
    warned = any(issubclass(one.category, ForgetFallbackWarning) for one in caught)
    timing = time_forget(model, request, None, plan.repeats, loaded=plan.loaded)
    report = timing.result.forget_report_
    ratio = statistics.median(timing.seconds) / retrain
    single = "users" in request.arguments or "items" in request.arguments
    single = single and len(next(iter(request.arguments.values()))) == 1
    return {
        "model": name,
        "request": request.name,
        "n_interactions": len(request.positions),
        "report": report.to_dict(),
        **timing.to_dict(),
        "retrain_seconds": retrain,
        "ratio": ratio,
        "most": MOST[not single],
        "within": ratio <= MOST[not single],
        # A refit that nobody asked for has to be said, and nothing else.
        "refitted": report.guarantee == "refit",
        "warned": warned,
        "agrees": warned == (report.guarantee == "refit"),
    }
