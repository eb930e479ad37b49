"""GraphFilter keeps scikit-learn's contract and ours."""

import pytest
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_unlearn import GraphFilter
from sklearn_unlearn.utils.estimator_checks import parametrize_with_forget_checks

DEFAULTS = [GraphFilter(), GraphFilter(0), GraphFilter(2)]
SMALL = [GraphFilter(0), GraphFilter(2), GraphFilter(3), GraphFilter(10)]


@parametrize_with_checks(DEFAULTS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_forget_checks(SMALL)
def test_forget_checks(check):
    check()


@pytest.mark.parametrize("estimator", DEFAULTS)
def test_no_scikit_learn_check_is_skipped(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) > 30
    assert {result["status"] for result in results} == {"passed"}
