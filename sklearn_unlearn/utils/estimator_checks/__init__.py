"""Checks that any estimator with ``forget`` can be held to, to run beside scikit-learn's own.

They use the public contract only: ``fit``, ``forget``, ``recommend``, ``decision_function``,
``predict_pairs``, ``forget_report_``, tags, ``clone``, ``copy``, ``pickle``. The data are made
here, small and deterministic. Estimators tagged ``exact`` must equal a refit to 1e-8; others may
leave 2 % of the distance between doing nothing and the refit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from sklearn_unlearn.utils._tags import get_forget_tags
from sklearn_unlearn.utils.estimator_checks._outcome import (
    check_forget_dense_equals_sparse,
    check_forget_equals_refit,
    check_forget_everything,
    check_forget_is_deterministic,
    check_forget_item,
    check_forget_order_is_irrelevant,
    check_forget_random_states,
    check_forget_sequential_equals_batch,
    check_forget_user,
    check_refit_after_forget_is_fresh,
)
from sklearn_unlearn.utils.estimator_checks._requests import (
    check_forget_empty_request,
    check_forget_invalid_requests_are_atomic,
    check_forget_is_idempotent,
    check_forget_keeps_shapes,
    check_forget_leaves_params,
    check_forget_request_forms,
    check_forget_returns_self,
    check_forget_unfitted,
    check_forget_unknown_is_named,
)
from sklearn_unlearn.utils.estimator_checks._serving import (
    check_concurrent_forgets_are_all_applied,
    check_forget_tags,
    check_forgotten_item_is_recommendable,
    check_recommend_during_forget_is_never_torn,
    check_recommend_follows_scores_after_forget,
)
from sklearn_unlearn.utils.estimator_checks._traces import (
    check_forget_copies_are_isolated,
    check_forget_input_is_not_aliased,
    check_forget_leaves_nothing_in_memory,
    check_forget_leaves_nothing_in_pickle,
    check_forget_leaves_nothing_stale,
    check_forget_on_read_only_memmap,
    check_forget_pickle_round_trip,
    check_forget_report_holds_no_data,
    check_forget_shows_no_ids,
    check_forget_writes_nothing_in_place,
)

_CHECKS = (
    check_forget_dense_equals_sparse,
    check_forget_equals_refit,
    check_forget_everything,
    check_forget_is_deterministic,
    check_forget_item,
    check_forget_order_is_irrelevant,
    check_forget_random_states,
    check_forget_sequential_equals_batch,
    check_forget_user,
    check_refit_after_forget_is_fresh,
    check_forget_empty_request,
    check_forget_invalid_requests_are_atomic,
    check_forget_is_idempotent,
    check_forget_keeps_shapes,
    check_forget_leaves_params,
    check_forget_request_forms,
    check_forget_returns_self,
    check_forget_unfitted,
    check_forget_unknown_is_named,
    check_concurrent_forgets_are_all_applied,
    check_forget_tags,
    check_forgotten_item_is_recommendable,
    check_recommend_during_forget_is_never_torn,
    check_recommend_follows_scores_after_forget,
    check_forget_copies_are_isolated,
    check_forget_input_is_not_aliased,
    check_forget_leaves_nothing_in_memory,
    check_forget_leaves_nothing_in_pickle,
    check_forget_leaves_nothing_stale,
    check_forget_on_read_only_memmap,
    check_forget_pickle_round_trip,
    check_forget_report_holds_no_data,
    check_forget_shows_no_ids,
    check_forget_writes_nothing_in_place,
)

__all__ = [
    "check_concurrent_forgets_are_all_applied",
    "check_forget_copies_are_isolated",
    "check_forget_dense_equals_sparse",
    "check_forget_empty_request",
    "check_forget_equals_refit",
    "check_forget_everything",
    "check_forget_input_is_not_aliased",
    "check_forget_invalid_requests_are_atomic",
    "check_forget_is_deterministic",
    "check_forget_is_idempotent",
    "check_forget_item",
    "check_forget_keeps_shapes",
    "check_forget_leaves_nothing_in_memory",
    "check_forget_leaves_nothing_in_pickle",
    "check_forget_leaves_nothing_stale",
    "check_forget_leaves_params",
    "check_forget_on_read_only_memmap",
    "check_forget_order_is_irrelevant",
    "check_forget_pickle_round_trip",
    "check_forget_random_states",
    "check_forget_report_holds_no_data",
    "check_forget_request_forms",
    "check_forget_returns_self",
    "check_forget_sequential_equals_batch",
    "check_forget_shows_no_ids",
    "check_forget_tags",
    "check_forget_unfitted",
    "check_forget_unknown_is_named",
    "check_forget_user",
    "check_forget_writes_nothing_in_place",
    "check_forgetting",
    "check_forgotten_item_is_recommendable",
    "check_recommend_during_forget_is_never_torn",
    "check_recommend_follows_scores_after_forget",
    "check_refit_after_forget_is_fresh",
    "parametrize_with_forget_checks",
    "yield_forget_checks",
]


def yield_forget_checks(estimator: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield every check for an estimator, with its name.

    Parameters
    ----------
    estimator : estimator object
        An instance with ``forget``. It is cloned, never fitted itself.

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
    """
    label = type(estimator).__name__
    for check in _CHECKS:
        yield check.__name__, partial(check, label, estimator)


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


def _require_forgets(estimator: Any) -> None:
    if isinstance(estimator, type):
        raise TypeError(
            f"{estimator.__name__} is a class; expected an instance. Call it: "
            "{estimator.__name__}()."
        )
    if not hasattr(estimator, "forget") or get_forget_tags(estimator) is None:
        raise TypeError(
            f"{type(estimator).__name__} has no forget method or no forget tags; expected an "
            "estimator that forgets. Build it on ForgetMixin and RecommenderMixin."
        )
