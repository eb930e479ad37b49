"""Fit, forget, refit from other seeds, and measure what is left of the forgotten."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from sklearn_unlearn.certificates import OptimalityCertificate
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.demo._data import Problem, subset, touched
from sklearn_unlearn.influence import ForgetReport
from sklearn_unlearn.metrics import noise_floor, remaining_gap, top_k_overlap
from sklearn_unlearn.recommenders import MatrixFactorization

__all__ = ["GAP_GOAL", "Fitted", "Forgotten", "Lists", "Request", "run", "warm_up"]

GAP_GOAL = 0.01
# Where two refits differ by more than this share of the effect, "the refit" is no target to hit.
MAX_FLOOR = 0.1
LIST_LENGTH = 10
OVERLAP_USERS = 2000


@dataclass(frozen=True)
class Request:
    """What to forget: arguments of ``forget``, and which training entries they take."""

    name: str
    arguments: dict[str, Any]
    taken: np.ndarray
    listed_user: int | None = None


@dataclass(frozen=True)
class Lists:
    """The top list of one user by three models; `seen` holds the items the user had.

    `user` is an id that the caller named, or None: others are not shown.
    """

    user: str | None
    before: list[str]
    after: list[str]
    refit: list[str]
    seen: set[str]


@dataclass(frozen=True)
class Fitted:
    """The model before any request."""

    seconds: float
    n_iter: int
    converged: bool
    quality: float
    certificate: OptimalityCertificate

    def to_dict(self) -> dict[str, Any]:
        """Return what goes into JSON."""
        return {**self.__dict__, "certificate": self.certificate.to_dict()}


@dataclass(frozen=True)
class Forgotten:
    """One request: how far the model that forgot is from one that never knew."""

    name: str
    report: ForgetReport
    certificate: OptimalityCertificate
    gap: dict[str, float]
    floor: dict[str, float]
    overlap: float
    forget_seconds: float
    refit_seconds: float
    quality: dict[str, float]
    lists: Lists | None

    @property
    def verified(self) -> bool:
        """Whether every gap is within the goal, or cannot be told from two refits' difference."""
        return self.well_posed and all(
            self.gap[over] <= max(GAP_GOAL, self.floor[over]) for over in self.gap
        )

    @property
    def well_posed(self) -> bool:
        """Whether refits from two seeds agree well enough to be a target."""
        return max(self.floor.values()) <= MAX_FLOOR

    def to_dict(self) -> dict[str, Any]:
        """Return what goes into JSON."""
        lists = None if self.lists is None else {**asdict(self.lists), "seen": None}
        if lists is not None:
            del lists["seen"]
        return {
            **self.__dict__,
            "report": self.report.to_dict(),
            "certificate": self.certificate.to_dict(),
            "lists": lists,
            "speedup": self.refit_seconds / self.forget_seconds,
            "verified": self.verified,
        }


def warm_up(model: MatrixFactorization) -> None:
    """Fit and forget something tiny, so that no compilation is timed later."""
    X = make_interactions(60, 40, feedback="rating", random_state=0)
    X.data -= 3.25  # of both signs, whatever the loss
    tiny = clone(model).set_params(n_factors=4, regularization=1.0, tol=1e-4, random_state=0).fit(X)
    other = copy.deepcopy(tiny)
    tiny.forget(users=[0])
    tiny.certify()
    other.forget(np.column_stack(X.nonzero())[::7])


def run(
    problem: Problem,
    model: MatrixFactorization,
    share: float,
    seed: int,
    say: Callable[[str], None],
) -> tuple[Fitted, list[Forgotten]]:
    """Run the whole experiment; `say` is told before each long step.

    Parameters
    ----------
    problem : Problem
        The data.

    model : MatrixFactorization
        Unfitted; its clone is fitted.

    share : float
        Share of the training interactions of the second request.

    seed : int
        Seed of the first fit and of all draws; refits use the two that follow.

    say : callable
        Takes a line of text.

    Returns
    -------
    fitted : Fitted
    results : list of Forgotten
        One a request.
    """
    X = problem.X_train
    say(f"Fitting on {X.nnz:,} interactions ...")
    model, seconds = _fit(model, X, seed)
    fitted = Fitted(
        seconds, model.n_iter_, model.converged_, quality(problem, model), model.certify()
    )
    say(f"  {seconds:.2f} s, {model.n_iter_} Newton steps")
    results = []
    for request in (first_request(problem), random_request(X, share, seed)):
        n = np.count_nonzero(request.taken)
        say(f"Forgetting {request.name} ({n:,} interactions), and refitting twice ...")
        results.append(_measure(problem, model, request, fitted.quality, seed))
        say(f"  {results[-1].forget_seconds:.3f} s to forget, {results[-1].refit_seconds:.2f} s")
    return fitted, results


