"""Factors in pages: the same bits as in one table, requests of the touched rows included."""

import contextlib
import copy
import pickle

import joblib
import numpy as np
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn import ALS
from sklearn_unlearn.backends._torch import TorchBackend
from sklearn_unlearn.influence import SweepUnlearner, _as_trained
from sklearn_unlearn.recommenders import _factor, _paged
from sklearn_unlearn.utils import _derived_tables
from sklearn_unlearn.utils._pages import Pages
from sklearn_unlearn.utils.estimator_checks import (
    _request_checks,
    _serving,
    _traces,
    parametrize_with_forget_checks,
)
from sklearn_unlearn.utils.estimator_checks._walk import walk

# What a request says of a model that was stopped early is told elsewhere.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.NotConvergedWarning")
TOUCHED = SweepUnlearner(scope="touched", n_sweeps=1)
RNG = np.random.default_rng(5)
X = (RNG.random((40, 30)) < 0.25) * RNG.integers(1, 5, (40, 30)).astype(np.float32)
X[[3, 20]] = 0
X[:, 11] = 0
REQUESTS = {
    "user": {"users": 7},
    "users": {"users": [0, 9, 38]},
    "item": {"items": [3]},
    "pairs": {"interactions": np.argwhere(X)[::17]},
    "all": {"users": [12], "items": [5], "interactions": np.argwhere(X[:3])},
}


