"""Estimators to compare, by short name or import path, and their presets."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils import get_tags

from sklearn_unlearn.benchmarks.methods._import_path import (
    is_import_path,
    make_imported,
    parse_params,
)
from sklearn_unlearn.recommenders import ALS, BPR, LightGCN, MatrixFactorization

__all__ = [
    "ESTIMATORS",
    "PRESETS",
    "choose_preset",
    "is_drawn",
    "learns_from_positives",
    "make_estimator",
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

# What every benchmark calls.
_METHODS = ("fit", "forget", "recommend", "predict_pairs", "get_params", "__sklearn_tags__")


def make_estimator(
    name: str, preset: str | None, params: str, *, labels: bool, n_jobs: int, seed: int
) -> BaseEstimator:
    """Make an estimator from names and text.

    Parameters
    ----------
    name : str
        Key of `ESTIMATORS`, or an import path: ``"module:Class"`` or
        ``"module:Class(name=value, ...)"``.

    preset : str or None
        Key of `PRESETS`; None takes the estimator's defaults.

    params : str
        More parameters, as in a call: ``"n_factors=24, bias_regularization=(0.7, 8)"``.

    labels : bool
        Whether the values of the data are labels; sets the loss where an estimator of `ESTIMATORS`
        has one.

    n_jobs, seed : int
        Threads and ``random_state``, where the estimator has them.

    Returns
    -------
    estimator : BaseEstimator
        Not fitted, its parameters validated.

    Raises
    ------
    ValueError
        For an unknown name, or a parameter that does not exist or is out of range.
    """
    estimator = _unset(name)
    own = estimator.get_params()
    made = {"n_jobs": n_jobs, "random_state": seed}
    given: dict[str, Any] = {key: value for key, value in made.items() if key in own}
    from_values = name in ESTIMATORS and "loss" in own and not learns_from_positives(name)
    if from_values:
        given["loss"] = "logistic" if labels else "squared"
    if preset is not None:
        given |= _look_up(PRESETS[name], preset, "preset")
    given |= parse_params(params)
    for parameter in given:
        _look_up(own, parameter, f"parameter of {type(estimator).__name__}")
    if from_values and given["loss"] == "logistic" and not labels:
        raise ValueError(
            "Got loss='logistic' for ratings; expected labels. Pass --threshold to make labels of "
            "them, or loss=squared."
        )
    estimator.set_params(**given)
    if hasattr(estimator, "_parameter_constraints"):
        try:
            estimator._validate_params()
        except ValueError as error:
            raise ValueError(f"{error} Change it with --params.") from None
    return estimator


def _unset(name: str) -> Any:
    """Make an estimator with the parameters that its name holds."""
    if is_import_path(name):
        return make_imported(name, "estimator", _METHODS)
    if name not in ESTIMATORS:
        raise ValueError(
            f"Got the estimator {name!r}; expected one of {', '.join(sorted(ESTIMATORS))}, or "
            "module:Class. Choose from these."
        )
    return ESTIMATORS[name]()


def choose_preset(preset: str | None, estimator: str, problem: str) -> str | None:
    """Return the preset that was asked for, else that of the data; None for an import path.

    Raises
    ------
    ValueError
        If a preset was asked for and the estimator is an import path.
    """
    if is_import_path(estimator):
        if preset is not None:
            raise ValueError(
                f"Got the preset {preset!r} for {estimator!r}; expected none, as presets are of "
                f"{', '.join(PRESETS)} alone. Pass --params."
            )
        return None
    return preset or ("synthetic" if problem.startswith("synthetic") else "ml")


def learns_from_positives(name: str) -> bool:
    """Tell whether an estimator takes implicit feedback: what was observed, and no dislikes."""
    return bool(get_tags(_unset(name)).input_tags.positive_only)


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
