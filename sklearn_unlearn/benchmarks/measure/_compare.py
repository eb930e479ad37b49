"""One request in full: every way to forget it, every refit, and how far they are apart.

The target is a *reference*: a refit from a cold start and another seed, to a tolerance far below
the fit's. Against it stand three refits, as a refit can be made as dear as one likes: cold to the
fit's own tolerance; cold to the loosest tolerance whose gap is still within `MAX_GAP` (the cheapest
honest one); and warm, from the old parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from sklearn_unlearn.benchmarks.data._datasets import Problem
from sklearn_unlearn.benchmarks.data._forget_sets import Request
from sklearn_unlearn.benchmarks.measure._clocks import Timing, time_fit, time_forget
from sklearn_unlearn.benchmarks.measure._quality import (
    MAX_LISTS,
    certificate_of,
    n_users_of,
    quality,
    report_of,
)
from sklearn_unlearn.benchmarks.methods._estimators import is_drawn
from sklearn_unlearn.benchmarks.methods._graph import OldGraph
from sklearn_unlearn.benchmarks.methods._settings import WarmRefit, takes_unlearner
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import Unlearner
from sklearn_unlearn.metrics import remaining_gap, top_k_overlap
from sklearn_unlearn.utils._verbs import cached_property

__all__ = ["MAX_GAP", "REFERENCE_TOL", "Plan", "Trial"]

#: Remaining gap, all and affected pairs, up to which a model counts as forgotten.
MAX_GAP = 0.01

#: Tolerance of the refit that gaps are measured to.
REFERENCE_TOL = 1e-9
_LADDER = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
#: From this tolerance on, a gap that is above the other and no longer falls is one of the seed.
_TIGHT, _APART = 1e-4, 0.1


@dataclass(frozen=True, eq=False)
class Plan:
    """What every benchmark needs to know.

    Parameters
    ----------
    problem : Problem
        Data.

    estimator : BaseEstimator
        Not fitted.

    settings : dict of str to strategy or None
        Ways to forget.

    repeats, refit_repeats : int, default=5, 1
        Timed calls of ``forget`` and of refits.

    seed : int, default=0
        Seed of the fit; refits take the next ones.

    loaded : bool, default=False
        Time models as if just loaded from disk.

    certify : bool, default=True
        Whether to certify every model: takes time where the rank is limited.

    say : callable, default=print nothing
        Takes a line of progress.
    """

    problem: Problem
    estimator: Any
    settings: dict[str, Unlearner | None]
    repeats: int = 5
    refit_repeats: int = 1
    seed: int = 0
    loaded: bool = False
    certify: bool = True
    say: Callable[[str], None] = lambda line: None

    def fit(self, X: Any) -> tuple[Any, dict[str, Any]]:
        """Fit the model to be asked to forget; return it and its record."""
        feedback = {"observed": "implicit", "labels": "label", "ratings": "rating"}
        kind = feedback[self.problem.describe()["values"]]
        # A small one first, so that the record holds no compilation.
        small = make_interactions(60, 40, feedback=kind, random_state=0)
        time_fit(self.estimator, small.astype(X.dtype))
        timing = time_fit(self.estimator, X)
        model = timing.result
        self.say(f"fitted {X.nnz} interactions in {timing.seconds[0]:.2f} s")
        return model, {
            **timing.to_dict(),
            "n_iter": getattr(model, "n_iter_", None),
            "converged": bool(getattr(model, "converged_", True)),
            "certificate": certificate_of(model) if self.certify else None,
            **quality(model, self.problem),
        }


@dataclass(frozen=True, eq=False)
class Trial:
    """One request to one fitted model."""

    plan: Plan
    model: Any
    request: Request

    def records(self) -> list[dict[str, Any]]:
        """Return one record for doing nothing, for each setting and for each refit."""
        self.plan.say(f"{self.request.name}: {len(self.request.positions)} interactions")
        rows = [self._record("nothing", "nothing", self.model, None)]
        for name, strategy in self.plan.settings.items():
            rows.append(self._record("forget", name, *self._forget(strategy)))
        for name, refit in self._refits.items():
            rows.append(self._record("refit", self._name_of(name), *_parts(refit)))
        self._add_speedups(rows)
        return rows

    def _name_of(self, refit: str) -> str:
        tol = self._fit_tol if refit != "cheapest" or self.cheapest is None else self.cheapest[0]
        return f"refit, {refit}" + ("" if tol is None else f", tol={tol:g}")

    # -- refits ------------------------------------------------------------------------------------
    @property
    def _fit_tol(self) -> float | None:
        """Tolerance of the fit; None for estimators without one."""
        return self.plan.estimator.get_params().get("tol")

    def _refit(self, tol: float | None, seed: int, repeats: int = 1) -> Timing:
        estimator = clone(self.plan.estimator)
        known = estimator.get_params()
        if tol is not None:
            estimator.set_params(tol=tol)
        # What a model draws is part of its problem: another start, but the same draws.
        if "random_state" in known and not is_drawn(estimator):
            estimator.set_params(random_state=seed)
        return time_fit(estimator, self.request.retained, repeats, start_seed=seed)

    @cached_property
    def _refits(self) -> dict[str, Timing]:
        """Refits by name, without those that the estimator has no parameters for."""
        refits = {"cold": self.cold}
        if self.cheapest is not None:
            refits["cheapest"] = self.cheapest[1]
        if takes_unlearner(self.plan.estimator):
            refits["warm"] = self.warm
        return refits

    @cached_property
    def reference(self) -> Any:
        """Make the target: a cold refit from a seed of its own, to a tight tolerance."""
        tol = None if self._fit_tol is None else REFERENCE_TOL
        return self._refit(tol, self.plan.seed + 2).result

    @cached_property
    def cold(self) -> Timing:
        """Cold refit to the fit's own tolerance, from another seed."""
        return self._refit(self._fit_tol, self.plan.seed + 1, max(1, self.plan.refit_repeats))

    @cached_property
    def cheapest(self) -> tuple[float, Timing] | None:
        """Cold refit to the loosest tolerance that passes, or None if none does."""
        if self._fit_tol is None:
            return None
        last = np.inf
        for tol in _LADDER:
            timing = self._refit(tol, self.plan.seed + 1)
            gap = max(self._gaps(timing.result).values())
            self.plan.say(f"  refit to {tol:g}: gap {gap:.2g}")
            if tol <= _TIGHT and gap > max(_APART, 0.9 * last):
                self.plan.say(
                    "  refits from two seeds end apart, however tight: the penalty leaves several "
                    "optima. Raise regularization, or compare by metrics.seed_test"
                )
                return None
            last = gap
            if gap <= MAX_GAP:
                more = self.plan.refit_repeats - 1
                again = [self._refit(tol, self.plan.seed + 1, more)] if more > 0 else []
                return tol, _joined([timing, *again])
        return None

    @cached_property
    def warm(self) -> Timing:
        """Refit from the old parameters."""
        estimator = self.plan.estimator
        return self._forget(WarmRefit(estimator.tol, estimator.max_iter))[1]

    # -- records -----------------------------------------------------------------------------------
    def _forget(self, strategy: Any) -> tuple[Any, Timing]:
        timing = time_forget(
            self.model, self.request, strategy, self.plan.repeats, loaded=self.plan.loaded
        )
        if isinstance(strategy, OldGraph):
            strategy.serve(self.model, timing.result)
        return _parts(timing)

    def _gaps(self, after: Any) -> dict[str, float]:
        affected: Any = {"users": self.request.users, "items": self.request.items}
        return {
            "gap_all": remaining_gap(self.model, after, self.reference),
            "gap_affected": remaining_gap(self.model, after, self.reference, **affected),
        }

    @cached_property
    def _noise(self) -> dict[str, float]:
        gaps = self._gaps(self.cold.result)
        return {"noise_all": gaps["gap_all"], "noise_affected": gaps["gap_affected"]}

    def _overlaps(self, after: Any) -> dict[str, float]:
        """Top lists against the reference's, of users drawn from everybody and from those asked."""
        rng = np.random.default_rng(self.plan.seed)
        overlaps = {}
        groups = {
            "all": np.arange(n_users_of(self.model)),
            "affected": self.request.users,
        }
        for name, users in groups.items():
            if len(users) > MAX_LISTS:
                users = rng.choice(users, MAX_LISTS, replace=False)
            overlaps[f"top10_{name}"] = top_k_overlap(
                after, self.reference, 10, users=np.sort(users), exclude=self.request.retained
            )
        return overlaps

    def _record(self, role: str, setting: str, after: Any, timing: Timing | None) -> dict[str, Any]:
        return {
            "request": self.request.name,
            "n_interactions": len(self.request.positions),
            "n_users": len(self.request.users),
            "n_items": len(self.request.items),
            "role": role,
            "setting": setting,
            **self._gaps(after),
            **self._noise,
            **self._overlaps(after),
            "report": report_of(after),
            "converged": bool(getattr(after, "converged_", True)),
            **({} if timing is None else timing.to_dict()),
            "certificate": certificate_of(after) if self.plan.certify else None,
            **quality(after, self.plan.problem, self.request),
        }

    def _add_speedups(self, rows: list[dict[str, Any]]) -> None:
        refits = self._refits
        for row in rows:
            row["within_gap"] = max(row["gap_all"], row["gap_affected"]) <= MAX_GAP
            if row["role"] == "forget":
                for name in ("cold", "cheapest", "warm"):
                    row[f"speedup_{name}"] = _ratio(refits, name, "seconds", row)
                    row[f"fewer_products_{name}"] = _ratio(refits, name, "products", row)


def _ratio(refits: dict[str, Timing], name: str, what: str, row: dict[str, Any]) -> float | None:
    refit = refits[name].to_dict()[what] if name in refits else None
    return refit / row[what] if refit is not None and row[what] else None


def _parts(timing: Timing) -> tuple[Any, Timing]:
    return timing.result, timing


def _joined(timings: list[Timing]) -> Timing:
    return Timing(
        timings[0].result,
        [second for timing in timings for second in timing.seconds],
        [second for timing in timings for second in timing.cpu_seconds],
        timings[0].products,
    )