@pytest.fixture(autouse=True, scope="module")
def small_pages():
    """A few rows a page, whatever the size of a model, and no request too large for its rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_derived_tables, "_PAGE_USERS", 3)
        patch.setattr(_derived_tables, "_WORTH_PAGES", 0)
        patch.setattr(_paged, "_PAGE_ROWS", 4)
        patch.setattr(_paged, "_WORTH_PAGES", 0)
        patch.setattr(_paged, "_MAX_SHARE", 1.0)
        yield


def made(weights=None, **params):
    params = {"alpha": 5.0, "regularization": 5.0, "random_state": 0, "n_sweeps": 3, **params}
    return ALS(6, **params).fit(X, sample_weight=weights)


@contextlib.contextmanager
def in_one_piece():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_derived_tables, "_WORTH_PAGES", 2**20)
        patch.setattr(_paged, "_WORTH_PAGES", 2**24)
        yield


def forget(model, request):
    return model.forget(**request, missing="ignore")


def require_same(paged, plain):
    for name in ("user_factors_", "item_factors_"):
        assert isinstance(vars(paged)[name], Pages) and isinstance(vars(plain)[name], np.ndarray)
    assert_array_equal(paged.user_factors_, plain.user_factors_)
    assert_array_equal(paged.item_factors_, plain.item_factors_)
    for one, other in zip(paged._sums, plain._sums, strict=True):
        assert_array_equal(one, other)
    for name in ("gradient_norm_", "converged_", "n_iter_", "_fit_work"):
        assert getattr(paged, name) == getattr(plain, name), name
    for users in ([9, 2, 2], slice(None)):
        users = np.arange(40)[users]
        for one, other in zip(
            paged.recommend(users=users, n_items=5),
            plain.recommend(users=users, n_items=5),
            strict=True,
        ):
            assert_array_equal(one, other)
    pairs = RNG.integers(30, size=(9, 2))
    assert_array_equal(paged.predict_pairs(pairs), plain.predict_pairs(pairs))
    assert_array_equal(paged.transform(X), plain.transform(X))
    if hasattr(plain, "forget_report_"):
        one, other = (model.forget_report_.to_dict() for model in (paged, plain))
        assert {**one, "seconds": 0} == {**other, "seconds": 0}


KINDS = {
    "stopped early": {"max_iter": 0, "unlearner": TOUCHED},
    "three sweeps": {"max_iter": 0, "unlearner": SweepUnlearner(scope="touched", n_sweeps=3)},
    "no promise": {"max_iter": 0, "unlearner": SweepUnlearner(scope="touched", tol=None)},
    "finished": {
        "max_iter": 0,
        "unlearner": SweepUnlearner(scope="touched", correct_residual=False),
    },
    "scaled": {"max_iter": 0, "unlearner": TOUCHED, "frequency_scaling": 0.5},
    "offset": {
        "max_iter": 0,
        "unlearner": TOUCHED,
        "frequency_scaling": 0.5,
        "frequency_offset": (2.0, 0.5),
    },
    "weighted": {"max_iter": 0, "unlearner": TOUCHED, "weights": RNG.random(40) + 0.5},
    "both": {
        "max_iter": 0,
        "unlearner": TOUCHED,
        "frequency_scaling": 0.5,
        "weights": RNG.random(40) + 0.5,
    },
    "converged": {"unlearner": TOUCHED},
    "newton": {},
    "refit": {"unlearner": "refit"},
}


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("kind", KINDS)
def test_requests_give_the_same_bits(kind, request_name):
    paged = made(**KINDS[kind])
    with in_one_piece():
        plain = made(**KINDS[kind])
    require_same(paged, plain)
    for request in (REQUESTS[request_name], {"users": [33]}, {"interactions": [[5, 2]]}):
        forget(paged, request)
        with in_one_piece():
            forget(plain, request)
        require_same(paged, plain)


def test_only_touched_rows_are_read_and_written(monkeypatch):
    model = made(**KINDS["stopped early"])
    monkeypatch.setattr(_paged.PagedFactors, "_theta", None)  # that would be the whole table
    monkeypatch.setattr(_paged, "whole", None)
    before = vars(model)["user_factors_"]
    forget(model, {"users": [5]})
    after = vars(model)["user_factors_"]
    kept = [a is b for a, b in zip(before.pages, after.pages, strict=True)]
    assert kept == [True, False] + [True] * 8
    assert not np.any(after[np.array([5])])
    held = [id(one) for one in walk(model) if isinstance(one, np.ndarray)]
    assert id(before.pages[1]) not in held


def test_all_items_are_put_together_once_a_version_and_never_kept_beyond():
    model = made(**KINDS["stopped early"])
    model.recommend(users=[0])
    old = model.item_factors_
    assert model.item_factors_ is old and not old.flags.writeable
    assert pickle.loads(pickle.dumps(vars(model)["item_factors_"]))._joined is None
    forget(model, {"users": [5]})
    assert vars(model)["item_factors_"]._joined is None
    assert not any(one is old for one in walk(model))
    model.recommend(users=[0])
    assert not np.array_equal(model.item_factors_, old)


@pytest.mark.parametrize("kind", ["stopped early", "both"])
def test_torch_gives_what_scipy_gives(kind, monkeypatch):
    expected = forget(made(**KINDS[kind]), REQUESTS["all"])
    monkeypatch.setattr(_factor, "get_backend", lambda device, n_jobs: TorchBackend("cpu"))
    model = made(**KINDS[kind])
    forget(model, REQUESTS["all"])
    scores, wanted = (one.user_factors_ @ one.item_factors_.T for one in (model, expected))
    assert_allclose(scores, wanted, rtol=1e-3, atol=1e-4)
    assert model.forget_report_.residual == pytest.approx(
        expected.forget_report_.residual, rel=0.01
    )


class Deciding(SweepUnlearner):
    """Moves the touched rows alone where one user is forgotten."""

    def moves_touched_rows_alone(self, problem):
        return len(np.unique(problem.removed_pairs()[0])) == 1

    def unlearn(self, problem):
        scope = "touched" if self.moves_touched_rows_alone(problem) else "all"
        return SweepUnlearner(scope, n_sweeps=2, on_failure="warn").unlearn(problem)


@pytest.mark.parametrize("request_name", ["user", "users", "all"])
def test_a_strategy_may_decide_by_the_request(request_name, monkeypatch):
    seen = []
    theta = _paged.PagedFactors._theta
    monkeypatch.setattr(
        _paged.PagedFactors, "_theta", lambda self, *rest: seen.append(1) or theta(self, *rest)
    )
    model = made(max_iter=0, unlearner=Deciding())
    with in_one_piece():
        plain = made(max_iter=0, unlearner=Deciding())
        forget(plain, REQUESTS[request_name])
    seen.clear()
    forget(model, REQUESTS[request_name])
    assert bool(seen) == (request_name != "user")
    require_same(model, plain)


def test_a_request_of_much_of_the_data_takes_the_whole_table(monkeypatch):
    model = made(**KINDS["stopped early"])
    with in_one_piece():
        plain = made(**KINDS["stopped early"])
        forget(plain, {"users": np.arange(20)})
    monkeypatch.setattr(_paged, "_MAX_SHARE", 0.25)
    forget(model, {"users": np.arange(20)})
    require_same(model, plain)


def test_an_interruption_leaves_the_model_as_it_was(monkeypatch):
    model = made(**KINDS["stopped early"])
    before, table = dict(vars(model)), model.user_factors_

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Pages, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.forget(users=5)
    assert all(vars(model)[name] is value for name, value in before.items())
    assert_array_equal(model.user_factors_, table)


def test_models_are_stored_and_mapped_page_by_page(tmp_path):
    model = made(**KINDS["stopped early"])
    joblib.dump(model, tmp_path / "model.joblib")
    stored = (tmp_path / "model.joblib").read_bytes()
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert all(isinstance(page, np.memmap) for page in vars(mapped)["user_factors_"].pages)
    forget(mapped, {"users": 7})
    forget(model, {"users": 7})
    kinds = [isinstance(page, np.memmap) for page in vars(mapped)["user_factors_"].pages]
    assert kinds == [True, False] + [True] * 8
    assert_array_equal(mapped.user_factors_, model.user_factors_)
    assert (tmp_path / "model.joblib").read_bytes() == stored


def test_factors_are_set_and_deleted_as_any_attribute():
    model = ALS()
    assert not hasattr(model, "user_factors_")
    model = made(max_iter=0)
    for name in ("user_factors_", "item_factors_"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(model, name)[0] = 1
    scores = model.predict_pairs([[0, 1]])
    model.user_factors_ = -model.user_factors_
    assert isinstance(vars(model)["user_factors_"], np.ndarray)
    assert_array_equal(model.predict_pairs([[0, 1]]), -scores)
    forget(model, {"users": 7})
    assert isinstance(vars(model)["user_factors_"], Pages)
    del model.user_factors_
    with pytest.raises(AttributeError, match="'ALS' object has no attribute 'user_factors_'"):
        _ = model.user_factors_


@pytest.mark.parametrize("damage", ["none", "short", "wide", "types", "objects"])
@pytest.mark.parametrize("name", ["user_factors_", "item_factors_"])
def test_damaged_pages_are_refused(name, damage):
    model = made(max_iter=0)
    pages = list(vars(model)[name].pages)
    vars(model)[name] = Pages(
        {
            "none": [],
            "short": pages[1:],
            "wide": [*pages[:-1], pages[-1][:, :3]],
            "types": [*pages[:-1], pages[-1].astype(np.float64)],
            "objects": [*pages[:-1], pages[-1].astype(object)],
        }[damage]
    )
    with pytest.raises(ValueError, match=r"the loaded (ALS is|pages are) damaged"):
        pickle.loads(pickle.dumps(model))


def through_skops(model):
    data = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=data)
    assert all(name.startswith("sklearn_unlearn.") for name in types)
    return skops.io.loads(data, trusted=types)


@pytest.mark.parametrize(
    "store",
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model, protocol=2)), through_skops],
    ids=["deepcopy", "pickle", "skops"],
)
def test_copies_are_models_in_pages_of_their_own(store):
    model = made(max_iter=0)
    twin = store(model)
    for name in ("user_factors_", "item_factors_"):
        old, new = vars(model)[name], vars(twin)[name]
        assert isinstance(new, Pages) and len(old.pages) == len(new.pages)
        assert not any(np.shares_memory(*pair) for pair in zip(old.pages, new.pages, strict=True))
    assert_array_equal(twin.user_factors_, model.user_factors_)
    forget(twin, {"users": 7})
    forget(model, {"users": 7})
    assert_array_equal(twin.item_factors_, model.item_factors_)


ESTIMATORS = [
    ALS(28, regularization=4.0, alpha=5.0),
    ALS(28, regularization=4.0, alpha=5.0, unlearner="sweep"),
]


@parametrize_with_forget_checks(ESTIMATORS)
def test_forget_checks(check):
    check()


def checks_of_touched_rows():
    """All that does not ask for the outcome of a refit."""
    for module in (_request_checks, _serving, _traces):
        for name, check in vars(module).items():
            own = name.startswith("check_") and check.__module__ == module.__name__
            if own and name != "check_concurrent_forgets_are_all_applied":
                yield pytest.param(check, id=name)


@pytest.mark.parametrize("check", list(checks_of_touched_rows()))
def test_checks_of_requests_that_read_the_touched_rows_alone(check, monkeypatch):
    answered = []
    answer = _paged.PagedFactors._answer_locally
    monkeypatch.setattr(
        _paged.PagedFactors,
        "_answer_locally",
        lambda self, *request: answered.append(1) or answer(self, *request),
    )
    model = ALS(28, regularization=4.0, alpha=5.0, max_iter=0, n_sweeps=3, unlearner=TOUCHED)
    check("ALS", model)
    never = ("unfitted", "invalid", "unknown_is_named", "empty_request", "tags")
    assert answered or any(word in check.__name__ for word in never)


@pytest.mark.parametrize("request_", REQUESTS)
def test_the_default_of_models_stopped_early_is_the_same_in_pages(request_, monkeypatch):
    monkeypatch.setattr(_as_trained, "_FEW", 0.2)  # of so small a set, a user is much
    paged = forget(made(max_iter=0), REQUESTS[request_])
    with in_one_piece():
        plain = forget(made(max_iter=0), REQUESTS[request_])
    one, other = paged.forget_report_, plain.forget_report_
    assert one.guarantee == other.guarantee
    assert (one.n_rows_updated < 0.5 * sum(paged._interactions.shape)) is (request_ != "pairs")
    assert (one.n_rows_updated, one.n_steps) == (other.n_rows_updated, other.n_steps)
    require_same(paged, plain)
