"""Time and memory of fit, forget and refit as the data grow."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_unlearn.benchmarks.commands._forget import add_growth
from sklearn_unlearn.benchmarks.data._expand import expand, fractal
from sklearn_unlearn.benchmarks.data._forget_sets import user_at
from sklearn_unlearn.benchmarks.measure import _tasks
from sklearn_unlearn.benchmarks.measure._compare import Plan
from sklearn_unlearn.benchmarks.methods._implicit import Rival

__all__ = ["EXPANSIONS", "SCALE_SETTINGS", "run_scale"]

Records = list[dict[str, Any]]

#: Ways to make more data of some.
EXPANSIONS = {"fractal": fractal, "expand": expand}

#: What the command measures unless told otherwise.
SCALE_SETTINGS = ("touched", "tol=1e-1")


def run_scale(
    plan: Plan, factors: list[int], expansion: str, rival: Rival
) -> tuple[Records, Records]:
    """Measure fit, one user's request and the rival's refit, each in a process of its own.

    The user has as many interactions at every size, or as near to it as the expansion allows.

    Parameters
    ----------
    plan : Plan
        With implicit feedback in float32 and an `ALS`.

    factors : list of int
        How many times the interactions.

    expansion : str
        Key of `EXPANSIONS`.

    rival : Rival
        With the hyper-parameters of the estimator.

    Returns
    -------
    fits, records : list of dict
        One a size; one for each size and each of fit, ways to forget and refit.
    """
    base, records = plan.problem.X, []
    user = user_at(base, 0.5)
    degree = int(base.indptr[user + 1] - base.indptr[user])
    for factor in factors:
        X = EXPANSIONS[expansion](base, factor, plan.seed).astype(np.float32)
        kind = "as read" if factor == 1 else f"{expansion}, synthetic"
        records += [
            {"factor": factor, "expansion": kind, **_sizes(X), **row}
            for row in _measure(plan, X, user_with(X, degree, user), rival)
        ]
        plan.say(f"{factor}x: {X.nnz} interactions measured")
    add_growth([row for row in records if row["role"] == "forget"])
    for row in records:
        row["peak_per_model"] = row["peak_bytes"] / row["model_bytes"]
    return [], records


def user_with(X: sparse.csr_array, degree: int, preferred: int) -> int:
    """Return the user whose number of interactions is nearest to one, `preferred` among equals."""
    off = np.abs(np.diff(X.indptr) - degree)
    return preferred if off[preferred] == off.min() else int(off.argmin())


def _sizes(X: sparse.csr_array) -> dict[str, Any]:
    return {"n_users": X.shape[0], "n_items": X.shape[1], "n_interactions": X.nnz}


def _measure(plan: Plan, X: sparse.csr_array, user: int, rival: Rival) -> Records:
    """Measure everything at one size."""
    with tempfile.TemporaryDirectory() as folder:
        matrix = Path(folder) / "X.npz"
        _tasks.save_matrix(matrix, X)
        fit = _tasks.in_own_process(_tasks.fit, matrix, plan.estimator)
        rows = [{"role": "fit", "setting": "fit", **fit}]
        for name, strategy in plan.settings.items():
            timed = _tasks.in_own_process(
                _tasks.forget_time, matrix, user, strategy, plan.repeats, plan.loaded
            )
            held = _tasks.in_own_process(
                _tasks.forget_memory, matrix, user, strategy, plan.loaded, exact_memory=True
            )
            rows.append({"role": "forget", "setting": name, **timed, **held})
        repeats = max(1, plan.refit_repeats)
        refit = _tasks.in_own_process(_tasks.refit_rival, matrix, rival, user, repeats)
        rows.append({"role": "refit", "setting": "refit by implicit", **refit})
    for row in rows:
        row["model_bytes"] = fit["model_bytes"]
        if row["role"] == "forget":
            row["speedup_rival"] = refit["seconds"] / row["seconds"]
    return rows
