"""One request in full: every way to forget it, every refit, and how far they are apart.

The target is a *reference*: a refit from a cold start and another seed, to a tolerance far below
the fit's. Against it stand three refits, as a refit can be made as dear as one likes: cold to the
fit's own tolerance; cold to the loosest tolerance whose gap is still within `MAX_GAP` (the cheapest
honest one); and warm, from the old parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import roc_auc_score, root_mean_squared_error

from sklearn_unlearn.benchmarks.data._datasets import Problem
from sklearn_unlearn.benchmarks.data._forget_sets import Request
from sklearn_unlearn.benchmarks.measure._clocks import Timing, time_fit, time_forget
from sklearn_unlearn.benchmarks.methods._estimators import WarmRefit, is_drawn
from sklearn_unlearn.benchmarks.methods._graph import OldGraph
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.metrics import ndcg_at_k, recall_at_k, remaining_gap, top_k_overlap

__all__ = ["MAX_GAP", "MAX_LISTS", "Plan", "Trial", "certificate_of", "quality"]

#: Remaining gap, all and affected pairs, up to which a model counts as forgotten.
MAX_GAP = 0.01

_REFERENCE_TOL = 1e-9
_LADDER = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
#: Lists of more users than these are not compared.
MAX_LISTS = 1000


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
    settings: dict[str, BaseEstimator | None]
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
            "n_iter": model.n_iter_,
            "converged": bool(model.converged_),
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
        fit_tol = self.plan.estimator.tol
        rows.append(self._record("refit", f"refit, cold, tol={fit_tol:g}", *_parts(self.cold)))
        if self.cheapest is not None:
            tol, timing = self.cheapest
            rows.append(self._record("refit", f"refit, cheapest, tol={tol:g}", *_parts(timing)))
        rows.append(self._record("refit", f"refit, warm, tol={fit_tol:g}", *_parts(self.warm)))
        self._add_speedups(rows)
        return rows

    # -- refits ------------------------------------------------------------------------------------
    def _refit(self, tol: float, seed: int, repeats: int = 1) -> Timing:
        estimator = clone(self.plan.estimator).set_params(tol=tol)
        # What a model draws is part of its problem: another start, but the same draws.
        if not is_drawn(estimator):
            estimator.set_params(random_state=seed)
        return time_fit(estimator, self.request.retained, repeats, start_seed=seed)

    @cached_property
    def reference(self) -> Any:
        """The target: a cold refit from a seed of its own, to a tight tolerance."""
        return self._refit(_REFERENCE_TOL, self.plan.seed + 2).result

    @cached_property
    def cold(self) -> Timing:
        """Cold refit to the fit's own tolerance, from another seed."""
        return self._refit(
            self.plan.estimator.tol, self.plan.seed + 1, max(1, self.plan.refit_repeats)
        )

    @cached_property
    def cheapest(self) -> tuple[float, Timing] | None:
        """Cold refit to the loosest tolerance that passes, or None if none does."""
        for tol in _LADDER:
            timing = self._refit(tol, self.plan.seed + 1)
            gaps = self._gaps(timing.result)
            self.plan.say(f"  refit to {tol:g}: gap {max(gaps.values()):.2g}")
            if max(gaps.values()) <= MAX_GAP:
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
        affected = {"users": self.request.users, "items": self.request.items}
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
            "all": np.arange(self.model.user_factors_.shape[0]),
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
        report = getattr(after, "forget_report_", None)
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
            "report": None if report is None else report.to_dict(),
            "converged": bool(after.converged_),
            **({} if timing is None else timing.to_dict()),
            "certificate": certificate_of(after) if self.plan.certify else None,
            **quality(after, self.plan.problem, self.request),
        }

    def _add_speedups(self, rows: list[dict[str, Any]]) -> None:
        refits = {"cold": self.cold, "warm": self.warm}
        if self.cheapest is not None:
            refits["cheapest"] = self.cheapest[1]
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


def certificate_of(model: Any) -> dict[str, Any] | None:
    """Return the certificate as a dict, None for models that have none."""
    return model.certify().to_dict() if hasattr(model, "certify") else None


def quality(model: Any, problem: Problem, request: Request | None = None) -> dict[str, Any]:
    """Measure a model on the test part: AUC of labels, RMSE of ratings, recall@20 of the observed.

    Of the observed ``test_ndcg`` is ndcg@20 as well.

    With a request also on the test pairs whose user *or* item it touches, and on those whose user
    *and* item it touches; recall and ndcg, which need whole lists, then come from a draw of users.
    """
    if problem.implicit:
        return _of_lists(model, problem, n_users=None if request is None else MAX_LISTS)
    users, items, values = problem.test
    groups = {"test": np.ones(len(users), bool)}
    if request is not None:
        touched = np.isin(users, request.users), np.isin(items, request.items)
        groups |= {"test_or": touched[0] | touched[1], "test_and": touched[0] & touched[1]}
    scores = model.predict_pairs((users, items))
    return {
        name: _metric(values[mask], scores[mask], problem.labels) for name, mask in groups.items()
    }


def _of_lists(model: Any, problem: Problem, n_users: int | None) -> dict[str, float | None]:
    users, items, _ = problem.test
    # In copies of the data nobody knows to which copy of an item the test part belongs.
    copied = len(model.user_factors_) != problem.X.shape[0]
    if copied or not len(users):
        return {"test": None, "test_ndcg": None}
    tested = np.unique(users)
    if n_users is not None and len(tested) > n_users:
        tested = np.sort(np.random.default_rng(0).choice(tested, n_users, replace=False))
    X_test = sparse.csr_array((np.ones(len(users)), (users, items)), shape=problem.X.shape)
    return {
        "test": recall_at_k(model, X_test, 20, users=tested),
        "test_ndcg": ndcg_at_k(model, X_test, 20, users=tested),
    }


def _metric(values: Any, scores: Any, labels: bool) -> float | None:
    if labels:
        return float(roc_auc_score(values > 0, scores)) if len(np.unique(values)) == 2 else None
    return float(root_mean_squared_error(values, scores)) if len(values) else None