def first_request(problem: Problem) -> Request:
    """Take the users and items asked for, or else the user of median activity."""
    X, users, items = problem.X_train, problem.users, problem.items
    default = not len(users) + len(items)
    if default:
        active = np.flatnonzero(np.diff(X.indptr))
        by_degree = active[np.argsort(np.diff(X.indptr)[active], kind="stable")]
        users = by_degree[[len(by_degree) // 2]]
    taken = touched(X, users, items)
    given = {"users": users, "items": items}
    arguments = {name: positions for name, positions in given.items() if len(positions)}
    listed = int(users[0] if len(users) else np.flatnonzero(_row_sums(X, taken))[0])
    if default:  # nobody named this user, so nobody is told
        return Request("a median user", arguments, taken, listed)
    names = [problem.user_id(user) for user in users], problem.item_ids(items)
    words = [_some(role, ids) for role, ids in zip(("user", "item"), names, strict=True) if ids]
    return Request(" and ".join(words), arguments, taken, listed)


def random_request(X: Any, share: float, seed: int) -> Request:
    """Draw a share of the interactions."""
    n = max(1, round(share * X.nnz))
    chosen = np.sort(np.random.default_rng(seed).permutation(X.nnz)[:n])
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    pairs = np.column_stack([rows[chosen], X.indices[chosen]])
    taken = np.zeros(X.nnz, dtype=bool)
    taken[chosen] = True
    return Request(f"{100 * share:g}% at random", {"interactions": pairs}, taken)


def quality(problem: Problem, model: MatrixFactorization) -> float:
    """Area under the ROC curve of the held-out labels, or the RMSE of the held-out ratings."""
    held_out = problem.X_test.tocoo()
    scores = model.predict_pairs(held_out.coords)
    if problem.loss == "squared":
        return float(np.sqrt(np.mean((scores - held_out.data) ** 2)))
    if len(np.unique(held_out.data)) < 2:
        return float("nan")  # too few events: no pair of a like and a dislike
    return float(roc_auc_score(held_out.data > 0, scores))


def _measure(
    problem: Problem, model: MatrixFactorization, request: Request, before: float, seed: int
) -> Forgotten:
    X, retained = problem.X_train, subset(problem.X_train, ~request.taken)
    after = copy.deepcopy(model)
    start = time.perf_counter()
    after.forget(**request.arguments)
    forget_seconds = time.perf_counter() - start
    refit, refit_seconds = _fit(model, retained, seed + 1)
    other, _ = _fit(model, retained, seed + 2)
    lost = subset(X, request.taken)
    affected = {"users": np.unique(lost.nonzero()[0]), "items": np.unique(lost.indices)}
    scopes: dict[str, dict[str, Any]] = {"all": {}, "affected": affected}
    return Forgotten(
        name=request.name,
        report=after.forget_report_,
        certificate=after.certify(),
        gap={name: remaining_gap(model, after, refit, **over) for name, over in scopes.items()},
        floor={name: noise_floor(model, refit, other, **over) for name, over in scopes.items()},
        overlap=_overlap(after, refit, X.shape, seed),
        forget_seconds=forget_seconds,
        refit_seconds=refit_seconds,
        quality={
            "before": before,
            "after": quality(problem, after),
            "refit": quality(problem, refit),
        },
        lists=_lists(problem, model, after, refit, request.listed_user),
    )


def _fit(model: MatrixFactorization, X: Any, seed: int) -> tuple[MatrixFactorization, float]:
    model = clone(model).set_params(random_state=seed)
    start = time.perf_counter()
    model.fit(X)
    return model, time.perf_counter() - start


def _overlap(a: Any, b: Any, shape: tuple[int, int], seed: int) -> float:
    drawn = np.random.default_rng(seed).permutation(shape[0])[:OVERLAP_USERS]
    return top_k_overlap(a, b, min(LIST_LENGTH, shape[1]), users=np.sort(drawn))


def _lists(problem: Problem, *models_and_user: Any) -> Lists | None:
    *models, user = models_and_user
    if user is None:
        return None
    n_items = min(LIST_LENGTH, problem.X_train.shape[1])
    tops = []
    for model in models:
        top = model.recommend(users=[user], n_items=n_items)[0][0]
        tops.append(problem.item_ids(top[top >= 0]))
    seen = set(problem.item_ids(problem.X_train[[user]].indices))
    named = problem.user_id(user) if user in problem.users else None
    before, after, refit = tops
    return Lists(named, before, after, refit, seen)


def _row_sums(X: Any, taken: np.ndarray) -> np.ndarray:
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    return np.bincount(rows[taken], minlength=X.shape[0])


def _some(role: str, ids: list[str]) -> str:
    return with_role(role, ids[0]) if len(ids) == 1 else f"{len(ids)} {role}s"


def with_role(role: str, name: str) -> str:
    """Say "user 42", but not "user user_42"."""
    return name if name.startswith(role) else f"{role} {name}"
