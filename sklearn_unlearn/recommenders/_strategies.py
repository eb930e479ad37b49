"""The strategies of forgetting by their names, and the check of what is passed as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sklearn_unlearn.influence import InfluenceUnlearner, RefitUnlearner, SweepUnlearner

__all__ = ["STRATEGIES", "check_unlearner", "names_of"]

STRATEGIES = {
    "influence": InfluenceUnlearner,
    "sweep": SweepUnlearner,
    "refit": RefitUnlearner,
}


def names_of(kind: type) -> list[str]:
    """List the names of strategies that a class of recommenders takes, in the order above."""
    stated = getattr(kind, "_parameter_constraints", {}).get("unlearner", [])
    options = [getattr(one, "options", ()) for one in stated]
    known = set().union(*options) or set(STRATEGIES)
    return [name for name in STRATEGIES if name in known]


def check_unlearner(unlearner: Any, names: Iterable[str] = tuple(STRATEGIES)) -> None:
    """Refuse what is neither None, a name nor a strategy.

    Parameters
    ----------
    unlearner : object
        What was passed as `unlearner`.

    names : iterable of str, default=("influence", "sweep", "refit")
        The names that are known.

    Raises
    ------
    TypeError
        For a class in place of an object, and for anything without ``unlearn``.
    ValueError
        For another name.

    Examples
    --------
    >>> from sklearn_unlearn.recommenders._strategies import check_unlearner
    >>> check_unlearner("newton")
    Traceback (most recent call last):
    ...
    ValueError: unlearner is 'newton'; expected one of 'influence', 'sweep', 'refit'. ...
    """
    listed = ", ".join(map(repr, names))
    if isinstance(unlearner, type):
        raise TypeError(
            f"unlearner is the class {unlearner.__name__}; expected None, one of {listed}, or an "
            f"object with `unlearn`. Call it: unlearner={unlearner.__name__}()."
        )
    if isinstance(unlearner, str) and unlearner not in names:
        raise ValueError(
            f"unlearner is {unlearner!r}; expected one of {listed}. Choose one of these, or pass "
            "a strategy such as InfluenceUnlearner()."
        )
    if not (unlearner is None or isinstance(unlearner, str) or hasattr(unlearner, "unlearn")):
        raise TypeError(
            f"unlearner is {unlearner!r}; expected None, one of {listed}, or an object with "
            "`unlearn`. Pass for instance InfluenceUnlearner()."
        )
