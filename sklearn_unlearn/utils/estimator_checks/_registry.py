"""Registry of the checks: decorators that enter a check, and selections of what was entered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = [
    "checks_by_ids",
    "checks_by_positions",
    "checks_of_learning",
    "encoder_check",
    "encoder_checks",
    "forget_check",
    "public_checks",
]

Check = Callable[[str, Any], None]

# The order in which the checks are run: by what they are about, then by name. By name, so that the
# order does not depend on which module is imported first.
_SUBJECTS = ("outcome", "request", "serving", "traces", "ids", "steps", "memory", "learning")
_BY_IDS_ALONE = ("ids", "steps", "memory")
_PARAMETERS = ("steps", "memory")
_LEARNING = "learning"


class _Entry(NamedTuple):
    subject: str
    check: Check
    instead_of: Check | None


_FORGET_CHECKS: dict[str, _Entry] = {}
_ENCODER_CHECKS: dict[str, Check] = {}


def forget_check(subject: str, instead_of: Check | None = None) -> Callable[[Check], Check]:
    """Enter a check of an estimator that forgets; the function itself stays as it is.

    Parameters
    ----------
    subject : {"outcome", "request", "serving", "traces", "ids", "steps", "memory", "learning"}
        What the check is about. The first four are for every estimator, ``"ids"`` for those that
        take events with ids (their tag ``input_tags.two_d_array`` is False), ``"steps"`` and
        ``"memory"`` for those among them that have the parameter of that name; ``"learning"`` is
        for those that take positions and have ``learn``.

    instead_of : callable, default=None
        The check of positions whose place this one takes for estimators that take ids.

    Returns
    -------
    decorator : callable
        For a function of the name to show and the estimator.

    Raises
    ------
    ValueError
        If the subject is unknown, or a check of that name is there already.

    Examples
    --------
    >>> from sklearn_unlearn.utils.estimator_checks._registry import forget_check
    >>> forget_check("weather")
    Traceback (most recent call last):
    ...
    ValueError: forget_check got subject 'weather'; expected one of outcome, request, ...
    """
    if subject not in _SUBJECTS:
        raise ValueError(
            f"forget_check got subject {subject!r}; expected one of {', '.join(_SUBJECTS)}. Pass "
            "one of them, or add a new one to the registry at its place in the order."
        )

    def enter(check: Check) -> Check:
        _require_new(check)
        _FORGET_CHECKS[check.__name__] = _Entry(subject, check, instead_of)
        return check

    return enter


def encoder_check(check: Check) -> Check:
    """Enter a check of an encoder alone; they are run in the order of their definition."""
    _require_new(check)
    _ENCODER_CHECKS[check.__name__] = check
    return check


def _require_new(check: Check) -> None:
    if check.__name__ in public_checks():
        raise ValueError(
            f"{check.__name__} is registered twice; expected each check once. Rename one of the "
            "two functions."
        )


def public_checks() -> dict[str, Check]:
    """Return every check by its name."""
    return {name: entry.check for name, entry in _FORGET_CHECKS.items()} | _ENCODER_CHECKS


def encoder_checks() -> list[Check]:
    """Return the checks of an encoder, in their order."""
    return list(_ENCODER_CHECKS.values())


def _in_order() -> list[_Entry]:
    def key(entry: _Entry) -> tuple[int, str]:
        return _SUBJECTS.index(entry.subject), entry.check.__name__

    return sorted(_FORGET_CHECKS.values(), key=key)


def checks_by_positions() -> list[Check]:
    """Return the checks of an estimator that takes positions, in their order."""
    others = (*_BY_IDS_ALONE, _LEARNING)
    return [entry.check for entry in _in_order() if entry.subject not in others]


def checks_of_learning() -> list[Check]:
    """Return the checks of an estimator that takes positions and learns, in their order."""
    return [entry.check for entry in _in_order() if entry.subject == _LEARNING]


def checks_by_ids(parameters: Any) -> list[tuple[Check, bool]]:
    """Return the checks of an estimator that takes ids, each with whether it speaks positions.

    Parameters
    ----------
    parameters : container of str
        Names of the estimator's parameters.
    """
    entries = _in_order()
    versions = {e.instead_of: e.check for e in entries if e.instead_of is not None}
    of_positions = checks_by_positions()
    selected = [(versions.get(check, check), check not in versions) for check in of_positions]
    for subject, check, instead_of in entries:
        asked = subject not in _PARAMETERS or subject in parameters
        if subject in _BY_IDS_ALONE and instead_of is None and asked:
            selected.append((check, False))
    return selected
