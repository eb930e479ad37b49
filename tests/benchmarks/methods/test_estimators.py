"""Names and text into estimators."""

import pytest

from sklearn_unlearn.benchmarks.methods._estimators import (
    PRESETS,
    learns_from_positives,
    make_estimator,
)

MADE = {"labels": True, "n_jobs": 2, "seed": 7}


def test_parameters_override_the_preset():
    estimator = make_estimator("MatrixFactorization", "bc", "n_factors=3", **MADE)
    preset = PRESETS["MatrixFactorization"]["bc"]
    assert estimator.get_params() == estimator.get_params() | preset | {
        "n_factors": 3,
        "loss": "logistic",
        "n_jobs": 2,
        "random_state": 7,
    }


def test_ratings_get_the_squared_loss():
    made = {**MADE, "labels": False}
    assert make_estimator("MatrixFactorization", "ml", "", **made).loss == "squared"
    with pytest.raises(ValueError, match=r"loss='logistic' for ratings; expected labels. Pass"):
        make_estimator("MatrixFactorization", "ml", "loss=logistic", **made)


@pytest.mark.parametrize(
    ("name", "preset", "params", "message"),
    [
        ("SVD", "ml", "", r"Got the estimator 'SVD'; expected one of ALS, BPR.*Choose"),
        ("MatrixFactorization", "x", "", r"Got the preset 'x'; expected one of bc, ml.*Choose"),
        ("MatrixFactorization", "ml", "rank=3", r"Got the parameter .*'rank'; expected.*Choose"),
        ("MatrixFactorization", "ml", "n_factors", r"expected NAME=VALUE pairs.*Write"),
        ("MatrixFactorization", "ml", "3", r"expected NAME=VALUE pairs.*Write"),
        ("MatrixFactorization", "ml", "n_factors=f(1)", r"expected NAME=VALUE pairs.*Write"),
        (
            "MatrixFactorization",
            "ml",
            "tol=-1",
            r"The 'tol' parameter .* must be .* Got -1.* Change it",
        ),
    ],
)
def test_bad_estimators(name, preset, params, message):
    with pytest.raises(ValueError, match=message):
        make_estimator(name, preset, params, **MADE)


def test_als_has_no_loss():
    made = {**MADE, "labels": False}
    estimator = make_estimator("ALS", "ml", "n_factors=3, tol=1e-3", **made)
    preset = PRESETS["ALS"]["ml"] | {"n_factors": 3, "tol": 1e-3, "n_jobs": 2, "random_state": 7}
    assert estimator.get_params() == estimator.get_params() | preset
    with pytest.raises(ValueError, match="Got the parameter of ALS 'loss'; expected"):
        make_estimator("ALS", "ml", "loss=squared", **made)


def test_who_learns_from_positives():
    assert learns_from_positives("ALS") and not learns_from_positives("MatrixFactorization")
    with pytest.raises(ValueError, match=r"Got the estimator 'SVD'; expected one of ALS.*Choose"):
        learns_from_positives("SVD")
