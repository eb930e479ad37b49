"""The protocol of CURE4Rec: shares of core, edge or random users forgotten in one request."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sklearn_unlearn.benchmarks.data._datasets import Problem
from sklearn_unlearn.benchmarks.data._forget_sets import Request, request_users
from sklearn_unlearn.benchmarks.measure._clocks import Timing
from sklearn_unlearn.benchmarks.measure._compare import MAX_GAP, REFERENCE_TOL, Plan, Trial
from sklearn_unlearn.benchmarks.measure._quality import MAX_LISTS, report_of
from sklearn_unlearn.benchmarks.methods._settings import takes_unlearner
from sklearn_unlearn.exceptions import NotFiniteError
from sklearn_unlearn.metrics import (
    fairness_gap,
    hit_rate_at_k,
    ndcg_at_k,
    recall_at_k,
    remaining_gap,
    top_k_overlap,
)
from sklearn_unlearn.model_selection import sample_forget_set
from sklearn_unlearn.utils._verbs import cached_property

__all__ = ["CURE_SETTINGS", "CURE_SHARES", "GROUPS", "Study", "run_cure4rec", "utility"]

#: Groups of users, and the forget sets that they are.
GROUPS = {"core": "core_users", "edge": "edge_users", "random": "users"}
CURE_SHARES = (5.0, 10.0, 15.0, 20.0)
#: The own default first, then the rivals.
CURE_SETTINGS = (
    "default",
    "one-step",
    "scif",
    "lissa",
    "gif",
    "fine-tuning",
    "noisy-fine-tuning",
    "gradient-ascent",
)
_K = 20

Records = list[dict[str, Any]]


def run_cure4rec(plan: Plan, groups: list[str], shares: list[float]) -> tuple[Records, Records]:
    """Forget shares of groups of users, in every way, and compare with refits.

    Parameters
    ----------
    plan : Plan
        Data, estimator and ways to forget.

    groups : list of str
        Keys of `GROUPS`.

    shares : list of float
        Percent of the users.

    Returns
    -------
    fits, records : list of dict
        One for the fit; one for each group, share and way.
    """
    X = plan.problem.X
    requests = []
    for group in groups:
        for share in shares:
            drawn = sample_forget_set(X, GROUPS[group], share / 100, random_state=plan.seed)
            requests.append(request_users(f"{group} {share:g}%", X, drawn.request["users"]))
    model, fit = plan.fit(X)
    return [fit], [row for request in requests for row in Study(plan, model, request).records()]


class Study(Trial):
    """One request in the light of completeness, utility, efficiency and fairness."""

    def records(self) -> Records:
        """Return one record for doing nothing, for each way to forget and for each refit."""
        self.plan.say(f"{self.request.name}: {len(self.request.positions)} interactions")
        rows = [self._row("nothing", "do nothing", self.model, None)]
        for name, strategy in self.plan.settings.items():
            try:
                rows.append(self._row("forget", name, *self._forget(strategy)))
            except NotFiniteError:
                rows.append(self.diverged(name))
            self.plan.say(f"  {name}")
        if takes_unlearner(self.plan.estimator):
            rows.append(self._row("refit", "warm refit", self.warm.result, self.warm))
        return [*rows, *self.refit_rows()]

    def diverged(self, way: str) -> dict[str, Any]:
        """Return the record of a way whose numbers were no longer finite: `forget` refused them."""
        return {
            "request": self.request.name,
            "n_users": len(self.request.users),
            "n_interactions": len(self.request.positions),
            "role": "forget",
            "setting": way,
            "report": {"guarantee": "diverged"},
        }

    def refit_rows(self) -> Records:
        """Return the records of a refit from another start and of the reference."""
        reference = self._timed_reference
        return [
            self._row("noise", "refit, other start: noise floor", self.cold.result, self.cold),
            self._row("refit", "refit: reference", reference.result, reference),
        ]

    @cached_property
    def _timed_reference(self) -> Timing:
        tol = None if self._fit_tol is None else REFERENCE_TOL
        return self._refit(tol, self.plan.seed + 2)

    @property
    def reference(self) -> Any:
        """The refit that gaps are measured to."""
        return self._timed_reference.result

    @cached_property
    def remaining(self) -> NDArray[np.int64]:
        """Users of whom something remains."""
        return np.flatnonzero(np.diff(self.request.retained.indptr))

    def gaps(self, after: Any) -> dict[str, float]:
        """Share of the effect of the request that is left, over all pairs and remaining users."""
        drawn = self.remaining
        if len(drawn) > MAX_LISTS:
            rng = np.random.default_rng(self.plan.seed)
            drawn = np.sort(rng.choice(drawn, MAX_LISTS, replace=False))
        return {
            "gap_all": remaining_gap(self.model, after, self.reference),
            "gap_remaining": remaining_gap(self.model, after, self.reference, users=self.remaining),
            "top10_remaining": top_k_overlap(
                after, self.reference, 10, users=drawn, exclude=self.request.retained
            ),
        }

    def _row(self, role: str, way: str, after: Any, timing: Timing | None) -> dict[str, Any]:
        times = {} if timing is None else timing.to_dict()
        gaps = self.gaps(after)
        cold = self.cold.to_dict()["seconds"]
        return {
            "request": self.request.name,
            "n_users": len(self.request.users),
            "n_interactions": len(self.request.positions),
            "role": role,
            "setting": way,
            **gaps,
            **utility(after, self.plan.problem, self.request),
            **times,
            "speedup_refit": cold / times["seconds"] if role == "forget" else None,
            "within_gap": max(gaps["gap_all"], gaps["gap_remaining"]) <= MAX_GAP,
            "report": report_of(after),
        }


def utility(model: Any, problem: Problem, request: Request) -> dict[str, float | None]:
    """Measure lists and fairness of users of whom something remains.

    Returns
    -------
    utility : dict
        ``"recall"``, ``"ndcg"``, ``"hit_rate"`` at 20 and ``"fairness"``, the A-IGF of CURE4Rec at
        20: active users are the most active 5 % of those who remain. None where there is nothing to
        test on.
    """
    users, items, values = problem.test
    retained = request.retained
    kept = (values > 0) & (np.diff(retained.indptr) > 0)[users]
    users, items = users[kept], items[kept]
    shape = problem.X.shape
    X_test = sparse.csr_array((np.ones(len(users)), (users, items)), shape=shape)
    tested = np.unique(users)
    if not len(tested):
        return dict.fromkeys(("recall", "ndcg", "hit_rate", "fairness"))
    measures = {"recall": recall_at_k, "ndcg": ndcg_at_k, "hit_rate": hit_rate_at_k}
    found: dict[str, float | None] = {
        name: measure(model, X_test, _K, users=tested) for name, measure in measures.items()
    }
    try:
        found["fairness"] = fairness_gap(model, X_test, retained, _K)
    except ValueError:  # none of the active users, or of the others, is tested
        found["fairness"] = None
    return found
