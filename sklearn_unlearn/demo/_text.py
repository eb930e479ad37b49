"""The results as text: aligned columns, and a verdict in plain language."""

from __future__ import annotations

import textwrap

import numpy as np

from sklearn_unlearn.certificates import OptimalityCertificate
from sklearn_unlearn.demo._data import Problem
from sklearn_unlearn.demo._experiment import GAP_GOAL, Fitted, Forgotten, Lists, with_role

__all__ = ["data_text", "fit_text", "result_text", "verdict"]

WIDTH = 88
# Above this many logits or rating points a bound on scores says nothing.
USEFUL_BOUND = 100.0


def data_text(problem: Problem) -> str:
    """Describe the data."""
    m, n = problem.X_train.shape
    lines = [
        f"Data       {problem.source}",
        f"           {m:,} users, {n:,} items; {problem.X_train.nnz:,} interactions to fit on and "
        f"{problem.X_test.nnz:,} held out",
        *([f"Read       {problem.layout}"] if problem.layout else []),
        f"Values     {problem.reading}",
        f"Loss       {problem.loss}",
    ]
    return "\n".join(lines)


def fit_text(problem: Problem, fitted: Fitted) -> str:
    """Describe the fitted model, with advice if it does not certify."""
    certificate = fitted.certificate
    lines = [
        "",
        f"The model: test {_measure_name(problem)} {_number(fitted.quality)},",
        f"  {_certificate(certificate)}",
    ]
    if not certificate.certified:
        lines += textwrap.wrap(_advice(fitted), WIDTH)
    elif certificate.rank == 0:
        lines += textwrap.wrap(
            "Rank 0: no factors are left, and biases alone rank items alike for everybody. If that "
            "says too little of your data, lower --regularization (half as much, say).",
            WIDTH,
        )
    return "\n".join(lines) + "\n"


def result_text(problem: Problem, results: list[Forgotten]) -> str:
    """Lay the measurements out, one request a column."""
    measure = _measure_name(problem)
    rows: list[tuple[str, list[str]]] = [
        ("", [r.name for r in results]),
        ("interactions forgotten", [f"{r.report.n_interactions:,}" for r in results]),
        ("remaining gap, all pairs", [_number(r.gap["all"]) for r in results]),
        ("remaining gap, affected pairs", [_number(r.gap["affected"]) for r in results]),
        ("noise floor, all pairs", [_number(r.floor["all"]) for r in results]),
        ("noise floor, affected pairs", [_number(r.floor["affected"]) for r in results]),
        ("top-10 overlap with the refit", [f"{r.overlap:.4f}" for r in results]),
        (f"test {measure} before", [_number(r.quality["before"]) for r in results]),
        (f"test {measure} after forget", [_number(r.quality["after"]) for r in results]),
        (f"test {measure} of the refit", [_number(r.quality["refit"]) for r in results]),
        ("method", [r.report.method for r in results]),
        ("residual", [_number(r.report.residual) for r in results]),
        ("guarantee", [r.report.guarantee for r in results]),
        ("certified", ["yes" if r.certificate.certified else "no" for r in results]),
        ("  spectral ratio", [f"{r.certificate.spectral_ratio:.6f}" for r in results]),
        ("  relative duality gap", [_number(r.certificate.relative_gap) for r in results]),
        ("  bound on scores (rms)", [_bound(r.certificate) for r in results]),
        ("seconds to forget", [f"{r.forget_seconds:.3f}" for r in results]),
        ("seconds to refit", [f"{r.refit_seconds:.3f}" for r in results]),
        ("refit / forget", [_times(r.refit_seconds / r.forget_seconds) for r in results]),
    ]
    text = _aligned(rows)
    legend = textwrap.fill(
        "Gap: share of the difference between the fitted model and the refit that is left after "
        "forgetting; 1 is doing nothing, 0 is the refit. Affected: the user or the item lost an "
        "interaction. Noise floor: the same for a refit from yet another seed. A refit goes to the "
        "tolerance --tol, forgetting to --forget-tol: closer takes longer.",
        WIDTH,
    )
    lists = [_lists(problem, r.lists) for r in results if r.lists is not None]
    return "\n\n".join([text, legend, *lists])


def verdict(results: list[Forgotten]) -> str:
    """Say in a paragraph what was shown, and what was not."""
    verified = all(r.verified for r in results)
    sentences = ["Verdict: verified." if verified else "Verdict: not verified."]
    sentences += [_measured(r) for r in results]
    for guarantee in dict.fromkeys(r.report.guarantee for r in results):
        group = [r for r in results if r.report.guarantee == guarantee]
        residual = max(r.report.residual for r in group)
        sentences.append(
            f"The guarantee {_whose(group, results)} is '{guarantee}': the gradient of the "
            f"objective of what remains is {_number(residual)} of what it was, or less."
        )
    certified = [r for r in results if r.certificate.certified]
    others = [r for r in results if not r.certificate.certified]
    sentences += [_certified(certified, results)] if certified else []
    sentences += [_uncertified(others, results)] if others else []
    return textwrap.fill(" ".join(sentences), WIDTH)


