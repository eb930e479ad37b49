"""Estimators, their presets, and the ways to forget that are compared."""

from __future__ import annotations

import ast
import re
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags

from sklearn_unlearn.benchmarks.methods._graph import OldGraph, Unpropagated
from sklearn_unlearn.influence import InfluenceUnlearner, SweepUnlearner
from sklearn_unlearn.influence._problem import ForgetOutcome, ForgetProblem
from sklearn_unlearn.recommenders import ALS, BPR, LightGCN, MatrixFactorization
from sklearn_unlearn.solvers._newton import NewtonSettings, newton

__all__ = [
    "ESTIMATORS",
    "PRESETS",
    "SETTINGS",
    "WarmRefit",
    "check_settings",
    "is_drawn",
    "learns_from_positives",
    "make_estimator",
    "make_settings",
    "parse_params",
]

ESTIMATORS = {
    "ALS": ALS,
    "BPR": BPR,
    "LightGCN": LightGCN,
    "MatrixFactorization": MatrixFactorization,
}

#: Hyper-parameters by kind of data: "ml" for dense ratings of films, "bc" for sparse ones of books.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "ALS": {
        "ml": {"n_factors": 64, "regularization": 20.0, "alpha": 10.0},
        "bc": {"n_factors": 64, "regularization": 20.0, "alpha": 10.0},
        "synthetic": {"n_factors": 16, "regularization": 20.0, "alpha": 10.0},
    },
    "BPR": {
        "ml": {"n_factors": 32, "regularization": 1.5, "bias_regularization": 4.0},
        "bc": {"n_factors": 32, "regularization": 1.5, "bias_regularization": 4.0},
        "synthetic": {"n_factors": 16, "regularization": 1.5, "bias_regularization": 4.0},
    },
    "LightGCN": {
        "ml": {"n_factors": 32, "n_layers": 2, "regularization": 0.3},
        "bc": {"n_factors": 32, "n_layers": 2, "regularization": 0.3},
        "synthetic": {"n_factors": 24, "n_layers": 2, "regularization": 0.4},
    },
    "MatrixFactorization": {
        "ml": {"n_factors": 32, "regularization": 10.0, "bias_regularization": 1.0},
        "bc": {"n_factors": 16, "regularization": 12.0, "bias_regularization": (0.7, 8.0)},
        "synthetic": {"n_factors": 16, "regularization": 6.0, "bias_regularization": 1.0},
    },
}

# What public programs do to graph models, to be seen beside what is right.
_GRAPH: dict[str, Any] = {"old-graph": OldGraph, "unpropagated": Unpropagated}

#: What the command compares unless told otherwise.
SETTINGS = ("default", "tol=1e-2", "one-step")


def make_estimator(
    name: str, preset: str, params: str, *, labels: bool, n_jobs: int, seed: int
) -> BaseEstimator:
    """Make an estimator from names and text.

    Parameters
    ----------
    name : str
        Class name.

    preset : str
        Key of `PRESETS`.

    params : str
        More parameters, as in a call: ``"n_factors=24, bias_regularization=(0.7, 8)"``.

    labels : bool
        Whether the values of the data are labels; sets the loss where the estimator has one.

    n_jobs, seed : int
        Threads and ``random_state``.

    Returns
    -------
    estimator : BaseEstimator
        Not fitted, its parameters validated.

    Raises
    ------
    ValueError
        For an unknown name, or a parameter that does not exist or is out of range.
    """
    estimator = _look_up(ESTIMATORS, name, "estimator")(n_jobs=n_jobs, random_state=seed)
    given: dict[str, Any] = {}
    from_values = "loss" in estimator.get_params() and not learns_from_positives(name)
    if from_values:
        given = {"loss": "logistic" if labels else "squared"}
    given |= _look_up(PRESETS[name], preset, "preset") | parse_params(params)
    for parameter in given:
        _look_up(estimator.get_params(), parameter, f"parameter of {name}")
    if from_values and given["loss"] == "logistic" and not labels:
        raise ValueError(
            "Got loss='logistic' for ratings; expected labels. Pass --threshold to make labels of "
            "them, or loss=squared."
        )
    estimator.set_params(**given)
    try:
        estimator._validate_params()
    except ValueError as error:
        raise ValueError(f"{error} Change it with --params.") from None
    return estimator


