"""What is wrong with the answers to a random forget problem: nothing, if all is well."""

import copy
import pickle
import warnings
from dataclasses import dataclass

import numpy as np

from tests.search.problems import FACTOR_MODELS, fit, without

# Guarantees that promise a residual: what is measured against refits.
PROMISING = ("exact", "certified", "residual-bounded", "refit")
MAX_GAP, MAX_FLOOR = 0.05, 0.01
# Where the cap on the factors binds there are several optima, and the report says so: which of them
# a few refits find tells nothing of the others.
SATURATED = "refits from other seeds may differ"


@dataclass
class Verdict:
    """Findings of one problem, and how many of its requests could be held against a refit."""

    findings: list[str]
    n_requests: int = 0
    n_eligible: int = 0


def scores(model):
    """Scores of all pairs."""
    shape = model._interactions.shape
    users, items = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    return model.predict_pairs((users, items)).astype(float)


def ends_in_saddle(model):
    """Whether a fit says that it converged though a latent column is free and missing."""
    if not model.converged_:
        return False
    certificate = model.certify()
    free = certificate.rank < certificate.n_factors
    return free and certificate.spectral_ratio > 1.01 and certificate.relative_gap > 1e-3


def judge(problem):
    """Fit, forget one request after the other, and compare each state with two refits."""
    verdict = Verdict([])
    try:
        model, said = fit(problem, problem.X)
        problem.fitted = copy.deepcopy(model)
        if problem.family in FACTOR_MODELS and ends_in_saddle(model):
            verdict.findings.append(f"{problem}: the fit ends in a saddle")
        left = problem.X
        for number, request in enumerate(problem.requests):
            before, left = copy.deepcopy(model), without(left, **request)
            said += _forget(model, request)
            verdict.n_requests += 1
            finding = _compare(problem, before, model, left, said, verdict)
            if finding:
                verdict.findings.append(f"{problem}, request {number}: {finding}")
        _forget(model, {"users": np.arange(len(left)), "missing": "ignore"})
        _check_emptied(problem, model, verdict)
    except Exception as error:
        verdict.findings.append(f"{problem}: {type(error).__name__}: {error}")
    return verdict


def _forget(model, request):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.forget(**request)
    return [str(one.message) for one in caught]


def _compare(problem, before, model, left, said, verdict):
    """Remaining gap of a request that promises one, or nothing."""
    if not np.all(np.isfinite(scores(model))):
        return "scores are not finite"
    report = model.forget_report_
    if not left.any() or said or report.guarantee not in PROMISING or SATURATED in report.status:
        return None
    refit, warned = fit(problem, left)
    if problem.family in FACTOR_MODELS:
        if warned or not (model.converged_ and refit.converged_):
            return None
        if ends_in_saddle(refit):
            return "the refit ends in a saddle"
    others = [fit(problem, left, start=start) for start in (1, 2)]
    if any(warned for _, warned in others):
        return None
    moved = np.linalg.norm(scores(before) - scores(refit))
    *floors, gap = (
        np.linalg.norm(scores(one) - scores(refit)) for one in (others[0][0], others[1][0], model)
    )
    # An effect near what requests and fits leave cannot be told from it.
    size = max(np.linalg.norm(scores(one)) for one in (problem.fitted, refit))
    if max(floors) >= MAX_FLOOR * moved or moved <= 1e-4 * size:
        return None
    verdict.n_eligible += 1
    if gap > MAX_GAP * moved:
        return f"gap {gap / moved:.3f} under {report.guarantee!r}, {report.status!r}"
    return None


def _check_emptied(problem, model, verdict):
    """A model of which nothing is left still serves, certifies, and can be stored."""
    if model._interactions.n_interactions:
        verdict.findings.append(f"{problem}: something is left after all users are forgotten")
    model = pickle.loads(pickle.dumps(model))
    _, values = model.recommend(users=[0], n_items=1)
    if not np.all(np.isfinite(values)):
        verdict.findings.append(f"{problem}: an emptied model recommends {values}")
    if hasattr(model, "certify"):
        certificate = model.certify()
        if not certificate.relative_gap <= 1e-6:
            verdict.findings.append(f"{problem}: emptied, {certificate}")
