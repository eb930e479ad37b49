"""Ways to forget that are compared: strategies by short name or import path."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_unlearn.benchmarks.methods._graph import OldGraph, Unpropagated
from sklearn_unlearn.benchmarks.methods._import_path import is_import_path, make_imported
from sklearn_unlearn.benchmarks.rivals import (
    FineTuning,
    GradientAscent,
    LiSSA,
    NoisyFineTuning,
    TouchedInfluence,
)
from sklearn_unlearn.influence import (
    ForgetOutcome,
    ForgetProblem,
    InfluenceUnlearner,
    SweepUnlearner,
    Unlearner,
)
from sklearn_unlearn.recommenders import LightGCN
from sklearn_unlearn.solvers import NewtonSettings, newton

__all__ = ["RIVALS", "SETTINGS", "WarmRefit", "check_settings", "make_settings", "takes_unlearner"]

# What public programs do to graph models, to be seen beside what is right.
_GRAPH: dict[str, Any] = {"old-graph": OldGraph, "unpropagated": Unpropagated}

#: Ways to unlearn from papers, by short name; each call makes a new one.
RIVALS: dict[str, Callable[[], Unlearner]] = {
    "gradient-ascent": GradientAscent,
    "fine-tuning": FineTuning,
    "noisy-fine-tuning": lambda: NoisyFineTuning(random_state=0),
    "scif": TouchedInfluence,
    "lissa": LiSSA,
    "gif": lambda: LiSSA(n_terms=5),
}

#: What the command compares unless told otherwise.
SETTINGS = ("default", "tol=1e-2", "one-step")


def make_settings(names: list[str]) -> dict[str, Unlearner | None]:
    """Make the strategies to compare.

    Parameters
    ----------
    names : list of str
        ``"default"``, the model's own; ``"tol=NUMBER"``; ``"one-step"``: one influence step and no
        tolerance, the setting of IFRU; ``"touched"``, ``"touched x2"``: one sweep, or two, of the
        rows that lost an interaction; a key of `RIVALS`; ``"old-graph"``, ``"unpropagated"``: see
        `_graph`;
        ``"module:Class"``, ``"module:Class(name=value, ...)"``: anything with
        ``unlearn(problem)``.

    Returns
    -------
    settings : dict of str to strategy or None

    Raises
    ------
    ValueError
        For any other name.
    """
    settings: dict[str, Unlearner | None] = {}
    for name in names:
        tol = re.fullmatch(r"tol=([0-9.]+(?:e-?\d+)?)", name)
        sweeps = re.fullmatch(r"touched(?: x([1-9]\d*))?", name)
        if is_import_path(name):
            settings[name] = make_imported(name, "setting", ("unlearn",))
        elif name == "default":
            settings[name] = None
        elif name == "one-step":
            settings[name] = InfluenceUnlearner(n_steps=1, tol=None)
        elif name in _GRAPH:
            settings[name] = _GRAPH[name]()
        elif name in RIVALS:
            settings[name] = RIVALS[name]()
        elif tol and 0 < float(tol[1]) < 1:
            settings[name] = InfluenceUnlearner(tol=float(tol[1]))
        elif sweeps:
            n_sweeps = int(sweeps[1] or 1)
            settings[name] = SweepUnlearner(scope="touched", n_sweeps=n_sweeps, tol=None)
        else:
            raise ValueError(
                f"Got the setting {name!r}; expected 'default', 'one-step', 'touched', "
                f"'touched xN', {', '.join(map(repr, RIVALS))}, 'old-graph', 'unpropagated', "
                "'tol=NUMBER' with a number between 0 and 1, or module:Class. Choose from these, "
                "separated by commas."
            )
    return settings


def takes_unlearner(estimator: BaseEstimator) -> bool:
    """Tell whether an estimator can be told how to forget."""
    return "unlearner" in estimator.get_params(deep=False)


def check_settings(settings: dict[str, Unlearner | None], estimator: BaseEstimator) -> None:
    """Refuse, with a ValueError, strategies that mean nothing to an estimator."""
    for name, strategy in settings.items():
        if strategy is not None and not takes_unlearner(estimator):
            raise ValueError(
                f"Got the setting {name!r} for {type(estimator).__name__}; expected 'default' for "
                "an estimator without the parameter unlearner. Pass --settings default."
            )
    has_graph = isinstance(estimator, LightGCN)
    for name, strategy in settings.items():
        if isinstance(strategy, tuple(_GRAPH.values())) and not has_graph:
            raise ValueError(
                f"Got the setting {name!r} for {type(estimator).__name__}; expected a model with a "
                "graph. Pass --estimator LightGCN, or leave it out."
            )
        if isinstance(strategy, SweepUnlearner) and has_graph:
            raise ValueError(
                f"Got the setting {name!r} for LightGCN; expected a model whose rows are problems "
                "of their own, which a graph does not leave. Leave it out."
            )


class WarmRefit(BaseEstimator):
    """Refit from the old parameters, as the fit does it: the whole table, to the fit's tolerance.

    Parameters
    ----------
    tol : float, default=1e-6
        Tolerance of the fit.

    max_steps : int, default=100
        Newton steps at most.
    """

    def __init__(self, tol: float = 1e-6, max_steps: int = 100) -> None:
        self.tol = tol
        self.max_steps = max_steps

    def unlearn(self, problem: ForgetProblem) -> ForgetOutcome:
        """Solve a forget problem by continuing the training on what remains."""
        start = problem.theta.astype(np.float64)
        emptied = problem.emptied_rows()
        start[emptied] = problem.objective.layout.empty_rows(emptied)
        result = newton(
            problem.objective,
            start,
            self.tol * (problem.objective.unit or 1.0),
            NewtonSettings(max_steps=self.max_steps, max_iter=500, forcing=0.3),
        )
        return ForgetOutcome(
            theta=result.theta,
            method="warm refit",
            guarantee="refit",
            status=result.status.value,
            n_steps=result.n_steps,
            n_products=result.n_products,
            n_rows_updated=len(result.theta),
            gradient_norm=result.gradient_norm,
            bound=result.gradient_norm[1],
            converged=result.converged,
        )
