"""Every estimator, every loss: scikit-learn's checks and ours, with no expected failure."""

import pytest
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_unlearn import ALS, LightGCN, MatrixFactorization
from sklearn_unlearn.utils.estimator_checks import parametrize_with_forget_checks

SETTINGS = [
    {"loss": loss, "fit_bias": fit_bias}
    for loss in ("logistic", "squared")
    for fit_bias in (True, False)
]
DEFAULTS = [MatrixFactorization(**setting) for setting in SETTINGS]
DEFAULTS += [ALS(), ALS(8, frequency_scaling=0.5), ALS(4, max_iter=0)]
DEFAULTS += [LightGCN(loss=loss) for loss in ("bpr", "logistic", "weighted")]
# Well-posed on the checks' small data: more factors than the optimum's rank.
SMALL = [MatrixFactorization(28, regularization=2.0, **setting) for setting in SETTINGS]
SMALL += [
    MatrixFactorization(28, regularization=2.0, unlearner="refit"),
    MatrixFactorization(28, regularization=2.0, global_mean=True),
    MatrixFactorization(28, regularization=2.0, unlearner="sweep"),
    ALS(),
    ALS(28, regularization=4.0, alpha=5.0),
    ALS(28, regularization=2.0, alpha=5.0, frequency_scaling=0.5),
    ALS(28, regularization=0.3, alpha=5.0, frequency_scaling=1.0, frequency_offset=(20.0, 10.0)),
    ALS(28, regularization=4.0, alpha=5.0, unlearner="sweep"),
    ALS(28, regularization=4.0, alpha=5.0, unlearner="refit"),
]
SMALL += [
    LightGCN(16, regularization=0.6),
    LightGCN(16, loss="logistic", regularization=0.6, n_layers=2, frequency_scaling=0.2),
    LightGCN(16, loss="weighted", alpha=5.0, regularization=3.0, n_layers=2),
    LightGCN(16, loss="weighted", alpha=5.0, regularization=3.0, unlearner="refit"),
]
# A penalty that the fit chooses.
AUTO = {"regularization": "auto", "regularization_share": 0.3}
DEFAULTS += [ALS(8, **AUTO), MatrixFactorization(8, **AUTO), ALS("auto", **AUTO)]
SMALL += [MatrixFactorization(28, **AUTO), ALS(28, **AUTO), LightGCN(16, n_layers=1, **AUTO)]
# Columns that the penalty asks for.
SMALL += [
    MatrixFactorization("auto", regularization=2.0),
    ALS("auto", regularization=4.0, alpha=5.0),
    LightGCN("auto", loss="weighted", alpha=5.0, regularization=3.0, n_layers=2),
]


@parametrize_with_checks(DEFAULTS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_forget_checks(SMALL)
def test_forget_checks(check):
    check()


@pytest.mark.parametrize("estimator", DEFAULTS)
def test_no_scikit_learn_check_is_skipped(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) > 50
    assert {result["status"] for result in results} == {"passed"}
