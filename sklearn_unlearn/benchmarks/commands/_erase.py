"""The protocol of ERASE: small requests one after the other, compared with refits on the way."""

from __future__ import annotations

import contextlib
import copy
import statistics
import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.benchmarks.commands._cure4rec import Study, utility
from sklearn_unlearn.benchmarks.data._forget_sets import Request, request_entries
from sklearn_unlearn.benchmarks.measure._compare import MAX_GAP, Plan
from sklearn_unlearn.benchmarks.measure._quality import report_of
from sklearn_unlearn.benchmarks.methods._settings import takes_unlearner
from sklearn_unlearn.exceptions import NotConvergedWarning, NotFiniteError

__all__ = ["ERASE_SETTINGS", "ERASE_SHARES", "run_erase"]

ERASE_SHARES = (1e-6, 1e-5, 1e-4)
ERASE_SETTINGS = ("default", "one-step", "scif", "gif", "fine-tuning", "gradient-ascent")
_CHECKPOINTS = 4

Records = list[dict[str, Any]]


def run_erase(plan: Plan, shares: list[float], n_requests: int) -> tuple[Records, Records]:
    """Forget sequences of small requests, and compare with refits at each quarter.

    Parameters
    ----------
    plan : Plan
        Data, estimator and ways to forget.

    shares : list of float
        Share of the interactions that each request of a sequence removes, at least one.

    n_requests : int
        Requests of a sequence, at least 4.

    Returns
    -------
    fits, records : list of dict
        One for the fit; one for each share, quarter and way.
    """
    X = plan.problem.X
    sizes = sorted({max(1, round(share * X.nnz)) for share in shares})
    if n_requests < _CHECKPOINTS or n_requests * sizes[-1] >= X.nnz:
        raise ValueError(
            f"Got {n_requests} requests of up to {sizes[-1]} of {X.nnz} interactions; expected at "
            f"least {_CHECKPOINTS} requests, and fewer interactions than there are. Change "
            "--n-requests or --shares."
        )
    model, fit = plan.fit(X)
    records = []
    for size in sizes:
        rng = np.random.default_rng(plan.seed)
        order = rng.choice(X.nnz, n_requests * size, replace=False).reshape(n_requests, size)
        records += _sequence(plan, model, order)
    return [fit], records


def _sequence(plan: Plan, model: Any, order: NDArray[Any]) -> Records:
    """Answer the requests in every way; compare where each quarter ends."""
    n_requests, size = order.shape
    ends = [n_requests * quarter // _CHECKPOINTS for quarter in range(1, _CHECKPOINTS + 1)]
    current = {name: copy.deepcopy(model) for name in plan.settings}
    if takes_unlearner(plan.estimator):
        for name, strategy in plan.settings.items():
            current[name].set_params(unlearner=strategy)
    for twin in current.values():
        with contextlib.suppress(NotFiniteError):
            _answer(copy.deepcopy(twin), plan, order[0])  # loads code; does not count
    records: Records = []
    start = 0
    for end in ends:
        name = f"{size} x {end}"
        plan.say(name)
        done = request_entries(name, plan.problem.X, order[:end].ravel())
        study = _Quarter(plan, model, done)
        rows = [study.row("nothing", "do nothing", model, None)]
        for way, twin in current.items():
            try:
                seconds = [_answer(twin, plan, entries) for entries in order[start:end]]
                rows.append(study.row("forget", way, twin, statistics.median(seconds)))
            except NotFiniteError:
                rows.append(study.diverged(way))
        rows += study.refit_rows()
        records += [{"size": size, "n_requests": end, **row} for row in rows]
        start = end
    return records


def _answer(model: Any, plan: Plan, entries: NDArray[Any]) -> float:
    """Have a model forget one request; return the seconds."""
    request: Request = request_entries("step", plan.problem.X, entries)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)  # the residual says it
        begin = time.perf_counter()
        model.forget(**request.arguments)
        return time.perf_counter() - begin


class _Quarter(Study):
    """All requests up to a quarter, as one."""

    def row(self, role: str, way: str, after: Any, seconds: float | None) -> dict[str, Any]:
        """Return the record of a model that has answered them one by one."""
        gaps = self.gaps(after)
        cold = self.cold.to_dict()["seconds"]
        return {
            "request": self.request.name,
            "n_interactions": len(self.request.positions),
            "role": role,
            "setting": way,
            **gaps,
            **utility(after, self.plan.problem, self.request),
            "seconds": seconds,
            "speedup_refit": None if seconds is None else cold / seconds,
            "within_gap": max(gaps["gap_all"], gaps["gap_remaining"]) <= MAX_GAP,
            "report": report_of(after),
        }
