"""One report of what several shards did."""

from __future__ import annotations

import math
import time
from typing import Any

from sklearn_unlearn._forget_request import ForgetRequest
from sklearn_unlearn.influence import ForgetReport

__all__ = ["merge_reports"]

# From the strongest to the weakest; what is not listed promises nothing that could be weaker.
_STRENGTH = ("exact", "refit", "certified", "residual-bounded", "rows-solved", "one-step")
_LEARNED = (
    "the partition was learned from data that have changed, and a refit would have made another: "
    "partition='hash' avoids that"
)
_RETRAINED = "the attention was trained again"


def merge_reports(
    reports: list[Any],
    request: ForgetRequest,
    *,
    method: str,
    n_touched: int,
    n_shards: int,
    learned: bool,
    attention: bool,
    n_rows_refitted: int = 0,
) -> ForgetReport:
    """Merge the reports of the shards that a request changed: the weakest guarantee counts.

    Parameters
    ----------
    reports : list of ForgetReport
        Of the shards whose models forgot or learned; empty if they were fitted again.

    request : ForgetRequest
        What was asked.

    method : {"forget", "refit"}
        How the shards were changed.

    n_touched, n_shards : int
        How many shards hold something of the request, and how many there are.

    learned : bool
        Whether the partition was learned from the data.

    attention : bool
        Whether the aggregation was.

    n_rows_refitted : int, default=0
        Rows of shards that were fitted again.

    Returns
    -------
    report : ForgetReport
        Rows and products are summed, steps are those of the slowest shard, gradient norms are
        joined as parts of one gradient, and the residual is the worst of any shard.
    """
    notes = [f"{n_touched} of {n_shards} shards changed"]
    notes += sorted({one.status for one in reports})
    notes += [_RETRAINED] * attention + [_LEARNED] * learned
    before, after = (
        math.sqrt(sum(one.gradient_norm[side] ** 2 for one in reports)) for side in (0, 1)
    )
    inner = sorted({one.method for one in reports})
    return ForgetReport(
        method="+".join(["shards", *(inner or [method])]),
        guarantee=_weakest(reports, learned, attention),
        status="; ".join(notes),
        n_interactions=request.n_interactions,
        n_users=request.n_users,
        n_items=request.n_items,
        n_rows_updated=sum(one.n_rows_updated for one in reports) + n_rows_refitted,
        n_steps=max((one.n_steps for one in reports), default=0),
        n_solver_iter=sum(one.n_solver_iter for one in reports),
        gradient_norm=(before, after),
        residual=max((one.residual for one in reports), default=0.0),
        seconds=time.perf_counter() - request.started,
        n_learned=len(request.added),
    )


def _weakest(reports: list[Any], learned: bool, attention: bool) -> str:
    words = {one.guarantee for one in reports}
    # Shards that do not look at the request are what they would be had it never been there.
    words |= {"exact"} if not words else set()
    if learned:
        # What a certificate or a closed form promises holds for these shards, and a refit would
        # have others.
        words = {{"exact": "refit", "certified": "residual-bounded"}.get(w, w) for w in words}
    elif attention:
        words = {"refit" if word == "exact" else word for word in words}
    return max(words, key=lambda word: _STRENGTH.index(word) if word in _STRENGTH else -1)
