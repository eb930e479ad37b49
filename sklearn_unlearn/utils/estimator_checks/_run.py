"""Run the checks: one by one, at once, or as tests of pytest."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from sklearn.utils import get_tags

from sklearn_unlearn.exceptions import ForgetFallbackWarning
from sklearn_unlearn.utils._tags import get_forget_tags
from sklearn_unlearn.utils.estimator_checks._by_ids import ByIds
from sklearn_unlearn.utils.estimator_checks._registry import (
    checks_by_ids,
    checks_by_positions,
    checks_of_learning,
    encoder_checks,
)

__all__ = [
    "check_encoder",
    "check_forgetting",
    "parametrize_with_forget_checks",
    "yield_forget_checks",
]


def yield_forget_checks(estimator: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield every check for an estimator, with its name.

    Parameters
    ----------
    estimator : estimator object
        An instance with ``forget``, of positions or of events with ids. It is cloned, never fitted
        itself.

    Yields
    ------
    name : str
        Name of the check.

    check : callable
        Takes no argument; raises AssertionError if the estimator does not behave.

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.utils.estimator_checks import yield_forget_checks
    >>> names = [name for name, _ in yield_forget_checks(MatrixFactorization())]
    >>> "check_forget_equals_refit" in names
    True
    >>> from sklearn_unlearn.pipeline import make_recommender_pipeline
    >>> from sklearn_unlearn.preprocessing import InteractionEncoder
    >>> pipeline = make_recommender_pipeline(InteractionEncoder(), MatrixFactorization())
    >>> of_ids = [name for name, _ in yield_forget_checks(pipeline)]
    >>> len(names), len(of_ids), "check_ids_are_erased" in of_ids
    (41, 47, True)
    """
    label = type(estimator).__name__
    if get_tags(estimator).input_tags.two_d_array:
        learning = checks_of_learning() if hasattr(estimator, "learn") else []
        for check in [*checks_by_positions(), *learning]:
            yield check.__name__, partial(_run, check, label, estimator)
        return
    for check, speaks_positions in checks_by_ids(estimator.get_params(deep=False)):
        asked = ByIds(estimator) if speaks_positions else estimator
        yield check.__name__, partial(_run, check, label, asked)


def _run(check: Callable[[str, Any], None], label: str, estimator: Any) -> None:
    """Run a check. A refit that a strategy fell back on is a right answer: no warning of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForgetFallbackWarning)
        check(label, estimator)


def check_forgetting(estimator: Any) -> list[str]:
    """Run every check on an estimator, and raise at the first that fails.

    Parameters
    ----------
    estimator : estimator object
        An instance with ``forget``. It is cloned, never fitted itself.

    Returns
    -------
    passed : list of str
        Names of the checks, all of which passed.

    Raises
    ------
    AssertionError
        If the estimator does not behave as the contract says.
    TypeError
        If it has no ``forget`` at all, or is a class.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn_unlearn.utils.estimator_checks import check_forgetting
    >>> check_forgetting(Ridge())
    Traceback (most recent call last):
    ...
    TypeError: Ridge has no forget method or no forget tags; expected an estimator that forgets. ...
    """
    _require_forgets(estimator)
    passed = []
    for name, check in yield_forget_checks(estimator):
        check()
        passed.append(name)
    return passed


def check_encoder(encoder: Any) -> list[str]:
    """Run every check of an encoder, and raise at the first that fails.

    Parameters
    ----------
    encoder : estimator object
        An instance such as `InteractionEncoder`: ``fit``, ``transform``, ``inverse_transform``,
        ``encode_*``, ``decode_*``, ``transform_new_users``, ``forget_users``, and parameters
        `user`, `item`, `value`, `unknown`. It is cloned, never fitted itself.

    Returns
    -------
    passed : list of str
        Names of the checks, all of which passed.

    Raises
    ------
    AssertionError
        If the encoder does not behave: events that do not come back, an id that stays or shows.
    TypeError
        If it encodes nothing, or is a class.

    Examples
    --------
    >>> from sklearn_unlearn.preprocessing import InteractionEncoder
    >>> from sklearn_unlearn.utils.estimator_checks import check_encoder
    >>> len(check_encoder(InteractionEncoder(value="stars")))
    6
    """
    _require_instance(encoder)
    if not hasattr(encoder, "encode_pairs"):
        raise TypeError(
            f"{type(encoder).__name__} has no encode_pairs; expected an encoder of events. Derive "
            "from InteractionEncoder."
        )
    checks = encoder_checks()
    for check in checks:
        check(type(encoder).__name__, encoder)
    return [check.__name__ for check in checks]


def parametrize_with_forget_checks(estimators: Iterable[Any]) -> Any:
    """Make a pytest test of every check of every estimator.

    Parameters
    ----------
    estimators : iterable of estimator objects
        Instances with ``forget``.

    Returns
    -------
    decorator : pytest.mark.parametrize
        For a test function with the argument ``check``, which it calls.

    Raises
    ------
    TypeError
        If one of them has no ``forget`` at all, or is a class.

    Examples
    --------
    ::

        @parametrize_with_forget_checks([MatrixFactorization()])
        def test_forgetting(check):
            check()
    """
    import pytest

    cases = []
    for estimator in estimators:
        _require_forgets(estimator)
        label = " ".join(repr(estimator).split())
        for name, check in yield_forget_checks(estimator):
            cases.append(pytest.param(check, id=f"{label}-{name}"))
    return pytest.mark.parametrize("check", cases)


def _require_instance(estimator: Any) -> None:
    if isinstance(estimator, type):
        raise TypeError(
            f"{estimator.__name__} is a class; expected an instance. Call it: "
            f"{estimator.__name__}()."
        )


def _require_forgets(estimator: Any) -> None:
    _require_instance(estimator)
    if not hasattr(estimator, "forget") or get_forget_tags(estimator) is None:
        raise TypeError(
            f"{type(estimator).__name__} has no forget method or no forget tags; expected an "
            "estimator that forgets. Build it on ForgetMixin and RecommenderMixin."
        )
