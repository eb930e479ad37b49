"""Clocks that cannot be fooled."""

import copy
import gc
import time

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

from sklearn_unlearn import ALS, MatrixFactorization
from sklearn_unlearn.benchmarks import make_request
from sklearn_unlearn.benchmarks.measure._clocks import (
    as_in_memory,
    forget_peak,
    fresh_copy,
    model_bytes,
    time_calls,
    time_fit,
    time_forget,
)
from sklearn_unlearn.benchmarks.methods._settings import WarmRefit
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner

X = make_interactions(150, 60, random_state=0)


@pytest.fixture(scope="module")
def model():
    return MatrixFactorization(4, regularization=4.0, random_state=0).fit(X)


class FakeClock:
    """Time that passes only when told."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        for name in ("perf_counter", "process_time"):
            monkeypatch.setattr(time, name, lambda: self.now)
        monkeypatch.setattr(gc, "collect", lambda: self.spend(1000.0))

    def spend(self, seconds):
        self.now += seconds


@pytest.mark.parametrize("warm_up", [False, True])
def test_only_the_call_is_timed_on_a_subject_of_its_own(monkeypatch, warm_up):
    clock, subjects = FakeClock(monkeypatch), []
    lengths = iter([9.0] * warm_up + [2.0, 3.0, 5.0])

    def prepare():
        clock.spend(100.0)
        return object()

    def call(subject):
        subjects.append(subject)
        clock.spend(next(lengths))
        return len(subjects)

    timing = time_calls(prepare, call, 3, warm_up=warm_up)
    assert timing.seconds == timing.cpu_seconds == [2.0, 3.0, 5.0]
    assert timing.result == len(set(map(id, subjects))) == 3 + warm_up
    assert timing.to_dict()["seconds"] == 3.0
    assert timing.to_dict()["seconds_min"] == 2.0


def test_forgetting_is_timed_on_copies(model):
    request = make_request("median-user", X)
    before = model.user_factors_.copy()
    strategy = InfluenceUnlearner(tol=1e-2)
    timing = time_forget(model, request, strategy, 2)
    assert timing.result is not model and len(timing.seconds) == 2
    np.testing.assert_array_equal(model.user_factors_, before)
    assert model._interactions.n_interactions == X.nnz and not hasattr(model, "forget_report_")
    other = clone(model).fit(X).set_params(unlearner=strategy).forget(**request.arguments)
    np.testing.assert_array_equal(timing.result.user_factors_, other.user_factors_)
    assert timing.products == other.forget_report_.n_solver_iter > 0


def test_a_model_that_keeps_the_data_is_found_out(model):
    class Pretender(MatrixFactorization):
        def forget(self, **request):
            self.forget_report_ = None
            return self

    liar = Pretender(4, random_state=0).fit(X)
    with pytest.raises(RuntimeError, match=r"forget left \d+ interactions; \d+ were expected"):
        time_forget(liar, make_request("pair", X), InfluenceUnlearner(), 1)


def test_copies_are_whole(model):
    twin = fresh_copy(model)
    for name, value in vars(model).items():
        if isinstance(value, np.ndarray):
            assert not np.shares_memory(value, vars(twin)[name])
    assert not np.shares_memory(twin._interactions.values, model._interactions.values)
    assert ("transpose" in twin._interactions._cache) == ("transpose" in model._interactions._cache)
    assert not fresh_copy(model, loaded=True)._interactions._cache


def test_products_of_a_fit_are_those_of_its_optimizer():
    estimator = MatrixFactorization(4, regularization=4.0, random_state=0)
    timing = time_fit(estimator, X, 2)
    result = clone(estimator).fit(X)._minimize(timing.result._interactions, 0)[0]
    assert timing.products == result.n_products > 0
    assert len(timing.seconds) == 2
    assert "_minimize" not in vars(timing.result)
    assert not hasattr(estimator, "user_factors_")


def test_peak_counts_what_forget_holds(model):
    class Hungry(BaseEstimator):
        def __init__(self, n_bytes=0):
            self.n_bytes = n_bytes

        def unlearn(self, problem):
            ballast = np.ones(self.n_bytes, np.uint8)
            outcome = WarmRefit().unlearn(problem)
            del ballast
            return outcome

    request = make_request("pair", X)
    lean, fat = (forget_peak(model, request, Hungry(n)) for n in (0, 10_000_000))
    assert lean < 2_000_000
    assert fat - lean == pytest.approx(10_000_000, abs=500_000)


def test_a_copy_is_as_its_model_is_in_memory():
    joint = ALS(4, n_sweeps=1, max_iter=0, tol=1.0, random_state=0).fit(abs(X))
    apart, twin = copy.deepcopy(joint), fresh_copy(joint)
    assert joint.user_factors_.base is joint.item_factors_.base is not None
    assert twin.user_factors_.base is twin.item_factors_.base is not None
    for other in (fresh_copy(apart), fresh_copy(joint, loaded=True)):
        assert other.user_factors_.base is None
    for name in ("user_factors_", "item_factors_"):
        np.testing.assert_array_equal(getattr(twin, name), getattr(joint, name))
        assert not np.shares_memory(getattr(twin, name), getattr(joint, name))
    assert "transpose" not in apart._interactions._cache
    as_in_memory(apart)
    assert "transpose" in apart._interactions._cache
    assert apart.user_factors_.base is apart.item_factors_.base is not None
    np.testing.assert_array_equal(apart.item_factors_, joint.item_factors_)


def test_bytes_of_a_model(model):
    factors = sum(v.nbytes for v in vars(model).values() if isinstance(v, np.ndarray))
    # int32 item and user, int32 position, float64 value.
    assert model_bytes(model) == factors + X.nnz * (4 + 4 + 4 + 8) + 8 * (151 + 61)


def test_warm_refit_reaches_the_tolerance_of_the_fit(model):
    request = make_request("random-1%", X)
    refitted = time_forget(model, request, WarmRefit(1e-8), 1).result
    objective = refitted._make_objective(refitted._interactions)
    left = np.linalg.norm(objective.gradient(refitted._theta(objective.layout)))
    assert left <= 1e-8 * objective.gradient_scale


def test_warm_refit_leaves_nothing_of_an_emptied_user():
    joint = ALS(4, tol=1e-4, random_state=0).fit(abs(X).astype(np.float32))
    request = make_request("median-user", abs(X))
    refitted = time_forget(joint, request, WarmRefit(1e-6), 1).result
    assert (refitted.user_factors_[request.users] == 0).all()
    assert refitted.user_factors_.dtype == np.float32
