"""Local growth: what its report says where there was nothing to solve."""

import numpy as np

from sklearn_unlearn import MatrixFactorization


def test_a_request_that_changes_no_gradient_says_how_it_ended():
    """All ratings equal their mean: the factors are zero, and stay so."""
    model = MatrixFactorization(4, loss="squared", random_state=0).fit(np.ones((20, 15)))
    report = model.forget([[1, 2]]).forget_report_
    assert report.guarantee == "residual-bounded" and report.residual == 0
    assert report.status.startswith("the residual met the tolerance")