def _measured(result: Forgotten) -> str:
    gap, floor = max(result.gap.values()), max(result.floor.values())
    if not result.well_posed:
        return (
            f"After forgetting {result.name}, two refits that differ only in their seed are "
            f"{floor:.0%} of the effect apart: there is no one refit to compare with (raise "
            "--regularization)."
        )
    if gap <= GAP_GOAL:
        how = ""
    elif result.verified:
        how = f", within the noise floor of {floor:.1%}"
    else:
        how = f", above the goal of {GAP_GOAL:.0%}"
    speed = result.refit_seconds / result.forget_seconds
    return (
        f"After forgetting {result.name}, {_percent(gap)} of the effect is left in the scores{how}"
        f"; the refit from another seed that says so took {_times(speed)} as long."
    )


def _certified(group: list[Forgotten], results: list[Forgotten]) -> str:
    gap = max(r.certificate.relative_gap for r in group)
    bound = max(r.certificate.prediction_bound for r in group)
    text = (
        f"The model {_whose(group, results)} is certified, which takes no refit: its objective is "
        f"within {_number(gap)} (relative) of the lowest there is for what remains, where every "
        "converged refit ends"
    )
    if bound < USEFUL_BOUND:
        return f"{text}; on the observed pairs none has scores further away than {_number(bound)}."
    return f"{text}; the bound on the distance of single scores is too wide to help."


def _uncertified(group: list[Forgotten], results: list[Forgotten]) -> str:
    worst = max((r.certificate for r in group), key=lambda c: c.relative_gap)
    text = (
        f"The model {_whose(group, results)} is not certified: the relative duality gap is "
        f"{_number(worst.relative_gap)}"
    )
    if worst.rank >= worst.n_factors:
        return f"{text}, as the rank is at the cap (raise --factors or --regularization)."
    return f"{text}, and {_number(worst.tol)} is asked for (a smaller --forget-tol gets closer)."


def _whose(group: list[Forgotten], results: list[Forgotten]) -> str:
    if len(group) == len(results):
        return "after each request"
    return "after forgetting " + " and ".join(r.name for r in group)


def _advice(fitted: Fitted) -> str:
    certificate = fitted.certificate
    if not fitted.converged:
        return (
            "Not certified: the fit stopped before its tolerance. Raise --regularization, or "
            "loosen --tol."
        )
    if certificate.rank >= certificate.n_factors:
        return (
            f"Not certified: the rank has reached the cap of {certificate.n_factors} factors, so "
            "refits from other seeds may end elsewhere. Raise --factors, or raise "
            "--regularization (twice as much, say) until the rank is below the cap."
        )
    return (
        "Not certified: the fit is short of the global optimum. Lower --tol to go further, or "
        "raise --regularization."
    )


def _lists(problem: Problem, lists: Lists) -> str:
    """Show three top lists side by side; a star marks what the user had in the training data."""
    tops = (lists.before, lists.after, lists.refit)
    cells = [[f"{i}{'*' if i in lists.seen else ' '}" for i in top] for top in tops]
    length = max(len(top) for top in cells)
    rows = [("", ["before ", "after forget ", "refit "])]
    for k in range(length):
        rows.append((f"{k + 1:>4}", [top[k] if k < len(top) else "" for top in cells]))
    user = "a user whom it concerns" if lists.user is None else with_role("user", lists.user)
    title = f"Top {length} of {user} (* had it before; what is forgotten may be recommended again)"
    return f"{title}\n{_aligned(rows)}"


def _aligned(rows: list[tuple[str, list[str]]]) -> str:
    label = max(len(name) for name, _ in rows)
    columns = list(zip(*(cells for _, cells in rows), strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = (
        "   ".join([f"{name:<{label}}", *(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))])
        for name, cells in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _certificate(certificate: OptimalityCertificate) -> str:
    said = "certified" if certificate.certified else "not certified"
    return (
        f"{said} (spectral ratio {certificate.spectral_ratio:.6f}, relative duality gap "
        f"{_number(certificate.relative_gap)}, rank {certificate.rank} of {certificate.n_factors})"
    )


def _bound(certificate: OptimalityCertificate) -> str:
    useful = certificate.prediction_bound < USEFUL_BOUND
    return _number(certificate.prediction_bound) if useful else "too wide"


def _measure_name(problem: Problem) -> str:
    return "RMSE" if problem.loss == "squared" else "AUC"


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "n/a"
    return f"{value:.4f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"


def _times(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x"


def _percent(share: float) -> str:
    return f"{share:.2%}" if share >= 1e-4 else "less than 0.01%"
