"""Results as JSON and as a Markdown table."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from sklearn_unlearn.benchmarks.commands._als import MAX_LOCAL_GAP
from sklearn_unlearn.benchmarks.commands._shipped import MOST
from sklearn_unlearn.benchmarks.measure._compare import MAX_GAP, Plan
from sklearn_unlearn.benchmarks.measure._machine import describe_machine, library_versions

__all__ = ["SCHEMA", "make_document", "markdown", "to_json"]

#: Version of the layout of the JSON document.
SCHEMA = 1

Record = dict[str, Any]
Column = tuple[str, Callable[[Record], str]]


def make_document(
    benchmark: str, plan: Plan, options: Record, fits: list[Record], records: list[Record]
) -> Record:
    """Put results together with all that they depend on."""
    params = plan.estimator.get_params(deep=False)
    return {
        "schema": SCHEMA,
        "benchmark": benchmark,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": library_versions(),
        "machine": describe_machine(params.get("n_jobs") or 1),
        "problem": plan.problem.describe(),
        "estimator": {"name": type(plan.estimator).__name__, "params": params},
        "settings": {name: repr(strategy) for name, strategy in plan.settings.items()},
        "options": options,
        "fits": fits,
        "records": records,
    }


def to_json(document: Record) -> str:
    """Write a document as strict JSON: what is not finite becomes null."""
    return json.dumps(_plain(document), indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else repr(value)


def markdown(document: Record) -> str:
    """Write a document as a heading, a line on what was run, and a table."""
    columns = _TABLES[document["benchmark"]]
    problem, machine = document["problem"], document["machine"]
    lines = [
        f"### {document['benchmark']}: {document['estimator']['name']} on {problem['name']}",
        "",
        f"{problem['n_users']:,} users, {problem['n_items']:,} items, "
        f"{problem['n_interactions']:,} interactions ({problem['values']}); "
        f"{_settings_text(document)}; "
        f"{machine['processor']}, {machine['cores']} cores, {machine['n_jobs']} thread(s).",
        "",
        *(_fit_line(fit) for fit in document["fits"]),
        *([""] if document["fits"] else []),
        "| " + " | ".join(name for name, _ in columns) + " |",
        "|" + "---|" * len(columns),
    ]
    for record in document["records"]:
        lines.append("| " + " | ".join(cell(record) for _, cell in columns) + " |")
    if any("speedup_cold" in record for record in document["records"]):
        lines += ["", _NOTE]
    if document["benchmark"] in _NOTES:
        lines += ["", _NOTES[document["benchmark"]]]
    return "\n".join(lines) + "\n"


_NOTE = (
    "Gaps are to a cold refit from another start at a tolerance of 1e-9; noise is the gap of a "
    "cold refit to the fit's tolerance. A ratio in parentheses has a gap above "
    f"{MAX_GAP:g}; a dash: no refit of the ladder came within it. Products of the start of a cold "
    "fit are not counted."
)
_STUDY_NOTE = (
    "Gaps are shares of the effect of the request that are left: 1 where nothing was done, 0 at "
    "the reference, a cold refit to a tolerance of 1e-9 where the estimator has one. Remaining "
    "users: all pairs of users of whom something remains; top-10: overlap of their lists with "
    "those of the reference. Utility and A-IGF are of them too; the aim is what the reference has. "
    f"In parentheses: a gap above {MAX_GAP:g}."
)
_NOTES = {
    "learn": (
        "By the estimator's default strategy. Gaps are to a cold refit from another start, at a "
        "tolerance of 1e-9 where the estimator has one; noise is the gap of a cold refit to the "
        f"fit's tolerance, which is what is timed. In parentheses: a gap above {MAX_GAP:g}."
    ),
    "cure4rec": _STUDY_NOTE,
    "erase": f"{_STUDY_NOTE} Time: the median of single requests in the sequence so far.",
    "als": (
        "Times in one run, beside implicit's own fit on what remains (`implicit`). Gaps are to a "
        "refit of the model's kind from its own start; noise is the gap of one from another seed. "
        "Affected: pairs whose user or item lost an interaction. Others: all items of the users "
        "who share an item with the request. A ratio in parentheses has a gap of the affected "
        f"above {MAX_LOCAL_GAP:g}."
    ),
    "shipped": (
        "Median times in one run, beside the retraining of the model's own kind on all threads. At "
        f"most: {MOST[0]:g} of it for one user or item, {MOST[1]:g} for anything else. A ratio in "
        "parentheses is above that."
    ),
    "scale": (
        "Each figure is from a process of its own. Peak: resident memory above what was there at "
        "the start (fit and refit: the interactions; forget: model and interactions). *Of it* is "
        "in multiples of model and interactions."
    ),
}


def _settings_text(document: Record) -> str:
    shown: tuple[str, ...] = (
        "loss",
        "n_factors",
        "n_layers",
        "n_negatives",
        "regularization",
        "alpha",
        "frequency_scaling",
        "frequency_offset",
    )
    shown += ("bias_regularization", "n_sweeps", "max_iter", "tol")
    params = document["estimator"]["params"]
    return ", ".join(f"{name}={params[name]}" for name in shown if name in params)


def _fit_line(fit: Record) -> str:
    which = "".join(f" {key}={fit[key]}" for key in ("factor", "share", "model") if key in fit)
    return (
        f"- Fit{which}: {_seconds(fit['seconds'])}, {_number(fit['products'])} products, "
        f"certificate {_certificate(fit)}, test {_quality(fit)}."
    )


# -- cells ---------------------------------------------------------------------------------------
def _number(value: Any, digits: int = 3) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"  # noqa: RUF001 - a dash is what an empty cell shows
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}g}"


def _seconds(value: float | None) -> str:
    if value is None:
        return _number(None)
    return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def _of(key: str, digits: int = 3) -> Callable[[Record], str]:
    return lambda record: _number(record.get(key), digits)


def _text(key: str) -> Callable[[Record], str]:
    return lambda record: str(record[key])


def _time(key: str) -> Callable[[Record], str]:
    return lambda record: _seconds(record.get(key))


def _reported(key: str) -> Callable[[Record], str]:
    def cell(record: Record) -> str:
        value = (record.get("report") or {}).get(key)
        return value if isinstance(value, str) else _number(value)

    return cell


def _times(key: str) -> Callable[[Record], str]:
    def cell(record: Record) -> str:
        value = record.get(key)
        if value is None:
            return _number(None)
        return f"{value:.3g}x" if record.get("within_gap", True) else f"({value:.3g}x)"

    return cell


def _share(record: Record) -> str:
    share = f"{record['ratio']:.2g}"
    return share if record["within"] else f"({share})"


def _certificate(record: Record) -> str:
    found = record.get("certificate")
    if not found:
        return _number(None)
    return f"{found['spectral_ratio']:.6f} / {found['relative_gap']:.0e} / {found['rank']}"


def _quality(record: Record) -> str:
    """AUC, RMSE, or recall and ndcg of lists."""
    found = _number(record.get("test"), 4)
    ndcg = record.get("test_ndcg")
    return found if ndcg is None else f"{found} / {_number(ndcg, 4)}"


def _mebibytes(record: Record) -> str:
    return f"{record['peak_bytes'] / 2**20:.3g} MiB"


def _peak(record: Record) -> str:
    return _mebibytes(record) if record["peak_exact"] else f"at least {_mebibytes(record)}"


_HEAD: list[Column] = [("request", _text("request")), ("way", _text("setting"))]
_GAPS: list[Column] = [
    ("gap, all", _of("gap_all", 2)),
    ("gap, affected", _of("gap_affected", 2)),
    ("noise, affected", _of("noise_affected", 2)),
    ("top-10, affected", _of("top10_affected", 4)),
    ("residual", _reported("residual")),
    ("guarantee", _reported("guarantee")),
]
_COST: list[Column] = [("products", _of("products")), ("time", _time("seconds"))]
_RATIOS: list[Column] = [
    ("cheapest refit / time", _times("speedup_cheapest")),
    ("cold refit / time", _times("speedup_cold")),
    ("warm refit / time", _times("speedup_warm")),
]
_TAIL: list[Column] = [("ratio / gap / rank", _certificate), ("test", _quality)]

_STUDY: list[Column] = [
    ("gap, all", _of("gap_all", 2)),
    ("gap, remaining users", _of("gap_remaining", 2)),
    ("top-10", _of("top10_remaining", 4)),
    ("recall@20", _of("recall", 4)),
    ("ndcg@20", _of("ndcg", 4)),
    ("A-IGF", _of("fairness", 3)),
    ("residual", _reported("residual")),
    ("guarantee", _reported("guarantee")),
    ("time", _time("seconds")),
    ("cold refit / time", _times("speedup_refit")),
]

_TABLES: dict[str, list[Column]] = {
    "forget": [*_HEAD, ("rows", _of("n_interactions")), *_GAPS, *_COST, *_RATIOS, *_TAIL],
    "ifru": [
        *_HEAD,
        ("test", _of("test", 5)),
        ("user or item in F", _of("test_or", 5)),
        ("user and item in F", _of("test_and", 5)),
        *_GAPS,
        *_COST,
        *_RATIOS,
        ("ratio / gap / rank", _certificate),
    ],
    "batch": [
        *_HEAD,
        *_GAPS,
        *_COST,
        ("time a request", _time("seconds_per_request")),
        ("products a request", _of("products_per_request")),
        ("cheapest refit / it", _times("speedup_cheapest_per_request")),
        ("cold refit / it", _times("speedup_cold_per_request")),
    ],
    "growth": [
        ("data", lambda record: f"{record['factor']}x"),
        ("way", _text("setting")),
        ("interactions", _of("n_interactions")),
        ("forgotten", _of("n_forgotten")),
        ("rows changed", _reported("n_rows_updated")),
        ("residual", _reported("residual")),
        *_COST,
        ("one pass", _time("pass_seconds")),
        ("growth", _times("growth")),
        ("beyond the pass", _times("growth_beyond_pass")),
        ("peak memory", _mebibytes),
        ("of the model", _of("peak_per_model", 2)),
    ],
    "cure4rec": [*_HEAD, ("users", _of("n_users")), ("rows", _of("n_interactions")), *_STUDY],
    "erase": [*_HEAD, ("rows", _of("n_interactions")), *_STUDY],
    "als": [
        ("model", _text("model")),
        *_HEAD,
        ("rows", _of("n_interactions")),
        ("gap, all", _of("gap_all", 2)),
        ("gap, affected", _of("gap_affected", 2)),
        ("gap, others", _of("gap_others", 2)),
        ("noise, all", _of("noise_all", 2)),
        ("noise, others", _of("noise_others", 2)),
        ("top-10, others", _of("top10_others", 4)),
        ("residual", _reported("residual")),
        ("guarantee", _reported("guarantee")),
        ("time", _time("seconds")),
        ("least", _time("seconds_min")),
        ("implicit", _time("rival_seconds")),
        ("implicit / time", _times("speedup_rival")),
        ("own refit / time", _times("speedup_own")),
    ],
    "learn": [
        ("request", _text("request")),
        ("verb", _text("verb")),
        ("rows", _of("n_interactions")),
        ("gap, all", _of("gap_all", 2)),
        ("gap, affected", _of("gap_affected", 2)),
        ("noise, affected", _of("noise_affected", 2)),
        ("residual", _reported("residual")),
        ("guarantee", _reported("guarantee")),
        ("time", _time("seconds")),
        ("cold refit", _time("refit_seconds")),
        ("cold refit / time", _times("speedup_refit")),
    ],
    "shipped": [
        ("model", _text("model")),
        ("request", _text("request")),
        ("rows", _of("n_interactions")),
        ("residual", _reported("residual")),
        ("guarantee", _reported("guarantee")),
        ("warned of a refit", lambda record: "yes" if record["warned"] else "no"),
        ("time", _time("seconds")),
        ("retraining", _time("retrain_seconds")),
        ("of it", _share),
    ],
    "scale": [
        ("data", lambda record: f"{record['factor']}x ({record['expansion']})"),
        ("interactions", _of("n_interactions", 8)),
        ("model and interactions", lambda record: f"{record['model_bytes'] / 1e6:.3g} MB"),
        ("what", _text("setting")),
        ("forgotten", _of("n_forgotten")),
        ("time", _time("seconds")),
        ("one pass", _time("pass_seconds")),
        ("growth", _times("growth")),
        ("beyond the pass", _times("growth_beyond_pass")),
        ("implicit / time", _times("speedup_rival")),
        ("peak", _peak),
        ("of it", _of("peak_per_model", 2)),
    ],
}
