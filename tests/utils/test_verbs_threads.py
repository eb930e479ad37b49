"""BLAS threads inside every verb, and after it."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from sklearn_unlearn import (
    ALS,
    EASE,
    TIFUKNN,
    GraphFilter,
    ItemKNN,
    MatrixFactorization,
    PolynomialFilter,
    SessionKNN,
    ShardedRecommender,
    SparseEASE,
)
from sklearn_unlearn.base import _InteractionsMixin
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.utils import _verbs
from sklearn_unlearn.utils._verbs import blas_threads

X = make_interactions(30, 20, feedback="implicit", random_state=0)
LABELS = make_interactions(30, 20, random_state=0)
MODELS = [
    MatrixFactorization(2, random_state=0, tol=1e-2),
    ALS(2, random_state=0, tol=1e-2),
    EASE(),
    ItemKNN(5),
    GraphFilter(2, random_state=0),
    PolynomialFilter(3),
    SparseEASE(5),
    SessionKNN(5),
    TIFUKNN(5),
    ShardedRecommender(EASE(), n_shards=2, random_state=0),
]
VERBS = {
    "fit": lambda model: model.fit(LABELS if hasattr(model, "loss") else X),
    "recommend": lambda model: model.recommend(users=[1], n_items=2),
    "decision_function": lambda model: model.decision_function(X[:3]),
    "predict_pairs": lambda model: model.predict_pairs([[0, 1]]),
    "score": lambda model: model.score(X),
    "forget": lambda model: model.forget(users=[4]),
    "transform": lambda model: model.transform(X[:3]),
    "certify": lambda model: model.certify(),
    "canonical_factors": lambda model: model.canonical_factors(),
    "inverse_transform": lambda model: model.inverse_transform(np.ones((2, 2))),
}


def n_threads():
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


class FakeLibrary:
    """A BLAS whose threads can be counted on a machine with one core too."""

    def __init__(self, n):
        self.n, self.most = n, 0

    def get_num_threads(self):
        return self.n

    def set_num_threads(self, n):
        self.n, self.most = n, max(self.most, n)


@pytest.fixture
def library(monkeypatch):
    fake = FakeLibrary(8)
    monkeypatch.setattr(_verbs, "_libraries", lambda: [fake])
    monkeypatch.setattr(_verbs, "_limits", _verbs._Limits())
    return fake


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("n_jobs, expected", [(None, 1), (2, 2)])
@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.ForgetFallbackWarning")
def test_every_verb_keeps_to_n_jobs(model, n_jobs, expected, library, monkeypatch):
    seen = []
    enter = _InteractionsMixin._threads

    def spy(self):
        context = enter(self)

        class Spied:
            def __enter__(self):
                context.__enter__()
                seen.append(library.n)

            def __exit__(self, *error):
                return context.__exit__(*error)

        return Spied()

    monkeypatch.setattr(_InteractionsMixin, "_threads", spy)
    model.set_params(n_jobs=n_jobs)
    for name, verb in VERBS.items():
        if hasattr(model, name):
            seen.clear()
            verb(model)
            assert seen, name
            # Parts of an ensemble have an `n_jobs` of their own, and some verbs are theirs alone.
            assert expected in seen or (hasattr(model, "n_shards") and name == "score"), name
            assert library.n == 8
    assert library.most == 8


def test_the_least_of_limits_that_overlap_holds_and_the_last_restores(library):
    first, second, third = blas_threads(4), blas_threads(2), blas_threads(16)
    first.__enter__()
    assert library.n == 4
    second.__enter__()
    third.__enter__()
    assert library.n == 2
    first.__exit__(None, None, None)
    assert library.n == 2
    second.__exit__(None, None, None)
    assert library.n == 8  # never more than there were
    third.__exit__(None, None, None)
    assert library.n == 8


def test_many_threads_leave_what_there_was(library):
    def work(number):
        for limit in (1, 3, number % 4 + 1):
            with blas_threads(limit):
                assert library.n <= limit

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    assert library.n == 8


def test_an_error_restores_the_threads(library):
    with pytest.raises(ZeroDivisionError), blas_threads(1):
        _ = 1 / 0
    assert library.n == 8


def test_a_block_of_joblib_counts(library):
    with joblib.parallel_config(backend="threading", n_jobs=3), blas_threads(None):
        assert library.n == 3


def test_what_the_user_set_is_not_raised():
    with threadpool_limits(1, "blas"):
        with blas_threads(8):
            assert set(n_threads()) <= {1}
        assert set(n_threads()) <= {1}


def test_a_child_that_is_forked_inside_a_verb_starts_with_what_there_was(library):
    with blas_threads(1):
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            os.write(writer, f"{library.n} {len(_verbs._limits.active)}".encode())
            os._exit(0)
        os.waitpid(pid, 0)
        assert os.read(reader, 100) == b"8 0"
    assert threading.active_count() >= 1
