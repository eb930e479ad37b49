"""ALS against the library that others refit with, request by request, in one run.

Two models forget: one fitted here, to a tolerance, and one fitted by `implicit` and taken over as
it is. Each is compared with a refit of its own kind, from the same start: gaps are what forgetting
left, and not how two trainings differ. Times of both stand against the refit of `implicit`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone

from sklearn_unlearn.benchmarks.data._forget_sets import Request, make_request
from sklearn_unlearn.benchmarks.measure._clocks import Timing, time_fit, time_forget
from sklearn_unlearn.benchmarks.measure._compare import Plan
from sklearn_unlearn.benchmarks.measure._gaps import Gaps
from sklearn_unlearn.benchmarks.measure._quality import MAX_LISTS, certificate_of, quality
from sklearn_unlearn.benchmarks.methods._implicit import Rival, factors_of, matrix_for_implicit
from sklearn_unlearn.metrics import top_k_overlap
from sklearn_unlearn.recommenders import ALS

__all__ = ["ALS_REQUESTS", "ALS_SETTINGS", "MAX_LOCAL_GAP", "Subject", "run_als"]

Records = list[dict[str, Any]]

#: What the command measures unless told otherwise.
ALS_REQUESTS = ("median-user", "heavy-user", "users-1%")
ALS_SETTINGS = ("touched", "touched x2", "tol=1e-1", "default")

#: Remaining gap of the affected pairs up to which a ratio of times counts.
MAX_LOCAL_GAP = 0.05

# Requests of many users are long: a few timings of them are as good as many of short ones.
_REPEATS_OF_LONG = 3


@dataclass(frozen=True, eq=False)
class Subject:
    """A model that is asked to forget, and how a model of its kind is refitted.

    Parameters
    ----------
    name : str
        ``"own"`` or ``"taken over"``.

    model : ALS
        Fitted.

    refit : callable
        ``refit(X, seed)`` returns a `Timing` whose result has ``user_factors_`` and
        ``item_factors_``.
    """

    name: str
    model: Any
    refit: Callable[[sparse.csr_array, int], Timing]


def run_als(plan: Plan, requests: list[str], rival: Rival) -> tuple[Records, Records]:
    """Compare each way to forget each request with refits here and by the rival.

    Parameters
    ----------
    plan : Plan
        With implicit feedback in float32 and an `ALS`.

    requests : list of str
        Names that `make_request` knows.

    rival : Rival
        With the hyper-parameters of the estimator.

    Returns
    -------
    fits, records : list of dict
        One a model; one for each model, request and way.
    """
    X = plan.problem.X
    made = [make_request(name, X, plan.seed) for name in requests]
    own, fit = plan.fit(X)
    trained = rival.time_fit(X)
    plan.say(f"implicit fitted them in {trained.seconds[0]:.2f} s")
    taken = ALS.from_implicit(trained.result, matrix_for_implicit(X), n_jobs=plan.estimator.n_jobs)
    fits = [
        {"model": "own", **fit},
        {"model": "taken over", **trained.to_dict(), **quality(taken, plan.problem)},
    ]

    def refit_own(retained: sparse.csr_array, seed: int) -> Timing:
        return time_fit(clone(plan.estimator).set_params(random_state=seed), retained)

    def refit_there(retained: sparse.csr_array, seed: int) -> Timing:
        return _with_factors(rival.time_fit(retained, 1, seed), retained)

    subjects = [Subject("own", own, refit_own), Subject("taken over", taken, refit_there)]
    records: Records = []
    for request in made:
        refit = rival.time_fit(request.retained, max(1, plan.refit_repeats))
        plan.say(f"{request.name}: implicit refitted in {min(refit.seconds):.2f} s")
        for subject in subjects:
            same = _with_factors(refit, request.retained) if subject.name != "own" else None
            records += AlsTrial(plan, subject, request, refit, same).records()
    return fits, records


def _with_factors(timing: Timing, X: sparse.csr_array) -> Timing:
    return Timing(factors_of(timing.result, X), timing.seconds, timing.cpu_seconds)


@dataclass(frozen=True, eq=False)
class AlsTrial:
    """One request to one model.

    Parameters
    ----------
    plan : Plan
        Settings and seeds.

    subject : Subject
        The model.

    request : Request
        What it forgets.

    rival_refit : Timing
        The other library's refit without the request: the time to beat.

    same_seed : Timing or None
        The refit of the subject's kind from its own start, where known already.
    """

    plan: Plan
    subject: Subject
    request: Request
    rival_refit: Timing
    same_seed: Timing | None = None

    def records(self) -> Records:
        """Return one record for doing nothing, for each setting and for two refits."""
        retained, seed = self.request.retained, self.plan.seed
        target = self.same_seed or self.subject.refit(retained, seed)
        other = self.subject.refit(retained, seed + 1)
        gaps = Gaps(self.subject.model, target.result, self.request)
        self.plan.say(f"  {self.subject.name}: refitted in {target.seconds[0]:.2f} s")
        noise = {
            name.replace("gap", "noise"): value for name, value in gaps.of(other.result).items()
        }
        rows: list[tuple[str, str, Any, Timing | None]] = [
            ("nothing", "nothing", self.subject.model, None)
        ]
        for name, strategy in self.plan.settings.items():
            timing = time_forget(
                self.subject.model,
                self.request,
                strategy,
                self._n_repeats,
                loaded=self.plan.loaded,
            )
            rows.append(("forget", name, timing.result, timing))
        rows.append(("refit", "refit", target.result, target))
        rows.append(("refit", "refit, another seed", other.result, other))
        return [self._record(*row, gaps, noise, target.to_dict()["seconds"]) for row in rows]

    @property
    def _n_repeats(self) -> int:
        few = len(self.request.users) == 1
        return self.plan.repeats if few else min(self.plan.repeats, _REPEATS_OF_LONG)

    def _record(
        self,
        role: str,
        setting: str,
        after: Any,
        timing: Timing | None,
        gaps: Gaps,
        noise: dict[str, float],
        own_refit: float,
    ) -> dict[str, Any]:
        report = getattr(after, "forget_report_", None)
        row = {
            "model": self.subject.name,
            "request": self.request.name,
            "n_interactions": len(self.request.positions),
            "n_users": len(self.request.users),
            "n_items": len(self.request.items),
            "n_others": len(gaps.others),
            "role": role,
            "setting": setting,
            **gaps.of(after),
            **noise,
            **self._overlaps(after, gaps),
            "report": None if report is None else report.to_dict(),
            **({} if timing is None else timing.to_dict()),
            "rival_seconds": self.rival_refit.to_dict()["seconds"],
        }
        if role == "forget":
            row["speedup_rival"] = row["rival_seconds"] / row["seconds"]
            row["speedup_own"] = own_refit / row["seconds"]
            row["certificate"] = certificate_of(after) if self.plan.certify else None
        row["within_gap"] = row["gap_affected"] <= MAX_LOCAL_GAP
        return row

    def _overlaps(self, after: Any, gaps: Gaps) -> dict[str, float | None]:
        """Top lists against the refit's, of users drawn from everybody and from the others."""
        rng = np.random.default_rng(self.plan.seed)
        groups = {"all": np.arange(len(after.user_factors_)), "others": gaps.others}
        return {f"top10_{name}": self._overlap(after, gaps, users, rng)
                for name, users in groups.items()}  # fmt: skip

    def _overlap(
        self, after: Any, gaps: Gaps, users: NDArray[np.int64], rng: np.random.Generator
    ) -> float | None:
        if len(users) > MAX_LISTS:
            users = np.sort(rng.choice(users, MAX_LISTS, replace=False))
        if not len(users):
            return None
        return top_k_overlap(after, gaps.refit, 10, users=users, exclude=self.request.retained)