def learns_from_positives(name: str) -> bool:
    """Tell whether an estimator takes implicit feedback: what was observed, and no dislikes."""
    tags = get_tags(_look_up(ESTIMATORS, name, "estimator")())
    return bool(tags.input_tags.positive_only)


def is_drawn(estimator: BaseEstimator) -> bool:
    """Tell whether the seed draws what is learned from, so that another one is another problem."""
    params = estimator.get_params(deep=False)
    return "n_negatives" in params and params.get("loss") != "weighted"


def _look_up(table: dict[str, Any], key: str, what: str) -> Any:
    if key not in table:
        raise ValueError(
            f"Got the {what} {key!r}; expected one of {', '.join(sorted(table))}. Choose from "
            "these."
        )
    return table[key]


def parse_params(text: str) -> dict[str, Any]:
    """Read keyword arguments; a bare word is text.

    Examples
    --------
    >>> from sklearn_unlearn.benchmarks.methods._estimators import parse_params
    >>> parse_params("n_factors=24, bias_regularization=(0.7, 8), loss=squared")
    {'n_factors': 24, 'bias_regularization': (0.7, 8), 'loss': 'squared'}
    """
    try:
        call = ast.parse(f"call({text})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError(text)
        return {str(word.arg): _literal(word.value) for word in call.keywords}
    except (SyntaxError, ValueError):
        raise ValueError(
            f"Got the parameters {text!r}; expected NAME=VALUE pairs separated by commas. Write, "
            "for instance, 'n_factors=24,regularization=10'."
        ) from None


def _literal(node: ast.expr) -> Any:
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


def make_settings(names: list[str]) -> dict[str, BaseEstimator | None]:
    """Make the strategies to compare.

    Parameters
    ----------
    names : list of str
        ``"default"``, the model's own; ``"tol=NUMBER"``; ``"one-step"``: one influence step and no
        tolerance, the setting of IFRU; ``"touched"``, ``"touched x2"``: one sweep, or two, of the
        rows that lost an interaction; ``"old-graph"``, ``"unpropagated"``: see `_graph`.

    Returns
    -------
    settings : dict of str to strategy or None

    Raises
    ------
    ValueError
        For any other name.
    """
    settings: dict[str, BaseEstimator | None] = {}
    for name in names:
        tol = re.fullmatch(r"tol=([0-9.]+(?:e-?\d+)?)", name)
        sweeps = re.fullmatch(r"touched(?: x([1-9]\d*))?", name)
        if name == "default":
            settings[name] = None
        elif name == "one-step":
            settings[name] = InfluenceUnlearner(n_steps=1, tol=None)
        elif name in _GRAPH:
            settings[name] = _GRAPH[name]()
        elif tol and 0 < float(tol[1]) < 1:
            settings[name] = InfluenceUnlearner(tol=float(tol[1]))
        elif sweeps:
            n_sweeps = int(sweeps[1] or 1)
            settings[name] = SweepUnlearner(scope="touched", n_sweeps=n_sweeps, tol=None)
        else:
            raise ValueError(
                f"Got the setting {name!r}; expected 'default', 'one-step', 'touched', "
                "'touched xN', 'old-graph', 'unpropagated' or 'tol=NUMBER' with a number between 0 "
                "and 1. Choose from these, separated by commas."
            )
    return settings


def check_settings(settings: dict[str, BaseEstimator | None], estimator: BaseEstimator) -> None:
    """Refuse, with a ValueError, strategies that mean nothing to an estimator."""
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
            self.tol * problem.objective.gradient_scale,
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
